/*
 * \brief  Block request that is being executed by the server
 * \date   2026-12-01
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _TRANSFER_H_
#define _TRANSFER_H_

/* Genode includes */
#include <block/request.h>

/* local includes */
#include <protocol.h>

namespace Net_block { class Transfer; }


/**
 * A request is sent in parts, which are answered in order
 *
 * After a connection was lost, parts without an answer are sent again.
 */
class Net_block::Transfer
{
	private:

		Block::Request _request;
		Medium   const _medium;

		uint64_t _sent      = 0;  /* number of parts */
		uint64_t _answered  = 0;
		uint64_t _succeeded = 0;  /* those in front of a failure */
		bool     _failed    = false;

		bool _payload() const
		{
			return Block::Operation::has_payload(_request.operation.type);
		}

		uint64_t _num_parts() const
		{
			uint64_t const count = _request.operation.count, max = _medium.max_count();

			return _payload() ? count/max + (count % max != 0) : 1;
		}

		/* blocks in front of a part */
		uint64_t _before(uint64_t part) const { return part*_medium.max_count(); }

		uint32_t _count(uint64_t part) const
		{
			if (!_payload())
				return 0;

			return uint32_t(Genode::min(_request.operation.count - _before(part),
			                            uint64_t(_medium.max_count())));
		}

		Request::Kind _kind() const
		{
			switch (_request.operation.type) {
			case Block::Operation::Type::READ:  return Request::READ;
			case Block::Operation::Type::WRITE: return Request::WRITE;
			default:                            return Request::SYNC;
			}
		}

	public:

		Transfer(Block::Request const &request, Medium const &medium)
		: _request(request), _medium(medium) { }

		/**
		 * Return true if the server can be asked to execute this
		 */
		static bool possible(Block::Operation const &operation, Medium const &medium)
		{
			switch (operation.type) {
			case Block::Operation::Type::WRITE:
				if (!medium.writeable)
					return false;
				[[fallthrough]];
			case Block::Operation::Type::READ:
				return operation.count && medium.contains(operation.block_number, operation.count);
			case Block::Operation::Type::SYNC:
				return true;
			default:
				return false;
			}
		}

		Block::Request request() const { return _request; }

		unsigned outstanding() const { return unsigned(_sent - _answered); }

		/**
		 * Return true if there is a part to be sent
		 *
		 * After a failure, the answers to what was sent already are waited for.
		 */
		bool sendable() const { return !_failed && _sent < _num_parts(); }

		bool done() const
		{
			return !outstanding() && (_failed || _answered == _num_parts());
		}

		/**
		 * Call 'fn' with kind, first block, number of blocks, and position in the payload
		 */
		void with_next(auto const &fn) const
		{
			size_t const before = _payload() ? _before(_sent) : 0;

			fn(_kind(), _payload() ? _request.operation.block_number + before : 0, _count(_sent),
			   before*_medium.block_size);
		}

		void sent() { _sent++; }

		/**
		 * Call 'fn' with position in the payload, and with the size of an answer that succeeds
		 */
		void with_oldest(auto const &fn) const
		{
			size_t const before = _payload() ? _before(_answered) : 0,
			             bytes  = _kind() == Request::READ ? _count(_answered) : 0;

			fn(before*_medium.block_size, bytes*_medium.block_size);
		}

		void answered(bool success)
		{
			_answered++;
			_failed |= !success;
			_request.success = !_failed;

			if (!_failed)
				_succeeded++;
		}

		/**
		 * Send again what has not succeeded
		 *
		 * Nothing that was sent is executed once this has an answer. So a failure is not told before.
		 */
		void restart()
		{
			_sent = _answered = _succeeded;
			_failed = false;
		}
};

#endif /* _TRANSFER_H_ */
