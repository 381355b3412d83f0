/*
 * \brief  Block session of a component that can be checkpointed
 * \date   2026-12-01
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _INCLUDE__CAP_CHECKPOINT__BLOCK_SESSION_H_
#define _INCLUDE__CAP_CHECKPOINT__BLOCK_SESSION_H_

/* Genode includes */
#include <block_session/block_session.h>
#include <cap_checkpoint/packet_relay.h>
#include <cap_checkpoint/server_session.h>

namespace Cap_checkpoint { class Block_service_session; }


/**
 * Block session
 *
 * The device must have the same size after a restore.
 */
class Cap_checkpoint::Block_service_session
:
	public Open_session,
	public Rpc_object<Block::Session, Block_service_session>,
	private Packet_executor<Block::Session::Tx>
{
	public:

		using Relay = Packet_relay<Block::Session::Tx>;

		enum Memory : uint32_t { BUFFER, IN_FLIGHT };

	private:

		struct Client : Rpc_client<Block::Session>
		{
			Client(Capability<Block::Session> cap) : Rpc_client<Block::Session>(cap) { }

			Info           info() const override { return call<Rpc_info>(); }
			Capability<Tx> tx_cap()     override { return call<Rpc_tx_cap>(); }
		};

		Entrypoint    &_ep;
		Relay          _relay;
		Server_session _server;  /* closed before what it sends signals to is gone */
		Info           _info { };

		void _connect(Env &);
		bool _same_device() const;


		/*******************************
		 ** Packet_executor interface **
		 *******************************/

		Payload payload(Packet const &) const override;
		bool    well_formed(Packet const &) const override;
		bool    conflict(Packet const &, Packet const &) const override;
		bool    only_reads(Packet const &) const override;
		bool    for_server(Packet &, uint32_t, Packet &) override;
		bool    answers(Packet const &, Packet const &, uint32_t) const override;
		Packet  result(Packet const &, Packet const &) const override;
		Packet  failed(Packet const &) const override;

	public:

		/**
		 * Return quota for the server
		 */
		static Costs server_quota(Open_session::Args const &args)
		{
			return { { 14*1024 + Packet_memory::buffer_size(args) }, { Block::Session::CAP_QUOTA } };
		}

		/**
		 * Return what a session takes from the monitor
		 */
		static Costs server_costs(Open_session::Args const &args)
		{
			Costs const quota = server_quota(args);

			return { { quota.ram.value  + Packet_memory::RAM },
			         { quota.caps.value + Packet_memory::CAPS } };
		}

		/**
		 * Constructor
		 *
		 * \param label  of the session at the server
		 */
		Block_service_session(Env &, Entrypoint &, Virtual_pd &, Allocator &,
		                      Session_label const &label, Id_space<Open_session> &,
		                      Request const &);

		~Block_service_session() { _ep.dissolve(*this); }

		/**
		 * Return false if the session is of no use
		 */
		bool valid() const { return _relay.valid(); }


		/****************************
		 ** Open_session interface **
		 ****************************/

		Session_capability session_cap() const override { return cap(); }

		Costs surcharge() const override { return _server.surcharge; }

		Native_capability part(uint32_t part) const override { return _relay.part(part); }

		Signal_context_capability handler(uint32_t part) const override
		{
			return _relay.handler(part);
		}

		void handler(uint32_t part, Signal_context_capability cap) override
		{
			_relay.handler(part, cap);
		}

		Dataspace *memory(uint32_t part) override
		{
			return part == BUFFER    ? _relay.buffer_ds() :
			       part == IN_FLIGHT ? _relay.list_ds()   : nullptr;
		}

		/**
		 * Provide memory for the content of an image
		 *
		 * An image that does not tell the device is not one of this device.
		 */
		Dataspace *provide_memory(uint32_t part, size_t) override
		{
			if (part == IN_FLIGHT)
				_relay.traits({ 0, 0, 0, 0 });

			return memory(part);
		}

		void before_save() override { _relay.before_save(); }
		bool drained()     override { return _relay.drained(); }

		void hold()   override { _relay.hold(); }
		void thawed() override { _relay.thawed(); }

		bool restorable() override
		{
			_relay.limit();
			return _same_device();
		}

		void after_restore() override { _relay.after_restore(); }


		/*****************************
		 ** Block session interface **
		 *****************************/

		Info info() const override { return _info; }

		Capability<Tx> tx_cap() override { return _relay.channel_cap(); }
};

#endif /* _INCLUDE__CAP_CHECKPOINT__BLOCK_SESSION_H_ */
