//! A table in bytes, as from a file: its entries.

use std::io;

use cap_map_rs::sync::{AtomicU64, Ordering, RelaxStrategy};
use cap_map_rs::{Header, Kind, Monitor, Region, Slot, SlotWord, Status, layout};
use serde::Serialize;
use serde_json::Serializer;
use serde_json::ser::Formatter;

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
    pub(crate) header: Header,
    /// What each slot holds. Slot words do not tell reserved slots from free ones.
    pub(crate) slots: Vec<Slot>,
    /// Slots behind the high-water mark whose words are not zero, which no owner writes.
    pub(crate) behind_mark: Vec<u32>,
}

/// The table in the bytes of a region and what lies behind it, which is not looked at.
pub(crate) fn read(bytes: &[u8]) -> Result<Table, Status> {
    let (words, _) = bytes.as_chunks::<{ layout::WORD_BYTES }>();
    let words: Vec<_> =
        words.iter().map(|word| AtomicU64::new(u64::from_ne_bytes(*word))).collect();
    if words.len() < HEADER_BYTES / layout::WORD_BYTES + layout::MIN_CAPACITY {
        return Err(Status::TooSmall);
    }
    let region = Region::new(&words).ok_or(Status::TooSmall)?;
    let monitor = Monitor::<Yield>::attach(region, 0)?;
    // A snapshot ends at the high-water mark. The slots behind it carry no badge.
    let mut copy = vec![SlotWord::FREE; monitor.geometry().capacity as usize];
    let written = monitor.snapshot(&mut copy)?.slots;
    let behind = (0u32..).zip(&words[HEADER_BYTES / layout::WORD_BYTES..]);
    let behind = behind.take(copy.len()).skip(written as usize);
    let behind = behind.filter(|(_, word)| word.load(Ordering::Relaxed) != 0);
    Ok(Table {
        header: *monitor.header(),
        behind_mark: behind.map(|(slot, _)| slot).collect(),
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

    /// One line for the header, and one for each slot that carries a badge, or is corrupt.
    /// Without a frame, so that programs can read them: `doc/layout.md` says what they are,
    /// and `tools/read_region` prints the same ones.
    pub(crate) fn lines(&self) -> impl Iterator<Item = String> {
        let Header { geometry, kind, identity, .. } = &self.header;
        let header = format!(
            "label=\"{}\" kind={} capacity={} first_user={} shift={} badge_bits={} \
             boot={:#018x} instance={} pd={} parent={}",
            escaped(identity.label()),
            match kind {
                Kind::Core => "core",
                Kind::Private => "private",
                Kind::Published => "published",
            },
            geometry.capacity,
            geometry.first_user,
            geometry.shift,
            geometry.badge_bits,
            identity.boot,
            identity.instance,
            identity.pd,
            identity.parent,
        );
        let slots = (0u32..).zip(&self.slots).filter_map(move |(slot, content)| {
            let (state, badge) = match *content {
                Slot::Free | Slot::Reserved => return None,
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

/// A label in a form that neither forges the line nor talks to the terminal: quotes,
/// backslashes and all characters that cannot be seen as what they are become `\u{...}`.
pub(crate) fn escaped(label: &str) -> String {
    let mut text = String::new();
    for c in label.chars() {
        if is_odd(c) { text.extend(c.escape_unicode()) } else { text.push(c) }
    }
    text
}

/// A value as JSON, in one line. Labels are in it as their owners wrote them, but by JSON's own
/// escapes, so that they do not talk to the terminal either.
pub(crate) fn json(value: &impl Serialize) -> anyhow::Result<String> {
    let mut bytes = Vec::new();
    value.serialize(&mut Serializer::with_formatter(&mut bytes, Escaping))?;
    bytes.push(b'\n');
    Ok(String::from_utf8(bytes)?)
}

struct Escaping;

impl Formatter for Escaping {
    fn write_string_fragment<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        for c in fragment.chars() {
            if is_odd(c) {
                let mut units = [0; 2];
                for unit in c.encode_utf16(&mut units) {
                    write!(writer, "\\u{unit:04x}")?;
                }
            } else {
                write!(writer, "{c}")?;
            }
        }
        Ok(())
    }
}

/// Whether the character is a quote, a backslash, or of one of the Unicode categories Cc,
/// Cf, Zl, Zp, Co, Cs and Cn.
fn is_odd(c: char) -> bool {
    match c {
        '"' | '\\' | '\u{2028}' | '\u{2029}' => true,
        '\'' => false,
        _ if c.is_control() => true,
        // What is left of white space is of category Zs.
        _ if c.is_whitespace() => false,
        // The standard library escapes the same categories, and Zs. It does not escape marks
        // behind another character.
        _ => format!("x{c}").escape_debug().nth(1) != Some(c),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// The example of `doc/layout.md`.
    pub(crate) fn golden_region() -> Vec<u8> {
        let mut bytes = vec![0; HEADER_BYTES + 64 * 8];
        let words: [(usize, u64); 20] = [
            (0x00, layout::MAGIC),
            (0x08, 2),
            (0x10, 0x400),
            (0x18, 64),
            (0x20, 4),
            (0x28, 12),
            (0x30, 28),
            (0x38, 0x200),
            (0x80, 0x0000_0000_0018_0010),
            (0xc0, 12),
            (0xd0, 7),
            (0x100, 3),
            (0x108, 0x0123_4567_89ab_cdef),
            (0x110, 7),
            (0x118, 24),
            (0x120, 28),
            (0x208, 0x4000_0010_0000_0100),
            (0x220, 0x4000_0028_0000_0280),
            (0x228, 0x4000_0030_0000_0400),
            (0x230, 0x6000_0020_0000_0200),
        ];
        for (at, word) in words {
            bytes[at..at + 8].copy_from_slice(&word.to_ne_bytes());
        }
        bytes[0x40..0x46].copy_from_slice(b"golden");
        sealed(bytes)
    }

    /// The region with the checksum that its header has to have.
    pub(crate) fn sealed(mut bytes: Vec<u8>) -> Vec<u8> {
        let covered = bytes[0x00..0x80].iter().chain(&bytes[0x100..0x140]);
        let sum = covered.fold(0xcbf2_9ce4_8422_2325, |sum: u64, byte| {
            (sum ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3)
        });
        bytes[0x140..0x148].copy_from_slice(&sum.to_ne_bytes());
        bytes
    }

    #[test]
    fn golden_region_prints_as_documented() {
        let lines: Vec<_> = read(&golden_region()).unwrap().lines().collect();
        assert_eq!(
            lines,
            [
                "label=\"golden\" kind=published capacity=64 first_user=4 shift=12 \
                 badge_bits=28 boot=0x0123456789abcdef instance=7 pd=24 parent=28",
                "1 0x1000 static 8",
                "4 0x4000 used 20",
                "5 0x5000 used 32",
                "6 0x6000 detached 16",
            ]
        );
    }

    #[test]
    fn the_golden_checksum_is_the_documented_one() {
        let bytes = golden_region();
        assert_eq!(bytes[0x140..0x148], 0x5148_2fbb_84af_2dbc_u64.to_ne_bytes());
    }

    /// A label is what its owner wrote. It neither forges the line nor talks to the terminal.
    #[test]
    fn labels_are_escaped() {
        for (label, printed) in [
            ("größe -> 容量 e\u{301}", "größe -> 容量 e\u{301}"),
            ("\" kind=core capacity=1 x=\"", r"\u{22} kind=core capacity=1 x=\u{22}"),
            (r"a\u{41}", r"a\u{5c}u{41}"),
            ("\u{1b}[31m\n11 0xb000 used 4", r"\u{1b}[31m\u{a}11 0xb000 used 4"),
            ("\u{202e}\u{2028}\u{2029}\u{200b}", r"\u{202e}\u{2028}\u{2029}\u{200b}"),
            ("\u{e000}\u{378}\u{9f}\u{200d}", r"\u{e000}\u{378}\u{9f}\u{200d}"),
            // Marks and spaces can be seen as what they are, also at the beginning.
            ("\u{301}'\u{a0}\u{3000}", "\u{301}'\u{a0}\u{3000}"),
        ] {
            let mut bytes = golden_region();
            bytes[0x40..0x46].fill(0);
            bytes[0x40..0x40 + label.len()].copy_from_slice(label.as_bytes());
            let lines: Vec<_> = read(&sealed(bytes)).unwrap().lines().collect();
            assert_eq!(lines.len(), 5, "{lines:?}");
            let (text, rest) = lines[0].split_once("\" kind=published ").expect(&lines[0]);
            assert_eq!(text, format!("label=\"{printed}"));
            assert!(rest.starts_with("capacity=64 "), "{rest}");
            let text = json(&label).unwrap();
            assert_eq!(serde_json::from_str::<String>(&text).unwrap(), label);
            assert!(!text.trim_end().chars().any(|c| is_odd(c) && !"\"\\".contains(c)), "{text}");
        }
    }
}
