/*
 * \brief  Counter of signals
 * \date   2026-12-01
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _CAP_CHECKPOINT_TEST__SIGNAL_COUNTER_H_
#define _CAP_CHECKPOINT_TEST__SIGNAL_COUNTER_H_

/* Genode includes */
#include <base/signal.h>

namespace Test { struct Signal_counter; }


/**
 * Counts signals, some of which core delivers together
 */
struct Test::Signal_counter : Genode::Signal_dispatcher_base
{
	unsigned count = 0;

	void dispatch(unsigned num) override { count += num; }
};

#endif /* _CAP_CHECKPOINT_TEST__SIGNAL_COUNTER_H_ */
