//! Draws records for people: a table for each type, what to do next, and what went wrong last.

mod actions;
mod clip;
mod deployments;
mod document;
mod environments;
mod fit;
#[cfg(test)]
mod golden;
#[cfg(test)]
mod hostile;
mod markdown;
mod next;
mod registries;
mod screen;
mod seen;
mod snapshots;
mod stream;
mod summary;
mod troubles;

use std::io::Write;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use contract::output::unwritable;
use contract::run;

use crate::screen::{Colour, Screen};

const EXAMPLES: &str = "\
Examples:
  venv-probe ~ | report --all                   every environment, the healthy ones too
  venv-probe . | venv-rebuild | report          what is wrong, and what a repair would do
  snapshot restore latest | report --all        every path that a restore would change
  venv-probe . | report --format markdown       tables for an issue or a chat message
  venv-probe . | report --color always | less -R";

/// Draws the records on standard input for people.
///
/// A table for each type, the worst first, what to do next, and errors last. Exits with 2 where a line of the input was no record.
#[derive(Parser)]
#[command(version, after_help = EXAMPLES)]
struct Args {
    /// Draw tables for a terminal, or for a chat message or an issue
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    format: Format,
    /// List every healthy environment, however many there are
    #[arg(long)]
    all: bool,
    /// Colour the words: auto is on a terminal, unless NO_COLOR is set
    #[arg(long, value_name = "WHEN", env = "MENDLINE_COLOR", default_value = "auto")]
    color: Colour,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    Text,
    Markdown,
}

fn main() -> ExitCode {
    run::draw(env!("CARGO_PKG_NAME"), draw)
}

#[expect(clippy::needless_pass_by_value, reason = "the arguments are the tool's own")]
fn draw(args: Args, out: &mut dyn Write) -> anyhow::Result<()> {
    let seen = stream::read()?;
    let document = summary::of(&seen, args.all);
    match args.format {
        Format::Text => Screen::of_stdout(args.color).draw(&document, out),
        Format::Markdown => markdown::draw(&document, out),
    }
    .map_err(unwritable)?;
    match seen.refused.count() {
        0 => Ok(()),
        n => anyhow::bail!("{n} of the lines could not be read as records; the last table names them"),
    }
}
