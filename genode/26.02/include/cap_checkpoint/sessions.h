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
#include <timer_session/connection.h>

namespace Cap_checkpoint {

	struct Open_session;
	struct Session_policy;
	class  Offer;
	class  Requests_service_session;
	class  Rm_service_session;
	class  Log_service_session;
	class  Rom_service_session;
	class  Timer_service_session;
	struct Pd_service_session;
	struct Cpu_service_session;
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

	/* what there is of each at most */
	static constexpr uint32_t MAX_HANDLERS = 5, MAX_MEMORY = 3, MAX_PARTS = 3;

	/* used while an image is made */
	uint32_t number = NONE, slot = NONE, part_slots[MAX_PARTS] { };

	Id_space<Open_session>::Element _element;

	Open_session(Id_space<Open_session> &space, Request const &request)
	: request(request), _element(*this, space, { request.id.value }) { }

	virtual Session_capability session_cap() const = 0;

	/**
	 * Return what the session takes from the monitor beyond the usual
	 */
	virtual Costs surcharge() const { return { { 0 }, { 0 } }; }

	/**
	 * Hand over to the server what the component has donated later
	 */
	virtual void upgrade(Costs const &) { }

	/**
	 * Return further capability that the session hands out, if any
	 *
	 * \param part  which one of the session, as in the image
	 */
	virtual Native_capability part(uint32_t) const { return { }; }

	/**
	 * Call 'fn' with part, capability, and 'uint32_t &' of its slot
	 */
	void for_each_part(auto const &fn)
	{
		for (uint32_t i = 0; i < MAX_PARTS; i++)
			if (Native_capability const cap = part(i); cap.valid())
				fn(i, cap, part_slots[i]);
	}

	/**
	 * Return signal handler that the component has registered, if any
	 *
	 * \param part  which one of the session, as in the image
	 */
	virtual Signal_context_capability handler(uint32_t) const { return { }; }

	virtual void handler(uint32_t, Signal_context_capability) { }

	/**
	 * Return memory that belongs to the session, or nullptr
	 *
	 * The component may share it or not. Its content is part of the image.
	 *
	 * \param part  which one of the session, as in the image
	 */
	virtual Dataspace *memory(uint32_t) { return nullptr; }

	/**
	 * Provide memory for the content of an image
	 *
	 * \param size  as told by the image
	 */
	virtual Dataspace *provide_memory(uint32_t part, size_t) { return memory(part); }

	/**
	 * Complete the memory while the component is frozen
	 *
	 * What the image says must remain true, so nothing is done for the component any more until it goes on.
	 */
	virtual void before_save() { }

	/**
	 * Begin nothing at the server any more, and return true if it has nothing left to execute
	 *
	 * The component is frozen.
	 */
	virtual bool drained() { return true; }

	/**
	 * Give back to the server what the component gets anew where it goes on
	 *
	 * The component is frozen, saved, and drained. If it goes on here nevertheless, 'thawed' gets the same anew.
	 */
	virtual void leave() { }

	/**
	 * Do nothing for a component that is being restored before it goes on
	 */
	virtual void hold() { }

	/**
	 * Go on with a component that was frozen
	 */
	virtual void thawed() { }

	/**
	 * Look at memory that comes from an image before anything else does
	 *
	 * \return  false if the server is not what the memory tells
	 */
	virtual bool restorable() { return true; }

	/**
	 * Go on with what the memory says
	 *
	 * The threads of the component run, but no request was served yet.
	 */
	virtual void after_restore() { }

	/**
	 * Call 'fn' with part and 'Dataspace &' of all memory of the session
	 */
	void for_each_memory(auto const &fn)
	{
		for (uint32_t part = 0; part < MAX_MEMORY; part++)
			if (Dataspace * const ds = memory(part))
				fn(part, *ds);
	}

	virtual Rom_service_session   *rom_session()   { return nullptr; }
	virtual Timer_service_session *timer_session() { return nullptr; }

	virtual Rm_service_session    *rm_session()    { return nullptr; }

	/* sessions by which the component has children */
	virtual Pd_service_session    *pd_session()    { return nullptr; }
	virtual Cpu_service_session   *cpu_session()   { return nullptr; }

	virtual Requests_service_session *requests_session() { return nullptr; }

	/**
	 * Call 'fn' with the 'Rom_service_session &' if it is one that does not change
	 */
	void with_rom(auto const &fn) { if (auto session = rom_session()) fn(*session); }

	/**
	 * Call 'fn' with the 'Rm_service_session &' if it is one
	 */
	void with_rm(auto const &fn) { if (auto session = rm_session()) fn(*session); }

	/**
	 * Call 'fn' with the 'Pd_service_session &' if it is one
	 */
	void with_pd(auto const &fn) { if (auto session = pd_session()) fn(*session); }

	/**
	 * Call 'fn' with the 'Cpu_service_session &' if it is one
	 */
	void with_cpu(auto const &fn) { if (auto session = cpu_session()) fn(*session); }

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
	 * Return label of the session at the parent of the monitor, for services other than ROM
	 */
	virtual Session_label label(Open_session::Service const &, Session_label const &label)
	{
		return label;
	}

	/**
	 * Return where the component offers its services, or nullptr
	 */
	virtual Offer *offer() { return nullptr; }

	/**
	 * Return true if the component may offer a service
	 */
	virtual bool offered(Open_session::Service const &) { return true; }

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

		Signal_context_capability handler(uint32_t part) const override { return part ? Signal_context_capability() : _sigh; }

		void handler(uint32_t part, Signal_context_capability cap) override
		{
			if (!part)
				_sigh = cap;
		}

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
