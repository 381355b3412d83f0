//! Plants the bugs of the file `mutants` one at a time into a copy of
//! `cap_map_rs` and requires the named models to fail:
//! `mutants [--quick] [--only NAME...]`.
//!
//! A mutant that does not compile, or whose text is not found exactly once, is
//! a failure, and so is a model that no mutant names.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

/// A model that has not failed by then counts as passed.
const LIMIT: Duration = Duration::from_secs(600);

/// One planted bug.
#[derive(Default)]
struct Mutant {
    name: String,
    /// Whether it belongs to the quick subset.
    quick: bool,
    /// File in `cap_map_rs/src`.
    file: String,
    /// Models that must fail.
    kills: Vec<String>,
    hunks: Vec<Hunk>,
}

/// Lines that are replaced.
#[derive(Default)]
struct Hunk {
    /// Lines to find, without their indentation.
    find: Vec<String>,
    /// Lines to put there.
    replace: Vec<String>,
}

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("mutants: {error}");
            ExitCode::from(2)
        }
    }
}

fn run() -> Result<bool, String> {
    let models = Path::new(env!("CARGO_MANIFEST_DIR"));
    let list = fs::read_to_string(models.join("mutants")).map_err(|error| error.to_string())?;
    let all = parse(&list)?;
    let mut names: Vec<String> = std::env::args().skip(1).collect();
    let quick = names.iter().any(|name| name == "--quick");
    names.retain(|name| name != "--quick" && name != "--only");
    let chosen: Vec<&Mutant> = all
        .iter()
        .filter(|mutant| !quick || mutant.quick)
        .filter(|mutant| names.is_empty() || names.contains(&mutant.name))
        .collect();
    if chosen.is_empty() {
        return Err("no such mutant".into());
    }
    let copy = Copy::new(&models.join("../.."))?;
    let mut killed = 0;
    for mutant in &chosen {
        let start = Instant::now();
        let verdict = copy.try_mutant(mutant);
        let seconds = start.elapsed().as_secs_f64();
        match verdict {
            Ok(()) => {
                killed += 1;
                println!("killed   {:<44} {seconds:6.1} s", mutant.name);
            }
            Err(why) => println!("SURVIVED {:<44} {seconds:6.1} s: {why}", mutant.name),
        }
    }
    let spared = copy.models_without_mutant(&all)?;
    if !spared.is_empty() {
        println!("no mutant for: {}", spared.join(" "));
    }
    println!("mutants: {killed} of {} killed", chosen.len());
    Ok(killed == chosen.len() && spared.is_empty())
}

fn parse(list: &str) -> Result<Vec<Mutant>, String> {
    let mut mutants: Vec<Mutant> = Vec::new();
    for line in list.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (key, value) = line.split_once(' ').unwrap_or((line, ""));
        if key == "mutant" {
            let (name, note) = value.split_once(' ').unwrap_or((value, ""));
            let quick = note == "quick";
            mutants.push(Mutant { name: name.into(), quick, ..Mutant::default() });
            continue;
        }
        let mutant = mutants.last_mut().ok_or("the list starts without a mutant")?;
        match key {
            "file" => mutant.file = value.into(),
            "kills" => mutant.kills = value.split(' ').map(String::from).collect(),
            "-" => {
                // Behind a replacement, another place begins.
                if mutant.hunks.last().is_none_or(|hunk| !hunk.replace.is_empty()) {
                    mutant.hunks.push(Hunk::default());
                }
                let hunk = mutant.hunks.last_mut().ok_or("no hunk")?;
                hunk.find.push(value.trim().into());
            }
            "+" => mutant.hunks.last_mut().ok_or("nothing to find")?.replace.push(value.into()),
            _ => return Err(format!("not understood: {line}")),
        }
    }
    match mutants.iter().find(|mutant| mutant.kills.is_empty() || mutant.hunks.is_empty()) {
        Some(mutant) => Err(format!("{}: nothing to find or to kill", mutant.name)),
        None => Ok(mutants),
    }
}

/// A workspace of its own with the crate and its models.
struct Copy {
    source: PathBuf,
    root: PathBuf,
    target: PathBuf,
}

impl Copy {
    fn new(source: &Path) -> Result<Copy, String> {
        let build = source.join("build/loom_mutants");
        let copy = Copy {
            source: source.into(),
            root: build.join("workspace"),
            target: build.join("target"),
        };
        copy.make().map_err(|error| error.to_string())?;
        Ok(copy)
    }

