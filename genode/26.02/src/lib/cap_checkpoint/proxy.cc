/*
 * \brief  Stand-in for an object of a component towards one of its clients
 * \date   2026-12-01
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

/* Genode includes */
#include <base/env.h>
#include <base/rpc.h>
#include <cap_checkpoint/proxy.h>
#include <foc_native_cpu/client.h>

/* base-foc */
#include <base/internal/cap_space.h>

using namespace Cap_checkpoint;
using namespace Foc;


/*************
 ** Message **
 *************/

static unsigned num_caps(l4_umword_t const *words)
{
	return unsigned(min(words[1], l4_umword_t(Msgbuf_base::MAX_CAPS_PER_MSG)));
}


/**
 * Take a message from the message registers
 *
 * \return  false if it is none that the base library sends
 */
bool Proxy::Message::take(l4_msgtag_t const tag)
{
	count = min(unsigned(l4_msgtag_words(tag)), MAX_WORDS);

	for (unsigned i = 0; i < count; i++)
		words[i] = l4_utcb_mr()->mr[i];

	return count >= HEAD && count >= HEAD + num_caps(words);
}


l4_msgtag_t Proxy::Message::put() const
{
	for (unsigned i = 0; i < count; i++)
		l4_utcb_mr()->mr[i] = words[i];

	return l4_msgtag(0, count, 0, 0);
}


/**
 * Answer that each function understands as an error, if it has any
 *
 * Code and content lead to the last exception of a function, to the error of an 'Attempt', to
 * no capability, and otherwise to zeros, as many as there is room for.
 */
void Proxy::Message::fail()
{
	count = MAX_WORDS;

	for (l4_umword_t &word : words)
		word = 0;

	words[0] = l4_umword_t(Rpc_exception_code::EXCEPTION_BASE - 1);
}


/************
 ** Thread **
 ************/

void Proxy::_sleep_ms(unsigned ms)
{
	/* the exponent says multiples of 8 us */
	for (unsigned i = 0; i < ms; i++)
		l4_ipc_sleep(l4_timeout(L4_IPC_TIMEOUT_NEVER, l4_timeout_rel(125, 3)));
}


/**
 * Let the kernel drop capabilities that a message brings
 */
void Proxy::_deny_received_caps()
{
	for (unsigned i = 0; i < Msgbuf_base::MAX_CAPS_PER_MSG; i++)
		l4_utcb_br()->br[i] = addr_t(DISCARD_CAP) | L4_RCV_ITEM_SINGLE_CAP;

	l4_utcb_br()->bdr &= ~L4_BDR_OFFSET_MASK;
}


void Proxy::_leave(Region const region)
{
	if (_transition(region, OUT))
		return;

	/* the monitor is about to cancel what the thread did, be it finished or not */
	while (_load(_region) != CANCELLED)
		_sleep_ms(1);

	/* the next system call would be cancelled, the last one may not have been */
	_sleep_ms(1);

	_store(_region, unsigned(OUT));
}


/**
 * Wait for a request of the client
 *
 * \return  false if there will be none
 */
bool Proxy::_receive()
{
	while (_load(_phase) != ENDED) {

		_store(_region, unsigned(WAIT));

		bool received = false;

		if (_load(_phase) != ENDED) {
			_deny_received_caps();

			l4_umword_t label = 0;
			l4_msgtag_t const tag = l4_ipc_wait(l4_utcb(), &label, L4_IPC_NEVER);

			/* the kernel keeps rights in the lowest bits */
			received = !l4_msgtag_has_error(tag) && _message.take(tag)
			        && (label & (~0UL << 2)) == l4_umword_t(_gate.local_name());
		}
		_leave(WAIT);

		if (received)
			return true;
	}
	return false;
}


/**
 * Pass the request on
 *
 * \return  true if it was answered
 */
