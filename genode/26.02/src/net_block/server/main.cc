/*
 * \brief  Server that lets a client access a Block session over TCP
 * \date   2026-12-01
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

/* Genode includes */
#include <base/allocator_avl.h>
#include <base/attached_rom_dataspace.h>
#include <base/component.h>
#include <base/heap.h>
#include <block_session/connection.h>
#include <timer_session/connection.h>
#include <trace/timestamp.h>

/* local includes */
#include <protocol.h>
#include <tcp.h>

namespace Net_block {

	struct Execution;
	class  Block_client;
	class  Server;
	struct Main;
}


/**
 * Operation of the Block session
 */
struct Net_block::Execution : Block::Connection<Execution>::Job
{
	Byte_range_ptr const payload;

	bool done = false, success = false;

	/**
	 * Return true if the driver of the device means a part of the payload
	 */
	bool fits(Block::off_t offset, size_t length) const
	{
		return offset >= 0 && size_t(offset) <= payload.num_bytes
		    && length <= payload.num_bytes - size_t(offset);
	}

	Execution(Block::Connection<Execution> &connection, Block::Operation const &operation,
	          char *payload, size_t num_bytes)
	:
		Block::Connection<Execution>::Job(connection, operation), payload(payload, num_bytes)
	{ }
};


struct Net_block::Block_client : Block::Connection<Execution>
{
	Block_client(Env &env, Range_allocator &alloc, size_t buffer_size)
	: Block::Connection<Execution>(env, &alloc, buffer_size) { }

	Medium medium() const
	{
		Block::Session::Info const info = this->info();
		return { info.block_count, uint32_t(info.block_size), info.writeable };
	}

	void update() { (void)update_jobs(*this); }


	/*****************************************************
	 ** Block::Connection::Update_jobs_policy interface **
	 *****************************************************/

	void produce_write_content(Execution &job, Block::off_t offset, char *dst, size_t length)
	{
		if (job.fits(offset, length))
			memcpy(dst, job.payload.start + offset, length);
	}

	void consume_read_result(Execution &job, Block::off_t offset, char const *src, size_t length)
	{
		if (job.fits(offset, length))
			memcpy(job.payload.start + offset, src, length);
	}

	void completed(Execution &job, bool success)
	{
		job.done    = true;
		job.success = success;
	}
};


/**
 * One request is executed at a time
 */
class Net_block::Server : Noncopyable
{
	private:

		/* answer as it is sent */
		struct Message
		{
			Answer answer;
			char   payload[MAX_PAYLOAD];
		};

		Block_client &_block;
		Tcp_listener &_listener;
		Medium const  _medium = _block.medium();
		Address const _peer;

		Request                  _request { };  /* that is being executed */
		Constructible<Execution> _job     { };
		Message                  _message { };

		uint64_t _connection = 0;  /* number of the current one */
		uint64_t _next       = 0;  /* number of the next request */

		uint64_t _progress   = 0;
		unsigned _idle_ms    = 0;

		void _close(auto &&... reason)
		{
			warning("connection of ", _peer, " closed: ", reason...);
			_listener.close();
		}

		void _accept()
		{
			_listener.accept();
			_connection = max(_connection + 1, uint64_t(Trace::timestamp()));
			_next       = 0;
			_idle_ms    = 0;

			log("connection of ", _peer);

			Greeting const greeting = Greeting::with(_connection, _medium);

			bool sent = false;
			_listener.with_connection([&] (Tcp_connection &tcp) {
				sent = tcp.lost()
				    || (tcp.room_for(sizeof(greeting)) && tcp.send(&greeting, sizeof(greeting))); });

			if (!sent)
				_close("no memory for a greeting");
		}

		void _answer(bool success)
		{
			bool   const read  = _request.kind == Request::READ && success;
			size_t const bytes = read ? size_t(_request.count)*_medium.block_size : 0;

			_message.answer = Answer::with(success ? Answer::DONE : Answer::FAILED, _connection,
			                               _request.number, uint32_t(bytes),
			                               bytes ? crc_of(_message.payload, bytes) : 0);
			bool sent = false;
			_listener.with_connection([&] (Tcp_connection &tcp) {
				sent = tcp.lost() || tcp.send(&_message, sizeof(Answer) + bytes); });

			if (!sent)
				_close("no memory for an answer");
		}

		void _execute()
		{
			using Type = Block::Operation::Type;

			Block::Operation operation { Type::SYNC, 0, _medium.block_count };

			if (_request.kind != Request::SYNC)
				operation = { _request.kind == Request::READ ? Type::READ : Type::WRITE,
				              _request.block, _request.count };

			_job.construct(_block, operation, _message.payload, sizeof(_message.payload));
		}

