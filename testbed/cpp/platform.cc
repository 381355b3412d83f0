/*
 * \brief  Testbed as platform of the base_foc classes
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */

#include "platform.hpp"

using namespace Testbed;


static Cap_space *_cap_space;


void Platform::cap_space(Base_foc::Cap_space<Platform> &space) { _cap_space = &space; }


Base_foc::Cap_space<Platform> &Platform::cap_space() { return *_cap_space; }


extern "C" void cap_map_relax(void) { sched_yield(); }
