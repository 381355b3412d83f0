/*
 * \brief  Component whose threads call a file system all the time
 * \date   2026-12-01
 *
 * Each thread has a session and a directory of its own, so it knows the result of each call: one that is executed twice,
 * or not at all, has another one. The first thread opens more and more files, and nothing else, so that the server has no more quota
 * than it needs for them. After a time by its own clock, the component removes what is left, and exits with 0, or with a number that tells a
 * mistake.
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

/* Genode includes */
#include <base/allocator_avl.h>
#include <base/attached_rom_dataspace.h>
#include <base/component.h>
#include <base/heap.h>
#include <base/log.h>
#include <base/thread.h>
#include <file_system_session/connection.h>
#include <timer_session/connection.h>

namespace Test {

	using namespace Genode;

	struct Directory;
	struct Kept_files;
	struct Caller;
	struct Main;
}


/**
 * Directory that nobody else uses
 */
struct Test::Directory
{
	using Name = String<16>;
	using File = File_system::File_handle;

	File_system::Connection &fs;

	Name const path;

	File_system::Dir_handle const handle;

	Directory(File_system::Connection &fs, Name const &path)
	: fs(fs), path(path), handle(fs.dir(path.string(), true)) { }

	File open(Name const &name, bool create)
	{
		return fs.file(handle, name.string(), File_system::READ_WRITE, create);
	}

	void unlink(Name const &name) { fs.unlink(handle, name.string()); }
};


/**
 * Files that are created one by one, and remain open
 */
struct Test::Kept_files
{
	static constexpr unsigned MAX_FILES = 100;

	using File = Directory::File;

	Directory &_dir;

	unsigned long _files[MAX_FILES] { };

	unsigned num = 0;

	Kept_files(Directory &dir) : _dir(dir) { }

	/**
	 * Create one more, with a size that tells which one it is
	 */
	void add()
	{
		if (num == MAX_FILES)
			return;

		File const file = _dir.open(Directory::Name("kept-", num), true);
		_dir.fs.truncate(file, num);
		_files[num++] = file.value;
	}

	/**
	 * Return true if one of the files is what it was
	 */
	bool as_before(unsigned i)
	{
		return _dir.fs.status(File(_files[i])).size == i;
	}

	void remove()
	{
		for (; num; num--) {
			_dir.fs.close(File(_files[num - 1]));
			_dir.unlink(Directory::Name("kept-", num - 1));
		}
	}
};


struct Test::Caller : Thread
{
	static constexpr size_t   BUFFER_SIZE = 16*1024;
	static constexpr unsigned ROUNDS_PER_KEPT = 10;

	unsigned const _id;
	bool     const _keeps;

	Allocator_avl _alloc;

	File_system::Connection _fs;

	unsigned long _rounds = 0;

	bool _stop = false;

	String<40> _step { };  /* what is told if it fails */

	bool _right = true;

	Caller(Env &env, Allocator &alloc, unsigned id, bool keeps)
	:
		Thread(env, "caller", Stack_size { 32*1024 }), _id(id), _keeps(keeps), _alloc(&alloc),
		_fs(env, _alloc, "/", true, BUFFER_SIZE)
	{
		start();
	}

	void _check(bool right)
	{
		if (!right)
			error("mistake: caller ", _id, ", round ", _rounds, ": wrong result of ", _step);

		_right &= right;
	}

	void _failed(char const *reason)
	{
		error("mistake: caller ", _id, ", round ", _rounds, ": failed to ", _step, ", ", reason);
		_right = false;
	}

	/**
	 * Create, change, and remove nodes by calls that fail, or return something else, if they are repeated
	 */
	void _change(Directory &dir)
	{
		unsigned const size = unsigned(_rounds % 7);

		_step = "create file";
		Directory::File file = dir.open("one", true);

		_step = "truncate";
		_fs.truncate(file, size);

		_step = "move";
		_fs.move(dir.handle, "one", dir.handle, "two");

		_step = "close file";
		_fs.close(file);

		_step = "open file";
		file = dir.open("two", false);

		_step = "get status";
		_check(_fs.status(file).size == size);
		_fs.close(file);

		_step = "create directory";
		Directory::Name const inner { dir.path, "/inner" };
		_fs.close(_fs.dir(inner.string(), true));

		_step = "create symbolic link";
		_fs.close(_fs.symlink(dir.handle, "link", true));

		_step = "count entries";
		_check(_fs.num_entries(dir.handle) == 3);

		_step = "unlink directory";
		dir.unlink("inner");

		_step = "unlink symbolic link";
		dir.unlink("link");

		_step = "unlink file";
		dir.unlink("two");
	}

	void _keep(Kept_files &kept)
	{
		if (_rounds % ROUNDS_PER_KEPT == 0) {
			_step = "create file to be kept";
			kept.add();
		}
		_step = "get status of kept file";
		_check(kept.as_before(unsigned(_rounds % kept.num)));
	}

	void entry() override
	{
		try {
			_step = "create its directory";
			Directory  dir  { _fs, Directory::Name("/calls-", _id) };
			Kept_files kept { dir };

			for (; !__atomic_load_n(&_stop, __ATOMIC_ACQUIRE); _rounds++) {
				if (_keeps)
					_keep(kept);
				else
					_change(dir);
			}

			for (unsigned i = 0; i < kept.num; i++)
				_check(kept.as_before(i));

			_step = "remove kept files";
			kept.remove();

			_step = "count entries at the end";
			_check(_fs.num_entries(dir.handle) == 0);
		}
		catch (File_system::Node_already_exists) { _failed("there is one already"); }
		catch (File_system::Lookup_failed)       { _failed("it is not there"); }
		catch (File_system::Invalid_handle)      { _failed("invalid handle"); }
		catch (...)                              { _failed("refused"); }
	}

	/**
	 * Wait for the end of the thread, and call 'fn' with the number of its rounds, and whether all was right
	 */
	void stop(auto const &fn)
	{
		__atomic_store_n(&_stop, true, __ATOMIC_RELEASE);
		join();
		fn(_rounds, _right);
	}
};


struct Test::Main
{
	Env &_env;

	Heap _heap { _env.ram(), _env.rm() };

	Attached_rom_dataspace _config { _env, "config" };

	Timer::Connection _timer { _env };

	Caller _callers[3] { { _env, _heap, 0, true }, { _env, _heap, 1, false }, { _env, _heap, 2, false } };

	void _handle_timer()
	{
		unsigned long rounds = 0;
		bool          right  = true;

		for (Caller &caller : _callers)
			caller.stop([&] (unsigned long its_rounds, bool its_right) {
				rounds += its_rounds;
				right  &= its_right; });

		log(rounds, " rounds of calls");
		_env.parent().exit(right ? 0 : -1);
	}

	Signal_handler<Main> _timer_handler { _env.ep(), *this, &Main::_handle_timer };

	Main(Env &env) : _env(env)
	{
		_timer.sigh(_timer_handler);
		_timer.trigger_once(1000*1000*_config.node().attribute_value("seconds", uint64_t(10)));
	}
};


void Component::construct(Genode::Env &env) { static Test::Main main(env); }
