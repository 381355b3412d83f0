/*
 * \brief  Records of the image of a component
 * \date   2026-11-29
 *
 * The text that describes them is doc/checkpoint.md of the project that the
 * capability table comes from. Any change of meaning is a new version of the
 * contents.
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _INCLUDE__CAP_CHECKPOINT__IMAGE_H_
#define _INCLUDE__CAP_CHECKPOINT__IMAGE_H_

/* Genode includes */
#include <base/stdint.h>

/* checkpoint includes */
#include <cap_checkpoint/sha256.h>

namespace Cap_checkpoint { namespace Image {

	using Genode::uint8_t;
	using Genode::uint32_t;
	using Genode::uint64_t;
	using Genode::size_t;

	/* container */
	static constexpr char     MAGIC[]        = "CAPCKPT\n";
	static constexpr uint32_t FORMAT_VERSION = 2;
	static constexpr size_t   MAX_SECTIONS   = 32,
	                          HEADER_SIZE    = 32,
	                          ENTRY_SIZE     = 40,
	                          NAME_SIZE      = 16,
	                          SECTION_ALIGN  = 8;

	/*
	 * Versions of the contents: a whole component, or what differs from a container
	 * before, and the same for a unit of several components
	 */
	enum Contents : uint32_t { COMPLETE = 1, INCREMENT = 2, UNIT = 3, UNIT_INCREMENT = 4 };

	static constexpr bool is_increment(Contents contents)
	{
		return contents == INCREMENT || contents == UNIT_INCREMENT;
	}

	static constexpr bool is_unit(Contents contents)
	{
		return contents == UNIT || contents == UNIT_INCREMENT;
	}

	static constexpr uint32_t NONE        = ~0U,
	                          MAX_THREADS = 128,  /* of a component */
	                          MAX_MEMBERS = 8;    /* of a unit */
	static constexpr size_t   PAGE_SIZE   = 4096;

	/* complete image with the increments behind it */
	static constexpr unsigned MAX_CHAIN_LENGTH = 64;
	static constexpr size_t   MAX_CHAIN_SIZE   = 128*1024*1024,
	                          CHAIN_ALIGN      = 4096;

	enum Section : unsigned {
		SYSTEM, MEMBERS, TABLE, OBJECTS, SESSIONS, PARTS, HANDLERS, DATASPACES, ROMS, REGIONS,
		THREADS, FAULTS, GATES, SOURCES, CONTEXTS, TIMERS, BASE, ORIGINS, PAGES, NUM_SECTIONS };

	static constexpr char const *SECTION_NAMES[NUM_SECTIONS] = {
		"system", "members", "table", "objects", "sessions", "parts", "handlers", "dataspaces",
		"roms", "regions", "threads", "faults", "gates", "sources", "contexts", "timers", "base",
		"origins", "pages" };

	/**
	 * Return true if containers of that kind have the section
	 */
	static inline bool has_section(Contents contents, unsigned section)
	{
		return (is_increment(contents) || (section != BASE && section != ORIGINS))
		    && (is_unit(contents)      ||  section != MEMBERS);
	}

	/**
	 * Return true if there are images without the section, which is the same as an empty one
	 */
	static inline bool may_be_missing(unsigned section) { return section == FAULTS; }

	static constexpr unsigned num_sections(Contents contents)
	{
		return NUM_SECTIONS - (is_increment(contents) ? 0 : 2) - (is_unit(contents) ? 0 : 1);
	}

	/*
	 * Records, as they are in an image
	 *
	 * A number is the position of a record in its section. A slot is the one in
	 * which the component holds the capability of the object, or 'NONE'. As several
	 * members of a unit may hold it, a slot in the image of a unit is the number of the
	 * last object that leads to the record. Texts end with a zero, and what follows are
	 * zeros. A member is 0 in the image of a single component.
	 */

	struct System
	{
		static constexpr Section SECTION = SYSTEM;

		enum Architecture : uint32_t { X86_64 = 1, ARM_V7 = 2 };
		enum Kernel       : uint32_t { FOC = 1 };

		/* bytes of the parent capability as passed to a component */
		static constexpr size_t PARENT_CAP_SIZE = 32;

		uint32_t version;          /* 'Contents' */
		uint32_t architecture;
		uint32_t page_size;
		uint32_t kernel;
		char     release[32];
		uint64_t ram_quota;
		uint64_t cap_quota;
		uint64_t checkpoint;       /* counts the checkpoints of the component */
		uint32_t main_thread;      /* number of thread */
		uint32_t parent_slot;
		uint32_t parent_dataspace; /* number of dataspace with the parent capability, which
		                              is up to the members of a unit */
		uint32_t zero;
		uint64_t parent_offset;    /* where in the dataspace */
		char     label[160];
	};

