/*
 * \brief  Let 'checkpoint' restore a child from chains that are torn
 * \date   2026-12-01
 *
 * A child is saved until there is a chain of an image and some increments. The chain is
 * torn in many ways. For each of them, 'checkpoint' is told to start a second child
 * from it, from two files and from a range of a file. This must go on from the last container
 * that is intact, with the memory of that instant, as the child finds out itself.
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

/* Genode includes */
#include <base/attached_rom_dataspace.h>
#include <base/component.h>
#include <base/heap.h>
#include <base/log.h>
#include <os/reporter.h>

/* local includes */
#include <cases.h>

namespace Test { struct Main; }


struct Test::Main
{
	using Name = String<80>;
	using Text = String<256>;

	/* of the range that the images are in */
	static constexpr size_t PLACE_SIZE = 16*1024*1024, MAX_CHAIN = 6*1024*1024;

	Env &_env;

	Heap _heap { _env.ram(), _env.rm() };

	Attached_rom_dataspace _config { _env, "config" }, _state { _env, "state" };

	Root_directory _root = _config.node().with_sub_node("vfs",
		[&] (Node const &node) -> Root_directory { return { _env, _heap, node }; },
		[&] ()                 -> Root_directory { return { _env, _heap, Node() }; });

	Expanding_reporter _reporter { _env, "config", "config" };

	Chain_file _chain { _env, MAX_CHAIN };

	enum class Step { SAVE, REST, CASES, END } _step { Step::SAVE };

	/* each case comes twice, with and without a range */
	unsigned _case = 0, _mistakes = 0;

	uint64_t _refused = 0, _restored = 0;

	unsigned _number() const { return _case/2; }
	bool     _range()  const { return _case % 2; }

	void _mistake(auto &&... message)
	{
		error("mistake: ", message...);
		_mistakes++;
	}

	void _start_node(Generator &g, Name const &name, auto const &checkpoint_fn)
	{
		g.node("start", [&] {
			g.attribute("name",     name);
			g.attribute("ram",      "4M");
			g.attribute("caps",     "300");
			g.attribute("priority", "-1");
			g.attribute("version",  _case);
			g.node("binary", [&] { g.attribute("name", "test-checkpoint-gaps"); });
			g.node("checkpoint", [&] { checkpoint_fn(); });
			g.node("config", [&] {
				g.attribute("memory",  "1M");
				g.attribute("written", "128K"); }); });
	}

	/**
	 * Report configuration of 'checkpoint', with one child
	 */
	void _configure(Name const &name, auto const &checkpoint_fn)
	{
		_reporter.generate([&] (Generator &g) {
			g.attribute("prio_levels", 2U);
			g.node("report");
			g.node("vfs", [&] { g.node("fs"); });
			g.node("default-route", [&] { g.node("any-service", [&] { g.node("parent"); }); });
			_start_node(g, name, [&] { checkpoint_fn(g); }); });
	}

	void _save(unsigned interval_ms)
	{
		_configure("saved", [&] (Generator &g) {
			g.attribute("image", "/saved");
			g.attribute("size",  PLACE_SIZE);
			if (interval_ms)
				g.attribute("interval_ms", interval_ms); });
	}

	/**
	 * Store the chain of the next case, and let it be used
	 */
	void _begin_case()
	{
		_chain.restore();
		Case::with(_number(), [&] (Case const &c) { c.tear(_chain); });

		/* of the case before */
		if (_root.file_exists("/files.1"))
			_root.unlink("/files.1");

		if (!_chain.store(_root, _range() ? "/range" : "/files.0"))
			_mistake("chain cannot be stored");

		_configure("victim", [&] (Generator &g) {
			g.attribute("image", _range() ? "/range" : "/files");
			if (_range())
				g.attribute("size", PLACE_SIZE);
			g.attribute("restore", "only");
			g.attribute("copies",  0U);

			/* by then, the child has had time to look at its memory */
			g.attribute("interval_ms", 700U);
			g.attribute("then", "stop"); });
	}

	static bool _contains(Text const &text, char const *part)
	{
		for (char const *s = text.string(); *s; s++)
			if (!strcmp(s, part, strlen(part)))
				return true;

		return false;
	}

	static uint64_t _value(Node const &child, char const *type, char const *attribute)
	{
		uint64_t result = 0;
		child.with_optional_sub_node(type, [&] (Node const &node) {
			result = node.attribute_value(attribute, uint64_t(0)); });
		return result;
	}

	void _check(Case const &c, Node const &child)
	{
		uint64_t const refused  = _value(child, "refused",  "count") - _refused,
		               restored = _value(child, "restored", "count") - _restored,
		               number   = _value(child, "restored", "number");

		Text reason { };
		child.with_optional_sub_node("refused", [&] (Node const &node) {
			reason = node.attribute_value("reason", Text()); });

		log(c.name, _range() ? ", range: " : ", file: ",
		    restored ? "restored from " : "not restored, ", restored ? number : 0,
		    refused ? ", " : "", refused ? reason : Text());

		if (c.container < 0) {
			if (restored)
				_mistake("restored from a damaged image");

		} else if (!restored || number != _chain.container(unsigned(c.container)).number) {
			_mistake("not restored from ", _chain.container(unsigned(c.container)).number);
		}

		if (!c.reason && refused)
			_mistake("refused: ", reason);

		if (c.reason && (!refused || !_contains(reason, c.reason)))
			_mistake("not said: ", c.reason);
	}

	void _handle_victim(Node const &child)
	{
		Name const state = child.attribute_value("state", Name());

		bool const failed  = state == "failed"  && _value(child, "refused",  "count") > _refused,
		           stopped = state == "stopped" && _value(child, "restored", "count") > _restored;

		if (!failed && !stopped)
			return;

		Case::with(_number(), [&] (Case const &c) { _check(c, child); });

		_refused  = _value(child, "refused",  "count");
		_restored = _value(child, "restored", "count");

		if (++_case < 2*Case::count()) {
			_begin_case();
			return;
		}
		_step = Step::END;
		log("--- chain test ", _mistakes ? "failed" : "succeeded", " after ", _case, " cases ---");
	}

	void _handle_saved(Node const &state, Node const &child)
	{
		bool const idle = state.attribute_value("vfs", Name()) == "idle"
		               && !child.has_sub_node("write");

		if (_step == Step::SAVE && _value(child, "image", "position") >= Chain_file::LENGTH - 1) {
			_step = Step::REST;
			_save(0);
			return;
		}

		if (_step != Step::REST || !idle)
			return;

		/* a new chain may have begun meanwhile, but the former one is still there */
		if (!_chain.read(_root, "/saved", PLACE_SIZE)) {
			_mistake("there is no chain of ", unsigned(Chain_file::LENGTH), " containers");
			_step = Step::END;
			return;
		}
		_step = Step::CASES;
		_begin_case();
	}

	void _handle_state()
	{
		_state.update();

		Node const state = _state.node();

		state.for_each_sub_node("child", [&] (Node const &child) {

			bool const saved = child.attribute_value("name", Name()) == "saved";

			if (saved)
				_handle_saved(state, child);
			else if (_step == Step::CASES)
				_handle_victim(child); });
	}

	Signal_handler<Main> _state_handler { _env.ep(), *this, &Main::_handle_state };

	Main(Env &env) : _env(env)
	{
		_save(150);
		_state.sigh(_state_handler);
		_handle_state();
	}
};


Genode::size_t Component::stack_size() { return 64*1024; }


void Component::construct(Genode::Env &env) { static Test::Main main(env); }
