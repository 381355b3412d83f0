/*
 * \brief  Core's records of all gates of the system
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */

#ifndef TESTBED_GATES_HPP
#define TESTBED_GATES_HPP

#include <map>
#include <unordered_map>
#include <vector>

#include "ipc.hpp"

namespace Testbed {

	class Badges;
	class Gates;
}


/**
 * Allocator of badges
 *
 * A badge is used again as soon as possible, which is the nastiest way to do
 * it: components may still hold capabilities of the object that had it before.
 */
class Testbed::Badges
{
	private:

		int64_t  _next;
		int64_t const _step;

		std::vector<uint32_t> _freed { };

	public:

		Badges(uint32_t start, int32_t step) : _next(start), _step(step) { }

		/**
		 * Return badge, or 0 if there is none left
		 */
		uint32_t alloc()
		{
			if (!_freed.empty()) {
				uint32_t const badge = _freed.back();
				_freed.pop_back();
				return badge;
			}

			/* zero, one and all ones have a meaning of their own */
			if (_next < 4 || _next >= (1 << BADGE_BITS) - 1)
				return 0;

			uint32_t const badge = uint32_t(_next) & ~3u;
			_next += _step;
			return badge;
		}

		void free(uint32_t badge) { _freed.push_back(badge); }
};


class Testbed::Gates
{
	public:

		struct Record
		{
			Native_capability cap;
			uint32_t          creator;
			uint32_t          entrypoint;
			uint64_t          name;
			uint64_t          inode;
		};

	private:

		/* creator and entrypoint, or creator and name */
		using Key = std::pair<uint32_t, uint64_t>;

		Badges _badges;

		std::unordered_map<uint32_t, Record>   _by_badge { };
		std::unordered_map<uint64_t, uint32_t> _by_inode { };
		std::map<Key, uint32_t>                _by_name  { };
		std::map<Key, int>                     _epolls   { };
		std::vector<int>                       _threads  { };

		bool _bind(uint32_t creator, uint32_t entrypoint, uint32_t server,
		           uint32_t badge, int fd);

		Record const *_record(uint32_t badge) const;

	public:

		Gates(uint32_t start, int32_t step) : _badges(start, step) { }

		Gates(Gates const &)              = delete;
		Gates &operator = (Gates const &) = delete;

		/**
		 * Return descriptor of an epoll object, -1 if it cannot be had
		 *
		 * Entrypoints are told apart by component and number.
		 */
		int create_entrypoint(uint32_t component, uint32_t entrypoint);

		/**
		 * Create a gate and bind it to an entrypoint of its creator
		 *
		 * \param server  number by which the creator finds the server end
		 * \param name    kept for those who ask
		 * \param rpc     is given capability and server end
		 */
		Answer create(uint32_t creator, uint32_t entrypoint, uint32_t server,
		              uint64_t name, Rpc &rpc);

		/**
		 * Shut a gate for all who hold its capability
		 */
		bool destroy(uint32_t creator, uint32_t badge);

		/**
		 * Return descriptor that stands for a thread, -1 if it cannot be had
		 *
		 * Nobody is ever called through it, and it has no badge.
		 */
		int thread_gate();

		Record const *by_inode(uint64_t inode) const;
		Record const *by_name(uint32_t creator, uint64_t name) const;
};

#endif /* TESTBED_GATES_HPP */
