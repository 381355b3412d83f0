//! The seqlock: writes of the owner, batches of a monitor, and how both are read. All
//! transitions of the words that both sides share are here.
//!
//! Each slot word holds two badges. The lowest bit of the generation, in the batch word,
//! says which of them counts. The owner writes both with plain stores, between two
//! stores of its sequence, and waits for nobody. A monitor puts new badges into the
//! places that do not count, and decides the batch by one exchange of the batch word
//! (the flip). A monitor that stops anywhere leaves nothing to repair: a badge that does
//! not count changes no meaning.
//!
//! The reads follow H.-J. Boehm, "Can seqlocks get along with programming language
//! memory models?" (MSPC 2012). The words are atomic. A reader loads them relaxed,
//! executes an acquire fence, and loads sequence and generation once more.
//!
//! # Why no badge is ever in two slots
//! An owner that puts a badge into a slot announces it (`coming`), then clears
//! `undisturbed`, and then looks at the generation. A monitor sets `undisturbed`, then
//! looks at `coming`, scans the table, and flips only while `undisturbed` is set.
//! Clearing and setting are read-modify-writes of one word, so one comes first:
//! * The owner clears first. The scan sees the announcement, or the slot that carries
//!   the badge, and refuses a batch that gives the badge to another slot. A batch that
//!   takes the badge from the slot where it is found may give it to another slot.
//! * The owner clears between setting and flip. The flip fails.
//! * The owner clears after the flip. Its look finds another generation, and it makes
//!   its look-up again.
//!
//! # Orderings
//! Each site has the name that `doc/design.md` gives it; "with" names its partners.
//! Read-modify-writes continue each other's release sequences, so a reader of the batch
//! word is ordered behind each release before the value that it sees.

use core::iter::repeat;

use crate::layout::{BATCH_RETIRED, BATCH_UNDISTURBED};
use crate::limits::{BATCH_EXCHANGES, SLOT_READS};
use crate::region::Region;
use crate::status::Status;
use crate::sync::{AtomicU64, Ordering, RelaxStrategy, fence};
use crate::word::{BatchWord, SlotWord};

// The owner. Callers hold its private lock.

/// Owner: writes one slot.
#[inline]
pub(crate) fn write(region: Region<'_>, cell: &AtomicU64, word: SlotWord) {
    let sequence = region.sequence();
    // The sequence is odd already if a write was cut off in a restored memory image, or
    // if a hostile monitor made it so.
    let odd = sequence.load(Ordering::Relaxed) | 1;
    // O0, with R2: a reader that sees this value sees the writes before this one.
    sequence.store(odd, Ordering::Release);
    // O1, with R3, F1, F3: a reader that sees the word sees the odd sequence.
    store_slot(cell, word);
    // O2, with R2: a reader that sees this value sees the word.
    sequence.store(odd.wrapping_add(1), Ordering::Release);
}

#[inline]
#[cfg(not(loom))]
fn store_slot(cell: &AtomicU64, word: SlotWord) {
    cell.store(word.0, Ordering::Release);
}

/// loom lets a reader see a plain store in front of what a concurrent exchange read.
/// In C++11's model the two are neighbours in modification order. A swap is, too, in
/// loom. `tests/spin` models the store.
#[cfg(loom)]
fn store_slot(cell: &AtomicU64, word: SlotWord) {
    cell.swap(word.0, Ordering::Release);
}

/// Owner: lets a slot carry `badge`, unless a batch was decided since `generation`.
/// Returns whether it did. What the caller looked up in that generation may be outdated
/// otherwise.
///
/// A monitor that is about to decide a batch gets up to `wait_budget` calls of
/// `R::relax`. Then the write disturbs its attempt.
#[inline]
pub(crate) fn put<R: RelaxStrategy>(
    region: Region<'_>,
    cell: &AtomicU64,
    badge: u32,
    generation: u64,
    wait_budget: u32,
) -> bool {
    if region.batch(Ordering::Relaxed).is_attempted() {
        outlast_attempt::<R>(region, wait_budget);
    }
    let coming = region.coming();
    // O3a, with M3: a monitor that sees the badge that came before it sees its slot.
    coming.store(u64::from(badge), Ordering::Release);
    // O4, with M2: a monitor that begins its attempt behind this sees the announcement.
    region.batch_word().fetch_and(!BATCH_UNDISTURBED, Ordering::Release);
    // Relaxed: coherence makes it as new as the line above, at least.
    let unchanged = region.batch(Ordering::Relaxed).generation() == generation;
    if unchanged {
        write(region, cell, SlotWord::used(badge));
    }
    // O3b, with M3: a monitor that sees no announcement sees the slot.
    coming.store(0, Ordering::Release);
    unchanged
}

/// Owner: waits a while for a monitor to end its attempt, unless it has asked for quiet,
/// as the monitor waits then.
#[cold]
#[inline(never)]
fn outlast_attempt<R: RelaxStrategy>(region: Region<'_>, wait_budget: u32) {
    if region.quiet().load(Ordering::Relaxed) != 0 {
        return;
    }
    for _ in 0..wait_budget {
        if !region.batch(Ordering::Relaxed).is_attempted() {
            return;
        }
        R::relax();
    }
}

