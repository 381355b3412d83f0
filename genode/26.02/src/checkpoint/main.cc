/*
 * \brief  Runtime whose children are saved and restored
 * \date   2026-11-30
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

/* Genode includes */
#include <base/component.h>
#include <os/reporter.h>
#include <timer_session/connection.h>

/* local includes */
#include <managed_child.h>
#include <session_env.h>

namespace Checkpoint {

	struct Main;
	struct Start;
}


struct Checkpoint::Main : Common
{
	/* how often the progress of a running operation is reported */
	static constexpr uint64_t PROGRESS_US = 250*1000;

	Session_env _env;

	Heap _heap { _env.ram(), _env.rm() };

	Timer::Connection _timer { _env };

	Cap_checkpoint::Monitor _monitor { _env, _timer };

	Attached_rom_dataspace _config { _env, "config" };

	Constructible<Attached_rom_dataspace> _requests { };

	Constructible<Expanding_reporter> _reporter { };

	bool _report_progress = false, _report_outdated = true;

	Image_store::State _reported_vfs = Image_store::State::FAILED;

	List<Managed_child> _children { };

	/* child that the store works for */
	Managed_child *_store_user = nullptr;

	/* children take turns to use the store */
	Name _latest_store_user { };

	/*
	 * Noncopyable
	 */
	Main(Main const &);
	Main &operator = (Main const &);

	void _for_each_child(auto const &fn)
	{
		Managed_child *next = nullptr;
		for (Managed_child *child = _children.first(); child; child = next) {
			next = child->next();
			fn(*child);
		}
	}


	/*******************
	 ** Configuration **
	 *******************/

	Managed_child &_child_of_start_node(Start_node const &values)
	{
		Managed_child *result = nullptr, *last = nullptr;

		_for_each_child([&] (Managed_child &child) {
			last = &child;
			if (child.name() == values.name)
				result = &child; });

		if (!result) {
			result = new (_heap) Managed_child(*this, values);
			_children.insert(result, last);
		}
		return *result;
	}

	void _apply_start_node(Node const &start, Node const &default_route, Defaults const &defaults)
	{
		Start_node const values = Start_node::from_node(start, defaults);

		if (values.name.length() <= 1) {
			warning("start node without a name");
			return;
		}

		Managed_child &child = _child_of_start_node(values);

		if (child.mentioned) {
			warning("child \"", values.name, "\" is configured twice");
			return;
		}
		child.mentioned = true;

		start.with_sub_node("route",
			[&] (Node const &route) { child.update(values, start, route); },
			[&]                     { child.update(values, start, default_route); });
	}

	/**
	 * Find the children that have a prior right to a place
	 *
	 * Those that exist already have the right to it, then those that come first.
	 */
	void for_each_prior_user(Managed_child const &child, Place const &place,
	                         With_child::Ft const &fn) const override
	{
		bool before = true;

		for (Managed_child const *other = _children.first(); other; other = other->next()) {

			if (other == &child)
				before = false;
			else if (other->uses(place) && (other->active() || (before && !child.active())))
				fn(*other);
		}
	}

	bool reclaim_ram() override
	{
		bool any = store.constructed() && store->trim();
		_for_each_child([&] (Managed_child &child) { any |= child.give_way(); });
		return any;
	}

	/**
	 * Use a session, without which the children are served nevertheless
	 */
	static bool _if_available(char const *session, auto const &fn)
	{
		try { fn(); return true; }
		catch (...) { error(session, " is not available"); }
		return false;
	}

	void _apply_report(Node const &config)
	{
		bool enabled = false;

		config.with_optional_sub_node("report", [&] (Node const &report) {
			enabled          = true;
			_report_progress = report.attribute_value("progress", false); });

		if (enabled != _reporter.constructed()) {
			_reporter.destruct();
			if (enabled)
				_if_available("report", [&] { _reporter.construct(_env, "state", "state"); });
			_report_outdated = true;
		}
	}

	void _handle_config()
	{
		_config.update();

		Node const config = _config.node();

		_apply_report(config);

		if (config.attribute_value("requests", false) != _requests.constructed()) {
			if (_requests.constructed())
				_requests.destruct();
			else
				_if_available("ROM module of requests", [&] {
					_requests.construct(_env, "requests");
					_requests->sigh(_requests_handler); });
		}

		/* evaluated once */
		if (!store.constructed())
			config.with_optional_sub_node("vfs", [&] (Node const &vfs) {
				try {
					store.construct(_env, _monitor.ram, _monitor.local_rm, vfs, _store_handler); }
				catch (...) {
					error("not enough RAM or capabilities for file systems"); } });

		Defaults const defaults = Defaults::from_config(config);

		_for_each_child([&] (Managed_child &child) { child.mentioned = false; });

		auto apply = [&] (Node const &default_route)
		{
			config.for_each_sub_node("start", [&] (Node const &start) {
				_apply_start_node(start, default_route, defaults); });
		};

		config.with_sub_node("default-route",
			[&] (Node const &node) { apply(node); },
			[&]                    { apply(Node()); });

		_for_each_child([&] (Managed_child &child) {
			if (!child.mentioned)
				child.abandon(); });

		_apply_requests(false);
		_handle_work();
	}

	Signal_handler<Main> _config_handler { _env.ep(), *this, &Main::_handle_config };

