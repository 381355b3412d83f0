//! The entries of the badge index, two or four bytes each.
//!
//! Two bytes are enough for tables of fewer than 65,535 slots, which is what components
//! have. Core has larger tables.

use crate::sync::{AtomicU16, AtomicU32, Ordering};

/// Entries wide enough for the table's slot numbers; their number is a power of two.
pub(crate) enum Entries<'m> {
    Narrow(&'m [AtomicU16]),
    Wide(&'m [AtomicU32]),
}

/// An entry of either width.
pub(crate) trait Entry {
    /// Acquire pairs with the release in `set`: a reader that finds a slot here sees it
    /// filled.
    fn get(&self) -> u32;
    fn set(&self, value: u32);
}

impl Entry for AtomicU16 {
    #[inline]
    fn get(&self) -> u32 {
        u32::from(self.load(Ordering::Acquire))
    }

    #[inline]
    #[allow(clippy::cast_possible_truncation)] // used only where all slot numbers fit
    fn set(&self, value: u32) {
        self.store(value as u16, Ordering::Release);
    }
}

impl Entry for AtomicU32 {
    #[inline]
    fn get(&self) -> u32 {
        self.load(Ordering::Acquire)
    }

    #[inline]
    fn set(&self, value: u32) {
        self.store(value, Ordering::Release);
    }
}

impl Entries<'_> {
    pub(crate) fn len(&self) -> usize {
        match self {
            Entries::Narrow(entries) => entries.len(),
            Entries::Wide(entries) => entries.len(),
        }
    }

    /// Makes all entries empty.
    pub(crate) fn clear(&self) {
        match self {
            Entries::Narrow(entries) => entries.iter().for_each(|entry| entry.set(0)),
            Entries::Wide(entries) => entries.iter().for_each(|entry| entry.set(0)),
        }
    }

    #[inline]
    pub(crate) fn get(&self, at: usize) -> u32 {
        match self {
            Entries::Narrow(entries) => get(entries, at),
            Entries::Wide(entries) => get(entries, at),
        }
    }

    #[inline]
    pub(crate) fn set(&self, at: usize, value: u32) {
        match self {
            Entries::Narrow(entries) => set(entries, at, value),
            Entries::Wide(entries) => set(entries, at, value),
        }
    }
}

/// Sets the entry at a place; does nothing outside.
#[inline]
pub(crate) fn set(entries: &[impl Entry], at: usize, value: u32) {
    if let Some(entry) = entries.get(at) {
        entry.set(value);
    }
}

/// The entry at a place; empty outside.
#[inline]
pub(crate) fn get(entries: &[impl Entry], at: usize) -> u32 {
    entries.get(at).map_or(0, Entry::get)
}

/// The mask that wraps a place around. The number of entries is a power of two.
#[inline]
pub(crate) fn mask(entries: &[impl Entry]) -> usize {
    entries.len().wrapping_sub(1)
}

/// The entries at a hash's home and behind it.
#[inline]
pub(crate) fn pair(entries: &[impl Entry], home: usize) -> (u32, u32) {
    let mask = mask(entries);
    (get(entries, home & mask), get(entries, (home + 1) & mask))
}
