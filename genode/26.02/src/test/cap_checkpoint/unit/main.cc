/*
 * \brief  Checkpoint a component along with its children again and again
 * \date   2026-12-01
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

/* Genode includes */
#include <base/component.h>

/* local includes */
#include <books.h>
#include <image_memory.h>
#include <init_config.h>
#include <init_state.h>
#include <options.h>
#include <plants.h>
#include <refusals.h>
#include <tally.h>

namespace Test {

	using Frozen = Cap_space_monitor::Freezer::Frozen;
	using Stuck  = Cap_space_monitor::Freezer::Stuck;

	struct Main;
}


struct Test::Main : Virtual_parent::Exit_handler
{
	static constexpr unsigned ROUNDS_PER_REPORT = 10, MAX_WAITS = 600, MAX_REFUSED_IN_A_ROW = 20,
	                          MAX_SKIPPED_HEARTBEATS = 3, MAX_FURTHER_ROUNDS = 40;

	/* steps of 50 ms in which sessions of children that have exited are closed */
	static constexpr unsigned WAITS_FOR_END = 20;

	Env &_env;

	Attached_rom_dataspace _options_rom { _env, "config" };

	Options const _options { _options_rom.node() };

	/* clock of the test, and the one of the components */
	Timer::Connection _timer { _env }, _unit_timer { _env };

	Init_config _config { _env };
	Init_state  _state  { _env, "unit_state" };
	Init_policy _policy { };

	Monitor _monitor { _env, _unit_timer };

	Constructible<Child> _child { };

	Image_memory _image { _env, _monitor.heap };

	/*
	 * What the configuration of that number is for
	 */
	enum Phase { FIRST = 1, OTHER_CHILDREN, STOP, RESTING, DONE } _phase = FIRST;

	unsigned _life = 0, _round = 0, _rounds_of_life = 0, _waits = 0, _waits_for_end = 0,
	         _refused_in_a_row = 0;

	/* each life is one with another mistake, which has to be noticed */
	bool const _mistakes = _options.lose == "all";

	unsigned const _num_lives = _mistakes ? Plants::NUM : _options.lives;

	unsigned const _rounds_per_life = max(1u, _options.num_rounds/_num_lives);

	Tally _tally { };

	Constructible<Plants> _plants { };

	/* what init says in the end of a life without restore */
	Init_state::Books _books { };

	/* calls between components that were received, in all images */
	unsigned _calls = 0;

	size_t _ram_before = 0, _caps_before = 0;

	uint32_t _random = 4711;

	/**
	 * Return true if the component goes on after each checkpoint
	 *
	 * It tells what to expect of those that are restored.
	 */
	bool _thaws() const { return !_mistakes && !_options.early && !_life; }

	void _finish(auto &&... message)
	{
		if (_phase != DONE)
			log("--- checkpoint test ", message..., " ---");
		_phase = DONE;
	}

	void _fail(auto &&... message)
	{
		if (!_mistakes) {
			_finish("failed in round ", _round, ": ", message...);
			return;
		}

		/* the first thing that is noticed */
		if (_phase == RESTING || _phase == DONE)
			return;

		log("mistake with ", _plants->name(), " noticed in round ", _round, ": ", message...);

		if (!_plants->made)
			_finish("failed, no mistake with ", _plants->name());
		else if (++_life == _num_lives)
			_finish("noticed all mistakes");
		else
			_phase = RESTING;
	}

	/**
	 * Init itself never exits
	 */
	void exited(int value) override { _fail("init exits with ", value); }

	uint64_t _duration_of(auto const &fn)
	{
		uint64_t const start_us = _timer.elapsed_us();
		fn();
		return _timer.elapsed_us() - start_us;
	}

	void _construct_child()
	{
		_child.construct(_monitor, "unit", Child::Quota { { _options.ram }, { 2500 } }, *this,
		                 _options.priority, _policy);
	}

