//! Draws records for people: a table for each type, what to do next, and what went wrong last.

mod actions;
mod document;
mod environments;
mod fit;
#[cfg(test)]
mod golden;
mod markdown;
mod next;
mod screen;
mod seen;
mod stream;
mod summary;
mod troubles;

use std::io::Write;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use contract::output::unwritable;
use contract::run;

use crate::screen::{Colour, Screen};

/// Draws the records on standard input for people.
#[derive(Parser)]
#[command(
    name = "report",
    version,
    after_help = "Exit status: 0, or 2 where a line of the input was no record.\n\nExample: venv-probe ~ | report --all"
)]
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
    run::draw("report", draw)
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
