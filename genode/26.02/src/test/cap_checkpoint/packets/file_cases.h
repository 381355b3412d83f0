/*
 * \brief  Files that are closed, removed, and moved, and packets that make no sense
 * \date   2026-12-01
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _FILE_CASES_H_
#define _FILE_CASES_H_

/* Genode includes */
#include <base/allocator_avl.h>
#include <file_system_session/connection.h>

/* local includes */
#include <stream.h>

namespace Test {

	struct File_client;
	struct File_cases;
}


/**
 * Session whose packets have one buffer each
 */
struct Test::File_client
{
	using Packet = File_system::Packet_descriptor;
	using Opcode = Packet::Opcode;
	using Handle = File_system::Node_handle;
	using Dir    = File_system::Dir_handle;
	using File   = File_system::File_handle;
	using Text   = String<64>;

	static constexpr size_t BUFFER_SIZE = 64*1024, LENGTH = 512;

	Env &_env;

	Allocator_avl _alloc;

	File_system::Connection fs { _env, _alloc, "/", true, BUFFER_SIZE };

	Stream<File_system::Session::Tx> stream { _env, *fs.tx() };

	void _handle() { }

	Io_signal_handler<File_client> _handler { _env.ep(), *this, &File_client::_handle };

	File_client(Env &env, Allocator &alloc) : _env(env), _alloc(&alloc) { fs.sigh(_handler); }

	Packet packet(Handle handle, Opcode opcode, uint64_t position = 0)
	{
		return Packet(fs.tx()->alloc_packet(LENGTH), handle, opcode, LENGTH, position);
	}

	char *content(Packet const &p) { return fs.tx()->packet_content(p); }

	Packet write_packet(Handle handle, Text const &text, uint64_t position = 0, size_t length = LENGTH)
	{
		Packet const p(fs.tx()->alloc_packet(LENGTH), handle, Packet::WRITE, length, position);
		bzero(content(p), LENGTH);
		copy_cstring(content(p), text.string(), LENGTH);
		return p;
	}

	void release(Packet const &p) { fs.tx()->release_packet(p); }

	/**
	 * Return true if the write of a text succeeds
	 */
	bool write(Handle handle, Text const &text, uint64_t position = 0, size_t length = LENGTH)
	{
		Packet const p      = write_packet(handle, text, position, length);
		bool   const result = stream.execute(p).succeeded();
		release(p);
		return result;
	}

	/**
	 * Let what was written be at the medium, by a packet that has a buffer although none is needed
	 */
	void sync(Handle handle)
	{
		Packet const p = packet(handle, Packet::SYNC);
		if (!stream.execute(p).succeeded())
			wrong("a sync is not executed");
		release(p);
	}

	void expect(char const *name, Handle handle, Text const &text, uint64_t position = 0)
	{
		Packet const p      = packet(handle, Packet::READ, position);
		Packet const answer = stream.execute(p);

		if (!answer.succeeded() || Text(Cstring(content(p), answer.length())) != text)
			wrong(name, " is not \"", text, "\"");

		release(p);
	}

	Dir root() { return fs.dir("/", false); }

	Dir directory(char const *path)
	{
		try { return fs.dir(path, true); } catch (File_system::Node_already_exists) { }
		return fs.dir(path, false);
	}

	File file(Dir dir, char const *name)
	{
		try { return fs.file(dir, name, File_system::READ_WRITE, true); }
		catch (File_system::Node_already_exists) { }
		return fs.file(dir, name, File_system::READ_WRITE, false);
	}

	void unlink(Dir dir, char const *name)
	{
		try { fs.unlink(dir, name); } catch (File_system::Lookup_failed) { }
	}
};


struct Test::File_cases
{
	using Packet  = File_client::Packet;
	using Opcode  = File_client::Opcode;
	using Dir     = File_client::Dir;
	using File    = File_client::File;
	using Text    = File_client::Text;
	using Symlink = File_system::Symlink_handle;

	static constexpr uint64_t END = File_system::SEEK_TAIL;

	File_client _client, _other;

	bool const _restored;  /* a file that was removed cannot be opened again */

	Dir const _root { _client.root() }, _other_root { _other.root() };

	File_cases(Env &env, Allocator &alloc, bool restored)
	: _client(env, alloc), _other(env, alloc), _restored(restored) { _open("p"); }

	/**
	 * Close a file before what was submitted is acknowledged
	 */
	void _closed(unsigned const round)
	{
		Text const text { "closed ", round };

		File   const file  = _client.file(_root, "closed");
		Packet const write = _client.write_packet(file, text);

		_client.stream.submit(write);
		_client.stream.submit(Packet(Packet(), file, Packet::READ_READY, 0, 0));
		_client.fs.close(file);

		File   const again = _client.file(_root, "closed");
		Packet const read  = _client.packet(again, Packet::READ);

		_client.stream.submit(read);

		unsigned writes = 0, reads = 0, ready = 0;

		while (!reads || !writes) {
			Packet const answer = _client.stream.ack();

			switch (answer.operation()) {
			case Packet::READ:       reads++;  break;
			case Packet::WRITE:      writes++; break;
			case Packet::READ_READY: ready++;  break;
			default: wrong("foreign acknowledgement");
			}
			if (!answer.succeeded() && answer.operation() != Packet::READ_READY)
				wrong("packet of a closed file is not executed");
		}
		if (reads != 1 || writes != 1 || ready > 1)
			wrong("acknowledged twice");

		if (Text(Cstring(_client.content(read), File_client::LENGTH)) != text)
			wrong("what was written before a file was closed is lost");

		_client.release(read);
		_client.release(write);
		_client.fs.close(again);
		_client.fs.unlink(_root, "closed");
	}