/// Owner: asks monitors not to begin an attempt while `work` is done. Such work does not
/// contain another one.
pub(crate) fn quietly<O>(region: Region<'_>, work: impl FnOnce() -> O) -> O {
    region.quiet().store(1, Ordering::Relaxed);
    let result = work();
    region.quiet().store(0, Ordering::Relaxed);
    result
}

/// Owner: closes the region for good, since its table moves. No batch is decided from
/// now on. The word returned says which badges count.
pub(crate) fn retire(region: Region<'_>) -> BatchWord {
    // V1, with M6: this side sees what was staged for the last batch. The old value is not
    // asked for: an x86 processor has no instruction for that, so that a loop would go on
    // as long as a hostile monitor changes the word.
    region.batch_word().fetch_or(BATCH_RETIRED, Ordering::Acquire);
    // Relaxed: coherence makes it as new as the line above, at least.
    region.batch(Ordering::Relaxed)
}

/// Owner: fills `region`, which nobody sees yet, with what the first `mark` slots of
/// `old` hold under its last batch word. All other slots are zeroed.
pub(crate) fn continue_in(region: Region<'_>, old: Region<'_>, retired: BatchWord, mark: u32) {
    let bank = retired.bank();
    let written = old.slots().iter().take(mark as usize);
    let words = written.map(|cell| SlotWord(cell.load(Ordering::Relaxed)).settled(bank));
    for (cell, word) in region.slots().iter().zip(words.chain(repeat(SlotWord::FREE))) {
        cell.store(word.0, Ordering::Relaxed);
    }
    let batch = BatchWord::new(retired.generation());
    region.batch_word().store(batch.0, Ordering::Relaxed);
    // The sequence goes on, so that it tells one table from the other.
    let sequence = (old.sequence().load(Ordering::Relaxed) | 1).wrapping_add(1);
    region.sequence().store(sequence, Ordering::Relaxed);
    region.high_water().store(u64::from(mark), Ordering::Relaxed);
}

/// Owner: takes back what it was about to do when the memory was saved. The claim of a
/// monitor stays: whether that monitor is alive, the owner does not know.
pub(crate) fn recover(region: Region<'_>) {
    region.coming().store(0, Ordering::Relaxed);
    region.quiet().store(0, Ordering::Relaxed);
    region.batch_word().fetch_and(!BATCH_RETIRED, Ordering::Relaxed);
    let sequence = region.sequence();
    let even = (sequence.load(Ordering::Relaxed) | 1).wrapping_add(1);
    sequence.store(even, Ordering::Release);
}

// The monitor.

/// Monitor: claims the table, and begins the first attempt of a batch. A monitor that
/// holds the claim gets up to `wait_budget` calls of `R::relax`.
///
/// # Errors
/// [`Status::Retired`], [`Status::Busy`].
pub(crate) fn claim<R: RelaxStrategy>(
    region: Region<'_>,
    wait_budget: u32,
) -> Result<BatchWord, Status> {
    let (mut waited, mut tried) = (0, 0);
    while tried < BATCH_EXCHANGES {
        let now = region.batch(Ordering::Relaxed);
        if now.is_retired() {
            return Err(Status::Retired);
        }
        if now.is_claimed() {
            if waited == wait_budget {
                break;
            }
            waited += 1;
            R::relax();
            continue;
        }
        // M1, with M8: this side sees what the last holder of the claim left.
        if let Some(claimed) = exchange(region, now, now.claimed(), Ordering::Acquire) {
            return Ok(claimed);
        }
        tried += 1;
    }
    Err(Status::Busy)
}

/// Monitor: takes the claim away from a monitor that will not use it any more.
///
/// # Errors
/// [`Status::Retired`]; [`Status::Busy`] if the word changed at every attempt.
pub(crate) fn take_over(region: Region<'_>) -> Result<(), Status> {
    for _ in 0..BATCH_EXCHANGES {
        let now = region.batch(Ordering::Relaxed);
        if now.is_retired() {
            return Err(Status::Retired);
        }
        if !now.is_claimed() {
            return Ok(());
        }
        // The next claim has another number, so that all exchanges of the last holder fail.
        // Relaxed: the caller knows that the last holder is dead, and so sees what it staged.
        // This continues the release sequences of flips and releases before.
        if exchange(region, now, now.released(), Ordering::Relaxed).is_some() {
            return Ok(());
        }
    }
    Err(Status::Busy)
}

/// Monitor: begins an attempt under the claim `held`. Returns the batch word that a
/// flip has to find.
///
/// # Errors
/// [`Status::Retired`]; [`Status::Busy`] if another monitor has taken over.
pub(crate) fn begin_attempt(region: Region<'_>, held: BatchWord) -> Result<BatchWord, Status> {
    for _ in 0..BATCH_EXCHANGES {
        let now = region.batch(Ordering::Relaxed);
        check_claim(now, held)?;
        if now.is_attempted() {
            // The claim began it, and the owner has not disturbed it since.
            return Ok(now);
        }
        // M2, with O4: this side sees the announcement of a badge that disturbed it.
        if let Some(begun) = exchange(region, now, now.attempted(), Ordering::Acquire) {
            return Ok(begun);
        }
    }
    Err(Status::Busy)
}

