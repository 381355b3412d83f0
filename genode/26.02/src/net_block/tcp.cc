/*
 * \brief  Connections of the TCP/IP stack lwIP
 * \date   2026-12-01
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

/* Genode includes */
#include <genode_c_api/socket.h>

/* lwIP includes */
#include <lwip/tcp.h>
#include <lwip/priv/tcp_priv.h>

/* local includes */
#include <tcp.h>

using namespace Net_block;


/**
 * What the stack calls
 */
struct Net_block::Tcp_callbacks
{
	/* segments, of which the window takes 80 of the usual size */
	static constexpr unsigned MAX_OUT_OF_ORDER = 200;

	static err_t received(void *arg, tcp_pcb *, pbuf *p, err_t)
	{
		Tcp_connection &c = *(Tcp_connection *)arg;

		if (!p)
			c._ended = true;

		/* the other side ignores how much it may send */
		for (pbuf const *part = p; part; part = part->next)
			if (!c._receive(part->payload, part->len))
				c._ended = true;

		if (p)
			pbuf_free(p);

		c._events.tcp_event();
		return ERR_OK;
	}

	static err_t acknowledged(void *arg, tcp_pcb *, u16_t num_bytes)
	{
		Tcp_connection &c = *(Tcp_connection *)arg;
		c._progress += num_bytes;
		c._events.tcp_event();
		return ERR_OK;
	}

	static err_t connected(void *arg, tcp_pcb *, err_t)
	{
		Tcp_connection &c = *(Tcp_connection *)arg;
		c._connected = true;
		c._events.tcp_event();
		return ERR_OK;
	}

	/**
	 * The control block is gone
	 */
	static void failed(void *arg, err_t)
	{
		Tcp_connection &c = *(Tcp_connection *)arg;
		c._pcb = nullptr;
		c._events.tcp_event();
	}

	/**
	 * Called twice a second
	 *
	 * The stack keeps what arrives out of order, however small the pieces are.
	 */
	static err_t polled(void *, tcp_pcb *pcb)
	{
		unsigned count = 0;
		for (tcp_seg const *seg = pcb->ooseq; seg; seg = seg->next)
			count++;

		if (count <= MAX_OUT_OF_ORDER)
			return ERR_OK;

		tcp_abort(pcb);
		return ERR_ABRT;
	}

	static err_t accepted(void *arg, tcp_pcb *pcb, err_t)
	{
		if (!pcb)
			return ERR_OK;

		Tcp_listener &listener = *(Tcp_listener *)arg;

		if (!listener._accept(*pcb)) {
			tcp_abort(pcb);
			return ERR_ABRT;
		}
		listener._events.tcp_event();
		return ERR_OK;
	}
};


/***********
 ** Stack **
 ***********/

bool Ip_stack::valid(Address const &address)
{
	ip4_addr_t ip { };
	return ip4addr_aton(address.string(), &ip);
}


Ip_stack::Ip_stack(Env &env, Node const &config)
{
	Address const address = config.attribute_value("ip_addr", Address()),
	              netmask = config.attribute_value("netmask", Address("255.255.255.0")),
	              gateway = config.attribute_value("gateway", Address("0.0.0.0"));

	/* the stack would wait for an address for ever */
	if (address == "0.0.0.0" || !valid(address) || !valid(netmask) || !valid(gateway))
		throw Invalid_address();

	/* no progress is waited for within the stack */
	static genode_socket_io_progress progress { nullptr, nullptr };
	genode_socket_init(genode_env_ptr(env), &progress, "");

	/* the stack sends by itself, for example once more */
	static genode_socket_wakeup wakeup { nullptr, [] (void *) { genode_socket_wakeup_remote(); } };
	genode_socket_register_wakeup(&wakeup);

	genode_socket_config socket_config { };
	socket_config.ip_addr = address.string();
	socket_config.netmask = netmask.string();
	socket_config.gateway = gateway.string();
	genode_socket_config_address(&socket_config);
}


void Ip_stack::flush() { genode_socket_wakeup_remote(); }


/****************
 ** Connection **
 ****************/

