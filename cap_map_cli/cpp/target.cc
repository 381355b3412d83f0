/*
 * \brief  Process 'target': agent of its kernel, and threads
 *
 * On Fiasco.OC, a monitor lets core fill the target's capability space. Linux
 * offers no way to put a descriptor into another process, so the first thread
 * of the target does it on behalf of the monitor. It runs no application code.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

#include "target_image.hpp"

namespace Testbed {

	class Parking;
	class Agent;
}

using namespace Testbed;


/**
 * Brings all entrypoints to rest between two requests
 *
 * They do not go on afterwards: threads are not part of what is saved, so a
 * restored target starts them anew at the same point.
 */
class Testbed::Parking : public Rest
{
	private:

		std::mutex              _mutex   { };
		std::condition_variable _changed { };
		bool                    _resting = false;
		uint32_t                _parked  = 0;

		/* readable while the entrypoints shall rest */
		int const _wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	public:

		bool attach(int epoll_fd)
		{
			epoll_event event { };
			event.events   = EPOLLIN;
			event.data.u64 = Entrypoint::WAKE_UP;
			return epoll_ctl(epoll_fd, EPOLL_CTL_ADD, _wake_fd, &event) == 0;
		}

		void pass() override
		{
			std::unique_lock<std::mutex> lock(_mutex);
			if (!_resting)
				return;

			_parked++;
			_changed.notify_all();
			_changed.wait(lock, [] { return false; });
		}

		/**
		 * Return true once 'count' entrypoints rest
		 */
		bool rest(uint32_t count)
		{
			std::unique_lock<std::mutex> lock(_mutex);
			_resting = true;

			uint64_t const one = 1;
			if (write(_wake_fd, &one, sizeof(one)) != sizeof(one))
				return false;

			return _changed.wait_for(lock, std::chrono::milliseconds(CALL_TIMEOUT_MS),
			                         [&] { return _parked == count; });
		}
};


/**
 * Executes the orders of the monitor
 */
class Testbed::Agent
{
	private:

		Parking  _parking { };
		Image   *_image = nullptr;
		bool     _restored = false;
		int      _table_fd = -1;
		bool     _failed   = false;

		static void *_map(int fd, uint64_t address, size_t size)
		{
			struct stat info { };
			if (fstat(fd, &info) || size_t(info.st_size) < size)
				return nullptr;

			void * const at  = reinterpret_cast<void *>(address);
			void * const got = mmap(at, size_t(info.st_size), PROT_READ | PROT_WRITE,
			                        MAP_SHARED | MAP_FIXED_NOREPLACE, fd, 0);
			return got == at ? at : nullptr;
		}


		Answer _init(Kernel::Packet &packet);
		Answer _start();
		Answer _grow(uint32_t slots, uint64_t address, int file);
		Answer _references(int file);

		bool _install(uint32_t slot, uint32_t badge, int fd);

		bool _move(void *table, size_t size);

		/**
		 * Handle one order
		 *
		 * \return  false if it is to be left without an answer
		 */
		bool _handle(Kernel::Packet &packet, Message &answer);

	public:

		[[noreturn]] void run();
};


Answer Agent::_init(Kernel::Packet &packet)
{
	_restored = packet.msg.word[0];
	_table_fd = packet.take(1);

	uint64_t const table_address = packet.msg.word[2];

	void * const at = _map(packet.fd[0], IMAGE_ADDRESS, sizeof(Image));
	if (!at)
		return ANSWER_FAILED;

	if (_restored) {
		_image = static_cast<Image *>(at);
		Platform::cap_space(_image->cap_space());
		return _map(_table_fd, table_address, 0) ? ANSWER_OK : ANSWER_FAILED;
	}

	_image = new (at) Image(uint32_t(packet.msg.word[1]));
	return _image->cap_space().status() == CAP_MAP_STATUS_OK ? ANSWER_OK : ANSWER_FAILED;
}


bool Agent::_install(uint32_t slot, uint32_t badge, int fd)
{
	if (slot >= TARGET_MAX_SLOTS)
		return false;

	return Kernel::put(fd, Kernel::slot_fd(slot))
	    && (!badge || cap_map().insert(badge, size_t(slot) << CAP_SHIFT));
}


/**
 * Move the table to memory in which the monitor has left its identity
 */
bool Agent::_move(void *table, size_t size)
{
	Cap_map::Publication const publication { };

	uint32_t area = 0;
	return _image->cap_space().move(table, size, publication, area) == CAP_MAP_STATUS_OK;
}


