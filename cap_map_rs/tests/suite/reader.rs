//! `tools/read_region`, made from `doc/layout.md` alone, against the library.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};

use cap_map_rs::layout::*;
use cap_map_rs::memory::region_at;
use cap_map_rs::word::Control;
use cap_map_rs::{Monitor, Slot, SlotWord, Status};

use crate::common::{HEADER_WORDS, Random, Relax, Table};
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
    let geometry = monitor.geometry();
    let mut words = vec![SlotWord(0); geometry.capacity as usize];
    assert!(monitor.snapshot(&mut words)?.consistent);
    let label = geometry.label().replace(char::is_control, "?");
    let mut text = format!(
        "label={label} capacity={} first_user={} shift={} badge_bits={}\n",
        geometry.capacity, geometry.first_user, geometry.shift, geometry.badge_bits
    );
    for (slot, word) in (0..).zip(words) {
        let (state, badge) = match word.meaning() {
            Slot::Free => continue,
            Slot::Reserved => ("reserved", 0),
            Slot::Used(badge) if geometry.is_static(slot) => ("static", badge),
            Slot::Used(badge) => ("used", badge),
            Slot::Detached(badge) => ("detached", badge),
            Slot::Corrupt => ("corrupt", 0),
        };
        // The snapshot and single reads must agree.
        assert_eq!(monitor.entry(slot), Ok(word.meaning()));
        let selector = u64::from(slot) << geometry.shift;
        writeln!(text, "{slot} {selector:#x} {state} {badge}").expect("writing to memory");
    }
    Ok(text)
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
    assert_eq!(fresh, "label=test capacity=65 first_user=8 shift=12 badge_bits=28\n");
    let golden = reader.compare(&bytes(golden_table().words)).unwrap();
    assert_eq!(
        golden,
        "label=golden capacity=64 first_user=4 shift=12 badge_bits=28\n\
         1 0x1000 static 8\n4 0x4000 used 20\n5 0x5000 reserved 0\n6 0x6000 detached 16\n"
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
    assert_eq!(count, 17);
    assert_eq!(bytes(golden_table().words), expected);
}

/// Slots of all states; 20 to 23 in a batch that changes them to 600 and more.
fn in_a_batch(control: impl Fn(Control) -> Control) -> Vec<u8> {
    let table = Table::new(100);
    let owner = &table.owner;
    owner.insert_at(40, 2).unwrap();
    owner.alloc_at(3).unwrap();
    owner.alloc(2).unwrap();
    owner.insert_at(44, 15).unwrap();
    owner.acquire(15).unwrap();
    owner.remove(15).unwrap();
    table.monitor().rewrite_one(2, 40, 48).unwrap();
    let staging = table.control().advanced(PHASE_STAGING, 1);
    for slot in 20..24 {
        owner.insert_at(slot * 4, slot).unwrap();
        table.set_word(slot, SlotWord::staged(slot * 4, 580 + slot, staging.batch()));
    }
    // A static slot of the batch, and one of another batch.
    table.set_word(4, SlotWord::staged(52, 604, staging.batch()));
    table.set_word(30, SlotWord::staged(56, 608, staging.batch() + 1));
    table.set_word(31, SlotWord(0xa123_4567_89ab_cdef));
    table.set_word(32, SlotWord(0xc000_0000_0000_0000));
    table.set_word(33, SlotWord(u64::MAX));
    table.set_control(control(staging));
    bytes(table.words)
}

#[test]
fn every_phase() {
    let Some(reader) = Reader::new("phases") else { return };
    let compare = |control: &dyn Fn(Control) -> Control| reader.compare(&in_a_batch(control));
    let decided = |phase| move |staging: Control| staging.advanced(phase, 1);
    let staged = compare(&|staging| staging).unwrap();
    let committed = compare(&decided(PHASE_COMMITTED)).unwrap();
    let aborted = compare(&decided(PHASE_ABORTED)).unwrap();
    assert_eq!(staged, aborted);
    for (line, old) in [
        ("4 0x4000 static 604", "4 0x4000 static 52"),
        ("20 0x14000 used 600", "20 0x14000 used 80"),
    ] {
        assert!(committed.contains(line) && !committed.contains(old), "{committed}");
        assert!(staged.contains(old) && !staged.contains(line), "{staged}");
    }
    for text in [&staged, &committed] {
        for line in ["30 0x1e000 used 56", "31 0x1f000 corrupt 0", "32 0x20000 corrupt 0"] {
            assert!(text.contains(line), "{text}");
        }
        for line in ["3 0x3000 reserved 0", "15 0xf000 detached 44", "2 0x2000 static 48"] {
            assert!(text.contains(line), "{text}");
        }
    }
    // Other phases, corrupt ones included: the old badges.
    for phase in [PHASE_IDLE, PHASE_WRITING, 6, 7] {
        assert_eq!(compare(&decided(phase)).as_ref(), Ok(&staged), "phase {phase}");
    }
    assert_eq!(compare(&decided(PHASE_RETIRED)), Err(Status::Retired));
    // Generations at their end.
    let last = |phase| move |_: Control| Control::new(phase, u64::MAX, u32::MAX);
    compare(&last(PHASE_STAGING)).unwrap();
    compare(&last(PHASE_COMMITTED)).unwrap();
}

#[test]
fn open_write_section() {
    let Some(reader) = Reader::new("section") else { return };
    let table = Table::new(64);
    assert_eq!(table.owner.insert(40), Ok(8));
    let open = table.control().to(PHASE_WRITING);
    let new = SlotWord::used(44, open.sequence());
    table.set_intent(8, table.word(8), new);
    table.set_control(open);
    assert!(reader.compare(&bytes(table.words)).unwrap().ends_with("\n8 0x8000 used 40\n"));
    table.set_word(8, new);
    assert!(reader.compare(&bytes(table.words)).unwrap().ends_with("\n8 0x8000 used 44\n"));
}

#[test]
fn random_tables() {
    let Some(reader) = Reader::new("random") else { return };
    let mut random = Random::new(77);
    let (mut files, mut expected) = (Vec::new(), String::new());
    for i in 0..100 {
        let capacity = 64 + random.below(100);
        let config = cap_map_rs::Config {
            first_user: random.below(capacity),
            shift: random.below(33),
            badge_bits: 1 + random.below(28),
            patience: 0,
        };
        let table = Table::unpublished(capacity, capacity, config);
        let label = ["", "init", "größe -> käse", "\u{1b}[31m\nline", "e\u{301}\u{2028}"];
        table.owner.publish(label[random.below(5) as usize].as_bytes()).unwrap();
        let control = Control::new(random.next() % 8 % 5, random.next(), random.below(1 << 24));
        table.set_control(control);
        for slot in 0..capacity {
            let word = match random.below(4) {
                0 => random.next(),
                1 => 0,
                2 => STATE_STAGED << STATE_SHIFT | random.next() >> 3 & !31 | control.batch(),
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
    ];
    for (offset, status) in fields {
        refused(status, &|bytes| bytes[offset..offset + 8].fill(0xff));
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
