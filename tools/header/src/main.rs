//! Prints the C header of the crate `cap_map_ffi`; `./check header` compares it
//! with the committed one.
//!
//! cbindgen translates each item. The header's order and text come from the
//! sources: one section per module of the crate, under the first line of the
//! module's text, with the items in the order in which the module has them. What cbindgen
//! writes is arranged as C is read.

use std::path::Path;
use std::process::ExitCode;

use cbindgen::Bindings;

/// The sections of the header: modules of `ffi/src`.
const SECTIONS: [&str; 10] =
    ["abi", "status", "region", "owner", "slot", "badge", "reference", "node", "pool", "monitor"];

/// Columns of code, and of comments in one line.
const WIDTH: usize = 100;
/// Columns of comments with several lines.
const TEXT_WIDTH: usize = 90;
/// Columns of a tab.
const TAB: usize = 8;

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
        sections += &title(module_text(&source).lines().next().unwrap_or(module));
        sections += &rendered(own.iter().map(|item| (&*item.export, &*item.text)))?;
    }
    if let Some(lost) = items.first() {
        return Err(format!("{} is in no module of a section", lost.name));
    }
    Ok(whole_file(&module_text(&read("lib")?), &sections))
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

/// The whole file: `about` is its first comment.
fn whole_file(about: &str, sections: &str) -> String {
    let about: String = about
        .lines()
        .map(|line| format!(" * {}", quoted(line)).trim_end().to_owned() + "\n")
        .collect();
    format!(
        "/*\n{about} *\n \
         * Generated by tools/header from the crate cap_map_ffi, do not edit.\n \
         *\n \
         * SPDX-License-Identifier: MIT OR Apache-2.0\n \
         */\n\n\
         #ifndef CAP_MAP_H\n#define CAP_MAP_H\n\n\
         #include <cap_map_types.h> /* stdint.h and the like, or what the environment has */\n\n\
         #ifdef __cplusplus\nextern \"C\" {{\n#endif\n\
         {sections}\n\
         #ifdef __cplusplus\n}} /* extern \"C\" */\n#endif\n\n\
         #endif /* CAP_MAP_H */\n"
    )
}

/// The title of a section, in a box.
fn title(text: &str) -> String {
    let edge = "*".repeat(text.len() + 6);
    format!("\n\n/{edge}\n ** {text} **\n {edge}/\n")
}

/// The items of a section, as pairs of name and text. Constants stand together.
fn rendered<'a>(items: impl Iterator<Item = (&'a str, &'a str)>) -> Result<String, String> {
    let (mut constants, mut others) = (Vec::new(), String::new());
    for (name, text) in items {
        let (comment, code) = commented(text);
        if code.starts_with("#define ") {
            constants.push((comment, code.trim_end().to_owned()));
        } else if code.starts_with("enum ") {
            others += &format!("\n{}{}", block(&comment), enumeration(name, &code)?);
        } else if code.starts_with("typedef struct {") {
            others += &format!("\n{}{}", block(&comment), structure(name, &code));
        } else {
            others += &format!("\n{}{}", block(&comment), wrapped(code.trim_end()));
        }
    }
    let constants = if constants.is_empty() {
        String::new()
    } else {
        format!("\n{}", trailing("", &constants))
    };
    Ok(constants + &others)
}

/// Splits the comment before an item from its code.
fn commented(text: &str) -> (Vec<String>, String) {
    let mut lines = text.lines().skip_while(|line| line.trim().is_empty()).peekable();
    let mut comment = Vec::new();
    while let Some(line) = lines.next_if(|line| line.trim_start().starts_with("//")) {
        comment.push(quoted(line.trim_start().trim_start_matches('/').trim()));
    }
    (comment, lines.map(|line| line.to_owned() + "\n").collect())
}

/// Backticks of Rust's documentation, as C's comments quote names.
fn quoted(text: &str) -> String {
    text.replace('`', "'")
}

/// An enumeration as C and C++ know it: in C++ a type of its own, in C a name for
/// the integer. (A tag and a type of the same name are not valid in C++.)
fn enumeration(name: &str, code: &str) -> Result<String, String> {
    let (_, body) = code.split_once("{\n").ok_or("an enumeration without a body")?;
    let (body, _) = body.split_once("};").ok_or("an enumeration without an end")?;
    Ok(format!(
        "#ifdef __cplusplus\nenum {name} : uint32_t\n#else\ntypedef uint32_t {name};\nenum\n#endif\n\
         {{\n{}}};\n",
        trailing("\t", &members(body))
    ))
}

fn structure(name: &str, code: &str) -> String {
    let body: String = code
        .lines()
        .skip(1)
        .take_while(|line| !line.starts_with('}'))
        .map(|line| line.to_owned() + "\n")
        .collect();
    format!("typedef struct {name} {{\n{}}} {name};\n", trailing("\t", &members(&body)))
}

/// The members of a body, each with its comment.
fn members(body: &str) -> Vec<(Vec<String>, String)> {
    let mut members = Vec::new();
    let mut rest = body.to_owned();
    while !rest.trim().is_empty() {
        let (comment, code) = commented(&rest);
        let (line, others) = code.split_once('\n').unwrap_or((&code, ""));
        members.push((comment, line.trim().to_owned()));
        rest = others.to_owned();
    }
    members
}

