//! A process that the driver starts, stops at any instruction, continues, and kills.

use std::process::{Child, Command};

use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

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
