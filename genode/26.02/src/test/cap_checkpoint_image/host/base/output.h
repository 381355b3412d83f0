/*
 * \brief  Output interface of Genode, as far as the image needs it, for host programs
 * \date   2026-11-29
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _BASE__OUTPUT_H_
#define _BASE__OUTPUT_H_

#include <base/stdint.h>

namespace Genode {

	struct Output
	{
		virtual ~Output() { }

		virtual void out_string(char const *) = 0;
	};

	static inline void print(Output &out, char const *text) { out.out_string(text); }

	static inline void print(Output &out, uint64_t value)
	{
		char buf[21] { };
		char *p = buf + 20;
		do { *--p = char('0' + value % 10); } while (value /= 10);
		out.out_string(p);
	}

	template <typename HEAD, typename... TAIL>
	static inline void print(Output &out, HEAD const &head, TAIL const &... tail)
	{
		print(out, head);
		print(out, tail...);
	}
}

#endif /* _BASE__OUTPUT_H_ */
