/*
 * \brief  Messages by which a client accesses the blocks of a server over TCP
 * \date   2026-12-01
 *
 * The README describes them. Any change of meaning is a new version.
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _PROTOCOL_H_
#define _PROTOCOL_H_

/* checkpoint includes */
#include <cap_checkpoint/crc32.h>

namespace Net_block {

	using uint32_t = Genode::uint32_t;
	using uint64_t = Genode::uint64_t;
	using size_t   = Genode::size_t;

	struct Medium;
	struct Greeting;
	struct Request;
	struct Answer;

	/* of one request, or of one answer */
	static constexpr size_t MAX_PAYLOAD = 32*1024;

	static inline uint32_t crc_of(void const *bytes, size_t num_bytes)
	{
		return Cap_checkpoint::Crc32::of(bytes, num_bytes);
	}

	/**
	 * Return checksum of a message, whose last word it is
	 */
	static inline uint32_t crc_of(auto const &message)
	{
		return crc_of(&message, sizeof(message) - sizeof(message.crc));
	}
}


/**
 * What is served
 */
struct Net_block::Medium
{
	/* no position in bytes, nor a sum of two, exceeds 64 bits */
	static constexpr uint64_t MAX_BLOCK_COUNT = 1ULL << 40;

	uint64_t block_count;
	uint32_t block_size;
	uint32_t writeable;

	bool operator == (Medium const &) const = default;

	bool valid() const
	{
		bool const power_of_two = !(block_size & (block_size - 1));

		return block_size >= 512 && block_size <= 4096 && power_of_two
		    && block_count && block_count <= MAX_BLOCK_COUNT && writeable <= 1;
	}

	uint32_t max_count() const { return uint32_t(MAX_PAYLOAD/block_size); }

	bool contains(uint64_t block, uint64_t count) const
	{
		return block < block_count && count <= block_count - block;
	}
};


/**
 * First message of a connection, from the server
 */
struct Net_block::Greeting
{
	static constexpr char     MAGIC[] = "CAPNBLK\n";
	static constexpr uint32_t VERSION = 1;

	char     magic[8];
	uint32_t version;
	uint32_t zero;
	uint64_t connection;  /* number that no other connection has */
	Medium   medium;
	uint32_t zeros;
	uint32_t crc;

	/**
	 * Return true if the other fields have a meaning, provided that the version is known
	 */
	bool intact() const
	{
		return !__builtin_memcmp(magic, MAGIC, sizeof(magic)) && !zero && !zeros
		    && crc == crc_of(*this);
	}

	static Greeting with(uint64_t connection, Medium const &medium)
	{
		Greeting result { {}, VERSION, 0, connection, medium, 0, 0 };
		__builtin_memcpy(result.magic, MAGIC, sizeof(result.magic));
		result.crc = crc_of(result);
		return result;
	}
};


/**
 * Request of the client, followed by the payload if it is a write
 */
struct Net_block::Request
{
	static constexpr uint32_t MAGIC = 0x51524243; /* "CBRQ" */

	enum Kind : uint32_t { READ = 1, WRITE = 2, SYNC = 3 };

	uint32_t magic;
	uint32_t kind;
	uint64_t connection;   /* that the request belongs to */
	uint64_t number;       /* 0 for the first one of a connection, and one more each time */
	uint64_t block;        /* the first one, 0 for a sync */
	uint32_t count;        /* of blocks, 0 for a sync */
	uint32_t payload_crc;  /* 0 without payload */
	uint32_t zero;
	uint32_t crc;

	bool intact() const { return magic == MAGIC && !zero && crc == crc_of(*this); }

	/**
	 * Return true if the medium can be asked for this
	 */
	bool permitted(Medium const &medium) const
	{
		switch (kind) {
		case WRITE:
			if (!medium.writeable)
				return false;
			[[fallthrough]];
		case READ:
			return count && count <= medium.max_count() && medium.contains(block, count);
		case SYNC:
			return !block && !count;
		}
		return false;
	}

	/**
	 * Return number of bytes that follow, of a request that is permitted
	 */
	size_t payload(Medium const &medium) const
	{
		return kind == WRITE ? size_t(count)*medium.block_size : 0;
	}

	static Request with(Kind kind, uint64_t connection, uint64_t number, uint64_t block,
	                    uint32_t count, uint32_t payload_crc)
	{
		Request result { MAGIC, kind, connection, number, block, count, payload_crc, 0, 0 };
		result.crc = crc_of(result);
		return result;
	}
};


/**
 * Answer of the server, in the order of the requests, followed by the payload of a read that succeeded
 */
struct Net_block::Answer
{
	static constexpr uint32_t MAGIC = 0x4e414243; /* "CBAN" */

	enum Status : uint32_t { DONE = 0, FAILED = 1 };

	uint32_t magic;
	uint32_t status;
	uint64_t connection;
	uint64_t number;
	uint32_t bytes;        /* of the payload */
	uint32_t payload_crc;
	uint32_t zero;
	uint32_t crc;

	bool intact() const { return magic == MAGIC && !zero && crc == crc_of(*this); }

	static Answer with(Status status, uint64_t connection, uint64_t number, uint32_t bytes,
	                   uint32_t payload_crc)
	{
		Answer result { MAGIC, status, connection, number, bytes, payload_crc, 0, 0 };
		result.crc = crc_of(result);
		return result;
	}
};


static_assert(sizeof(Net_block::Greeting) == 48);
static_assert(sizeof(Net_block::Request)  == 48);
static_assert(sizeof(Net_block::Answer)   == 40);

#endif /* _PROTOCOL_H_ */