bool Proxy::_call()
{
	_deny_received_caps();

	l4_msgtag_t const request = _message.put();

	l4_utcb_mr()->mr[0] = _load(_target_badge);

	l4_msgtag_t const tag = l4_ipc_call(_load(_target_kcap), l4_utcb(), request, L4_IPC_NEVER);

	bool const answered = !l4_msgtag_has_error(tag);

	if (answered && !_message.take(tag))
		_message.fail();

	return answered;
}


/**
 * Replace the request by its answer
 */
void Proxy::_forward()
{
	auto leave_out_caps = [&] {
		for (unsigned i = 0; i < num_caps(_message.words); i++) {
			l4_umword_t &badge = _message.words[Message::HEAD + i];
			if (badge != Cap_index::INVALID_ID)
				_store(_caps_denied, 1U);
			badge = Cap_index::INVALID_ID;
		}
	};

	leave_out_caps();

	for (;;) {
		unsigned const phase = _load(_phase);

		if (phase == DEAD || phase == ENDED) {
			_message.fail();
			return;
		}

		bool answered = false, called = false;

		_store(_region, unsigned(CALL));

		unsigned const life = _load(_life);

		/* the monitor holds requests, then looks who is in the region */
		if (_may_call()) {
			called   = true;
			answered = _call();
		}
		_leave(CALL);

		if (answered) {
			leave_out_caps();
			return;
		}

		/* the object is gone, although the component is not */
		if (called && _load(_phase) == OPEN && _load(_life) == life) {
			_message.fail();
			return;
		}

		_sleep_ms(1);
	}
}


void Proxy::_reply()
{
	l4_msgtag_t const tag = _message.put();

	/* a client that does not wait any more gets no answer */
	(void)l4_ipc_send(L4_SYSF_REPLY, l4_utcb(), tag, L4_IPC_SEND_TIMEOUT_0);
}


void Proxy::entry()
{
	while (_receive()) {
		_forward();
		_reply();
	}

	_store(_gone, 1U);

	for (;;)
		l4_ipc_sleep(L4_IPC_NEVER);
}


/*************
 ** Monitor **
 *************/

static Foc_native_cpu_client native_cpu(Cpu_session &cpu)
{
	return Foc_native_cpu_client(cpu.native_cpu());
}


Proxy::Proxy(Env &env, Pd_session &pd, Name const &name)
:
	Thread(env, name, Stack_size { STACK_SIZE }), _pd(pd), _cpu(env.cpu())
{
	if (Thread::cap().valid())
		_native = native_cpu(_cpu).native_cap(Thread::cap());

	if (!_native.valid())
		return;

	_pd.alloc_rpc_cap(_native).with_result(
		[&] (Native_capability cap) { _gate = cap; }, [&] (Alloc_error) { });

	if (_gate.valid())
		(void)start();
}


Proxy::~Proxy()
{
	phase(ENDED);

	/* whatever it waits for, it leaves the region */
	while (_gate.valid() && !_load(_gone)) {
		_cancel(WAIT);
		_cancel(CALL);
		_sleep_ms(1);
	}

	if (_gate.valid())
		_pd.free_rpc_cap(_gate);
}


void Proxy::target(Native_capability const cap)
{
	_store(_target_kcap,  l4_umword_t(Cap_index(cap).kcap()));
	_store(_target_badge, l4_umword_t(cap.local_name()));
	_store(_life, _life + 1);
}


Proxy::Call Proxy::call() const
{
	if (!calling())
		return Call::NONE;

	l4_umword_t const state = native_cpu(_cpu).thread_state(Thread::cap()).kernel_state;

	/* it is on the way into the kernel, or back */
	if ((state & Foc_thread_state::READY) || !calling())
		return Call::MOVING;

	return (state & Foc_thread_state::SEND_WAIT) ? Call::QUEUED : Call::RECEIVED;
}


void Proxy::_cancel(Region const region)
{
	if (!_transition(region, CANCEL))
		return;

	(void)l4_thread_ex_regs(Cap_index(_native).kcap(), ~0UL, ~0UL, L4_THREAD_EX_REGS_CANCEL);

	_store(_region, unsigned(CANCELLED));
}
