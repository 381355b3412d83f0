/*
 * \brief  Packet stream of a component that can be checkpointed
 * \date   2026-12-01
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _INCLUDE__CAP_CHECKPOINT__PACKET_RELAY_H_
#define _INCLUDE__CAP_CHECKPOINT__PACKET_RELAY_H_

/* Genode includes */
#include <base/allocator_avl.h>
#include <cap_checkpoint/packet_buffer.h>
#include <packet_stream_tx/client.h>

namespace Cap_checkpoint { template <typename> class Packet_relay; }


/**
 * Takes packets of a component, lets the server execute them, and acknowledges them
 *
 * Both queues lie in memory of the session. A packet that was taken is in a list, in another
 * memory of the session, until its acknowledgement is in the queue. A checkpoint is made
 * between two steps of the entrypoint. So each packet is in one of the queues or in the list of an image,
 * and a restored component gets one acknowledgement for each, whatever the former server did.
 *
 * Packets are handed to the server in the order in which they came, except that some may be passed.
 */
template <typename TX>
class Cap_checkpoint::Packet_relay : Noncopyable
{
	public:

		using Executor = Packet_executor<TX>;
		using Packet   = typename Executor::Packet;
		using Payload  = typename Executor::Payload;
		using List     = Packet_list<Packet>;
		using Entry    = typename List::Entry;

		static_assert(sizeof(List) <= List::SIZE);

		enum Part    : uint32_t { CHANNEL, PACKETS, NUM_PARTS };
		enum Handler : uint32_t { READY_TO_SUBMIT, ACK_AVAIL, NUM_HANDLERS };

	private:

		using Source = typename TX::Source;

		Entrypoint &_ep;
		Virtual_pd &_pd;
		Executor   &_executor;

		Packet_buffer<TX> _buffer;
		Session_memory    _list_memory;

		Signal_handler<Packet_relay> _handler { _ep, *this, &Packet_relay::_handle };

		Constructible<Packet_channel<TX>> _channel { };

		Allocator_avl _no_packets;  /* those of the component are at the same places */

		Constructible<Packet_stream_tx::Client<TX>> _server { };

		uint32_t _serial = 0;

		/* there is an image with what is to be executed, or that it will come from */
		bool _held = false;

		/* what the component has to be told */
		bool _space_for_packets = false, _acks = false;

		List   &_list()   { return *(List *)_list_memory.start(); }
		Source &_source() { return *_server->source(); }

		bool _valid(Packet const &packet)
		{
			return _executor.well_formed(packet)
			    && _buffer.contains(_executor.payload(packet), _source().ds_size());
		}

		char *_at_server(Payload const &p) { return (char *)_source().ds_local_base() + p.offset; }

		void _conclude(Entry &entry, Packet const &result)
		{
			entry.packet = result;
			entry.state  = List::EXECUTED;
		}

		/**
		 * Take answers of the server
		 */
		void _collect()
		{
			List &list = _list();

			for (unsigned i = 0; i < List::MAX_ENTRIES && acks_avail<TX>(_source()); i++) {

				Packet const answer = _source().try_get_acked_packet();

				Entry *found = nullptr;
				list.for_each_to_execute([&] (Entry &entry) {
					if (!found && entry.state == List::SUBMITTED
					 && _executor.answers(answer, entry.packet, entry.serial))
						found = &entry; });

				if (!found) {
					_executor.note(answer);
					continue;
				}

				Payload const p = _executor.payload(found->packet);
				if (p.from_server)
					memcpy(_buffer.at(p), _at_server(p), p.length);

				_conclude(*found, _executor.result(found->packet, answer));
			}
			_executor.executed();
		}

		/**
		 * Append packets that the component gets without having asked
		 */
		void _notify()
		{
			List  &list = _list();
			Packet packet { };

			while (list.count < List::MAX_ENTRIES && _executor.notification(packet))
				list.entries[list.count++] = { .state = List::EXECUTED, .serial = ++_serial,
				                               .packet = packet };
		}

