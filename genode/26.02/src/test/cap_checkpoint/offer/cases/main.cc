/*
 * \brief  Let clients and lives of a server get into each other's way, case by case
 * \date   2026-12-01
 *
 * A client outside does what it is told at each point between two lives of the server. Whatever
 * it waits for, it gets within a limit. After each case of the second round, both have the quota that they had after the
 * first round, so nothing is paid twice, or not returned.
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

/* Genode includes */
#include <base/attached_rom_dataspace.h>
#include <base/component.h>
#include <base/log.h>
#include <cap_checkpoint/restore.h>
#include <os/reporter.h>
#include <timer_session/connection.h>

/* local includes */
#include <image_memory.h>
#include <step.h>

namespace Test { struct Main; }


struct Test::Main : Virtual_parent::Exit_handler, Session_policy, Offer::Policy
{
	using Frozen = Cap_space_monitor::Freezer::Frozen;
	using Stuck  = Cap_space_monitor::Freezer::Stuck;
	using Name   = String<32>;

	static constexpr unsigned ROUNDS = 2, TURN_MS = 5;

	/* when something is missing, and how long the client is watched that has to wait */
	static constexpr uint64_t MISSING_MS = 60*1000, STILL_MS = 300;

	Env &_env;

	Timer::Connection _timer { _env }, _child_timer { _env };

	Monitor _monitor { _env, _child_timer };

	Provider _provider { _env };

	Offer _offer { _monitor, _provider, "child", this };

	bool _offered = true, _reopen = false;

	Constructible<Child> _child { };

	Image_memory _image { _env, _monitor.heap };

	Constructible<Image::Chain> _chain   { };
	Constructible<Restore>      _restore { };

	Attached_rom_dataspace _done { _env, "done" };
	Reporter               _step { _env, "step" };

	/* of what the client was told last */
	unsigned _number = 0;

	unsigned _round = 0, _case = 0, _at = 0;
	uint64_t _since_ms = 0;  /* when the step began */
	bool     _failed = false;

	struct Quota
	{
		size_t ram, caps;
		Name   client;

		bool operator == (Quota const &) const = default;
	};

	/* what is left after the first round, in which memory for bookkeeping was allocated */
	Constructible<Quota> _quota { };

	void _fail(auto &&... args)
	{
		if (!_failed)
			log("--- offer test failed: ", args..., ", case \"", _current().name, "\", step ", _at, " ---");
		_failed = true;
	}

	/* Exit_handler */
	void exited(int) override { _fail("the component exits"); }

	/* Session_policy */
	Offer *offer() override { return _offered ? &_offer : nullptr; }

	/* Offer::Policy */
	bool reopens(Offer::Name const &) const override { return _reopen; }

	Case const &_current()
	{
		Case const *result = nullptr;
		unsigned i = 0;
		Case::for_each([&] (Case const &c) {
			if (i++ == _case)
				result = &c; });
		return *result;
	}

	static unsigned _num_cases()
	{
		unsigned count = 0;
		Case::for_each([&] (Case const &) { count++; });
		return count;
	}


	/************************
	 ** Life of the server **
	 ************************/

	void _create(Constructible<Child> &child)
	{
		child.construct(_monitor, Session::Label("child"),
		                Child::Quota { { 6*1024*1024 }, { 400 } }, *this, 32768, *this);
	}

	void _start()
	{
		_create(_child);
		if (_child->start("test-cap_checkpoint-offer-moody") != Child::Start_result::OK)
			_fail("server not started");
	}

	/**
	 * Return true if the server is frozen and saved
	 */
	bool _save()
	{
		if (!_child->freeze().convert<bool>([&] (Frozen const &) { return true; },
		                                    [&] (Stuck  const &) { return false; }))
			return false;

		if (_image.save(*_child).ok())
			return true;

		_child->thaw();
		return false;
	}

	/**
	 * Create the child for the image, and call 'fn' with the 'Restore &'
	 */
	void _restore_by(auto const &fn)
	{
		_chain.construct(_image.start(), _image.num_bytes);
		if (!_chain->valid())
			return _fail("image ", _chain->refusal());

		_create(_child);
		_restore.construct(*_child, *_chain);
		(void)fn(*_restore);
	}

	void _begin_ahead() { _restore_by([] (Restore &restore) { return restore.begin();   }); }
	void _prepare()     { _restore_by([] (Restore &restore) { return restore.prepare(); }); }

	void _forget_restore()
	{
		_restore.destruct();
		_chain.destruct();
	}

	void _give_up()
	{
		_forget_restore();
		_child.destruct();
	}

	void _go_on()
	{
		_restore->start().with_result(
			[&] (Restored const &) { },
			[&] (Refused const &refused) { _fail("not restored, ", refused); });

		_forget_restore();
	}

	/**
	 * Return true if the server has nothing to do for any but a number of clients
	 */
	bool _settled(unsigned const clients)
	{
		Offer::Numbers const numbers = _offer.numbers();

		if (numbers.pending || numbers.clients != clients)
			return false;

		unsigned stand_ins = 0;
		_child->pd.signals.for_each_context([&] (Context &context) {
			stand_ins += context.stand_in(); });

		if (!clients && stand_ins)
			_fail(stand_ins, " signal contexts of clients are left");

		return true;
	}


