/*
 * \brief  Component with many requests to a file system in flight
 * \date   2026-12-01
 *
 * It writes to, appends to, and reads files, opens, moves, and deletes them meanwhile, counts the acknowledgements, and
 * knows what each file contains after all requests that were submitted, in their order. It
 * exits with 0 when it is asked to, with no request left and all files as they should be, or
 * with a number that tells a mistake.
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

/* local includes */
#include <file.h>

namespace Test { struct Main; }


struct Test::Main
{
	using Packet = File_system::Packet_descriptor;
	using Opcode = Packet::Opcode;

	static constexpr unsigned NUM_FILES = 6, NUM_REQUESTS = 60, MAX_COUNT = 5;
	static constexpr size_t   BUFFER_SIZE = 256*1024;

	/* more nodes than a session can have */
	static constexpr unsigned MANY = 1100;

	Env &_env;

	Heap          _heap  { _env.ram(), _env.rm() };
	Allocator_avl _alloc { &_heap };

	Connection _fs { _env, _alloc, "/", true, BUFFER_SIZE };

	File_system::Session::Tx::Source &_tx { *_fs.tx() };

	Directory _dirs[2] { { _fs, "/a" }, { _fs, "/b" } };

	File _files[NUM_FILES] { { _fs, _dirs[0], "0", 0 }, { _fs, _dirs[1], "1", 1 },
	                         { _fs, _dirs[0], "2", 2 }, { _fs, _dirs[1], "3", 3 },
	                         { _fs, _dirs[0], "4", 4 }, { _fs, _dirs[1], "5", 5 } };

	File_system::Watch_handle const _watch { _fs.watch("/a") };

	struct Request
	{
		File    *file;  /* nullptr if there is none */
		Packet   packet;
		unsigned first, count;  /* chunks */
		size_t   length;        /* as the acknowledgement should tell */
		unsigned versions[MAX_COUNT];
	};

	Request _requests[NUM_REQUESTS] { };

	unsigned long _nodes[MANY] { };

	unsigned long _num_acks = 0, _num_calls = 0, _notifications = 0;
	unsigned      _outstanding = 0, _syncs = 0, _ready = 0, _verified = 0;

	/* file that is left alone until nothing is outstanding for it */
	unsigned _resting = 0;

	Random _random { };

	/* a component that stays comes to its end by itself */
	Attached_rom_dataspace _config { _env, "config" };

	unsigned long const _max_acks = _config.node().attribute_value("requests", ~0UL);

	bool _stopping = false, _exited = false;

	void _exit(int value)
	{
		if (!_exited)
			_env.parent().exit(value);
		_exited = true;
	}

	void _wrong(auto &&... what)
	{
		error(what...);
		_exit(-1);
	}

	/**
	 * Submit a request, there is room in the queue
	 *
	 * \return  false if there is no room in the buffer
	 */
	bool _submit(Request &request, File &file, Opcode opcode, File::Handle handle, bool append = false)
	{
		Packet content { };

		if (request.count) {
			try { content = _tx.alloc_packet(request.count*File::CHUNK); }
			catch (File_system::Session::Tx::Source::Packet_alloc_failed) { return false; }
		}

		File_system::seek_off_t const position = append ? File_system::seek_off_t(File_system::SEEK_TAIL)
		                                                : request.first*File::CHUNK;

		Packet const packet(content, handle, opcode, request.count*File::CHUNK, position);

		if (opcode == Opcode::WRITE)
			file.write(request.first, request.count);

		unsigned const there = file.num_chunks > request.first ? file.num_chunks - request.first : 0;

		request.length = min(request.count, there)*File::CHUNK;
		request.packet = packet;

		for (unsigned c = 0; c < request.count; c++)
			if (request.first + c < File::MAX_CHUNKS)
				request.versions[c] = file.versions[request.first + c];

		if (opcode == Opcode::WRITE)
			file.for_each_word(_tx.packet_content(packet), request.versions, request.first,
			                   request.count, [&] (uint64_t &to, uint64_t value) { to = value; });

		(void)_tx.try_submit_packet(packet);

		request.file = &file;
		file.outstanding++;
		_outstanding++;
		return true;
	}

	/**
	 * Return true if the session tells that it has no room for more nodes
	 */
	bool _limited()
	{
		unsigned count = 0;
		bool     told  = false;

		while (count < MANY && !told) {
			try { _nodes[count] = _fs.dir("/a", false).value; count++; }
			catch (File_system::No_space) { told = true; }
		}
		while (count)
			_fs.close({ _nodes[--count] });

		return told;
	}

	/**
	 * Read the files from begin to end
	 */
	bool _verify(Request &request)
	{
		unsigned const steps = (File::MAX_CHUNKS + MAX_COUNT - 1)/MAX_COUNT;

		if (_verified == steps*NUM_FILES)
			return false;

		request.first = (_verified % steps)*MAX_COUNT;
		request.count = min(MAX_COUNT, File::MAX_CHUNKS - request.first);

		File &file = _files[_verified/steps];

		if (!_submit(request, file, Opcode::READ, file.other))
			return false;

		_verified++;
		return true;
	}

