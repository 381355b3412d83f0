/*
 * \brief  Managed dataspace whose page faults are resolved late
 * \date   2026-12-01
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _DEMAND_H_
#define _DEMAND_H_

/* Genode includes */
#include <base/entrypoint.h>
#include <base/thread.h>

/* local includes */
#include <types.h>

namespace Test { struct Demand; }


/**
 * Pages that come when a thread needs them, and go again
 *
 * The thread counts in each page. It waits for most of them. Each fault has to be told once, by one signal.
 */
struct Test::Demand
{
	static constexpr unsigned PAGES = 16;

	/* steps that a fault remains, and that the thread may do nothing without a fault */
	static constexpr unsigned MAX_DELAY = 4, MAX_IDLE = 3000;

	/*
	 * Noncopyable
	 */
	Demand(Demand const &);
	Demand &operator = (Demand const &);

	Env     &_env;
	Verdict &_verdict;

	Rm                _rm  { _env, 64*1024, 10 };
	Region_map_client _map { _rm.create(PAGES*PAGE) };

	char * const _start { attach(_env, _map.dataspace()) };

	Ram_dataspace_capability _ram[PAGES] { };
	bool                     _resident[PAGES] { };

	struct Worker : Thread
	{
		/*
		 * Noncopyable
		 */
		Worker(Worker const &);
		Worker &operator = (Worker const &);

		char * const _start;
		Verdict     &_verdict;

		unsigned volatile touched = 0;
		bool     volatile stop    = false;

		void entry() override
		{
			unsigned expected[PAGES] { };

			while (!stop) {
				unsigned const page = (touched*7) % PAGES;

				unsigned volatile &count = *(unsigned volatile *)(_start + page*PAGE + page*8);

				/* by turns, the fault is one of reading or of writing */
				if (touched & 1)
					*(unsigned volatile *)(_start + page*PAGE + 2048) = touched;

				if (count != expected[page]) {
					_verdict.wrong("page ", page, " has ", unsigned(count), " instead of ", expected[page]);
					return;
				}
				count = ++expected[page];
				touched = touched + 1;
			}
		}

		Worker(Env &env, char *start, Verdict &verdict)
		: Thread(env, "worker", Stack_size { 8*1024 }), _start(start), _verdict(verdict) { }

	} _worker { _env, _start, _verdict };

	/* serves faults while the worker waits */
	Entrypoint _ep { _env, 16*1024, "pager", { } };

	bool     volatile _pending  = false;
	addr_t   volatile _address  = 0;
	unsigned volatile _signals  = 0;

	void _handle_fault()
	{
		Region_map::Fault const fault = _map.fault();

		if (_pending)
			_verdict.wrong("fault is told twice");
		else if (fault.type == Region_map::Fault::Type::NONE)
			_verdict.wrong("fault is told that there is not");

		_signals = _signals + 1;
		_address = fault.addr;
		_pending = true;
	}

	Signal_handler<Demand> _fault_handler { _ep, *this, &Demand::_handle_fault };

	unsigned _delay = 0, _resolved = 0, _idle = 0, _seen = 0;

	/**
	 * Provide the page that is missing, and take others away
	 */
	void _resolve()
	{
		unsigned const page = unsigned(_address/PAGE);

		if (page >= PAGES || _resident[page]) {
			_verdict.wrong("fault at ", Hex(_address));
			return;
		}

		/* it stays until it is resolved */
		Region_map::Fault const fault = _map.fault();
		if (fault.type == Region_map::Fault::Type::NONE || fault.addr != _address) {
			_verdict.wrong("fault has changed, type ", unsigned(fault.type), ", address ", Hex(fault.addr));
			return;
		}

		for (unsigned i = 1; i < 4; i++) {
			unsigned const other = (page + 5*i) % PAGES;
			if (_resident[other])
				_map.detach(other*PAGE);
			_resident[other] = false;
		}

		if (!_ram[page].valid())
			_ram[page] = _env.ram().alloc(PAGE);

		_resident[page] = true;
		_resolved++;
		_pending = false;

		if (!attach_at(_map, _ram[page], page*PAGE))
			_verdict.wrong("page is not attached");
	}

	void step()
	{
		_idle = (_seen != _worker.touched || _pending) ? 0 : _idle + 1;
		_seen = _worker.touched;

		if (_idle > MAX_IDLE)
			_verdict.wrong("a fault is lost after ", _resolved);

		if (!_pending)
			return;

		if (_delay++ < _resolved % MAX_DELAY)
			return;

		_delay = 0;
		_resolve();
	}

	void print(Output &out) const
	{
		Genode::print(out, _resolved, " faults resolved, ", unsigned(_signals), " signals, ",
		              unsigned(_worker.touched), " steps");
	}

	Demand(Env &env, Verdict &verdict) : _env(env), _verdict(verdict)
	{
		_map.fault_handler(_fault_handler);
		_worker.start();
	}
};

#endif /* _DEMAND_H_ */
