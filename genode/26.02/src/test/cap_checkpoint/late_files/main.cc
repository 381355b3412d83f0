/*
 * \brief  File server that takes its time, and executes what it has got even if the session is closed
 * \date   2026-12-01
 *
 * It hands over each packet to another file server, but not at once what is more than a read. Calls are handed over at once, also those that
 * fail for lack of quota. Once a session has submitted a packet, no write of another one may be executed, and no
 * write may be executed twice. All packets are those of one client, whose writes differ. The configuration can let the server
 * execute no packets for a while.
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

/* Genode includes */
#include <base/allocator_avl.h>
#include <base/attached_ram_dataspace.h>
#include <base/attached_rom_dataspace.h>
#include <base/component.h>
#include <base/connection.h>
#include <base/heap.h>
#include <base/log.h>
#include <base/registry.h>
#include <file_system_session/client.h>
#include <file_system_session/rpc_object.h>
#include <root/root.h>
#include <timer_session/connection.h>
#include <util/arg_string.h>
#include <util/reconstructible.h>

namespace Test {

	using namespace Genode;

	using File_system::Dir_handle;
	using File_system::File_handle;
	using File_system::Node_handle;
	using File_system::Symlink_handle;
	using File_system::Watch_handle;

	using Packet = File_system::Packet_descriptor;

	struct Server;
	struct Calls;
	struct Late_packet;
	struct Late_session;
	struct Executed_writes;
	struct Main;
}


/**
 * Session at the other server
 *
 * It has what the client donates. Unlike a connection of the release, it leaves it to the client to donate more.
 */
struct Test::Server : Connection<File_system::Session>, File_system::Session_client
{
	Server(Env &env, Range_allocator &alloc, size_t buffer_size, Genode::Session::Resources const &donated)
	:
		Connection<File_system::Session>(env, Label("/"), donated.ram_quota,
		                                 Args("writeable=yes, tx_buf_size=", buffer_size)),
		Session_client(cap(), alloc, env.rm())
	{
		size_t const usual = File_system::Session::CAP_QUOTA;

		if (donated.cap_quota.value > usual)
			upgrade_caps(donated.cap_quota.value - usual);
	}
};


/**
 * Session whose calls are those of another one
 */
struct Test::Calls : File_system::Session_rpc_object
{
	using Name = File_system::Name;
	using Path = File_system::Path;

	Env    &_env;
	Server &_server;

	Calls(Env &env, Dataspace_capability buffer, Server &server, Signal_context_capability sigh)
	:
		Session_rpc_object(buffer, env.rm(), env.ep().rpc_ep()), _env(env), _server(server)
	{
		_tx.sigh_packet_avail(sigh);
		_tx.sigh_ready_to_ack(sigh);
		_env.ep().manage(*this);
	}

	~Calls() { _env.ep().dissolve(*this); }

	File_handle file(Dir_handle dir, Name const &name, File_system::Mode mode, bool create) override {
		return _server.file(dir, name, mode, create); }

	Symlink_handle symlink(Dir_handle dir, Name const &name, bool create) override {
		return _server.symlink(dir, name, create); }

	Dir_handle   dir  (Path const &path, bool create) override { return _server.dir(path, create); }
	Node_handle  node (Path const &path)              override { return _server.node(path); }
	Watch_handle watch(Path const &path)              override { return _server.watch(path); }

	void     close(Node_handle node)                           override { _server.close(node); }
	unsigned num_entries(Dir_handle dir)                       override { return _server.num_entries(dir); }
	void     unlink(Dir_handle dir, Name const &name)          override { _server.unlink(dir, name); }
	void     control(Node_handle node, File_system::Control c) override { _server.control(node, c); }

	void truncate(File_handle file, File_system::file_size_t size) override {
		_server.truncate(file, size); }

	File_system::Status status(Node_handle node) override { return _server.status(node); }

	void move(Dir_handle from_dir, Name const &from, Dir_handle to_dir, Name const &to) override {
		_server.move(from_dir, from, to_dir, to); }
};


struct Test::Late_packet
{
	enum { FREE, WAITING, HANDED_OVER } state;

	uint64_t due_ms;
	Packet   from_client, to_server;
};


/**
 * Session of a client, or what is left to execute of it
 */
