/*
 * \brief  Nic session of a component that can be checkpointed
 * \date   2026-12-01
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _INCLUDE__CAP_CHECKPOINT__NIC_SESSION_H_
#define _INCLUDE__CAP_CHECKPOINT__NIC_SESSION_H_

/* Genode includes */
#include <base/allocator_avl.h>
#include <cap_checkpoint/frame_slots.h>
#include <cap_checkpoint/packet_buffer.h>
#include <cap_checkpoint/server_session.h>
#include <nic_session/nic_session.h>
#include <packet_stream_rx/client.h>
#include <packet_stream_tx/client.h>

namespace Cap_checkpoint {

	class Receive_channel;
	class Nic_service_session;
}


/**
 * Server side of the channel of frames that the component receives
 *
 * The component asks for all of this when it opens its session.
 */
class Cap_checkpoint::Receive_channel : public Rpc_object<Nic::Session::Rx, Receive_channel>
{
	private:

		Dataspace_capability      const _buffer;
		Signal_context_capability const _packets;

	public:

		Signal_context_capability packet_avail { }, ready_to_ack { };

		Receive_channel(Dataspace_capability buffer, Signal_context_capability packets)
		: _buffer(buffer), _packets(packets) { }

		Dataspace_capability dataspace() { return _buffer; }

		/*
		 * A frame may have arrived before there was anybody to tell
		 */

		void sigh_packet_avail(Signal_context_capability cap) override
		{
			packet_avail = cap;
			Signal_transmitter(_packets).submit();
		}

		void sigh_ready_to_ack(Signal_context_capability cap) override
		{
			ready_to_ack = cap;
			Signal_transmitter(_packets).submit();
		}

		Signal_context_capability sigh_ready_to_submit() { return _packets; }
		Signal_context_capability sigh_ack_avail()       { return _packets; }
};


/**
 * Nic session
 *
 * Frames are copied between the buffers of the component and those of a session at the server. A frame that
 * the component sends is acknowledged as soon as it is copied, and one that arrives is given back
 * to the server likewise. So all that an image has of frames is in the queues of the component, and which of its
 * receive buffer it has not given back. What the server has is never part of an image.
 */
