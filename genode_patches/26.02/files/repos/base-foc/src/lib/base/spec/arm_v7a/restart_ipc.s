/*
 * \brief  System calls that can be repeated, parking, and restarting
 * \date   2026-11-30
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

.syntax unified
.arch   armv7-a
.fpu    vfpv3
.arm

/* offsets within 'Base_foc::Restart::Record', and values of its 'state' */
.set RECORD_STATE,    0
.set RECORD_SP,       8
.set RECORD_ARGUMENT, 16
.set STATE_CRITICAL,  1

/* complement of the address that invokes a capability (L4_SYSCALL_INVOKE) */
.set NOT_SYSCALL_INVOKE, 0xb

/* saved by 'restart_ipc': FPSCR, d8 to d15, r4 to r11, and the return address */
.set IPC_FRAME, 4 + 8*8 + 9*4

/* saved by 'restart_park': APSR, r0 to r12, lr, without the return address */
.set REGISTERS, 15*4

/* d0 to d31 */
.set FPU_REGISTERS, 32*8

.hidden restart_ipc, restart_park, restart_restart, restart_frame_size
.hidden restart_parked, restart_restarted


/*
 * l4_umword_t restart_ipc(dest_and_flags, tag, timeout, record, state)
 *
 * The registers that a function must preserve go to the stack. From the moment
 * on at which the state is stored, the thread may be started anew with the stack
 * pointer of the record.
 */
.text
.p2align 4
.global restart_ipc
.type   restart_ipc, %function
restart_ipc:
	push {r4-r11, lr}
	vpush {d8-d15}
	vmrs r4, fpscr
	push {r4}
	mov  r6, r3
	ldr  r5, [sp, #IPC_FRAME]
	str  sp, [r6, #RECORD_SP]
	str  r0, [r6, #RECORD_ARGUMENT]
	str  r5, [r6, #RECORD_STATE]
	mov  r3, r2
	mov  r2, r0
	mov  r0, r1
	mov  r4, #0
	mov  lr, pc
	mvn  pc, #NOT_SYSCALL_INVOKE
	mov  r5, #STATE_CRITICAL
	str  r5, [r6, #RECORD_STATE]
	str  r4, [r6, #RECORD_ARGUMENT]
.Lreturn:
	add  sp, sp, #4
	vpop {d8-d15}
	pop  {r4-r11, pc}


/*
 * A new thread starts here with the stack pointer of the record
 */
.p2align 4
.global restart_restart
.type   restart_restart, %function
restart_restart:
	mov  r4, sp
	bic  sp, sp, #7
	bl   restart_restarted
	mov  sp, r4
	ldr  r5, [sp]
	vmsr fpscr, r5
	mvn  r0, #0
	b    .Lreturn


/*
 * A thread in user mode is sent here by a monitor
 *
 * The monitor leaves one word for the return address on the stack, and switches
 * to the ARM instruction set. The return address is obtained by 'restart_parked'
 * from the record. Its lowest bit tells whether it leads to a Thumb instruction.
 */
.p2align 4
.global restart_park
.type   restart_park, %function
restart_park:
	push {r0-r12, lr}
	mrs  r0, apsr
	push {r0}
	mov  r4, sp
	bic  sp, sp, #7
	vpush {d16-d31}
	vpush {d0-d15}
	vmrs r5, fpscr

	/* floating-point modes as expected by a function */
	mov  r0, #0
	vmsr fpscr, r0

	add  r0, r4, #REGISTERS
	bl   restart_parked

	vmsr fpscr, r5
	vpop {d0-d15}
	vpop {d16-d31}
	mov  sp, r4
	pop  {r0}
	msr  apsr_nzcvqg, r0

	/* an exclusive store of the interrupted function must fail */
	clrex
	pop  {r0-r12, lr, pc}


/*
 * addr_t restart_frame_size(void)
 *
 * Return how many bytes of the stack 'restart_park' occupies without the
 * functions that it calls, but with the return address and the alignment.
 */
.p2align 4
.global restart_frame_size
.type   restart_frame_size, %function
restart_frame_size:
	movw r0, #(4 + REGISTERS + 4 + FPU_REGISTERS)
	bx   lr

.section .note.GNU-stack, "", %progbits
