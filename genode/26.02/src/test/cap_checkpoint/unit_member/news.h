/*
 * \brief  Module that changes only while its reader is not there
 * \date   2026-12-01
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _NEWS_H_
#define _NEWS_H_

/* Genode includes */
#include <base/attached_rom_dataspace.h>

/* local includes */
#include <work.h>

namespace Test { struct News; }


/**
 * Reader that has to be told of each change, which it gets to know by a signal only
 */
struct Test::News
{
	Verdict &_verdict;

	Attached_rom_dataspace _rom;

	unsigned _number = 0;

	unsigned _read()
	{
		_rom.update();
		return _rom.node().attribute_value("number", 0u);
	}

	void _handle() { _number = _read(); }

	Signal_handler<News> _handler;

	News(Env &env, Verdict &verdict)
	:
		_verdict(verdict), _rom(env, "unit_news"), _handler(env.ep(), *this, &News::_handle)
	{
		_rom.sigh(_handler);
		_handle();
	}

	/**
	 * To be called long after the last change
	 */
	void check()
	{
		_verdict.check(_number == _read(), "nobody has told that there are news");
	}
};

#endif /* _NEWS_H_ */
