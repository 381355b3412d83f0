/*
 * \brief  Images of units that readers take, and that nobody can restore
 * \date   2026-12-01
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _ALTERED_UNITS_H_
#define _ALTERED_UNITS_H_

/* Genode includes */
#include <base/attached_ram_dataspace.h>

/* test includes */
#include <cap_checkpoint_test/image_bytes.h>

/* local includes */
#include <life.h>

namespace Test { struct Altered_units; }


struct Test::Altered_units
{
	using Text = String<200>;

	Env                          &_env;
	Monitor                      &_monitor;
	Virtual_parent::Exit_handler &_exit;
	Session_policy               &_policy;

	/* of the image of a unit */
	char const * const _start;
	size_t       const _size;

	Attached_ram_dataspace _copy { _env.ram(), _env.rm(), _size };

	unsigned mistakes = 0;

	/*
	 * Noncopyable
	 */
	Altered_units(Altered_units const &);
	Altered_units &operator = (Altered_units const &);

	Altered_units(Env &env, Monitor &monitor, Virtual_parent::Exit_handler &exit,
	         Session_policy &policy, char const *start, size_t size)
	:
		_env(env), _monitor(monitor), _exit(exit), _policy(policy), _start(start), _size(size)
	{ }

	/**
	 * Try to provide sessions and memory
	 *
	 * \param reason  that the refusal begins with
	 */
	void _expect(char const *name, char const *reason, auto const &alter_fn)
	{
		memcpy(_copy.local_addr<char>(), _start, _size);

		Image_bytes bytes { _copy.local_addr<char>() };
		alter_fn(bytes);
		bytes.seal();

		Image::Chain const chain { _copy.local_addr<char>(), _size };

		Text text { "taken" };

		if (chain.valid()) {
			Life    life    { _monitor, _exit, _policy };
			Restore restore { life.child, chain };

			if (!restore.begin())
				restore.start().with_error([&] (Refused const &refused) { text = { refused }; });
		} else {
			text = { chain.refusal() };
		}

		if (!strcmp(text.string(), reason, strlen(reason)))
			return;

		error(name, ": ", text, " instead of ", reason);
		mistakes++;
	}

	/**
	 * Return number of the first session of a service
	 */
	static uint32_t _session(Image_bytes const &bytes, char const *service)
	{
		return uint32_t(bytes.find<Image::Session>([&] (Image::Session const &s) {
			return !strcmp(s.service, service); }));
	}

	static void _give_memory(Image_bytes &bytes, char const *service)
	{
		uint32_t const session = _session(bytes, service);

		bytes.alter_one<Image::Dataspace>([&] (Image::Dataspace &ds) {
			ds.owner = session;
			return ds.kind == Image::Dataspace::SESSION; });
	}

	void try_all()
	{
		using Member = Image::Member;

		_expect("memory of a PD session", "memory: dataspace 0", [] (Image_bytes &bytes) {
			_give_memory(bytes, "PD"); });

		_expect("memory of a CPU session", "memory: dataspace 0", [] (Image_bytes &bytes) {
			_give_memory(bytes, "CPU"); });

		_expect("more quota than there is", "memory: member ", [] (Image_bytes &bytes) {
			bytes.alter<Image::System>(0, [] (Image::System &s) { s.ram_quota += 1ULL << 40; });
			bytes.alter<Member>(1, [] (Member &m) { m.ram_quota += 1ULL << 40; }); });

		_expect("account that has none itself", "memory: member ", [] (Image_bytes &bytes) {
			bytes.alter<Member>(1, [] (Member &m) { m.account = NONE; });
			bytes.alter<Member>(2, [] (Member &m) { m.account = 1; }); });

		_expect("environment of a child only", "children: PD", [] (Image_bytes &bytes) {
			bytes.alter<Image::Session>(0, [] (Image::Session &s) { s.id = 0; }); });
	}

	/**
	 * Try all, and find out whether anything is left behind
	 */
	bool ok()
	{
		/* the heap of the monitor keeps what it has once needed */
		try_all();

		size_t const ram  = _env.pd().used_ram().value,
		             caps = _env.pd().used_caps().value;
		try_all();

		if (_env.pd().used_ram().value != ram || _env.pd().used_caps().value != caps) {
			error("refusals leave something behind");
			mistakes++;
		}
		return !mistakes;
	}
};

#endif /* _ALTERED_UNITS_H_ */
