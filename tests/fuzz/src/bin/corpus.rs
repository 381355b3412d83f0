//! Turns the corpora, which are text, into the folders that libFuzzer works on, and back.

use std::path::{Path, PathBuf};
use std::{fs, io};

use anyhow::{Context, Result, anyhow, bail};
use cap_map_fuzz::TARGETS;
use cap_map_fuzz::corpus::seeds;
use cap_map_fuzz::corpus::{self, Corpus};

const USAGE: &str = "usage: corpus unpack FOLDER | pack FOLDER | add TARGET FILE...

unpack writes FOLDER/TARGET/ for each target: seed-NN are the seeds, pin-NNNN inputs with a
comment, and input-NNNN the others. Pack replaces the inputs without a comment by what
FOLDER/TARGET/ holds and is no seed. Add pins each FILE, a finding, in the corpus of TARGET.";

fn read(target: &str) -> Result<Corpus> {
    let path = corpus::path(target);
    let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    Corpus::parse(&text).map_err(|error| anyhow!("{}: {error}", path.display()))
}

fn write(target: &str, corpus: &Corpus) -> io::Result<()> {
    fs::write(corpus::path(target), corpus.format())
}

fn unpack(target: &str, folder: &Path) -> Result<()> {
    // What an earlier campaign left there is not part of the corpus.
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    fs::create_dir_all(folder)?;
    for (number, seed) in seeds(target).iter().enumerate() {
        fs::write(folder.join(format!("seed-{number:02}")), seed)?;
    }
    for (number, (input, pinned)) in read(target)?.inputs().enumerate() {
        let kind = if pinned { "pin" } else { "input" };
        fs::write(folder.join(format!("{kind}-{number:04}")), input)?;
    }
    Ok(())
}

fn pack(target: &str, folder: &Path) -> Result<()> {
    let mut corpus = read(target)?;
    corpus.clear();
    let seeds = seeds(target);
    for file in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let input = fs::read(file?.path())?;
        if !seeds.contains(&input) {
            corpus.insert(input, Vec::new());
        }
    }
    Ok(write(target, &corpus)?)
}

fn add(target: &str, files: &[PathBuf]) -> Result<()> {
    let mut corpus = read(target)?;
    for file in files {
        let input = fs::read(file).with_context(|| file.display().to_string())?;
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        if !corpus.insert(input, vec![format!("# {name}")]) {
            bail!("{}: the corpus has this input", file.display());
        }
    }
    Ok(write(target, &corpus)?)
}

fn main() -> Result<()> {
    let arguments: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [command, rest @ ..] = arguments.as_slice() else { bail!(USAGE) };
    match (command.to_str(), rest) {
        (Some("unpack"), [folder]) => {
            TARGETS.iter().try_for_each(|(target, _)| unpack(target, &folder.join(target)))
        }
        (Some("pack"), [folder]) => {
            TARGETS.iter().try_for_each(|(target, _)| pack(target, &folder.join(target)))
        }
        (Some("add"), [target, files @ ..]) if !files.is_empty() => {
            add(&target.to_string_lossy(), files)
        }
        _ => bail!(USAGE),
    }
}
