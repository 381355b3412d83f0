//! The command `cap_map`; all of it is in the library.

fn main() -> std::process::ExitCode {
    testbed::run()
}
