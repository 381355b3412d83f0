/*
 * \brief  Fiasco.OC-specific part of the PD session interface
 * \date   2026-11-22
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

/* core includes */
#include <core_cap_index.h>
#include <dataspace_component.h>
#include <native_pd_component.h>
#include <pd_session_component.h>

/* base-internal includes */
#include <base/internal/cap_space.h>

/* Fiasco.OC includes */
#include <foc/syscall.h>

using namespace Core;

using Native_pd = Pd_session::Native_pd;


/* one call occupies core's entrypoint for the examination of so many slots */
static constexpr unsigned MAX_SLOTS_PER_CALL = 64;


static addr_t selector_of(unsigned slot)
{
	return addr_t(slot) << Foc::L4_CAP_SHIFT;
}


static bool occupied(Foc::l4_cap_idx_t task, addr_t selector)
{
	using namespace Foc;

	return l4_msgtag_label(l4_task_cap_valid(task, selector));
}


namespace {

	/**
	 * Copy of a capability of another task, valid for a moment only
	 */
	struct Borrowed_cap
	{
		/*
		 * Noncopyable
		 */
		Borrowed_cap(Borrowed_cap const &);
		Borrowed_cap &operator = (Borrowed_cap const &);

		Cap_index const _index = cap_idx_alloc().alloc_range(1);

		bool _mapped = false;

		/* refers to core's slot only, not to the copies made from it */
		Foc::l4_fpage_t _fpage() const
		{
			return Foc::l4_obj_fpage(_index.kcap(), 0, Foc::L4_FPAGE_RWX);
		}

		Borrowed_cap(Foc::l4_cap_idx_t task, addr_t selector)
		{
			using namespace Foc;

			if (!_index)
				return;

			/* the right to refer to the object suffices for comparing it */
			l4_fpage_t const fpage = l4_obj_fpage(selector, 0, L4_CAP_FPAGE_RO);

			_mapped = !l4_error(l4_task_map(L4_BASE_TASK_CAP, task, fpage,
			                                _index.kcap() | L4_ITEM_MAP));
		}

		~Borrowed_cap()
		{
			if (!_index)
				return;

			if (_mapped)
				Foc::l4_task_unmap(Foc::L4_BASE_TASK_CAP, _fpage(),
				                   Foc::L4_FP_ALL_SPACES);

			(void)cap_idx_alloc().free(_index, 1);
		}

		/**
		 * Return true if the object is the one at core's selector 'kcap'
		 */
		bool same_object_as(addr_t kcap) const
		{
			return _mapped && Foc_cap_platform::cap_equal(_index.kcap(), kcap);
		}
	};
}


Foc::l4_cap_idx_t Native_pd_component::_task()
{
	return Cap_index(_pd_session._pd.native_task()).kcap();
}


Native_capability Native_pd_component::request(addr_t     selector,
                                               unsigned   badge,
                                               Slot_info &info)
{
	info = { Slot_info::OUT_OF_RANGE, NO_SELECTOR };

	if (selector >= selector_of(MAX_SLOTS) || selector % Foc::L4_CAP_SIZE)
		return { };

	Foc::l4_cap_idx_t const task = _task();

	unsigned       slot = unsigned(selector >> Foc::L4_CAP_SHIFT) + 1;
	unsigned const end  = min(slot + MAX_SLOTS_PER_CALL, MAX_SLOTS);

	while (slot < end && !occupied(task, selector_of(slot)))
		slot++;

	if (slot < MAX_SLOTS)
		info.next = selector_of(slot);

	if (!occupied(task, selector)) {
		info.state = Slot_info::EMPTY;
		return { };
	}

	info.state = Slot_info::UNKNOWN;

	/* the reference keeps the object alive during the comparison */
	Native_capability const hinted = Core_cap_index::lookup(badge);
	if (!hinted.valid())
		return { };

	Borrowed_cap const borrowed { task, selector };
	if (!borrowed.same_object_as(Cap_index(hinted).kcap()))
		return { };

	info.state = Slot_info::CONFIRMED;
	return hinted;
}


