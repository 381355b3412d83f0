//! Corpora as text: one file per target, one input per line.
//!
//! ```text
//! # What the file is.
//!
//! 0004*6ff
//! # Why this input is kept whatever it covers.
//! 10 ff 00*16
//! ```
//!
//! A line is an input: words of two hexadecimal digits per byte, and `HH*N` for `N`
//! times the byte `HH`. `-` is the input without a byte. The first block of comments
//! belongs to the file. A comment further down belongs to the input below it: such an
//! input is pinned, so a campaign that reduces the corpus keeps it. Inputs are in the
//! order of their length, then of their bytes, and each occurs once.

use std::collections::BTreeMap;
use std::path::PathBuf;

/// Equal bytes in a row from which on they are written as `HH*N`.
const RUN: usize = 4;

/// The corpus of one target.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Corpus {
    /// Lines of the comment that begins the file, with their `#`.
    header: Vec<String>,
    /// Inputs by length and content, each with the comment that pins it, if any.
    inputs: BTreeMap<(usize, Vec<u8>), Vec<String>>,
}

/// The text file of a target.
#[must_use]
pub fn path(target: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "corpus", &format!("{target}.txt")].iter().collect()
}

impl Corpus {
    /// Reads a corpus.
    ///
    /// # Errors
    /// The number of a line that is neither a comment nor an input, or that repeats one.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut corpus = Corpus::default();
        let mut comment = Vec::new();
        for (number, line) in (1..).zip(text.lines()) {
            if line.starts_with('#') {
                comment.push(line.to_owned());
            } else if !line.is_empty() {
                let input = decode(line).map_err(|error| format!("line {number}: {error}"))?;
                if !corpus.insert(input, std::mem::take(&mut comment)) {
                    return Err(format!("line {number}: occurs already"));
                }
            } else if corpus.header.is_empty() && corpus.inputs.is_empty() {
                corpus.header.append(&mut comment);
            }
        }
        Ok(corpus)
    }

    /// Writes the corpus in the one form that each corpus has.
    #[must_use]
    pub fn format(&self) -> String {
        let mut lines = self.header.clone();
        lines.push(String::new());
        for ((_, input), comment) in &self.inputs {
            lines.extend(comment.iter().cloned());
            lines.push(encode(input));
        }
        lines.join("\n") + "\n"
    }

    /// Adds an input, pinned if there is a comment; false if it was there.
    pub fn insert(&mut self, input: Vec<u8>, comment: Vec<String>) -> bool {
        let key = (input.len(), input);
        let new = !self.inputs.contains_key(&key);
        if new {
            self.inputs.insert(key, comment);
        }
        new
    }

    /// Removes all inputs that are not pinned.
    pub fn clear(&mut self) {
        self.inputs.retain(|_, comment| !comment.is_empty());
    }

    /// The inputs in their order, and whether each is pinned.
    pub fn inputs(&self) -> impl Iterator<Item = (&[u8], bool)> {
        self.inputs.iter().map(|((_, input), comment)| (input.as_slice(), !comment.is_empty()))
    }
}

fn encode(input: &[u8]) -> String {
    let mut line = String::new();
    let mut after_run = false;
    for equal in input.chunk_by(|a, b| a == b) {
        let (byte, run) = (equal[0], equal.len() >= RUN);
        if !line.is_empty() && (run || after_run) {
            line.push(' ');
        }
        let count = if run { 1 } else { equal.len() };
        line.extend((0..count).map(|_| format!("{byte:02x}")));
        if run {
            line.push_str(&format!("*{}", equal.len()));
        }
        after_run = run;
    }
    if line.is_empty() { "-".to_owned() } else { line }
}

fn decode(line: &str) -> Result<Vec<u8>, String> {
    let mut input = Vec::new();
    for word in line.split_whitespace().filter(|_| line != "-") {
        let (digits, count) = word.split_once('*').unwrap_or((word, "1"));
        let count: usize = count.parse().map_err(|error| format!("{word}: {error}"))?;
        let bytes = bytes(digits).ok_or_else(|| format!("{word}: two digits are a byte"))?;
        if word.contains('*') && bytes.len() != 1 {
            return Err(format!("{word}: one byte is repeated"));
        }
        input.extend(bytes.repeat(count));
    }
    Ok(input)
}

/// The bytes of pairs of digits; `None` without any, and for anything else.
fn bytes(digits: &str) -> Option<Vec<u8>> {
    // Not left to the conversion: it takes a sign for a digit.
    let digits: Option<Vec<u32>> = digits.chars().map(|digit| digit.to_digit(16)).collect();
    let (pairs, []) = digits.as_ref()?.as_chunks() else { return None };
    let byte = |[high, low]: &[u32; 2]| u8::try_from(16 * high + low).ok();
    pairs.iter().map(byte).collect::<Option<Vec<u8>>>().filter(|bytes| !bytes.is_empty())
}
