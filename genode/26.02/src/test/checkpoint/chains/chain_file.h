/*
 * \brief  Chain of an image and its increments that can be torn
 * \date   2026-12-01
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _CHAIN_FILE_H_
#define _CHAIN_FILE_H_

/* Genode includes */
#include <base/attached_ram_dataspace.h>
#include <cap_checkpoint/image_chain.h>
#include <os/vfs.h>

namespace Test {

	using namespace Genode;

	namespace Image = Cap_checkpoint::Image;

	struct Container;
	struct Chain_file;
}


/**
 * Where a container is in the chain, and the number of its checkpoint
 */
struct Test::Container
{
	size_t   at, size;
	uint64_t number;
};


/**
 * Bytes of a chain that 'checkpoint' has written, and what is to become of them
 */
struct Test::Chain_file : Noncopyable
{
	static constexpr unsigned LENGTH = 4;  /* containers, more are left aside */

	/* behind the chain, where nothing is */
	static constexpr size_t TAIL = 4096;

	/* smallest unit that a medium takes or leaves as a whole */
	static constexpr size_t SECTOR = 512;

	Attached_ram_dataspace _original, _altered;

	Container _containers[LENGTH] { };
	unsigned  _length = 0;

	size_t num_bytes = 0;

	/*
	 * Noncopyable
	 */
	Chain_file(Chain_file const &);
	Chain_file &operator = (Chain_file const &);

	Chain_file(Env &env, size_t max_size)
	: _original(env.ram(), env.rm(), max_size), _altered(env.ram(), env.rm(), max_size) { }

	char *_start() { return _altered.local_addr<char>(); }

	/**
	 * Read the longest of the chains in a file
	 *
	 * \return  false if it is not long enough
	 */
	bool read(Directory &root, Directory::Path const &path, size_t place_size)
	{
		_length = 0;

		for (size_t at = 0; at < place_size; at += place_size/2) {

			Readonly_file const file { root, path };

			size_t const size = file.read(Readonly_file::At { at },
				Byte_range_ptr(_altered.local_addr<char>(), min(place_size/2, _altered.size() - TAIL)));

			Image::Chain const chain { _start(), size };

			if (!chain.valid() || chain.length() < LENGTH)
				continue;

			for (unsigned i = 0; i < LENGTH; i++)
				chain.with_container(i, [&] (char const *start, size_t container_size) {
					_containers[i].at   = size_t(start - _start());
					_containers[i].size = container_size; });

			Container const &last = _containers[LENGTH - 1];

			/* the numbers follow from shorter chains */
			for (unsigned i = 0; i < LENGTH; i++) {
				Image::Chain const part { _start(), _containers[i].at + _containers[i].size };
				_containers[i].number = part.last().system().checkpoint;
			}

			_length = LENGTH;
			memcpy(_original.local_addr<char>(), _start(), last.at + last.size);
		}
		return _length;
	}

	Container const &container(unsigned i) const { return _containers[i]; }

	/**
	 * Begin anew with the whole chain
	 */
	void restore()
	{
		Container const &last = _containers[LENGTH - 1];

		num_bytes = last.at + last.size + TAIL;
		bzero(_start(), _altered.size());
		memcpy(_start(), _original.local_addr<char>(), last.at + last.size);
	}

	/**
	 * Let the rest be what was there before
	 */
	void clear(size_t at, size_t size) { bzero(_start() + at, size); }

	void flip(size_t at) { _start()[at] = char(_start()[at] ^ 1); }

	/**
	 * Copy a container over another one, as one of an earlier chain would be there
	 */
	void copy(unsigned from, unsigned to)
	{
		Container const &source = _containers[from];

		size_t const at = _containers[to].at;

		bzero(_start() + at, num_bytes - at);
		memcpy(_start() + at, _original.local_addr<char>() + source.at, source.size);
		num_bytes = at + source.size + TAIL;
	}

	/**
	 * Cut the bytes
	 */
	void cut(size_t at) { num_bytes = at; }

	bool store(Directory &root, Directory::Path const &path)
	{
		New_file file { root, path };
		return file.append(_start(), num_bytes) == New_file::Append_result::OK;
	}
};

#endif /* _CHAIN_FILE_H_ */
