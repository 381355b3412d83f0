/*
 * \brief  Pauses for the thread that accesses media
 * \date   2026-11-30
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _PACE_H_
#define _PACE_H_

/* Genode includes */
#include <cap_checkpoint/image_reader.h>
#include <foc/syscall.h>

/* local includes */
#include <types.h>

namespace Checkpoint { class Pace; }


/**
 * Lets children of lower priority go on while an image is checked and written
 *
 * All threads of the component have one priority. So an image that is written without ever
 * waiting for a medium would keep children from running as long as a freeze.
 */
class Checkpoint::Pace : public Cap_checkpoint::Image::Pace
{
	private:

		/* work between two pauses, about a millisecond */
		static constexpr size_t BYTES = 128*1024;

		size_t _passed = 0;

	public:

		/* there is a child that is not frozen */
		bool enabled = false;

		void passed(size_t num_bytes) override
		{
			using namespace Foc;

			_passed += num_bytes;

			if (!enabled || _passed < BYTES)
				return;

			_passed = 0;
			l4_ipc_sleep(l4_timeout(L4_IPC_TIMEOUT_NEVER, l4_timeout_rel(125, 3)));
		}
};

#endif /* _PACE_H_ */
