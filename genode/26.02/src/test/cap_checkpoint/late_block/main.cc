/*
 * \brief  Block server that takes its time, and executes what it has got even if the session is closed
 * \date   2026-12-01
 *
 * This is what a device may do that has its own memory. Once a session has submitted a request, no
 * write of another one may be executed. The configuration can let the server execute nothing for a while, or
 * let it be an ordinary one. It can also let it damage the queue of acknowledgements again and again for a while, and look at what is
 * taken from it.
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
#include <base/log.h>
#include <base/registry.h>
#include <block/request_stream.h>
#include <root/root.h>
#include <timer_session/connection.h>

/* test includes */
#include <cap_checkpoint_test/random.h>

namespace Test {

	using namespace Genode;

	struct Session_component;
	struct Late_request;
	struct Main;
}


struct Test::Session_component : Rpc_object<Block::Session>, Block::Request_stream
{
	Entrypoint &_ep;

	unsigned number = 0;  /* the order of the first requests */

	Session_component(Env &env, Dataspace_capability ds, Signal_context_capability sigh,
	                  Info const &info)
	:
		Request_stream(env.rm(), ds, env.ep(), sigh, info,
		               { .offset = { 0 }, .num_blocks = { 0 }, .writeable = true }),
		_ep(env.ep())
	{
		_ep.manage(*this);
	}

	~Session_component() { _ep.dissolve(*this); }

	Info info() const override { return Request_stream::info(); }

	Capability<Tx> tx_cap() override { return Request_stream::tx_cap(); }
};


/**
 * Request with the data that is to be written
 */
struct Test::Late_request
{
	static constexpr size_t BLOCK_SIZE = 512, MAX_BLOCKS = 8;

	bool               used, executed;
	uint64_t           due_ms;
	Session_component *session;  /* nullptr if it is closed */
	unsigned           number;   /* of the session */
	Block::Request     request;

	char data[MAX_BLOCKS*BLOCK_SIZE];
};


struct Test::Main : Rpc_object<Typed_root<Block::Session>>
{
	static constexpr size_t   BLOCK_SIZE = Late_request::BLOCK_SIZE;
	static constexpr unsigned MAX_LATE = 300, INTERVAL_US = 2000, LATE_MS = 40, VERY_LATE_MS = 800,
	                          DAMAGE_MS = 200, MAX_RESTLESS = 10;

	using Type = Block::Operation::Type;

	/* positions in a queue, which both sides can write */
	struct Queue { unsigned volatile head, tail; };

	/**
	 * What is known of a queue of acknowledgements that is damaged
	 */
	struct Damage
	{
		bool     present;
		uint64_t since_ms;
		unsigned head, tail;  /* before */
		unsigned taken;       /* what the position was at last */
		unsigned restless;    /* how often it has changed since the client had the time to notice */
	};

	struct Session : Interface
	{
		Attached_ram_dataspace buffer;
		Session_component      component;
		Damage                 damage { };

		Queue &acks()
		{
			return *(Queue *)(buffer.local_addr<char>() + sizeof(Block::Session::Tx::Sink::Submit_queue));
		}

		Session(Env &env, size_t size, Signal_context_capability sigh, Block::Session::Info const &info)
		: buffer(env.ram(), env.rm(), size), component(env, buffer.cap(), sigh, info) { }
	};

	Env &_env;

	Heap _heap { _env.ram(), _env.rm() };

	Attached_rom_dataspace _config { _env, "config" };

	unsigned const _stall_after = _config.node().attribute_value("stall_after", 0u);
	uint64_t const _stall_ms    = _config.node().attribute_value("stall_ms", uint64_t(0));

	unsigned const _num_blocks = _config.node().attribute_value("blocks", 2048u);

	Attached_ram_dataspace _content { _env.ram(), _env.rm(), _num_blocks*BLOCK_SIZE };

	Registry<Registered<Session>> _sessions { };

	Late_request _late[MAX_LATE] { };

	unsigned _latest = 0, _num_requests = 0;
	uint64_t _stalled_until_ms = 0, _next_damage_ms = 0;

	Random _random { };

	Timer::Connection _timer { _env };

	bool const _late_enabled = _config.node().attribute_value("late", true);

	bool const _endless = _config.node().attribute_value("endless", false);

	uint64_t _delay_ms()
	{
		return !_late_enabled ? 0 : _random.any(15) ? _random.any(LATE_MS) : VERY_LATE_MS;
	}

	char *_block(Block::Request const &r)
	{
		return _content.local_addr<char>() + r.operation.block_number*BLOCK_SIZE;
	}

	Block::Request_stream::Response _take(Session_component &session, Block::Request const &r)
	{
		using Response = Block::Request_stream::Response;

		size_t const size = r.operation.count*BLOCK_SIZE;

		if (size > sizeof(Late_request::data))
			return Response::REJECTED;

		for (Late_request &late : _late) {

			if (late.used)
				continue;

			if (!session.number)
				session.number = ++_latest;

			late.used     = true;
			late.executed = false;
			late.due_ms   = _timer.elapsed_ms() + _delay_ms();
			late.session  = &session;
			late.number   = session.number;
			late.request  = r;

			if (r.operation.type == Type::WRITE)
				session.with_content(r, [&] (void *ptr, size_t n) { memcpy(late.data, ptr, n); });

			if (++_num_requests == _stall_after) {
				log("does nothing for ", _stall_ms, " ms");
				_stalled_until_ms = _timer.elapsed_ms() + _stall_ms;
			}
			return Response::ACCEPTED;
		}
		return Response::RETRY;
	}

