/*
 * \brief  CPU session of a component that can be checkpointed
 * \date   2026-11-29
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _INCLUDE__CAP_CHECKPOINT__CPU_H_
#define _INCLUDE__CAP_CHECKPOINT__CPU_H_

/* Genode includes */
#include <cap_checkpoint/pd.h>
#include <cap_space_monitor/cpu.h>

namespace Cap_checkpoint { class Virtual_cpu; }


/**
 * CPU session whose trace control belongs to the component that has opened it
 *
 * Its threads may be those of other PDs, such as children of the component.
 */
class Cap_checkpoint::Virtual_cpu : public Cap_space_monitor::Monitored_cpu
{
	private:

		Virtual_pd &_pd;

		/*
		 * Noncopyable
		 */
		Virtual_cpu(Virtual_cpu const &);
		Virtual_cpu &operator = (Virtual_cpu const &);

	public:

		Signal_context_capability sigh { };

		Dataspace *trace = nullptr;

		/* used while an image is made */
		uint32_t native_slot = NONE;

		Virtual_cpu(Entrypoint &ep, Cpu_session_capability real, Virtual_pd &pd)
		: Monitored_cpu(ep, real), _pd(pd) { }

		~Virtual_cpu()
		{
			/* none is left to miss the trace control */
			for_each_thread([&] (Thread &thread) {
				Thread_capability const cap = thread.cap;
				kill_thread(cap); });

			if (trace)
				_pd.free(*trace);
		}

		void exception_sigh(Signal_context_capability cap) override
		{
			sigh = cap;
			Monitored_cpu::exception_sigh(cap);
		}

		void kill_thread(Thread_capability cap) override
		{
			/* core does not kill a thread of another session */
			for_each_thread([&] (Thread &thread) {
				if (thread.cap == cap)
					_pd.faults.forget(cap); });

			Monitored_cpu::kill_thread(cap);
		}

		Dataspace_capability trace_control() override
		{
			if (!trace)
				_pd.alloc(4096, CACHED, Dataspace::Kind::TRACE).with_result(
					[&] (Dataspace *ds) { trace = ds; }, [&] (Alloc_error) { });

			return trace ? trace->cap : Dataspace_capability();
		}
};

#endif /* _INCLUDE__CAP_CHECKPOINT__CPU_H_ */
