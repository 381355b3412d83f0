//! The commands that look into files, without starting anything.

use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Subcommand;
use serde::Serialize;

use crate::checkpoint::read_file;
use crate::driver::Destination;
use crate::image::{self, Choice, Containers, Difference, Image, State};
use crate::process::tell;

/// What to do with files.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// Show what is in a checkpoint or table file
    Inspect {
        /// The file; - for the standard input
        file: PathBuf,
        /// Only these slots
        #[arg(long, value_name = "SLOT", value_delimiter = ',')]
        slot: Vec<u32>,
        /// Only slots with these badges
        #[arg(long, value_name = "BADGE", value_delimiter = ',')]
        badge: Vec<u32>,
        /// Only slots in these states
        #[arg(long, value_name = "STATE", value_delimiter = ',')]
        state: Vec<State>,
        /// Of a complete image with increments behind it, only so many containers
        #[arg(long, value_name = "N", value_parser = containers)]
        containers: Option<usize>,
        /// Write the bytes of one section of a checkpoint: that of the last container, if there are several
        #[arg(long, value_name = "NAME", conflicts_with_all = ["slot", "badge", "state", "json", "lines"])]
        section: Option<String>,
        /// Print JSON, also of a failure
        #[arg(long, conflicts_with = "lines")]
        json: bool,
        /// Print the table as lines without a frame, as doc/layout.md describes them
        #[arg(long, conflicts_with_all = ["slot", "badge", "state"])]
        lines: bool,
    },
    /// Check that the parts of a checkpoint or table file agree, without starting anything
    Verify {
        /// The file; - for the standard input
        file: PathBuf,
        /// Of a complete image with increments behind it, only so many containers
        #[arg(long, value_name = "N", value_parser = containers)]
        containers: Option<usize>,
        /// Print JSON, also of a failure
        #[arg(long)]
        json: bool,
    },
    /// Compare two checkpoint or table files; exit status 0 if they say the same, 1 if not
    Diff {
        /// The one from before
        before: PathBuf,
        /// The one from after
        after: PathBuf,
        /// Leave badges aside, which are other ones in each system
        #[arg(long)]
        ignore_badges: bool,
        /// Print JSON, also of a failure
        #[arg(long)]
        json: bool,
    },
    /// Make one complete image of a component's image and the increments behind it
    Merge {
        /// The file with all of them; - for the standard input
        chain: PathBuf,
        /// The file to write, without compression, as the component checkpoint reads it
        out: PathBuf,
        /// Only so many containers
        #[arg(long, value_name = "N", value_parser = containers)]
        containers: Option<usize>,
        /// Replace a file that is no checkpoint, too
        #[arg(long)]
        force: bool,
        /// Print the result as JSON, also that of a failure
        #[arg(long)]
        json: bool,
    },
}

fn containers(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("a chain has one container at least".to_owned()),
        Ok(count) => Ok(count),
        Err(error) => Err(format!("{error}")),
    }
}

/// What `verify` found in an image whose structure and checksums are right.
#[derive(Serialize)]
pub(crate) struct Faults {
    file: String,
    slots: usize,
    #[serde(flatten)]
    containers: Option<Containers>,
    pub(crate) faults: Vec<String>,
}

/// What `merge` wrote.
#[derive(Serialize)]
pub(crate) struct Merged {
    file: String,
    bytes: usize,
    #[serde(flatten)]
    containers: Containers,
}

/// What came of a command.
pub(crate) enum End {
    Bytes(Vec<u8>),
    Faults(Faults),
    Difference(Difference),
    Merged(Merged),
}

impl Command {
    /// What to call it in a result, and whether that is to be JSON.
    pub(crate) fn name_and_json(&self) -> (&'static str, bool) {
        match self {
            Command::Inspect { json, .. } => ("inspect", *json),
            Command::Verify { json, .. } => ("verify", *json),
            Command::Diff { json, .. } => ("diff", *json),
            Command::Merge { json, .. } => ("merge", *json),
        }
    }
}

impl Faults {
    /// For people, if there are none.
    pub(crate) fn all_well(&self) -> String {
        let Faults { file, slots, containers, .. } = self;
        let (count, left_over) =
            containers.as_ref().map_or((0, 0), |found| (found.containers.len(), found.left_over));
        let several = if count > 1 { format!("{count} containers, ") } else { String::new() };
        let behind = match left_over {
            0 => String::new(),
            bytes => format!("; {bytes} bytes of an earlier chain behind"),
        };
        format!("{file}: {several}{slots} slots in use, all well{behind}\n")
    }

    /// What to say after all faults.
    pub(crate) fn count(&self) -> String {
        format!("{}: {} faults", self.file, self.faults.len())
    }
}

impl Merged {
    /// For people.
    pub(crate) fn text(&self) -> String {
        let containers = &self.containers.containers;
        let checkpoint = containers.last().map_or(0, |container| container.checkpoint);
        format!(
            "{}: checkpoint {checkpoint} of {} containers, {} bytes\n",
            self.file,
            containers.len(),
            self.bytes
        )
    }
}

/// Carries out a command.
pub(crate) fn run(command: Command) -> Result<End> {
    match command {
        Command::Inspect { file, slot, badge, state, containers, section, json, lines } => {
            let image = load(&file, containers)?;
            let choice = Choice { slots: slot, badges: badge, states: state };
            Ok(End::Bytes(if let Some(section) = section {
                image.section(&section)?.to_vec()
            } else if lines {
                let lines = image.tables().flat_map(|(_, table)| table.lines());
                lines.flat_map(|line| (line + "\n").into_bytes()).collect()
            } else if json {
                image.json(&choice)?.into_bytes()
            } else {
                image.text(&choice, has_colours())?.into_bytes()
            }))
        }
        Command::Verify { file, containers, .. } => {
            let image = load(&file, containers)?;
            let faults = image::verify(&image);
            let (file, slots) = (file.display().to_string(), image.rows.len());
            Ok(End::Faults(Faults { file, slots, containers: image.containers, faults }))
        }
        Command::Diff { before, after, ignore_badges, .. } => {
            let [before, after] = [load(&before, None)?, load(&after, None)?];
            Ok(End::Difference(image::diff(&before, &after, ignore_badges)))
        }
        Command::Merge { chain, out, containers, force, .. } => {
            let destination = Destination::new(&out, force)?;
            tell(|| format!("reading {}", chain.display()));
            let shown = || chain.display().to_string();
            let (bytes, containers) =
                image::merge(&read_file(&chain)?, containers).with_context(shown)?;
            tell(|| format!("writing {}", out.display()));
            destination.write_plain(&bytes)?;
            let file = out.display().to_string();
            Ok(End::Merged(Merged { file, bytes: bytes.len(), containers }))
        }
    }
}

/// Reads an image, and says so if asked to.
fn load(file: &Path, containers: Option<usize>) -> Result<Image> {
    tell(|| format!("reading {}", file.display()));
    let image = Image::load(file, containers)?;
    tell(|| format!("{}: {} slots in use", file.display(), image.rows.len()));
    Ok(image)
}

/// Whether people look at the standard output who want colours: <https://no-color.org>.
fn has_colours() -> bool {
    io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}
