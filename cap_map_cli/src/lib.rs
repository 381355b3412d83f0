//! The program `cap_map`: what looks into images and running systems, and the
//! testbed, which is the capability table between real Linux processes.
//!
//! A *system* is a set of processes, all of them this program under hidden
//! subcommands: `core` hands out badges and gates, `target` is the component
//! whose capabilities are kept in a table, `clients` call it, and `monitor` is
//! its parent, which saves and restores it. `cpp/` has core and target, in the
//! shape that Genode's base library for Fiasco.OC has; `driver` sets up systems
//! and verifies them.
//!
//! * **The kernel is real.** A selector is a descriptor, a gate is a pair of
//!   sockets, and Linux is asked what is valid and equal.
//! * **No party verifies itself.** Whether a capability was restored is decided by
//!   what the kernel has in the slot, what core has recorded for that object,
//!   and who answers.
//! * **Nothing is left behind**: processes end with their parent, every wait is
//!   bounded.

#![deny(unsafe_code)]

pub mod checkpoint;

mod cli;
mod clients;
mod control;
mod driver;
mod files;
mod image;
mod live;
#[allow(unsafe_code)] // maps memory
mod memory;
mod monitor;
mod observe;
mod process;
mod table;
mod wire;

/// Entries of the C++ part, and what the C interface calls while it waits.
#[allow(unsafe_code)]
mod cpp {
    unsafe extern "C" {
        /// Serves as core; does not return.
        pub(crate) safe fn testbed_core(start: u32, step: i32);

        /// Serves as target; does not return.
        pub(crate) safe fn testbed_target();

        /// Bytes of the target's memory image.
        pub(crate) safe fn testbed_image_size() -> u64;
    }

    #[unsafe(no_mangle)]
    extern "C" fn cap_map_relax() {
        <crate::table::Yield as cap_map_rs::sync::RelaxStrategy>::relax();
    }
}

// The C++ part calls the C interface.
use cap_map_ffi as _;

/// Runs the command that the arguments of the process ask for.
pub fn run() -> std::process::ExitCode {
    cli::run()
}
