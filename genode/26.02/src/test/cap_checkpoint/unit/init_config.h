/*
 * \brief  Configurations of an init that follow each other
 * \date   2026-12-01
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _INIT_CONFIG_H_
#define _INIT_CONFIG_H_

/* Genode includes */
#include <base/attached_dataspace.h>
#include <base/attached_rom_dataspace.h>
#include <cap_checkpoint/sessions.h>
#include <report_session/connection.h>

namespace Test {

	using namespace Cap_checkpoint;

	struct Reported;
	struct Init_config;
	struct Init_policy;
}


/**
 * ROM module that is reported
 */
struct Test::Reported
{
	static constexpr size_t BUFFER_SIZE = 16*1024;

	Report::Connection _report;
	Attached_dataspace _buffer;

	Reported(Env &env, char const *name)
	: _report(env, name, BUFFER_SIZE), _buffer(env.rm(), _report.dataspace()) { }

	void apply(char const *text)
	{
		size_t const length = min(strlen(text), BUFFER_SIZE);

		memcpy(_buffer.local_addr<char>(), text, length);
		_report.submit(length);
	}
};


/**
 * Configuration, and what a child of the component has to be told of
 */
struct Test::Init_config
{
	Env &_env;

	Reported _config { _env, "unit_config" }, _news { _env, "unit_news" };

	Init_config(Env &env) : _env(env) { news(0); }

	/**
	 * Let the content be the one of a module of the boot
	 */
	void apply(unsigned number)
	{
		Attached_rom_dataspace const rom { _env, String<32>("unit_", number, ".config").string() };

		_config.apply(rom.local_addr<char const>());
	}

	void news(unsigned number)
	{
		_news.apply(String<64>("news | number: ", number, "\n-\n").string());
	}
};


/**
 * Policy for an init that has such a configuration, and reports its state
 */
struct Test::Init_policy : Session_policy
{
	/* children that tell when they have begun to work, and how many have */
	static constexpr unsigned NUM_WORKING = 2;

	unsigned working = 0;

	bool permitted(Open_session::Service const &service, Session_label const &label) override
	{
		working += (service == "LOG" && label.last_element() == "working");
		return true;
	}

	Rom rom(Session_label const &label) override
	{
		Session_label const name = label.last_element();

		return { name == "config" ? Session_label("unit_config") : name };
	}

	Session_label label(Open_session::Service const &service, Session_label const &label) override
	{
		return service == "Report" ? Session_label("unit_state") : label;
	}
};

#endif /* _INIT_CONFIG_H_ */
