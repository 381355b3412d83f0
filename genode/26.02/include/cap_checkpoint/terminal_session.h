/*
 * \brief  Terminal session of a component that can be checkpointed
 * \date   2026-11-30
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _INCLUDE__CAP_CHECKPOINT__TERMINAL_SESSION_H_
#define _INCLUDE__CAP_CHECKPOINT__TERMINAL_SESSION_H_

/* Genode includes */
#include <cap_checkpoint/server_session.h>
#include <cap_checkpoint/session_memory.h>
#include <terminal_session/client.h>

namespace Cap_checkpoint { class Terminal_service_session; }


/**
 * Terminal session
 *
 * What the component writes is at the server when the call returns. Input is taken from the
 * server when the component reads, or when it is saved, as the server may forget
 * it along with the session.
 */
class Cap_checkpoint::Terminal_service_session : public Open_session,
                                                 public Rpc_object<Terminal::Session,
                                                                   Terminal_service_session>
{
	public:

		/* what precedes the input in part 1 of the memory */
		struct Pending
		{
			uint32_t columns, lines;
			uint32_t num_bytes;  /* of input that the component has not read yet */
			uint32_t zero;
		};

		enum Part    : uint32_t { BUFFER, PENDING };
		enum Handler : uint32_t { CONNECTED, READ_AVAIL, SIZE_CHANGED, NUM_HANDLERS };

		static constexpr size_t BUFFER_SIZE  = 4096,
		                        PENDING_SIZE = 16*1024;

	private:

		Entrypoint    &_ep;
		Virtual_pd    &_pd;
		Server_session _server;

		Session_memory _buffer;
		Session_memory _pending;

		Constructible<Terminal::Session_client> mutable _client { };

		Signal_context_capability _sighs[NUM_HANDLERS] { };

		Pending &_head()  { return *(Pending *)_pending.start(); }
		char    *_input() { return _pending.start() + sizeof(Pending); }

		size_t _max_input() const { return _pending.size() - sizeof(Pending); }

	public:

		/**
		 * Return quota that the server wants
		 */
		static Costs server_costs()
		{
			return { { 10*1024 }, { Terminal::Session::CAP_QUOTA } };
		}

		/**
		 * Constructor
		 *
		 * \param label  of the session at the server
		 */
		Terminal_service_session(Env &, Entrypoint &, Virtual_pd &, Session_label const &label,
		                         Id_space<Open_session> &, Request const &);

		~Terminal_service_session() { _ep.dissolve(*this); }

		/**
		 * Return false if the session is of no use
		 */
		bool valid() const
		{
			return _client.constructed() && _buffer.valid() && _pending.valid();
		}


		/****************************
		 ** Open_session interface **
		 ****************************/

		Session_capability session_cap() const override { return cap(); }

		Costs surcharge() const override { return _server.surcharge; }

		Signal_context_capability handler(uint32_t part) const override
		{
			return part < NUM_HANDLERS ? _sighs[part] : Signal_context_capability();
		}

		void handler(uint32_t, Signal_context_capability) override;

		Dataspace *memory(uint32_t part) override
		{
			return part == BUFFER  ? _buffer.ds()  :
			       part == PENDING ? _pending.ds() : nullptr;
		}

		void before_save() override;

		void after_restore() override;


		/********************************
		 ** Terminal session interface **
		 ********************************/

		Size size()  override { return _client->size(); }
		bool avail() override { return _head().num_bytes || _client->avail(); }

		void connected_sigh   (Signal_context_capability cap) override { handler(CONNECTED,    cap); }
		void read_avail_sigh  (Signal_context_capability cap) override { handler(READ_AVAIL,   cap); }
		void size_changed_sigh(Signal_context_capability cap) override { handler(SIZE_CHANGED, cap); }

		Dataspace_capability _dataspace() { return _buffer.ds()->cap; }

		size_t _read (size_t);
		size_t _write(size_t);

		/* not called, as the bytes are in the buffer */
		size_t read (void *, size_t)       override { return 0; }
		size_t write(void const *, size_t) override { return 0; }
};

#endif /* _INCLUDE__CAP_CHECKPOINT__TERMINAL_SESSION_H_ */