	bool _next(Request &request)
	{
		if (_stopping)
			return _verify(request);

		unsigned const number = _random.any(NUM_FILES);

		File &file = _files[number == _resting ? (number + 1) % NUM_FILES : number];

		unsigned const kind = _random.any(40);

		request.first = request.count = 0;

		if (kind == 0 && !_syncs) {
			_syncs++;
			return _submit(request, file, Opcode::SYNC, file.written);
		}
		if (kind == 1 && !_ready) {
			_ready++;
			return _submit(request, file, Opcode::READ_READY, file.other);
		}

		request.count = 1 + _random.any(MAX_COUNT);

		if (kind < 10 && file.num_chunks + request.count <= File::MAX_CHUNKS) {
			request.first = file.num_chunks;
			return _submit(request, file, Opcode::WRITE, file.written, true);
		}
		request.first = _random.any(File::MAX_CHUNKS - MAX_COUNT);

		return kind < 22 ? _submit(request, file, Opcode::WRITE, file.written)
		                 : _submit(request, file, Opcode::READ, kind < 30 ? file.written : file.other);
	}

	/**
	 * Call the file system about a file that nothing is outstanding for
	 */
	void _call(File &file)
	{
		_num_calls++;

		if (!file.size_right())
			_wrong("file ", file.id, " does not have ", file.num_chunks, " chunks");

		switch (_random.any(5)) {
		case 0:
			file.close();
			file.open(false);
			break;
		case 1:
			file.move(_dirs[_random.any(2)], { file.id, "-", _random.any(3) });
			break;
		case 2:
			file.close();
			file.unlink();
			file.create();
			break;
		case 3:
			file.truncate(_random.any(file.num_chunks + 1));
			break;
		case 4:
			for (Directory &dir : _dirs) {
				unsigned count = 0;
				for (File &other : _files)
					count += (other.dir == &dir);
				if (_fs.num_entries(dir.handle) != count)
					_wrong(dir.path, " does not have ", count, " files");
			}
			break;
		}
	}

	void _check(Request const &request, Packet const &ack)
	{
		File const &file = *request.file;

		bool const io = request.count;

		if (!ack.succeeded() || ack.operation() != request.packet.operation()
		 || !(ack.handle() == request.packet.handle()) || (io && ack.length() != request.length))
			_wrong("request to file ", file.id, " was not executed: ", ack.succeeded(), " ",
			       ack.length(), " of ", request.length);

		if (ack.operation() != Opcode::READ)
			return;

		unsigned const count = unsigned(request.length/File::CHUNK);

		file.for_each_word(_tx.packet_content(request.packet), request.versions, request.first, count,
			[&] (uint64_t &have, uint64_t value) {
				if (have != value)
					_wrong("file ", file.id, " has the wrong content in ", count, " chunks from ",
					       request.first, ": ", Hex(have), " instead of ", Hex(value)); });
	}

	void _handle_ack(Packet const &ack)
	{
		if (ack.operation() == Opcode::CONTENT_CHANGED) {
			_notifications++;
			if (!(ack.handle() == _watch))
				_wrong("something else has changed");
			return;
		}

		for (Request &request : _requests) {

			if (!request.file || request.packet.operation() != ack.operation()
			 || request.packet.offset() != ack.offset())
				continue;

			_check(request, ack);
			_tx.release_packet(request.packet);

			_syncs -= (ack.operation() == Opcode::SYNC);
			_ready -= (ack.operation() == Opcode::READ_READY);

			request.file->outstanding--;
			request.file = nullptr;
			_outstanding--;
			_num_acks++;
			return;
		}
		_wrong("acknowledged twice");
	}

	void _handle_fs()
	{
		while (_tx.ack_avail() && !_exited)
			_handle_ack(_tx.try_get_acked_packet());

		_stopping |= (_num_acks >= _max_acks);

		if (!_files[_resting].outstanding && !_exited) {
			_call(_files[_resting]);
			_resting = _random.any(NUM_FILES);
		}

		for (Request &request : _requests)
			if (!request.file && (!_tx.ready_to_submit() || !_next(request)))
				break;

		_tx.wakeup();

		if (_stopping && !_outstanding && !_exited) {

			if (!_notifications)
				_wrong("no changes were told");

			if (!_limited())
				_wrong("more nodes can be open than a session has room for");

			/* who comes next finds no files, not even if it continues an image of a moment ago */
			for (File &file : _files) {
				if (!file.size_right())
					_wrong("file ", file.id, " does not have ", file.num_chunks, " chunks");
				file.close();
				file.unlink();
			}

			log(_num_acks, " requests executed, ", _num_calls, " calls, ", _notifications,
			    " changes");
			_exit(0);
		}
	}

	Signal_handler<Main> _fs_handler { _env.ep(), *this, &Main::_handle_fs };

	void _handle_yield()
	{
		_stopping = true;
		_handle_fs();
	}

	Signal_handler<Main> _yield_handler { _env.ep(), *this, &Main::_handle_yield };

	Main(Env &env) : _env(env)
	{
		_fs.sigh(_fs_handler);
		_env.parent().yield_sigh(_yield_handler);

		_handle_fs();
	}
};


void Component::construct(Genode::Env &env) { static Test::Main main(env); }
