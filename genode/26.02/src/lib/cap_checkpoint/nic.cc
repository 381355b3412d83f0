/*
 * \brief  Nic session of a component that can be checkpointed
 * \date   2026-12-01
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

/* Genode includes */
#include <cap_checkpoint/nic_session.h>

using namespace Cap_checkpoint;

using Costs = Open_session::Costs;


static size_t tx_size(Open_session::Args const &args)
{
	return Packet_memory::buffer_size(args, "tx_buf_size");
}


static size_t rx_size(Open_session::Args const &args)
{
	return Packet_memory::buffer_size(args, "rx_buf_size");
}


Costs Nic_service_session::server_quota(Open_session::Args const &args)
{
	/* as usual for the service, beside the buffers */
	static constexpr size_t RAM = 32*1024*sizeof(long);

	return { { RAM + tx_size(args) + rx_size(args) }, { Nic::Session::CAP_QUOTA } };
}


Costs Nic_service_session::server_costs(Open_session::Args const &args)
{
	Costs const quota = server_quota(args);

	/* there are two channels instead of one */
	return { { quota.ram.value  + 2*Packet_memory::RAM },
	         { quota.caps.value + Packet_memory::CAPS + 1 } };
}


Nic_service_session::Nic_service_session(Env &env, Entrypoint &ep, Virtual_pd &pd,
                                         Allocator &alloc, Session_label const &label,
                                         Id_space<Open_session> &space, Request const &request)
:
	Open_session(space, request), _ep(ep), _pd(pd),
	_tx(pd, env.rm(), tx_size(request.args)),
	_rx(pd, env.rm(), rx_size(request.args)),
	_state_memory(pd, env.rm(), STATE_SIZE),
	_session(env, Nic::Session::service_name(), label, server_quota(request.args),
	         { ", tx_buf_size=", tx_size(request.args), ", rx_buf_size=", rx_size(request.args) })
{
	if (_session.cap().valid() && _tx.valid() && _rx.valid() && _state_memory.valid())
		_connect(env, alloc);

	_ep.manage(*this);
}


void Nic_service_session::_connect(Env &env, Allocator &alloc)
{
	_lent  .construct(_state().lent, BEGIN, _rx.size());
	_server.construct(env.rm(), alloc, static_cap_cast<Nic::Session>(_session.cap()));

	_mac = _server->mac_address();
	memcpy(_state().mac, _mac.addr, sizeof(_mac.addr));

	_server->tx.sigh_ack_avail(_handler);
	_server->tx.sigh_ready_to_submit(_handler);
	_server->rx.sigh_packet_avail(_handler);
	_server->rx.sigh_ready_to_ack(_handler);

	_tx_channel.construct(_ep, _tx.ds()->cap, _handler);
	_rx_channel.construct(_ep, _rx.ds()->cap, _handler);
}


Native_capability Nic_service_session::part(uint32_t part) const
{
	return part == TX_CHANNEL ? Native_capability(_tx_channel->cap())
	     : part == RX_CHANNEL ? Native_capability(_rx_channel->cap())
	     : part == PACKETS    ? Native_capability(Signal_context_capability(_handler))
	     :                      Native_capability();
}


Signal_context_capability Nic_service_session::handler(uint32_t part) const
{
	return part == READY_TO_SUBMIT ? _tx_channel->ready_to_submit
	     : part == ACK_AVAIL       ? _tx_channel->ack_avail
	     : part == PACKET_AVAIL    ? _rx_channel->packet_avail
	     : part == READY_TO_ACK    ? _rx_channel->ready_to_ack
	     : part == LINK_STATE      ? _link_state_sigh
	     :                           Signal_context_capability();
}


void Nic_service_session::handler(uint32_t part, Signal_context_capability cap)
{
	if (part == READY_TO_SUBMIT) _tx_channel->ready_to_submit = cap;
	if (part == ACK_AVAIL)       _tx_channel->ack_avail       = cap;
	if (part == PACKET_AVAIL)    _rx_channel->packet_avail    = cap;
	if (part == READY_TO_ACK)    _rx_channel->ready_to_ack    = cap;

	if (part == LINK_STATE) {
		_link_state_sigh = cap;

		/* the server tells the component itself */
		_server->link_state_sigh(cap);
	}
}


bool Nic_service_session::restorable()
{
	Nic::Mac_address const known { (void const *)_state().mac };

	if (known == _mac)
		return true;

	warning(_pd.name, ": the server has MAC address ", _mac, " instead of ", known);
	return false;
}


