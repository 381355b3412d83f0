//! Compiles the C++ reader and writer, and what tests need besides.

use std::path::Path;
use std::process::Command;

fn main() {
    let library = Path::new("../../../lib/cap_checkpoint_image");
    let sources =
        ["container", "table", "check", "check_threads", "check_members", "chain", "writer"];
    let include = Path::new("../../../../include");
    for folder in [library, include, Path::new(".")] {
        println!("cargo:rerun-if-changed={}", folder.display());
    }
    let mut build = cc::Build::new();
    build.cpp(true).std("c++20").extra_warnings(true).warnings_into_errors(true);
    // Half the time, and what is tested are values.
    build.opt_level(1).debug(false);
    let has_clang = || Command::new("clang++").arg("--version").output().is_ok();
    if std::env::var_os("CARGO_FEATURE_COVERAGE").is_some() && has_clang() {
        let coverage = "-fsanitize-coverage=inline-8bit-counters,pc-table,trace-cmp";
        build.compiler("clang++").flag(coverage).flag("-fsanitize=address");
    }
    build
        .includes([include, Path::new(".")])
        .files(sources.map(|name| library.join(name).with_extension("cc")))
        .files(["abi.cc", "json.cc"])
        .compile("cap_checkpoint_image");
}
