//! What the owner's threads say in the ledger about themselves: the operation in
//! progress, and what each slot was handed out for.

use std::sync::atomic::Ordering::SeqCst;

use crate::ledger::Ledger;
use crate::world::{BADGES, World};

/// Set in the capability of a badge that a monitor has exchanged for another one.
pub(crate) const SWAPPED: u32 = 1 << 31;

/// What a lane is doing; zero is nothing.
pub(crate) struct Op;

impl Op {
    /// Looks at the table only.
    pub(crate) const LOOK: u32 = 1;
    /// Allocates `count` slots.
    pub(crate) const ALLOC: u32 = 2;
    /// Frees `count` slots from `slot` on; their claims are gone already.
    pub(crate) const FREE: u32 = 3;
    /// Inserts a new badge, whose capability is `ident`, somewhere.
    pub(crate) const INSERT: u32 = 4;
    /// Gives it to the reserved `slot`.
    pub(crate) const INSERT_AT: u32 = 5;
    /// Removes `slot`, which carries `ident`.
    pub(crate) const REMOVE: u32 = 6;
    /// Takes a reference.
    pub(crate) const ACQUIRE: u32 = 7;
    /// Gives one back; `slot` carries `ident`.
    pub(crate) const RELEASE: u32 = 8;
    /// Enters the incarnation `ident`.
    pub(crate) const INSERT_MAP: u32 = 9;
    /// Gives a reference to an object back, and frees its slot with the last.
    pub(crate) const RELEASE_OBJECT: u32 = 10;
}

/// What a slot was handed out for: kind in bits 40 to 47, lane in 32 to 39,
/// capability in 0 to 31.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Claim {
    /// Nobody.
    None,
    /// Part of a receive window.
    Window(u32),
    /// A capability that this lane inserted.
    Used(u32, u32),
    /// The same, removed while there was a reference.
    Detached(u32, u32),
    /// An incarnation of an object, shared by all lanes.
    Object(u32),
}

impl Claim {
    pub(crate) fn encode(self) -> u64 {
        let (kind, lane, ident) = match self {
            Claim::None => return 0,
            Claim::Window(lane) => (1, lane, 0),
            Claim::Used(lane, ident) => (2, lane, ident),
            Claim::Detached(lane, ident) => (3, lane, ident),
            Claim::Object(ident) => (4, 0, ident),
        };
        kind << 40 | u64::from(lane) << 32 | u64::from(ident)
    }

    pub(crate) fn decode(word: u64) -> Self {
        let lane = u32::from(word.to_le_bytes()[4]);
        let ident = u32::try_from(word & 0xffff_ffff).unwrap_or(0);
        match word >> 40 {
            1 => Claim::Window(lane),
            2 => Claim::Used(lane, ident),
            3 => Claim::Detached(lane, ident),
            4 => Claim::Object(ident),
            _ => Claim::None,
        }
    }
}

/// Badge of an object; a monitor rewrites it at most by itself.
pub(crate) fn object_badge(object: u32) -> u32 {
    4 * (object + 1)
}

/// The object of an incarnation.
pub(crate) fn object_of(incarnation: u32) -> u32 {
    incarnation >> 16
}

/// The incarnation of an object that lives now.
pub(crate) fn living(ledger: &Ledger, object: u32) -> u32 {
    let generation = ledger.alive.get(object as usize).map_or(0, |alive| alive.load(SeqCst));
    object << 16 | (generation & 0x7fff) << 1 | 1
}

/// Whether the object has died since.
pub(crate) fn is_dead(ledger: &Ledger, incarnation: u32) -> bool {
    living(ledger, object_of(incarnation)) != incarnation
}

/// Fresh badge and capability, known to the ledger; `None` if they ran out.
pub(crate) fn fresh(world: World) -> Option<(u32, u32)> {
    let ledger = world.ledger();
    let badge = ledger.next_badge.fetch_add(1, SeqCst);
    let ident = ledger.next_ident.fetch_add(1, SeqCst);
    if badge as usize >= BADGES - 1 {
        ledger.next_badge.store(u32::try_from(BADGES).unwrap_or(0), SeqCst);
        return None;
    }
    world.idents()[badge as usize].store(ident, SeqCst);
    Some((badge, ident))
}
