/*
 * \brief  Report session of a component that can be checkpointed
 * \date   2026-11-30
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _INCLUDE__CAP_CHECKPOINT__REPORT_SESSION_H_
#define _INCLUDE__CAP_CHECKPOINT__REPORT_SESSION_H_

/* Genode includes */
#include <base/attached_dataspace.h>
#include <cap_checkpoint/server_session.h>
#include <cap_checkpoint/session_memory.h>
#include <report_session/client.h>
#include <util/arg_string.h>

namespace Cap_checkpoint { class Report_service_session; }


/**
 * Report session
 *
 * The component has a buffer of its own, from which reports are copied to the one
 * of the server. The last report is kept, and submitted again after a restore.
 */
class Cap_checkpoint::Report_service_session : public Open_session,
                                               public Rpc_object<Report::Session>
{
	public:

		/* what precedes the last report in part 1 of the memory */
		struct Last
		{
			uint32_t submitted;  /* 1 if there was a report, otherwise 0 */
			uint32_t length;
		};

		enum Part : uint32_t { BUFFER, LAST_REPORT };

	private:

		Entrypoint    &_ep;
		Server_session _server;

		size_t const _size;

		Session_memory _buffer;
		Session_memory _last;

		Constructible<Attached_dataspace> _server_buffer { };

		Signal_context_capability _sigh { };

		Report::Session_client _client() const
		{
			return static_cap_cast<Report::Session>(_server.cap());
		}

		size_t _max_length() const { return min(_size, _server_buffer->size()); }

		Last &_head() { return *(Last *)_last.start(); }
		char *_text() { return _last.start() + sizeof(Last); }

	public:

		static size_t buffer_size(Open_session::Args const &args)
		{
			return align_addr(Arg_string::find_arg(args.string(), "buffer_size").ulong_value(0),
			                  AT_PAGE);
		}

		/**
		 * Return quota that the server wants for a session with such arguments
		 */
		static Costs server_costs(Open_session::Args const &args)
		{
			return { { 10*1024 + buffer_size(args) }, { Report::Session::CAP_QUOTA } };
		}

		/**
		 * Constructor
		 *
		 * \param label  of the session at the server
		 */
		Report_service_session(Env &, Entrypoint &, Virtual_pd &, Session_label const &label,
		                       Id_space<Open_session> &, Request const &);

		~Report_service_session() { _ep.dissolve(*this); }

		/**
		 * Return false if the session is of no use
		 */
		bool valid() const
		{
			return _server_buffer.constructed() && _buffer.valid() && _last.valid();
		}


		/****************************
		 ** Open_session interface **
		 ****************************/

		Session_capability session_cap() const override { return cap(); }

		Costs surcharge() const override { return _server.surcharge; }

		Signal_context_capability handler(uint32_t part) const override
		{
			return part ? Signal_context_capability() : _sigh;
		}

		void handler(uint32_t part, Signal_context_capability cap) override
		{
			if (!part)
				response_sigh(cap);
		}

		Dataspace *memory(uint32_t part) override
		{
			return part == BUFFER      ? _buffer.ds() :
			       part == LAST_REPORT ? _last.ds()   : nullptr;
		}

		void after_restore() override;


		/******************************
		 ** Report session interface **
		 ******************************/

		Dataspace_capability dataspace() override { return _buffer.ds()->cap; }

		void submit(size_t) override;

		void response_sigh(Signal_context_capability) override;

		size_t obtain_response() override;
};

#endif /* _INCLUDE__CAP_CHECKPOINT__REPORT_SESSION_H_ */
