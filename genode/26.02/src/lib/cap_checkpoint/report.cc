/*
 * \brief  Report session of a component that can be checkpointed
 * \date   2026-11-30
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

/* Genode includes */
#include <cap_checkpoint/report_session.h>

using namespace Cap_checkpoint;


Report_service_session::Report_service_session(Env &env, Entrypoint &ep, Virtual_pd &pd,
                                               Session_label const &label,
                                               Id_space<Open_session> &space,
                                               Request const &request)
:
	Open_session(space, request), _ep(ep),
	_server(env, Report::Session::service_name(), label, server_costs(request.args),
	        { ", buffer_size=", buffer_size(request.args) }),
	_size(buffer_size(request.args)),
	_buffer(pd, env.rm(), _size),
	_last  (pd, env.rm(), _size + sizeof(Last))
{
	_ep.manage(*this);

	if (_server.cap().valid())
		_server_buffer.construct(env.rm(), _client().dataspace());
}


void Report_service_session::submit(size_t length)
{
	length = min(length, _max_length());

	memcpy(_server_buffer->local_addr<char>(), _buffer.start(), length);
	memcpy(_text(), _buffer.start(), length);

	_head() = { .submitted = 1, .length = uint32_t(length) };

	_client().submit(length);
}


void Report_service_session::response_sigh(Signal_context_capability cap)
{
	_sigh = cap;
	_client().response_sigh(cap);
}


size_t Report_service_session::obtain_response()
{
	size_t const length = min(_client().obtain_response(), _max_length());

	memcpy(_buffer.start(), _server_buffer->local_addr<char>(), length);

	return length;
}


/**
 * Let the server, which may be another one than before, have the last report
 */
void Report_service_session::after_restore()
{
	/* the memory comes from an image */
	Last const last = _head();

	if (!last.submitted)
		return;

	size_t const length = min(size_t(last.length), _max_length());

	memcpy(_server_buffer->local_addr<char>(), _text(), length);

	_client().submit(length);
}
