//! The seqlock: write sections of the owner, batches of a monitor, and how each side
//! finishes what the other one left behind. All transitions of the words that both
//! sides share are here.
//!
//! One control word holds phase, sequence and generation, so each transition is one
//! compare-and-exchange. The reads follow H.-J. Boehm, "Can seqlocks get along with
//! programming language memory models?" (MSPC 2012). The words are atomic. A reader
//! loads them relaxed, executes an acquire fence, and loads the control word once more.
//!
//! ```text
//!            owner                       monitor
//! Idle ──> Writing ──> Idle     Idle ──> Staging ──> Committed ──> Idle
//!                                             └────> Aborted ────> Idle
//! ```
//!
//! Why does a party that was stopped and wakes up late do no harm?
//! * Its transitions fail, because the sequence has moved on.
//! * Its write to a plain slot word fails, because the word carries the tag of the
//!   section that wrote it. An aborted batch renews the tags of all slots.
//! * Its write to a staged word fails, because a staged word carries the number of its
//!   batch. No batch starts under a number that a party has announced to be resolving.

use crate::layout::*;
use crate::limits::{SLOT_RESOLUTIONS, STAGED_READS, TRANSITIONS};
use crate::region::{Region, Seat};
use crate::status::Status;
use crate::sync::{AtomicU64, Ordering, RelaxStrategy, fence};
use crate::word::{Control, Phase, Slot, SlotWord};

/// Replaces the control word `old`; false if it has changed.
#[inline]
fn exchange(word: &AtomicU64, old: Control, new: Control) -> bool {
    // Acquire pairs with the release of the party that wrote `old`. Release publishes
    // what this side did in the phase that ends.
    word.compare_exchange(old.0, new.0, Ordering::AcqRel, Ordering::Relaxed).is_ok()
}

/// What an owner spends at most on one write before it overrules its peer.
struct Budget {
    /// Calls of `R::relax` left to wait for a staged batch to be decided.
    waits: u32,
    /// Transitions left to try.
    tries: u32,
}

impl Budget {
    fn spend(left: &mut u32) -> bool {
        let some = *left > 0;
        *left = left.saturating_sub(1);
        some
    }
}

/// Owner: brings the table to `Idle` and returns that control word.
///
/// A staged batch gets the budget's waits to be decided, then it is aborted. A
/// peer that keeps interfering is overruled by a plain store.
#[inline]
fn settle<R: RelaxStrategy>(region: Region<'_>, budget: &mut Budget) -> Control {
    let now = region.control(Ordering::Acquire);
    if now.phase() == Phase::Idle { now } else { settle_batch::<R>(region, budget) }
}

/// Like [`settle`], for a table that is not idle.
#[cold]
#[inline(never)]
fn settle_batch<R: RelaxStrategy>(region: Region<'_>, budget: &mut Budget) -> Control {
    let word = region.control_word();
    loop {
        let now = region.control(Ordering::Acquire);
        match now.phase() {
            Phase::Idle => return now,
            Phase::Staging => {
                if Budget::spend(&mut budget.waits) {
                    R::relax();
                    continue;
                }
                exchange(word, now, now.advanced(PHASE_ABORTED, 1));
            }
            Phase::Writing => complete(region, now),
            Phase::Committed | Phase::Aborted => resolve(region, now, Seat::Owner),
            // Only the owner retires a region, and not this one.
            Phase::Retired | Phase::Corrupt => {
                exchange(word, now, now.to(PHASE_IDLE));
            }
        }
        if !Budget::spend(&mut budget.tries) {
            let forced = now.to(PHASE_IDLE);
            word.store(forced.0, Ordering::Release);
            return forced;
        }
    }
}

