/*
 * \brief  Component that writes to its memory in many ways
 * \date   2026-11-30
 *
 * The configuration says how much memory there is, how much of it is written all
 * the time, and by how many threads. With 'churn', further threads attach, detach,
 * allocate, and free dataspaces. With 'scattered', a page is attached at so many addresses
 * that are far from each other, with 'nested', a thread writes to memory by way of areas
 * within areas, and with 'managed', by way of region maps of an RM session.
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

/* Genode includes */
#include <base/attached_ram_dataspace.h>
#include <base/attached_rom_dataspace.h>
#include <base/component.h>
#include <base/heap.h>
#include <base/log.h>
#include <trace/timestamp.h>

/* local includes */
#include <managed.h>

namespace Test {

	struct Writer;
	struct Churn;
	struct Scattered;
	struct Nested;
	struct Main;
}


/**
 * Write to one word of each page, one page after the other
 */
struct Test::Writer : Work
{
	addr_t const _start;
	size_t const _pages;

	Writer(Env &env, addr_t at, size_t pages, unsigned number)
	: Work(env, "writer", 7 + number), _start(at), _pages(pages) { start(); }

	void entry() override
	{
		for (uint64_t value = 1; ; value++)
			for (size_t i = 0; i < _pages; i++)
				*(uint64_t volatile *)(_start + i*PAGE + 8*random(PAGE/8)) = value;
	}
};


/**
 * Use dataspaces for a short time, some of them at two addresses
 */
struct Test::Churn : Work
{
	static constexpr unsigned NUM = 8;

	struct Used
	{
		Ram_dataspace_capability ds { };
		char                    *at[2] { };
	};

	Env &_env;

	Used _used[NUM] { };

	Churn(Env &env, unsigned seed) : Work(env, "churn", seed), _env(env) { start(); }

	char *_attach(Dataspace_capability ds, size_t offset)
	{
		Region_map::Attr attr { };
		attr.writeable = true;
		attr.offset    = offset;

		return _env.rm().attach(ds, attr).convert<char *>(
			[&] (Env::Local_rm::Attachment &a) { a.deallocate = false; return (char *)a.ptr; },
			[&] (Env::Local_rm::Error)         { return (char *)nullptr; });
	}

	void _detach(char *&at)
	{
		if (at)
			_env.rm().detach(addr_t(at));
		at = nullptr;
	}

	void _write(char *at, size_t pages)
	{
		for (unsigned i = random(4); at && i; i--)
			*(uint32_t volatile *)(at + random(unsigned(pages))*PAGE) = random(~0u);
	}

	void entry() override
	{
		static constexpr size_t PAGES = 12;

		for (;;) {
			Used &used = _used[random(NUM)];

			if (!used.ds.valid())
				_env.ram().try_alloc(PAGES*PAGE).with_result(
					[&] (Ram::Allocation &a) { a.deallocate = false; used.ds = a.cap; },
					[&] (Alloc_error)        { });

			if (!used.ds.valid())
				continue;

			switch (random(8)) {
			case 0: case 1: if (!used.at[0]) used.at[0] = _attach(used.ds, 0);      break;
			case 2: case 3: if (!used.at[1]) used.at[1] = _attach(used.ds, 4*PAGE); break;
			case 4: _detach(used.at[0]); break;
			case 5: _detach(used.at[1]); break;
			case 6:
				if (random(4))
					break;
				_detach(used.at[0]);
				_detach(used.at[1]);
				{ Ram::Allocation { _env.ram(), { used.ds, PAGES*PAGE } }; }
				used.ds = { };
				break;
			}
			_write(used.at[0], PAGES);
			_write(used.at[1], PAGES - 4);
		}
	}
};


/**
 * Write to pages at addresses that are far from each other
 */
struct Test::Scattered : Work
{
	/* more than what one answer of core tells of */
	static constexpr addr_t BASE = addr_t(64ULL << 30), DISTANCE = 16*1024*1024;

	Ram_dataspace_capability const _ds;

	unsigned const _count;

	addr_t _at(unsigned i) const { return BASE + i*DISTANCE; }

	Scattered(Env &env, Ram_dataspace_capability ds, unsigned count)
	: Work(env, "scattered", 23), _ds(ds), _count(count)
	{
		for (unsigned i = 0; i < _count; i++) {

			Region_map::Attr attr { };
			attr.use_at    = true;
			attr.at        = _at(i);
			attr.size      = PAGE;
			attr.offset    = i*PAGE;
			attr.writeable = true;

			env.rm().attach(_ds, attr).with_result(
				[&] (Env::Local_rm::Attachment &a) { a.deallocate = false; },
				[&] (Env::Local_rm::Error) { error("page ", i, " is not attached"); });
		}
		start();
	}

	void entry() override
	{
		for (;;)
			*(uint32_t volatile *)(_at(random(_count)) + 4*random(PAGE/4)) = random(~0u);
	}
};