	/**
	 * Component of a unit
	 *
	 * The first one is the root. It has the sessions of all, and what is left of the
	 * quota.
	 */
	struct Member
	{
		static constexpr Section SECTION = MEMBERS;

		uint32_t session;          /* number of the PD session */
		uint32_t account;          /* member that its quota comes from, 'NONE' for the root */
		uint32_t parent;           /* number of the gate, 'NONE' for the root */
		uint32_t parent_dataspace;
		uint64_t parent_offset;
		uint64_t table_size;       /* bytes in the section of tables, 0 for none */
		uint64_t ram_quota;
		uint64_t cap_quota;
		uint32_t num_gates;        /* gates are in the order of members */
		uint32_t zero;
	};

	/**
	 * What a slot with a badge leads to
	 */
	struct Object
	{
		static constexpr Section SECTION = OBJECTS;

		enum Kind : uint32_t {
			PARENT = 1, SESSION, PART, DATASPACE, THREAD, NATIVE_THREAD, THREAD_GATE,
			GATE, SOURCE, SEMAPHORE, CONTEXT, PSEUDO, DEAD };

		uint32_t slot;
		uint32_t badge;  /* at the time of the checkpoint */
		uint32_t kind;
		uint32_t number; /* of the record in the section that belongs to the kind */
		uint32_t member;
		uint32_t previous; /* in a unit, object of an earlier member that leads to the record */
	};

	struct Session
	{
		static constexpr Section SECTION = SESSIONS;

		uint64_t id;           /* 'Parent::Client::Id' */
		uint32_t slot;
		uint32_t zero;
		uint64_t ram_quota;    /* donated, including upgrades */
		uint64_t cap_quota;
		uint32_t affinity[6];  /* width, height of space; x, y, width, height of location */
		char     service[64];
		char     label[160];
		char     args[160];
	};

	/**
	 * Further capability that a session has handed out
	 */
	struct Part
	{
		static constexpr Section SECTION = PARTS;

		/* parts of a PD session */
		enum Pd  : uint32_t { ADDRESS_SPACE, STACK_AREA, LINKER_AREA, NATIVE_PD, NUM_PD };
		enum Cpu : uint32_t { NATIVE_CPU, NUM_CPU };

		uint32_t session;
		uint32_t part;
		uint32_t slot;
		uint32_t zero;
	};

	/**
	 * Signal context that the component has registered at a session
	 */
	struct Handler
	{
		static constexpr Section SECTION = HANDLERS;

		/* parts if the session is 'NONE' */
		enum Parent : uint32_t { SESSION_SIGH, RESOURCE_AVAIL, YIELD, HEARTBEAT, NUM_PARENT };

		uint32_t session;
		uint32_t part;
		uint32_t context;
		uint32_t zero;
	};

	struct Dataspace
	{
		static constexpr Section SECTION = DATASPACES;

		enum Kind  : uint32_t { RAM = 1, ROM, STACK_AREA, LINKER_AREA, CAP_SPACE, TRACE, SESSION,
		                      REGION_MAP };
		enum Cache : uint32_t { UNCACHED, WRITE_COMBINED, CACHED, NUM_CACHE };

		uint32_t kind;
		uint32_t cache;
		uint64_t size;   /* bytes, a multiple of the page size */
		uint32_t owner;  /* number of ROM module or session */
		uint32_t part;   /* of the session, also that of the region map whose content it is */
		uint32_t slot;
		uint32_t member; /* that has allocated it, or whose area or table it is */

		bool has_pages() const { return kind == RAM || kind == TRACE || kind == SESSION; }
	};

	struct Rom
	{
		static constexpr Section SECTION = ROMS;

		char           name[160];
		uint64_t       size;    /* of the dataspace */
		uint32_t       session;
		uint32_t       zero;
		Sha256::Digest hash;    /* of the whole dataspace */
	};

	struct Region
	{
		static constexpr Section SECTION = REGIONS;

		/*
		 * In a unit, those of each member follow each other. Those of RM sessions are the
		 * last ones, in the order of their dataspaces.
		 */
		enum Map    : uint32_t { ADDRESS_SPACE, STACK_AREA, LINKER_AREA, NUM_MAPS };
		enum Rights : uint32_t { WRITE = 1, EXECUTE = 2 };

		uint32_t map;
		uint32_t dataspace;
		uint64_t at;
		uint64_t size;
		uint64_t offset;
		uint32_t rights;
		uint32_t zero;
	};

	struct Thread
	{
		static constexpr Section SECTION = THREADS;

		/* corresponds to 'Base_foc::Restart::State' */
		enum State : uint32_t { NOT_STARTED = 0, CALL = 2, WAIT, LOCK, SIGNAL, PARKED };

