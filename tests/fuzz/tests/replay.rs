//! Every seed and every input of the corpus once, without libFuzzer.

use std::fs;

use cap_map_fuzz::TARGETS;
use cap_map_fuzz::checkpoint_file::{
    read, read_chain, read_component, repair, repair_increments, samples, section,
};
use cap_map_fuzz::corpus::{Corpus, path};
use cap_map_fuzz::corpus::{SHORT_HISTORIES, seeds};

fn text(target: &str) -> String {
    let path = path(target);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn corpus_passes() {
    for (name, run) in TARGETS {
        let corpus = Corpus::parse(&text(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        let (seeds, count) = (seeds(name), corpus.inputs().count());
        assert!(!seeds.is_empty() && count > 0, "{name}: {} seeds, {count} inputs", seeds.len());
        seeds.iter().for_each(|seed| run(seed));
        corpus.inputs().for_each(|(input, _)| run(input));
        println!("{name}: {} seeds, {count} inputs", seeds.len());
    }
}

/// Otherwise the next campaign would change lines that it has nothing to do with.
#[test]
fn files_are_in_their_only_form() {
    for (name, _) in TARGETS {
        let text = text(name);
        let corpus = Corpus::parse(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(corpus.format() == text, "{name}: write it with `corpus pack`");
        let seeds = seeds(name);
        let repeated = corpus.inputs().filter(|(input, _)| seeds.iter().any(|s| s == input));
        assert_eq!(repeated.count(), 0, "{name}: seeds are not repeated");
    }
}

#[test]
fn inputs_survive_being_text() {
    let inputs: [&[u8]; 7] =
        [&[], &[0], &[0; 4], &[7; 1600], &[1, 2, 2, 2, 3], &[0, 0, 0, 0, 1], &[9, 0, 0, 0, 0]];
    let mut corpus = Corpus::parse("# of the file\n\n").expect("a corpus without inputs");
    for input in inputs {
        assert!(corpus.insert(input.to_vec(), Vec::new()));
        assert!(!corpus.insert(input.to_vec(), Vec::new()), "each input occurs once");
    }
    let pinned = vec![0xab, 0xcd];
    assert!(corpus.insert(pinned.clone(), vec!["# of the input".to_owned()]));
    let text = corpus.format();
    assert_eq!(
        text,
        "# of the file\n\n-\n00\n# of the input\nabcd\n00*4\n00*4 01\n0102020203\n09 00*4\n07*1600\n"
    );
    let mut again = Corpus::parse(&text).expect("what was written can be read");
    assert_eq!(again, corpus);
    again.clear();
    assert_eq!(again.inputs().collect::<Vec<_>>(), [(pinned.as_slice(), true)]);
}

#[test]
fn lines_that_are_no_input_are_refused() {
    for line in ["0", "0g", "000", "*4", "0001*4", "00*", "00*-1", "- 00", "00*4*4", "+1", "é"] {
        let text = format!("# of the file\n\n00\n{line}\n");
        let refusal = Corpus::parse(&text).expect_err(line);
        assert!(refusal.starts_with("line 4: "), "{line}: {refusal}");
    }
    assert_eq!(Corpus::parse("00\n00\n"), Err("line 2: occurs already".to_owned()));
}

/// Otherwise libFuzzer cuts seeds off, and what lies behind their end is never reached.
#[test]
fn seeds_fit_into_an_input() {
    let campaign = concat!(env!("CARGO_MANIFEST_DIR"), "/campaign");
    let text = fs::read_to_string(campaign).expect("beside the tests");
    let limit = |name: &str| -> usize {
        let limit = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(" = "));
        limit.expect("a limit").parse().expect("a number")
    };
    for (name, _) in TARGETS {
        let images = ["checkpoint", "image"].contains(&name);
        let limit = limit(if images { "IMAGE_LENGTH" } else { "MAX_LENGTH" });
        let longest = seeds(name).iter().map(Vec::len).max().expect("there are some");
        assert!(longest <= limit, "{name}: a seed of {longest} bytes");
    }
}

/// A file with a wrong byte is refused for what the byte says, and not by a checksum.
#[test]
fn a_repaired_file_gets_behind_all_checksums() {
    let [_, complete] = samples();
    let (mut accepted, mut refused) = (0, 0);
    // Behind the header and the list of six sections.
    for at in 32 + 6 * 40..complete.len() {
        let mut file = complete.clone();
        file[at] ^= 4;
        read(&file).expect_err("not repaired");
        repair(&mut file);
        match read(&file) {
            Ok(()) => accepted += 1,
            Err(reason) => {
                assert!(!reason.contains("checksum"), "{at}: {reason}");
                refused += 1;
            }
        }
    }
    assert!(accepted > 100 && refused > 100, "{accepted} accepted, {refused} refused");
}

/// The readers in C++ and in Rust refuse an image for the same reason, at the same place, whatever
/// word of it is another one.
#[test]
fn both_readers_of_components_agree() {
    let [image, page] = [0, 1].map(cap_checkpoint_image_host::sample);
    let pages = page.len() - 4104;
    let words = (0..image.len()).step_by(4).map(|at| (&image, at));
    compare_words(words.chain([(&page, pages), (&page, pages + 4)]));
}

/// The same for a unit. Of its tables and texts, some words are looked at.
#[test]
fn both_readers_of_units_agree() {
    let unit = cap_checkpoint_image_host::sample_unit(0);
    let section = |name: &str| section(&unit, name.as_bytes()).expect("in a unit");
    let (tables, sessions) = (section("table"), section("sessions"));
    let is_text = |at: usize| sessions.contains(&at) && (at - sessions.start) % 440 >= 64;
    let words = (0..unit.len()).step_by(4);
    let words = words.filter(|at| !tables.contains(at) && !is_text(*at) || at % 28 == 0);
    compare_words(words.map(|at| (&unit, at)));
}

fn compare_words<'a>(words: impl Iterator<Item = (&'a Vec<u8>, usize)>) {
    let (mut accepted, mut refused) = (0, 0);
    let values = [0, 1, 2, 3, 5, 8, 13, 64, 128, 0x1000, 0x1001, u32::MAX];
    for (image, at) in words {
        assert_eq!(read_component(image), Ok(()));
        let before = u32::from_le_bytes(image[at..at + 4].try_into().expect("four bytes"));
        let near = [before ^ 1, before.wrapping_add(1), before.wrapping_sub(1), before ^ 1 << 31];
        for value in values.into_iter().chain(near).filter(|value| *value != before) {
            let mut file = image.clone();
            file[at..at + 4].copy_from_slice(&value.to_le_bytes());
            read_component(&file).expect_err("not repaired");
            repair(&mut file);
            match read_component(&file) {
                Ok(()) => accepted += 1,
                Err(reason) => {
                    let is_repaired = at < 28 || !reason.contains("checksum");
                    let head = 32 + usize::from(image[12]) * 40;
                    assert!(is_repaired || at < head, "{at}: {reason}");
                    refused += 1;
                }
            }
        }
    }
    assert!(accepted > 1000 && refused > 1000, "{accepted} accepted, {refused} refused");
    println!("{accepted} accepted, {refused} refused");
}

/// The same for increments, behind the complete image that they belong to, and behind each other.
#[test]
fn both_readers_of_chains_agree() {
    let (chain, _) = cap_checkpoint_image_host::history(SHORT_HISTORIES[2], 3);
    let starts = (0..chain.len()).step_by(4096);
    let starts: Vec<_> = starts.filter(|at| chain[*at..].starts_with(b"CAPCKPT\n")).collect();
    assert_eq!((starts.len(), read_chain(&chain)), (3, (3, None)));
    // What is said of the container before, and some words of all else, which images have, too.
    let places = increment_records(&chain, &starts[1..]);
    let words = (starts[1]..chain.len()).step_by(4);
    let words = words.filter(|at| at % 52 == 0 || places.iter().any(|place| place.contains(at)));
    let values = [0, 1, 2, 5, 64, u32::MAX];
    let mut counts = [0; 4];
    for at in words {
        let before = u32::from_le_bytes(chain[at..at + 4].try_into().expect("four bytes"));
        let near = [before ^ 1, before.wrapping_add(1), before.wrapping_sub(1), before ^ 1 << 31];
        for value in values.into_iter().chain(near).filter(|value| *value != before) {
            for named in [false, true] {
                let mut file = chain.clone();
                file[at..at + 4].copy_from_slice(&value.to_le_bytes());
                repair_increments(&mut file, named);
                let (containers, refusal) = read_chain(&file);
                assert!(containers >= 1, "{at}: {refusal:?}");
                counts[usize::from(refusal.is_some()) + 2 * usize::from(containers == 3)] += 1;
            }
        }
    }
    let [left_over, refused, accepted, both] = counts;
    println!("{left_over} left over, {refused} refused, {accepted} accepted");
    assert!(left_over > 100 && refused > 1000 && accepted > 1000 && both == 0, "{counts:?}");
}

/// Where the header, the section table, `base` and `origins` of containers are.
fn increment_records(chain: &[u8], starts: &[usize]) -> Vec<std::ops::Range<usize>> {
    let mut places = Vec::new();
    for start in starts {
        places.push(*start..start + 32 + 17 * 40);
        for entry in (start + 32..start + 32 + 17 * 40).step_by(40) {
            let name = &chain[entry..entry + 8];
            if name.starts_with(b"base\0") || name.starts_with(b"origins\0") {
                let field = |at: usize| {
                    let bytes = chain[entry + at..][..8].try_into().expect("eight bytes");
                    usize::try_from(u64::from_le_bytes(bytes)).expect("fits")
                };
                places.push(start + field(16)..start + field(16) + field(24));
            }
        }
    }
    assert_eq!(places.len(), 3 * starts.len());
    places
}