		/**
		 * Append packets of the component to the list
		 */
		void _take()
		{
			List &list = _list();

			while (list.count < List::MAX_ENTRIES && _buffer.packet_avail()) {

				Entry &entry = list.entries[list.count];
				entry = { .state = List::TAKEN, .serial = ++_serial, .packet = _buffer.take_packet() };

				_space_for_packets |= _buffer.was_full();

				if (!_valid(entry.packet))
					_conclude(entry, _executor.failed(entry.packet));

				list.count++;
			}
		}

		bool _must_wait(unsigned const number)
		{
			List const &list = _list();

			for (unsigned i = 0; i < number; i++)
				if (list.entries[i].state != List::EXECUTED
				 && _executor.conflict(list.entries[i].packet, list.entries[number].packet))
					return true;

			return false;
		}

		/**
		 * Hand packets to the server as long as it takes them
		 */
		void _hand_over()
		{
			List &list = _list();

			for (unsigned i = 0; i < list.count; i++) {

				Entry &entry = list.entries[i];

				if (entry.state != List::TAKEN)
					continue;

				if (_must_wait(i)) {
					if (_executor.may_be_passed(entry.packet))
						continue;
					return;
				}
				if (!_source().ready_to_submit())
					return;

				Packet        request { };
				Payload const p = _executor.payload(entry.packet);

				if (!_executor.for_server(entry.packet, entry.serial, request)) {
					_conclude(entry, _executor.failed(entry.packet));
					continue;
				}

				if (p.to_server)
					memcpy(_at_server(p), _buffer.at(p), p.length);

				if (!_source().try_submit_packet(request))
					return;

				entry.state = List::SUBMITTED;
			}
		}

		/**
		 * Remove what is executed from the list as far as the component takes acknowledgements
		 */
		void _acknowledge()
		{
			_list().remove([&] (Entry const &entry) {
				bool const done = entry.state == List::EXECUTED && _buffer.acknowledge(entry.packet);
				_acks |= done;
				return done; });
		}

		/**
		 * Do as much as there is room for, a bounded number of packets
		 */
		void _process()
		{
			_collect();
			_notify();
			_take();
			_hand_over();
			_acknowledge();
			_source().wakeup();

			/* others get their turn in between */
			if (acks_avail<TX>(_source())
			 || (_buffer.packet_avail() && _list().count < List::MAX_ENTRIES))
				_handler.local_submit();
		}

		/**
		 * Call 'fn' with each handler that the component needs to hear of
		 */
		void _tell(auto const &fn)
		{
			if (_acks)
				fn(_channel->ack_avail);

			if (_space_for_packets && !(_acks && _channel->ack_avail == _channel->ready_to_submit))
				fn(_channel->ready_to_submit);

			_acks = _space_for_packets = false;
		}

		/**
		 * Note what the server has executed
		 *
		 * The component is told when it goes on.
		 */
		void _note_executed()
		{
			_collect();
			_source().wakeup();
		}

		void _handle()
		{
			if (!valid())
				return;

			if (_held) {
				_note_executed();
				return;
			}

			_process();
			_tell([&] (Signal_context_capability cap) {
				if (cap.valid())
					_pd.real().submit(cap, 1); });
		}

	public:

		Packet_relay(Env &env, Entrypoint &ep, Virtual_pd &pd, Allocator &alloc, Executor &executor,
		             Open_session::Args const &args)
		:
			_ep(ep), _pd(pd), _executor(executor),
			_buffer(pd, env.rm(), Packet_memory::buffer_size(args)),
			_list_memory(pd, env.rm(), List::SIZE),
			_no_packets(&alloc)
		{
			if (!_buffer.valid() || !_list_memory.valid())
				return;

			_channel.construct(_buffer.ds()->cap, _handler);
			_ep.manage(*_channel);
		}