Native_pd::Install_result
Native_pd_component::install(Native_capability cap, addr_t selector, unsigned present)
{
	using namespace Foc;

	/* slots below are under control of core */
	if (selector <  USER_BASE_CAP
	 || selector >= selector_of(MAX_SLOTS) || selector % L4_CAP_SIZE)
		return Install_result::OUT_OF_RANGE;

	if (!cap.valid() || !occupied(L4_BASE_TASK_CAP, Cap_index(cap).kcap()))
		return Install_result::INVALID_CAP;

	l4_cap_idx_t const task = _task();

	auto map = [&]
	{
		/*
		 * The rights are those of a capability that core sends by IPC. They let
		 * capabilities that are sent via a gate keep their rights, without which a
		 * component could not bind its threads to IRQ objects. In contrast,
		 * the right to control a gate, e.g., to bind it to another thread, is no
		 * part of any mapping, and remains in core.
		 */
		l4_fpage_t const fpage =
			l4_obj_fpage(Cap_index(cap).kcap(), 0, L4_CAP_FPAGE_RWS);

		l4_msgtag_t const tag =
			l4_task_map(task, L4_BASE_TASK_CAP, fpage, selector | L4_ITEM_MAP);

		return l4_error(tag) ? Install_result::FAILED : Install_result::OK;
	};

	if (present == NO_BADGE)
		return occupied(task, selector) ? Install_result::IN_USE : map();

	Native_capability const expected = Core_cap_index::lookup(present);
	if (!expected.valid())
		return Install_result::IN_USE;

	Borrowed_cap const borrowed { task, selector };

	return borrowed.same_object_as(Cap_index(expected).kcap()) ? map()
	                                                        : Install_result::IN_USE;
}


void Native_pd_component::table(Dataspace_capability ds, uint64_t instance)
{
	_pd_session._ep.apply(ds, [&] (Dataspace_component *ds_ptr) {
		if (ds_ptr)
			cap_directory().table(&_pd_session._rpc_cap_factory,
			                      ds_ptr->phys_addr(), ds_ptr->size(), instance); });
}


/**
 * Let the kernel tell the pages of a task that were written since the last time
 *
 * Kernels for processors that do not tell refuse the operation.
 */
static Native_pd::Dirty_pages fetch_dirty(Foc::l4_cap_idx_t task, addr_t at, unsigned count)
{
	using namespace Foc;

	using Dirty_pages = Native_pd::Dirty_pages;

	constexpr l4_umword_t FETCH_DIRTY = 0x20;

	l4_msg_regs_t &mr = *l4_utcb_mr();

	mr.mr[0] = FETCH_DIRTY;
	mr.mr[1] = at;
	mr.mr[2] = count;

	l4_msgtag_t const tag = l4_ipc_call(task, l4_utcb(), l4_msgtag(L4_PROTO_TASK, 3, 0, 0),
	                                    L4_IPC_NEVER);

	Dirty_pages result { };

	if (l4_error(tag)) {
		result.state = (l4_error(tag) == -L4_ENOSYS) ? Dirty_pages::UNAVAILABLE
		                                             : Dirty_pages::OUT_OF_RANGE;
		return result;
	}

	for (unsigned i = 0; i < (count + Dirty_pages::BITS - 1)/Dirty_pages::BITS; i++)
		result.words[i] = mr.mr[i];

	return result;
}


Native_pd::Dirty_pages::State Native_pd_component::track_dirty_pages()
{
	Dirty_pages::State const state = fetch_dirty(_task(), 0, 0).state;

	if (state == Dirty_pages::OK)
		_pd_session._pd.single_pages = true;

	return state;
}


Native_pd::Dirty_pages Native_pd_component::dirty_pages(addr_t at, unsigned count)
{
	if (count > Dirty_pages::MAX || at % PAGE_SIZE) {
		Dirty_pages result { };
		result.state = Dirty_pages::OUT_OF_RANGE;
		return result;
	}

	return fetch_dirty(_task(), at, count);
}


/*
 * The lifetime of the object is the one of the PD. The factory, which the gates
 * of the PD refer to, identifies the PD.
 */
Native_pd_component::Native_pd_component(Pd_session_component &pd, char const *)
:
	_pd_session(pd)
{
	_pd_session._ep.manage(this);

	cap_directory().add_pd(&pd._rpc_cap_factory, unsigned(pd.cap().local_name()),
	                       pd.label().string());
}


Native_pd_component::~Native_pd_component()
{
	cap_directory().remove_pd(&_pd_session._rpc_cap_factory);

	_pd_session._ep.dissolve(this);
}
