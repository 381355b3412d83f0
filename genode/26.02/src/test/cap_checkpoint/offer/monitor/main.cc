/*
 * \brief  Save and restore a component that has clients
 * \date   2026-12-01
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
#include <timer_session/connection.h>

/* local includes */
#include <forgery.h>
#include <image_memory.h>

namespace Test { struct Main; }


struct Test::Main : Virtual_parent::Exit_handler, Session_policy
{
	using Frozen = Cap_space_monitor::Freezer::Frozen;
	using Stuck  = Cap_space_monitor::Freezer::Stuck;
	using Name   = String<64>;

	static constexpr unsigned MAX_REFUSED_IN_A_ROW = 50;

	Env &_env;

	Attached_rom_dataspace _config { _env, "config" };

	Name     const _binary = _config.node().attribute_value("binary", Name());
	unsigned const _rounds = _config.node().attribute_value("rounds", 200u);

	/* limit of the random time that the component executes between checkpoints */
	unsigned const _interval_ms = _config.node().attribute_value("interval_ms", 40u);

	/* what the monitor does in place of a restore of the state in which the component ended */
	Name     const _instead = _config.node().attribute_value("instead", Name());

	/* clients are not those of the state that is restored */
	bool     const _lost    = _instead == "older state" || _instead == "other system";

	Timer::Connection _timer { _env }, _child_timer { _env };

	Monitor _monitor { _env, _child_timer };

	Provider _provider { _env };
	Offer    _offer    { _monitor, _provider, "child" };

	Constructible<Child> _child { };

	Image_memory _image { _env, _monitor.heap };

	Constructible<Image::Chain> _chain      { };
	Constructible<Restore>      _restore_of { };

	/* the clients do something between the two parts of each other restore */
	static constexpr unsigned PREPARED_MS = 30;

	unsigned _round = 0, _refused = 0, _refused_in_a_row = 0, _received = 0, _queued = 0,
	         _unanswered = 0;
	bool     _done  = false;
	uint32_t _random = 4711;

	void _finish(auto &&... message)
	{
		if (!_done)
			log("--- offer test ", message..., " ---");
		_done = true;
	}

	/* Exit_handler */
	void exited(int) override { _finish("failed: the component exits"); }

	/* Session_policy */
	Offer *offer() override { return &_offer; }

	void _construct_child()
	{
		_child.construct(_monitor, Session::Label("child"),
		                 Child::Quota { { 6*1024*1024 }, { 400 } }, *this, 32768, *this);
	}

	bool _save()
	{
		bool const frozen = _child->freeze().convert<bool>(
			[&] (Frozen const &)      { return true; },
			[&] (Stuck const &stuck) {
				if (stuck.reason != Stuck::Reason::NO_RECORDS) {
					log("round ", _round, ": not frozen, thread '", stuck.thread, "', reason ",
					    unsigned(stuck.reason), ", slot ", Hex(stuck.slot));
					_refused_in_a_row++;
					_refused++;
				}
				return false; });

		if (!frozen)
			return false;

		Offer::Numbers const numbers = _offer.numbers();

		bool const saved = _image.save(*_child).convert<bool>(
			[&] (Ok) { return true; },
			[&] (Refused const &refused) {
				log("round ", _round, ": not saved, ", refused);
				_refused_in_a_row++;
				_refused++;
				return false; });

		if (!saved)
			_child->thaw();

		if (saved) {
			_refused_in_a_row = 0;
			_received   += numbers.received;
			_queued     += numbers.queued;
			_unanswered += numbers.pending;
		}
		return saved;
	}

	/**
	 * Let the threads that owe replies go on, although their clients will repeat the requests
	 */
	void _forget_calls()
	{
		unsigned count = 0;
		_child->pd.for_each_gate([&] (Cap_space_monitor::Gate const &) { count++; });

		Array<Native_capability> gates { _monitor.heap };

		if (!gates.reserve(count))
			return;

		count = 0;
		_child->pd.for_each_gate([&] (Cap_space_monitor::Gate const &gate) {
			gates[count++] = gate.cap; });

		_child->parent.with_offer([&] (Offer &offer, Offer_state &state) {
			for (Offer_state::Session &session : state.sessions)
				session.server = NONE;
			offer.resume(_child->pd, state, gates, _child->donated); });
	}

