/*
 * \brief  Text of a component that is not trusted
 * \date   2026-11-30
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _INCLUDE__CAP_CHECKPOINT__PRINTABLE_H_
#define _INCLUDE__CAP_CHECKPOINT__PRINTABLE_H_

/* Genode includes */
#include <base/output.h>
#include <util/string.h>

namespace Cap_checkpoint { class Printable; }


/**
 * Text without characters that end a line, an attribute of a report, or an argument
 *
 * Each of them is printed as a question mark, or a quotation mark as an apostrophe.
 */
class Cap_checkpoint::Printable
{
	private:

		using size_t = Genode::size_t;

		char const * const _text;
		size_t       const _limit;

		void _for_each(auto const &fn) const
		{
			for (size_t i = 0; i < _limit && _text[i]; i++)
				fn(_text[i]);
		}

		static bool _one_of(char c, char const *set)
		{
			for (; *set; set++)
				if (c == *set)
					return true;

			return false;
		}

		static bool _control(char c) { return (unsigned char)(c) < 32 || c == 127; }

	public:

		explicit Printable(char const *text) : _text(text), _limit(~0UL) { }

		/* a string that comes by an RPC may lack its end */
		template <size_t N>
		explicit Printable(Genode::String<N> const &text)
		: _text(text.string()), _limit(N - 1) { }

		void print(Genode::Output &out) const
		{
			_for_each([&] (char c) {
				out.out_char(_control(c) || _one_of(c, "\\|<&") ? '?' : c == '"' ? '\'' : c); });
		}

		/**
		 * Return true if the text can be an argument in quotation marks
		 */
		bool argument() const
		{
			bool result = true;
			_for_each([&] (char c) { result &= !_control(c) && !_one_of(c, "\"\\"); });
			return result;
		}
};

#endif /* _INCLUDE__CAP_CHECKPOINT__PRINTABLE_H_ */