/// Lines of code with their comments behind them in a column, or before them if there
/// is little room.
fn trailing(indent: &str, lines: &[(Vec<String>, String)]) -> String {
    let column = lines.iter().map(|(_, code)| code.chars().count()).max().unwrap_or(0);
    let start = indent.len() * TAB + column + 1;
    let mut out = String::new();
    for (comment, code) in lines {
        if start > WIDTH / 2 {
            out += &format!("{indent}/* {} */\n{indent}{code}\n", comment.join(" "));
            continue;
        }
        let text = filled(&comment.join(" "), WIDTH - start - "/*  */".len());
        let text = text.join(&format!("\n{indent}{}", " ".repeat(column + 1 + "/* ".len())));
        out += &format!("{indent}{code:column$} /* {text} */\n");
    }
    out
}

/// A comment before an item, with what Rust calls errors and safety. One line if it fits.
fn block(comment: &[String]) -> String {
    let mut parts = comment.split(|line| line.starts_with("# "));
    let headings = comment.iter().filter_map(|line| line.strip_prefix("# "));
    let mut paragraphs: Vec<(&str, String)> = parts
        .next()
        .into_iter()
        .flat_map(|text| text.split(|line| line.is_empty()))
        .map(|lines| ("", lines.join(" ")))
        .collect();
    for (heading, part) in headings.zip(parts) {
        let name = match heading {
            "Safety" => "Requires: ",
            "Errors" => "Errors: ",
            other => other,
        };
        paragraphs.push((name, duties(part)));
    }
    paragraphs.retain(|(_, text)| !text.is_empty());
    let one_line: Vec<_> = paragraphs.iter().map(|(name, text)| format!("{name}{text}")).collect();
    let one_line = one_line.join(" ");
    if one_line.is_empty() {
        return String::new();
    }
    if one_line.chars().count() + "/*  */".len() <= WIDTH {
        return format!("/* {one_line} */\n");
    }
    let mut out = String::from("/*\n");
    for (name, text) in paragraphs {
        let lines = filled(&text, TEXT_WIDTH - " * ".len() - name.len());
        let text = lines.join(&format!("\n * {}", " ".repeat(name.len())));
        out += &format!(" * {name}{text}\n");
    }
    out + " */\n"
}

/// The duties of a list, without the numbers that Rust's proofs refer to, and without
/// what the header says of all functions.
fn duties(lines: &[String]) -> String {
    let mut duties: Vec<String> = Vec::new();
    for line in lines.iter().filter(|line| !line.is_empty()) {
        match line.split_once(". ").filter(|(number, _)| number.parse::<u8>().is_ok()) {
            Some((_, duty)) => duties.push(duty.to_owned()),
            None => match duties.last_mut() {
                Some(duty) => *duty += &format!(" {line}"),
                None => duties.push(line.clone()),
            },
        }
    }
    let own = duties.iter().filter_map(|duty| match duty.strip_prefix("As for all functions") {
        Some(rest) => rest.strip_prefix("; "),
        None => Some(duty),
    });
    own.map(sentence).collect::<Vec<_>>().join(" ")
}

/// With a capital letter at the start.
fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

/// A declaration, its arguments on as few lines as they need.
fn wrapped(code: &str) -> String {
    let code = code.trim_start_matches("extern ");
    let Some((head, arguments)) = code.split_once('(').filter(|_| code.len() > WIDTH) else {
        return format!("{code}\n");
    };
    let indent = " ".repeat(head.len() + 1);
    let glued: Vec<_> = arguments.split(", ").map(|argument| argument.replace(' ', "\0")).collect();
    let lines = filled(&glued.join(", "), WIDTH - indent.len());
    format!("{head}({}\n", lines.join(&format!("\n{indent}")).replace('\0', " "))
}

/// Words in lines of at most `width` columns.
fn filled(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::{block, rendered, title, wrapped};

    fn lines(text: &str) -> Vec<String> {
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn a_comment_that_fits_has_one_line() {
        let comment = "Gives 'a' back.\n\n# Errors\nBUSY.\n\n# Safety\n1. As for all functions.";
        assert_eq!(block(&lines(comment)), "/* Gives 'a' back. Errors: BUSY. */\n");
    }

    #[test]
    fn a_long_comment_keeps_duties_apart() {
        let text = "word ".repeat(17);
        let comment = format!(
            "{text}\n\n# Safety\n1. As for all functions; 'a' is\n   valid.\n2. Nobody uses 'b'."
        );
        assert_eq!(
            block(&lines(&comment)),
            format!("/*\n * {}\n * Requires: 'a' is valid. Nobody uses 'b'.\n */\n", text.trim())
        );
    }

    #[test]
    fn enumerations_are_one_type_in_cpp() {
        let code = "// Why.\nenum kind\n {\n  // First.\n  A = 0,\n  // Second.\n  BB = 1,\n};\n";
        assert_eq!(
            rendered([("kind", code)].into_iter()).as_deref(),
            Ok("\n/* Why. */\n#ifdef __cplusplus\nenum kind : uint32_t\n#else\n\
                typedef uint32_t kind;\nenum\n#endif\n{\n\tA = 0,  /* First. */\n\
                \tBB = 1, /* Second. */\n};\n")
        );
        assert!(rendered([("kind", "enum kind;\n")].into_iter()).is_err());
    }

    #[test]
    fn declarations_break_between_arguments() {
        let argument = format!("const a_rather_long_type_{} *name", "x".repeat(20));
        assert_eq!(
            wrapped(&format!("extern status do_it({argument}, {argument});")),
            format!("status do_it({argument},\n             {argument});\n")
        );
    }

    #[test]
    fn titles_stand_in_a_box() {
        assert_eq!(title("Ab"), "\n\n/********\n ** Ab **\n ********/\n");
    }
}
