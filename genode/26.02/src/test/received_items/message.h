/*
 * \brief  Message that is written word by word
 * \date   2026-11-30
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _MESSAGE_H_
#define _MESSAGE_H_

/* Genode includes */
#include <foc/capability_space.h>
#include <foc/native_capability.h>

/* Fiasco.OC includes */
#include <foc/syscall.h>

namespace Test {

	using namespace Genode;

	struct Message;
}


struct Test::Message
{
	Foc::l4_umword_t words[64] { };

	unsigned num_words = 0, num_items = 0, end = 0;

	void append(Foc::l4_umword_t word) { words[end++] = word; }

	/**
	 * Return a selector that names nothing
	 */
	static addr_t empty_selector()
	{
		static addr_t const kcap = Capability_space::alloc_kcap();

		Foc::l4_task_unmap(Foc::L4_BASE_TASK_CAP,
		                   Foc::l4_obj_fpage(kcap, 0, Foc::L4_FPAGE_RWX),
		                   Foc::L4_FP_ALL_SPACES);
		return kcap;
	}

	Message() { }

	/**
	 * Message that begins as Genode's do
	 *
	 * \param protocol  badge of the destination, or result of a request
	 * \param claimed   capabilities whose badges are in the message
	 */
	Message(unsigned long protocol, auto const &... claimed)
	{
		append(protocol);
		append(sizeof...(claimed));
		(append(claimed.local_name()), ...);
		num_words = end;
	}

	void data(Foc::l4_umword_t word) { append(word); num_words = end; }

	void item(Foc::l4_fpage_t fpage, Foc::l4_umword_t flags = 0)
	{
		append(Foc::L4_ITEM_MAP | flags);
		append(fpage.raw);
		num_items++;
	}

	void object(addr_t kcap, Foc::l4_umword_t flags = 0)
	{
		item(Foc::l4_obj_fpage(kcap, 0, Foc::L4_FPAGE_RWX), flags);
	}

	/* only one word, which the receiver finds as two */
	void nothing() { append(0); num_items++; }

	Foc::l4_msgtag_t write_to_utcb() const
	{
		for (unsigned i = 0; i < end; i++)
			Foc::l4_utcb_mr()->mr[i] = words[i];

		return Foc::l4_msgtag(0, num_words, num_items, 0);
	}

	void reply() const
	{
		using namespace Foc;

		l4_ipc_send(L4_SYSF_REPLY, l4_utcb(), write_to_utcb(), L4_IPC_SEND_TIMEOUT_0);
	}

	/**
	 * Call 'dst', return false if there is no answer
	 *
	 * \param answer  first word that follows result and number of capabilities
	 */
	bool call(Native_capability const &dst, Foc::l4_umword_t &answer) const
	{
		using namespace Foc;

		/* 1.4 s for each of sending and receiving */
		l4_timeout_t const timeout = l4_timeout(l4_timeout_rel(703, 11),
		                                        l4_timeout_rel(703, 11));

		l4_msgtag_t const tag = l4_ipc_call(Capability_space::kcap(dst), l4_utcb(),
		                                    write_to_utcb(), timeout);

		if (l4_ipc_error(tag, l4_utcb()))
			return false;

		answer = l4_msgtag_words(tag) > 2 ? l4_utcb_mr()->mr[2] : ~0UL;
		return true;
	}
};

#endif /* _MESSAGE_H_ */