	void _execute(Late_request &late)
	{
		Block::Request &r = late.request;

		size_t const size = r.operation.count*BLOCK_SIZE;

		/* no blocks mean many to a device that counts them from 0 */
		size_t const trimmed = size ? size : (_num_blocks - r.operation.block_number)*BLOCK_SIZE;

		bool const changes = r.operation.type == Type::WRITE || r.operation.type == Type::TRIM;

		if (changes && late.number != _latest)
			error("mistake: a session has changed block ", r.operation.block_number,
			      " behind another one");

		switch (r.operation.type) {
		case Type::READ:  memcpy(late.data, _block(r), size); break;
		case Type::WRITE: memcpy(_block(r), late.data, size); break;
		case Type::TRIM:  bzero(_block(r), trimmed);          break;
		default: break;
		}
		r.success     = true;
		late.executed = true;
	}

	void _answer(Session_component &session)
	{
		session.try_acknowledge([&] (Block::Request_stream::Ack &ack) {
			for (Late_request &late : _late) {

				if (!late.used || !late.executed || late.session != &session)
					continue;

				if (late.request.operation.type == Type::READ)
					session.with_content(late.request, [&] (void *ptr, size_t n) {
						memcpy(ptr, late.data, n); });

				ack.submit(late.request);
				late.used = false;
				return;
			} });
	}

	/**
	 * Let the queue of acknowledgements never be empty, when there is one that the client is told of
	 */
	void _damage(Session &s, uint64_t now_ms)
	{
		Queue &acks = s.acks();

		if (!_endless || now_ms < _next_damage_ms || acks.head == acks.tail)
			return;

		/* a restored client has a session of its own, and has to get on */
		_next_damage_ms = now_ms + 8*DAMAGE_MS;

		s.damage = { .present = true,      .since_ms = now_ms,    .head     = acks.head,
		             .tail    = acks.tail, .taken    = acks.tail, .restless = 0 };

		acks.head = Block::Session::TX_QUEUE_SIZE + 1;
	}

	/**
	 * Return true if the queue is damaged, which ends after a while
	 */
	bool _damaged(Session &s, uint64_t now_ms)
	{
		Queue  &acks   = s.acks();
		Damage &damage = s.damage;

		if (!damage.present)
			return false;

		if (now_ms >= damage.since_ms + DAMAGE_MS/2 && acks.tail != damage.taken
		 && ++damage.restless == MAX_RESTLESS)
			error("mistake: something is taken from a damaged queue for ever");

		damage.taken = acks.tail;

		/* what was in the queue is taken, unless nothing is */
		if (now_ms >= damage.since_ms + DAMAGE_MS) {
			acks.head      = (acks.tail == damage.tail) ? damage.head : unsigned(acks.tail);
			damage.present = false;
		}
		return damage.present;
	}

	void _handle()
	{
		uint64_t const now_ms = _timer.elapsed_ms();

		for (Late_request &late : _late) {
			if (late.used && !late.executed && late.due_ms <= now_ms && now_ms >= _stalled_until_ms)
				_execute(late);

			/* nobody waits for it */
			if (late.used && late.executed && !late.session)
				late.used = false;
		}

		_sessions.for_each([&] (Session &s) {

			if (_damaged(s, now_ms))
				return;

			s.component.with_requests([&] (Block::Request const &r) { return _take(s.component, r); });
			_answer(s.component);
			_damage(s, now_ms);
			s.component.wakeup_client_if_needed(); });
	}

	Signal_handler<Main> _handler { _env.ep(), *this, &Main::_handle };


	/********************
	 ** Root interface **
	 ********************/

	Root::Result session(Root::Session_args const &args, Affinity const &) override
	{
		size_t const size = Arg_string::find_arg(args.string(), "tx_buf_size").aligned_size();

		Block::Session::Info const info { .block_size  = BLOCK_SIZE, .block_count = _num_blocks,
		                                  .align_log2 = 0,           .writeable   = true };

		try {
			return { (new (_heap) Registered<Session>(_sessions, _env, size, _handler, info))
			         ->component.cap() };
		}
		catch (...) { return Session_error::DENIED; }
	}

	void upgrade(Genode::Session_capability, Root::Upgrade_args const &) override { }

	void close(Genode::Session_capability cap) override
	{
		_sessions.for_each([&] (Registered<Session> &session) {

			if (!(cap == session.component.cap()))
				return;

			for (Late_request &late : _late)
				if (late.session == &session.component) {
					late.session = nullptr;
					late.used   &= _late_enabled;
				}

			destroy(_heap, &session); });
	}

	Main(Env &env) : _env(env)
	{
		_timer.sigh(_handler);
		_timer.trigger_periodic(INTERVAL_US);

		_env.parent().announce(_env.ep().manage(*this));
	}
};


void Component::construct(Genode::Env &env) { static Test::Main main(env); }