	/************
	 ** Client **
	 ************/

	void _tell(Step const &step)
	{
		_number++;

		(void)_step.generate([&] (Generator &g) {
			g.attribute("number",  _number);
			g.attribute("action",  step.text);
			g.attribute("session", step.number);
			g.attribute("value",   step.value); });
	}

	Name _result()
	{
		_done.update();

		Node const &done = _done.node();

		return done.attribute_value("number", 0u) == _number ? done.attribute_value("result", Name())
		                                                     : Name();
	}

	/**
	 * Return true if the client has got what it has to get
	 */
	bool _awaited(Name const &expected)
	{
		Name const result = _result();

		if (result.length() <= 1)
			return false;

		if (result != expected)
			_fail("client says \"", result, "\" in place of \"", expected, "\"");

		return true;
	}


	/***********
	 ** Steps **
	 ***********/

	/**
	 * Execute a step
	 *
	 * \param first      true unless it was tried before
	 * \param passed_ms  since it was tried first
	 * \return           true if it is complete
	 */
	bool _execute(Step const &step, bool const first, uint64_t const passed_ms)
	{
		switch (step.what) {

		case What::NONE:                                      return true;
		case What::START:   _start();                         return true;
		case What::END:     _child.destruct();                return true;
		case What::FORGET:  _offer.abandon();                 return true;
		case What::AHEAD:   _begin_ahead();                   return true;
		case What::PREPARE: _prepare();                       return true;
		case What::GIVE_UP: _give_up();                       return true;
		case What::GO_ON:   _go_on();                         return true;
		case What::OFFERED: _offered = step.number;           return true;
		case What::SETTLED: return _settled(step.number);
		case What::BEGIN:   _tell(step);                          return true;
		case What::AWAIT:   return _awaited(step.text);

		case What::SAVE:
		case What::LEAVE:

			if (!_save())
				return false;

			if (step.what == What::LEAVE)
				_child.destruct();
			else
				_child->thaw();
			return true;

		case What::BESIDE:
			{
				Constructible<Child> child { };
				_create(child);
			}
			return true;

		case What::DO:
			if (first)
				_tell(step);
			return _awaited(step.result);

		case What::STILL_WAITS:
			if (_result().length() > 1)
				_fail("client does not wait");
			return passed_ms >= STILL_MS;
		}
		return true;
	}

	/**
	 * Return true once nothing is left of a case
	 */
	bool _clean_up(bool const first)
	{
		if (first)
			_tell({ .what = What::DO, .text = "quota" });

		Name const client = _result();

		if (client.length() <= 1 || (_child.constructed() && !_settled(0)))
			return false;

		_child.destruct();
		_offer.abandon();

		if (Offer::Numbers const numbers = _offer.numbers(); numbers.clients || numbers.dead)
			_fail("sessions are left");

		Quota const quota { _env.pd().avail_ram().value, _env.pd().avail_caps().value, client };

		if (_round && !(quota == *_quota))
			_fail("monitor has ", quota.ram, " bytes and ", quota.caps, " capabilities in place of ",
			      _quota->ram, " and ", _quota->caps, ", client ", quota.client, " in place of ",
			      _quota->client);

		if (!_round)
			_quota.construct(quota);

		return true;
	}

	/**
	 * Return true if there is another step
	 */
	bool _advance()
	{
		_at       = 0;
		_since_ms = 0;

		if (++_case < _num_cases())
			return true;

		log("round ", _round, " of ", +ROUNDS, ", ", _case, " cases");

		_case = 0;
		if (++_round < ROUNDS)
			return true;

		log("--- offer test succeeded ---");
		return false;
	}

	void _handle_timer()
	{
		Case const &current = _current();

		/* all steps are executed */
		bool const last = _at == current.num_steps();

		uint64_t const now_ms = _timer.elapsed_ms();
		bool     const first  = !_since_ms;

		if (first)
			_since_ms = now_ms;

		_reopen = current.reopen;

		bool const complete = last ? _clean_up(first)
		                           : _execute(current.steps[_at], first, now_ms - _since_ms);

		if (!complete && now_ms - _since_ms > MISSING_MS)
			_fail("nothing happens");

		if (_failed)
			return;

		if (complete && last && !_advance())
			return;

		if (complete && !last) {
			_at++;
			_since_ms = 0;
		}
		_timer.trigger_once(1000*TURN_MS);
	}

	Signal_handler<Main> _timer_handler { _env.ep(), *this, &Main::_handle_timer };

	Main(Env &env) : _env(env)
	{
		_step.enabled(true);
		_timer.sigh(_timer_handler);
		_timer.trigger_once(1000*TURN_MS);
	}
};


Genode::size_t Component::stack_size() { return 64*1024; }


void Component::construct(Genode::Env &env) { static Test::Main main(env); }
