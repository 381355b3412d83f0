/*
 * \brief  Directory of PDs and of the objects behind core's capability slots
 * \date   2026-11-29
 *
 * The directory is for those who look at the memory from outside, such as a
 * debugger or a monitor of the whole machine. Nobody within the system reads
 * it. Its layout is described by 'doc/layout.md' of the capability table.
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _CORE__CAP_DIRECTORY_H_
#define _CORE__CAP_DIRECTORY_H_

/* Genode includes */
#include <util/noncopyable.h>

/* core includes */
#include <types.h>

namespace Core { class Cap_directory; }


class Core::Cap_directory : Noncopyable
{
	public:

		enum class Kind : Genode::uint32_t {
			UNKNOWN = 0, GATE = 1, TASK = 2, THREAD = 3, IRQ = 4 };

		/* number of slots of core's table */
		static constexpr unsigned NUM_SLOTS = 128*1024;

	private:

		static constexpr unsigned NUM_PDS = 1024, LABEL_BYTES = 64;

		struct Header
		{
			uint64_t magic, version, size, num_pds, pd_size, pds, num_slots, slots,
			         boot, checksum, zero_0[6], sequence, zero_1[7];
		};

		struct Pd
		{
			enum : uint64_t { FREE = 0, ALIVE = 1, DEAD = 2 };

			uint64_t state, badge, table, table_size, instance, zero[3],
			         label[LABEL_BYTES/8];
		};

		struct Layout
		{
			Header     header;
			Pd         pds[NUM_PDS];
			Genode::uint32_t slots[NUM_SLOTS];
		};

		static_assert(sizeof(Header) == 0xc0 && sizeof(Pd) == 128);

		static_assert(sizeof(Layout) == 0xc0 + 128*NUM_PDS + 4*NUM_SLOTS);

		alignas(64) Layout _layout { };

		/* what is not for others: number of records that name each entry */
		unsigned _objects[NUM_PDS] { };

		/*
		 * PDs that exist, in no order
		 *
		 * They are searched for each object that is created. The entries of dead
		 * PDs stay in between those of living ones for long.
		 */
		struct Living { void const *owner; unsigned entry; };

		Living   _living[NUM_PDS] { };
		unsigned _num_living = 0;

		int _lock = 0;

		/*
		 * Noncopyable
		 */
		Cap_directory(Cap_directory const &);
		Cap_directory &operator = (Cap_directory const &);

		void _set_slot(unsigned slot, Genode::uint32_t);
		void _with_entry_of(void const *owner, auto const &fn);
		void _change(auto const &fn);

	public:

		/**
		 * Constructor
		 *
		 * \param boot  boot number, which core's table has, too
		 */
		Cap_directory(uint64_t boot);

		/**
		 * Note that a PD exists
		 *
		 * \param owner  identifies the PD, never dereferenced
		 */
		void add_pd(void const *owner, unsigned badge, char const *label);

		/**
		 * Note where the table of a PD is, unless that is known already
		 */
		void table(void const *owner, addr_t phys, size_t size, uint64_t instance);

		void remove_pd(void const *owner);

		/**
		 * Note what a slot of core refers to
		 *
		 * \param owner  PD that made the object, or nullptr
		 */
		void object(unsigned slot, Kind, void const *owner);

		/**
		 * Note that a slot of core refers to no object anymore
		 */
		void no_object(unsigned slot);
};

#endif /* _CORE__CAP_DIRECTORY_H_ */
