/*
 * \brief  What the capabilities of a component mean
 * \date   2026-11-29
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _INCLUDE__CAP_CHECKPOINT__MEANING_H_
#define _INCLUDE__CAP_CHECKPOINT__MEANING_H_

/* Genode includes */
#include <cap_checkpoint/array.h>
#include <cap_checkpoint/child.h>

namespace Cap_checkpoint {

	class  Meanings;
	struct Thread_info;
	struct Refused;
	struct Member_name;
	struct This_system;
}


/**
 * What images that are made here say of the system
 */
struct Cap_checkpoint::This_system
{
	static constexpr char const *RELEASE = "26.02";

	static constexpr uint32_t ARCHITECTURE =
		sizeof(addr_t) == 8 ? Image::System::X86_64 : Image::System::ARM_V7;
};


/**
 * Name of a child of the component in messages, empty for the component itself
 */
struct Cap_checkpoint::Member_name
{
	Open_session const *session;  /* its PD session, or nullptr */

	void print(Output &out) const
	{
		if (session)
			Genode::print(out, "member '", session->request.label(), "', ");
	}
};


/**
 * Why a component is not saved or restored
 */
struct Cap_checkpoint::Refused
{
	enum class Reason {
		OUT_OF_MEMORY,      /* the monitor lacks RAM or capabilities */
		NO_TABLE,           /* capability table not used by the component */
		UNEXPLAINED_SLOT,   /* capability of unknown meaning */
		AMBIGUOUS_SLOT,     /* two slots with the same badge */
		FOREIGN_MEMORY,     /* region with a dataspace of somebody else */
		OUTSIDE_CALL,       /* thread in a call that the monitor does not serve */
		NO_SIGNAL_THREAD,   /* unknown which thread waits for signals */
		IMAGE,              /* image not usable */
		ROM_DIFFERS,        /* ROM module missing or another one */
		SESSION,            /* session cannot be opened */
		MEMORY,             /* RAM or regions cannot be provided */
		THREAD,             /* thread cannot be created at its place */
		CAPABILITY,         /* capability cannot be created or installed */
		NO_RESTART,         /* threads do not come to life */
		CHILDREN,           /* component with children of its own */
	};

	Reason      reason;
	String<160> what { };

	static char const *name(Reason);

	void print(Output &out) const { Genode::print(out, name(reason), ": ", what); }
};


/**
 * Thread while an image is made
 */
struct Cap_checkpoint::Thread_info
{
	Cap_space_monitor::Monitored_cpu::Thread *thread { nullptr };
	Cap_space_monitor::Monitored_pd          *pd     { nullptr };

	uint32_t member  = 0;      /* that the thread executes in */
	uint32_t session = NONE;   /* number of its CPU session */

	Foc_thread_state  state  { };
	Native_capability native { };

	unsigned index    = 0;
	addr_t   restart  = 0;     /* of the type 'Base_foc::Restart::State' */
	addr_t   argument = 0;     /* selector of the system call */
	uint32_t called = NONE, serves = NONE;
	bool     serves_client = false;  /* owes a reply to a client outside */
	uint32_t slot = NONE, native_slot = NONE, gate_slot = NONE;

	bool started() const { return restart != 0; }
	bool in_call() const { return restart == Base_foc::Restart::CALL; }
};


/**
 * Finds out to which object a badge belongs
 */
class Cap_checkpoint::Meanings : Noncopyable
{
	public:

		using Kind = Image::Object::Kind;

		struct Meaning
		{
			uint32_t  badge  { };
			Kind      kind   { };
			uint32_t  number { };
			uint32_t *slot   { };  /* where to note the slot that has the badge */
			bool      served { };  /* calls to the object are served by the monitor */
			uint32_t  owner  { };  /* member that it belongs to, or 'NONE' */
		};

	private:

		Array<Meaning> _meanings;
		size_t         _count = 0;

		void _sift(size_t, size_t);

	public:

		Meanings(Allocator &alloc) : _meanings(alloc) { }

		/**
		 * Provide room for so many entries
		 */
		bool reserve(size_t max) { return _meanings.reserve(max); }

		/**
		 * Add object
		 *
		 * \param slot    where to note the slot that has the badge
		 * \param served  calls to the object are served by the monitor
		 * \param owner   member that it belongs to, or 'NONE'
		 */
		void add(Native_capability cap, Kind kind, uint32_t number, uint32_t &slot,
		         bool served = false, uint32_t owner = NONE)
		{
			if (cap.valid())
				add(uint32_t(cap.local_name()), kind, number, slot, served, owner);
		}

		void add(uint32_t badge, Kind kind, uint32_t number, uint32_t &slot, bool served = false,
		         uint32_t owner = NONE)
		{
			slot = NONE;
			if (_count < _meanings.count())
				_meanings[_count++] = { badge, kind, number, &slot, served, owner };
		}

		/**
		 * Forget which slots were noted
		 */
		void forget_slots()
		{
			for (size_t i = 0; i < _count; i++)
				*_meanings[i].slot = NONE;
		}

		/**
		 * Must be called before 'find'
		 */
		void sort();

		/**
		 * Return meaning of a badge, or nullptr
		 */
		Meaning const *find(uint32_t badge) const;
};

#endif /* _INCLUDE__CAP_CHECKPOINT__MEANING_H_ */
