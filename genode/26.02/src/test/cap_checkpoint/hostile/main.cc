/*
 * \brief  Component that lies to the monitor that saves and restores it
 * \date   2026-11-30
 *
 * One thread writes lies to everything that a monitor reads: restart records and
 * their head, the capability table, UTCBs, and its own stack pointer. The others
 * behave well as long as they can. What kinds of lies there are in one life, and
 * how many, depends on a seed. If the configuration names a lie, there is this one only.
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

/* Genode includes */
#include <base/attached_dataspace.h>
#include <base/attached_rom_dataspace.h>
#include <base/component.h>
#include <base/log.h>
#include <base/rpc_client.h>
#include <base/rpc_server.h>
#include <base/semaphore.h>
#include <timer_session/connection.h>
#include <trace/timestamp.h>

/* base-foc */
#include <base/internal/cap_space.h>
#include <base_foc/restart_records.h>
#include <foc/syscall.h>

namespace Test {

	using namespace Genode;
	using namespace Base_foc::Restart;

	struct Random;
	struct Liar;
	struct Pong;
	struct Pong_component;
	struct Caller;
	struct Sleeper;
	struct Main;
}


struct Test::Random
{
	uint64_t _value;

	uint64_t next()
	{
		_value ^= _value << 13;
		_value ^= _value >> 7;
		_value ^= _value << 17;
		return _value;
	}

	uint64_t below(uint64_t limit) { return (next() >> 8) % limit; }

	/**
	 * Return a number of a kind that is likely to matter
	 */
	uint64_t number()
	{
		switch (below(6)) {
		case 0:  return 0;
		case 1:  return below(16);
		case 2:  return ~0ULL - below(4096);
		case 3:  return below(1 << 24) << 12;
		case 4:  return 0xffff800000000000ULL + below(1 << 20);
		default: return next();
		}
	}
};


/**
 * Thread that performs no system call and so is not affected by the damage
 */
struct Test::Liar : Thread
{
	enum Lie { STATE, ARGUMENT, STACK, WINDOW, REQUEST, TCR, HEAD, TABLE, HEADER, UTCB,
	           MY_STACK, COPY, NUM_LIES };

	uint64_t * const _table;
	Area           &_area;
	Random          _random;

	/* lies of this life, and how long the liar rests in between */
	unsigned const _lies  = unsigned(_random.next() >> 16) & ((1u << NUM_LIES) - 1);
	unsigned const _pause = 1u << (8 + _random.below(14));

	static constexpr size_t TABLE_WORDS = 0x8000/8, HEADER_WORDS = 0x200/8;

	/*
	 * Noncopyable
	 */
	Liar(Liar const &);
	Liar &operator = (Liar const &);

	Record &_record()
	{
		/* mostly one of those in use */
		return _area.records[_random.below(_random.below(8) ? 12 : NUM_RECORDS)];
	}

	void _set(uint64_t *words, size_t num, uint64_t value)
	{
		__atomic_store_n(&words[_random.below(num)], value, __ATOMIC_RELAXED);
	}

	/**
	 * Execute with a stack pointer that is none
	 */
	static void _use_stack(addr_t sp)
	{
		asm volatile ("mov %%rsp, %%rbx; mov %0, %%rsp; mov $200000, %%ecx;"
		              "1: dec %%ecx; jnz 1b; mov %%rbx, %%rsp"
		              :: "r" (sp) : "rbx", "rcx", "cc", "memory");
	}

	void _tell(Lie lie)
	{
		Record &record = _record();

		switch (lie) {
		case STATE:    record.state     .set(_random.below(8));  break;
		case ARGUMENT: record.argument  .set(_random.below(2) ? _random.number()
		                                     : (0x300 + _random.below(64)) << 12); break;
		case STACK:    record.sp        .set(_random.number());
		               record.stack_base.set(_random.number());  break;
		case WINDOW:   record.window    .set(_random.below(2));  break;
		case REQUEST:  record.request   .set(_random.below(8));  break;
		case TCR:      record.badge_slot.set(_random.number());
		               record.thread    .set(_random.number());  break;
		case HEAD:     _set((uint64_t *)&_area, sizeof(Area)/8 - NUM_RECORDS*8,
		                    _random.number());                    break;
		case TABLE:    _set(_table, TABLE_WORDS, _random.number()); break;
		case HEADER:   _set(_table, HEADER_WORDS, _random.number()); break;
		case UTCB:     _set((uint64_t *)Foc::l4_utcb_direct(), Foc::L4_UTCB_OFFSET/8,
		                    _random.number());                    break;
		case MY_STACK: _use_stack(_random.number());              break;

		/* one thread claims to be another one, one slot to be another one */
		case COPY:     record = _record();
		               _table[_random.below(TABLE_WORDS)] = _table[_random.below(TABLE_WORDS)];
		               break;
		case NUM_LIES: break;
		}
	}

