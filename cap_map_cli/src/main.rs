//! The command `cap_map`; all of it is in the library.

fn main() -> std::process::ExitCode {
    cap_map_cli::run()
}
