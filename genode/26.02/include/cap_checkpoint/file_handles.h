/*
 * \brief  Nodes of a file system that a component has opened
 * \date   2026-12-01
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _INCLUDE__CAP_CHECKPOINT__FILE_HANDLES_H_
#define _INCLUDE__CAP_CHECKPOINT__FILE_HANDLES_H_

/* Genode includes */
#include <cap_checkpoint/session_memory.h>
#include <file_system_session/file_system_session.h>

namespace Cap_checkpoint { class File_handles; }


/**
 * Table of open nodes in memory of the session
 *
 * A handle of the component is a position in the table. The paths are those that lead to the nodes
 * at present, so that another server can open them again.
 */
class Cap_checkpoint::File_handles : Noncopyable
{
	public:

		enum Kind : uint32_t { NONE, DIRECTORY, FILE, SYMLINK, NODE, WATCH, NUM_KINDS };

		/*
		 * UNLINKED: no path leads to the node any more
		 * CLOSING:  closed by the component, while packets are in flight
		 * CHANGED:  the component has to be told that the node has changed
		 * DEAD:     the server does not know it
		 * STREAM:   file that is no plain data, on which a read waits for what somebody writes
		 * LATE:     a call has waited for the packets in flight in vain
		 * LEFT:     closed at the server because the component may go on elsewhere, in no image
		 */
		enum Flag : uint32_t { UNLINKED = 1, CLOSING = 2, CHANGED = 4, DEAD = 8, STREAM = 16, LATE = 32,
		                       LEFT = 64 };

		static constexpr size_t RECORD_SIZE = 1024, MAX_PATH = RECORD_SIZE - 24,
		                        MAX_SIZE    = 1024*RECORD_SIZE;

		using Path = String<MAX_PATH>;

		struct Record
		{
			uint32_t kind;
			uint32_t mode;
			uint32_t flags;
			uint32_t hash;            /* of the path */
			uint64_t server;          /* handle at the server */
			char     path[MAX_PATH];

			bool is(Flag flag) const { return flags & flag; }

			/**
			 * Return handle at the server as the interface of the server has it
			 */
			unsigned long server_handle() const { return (unsigned long)server; }

			void compute_hash();
		};

		static_assert(sizeof(Record) == RECORD_SIZE);

	private:

		Virtual_pd    &_pd;
		Env::Local_rm &_local_rm;

		/* the one in use, and a larger one that replaces it */
		Constructible<Session_memory> _memories[2] { };
		unsigned                      _current = 0;

		Session_memory       &_memory()       { return *_memories[_current]; }
		Session_memory const &_memory() const { return *_memories[_current]; }

		Record *_records() { return (Record *)_memory().start(); }

		bool _provide(size_t size, bool keep);

	public:

		File_handles(Virtual_pd &pd, Env::Local_rm &local_rm)
		: _pd(pd), _local_rm(local_rm) { (void)_provide(Image::PAGE_SIZE, false); }

		bool valid() const
		{
			return _memories[_current].constructed() && _memory().valid();
		}

		Dataspace *ds() { return _memory().ds(); }

		/**
		 * Provide memory of another size, which is zero
		 */
		Dataspace *resize(size_t size)
		{
			return _provide(size, false) ? ds() : nullptr;
		}

		size_t count() const { return _memory().size()/RECORD_SIZE; }

		/**
		 * Call 'fn' with handle and record of each node
		 */
		void for_each(auto const &fn)
		{
			for (size_t i = 0; i < count(); i++)
				if (_records()[i].kind != NONE)
					fn((unsigned long)i, _records()[i]);
		}

		/**
		 * Return record of a handle of the component, or nullptr
		 */
		Record *find(unsigned long handle)
		{
			return handle < count() && _records()[handle].kind != NONE ? &_records()[handle]
			                                                           : nullptr;
		}

		/**
		 * Make sure that there is a free record
		 *
		 * \return  false if the quota of the component does not suffice, or if there are too many
		 */
		bool reserve();

		/**
		 * Add a node, there must be a free record
		 */
		unsigned long add(Kind, uint32_t mode, Path const &, unsigned long server);

		void remove(Record &record) { record = { }; }

		/**
		 * Return true if a path is the one of a node, or of something below it
		 */
		static bool within(char const *path, char const *node);

		/**
		 * Let no path lead to a node and what is below it
		 */
		void unlinked(Path const &);

		void moved(Path const &from, Path const &to);

		/**
		 * Make valid what comes from an image
		 */
		void sanitize();
};

#endif /* _INCLUDE__CAP_CHECKPOINT__FILE_HANDLES_H_ */
