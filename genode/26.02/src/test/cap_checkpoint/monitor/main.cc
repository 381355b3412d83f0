/*
 * \brief  Checkpoint a component again and again
 * \date   2026-11-29
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

/* Genode includes */
#include <base/attached_ram_dataspace.h>
#include <base/attached_rom_dataspace.h>
#include <base/component.h>
#include <base/log.h>
#include <cap_checkpoint/restore.h>
#include <cap_checkpoint/save.h>
#include <timer_session/connection.h>

namespace Test {

	using namespace Cap_checkpoint;

	using Frozen = Cap_space_monitor::Freezer::Frozen;
	using Stuck  = Cap_space_monitor::Freezer::Stuck;

	struct Careless_freezer;
	struct Duration_sum;
	struct Main;
}


/**
 * Freezer that parks threads wherever they are
 *
 * Such threads go on with badges that are stale after a restore.
 */
struct Test::Careless_freezer : Cap_space_monitor::Pd_freezer
{
	using Cap_space_monitor::Pd_freezer::Pd_freezer;

	bool _critical(addr_t, addr_t) const override { return false; }
};


/**
 * Average and maximum of durations
 */
struct Test::Duration_sum
{
	uint64_t us = 0, max_us = 0, count = 0;

	void add(uint64_t value)
	{
		us += value, count++;
		max_us = max(max_us, value);
	}

	void print(Output &out) const
	{
		Genode::print(out, count ? us/count : 0, " (at most ", max_us, ") us");
	}
};


struct Test::Main : Virtual_parent::Exit_handler
{
	static constexpr unsigned ROUNDS_PER_REPORT = 20, MAX_WAITS = 1200,
	                          MAX_REFUSED_IN_A_ROW = 50;

	using Binary = String<64>;

	Env &_env;

	Attached_rom_dataspace _config { _env, "config" };

	Binary   const _binary     = _config.node().attribute_value("binary", Binary());
	unsigned const _num_rounds = _config.node().attribute_value("rounds", 100u);

	/* the component exits without being told */
	bool const _ends_itself = _config.node().attribute_value("ends_itself", false);

	/* mistakes that a monitor must not make, and the component has to notice */
	bool const _ignore_windows = _config.node().attribute_value("ignore_windows", false),
	           _drop_signals   = _config.node().attribute_value("drop_signals",   false);

	/* limit of the random time that the component executes between checkpoints */
	unsigned const _max_interval_ms = _config.node().attribute_value("interval_ms", 40u);

	/* 0 is that of the monitor */
	long const _priority = _config.node().attribute_value("priority", 0L);

	/* the component goes on after a checkpoint instead of being killed */
	bool const _thaw = _config.node().attribute_value("thaw", false);

	/* clock of the test, and the one of the components */
	Timer::Connection _timer { _env }, _child_timer { _env };

	Monitor _monitor { _env, _child_timer };

	Child::Quota const _quota { { 8*1024*1024 }, { 900 } };

	Constructible<Child> _child { };

	Cap_space_monitor::Snapshot_with_memory<> _snapshot { };

	Constructible<Attached_ram_dataspace> _image { };

	size_t _image_size = 0;

	unsigned _round = 0, _refused = 0, _refused_in_a_row = 0, _waits = 0;
	bool     _done = false, _stopping = false;

	Duration_sum _freeze { }, _save { }, _end { }, _restore { };

	unsigned _parked = 0, _forwarded = 0, _pending = 0, _dead = 0, _unchanged = 0, _rewritten = 0;

	size_t _ram_before = 0, _caps_before = 0;

	uint32_t _random = 4711;

	void _finish(auto &&... message)
	{
		if (!_done)
			log("--- checkpoint test ", _thaw ? "with thaw " : "", message..., " ---");
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
		if (value || !(_stopping || _ends_itself)) {
			_fail("component exits with ", value);
			return;
		}
		_child_exited = true;
		_timer.trigger_once(1000);
	}

	bool _child_exited = false;

	uint64_t _duration_of(auto const &fn)
	{
		uint64_t const start_us = _timer.elapsed_us();
		fn();
		return _timer.elapsed_us() - start_us;
	}

	/**
	 * Make an image of the frozen component
	 *
	 * \param bytes  size of the image, whether it fits the memory or not
	 */
	bool _make_image(size_t &bytes)
	{
		Image::Memory_sink sink { _image.constructed() ? _image->local_addr<char>() : nullptr,
		                          _image.constructed() ? _image->size() : 0 };

		Save &save = *new (_monitor.heap) Save(*_child, sink, _snapshot);

		bool const ok = save.save().convert<bool>(
			[&] (Ok) { return true; },
			[&] (Refused const &refused) {
				log("round ", _round, ": not saved, ", refused);
				_refused++;
				_refused_in_a_row++;
				return false; });

		destroy(_monitor.heap, &save);
		bytes = size_t(sink.needed());
		return ok;
	}

	bool _save_to_memory()
	{
		if (!_make_image(_image_size))
			return false;

		if (_image.constructed() && _image_size <= _image->size())
			return true;

		/* leave room for a component that grows */
		_image.construct(_env.ram(), _env.rm(), _image_size + 512*1024);
		return _make_image(_image_size);
	}

