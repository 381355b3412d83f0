//! Printing the table of a file.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::common::{Outcome, cap_map, checkpoint};
use testbed::checkpoint::Checkpoint;

fn inspect(file: &Path) -> Outcome {
    cap_map(&["inspect", file.to_str().expect("path is UTF-8")])
}

#[test]
fn checkpoint_and_region_print_the_same_as_the_other_reader() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("checkpoint");
    checkpoint(&file, "9");
    let table = Checkpoint::decode(&fs::read(&file).unwrap()).unwrap().table;
    let region = folder.path().join("region");
    fs::write(&region, table).unwrap();

    let ours = inspect(&file).expect_success().stdout;
    let mut lines = ours.lines();
    assert_eq!(
        lines.next(),
        Some("label=init -> target capacity=4096 first_user=768 shift=12 badge_bits=28")
    );
    assert!(lines.next().is_some_and(|line| line.starts_with("11 0xb000 static ")));
    assert_eq!(lines.next(), Some("12 0xc000 static 1"));
    assert!(lines.count() > 60);
    assert_eq!(inspect(&region).expect_success().stdout, ours);

    let reader = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tools/read_region");
    match Command::new("python3").arg(reader).arg(&region).output() {
        Ok(theirs) => assert_eq!(String::from_utf8_lossy(&theirs.stdout), ours),
        Err(error) => eprintln!("comparison not run: python3: {error}"),
    }
}

#[test]
fn files_without_a_table_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let cases: [(&str, &[u8], &str); 4] = [
        ("empty", &[], "memory too small"),
        ("zeros", &[0; 4096], "not published"),
        ("noise", &[0xa5; 4096], "bad magic"),
        ("checkpoint", b"CAPCKPT\n", "at offset 8"),
    ];
    for (name, bytes, reason) in cases {
        let file = folder.path().join(name);
        fs::write(&file, bytes).unwrap();
        let outcome = inspect(&file);
        assert_eq!(outcome.status.code(), Some(1), "{name}");
        assert_eq!(outcome.stdout, "");
        assert!(outcome.stderr.contains(reason), "{name}: {}", outcome.stderr);
    }
}