	/**
	 * Follow the requests of the ROM module
	 *
	 * \param tell  complain about names of no child
	 */
	void _apply_requests(bool tell)
	{
		if (!_requests.constructed())
			return;

		_requests->update();

		_requests->node().for_each_sub_node([&] (Node const &node) {

			Name    const name    = Start_node::name_of(node);
			Version const version = node.attribute_value("version", Version());

			bool found = false;

			_for_each_child([&] (Managed_child &child) {

				if (child.name() != name)
					return;

				found = true;
				if (node.has_type("checkpoint")) child.request_checkpoint(version);
				if (node.has_type("restore"))    child.request_restore(version);
				if (node.has_type("move"))
					child.request_move(version, child.is_side(node.attribute_value("to", Name())),
					                   node.attribute_value("ahead", true)); });

			if (tell && !found)
				warning("request for a child that is not there: \"",
				        Cap_checkpoint::Printable(name), "\""); });
	}

	void _handle_requests()
	{
		_apply_requests(true);
		_handle_work();
	}

	Signal_handler<Main> _requests_handler { _env.ep(), *this, &Main::_handle_requests };


	/**********
	 ** Work **
	 **********/

	void _handle_work()
	{
		using State = Image_store::State;

		if (store.constructed() && store->state() == State::DONE && _store_user) {
			_store_user->finish_job();
			_store_user = nullptr;
		}

		/* a child may give up its image */
		auto forget_user = [&] {
			if (_store_user && !_store_user->busy())
				_store_user = nullptr; };

		forget_user();

		auto work = [&] (Managed_child &child)
		{
			child.work();
			forget_user();

			if (child.busy() && !_store_user) {
				_store_user        = &child;
				_latest_store_user = child.name();
			}
		};

		/* begin behind the child that has used the store */
		Managed_child *latest = nullptr;
		_for_each_child([&] (Managed_child &child) {
			if (child.name() == _latest_store_user)
				latest = &child; });

		for (Managed_child *child = latest ? latest->next() : nullptr; child; child = child->next())
			work(*child);

		for (Managed_child *child = _children.first(); child; child = child->next()) {
			work(*child);
			if (child == latest)
				break;
		}

		_remove_obsolete();
		_report();
		_schedule();
	}

	void _remove_obsolete()
	{
		bool removed = false;

		_for_each_child([&] (Managed_child &child) {
			if (!child.obsolete())
				return;

			_children.remove(&child);
			destroy(_heap, &child);
			removed = true; });

		/* somebody may wait for the place of the images */
		if (removed) {
			_report_outdated = true;
			schedule_work();
		}
	}

	Signal_handler<Main> _work_handler  { _env.ep(), *this, &Main::_handle_work };
	Signal_handler<Main> _store_handler { _env.ep(), *this, &Main::_handle_work };

	void schedule_work() override { _work_handler.local_submit(); }


	/**********
	 ** Time **
	 **********/

	/* children must not be destructed while a time-out is being handled */
	void _handle_timeout(Duration) { schedule_work(); }

	Timer::One_shot_timeout<Main> _timeout { _timer, *this, &Main::_handle_timeout };

	void _schedule()
	{
		uint64_t const now = now_us();

		uint64_t deadline = ~0ULL;

		_for_each_child([&] (Managed_child &child) {
			deadline = min(deadline, child.deadline_us()); });

		if (_store_user && _reporter.constructed() && _report_progress)
			deadline = min(deadline, now + PROGRESS_US);

		if (deadline == ~0ULL)
			_timeout.discard();
		else
			_timeout.schedule(Microseconds { max(deadline, now + 1000) - now });
	}


	/************
	 ** Report **
	 ************/

	static char const *_vfs_state(Image_store::State state)
	{
		switch (state) {
		case Image_store::State::STARTING: return "starting";
		case Image_store::State::FAILED:   return "failed";
		case Image_store::State::IDLE:     return "idle";
		case Image_store::State::RESERVED:
		case Image_store::State::BUSY:
		case Image_store::State::DONE:     return "busy";
		}
		return "unknown";
	}

	void _report()
	{
		Image_store::State const vfs = !store.constructed() ? Image_store::State::FAILED
		                             : _store_user && _store_user->looks()
		                                                    ? Image_store::State::IDLE
		                                                    : store->state();

		bool outdated = _report_outdated || (_store_user && _report_progress)
		             || vfs != _reported_vfs;

		_for_each_child([&] (Managed_child &child) { outdated |= child.changed(); });

		_report_outdated = false;
		_reported_vfs    = vfs;

		if (!_reporter.constructed() || !outdated)
			return;

		auto generate = [&] (Generator &g)
		{
			if (store.constructed())
				g.attribute("vfs", _vfs_state(vfs));

			g.attribute("ram_used",  _env.pd().used_ram().value);
			g.attribute("caps_used", _env.pd().used_caps().value);
			g.attribute("heap_used", _monitor.heap.consumed());

			_for_each_child([&] (Managed_child &child) { child.generate(g); });
		};

		/* its buffer is a session that may have to be opened anew */
		if (!_if_available("report", [&] { _reporter->generate(generate); }))
			_reporter.destruct();
	}

	Main(Env &env) : Common(env, _heap, _timer, _monitor), _env(env)
	{
		_config.sigh(_config_handler);
		_handle_config();
	}
};


/**
 * Begins once the component is constructed
 *
 * Behind 'Component::construct', the dynamic linker closes a session by means of the
 * component's environment. If the environment was waiting for the server of a file system by then,
 * the entrypoint would never handle a signal.
 */
struct Checkpoint::Start
{
	Env &_env;

	Constructible<Main> _main { };

	void _handle() { _main.construct(_env); }

	Signal_handler<Start> _handler { _env.ep(), *this, &Start::_handle };

	Start(Env &env) : _env(env) { _handler.local_submit(); }
};


Genode::size_t Component::stack_size() { return 96*1024; }


void Component::construct(Genode::Env &env) { static Checkpoint::Start start(env); }