/**
 * Let the application begin or go on
 */
Answer Agent::_start()
{
	if (_failed || !_image)
		return ANSWER_FAILED;

	Cap_map::Owner owner = _image->cap_space().owner();

	if (_restored) {
		if (owner.recover() != CAP_MAP_STATUS_OK)
			return ANSWER_FAILED;
	} else {

		/* the table moves with the first capabilities in it */
		size_t constexpr BYTES = Cap_map::region_bytes(TARGET_SLOTS);
		void * const table = _map(_table_fd, TABLE_ADDRESS, BYTES);
		if (!table || !_move(table, BYTES))
			return ANSWER_FAILED;

		if (!_image->construct_application(
		        Native_capability(Cap_index::from_slot(FIRST_SLOT))))
			return ANSWER_FAILED;
	}

	for (uint32_t i = 0; i < TARGET_ENTRYPOINTS; i++) {
		Entrypoint &entrypoint = _image->entrypoint(i);

		if (!_parking.attach(Entrypoint::epoll_fd(i)))
			return ANSWER_FAILED;

		std::thread([this, &entrypoint] { entrypoint.serve(_parking); }).detach();
	}
	return ANSWER_OK;
}


/**
 * Go on in a larger table, while the application uses the present one
 */
Answer Agent::_grow(uint32_t slots, uint64_t address, int file)
{
	size_t const size  = Cap_map::region_bytes(slots);
	void * const table = size ? _map(file, address, size) : nullptr;

	return table && _image->grow(slots) && _move(table, size) ? ANSWER_OK : ANSWER_FAILED;
}


Answer Agent::_references(int file)
{
	Cap_map::Owner const owner = _image->cap_space().owner();

	std::vector<uint16_t> counts(owner.capacity());

	for (uint32_t slot = 0; slot < counts.size(); slot++) {
		Cap_map::Entry entry { CAP_MAP_STATE_FREE, 0 };
		(void)owner.entry(slot, entry);

		counts[slot] = entry.state == CAP_MAP_STATE_RESERVED
		             ? uint16_t(REFERENCES_RESERVED) : uint16_t(owner.references(slot));
	}

	size_t const size = counts.size()*sizeof(counts[0]);

	return pwrite(file, counts.data(), size, 0) == ssize_t(size) ? ANSWER_OK
	                                                             : ANSWER_FAILED;
}


bool Agent::_handle(Kernel::Packet &packet, Message &answer)
{
	uint64_t const * const word = packet.msg.word;

	uint32_t const first  = uint32_t(word[0]),
	               second = uint32_t(word[1]);

	answer.id     = packet.msg.id;
	answer.opcode = ANSWER_INVALID;

	/* first of all comes the image, and it comes once */
	if (!_image != (packet.msg.opcode == OP_INIT))
		return true;

	switch (packet.msg.opcode) {

	case OP_INIT:       answer.opcode = _init(packet); break;
	case OP_START:      answer.opcode = _start(); break;
	case OP_REFERENCES: answer.opcode = _references(packet.fd[0]); break;

	case OP_GROW:
		answer.opcode = _grow(first, word[1], packet.fd[0]);
		break;

	case OP_REST:
		answer.opcode = _parking.rest(TARGET_ENTRYPOINTS) ? ANSWER_OK : ANSWER_TIMEOUT;
		break;

	case OP_INSTALL:
		_failed |= !_install(first, second, packet.take(0));
		return false;

	case OP_SERVER:
		_failed |= !Kernel::claim_server(first)
		        || !Kernel::put(packet.take(0), Kernel::server_fd(first));
		return false;

	case OP_EPOLL:
		_failed |= first >= TARGET_ENTRYPOINTS
		        || !Kernel::put(packet.take(0), Entrypoint::epoll_fd(first));
		return false;
	}
	return true;
}


void Agent::run()
{
	while (Kernel::wait_readable(CONTROL_FD, -1)) {

		Kernel::Packet packet { };
		if (!Kernel::receive(CONTROL_FD, packet))
			break;

		Message answer { };
		if (_handle(packet, answer))
			(void)Kernel::send(CONTROL_FD, answer, nullptr, 0, true);
	}

	/* the monitor is gone */
	_exit(0);
}


/**
 * Entry of the process 'target'
 */
extern "C" void testbed_target()
{
	Kernel::init(TARGET_MAX_SLOTS);

	static Agent agent { };
	agent.run();
}


/**
 * Size of the image in bytes
 */
extern "C" uint64_t testbed_image_size() { return sizeof(Image); }