/**
 * Attach the linker area at a second address, and within the stack area, and write to memory there
 */
struct Test::Nested : Work
{
	static constexpr size_t PAGES = 4, SIZE = PAGES*PAGE;

	/* at the end of both areas, which nobody else uses */
	static constexpr addr_t AT_LINKER = Pd_session::LINKER_AREA_SIZE - 1024*1024;

	addr_t const _at_stack = Thread::stack_area_virtual_size() - 1024*1024;

	Env &_env;

	Region_map_client _linker { _env.pd().linker_area() },
	                  _stack  { _env.pd().stack_area()  };

	Attached_ram_dataspace _ds { _env.ram(), _env.rm(), SIZE };

	Nested(Env &env) : Work(env, "nested", 31), _env(env)
	{
		Region_map::Attr attr { };
		attr.use_at    = true;
		attr.at        = AT_LINKER;
		attr.writeable = true;

		if (_linker.attach(_ds.cap(), attr).failed())
			error("memory is not attached to the linker area");

		start();
	}

	void _write(addr_t at)
	{
		for (unsigned i = random(20); i; i--)
			*(uint32_t volatile *)(at + 4*random(SIZE/4)) = random(~0u);
	}

	/**
	 * Write to the linker area at as many further addresses, one within the time of the other
	 */
	void _write_at_further_addresses(unsigned count)
	{
		if (!count)
			return;

		Env::Local_rm::Attach_attr attr { };
		attr.size      = SIZE;
		attr.offset    = AT_LINKER;
		attr.writeable = true;

		_env.rm().attach(_linker.dataspace(), attr).with_result(
			[&] (Env::Local_rm::Attachment &a) {
				_write_at_further_addresses(count - 1);
				for (unsigned i = random(10*1000); i; i--)
					_write(addr_t(a.ptr)); },
			[&] (Env::Local_rm::Error) { error("linker area is not attached"); });
	}

	void _write_within_stack_area()
	{
		Region_map::Attr attr { };
		attr.size      = SIZE;
		attr.offset    = AT_LINKER;
		attr.use_at    = true;
		attr.at        = _at_stack;
		attr.writeable = true;

		if (_stack.attach(_linker.dataspace(), attr).failed())
			error("linker area is not attached to the stack area");

		_write(Thread::stack_area_virtual_base() + _at_stack);

		_stack.detach(_at_stack);
	}

	void entry() override
	{
		for (;;) {
			_write_at_further_addresses(2);
			_write_within_stack_area();
		}
	}
};


struct Test::Main
{
	Env &_env;

	Attached_rom_dataspace _config { _env, "config" };

	template <typename T>
	T _value(char const *attribute, T default_value) const
	{
		return _config.node().attribute_value(attribute, default_value);
	}

	Heap _heap { _env.ram(), _env.rm() };

	size_t   const _memory = _value("memory",  Num_bytes(1024*1024)),
	               _hot    = _value("written", Num_bytes(256*1024));
	unsigned const _threads = _value("writers", 1u),
	               _churns  = _value("churn", 0u),
	               _scattered_pages = _value("scattered", 0u);

	Attached_ram_dataspace _ds { _env.ram(), _env.rm(), _memory };

	Constructible<Attached_ram_dataspace> _scattered_ds { };

	/* nobody but the test knows of the signal */
	void _handle_yield() { }

	Signal_handler<Main> _yield_handler { _env.ep(), *this, &Main::_handle_yield };

	Main(Env &env) : _env(env)
	{
		Trace::Timestamp const start = Trace::timestamp();

		/* no page of the memory is zero */
		for (size_t i = 0; i < _memory/PAGE; i++)
			_ds.local_addr<uint64_t>()[i*PAGE/8] = i + 1;

		log("first access to ", _memory/PAGE, " pages takes ",
		    (Trace::timestamp() - start)/1000, " thousand ticks");

		/* a thread that writes nothing rests */
		size_t const pages = _hot/PAGE/max(1u, _threads);

		for (unsigned i = 0; i < _threads; i++)
			new (_heap) Writer(_env, addr_t(_ds.local_addr<char>()) + i*pages*PAGE, pages, i);

		for (unsigned i = 0; i < _churns; i++)
			new (_heap) Churn(_env, 11 + i);

		if (_scattered_pages) {
			_scattered_ds.construct(_env.ram(), _env.rm(), _scattered_pages*PAGE);
			new (_heap) Scattered(_env, _scattered_ds->cap(), _scattered_pages);
		}

		if (_value("nested", false))
			new (_heap) Nested(_env);

		if (_value("managed", false))
			new (_heap) Managed(_env);

		_env.parent().yield_sigh(_yield_handler);
	}
};


Genode::size_t Component::stack_size() { return 64*1024; }


void Component::construct(Genode::Env &env) { static Test::Main main(env); }
