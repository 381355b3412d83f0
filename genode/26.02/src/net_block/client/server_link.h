/*
 * \brief  Connection to the server, made again whenever it is lost
 * \date   2026-12-01
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _SERVER_LINK_H_
#define _SERVER_LINK_H_

/* Genode includes */
#include <block_session/block_session.h>

/* local includes */
#include <tcp.h>
#include <transfer.h>

namespace Net_block { class Server_link; }


class Net_block::Server_link : Noncopyable
{
	public:

		struct User : Tcp_events
		{
			/**
			 * Parts of a transfer that are not answered have to be sent again
			 */
			virtual void connection_lost() = 0;
		};

	private:

		/* parts of a transfer that are on their way at a time */
		static constexpr unsigned MAX_OUTSTANDING = 4;

		/* after an error of the server, and for the first attempt to connect */
		static constexpr unsigned PAUSE_MS = 1000, FIRST_ATTEMPT_MS = 1000;

		struct Message
		{
			Request request;
			char    payload[MAX_PAYLOAD];
		};

		User          &_user;
		Address  const _address;
		uint16_t const _port;
		unsigned const _timeout_ms;

		Constructible<Tcp_connection> _tcp { };

		Medium   _medium     { };      /* as it was when it became known */
		bool     _known      = false;
		bool     _greeted    = false;
		bool     _reported   = false;  /* that there is no connection */
		uint64_t _connection = 0;
		uint64_t _sent       = 0;      /* number of requests of this connection */
		uint64_t _answered   = 0;

		bool     _unsent     = false;  /* there is a part that could not be sent yet */
		uint64_t _progress   = 0;
		unsigned _idle_ms    = 0;
		unsigned _pause_ms   = 0;
		unsigned _attempt_ms = FIRST_ATTEMPT_MS;

		Message _message { };

		void _connect()
		{
			_tcp.construct(_user, _address, _port);
			_greeted = _unsent = false;
			_sent = _answered = _progress = _idle_ms = 0;
		}

		/**
		 * \param pause_ms  time until the next attempt
		 */
		void _disconnect(unsigned pause_ms, auto &&... reason)
		{
			if (!_reported)
				warning("no connection to ", _address, ": ", reason...);

			_reported   = true;
			_pause_ms   = pause_ms;
			_attempt_ms = _greeted ? FIRST_ATTEMPT_MS : min(2*_attempt_ms, _timeout_ms);

			_tcp.destruct();
			_greeted = false;
			_user.connection_lost();
		}

		/**
		 * Give up a connection with a server that does not follow the protocol
		 */
		void _reject(auto &&... reason)
		{
			_reported = false;
			_disconnect(PAUSE_MS, reason...);
		}

		bool _lost()
		{
			if (_tcp.constructed() && _tcp->lost())
				_disconnect(0, _tcp->connected() ? "the other side has ended it" : "it was refused");

			return !_tcp.constructed();
		}

		/**
		 * \return  false if nothing was received
		 */
		bool _receive(Transfer &transfer, auto const &with_payload)
		{
			if (_tcp->available() < sizeof(Answer))
				return false;

			Answer answer { };
			_tcp->peek(&answer, sizeof(answer));

			if (!answer.intact() || answer.connection != _connection || answer.number != _answered) {
				_reject("an answer is damaged, or one to something else");
				return true;
			}

			/* what was sent is of this transfer */
			size_t position = 0, bytes = 0;
			transfer.with_oldest([&] (size_t p, size_t n) { position = p; bytes = n; });

			bool const done = answer.status == Answer::DONE;

			if (!transfer.outstanding() || answer.status > Answer::FAILED
			 || answer.bytes != (done ? bytes : 0)) {
				_reject("an answer does not match the request");
				return true;
			}

			if (_tcp->available() < sizeof(answer) + answer.bytes)
				return false;

			_tcp->read(&answer, sizeof(answer));

			if (answer.bytes) {
				_tcp->read(_message.payload, answer.bytes);

				if (crc_of(_message.payload, answer.bytes) != answer.payload_crc) {
					_reject("the payload of an answer is damaged");
					return true;
				}
				with_payload([&] (char *start) {
					memcpy(start + position, _message.payload, answer.bytes); });
			}

			_answered++;
			transfer.answered(done);
			return true;
		}

