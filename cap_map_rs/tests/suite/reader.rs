//! `tools/read_region`, made from `doc/layout.md` alone, against the library.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};

use cap_map_rs::layout::*;
use cap_map_rs::memory::region_at;
use cap_map_rs::word::BatchWord;
use cap_map_rs::{Config, Identity, Kind, Monitor, Publication, Slot, SlotWord, Status};

use crate::common::{
    CONFIG, HEADER_WORDS, Random, Relax, Table, named, region, region_words, seal,
};
use crate::literal_layout::golden_table;

/// The bytes at the start of a line of cache.
#[repr(align(64))]
#[derive(Clone, Copy)]
struct Line(#[allow(dead_code)] [u8; 64]);

/// What `tools/read_region` has to print for these bytes.
fn print(bytes: &[u8]) -> Result<String, Status> {
    let mut lines = vec![Line([0; 64]); bytes.len().div_ceil(64)];
    let base = lines.as_mut_ptr().cast::<u8>();
    // SAFETY: `lines` has at least as many bytes.
    unsafe { base.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
    // SAFETY: `lines` outlives the region, and is used through it only.
    let region = unsafe { region_at(base, bytes.len()) }?;
    let monitor = Monitor::<Relax>::attach(region, 0)?;
    let header = monitor.header();
    let (geometry, identity) = (header.geometry, header.identity);
    let mut words = vec![SlotWord(0); geometry.capacity as usize];
    let snapshot = monitor.snapshot(&mut words)?;
    assert!(snapshot.consistent);
    let mut text = String::new();
    writeln!(
        text,
        "label=\"{}\" kind={} capacity={} first_user={} shift={} badge_bits={} boot={:#018x} \
         instance={} pd={} parent={}",
        escaped(identity.label()),
        match header.kind {
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
        identity.parent
    )
    .expect("writing to memory");
    for (slot, word) in (0..).zip(&words[..snapshot.slots as usize]) {
        let (state, badge) = match word.meaning() {
            Slot::Free => continue,
            Slot::Used(badge) if geometry.is_static(slot) => ("static", badge),
            Slot::Used(badge) => ("used", badge),
            Slot::Detached(badge) => ("detached", badge),
            Slot::Corrupt => ("corrupt", 0),
            Slot::Reserved => panic!("a word does not say so"),
        };
        // The snapshot and single reads must agree.
        assert_eq!(monitor.entry(slot), Ok(word.meaning()));
        let selector = u64::from(slot) << geometry.shift;
        writeln!(text, "{slot} {selector:#x} {state} {badge}").expect("writing to memory");
    }
    Ok(text)
}

/// A label as the reader prints it, for those characters that these tests use.
fn escaped(label: &str) -> String {
    let is_odd = |c: char| c.is_control() || "\"\\\u{200b}\u{202e}\u{2028}\u{e000}".contains(c);
    let text = |c: char| if is_odd(c) { c.escape_unicode().to_string() } else { c.to_string() };
    label.chars().map(text).collect()
}

fn bytes(words: &[AtomicU64]) -> Vec<u8> {
    words.iter().flat_map(|word| word.load(Ordering::SeqCst).to_ne_bytes()).collect()
}

/// The reader; `None` without Python.
struct Reader {
    python: PathBuf,
    script: PathBuf,
    file: PathBuf,
}

impl Reader {
    fn new(name: &str) -> Option<Self> {
        // The interpreter itself, as a wrapper around it would take most time.
        let output = Command::new("python3")
            .args(["-c", "import sys; print(sys.executable)"])
            .output()
            .ok()
            .filter(|output| output.status.success());
        let Some(output) = output else {
            println!("not run: python3 missing");
            return None;
        };
        let python = String::from_utf8(output.stdout).expect("a path").trim().into();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tools/read_region");
        let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        Some(Reader { python, script, file })
    }

    /// Runs the script with the options for a quick start.
    fn run(&self, arguments: &[&str]) -> (Option<i32>, String, String) {
        self.python(&["-IS", self.script.to_str().expect("UTF-8")], arguments)
    }

    /// What the script prints for each of these files, in one process.
    fn run_many(&self, files: &[&str]) -> String {
        const DRIVER: &str = "import runpy, sys
main = runpy.run_path(sys.argv[1])['main']
for file in sys.argv[2:]:
    assert main([file]) == 0, file
    print('end', flush=True)";
        let script = self.script.to_str().expect("UTF-8");
        let (code, out, err) = self.python(&["-IS", "-c", DRIVER, script], files);
        assert_eq!((code, err), (Some(0), String::new()));
        out
    }

    fn python(&self, options: &[&str], arguments: &[&str]) -> (Option<i32>, String, String) {
        let mut command = Command::new(&self.python);
        let output = command.args(options).args(arguments).output().expect("runs");
        let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
        (output.status.code(), text(output.stdout), text(output.stderr))
    }

    /// Both readers must say the same.
    fn compare(&self, bytes: &[u8]) -> Result<String, Status> {
        std::fs::write(&self.file, bytes).expect("writable");
        let file = self.file.to_str().expect("UTF-8");
        let (code, out, err) = self.run(&[file]);
        let expected = print(bytes);
        match &expected {
            Ok(text) => assert_eq!((code, out, err), (Some(0), text.clone(), String::new())),
            Err(status) => {
                let message = format!("read_region: {file}: {status:?}\n");
                assert_eq!((code, out, err), (Some(1), String::new(), message));
            }
        }
        expected
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.file);
    }
}

#[test]
fn fresh_and_golden_tables() {
    let Some(reader) = Reader::new("fresh") else { return };
    let fresh = reader.compare(&bytes(Table::new(65).words)).unwrap();
    let unknown = "boot=0x0000000000000000 instance=0 pd=0 parent=0";
    let expected = "label=\"test\" kind=published capacity=65 first_user=8 shift=12 badge_bits=28";
    assert_eq!(fresh, format!("{expected} {unknown}\n"));
    let golden = reader.compare(&bytes(golden_table().words)).unwrap();
    assert_eq!(
        golden,
        "label=\"golden\" kind=published capacity=64 first_user=4 shift=12 badge_bits=28 \
         boot=0x0123456789abcdef instance=7 pd=24 parent=28\n\
         1 0x1000 static 8\n4 0x4000 used 20\n5 0x5000 used 32\n6 0x6000 detached 16\n"
    );
    // What the document says is printed, is printed.
    let document = include_str!("../../../doc/layout.md");
    for line in golden.lines() {
        assert!(document.contains(&format!("    {line}\n")), "not in doc/layout.md: {line}");
    }
}

#[test]
fn golden_bytes_of_the_document() {
    if cfg!(target_endian = "big") {
        return;
    }
    let document = include_str!("../../../doc/layout.md");
    let mut expected = vec![0; 0x400];
    let mut count = 0;
    for line in document.lines().filter_map(|line| line.strip_prefix("    ")) {
        let Some((offset, rest)) = line.split_once("  ") else { continue };
        let Ok(offset) = usize::from_str_radix(offset, 16) else { continue };
        for (i, byte) in rest.split(' ').take(8).enumerate() {
            expected[offset + i] = u8::from_str_radix(byte, 16).expect("a byte");
        }
        count += 1;
    }
    assert_eq!(count, 22);
    assert_eq!(bytes(golden_table().words), expected);
}

/// Slots of all states; 20 to 23 in a batch that changes them to 600 and more.
fn in_a_batch(batch: impl Fn(BatchWord) -> BatchWord) -> Vec<u8> {
    let table = Table::new(100);
    let owner = &table.owner;
    owner.insert_at(40, 2).unwrap();
    owner.alloc_at(3).unwrap();
    owner.insert_at(44, 15).unwrap();
    owner.acquire(15).unwrap();
    owner.remove(15).unwrap();
    table.monitor().rewrite_one(2, 40, 48).unwrap();
    for slot in 20..24 {
        owner.insert_at(slot * 4, slot).unwrap();
        table.stage(slot, 580 + slot);
    }
    owner.insert_at(52, 4).unwrap();
    table.stage(4, 604);
    owner.insert_at(56, 40).unwrap();
    // Words that nobody writes, and one behind the high-water mark.
    table.set_word(31, SlotWord(0x2123_4567_89ab_cdef));
    table.set_word(32, SlotWord(0x8000_0000_0000_0000));
    table.set_word(33, SlotWord(u64::MAX));
    table.set_word(34, SlotWord(0x6000_0010_0000_0111));
    table.set_word(41, SlotWord::used(60));
    table.set_batch(batch(table.batch()));
    bytes(table.words)
}

#[test]
fn every_instant_of_a_batch() {
    let Some(reader) = Reader::new("instants") else { return };
    let compare = |batch: &dyn Fn(BatchWord) -> BatchWord| reader.compare(&in_a_batch(batch));
    let staged = compare(&|batch| batch).unwrap();
    let flipped = compare(&|batch| batch.claimed().flipped()).unwrap();
    for (line, old) in [
        ("4 0x4000 static 604", "4 0x4000 static 52"),
        ("20 0x14000 used 600", "20 0x14000 used 80"),
        ("34 0x22000 detached 8", "34 0x22000 detached 8"),
    ] {
        assert!(flipped.contains(line), "{flipped}");
        assert!(staged.contains(old), "{staged}");
    }
    for text in [&staged, &flipped] {
        for line in ["31 0x1f000 corrupt 0", "32 0x20000 corrupt 0", "33 0x21000 corrupt 0"] {
            assert!(text.contains(line), "{text}");
        }
        for line in ["15 0xf000 detached 44", "2 0x2000 static 48", "40 0x28000 used 56"] {
            assert!(text.contains(line), "{text}");
        }
        assert!(!text.contains("\n3 ") && !text.contains("\n41 "), "{text}");
    }
    // Only generation and retirement count.
    for batch in [BatchWord::claimed, |batch: BatchWord| batch.claimed().released()] {
        assert_eq!(compare(&batch).as_ref(), Ok(&staged));
    }
    assert_eq!(compare(&|batch| BatchWord(batch.0 | BATCH_RETIRED)), Err(Status::Retired));
    let last = compare(&|_| BatchWord(!BATCH_RETIRED));
    assert_eq!(last.as_ref(), Ok(&staged), "the last generation is odd like the first");
}

#[test]
fn words_of_the_owner() {
    let Some(reader) = Reader::new("owner") else { return };
    let table = Table::new(64);
    assert_eq!(table.owner.insert(40), Ok(8));
    table.set_word(63, SlotWord::used(44));
    let expect = |ends: &str| {
        let text = reader.compare(&bytes(table.words)).unwrap();
        assert!(text.ends_with(ends), "{text}");
    };
    expect("\n8 0x8000 used 40\n");
    // An owner stopped within a write.
    for (offset, value) in [(OFF_SEQUENCE, 7), (OFF_COMING, 44), (OFF_QUIET, 1)] {
        table.set_header(offset, value);
        expect("\n8 0x8000 used 40\n");
    }
    // A mark that lies outside stands for all slots.
    for mark in [64, 65, 1 << 32, u64::MAX] {
        table.set_header(OFF_HIGH_WATER, mark);
        expect("\n8 0x8000 used 40\n63 0x3f000 used 44\n");
    }
    table.set_header(OFF_HIGH_WATER, 8);
    expect(" parent=0\n");
}

#[test]
fn kinds_identities_and_areas() {
    let Some(reader) = Reader::new("kinds") else { return };
    for (is_core, kind) in [(true, "core"), (false, "private")] {
        let table = Table::unpublished(64, 64, Config { is_core, ..CONFIG });
        let identity =
            Identity { boot: u64::MAX, instance: u64::MAX, pd: 1, parent: u32::MAX, ..named("") };
        table.owner.describe(&identity).unwrap();
        let text = reader.compare(&bytes(table.words)).unwrap();
        assert!(text.starts_with(&format!("label=\"\" kind={kind} ")), "{text}");
        assert!(
            text.ends_with(
                " boot=0xffffffffffffffff instance=18446744073709551615 pd=1 parent=4294967295\n"
            ),
            "{text}"
        );
    }
    let words = region_words(128);
    let publication = Publication { area_bytes: 0x80, area_version: 3, ..named("area").into() };
    let table = Table::unpublished(64, 128, CONFIG);
    table.owner.move_to(region(words), Some(&publication)).unwrap();
    reader.compare(&bytes(words)).unwrap();
    // The memory is too small for it.
    let short = bytes(&words[..words.len() - 1]);
    assert_eq!(reader.compare(&short), Err(Status::BadArea));
}

/// A label is what its owner wrote. It neither forges the head line nor talks to the
/// terminal.
#[test]
fn labels_are_escaped() {
    let Some(reader) = Reader::new("labels") else { return };
    for (label, printed) in [
        ("größe -> käse", "größe -> käse"),
        ("\" kind=core x=\"", "\\u{22} kind=core x=\\u{22}"),
        ("a\\u{41}", "a\\u{5c}u{41}"),
        ("\u{1b}[31m\nline", "\\u{1b}[31m\\u{a}line"),
        ("\u{202e}\u{2028}\u{200b}\u{e000}", "\\u{202e}\\u{2028}\\u{200b}\\u{e000}"),
    ] {
        let table = Table::unpublished(64, 64, CONFIG);
        table.owner.publish(&named(label)).unwrap();
        let text = reader.compare(&bytes(table.words)).unwrap();
        assert!(text.starts_with(&format!("label=\"{printed}\" kind=published ")), "{text}");
        assert_eq!(text.lines().count(), 1);
    }
}

#[test]
fn random_tables() {
    let Some(reader) = Reader::new("random") else { return };
    let mut random = Random::new(77);
    let (mut files, mut expected) = (Vec::new(), String::new());
    for i in 0..100 {
        let capacity = 64 + random.below(100);
        let config = Config {
            first_user: random.below(capacity),
            shift: random.below(33),
            badge_bits: 1 + random.below(28),
            ..CONFIG
        };
        let table = Table::unpublished(capacity, capacity, config);
        let label = [
            "",
            "init",
            "größe -> käse",
            "\u{1b}[31m\nline",
            "e\u{301}\u{2028}\u{202e}\u{200b}",
            "\" kind=core \\u{41}",
            "\u{e000}",
        ];
        table.owner.publish(&named(label[random.below(7) as usize])).unwrap();
        let batch = random.next() & !BATCH_RETIRED;
        table.set_batch(BatchWord(batch));
        table.set_header(OFF_HIGH_WATER, u64::from(random.below(capacity + 2)));
        table.set_header(OFF_SEQUENCE, random.next());
        for slot in 0..capacity {
            let word = match random.below(4) {
                0 => random.next(),
                1 => 0,
                2 => STATE_USED << STATE_SHIFT | random.next() >> 3,
                _ => (random.next() % 4) << STATE_SHIFT | random.next() >> 3,
            };
            table.set_word(slot, SlotWord(word));
        }
        let mut bytes = bytes(table.words);
        // The rest of the last page is no part of the table.
        (0..random.below(40)).for_each(|_| bytes.push(0xa5));
        let file = reader.file.with_extension(i.to_string());
        std::fs::write(&file, &bytes).expect("writable");
        files.push(file);
        expected += &print(&bytes).unwrap();
        expected += "end\n";
    }
    let names: Vec<_> = files.iter().map(|file| file.to_str().expect("UTF-8")).collect();
    let out = reader.run_many(&names);
    assert!(out == expected, "{out}\n--- instead of ---\n{expected}");
    files.iter().for_each(|file| std::fs::remove_file(file).expect("still there"));
}

#[test]
fn refused_files() {
    let Some(reader) = Reader::new("refused") else { return };
    let good = bytes(Table::new(70).words);
    let refused = |status, change: &dyn Fn(&mut Vec<u8>)| {
        let mut bad = good.clone();
        change(&mut bad);
        assert_eq!(reader.compare(&bad), Err(status));
    };
    refused(Status::TooSmall, &|bytes| bytes.clear());
    refused(Status::TooSmall, &|bytes| bytes.truncate(0x3ff));
    refused(Status::BadSize, &|bytes| bytes.truncate(HEADER_WORDS * 8 + 70 * 8 - 1));
    refused(Status::Unpublished, &|bytes| bytes.fill(0));
    let fields = [
        (OFF_MAGIC, Status::BadMagic),
        (OFF_VERSION, Status::BadVersion),
        (OFF_SIZE, Status::BadSize),
        (OFF_CAPACITY, Status::BadCapacity),
        (OFF_FIRST_USER, Status::BadFirstUser),
        (OFF_SHIFT, Status::BadShift),
        (OFF_BADGE_BITS, Status::BadBadgeBits),
        (OFF_SLOTS, Status::BadSlotsOffset),
        (OFF_LABEL + 56, Status::BadLabel),
        (OFF_KIND, Status::BadKind),
        (OFF_PD, Status::BadBadge),
        (OFF_PARENT, Status::BadBadge),
        (OFF_AREA, Status::BadArea),
        (OFF_AREA_BYTES, Status::BadArea),
        (OFF_AREA_VERSION, Status::BadArea),
    ];
    let words = |bytes: &[u8]| -> Vec<AtomicU64> {
        let (words, _) = bytes.as_chunks();
        words.iter().map(|word| AtomicU64::new(u64::from_ne_bytes(*word))).collect()
    };
    for (offset, status) in fields {
        refused(status, &|bytes| {
            bytes[offset..offset + 8].fill(0xff);
            let words = words(bytes);
            seal(&words);
            *bytes = self::bytes(&words);
        });
        // Without a checksum that fits, only magic and version are told apart.
        let unsealed = match status {
            Status::BadMagic | Status::BadVersion => status,
            _ => Status::BadChecksum,
        };
        refused(unsealed, &|bytes| bytes[offset..offset + 8].fill(0xff));
    }
}

#[test]
fn command_line() {
    let Some(reader) = Reader::new("usage") else { return };
    let usage = "usage: tools/read_region FILE\n";
    for arguments in [&[][..], &["a", "b"], &["--help"]] {
        let (code, out, err) = reader.run(arguments);
        assert_eq!((code, out.as_str(), err.as_str()), (Some(2), "", usage));
    }
    let (code, out, err) = reader.run(&["/nonexistent/file"]);
    assert_eq!((code, out.as_str()), (Some(1), ""));
    assert!(err.contains("No such file"), "{err}");
}