/// Owner: writes one slot in a section of its own. `word` makes the new word
/// from the old one (not staged) and the section's sequence. Callers hold the owner's
/// private lock.
///
/// With a `generation`, writes only while that is the last decided one, and
/// returns false otherwise: what the caller found out before may be outdated.
pub(crate) fn publish<R: RelaxStrategy>(
    region: Region<'_>,
    slot: u32,
    patience: u32,
    generation: Option<u32>,
    word: impl Fn(SlotWord, u64) -> SlotWord,
) -> bool {
    let Some(cell) = region.slot(slot) else { return true };
    let control = region.control_word();
    let mut budget = Budget { waits: patience, tries: TRANSITIONS };
    loop {
        let idle = settle::<R>(region, &mut budget);
        if generation.is_some_and(|generation| generation != idle.decided()) {
            return false;
        }
        let open = idle.to(PHASE_WRITING);
        let old = cell.load(Ordering::Relaxed);
        let new = word(SlotWord(old), open.sequence()).0;
        // Pairs with the acquire fence in `complete`: a helper that sees this
        // intent also sees that the section before it is over.
        fence(Ordering::Release);
        let [intent_slot, intent_old, intent_new] = region.intent();
        intent_slot.store(u64::from(slot), Ordering::Relaxed);
        intent_old.store(old, Ordering::Relaxed);
        intent_new.store(new, Ordering::Relaxed);
        // Release inside: whoever sees `Writing` sees the intent.
        if exchange(control, idle, open) {
            // Release pairs with the readers' acquire fence: who sees the new
            // word sees at least `Writing`. Fails if somebody helped.
            let _ = cell.compare_exchange(old, new, Ordering::Release, Ordering::Relaxed);
            exchange(control, open, open.to(PHASE_IDLE));
            return true;
        }
        if !Budget::spend(&mut budget.tries) {
            cell.store(new, Ordering::Release);
            return true;
        }
    }
}

/// Owner: writes a slot that has no badge and gets none. A section is not needed,
/// because only the owner touches such a slot. The tag stays.
#[inline]
pub(crate) fn write_plain(cell: &AtomicU64, word: impl Fn(u64) -> SlotWord) {
    let tag = SlotWord(cell.load(Ordering::Relaxed)).tag();
    // Release pairs with the fence of a snapshot: a reader that sees this word sees the
    // section that took the badge out before.
    cell.store(word(tag).0, Ordering::Release);
}

/// Owner: writes a slot of a region that no monitor sees.
pub(crate) fn write_unshared(cell: &AtomicU64, word: impl Fn(SlotWord, u64) -> SlotWord) {
    let old = SlotWord(cell.load(Ordering::Relaxed));
    // Release pairs with the load in `read_slot`.
    cell.store(word(old, 0).0, Ordering::Release);
}

/// Owner: asks monitors not to begin a batch while `work` is done. Callers hold
/// the owner's private lock.
pub(crate) fn quietly<O>(region: Region<'_>, work: impl FnOnce() -> O) -> O {
    let before = region.quiet().load(Ordering::Relaxed);
    region.quiet().store(1, Ordering::Relaxed);
    let result = work();
    region.quiet().store(before, Ordering::Relaxed);
    result
}

/// Owner: finishes whatever was going on when the memory was saved.
pub(crate) fn quiesce<R: RelaxStrategy>(region: Region<'_>, patience: u32) {
    region.quiet().store(0, Ordering::Relaxed);
    settle::<R>(region, &mut Budget { waits: patience, tries: TRANSITIONS });
}

/// Owner: closes the region for good, since its table has moved. Monitors find
/// out at their next transition. Callers hold the owner's private lock.
pub(crate) fn retire<R: RelaxStrategy>(region: Region<'_>, patience: u32) -> Control {
    let mut budget = Budget { waits: patience, tries: TRANSITIONS };
    loop {
        let idle = settle::<R>(region, &mut budget);
        let retired = idle.to(PHASE_RETIRED);
        if exchange(region.control_word(), idle, retired) {
            return retired;
        }
        if !Budget::spend(&mut budget.tries) {
            region.control_word().store(retired.0, Ordering::Release);
            return retired;
        }
    }
}

