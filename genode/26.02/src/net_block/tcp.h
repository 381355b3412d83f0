/*
 * \brief  Connections of the TCP/IP stack lwIP
 * \date   2026-12-01
 *
 * The socket interface of the release cannot disable Nagle's algorithm, by which a request waits
 * for an acknowledgement that the other side delays. So this uses the interface of lwIP itself.
 * The stack calls back when signals for I/O are handled. All else takes place in the same thread.
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _TCP_H_
#define _TCP_H_

/* Genode includes */
#include <base/env.h>
#include <base/log.h>
#include <base/node.h>
#include <util/interface.h>
#include <util/noncopyable.h>
#include <util/reconstructible.h>
#include <util/string.h>

struct tcp_pcb;

namespace Net_block {

	using namespace Genode;

	using Address = String<16>;

	struct Ip_stack;
	struct Tcp_events;
	struct Tcp_callbacks;
	class  Tcp_connection;
	class  Tcp_listener;
}


/**
 * The stack, of which there is one
 */
struct Net_block::Ip_stack : Noncopyable
{
	struct Invalid_address : Exception { };

	/**
	 * \param config  attributes 'ip_addr', 'netmask', and 'gateway'
	 *
	 * \throw Invalid_address
	 */
	Ip_stack(Env &, Node const &config);

	static bool valid(Address const &);

	/**
	 * Let the network have what was sent
	 */
	void flush();
};


/**
 * To be told of whatever happens to a connection, while the stack must not be called
 */
struct Net_block::Tcp_events : Interface
{
	virtual void tcp_event() = 0;
};


class Net_block::Tcp_connection : Noncopyable
{
	private:

		friend struct Tcp_callbacks;

		/* what the other side may send before it is told that there is room for more */
		static constexpr size_t WINDOW = 80*1460;

		Tcp_events &_events;
		tcp_pcb    *_pcb;             /* nullptr if the stack has given up the connection */
		bool        _connected;
		bool        _ended    = false; /* the other side sends no more */
		uint64_t    _progress = 0;
		size_t      _first    = 0;     /* of the bytes that were received, within the buffer */
		size_t      _used     = 0;

		char _buffer[WINDOW];

		/*
		 * Noncopyable
		 */
		Tcp_connection(Tcp_connection const &);
		Tcp_connection &operator = (Tcp_connection const &);

		void _prepare();
		bool _receive(void const *, size_t);

	public:

		/**
		 * Begin to connect
		 */
		Tcp_connection(Tcp_events &, Address const &, uint16_t port);

		/**
		 * Connection that was accepted
		 */
		Tcp_connection(Tcp_events &, tcp_pcb &);

		/**
		 * Nothing of the connection remains, nor is anything that arrives for it received
		 */
		~Tcp_connection();

		bool connected() const { return _connected; }
		bool lost()      const { return !_pcb || _ended; }

		/**
		 * Return number of bytes that have arrived, or were acknowledged by the other side
		 */
		uint64_t progress() const { return _progress; }

		/**
		 * Return number of bytes to read
		 */
		size_t available() const { return _used; }

		/**
		 * Return the bytes that come next, which must be available
		 */
		void peek(void *, size_t num_bytes) const;

		void read(void *, size_t num_bytes);

		/**
		 * Return true if a message of this size, 60 KiB at most, can be sent at once
		 */
		bool room_for(size_t num_bytes) const;

		/**
		 * Send a message, for which there is room
		 *
		 * \return  false if there is no memory for it, nothing was sent
		 */
		[[nodiscard]] bool send(void const *, size_t num_bytes);
};


class Net_block::Tcp_listener : Noncopyable
{
	public:

		/* a connection for each that waits, and for the one that is served */
		using Connections = Constructible<Tcp_connection>[2];

	private:

		friend struct Tcp_callbacks;

		Tcp_events   &_events;
		Address const _peer;
		tcp_pcb      *_pcb = nullptr;

		Connections _connections { };
		unsigned    _active  = 0;
		unsigned    _refused = 0;

		/*
		 * Noncopyable
		 */
		Tcp_listener(Tcp_listener const &);
		Tcp_listener &operator = (Tcp_listener const &);

		/**
		 * \return  false if the connection is refused
		 */
		bool _accept(tcp_pcb &);

	public:

		/**
		 * \param peer  address of the only one that may connect
		 */
		Tcp_listener(Tcp_events &, Address const &peer, uint16_t port);

		bool listens() const { return _pcb; }

		/**
		 * Return true if the peer has connected anew
		 */
		bool waiting() const { return _connections[!_active].constructed(); }

		/**
		 * Let the newest connection replace the former one, which ends
		 */
		void accept()
		{
			close();
			_active = !_active;
		}

		/**
		 * End the connection that is served
		 */
		void close() { _connections[_active].destruct(); }

		void with_connection(auto const &fn)
		{
			if (_connections[_active].constructed())
				fn(*_connections[_active]);
		}

		/**
		 * Return number of connections of others that were refused since the last call
		 */
		unsigned refused()
		{
			unsigned const result = _refused;
			_refused = 0;
			return result;
		}
};

#endif /* _TCP_H_ */
