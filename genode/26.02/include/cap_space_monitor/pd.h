/*
 * \brief  Virtualized PD session that gives insight into the capability space
 * \date   2026-11-22
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _INCLUDE__CAP_SPACE_MONITOR__PD_H_
#define _INCLUDE__CAP_SPACE_MONITOR__PD_H_

/* Genode includes */
#include <base/allocator.h>
#include <base/entrypoint.h>
#include <base/rpc_server.h>
#include <cap_space_monitor/cap_space.h>
#include <cap_space_monitor/gates.h>
#include <cap_space_monitor/restart_records.h>
#include <pd_session/client.h>
#include <util/list.h>

namespace Cap_space_monitor {

	template <typename, typename> struct Newer_pd;

	class Pd;
	class Monitored_pd;
}


/**
 * What a Genode after 26.02 has in its PD session in addition
 */
template <typename SESSION, typename CLIENT>
struct Cap_space_monitor::Newer_pd : Rpc_object<SESSION>
{
	virtual CLIENT &real() = 0;
};


template <typename SESSION, typename CLIENT>
requires requires (CLIENT pd, Genode::Ram_dataspace_capability ds) { pd.seal_ram(ds); }
struct Cap_space_monitor::Newer_pd<SESSION, CLIENT> : Rpc_object<SESSION>
{
	virtual CLIENT &real() = 0;

	void seal_ram(Ram_dataspace_capability ds) override { real().seal_ram(ds); }
};


/**
 * PD session that forwards all operations to the one of core
 *
 * Core knows nothing about the capabilities of virtualized PD sessions.
 * Whenever an argument refers to one, it is replaced by core's counterpart.
 */
class Cap_space_monitor::Pd : public Newer_pd<Pd_session, Pd_session_client>
{
	private:

		Entrypoint           &_ep;
		Pd_session_capability _real_cap;
		Pd_session_client     _real;

		/*
		 * Reference account, and those whose reference account this one is
		 *
		 * The entrypoint cannot be asked for an object while it serves a request to
		 * the same one. So an account is looked up once, not whenever quota moves.
		 */
		Pd                    *_ref = nullptr;
		List_element<Pd>       _of_ref { this };
		List<List_element<Pd>> _referrers { };

		void _refer_to(Pd &);

		/*
		 * Noncopyable
		 */
		Pd(Pd const &);
		Pd &operator = (Pd const &);

	protected:

		/**
		 * Call 'fn' with the 'Pd &' of the reference account if there is one
		 */
		void _with_ref_account(auto const &fn) const { if (_ref) fn(*_ref); }

	public:

		Pd(Entrypoint &ep, Pd_session_capability real)
		: _ep(ep), _real_cap(real), _real(real) { _ep.manage(*this); }

		~Pd();

		Pd_session_client     &real() override  { return _real; }
		Pd_session_capability  real_cap() const { return _real_cap; }

		/**
		 * Call 'fn' with the 'Pd &' that corresponds to the capability if there
		 * is one
		 */
		static void with_pd(Entrypoint &ep, Capability<Pd_session> cap,
		                    auto const &fn, auto const &missing_fn)
		{
			Pd *pd_ptr = nullptr;
			ep.rpc_ep().apply(cap, [&] (Pd *pd) { pd_ptr = pd; });

			if (pd_ptr)
				fn(*pd_ptr);
			else
				missing_fn();
		}

		/**
		 * Return core's capability for a PD-session argument
		 */
		Pd_session_capability real_cap_of(Capability<Pd_account> account) const;

		/**
		 * Return reference account, or nullptr if there is none
		 */
		Pd const *reference_account() const { return _ref; }

		/*
		 * Costs that the monitor has because of a component
		 */
		struct Costs { Ram_quota ram; Cap_quota caps; };

		using Pay_result = Attempt<Ok, Alloc_error>;

		/**
		 * Move quota from this session to the monitor, on behalf of whoever pays
		 *
		 * There is nothing to do for the monitor's own session.
		 */
		virtual Pay_result move_to_monitor(Costs const &) { return Ok(); }

		/**
		 * Move quota from the monitor to this session, on behalf of whoever is repaid
		 */
		virtual void move_from_monitor(Costs const &) { }


