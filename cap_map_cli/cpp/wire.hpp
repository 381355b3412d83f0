/*
 * \brief  What the processes of the testbed say to each other
 *
 * The build script turns the enumerations of this file into constants of the
 * Rust part: one 'NAME = number,' per line.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */

#ifndef TESTBED_WIRE_HPP
#define TESTBED_WIRE_HPP

#include <stdint.h>

namespace Testbed {

	/*
	 * Capability space: slot n of a component is descriptor FD_BASE + 2*n
	 *
	 * The layout of the slots is that of Genode 26.02 on Fiasco.OC. The table of
	 * the target grows from TARGET_SLOTS to TARGET_MAX_SLOTS, each time to twice
	 * its size.
	 */
	enum : uint32_t {
		CAP_SHIFT = 12,
		BADGE_BITS = 28,
		PARENT_SLOT = 0xb,
		MAIN_THREAD_SLOT = 0xc,
		FIRST_SLOT = 0x300,
		TARGET_SLOTS = 4096,
		TARGET_MAX_SLOTS = 32768,
		TARGET_BOOTSTRAP_SLOTS = 1024,
		CORE_SLOTS = 32768,
		WINDOW_SLOTS = 4,
		MAIN_THREAD_BADGE = 1,
	};

	/*
	 * Descriptors of a process
	 *
	 * Those below ENTRYPOINT_FD are for passing use. Between the slots are the
	 * server ends of the gates that lead to the process: the one with index n
	 * is descriptor FD_BASE + 2*n + 1.
	 */
	enum : uint32_t {
		CONTROL_FD = 0,
		ENTRYPOINT_FD = 192,
		ENTRYPOINT_MAX = 8,
		FD_BASE = 256,
		SERVER_MAX = 32768,
	};

	/*
	 * The component 'target'
	 *
	 * Image and table are mapped at fixed addresses, so that what the image
	 * holds of them stays valid in another process. A table that has grown n times
	 * is TABLE_DISTANCE*n behind the first one, which stays readable. Below 512 GiB they are out
	 * of the way of the thread sanitizer.
	 */
	enum : uint64_t {
		IMAGE_ADDRESS = 0x1000000000,
		TABLE_ADDRESS = 0x1100000000,
		TABLE_DISTANCE = 0x1000000,
		TARGET_ENTRYPOINTS = 3,
		OBJECTS_MAX = 32768,
		CELLS = 16,
	};

	/* who creates gates */
	enum : uint32_t {
		COMPONENT_CORE = 0,
		COMPONENT_TARGET = 1,
		COMPONENT_CLIENTS = 2,
		COMPONENT_MONITOR = 3,
	};

	/* names of objects that are the same in each system */
	enum : uint64_t {
		NAME_TOOLS = 0x100,
		NAME_PARENT = 0x101,
		NAME_PD = 0x110,
		NAME_SERVICE = 0x120,
		SERVICES = 8,
		NAME_FACTORY = 0x200,
		NAME_PROBE = 0x201,
		NAME_EXIT_HANDLER = 0x210,
		NAME_SIGNAL_PROXY = 0x220,
		NAME_OBJECT = 0x10000,
	};

	/* in place of the count of a slot that is allocated and carries no badge */
	enum : uint32_t {
		REFERENCES_RESERVED = 0xffff,
	};

	/* an entrypoint that does not exist: the gate is dead from the start */
	enum : uint32_t {
		ENTRYPOINT_NONE = 0xff,
	};

	enum Opcode : uint32_t {

		/* any object: -> name, calls, references to its own capability */
		OP_IDENTIFY = 1,

		/* protection domain, in core */
		OP_ENTRYPOINT = 10,     /* entrypoint -> kernel: epoll descriptor */
		OP_ALLOC_GATE = 11,     /* entrypoint, server index, name -> cap, kernel: server end */
		OP_FREE_GATE = 12,      /* cap */
		OP_THREAD_GATE = 13,    /* -> cap with MAIN_THREAD_BADGE */

		/* tools, in core */
		OP_PD = 20,             /* component -> cap */
		OP_LOOKUP = 21,         /* creator, name -> cap */
		OP_RESOLVE = 22,        /* inode -> cap, creator, name, entrypoint */

		/* objects of the target */
		OP_CALL = 30,           /* -> name, calls including this one */
		OP_GIVE = 31,           /* cell, cap -> name */
		OP_DROP = 32,           /* cell -> name */
		OP_TAKE = 33,           /* cell -> cap */
		OP_CALL_HELD = 34,      /* cell -> name of the object behind the cell */

		/* factory and probe of the target */
		OP_CREATE = 40,         /* -> cap, name */
		OP_DESTROY = 41,        /* cap */
		OP_PROBE = 42,          /* slot -> name of the object behind the slot */

		/* agent: what a kernel does to the target, at the monitor's request */
		OP_INIT = 50,           /* restored?, seed, table address; kernel: image, table */
		OP_INSTALL = 51,        /* slot, badge or 0; kernel: descriptor; no answer */
		OP_SERVER = 52,         /* server index; kernel: server end; no answer */
		OP_EPOLL = 53,          /* entrypoint; kernel: epoll descriptor; no answer */
		OP_START = 54,
		OP_REST = 55,
		OP_REFERENCES = 56,     /* kernel: file for 16-bit counts, slot by slot */
		OP_GROW = 57,           /* slots, table address; kernel: table */

		/* rewriter, a monitor that is killed */
		OP_REWRITE = 60,        /* kernel: table; answered after the first attempt */
	};

	/* result of a call, in place of the opcode */
	enum Answer : uint32_t {
		ANSWER_OK = 0,
		ANSWER_NO_OBJECT = 1,   /* the gate leads to no object */
		ANSWER_DEAD = 2,        /* the object of the capability is gone */
		ANSWER_INVALID = 3,     /* argument, or capability that is not accepted */
		ANSWER_NO_SLOT = 4,     /* capability space or other memory is full */
		ANSWER_EMPTY = 5,       /* nothing in that cell */
		ANSWER_TIMEOUT = 6,
		ANSWER_FAILED = 7,
	};

	enum : uint32_t {
		WORDS = 6,
		FDS_MAX = 6,            /* reply, capabilities, kernel */
		CALL_TIMEOUT_MS = 10000,
	};

	struct Message
	{
		uint32_t opcode;
		uint32_t id;            /* of the request, repeated by the answer */
		uint32_t caps;          /* capabilities, behind the reply descriptor */
		uint32_t kernel;        /* other descriptors, behind the capabilities */
		uint32_t badge[WINDOW_SLOTS];
		uint64_t word[WORDS];
	};

	static_assert(sizeof(Message) == 80, "layout known to the Rust part");
}

#endif /* TESTBED_WIRE_HPP */
