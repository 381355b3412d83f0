//! Compiles the C++ part, and makes its constants known to Rust.

use std::path::Path;
use std::process::Command;
use std::{env, fs};

const SOURCES: [&str; 4] = ["core", "ipc", "kernel", "target"];

fn main() {
    println!("cargo:rerun-if-changed=cpp");
    println!("cargo:rerun-if-changed=../ffi/include");

    cc::Build::new()
        .cpp(true)
        .std("c++17")
        .flag("-pthread")
        .extra_warnings(true)
        .include("../ffi/include")
        .files(SOURCES.map(|name| format!("cpp/{name}.cc")))
        .compile("testbed_cpp");

    println!("cargo:rustc-link-arg=-pthread");
    // A restored memory image holds addresses of virtual-function tables, so the
    // program must be at the same place in each process.
    println!("cargo:rustc-link-arg-bins=-no-pie");

    println!("cargo:rustc-env=CAP_MAP_COMMIT={}", commit());

    let header = fs::read_to_string("cpp/wire.hpp").expect("cpp/wire.hpp");
    let target = Path::new(&env::var("OUT_DIR").expect("OUT_DIR")).join("abi.rs");
    fs::write(target, constants(&header)).expect("abi.rs");
}

/// The commit that these sources are based on; `unknown` outside of their repository.
fn commit() -> String {
    let top = git(&["rev-parse", "--show-toplevel"]).map(fs::canonicalize);
    // Sources without a repository may lie inside of another one.
    if !matches!((top, fs::canonicalize("..")), (Some(Ok(top)), Ok(here)) if top == here) {
        return "unknown".to_owned();
    }
    // What changes with the commit, also in a work tree of its own, where `.git` is a file. `HEAD`
    // names a branch, which gets a file of its own when it changes.
    let names = ["HEAD", "packed-refs", "refs/heads"];
    for path in names.iter().filter_map(|name| git(&["rev-parse", "--git-path", name])) {
        // Cargo takes one that does not exist for one that has changed.
        if Path::new(&path).exists() {
            println!("cargo:rerun-if-changed={path}");
        }
    }
    git(&["rev-parse", "--short=12", "HEAD"]).unwrap_or("unknown".to_owned())
}

/// What git says; nothing if it fails.
fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let said = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (output.status.success() && !said.is_empty()).then_some(said)
}

/// One Rust constant for each `NAME = number,` inside an enumeration.
fn constants(header: &str) -> String {
    let mut text = String::new();
    let mut width = None;
    for line in header.lines().map(str::trim) {
        if line.starts_with("enum") && line.ends_with('{') {
            width = Some(if line.contains("uint64_t") { "u64" } else { "u32" });
        } else if line == "};" {
            width = None;
        } else if let Some(width) = width
            && let Some((name, rest)) = line.split_once('=')
            && let Some((value, _)) = rest.split_once(',')
        {
            text += &format!("pub(crate) const {}: {width} = {};\n", name.trim(), value.trim());
        }
    }
    text
}
