/*
 * \brief  What the checkpoint test has seen
 * \date   2026-11-30
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _TALLY_H_
#define _TALLY_H_

/* Genode includes */
#include <base/log.h>
#include <cap_checkpoint/image_reader.h>
#include <cap_checkpoint/restore.h>
#include <cap_space_monitor/freezer.h>

namespace Test {

	using namespace Cap_checkpoint;

	struct Duration_sum;
	struct Calls;
	struct Tally;
}


/**
 * Average and maximum of durations
 */
struct Test::Duration_sum
{
	uint64_t us = 0, max_us = 0, count = 0;

	void add(uint64_t value)
	{
		us += value, count++;
		max_us = max(max_us, value);
	}

	void print(Output &out) const
	{
		Genode::print(out, count ? us/count : 0, " (at most ", max_us, ") us");
	}
};


/**
 * Calls between threads of the component, as checkpoints meet them
 */
struct Test::Calls
{
	unsigned received  = 0;  /* their servers owe replies */
	unsigned chained   = 0;  /* received, and the client owes a reply, too */
	unsigned with_caps = 0;  /* received along with capabilities */
	unsigned queued    = 0;  /* not received yet */
	unsigned queues    = 0;  /* images with at least two clients of one server queued */

	static bool _starts_with(char const *name, char const *prefix)
	{
		return !strcmp(name, prefix, strlen(prefix));
	}

	/**
	 * Look at the threads of 'test-cap_checkpoint-busy', the clients of one server
	 * of which are known by their names
	 */
	void add(Image::Reader const &image)
	{
		unsigned clients = 0;

		image.for_each<Image::Thread>([&] (size_t, Image::Thread const &thread) {

			bool const pass = _starts_with(thread.name, "pass "),
			           call = _starts_with(thread.name, "call ");

			if (thread.called != NONE) {
				received++;
				chained   += (thread.serves != NONE);
				with_caps += pass;
			} else if (thread.state == Image::Thread::CALL) {
				queued++;
				clients += (pass || call);
			} });

		queues += (clients > 1);
	}

	void print(Output &out) const
	{
		Genode::print(out, received, " received, of which ", chained, " chained and ", with_caps,
		              " with capabilities, ", queued, " queued, ", queues, " queues");
	}
};


struct Test::Tally
{
	Duration_sum freeze { }, save { }, end { }, restore { };

	unsigned parked = 0, forwarded = 0, pending = 0, refused = 0;
	unsigned lives = 0, not_restored = 0;
	uint64_t longest_us = 0;
	unsigned dead = 0, unchanged = 0, rewritten = 0, max_threads = 0;

	/* images of components that have yet to bind the thread that waits for signals */
	unsigned unbound = 0;

	/* images with page faults that are not resolved yet */
	unsigned faults = 0;

	Calls calls { };

	/* packets that servers had when the component was saved */
	unsigned in_flight = 0, most_in_flight = 0, saves_in_flight = 0;

	void add_in_flight(unsigned count)
	{
		in_flight       += count;
		most_in_flight   = max(most_in_flight, count);
		saves_in_flight += (count > 0);
	}

	void add(Cap_space_monitor::Freezer::Frozen const &frozen)
	{
		parked    += frozen.parked;
		forwarded += frozen.forwarded;
	}

	void add(Image::Reader const &image)
	{
		calls.add(image);
		max_threads = max(max_threads, unsigned(image.num<Image::Thread>()));

		bool bound = false;
		image.for_each<Image::Source>([&] (size_t, Image::Source const &source) {
			bound |= (source.semaphore_slot != NONE); });
		unbound += !bound;

		faults += (image.num<Image::Fault>() > 0);
	}

	void add(Restored const &restored)
	{
		dead      += restored.dead;
		unchanged += restored.unchanged;
		rewritten += restored.rewritten;
	}

	void report(unsigned round, size_t image_size) const
	{
		log("round ", round, ": freeze ", freeze, ", save ", save, ", end ", end,
		    ", restore ", restore, ", image ", image_size/1024, " KiB");
		log("round ", round, ": ", parked, " parked, ", forwarded, " forwarded, ", pending,
		    " signals, ", refused, " refused, ", dead, " dead slots, ", unchanged, " of ",
		    rewritten, " badges unchanged, ", max_threads, " threads");
		if (lives)
			log("round ", round, ": ", lives, " lives, ", not_restored, " not restored, longest checkpoint ",
			    longest_us, " us");
		if (unbound)
			log("round ", round, ": ", unbound, " images of components that could not wait for signals yet");
		if (faults)
			log("round ", round, ": ", faults, " images with page faults");
		if (calls.received || calls.queued)
			log("round ", round, ": calls: ", calls);
		if (in_flight)
			log("round ", round, ": ", in_flight, " packets in flight at ", saves_in_flight,
			    " checkpoints, at most ", most_in_flight);
	}
};

#endif /* _TALLY_H_ */