	/**
	 * Append to files that no path leads to any more
	 */
	void _removed(unsigned const round)
	{
		File const file = _client.file(_root, "removed");

		if (!_client.write(file, { "removed ", round }, END))
			wrong("data is not appended");

		_client.fs.unlink(_root, "removed");

		if (!_client.write(file, { "behind ", round }, END) && !_restored)
			wrong("data is not appended to a file that is removed");

		_client.fs.close(file);

		File const taken = _client.file(_root, "taken");

		if (!_client.write(taken, { "taken ", round }, END))
			wrong("data is not appended");

		_other.fs.move(_other_root, "taken", _other_root, "moved");

		if (_client.write(taken, { "behind ", round }, END))
			wrong("data is appended where nobody knows the place");

		_client.fs.close(taken);
		_other.fs.unlink(_other_root, "moved");
	}

	/* nodes that are open all the time */
	Text    _name { };
	Dir     _dir     { 0 };
	File    _file    { 0 };
	Symlink _symlink { 0 };

	File_system::Node_handle _node { 0 };

	void _open(Text const &name)
	{
		_name = name;

		Text const path { "/", name };

		_dir     = _client.directory(path.string());
		_file    = _client.file(_dir, "file");
		_node    = _client.fs.node(Text(path, "/file").string());

		try { _symlink = _client.fs.symlink(_dir, "link", true); }
		catch (File_system::Node_already_exists) {
			_symlink = _client.fs.symlink(_dir, "link", false); }
	}

	void _close()
	{
		_client.fs.close(_dir);
		_client.fs.close(_file);
		_client.fs.close(_node);
		_client.fs.close(_symlink);
	}

	/**
	 * Use nodes that are opened again by the paths that lead to them
	 */
	void _opened_again(unsigned const round)
	{
		Text const text { "round ", round };

		if (!_client.write(_file, text))
			wrong("file that is open is not written");

		_client.sync(_file);

		if (!round && !_client.write(_symlink, "target", 0, sizeof("target")))
			wrong("link is not written");

		_client.expect("file that is open", _file, text);
		_client.expect("link", _symlink, "target");

		if (_client.fs.num_entries(_dir) != 2 || _client.fs.status(_node).size != File_client::LENGTH)
			wrong("nodes that are open are not what they were");

		if (round % 4 != 3)
			return;

		Text const name { round % 8 == 3 ? "q" : "p" };

		_client.fs.move(_root, _name.string(), _root, name.string());
		_client.expect("file that was moved", _file, text);
		_close();
		_open(name);
	}

	void _hostile()
	{
		Packet const good = _client.packet(_file, Packet::READ);

		size_t const size = good.size();

		auto packet = [&] (off_t offset, size_t size, Opcode opcode, size_t length,
		                   File_system::Node_handle handle) {
			return Packet(Packet(offset, size), handle, opcode, length, 0); };

		auto fails = [&] (char const *name, Packet const &p) { _client.stream.fails(name, p); };

		size_t const end = File_client::BUFFER_SIZE;

		fails("a read into the queues",   packet(0, size, Packet::READ,  size, _file));
		fails("a write from the queues",  packet(8, size, Packet::WRITE, size, _file));
		fails("a negative offset",        packet(-512, size, Packet::READ, size, _file));
		fails("an offset behind",         packet(end, size, Packet::READ, size, _file));
		fails("a huge offset",            packet(off_t(1UL << (8*sizeof(off_t) - 2)), size, Packet::WRITE, size, _file));
		fails("a payload beyond the end", packet(end - 8, size, Packet::READ, size, _file));
		fails("a length beyond the size", packet(good.offset(), size, Packet::READ, size + 1, _file));
		fails("a huge length",            packet(good.offset(), ~0UL, Packet::READ, ~0UL, _file));
		fails("a length that overflows",
		      packet(good.offset(), ~0UL, Packet::WRITE, ~0UL - good.offset() + 1, _file));
		fails("an unknown operation",     packet(good.offset(), size, Opcode(7), size, _file));
		fails("a notification",           packet(good.offset(), size, Packet::CONTENT_CHANGED, 0, _file));
		fails("a node without content",   packet(good.offset(), size, Packet::READ, size, _node));
		fails("a node that is not there", packet(good.offset(), size, Packet::READ, size, { 999 }));
		fails("no node",                  packet(good.offset(), size, Packet::WRITE, size, { ~0UL }));

		_client.release(good);
	}

	void execute(unsigned const round)
	{
		_opened_again(round);
		_closed(round);
		_removed(round);
		_hostile();
		_client.stream.nothing_left();
	}

	void damage(Timer::Connection &timer) { _client.stream.damage(timer); }
};

#endif /* _FILE_CASES_H_ */
