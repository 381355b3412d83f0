//! An image as text for people.

use std::fmt::Write;

use super::{Choice, Containers, Image, Row, State, Target, kind_name};
use crate::checkpoint::component::Container;
use crate::checkpoint::container;
use crate::table::{Table, escaped};

/// Escape sequences of a terminal, for states that deserve a look.
const YELLOW: &str = "\u{1b}[33m";
const RED: &str = "\u{1b}[31m";
const PLAIN: &str = "\u{1b}[0m";

const COLUMNS: usize = 7;

impl Image {
    /// A summary, and one line for each chosen slot. Colours are for terminals.
    pub(crate) fn text(&self, choice: &Choice, colours: bool) -> anyhow::Result<String> {
        let mut text = self.summary()?;
        let rows: Vec<_> = self.rows.iter().filter(|row| choice.has(row)).collect();
        if !rows.is_empty() {
            text.push('\n');
            text += &table_of(&rows, colours);
        }
        if let Some(component) = &self.component
            && choice.is_all()
        {
            text += &self.containers.as_ref().map_or(String::new(), Containers::text);
            text += &component.text();
        }
        Ok(text)
    }

    fn summary(&self) -> anyhow::Result<String> {
        let mut text = String::new();
        if let Some(checkpoint) = &self.checkpoint {
            let meta = &checkpoint.meta;
            writeln!(
                text,
                "checkpoint of format {}, {} bytes, of a program of {} bytes with CRC-32 {:#010x}, \
                 seed {}, {} migrations before",
                container::VERSION,
                self.bytes.len(),
                meta.program.bytes,
                meta.program.crc32,
                meta.seed,
                meta.rounds
            )?;
        }
        if let Some(component) = &self.component {
            let (version, bytes) = (container::VERSION, self.bytes.len());
            let what = if component.is_unit() { "unit of components" } else { "component" };
            writeln!(text, "checkpoint of format {version}, {bytes} bytes, of a {what}")?;
            text += &component.summary();
            if let Some(Containers { left_over: left_over @ 1.., .. }) = &self.containers {
                writeln!(text, "{left_over} bytes of an earlier chain behind it")?;
            }
        }
        if self.is_checkpoint() {
            let sections = self.sections()?;
            let sections: Vec<_> = sections
                .iter()
                .map(|section| format!("{} {}", escaped(section.name), section.bytes.len()))
                .collect();
            writeln!(text, "sections with their bytes: {}", sections.join(", "))?;
        }
        for (member, table) in self.tables() {
            if let Some(name) = member {
                writeln!(text, "member \"{}\":", escaped(name))?;
            }
            text += &self.summary_of(member, table)?;
        }
        for name in self.others.iter().filter(|(_, table)| table.is_none()).map(|(name, _)| name) {
            writeln!(text, "member \"{}\": has no table", escaped(name))?;
        }
        Ok(text)
    }

    /// What a table is, and how many of its slots are in which state.
    fn summary_of(&self, member: Option<&str>, table: &Table) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        let (identity, geometry) = (&table.header.identity, &table.header.geometry);
        writeln!(
            text,
            "{} table of \"{}\": {} slots, those in front of {} static, badges of {} bits",
            kind_name(table.header.kind),
            escaped(identity.label()),
            geometry.capacity,
            geometry.first_user,
            geometry.badge_bits
        )?;
        writeln!(
            text,
            "boot {:#018x}, instance {}, protection domain {}, parent {}",
            identity.boot, identity.instance, identity.pd, identity.parent
        )?;
        let states = [State::Static, State::Used, State::Detached, State::Reserved, State::Corrupt];
        let rows = || self.rows.iter().filter(|row| row.member.as_deref() == member);
        let counts: Vec<_> = states
            .iter()
            .map(|state| (state, rows().filter(|row| row.state == *state).count()))
            .filter(|(_, count)| *count != 0)
            .map(|(state, count)| format!("{count} {}", state.name()))
            .collect();
        writeln!(
            text,
            "slots: {}",
            if counts.is_empty() { "all free".into() } else { counts.join(", ") }
        )?;
        Ok(text)
    }
}

impl Containers {
    /// A table of the containers, if there are several.
    fn text(&self) -> String {
        if self.containers.len() == 1 {
            return String::new();
        }
        let cells = (0u32..).zip(&self.containers).map(|(position, container)| {
            let Container { checkpoint, offset, bytes, pages, header_crc32 } = container;
            [
                format!("{position}"),
                format!("{checkpoint}"),
                format!("{offset}"),
                format!("{bytes}"),
                format!("{pages}"),
                format!("{header_crc32:#010x}"),
            ]
        });
        let head = ["position", "checkpoint", "offset", "bytes", "pages", "CRC-32"];
        let lines = columns(&head, &["CRC-32"], &cells.collect::<Vec<_>>());
        format!("\ncontainers\n{}\n", lines.join("\n"))
    }
}

/// The rows as lines. States that deserve a look have a colour.
fn table_of(rows: &[&Row], colours: bool) -> String {
    let head = ["member", "slot", "selector", "state", "badge", "references", "object"];
    let cells: Vec<_> = rows.iter().map(|row| cells(row)).collect();
    let lines = columns(&head, &["member", "state", "object"], &cells);
    let states = std::iter::once(None).chain(rows.iter().map(|row| Some(row.state)));
    let mut text = String::new();
    for (line, state) in lines.iter().zip(states) {
        let colour = match state {
            Some(State::Detached | State::Reserved) if colours => YELLOW,
            Some(State::Corrupt) if colours => RED,
            _ => "",
        };
        let end = if colour.is_empty() { "" } else { PLAIN };
        text += &format!("{colour}{line}{end}\n");
    }
    text
}

/// Lines whose columns align, with a head. Words, whose columns `words` names, stand to the left,
/// and numbers to the right. Columns that no row fills are left out.
pub(crate) fn columns<const N: usize>(
    head: &[&str; N],
    words: &[&str],
    rows: &[[String; N]],
) -> Vec<String> {
    let lines = || std::iter::once(head.map(str::to_owned)).chain(rows.iter().cloned());
    let width = |column: usize| lines().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; N] = std::array::from_fn(width);
    let shown: Vec<_> =
        (0..N).filter(|column| rows.iter().any(|row| !row[*column].is_empty())).collect();
    let align = |line: [String; N]| {
        let cell = |column: &usize| {
            let (cell, width) = (&line[*column], widths[*column]);
            let is_word = words.contains(&head[*column]);
            if is_word { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
        };
        let cells: Vec<_> = shown.iter().map(cell).collect();
        cells.join("  ").trim_end().to_owned()
    };
    lines().map(align).collect()
}

fn cells(row: &Row) -> [String; COLUMNS] {
    let badge = if row.state.has_badge() { row.badge.to_string() } else { String::new() };
    [
        row.member.as_deref().map_or(String::new(), escaped),
        row.slot.to_string(),
        format!("{:#x}", row.selector),
        row.state.name().to_owned(),
        badge,
        row.references.map_or(String::new(), |count| count.to_string()),
        row.object.as_ref().map_or(String::new(), object),
    ]
}

pub(super) fn object(object: &Target) -> String {
    match object {
        Target::Gate { creator, entrypoint, name } => {
            format!("{name:#x} of {creator}, entrypoint {entrypoint}")
        }
        Target::Record { what, number, name } => {
            format!("{what} {number} {name}").trim_end().to_owned()
        }
        Target::Dead => "dead".to_owned(),
        Target::Thread => "thread".to_owned(),
    }
}
