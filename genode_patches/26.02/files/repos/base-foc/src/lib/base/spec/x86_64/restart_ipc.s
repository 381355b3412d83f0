/*
 * \brief  System calls that can be repeated, parking, and restarting
 * \date   2026-11-29
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

/* offsets within 'Base_foc::Restart::Record', and values of its 'state' */
.set RECORD_STATE,    0
.set RECORD_SP,       8
.set RECORD_ARGUMENT, 16
.set STATE_CRITICAL,  1

/* bytes below the stack pointer that belong to the interrupted function */
.set RED_ZONE, 128

/* saved flags and general-purpose registers, without the stack pointer */
.set REGISTERS, 16*8

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
.type   restart_ipc, @function
restart_ipc:
	push %rbx
	push %rbp
	push %r12
	push %r13
	push %r14
	push %r15
	push %rax
	stmxcsr (%rsp)
	fnstcw 4(%rsp)
	mov  %rcx, %rbx
	mov  %rsp, RECORD_SP(%rbx)
	mov  %rdi, RECORD_ARGUMENT(%rbx)
	mov  %r8,  RECORD_STATE(%rbx)
	mov  %rdx, %r8
	mov  %rdi, %rdx
	mov  %rsi, %rax
	xor  %esi, %esi
	syscall
	movq $STATE_CRITICAL, RECORD_STATE(%rbx)
	mov  %rsi, RECORD_ARGUMENT(%rbx)
.Lreturn:
	add  $8, %rsp
	pop  %r15
	pop  %r14
	pop  %r13
	pop  %r12
	pop  %rbp
	pop  %rbx
	ret


/*
 * A new thread starts here with the stack pointer of the record
 */
.p2align 4
.global restart_restart
.type   restart_restart, @function
restart_restart:
	cld
	mov  %rsp, %rbx
	and  $-16, %rsp
	call restart_restarted
	mov  %rbx, %rsp
	ldmxcsr (%rsp)
	fldcw 4(%rsp)
	mov  $-1, %rax
	jmp  .Lreturn


/*
 * A thread in user mode is sent here by a monitor
 *
 * The monitor leaves RED_ZONE bytes and one word for the return address on the
 * stack. The return address is obtained by 'restart_parked' from the record.
 */
.p2align 4
.global restart_park
.type   restart_park, @function
restart_park:
	pushfq
	push %rax
	push %rcx
	push %rdx
	push %rbx
	push %rbp
	push %rsi
	push %rdi
	push %r8
	push %r9
	push %r10
	push %r11
	push %r12
	push %r13
	push %r14
	push %r15
	cld
	mov  %rsp, %rbx
	sub  fpu_size(%rip), %rsp
	and  $-64, %rsp
	mov  %rsp, %r12

	cmpl $0, use_xsave(%rip)
	je   1f
	/* the instruction expects zeros in the header of the area */
	lea  512(%rsp), %rdi
	xor  %eax, %eax
	mov  $8, %ecx
	rep  stosq
	mov  $-1, %eax
	mov  $-1, %edx
	xsave (%rsp)
	jmp  2f
1:	fxsave (%rsp)
2:
	/* floating-point environment as expected by a function */
	fninit
	movl $0x1f80, -8(%rsp)
	ldmxcsr -8(%rsp)

	lea  REGISTERS(%rbx), %rdi
	call restart_parked

	cmpl $0, use_xsave(%rip)
	je   3f
	mov  $-1, %eax
	mov  $-1, %edx
	xrstor (%r12)
	jmp  4f
3:	fxrstor (%r12)
4:
	mov  %rbx, %rsp
	pop  %r15
	pop  %r14
	pop  %r13
	pop  %r12
	pop  %r11
	pop  %r10
	pop  %r9
	pop  %r8
	pop  %rdi
	pop  %rsi
	pop  %rbp
	pop  %rbx
	pop  %rdx
	pop  %rcx
	pop  %rax
	popfq
	ret  $RED_ZONE


/*
 * addr_t restart_frame_size(void)
 *
 * Find out how to save the floating-point state, and return how many bytes of
 * the stack 'restart_park' occupies without the functions that it calls. This
 * has to happen before any thread is sent there.
 */
.p2align 4
.global restart_frame_size
.type   restart_frame_size, @function
restart_frame_size:
	push %rbx
	mov  $512, %r8d
	xor  %r9d, %r9d
	mov  $1, %eax
	xor  %ecx, %ecx
	cpuid
	bt   $27, %ecx            /* XSAVE is enabled by the kernel */
	jnc  1f
	mov  $0xd, %eax
	xor  %ecx, %ecx
	cpuid
	mov  %ebx, %r8d           /* bytes needed for what is enabled */
	inc  %r9d
1:	mov  %r8,  fpu_size(%rip)
	mov  %r9d, use_xsave(%rip)
	lea  RED_ZONE + 8 + REGISTERS + 64(%r8), %rax
	pop  %rbx
	ret


.bss
.p2align 3
fpu_size:  .quad 0
use_xsave: .long 0

.section .note.GNU-stack, "", @progbits
