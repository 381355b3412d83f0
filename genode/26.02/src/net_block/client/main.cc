/*
 * \brief  Block device that is at the other end of a TCP connection
 * \date   2026-12-01
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

/* Genode includes */
#include <base/attached_ram_dataspace.h>
#include <base/attached_rom_dataspace.h>
#include <base/component.h>
#include <base/heap.h>
#include <block/request_stream.h>
#include <root/root.h>
#include <timer_session/connection.h>

/* local includes */
#include <server_link.h>

namespace Net_block {

	class  Block_session;
	struct Main;
}


class Net_block::Block_session : public Rpc_object<Block::Session>
{
	private:

		Entrypoint             &_ep;
		Server_link            &_server;
		Attached_ram_dataspace  _buffer;
		Block::Request_stream   _stream;

		Constructible<Transfer> _transfer { };

		void _begin_transfer()
		{
			using Response = Block::Request_stream::Response;

			_stream.with_requests([&] (Block::Request const &request) {

				if (_transfer.constructed())
					return Response::RETRY;

				if (!Transfer::possible(request.operation, _server.medium()))
					return Response::REJECTED;

				if (Block::Operation::has_payload(request.operation.type)) {
					bool valid = false;
					_stream.with_content(request, [&] (void *, size_t) { valid = true; });
					if (!valid)
						return Response::REJECTED;
				}

				_transfer.construct(request, _server.medium());
				return Response::ACCEPTED;
			});
		}

		void _end_transfer()
		{
			_stream.try_acknowledge([&] (Block::Request_stream::Ack &ack) {

				if (_transfer.constructed() && _transfer->done()) {
					ack.submit(_transfer->request());
					_transfer.destruct();
				}
			});
		}

		bool _work()
		{
			auto with_payload = [&] (auto const &fn)
			{
				_stream.with_content(_transfer->request(), [&] (void *start, size_t) {
					fn((char *)start); });
			};
			return _transfer.constructed() && _server.work(*_transfer, with_payload);
		}

	public:

		Block_session(Env &env, Server_link &server, size_t buffer_size,
		              Signal_context_capability sigh, Block::Constrained_view const &view)
		:
			_ep(env.ep()), _server(server), _buffer(env.ram(), env.rm(), buffer_size),
			_stream(env.rm(), _buffer.cap(), env.ep(), sigh, server.info(), view)
		{
			_ep.manage(*this);
		}

		~Block_session() { _ep.dissolve(*this); }

		/**
		 * Return true if the server may be executing something
		 */
		bool outstanding() const
		{
			return _transfer.constructed() && _transfer->outstanding();
		}

		void work()
		{
			for (bool progress = true; progress; ) {

				_begin_transfer();

				progress = _work();

				bool const done = _transfer.constructed() && _transfer->done();
				_end_transfer();
				progress |= done && !_transfer.constructed();
			}
			_stream.wakeup_client_if_needed();
		}

		/**
		 * Send again what was sent by a connection that is lost
		 */
		void restart()
		{
			if (_transfer.constructed())
				_transfer->restart();
		}

		Info         info()   const override { return _stream.info(); }
		Capability<Tx> tx_cap()     override { return _stream.tx_cap(); }
};


struct Net_block::Main : Rpc_object<Typed_root<Block::Session>>, private Server_link::User
{
	static constexpr unsigned PERIOD_MS = 100;

	Env &_env;

	Attached_rom_dataspace _config { _env, "config" };

	Timer::Connection _timer { _env };
	Ip_stack          _stack { _env, _config.node() };

	Signal_handler<Main> _work_handler   { _env.ep(), *this, &Main::_work };
	Signal_handler<Main> _period_handler { _env.ep(), *this, &Main::_handle_period };

	Server_link _server { *this, _config.node() };

	/* one client at a time */
	Constructible<Block_session> _session { };

	bool _announced = false;


	/****************************
	 ** Server_link::User **
	 ****************************/

	void tcp_event() override { _work_handler.local_submit(); }

	void connection_lost() override
	{
		if (_session.constructed())
			_session->restart();
	}

	void _work()
	{
		_server.receive_greeting();

		if (_server.known() && !_announced) {
			_announced = true;
			_env.parent().announce(_env.ep().manage(*this));
		}

		if (_session.constructed())
			_session->work();

		_stack.flush();
	}

	void _handle_period()
	{
		_server.check_progress(PERIOD_MS);
		_work();
	}


	/********************
	 ** Root interface **
	 ********************/

	Root::Result session(Root::Session_args const &args, Affinity const &) override
	{
		if (_session.constructed())
			return Session_error::DENIED;

		size_t const buffer_size = Arg_string::find_arg(args.string(), "tx_buf_size").aligned_size();

		if (!buffer_size || buffer_size > ram_quota_from_args(args.string()).value)
			return Session_error::INSUFFICIENT_RAM;

		try {
			_session.construct(_env, _server, buffer_size, _work_handler,
			                   Block::Constrained_view::from_args(args.string()));
			return { _session->cap() };
		}
		catch (Out_of_ram)  { return Session_error::OUT_OF_RAM; }
		catch (Out_of_caps) { return Session_error::OUT_OF_CAPS; }

		/* a buffer that is too small for the queues */
		catch (...) { return Session_error::DENIED; }
	}

	void upgrade(Session_capability, Root::Upgrade_args const &) override { }

	void close(Session_capability cap) override
	{
		if (!_session.constructed() || cap != _session->cap())
			return;

		/* what the client wanted is not executed after anything of a later session */
		if (_session->outstanding())
			_server.disconnect();

		_session.destruct();
	}

	Main(Env &env) : _env(env)
	{
		_timer.sigh(_period_handler);
		_timer.trigger_periodic(PERIOD_MS*1000);
	}
};


void Component::construct(Genode::Env &env)
{
	using namespace Net_block;

	try { static Main main(env); }

	catch (Ip_stack::Invalid_address) {
		error("an attribute has no valid address");
		env.parent().exit(1);
	}
}
