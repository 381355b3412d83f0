/*
 * \brief  Configuration of the checkpoint test
 * \date   2026-11-30
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _OPTIONS_H_
#define _OPTIONS_H_

/* Genode includes */
#include <base/node.h>
#include <base/session_label.h>
#include <cap_checkpoint/sessions.h>

namespace Test {

	using namespace Genode;

	struct Options;
	struct Config_policy;
}


struct Test::Options
{
	using Binary = String<64>;
	using Name   = String<32>;

	Node const &_config;  /* used during construction only */

	template <typename T>
	T _value(char const *attribute, T default_value) const
	{
		return _config.attribute_value(attribute, default_value);
	}

	Binary   const binary     = _value("binary", Binary());
	unsigned const num_rounds = _value("rounds", 100u);

	/* number of components that follow each other and share the rounds */
	unsigned const lives = max(1u, _value("lives", 2u));

	/* time without any component between two of them */
	unsigned const rest_ms = _value("rest_ms", 0u);

	/* the component exits without being told, or never, and is killed */
	bool const ends_itself = _value("ends_itself", false),
	           killed      = _value("killed",      false);

	/* limit of the random time that the component executes between checkpoints */
	unsigned const max_interval_ms = _value("interval_ms", 40u);

	/* time in front of that which is not random */
	unsigned const min_interval_ms = _value("min_interval_ms", 3u);

	/* the component is saved as soon as it has a table */
	bool const early = _value("early", false);

	/* 0 is that of the monitor */
	long const priority = _value("priority", 0L);

	Num_bytes const ram = _value("child_ram", Num_bytes(8*1024*1024));

	/* the component goes on after a checkpoint instead of being killed */
	bool const thaw = _value("thaw", false);

	/* the component stays frozen for a while before it is killed, while the servers go on */
	bool const linger = _value("linger", false);

	/* signals that are pending in each checkpoint, and the component counts */
	unsigned const submit = _value("submit", 0u);

	/* a signal arrives while a thread is let out of a page fault, and the component counts */
	bool const signal_faults = _value("signal_faults", false);

	/* mistakes that a monitor must not make, and the component has to notice */
	bool const ignore_windows = _value("ignore_windows", false),
	           drop_signals   = _value("drop_signals",   false),
	           guess_faults   = _value("guess_faults",   false),
	           keep_faults    = _value("keep_faults",    false);

	/* name of the ROM module that the component gets as its configuration */
	Name const config_rom = _value("config_rom", Name("config"));

	/* the component uses services that change, see 'Services' */
	bool const services = _value("services", false);

	/* one of so many checkpoints has to meet packets at the servers, 0 for none */
	unsigned const packets = _value("packets", 0u);

	/* one of so many images has to have a page fault that is not resolved, 0 for none */
	unsigned const faults = _value("faults", 0u);

	/* the component lies, so any failure is its own, unless a bystander suffers */
	bool const hostile = _value("hostile", false);

	/* what a restore loses on purpose, see 'Loss' */
	Name const lose = _value("lose", Name());

	Options(Node const &config) : _config(config) { }
};


/**
 * Policy for a component that has the configuration of its monitor, or another one
 */
struct Test::Config_policy : Cap_checkpoint::Session_policy
{
	Options::Name const _name;

	Config_policy(Options const &options) : _name(options.config_rom) { }

	Rom rom(Session_label const &label) override
	{
		Session_label const name = label.last_element();

		return { name == "config" ? Session_label(_name) : name };
	}
};

#endif /* _OPTIONS_H_ */
