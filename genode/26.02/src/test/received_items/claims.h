/*
 * \brief  Messages that claim capabilities which they do not contain
 * \date   2026-11-30
 *
 * A server is shown two of its objects by an honest message, so their
 * capabilities are in the window where the kernel puts what is received. The
 * next message, written by the kernel's interface, names the badges of both, but
 * brings neither. The server must not take its sender for a holder of what it
 * did not send. The same is tried with core and a dataspace. In between, honest
 * messages must be understood as ever.
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _CLAIMS_H_
#define _CLAIMS_H_

/* Genode includes */
#include <base/env.h>
#include <base/log.h>

/* local includes */
#include <shelf.h>

namespace Test {

	struct Core;
	struct Claims;
}


/**
 * What core makes of messages that name the badge of a dataspace
 */
struct Test::Core : Interface
{
	enum Answer { NONE, REFUSED, OBEYED };

	/* an object of core */
	virtual Native_capability object() = 0;

	/* return whether an honest message is obeyed */
	virtual bool holder() = 0;

	/* send a message with the given items */
	virtual Answer claim(Message const &items) = 0;
};


struct Test::Claims
{
	using Item_cap = Shelf::Item_cap;

	static constexpr unsigned ROUNDS = 10;

	/* beyond each capability space */
	static constexpr addr_t FAR = ~0UL << Foc::L4_CAP_SHIFT;

	Env &_env;

	Core &_core;

	Capability<Shelf> const _shelf;

	/* of memory, page-aligned */
	addr_t const _page;

	Item_cap _first { }, _second { };

	Item_object _own_object { }, _other_object { };

	/* the server does not keep them */
	Item_cap const _own, _other;

	addr_t const _empty { Message::empty_selector() };

	unsigned _claims = 0, _mistakes = 0;

	template <typename... ARGS>
	void _expect(bool condition, ARGS const &... message)
	{
		if (condition)
			return;

		_mistakes++;
		error(message...);
	}

	static addr_t _kcap(Native_capability const &cap) { return Capability_space::kcap(cap); }

	void _expect_seen(char const *what, Item_cap const &a, Item_cap const &b,
	                  unsigned expected)
	{
		unsigned const seen = _shelf.call<Shelf::Rpc_see>(a, b);

		_expect(seen == expected, what, ": ", seen, " instead of ", expected);
	}

	/* leaves the first object in the first place of the window, and so on */
	void _honest_messages()
	{
		using S = Shelf;

		_expect_seen("own objects", _own,       _other,  S::both(S::OTHER,   S::OTHER));
		_expect_seen("swapped",     _second,    _first,  S::both(S::SECOND,  S::FIRST));
		_expect_seen("own object",  Item_cap(), _own,    S::both(S::NOTHING, S::OTHER));
		_expect_seen("objects",     _first,     _second, S::both(S::FIRST,   S::SECOND));
	}

	/**
	 * Claim to send 'a' and 'b'
	 */
	void _claim(char const *what, Item_cap const &a, Item_cap const &b,
	            unsigned expected, Message const &items)
	{
		_honest_messages();

		Message message((unsigned long)_shelf.local_name(), a, b);
		message.data(Meta::Index_of<Shelf::Rpc_functions, Shelf::Rpc_see>::Value);
		message.append_items(items);

		Message::Answer const answer = message.call(_shelf);

		_expect(answer.received, what, ": no answer");

		/* the word has 64 bits, the result 32 */
		unsigned const seen = unsigned(answer.word);
		_expect(seen == expected, what, ": ", seen, " instead of ", expected);

		_claims++;

		_honest_messages();
	}

	/**
	 * Claim to send the objects of the server
	 */
	void _claim(char const *what, unsigned expected, Message const &items)
	{
		_claim(what, _first, _second, expected, items);
	}

