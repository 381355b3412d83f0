/*
 * \brief  Let 'checkpoint' refuse images and start nodes
 * \date   2026-11-30
 *
 * The image of a child is altered in many ways. For each of them, 'checkpoint' is
 * told to start a second child from it. It must say what is wrong, use the same
 * resources as before, and let the first child go on.
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
#include <unit_cases.h>

namespace Test { struct Main; }


struct Test::Main
{
	using Name = String<64>;
	using Text = String<256>;
	using Path = Directory::Path;

	Env &_env;

	Heap _heap { _env.ram(), _env.rm() };

	Attached_rom_dataspace _config { _env, "config" }, _state { _env, "state" };

	Root_directory _root = _config.node().with_sub_node("vfs",
		[&] (Node const &node) -> Root_directory { return { _env, _heap, node }; },
		[&] ()                 -> Root_directory { return { _env, _heap, Node() }; });

	Expanding_reporter _reporter { _env, "config", "config" };

	Constructible<Attached_ram_dataspace> _image { };

	size_t _image_bytes = 0;

	/* the image is one of several components */
	bool const _unit = _config.node().attribute_value("unit", false);

	/* behind the first case, images are cut where each section begins, then come the other cases */
	unsigned const _num_cuts = _unit ? 0 : Altered_image::NUM_SECTIONS;

	unsigned _case = 0, _num_cases = 0, _mistakes = 0;
	bool     _provided = false;

	bool _cut()  const { return _case && _case <= _num_cuts; }
	bool _last() const { return _case + 1 == _num_cases; }


	/* checkpoints of the first child by which it should have all that it gets */
	unsigned _enough = 3;

	enum class Step { SAVE, REST, CASES, END } _step { Step::SAVE };

	uint64_t _refused = 0, _restored = 0, _ram = 0, _caps = 0;

	void _mistake(auto &&... message)
	{
		error("mistake: ", message...);
		_mistakes++;
	}

	void _with_case(auto const &fn)
	{
		unsigned i = 0;

		auto look_at = [&] (Case const &c)
		{
			if (i == _case)
				fn(c);
			i += i ? 1 : 1 + _num_cuts;
		};

		if (_unit) for_each_unit_case(look_at);
		else       for_each_case(look_at);

		_num_cases = i;
	}

	/**
	 * Generate what the first child and the altered one have in common
	 */
	void _gen_program(Generator &g) const
	{
		g.attribute("caps", _unit ? "900" : "400");

		g.node("binary", [&] {
			g.attribute("name", _unit ? "init" : "test-checkpoint-still"); });

		if (!_unit)
			return;

		_config.node().with_optional_sub_node("init", [&] (Node const &init) {
			g.node("config", [&] {
				if (!g.append_node_content(init, Generator::Max_depth { 8 }))
					error("configuration of init is too deep"); }); });
	}

	/**
	 * Report configuration of 'checkpoint'
	 */
	void _configure(bool save, auto const &second_child_fn)
	{
		_reporter.generate([&] (Generator &g) {

			g.node("report");
			g.node("vfs", [&] { g.node("fs"); });
			g.node("default-route", [&] { g.node("any-service", [&] { g.node("parent"); }); });

			g.node("start", [&] {
				g.attribute("name", "good");
				g.attribute("ram",  _unit ? "10M" : "4M");
				_gen_program(g);
				g.node("checkpoint", [&] {
					g.attribute("image", "/images/good");

					/* copies come and go */
					g.attribute("copies", 0U);
					if (save)
						g.attribute("interval_ms", 200U); }); });

			second_child_fn(g); });
	}

	void _start_second(Generator &g, Name const &name, Case const &c)
	{
		g.node("start", [&] {
			g.attribute("name",    "victim");
			g.attribute("ram",     _unit ? 10*1024*1024 : c.ram);
			g.attribute("version", name);
			_gen_program(g);
			if (c.provides)
				g.node("provides", [&] {
					g.node("service", [&] { g.attribute("name", "Count"); }); });
			g.node("checkpoint", [&] {
				g.attribute("image",   c.image);
				if (c.size)
					g.attribute("size", c.size);
				g.attribute("restore", c.restore); }); });
	}

	void _load_image(Path const &path)
	{
		_image_bytes = size_t(_root.file_size(path));
		_image.construct(_env.ram(), _env.rm(), _image_bytes);

		Readonly_file const file { _root, path };
		if (file.read(Byte_range_ptr(_image->local_addr<char>(), _image_bytes)) != _image_bytes)
			_mistake("image cannot be read");
	}

	/**
	 * Make the image of the next case, and let it be used
	 */
	void _begin_case()
	{
		Altered_image image { _env, *_image, _image_bytes };

		if (_cut()) {

			Image::Section const section = image.section(_case - 1);

			image.num_bytes = image.offset(section);
			image.store(_root, "/images/victim.0");

			Name const name("cut in front of ", Image::SECTION_NAMES[section]);
			_configure(false, [&] (Generator &g) { _start_second(g, name, Case { }); });
			return;
		}

		_with_case([&] (Case const &c) {

			if (c.alter) {
				c.alter(image);
				if (c.sealed)
					image.seal();
			}
			image.store(_root, "/images/victim.0");

			if (c.older)
				Altered_image { _env, *_image, _image_bytes }.store(_root, "/images/victim.1");
			else if (_root.file_exists("/images/victim.1"))
				_root.unlink("/images/victim.1");

			_configure(false, [&] (Generator &g) { _start_second(g, c.name, c); }); });
	}

	static bool _contains(Text const &text, char const *part)
	{
		for (char const *s = text.string(); *s; s++)
			if (!strcmp(s, part, strlen(part)))
				return true;

		return false;
	}

	/**
	 * Evaluate what 'checkpoint' says about the second child
	 */
	void _check_refusal(Text const &reason)
	{
		if (_cut()) {
			log("cut: ", reason);
			if (!_contains(reason, "the file has not the length that its header says")
			 && !_contains(reason, "the file ends within its header"))
				_mistake("unexpected reason");
		}

		_with_case([&] (Case const &c) {
			log(c.name, ": ", reason);
			if (!c.reason || !_contains(reason, c.reason))
				_mistake("expected: ", c.reason ? c.reason : "no refusal"); });
	}

	/**
	 * Compare what 'checkpoint' uses, which keeps something after the first case, and the first refusal
	 */
	void _check_resources(Node const &state)
	{
		/* the heap keeps RAM that several components have taken, in blocks that depend on their order */
		uint64_t const ram  = state.attribute_value(_unit ? "heap_used" : "ram_used", uint64_t(0)),
		               caps = state.attribute_value("caps_used", uint64_t(0));

		/* the services of a child stay, too */
		bool provides = false;
		_with_case([&] (Case const &c) { provides = c.provides && !_provided; });
		_provided |= provides;

		if (_case < 3 || provides) {
			_ram = ram, _caps = caps;
			return;
		}
		if (ram != _ram || caps != _caps)
			_mistake("in use: RAM ", _ram, " -> ", ram, ", capabilities ", _caps, " -> ", caps);

		_ram = ram, _caps = caps;
	}

	void _finish()
	{
		_step = Step::END;
		log("in use at last: RAM ", _ram, ", capabilities ", _caps);
		log("--- refused test ", _mistakes ? "failed" : "succeeded", " after ", _case, " cases ---");
	}

	void _handle_second(Node const &state, Node const &child)
	{
		bool const running = child.attribute_value("state", Name()) == "running";

		uint64_t refused = 0;
		Text     reason  { };

		child.with_optional_sub_node("refused", [&] (Node const &node) {
			refused = node.attribute_value("count",  uint64_t(0));
			reason  = node.attribute_value("reason", Text()); });

		uint64_t restored = 0;
		child.with_optional_sub_node("restored", [&] (Node const &node) {
			restored = node.attribute_value("count", uint64_t(0)); });

		/* a report that is on its way may be the one of the former case */
		bool const fresh = running ? restored > _restored : refused > _refused;

		if (!fresh)
			return;

		bool expect_reason = true;
		_with_case([&] (Case const &c) {
			expect_reason = c.reason;
			if (running != c.restored)
				_mistake(c.name, running ? " is not refused" : " is not restored"); });

		if (expect_reason && refused == _refused)
			_mistake("nothing is said");
		else if (expect_reason)
			_check_refusal(reason);

		if (_last()) {
			_finish();
			return;
		}

		if (!running)
			_check_resources(state);

		_refused  = refused;
		_restored = restored;
		_case++;
		_begin_case();
	}

	void _handle_state()
	{
		_state.update();

		Node const state = _state.node();

		state.for_each_sub_node("child", [&] (Node const &child) {

			bool const good = child.attribute_value("name", Name()) == "good";

			if (good && _step != Step::SAVE && child.attribute_value("state", Name()) != "running")
				_mistake("the first child does not go on");

			unsigned const checkpoints = child.attribute_value("checkpoints", 0U);

			if (good && _step == Step::SAVE && checkpoints >= _enough) {
				_step = Step::REST;
				_configure(false, [] (Generator &) { });

			} else if (good && _step == Step::REST && !child.has_sub_node("write")
			        && state.attribute_value("vfs", Name()) == "idle") {
				_load_image("/images/good.0");

				Altered_image const image { _env, *_image, _image_bytes };

				if (_unit ? has_whole_members(image) : has_fault_and_frame(image)) {
					_step = Step::CASES;
					_begin_case();
				} else {
					_step   = Step::SAVE;
					_enough = checkpoints + 2;
					_configure(true, [] (Generator &) { });
				}

			} else if (!good && _step == Step::CASES) {
				_handle_second(state, child);
			} });
	}

	Signal_handler<Main> _state_handler { _env.ep(), *this, &Main::_handle_state };

	Main(Env &env) : _env(env)
	{
		_configure(true, [] (Generator &) { });
		_state.sigh(_state_handler);
		_handle_state();
	}
};


void Component::construct(Genode::Env &env) { static Test::Main main(env); }
