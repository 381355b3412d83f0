/*
 * \brief  Child that is saved by way of copies
 * \date   2026-11-30
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _SUBJECT_H_
#define _SUBJECT_H_

/* Genode includes */
#include <base/attached_ram_dataspace.h>
#include <cap_checkpoint/restore.h>
#include <cap_checkpoint/save.h>

namespace Test {

	using namespace Cap_checkpoint;

	using Dataspace = Cap_checkpoint::Dataspace;

	struct Random;
	struct Load;
	struct Subject;
}


struct Test::Random
{
	uint32_t state;

	unsigned operator () (unsigned limit)
	{
		state = state*1103515245 + 12345;
		return (state >> 8) % limit;
	}
};


/**
 * What the child does, see 'test-cap_precopy-child'
 */
struct Test::Load
{
	size_t   memory, written;
	unsigned writers, churn;
	unsigned scattered = 0;
	bool     nested    = false;
	bool     managed   = false;

	void print(Output &out) const
	{
		Genode::print(out, memory/1024, " KiB of which ", written/1024, " KiB are written by ",
		              writers, " threads");
	}
};


/**
 * Child with its configuration, copies, and memory for its image
 */
struct Test::Subject : Session_policy
{
	using Snapshot = Cap_space_monitor::Snapshot_with_memory<>;

	Monitor                      &_monitor;
	Snapshot                     &_snapshot;
	Virtual_parent::Exit_handler &_exit;

	Load const load;

	static constexpr long PRIORITY = 32*1024;  /* lower than that of the monitor */

	static constexpr size_t EXTRA_RAM = 6*1024*1024;

	Child::Quota const _quota { { load.memory + EXTRA_RAM }, { 900 } };

	Attached_ram_dataspace _config { _monitor.env.ram(), _monitor.env.rm(), 4096 };

	Constructible<Child>   child   { };
	Constructible<Precopy> precopy { };

	/*
	 * Noncopyable
	 */
	Subject(Subject const &);
	Subject &operator = (Subject const &);

	Rom rom(Session_label const &label) override
	{
		Rom rom { label.last_element() };
		if (rom.label == "config")
			rom.content = _config.cap();
		return rom;
	}

	Subject(Monitor &monitor, Snapshot &snapshot, Virtual_parent::Exit_handler &exit,
	        Load const &load)
	: _monitor(monitor), _snapshot(snapshot), _exit(exit), load(load)
	{
		String<240> const config("config | memory: ", load.memory, " | written: ", load.written,
		                         " | writers: ", load.writers, " | churn: ", load.churn,
		                         " | scattered: ", load.scattered,
		                         " | nested: ", load.nested ? "yes" : "no",
		                         " | managed: ", load.managed ? "yes" : "no", "\n-\n");
		memcpy(_config.local_addr<char>(), config.string(), config.length());
	}

	void create()
	{
		precopy.destruct();
		child.construct(_monitor, Session::Label("child"), _quota, _exit,
		                PRIORITY, *this);
	}

	size_t copy_caps = ~0UL;

	void copy_memory()
	{
		precopy.construct(*child, Precopy::Limit { .ram  = load.memory + 2*EXTRA_RAM,
		                                           .caps = copy_caps });
	}

	bool start()
	{
		return child->start("test-cap_precopy-child") == Child::Start_result::OK;
	}

	/**
	 * Return true if the child does all that it is meant to
	 */
	bool ready() const { return child->parent.sighs[Image::Handler::YIELD].valid(); }

	~Subject()
	{
		precopy.destruct();
		child.destruct();
	}

	/**
	 * Image of the child in memory, which may take several steps
	 */
	struct Making : Noncopyable
	{
		Subject           &_subject;
		Image::Memory_sink _sink;
		Save              &save;

		Making(Subject &subject, Attached_ram_dataspace &ds, bool use_copies)
		:
			_subject(subject), _sink(ds.local_addr<char>(), ds.size()),
			save(*new (subject._monitor.heap)
				Save(*subject.child, _sink, subject._snapshot,
				     use_copies ? &*subject.precopy : nullptr))
		{ }

		/**
		 * Constructor for an increment
		 *
		 * \param at  where it is to be
		 */
		Making(Subject &subject, Attached_ram_dataspace &ds, Image::Base const &base, size_t at)
		:
			_subject(subject), _sink(ds.local_addr<char>() + at, ds.size() - at),
			save(*new (subject._monitor.heap)
				Save(*subject.child, _sink, subject._snapshot, *subject.precopy, base))
		{ }

		~Making() { destroy(_subject._monitor.heap, &save); }

		bool complete() const { return _sink.complete(); }

		size_t size() const { return size_t(_sink.needed()); }

		enum class Step { FAILED, MORE, COMPLETE };

		Step step(size_t pages)
		{
			return save.save_pages(pages).convert<Step>(
				[&] (bool done)        { return done ? Step::COMPLETE : Step::MORE; },
				[&] (Refused const &r) { log("not saved: ", r); return Step::FAILED; });
		}
	};
};

#endif /* _SUBJECT_H_ */
