/*
 * \brief  What differs from one service with a packet stream to the other
 * \date   2026-12-01
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _INCLUDE__CAP_CHECKPOINT__PACKET_EXECUTOR_H_
#define _INCLUDE__CAP_CHECKPOINT__PACKET_EXECUTOR_H_

/* Genode includes */
#include <base/rpc_server.h>
#include <cap_checkpoint/sessions.h>
#include <packet_stream_tx/packet_stream_tx.h>
#include <util/arg_string.h>

namespace Cap_checkpoint {

	template <typename> class  Packet_channel;
	template <typename> struct Packet_executor;
	template <typename> struct Packet_list;

	struct Packet_memory;
}


/**
 * Sizes that follow from the arguments of a session with a packet stream
 */
struct Cap_checkpoint::Packet_memory
{
	/* more than a component can pay for, and sums of it do not overflow */
	static constexpr size_t MAX_BUFFER = 1UL << 30;

	/* what the relay takes from the monitor: objects, allocator, local addresses, capabilities */
	static constexpr size_t RAM = 16*1024, CAPS = 3;

	static size_t buffer_size(Open_session::Args const &args, char const *name = "tx_buf_size")
	{
		unsigned long const size = Arg_string::find_arg(args.string(), name).ulong_value(0);

		return align_addr(min(size_t(size), MAX_BUFFER), AT_PAGE);
	}
};


/**
 * Server side of the channel
 *
 * The component asks for all of this when it opens its session.
 */
template <typename TX>
class Cap_checkpoint::Packet_channel : public Rpc_object<TX, Packet_channel<TX>>
{
	private:

		Dataspace_capability      const _buffer;
		Signal_context_capability const _packets;

	public:

		Signal_context_capability ready_to_submit { }, ack_avail { };

		Packet_channel(Dataspace_capability buffer, Signal_context_capability packets)
		: _buffer(buffer), _packets(packets) { }

		Dataspace_capability dataspace() { return _buffer; }

		/*
		 * There may be something to tell that happened before there was anybody to hear it
		 */

		void sigh_ready_to_submit(Signal_context_capability cap) override
		{
			ready_to_submit = cap;
			Signal_transmitter(_packets).submit();
		}

		void sigh_ack_avail(Signal_context_capability cap) override
		{
			ack_avail = cap;
			Signal_transmitter(_packets).submit();
		}

		/* one context for both, so that the component has one capability */
		Signal_context_capability sigh_ready_to_ack() { return _packets; }
		Signal_context_capability sigh_packet_avail() { return _packets; }
};


/**
 * Packets that were taken from the component and are not acknowledged, as in memory of the session
 */
template <typename PACKET>
struct Cap_checkpoint::Packet_list
{
	/* SUBMITTED: the server has it, EXECUTED: it is the acknowledgement */
	enum State : uint32_t { TAKEN, SUBMITTED, EXECUTED };

	struct Entry
	{
		uint32_t state;
		uint32_t serial;
		PACKET   packet;
	};

	static constexpr size_t SIZE        = 16*1024,
	                        NUM_TRAITS  = 4,
	                        MAX_ENTRIES = (SIZE - 8 - 8*NUM_TRAITS)/sizeof(Entry);

	uint32_t count, zero;
	uint64_t traits[NUM_TRAITS];  /* what must be the same after a restore */
	Entry    entries[MAX_ENTRIES];

	/**
	 * Return true if 'fn' returns true for an 'Entry const &'
	 */
	bool any(auto const &fn) const
	{
		for (unsigned i = 0; i < count; i++)
			if (fn(entries[i]))
				return true;

		return false;
	}

	/**
	 * Return true if there is a packet for which 'fn' returns true and that is not executed
	 */
	bool pending(auto const &fn) const
	{
		return any([&] (Entry const &entry) { return entry.state != EXECUTED && fn(entry.packet); });
	}

	/**
	 * Call 'fn' with the 'Entry &' of each packet that is not executed
	 */
	void for_each_to_execute(auto const &fn)
	{
		for (unsigned i = 0; i < count; i++)
			if (entries[i].state != EXECUTED)
				fn(entries[i]);
	}

	/**
	 * Remove each entry for which 'fn' returns true, which is called once for each in order
	 */
	void remove(auto const &fn)
	{
		unsigned left = 0;

		for (unsigned i = 0; i < count; i++)
			if (!fn(entries[i]))
				entries[left++] = entries[i];

		count = left;
	}
};


/**
 * What differs from one service with packets to the other
 */
template <typename TX>
struct Cap_checkpoint::Packet_executor : Interface
{
	using Packet = typename TX::Sink::Packet_descriptor;

	/* part of the buffer, and in which directions it is copied */
	struct Payload
	{
		off_t  offset;
		size_t length;
		bool   to_server, from_server;
	};

	virtual Payload payload(Packet const &) const = 0;

	/**
	 * Return false if a packet makes no sense whatever its payload
	 */
	virtual bool well_formed(Packet const &) const = 0;

	/**
	 * Return true if the result depends on which of two packets is executed first
	 *
	 * The second one is not handed to the server before the first one is executed then. So
	 * each packet can be executed twice.
	 */
	virtual bool conflict(Packet const &, Packet const &) const = 0;

	/**
	 * Return true if it does not matter to others when, and how often, a packet is executed
	 */
	virtual bool only_reads(Packet const &) const = 0;

	/**
	 * Return true if those behind a packet that is not handed to the server yet need not wait as well
	 */
	virtual bool may_be_passed(Packet const &) const { return false; }

	/**
	 * Make a packet for the server
	 *
	 * \param packet   of the component, which may be changed so that it does not matter any more
	 *                 how often it is executed
	 * \param serial   differs from those of other packets that are in flight
	 * \param request  result
	 *
	 * \return  false if the packet must not be executed
	 */
	virtual bool for_server(Packet &packet, uint32_t serial, Packet &request) = 0;

	/**
	 * Return true if an answer of the server belongs to a packet
	 */
	virtual bool answers(Packet const &answer, Packet const &, uint32_t serial) const = 0;

	/**
	 * Return acknowledgement for the component
	 */
	virtual Packet result(Packet const &, Packet const &answer) const = 0;

	virtual Packet failed(Packet const &) const = 0;

	/**
	 * Take note of a packet of the server that answers none of the component
	 */
	virtual void note(Packet const &) { }

	/**
	 * Return true if there is a packet that the component gets without having asked
	 */
	virtual bool notification(Packet &) { return false; }

	/**
	 * The server may have less to do than before
	 */
	virtual void executed() { }
};

#endif /* _INCLUDE__CAP_CHECKPOINT__PACKET_EXECUTOR_H_ */
