/*
 * \brief  Services that a component offers to clients outside
 * \date   2026-12-01
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _INCLUDE__CAP_CHECKPOINT__OFFER_H_
#define _INCLUDE__CAP_CHECKPOINT__OFFER_H_

/* Genode includes */
#include <cap_checkpoint/array.h>
#include <cap_checkpoint/pd.h>
#include <cap_checkpoint/provider.h>

namespace Cap_checkpoint {

	struct Monitor;
	class  Offer;
}


/**
 * Services of one component, and the sessions of their clients
 *
 * It outlives the component that is saved and restored. If this goes on exactly where it was
 * frozen, so do its clients. In all other cases, they get errors, and can
 * close their sessions.
 */
class Cap_checkpoint::Offer : private List<Offer>::Element, private Virtual_pd::Outside, Noncopyable
{
	public:

		friend class List<Offer>;

		using List<Offer>::Element::next;

		using Name  = Offer_state::Name;
		using Args  = Offer_state::Args;
		using Id    = Parent::Server::Id;
		using Costs = Cap_space_monitor::Pd::Costs;
		using Stage = Offer_state::Session::Stage;

		/**
		 * Who tells the component that there are requests
		 */
		struct Notify : Interface, private List<Notify>::Element
		{
			friend class List<Notify>;

			using List<Notify>::Element::next;

			virtual void requests_changed() = 0;
		};

		/**
		 * Decides what becomes of sessions when the component is lost
		 */
		struct Policy : Interface
		{
			/**
			 * Return true if clients of a service do not care which session they have
			 *
			 * Instead of errors for ever, they get a session of the component that comes next.
			 */
			virtual bool reopens(Name const &) const = 0;
		};

		/* arguments of a request at the parent may be longer than a component can be asked for */
		using Wanted_args = String<256>;

	private:

		static constexpr unsigned MAX_STAND_INS = 8, MAX_SHARED = 32;

		/* what a session must leave to the monitor */
		static constexpr size_t RESERVED_RAM = 256*1024, RESERVED_CAPS = 40;

		/* what the component may keep of sessions that are closed, as heaps do */
		static constexpr size_t MAX_KEPT_RAM = 128*1024, MAX_KEPT_CAPS = 20;

		/**
		 * Dataspace of the component that clients may have attached
		 *
		 * It stays until the session is closed, whatever becomes of the component.
		 */
		struct Shared
		{
			Ram_dataspace_capability cap    { };
			uint64_t                 key    { 0 };      /* of the session by which it became known */
			bool                     kept   { false };  /* the component is gone */
			uint32_t                 number { NONE };   /* in the image */
		};

		/**
		 * Session of a client, or one whose client is elsewhere
		 */
		struct Served
		{
			Id         id;          /* at the component */
			uint64_t   key = 0;     /* tells it from all others that there ever were */
			bool       has_client;
			Id   const client_id;   /* at the parent of the monitor */
			Name const service;
			Args const args;
			Stage      stage   = Stage::CREATE;
			bool       known   = true;   /* the component has it, or is to create it */
			bool       closing = false;  /* to be closed once the component has answered */
			bool       delivered = false;  /* the client has it */

			/* over for the component, which has not returned what the client has donated */
			bool                     owed   = false;
			Parent::Session_response answer = Parent::Session_response::CLOSED;

			/* what the component has got, is to get for an upgrade, or does not have yet */
			Costs donated { { 0 }, { 0 } }, more { { 0 }, { 0 } }, unpaid { { 0 }, { 0 } };

			uint32_t server = NONE;  /* thread that owes a reply to the client */

			/*
			 * Capabilities of the client, for which the component has signal contexts
			 */
			struct Stand_in
			{
				Native_capability cap     { };
				addr_t            imprint { 0 };

			} stand_ins[MAX_STAND_INS] { };

			Constructible<Proxy> proxy { };

			Served(Id id, bool has_client, Id client_id, Name const &service, Args const &args)
			: id(id), has_client(has_client), client_id(client_id), service(service), args(args) { }

			bool pending() const { return known && stage != Stage::OPEN; }

