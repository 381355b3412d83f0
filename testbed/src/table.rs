//! A table in bytes, as from a file: its entries.

use cap_map_rs::sync::{AtomicU64, RelaxStrategy};
use cap_map_rs::{Geometry, Monitor, Region, Slot, SlotWord, Status, layout};

/// What this program does while it waits inside the table's code: it gives the processor to somebody else.
pub(crate) struct Yield;

impl RelaxStrategy for Yield {
    fn relax() {
        std::thread::yield_now();
    }
}

/// Bytes in front of slot 0.
pub(crate) const HEADER_BYTES: usize = layout::SLOTS;

/// A table that does not change any more.
pub(crate) struct Table {
    pub(crate) geometry: Geometry,
    /// What each slot holds.
    pub(crate) slots: Vec<Slot>,
}

/// The table in the bytes of a region; what lies behind it is ignored.
pub(crate) fn read(bytes: &[u8]) -> Result<Table, Status> {
    let (words, _) = bytes.as_chunks::<{ layout::WORD_BYTES }>();
    let words: Vec<_> =
        words.iter().map(|word| AtomicU64::new(u64::from_ne_bytes(*word))).collect();
    if words.len() < HEADER_BYTES / layout::WORD_BYTES + layout::MIN_CAPACITY {
        return Err(Status::TooSmall);
    }
    let region = Region::new(&words).ok_or(Status::TooSmall)?;
    let monitor = Monitor::<Yield>::attach(region, 0)?;
    let mut copy = vec![SlotWord(0); monitor.geometry().capacity as usize];
    monitor.snapshot(&mut copy)?;
    Ok(Table {
        geometry: *monitor.geometry(),
        slots: copy.iter().map(|word| word.meaning()).collect(),
    })
}

impl Table {
    /// Slot and badge of each slot that carries one, also of detached slots.
    pub(crate) fn badges(&self) -> impl Iterator<Item = (u32, u32)> {
        (0u32..).zip(&self.slots).filter_map(|(slot, content)| match *content {
            Slot::Used(badge) | Slot::Detached(badge) => Some((slot, badge)),
            _ => None,
        })
    }

    /// One line for the header, and one for each slot that is not free. Without a
    /// frame, so that programs can read them: `tools/read_region` prints the same
    /// lines, and is compared with this.
    pub(crate) fn lines(&self) -> impl Iterator<Item = String> {
        let geometry = &self.geometry;
        let printable = |c: char| if c.is_control() { '?' } else { c };
        let header = format!(
            "label={} capacity={} first_user={} shift={} badge_bits={}",
            geometry.label().chars().map(printable).collect::<String>(),
            geometry.capacity,
            geometry.first_user,
            geometry.shift,
            geometry.badge_bits,
        );
        let slots = (0u32..).zip(&self.slots).filter_map(move |(slot, content)| {
            let (state, badge) = match *content {
                Slot::Free => return None,
                Slot::Reserved => ("reserved", 0),
                Slot::Used(badge) if geometry.is_static(slot) => ("static", badge),
                Slot::Used(badge) => ("used", badge),
                Slot::Detached(badge) => ("detached", badge),
                Slot::Corrupt => ("corrupt", 0),
            };
            Some(format!("{slot} {:#x} {state} {badge}", u64::from(slot) << geometry.shift))
        });
        std::iter::once(header).chain(slots)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// The example of `doc/layout.md`.
    pub(crate) fn golden_region() -> Vec<u8> {
        let mut bytes = vec![0; HEADER_BYTES + 64 * 8];
        let words: [(usize, u64); 15] = [
            (0x00, layout::MAGIC),
            (0x08, 1),
            (0x10, 0x400),
            (0x18, 64),
            (0x20, 4),
            (0x28, 12),
            (0x30, 28),
            (0x38, 0x200),
            (0x80, 0x0000_0200_0000_0040),
            (0xc0, 6),
            (0xc8, 0x4000_0020_0000_0002),
            (0x208, 0x4000_0010_0000_0001),
            (0x220, 0x4000_0028_0000_0007),
            (0x228, 0x2000_0000_0000_0000),
            (0x230, 0x6000_0020_0000_0005),
        ];
        for (at, word) in words {
            bytes[at..at + 8].copy_from_slice(&word.to_ne_bytes());
        }
        bytes[0x40..0x46].copy_from_slice(b"golden");
        bytes
    }

    #[test]
    fn golden_region_prints_as_documented() {
        let lines: Vec<_> = read(&golden_region()).unwrap().lines().collect();
        assert_eq!(
            lines,
            [
                "label=golden capacity=64 first_user=4 shift=12 badge_bits=28",
                "1 0x1000 static 8",
                "4 0x4000 used 20",
                "5 0x5000 reserved 0",
                "6 0x6000 detached 16",
            ]
        );
    }

    #[test]
    fn labels_do_not_control_the_terminal() {
        let mut bytes = golden_region();
        bytes[0x41] = 0x1b;
        bytes[0x42] = b'\n';
        let line = read(&bytes).unwrap().lines().next().unwrap();
        assert!(line.starts_with("label=g??den "), "{line}");
    }
}
