//! A child that is led through a function instruction by instruction, and can
//! be set back to where it was: registers, stack and shared memory. And a process that the driver
//! starts, stops at any instruction, continues, and kills.

#![allow(unsafe_code)]

use std::io::{IoSlice, IoSliceMut};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use nix::sys::ptrace;
use nix::sys::signal::{Signal, kill};
use nix::sys::uio::{RemoteIoVec, process_vm_readv, process_vm_writev};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, fork};

use crate::world::World;

/// Longer than any of the functions takes, even on a busy machine.
const HANGS: Duration = Duration::from_secs(20);
/// Bytes below the stack pointer that a leaf function may use.
const RED_ZONE: u64 = 256;
/// Bytes of the frames above the marker that may change.
const FRAMES: u64 = 2048;
/// The instruction that marks begin and end.
const BREAKPOINT: i64 = 0xcc;
/// Number of the register set with all vector registers (`NT_X86_XSTATE`).
const XSTATE: libc::c_long = 0x202;

fn text(error: nix::Error) -> String {
    error.to_string()
}

/// Stops the process for its tracer.
#[inline(always)]
fn marker() {
    // SAFETY: a traced process stops here and is continued behind it.
    unsafe { std::arch::asm!("int3") }
}

/// A traced child between its two markers.
pub(crate) struct Stepped {
    pid: Pid,
    world: World,
    registers: libc::user_regs_struct,
    vectors: Vec<u8>,
    top: u64,
    stack: Vec<u8>,
    image: Vec<u8>,
}

impl Stepped {
    /// A child in front of `act`. Its result goes to `done`, in shared memory.
    pub(crate) fn start(
        world: World,
        act: impl Fn(World) -> u64,
        done: impl Fn(u64),
    ) -> Result<Self, String> {
        // SAFETY: this process has one thread, so the child may do anything.
        let child = match unsafe { fork() }.map_err(text)? {
            ForkResult::Child => {
                let _ = nix::sys::prctl::set_pdeathsig(Signal::SIGKILL);
                std::panic::set_hook(Box::new(|_| std::process::abort()));
                if world.fence().is_ok() && ptrace::traceme().is_ok() {
                    marker();
                    let result = act(world);
                    done(result);
                    marker();
                }
                // SAFETY: ends the process without running what is the parent's.
                unsafe { libc::_exit(1) }
            }
            ForkResult::Parent { child } => child,
        };
        match waitpid(child, None) {
            Ok(WaitStatus::Stopped(_, Signal::SIGTRAP)) => {}
            other => return Err(format!("no child to step: {other:?}")),
        }
        let registers = ptrace::getregs(child).map_err(text)?;
        Ok(Stepped {
            pid: child,
            world,
            registers,
            vectors: vec![0; 16 * 1024],
            top: registers.rsp + FRAMES,
            stack: Vec::new(),
            image: Vec::new(),
        })
    }

    /// Executes one instruction; false in front of the second marker.
    pub(crate) fn step(&mut self) -> Result<bool, String> {
        let at = ptrace::getregs(self.pid).map_err(text)?.rip;
        let code = ptrace::read(
            self.pid,
            std::ptr::with_exposed_provenance_mut(usize::try_from(at).unwrap_or(0)),
        );
        if code.map_err(text)? & 0xff == BREAKPOINT {
            return Ok(false);
        }
        self.go()?;
        Ok(true)
    }

    /// Executes one instruction, which is not a marker.
    pub(crate) fn go(&mut self) -> Result<(), String> {
        ptrace::step(self.pid, None).map_err(text)?;
        match waitpid(self.pid, None) {
            Ok(WaitStatus::Stopped(_, Signal::SIGTRAP)) => Ok(()),
            other => Err(format!("the child ended by itself: {other:?}")),
        }
    }

    fn registers_of_all_kinds(&mut self, request: libc::c_uint) -> Result<(), String> {
        let mut part =
            libc::iovec { iov_base: self.vectors.as_mut_ptr().cast(), iov_len: self.vectors.len() };
        // SAFETY: the vector lies in `self.vectors`, as long as it says.
        let result = unsafe { libc::ptrace(request, self.pid.as_raw(), XSTATE, &raw mut part) };
        self.vectors.truncate(part.iov_len);
        if result == 0 { Ok(()) } else { Err(text(nix::Error::last())) }
    }