/// Whether the claim `held` is still held.
///
/// # Errors
/// [`Status::Retired`]; [`Status::Busy`] if another monitor has taken over.
pub(crate) fn check_claim(now: BatchWord, held: BatchWord) -> Result<(), Status> {
    let is_ours =
        now.is_claimed() && now.claim() == held.claim() && now.generation() == held.generation();
    match (now.is_retired(), is_ours) {
        (true, _) => Err(Status::Retired),
        (false, true) => Ok(()),
        (false, false) => Err(Status::Busy),
    }
}

/// Monitor: the badge that the owner is about to put into a slot; zero for none. Asked
/// in each attempt, behind its beginning and in front of the scan.
pub(crate) fn coming_badge(region: Region<'_>) -> u64 {
    // M3, with O3a and O3b: this side sees the slots of all badges announced before.
    region.coming().load(Ordering::Acquire)
}

/// Monitor: replaces the slot word `old` by one that means the same in the bank that
/// counts. Returns false if the owner has changed the word.
#[inline]
pub(crate) fn stage(cell: &AtomicU64, old: SlotWord, new: SlotWord) -> bool {
    // M5, with F3, R3: a reader that sees the word in the next bank sees the flip before.
    cell.compare_exchange(old.0, new.0, Ordering::Release, Ordering::Relaxed).is_ok()
}

/// Monitor: decides the batch. Returns false if anything happened to the batch word
/// since the attempt began.
pub(crate) fn flip(region: Region<'_>, attempt: BatchWord) -> bool {
    // M6, with R1, F2, O5, V1: a party that sees the generation sees the new badges.
    exchange(region, attempt, attempt.flipped(), Ordering::Release).is_some()
}

/// Monitor: makes both badges of a rewritten slot the new one. Returns false if the
/// owner has changed the word since it was staged.
#[inline]
pub(crate) fn settle(cell: &AtomicU64, staged: SlotWord, settled: SlotWord) -> bool {
    // M7, with F1, F3, R3: a reader that sees the new badge sees the flip.
    cell.compare_exchange(staged.0, settled.0, Ordering::Release, Ordering::Relaxed).is_ok()
}

/// Monitor: gives the claim back, if it is still its own.
pub(crate) fn release(region: Region<'_>, held: BatchWord) {
    for _ in 0..BATCH_EXCHANGES {
        let now = region.batch(Ordering::Relaxed);
        if !now.is_claimed() || now.claim() != held.claim() {
            return;
        }
        // M8, with M1: the next holder sees what this one left.
        if exchange(region, now, now.released(), Ordering::Release).is_some() {
            return;
        }
    }
}

/// Replaces the batch word `old`; `None` if it has changed.
#[inline]
fn exchange(
    region: Region<'_>,
    old: BatchWord,
    new: BatchWord,
    order: Ordering,
) -> Option<BatchWord> {
    let word = region.batch_word();
    word.compare_exchange(old.0, new.0, order, Ordering::Relaxed).ok().map(|_| new)
}

// Both sides.

/// Reader: what a slot means at one instant, whatever is going on around it.
/// Both badges of the word returned are the same.
///
/// `None` if batches were decided at each of a bounded number of looks.
#[inline]
pub(crate) fn read_slot(region: Region<'_>, cell: &AtomicU64) -> Option<SlotWord> {
    // F1, with O1, M7: this side sees what the component did for the slot before.
    let word = SlotWord(cell.load(Ordering::Acquire));
    if word.is_settled() { Some(word) } else { read_unsettled(region.batch_word(), cell) }
}

/// Like [`read_slot`]. If batches are decided at each look, the badge is one of the two
/// that the slot has at one instant.
#[inline]
pub(crate) fn read_slot_at_last(region: Region<'_>, cell: &AtomicU64) -> SlotWord {
    read_slot(region, cell).unwrap_or_else(|| {
        let bank = region.batch(Ordering::Acquire).bank();
        SlotWord(cell.load(Ordering::Relaxed)).settled(bank)
    })
}

/// Like [`read_slot`], for a slot found with two badges.
///
/// One look at the generation is not enough, neither before the word nor after it:
/// both find badges that the slot has never carried.
#[cold]
#[inline(never)]
pub(crate) fn read_unsettled(batch: &AtomicU64, cell: &AtomicU64) -> Option<SlotWord> {
    for _ in 0..SLOT_READS {
        // F2, with M6: this side sees the new badges of the last batch.
        let before = BatchWord(batch.load(Ordering::Acquire));
        let word = SlotWord(cell.load(Ordering::Relaxed));
        // F3, with O1, M5, M7: if the word is of a later batch, the look below shows it.
        fence(Ordering::Acquire);
        let after = BatchWord(batch.load(Ordering::Relaxed));
        if word.is_settled() || before.generation() == after.generation() {
            return Some(word.settled(before.bank()));
        }
    }
    None
}
