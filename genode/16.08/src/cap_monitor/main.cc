/*
 * \brief  Component that starts children and reports their capability spaces
 * \date   2026-11-22
 */

/*
 * This file is distributed under the terms of the GNU General Public License
 * version 2.
 */

/* Genode includes */
#include <base/attached_rom_dataspace.h>
#include <base/component.h>
#include <base/heap.h>
#include <base/log.h>
#include <base/snprintf.h>
#include <cap_space_monitor/child.h>
#include <os/reporter.h>
#include <timer_session/connection.h>
#include <util/list.h>

namespace Cap_monitor {

	using namespace Cap_space_monitor;

	struct Started_child;
	struct Main;
}


/**
 * Child according to a 'start' node of the configuration
 */
struct Cap_monitor::Started_child : List<Started_child>::Element
{
	typedef String<64> Name;

	Name const _name, _binary;

	Monitored_child child;

	/**
	 * Null-terminated copy of the child's configuration, if there is any
	 */
	struct Config_text : Noncopyable
	{
		Allocator   &_alloc;
		size_t const _size;
		char * const _text;

		static size_t _size_of(Xml_node start)
		{
			return start.has_sub_node("config")
			     ? start.sub_node("config").size() + 1 : 0;
		}

		Config_text(Allocator &alloc, Xml_node start)
		:
			_alloc(alloc), _size(_size_of(start)),
			_text(_size ? (char *)alloc.alloc(_size) : nullptr)
		{
			if (_text)
				strncpy(_text, start.sub_node("config").addr(), _size);
		}

		~Config_text() { if (_text) _alloc.free(_text, _size); }
	};

	static Name _binary_name(Xml_node start, Name const &name)
	{
		return start.has_sub_node("binary")
		     ? start.sub_node("binary").attribute_value("name", name) : name;
	}

	static size_t _ram_quantum(Xml_node start)
	{
		Number_of_bytes quantum(0);

		start.for_each_sub_node("resource", [&] (Xml_node resource) {
			if (resource.attribute_value("name", String<8>()) == "RAM")
				quantum = resource.attribute_value("quantum", quantum); });

		return quantum;
	}

	Monitored_child::Attr _attr(Xml_node start, Config_text const &config) const
	{
		Monitored_child::Attr attr;
		attr.label  = _name.string();
		attr.binary = _binary.string();
		attr.config = config._text;
		attr.ram    = _ram_quantum(start);
		return attr;
	}

	Started_child(Allocator &alloc, Xml_node start)
	:
		_name(start.attribute_value("name", Name())),
		_binary(_binary_name(start, _name)),
		child(_attr(start, Config_text(alloc, start)))
	{ }
};


struct Cap_monitor::Main
{
	Env &_env;

	Attached_rom_dataspace _config { _env, "config" };

	Heap _heap { _env.ram(), _env.rm() };

	Timer::Connection _timer { _env };

	List<Started_child> _children;

	Reporter _reporter;

	Snapshot_with_memory<> _snapshot;

	uint64_t _reported_state = ~0ULL;

	unsigned long _period_us = 0;

	template <typename FN>
	void _for_each_child(FN const &fn)
	{
		for (Started_child *c = _children.first(); c; c = c->next())
			fn(c->child);
	}

	/**
	 * Return number that changes whenever the content of the report changes
	 */
	uint64_t _curr_state()
	{
		uint64_t sum = 0;

		_for_each_child([&] (Monitored_child &child) {
			Stamp stamp { };
			Status const status = child.pd.cap_space.stamp(stamp);
			sum += Cap_map::ok(status) ? stamp.sequence + (stamp.generation << 32)
			                           : uint64_t(status) << 48; });

		return sum;
	}

	void _gen_cap_space(Xml_generator &xml, Monitored_child &child)
	{
		xml.attribute("name", child.name);

		Cap_space &cap_space = child.pd.cap_space;

		Status const status = cap_space.take(_snapshot);

		if (!Cap_map::ok(status)) {
			xml.attribute("state", Cap_map::message(status));
			return;
		}

		xml.attribute("generation", _snapshot.stamp().generation);
		xml.attribute("consistent", _snapshot.consistent());

		_snapshot.for_each([&] (unsigned slot, unsigned badge) {
			/* 'Hex' prints its prefix beyond the terminating null into a 'String' */
			char hex[32];
			snprintf(hex, sizeof(hex), "0x%lx", selector(slot));

			xml.node("cap", [&] {
				xml.attribute("slot",      slot);
				xml.attribute("selector",  (char const *)hex);
				xml.attribute("badge",     badge);
				xml.attribute("confirmed", cap_space.confirmed(slot, badge)); }); });
	}

	void _report()
	{
		/* determine state first to not miss any change */
		_reported_state = _curr_state();

		try {
			Reporter::Xml_generator xml(_reporter, [&] {
				_for_each_child([&] (Monitored_child &child) {
					xml.node("cap_space", [&] { _gen_cap_space(xml, child); }); }); });
		}
		catch (Xml_generator::Buffer_exceeded) {
			error("report exceeds the size of the buffer"); }
	}

	void _handle_timer()
	{
		if (_curr_state() != _reported_state)
			_report();

		_timer.trigger_once(_period_us);
	}

	Signal_handler<Main> _timer_handler {
		_env.ep(), *this, &Main::_handle_timer };

	/**
	 * Apply configuration
	 *
	 * A report is generated for each update. So a report can be requested by
	 * changing the configuration in any way.
	 */
	void _handle_config()
	{
		_config.update();

		_period_us = 1000*max(10UL, _config.xml().attribute_value("period_ms", 1000UL));

		_report();

		_timer.trigger_once(_period_us);
	}

	Signal_handler<Main> _config_handler {
		_env.ep(), *this, &Main::_handle_config };

	static size_t _buffer_size(Xml_node config)
	{
		return config.attribute_value("buffer", Number_of_bytes(64*1024));
	}

	Main(Env &env)
	: _env(env), _reporter("cap_spaces", "cap_spaces", _buffer_size(_config.xml()))
	{
		_config.sigh(_config_handler);
		_timer.sigh(_timer_handler);

		_reporter.enabled(true);

		_config.xml().for_each_sub_node("start", [&] (Xml_node start) {
			_children.insert(new (_heap) Started_child(_heap, start)); });

		_handle_config();
	}
};


Genode::size_t Component::stack_size() { return 16*1024*sizeof(long); }

void Component::construct(Genode::Env &env) { static Cap_monitor::Main main(env); }
