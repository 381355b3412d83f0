/*
 * \brief  Reader of the image of a component
 * \date   2026-11-29
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _INCLUDE__CAP_CHECKPOINT__IMAGE_READER_H_
#define _INCLUDE__CAP_CHECKPOINT__IMAGE_READER_H_

/* Genode includes */
#include <util/interface.h>

/* checkpoint includes */
#include <cap_checkpoint/image.h>
#include <cap_checkpoint/image_refusal.h>
#include <cap_checkpoint/map_sizes.h>

namespace Cap_checkpoint { namespace Image {

	struct Pace;

	class Container;
	class Reader;
	class Chain;
} }


/**
 * Who is told of progress while an image is being read
 *
 * A thread of high priority may let others go on by that occasion.
 */
struct Cap_checkpoint::Image::Pace : Genode::Interface
{
	virtual void passed(size_t num_bytes) = 0;
};


/**
 * Sections of an image
 *
 * The bytes come from somebody who is not trusted. They must be memory that nobody
 * else can write while it is in use.
 */
class Cap_checkpoint::Image::Container
{
	public:

		/**
		 * Whether the checksums of sections are checked, or known to be right
		 *
		 * They are known as long as nobody else has touched the memory that a
		 * 'Writer' has put the image into.
		 */
		enum class Sums { CHECKED, KNOWN };

	protected:

		struct Place { size_t offset, length; };

		char const *_start;
		size_t      _num_bytes;
		Contents    _contents;
		Pace       *_pace;
		Sums        _sums;

		Place   _places[NUM_SECTIONS] { };
		Refusal _refusal { nullptr, nullptr, Refusal::NO_RECORD, 0 };

		template <typename T>
		T _read(size_t offset) const
		{
			T value;
			__builtin_memcpy(&value, _start + offset, sizeof(value));
			return value;
		}

		bool _refuse(size_t offset, char const *reason);
		bool _refuse(Section, size_t offset, char const *reason);

		uint32_t _checksum(size_t offset, size_t length) const;

		bool _parse_name(size_t, char (&)[NAME_SIZE]);
		bool _parse_entry(size_t, size_t, Place &);
		bool _parse_unique(size_t);
		bool _parse();
		bool _find(char const *name, Place &) const;
		bool _find_sections();

	public:

		/**
		 * Constructor
		 *
		 * \param contents  either 'COMPLETE' or 'INCREMENT'. The one of a unit takes its
		 *                  place if the sections say so.
		 * \param pace      is told of progress, or nullptr
		 */
		Container(void const *bytes, size_t num_bytes, Contents contents, Pace *pace = nullptr,
		          Sums sums = Sums::CHECKED)
		:
			_start((char const *)bytes), _num_bytes(num_bytes), _contents(contents),
			_pace(pace), _sums(sums)
		{ }

		/* a copy refers to the same bytes */
		Container(Container const &) = default;
		Container &operator = (Container const &) = default;

		/**
		 * Return true if the bytes begin with the magic of a container
		 */
		static bool begins(void const *bytes, size_t num_bytes);

		/**
		 * Return size of an image, given its first bytes, or 0 if it is none
		 *
		 * This is for media that do not know where an image ends.
		 */
		static uint64_t size(void const *bytes, size_t num_bytes);
};


/**
 * Reader of an image, or of one increment
 *
 * All is checked at construction time: checksums, ranges, and whether the parts of
 * the image agree with each other. Nothing is allocated. The time depends on the
 * number of bytes and, by a logarithm, on the number of slots.
 */
class Cap_checkpoint::Image::Reader : private Container
{
	private:

		friend class Chain;

		template <typename> struct Item;

		using Kind = Object::Kind;

		uint32_t _num_members = 1;

		/* place of a member's capability table in the section, and what the header says */
		struct Table
		{
			size_t   at, size;
			uint32_t num_slots, first_user, high_water;
			unsigned bank;
		};

		Table _tables[MAX_MEMBERS] { };

		struct Slot
		{
			enum { FREE, USED, DETACHED, CORRUPT } state;
			uint32_t badge;
		};

		/* sizes of the members' region maps, obtained from their dataspaces */
		uint64_t _map_sizes[MAX_MEMBERS*Region::NUM_MAPS] { };

		/* those of RM sessions, obtained from their dataspaces */
		Map_sizes _rm_map_sizes { 0 };

		/**
		 * Return number of region maps that do not belong to RM sessions
		 */
		uint32_t _num_fixed_maps() const { return _num_members*Region::NUM_MAPS; }

		uint64_t _map_size(uint32_t map);

		bool _is_map(uint32_t map) const { return map < _num_fixed_maps() + _rm_map_sizes.num_maps(); }

		bool _valid = false;

		uint64_t _table_word(Table const &, size_t) const;
		uint64_t _table_checksum(Table const &) const;
		Slot     _table_slot(Table const &, uint32_t) const;

		char const *_table_fault(Table &);

		template <typename RECORD>
		bool _check_each(auto const &);

