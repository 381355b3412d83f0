/*
 * \brief  What is reported of a child
 * \date   2026-12-01
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _STATISTICS_H_
#define _STATISTICS_H_

/* Genode includes */
#include <cap_checkpoint/restore.h>

/* local includes */
#include <types.h>

namespace Checkpoint { struct Statistics; }


struct Checkpoint::Statistics
{
	unsigned checkpoints = 0, refused = 0, restored = 0, moved = 0, arrived = 0;

	/* of the latest checkpoint and restore, see the README */
	uint64_t pause_us = 0, freeze_us = 0, copy_us = 0, save_us = 0, fill_us = 0, write_us = 0,
	         restore_us = 0;

	size_t   image_bytes = 0;
	uint64_t chain_bytes = 0;

	/* of the image in its chain, 0 if it is complete */
	unsigned position = 0;

	/* copies of pages before the pause, and within */
	unsigned rounds = 0;
	size_t   pages = 0, last_pages = 0;

	Cap_checkpoint::Restored from_image { };
	uint64_t                 from_number = 0;

	Message    refusal { };
	String<16> refused_operation { };
};

#endif /* _STATISTICS_H_ */