		/**
		 * Begin to execute the next request if it has arrived
		 *
		 * \return  reason to close the connection, or nullptr
		 */
		char const *_receive(Tcp_connection &tcp)
		{
			if (tcp.available() < sizeof(Request))
				return nullptr;

			Request request { };
			tcp.peek(&request, sizeof(request));

			if (!request.intact())
				return "a request is damaged";

			/* what was sent by a former connection of the peer */
			if (request.connection != _connection || request.number != _next)
				return "a request belongs to another connection";

			if (!request.permitted(_medium))
				return "a request is not permitted";

			size_t const payload = request.payload(_medium);

			if (tcp.available() < sizeof(request) + payload)
				return nullptr;

			tcp.read(&request, sizeof(request));
			tcp.read(_message.payload, payload);

			if (payload && crc_of(_message.payload, payload) != request.payload_crc)
				return "the payload of a request is damaged";

			_request = request;
			_next++;
			_execute();
			return nullptr;
		}

		/**
		 * \return  true if there may be more to do
		 */
		bool _step()
		{
			if (_job.constructed()) {
				_block.update();

				if (!_job->done)
					return false;

				bool const success = _job->success;
				_job.destruct();
				_answer(success);
				return true;
			}

			/* nothing of the former connection is executed any more */
			if (_listener.waiting()) {
				_accept();
				return true;
			}

			char const *error = nullptr;

			_listener.with_connection([&] (Tcp_connection &tcp) {
				if (tcp.lost())
					error = "the other side has ended it";
				else if (tcp.room_for(sizeof(Message)))
					error = _receive(tcp);
			});

			if (error)
				_close(error);

			return _job.constructed();
		}

	public:

		Server(Block_client &block, Tcp_listener &listener, Address const &peer)
		: _block(block), _listener(listener), _peer(peer) { }

		bool usable() const { return _medium.valid(); }

		void work() { while (_step()); }

		/**
		 * Close a connection of whose request a part is missing, or that takes no answer
		 *
		 * To be called periodically.
		 */
		void check_progress(unsigned period_ms, unsigned timeout_ms)
		{
			if (_job.constructed())
				return;

			bool late = false;

			_listener.with_connection([&] (Tcp_connection &tcp) {

				bool const waits = tcp.available() || !tcp.room_for(sizeof(Message));

				_idle_ms  = waits && tcp.progress() == _progress ? _idle_ms + period_ms : 0;
				_progress = tcp.progress();
				late      = _idle_ms >= timeout_ms;
			});

			if (late)
				_close("a part of a request is missing, or an answer is not taken");
		}
};


struct Net_block::Main : private Tcp_events
{
	static constexpr unsigned PERIOD_MS = 250;

	Env &_env;

	Attached_rom_dataspace _config { _env, "config" };

	uint16_t const _port       = _config.node().attribute_value("port", uint16_t(2601));
	unsigned const _timeout_ms = max(1000U, _config.node().attribute_value("timeout_ms", 10*1000U));
	Address  const _peer       = _config.node().attribute_value("client", Address());

	Heap              _heap   { _env.ram(), _env.rm() };
	Allocator_avl     _alloc  { &_heap };
	Timer::Connection _timer  { _env };
	Block_client      _block  { _env, _alloc, 128*1024 };
	Ip_stack          _stack  { _env, _config.node() };
	Tcp_listener      _listener { *this, _peer, _port };
	Server            _server { _block, _listener, _peer };

	Signal_handler<Main> _work_handler   { _env.ep(), *this, &Main::_work };
	Signal_handler<Main> _period_handler { _env.ep(), *this, &Main::_handle_period };

	void tcp_event() override { _work_handler.local_submit(); }

	void _work()
	{
		_server.work();
		_stack.flush();
	}

	void _handle_period()
	{
		if (unsigned const refused = _listener.refused())
			warning(refused, " connections refused that do not come from ", _peer);

		_server.check_progress(PERIOD_MS, _timeout_ms);
		_work();
	}

	struct Unusable : Exception { };

	Main(Env &env) : _env(env)
	{
		if (!Ip_stack::valid(_peer)) {
			error("the attribute 'client' has no valid address");
			throw Unusable();
		}
		if (!_listener.listens()) {
			error("port ", _port, " is not available");
			throw Unusable();
		}
		if (!_server.usable()) {
			error("the block device has blocks of an unknown size, or none");
			throw Unusable();
		}

		_block.sigh(_work_handler);
		_timer.sigh(_period_handler);
		_timer.trigger_periodic(PERIOD_MS*1000);

		log("serves ", _peer, " at port ", _port);
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
	catch (Main::Unusable) { env.parent().exit(1); }
}