void Tcp_connection::_prepare()
{
	static_assert(WINDOW >= TCP_WND);

	tcp_arg (_pcb, this);
	tcp_recv(_pcb, Tcp_callbacks::received);
	tcp_sent(_pcb, Tcp_callbacks::acknowledged);
	tcp_err (_pcb, Tcp_callbacks::failed);
	tcp_poll(_pcb, Tcp_callbacks::polled, 1);

	tcp_nagle_disable(_pcb);
}


Tcp_connection::Tcp_connection(Tcp_events &events, Address const &address, uint16_t port)
:
	_events(events), _pcb(tcp_new()), _connected(false)
{
	if (!_pcb)
		return;

	_prepare();

	ip_addr_t ip { };
	(void)ipaddr_aton(address.string(), &ip);

	/* whoever waits for the connection gives up in time */
	(void)tcp_connect(_pcb, &ip, port, Tcp_callbacks::connected);
}


Tcp_connection::Tcp_connection(Tcp_events &events, tcp_pcb &pcb)
:
	_events(events), _pcb(&pcb), _connected(true)
{
	_prepare();
}


Tcp_connection::~Tcp_connection()
{
	if (!_pcb)
		return;

	tcp_arg (_pcb, nullptr);
	tcp_recv(_pcb, nullptr);
	tcp_sent(_pcb, nullptr);
	tcp_err (_pcb, nullptr);
	tcp_poll(_pcb, nullptr, 0);
	tcp_abort(_pcb);
}


bool Tcp_connection::_receive(void const *src, size_t num_bytes)
{
	if (num_bytes > WINDOW - _used)
		return false;

	char const *from = (char const *)src;

	for (size_t left = num_bytes; left; ) {
		size_t const at = (_first + _used) % WINDOW,
		             n  = min(left, WINDOW - at);

		memcpy(_buffer + at, from, n);
		_used += n;
		from  += n;
		left  -= n;
	}
	_progress += num_bytes;
	return true;
}


void Tcp_connection::peek(void *dst, size_t num_bytes) const
{
	size_t const n = min(num_bytes, WINDOW - _first);

	memcpy(dst, _buffer + _first, n);
	memcpy((char *)dst + n, _buffer, num_bytes - n);
}


void Tcp_connection::read(void *dst, size_t num_bytes)
{
	peek(dst, num_bytes);

	_first = (_first + num_bytes) % WINDOW;
	_used -= num_bytes;

	for (size_t left = num_bytes; left && _pcb; ) {
		u16_t const n = u16_t(min(left, size_t(0xffff)));
		tcp_recved(_pcb, n);
		left -= n;
	}
}


bool Tcp_connection::room_for(size_t num_bytes) const
{
	return _pcb && _connected && tcp_sndbuf(_pcb) >= num_bytes
	    && tcp_sndqueuelen(_pcb) < TCP_SND_QUEUELEN/2;
}


bool Tcp_connection::send(void const *src, size_t num_bytes)
{
	if (!_pcb || tcp_write(_pcb, src, u16_t(num_bytes), TCP_WRITE_FLAG_COPY) != ERR_OK)
		return false;

	/* what cannot be sent now is sent later */
	(void)tcp_output(_pcb);
	return true;
}


/**************
 ** Listener **
 **************/

Tcp_listener::Tcp_listener(Tcp_events &events, Address const &peer, uint16_t port)
:
	_events(events), _peer(peer)
{
	/* of those that are not established yet */
	static constexpr u8_t BACKLOG = 4;

	tcp_pcb * const pcb = tcp_new();
	if (!pcb)
		return;

	if (tcp_bind(pcb, IP_ADDR_ANY, port) == ERR_OK)
		_pcb = tcp_listen_with_backlog(pcb, BACKLOG);

	if (_pcb) {
		tcp_arg(_pcb, this);
		tcp_accept(_pcb, Tcp_callbacks::accepted);
	}
}


bool Tcp_listener::_accept(tcp_pcb &pcb)
{
	ip_addr_t peer { };
	(void)ipaddr_aton(_peer.string(), &peer);

	if (!ip_addr_cmp(&pcb.remote_ip, &peer)) {
		_refused++;
		return false;
	}

	/* it replaces one that waits */
	_connections[!_active].construct(_events, pcb);
	return true;
}
