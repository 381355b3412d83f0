//! Every file of the corpus once, without libFuzzer.

use std::fs;
use std::path::Path;

#[test]
fn corpus_passes() {
    for (name, run) in cap_map_fuzz::TARGETS {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(name);
        let files =
            fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        let mut count = 0;
        for file in files {
            let path = file.unwrap().path();
            run(&fs::read(&path).unwrap());
            count += 1;
        }
        assert!(count > 0, "{name}: no corpus");
        println!("{name}: {count} files");
    }
}