	/**
	 * Try to restore images that must be refused, and leave no trace
	 */
	void _try_forgeries()
	{
		size_t ram = _env.pd().used_ram().value, caps = _env.pd().used_caps().value;

		Offer::Numbers const numbers = _offer.numbers();

		bool first = !_round;

		auto refuse = [&] (Forgery const &forgery)
		{

			Altered_image image { _env, *_image._ds, _image.num_bytes };
			forgery.alter(image);
			image.seal();

			Image::Chain const chain { image.start(), image.num_bytes };

			if (!chain.valid()) {
				_finish("failed: forged image ", chain.refusal());
				return;
			}
			_construct_child();
			{
				Restore restore { *_child, chain };

				restore.restore().with_result(
					[&] (Restored const &) { _finish("failed: not refused, ", forgery.reason); },
					[&] (Refused const &refused) {
						if (refused.what != forgery.reason)
							_finish("failed: ", refused, " instead of ", forgery.reason); });
			}
			_child.destruct();
		};

		Forgery::for_each([&] (Forgery const &forgery) {

			refuse(forgery);

			/* the memory for bookkeeping is there from the first one on */
			if (!first && (ram  != _env.pd().used_ram().value || caps != _env.pd().used_caps().value))
				_finish("failed: RAM ", ram, " -> ", _env.pd().used_ram(), ", capabilities ", caps,
				        " -> ", _env.pd().used_caps(), ", ", forgery.reason);
			ram   = _env.pd().used_ram().value;
			caps  = _env.pd().used_caps().value;
			first = false;

			Offer::Numbers const now = _offer.numbers();
			if (now.clients != numbers.clients || now.dead != numbers.dead)
				_finish("failed: clients have lost their sessions, ", forgery.reason); });
	}

	void _prepare()
	{
		_chain.construct(_image.start(), _image.num_bytes);

		if (!_chain->valid()) {
			_finish("failed: image ", _chain->refusal());
			return;
		}
		_construct_child();

		_restore_of.construct(*_child, *_chain);

		(void)_restore_of->prepare();

		if (_instead == "no repetition")
			_forget_calls();

		if (!_lost)
			return;

		unsigned stand_ins = 0;
		_child->pd.signals.for_each_context([&] (Context &context) {
			stand_ins += context.stand_in(); });

		if (stand_ins)
			_finish("failed: ", stand_ins, " signal contexts for clients that are not there");
	}

	void _start_prepared()
	{
		_restore_of->start().with_result(
			[&] (Restored const &) { },
			[&] (Refused const &refused) { _finish("failed: not restored, ", refused); });

		_restore_of.destruct();
		_chain.destruct();
	}

	/**
	 * Return true once a client has a session
	 */
	bool _used()
	{
		Offer::Numbers const numbers = _offer.numbers();

		return numbers.clients > numbers.pending;
	}

	void _handle_timer()
	{
		if (_done)
			return;

		if (_restore_of.constructed()) {
			_start_prepared();
			_schedule();
			return;
		}

		if (_refused_in_a_row > MAX_REFUSED_IN_A_ROW)
			_finish("failed: checkpoints are refused");

		if (!_round && !_used()) {
			_timer.trigger_once(5*1000);
			return;
		}

		bool const back = (_instead == "older state" && _round % 2);

		if (back || _save()) {

			/* every other time, the component goes on in between */
			if (_instead == "older state" && !back)
				_child->thaw();
			else {
				_child.destruct();

				/* in another system, there is nobody who knows the clients */
				if (_instead == "other system")
					_offer.abandon();

				/* the memory of the clients is not the one of the image any more */
				if (_instead == "other memory")
					_offer.number_memory();

				if (_instead == "forged images")
					_try_forgeries();

				_prepare();
			}

			if (++_round % 50 == 0)
				log("round ", _round, ": ", _received, " requests received and not answered, ",
				    _queued, " not received, ", _unanswered, " requests for sessions, ",
				    _refused, " refused, RAM ", _env.pd().used_ram().value, ", capabilities ",
				    _env.pd().used_caps().value);
		}

		if (_restore_of.constructed() && _lost && _round % 4 < 2) {
			_timer.trigger_once(1000*PREPARED_MS);
			return;
		}

		if (_restore_of.constructed())
			_start_prepared();

		_schedule();
	}

	void _schedule()
	{
		if (_round == _rounds)
			_finish("succeeded");

		_random = _random*1103515245 + 12345;
		_timer.trigger_once(5*1000 + (_random >> 8) % (1000*_interval_ms));
	}

	Signal_handler<Main> _timer_handler { _env.ep(), *this, &Main::_handle_timer };

	Main(Env &env) : _env(env)
	{
		_construct_child();

		if (_child->start(Session_label(_binary)) != Child::Start_result::OK)
			_finish("failed: component not started");

		_timer.sigh(_timer_handler);
		_timer.trigger_once(5*1000);
	}
};


Genode::size_t Component::stack_size() { return 64*1024; }


void Component::construct(Genode::Env &env) { static Test::Main main(env); }