			/* nobody uses it any more, or ever did */
			bool over() const { return closing || !has_client || (owed && !delivered); }
		};

		using Session_response = Parent::Session_response;

		Env        &_env;
		Pd_session &_own_pd;
		Provider   &_provider;
		String<64>  const _label;

		Policy const * const _policy;  /* nullptr if nothing is opened again */

		Signal_handler<Offer> _asked_handler { _env.ep(), *this, &Offer::_answer_proxies };

		Virtual_pd *_pd = nullptr;  /* of the component, if there is one */

		List<Notify> _notified { };

		uint64_t _stamp   = 0;  /* of the state in which the component is frozen, or 0 */
		uint64_t _next_id = 1;
		addr_t   _next_imprint = 0;
		uint64_t _last_key = 0;

		Name _services[Offer_state::MAX_SERVICES] { };

		Constructible<Served> _served[Offer_state::MAX_SESSIONS] { };

		Shared _shared[MAX_SHARED] { };

		Costs _kept { { 0 }, { 0 } };

		bool _may_open(Args const &);

		void _for_each(auto const &fn)
		{
			for (Constructible<Served> &served : _served)
				if (served.constructed())
					fn(*served);
		}

		void _for_each_proxy(auto const &fn)
		{
			_for_each([&] (Served &served) {
				if (served.known && served.proxy.constructed())
					fn(served, *served.proxy); });
		}

		void _with_served(auto const &condition_fn, auto const &fn)
		{
			for (Constructible<Served> &served : _served)
				if (served.constructed() && condition_fn(*served)) {
					fn(*served);
					return;
				}
		}

		/* a session of the component */
		void _with_id(Id id, auto const &fn)
		{
			_with_served([&] (Served const &s) { return s.known && s.id.value == id.value; }, fn);
		}

		void _with_client(Id id, auto const &fn)
		{
			_with_served([&] (Served const &s) {
				return s.has_client && s.client_id.value == id.value; }, fn);
		}

		static Costs _sum(Costs const &a, Costs const &b)
		{
			return { { a.ram.value + b.ram.value }, { a.caps.value + b.caps.value } };
		}

		Native_capability _gate_of(uint32_t badge) const;

		Native_capability _stand_in(Served &, Native_capability const &);
		Native_capability _to_component(Served &, Native_capability const &);
		Native_capability _to_client(Served &, uint32_t badge);

		void _answer_proxies();

		/* Virtual_pd::Outside */
		void submit(addr_t imprint, unsigned count) override;
		Pd_session &ram_pd() override { return _own_pd; }
		void keep  (Dataspace const &) override;
		void forget(Dataspace const &) override;

		void _with_shared(Native_capability const &cap, auto const &fn)
		{
			for (Shared &shared : _shared)
				if (shared.cap.valid() && shared.cap == cap)
					fn(shared);
		}

		Native_capability _share(Served const &, Dataspace &);
		void _release_memory(Served const &);

		Served *_add(Id, bool has_client, Id client_id, Name const &, Args const &);

		void _respond(Served const &, Session_response);
		void _pay(Served &, Costs const &);
		void _pay_debts(Served &);
		bool _take_back(Served &);
		void _settle_owed();
		void _remove(Served &);
		void _ask(Served &, Stage);
		void _settle(Served &);
		void _end(Served &, Session_response);
		void _renumber(uint64_t next_id);
		bool _reopen(Served &);
		void _add_orphan(Offer_state::Session const &);
		void _continue(Served &, Offer_state::Session const &, Array<Native_capability> const &);

		/*
		 * Noncopyable
		 */
		Offer(Offer const &);
		Offer &operator = (Offer const &);

	public:

		Offer(Monitor &, Provider &, Session::Label const &, Policy const *policy = nullptr);

		~Offer();


		/***************************************
		 ** Requests of clients, by 'Provider' **
		 ***************************************/

		bool provides(Name const &) const;

		bool has_client(Id id)
		{
			bool result = false;
			_with_client(id, [&] (Served const &) { result = true; });
			return result;
		}