struct Test::Late_session : Interface, Noncopyable
{
	static constexpr unsigned MAX_LATE = 64;

	Attached_ram_dataspace _buffer;
	Allocator_avl          _alloc;

	Server server;

	Constructible<Calls> client { };

	unsigned number = 0;  /* the order of the first packets */

	Late_packet _late[MAX_LATE] { };

	Late_session(Env &env, Allocator &alloc, size_t size, Genode::Session::Resources const &donated,
	             Signal_context_capability sigh)
	:
		_buffer(env.ram(), env.rm(), size), _alloc(&alloc), server(env, _alloc, size, donated)
	{
		server.sigh(sigh);
		client.construct(env, _buffer.cap(), server, sigh);
	}

	auto &_tx() { return *server.tx(); }

	char const *content(Packet const &to_server) { return _tx().packet_content(to_server); }

	/**
	 * Take one packet of the client, along with the data that is to be written
	 *
	 * \return  false if there is no room for it
	 */
	bool _take(Late_packet &late, auto const &due_ms_fn)
	{
		auto &sink = *client->tx_sink();

		Packet const p = sink.peek_packet();
		Packet content { };

		if (p.size()) {
			try { content = _tx().alloc_packet(p.size()); }
			catch (File_system::Session::Tx::Source::Packet_alloc_failed) { return false; }
			memcpy(_tx().packet_content(content), sink.packet_content(p), p.size());
		}
		(void)sink.get_packet();

		late = { .state = Late_packet::WAITING, .due_ms = due_ms_fn(p), .from_client = p,
		         .to_server = Packet(content, p.handle(), p.operation(), p.length(), p.position()) };
		return true;
	}

	/**
	 * Take what the client has submitted
	 */
	void take(auto const &due_ms_fn)
	{
		if (!client.constructed())
			return;

		for (Late_packet &late : _late)
			if (late.state == Late_packet::FREE && client->tx_sink()->packet_avail()
			 && !_take(late, due_ms_fn))
				break;
	}

	/**
	 * Call 'fn' with each packet that is handed over now
	 */
	void hand_over(uint64_t const now_ms, auto const &fn)
	{
		for (Late_packet &late : _late) {

			if (late.state != Late_packet::WAITING || late.due_ms > now_ms || !_tx().ready_to_submit())
				continue;

			fn(late.to_server);
			(void)_tx().try_submit_packet(late.to_server);
			late.state = Late_packet::HANDED_OVER;
		}
		_tx().wakeup();
	}

	void _acknowledge(Late_packet &late, Packet const &ack)
	{
		if (client.constructed()) {

			Packet answer = late.from_client;
			answer.succeeded(ack.succeeded());
			answer.length(ack.length());

			if (ack.operation() == Packet::READ && ack.succeeded())
				memcpy(client->tx_sink()->packet_content(answer), _tx().packet_content(ack), ack.length());

			client->tx_sink()->acknowledge_packet(answer);
		}
		if (ack.size())
			_tx().release_packet(ack);

		late.state = Late_packet::FREE;
	}

	void _acknowledge(Packet const &ack)
	{
		for (Late_packet &late : _late)
			if (late.state == Late_packet::HANDED_OVER && late.to_server.offset() == ack.offset()
			 && late.to_server.operation() == ack.operation() && late.to_server.handle() == ack.handle()) {
				_acknowledge(late, ack);
				return;
			}

		/* a node has changed that the client watches */
		if (client.constructed())
			client->tx_sink()->acknowledge_packet(ack);
	}

	void acknowledge()
	{
		while (_tx().ack_avail()
		    && (!client.constructed() || client->tx_sink()->ready_to_ack()))
			_acknowledge(_tx().try_get_acked_packet());

		_tx().wakeup();

		if (client.constructed())
			client->tx_sink()->wakeup();
	}

	/**
	 * Return true if nothing is left
	 */
	bool over() const
	{
		bool result = !client.constructed();
		for (Late_packet const &late : _late)
			result &= (late.state == Late_packet::FREE);
		return result;
	}
};


/**
 * Writes that were executed at last
 */
struct Test::Executed_writes
{
	struct Write
	{
		uint64_t position, length, first_word;

		bool operator == (Write const &) const = default;
	};

	static constexpr unsigned MAX_WRITES = 512;

	Write    _writes[MAX_WRITES] { };
	unsigned _next = 0;