    /// Remembers this point.
    pub(crate) fn save(&mut self) -> Result<(), String> {
        self.registers = ptrace::getregs(self.pid).map_err(text)?;
        self.vectors.resize(16 * 1024, 0);
        self.registers_of_all_kinds(libc::PTRACE_GETREGSET)?;
        let base = self.registers.rsp - RED_ZONE;
        let len = usize::try_from(self.top - base).unwrap_or(0);
        self.stack.resize(len, 0);
        let remote = RemoteIoVec { base: usize::try_from(base).unwrap_or(0), len };
        process_vm_readv(self.pid, &mut [IoSliceMut::new(&mut self.stack)], &[remote])
            .map_err(text)?;
        self.world.save(&mut self.image);
        Ok(())
    }

    /// Sets child and table back to the point remembered.
    pub(crate) fn rewind(&mut self) -> Result<(), String> {
        self.world.restore(&self.image);
        ptrace::setregs(self.pid, self.registers).map_err(text)?;
        self.registers_of_all_kinds(libc::PTRACE_SETREGSET)?;
        let base = usize::try_from(self.registers.rsp - RED_ZONE).unwrap_or(0);
        let remote = RemoteIoVec { base, len: self.stack.len() };
        process_vm_writev(self.pid, &[IoSlice::new(&self.stack)], &[remote]).map_err(text)?;
        Ok(())
    }

    /// Whether a general register holds `value`: the child has just loaded it.
    pub(crate) fn holds(&self, value: u64) -> Result<bool, String> {
        let r = ptrace::getregs(self.pid).map_err(text)?;
        let general = [
            r.rax, r.rbx, r.rcx, r.rdx, r.rsi, r.rdi, r.rbp, r.r8, r.r9, r.r10, r.r11, r.r12,
            r.r13, r.r14, r.r15,
        ];
        Ok(general.contains(&value))
    }

    /// Lets the child go on to the second marker.
    pub(crate) fn finish(&mut self) -> Result<(), String> {
        ptrace::cont(self.pid, None).map_err(text)?;
        let start = Instant::now();
        loop {
            match waitpid(self.pid, Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::StillAlive) if start.elapsed() < HANGS => std::thread::yield_now(),
                Ok(WaitStatus::Stopped(_, Signal::SIGTRAP)) => return Ok(()),
                other => return Err(format!("does not come to its end: {other:?}")),
            }
        }
    }
}

/// Kills the child.
impl Drop for Stepped {
    fn drop(&mut self) {
        let _ = kill(self.pid, Signal::SIGKILL);
        let _ = waitpid(self.pid, None);
    }
}

/// A process of this program.
pub(crate) struct Process {
    child: Child,
    pub(crate) stopped: bool,
}

impl Process {
    pub(crate) fn start(arguments: &[String]) -> Result<Self, String> {
        let program = std::env::current_exe().map_err(|error| error.to_string())?;
        let child =
            Command::new(program).args(arguments).spawn().map_err(|error| error.to_string())?;
        Ok(Process { child, stopped: false })
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().cast_signed())
    }

    /// Stops it; returns once all its threads stand still.
    pub(crate) fn stop(&mut self) -> Result<(), String> {
        if self.stopped {
            return Ok(());
        }
        kill(self.pid(), Signal::SIGSTOP).map_err(|error| error.to_string())?;
        match waitpid(self.pid(), Some(WaitPidFlag::WUNTRACED)) {
            Ok(WaitStatus::Stopped(..)) => {
                self.stopped = true;
                Ok(())
            }
            other => Err(format!("a process ended by itself: {other:?}")),
        }
    }

    pub(crate) fn resume(&mut self) -> Result<(), String> {
        self.stopped = false;
        kill(self.pid(), Signal::SIGCONT).map_err(|error| error.to_string())
    }
}

/// Kills it; returns once it is gone.
impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
