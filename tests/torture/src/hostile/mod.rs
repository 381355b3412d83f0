//! Operations under the attack of a peer that acts between any two instructions,
//! always so that the operation has to try again: each loop reaches its bound.
//!
//! The operation must end within a number of instructions that is computed from
//! these bounds, with a status that it documents, and with the peer at rest the
//! table must work. What lies around the regions is out of its reach.

mod operations;
mod peer;

use std::sync::atomic::Ordering::SeqCst;

use cap_map_rs::layout::{
    OFF_BATCH, OFF_COMING, OFF_HIGH_WATER, OFF_QUIET, OFF_SEQUENCE, SLOTS, WORD_BYTES,
};
use cap_map_rs::limits::{
    ATTEMPTS, BATCH_EXCHANGES, LOOK_UPS, LOST_RACES, SLOT_LOOKS, SLOT_READS, SNAPSHOT_PAUSE,
    SNAPSHOTS,
};
use cap_map_rs::word::BatchWord;
use cap_map_rs::{Slot, SlotWord};

use crate::fixture::{CAPACITY, Verdict, WAIT_BUDGET, base, monitor, prepare, word};
use crate::hostile::operations::{ATTACKS, Operation, bounds, failed, operations};
use crate::hostile::peer::{Attack, Peer};
use crate::ptrace::Stepped;
use crate::world::{FIRST_USER, World};

/// What an operation has not returned.
const RUNNING: u64 = u64::MAX;

/// The words of a header.
type HeaderWords = [u64; SLOTS / WORD_BYTES];

fn header(world: World) -> HeaderWords {
    std::array::from_fn(|at| world.words(0)[at].load(SeqCst))
}

/// The peer puts the header right, but for what the owner wrote meanwhile, and releases
/// its claims.
fn mend(world: World, before: &HeaderWords) {
    let (batch, sequence) = (world.batch_word(0), word(world, OFF_SEQUENCE).load(SeqCst));
    for (word, value) in world.words(0).iter().zip(before) {
        word.store(*value, SeqCst);
    }
    word(world, OFF_BATCH).store(BatchWord::new(batch.generation()).0, SeqCst);
    word(world, OFF_SEQUENCE).store(sequence, SeqCst);
    for (offset, value) in [(OFF_COMING, 0), (OFF_QUIET, 0), (OFF_HIGH_WATER, CAPACITY)] {
        word(world, offset).store(u64::from(value), SeqCst);
    }
}

/// With the peer at rest, new badges come and go, and a monitor rewrites them.
fn works(world: World, operation: &Operation) -> Verdict {
    let table = world.table();
    let held = base();
    let mut slots = Vec::new();
    for number in 0..8 {
        let badge = 7000 + 4 * number;
        let slot = table
            .insert(badge)
            .map_err(|status| format!("insert afterwards, number {number}: {status:?}"))?;
        let known = held[slot as usize] != Slot::Free && !operation.frees.contains(&slot);
        if known || slot < FIRST_USER {
            return Err(format!("slot {slot} handed out twice"));
        }
        slots.push((slot, badge));
    }
    for (slot, badge) in slots {
        let rewritten = badge + 1;
        let monitor = monitor(world, usize::from(operation.name == "move"))
            .map_err(|status| format!("attach afterwards: {status:?}"))?;
        let mut words = [SlotWord(0); CAPACITY as usize];
        let snapshot = monitor
            .snapshot(&mut words)
            .map_err(|status| format!("snapshot afterwards: {status:?}"))?;
        if !snapshot.consistent || snapshot.attempts != 1 {
            return Err(format!("afterwards, nobody interferes, but {snapshot:?}"));
        }
        monitor
            .rewrite_one(slot, badge, rewritten)
            .map_err(|refusal| format!("rewrite afterwards: {refusal:?}"))?;
        let found = table.find(rewritten);
        if found != Ok(slot) {
            return Err(format!("find afterwards: {found:?}, not slot {slot}"));
        }
        table.remove(slot).map_err(|status| format!("remove afterwards: {status:?}"))?;
        if let Ok(found) = table.find(rewritten) {
            return Err(format!("removed, but found in slot {found}"));
        }
    }
    Ok(())
}

/// Exposes the operation to the attack; the instructions it took.
fn expose(
    world: World,
    operation: &Operation,
    attack: Attack,
    expected: Option<u64>,
) -> Result<u64, String> {
    prepare(world)?;
    (operation.prepare)(world);
    let before = header(world);
    let returned = &world.ledger().returned;
    returned.store(RUNNING, SeqCst);
    let mut child = Stepped::start(world, operation.act, |result| returned.store(result, SeqCst))?;
    let mut peer = Peer::new(attack, world);
    let bound = (operation.bound)(attack.reach());
    while returned.load(SeqCst) == RUNNING {
        if peer.steps == bound {
            return Err(format!("not over after {bound} instructions"));
        }
        child.go()?;
        peer.act(world, &child)?;
    }
    let result = returned.load(SeqCst);
    let allowed =
        result < 1_000_000 || operation.statuses.iter().any(|status| result == failed(*status));
    if !allowed || expected.is_some_and(|expected| result != expected) {
        return Err(format!("returned {result}"));
    }
    mend(world, &before);
    works(world, operation)?;
    Ok(peer.steps)
}

