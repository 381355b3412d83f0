/*
 * \brief  Checkpoint a component again and again
 * \date   2026-11-29
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

/* Genode includes */
#include <base/attached_rom_dataspace.h>
#include <base/component.h>
#include <base/log.h>
#include <timer_session/connection.h>

/* local includes */
#include <bystander.h>
#include <freezers.h>
#include <image_memory.h>
#include <mistakes.h>
#include <options.h>
#include <services.h>
#include <tally.h>

namespace Test {

	using Frozen = Cap_space_monitor::Freezer::Frozen;
	using Stuck  = Cap_space_monitor::Freezer::Stuck;

	struct Main;
}


struct Test::Main : Virtual_parent::Exit_handler
{
	static constexpr unsigned ROUNDS_PER_REPORT = 20, MAX_WAITS = 1200,
	                          MAX_REFUSED_IN_A_ROW = 50;

	/* of a hostile component */
	static constexpr unsigned ROUNDS_PER_LIFE = 12, REFUSED_PER_LIFE = 3;
	static constexpr uint64_t MAX_STEP_US = 15*1000*1000;

	Env &_env;

	Attached_rom_dataspace _config { _env, "config" };

	Options const _options { _config.node() };

	Config_policy _config_policy { _options };

	/* clock of the test, and the one of the components */
	Timer::Connection _timer { _env }, _child_timer { _env };

	Monitor _monitor { _env, _child_timer };

	Child::Quota const _quota { { _options.ram }, { 900 } };

	Constructible<Child> _child { };

	Constructible<Bystander> _bystander { };
	Constructible<Services>  _services  { };

	using Moment = Services::Moment;

	Image_memory _image { _env, _monitor.heap };

	unsigned _round = 0, _refused_in_a_row = 0, _waits = 0, _submitted = 0, _life = 0,
	         _hostile_rounds = 0;
	bool     _done = false, _stopping = false, _lost = false, _resting = false, _lingering = false;

	Tally _tally { };

	size_t _ram_before = 0, _caps_before = 0;

	uint32_t _random = 4711;

	void _finish(auto &&... message)
	{
		if (!_done)
			log("--- checkpoint test ", _options.thaw ? "with thaw " : "", message..., " ---");
		_done = true;
	}

	void _fail(auto &&... message)
	{
		_finish("failed in round ", _round, ": ", message...);
	}

	/**
	 * The component has come to its end
	 */
	void exited(int value) override
	{
		if (_options.hostile) {
			_refused_in_a_row = REFUSED_PER_LIFE;
			return;
		}

		if (unsigned(value) != _submitted
		 || !(_stopping || _options.ends_itself || _options.killed)) {
			_fail("component exits with ", value, " instead of ", _submitted);
			return;
		}
		_child_exited = true;
		_timer.trigger_once(1000);
	}

	bool _child_exited = false, _signalled = false;

	void _construct_child()
	{
		_child.construct(_monitor, Session::Label("child"), _quota, *this, _options.priority,
		                 _services.constructed() ? (Session_policy &)*_services : _config_policy);
	}

	void _change_services(Moment moment)
	{
		if (_services.constructed()) {
			_services->at(moment, _round);
			_submitted = _services->version;
		}
	}

	uint64_t _duration_of(auto const &fn)
	{
		uint64_t const start_us = _timer.elapsed_us();
		fn();
		return _timer.elapsed_us() - start_us;
	}

	bool _save_to_memory()
	{
		return _image.save(*_child).convert<bool>(
			[&] (Ok) { return true; },
			[&] (Refused const &refused) {
				log("round ", _round, ": not saved, ", refused);
				_tally.refused++;
				_refused_in_a_row++;
				return false; });
	}

	bool _restore_from_memory()
	{
		Image::Chain const chain { _image.start(), _image.num_bytes };

		if (!chain.valid()) {
			_not_restored("image ", chain.refusal());
			return false;
		}

		_construct_child();

		_tally.add(chain.last());

		Restore restore { *_child, chain };

		return restore.restore().convert<bool>(
			[&] (Restored const &restored) {
				_tally.add(restored);
				if (_services.constructed() && !_services->report_restored())
					_fail("the last report is lost");
				Loss(*_child).after_restore(_options.lose);
				return true; },
			[&] (Refused const &refused) {
				_not_restored(refused);
				return false; });
	}

