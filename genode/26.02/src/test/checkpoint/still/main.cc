/*
 * \brief  Component that has something of each kind, and keeps still
 * \date   2026-12-01
 *
 * It has region maps within each other, a thread that waits for a page for ever, a network session with a frame
 * in each direction, and a block device. So there is something to be altered in its image.
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

/* Genode includes */
#include <base/heap.h>
#include <base/log.h>
#include <base/thread.h>
#include <nic/packet_allocator.h>
#include <nic_session/connection.h>
#include <timer_session/connection.h>

/* test includes */
#include <cap_checkpoint_test/block_device.h>
#include <cap_checkpoint_test/region_maps.h>

namespace Test { struct Main; }


struct Test::Main
{
	static constexpr size_t BUFFER_SIZE = 64*1024, FRAME_SIZE = 64;

	/*
	 * Noncopyable
	 */
	Main(Main const &);
	Main &operator = (Main const &);

	Env &_env;

	Heap _heap { _env.ram(), _env.rm() };

	Rm _rm { _env, 32*1024, 10 };

	Region_map_client _outer { _rm.create(8*PAGE) },
	                  _inner { _rm.create(4*PAGE) };

	Dataspace_capability     const _outer_ds { _outer.dataspace() },
	                               _inner_ds { _inner.dataspace() };
	Ram_dataspace_capability const _ram      { _env.ram().alloc(2*PAGE) };

	/* thread that writes where nothing is attached */
	struct Waiting : Thread
	{
		/*
		 * Noncopyable
		 */
		Waiting(Waiting const &);
		Waiting &operator = (Waiting const &);

		char * const _place;

		void entry() override { *(unsigned volatile *)_place = 1; }

		Waiting(Env &env, char *place)
		: Thread(env, "waiting", Stack_size { 8*1024 }), _place(place) { }

	} _waiting { _env, attach(_env, _outer_ds) + 2*PAGE };

	Nic::Packet_allocator _alloc { &_heap };

	Nic::Connection _nic { _env, &_alloc, BUFFER_SIZE, BUFFER_SIZE };

	Allocator_avl _block_alloc { &_heap };

	Device _device { _env, _block_alloc, BUFFER_SIZE };

	Timer::Connection _timer { _env };

	bool _received = false;

	void _handle_fault() { }

	Signal_handler<Main> _fault_handler { _env.ep(), *this, &Main::_handle_fault };

	/**
	 * Keep the first frame, and leave the others where they are
	 */
	void _receive()
	{
		if (!_received && _nic.rx()->packet_avail()) {
			(void)_nic.rx()->try_get_packet();
			_received = true;
		}
	}

	Signal_handler<Main> _receive_handler { _env.ep(), *this, &Main::_receive };

	Main(Env &env) : _env(env)
	{
		_outer.fault_handler(_fault_handler);
		_inner.fault_handler(_fault_handler);

		if (!attach_at(_inner, _ram, 0,    PAGE, 0)
		 || !attach_at(_inner, _ram, PAGE, PAGE, PAGE)
		 || !attach_at(_outer, _inner_ds, 0))
			error("region maps are not attached");

		_waiting.start();

		_nic.tx()->alloc_packet_attempt(FRAME_SIZE).with_result(
			[&] (Nic::Packet_descriptor const &frame) {
				(void)_nic.tx()->try_submit_packet(frame);
				_nic.tx()->wakeup(); },
			[&] (auto) { error("no frame is sent"); });

		_nic.rx_channel()->sigh_packet_avail(_receive_handler);

		_timer.sigh(_receive_handler);
		_timer.trigger_periodic(100*1000);
	}
};


void Component::construct(Genode::Env &env) { static Test::Main main(env); }