		size_t   _num_records(Kind) const;
		uint32_t _slot_of(Object const &) const;
		bool     _named(Object const &, size_t object) const;
		bool     _leads_to(uint32_t slot, Kind, size_t number) const;
		bool     _service(uint32_t session, char const *) const;
		bool     _of_monitor(Dataspace const &) const;
		bool     _circle(size_t thread) const;
		bool     _account_circle(uint32_t member) const;

		bool _check_system();
		bool _check_members();
		bool _check_tables();
		bool _check_objects();
		bool _check_start();
		bool _check_sessions();
		bool _check_parts();
		bool _check_handlers();
		bool _check_dataspaces();
		bool _check_roms();
		bool _check_regions();
		bool _check_threads();
		bool _check_faults();
		bool _check_gates();
		bool _check_sources();
		bool _check_contexts();
		bool _check_timers();
		bool _check_base();
		bool _check_origins();
		bool _check_pages();
		bool _check();

		bool _names(Reader const &before) const;
		bool _follows(Reader const &before, unsigned position);

		/* for one that is not checked yet */
		struct Unchecked { };

		Reader(Unchecked, void const *bytes, size_t num_bytes, Contents contents,
		       Pace *pace = nullptr)
		: Container(bytes, num_bytes, contents, pace) { }

	public:

		/**
		 * Constructor
		 *
		 * \param contents  what is expected, be it of a component or of a unit: 'COMPLETE'
		 *                  or 'INCREMENT'. Whether an increment fits what is in front of
		 *                  it, is up to 'Chain'.
		 * \param pace      is told of progress, or nullptr
		 */
		Reader(void const *bytes, size_t num_bytes, Contents contents = COMPLETE,
		       Pace *pace = nullptr, Sums sums = Sums::CHECKED)
		: Container(bytes, num_bytes, contents, pace, sums) { _valid = _parse() && _check(); }

		/**
		 * Return true if the image can be used
		 *
		 * Nothing else but 'refusal' may be called otherwise.
		 */
		bool valid() const { return _valid; }

		Refusal const &refusal() const { return _refusal; }

		/**
		 * Return number of records of a type
		 */
		template <typename RECORD>
		size_t num() const { return _places[RECORD::SECTION].length/sizeof(RECORD); }

		/**
		 * Return record
		 *
		 * \param number  lower than 'num<RECORD>()'
		 */
		template <typename RECORD>
		RECORD get(size_t number) const
		{
			return _read<RECORD>(_places[RECORD::SECTION].offset + number*sizeof(RECORD));
		}

		/**
		 * Call 'fn' with number and 'RECORD const &' of each record
		 */
		template <typename RECORD>
		void for_each(auto const &fn) const
		{
			size_t const count = num<RECORD>();
			for (size_t i = 0; i < count; i++)
				fn(i, get<RECORD>(i));
		}

		/**
		 * Call 'fn' with dataspace number, page number, and 'char const *' of each page
		 */
		void for_each_page(auto const &fn) const
		{
			char const *page = _start + _places[PAGES].offset;
			for (size_t i = 0; i < num<Page>(); i++, page += sizeof(Page)) {
				uint32_t head[2];
				__builtin_memcpy(head, page, sizeof(head));
				fn(head[0], head[1], page + sizeof(head));
			}
		}

		System system() const { return get<System>(0); }

		/**
		 * Return what the image is, which may be that of a unit
		 */
		Contents contents() const { return _contents; }

		/**
		 * Return number of members of the unit, which is 1 for a single component
		 */
		uint32_t num_members() const { return _num_members; }

		/**
		 * Return member of the unit, or what the image of a single component says
		 *
		 * \param number  lower than 'num_members()'
		 */
		Member member(uint32_t number) const;

		/**
		 * Return number of the member that a gate belongs to
		 *
		 * \param gate  lower than 'num<Gate>()'
		 */
		uint32_t member_of_gate(size_t gate) const;

		/**
		 * Return checksum by which an increment names this container
		 */
		uint32_t header_crc() const
		{
			return _read<uint32_t>(HEADER_SIZE - sizeof(uint32_t));
		}

		/**
		 * Call 'fn' with address and size of the memory of a member's capability table
		 *
		 * The size is 0 if the member has no table.
		 */
		void with_table(auto const &fn, uint32_t member = 0) const
		{
			Table const &table = _tables[member];
			fn(_start + _places[TABLE].offset + table.at, table.size);
		}

		/**
		 * Call 'fn' with what a slot of a member leads to if it carries a badge
		 */
		void with_object(uint32_t slot, auto const &fn, uint32_t member = 0) const
		{
			size_t first = 0, behind = num<Object>();

			while (first < behind) {
				size_t const middle = first + (behind - first)/2;
				Object const object = get<Object>(middle);
				if (object.slot == slot && object.member == member) {
					fn(object);
					return;
				}
				if (object.member < member || (object.member == member && object.slot < slot))
					first = middle + 1;
				else
					behind = middle;
			}
		}
};

#endif /* _INCLUDE__CAP_CHECKPOINT__IMAGE_READER_H_ */
