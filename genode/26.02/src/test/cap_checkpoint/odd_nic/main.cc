/*
 * \brief  Network server that returns no frames
 * \date   2026-12-01
 *
 * It neither takes nor acknowledges anything. If its configuration says so, it writes random values to the queues, and
 * submits frames that make no sense, or it lets the queues never be empty, and looks at what is taken from them, or it submits two frames of zeros at first.
 * The configuration has the MAC address as well.
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

/* Genode includes */
#include <base/attached_rom_dataspace.h>
#include <base/component.h>
#include <base/heap.h>
#include <nic/component.h>
#include <root/component.h>
#include <timer_session/connection.h>

namespace Test {

	using namespace Genode;

	struct Session_component;
	struct Main;
}


struct Test::Session_component : Nic::Session_component
{
	/* position of the second queue of a buffer, in words */
	static constexpr size_t ACK_QUEUE = sizeof(Tx::Sink::Submit_queue)/sizeof(unsigned);

	Nic::Mac_address const _mac;

	Session_component(Env &env, Allocator &alloc, size_t tx_size, size_t rx_size,
	                  Nic::Mac_address const &mac)
	: Nic::Session_component(tx_size, rx_size, CACHED, alloc, env), _mac(mac) { }

	Nic::Mac_address mac_address() override { return _mac; }

	bool link_state() override { return true; }

	void _handle_packet_stream() override { }

	/**
	 * Write to the queues that are in front of a buffer
	 */
	void _damage(Attached_ram_dataspace &buffer, auto const &random_fn)
	{
		unsigned * const words = buffer.local_addr<unsigned>();

		/* both positions of both queues, which are not always behind the end */
		for (size_t i = 0; i < 2; i++) {
			words[i]             = random_fn() % (Nic::Session::QUEUE_SIZE + 2);
			words[ACK_QUEUE + i] = random_fn() % (Nic::Session::QUEUE_SIZE + 2);
		}

		/* descriptors, some of which lead to the buffer */
		for (unsigned i = 0; i < 100; i++)
			words[random_fn() % (2*ACK_QUEUE)] = random_fn() % (random_fn() % 2 ? 2000 : ~0U);
	}

	/**
	 * Submit a frame by an empty queue, so that the other side is told
	 */
	void _submit(Packet_descriptor const &frame)
	{
		bzero(_rx_ds.local_addr<char>(), 2*sizeof(unsigned));
		(void)_rx.source()->try_submit_packet(frame);
		_rx.source()->wakeup();
	}

	unsigned volatile &_tail(Attached_ram_dataspace &buffer, size_t queue)
	{
		return buffer.local_addr<unsigned>()[queue + 1];
	}

	/**
	 * Let the queues that the other side takes from never be empty
	 */
	void endless()
	{
		_submit(Packet_descriptor());

		_tx_ds.local_addr<unsigned>()[ACK_QUEUE] = Nic::Session::QUEUE_SIZE + 1;
		_rx_ds.local_addr<unsigned>()[0]         = Nic::Session::QUEUE_SIZE + 1;

		/* so that there is always room to acknowledge */
		_tail(_rx_ds, ACK_QUEUE) = Nic::Session::QUEUE_SIZE + 1;
	}

	/**
	 * Return number that changes whenever something is taken
	 */
	unsigned taken() { return _tail(_tx_ds, ACK_QUEUE) << 16 ^ _tail(_rx_ds, 0); }

	/**
	 * Submit a frame of zeros
	 */
	void greet()
	{
		_rx.source()->alloc_packet_attempt(64).with_result(
			[&] (Packet_descriptor const &frame) {
				(void)_rx.source()->try_submit_packet(frame);
				_rx.source()->wakeup(); },
			[&] (auto) { error("no room for a frame"); });
	}

	void misbehave(auto const &random_fn)
	{
		_submit(Packet_descriptor((Genode::off_t)(random_fn() % 300000), random_fn() % 2000));

		_damage(_tx_ds, random_fn);
		_damage(_rx_ds, random_fn);
	}
};


struct Test::Main
{
	static constexpr unsigned INTERVAL_US = 5000, ENDLESS_MS = 400;

	Env &_env;

	Heap _heap { _env.ram(), _env.rm() };

	Attached_rom_dataspace _config { _env, "config" };

	bool const _misbehave = _config.node().attribute_value("misbehave", false),
	           _endless   = _config.node().attribute_value("endless",   false),
	           _greets    = _config.node().attribute_value("greets",    false);

	struct Root : Root_component<Session_component>
	{
		/*
		 * Noncopyable
		 */
		Root(Root const &);
		Root &operator = (Root const &);

		Env &_env;

		Nic::Mac_address const _mac;

		bool const _greets;

		Session_component *_latest = nullptr;

		Root(Env &env, Allocator &alloc, Nic::Mac_address const &mac, bool greets)
		:
			Root_component<Session_component>(&env.ep().rpc_ep(), &alloc), _env(env), _mac(mac),
			_greets(greets)
		{ }

		Create_result _create_session(char const *args) override
		{
			auto size = [&] (char const *name) {
				return size_t(Arg_string::find_arg(args, name).ulong_value(0)); };

			_latest = new (md_alloc()) Session_component(_env, *md_alloc(), size("tx_buf_size"),
			                                            size("rx_buf_size"), _mac);

			for (unsigned i = 0; _greets && i < 2; i++)
				_latest->greet();

			return *_latest;
		}

		void _destroy_session(Session_component &session) override
		{
			if (&session == _latest)
				_latest = nullptr;

			Genode::destroy(md_alloc(), &session);
		}
	};

	Root _root { _env, _heap, _config.node().attribute_value("mac", Nic::Mac_address((uint8_t)2)), _greets };

	Timer::Connection _timer { _env };

	uint32_t _random = 4711;

	unsigned _ticks = 0, _taken = 0, _restless = 0;

	/**
	 * Damage the queues of a session, and look whether they are left alone a while later
	 */
	void _handle_endless(Session_component &session)
	{
		static constexpr unsigned PERIOD = ENDLESS_MS*1000/INTERVAL_US;

		unsigned const tick = _ticks++ % PERIOD;

		if (tick == 0) {
			session.endless();
			_restless = 0;
		}

		if (tick > PERIOD/2 && session.taken() != _taken && ++_restless > PERIOD/8)
			error("mistake: something is taken from damaged queues for ever");

		_taken = session.taken();
	}

	void _handle_timer()
	{
		if (_root._latest && _endless)
			_handle_endless(*_root._latest);

		if (_root._latest && _misbehave)
			_root._latest->misbehave([&] {
				_random = _random*1103515245 + 12345;
				return unsigned(_random >> 8); });
	}

	Signal_handler<Main> _timer_handler { _env.ep(), *this, &Main::_handle_timer };

	Main(Env &env) : _env(env)
	{
		if (_misbehave || _endless) {
			_timer.sigh(_timer_handler);
			_timer.trigger_periodic(INTERVAL_US);
		}
		_env.parent().announce(_env.ep().manage(_root));
	}
};


void Component::construct(Genode::Env &env) { static Test::Main main(env); }
