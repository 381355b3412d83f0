//! Snapshot of another component's table

use cap_map_rs::{SlotWord, Status};

use crate::answer::{answer, give};
use crate::monitor::{cap_map_monitor, monitor};
use crate::slot::{cap_map_state, state_and_badge};

/// How a snapshot came about.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct cap_map_snapshot {
    /// Sequence number of the table at that instant.
    pub sequence: u64,
    /// Generation of the table at that instant.
    pub generation: u32,
    /// Attempts it took.
    pub attempts: u32,
    /// Whether all words are of one instant.
    pub consistent: bool,
}

/// Copies all slot words to `words`, of which there are `count`; none of them
/// is staged. cap_map_word_entry tells what a word means.
///
/// # Errors
/// RETIRED; TOO_SMALL for fewer words than slots.
///
/// # Safety
/// 1. As for all functions.
/// 2. As for all functions; `words` are `count` words nobody else uses.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cap_map_monitor_snapshot(
    monitor: *const cap_map_monitor,
    words: *mut u64,
    count: usize,
    snapshot: *mut cap_map_snapshot,
) -> Status {
    let monitor = monitor!(monitor);
    if words.is_null() {
        return Status::BadArgument;
    }
    // SAFETY: duty 2; a SlotWord is a transparent u64.
    let words = unsafe { core::slice::from_raw_parts_mut(words.cast::<SlotWord>(), count) };
    let taken = monitor.snapshot(words).map(|taken| cap_map_snapshot {
        sequence: taken.sequence,
        generation: taken.generation,
        attempts: taken.attempts,
        consistent: taken.consistent,
    });
    // SAFETY: duty 1.
    unsafe { answer(taken, snapshot) }
}

/// State and badge that a word of a snapshot stands for.
///
/// # Safety
/// 1. As for all functions.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cap_map_word_entry(word: u64, badge: *mut u32) -> cap_map_state {
    let (state, of_badge) = state_and_badge(SlotWord(word).meaning());
    // SAFETY: duty 1.
    unsafe { give(badge, of_badge) };
    state
}
