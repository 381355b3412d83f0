//! Prints the C header of the crate `cap_map_ffi`; `./check header` compares it
//! with the committed one.

use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let ffi = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../ffi");
    let config = match cbindgen::Config::from_file(ffi.join("cbindgen.toml")) {
        Ok(config) => config,
        Err(error) => {
            eprintln!("header: ffi/cbindgen.toml: {error}");
            return ExitCode::FAILURE;
        }
    };
    match cbindgen::Builder::new().with_crate(&ffi).with_config(config).generate() {
        Ok(bindings) => {
            bindings.write(std::io::stdout());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("header: {error}");
            ExitCode::FAILURE
        }
    }
}