	void _not_restored(auto &&... reason)
	{
		if (!_options.hostile) {
			_fail("not restored, ", reason...);
			return;
		}
		log("round ", _round, ": not restored, ", reason...);
		_tally.not_restored++;
		_refused_in_a_row = REFUSED_PER_LIFE;
	}

	/**
	 * Let signals be pending at core while the component is frozen
	 */
	void _submit_signals()
	{
		Signal_context_capability const (&sighs)[Image::Handler::NUM_PARENT] = _child->parent.sighs;

		if (_options.submit && sighs[Image::Handler::YIELD].valid()) {
			_monitor.own_pd.submit(sighs[Image::Handler::HEARTBEAT], _options.submit);
			_submitted += _options.submit;
		}
	}

	Cap_space_monitor::Freezer::Result _freeze_child()
	{
		Freezers freezers { *_child, _options };

		auto const result = freezers.freeze();
		_submitted += freezers.submitted();
		_signalled |= freezers.submitted();

		if (result.ok()) {
			_submit_signals();
			_child->pd.signals.drain();
		}
		return result;
	}

	void _replace_child()
	{
		_lingering = false;
		_tally.end    .add(_duration_of([&] { _child.destruct(); }));
		_change_services(Moment::GONE);
		_tally.restore.add(_duration_of([&] { (void)_restore_from_memory(); }));
	}

	void _checkpoint()
	{
		bool frozen = false;

		_change_services(Moment::BEFORE_FREEZE);

		uint64_t const freeze_us = _duration_of([&] {
			_freeze_child().with_result(
				[&] (Frozen const &result) {
					frozen = true;
					_lingering = _options.linger && !result.requests;
					_tally.add(result); },
				[&] (Stuck const &stuck) {

					/* the component has just been started */
					if (stuck.reason == Stuck::Reason::NO_RECORDS)
						return;

					log("round ", _round, ": not frozen, thread '", stuck.thread, "' of ", stuck.pd, ", reason ",
					    unsigned(stuck.reason), ", ip ", Hex(stuck.ip), ", slot ",
					    Hex(stuck.slot));
					_tally.refused++;
					_refused_in_a_row++; }); });

		if (_refused_in_a_row > MAX_REFUSED_IN_A_ROW)
			_fail(_refused_in_a_row, " checkpoints refused");

		if (!frozen)
			return;

		_child->pd.signals.for_each_context([&] (Context &context) {
			_tally.pending += context.pending;
			if (_options.drop_signals)
				context.pending = 0; });

		_tally.add_in_flight(In_flight(*_child).count());

		if (!_lost)
			_lost = Loss(*_child).before_save(_options.lose);

		_change_services(Moment::FROZEN);
		bool saved = false;
		uint64_t const save_us = _duration_of([&] { saved = _save_to_memory(); });

		if (!saved || _options.thaw)
			_child->thaw();

		_lingering &= saved;
		if (!saved)
			return;

		_refused_in_a_row = 0;
		_tally.freeze.add(freeze_us);
		_tally.save  .add(save_us);

		if (!_options.thaw && !_lingering)
			_replace_child();

		_round++;
		if (_round % ROUNDS_PER_REPORT == 0)
			_tally.report(_round, _image.num_bytes);
	}

	/**
	 * Let the component come to its end, and tell whether its results are right
	 */
	void _stop_child()
	{
		Signal_context_capability const sigh = _child->parent.sighs[Image::Handler::YIELD];

		/* the component may still be starting up */
		if (!_stopping && sigh.valid()) {
			_stopping = true;
			_monitor.own_pd.submit(sigh, 1);
		}
		if (++_waits == MAX_WAITS)
			_fail("the component does not come to its end");
	}

	/**
	 * Let one hostile component follow the other, each of which lives for a while
	 */
	void _next_life()
	{
		bool const too_long = _tally.longest_us > MAX_STEP_US;

		if (too_long || _bystander->state == Bystander::State::WRONG)
			_fail("the monitor does not do its work");

		_bystander->send();

		if (!_child.constructed() || _refused_in_a_row >= REFUSED_PER_LIFE
		 || ++_hostile_rounds >= ROUNDS_PER_LIFE) {
			_refused_in_a_row = 0;
			_hostile_rounds      = 0;
			_round++;
			_tally.lives++;
			_start_child();
		}
	}

