/*
 * \brief  Samples with a field that is refused
 * \date   2026-12-01
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _ALTERED_H_
#define _ALTERED_H_

#include <type_traits>

#include "check.h"

namespace Cap_checkpoint { namespace Image {

	/**
	 * Expect that the sample is refused for a field of a record after a change
	 *
	 * \param fn  returns a reference to the field that is refused, within the sample
	 */
	template <typename RECORD, typename SAMPLE = Sample>
	static void altered(char const *why, size_t record, auto const &fn)
	{
		SAMPLE sample { };
		sample.fill({ { 0, 0 }, { 0, 2 }, { 1, 0 }, { 5, 0 } });

		char const * const field = (char const *)&fn(sample);

		size_t within = 0;
		if constexpr (RECORD::SECTION == SYSTEM)
			within = size_t(field - (char const *)&sample.system);
		else
			within = size_t(field - (char const *)&sample.template all<RECORD>()[record]);

		Bytes const image = sample.image();

		refused(image, place(image, RECORD::SECTION) + record*sizeof(RECORD) + within,
		        std::string("section \"") + SECTION_NAMES[RECORD::SECTION] + "\": record "
		        + std::to_string(record) + ": " + why);
	}


	/**
	 * The same for a change of 'field' of a record
	 */
	template <typename SAMPLE = Sample, typename RECORD, typename FIELD>
	static void altered(size_t record, FIELD RECORD::*field,
	                    std::type_identity_t<FIELD> value, char const *why)
	{
		altered<RECORD, SAMPLE>(why, record, [&] (Sample &s) -> auto & {
			return s.all<RECORD>()[record].*field = value; });
	}
} }

#endif /* _ALTERED_H_ */