/// Exposes operations to attacks: `which` is `hostile`, `hostile/OPERATION`,
/// `hostile/OPERATION/ATTACK`, or `all`. Those that reach a bound come first, then
/// one of `stride * stride` others. Returns how many, and the failures.
pub(crate) fn main(
    world: World,
    which: &str,
    stride: u64,
    offset: u64,
) -> Result<(u64, Vec<String>), String> {
    let operations = operations();
    let bounds = bounds();
    let of = |name: &str| operations.iter().find(|operation| operation.name == name);
    let mut cases = Vec::new();
    for (name, attack, expected) in &bounds {
        cases.push((of(name).ok_or("no such operation")?, *attack, *expected));
    }
    let others = operations.iter().flat_map(|operation| ATTACKS.map(|attack| (operation, attack)));
    let reaches_none = |(operation, attack): &(&Operation, Attack)| {
        !bounds.iter().any(|(name, of, _)| *name == operation.name && of.name == attack.name)
    };
    for (number, (operation, attack)) in (offset..).zip(others.filter(reaches_none)) {
        let chosen = number % (stride * stride) == 0;
        // A pass over the table at each attempt takes long.
        if chosen && (stride == 1 || !attack.reach().generations) {
            cases.push((operation, attack, None));
        }
    }
    let (mut exposed, mut instructions, mut failures) = (0, 0, Vec::new());
    for (operation, attack, expected) in cases {
        let name = format!("hostile/{}/{}", operation.name, attack.name);
        if which != "all" && !format!("{name}/").starts_with(&format!("{which}/")) {
            continue;
        }
        exposed += 1;
        match expose(world, operation, attack, expected) {
            Ok(steps) => {
                instructions += steps;
                if which != "all" {
                    let bound = (operation.bound)(attack.reach());
                    println!("step: {name}: {steps} instructions of at most {bound}");
                }
            }
            Err(text) => failures.push(format!("{name}: {text}")),
        }
    }
    println!("step: hostile: {exposed} attacks, {instructions} instructions");
    Ok((exposed, failures))
}

// The instructions of one round of each loop in cap_map_rs, about twice as many as
// counted in the code of the release profile.

/// An exchange of the batch word that fails, or a wait, with what leads to it.
const EXCHANGE: u64 = 192;
/// A look-up in an index that need not be rebuilt; any function but for its loops.
pub(crate) const LOOK_UP: u64 = 512;
/// All slots: scanned, copied, or filed anew.
pub(crate) const PASS: u64 = CAPACITY as u64 * 128;
/// A look at a slot with two badges.
const LOOK: u64 = 32;
/// The pauses between snapshots, each twice as long as the one before.
const PAUSES: u64 = 4 * (SNAPSHOT_PAUSE * ((2 << SNAPSHOTS) - 2)) as u64;
/// Slots with two badges that one look-up may have to look at.
const CANDIDATES: u64 = 2;

/// What a peer can force an operation to repeat.
#[derive(Clone, Copy)]
pub(crate) struct Reach {
    /// The generation moves on.
    pub(crate) generations: bool,
}

impl Reach {
    /// The batch word is exchanged, or waited for.
    pub(crate) fn exchanges(self) -> u64 {
        (u64::from(BATCH_EXCHANGES) + u64::from(WAIT_BUDGET)) * EXCHANGE
    }

    pub(crate) fn read(self) -> u64 {
        LOOK * if self.generations { u64::from(SLOT_READS) } else { 2 }
    }

    pub(crate) fn look_up(self) -> u64 {
        LOOK_UP + CANDIDATES * self.read() + if self.generations { PASS } else { 0 }
    }

    /// Look-ups of one call.
    fn rounds(self) -> u64 {
        1 + if self.generations { u64::from(LOOK_UPS) } else { 0 }
    }

    pub(crate) fn find(self) -> u64 {
        // Without the lock and with it.
        2 * self.rounds() * self.look_up()
    }

    /// A badge is taken out of the index and of its slot.
    pub(crate) fn write(self) -> u64 {
        self.look_up() + self.read()
    }

    /// A badge is put into a slot and into the index.
    pub(crate) fn file(self) -> u64 {
        self.rounds() * (self.look_up() + u64::from(WAIT_BUDGET) * EXCHANGE) + PASS
    }

    pub(crate) fn insert_at(self) -> u64 {
        u64::from(1 + LOOK_UPS) * (self.find() + 2 * self.write() + self.file())
    }

    pub(crate) fn insert_map(self) -> u64 {
        u64::from(LOST_RACES) * (3 * self.find() + self.write() + self.file())
    }

    pub(crate) fn snapshot(self) -> u64 {
        u64::from(SNAPSHOTS) * PASS + PAUSES + u64::from(CAPACITY) * self.read()
    }

    pub(crate) fn rewrite(self) -> u64 {
        // The claim and its release; for each attempt its beginning, quiet and the scan.
        let attempt = self.exchanges() + u64::from(1 + SLOT_LOOKS) * PASS;
        2 * self.exchanges() + u64::from(ATTEMPTS) * attempt
    }
}