		/**************************
		 ** Pd_session interface **
		 **************************/

		Ref_account_result ref_account(Capability<Pd_account>) override;

		Transfer_result transfer_quota(Capability<Pd_account> to, Cap_quota amount) override {
			return _real.transfer_quota(real_cap_of(to), amount); }

		Transfer_result transfer_quota(Capability<Pd_account> to, Ram_quota amount) override {
			return _real.transfer_quota(real_cap_of(to), amount); }

		void assign_parent(Capability<Parent> parent) override {
			_real.assign_parent(parent); }

		bool assign_pci(addr_t config, uint16_t bdf) override {
			return _real.assign_pci(config, bdf); }

		Map_result map(Virt_range range) override { return _real.map(range); }

		Signal_source_result signal_source() override {
			return _real.signal_source(); }

		void free_signal_source(Capability<Signal_source> source) override {
			_real.free_signal_source(source); }

		Alloc_context_result alloc_context(Capability<Signal_source> source,
		                                   Imprint imprint) override {
			return _real.alloc_context(source, imprint); }

		void free_context(Capability<Signal_context> context) override {
			_real.free_context(context); }

		void submit(Capability<Signal_context> context, unsigned count) override {
			_real.submit(context, count); }

		Alloc_rpc_cap_result alloc_rpc_cap(Native_capability ep) override {
			return _real.alloc_rpc_cap(ep); }

		void free_rpc_cap(Native_capability cap) override {
			_real.free_rpc_cap(cap); }

		Capability<Region_map> address_space() override {
			return _real.address_space(); }

		Capability<Region_map> stack_area() override {
			return _real.stack_area(); }

		Capability<Region_map> linker_area() override {
			return _real.linker_area(); }

		Cap_quota cap_quota() const override { return _real.cap_quota(); }
		Cap_quota used_caps() const override { return _real.used_caps(); }
		Ram_quota ram_quota() const override { return _real.ram_quota(); }
		Ram_quota used_ram()  const override { return _real.used_ram(); }

		Alloc_ram_result alloc_ram(size_t size, Cache cache) override {
			return _real.alloc_ram(size, cache); }

		void free_ram(Ram_dataspace_capability ds) override { _real.free_ram(ds); }

		size_t ram_size(Ram_dataspace_capability ds) override {
			return _real.ram_size(ds); }

		Capability<Native_pd> native_pd() override { return _real.native_pd(); }

		Capability<System_control> system_control_cap(Affinity::Location cpu) override {
			return _real.system_control_cap(cpu); }

		addr_t dma_addr(Ram_dataspace_capability ds) override {
			return _real.dma_addr(ds); }

		Attach_dma_result attach_dma(Dataspace_capability ds, addr_t at) override {
			return _real.attach_dma(ds, at); }

		Dataspace_capability cap_space_info() override {
			return _real.cap_space_info(); }
};


/**
 * PD session of a monitored component
 */
class Cap_space_monitor::Monitored_pd : public Pd, private Gates::Payer
{
	public:

		using Name = Session::Label;
		using Gate = Cap_space_monitor::Gate;

		enum class Replace_error { OUT_OF_CAPS, OUT_OF_RAM, INSTALL_FAILED, REFUSED };

		using Replace_result = Attempt<unsigned, Replace_error>;

	private:

		Allocator &_alloc;

		bool _closing = false;

		/* what the component itself has paid to the monitor */
		Costs _paid { { 0 }, { 0 } };

		Gates _gates;

		static constexpr Costs BLOCK { { Gates::Payer::RAM }, { Gates::Payer::CAPS } };


		/****************************
		 ** Gates::Payer interface **
		 ****************************/

		Charge_result charge_block() override { return pay(BLOCK); }
		void          refund_block() override { repay(BLOCK); }

		bool           _unchanged(Rewrite const &);
		void           _install_present(Rewrite const &);
		void           _leave_out(Rewrite const &);
		unsigned       _leave_out_changed(Rewrite *, unsigned);
		bool           _install_pending(Rewrite *, unsigned &);
		bool           _rewrite(Rewrite *, unsigned &);
		unsigned       _conclude(Rewrite const *, unsigned, uint64_t);
		Replace_result _replace_pending(unsigned);
		Replace_result _replace_selected(Snapshot &);