		void create (Id, Name const &, Wanted_args const &);
		void upgrade(Id, Costs const &);
		void close  (Id);


		/***************************************
		 ** Life of the component, by 'Child' **
		 ***************************************/

		/**
		 * Let a component have memory that clients can share, and clients once it is started or resumed
		 */
		void attach(Virtual_pd &pd) { pd.outside = this; }

		/**
		 * Begin with a component that knows no client, as it is started, or restored from before it asked for requests
		 */
		void start(Virtual_pd &);

		/**
		 * Respond to the end of a component, which may go on elsewhere
		 *
		 * It must not execute any more, though its threads must exist.
		 */
		void detach(Virtual_pd &);

		/**
		 * Let further requests of clients wait
		 */
		void hold();

		/**
		 * Return true if each request is either received by the component, or waits
		 */
		bool settled();

		/**
		 * Let the clients of a component that was frozen go on
		 */
		void release();

		/**
		 * Let all sessions of the former component answer by errors
		 */
		void abandon();

		/**
		 * Let all sessions answer by errors, and open no more
		 */
		void withdraw();


		/****************************************************
		 ** Parent interface of the component, and requests **
		 ****************************************************/

		void add   (Notify &notify) { _notified.insert(&notify); }
		void remove(Notify &notify) { _notified.remove(&notify); }

		void announce(Name const &);
		void session_response(Id, Session_response);
		void deliver(Id, Session_capability);

		bool pending()
		{
			bool result = false;
			_for_each([&] (Served const &served) { result |= served.pending(); });
			return result;
		}

		/**
		 * What clients are waiting for, and what there is of them
		 */
		struct Numbers { unsigned clients, dead, pending, received, queued; };

		Numbers numbers();

		/**
		 * Generate nodes of requests
		 *
		 * \param max  number of nodes
		 */
		void generate_requests(Generator &, unsigned max);


		/**********************
		 ** Save and restore **
		 **********************/

		/**
		 * Return what clients have donated to the component, and what it keeps of sessions that are over
		 */
		Costs donated();

		/**
		 * Return the most that a component with a state may have of its clients
		 */
		Costs max_donated(Offer_state const &);

		/**
		 * Return true if the monitor can do without resources
		 */
		bool affords(Costs const &) const;

		/**
		 * Return true if there is room for the sessions of a state besides those of the clients here
		 */
		bool has_room(Offer_state const &);

		/**
		 * Fill in all but who owes replies, while the component is frozen
		 */
		void save_state(Offer_state &);

		/**
		 * Call 'fn' with badge and 'uint32_t &server' of each request that was received and not answered
		 */
		void for_each_received(Offer_state &state, auto const &fn)
		{
			unsigned i = 0;
			_for_each([&] (Served &served) {
				if (served.proxy.constructed() && served.proxy->call() == Proxy::Call::RECEIVED)
					fn(served.proxy->called(), state.sessions[i].server);
				i++; });
		}

		/**
		 * Take note of the numbers of shared dataspaces in the image
		 */
		void number_memory();

		/**
		 * Return dataspace that clients of the frozen component share, if it is the one of an image
		 *
		 * \param stamp   of the state in the image
		 * \param number  of the dataspace
		 */
		Ram_dataspace_capability shared_memory(uint64_t stamp, uint32_t number) const;

		/**
		 * Let the component that continues have it
		 */
		void return_memory(Dataspace &);

		/**
		 * Continue with a component that has the given state
		 *
		 * \param gates    of the component, by number
		 * \param donated  what it has of clients, be they here or not
		 */
		void resume(Virtual_pd &, Offer_state const &, Array<Native_capability> const &gates,
		            Costs const &donated);

		/**
		 * Return true if a thread owes a reply to a client that repeats its request
		 */
		bool served_by(uint32_t thread)
		{
			bool result = false;
			_for_each([&] (Served const &served) { result |= (served.server == thread); });
			return result;
		}

		/**
		 * Let these clients repeat their requests
		 */
		void repeat_calls();
};

#endif /* _INCLUDE__CAP_CHECKPOINT__OFFER_H_ */
