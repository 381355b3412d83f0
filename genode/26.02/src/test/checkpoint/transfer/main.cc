/*
 * \brief  Measure what it takes to copy memory, and to pass it over a disk
 * \date   2026-12-01
 *
 * This is what a move does at least with what it has to pass while the child stands still.
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

/* Genode includes */
#include <base/attached_ram_dataspace.h>
#include <base/component.h>
#include <cap_checkpoint/crc32.h>
#include <cap_checkpoint/shadow.h>
#include <timer_session/connection.h>

/* checkpoint includes */
#include <image_file.h>

namespace Test {

	using namespace Genode;

	using Checkpoint::Image_file;
	using Path = Checkpoint::Path;

	struct Main;
}


struct Test::Main
{
	static constexpr size_t   PAGE = Cap_checkpoint::Shadow::PAGE, MAX_SIZE = 16*1024*1024;
	static constexpr size_t   SIZES[] = { PAGE, MAX_SIZE/64, MAX_SIZE/16, MAX_SIZE/4, MAX_SIZE };
	static constexpr unsigned TIMES = 5;

	Env  &_env;
	Heap  _heap { _env.ram(), _env.rm() };

	Attached_rom_dataspace _config { _env, "config" };
	Timer::Connection      _timer  { _env };

	Constructible<Root_directory> _root { };

	Path     const _path = _config.node().attribute_value("path", Path());
	uint64_t const _at   = _config.node().attribute_value("offset", Number_of_bytes());

	Attached_ram_dataspace _from { _env.ram(), _env.rm(), MAX_SIZE },
	                       _to   { _env.ram(), _env.rm(), MAX_SIZE };

	uint32_t _sum = 0;

	uint64_t _now_us() { return _timer.curr_time().trunc_to_plain_us().value; }

	uint64_t _duration_us(auto const &fn)
	{
		uint64_t const start = _now_us();
		fn();
		return _now_us() - start;
	}

	void _copy(size_t size)
	{
		char const * const from = _from.local_addr<char>();
		char       * const to   = _to  .local_addr<char>();

		for (size_t at = 0; at < size; at += PAGE)
			Cap_checkpoint::Shadow::copy_page(to + at, from + at);
	}

	void _write(size_t size)
	{
		Image_file file { *_root, _path, Image_file::Mode::WRITE };

		if (!file.write(_at, _from.local_addr<char>(), size, [] (size_t) { }) || !file.sync())
			error("mistake: the disk takes nothing");
	}

	void _read(size_t size)
	{
		Image_file file { *_root, _path, Image_file::Mode::READ };

		if (file.read(_at, _to.local_addr<char>(), size) != size)
			error("mistake: the disk returns nothing");
	}

	Main(Env &env) : _env(env)
	{
		_config.node().with_optional_sub_node("vfs", [&] (Node const &vfs) {
			_root.construct(_env, _heap, vfs); });

		/* each page is mapped before it is accessed for a measurement */
		for (size_t at = 0; at < MAX_SIZE; at += sizeof(at)) {
			*(size_t *)(_from.local_addr<char>() + at) = at;
			*(size_t *)(_to  .local_addr<char>() + at) = 0;
		}

		for (unsigned i = 0; i < TIMES; i++)
			for (size_t const size : SIZES) {

				uint64_t const
					copy_us  = _duration_us([&] { _copy(size); }),
					sum_us   = _duration_us([&] {
						_sum = Cap_checkpoint::Crc32::of(_from.local_addr<char>(), size); }),
					write_us = _duration_us([&] { _write(size); }),
					read_us  = _duration_us([&] { _read(size);  });

				if (Cap_checkpoint::Crc32::of(_to.local_addr<char>(), size) != _sum)
					error("mistake: the disk returns something else");

				log("transfer of ", size, " bytes: copy ", copy_us, ", checksum ", sum_us, ", write ",
				    write_us, ", read ", read_us);
			}

		log("transfer finished");
	}
};


void Component::construct(Genode::Env &env) { static Test::Main main(env); }