	bool _restore_from_memory()
	{
		Image::Reader const image { _image->local_addr<char>(), _image_size };

		if (!image.valid()) {
			_fail("image refused, ", image.refusal());
			return false;
		}

		_child.construct(_monitor, Session::Label("child"), _quota, *this, _priority);

		Restore restore { *_child, image };

		return restore.restore().convert<bool>(
			[&] (Restored const &restored) {
				_dead      += restored.dead;
				_unchanged += restored.unchanged;
				_rewritten += restored.rewritten;
				return true; },
			[&] (Refused const &refused) {
				_fail("not restored, ", refused);
				return false; });
	}

	void _report()
	{
		log("round ", _round, ": freeze ", _freeze, ", save ", _save, ", end ", _end,
		    ", restore ", _restore, ", image ", _image_size/1024, " KiB");
		log("round ", _round, ": ", _parked, " parked, ", _forwarded, " forwarded, ", _pending,
		    " signals, ", _refused, " refused, ", _dead, " dead slots, ", _unchanged, " of ",
		    _rewritten, " badges unchanged");
	}

	Cap_space_monitor::Freezer::Result _freeze_child()
	{
		if (!_ignore_windows)
			return _child->freeze();

		Careless_freezer careless { _child->pd };
		Child::Threads   threads  { *_child };

		auto const result = careless.freeze(threads, { });
		if (result.ok()) {
			(void)_child->freezer.adopt();
			_child->pd.signals.drain();
		}
		return result;
	}

	void _checkpoint()
	{
		bool frozen = false;

		uint64_t const freeze_us = _duration_of([&] {
			_freeze_child().with_result(
				[&] (Frozen const &result) {
					frozen = true;
					_parked    += result.parked;
					_forwarded += result.forwarded; },
				[&] (Stuck const &stuck) {

					/* the component has just been started */
					if (stuck.reason == Stuck::Reason::NO_RECORDS)
						return;

					log("round ", _round, ": not frozen, thread '", stuck.thread, "', reason ",
					    unsigned(stuck.reason), ", ip ", Hex(stuck.ip), ", slot ",
					    Hex(stuck.slot));
					_refused++;
					_refused_in_a_row++; }); });

		if (_refused_in_a_row > MAX_REFUSED_IN_A_ROW)
			_fail(_refused_in_a_row, " checkpoints refused");

		if (!frozen)
			return;

		_child->pd.signals.for_each_context([&] (Context &context) {
			_pending += context.pending;
			if (_drop_signals)
				context.pending = 0; });

		bool saved = false;
		uint64_t const save_us = _duration_of([&] { saved = _save_to_memory(); });

		if (!saved || _thaw)
			_child->thaw();

		if (!saved)
			return;

		_refused_in_a_row = 0;
		_freeze.add(freeze_us);
		_save  .add(save_us);

		if (!_thaw) {
			_end    .add(_duration_of([&] { _child.destruct(); }));
			_restore.add(_duration_of([&] { (void)_restore_from_memory(); }));
		}

		_round++;
		if (_round % ROUNDS_PER_REPORT == 0)
			_report();
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

	void _start_child()
	{
		_stopping     = false;
		_child_exited = false;
		_waits        = 0;

		_child.construct(_monitor, Session::Label("child"), _quota, *this, _priority);

		if (_child->start(Session_label(_binary)) != Child::Start_result::OK)
			_fail("component not started");
	}

	/**
	 * Compare what the monitor uses after the first and the second component
	 *
	 * The first one leaves behind what the heap keeps.
	 */
	void _check_resources()
	{
		_child.destruct();
		_image.destruct();

		size_t const ram = _env.pd().used_ram().value, caps = _env.pd().used_caps().value;

		log("in use after round ", _round, ": RAM ", ram, ", capabilities ", caps);
		_report();

		if (!_caps_before) {
			_ram_before  = ram;
			_caps_before = caps;
			_start_child();
			return;
		}

		if (caps != _caps_before || ram != _ram_before)
			_fail("resources are lost");

		/* slots of objects that are gone may keep the badge that they got before */
		else if (!_thaw && (_unchanged > _dead || !_rewritten))
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

		if (_child_exited)
			_check_resources();
		else if (_round < (_caps_before ? _num_rounds : _num_rounds/2))
			_checkpoint();
		else
			_stop_child();

		_random = _random*1103515245 + 12345;
		_timer.trigger_once(_waits ? 50*1000 : 3000 + (_random >> 8) % (1000*_max_interval_ms));
	}

	Signal_handler<Main> _timer_handler { _env.ep(), *this, &Main::_handle_timer };

	Main(Env &env) : _env(env)
	{
		_start_child();

		_timer.sigh(_timer_handler);
		_timer.trigger_once(_ends_itself ? 10*1000 : 2000*1000);
	}
};


Genode::size_t Component::stack_size() { return 64*1024; }


void Component::construct(Genode::Env &env) { static Test::Main main(env); }
