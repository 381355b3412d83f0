/*
 * \brief  File whose content is known
 * \date   2026-12-01
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _FILE_H_
#define _FILE_H_

/* Genode includes */
#include <file_system_session/connection.h>

namespace Test {

	using namespace Genode;

	using Connection = File_system::Connection;

	struct Random;
	struct Directory;
	struct File;
}


struct Test::Random
{
	uint32_t _value = 815;

	unsigned any(unsigned limit)
	{
		_value = _value*1103515245 + 12345;
		return (_value >> 8) % limit;
	}
};


struct Test::Directory
{
	using Path = String<32>;

	Path const path;

	File_system::Dir_handle const handle;

	static File_system::Dir_handle _opened(Connection &fs, Path const &path)
	{
		try { return fs.dir(path.string(), true); }
		catch (File_system::Node_already_exists) { }
		return fs.dir(path.string(), false);
	}

	Directory(Connection &fs, Path const &path) : path(path), handle(_opened(fs, path)) { }
};


/**
 * File of chunks, each of which is written as a whole
 *
 * The state is the one after all requests that were submitted, in their order.
 */
struct Test::File
{
	static constexpr unsigned MAX_CHUNKS = 48;
	static constexpr size_t   CHUNK      = 512;

	using Name   = String<32>;
	using Handle = File_system::File_handle;

	Connection &_fs;
	Directory  *dir;    /* where it is at present */
	Name        name;

	/* two handles of one file */
	Handle written { 0 }, other { 0 };

	unsigned const id;
	unsigned versions[MAX_CHUNKS] { };  /* 0: zeros */
	unsigned num_chunks  = 0;
	unsigned last        = 0;           /* version */
	unsigned outstanding = 0;

	void open(bool create)
	{
		using namespace File_system;

		written = _fs.file(dir->handle, name.string(), READ_WRITE, create);
		other   = _fs.file(dir->handle, name.string(), READ_ONLY,  false);
	}

	void close()
	{
		_fs.close(written);
		_fs.close(other);
	}

	void create()
	{
		for (unsigned &version : versions)
			version = 0;
		num_chunks = 0;
		open(true);
	}

	void unlink() { _fs.unlink(dir->handle, name.string()); }

	File(Connection &fs, Directory &dir, Name const &name, unsigned id)
	:
		_fs(fs), dir(&dir), name(name), id(id)
	{
		try { unlink(); } catch (File_system::Lookup_failed) { }
		create();
	}

	/**
	 * Move the open file, and open it anew, as the VFS server does not know its size otherwise
	 */
	void move(Directory &to, Name const &new_name)
	{
		_fs.move(dir->handle, name.string(), to.handle, new_name.string());
		dir  = &to;
		name = new_name;
		close();
		open(false);
	}

	void truncate(unsigned count)
	{
		_fs.truncate(written, count*CHUNK);
		for (unsigned i = count; i < MAX_CHUNKS; i++)
			versions[i] = 0;
		num_chunks = count;
	}

	/**
	 * Return true if the file has the size that it should have, if nothing is outstanding
	 */
	bool size_right() { return _fs.status(written).size == num_chunks*CHUNK; }

	/**
	 * Take note that chunks are being written
	 */
	void write(unsigned first, unsigned count)
	{
		last++;
		for (unsigned i = first; i < first + count; i++)
			versions[i] = last;

		num_chunks = max(num_chunks, first + count);
	}

	/**
	 * Call 'fn' with some words of chunks, and their values
	 */
	void for_each_word(char *content, unsigned const *versions, unsigned first, unsigned count,
	                   auto const &fn) const
	{
		size_t const num_words = CHUNK/sizeof(uint64_t), step = num_words - 1;

		for (unsigned c = 0; c < count; c++)
			for (size_t i = 0; i < num_words; i += step)
				fn(((uint64_t *)content)[c*num_words + i],
				   versions[c] ? (uint64_t(versions[c]) << 24 ^ (first + c) << 12 ^ id << 8 ^ i)
				                 *0x9e3779b97f4a7c15ULL : 0);
	}
};

#endif /* _FILE_H_ */
