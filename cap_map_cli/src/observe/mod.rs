//! The commands that look into the memory of a machine or process, once, or again and again.

mod screen;
mod watch;

use std::ffi::OsString;
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};

use self::watch::{Recorder, Watched, plainly};
use crate::checkpoint::read_file;
use crate::live::leaks::Mark;
use crate::live::{Known, Machine, Pictures, Place, Ram, Search};
use crate::process::tell;

/// The memory to look into.
#[derive(Args)]
pub(crate) struct Memory {
    /// A shared memory file of a running guest, a raw or ELF dump (- for the standard input), pid:NUMBER
    /// of a Linux process, or gdb:HOST:PORT of QEMU's stub for debuggers
    #[arg(value_name = "RAM")]
    ram: OsString,
    /// Physical address of the first byte of a file that is no ELF file
    #[arg(long, value_name = "ADDRESS", default_value = "0", value_parser = address)]
    base: u64,
    /// Physical address of core's directory, if there are several
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    directory: Option<u64>,
    /// Physical address of core's table, if several claim to be it
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    core: Option<u64>,
    /// Physical address where the memory of a file ends below 4 GiB, with the rest behind 4 GiB
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    hole: Option<u64>,
    /// Print JSON, also of a failure
    #[arg(long)]
    json: bool,
}

/// What to look for in the memory.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// List the components in the memory of a machine or process, with their tables
    Scan {
        #[command(flatten)]
        memory: Memory,
    },
    /// Show the table of one component in the memory of a machine or process
    Show {
        #[command(flatten)]
        memory: Memory,
        /// The component's name, the last parts of it, or the address of its table
        label: String,
        /// Take so many pictures of the table, and tell only how many are not of one instant
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
        repeat: Option<u64>,
    },
    /// Show who holds a badge in the memory of a machine or process
    Who {
        #[command(flatten)]
        memory: Memory,
        /// The badge
        #[arg(value_parser = badge, required_unless_present = "dot")]
        badge: Option<u32>,
        /// Print a graph for Graphviz: who holds how many objects made by whom
        #[arg(long, conflicts_with_all = ["badge", "json"])]
        dot: bool,
    },
    /// Show the components in the memory of a machine or process again and again: a screen on a
    /// terminal, lines otherwise
    Watch {
        #[command(flatten)]
        memory: Memory,
        /// Time from one look to the next
        #[arg(long, value_name = "SECONDS", default_value = "1", value_parser = seconds)]
        interval: Duration,
        /// Print lines, also on a terminal
        #[arg(long)]
        plain: bool,
        /// End after so many looks
        #[arg(long, value_name = "N", requires = "plain")]
        count: Option<u64>,
        /// Add a line of JSON to this file for each look
        #[arg(long, value_name = "FILE")]
        record: Option<PathBuf>,
        /// Add them to a file with other contents, too
        #[arg(long, requires = "record")]
        force: bool,
    },
    /// Show which counts of capabilities have grown in the memory of a machine or process
    Leaks {
        #[command(flatten)]
        memory: Memory,
        /// Compare with this earlier output of leaks --json
        #[arg(long, value_name = "FILE")]
        since: Option<PathBuf>,
    },
}

impl Command {
    /// What to call it in a result, and whether that is to be JSON.
    pub(crate) fn name_and_json(&self) -> (&'static str, bool) {
        let (name, memory) = match self {
            Command::Scan { memory } => ("scan", memory),
            Command::Show { memory, .. } => ("show", memory),
            Command::Who { memory, .. } => ("who", memory),
            Command::Watch { memory, .. } => ("watch", memory),
            Command::Leaks { memory, .. } => ("leaks", memory),
        };
        (name, memory.json)
    }
}

/// A number, with 0x in front if its digits are hexadecimal.
fn address(text: &str) -> Result<u64, String> {
    let number = match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => text.parse(),
    };
    number.map_err(|error| error.to_string())
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    let is_fit = (0.01..=86400.0).contains(&seconds);
    is_fit.then(|| Duration::from_secs_f64(seconds)).ok_or("not from 0.01 to 86400".to_owned())
}