class Cap_checkpoint::Nic_service_session
:
	public Open_session,
	public Rpc_object<Nic::Session, Nic_service_session>
{
	public:

		using Tx = Nic::Session::Tx;
		using Rx = Nic::Session::Rx;

		/* in memory of the session */
		struct State
		{
			uint8_t           mac[sizeof(Nic::Mac_address)];
			uint8_t           zero[2];
			Frame_slots::Used lent;  /* of the receive buffer */
		};

		static constexpr size_t STATE_SIZE = 4096;

		static_assert(sizeof(State) <= STATE_SIZE);

		enum Part    : uint32_t { TX_CHANNEL, RX_CHANNEL, PACKETS };
		enum Memory  : uint32_t { TX_BUFFER, RX_BUFFER, STATE };
		enum Handler : uint32_t { READY_TO_SUBMIT, ACK_AVAIL, PACKET_AVAIL, READY_TO_ACK, LINK_STATE };

	private:

		using Frame        = Nic::Packet_descriptor;
		using Submit_queue = Nic::Session::Policy::Submit_queue;

		/* others get their turn after so many frames */
		static constexpr unsigned MAX_AT_ONCE = 256;

		static constexpr size_t BEGIN = Packet_buffer<Tx>::BEGIN;

		/**
		 * Session at the server
		 */
		struct Server : Rpc_client<Nic::Session>
		{
			Frame_slots::Used sent { };

			Allocator_avl no_packets;  /* frames are in slots */

			Packet_stream_tx::Client<Tx> tx;
			Packet_stream_rx::Client<Rx> rx;

			Frame_slots slots { sent, BEGIN, tx.source()->ds_size() };

			bool ack_avail() { return acks_avail<Tx>(*tx.source()); }

			/* the server can write the positions of the queue at any time */
			bool packet_avail()
			{
				return queue_avail(*(Submit_queue *)rx.sink()->ds_local_base());
			}

			Server(Env::Local_rm &rm, Allocator &alloc, Capability<Nic::Session> cap)
			:
				Rpc_client<Nic::Session>(cap), no_packets(&alloc),
				tx(call<Rpc_tx_cap>(), rm, no_packets), rx(call<Rpc_rx_cap>(), rm)
			{ }

			Nic::Mac_address mac_address() override { return call<Rpc_mac_address>(); }

			bool link_state() override { return call<Rpc_link_state>(); }

			void link_state_sigh(Signal_context_capability cap) override
			{
				call<Rpc_link_state_sigh>(cap);
			}
		};

		/**
		 * Channel that the entrypoint serves as long as it exists
		 */
		template <typename CHANNEL>
		struct Served : CHANNEL
		{
			Entrypoint &_ep;

			Served(Entrypoint &ep, Dataspace_capability buffer, Signal_context_capability packets)
			: CHANNEL(buffer, packets), _ep(ep) { _ep.manage(*this); }

			~Served() { _ep.dissolve(*this); }
		};

		Entrypoint &_ep;
		Virtual_pd &_pd;

		Packet_buffer<Tx> _tx;
		Packet_buffer<Rx> _rx;
		Session_memory    _state_memory;

		Constructible<Frame_slots> _lent { };

		Signal_handler<Nic_service_session> _handler { _ep, *this, &Nic_service_session::_handle };

		Constructible<Served<Packet_channel<Tx>>> _tx_channel { };
		Constructible<Served<Receive_channel>>    _rx_channel { };

		Signal_context_capability _link_state_sigh { };

		Server_session        _session;  /* closed before what it sends signals to is gone */
		Constructible<Server> _server { };

		Nic::Mac_address _mac { };

		/* there is an image, or the component is to go on from one */
		bool _held = false;

		/* what the component has to be told, by number of the handler */
		bool _news[MAX_HANDLERS] { };

		State &_state() { return *(State *)_state_memory.start(); }

		static bool _right_size(Frame const &frame)
		{
			return frame.size() && frame.size() <= Frame_slots::MAX_FRAME;
		}

		void _connect(Env &, Allocator &);
		bool _take_back();
		bool _send();
		bool _receive();
		void _process();
		void _tell(auto const &);
		void _handle();

	public:

		/**
		 * Return quota for the server
		 */
		static Costs server_quota(Open_session::Args const &);

		/**
		 * Return what a session takes from the monitor
		 */
		static Costs server_costs(Open_session::Args const &);

		/**
		 * Constructor
		 *
		 * \param label  of the session at the server
		 */
		Nic_service_session(Env &, Entrypoint &, Virtual_pd &, Allocator &,
		                    Session_label const &label, Id_space<Open_session> &,
		                    Request const &);

		~Nic_service_session() { _ep.dissolve(*this); }

		/**
		 * Return false if the session is of no use
		 */
		bool valid() const
		{
			return _server.constructed() && _server->slots.valid() && _lent->valid();
		}


		/****************************
		 ** Open_session interface **
		 ****************************/

		Session_capability session_cap() const override { return cap(); }

		Costs surcharge() const override { return _session.surcharge; }

		Native_capability part(uint32_t) const override;

		Signal_context_capability handler(uint32_t) const override;

		void handler(uint32_t, Signal_context_capability) override;

		Dataspace *memory(uint32_t part) override
		{
			return part == TX_BUFFER ? _tx.ds() :
			       part == RX_BUFFER ? _rx.ds() :
			       part == STATE     ? _state_memory.ds() : nullptr;
		}

		/**
		 * Provide memory for the content of an image
		 *
		 * An image that tells no MAC address is not one of this server.
		 */
		Dataspace *provide_memory(uint32_t part, size_t) override
		{
			if (part == STATE)
				_state() = { };

			return memory(part);
		}

		void before_save() override { hold(); }

		/**
		 * Wait for nothing, as a network may lose what is on its way
		 */
		bool drained() override
		{
			hold();
			return true;
		}

		void hold() override { _held = true; }

		void thawed() override
		{
			_held = false;
			_handler.local_submit();
		}

		bool restorable() override;

		void after_restore() override;


		/***************************
		 ** Nic session interface **
		 ***************************/

		Nic::Mac_address mac_address() override { return _mac; }

		/* the server acts on being asked, so this is not kept */
		bool link_state() override { return _server->link_state(); }

		void link_state_sigh(Signal_context_capability cap) override { handler(LINK_STATE, cap); }

		Capability<Tx> _tx_cap() { return _tx_channel->cap(); }
		Capability<Rx> _rx_cap() { return _rx_channel->cap(); }
};

#endif /* _INCLUDE__CAP_CHECKPOINT__NIC_SESSION_H_ */
