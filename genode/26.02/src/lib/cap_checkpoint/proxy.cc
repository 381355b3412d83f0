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
#include <cap_checkpoint/proxy.h>
#include <foc_native_cpu/client.h>

/* base-internal includes */
#include <base/internal/ipc_server.h>

/* base-foc */
#include <base/internal/cap_space.h>

using namespace Cap_checkpoint;
using namespace Foc;


/*************
 ** Message **
 *************/

/**
 * Put the request into the message registers
 *
 * \param caps  along with the capabilities. A thread that repeats a request to somebody who knows
 *              it already does without.
 */
l4_msgtag_t Proxy::_put_request(bool const caps)
{
	unsigned const num_caps  = caps ? unsigned(_request.used_caps()) : 0,
	               num_data  = unsigned(_request.data_size()/sizeof(l4_umword_t)),
	               num_words = min(HEAD + num_caps + num_data, MAX_WORDS - 2*num_caps);

	/* the table of capabilities is asked by system calls that need the registers */
	l4_umword_t badges[MAX_CAPS] { }, selectors[MAX_CAPS] { };

	for (unsigned i = 0; i < num_caps; i++) {
		badges[i] = Cap_index::INVALID_ID;
		if (_sent[i].valid()) {
			badges[i]    = l4_umword_t(_sent[i].local_name());
			selectors[i] = Cap_index(_sent[i]).kcap();
		}
	}

	l4_umword_t * const mr = l4_utcb_mr()->mr;

	mr[0] = _load(_badges[_object]);
	mr[1] = num_caps;

	unsigned num_items = 0;
	for (unsigned i = 0; i < num_caps; i++) {
		mr[HEAD + i] = badges[i];
		if (selectors[i]) {
			unsigned const at = num_words + 2*num_items++;
			mr[at]     = L4_ITEM_MAP;
			mr[at + 1] = l4_obj_fpage(selectors[i], 0, L4_FPAGE_RWX).raw;
		}
	}
	for (unsigned i = HEAD + num_caps, j = 0; i < num_words; i++, j++)
		mr[i] = _request.word(j);

	return l4_msgtag(0, num_words, num_items, 0);
}


/**
 * Take the reply from the message registers
 *
 * \return  false if it is none that the base library sends
 */
bool Proxy::_take_reply(l4_msgtag_t const tag)
{
	l4_umword_t const * const mr = l4_utcb_mr()->mr;

	unsigned const num_words = min(unsigned(l4_msgtag_words(tag)), MAX_WORDS),
	               num_caps  = num_words < HEAD ? 0
	                         : unsigned(min(mr[1], l4_umword_t(MAX_CAPS)));

	if (num_words < HEAD + num_caps)
		return false;

	_result = long(mr[0]);

	/* the monitor knows all capabilities of the component by their badges */
	bool any = false;
	for (unsigned i = 0; i < num_caps; i++) {
		_replied[i] = uint32_t(mr[HEAD + i]);
		any |= (_replied[i] != Cap_index::INVALID_ID);
	}

	unsigned const num_data = num_words - HEAD - num_caps;

	for (unsigned i = 0; i < num_data; i++)
		_reply.word(i) = mr[HEAD + num_caps + i];

	_reply.data_size(num_data*sizeof(l4_umword_t));

	for (unsigned i = 0; i < num_caps; i++)
		_reply.insert(Native_capability());

	/* while the monitor still sees that the thread calls */
	if (any)
		_store(_ask, unsigned(REPLY));

	return true;
}


/**
 * Answer that each function understands as an error, if it has any
 *
 * Code and content lead to the last exception of a function, to the error of an 'Attempt', to
 * no capability, and otherwise to zeros, as many as there is room for.
 */
