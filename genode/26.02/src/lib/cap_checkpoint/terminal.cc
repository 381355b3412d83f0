/*
 * \brief  Terminal session of a component that can be checkpointed
 * \date   2026-11-30
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

/* Genode includes */
#include <cap_checkpoint/terminal_session.h>

using namespace Cap_checkpoint;


Terminal_service_session::Terminal_service_session(Env &env, Entrypoint &ep, Virtual_pd &pd,
                                                   Session_label const &label,
                                                   Id_space<Open_session> &space,
                                                   Request const &request)
:
	Open_session(space, request), _ep(ep), _pd(pd),
	_server(env, Terminal::Session::service_name(), label, server_costs()),
	_buffer (pd, env.rm(), BUFFER_SIZE),
	_pending(pd, env.rm(), PENDING_SIZE)
{
	_ep.manage(*this);

	if (_server.cap().valid())
		_client.construct(env.rm(), static_cap_cast<Terminal::Session>(_server.cap()));
}


void Terminal_service_session::handler(uint32_t part, Signal_context_capability cap)
{
	if (part >= NUM_HANDLERS)
		return;

	_sighs[part] = cap;

	/* the server tells the component itself */
	switch (Handler(part)) {
	case CONNECTED:    _client->connected_sigh   (cap); break;
	case READ_AVAIL:   _client->read_avail_sigh  (cap); break;
	case SIZE_CHANGED: _client->size_changed_sigh(cap); break;
	case NUM_HANDLERS: break;
	}
}


size_t Terminal_service_session::_read(size_t const max)
{
	size_t const size    = min(max, _buffer.size()),
	             pending = _head().num_bytes,
	             taken   = min(size, pending);

	if (!pending)
		return min(_client->read(_buffer.start(), size), size);

	memcpy(_buffer.start(), _input(), taken);
	memmove(_input(), _input() + taken, pending - taken);

	_head().num_bytes -= uint32_t(taken);

	return taken;
}


size_t Terminal_service_session::_write(size_t num_bytes)
{
	return _client->write(_buffer.start(), min(num_bytes, _buffer.size()));
}


void Terminal_service_session::before_save()
{
	Size const size = _client->size();

	_head().columns = size.columns();
	_head().lines   = size.lines();

	/* what exceeds the memory remains at the server */
	while (size_t const free = _max_input() - _head().num_bytes) {

		size_t const count = _client->read(_input() + _head().num_bytes, free);

		if (!count)
			break;

		_head().num_bytes += uint32_t(min(count, free));
	}
}


/**
 * Let the component know what it has not been told, or might have missed
 */
void Terminal_service_session::after_restore()
{
	Pending &head = _head();
	Size const size = _client->size();

	/* the memory comes from an image */
	head.num_bytes = min(head.num_bytes, uint32_t(_max_input()));

	if (head.columns != size.columns() || head.lines != size.lines())
		_pd.signals.raise(_sighs[SIZE_CHANGED]);

	if (avail())
		_pd.signals.raise(_sighs[READ_AVAIL]);
}
