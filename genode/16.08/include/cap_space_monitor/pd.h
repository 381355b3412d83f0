/*
 * \brief  Virtualized PD session that gives insight into the capability space
 * \date   2026-11-22
 */

/*
 * This file is distributed under the terms of the GNU General Public License
 * version 2.
 */

#ifndef _INCLUDE__CAP_SPACE_MONITOR__PD_H_
#define _INCLUDE__CAP_SPACE_MONITOR__PD_H_

/* Genode includes */
#include <base/allocator.h>
#include <base/lock.h>
#include <base/rpc_server.h>
#include <cap_space_monitor/cap_space.h>
#include <pd_session/client.h>
#include <util/list.h>

namespace Cap_space_monitor {

	class Pd;
	class Monitored_pd;
}


/**
 * PD session that forwards all operations to the one of core
 */
class Cap_space_monitor::Pd : public Rpc_object<Pd_session>
{
	private:

		Rpc_entrypoint        &_ep;
		Pd_session_capability  _real_cap;
		Pd_session_client      _real;

	public:

		Pd(Rpc_entrypoint &ep, Pd_session_capability real)
		: _ep(ep), _real_cap(real), _real(real) { _ep.manage(this); }

		~Pd() { _ep.dissolve(this); }

		Pd_session_client     &real()           { return _real; }
		Pd_session_capability  real_cap() const { return _real_cap; }


		/**************************
		 ** Pd_session interface **
		 **************************/

		void assign_parent(Parent_capability parent) override {
			_real.assign_parent(parent); }

		bool assign_pci(addr_t config, uint16_t bdf) override {
			return _real.assign_pci(config, bdf); }

		Signal_source_capability alloc_signal_source() override {
			return _real.alloc_signal_source(); }

		void free_signal_source(Signal_source_capability source) override {
			_real.free_signal_source(source); }

		Signal_context_capability alloc_context(Signal_source_capability source,
		                                        unsigned long imprint) override {
			return _real.alloc_context(source, imprint); }

		void free_context(Signal_context_capability context) override {
			_real.free_context(context); }

		void submit(Signal_context_capability context, unsigned count) override {
			_real.submit(context, count); }

		Native_capability alloc_rpc_cap(Native_capability ep) override {
			return _real.alloc_rpc_cap(ep); }

		void free_rpc_cap(Native_capability cap) override {
			_real.free_rpc_cap(cap); }

		Capability<Region_map> address_space() override {
			return _real.address_space(); }

		Capability<Region_map> stack_area() override {
			return _real.stack_area(); }

		Capability<Region_map> linker_area() override {
			return _real.linker_area(); }

		Capability<Native_pd> native_pd() override { return _real.native_pd(); }
};


/**
 * PD session of a monitored component
 *
 * The session is served by an entrypoint, whereas the operations of the
 * monitor are executed by a thread of the monitor. Both may do so at the same
 * time.
 */
class Cap_space_monitor::Monitored_pd : public Pd
{
	public:

		/**
		 * IPC gate created on behalf of the component
		 */
		struct Gate : List<Gate>::Element
		{
			unsigned          const id;     /* in the order of creation */
			Native_capability const thread; /* thread that serves the gate */

			Native_capability cap;

			/* state of an ongoing replacement */
			bool              selected = false;
			bool              left_out = false; /* slot changed meanwhile */
			unsigned          slot     = 0;
			Native_capability pending;

			Gate(unsigned id, Native_capability thread, Native_capability cap)
			: id(id), thread(thread), cap(cap) { }

			unsigned badge() const { return cap.local_name(); }
		};

		enum Replace_result { REPLACED, OUT_OF_METADATA, INSTALL_FAILED, REFUSED };

	private:

		Allocator &_alloc;

		Lock mutable _lock;      /* protects the list of gates */
		List<Gate>   _gates;
		unsigned     _num_gates = 0;

		template <typename FN>
		static void _for_each(List<Gate> const &gates, FN const &fn)
		{
			for (Gate *g = const_cast<List<Gate> &>(gates).first(), *next; g; g = next) {
				next = g->next();
				fn(*g);
			}
		}

		Gate          *_gate(unsigned badge) const;
		bool           _unchanged(Rewrite const &);
		void           _install_present(Rewrite const &);
		void           _leave_out(Rewrite const &);
		unsigned       _leave_out_changed(Rewrite *, unsigned);
		bool           _install_pending(Rewrite *, unsigned &);
		bool           _rewrite(Rewrite *, unsigned &);
		void           _conclude(Rewrite const *, unsigned, uint64_t);
		Replace_result _replace_pending(unsigned);
		Replace_result _replace_selected(Snapshot &, unsigned &);

	public:

		Cap_space cap_space;

		/**
		 * Constructor
		 *
		 * \param label  for those who look at the component's table
		 */
		Monitored_pd(Rpc_entrypoint &ep, Pd_session_capability real,
		             char const *label, Ram_session &ram, Region_map &local_rm,
		             Allocator &alloc)
		:
			Pd(ep, real), _alloc(alloc),
			cap_space(ram, local_rm, Pd::real().native_pd(),
			          Cap_space::identity(label, real))
		{ }

		~Monitored_pd();

		/**
		 * Call 'fn' with the 'Gate const &' of each gate of the component
		 *
		 * The gates include the ones that entrypoints create for internal use.
		 * The component is able neither to create nor to destroy any meanwhile.
		 */
		template <typename FN>
		void for_each_gate(FN const &fn) const
		{
			Lock::Guard guard(_lock);
			_for_each(_gates, [&] (Gate &gate) { fn((Gate const &)gate); });
		}

		/**
		 * Replace IPC gates by new ones under new badges
		 *
		 * \param select_fn  functor that is called with a 'Gate const &' and
		 *                   returns true if the gate is to be replaced
		 * \param count      number of gates replaced
		 *
		 * Either all selected gates are replaced at one instant, or none. A gate
		 * stays and does not count if the component does not use it anymore, or
		 * if it changes the slot of the gate meanwhile.
		 *
		 * The new gates appear at the selectors of the old ones. The component
		 * may keep executing. However, requests that are on their way to one of
		 * the old gates never return. This includes requests to objects of its
		 * own.
		 */
		template <typename FN>
		Replace_result replace_gates(Snapshot &snapshot, FN const &select_fn,
		                             unsigned &count)
		{
			Lock::Guard guard(_lock);

			_for_each(_gates, [&] (Gate &gate) {
				gate.selected = select_fn((Gate const &)gate);
				gate.left_out = false;
				gate.slot     = 0;
				gate.pending  = Native_capability(); });

			return _replace_selected(snapshot, count);
		}


		/**************************
		 ** Pd_session interface **
		 **************************/

		Dataspace_capability cap_space_info() override { return cap_space.ds(); }

		Native_capability alloc_rpc_cap(Native_capability) override;

		void free_rpc_cap(Native_capability) override;
};

#endif /* _INCLUDE__CAP_SPACE_MONITOR__PD_H_ */
