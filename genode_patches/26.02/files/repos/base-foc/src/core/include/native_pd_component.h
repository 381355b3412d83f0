/*
 * \brief  Fiasco.OC-specific part of the PD session interface
 * \date   2026-11-22
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _CORE__INCLUDE__NATIVE_PD_COMPONENT_H_
#define _CORE__INCLUDE__NATIVE_PD_COMPONENT_H_

/* Genode includes */
#include <base/rpc_server.h>
#include <foc/native_capability.h>
#include <foc_native_pd/foc_native_pd.h>

/* core includes */
#include <types.h>

namespace Core {

	class Pd_session_component;
	class Native_pd_component;
}


class Core::Native_pd_component : public Rpc_object<Pd_session::Native_pd,
                                                    Native_pd_component>
{
	private:

		Pd_session_component &_pd_session;

		Foc::l4_cap_idx_t _task();

	public:

		Native_pd_component(Pd_session_component &, char const *args);

		~Native_pd_component();

		Native_capability request(addr_t, unsigned, Slot_info &) override;

		Install_result install(Native_capability, addr_t, unsigned) override;

		void table(Dataspace_capability, uint64_t) override;

		Dirty_pages::State track_dirty_pages() override;

		Dirty_pages dirty_pages(addr_t, unsigned) override;
};

#endif /* _CORE__INCLUDE__NATIVE_PD_COMPONENT_H_ */
