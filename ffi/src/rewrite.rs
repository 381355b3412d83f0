//! Rewrite of another component's badges

pub use cap_map_rs::Rewrite;
use cap_map_rs::Status;

use crate::answer::{give, status_of};
use crate::monitor::{cap_map_monitor, monitor};

/// Changes the badges of a batch, all or none. `slot` receives the slot that a
/// refusal is about, or UINT32_MAX.
///
/// # Errors
/// BAD_SLOT, BAD_BADGE, DUPLICATE_SLOT, DUPLICATE_BADGE, UNEXPECTED_BADGE,
/// NOT_REWRITABLE, RETIRED, CORRUPT; CHANGED or BUSY if the table was in use.
///
/// # Safety
/// 1. As for all functions.
/// 2. `batch` is `count` entries nobody else uses; their scratch fields change.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cap_map_monitor_rewrite(
    monitor: *const cap_map_monitor,
    batch: *mut Rewrite,
    count: usize,
    slot: *mut u32,
) -> Status {
    let monitor = monitor!(monitor);
    if batch.is_null() {
        return Status::BadArgument;
    }
    // SAFETY: duty 2.
    let batch = unsafe { core::slice::from_raw_parts_mut(batch, count) };
    match monitor.rewrite(batch) {
        Ok(()) => status_of(Ok(())),
        Err(refusal) => {
            // SAFETY: duty 1.
            unsafe { give(slot, refusal.slot.unwrap_or(u32::MAX)) };
            refusal.status
        }
    }
}