fn badge(text: &str) -> Result<u32, String> {
    u32::try_from(address(text)?).map_err(|error| error.to_string())
}

impl Memory {
    fn known(&self) -> Known {
        Known { directory: self.directory, core: self.core }
    }

    fn look(&self) -> Result<Machine> {
        self.open().map(|(_, machine)| machine)
    }

    fn ram(&self) -> Result<Ram> {
        let ram = Ram::open(&self.ram, Place { base: self.base, hole: self.hole })?;
        tell(|| format!("{}: {} bytes of memory", Path::new(&self.ram).display(), ram.bytes()));
        Ok(ram)
    }

    fn open(&self) -> Result<(Ram, Machine)> {
        let mut ram = self.ram()?;
        let known = self.known();
        let look = |ram: &mut Ram| {
            let search = Search::new(ram)?;
            tell(|| search.summary());
            Machine::look(ram, &search, known)
        };
        let machine = look(&mut ram);
        let machine = machine.with_context(|| Path::new(&self.ram).display().to_string())?;
        Ok((ram, machine))
    }
}

/// What a command ends with.
pub(crate) enum End {
    /// Text to print.
    Text(String),
    /// This signal has ended it.
    Signal(i32),
}

/// Carries out a command.
pub(crate) fn run(command: &Command) -> Result<End> {
    let text = match command {
        Command::Watch { memory, interval, plain, count, record, force } => {
            let recorder = record.as_deref().map(|path| Recorder::new(path, *force)).transpose()?;
            return watch(memory, *interval, *plain, *count, recorder);
        }
        Command::Scan { memory } => {
            let machine = memory.look()?;
            if memory.json { machine.json() } else { machine.text() }
        }
        Command::Show { memory, label, repeat } => {
            let (mut ram, machine) = memory.open()?;
            if let Some(count) = repeat {
                let pictures = Pictures::take(&mut ram, &machine, label, *count)?;
                return if memory.json { pictures.json() } else { pictures.text() }.map(End::Text);
            }
            if memory.json { machine.component_json(label) } else { machine.component_text(label) }
        }
        Command::Who { memory, badge, .. } => {
            let machine = memory.look()?;
            match badge.map(|badge| machine.holders(badge)) {
                None => Ok(machine.dot()),
                Some(holders) if memory.json => holders.json(),
                Some(holders) => holders.text(),
            }
        }
        Command::Leaks { memory, since } => {
            // A mark that is none is refused before the search.
            let since = since.as_deref().map(read_mark).transpose()?;
            let now = memory.look()?.mark();
            match since.map(|since| now.growth_since(&since)) {
                Some(growth) if memory.json => growth.json(),
                Some(growth) => growth.text(),
                None if memory.json => now.json(),
                None => now.text(),
            }
        }
    };
    text.map(End::Text)
}

fn watch(
    memory: &Memory,
    interval: Duration,
    plain: bool,
    count: Option<u64>,
    recorder: Option<Recorder>,
) -> Result<End> {
    if memory.json {
        bail!("watch prints no JSON, but --record writes it");
    }
    let name = Path::new(&memory.ram).display().to_string();
    let ram = memory.ram()?;
    let watched = Watched::new(ram, memory.known());
    let on_terminal = io::stdin().is_terminal() && io::stdout().is_terminal();
    if plain || !on_terminal {
        plainly(watched, interval, count, recorder)?;
        return Ok(End::Text(String::new()));
    }
    let signal = screen::show(&name, watched, interval, recorder)?;
    Ok(signal.map_or(End::Text(String::new()), End::Signal))
}

fn read_mark(path: &Path) -> Result<Mark> {
    let bytes = read_file(path)?;
    Mark::from_json(&bytes).with_context(|| path.display().to_string())
}