	/**
	 * Take note of a write
	 *
	 * \return  false if it was executed before
	 */
	bool note(Packet const &p, char const *content)
	{
		Write write { .position = p.position(), .length = p.length(), .first_word = 0 };
		memcpy(&write.first_word, content, min(p.length(), sizeof(write.first_word)));

		for (Write const &other : _writes)
			if (other == write)
				return false;

		_writes[_next++ % MAX_WRITES] = write;
		return true;
	}
};


struct Test::Main : Rpc_object<Typed_root<File_system::Session>>
{
	/* one packet of VERY_LATE_ONE_OF takes longer */
	static constexpr unsigned INTERVAL_US = 5000, LATE_MS = 20, VERY_LATE_MS = 400, VERY_LATE_ONE_OF = 20;

	using Session = Registered<Late_session>;

	Env &_env;

	Heap _heap { _env.ram(), _env.rm() };

	Attached_rom_dataspace _config { _env, "config" };

	unsigned const _stall_after = _config.node().attribute_value("stall_after", 0u);
	uint64_t const _stall_ms    = _config.node().attribute_value("stall_ms", uint64_t(0));

	Registry<Session> _sessions { };
	Executed_writes   _writes   { };

	unsigned _latest = 0, _num_packets = 0;
	uint64_t _stalled_until_ms = 0;

	uint32_t _random = 815;

	Timer::Connection _timer { _env };

	unsigned _any(unsigned limit)
	{
		_random = _random*1103515245 + 12345;
		return (_random >> 8) % limit;
	}

	uint64_t _due_ms(Late_session &session, Packet const &p)
	{
		uint64_t const now_ms = _timer.elapsed_ms();

		if (!session.number)
			session.number = ++_latest;

		if (++_num_packets == _stall_after) {
			log("does nothing for ", _stall_ms, " ms");
			_stalled_until_ms = now_ms + _stall_ms;
		}
		if (p.operation() == Packet::READ || p.operation() == Packet::READ_READY)
			return now_ms;

		return now_ms + (_any(VERY_LATE_ONE_OF) ? _any(LATE_MS) : VERY_LATE_MS);
	}

	void _look_at(Late_session &session, Packet const &p)
	{
		if (p.operation() != Packet::WRITE)
			return;

		if (session.number != _latest)
			error("mistake: a session has changed a file behind another one");

		if (!_writes.note(p, session.content(p)))
			error("mistake: a write was executed twice");
	}

	void _handle()
	{
		uint64_t const now_ms = _timer.elapsed_ms();

		_sessions.for_each([&] (Session &session) {

			session.take([&] (Packet const &p) { return _due_ms(session, p); });

			if (now_ms >= _stalled_until_ms)
				session.hand_over(now_ms, [&] (Packet const &p) { _look_at(session, p); });

			session.acknowledge();

			if (session.over())
				destroy(_heap, &session); });
	}

	Signal_handler<Main> _handler { _env.ep(), *this, &Main::_handle };

	void _with_session(Genode::Session_capability cap, auto const &fn)
	{
		_sessions.for_each([&] (Session &session) {
			if (session.client.constructed() && cap == session.client->cap())
				fn(session); });
	}


	/********************
	 ** Root interface **
	 ********************/

	Root::Result session(Root::Session_args const &args, Affinity const &) override
	{
		size_t const size = Arg_string::find_arg(args.string(), "tx_buf_size").aligned_size();

		try {
			return { (new (_heap) Session(_sessions, _env, _heap, size,
			                              session_resources_from_args(args.string()), _handler))
			         ->client->cap() };
		}
		catch (...) { return Session_error::DENIED; }
	}

	void upgrade(Genode::Session_capability cap, Root::Upgrade_args const &args) override
	{
		_with_session(cap, [&] (Session &session) {
			session.server.upgrade(session_resources_from_args(args.string())); });
	}

	void close(Genode::Session_capability cap) override
	{
		_with_session(cap, [&] (Session &session) { session.client.destruct(); });
	}

	Main(Env &env) : _env(env)
	{
		_timer.sigh(_handler);
		_timer.trigger_periodic(INTERVAL_US);

		_env.parent().announce(_env.ep().manage(*this));
	}
};


void Component::construct(Genode::Env &env) { static Test::Main main(env); }
