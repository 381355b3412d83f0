/*
 * \brief  Client-side Fiasco.OC-specific PD session interface
 * \date   2026-11-22
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _INCLUDE__FOC_NATIVE_PD__CLIENT_H_
#define _INCLUDE__FOC_NATIVE_PD__CLIENT_H_

#include <foc_native_pd/foc_native_pd.h>
#include <base/rpc_client.h>

namespace Genode { struct Foc_native_pd_client; }


struct Genode::Foc_native_pd_client : Rpc_client<Pd_session::Native_pd>
{
	explicit Foc_native_pd_client(Capability<Pd_session::Native_pd> cap)
	: Rpc_client<Pd_session::Native_pd>(cap) { }

	Native_capability request(addr_t selector, unsigned badge,
	                          Slot_info &info) override {
		return call<Rpc_request>(selector, badge, info); }

	Install_result install(Native_capability cap, addr_t selector,
	                       unsigned present) override {
		return call<Rpc_install>(cap, selector, present); }

	void table(Dataspace_capability ds, uint64_t instance) override {
		call<Rpc_table>(ds, instance); }

	Dirty_pages::State track_dirty_pages() override {
		return call<Rpc_track_dirty_pages>(); }

	Dirty_pages dirty_pages(addr_t at, unsigned count) override {
		return call<Rpc_dirty_pages>(at, count); }
};

#endif /* _INCLUDE__FOC_NATIVE_PD__CLIENT_H_ */
