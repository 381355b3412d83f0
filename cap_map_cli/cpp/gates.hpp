/*
 * \brief  Core's records of all gates of the system
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */

#ifndef TESTBED_GATES_HPP
#define TESTBED_GATES_HPP

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

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


inline int Testbed::Gates::create_entrypoint(uint32_t component, uint32_t entrypoint)
{
	Key const key { component, entrypoint };

	if (entrypoint >= ENTRYPOINT_MAX || _epolls.count(key))
		return -1;

	int const fd = epoll_create1(EPOLL_CLOEXEC);
	if (fd >= 0)
		_epolls[key] = fd;

	return fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 0);
}


inline bool Testbed::Gates::_bind(uint32_t creator, uint32_t entrypoint, uint32_t server,
                                  uint32_t badge, int fd)
{
	auto const epoll = _epolls.find(Key { creator, entrypoint });

	epoll_event event { };
	event.events   = EPOLLIN;
	event.data.u64 = Kernel::epoll_data(server, badge);

	return epoll != _epolls.end()
	    && epoll_ctl(epoll->second, EPOLL_CTL_ADD, fd, &event) == 0;
}


inline Testbed::Answer Testbed::Gates::create(uint32_t creator, uint32_t entrypoint,
                                              uint32_t server, uint64_t name, Rpc &rpc)
{
	int ends[2];
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends))
		return ANSWER_FAILED;

	/* nobody waits for ever for a server that takes no requests */
	timeval const timeout { CALL_TIMEOUT_MS/1000, 0 };
	setsockopt(ends[0], SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));

	auto discard = [&] (Answer answer) {
		close(ends[0]);
		close(ends[1]);
		return answer;
	};

	uint32_t const badge = _badges.alloc();
	if (!badge)
		return discard(ANSWER_NO_SLOT);

	Cap_index const index = cap_map().insert(badge);
	if (!index) {
		_badges.free(badge);
		return discard(ANSWER_NO_SLOT);
	}

	/* the record's reference keeps the slot from here on */
	Native_capability const cap(index);

	bool const dead = (entrypoint == ENTRYPOINT_NONE);

	if (!dead && !_bind(creator, entrypoint, server, badge, ends[1])) {
		_badges.free(badge);
		return discard(ANSWER_INVALID);
	}

	uint64_t const inode = Kernel::inode(ends[0]);
	Kernel::put(ends[0], Kernel::slot_fd(index.slot()));

	if (dead)
		close(ends[1]);
	else
		rpc.kernel_fd = ends[1];

	rpc.append(cap);

	_by_inode[inode] = badge;
	_by_name[Key { creator, name }] = badge;
	_by_badge[badge] = Record { cap, creator, entrypoint, name, inode };
	return ANSWER_OK;
}


inline bool Testbed::Gates::destroy(uint32_t creator, uint32_t badge)
{
	auto const found = _by_badge.find(badge);
	if (found == _by_badge.end() || found->second.creator != creator)
		return false;

	Record const record = found->second;
	_by_badge.erase(found);
	_by_inode.erase(record.inode);

	auto const named = _by_name.find(Key { creator, record.name });
	if (named != _by_name.end() && named->second == badge)
		_by_name.erase(named);

	/* for all holders of either end, in whatever process */
	int const fd = Kernel::slot_fd(Cap_index(record.cap).slot());
	shutdown(fd, SHUT_RDWR);
	close(fd);

	cap_map().remove(Cap_index(record.cap));
	_badges.free(badge);
	return true;
}


inline int Testbed::Gates::thread_gate()
{
	int ends[2];
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends))
		return -1;

	_threads.push_back(ends[1]);
	return ends[0];
}


inline Testbed::Gates::Record const *Testbed::Gates::_record(uint32_t badge) const
{
	auto const found = _by_badge.find(badge);
	return found == _by_badge.end() ? nullptr : &found->second;
}


inline Testbed::Gates::Record const *Testbed::Gates::by_inode(uint64_t inode) const
{
	auto const found = _by_inode.find(inode);
	return found == _by_inode.end() ? nullptr : _record(found->second);
}


inline Testbed::Gates::Record const *Testbed::Gates::by_name(uint32_t creator, uint64_t name) const
{
	auto const found = _by_name.find(Key { creator, name });
	return found == _by_name.end() ? nullptr : _record(found->second);
}

#endif /* TESTBED_GATES_HPP */
