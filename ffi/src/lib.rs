//! Flat capability table, C interface
//!
//! A function is called `cap_map_<noun>_<verb>`. It returns a status unless it
//! cannot fail. Outputs come last. An output of one value is written on success only,
//! but for the slot of cap_map_monitor_rewrite, which is written on a refusal only. It
//! may be null, unless it is the object that a function makes. Null in place of any
//! other pointer yields BAD_ARGUMENT, or zero or null without a status.
//!
//! All functions require that a pointer is null or valid. A valid pointer to an
//! owner, a monitor, a pool, or a node leads to one that was made or initialised,
//! unless the function does that. "Requires" says what a function requires beyond
//! that. Threads may call all functions at once unless that says otherwise.
//!
//! No function allocates memory, aborts, or unwinds. cap_map_node_drain waits for
//! the users of an object. Any other function waits for a monitor within a bound,
//! and for another thread while that is inside a function of the same table. The
//! comments name statuses without their prefix CAP_MAP_STATUS_.
//!
//! Owners, slots, badges, references, pools and nodes are for the component. Any
//! number of its threads use them at once, but cap_map_owner_reset is for the only
//! thread of a forked component, and cap_map_owner_recover for a restored component
//! whose threads have not gone on yet. An owner stays at its address, and so does each
//! region that it was given, because the private memory holds pointers to both.
//!
//! Monitors are for anyone who has mapped the region, at any address, in any process.
//! Any number of them read at once, and one rewrites. Reading needs no permission to
//! write; cap_map_monitor_rewrite and cap_map_monitor_take_over do.

// `ffi/include/cap_map.h` is generated from this crate by tools/header: the text
// above, then a section for each module, under the first line of the module's text.
// `ffi/exports.txt` lists the functions.

#![no_std]
#![allow(non_camel_case_types)]

mod abi;
mod badge;
mod monitor;
mod node;
mod owner;
mod pool;
mod reference;
mod region;
mod slot;
mod status;

pub use abi::*;
pub use badge::*;
pub use monitor::*;
pub use node::*;
pub use owner::*;
pub use pool::*;
pub use reference::*;
pub use region::*;
pub use slot::*;
pub use status::*;
