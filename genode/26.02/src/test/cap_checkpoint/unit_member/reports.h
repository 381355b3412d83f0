/*
 * \brief  Two components that answer the reports of each other
 * \date   2026-12-01
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _REPORTS_H_
#define _REPORTS_H_

/* Genode includes */
#include <base/attached_rom_dataspace.h>
#include <os/reporter.h>

/* local includes */
#include <sum.h>
#include <work.h>

namespace Test {

	struct Ping;
	struct Pong;
}


/**
 * Reports numbers one after the other, each of which has to be answered
 *
 * The words of a report take up to three pages. They are known from its number.
 */
struct Test::Ping
{
	static constexpr unsigned MAX_WORDS = 300;

	static unsigned num_words(uint64_t number) { return unsigned(number*37 % MAX_WORDS); }

	static uint64_t word(uint64_t number, unsigned i) { return number*1000 + i; }

	Verdict &_verdict;

	Expanding_reporter     _reporter;
	Attached_rom_dataspace _answer;

	uint64_t _number = 0, _last = ~0ULL;
	Sum      _sum { };

	void _report()
	{
		_number++;
		_sum.add(_number);

		_reporter.generate([&] (Generator &g) {
			g.attribute("number", _number);
			for (unsigned i = 0; i < num_words(_number); i++)
				g.node("word", [&] { g.attribute("value", word(_number, i)); }); });
	}

	void _handle()
	{
		_answer.update();

		Node const &node = _answer.node();

		/* there may be a signal for an answer that is known already */
		if (node.attribute_value("number", 0ULL) != _number || complete())
			return;

		_verdict.check(node.attribute_value("sum", 0ULL) == _sum.value,
		               "the sum of ", _number, " reports is another one");
		_report();
	}

	Signal_handler<Ping> _handler;

	Ping(Env &env, Verdict &verdict)
	:
		_verdict(verdict), _reporter(env, "ping", "ping", { 16*1024 }), _answer(env, "pong"),
		_handler(env.ep(), *this, &Ping::_handle)
	{
		_answer.sigh(_handler);
		_report();
	}

	/**
	 * Let there be a few more reports and no other
	 */
	void finish() { _last = _number + 5; }

	bool complete() const { return _number >= _last; }
};


struct Test::Pong
{
	Verdict _verdict { };

	Attached_rom_dataspace _ping;
	Expanding_reporter     _reporter;

	uint64_t _number = 0;
	Sum      _sum { };

	bool _right(Node const &node) const
	{
		uint64_t const number = node.attribute_value("number", 0ULL);

		unsigned i     = 0;
		bool     right = (number == _number + 1);

		node.for_each_sub_node("word", [&] (Node const &word) {
			right &= (word.attribute_value("value", 0ULL) == Ping::word(number, i++)); });

		return right && i == Ping::num_words(number);
	}

	void _handle()
	{
		_ping.update();

		Node const &node = _ping.node();

		/* nothing new */
		if (node.attribute_value("number", 0ULL) == _number)
			return;

		/* a report that is not answered is missed by the other one */
		if (!_verdict.check(_right(node), "report ", node.attribute_value("number", 0ULL),
		                    " after ", _number, " is wrong"))
			return;

		_number++;
		_sum.add(_number);
		_reporter.generate([&] (Generator &g) {
			g.attribute("number", _number);
			g.attribute("sum",    _sum.value); });
	}

	Signal_handler<Pong> _handler;

	Pong(Env &env)
	:
		_ping(env, "ping"), _reporter(env, "pong"), _handler(env.ep(), *this, &Pong::_handle)
	{
		_ping.sigh(_handler);
		_handle();
	}
};

#endif /* _REPORTS_H_ */