	/**
	 * Nobody expects an answer from a hostile component, but from the bystander
	 */
	void _stop_hostile_child()
	{
		bool const last = (_life + 1 == _options.lives);

		if (last)
			_bystander->stop();

		if (!last || _bystander->state == Bystander::State::RIGHT)
			_check_resources();
		else if (_bystander->state == Bystander::State::WRONG || ++_waits == MAX_WAITS)
			_fail("the bystander does not do its work");
	}

	void _start_child()
	{
		_resting      = false;
		_stopping     = false;
		_child_exited = false;
		_lost         = false;
		_waits        = 0;
		_submitted    = 0;

		if (_services.constructed())
			_services->start();

		_construct_child();

		if (_child->start(Session_label(_options.binary)) != Child::Start_result::OK)
			_fail("component not started");
	}

	/**
	 * Compare what the monitor uses after the first component and each later one
	 *
	 * The first one leaves behind what the heap keeps.
	 */
	void _check_resources()
	{
		_child.destruct();
		_image.free();

		size_t const ram = _env.pd().used_ram().value, caps = _env.pd().used_caps().value;

		log("in use after round ", _round, ": RAM ", ram, ", capabilities ", caps);
		_tally.report(_round, _image.num_bytes);

		if (!_life) {
			_ram_before  = ram;
			_caps_before = caps;
		}

		if (caps != _caps_before || ram != _ram_before)
			_fail("resources are lost");
		else if (++_life < _options.lives)
			_resting = true;
		else if (_options.early && !_tally.unbound)
			_fail("no component was saved before it could wait for signals");
		else if (_options.packets && _tally.saves_in_flight*_options.packets < _round)
			_fail("hardly any checkpoint had packets in flight");
		else if (_options.faults && _tally.faults*_options.faults < _round)
			_fail("hardly any image has a page fault");
		else if (_options.signal_faults && !_signalled)
			_fail("no signal arrived while a thread was let out of a page fault");

		/* slots of objects that are gone may keep the badge that they got before */
		else if (!_options.thaw && !_options.hostile && (_tally.unchanged > _tally.dead || !_tally.rewritten))
			_fail("capabilities have the badges that they had");
		else
			_finish("succeeded");
	}

	void _handle_timer()
	{
		if (_done) {
			_child.destruct();
			return;
		}

		if (_resting)
			_start_child();
		else if (_lingering)
			_replace_child();
		else if (_child_exited)
			_check_resources();
		else if (_services.constructed() && !_services->settled()) {
			if (_services->overdue())
				_fail("the component has not seen what changed");
		}
		else if (_round < (_life + 1)*_options.num_rounds/_options.lives) {
			uint64_t const us = _duration_of([&] { _checkpoint(); });
			_tally.longest_us = max(_tally.longest_us, us);
			if (_options.hostile)
				_next_life();
		}
		else if (_options.hostile)
			_stop_hostile_child();
		else if (_options.killed)
			_check_resources();
		else
			_stop_child();

		_random = _random*1103515245 + 12345;
		_timer.trigger_once(_resting ? max(1u, 1000*_options.rest_ms) :
		                    _waits   ? 50*1000 : 1000*_options.min_interval_ms
		                                         + (_random >> 8) % (1000*_options.max_interval_ms));
	}

	Signal_handler<Main> _timer_handler { _env.ep(), *this, &Main::_handle_timer };

	Main(Env &env) : _env(env)
	{
		if (_options.hostile)
			_bystander.construct(_monitor, _quota);

		if (_options.services)
			_services.construct(_env);

		_start_child();

		_timer.sigh(_timer_handler);
		_timer.trigger_once(_options.early                            ? 1
		                  : _options.ends_itself || _options.killed ? 10*1000 : 2000*1000);
	}
};


Genode::size_t Component::stack_size() { return 64*1024; }


void Component::construct(Genode::Env &env) { static Test::Main main(env); }
