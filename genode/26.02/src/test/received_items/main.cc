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

/* Genode includes */
#include <base/attached_ram_dataspace.h>
#include <base/attached_rom_dataspace.h>
#include <base/connection.h>
#include <base/log.h>

/* local includes */
#include <shelf.h>

namespace Test {

	struct Connection;
	struct Client;
	struct Main;
}


struct Test::Connection : Genode::Connection<Shelf>
{
	Connection(Env &env)
	: Genode::Connection<Shelf>(env, Session::Label(), Ram_quota { 64*1024 }, Args()) { }
};


struct Test::Client
{
	using Item_cap = Shelf::Item_cap;

	static constexpr unsigned ROUNDS = 10;

	static constexpr size_t DS_SIZE = 3*4096;

	/* beyond each capability space */
	static constexpr addr_t FAR = ~0UL << Foc::L4_CAP_SHIFT;

	Env &_env;

	Connection _shelf { _env };

	Item_cap _first { }, _second { };

	Item_object _own_object { }, _other_object { };

	/* the server does not keep them */
	Item_cap const _own   { _env.ep().manage(_own_object) },
	               _other { _env.ep().manage(_other_object) };

	Attached_ram_dataspace _ds { _env.ram(), _env.rm(), DS_SIZE };

	addr_t const _empty { Message::empty_selector() };

	unsigned _claims = 0, _mistakes = 0;

	void _expect(bool condition, auto const &... message)
	{
		if (condition)
			return;

		_mistakes++;
		error(message...);
	}

	static addr_t _kcap(Native_capability const &cap) { return Capability_space::kcap(cap); }

	template <typename RPC>
	Message _request(auto const &... claimed)
	{
		Message result { (unsigned long)_shelf.cap().local_name(), claimed... };
		result.data(Meta::Index_of<Shelf::Rpc_functions, RPC>::Value);
		return result;
	}

