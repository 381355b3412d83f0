/*
 * \brief  Sessions of a component that can be checkpointed
 * \date   2026-11-29
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _INCLUDE__CAP_CHECKPOINT__SESSIONS_H_
#define _INCLUDE__CAP_CHECKPOINT__SESSIONS_H_

/* Genode includes */
#include <base/session_label.h>
#include <cap_checkpoint/pd.h>
#include <log_session/log_session.h>
#include <parent/parent.h>
#include <rom_session/capability.h>
#include <timer_session/connection.h>

namespace Cap_checkpoint {

	struct Open_session;
	struct Session_policy;
	class  Log_service_session;
	class  Rom_source;
	class  Rom_service_session;
	class  Timer_service_session;
}


/**
 * Session that the component has opened
 */
struct Cap_checkpoint::Open_session : Interface, Noncopyable
{
	using Id      = Parent::Client::Id;
	using Service = String<64>;
	using Args    = String<160>;
	using Costs   = Cap_space_monitor::Pd::Costs;

	/**
	 * What the component says when it opens the session
	 */
	struct Request
	{
		Id       id;
		Service  service;
		Args     args;
		Affinity affinity;
		Costs    donated;  /* including upgrades */

		Session_label label() const { return label_from_args(args.string()); }
	};

	Request request;

	/* used while an image is made */
	uint32_t number = NONE, slot = NONE;

	Id_space<Open_session>::Element _element;

	Open_session(Id_space<Open_session> &space, Request const &request)
	: request(request), _element(*this, space, { request.id.value }) { }

	virtual Session_capability session_cap() const = 0;

	/**
	 * Return what the session takes from the monitor beyond the usual
	 */
	virtual Costs surcharge() const { return { { 0 }, { 0 } }; }

	/**
	 * Return signal handler that the component has registered, if any
	 */
	virtual Signal_context_capability handler() const { return { }; }

	virtual void handler(Signal_context_capability) { }

	virtual Rom_service_session   *rom_session()   { return nullptr; }
	virtual Timer_service_session *timer_session() { return nullptr; }

	/**
	 * Call 'fn' with the 'Rom_service_session &' if it is one
	 */
	void with_rom(auto const &fn) { if (auto session = rom_session()) fn(*session); }

	/**
	 * Call 'fn' with the 'Timer_service_session &' if it is one
	 */
	void with_timer(auto const &fn) { if (auto session = timer_session()) fn(*session); }
};


/**
 * Decides which sessions the component gets besides those of its environment
 */
struct Cap_checkpoint::Session_policy : Interface
{
	/**
	 * Return true if the component may open a session
	 *
	 * \param label  as told by the component
	 */
	virtual bool permitted(Open_session::Service const &, Session_label const &)
	{
		return true;
	}

	/**
	 * Where a ROM session leads to
	 */
	struct Rom
	{
		Session_label        label;      /* of the session at the parent of the monitor */
		Dataspace_capability content { }; /* if valid, there is no such session */
	};

	virtual Rom rom(Session_label const &label) { return { label.last_element() }; }

	/**
	 * Policy that permits all sessions
	 */
	static Session_policy &any()
	{
		static Session_policy policy { };
		return policy;
	}
};


/**
 * LOG session, the output appears as the one of the monitor
 *
 * Each line begins with the label, so that no component can speak for another one.
 */
class Cap_checkpoint::Log_service_session : public Open_session, public Rpc_object<Log_session>
{
	private:

		Entrypoint &_ep;

		Session_label const _label;

	public:

		Log_service_session(Entrypoint &ep, Session_label const &label,
		                    Id_space<Open_session> &space, Request const &request)
		: Open_session(space, request), _ep(ep), _label(label) { _ep.manage(*this); }

		~Log_service_session() { _ep.dissolve(*this); }

		Session_capability session_cap() const override { return cap(); }

		void write(Log_session::String const &) override;
};


/**
 * Where the content of a ROM session comes from
 */
class Cap_checkpoint::Rom_source : Noncopyable
{
	private:

		/* each component on the way to the server may take a share of the quota */
		static constexpr unsigned MAX_ATTEMPTS = 4;

		Env &_env;

		Parent::Client _client { };

		Id_space<Parent::Client>::Element const _element { _client, _env.id_space() };

		Rom_session_capability _session { };

		void _open(Session_label const &);

	public:

		using Costs = Open_session::Costs;