		/**
		 * \return  false if nothing was sent
		 */
		bool _send(Transfer &transfer, auto const &with_payload)
		{
			if (!transfer.sendable() || transfer.outstanding() >= MAX_OUTSTANDING
			 || !_tcp->room_for(sizeof(Message)))
				return false;

			size_t size = sizeof(Request);

			transfer.with_next([&] (Request::Kind kind, uint64_t block, uint32_t count, size_t position) {

				size_t const bytes = kind == Request::WRITE ? count*_medium.block_size : 0;

				if (bytes)
					with_payload([&] (char const *start) {
						memcpy(_message.payload, start + position, bytes); });

				_message.request = Request::with(kind, _connection, _sent, block, count,
				                                 bytes ? crc_of(_message.payload, bytes) : 0);
				size += bytes;
			});

			/* there may be memory later */
			if (!_tcp->send(&_message, size))
				return false;

			_sent++;
			transfer.sent();
			return true;
		}

	public:

		/**
		 * \throw Ip_stack::Invalid_address
		 */
		Server_link(User &user, Node const &config)
		:
			_user(user),
			_address(config.attribute_value("server", Address())),
			_port(config.attribute_value("port", uint16_t(2601))),
			_timeout_ms(max(config.attribute_value("timeout_ms", 5000U), FIRST_ATTEMPT_MS))
		{
			if (!Ip_stack::valid(_address))
				throw Ip_stack::Invalid_address();
		}

		/**
		 * Return true once it is known what is served
		 */
		bool known() const { return _known; }

		Medium const &medium() const { return _medium; }

		Block::Session::Info info() const
		{
			return { .block_size  = _medium.block_size,
			         .block_count = _medium.block_count,
			         .align_log2  = log2(_medium.block_size, 0u),
			         .writeable   = _medium.writeable != 0 };
		}

		/**
		 * End the connection, so that nothing that was sent is executed after what the next one sends
		 */
		void disconnect()
		{
			if (_tcp.constructed())
				_disconnect(0, "a session was closed");
		}

		void receive_greeting()
		{
			if (_lost() || _greeted || _tcp->available() < sizeof(Greeting))
				return;

			Greeting greeting { };
			_tcp->read(&greeting, sizeof(greeting));

			if (!greeting.intact())
				return _reject("the greeting is damaged");

			if (greeting.version != Greeting::VERSION)
				return _reject("the other side has version ", greeting.version, " of the protocol");

			if (!greeting.medium.valid())
				return _reject("the other side has a medium without meaning");

			if (_known && greeting.medium != _medium)
				return _reject("the other side has another medium");

			log("connected to ", _address, ", ", greeting.medium.block_count, " blocks of ",
			    greeting.medium.block_size, " bytes");

			_medium     = greeting.medium;
			_connection = greeting.connection;
			_known      = true;
			_greeted    = true;
			_reported   = false;
			_idle_ms    = 0;
		}

		/**
		 * Send and receive what is possible
		 *
		 * \param with_payload  calls its argument with the start of the payload
		 *
		 * \return  true if the transfer got ahead
		 */
		bool work(Transfer &transfer, auto const &with_payload)
		{
			bool progress = false;

			while (!_lost() && _greeted
			    && (_receive(transfer, with_payload) || _send(transfer, with_payload)))
				progress = true;

			_unsent = transfer.sendable() && !transfer.outstanding();

			return progress;
		}

		/**
		 * Connect, or give up a connection by which nothing gets ahead
		 *
		 * To be called periodically.
		 */
		void check_progress(unsigned period_ms)
		{
			if (!_tcp.constructed()) {
				_pause_ms -= min(period_ms, _pause_ms);
				if (!_pause_ms)
					_connect();
				return;
			}

			bool const waits = !_greeted || _sent != _answered || _unsent;

			_idle_ms  = waits && _tcp->progress() == _progress ? _idle_ms + period_ms : 0;
			_progress = _tcp->progress();

			if (_idle_ms >= (_greeted ? _timeout_ms : _attempt_ms))
				_disconnect(0, "no answer");
		}
};

#endif /* _SERVER_LINK_H_ */