		~Packet_relay()
		{
			if (_channel.constructed())
				_ep.dissolve(*_channel);
		}

		/**
		 * Use the packet stream of the session at the server
		 */
		void server(Env::Local_rm &rm, Capability<TX> tx)
		{
			_server.construct(tx, rm, _no_packets);
			_server->sigh_ack_avail(_handler);
			_server->sigh_ready_to_submit(_handler);
		}

		/**
		 * Return false if the component has not paid for its buffer
		 */
		bool usable() const { return _channel.constructed(); }

		bool valid() const { return usable() && _server.constructed(); }

		Capability<TX> channel_cap() const { return _channel->cap(); }

		List const &list() const { return *(List const *)_list_memory.start(); }

		/**
		 * Do what can be done without waiting, and tell the component
		 */
		void process() { _handle(); }

		/**
		 * Forget packets for which 'fn' returns true, and that are not executed
		 */
		void forget(auto const &fn)
		{
			_list().remove([&] (Entry const &entry) {
				return entry.state != List::EXECUTED && fn(entry.packet); });
		}

		/**
		 * Let each packet fail that the server has not executed by now, if 'fn' returns true for its entry
		 */
		void fail(auto const &fn)
		{
			_note_executed();

			_list().for_each_to_execute([&] (Entry &entry) {
				if (fn(entry))
					_conclude(entry, _executor.failed(entry.packet)); });
		}

		/**
		 * Note what must be the same after a restore
		 */
		void traits(uint64_t const (&values)[List::NUM_TRAITS])
		{
			for (size_t i = 0; i < List::NUM_TRAITS; i++)
				_list().traits[i] = values[i];
		}

		Dataspace *buffer_ds() { return _buffer.ds(); }
		Dataspace *list_ds()   { return _list_memory.ds(); }

		Native_capability part(uint32_t part) const
		{
			return part == CHANNEL ? Native_capability(_channel->cap())
			     : part == PACKETS ? Native_capability(Signal_context_capability(_handler))
			     :                   Native_capability();
		}

		Signal_context_capability handler(uint32_t part) const
		{
			return part == READY_TO_SUBMIT ? _channel->ready_to_submit
			     : part == ACK_AVAIL       ? _channel->ack_avail
			     :                           Signal_context_capability();
		}

		void handler(uint32_t part, Signal_context_capability cap)
		{
			if (part == READY_TO_SUBMIT) _channel->ready_to_submit = cap;
			if (part == ACK_AVAIL)       _channel->ack_avail       = cap;
		}

		void before_save()
		{
			_note_executed();
			hold();
		}

		/**
		 * Hand nothing over any more, and return true if the server has nothing left to execute
		 *
		 * What is only read does not count. It may wait for somebody else, maybe forever.
		 */
		bool drained()
		{
			if (!valid())
				return true;

			before_save();

			return !list().any([&] (Entry const &entry) {
				return entry.state == List::SUBMITTED && !_executor.only_reads(entry.packet); });
		}

		void hold() { _held = true; }

		void thawed()
		{
			_held = false;
			_handler.local_submit();
		}

		/* the list comes from an image */
		void limit() { _list().count = min(_list().count, uint32_t(List::MAX_ENTRIES)); }

		/**
		 * Let the server, which is another one, execute what was in flight
		 */
		void after_restore()
		{
			_held = false;

			List &list = _list();

			for (unsigned i = 0; i < list.count; i++)
				list.entries[i].serial = ++_serial;

			list.for_each_to_execute([&] (Entry &entry) {
				entry.state = List::TAKEN;
				if (!_valid(entry.packet))
					_conclude(entry, _executor.failed(entry.packet)); });

			_process();

			/* whatever it missed */
			_acks = _space_for_packets = true;
			_tell([&] (Signal_context_capability cap) { _pd.signals.raise(cap); });
		}
};

#endif /* _INCLUDE__CAP_CHECKPOINT__PACKET_RELAY_H_ */