	void _expect_seen(char const *what, Item_cap const &a, Item_cap const &b,
	                  unsigned expected)
	{
		unsigned const seen = _shelf.cap().call<Shelf::Rpc_see>(a, b);

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
	 *
	 * \param fn  adds items to the message
	 */
	void _claim(char const *what, Item_cap const &a, Item_cap const &b,
	            unsigned expected, auto const &fn)
	{
		_honest_messages();

		Message message = _request<Shelf::Rpc_see>(a, b);
		fn(message);

		Foc::l4_umword_t word = ~0UL;
		_expect(message.call(_shelf.cap(), word), what, ": no answer");

		/* the word has 64 bits, the result 32 */
		unsigned const seen = unsigned(word);
		_expect(seen == expected, what, ": ", seen, " instead of ", expected);

		_claims++;

		_honest_messages();
	}

	void _claim_objects()
	{
		using namespace Foc;
		using S = Shelf;

		unsigned const NEITHER    = S::both(S::NOTHING, S::NOTHING),
		               ONLY_FIRST = S::both(S::FIRST,   S::NOTHING);

		auto claim = [&] (char const *what, unsigned expected, auto const &fn) {
			_claim(what, _first, _second, expected, fn); };

		claim("no item", NEITHER, [&] (Message &) { });

		claim("empty selectors", NEITHER, [&] (Message &m) {
			m.object(_empty); m.object(_empty); });

		claim("empty selectors to be moved", NEITHER, [&] (Message &m) {
			m.object(_empty, L4_MAP_ITEM_GRANT); m.object(_empty, L4_MAP_ITEM_GRANT); });

		claim("second selector empty", ONLY_FIRST, [&] (Message &m) {
			m.object(_kcap(_first)); m.object(_empty); });

		claim("selectors out of range", NEITHER, [&] (Message &m) {
			m.object(FAR); m.object(FAR); });

		claim("no rights", NEITHER, [&] (Message &m) {
			m.item(l4_obj_fpage(_kcap(_own), 0, 0));
			m.item(l4_obj_fpage(_kcap(_own), 0, 0)); });

		claim("other objects", NEITHER, [&] (Message &m) {
			m.object(_kcap(_own)); m.object(_kcap(_other)); });

		claim("void items", NEITHER, [&] (Message &m) { m.nothing(); m.nothing(); });

		claim("void item first", NEITHER, [&] (Message &m) {
			m.nothing(); m.object(_kcap(_first)); });

		claim("void item second", ONLY_FIRST, [&] (Message &m) {
			m.object(_kcap(_first)); m.nothing(); });

		claim("two items for one place", NEITHER, [&] (Message &m) {
			m.object(_kcap(_own), L4_ITEM_CONT); m.object(_kcap(_first)); });

		claim("last items for one place", ONLY_FIRST, [&] (Message &m) {
			m.object(_kcap(_first)); m.object(_kcap(_own), L4_ITEM_CONT); });

		l4_fpage_t const page  = l4_fpage(addr_t(_ds.local_addr<void>()), 12, L4_FPAGE_RW),
		                 ports = l4_iofpage(0x70, 1);

		claim("memory", NEITHER, [&] (Message &m) { m.item(page); m.item(page); });

		claim("memory first", NEITHER, [&] (Message &m) {
			m.item(page); m.object(_kcap(_first)); });

		claim("memory second", ONLY_FIRST, [&] (Message &m) {
			m.object(_kcap(_first)); m.item(page); });

		claim("ports", NEITHER, [&] (Message &m) { m.item(ports); m.item(ports); });

		claim("ports second", ONLY_FIRST, [&] (Message &m) {
			m.object(_kcap(_first)); m.item(ports); });

		l4_fpage_t const many_empty = l4_obj_fpage(FAR, 4, L4_FPAGE_RWX);

		claim("many empty selectors", NEITHER, [&] (Message &m) {
			m.item(many_empty); m.item(many_empty); });

		/* badges that the server does not know */
		_claim("nothing for new badges", _own, _other, NEITHER, [&] (Message &m) {
			m.object(_empty); m.object(_empty); });

		_claim("a new badge, and one that was not sent", _own, _second,
		       S::both(S::OTHER, S::NOTHING), [&] (Message &m) {
			m.object(_kcap(_own)); m.object(_empty); });
	}

	/**
	 * Let the server claim its own objects, as results of a call
	 */
	void _receive_claim()
	{
		Item_cap first { }, second { };

		_shelf.cap().call<Shelf::Rpc_items>(first, second);
		_expect(first == _first && second == _second, "objects received are others");

		_shelf.cap().call<Shelf::Rpc_lie>(first, second);
		_expect(!first.valid() && !second.valid(), "the server did not send its objects");

		_claims++;
	}

	/**
	 * Claim to hold the dataspace when asking core for its size
	 */
	void _claim_dataspace(char const *what, auto const &fn)
	{
		using Pd = Pd_session;

		Pd_session_capability const pd = _env.pd_session_cap();

		auto expect_size = [&] {
			_expect(pd.call<Pd::Rpc_ram_size>(_ds_cap()) == DS_SIZE, "size of dataspace"); };

		expect_size();

		Message message { (unsigned long)pd.local_name(), _ds_cap() };
		message.data(Meta::Index_of<Pd::Rpc_functions, Pd::Rpc_ram_size>::Value);
		fn(message);

		Foc::l4_umword_t size = ~0UL;
		_expect(message.call(pd, size), "core, ", what, ": no answer");
		_expect(size == 0, "core, ", what, ": size ", size);

		_claims++;

		expect_size();
	}

	Ram_dataspace_capability _ds_cap() const
	{
		return static_cap_cast<Ram_dataspace>(_ds.cap());
	}

	void _claim_dataspaces()
	{
		_claim_dataspace("empty selector", [&] (Message &m) { m.object(_empty); });
		_claim_dataspace("out of range",   [&] (Message &m) { m.object(FAR); });
		_claim_dataspace("no item",        [&] (Message &)  { });
		_claim_dataspace("void item",      [&] (Message &m) { m.nothing(); });
		_claim_dataspace("ports", [&] (Message &m) { m.item(Foc::l4_iofpage(0x70, 1)); });
		_claim_dataspace("combined item", [&] (Message &m) {
			m.object(_kcap(_own), Foc::L4_ITEM_CONT); });
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

			Foc::l4_umword_t answer { };
			_expect(!message.call(dst, answer), "message of void items was accepted");
		}
		_claims++;
	}

	Client(Env &env) : _env(env)
	{
		_shelf.cap().call<Shelf::Rpc_items>(_first, _second);

		for (unsigned round = 0; round < ROUNDS; round++) {
			_claim_objects();
			_receive_claim();
			_claim_dataspaces();
		}

		_flood(_shelf.cap());
		_honest_messages();

		_flood(_env.pd_session_cap());
		_claim_dataspaces();

		log("--- ", _claims, " claims, ", _mistakes, " mistakes: received items test ",
		    _mistakes ? "failed" : "succeeded", " ---");
	}
};


struct Test::Main
{
	Attached_rom_dataspace _config;

	Constructible<Server> _server { };
	Constructible<Client> _client { };

	Main(Env &env) : _config(env, "config")
	{
		if (_config.node().attribute_value("server", false))
			_server.construct(env);
		else
			_client.construct(env);
	}
};


void Component::construct(Genode::Env &env) { static Test::Main main(env); }
