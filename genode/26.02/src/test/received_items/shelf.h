/*
 * \brief  Server that says which of its objects it is shown
 * \date   2026-11-30
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _SHELF_H_
#define _SHELF_H_

/* Genode includes */
#include <base/entrypoint.h>
#include <base/rpc_server.h>
#include <session/session.h>
#include <util/interface.h>

/* local includes */
#include <message.h>

namespace Test {

	struct Item;
	struct Item_object;
	struct Shelf;
	struct Shelf_object;
}


struct Test::Item : Interface { GENODE_RPC_INTERFACE(); };


struct Test::Item_object : Rpc_object<Item, Item_object> { };


struct Test::Shelf : Session
{
	static const char *service_name() { return "Shelf"; }

	static constexpr unsigned CAP_QUOTA = 6;

	using Item_cap = Capability<Item>;

	/* what the server makes of a received capability */
	enum Seen { NOTHING, FIRST, SECOND, OTHER, EMPTY };

	static constexpr unsigned both(Seen a, Seen b) { return a*10 + b; }

	GENODE_RPC(Rpc_items, void, items, Item_cap &, Item_cap &);
	GENODE_RPC(Rpc_lie, void, lie, Item_cap &, Item_cap &);
	GENODE_RPC(Rpc_see, unsigned, see, Item_cap, Item_cap);
	GENODE_RPC(Rpc_keep, void, keep, Item_cap);
	GENODE_RPC_INTERFACE(Rpc_items, Rpc_lie, Rpc_see, Rpc_keep);
};


struct Test::Shelf_object : Rpc_object<Shelf, Shelf_object>
{
	using Seen = Shelf::Seen;

	Entrypoint &_ep;

	Item_object _first { }, _second { };

	Shelf::Item_cap _kept { };

	Shelf_object(Entrypoint &ep) : _ep(ep) { _ep.manage(_first); _ep.manage(_second); }

	~Shelf_object() { _ep.dissolve(_first); _ep.dissolve(_second); }

	Seen _seen(Shelf::Item_cap cap)
	{
		using namespace Foc;

		if (!cap.valid())
			return NOTHING;

		return _ep.rpc_ep().apply(cap, [&] (Item_object *object) -> Seen {

			if (object == &_first)  return FIRST;
			if (object == &_second) return SECOND;

			l4_msgtag_t const tag =
				l4_task_cap_valid(L4_BASE_TASK_CAP, Capability_space::kcap(cap));

			return l4_msgtag_label(tag) ? OTHER : EMPTY;
		});
	}

	void items(Item_cap &first, Item_cap &second)
	{
		first  = _first.cap();
		second = _second.cap();
	}

	/**
	 * Reply with the badges of both objects, and with empty selectors
	 */
	void lie(Item_cap &, Item_cap &)
	{
		Message message { 0, _first.cap(), _second.cap() };
		message.object(Message::empty_selector());
		message.object(Message::empty_selector());

		/* the entrypoint tries to reply to nobody after that */
		message.reply();
	}

	unsigned see(Item_cap a, Item_cap b) { return both(_seen(a), _seen(b)); }

	void keep(Item_cap cap) { _kept = cap; }
};

#endif /* _SHELF_H_ */