void Proxy::_fail()
{
	unsigned const num_data = MAX_WORDS - HEAD;

	_reply.reset();

	for (unsigned i = 0; i < num_data; i++)
		_reply.word(i) = 0;

	_reply.data_size(num_data*sizeof(l4_umword_t));

	_result = Rpc_exception_code::EXCEPTION_BASE - 1;
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


void Proxy::_leave_call()
{
	if (_transition(CALL, OUT))
		return;

	/* the monitor is about to cancel what the thread did, be it finished or not */
	while (_load(_region) != CANCELLED)
		_sleep_ms(1);

	/* the next system call would be cancelled, the last one may not have been */
	_sleep_ms(1);

	_store(_region, unsigned(OUT));
}


/**
 * Pass the request on
 *
 * \return  true if it was answered
 */
bool Proxy::_call(bool const caps)
{
	l4_msgtag_t const request = _put_request(caps);

	/* whatever comes with the reply is known */
	for (unsigned i = 0; i < MAX_CAPS; i++)
		l4_utcb_br()->br[i] = addr_t(DISCARD_CAP) | L4_RCV_ITEM_SINGLE_CAP;

	l4_utcb_br()->bdr &= ~L4_BDR_OFFSET_MASK;

	l4_msgtag_t const tag = l4_ipc_call(_load(_targets[_object]), l4_utcb(), request,
	                                    L4_IPC_NEVER);

	if (l4_msgtag_has_error(tag))
		return false;

	if (!_take_reply(tag))
		_fail();

	return true;
}


/**
 * Wait for the entrypoint, unless nobody is interested any more
 */
void Proxy::_wait_for_answer()
{
	_pd.submit(_asked, 1);

	while (_load(_ask) != NOTHING && _load(_phase) != DEAD && _load(_phase) != ENDED)
		_sleep_ms(1);
}


bool Proxy::_find_object(unsigned long badge)
{
	for (unsigned i = 0; i < MAX_OBJECTS; i++)
		if (_objects[i].gate.valid() && (unsigned long)_objects[i].gate.local_name() == badge) {
			_store(_object, i);
			return true;
		}

	return false;
}


bool Proxy::_request_has_caps() const
{
	bool result = false;
	for (unsigned i = 0; i < _request.used_caps(); i++)
		result |= _request.cap(i).valid();
	return result;
}


/**
 * Obtain the reply to the request
 */
void Proxy::_forward()
{
	bool const caps = _request_has_caps();

	/* what was translated belongs to an earlier request */
	_store(_sent_life, _load(_life) - 1);

	for (;;) {
		unsigned const phase = _load(_phase);

		if (phase == DEAD || phase == ENDED) {
			_fail();
			return;
		}

		if (caps && phase == OPEN && _load(_sent_life) != _load(_life)) {
			_store(_ask, unsigned(REQUEST));
			_wait_for_answer();
			_store(_ask, unsigned(NOTHING));
			continue;
		}

		bool answered = false, called = false;

		_store(_region, unsigned(CALL));

		unsigned const life = _load(_life);
		bool     const same = _load(_sent_life) == life;

		/* the monitor holds requests, then looks who is in the region */
		if (_may_call() && (!caps || same || _load(_repeat))) {
			called   = true;
			answered = _call(caps && same);
		}
		_leave_call();

		if (answered) {
			if (_load(_ask) != NOTHING)
				_wait_for_answer();
			_store(_ask, unsigned(NOTHING));
			return;
		}

		/* the object is gone, although the component is not */
		if (called && _load(_phase) == OPEN && _load(_life) == life) {
			_fail();
			return;
		}

		_sleep_ms(1);
	}
}


void Proxy::entry()
{
	for (;;) {
		Rpc_request const request =
			ipc_reply_wait(Reply_capability(), Rpc_exception_code(int(_result)), _reply, _request);

		if (_load(_phase) == ENDED)
			break;

		_reply.reset();

		if (_find_object(request.badge))
			_forward();
		else
			_fail();
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


Proxy::Proxy(Env &env, Pd_session &pd, Signal_context_capability asked, Name const &name)
:
	Thread(env, name, Stack_size { STACK_SIZE }), _pd(pd), _cpu(env.cpu()), _asked(asked)
{
	if (Thread::cap().valid())
		_native = native_cpu(_cpu).native_cap(Thread::cap());

	if (_native.valid() && gate_for({ }).valid())
		(void)start();
}


Proxy::~Proxy()
{
	phase(ENDED);

	Native_capability const gate = _objects[0].gate;

	/* whatever it waits for comes to its end, and then it waits for a request */
	while (gate.valid() && !_load(_gone)) {

		cancel();

		l4_utcb_mr()->mr[0] = l4_umword_t(gate.local_name());
		l4_utcb_mr()->mr[1] = 0;
		(void)l4_ipc_send(Cap_index(gate).kcap(), l4_utcb(), l4_msgtag(0, HEAD, 0, 0),
		                  L4_IPC_SEND_TIMEOUT_0);
		_sleep_ms(1);
	}

	for (Object const &object : _objects)
		if (object.gate.valid())
			_pd.free_rpc_cap(object.gate);
}


void Proxy::target(unsigned const object, Native_capability const cap)
{
	_objects[object].target = cap;

	_store(_targets[object], cap.valid() ? l4_umword_t(Cap_index(cap).kcap()) : 0);
	_store(_badges [object], cap.valid() ? l4_umword_t(cap.local_name())      : 0);
}


Native_capability Proxy::gate_for(Native_capability const wanted)
{
	for (Object const &object : _objects)
		if (object.gate.valid() && wanted.valid() && object.target == wanted)
			return object.gate;

	for (unsigned i = 0; i < MAX_OBJECTS; i++) {

		Object &object = _objects[i];

		if (object.gate.valid())
			continue;

		target(i, wanted);

		_pd.alloc_rpc_cap(_native).with_result(
			[&] (Native_capability cap) { object.gate = cap; }, [&] (Alloc_error) { });

		return object.gate;
	}
	return { };
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


void Proxy::cancel()
{
	if (!_transition(CALL, CANCEL))
		return;

	(void)l4_thread_ex_regs(Cap_index(_native).kcap(), ~0UL, ~0UL, L4_THREAD_EX_REGS_CANCEL);

	_store(_region, unsigned(CANCELLED));
}