	void _enter(Phase phase)
	{
		_phase = phase;
		_waits = 0;
		_config.apply(phase);
	}

	void _start_child()
	{
		_rounds_of_life   = 0;
		_waits_for_end    = 0;
		_refused_in_a_row = 0;
		_policy.working   = 0;
		_plants.construct(_mistakes ? _life : Plants::NONE);
		_state.forget();
		_enter(FIRST);
		_construct_child();

		if (_child->start("init") != Child::Start_result::OK)
			_fail("init not started");
	}

	void _count_calls(Image::Reader const &image)
	{
		image.for_each<Image::Thread>([&] (size_t, Image::Thread const &thread) {
			if (thread.called != NONE)
				_calls += (image.get<Image::Thread>(thread.called).member != thread.member); });
	}

	bool _restore()
	{
		Image::Chain const chain { _image.start(), _image.num_bytes };

		if (!chain.valid()) {
			_fail("not restored, image ", chain.refusal());
			return false;
		}

		_construct_child();
		_tally.add(chain.last());
		_count_calls(chain.last());

		Restore restore { *_child, chain };

		if (restore.prepare())
			_plants->before_start(*_child, chain.last());

		return restore.start().convert<bool>(
			[&] (Restored const &restored) { _tally.add(restored); return true; },
			[&] (Refused  const &refused)  { _fail("not restored, ", refused); return false; });
	}

	void _replace_child()
	{
		Books const before { *_child };

		_tally.end.add(_duration_of([&] { _child.destruct(); }));

		/* only a restore can tell of it */
		_config.news(_round + 1);

		bool restored = false;
		_tally.restore.add(_duration_of([&] { restored = _restore(); }));

		if (restored && !before.same(Books(*_child)))
			_fail("the accounts differ");
	}

	bool _freeze()
	{
		return _child->freeze().convert<bool>(
			[&] (Frozen const &frozen) {
				_tally.add(frozen);
				return true; },
			[&] (Stuck const &stuck) {

				/* a component has just been started */
				if (stuck.reason == Stuck::Reason::NO_RECORDS)
					return false;

				_tally.refused++;
				_refused_in_a_row++;
				log("round ", _round, ": not frozen, thread '", stuck.thread, "' of ", stuck.pd,
				    ", reason ", unsigned(stuck.reason), ", ip ", Hex(stuck.ip), ", slot ",
				    Hex(stuck.slot));
				return false; });
	}

	bool _save()
	{
		return _image.save(*_child).convert<bool>(
			[&] (Ok) { return true; },
			[&] (Refused const &refused) {
				_tally.refused++;
				_refused_in_a_row++;
				log("round ", _round, ": not saved, ", refused);
				return false; });
	}

	void _report()
	{
		_tally.report(_round, _image.num_bytes);
		log("round ", _round, ": ", _calls, " calls between components in flight, ",
		    _plants->made, " mistakes made");
	}

	void _checkpoint()
	{
		bool frozen = false, saved = false;

		uint64_t const freeze_us = _duration_of([&] { frozen = _freeze(); });

		if (frozen) {
			_child->for_each_pd([&] (Virtual_pd &pd) {
				pd.signals.for_each_context([&] (Context &context) {
					_tally.pending += context.pending; }); });

			/* all children execute by now */
			if (!_rounds_of_life && !_options.early && !Refusals(*_child, _image).all())
				_fail("saved what must be refused");

			_plants->before_save(*_child);

			uint64_t const save_us = _duration_of([&] { saved = _save(); });

			if (!saved || _thaws()) {
				_child->thaw();
			} else {
				_plants->after_save(_image.start());
				_replace_child();
			}

			_tally.freeze.add(freeze_us);
			_tally.save  .add(save_us);
		}

		if (_refused_in_a_row > MAX_REFUSED_IN_A_ROW)
			_fail(_refused_in_a_row, " checkpoints refused");

		if (!saved)
			return;

		_refused_in_a_row = 0;
		_rounds_of_life++;
		_round++;
		if (_round % ROUNDS_PER_REPORT == 0)
			_report();
	}