/// Owner: fills `region`, which nobody sees yet, with what `old` holds under its
/// last control word.
pub(crate) fn continue_in(region: Region<'_>, old: Region<'_>, retired: Control) {
    region.clear();
    for (from, to) in old.slots().iter().zip(region.slots()) {
        let word = SlotWord(from.load(Ordering::Relaxed)).settled(retired);
        to.store(word.0, Ordering::Relaxed);
    }
    // The sequence goes on, so the tags stay younger than all before.
    let control = Control::new(PHASE_IDLE, retired.sequence() + 1, retired.decided());
    region.control_word().store(control.0, Ordering::Relaxed);
}

/// Either side: finishes the write section `open` of an owner that stopped.
pub(crate) fn complete(region: Region<'_>, open: Control) {
    let [slot, old, new] = region.intent().map(|word| word.load(Ordering::Relaxed));
    // Pairs with the release fence in `publish`.
    fence(Ordering::Acquire);
    if region.control(Ordering::Relaxed) != open {
        return;
    }
    if let Some(cell) = usize::try_from(slot).ok().and_then(|slot| region.slots().get(slot)) {
        let _ = cell.compare_exchange(old, new, Ordering::Release, Ordering::Relaxed);
    }
    exchange(region.control_word(), open, open.to(PHASE_IDLE));
}

/// Either side: rolls a decided batch forward or back over the whole table.
pub(crate) fn resolve(region: Region<'_>, decided: Control, seat: Seat) {
    if announce(region, decided, seat) {
        for cell in region.slots() {
            resolve_slot(cell, decided);
        }
    }
    conclude(region, decided, seat);
}

/// Announces to resolve the batch `decided`; false if that is over already.
pub(crate) fn announce(region: Region<'_>, decided: Control, seat: Seat) -> bool {
    region.seat(seat).store(decided.batch() + 1, Ordering::Relaxed);
    // Pairs with the fence in `begin`: either `begin` sees the announcement, or
    // the load below sees that the batch is over.
    fence(Ordering::SeqCst);
    region.control(Ordering::Relaxed) == decided
}

/// Withdraws the announcement and closes the batch.
pub(crate) fn conclude(region: Region<'_>, decided: Control, seat: Seat) {
    region.seat(seat).store(0, Ordering::Release);
    exchange(region.control_word(), decided, decided.to(PHASE_IDLE));
}

/// Rolls one slot of a decided batch forward or back.
///
/// Tried again if the slot changes meanwhile: the monitor whose batch was
/// aborted may stage it at the last moment, another resolver may be faster.
/// More changes than [`SLOT_RESOLUTIONS`] are a hostile peer's.
pub(crate) fn resolve_slot(cell: &AtomicU64, decided: Control) {
    for _ in 0..SLOT_RESOLUTIONS {
        let old = SlotWord(cell.load(Ordering::Acquire));
        let Some(new) = resolved(old, decided) else { return };
        if cell.compare_exchange(old.0, new.0, Ordering::Release, Ordering::Relaxed).is_ok() {
            return;
        }
    }
}

/// What becomes of a slot word when the batch `decided` is rolled forward or
/// back; `None` if it stays.
fn resolved(old: SlotWord, decided: Control) -> Option<SlotWord> {
    let sequence = decided.sequence();
    if old.is_staged() {
        // A late resolver may meet a younger batch: not its business.
        return (old.batch() == decided.batch()).then(|| old.settled(decided));
    }
    // The monitor may still be about to stage any slot in use: a new tag makes
    // that fail.
    let renew = decided.phase() == Phase::Aborted
        && matches!(old.meaning(), Slot::Used(_))
        && old.is_older_than(sequence);
    renew.then(|| old.retagged(sequence))
}