		Monitored_pd(Entrypoint &ep, Pd_session_capability real, Name const &name,
		             Ram_allocator &ram, Env::Local_rm &local_rm, Allocator &alloc,
		             unsigned num_slots, Identity const &identity)
		:
			Pd(ep, real), _alloc(alloc), _gates(ram, local_rm, *this), name(name),
			cap_space(ram, local_rm, Pd::real().native_pd(), identity, num_slots,
			          sizeof(Base_foc::Restart::Area))
		{
			Foc_native_pd_client(Pd::real().native_pd())
				.table(cap_space.ds(), identity.instance);
		}

	public:

		Name const name;

		Cap_space cap_space;

		Restart_records records { cap_space };

		/**
		 * Constructor
		 *
		 * \param num_slots  slots of the component's table
		 */
		Monitored_pd(Entrypoint &ep, Pd_session_capability real, Name const &name,
		             Ram_allocator &ram, Env::Local_rm &local_rm, Allocator &alloc,
		             unsigned num_slots = NUM_SLOTS)
		:
			Monitored_pd(ep, real, name, ram, local_rm, alloc, num_slots,
			             Cap_space::identity(name.string(), real))
		{ }

		~Monitored_pd() { _closing = true; }

		/**
		 * Call 'fn' with the 'Gate const &' of each gate of the component
		 *
		 * The gates include the ones that entrypoints create for internal use.
		 */
		void for_each_gate(auto const &fn) const
		{
			_gates.for_each([&] (Gate const &gate) { fn(gate); });
		}

		/**
		 * Return true if the badge is the one of a gate of the component
		 */
		bool own_gate(unsigned badge) { return _gates.find(badge) != nullptr; }

		/**
		 * Let the gates of a thread be served by another one
		 *
		 * \param thread      badge of the thread's own gate, by which the thread
		 *                    itself refers to it
		 * \param from, to    the thread and the other one, as by
		 *                    'Monitored_cpu::native_cap'
		 *
		 * This comes into effect as soon as the gates are replaced.
		 */
		void hand_over_gates(unsigned thread, Native_capability from, Native_capability to)
		{
			_gates.for_each([&] (Gate &gate) {
				if (unsigned(gate.thread.local_name()) == thread || gate.thread == from)
					gate.thread = to; });
		}

		/**
		 * Replace IPC gates by new ones under new badges
		 *
		 * \param select_fn  functor that is called with a 'Gate const &' and
		 *                   returns true if the gate is to be replaced
		 * \return           number of gates replaced
		 *
		 * Either all selected gates are replaced at one instant, or none. A gate
		 * stays and does not count if the component does not use it anymore, or
		 * if it changes the slot of the gate meanwhile.
		 *
		 * The new gates appear at the selectors of the old ones. The component
		 * may keep executing. However, requests that are on their way to one of
		 * the old gates never return. This includes requests to objects of its
		 * own.
		 *
		 * A slot that the component frees and uses for another capability
		 * meanwhile is not touched, with the restriction that is documented for
		 * 'Native_pd::install'. It does not apply while the threads of the
		 * component are paused.
		 */
		Replace_result replace_gates(Snapshot &snapshot, auto const &select_fn)
		{
			_gates.for_each([&] (Gate &gate) {
				gate.pending = { .selected = select_fn(gate), .left_out = false,
				                 .slot = 0, .cap = { } }; });

			return _replace_selected(snapshot);
		}

		/**
		 * Let the component pay for what the monitor does for it
		 */
		Pay_result pay(Costs const &);

		void repay(Costs const &);

		/**
		 * Return quota that the component has received, and has not given back or passed on
		 *
		 * What it has paid to the monitor counts.
		 */
		Costs received();

		Pay_result move_to_monitor  (Costs const &) override;
		void       move_from_monitor(Costs const &) override;


		/**************************
		 ** Pd_session interface **
		 **************************/

		Dataspace_capability cap_space_info() override { return cap_space.ds(); }

		Alloc_rpc_cap_result alloc_rpc_cap(Native_capability) override;

		void free_rpc_cap(Native_capability) override;
};

#endif /* _INCLUDE__CAP_SPACE_MONITOR__PD_H_ */