	void _claim_objects()
	{
		using namespace Foc;
		using S = Shelf;
		using M = Message;

		unsigned const NEITHER    = S::both(S::NOTHING, S::NOTHING),
		               ONLY_FIRST = S::both(S::FIRST,   S::NOTHING);

		addr_t const first = _kcap(_first), own = _kcap(_own), other = _kcap(_other);

		l4_fpage_t const page       = l4_fpage(_page, 12, L4_FPAGE_RW),
		                 ports      = l4_iofpage(0x70, 1),
		                 no_rights  = l4_obj_fpage(own, 0, 0),
		                 many_empty = l4_obj_fpage(FAR, 4, L4_FPAGE_RWX);

		_claim("no item", NEITHER, M());

		_claim("empty selectors", NEITHER, M().object(_empty).object(_empty));
		_claim("empty selectors to be moved", NEITHER,
		       M().object(_empty, L4_MAP_ITEM_GRANT).object(_empty, L4_MAP_ITEM_GRANT));
		_claim("second selector empty", ONLY_FIRST, M().object(first).object(_empty));
		_claim("many empty selectors", NEITHER, M().item(many_empty).item(many_empty));
		_claim("selectors out of range", NEITHER, M().object(FAR).object(FAR));

		_claim("no rights", NEITHER, M().item(no_rights).item(no_rights));
		_claim("other objects", NEITHER, M().object(own).object(other));

		_claim("void items", NEITHER, M().nothing().nothing());
		_claim("void item first", NEITHER, M().nothing().object(first));
		_claim("void item second", ONLY_FIRST, M().object(first).nothing());

		_claim("two items for one place", NEITHER,
		       M().object(own, L4_ITEM_CONT).object(first));
		_claim("last items for one place", ONLY_FIRST,
		       M().object(first).object(own, L4_ITEM_CONT));

		_claim("memory", NEITHER, M().item(page).item(page));
		_claim("memory first", NEITHER, M().item(page).object(first));
		_claim("memory second", ONLY_FIRST, M().object(first).item(page));

		_claim("ports", NEITHER, M().item(ports).item(ports));
		_claim("ports second", ONLY_FIRST, M().object(first).item(ports));

		/* badges that the server does not know */
		_claim("nothing for new badges", _own, _other, NEITHER,
		       M().object(_empty).object(_empty));
		_claim("a new badge, and one that was not sent", _own, _second,
		       S::both(S::OTHER, S::NOTHING), M().object(own).object(_empty));
	}

	/**
	 * Claim to hold an object that is gone, while the server knows its badge
	 */
	void _claim_dead_object()
	{
		using S = Shelf;

		Item_object object { };

		Item_cap const dead = _env.ep().manage(object);

		_shelf.call<Shelf::Rpc_keep>(dead);
		_env.ep().dissolve(object);

		_claim("nothing for an object that is gone", dead, _own,
		       S::both(S::NOTHING, S::OTHER),
		       Message().object(_empty).object(_kcap(_own)));

		_shelf.call<Shelf::Rpc_keep>(Item_cap());
	}

	/**
	 * Let the server claim its own objects, as results of a call
	 */
	void _receive_claim()
	{
		Item_cap first { }, second { };

		_shelf.call<Shelf::Rpc_items>(first, second);
		_expect(first == _first && second == _second, "objects received are others");

		_shelf.call<Shelf::Rpc_lie>(first, second);
		_expect(!first.valid() && !second.valid(), "the server did not send its objects");

		_claims++;
	}

	/**
	 * Claim to hold the dataspace when asking core to use it
	 */
	void _claim_dataspace(char const *what, Message const &items)
	{
		_expect(_core.holder(), "core does not obey a holder");

		Core::Answer const answer = _core.claim(items);

		_expect(answer != Core::NONE,   "core, ", what, ": no answer");
		_expect(answer != Core::OBEYED, "core, ", what, ": obeyed");

		_claims++;

		_expect(_core.holder(), "core does not obey a holder afterwards");
	}

	void _claim_dataspaces()
	{
		using M = Message;

		_claim_dataspace("empty selector", M().object(_empty));
		_claim_dataspace("out of range",   M().object(FAR));
		_claim_dataspace("no item",        M());
		_claim_dataspace("void item",      M().nothing());
		_claim_dataspace("ports",          M().item(Foc::l4_iofpage(0x70, 1)));
		_claim_dataspace("combined item",  M().object(_kcap(_own), Foc::L4_ITEM_CONT));
	}

	/**
	 * Send as many void items as fit into a message
	 *
	 * The receiver has room for half of them, in front of what it keeps in its
	 * UTCB.
	 */
	void _flood(Native_capability const &dst)
	{
		for (unsigned num_words = 0; num_words < 2; num_words++) {

			Message message { };
			message.num_words = message.end = num_words;

			while (message.end < Foc::L4_UTCB_GENERIC_DATA_SIZE)
				message.nothing();

			_expect(!message.call(dst).received, "message of void items was accepted");
		}
		_claims++;
	}

	Claims(Env &env, Capability<Shelf> shelf, Core &core, addr_t page)
	:
		_env(env), _core(core), _shelf(shelf), _page(page),
		_own(env.ep().manage(_own_object)), _other(env.ep().manage(_other_object))
	{
		_shelf.call<Shelf::Rpc_items>(_first, _second);

		for (unsigned round = 0; round < ROUNDS; round++) {
			_claim_objects();
			_claim_dead_object();
			_receive_claim();
			_claim_dataspaces();
		}

		_flood(_shelf);
		_honest_messages();

		_flood(_core.object());
		_claim_dataspaces();

		log("--- ", _claims, " claims, ", _mistakes, " mistakes: received items test ",
		    _mistakes ? "failed" : "succeeded", " ---");
	}
};

#endif /* _CLAIMS_H_ */