/// Monitor: opens a batch and returns the control word of its staging phase.
///
/// Helps a stopped owner at once; waits up to `patience` calls of `R::relax`
/// for an owner that asks for quiet, and for another monitor's batch, which it
/// then aborts.
///
/// # Errors
/// [`Status::Retired`], [`Status::Corrupt`], [`Status::Busy`].
pub(crate) fn begin<R: RelaxStrategy>(
    region: Region<'_>,
    patience: u32,
) -> Result<Control, Status> {
    let word = region.control_word();
    let mut waited = 0;
    let mut tried = 0;
    while tried < TRANSITIONS {
        let now = region.control(Ordering::Acquire);
        match now.phase() {
            // Only a hint, so that batch after batch does not starve the owner.
            Phase::Idle if waited < patience && region.quiet().load(Ordering::Relaxed) != 0 => {
                waited += 1;
                R::relax();
                continue;
            }
            Phase::Idle => {
                let staging = unannounced(region, now);
                if exchange(word, now, staging) {
                    return Ok(staging);
                }
            }
            Phase::Staging if waited < patience => {
                waited += 1;
                R::relax();
                continue;
            }
            Phase::Staging => {
                exchange(word, now, now.advanced(PHASE_ABORTED, 1));
            }
            Phase::Writing => complete(region, now),
            Phase::Committed | Phase::Aborted => resolve(region, now, Seat::Monitor),
            Phase::Retired => return Err(Status::Retired),
            Phase::Corrupt => return Err(Status::Corrupt),
        }
        tried += 1;
    }
    Err(Status::Busy)
}

/// The staging word after `idle`, under a batch number nobody is resolving.
fn unannounced(region: Region<'_>, idle: Control) -> Control {
    // Pairs with the fence in `announce`.
    fence(Ordering::SeqCst);
    let busy = [Seat::Owner, Seat::Monitor].map(|seat| region.seat(seat).load(Ordering::Relaxed));
    // A generation is even outside of staging. One that is not comes from a
    // hostile peer, and is put right here.
    let first = if idle.generation().is_multiple_of(2) { 1 } else { 2 };
    let mut staging = idle.advanced(PHASE_STAGING, first);
    for steps in [first + 2, first + 4] {
        if busy.contains(&(staging.batch() + 1)) {
            staging = idle.advanced(PHASE_STAGING, steps);
        }
    }
    staging
}

/// Monitor: replaces the slot word `old` by a staged one; false if it has changed.
pub(crate) fn stage(cell: &AtomicU64, old: SlotWord, new: SlotWord) -> bool {
    // Release pairs with the readers' fence: a reader that sees the staged word sees at
    // least `Staging`.
    cell.compare_exchange(old.0, new.0, Ordering::Release, Ordering::Relaxed).is_ok()
}

/// Monitor: decides its batch; false if the owner wanted to write and aborted it.
pub(crate) fn decide(region: Region<'_>, staging: Control, decided: Control) -> bool {
    // Release inside: a party that sees the decision sees all staged words.
    exchange(region.control_word(), staging, decided)
}

/// Reader: what a slot means at one instant, whatever is going on around it.
/// The word returned is not staged.
///
/// `None` if the table changed at each of a bounded number of attempts.
#[inline]
pub(crate) fn read_slot(region: Region<'_>, cell: &AtomicU64) -> Option<SlotWord> {
    // Acquire pairs with the release of the party that wrote the word.
    let word = SlotWord(cell.load(Ordering::Acquire));
    if word.is_staged() { read_staged(region.control_word(), cell) } else { Some(word) }
}

/// Like [`read_slot`], for a slot found staged.
#[cold]
#[inline(never)]
pub(crate) fn read_staged(control: &AtomicU64, cell: &AtomicU64) -> Option<SlotWord> {
    for _ in 0..STAGED_READS {
        let before = Control(control.load(Ordering::Acquire));
        let word = SlotWord(cell.load(Ordering::Relaxed));
        // Pairs with the release of staging and resolving writes: a reader that saw this
        // word sees at least the phase in which it was written.
        fence(Ordering::Acquire);
        if !word.is_staged() || control.load(Ordering::Relaxed) == before.0 {
            return Some(word.settled(before));
        }
    }
    None
}
