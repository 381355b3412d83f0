/*
 * \brief  System calls on processors for which there is no assembly code
 * \date   2026-11-29
 *
 * The threads can be neither frozen nor started anew.
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

/* base-internal includes */
#include <base/internal/restart.h>

using namespace Genode;
using namespace Foc;


extern "C" {

	char restart_park[1], restart_restart[1];

	addr_t restart_frame_size() { return 0; }

	l4_mword_t restart_ipc(l4_umword_t dest_and_flags, l4_mword_t tag,
	                        l4_umword_t timeout, Restart::Record *record, addr_t state)
	{
		l4_msgtag_t  msgtag  { };
		l4_timeout_t to      { };
		l4_umword_t  label = 0;

		msgtag.raw = tag;
		to.raw     = decltype(to.raw)(timeout);

		record->state.set(state);
		msgtag = l4_ipc(dest_and_flags, l4_utcb(), 0, 0, msgtag, &label, to);
		record->state.set(Restart::CRITICAL);
		record->argument.set(label);

		return msgtag.raw;
	}
}
