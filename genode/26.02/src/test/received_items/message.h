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

	void append_badges() { }

	template <typename CAP, typename... CAPS>
	void append_badges(CAP const &cap, CAPS const &... caps)
	{
		append(cap.local_name());
		append_badges(caps...);
	}

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
	template <typename... CAPS>
	Message(unsigned long protocol, CAPS const &... claimed)
	{
		append(protocol);
		append(sizeof...(claimed));
		append_badges(claimed...);
		num_words = end;
	}

	void data(Foc::l4_umword_t word) { append(word); num_words = end; }

	Message &item(Foc::l4_fpage_t fpage, Foc::l4_umword_t flags = 0)
	{
		append(Foc::L4_ITEM_MAP | flags);
		append(fpage.raw);
		num_items++;
		return *this;
	}

	Message &object(addr_t kcap, Foc::l4_umword_t flags = 0)
	{
		return item(Foc::l4_obj_fpage(kcap, 0, Foc::L4_FPAGE_RWX), flags);
	}

	/* only one word, which the receiver finds as two */
	Message &nothing() { append(0); num_items++; return *this; }

	/**
	 * Append the items of another message, which has no words in front of them
	 */
	void append_items(Message const &items)
	{
		for (unsigned i = 0; i < items.end; i++)
			append(items.words[i]);

		num_items += items.num_items;
	}

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

	struct Answer
	{
		bool received;

		/* first word, and the first one behind the number of capabilities */
		Foc::l4_umword_t result, word;
	};

	Answer call(Native_capability const &dst) const
	{
		using namespace Foc;

		/* 1.4 s for each of sending and receiving */
		l4_timeout_t const timeout = l4_timeout(l4_timeout_rel(703, 11),
		                                        l4_timeout_rel(703, 11));

		l4_msgtag_t const tag = l4_ipc_call(Capability_space::kcap(dst), l4_utcb(),
		                                    write_to_utcb(), timeout);

		l4_umword_t const * const mr = l4_utcb_mr()->mr;

		return Answer { !l4_ipc_error(tag, l4_utcb()), mr[0],
		                l4_msgtag_words(tag) > 2 ? mr[2] : ~0UL };
	}
};

#endif /* _MESSAGE_H_ */