	/**
	 * Return true if init did what its present configuration asks for
	 */
	bool _configured() const
	{
		switch (_phase) {
		case FIRST:          return _rounds_of_life >= (_rounds_per_life + 1)/2;
		case OTHER_CHILDREN: return _rounds_of_life >= _rounds_per_life
		                         && !_state.exists("inner") && _state.exited("leaver", 7);
		case STOP:           return _state.exited("counter", 0) && _state.exited("client", 0);
		case RESTING:
		case DONE:           break;
		}
		return false;
	}

	/**
	 * Compare what the monitor uses after the first life with restores and each later one
	 *
	 * This one leaves behind what the heap keeps.
	 */
	void _end_life()
	{
		Init_state::Books const books = _state.books();

		log("in the end of life ", _life, ": ", books);
		if (_thaws())
			_books = books;

		if (!_options.early && books != _books)
			_fail("init says something else than without restores");

		if (_state.skipped_heartbeats() > MAX_SKIPPED_HEARTBEATS)
			_fail(_state.skipped_heartbeats(), " heartbeats skipped");

		_child.destruct();
		_image.free();

		size_t const ram = _env.pd().used_ram().value, caps = _env.pd().used_caps().value;

		log("in use after round ", _round, ": RAM ", ram, ", capabilities ", caps);
		_report();

		if (_life < 2) {
			_ram_before  = ram;
			_caps_before = caps;
		}

		if (caps != _caps_before || ram != _ram_before)
			_fail("resources are lost");
		else if (!_thaws() && (_tally.unchanged > _tally.dead || !_tally.rewritten))
			_fail("capabilities have the badges that they had");
		else if (!_thaws() && !_options.early && _calls < _round/4)
			_fail("hardly any image has a call between components");
		else if (++_life == _num_lives)
			_finish("succeeded");
		else
			_phase = RESTING;
	}

	void _step()
	{
		if (_phase == RESTING) {
			_child.destruct();
			_start_child();
			return;
		}

		/* components that are being started are of interest in the early moments only */
		if (_phase == FIRST && !_options.early && _policy.working < Init_policy::NUM_WORKING) {
			if (++_waits == MAX_WAITS)
				_fail("the children do not start");
			return;
		}

		/* init comes to its end without any checkpoint, so nothing else can make up for what is lost */
		if (_phase != STOP)
			_checkpoint();

		_state.update();

		if (_phase == RESTING || _phase == DONE)
			return;

		if (!_configured()) {
			bool const due = (_phase == STOP || _rounds_of_life >= _rounds_per_life);
			if (due && ++_waits == (_phase == STOP ? MAX_WAITS : MAX_FURTHER_ROUNDS))
				_fail("init does not do what configuration ", unsigned(_phase), " says");
		}
		else if (_phase != STOP)
			_enter(_options.early ? STOP : Phase(_phase + 1));
		else if (++_waits_for_end == WAITS_FOR_END) {
			if (_mistakes)
				_finish("failed, nobody notices the mistake with ", _plants->name());
			else
				_end_life();
		}
	}

	void _trigger()
	{
		_random = _random*1103515245 + 12345;
		_timer.trigger_once(_phase == STOP ? 50*1000 : 1000*_options.min_interval_ms
		                    + (_random >> 8) % (1000*_options.max_interval_ms));
	}

	void _handle_timer()
	{
		_step();

		if (_phase == DONE) {
			_child.destruct();
			return;
		}

		_trigger();
	}

	Signal_handler<Main> _timer_handler { _env.ep(), *this, &Main::_handle_timer };

	Main(Env &env) : _env(env)
	{
		_start_child();

		_timer.sigh(_timer_handler);
		_trigger();
	}
};


Genode::size_t Component::stack_size() { return 64*1024; }


void Component::construct(Genode::Env &env) { static Test::Main main(env); }
