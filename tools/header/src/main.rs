//! Prints the C header of the crate `cap_map_ffi`; `./check header` compares it
//! with the committed one.
//!
//! cbindgen translates each item. The header's order and text come from the
//! sources: one section per module of the crate, under the first line of the
//! module's text, with the items in the order in which the module has them.

mod render;

use std::path::Path;
use std::process::ExitCode;

use cbindgen::Bindings;

/// The sections of the header: modules of `ffi/src`.
const SECTIONS: [&str; 10] =
    ["abi", "status", "region", "owner", "slot", "badge", "reference", "node", "pool", "monitor"];

/// An item as cbindgen writes it.
struct Written {
    /// Its name in Rust.
    name: String,
    /// Its name in C.
    export: String,
    text: String,
}

fn main() -> ExitCode {
    match header() {
        Ok(header) => {
            print!("{header}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("header: {error}");
            ExitCode::FAILURE
        }
    }
}

fn header() -> Result<String, String> {
    let ffi = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../ffi");
    let read = |module: &str| {
        let path = ffi.join("src").join(module).with_extension("rs");
        std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))
    };
    let mut items = translate(&ffi)?;
    let mut sections = String::new();
    for module in SECTIONS {
        let source = read(module)?;
        let mut own: Vec<_> =
            items.extract_if(.., |item| position(&source, &item.name).is_some()).collect();
        own.sort_by_key(|item| position(&source, &item.name));
        sections += &render::title(module_text(&source).lines().next().unwrap_or(module));
        sections += &render::items(own.iter().map(|item| (&*item.export, &*item.text)))?;
    }
    if let Some(lost) = items.first() {
        return Err(format!("{} is in no module of a section", lost.name));
    }
    Ok(render::file(&module_text(&read("lib")?), &sections))
}

/// Every exported item, translated by itself.
fn translate(ffi: &Path) -> Result<Vec<Written>, String> {
    let config = cbindgen::Config::from_file(ffi.join("cbindgen.toml"))
        .map_err(|error| format!("ffi/cbindgen.toml: {error}"))?;
    let mut all = cbindgen::Builder::new()
        .with_crate(ffi)
        .with_config(config)
        .generate()
        .map_err(|error| error.to_string())?;
    let constants = std::mem::take(&mut all.constants);
    let types = std::mem::take(&mut all.items);
    let functions = std::mem::take(&mut all.functions);
    // cbindgen evaluates no macros.
    let version = env!("CARGO_PKG_VERSION");
    let mut written = vec![Written {
        name: "CAP_MAP_VERSION".into(),
        export: "CAP_MAP_VERSION".into(),
        text: format!("// Version of the library.\n#define CAP_MAP_VERSION \"{version}\"\n"),
    }];
    // Constants of types are Rust's own.
    for constant in constants.into_iter().filter(|constant| constant.associated_to.is_none()) {
        let (name, export) = (constant.path.name().to_owned(), constant.export_name.clone());
        all.constants = vec![constant];
        written.push(Written { name, export, text: text_of(&all)? });
        all.constants.clear();
    }
    for item in types {
        let (name, export) =
            (item.deref().name().to_owned(), item.deref().export_name().to_owned());
        all.items = vec![item];
        written.push(Written { name, export, text: text_of(&all)? });
        all.items.clear();
    }
    for function in functions {
        let name = function.path.name().to_owned();
        all.functions = vec![function];
        written.push(Written { export: name.clone(), name, text: text_of(&all)? });
        all.functions.clear();
    }
    Ok(written)
}

fn text_of(bindings: &Bindings) -> Result<String, String> {
    let mut text = Vec::new();
    bindings.write(&mut text);
    String::from_utf8(text).map_err(|error| error.to_string())
}

/// Where a module defines an item, or exports it from `cap_map_rs`.
fn position(source: &str, name: &str) -> Option<usize> {
    [
        "fn NAME(",
        "struct NAME ",
        "struct NAME(",
        "enum NAME ",
        "const NAME:",
        "use cap_map_rs::NAME;",
    ]
    .iter()
    .find_map(|form| source.find(&form.replace("NAME", name)))
}

/// The text of a module, without the marks of the comment.
fn module_text(source: &str) -> String {
    let lines = source.lines().map_while(|line| line.strip_prefix("//!"));
    lines.map(|line| line.trim().to_owned() + "\n").collect()
}