		/**
		 * What the server demanded beyond the usual quota
		 */
		Costs surcharge { { 0 }, { 0 } };

		/**
		 * Dataspace with the content, invalid if the session is denied
		 */
		Rom_dataspace_capability ds { };

		/**
		 * Constructor
		 *
		 * Unlike a 'Rom_connection', which stops a component whose request is denied,
		 * it returns.
		 */
		Rom_source(Env &, Session_policy::Rom const &);

		~Rom_source();
};


/**
 * ROM session, the content does not change
 */
class Cap_checkpoint::Rom_service_session : public Open_session, public Rpc_object<Rom_session>
{
	public:

		using Name = Session_label;

	private:

		Entrypoint    &_ep;
		Env::Local_rm &_local_rm;
		Dataspaces    &_dataspaces;

		Rom_source const _source;

		bool           _hashed = false;
		Sha256::Digest _hash { };

		Signal_context_capability _sigh { };

		/*
		 * Noncopyable
		 */
		Rom_service_session(Rom_service_session const &);
		Rom_service_session &operator = (Rom_service_session const &);

	public:

		Name  const name;
		Rom_dataspace_capability const ds_cap { _source.ds };
		Dataspace *ds = nullptr;

		/**
		 * Constructor
		 *
		 * \param name  as told by the component, for messages
		 *
		 * The session is of no use unless 'ds' is there.
		 */
		Rom_service_session(Env &env, Entrypoint &ep, Virtual_pd &pd,
		                    Session_policy::Rom const &source, Name const &name,
		                    Id_space<Open_session> &space, Request const &request);

		~Rom_service_session();

		/**
		 * Call 'fn' with the hash over the module, which is computed once
		 */
		bool with_hash(auto const &fn)
		{
			if (!_hashed)
				_hashed = _compute_hash();
			if (_hashed)
				fn(_hash);
			return _hashed;
		}

		bool _compute_hash();

		Session_capability session_cap() const override { return cap(); }

		Signal_context_capability handler() const override { return _sigh; }

		void handler(Signal_context_capability cap) override { _sigh = cap; }

		Costs surcharge() const override { return _source.surcharge; }

		Rom_service_session *rom_session() override { return this; }

		Rom_dataspace_capability dataspace() override { return ds_cap; }

		void sigh(Signal_context_capability cap) override { _sigh = cap; }
};


/**
 * Timer session that can be continued at a point in time
 */
class Cap_checkpoint::Timer_service_session : public Open_session, public Rpc_object<Timer::Session>
{
	private:

		Entrypoint        &_ep;
		Timer::Connection &_timer;
		Pd_session_client &_pd;

		uint64_t _offset   = 0 - _timer.curr_time().trunc_to_plain_us().value;
		uint64_t _deadline = 0;  /* us, 0 for none */
		uint64_t _period   = 0;

		Signal_context_capability _sigh { };

		Timer::One_shot_timeout<Timer_service_session> _timeout {
			_timer, *this, &Timer_service_session::_handle };

		void _handle(Duration);
		void _arm();

	public:

		Timer_service_session(Entrypoint &ep, Timer::Connection &timer, Pd_session_client &pd,
		                      Id_space<Open_session> &space, Request const &request)
		: Open_session(space, request), _ep(ep), _timer(timer), _pd(pd) { _ep.manage(*this); }

		~Timer_service_session() { _ep.dissolve(*this); }

		struct State { uint64_t elapsed, deadline, period; };

		State state() const { return { elapsed_us(), _deadline, _period }; }

		/**
		 * Continue at a state, as if no time had passed
		 */
		void state(State const &);

		Session_capability session_cap() const override { return cap(); }

		Signal_context_capability handler() const override { return _sigh; }

		void handler(Signal_context_capability cap) override { _sigh = cap; }

		Timer_service_session *timer_session() override { return this; }


		/******************************
		 ** Timer::Session interface **
		 ******************************/

		void     trigger_once(uint64_t us) override;
		void     trigger_periodic(uint64_t us) override;
		void     sigh(Signal_context_capability cap) override { _sigh = cap; }
		uint64_t elapsed_ms() const override { return elapsed_us()/1000; }
		uint64_t elapsed_us() const override;
		void     msleep(uint64_t) override { }
		void     usleep(uint64_t) override { }
};

#endif /* _INCLUDE__CAP_CHECKPOINT__SESSIONS_H_ */
