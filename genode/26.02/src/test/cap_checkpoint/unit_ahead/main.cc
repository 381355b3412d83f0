/*
 * \brief  Restore an init in rounds while its children come and go
 * \date   2026-12-01
 *
 * A chain is an image with increments, made while the init is running. As soon as there is a container of it, a second
 * component is provided with what it says. With the last one, this component takes the place of the first one. The init may have
 * children at the first container and none at the last one, or the reverse.
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

/* Genode includes */
#include <base/attached_ram_dataspace.h>
#include <base/component.h>
#include <timer_session/connection.h>

/* local includes */
#include <books.h>
#include <init_config.h>
#include <init_state.h>
#include <altered_units.h>

namespace Test { struct Main; }


struct Test::Main : Virtual_parent::Exit_handler
{
	using Stuck = Cap_space_monitor::Freezer::Stuck;

	static constexpr unsigned MAX_LENGTH = 4, CHAINS_PER_REPORT = 5, MAX_REFUSED_IN_A_ROW = 50,
	                          MAX_WAITS = 600, CONFIGS = 3, ALL_CHILDREN = 1, STOP = 3;

	static constexpr uint64_t START_US = 8*1000*1000;

	Env &_env;

	Attached_rom_dataspace _options { _env, "config" };

	unsigned const _num_chains = _options.node().attribute_value("chains", 30u);

	Timer::Connection _timer { _env }, _unit_timer { _env };

	Init_config _config { _env };
	Init_state  _state  { _env, "unit_state" };
	Init_policy _policy { };

	Monitor _monitor { _env, _unit_timer };

	Cap_space_monitor::Snapshot_with_memory<> _snapshot { };

	/* the component, and the one that is to continue it */
	Constructible<Life> _lives[2] { };
	unsigned            _present = 0;

	Life                &_life() { return *_lives[_present]; }
	Constructible<Life> &_next() { return  _lives[!_present]; }

	Attached_ram_dataspace _memory { _env.ram(), _env.rm(), 48*1024*1024 };

	Constructible<Image::Chain> _chain { };
	Constructible<Image::Base>  _base  { };

	bool _refusals_tried = false;

	/* containers that the present chain is to have, and whether the next component was begun in vain */
	unsigned _length   = 2;
	bool     _given_up = false;

	enum class Phase { RUNNING, LAST_CHAINS, STOPPING, DONE } _phase = Phase::RUNNING;

	struct
	{
		unsigned chains = 0, rounds = 0, given_up = 0, refused = 0, refused_in_a_row = 0, waits = 0;

		/* containers of each kind, chains that became a unit, and that became a single component */
		unsigned kinds[5] { }, became_unit = 0, became_single = 0;

	} _seen { };

	uint32_t _random_state = 4711;

	unsigned _random(unsigned limit)
	{
		_random_state = _random_state*1103515245 + 12345;
		return (_random_state >> 8) % limit;
	}

	void _finish(auto &&... message)
	{
		if (_phase != Phase::DONE)
			log("--- checkpoint test ahead ", message..., " ---");
		_phase = Phase::DONE;
	}

	void _fail(auto &&... message)
	{
		_finish("failed in chain ", _seen.chains, ": ", message...);
	}

	/**
	 * Init itself never exits
	 */
	void exited(int value) override { _fail("init exits with ", value); }

	void _refused(auto &&... message)
	{
		log("chain ", _seen.chains, ": ", message...);
		_seen.refused++;
		if (++_seen.refused_in_a_row > MAX_REFUSED_IN_A_ROW)
			_fail(_seen.refused_in_a_row, " checkpoints refused");
	}

	bool _freeze()
	{
		return _life().child.freeze().convert<bool>(
			[&] (Cap_space_monitor::Freezer::Frozen const &) { return true; },
			[&] (Stuck const &stuck) {
				if (stuck.reason != Stuck::Reason::NO_RECORDS)
					_refused("not frozen, thread '", stuck.thread, "' of ", stuck.pd, ", reason ",
					         unsigned(stuck.reason));
				return false; });
	}

	/**
	 * Append a container to the chain, or begin it
	 */
	bool _append()
	{
		size_t const at = _chain.constructed() ? size_t(_chain->next()) : 0;

		Image::Memory_sink sink { _memory.local_addr<char>() + at, _memory.size() - at };

		Life &life = _life();

		Save &save = _base.constructed()
		           ? *new (_monitor.heap) Save(life.child, sink, _snapshot, life.copies, *_base)
		           : *new (_monitor.heap) Save(life.child, sink, _snapshot, &life.copies);

		bool const saved = save.save().convert<bool>(
			[&] (Ok) { return true; },
			[&] (Refused const &refused) { _refused("not saved, ", refused); return false; });

		if (saved) {
			if (sink.complete() && save.from_copies())
				_base.construct(save.next_base());
			else
				_fail("no room for ", sink.needed(), " bytes, or no copies");
		}
		destroy(_monitor.heap, &save);

		if (!saved || _phase == Phase::DONE)
			return false;

		size_t const end = at + size_t(sink.needed());

		bzero(_memory.local_addr<char>() + end, min(_memory.size() - end, size_t(Image::CHAIN_ALIGN)));

		unsigned const length = at ? _chain->length() : 0;

		if (at)
			_chain->extend(end);
		else
			_chain.construct(_memory.local_addr<char>(), end);

		if (!_chain->valid() || _chain->length() != length + 1) {
			_fail("container ", length, " is no part of the chain: ", _chain->refusal());
			return false;
		}
		_seen.kinds[_chain->last().contents()]++;
		return true;
	}

