/*
 * \brief  Capability space and gates, provided by Linux
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <mutex>
#include <set>

#include "kernel.hpp"

using namespace Testbed;


/**********************
 ** Capability space **
 **********************/

static uint32_t _slots;


void Kernel::init(uint32_t slots) { _slots = slots; }


int Kernel::slot_fd(uint32_t slot) { return int(FD_BASE + 2*slot); }


static int _kcap_fd(size_t kcap) { return Kernel::slot_fd(Kernel::slot_of(kcap)); }


uint64_t Kernel::inode(int fd)
{
	struct stat info { };
	return fstat(fd, &info) == 0 ? uint64_t(info.st_ino) : 0;
}


bool Kernel::is_socket(int fd)
{
	struct stat info { };
	return fstat(fd, &info) == 0 && S_ISSOCK(info.st_mode);
}


bool Kernel::alive(int fd)
{
	pollfd entry { fd, 0, 0 };
	return poll(&entry, 1, 0) == 0;
}


bool Kernel::equal(size_t a, size_t b)
{
	uint64_t const inode_a = inode(_kcap_fd(a));
	return inode_a && inode_a == inode(_kcap_fd(b));
}


bool Kernel::valid(size_t kcap) { return alive(_kcap_fd(kcap)); }


bool Kernel::map(size_t from, size_t to)
{
	return slot_of(to) < _slots
	    && dup3(_kcap_fd(from), _kcap_fd(to), O_CLOEXEC) >= 0;
}


bool Kernel::put(int fd, int number)
{
	if (fd < 0)
		return false;

	bool const done = dup3(fd, number, O_CLOEXEC) >= 0;
	close(fd);
	return done;
}


/*****************
 ** Server ends **
 *****************/

static std::mutex         _servers_mutex;
static std::set<uint32_t> _free_servers;
static uint32_t           _next_server;


int Kernel::server_fd(uint32_t index) { return int(FD_BASE + 2*index + 1); }


int Kernel::alloc_server()
{
	std::lock_guard<std::mutex> guard(_servers_mutex);

	if (!_free_servers.empty()) {
		uint32_t const index = *_free_servers.begin();
		_free_servers.erase(_free_servers.begin());
		return int(index);
	}
	return _next_server < SERVER_MAX ? int(_next_server++) : -1;
}


bool Kernel::claim_server(uint32_t index)
{
	std::lock_guard<std::mutex> guard(_servers_mutex);

	if (index >= SERVER_MAX)
		return false;

	while (_next_server <= index)
		_free_servers.insert(_next_server++);

	_free_servers.erase(index);
	return true;
}


void Kernel::free_server(uint32_t index)
{
	std::lock_guard<std::mutex> guard(_servers_mutex);

	close(server_fd(index));
	_free_servers.insert(index);
}


/**************
 ** Messages **
 **************/

Kernel::Packet::~Packet()
{
	for (uint32_t i = 0; i < fds; i++)
		if (fd[i] >= 0)
			close(fd[i]);
}


int Kernel::Packet::take(uint32_t index)
{
	if (index >= fds)
		return -1;

	int const result = fd[index];
	fd[index] = -1;
	return result;
}


Answer Kernel::send(int to, Message const &msg, int const *fd, uint32_t fds,
                    bool wait)
{
	int const flags = MSG_NOSIGNAL | (wait ? 0 : MSG_DONTWAIT);

	alignas(cmsghdr) char control[CMSG_SPACE(FDS_MAX*sizeof(int))] { };

	iovec  data   { const_cast<Message *>(&msg), sizeof(msg) };
	msghdr header { };
	header.msg_iov    = &data;
	header.msg_iovlen = 1;

	if (fds > FDS_MAX)
		return ANSWER_INVALID;

	if (fds) {
		header.msg_control    = control;
		header.msg_controllen = CMSG_SPACE(fds*sizeof(int));

		cmsghdr &rights = *CMSG_FIRSTHDR(&header);
		rights.cmsg_level = SOL_SOCKET;
		rights.cmsg_type  = SCM_RIGHTS;
		rights.cmsg_len   = CMSG_LEN(fds*sizeof(int));
		memcpy(CMSG_DATA(&rights), fd, fds*sizeof(int));
	}

	for (;;) {
		if (sendmsg(to, &header, flags) >= 0)
			return ANSWER_OK;

		switch (errno) {
		case EINTR:      continue;
		case EPIPE:
		case ECONNRESET: return ANSWER_DEAD;
		case EAGAIN:     return ANSWER_TIMEOUT;
		default:         return ANSWER_FAILED;
		}
	}
}


bool Kernel::receive(int from, Packet &packet)
{
	alignas(cmsghdr) char control[CMSG_SPACE(FDS_MAX*sizeof(int))];

	iovec  data   { &packet.msg, sizeof(packet.msg) };
	msghdr header { };
	header.msg_iov        = &data;
	header.msg_iovlen     = 1;
	header.msg_control    = control;
	header.msg_controllen = sizeof(control);

	ssize_t const bytes =
		recvmsg(from, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

	if (bytes < 0)
		return false;

	for (cmsghdr *part = CMSG_FIRSTHDR(&header); part; part = CMSG_NXTHDR(&header, part)) {

		if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS)
			continue;

		packet.fds = uint32_t((part->cmsg_len - CMSG_LEN(0))/sizeof(int));
		memcpy(packet.fd, CMSG_DATA(part), packet.fds*sizeof(int));
	}

	return bytes == sizeof(packet.msg)
	    && !(header.msg_flags & (MSG_TRUNC | MSG_CTRUNC));
}


bool Kernel::wait_readable(int fd, int timeout_ms)
{
	pollfd entry { fd, POLLIN, 0 };
	for (;;) {
		int const count = poll(&entry, 1, timeout_ms);
		if (count < 0 && errno == EINTR)
			continue;

		return count > 0;
	}
}