    fn make(&self) -> io::Result<()> {
        if self.root.exists() {
            fs::remove_dir_all(&self.root)?;
        }
        for folder in ["cap_map_rs", "tests/loom"] {
            copy_folder(&self.source.join(folder), &self.root.join(folder))?;
        }
        let manifest = fs::read_to_string(self.source.join("Cargo.toml"))?;
        let manifest: String = manifest
            .lines()
            .map(|line| match line.split(' ').next() {
                Some("members") => "members = [\"cap_map_rs\", \"tests/loom\"]\n".into(),
                Some("default-members") => String::new(),
                _ => format!("{line}\n"),
            })
            .collect();
        fs::write(self.root.join("Cargo.toml"), manifest)?;
        fs::copy(self.source.join("Cargo.lock"), self.root.join("Cargo.lock"))?;
        Ok(())
    }

    /// Builds and runs the models with one bug, and takes it out again.
    fn try_mutant(&self, mutant: &Mutant) -> Result<(), String> {
        let path = self.root.join("cap_map_rs/src").join(&mutant.file);
        let text = fs::read_to_string(&path).map_err(|error| error.to_string())?;
        let mutated = mutated(&text, mutant)?;
        fs::write(&path, mutated).map_err(|error| error.to_string())?;
        let result = self.build().and_then(|()| self.expect_failures(mutant));
        fs::write(&path, text).map_err(|error| error.to_string())?;
        result
    }

    fn build(&self) -> Result<(), String> {
        let output = Command::new(env!("CARGO"))
            .args(["build", "--quiet", "--release", "-p", "loom_models", "--bin", "loom_models"])
            .arg("--target-dir")
            .arg(&self.target)
            // Compiled anew for each mutant; loom itself is where time goes.
            .args(["--config", "profile.release.package.cap_map_rs.opt-level=1"])
            .args(["--config", "profile.release.package.loom_models.opt-level=1"])
            .current_dir(&self.root)
            .env("RUSTFLAGS", "--cfg loom --cap-lints allow")
            .env("CARGO_PROFILE_RELEASE_DEBUG", "0")
            .output()
            .map_err(|error| error.to_string())?;
        if output.status.success() {
            return Ok(());
        }
        Err(format!("does not compile:\n{}", String::from_utf8_lossy(&output.stderr)))
    }

    fn models(&self) -> Command {
        let mut command = Command::new(self.target.join("release/loom_models"));
        command.env("RUST_BACKTRACE", "0").stdin(Stdio::null()).stderr(Stdio::null());
        command
    }

    fn expect_failures(&self, mutant: &Mutant) -> Result<(), String> {
        for model in &mutant.kills {
            let mut child = self
                .models()
                .arg(model)
                .stdout(Stdio::null())
                .spawn()
                .map_err(|error| error.to_string())?;
            let start = Instant::now();
            let code = loop {
                match child.try_wait() {
                    Ok(Some(status)) => break status.code(),
                    Ok(None) if start.elapsed() < LIMIT => {
                        std::thread::sleep(Duration::from_millis(20));
                    }
                    _ => {
                        let _ = child.kill();
                        let _ = child.wait();
                        return Err(format!("{model} goes on and on"));
                    }
                }
            };
            match code {
                // What the models' program says of a model that failed.
                Some(1) => {}
                Some(0) => return Err(format!("{model} passes")),
                _ => return Err(format!("{model} did not run")),
            }
        }
        Ok(())
    }

    fn models_without_mutant(&self, all: &[Mutant]) -> Result<Vec<String>, String> {
        let output =
            self.models().arg("--list").output().map_err(|error| format!("--list: {error}"))?;
        let list = String::from_utf8_lossy(&output.stdout);
        let named = |model: &str| all.iter().any(|mutant| mutant.kills.iter().any(|k| k == model));
        Ok(list.lines().filter(|model| !named(model)).map(String::from).collect())
    }
}

/// `text` with the lines of the mutant replaced; they must occur exactly once.
fn mutated(text: &str, mutant: &Mutant) -> Result<String, String> {
    let mut lines: Vec<&str> = text.lines().collect();
    for Hunk { find, replace } in &mutant.hunks {
        let places: Vec<usize> = lines
            .windows(find.len())
            .enumerate()
            .filter(|(_, window)| window.iter().map(|line| line.trim()).eq(find))
            .map(|(at, _)| at)
            .collect();
        let [at] = places.as_slice() else {
            return Err(format!("text occurs {} times: {}", places.len(), find.join(" ")));
        };
        lines.splice(*at..at + find.len(), replace.iter().map(String::as_str));
    }
    Ok(lines.join("\n") + "\n")
}

fn copy_folder(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