	/**
	 * Let images be refused that are altered, once there is one with all children
	 */
	void _try_refusals()
	{
		if (_refusals_tried || _chain->length() > 1
		 || _chain->last().num_members() < Image::MAX_MEMBERS)
			return;

		_refusals_tried = true;

		Altered_units refusals { _env, _monitor, *this, _policy, _memory.local_addr<char>(),
		                         _chain->size() };
		if (!refusals.ok())
			_fail(refusals.mistakes, " mistakes with images to be refused");
	}

	void _begin_anew()
	{
		_base.destruct();
		_chain.destruct();
		_length   = 2 + _random(MAX_LENGTH - 1);
		_given_up = false;
	}

	/**
	 * Provide the next component with what the chain says so far
	 */
	void _begin_next()
	{
		if (_given_up)
			return;

		if (!_next().constructed())
			_next().construct(_monitor, *this, _policy);

		if (_next()->begin(*_chain))
			return;

		_next().destruct();
		_given_up = true;
		_seen.given_up++;
	}

	/**
	 * Let the next component continue the present one
	 */
	void _replace()
	{
		Books const before { _life().child };

		_lives[_present].destruct();
		_present = !_present;

		if (!_lives[_present].constructed())
			_lives[_present].construct(_monitor, *this, _policy);

		bool ok = _life().finish(*_chain);

		/* the whole image, as if nothing had been begun */
		if (!ok && !_given_up) {
			_seen.given_up++;
			_lives[_present].destruct();
			_lives[_present].construct(_monitor, *this, _policy);
			ok = _life().finish(*_chain);
		}
		if (!ok)
			_fail("not restored");
		else if (!before.cover(Books(_life().child)))
			_fail("the accounts differ");
	}

	void _report()
	{
		log(_seen.chains, " chains of ", _seen.kinds[Image::COMPLETE], " + ",
		    _seen.kinds[Image::INCREMENT], " containers of a component and ",
		    _seen.kinds[Image::UNIT], " + ", _seen.kinds[Image::UNIT_INCREMENT], " of a unit");
		log(_seen.became_unit, " became a unit, ", _seen.became_single, " a component, ",
		    _seen.given_up, " were begun in vain, ", _seen.refused, " attempts refused");
	}

	void _checkpoint()
	{
		if (!_freeze())
			return;

		bool const appended = _append();

		if (!appended || _chain->length() < _length) {
			_life().child.thaw();
			if (appended) {
				_seen.refused_in_a_row = 0;
				_try_refusals();
				_begin_next();
			}
			return;
		}
		_seen.refused_in_a_row = 0;

		Image::Contents first { }, last = _chain->last().contents();
		_chain->with_container(0, [&] (char const *start, size_t size) {
			first = Image::Reader(start, size).contents(); });

		_seen.became_unit   += !is_unit(first) && is_unit(last);
		_seen.became_single += is_unit(first)  && !is_unit(last);

		_replace();
		_begin_anew();

		if (++_seen.chains % CHAINS_PER_REPORT == 0)
			_report();
	}

	/**
	 * Return true if each kind of chain was met
	 */
	bool _complete() const
	{
		for (unsigned kind = Image::COMPLETE; kind <= Image::UNIT_INCREMENT; kind++)
			if (!_seen.kinds[kind])
				return false;

		return _refusals_tried && _seen.became_unit && _seen.became_single && _seen.given_up < _seen.chains/2;
	}

	void _step()
	{
		switch (_phase) {

		case Phase::RUNNING:

			_checkpoint();

			if (_phase == Phase::DONE)
				break;

			if (_seen.chains >= _num_chains) {
				_phase = Phase::LAST_CHAINS;
				_config.apply(ALL_CHILDREN);
			}
			else if (!_random(5))
				_config.apply(_random(CONFIGS));
			break;

		case Phase::LAST_CHAINS:

			_checkpoint();

			if (_phase != Phase::DONE && _seen.chains >= _num_chains + 5) {
				_phase = Phase::STOPPING;
				_config.apply(STOP);
			}
			break;

		case Phase::STOPPING:

			_state.update();

			if (_state.exited("counter", 0) && _state.exited("client", 0)) {
				_report();
				if (_complete())
					_finish("succeeded");
				else
					_fail("not all kinds of chains were met");
			}
			else if (++_seen.waits == MAX_WAITS)
				_fail("children do not exit");
			break;

		case Phase::DONE: break;
		}
	}

	void _handle_timer()
	{
		_step();

		if (_phase == Phase::DONE) {
			for (auto &life : _lives)
				life.destruct();
			return;
		}
		_timer.trigger_once(_phase == Phase::STOPPING ? 50*1000 : 1000*(100 + _random(400)));
	}

	Signal_handler<Main> _timer_handler { _env.ep(), *this, &Main::_handle_timer };

	Main(Env &env) : _env(env)
	{
		_config.apply(ALL_CHILDREN);
		_lives[_present].construct(_monitor, *this, _policy);

		if (_life().child.start("init") != Child::Start_result::OK)
			_fail("init not started");

		_timer.sigh(_timer_handler);
		_timer.trigger_once(START_US);
	}
};


Genode::size_t Component::stack_size() { return 64*1024; }


void Component::construct(Genode::Env &env) { static Test::Main main(env); }
