/*
 * \brief  Threads that can be frozen and started anew
 * \date   2026-11-29
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

/* Genode includes */
#include <base/thread.h>
#include <util/string.h>

/* base-internal includes */
#include <base/internal/native_thread.h>
#include <base/internal/native_utcb.h>
#include <base/internal/restart.h>

using namespace Genode;
using namespace Genode::Restart;


/* used until a monitor hands out memory, and by core */
static Area private_area { };

Area *Restart::area;

/* provided for each processor architecture by assembly code */
extern "C" {

	extern char restart_park[]    __attribute__((visibility("hidden")));
	extern char restart_restart[] __attribute__((visibility("hidden")));

	/* bytes of stack that 'restart_park' needs, without functions it calls */
	addr_t restart_frame_size() __attribute__((visibility("hidden")));
}

/* bytes of stack that 'restart_parked' and the functions it calls need at most */
static constexpr addr_t PARKED_FRAMES = 1536;


void Restart::init()
{
	/* not by a static initializer, the dynamic linker is not relocated yet */
	area = &private_area;
}


void Restart::init_thread(Record &record, addr_t stack_base, addr_t badge_slot,
                          addr_t thread)
{
	/* another thread may have used the record before */
	record.state     .set(USER);
	record.sp        .set(0);
	record.request   .set(0);
	record.window    .set(0);
	record.stack_base.set(stack_base);
	record.badge_slot.set(badge_slot);
	record.thread    .set(thread);
}


/*************
 ** Waiting **
 *************/

bool Restart::wait_for_irq(Foc::l4_cap_idx_t irq, State state)
{
	using namespace Foc;

	Record &record = my_record();

	/*
	 * Within a window, the thread waits for a lock and must come to the end of
	 * the window before it may be started anew.
	 */
	addr_t const old       = record.state.get();
	bool   const in_window = (old != USER) || record.window.get();

	l4_utcb_mr()->mr[0] = L4_IRQ_OP_EOI;

	l4_msgtag_t const tag = ipc(irq, L4_SYSF_CALL, l4_msgtag(L4_PROTO_IRQ, 1, 0, 0),
	                            L4_IPC_NEVER, record, in_window ? CRITICAL : state);

	if (old == USER)
		leave_window(record);

	return !restarted(tag);
}


/*************
 ** Parking **
 *************/

static Foc::l4_timeout_t one_ms()
{
	using namespace Foc;

	return l4_timeout(L4_IPC_TIMEOUT_NEVER, l4_timeout_rel(125, 3));
}


static void stay_parked(Record &record)
{
	using namespace Foc;

	/*
	 * The monitor pauses the thread as soon as it is parked. So no time is
	 * spent here, unless the monitor vanishes.
	 */
	do
		(void)ipc(L4_INVALID_CAP, L4_SYSF_RECV, l4_msgtag_t { }, one_ms(),
		          record, PARKED);
	while (area->hold.get());
}


void Restart::park_myself(Record &record)
{
	/* the window around it comes to its end soon */
	if (record.window.get())
		return;

	record.state.set(CRITICAL);

	/* the request may be one of an earlier time */
	record.request.set(0);

	if (area->hold.get())
		stay_parked(record);

	record.state.set(USER);
}


/**
 * Called by 'restart_park' with the stack pointing to the saved registers
 *
 * \param return_ip  place of the return address in the frame
 */
extern "C" void restart_parked(addr_t *return_ip) __attribute__((visibility("hidden")));

void restart_parked(addr_t *return_ip)
{
	using namespace Foc;

	Record &record = my_record();

	*return_ip = record.argument.get();

	/* the thread may have been interrupted while using its UTCB */
	l4_msg_regs_t const mr    = *l4_utcb_mr();
	l4_buf_regs_t const br    = *l4_utcb_br();
	l4_umword_t   const error = l4_utcb_tcr()->error;

	stay_parked(record);

	*l4_utcb_mr()        = mr;
	*l4_utcb_br()        = br;
	l4_utcb_tcr()->error = error;

	record.state.set(USER);
}


/***************
 ** Restarting **
 ***************/

/**
 * Regain the right to reply to the client whose request is being handled
 *
 * What the request says is in the memory of this thread already.
 */
static void receive_request_again()
{
	using namespace Foc;

	for (unsigned i = 0; i < Msgbuf_base::MAX_CAPS_PER_MSG; i++)
		l4_utcb_br()->br[i] = addr_t(DISCARD_CAP) | L4_RCV_ITEM_SINGLE_CAP;

	l4_utcb_br()->bdr &= ~L4_BDR_OFFSET_MASK;

	l4_umword_t label = 0;
	(void)l4_ipc_wait(l4_utcb(), &label, L4_IPC_NEVER);
}


/**
 * First thing that a thread does that is started anew
 *
 * The stack pointer is the one of the record.
 */
extern "C" void restart_restarted() __attribute__((visibility("hidden")));

void restart_restarted()
{
	using namespace Foc;

	Record &record = my_record();

	record.state.set(CRITICAL);

	l4_utcb_tcr()->user[UTCB_TCR_BADGE]      = record.badge_slot.get();
	l4_utcb_tcr()->user[UTCB_TCR_THREAD_OBJ] = record.thread.get();

	l4_cap_idx_t kcap = MAIN_THREAD_CAP;

	if (Thread * const thread = (Thread *)record.thread.get())
		thread->with_native_thread([&] (Native_thread &nt) { kcap = nt.kcap; }, [] { });

	addr_t const request = record.request.get();

	if (request & Record::RECEIVE)
		receive_request_again();

	__atomic_add_fetch(&area->restarted._value, 1, __ATOMIC_RELEASE);

	/*
	 * The next freeze may come before this thread gets to see that it may go
	 * on. The stack pointer of the record is still the one to start with.
	 */
	if ((request & Record::WAIT) && area->hold.get()) {
		record.state.set(PARKED);

		do
			l4_ipc_sleep(one_ms());
		while (area->hold.get());

		record.state.set(CRITICAL);
	}

	record.request.set(0);

	/* a wake-up may be lost, the owner of a lock looks for the reason of one */
	l4_irq_trigger(kcap + THREAD_IRQ_CAP);
}


/*****************
 ** Publication **
 *****************/

void Restart::publish(Area &shared)
{
	using namespace Foc;

	addr_t const frame_size = restart_frame_size();

	/* nothing to offer on this processor */
	if (!frame_size)
		return;

	memcpy(shared.records, area->records, sizeof(shared.records));

	shared.record_size.set(sizeof(Record));
	shared.utcb       .set(addr_t(l4_utcb()) & ~(NUM_RECORDS*addr_t(L4_UTCB_OFFSET) - 1));
	shared.utcb_size  .set(addr_t(L4_UTCB_OFFSET));
	shared.park       .set(addr_t(restart_park));
	shared.restart    .set(addr_t(restart_restart));
	shared.park_stack .set(frame_size + PARKED_FRAMES);

	area = &shared;

	shared.num_records.release(NUM_RECORDS);
}