		uint32_t index;       /* of the restart record */
		uint32_t state;
		uint32_t session;     /* number of the CPU session */
		uint32_t called;      /* thread that has received the request of this one */
		uint32_t serves;      /* thread that this one owes a reply */
		uint32_t handler;     /* number of the signal context for exceptions */
		uint32_t slot;
		uint32_t native_slot;
		uint32_t gate_slot;
		uint32_t member;
		uint64_t utcb;
		uint64_t ip;          /* values to start the thread with */
		uint64_t sp;
		uint32_t affinity[4]; /* x, y, width, height */
		char     name[32];
	};

	/**
	 * Page fault that a thread waits for to be resolved, by what is attached to a region map
	 */
	struct Fault
	{
		static constexpr Section SECTION = FAULTS;

		enum Type : uint32_t { READ = 1, WRITE, EXECUTE };

		uint32_t thread;
		uint32_t map;     /* as of a region */
		uint64_t address; /* in the map */
		uint32_t type;
		uint32_t zero;
	};

	struct Gate
	{
		static constexpr Section SECTION = GATES;

		uint32_t thread; /* 'NONE' if the thread is gone */
		uint32_t slot;
	};

	struct Source
	{
		static constexpr Section SECTION = SOURCES;

		uint32_t thread;
		uint32_t slot;
		uint32_t semaphore_slot;
		uint32_t member;
	};

	struct Context
	{
		static constexpr Section SECTION = CONTEXTS;

		uint32_t source;
		uint32_t slot;
		uint64_t imprint;
		uint32_t pending; /* number of signals that are not delivered yet */
		uint32_t zero;
	};

	struct Timer
	{
		static constexpr Section SECTION = TIMERS;

		uint32_t session;
		uint32_t zero;
		uint64_t elapsed;  /* us */
		uint64_t deadline; /* us, as elapsed; 0 none */
		uint64_t period;   /* us, 0 none */
	};

	/**
	 * Container that an increment continues
	 */
	struct Base
	{
		static constexpr Section SECTION = BASE;

		uint64_t checkpoint; /* its number */
		uint32_t crc;        /* of its header */
		uint32_t position;   /* of the increment in the chain, 0 is the complete image */
	};

	/**
	 * Where the content of a dataspace comes from, one for each dataspace
	 */
	struct Origin
	{
		static constexpr Section SECTION = ORIGINS;

		uint32_t dataspace; /* number in the container before, or 'NONE' */
	};

	/**
	 * Content of a page
	 *
	 * In a complete image, it is anything but zeros.
	 */
	struct Page
	{
		static constexpr Section SECTION = PAGES;

		uint32_t dataspace;
		uint32_t page;
		uint8_t  bytes[PAGE_SIZE];
	};

	static_assert(sizeof(System)    == 256 && sizeof(Object) ==  24 && sizeof(Session) == 440 &&
	              sizeof(Part)      ==  16 && sizeof(Handler) == 16 && sizeof(Rom)     == 208 &&
	              sizeof(Dataspace) ==  32 && sizeof(Region)  == 40 && sizeof(Thread)  == 112 &&
	              sizeof(Fault)     ==  24 && sizeof(Member) == 56 &&
	              sizeof(Gate)      ==   8 && sizeof(Source)  == 16 && sizeof(Context) ==  24 &&
	              sizeof(Timer)     ==  32 && sizeof(Base)    == 16 && sizeof(Origin)  ==   4 &&
	              sizeof(Page)      == 4104);

	static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "records are used as they are");

	/**
	 * Return size of the records of a section, 1 for a section of bytes
	 */
	static inline size_t record_size(Section section)
	{
		static constexpr size_t SIZES[NUM_SECTIONS] = {
			sizeof(System), sizeof(Member), 1, sizeof(Object), sizeof(Session), sizeof(Part),
			sizeof(Handler), sizeof(Dataspace), sizeof(Rom), sizeof(Region), sizeof(Thread),
			sizeof(Fault), sizeof(Gate), sizeof(Source), sizeof(Context), sizeof(Timer),
			sizeof(Base), sizeof(Origin), sizeof(Page) };

		return SIZES[section];
	}

	/**
	 * Put text into a field of a record
	 *
	 * \return  false if the text is too long
	 */
	template <size_t N>
	static inline bool put_text(char (&field)[N], char const *text)
	{
		size_t length = 0;
		for (; length < N - 1 && text[length]; length++)
			field[length] = text[length];

		for (size_t i = length; i < N; i++)
			field[i] = 0;

		return !text[length];
	}
} }

#endif /* _INCLUDE__CAP_CHECKPOINT__IMAGE_H_ */