/**
 * Take back buffers of frames, from the server and from the component
 *
 * \return  true if there may be more
 */
bool Nic_service_session::_take_back()
{
	Tx::Source &source = *_server->tx.source();

	unsigned from_server = 0, from_component = 0;

	for (; from_server < MAX_AT_ONCE && _server->ack_avail(); from_server++)
		_server->slots.free(source.try_get_acked_packet().offset());

	for (; from_component < MAX_AT_ONCE && _rx.ack_avail(); from_component++) {
		_lent->free(_rx.take_ack().offset());
		_news[READY_TO_ACK] |= _rx.acks_were_full();
	}
	return from_server == MAX_AT_ONCE || from_component == MAX_AT_ONCE;
}


/**
 * Hand frames of the component to the server as long as it takes them
 *
 * A frame that makes no sense is dropped. Its buffer is given back like any other one.
 *
 * \return  true if there may be more
 */
bool Nic_service_session::_send()
{
	Tx::Source &source = *_server->tx.source();

	for (unsigned i = 0; i < MAX_AT_ONCE; i++) {

		if (!_tx.packet_avail() || !_tx.ready_to_acknowledge() || !source.ready_to_submit())
			return false;

		bool const room = _server->slots.use([&] (off_t const at) {

			Frame const frame = _tx.take_packet();

			Packet_buffer<Tx>::Payload const payload {
				.offset    = frame.offset(), .length      = frame.size(),
				.to_server = true,           .from_server = false };

			bool const sane = _right_size(frame) && _tx.contains(payload, _tx.size());

			if (sane)
				memcpy((char *)source.ds_local_base() + at, _tx.at(payload), frame.size());

			_news[READY_TO_SUBMIT] |= _tx.was_full();
			_news[ACK_AVAIL]       |= _tx.acknowledge(frame);

			return sane && source.try_submit_packet(Frame(at, frame.size())); });

		if (!room)
			return false;
	}
	return true;
}


/**
 * Hand frames of the server to the component as long as it has room
 *
 * What is left remains at the server, which drops frames once its buffer is full.
 *
 * \return  true if there may be more
 */
bool Nic_service_session::_receive()
{
	Rx::Sink &sink = *_server->rx.sink();

	for (unsigned i = 0; i < MAX_AT_ONCE; i++) {

		if (!_server->packet_avail() || !sink.ready_to_ack() || !_rx.ready_to_submit())
			return false;

		bool const room = _lent->use([&] (off_t const at) {

			Frame const frame = sink.try_get_packet();

			/* the size comes first, as sums of it must not overflow */
			bool const sane = _right_size(frame) && sink.packet_valid(frame);

			if (sane)
				memcpy(_rx.at({ .offset    = at,    .length      = frame.size(),
				                .to_server = false, .from_server = true }),
				       (char *)sink.ds_local_base() + frame.offset(), frame.size());

			(void)sink.try_ack_packet(frame);

			bool const received = sane && _rx.submit(Frame(at, frame.size()));

			_news[PACKET_AVAIL] |= received;
			return received; });

		if (!room)
			return false;
	}
	return true;
}


void Nic_service_session::_process()
{
	bool more = _take_back();

	more |= _send();
	more |= _receive();

	_server->tx.source()->wakeup();
	_server->rx.sink()->wakeup();

	/* others get their turn in between */
	if (more)
		_handler.local_submit();
}


/**
 * Call 'fn' with each handler that the component needs to hear of
 *
 * News remain until there is a handler.
 */
void Nic_service_session::_tell(auto const &fn)
{
	for (uint32_t i = 0; i < MAX_HANDLERS; i++)
		if (Signal_context_capability const sigh = handler(i); _news[i] && sigh.valid()) {
			_news[i] = false;
			fn(sigh);
		}
}


void Nic_service_session::_handle()
{
	if (!valid() || _held)
		return;

	_process();
	_tell([&] (Signal_context_capability cap) { _pd.real().submit(cap, 1); });
}


/**
 * Go on at a server that is another one, and that may belong to another network
 */
void Nic_service_session::after_restore()
{
	_held = false;
	_process();

	/* whatever it missed, and that it should look at the link */
	for (bool &news : _news)
		news = true;

	_tell([&] (Signal_context_capability cap) { _pd.signals.raise(cap); });
}
