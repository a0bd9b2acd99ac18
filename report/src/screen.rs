//! Drawing for a terminal: columns that fit its width, colour on top of words that say the same.

use std::io::{self, IsTerminal as _, Write};

use clap::ValueEnum;
use contract::path::plain;

use crate::document::{Block, Column, Row, Table, Tone};
use crate::fit::{self, Cut};

/// Where there is no terminal to ask and no `COLUMNS`.
const WIDTH: usize = 100;
/// Below this no table is left; a narrower terminal breaks the lines itself.
const NARROWEST: usize = 40;
const INDENT: usize = 2;
const GAP: &str = "  ";

/// When to colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Colour {
    Auto,
    Always,
    Never,
}

/// What is drawn on.
pub(crate) struct Screen {
    width: usize,
    colour: bool,
}

impl Screen {
    pub(crate) fn of_stdout(colour: Colour) -> Self {
        let terminal = terminal_size::terminal_size_of(io::stdout()).map(|(width, _)| usize::from(width.0)).filter(|&width| width > 0);
        let columns = || std::env::var("COLUMNS").ok()?.parse().ok();
        let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let colour = match colour {
            Colour::Always => true,
            Colour::Never => false,
            Colour::Auto => io::stdout().is_terminal() && !set("NO_COLOR") && !dumb,
        };
        Self { width: terminal.or_else(columns).unwrap_or(WIDTH).max(NARROWEST), colour }
    }

    pub(crate) fn draw(&self, document: &[Block<'_>], out: &mut dyn Write) -> io::Result<()> {
        for (i, block) in document.iter().enumerate() {
            if i > 0 && matches!(block, Block::Heading(_) | Block::Commands(..) | Block::Line(Tone::Strong | Tone::Bad, _)) {
                writeln!(out)?;
            }
            match block {
                Block::Heading(text) => self.line(Tone::Strong, &fit::cut(&plain(text), self.width, Cut::Middle), out)?,
                Block::Table(table) => self.table(table, out)?,
                Block::Line(tone @ (Tone::Strong | Tone::Bad), text) => self.wrapped(*tone, text, 0, out)?,
                Block::Line(tone, text) => self.wrapped(*tone, text, INDENT, out)?,
                Block::Commands(lead, commands) => self.commands(lead, commands, out)?,
            }
        }
        Ok(())
    }

    fn table(&self, table: &Table<'_>, out: &mut dyn Write) -> io::Result<()> {
        let widths = self.widths(table);
        for i in 0..table.rows {
            let row = (table.row)(i);
            self.row(table.columns, &row, &widths, out)?;
            for text in &row.below {
                self.wrapped(Tone::Plain, text, 2 * INDENT, out)?;
            }
            if let Some(command) = &row.command {
                writeln!(out, "{:1$}undo: {command}", "", 2 * INDENT)?;
            }
        }
        Ok(())
    }

    fn widths(&self, table: &Table<'_>) -> Vec<usize> {
        let mut widths = vec![0; table.columns.len()];
        for i in 0..table.rows {
            for ((most, cell), column) in widths.iter_mut().zip(&(table.row)(i).cells).zip(table.columns) {
                *most = (*most).max(fit::width(&cleaned(*column, cell)).min(self.width));
            }
        }
        let used = widths.iter().filter(|&&width| width > 0).count();
        let room = self.width.saturating_sub(INDENT + GAP.len() * used.saturating_sub(1));
        let flexible: Vec<bool> = table.columns.iter().map(|column| matches!(column, Column::Path(_) | Column::Text(_))).collect();
        fit::shrink(&mut widths, &flexible, room);
        widths
    }

    fn row(&self, columns: &[Column], row: &Row<'_>, widths: &[usize], out: &mut dyn Write) -> io::Result<()> {
        let mut line = " ".repeat(INDENT);
        // Blanks are owed until something stands behind them, so that no line ends in blanks.
        let mut owed = 0;
        for ((column, cell), &width) in columns.iter().zip(&row.cells).zip(widths).filter(|(_, width)| **width > 0) {
            let at = if matches!(column, Column::Path(_)) { Cut::Middle } else { Cut::End };
            let cell = fit::cut(&cleaned(*column, cell), width, at);
            if !cell.is_empty() {
                line.push_str(&" ".repeat(owed));
                owed = 0;
                let tone = if matches!(column, Column::Mark(_)) { row.tone } else { Tone::Plain };
                line.push_str(&self.painted(tone, &cell));
            }
            owed += width - fit::width(&cell) + GAP.len();
        }
        writeln!(out, "{line}")
    }

    fn wrapped(&self, tone: Tone, text: &str, indent: usize, out: &mut dyn Write) -> io::Result<()> {
        for line in fit::wrap(&fit::clean(text), self.width - indent) {
            write!(out, "{:indent$}", "")?;
            self.line(tone, &line, out)?;
        }
        Ok(())
    }

    fn commands(&self, lead: &str, commands: &[(String, &str)], out: &mut dyn Write) -> io::Result<()> {
        self.wrapped(Tone::Strong, lead, 0, out)?;
        let longest = commands.iter().map(|(command, _)| fit::width(command)).max().unwrap_or(0);
        let aside = commands.iter().map(|(_, does)| does.len() + GAP.len() + "# ".len()).max().unwrap_or(0);
        for (command, does) in commands {
            if INDENT + longest + aside <= self.width {
                let pad = longest - fit::width(command);
                writeln!(out, "{:INDENT$}{command}{:pad$}{GAP}{}", "", "", self.painted(Tone::Faint, &format!("# {does}")))?;
            } else {
                self.wrapped(Tone::Faint, &format!("# {does}"), INDENT, out)?;
                writeln!(out, "{:INDENT$}{command}", "")?;
            }
        }
        Ok(())
    }

    fn line(&self, tone: Tone, text: &str, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "{}", self.painted(tone, text))
    }

    fn painted(&self, tone: Tone, text: &str) -> String {
        let code = match tone {
            Tone::Good => "32",
            Tone::Warn => "33",
            Tone::Bad => "31",
            Tone::Faint => "2",
            Tone::Strong => "1",
            Tone::Plain => return text.to_owned(),
        };
        if self.colour && !text.is_empty() { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

fn cleaned(column: Column, cell: &str) -> String {
    if matches!(column, Column::Path(_)) { plain(cell).into_owned() } else { fit::clean(cell) }
}