	void entry() override
	{
		for (;;) {
			unsigned const lie = unsigned(_random.below(NUM_LIES));

			if (_lies & (1u << lie))
				_tell(Lie(lie));

			for (unsigned volatile i = 0; i < _pause; )
				i = i + 1;
		}
	}

	/**
	 * Find the records behind the table
	 */
	static Area &_area_of(Attached_dataspace &ds)
	{
		size_t at = 0;

		for (; at + sizeof(Area) < ds.size(); at += 64) {
			Area const &area = *(Area const *)(ds.local_addr<char>() + at);
			if (area.num_records.acquire() == NUM_RECORDS
			 && area.record_size.get() == sizeof(Record))
				break;
		}
		return *(Area *)(ds.local_addr<char>() + at);
	}

	Liar(Env &env, Attached_dataspace &ds, uint64_t seed)
	:
		Thread(env, "liar", Stack_size { 32*1024 }),
		_table(ds.local_addr<uint64_t>()), _area(_area_of(ds)), _random { seed }
	{
		log("seed ", seed, ", lies ", Hex(_lies), ", pause ", _pause);
	}
};


struct Test::Pong : Interface
{
	GENODE_RPC(Rpc_pong, uint64_t, pong, uint64_t);
	GENODE_RPC_INTERFACE(Rpc_pong);
};


struct Test::Pong_component : Rpc_object<Pong, Pong_component>
{
	uint64_t pong(uint64_t n) { return n; }
};


struct Test::Caller : Thread
{
	Capability<Pong> _pong;
	Semaphore       &_up, &_down;

	void entry() override
	{
		for (uint64_t n = 0; ; n++) {
			_pong.call<Pong::Rpc_pong>(n);
			_up.up();
			_down.down();
		}
	}

	Caller(Env &env, Name const &name, Capability<Pong> pong, Semaphore &up, Semaphore &down)
	: Thread(env, name, Stack_size { 32*1024 }), _pong(pong), _up(up), _down(down) { start(); }
};


/**
 * Thread that never wakes up
 */
struct Test::Sleeper : Thread
{
	Semaphore _never { };

	addr_t utcb = 0;

	void entry() override
	{
		utcb = addr_t(Foc::l4_utcb_direct());
		_never.down();
	}

	Sleeper(Env &env) : Thread(env, "sleeper", Stack_size { 16*1024 }) { start(); }
};


struct Test::Main
{
	using Name = String<32>;

	Name const _lie;

	Rpc_entrypoint _ep;
	Pong_component _pong { };
	Semaphore      _up { }, _down { };

	Caller _left, _right;

	Timer::Connection _timer;

	Signal_handler<Main> _handler;

	Attached_dataspace _table;

	Liar _liar;

	Sleeper _sleeper;

	static addr_t _selector(Native_capability const &cap) { return Cap_index(cap).kcap(); }

	uint64_t &_slot_word(Native_capability const &cap)
	{
		return _table.local_addr<uint64_t>()[Liar::HEADER_WORDS
		                                     + (_selector(cap) >> Foc::L4_CAP_SHIFT)];
	}

	/**
	 * Tell the lie that the configuration names
	 */
	void _handle()
	{
		Area &area = _liar._area;

		/* the slot of the session claims to be the one of the server */
		if (_lie == "two slots")
			_slot_word(_timer.cap()) = _slot_word(_pong.cap());

		/* the server claims to owe a reply to a thread that has never called */
		if (_lie == "reply" && _sleeper.utcb) {
			Record &record = area.records[(_sleeper.utcb - area.utcb.get())/area.utcb_size.get()];
			record.argument.set(_selector(_pong.cap()));
			record.state.set(CALL);
		}
	}

	static Name _lie_from_config(Env &env)
	{
		return Attached_rom_dataspace(env, "config").node().attribute_value("lie", Name());
	}

	Main(Env &env)
	:
		_lie(_lie_from_config(env)), _ep(env.runtime(), "pong", Thread::Stack_size { 32*1024 }, { }),
		_left (env, "left",  _ep.manage(&_pong), _up, _down),
		_right(env, "right", _pong.cap(),        _down, _up),
		_timer(env), _handler(env.ep(), *this, &Main::_handle),
		_table(env.rm(), env.pd().cap_space_info()),
		_liar(env, _table, Trace::timestamp() | 1), _sleeper(env)
	{
		_timer.sigh(_handler);
		_timer.trigger_periodic(5*1000);

		if (!_lie.valid() || _lie.length() <= 1)
			_liar.start();
	}
};


void Component::construct(Genode::Env &env) { static Test::Main main(env); }
