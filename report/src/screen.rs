//! Drawing for a terminal: columns that fit its width, colour on top of words that say the same.

use std::io::{self, IsTerminal as _, Write};

use clap::ValueEnum;
use contract::path::plain;

use crate::document::{Block, Column, Row, Table, Tone, lines_of};
use crate::fit::{self, Cut, GAP, Yields};

/// Where there is no terminal to ask and no `COLUMNS`.
const WIDTH: usize = 100;
/// Below this no table is left; a narrower terminal breaks the lines itself.
const NARROWEST: usize = 40;
const INDENT: usize = 2;
/// Before the rest of a line of a diff, where that has its mark.
const CONTINUED: &str = "↪   ";

/// When to colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Colour {
    Auto,
    Always,
    Never,
}

/// What is drawn on.
pub(crate) struct Screen {
    pub(crate) width: usize,
    pub(crate) colour: bool,
    /// The lines of a diff are broken to fit; elsewhere they are whole, for those who search them.
    pub(crate) terminal: bool,
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
        Self { width: terminal.or_else(columns).unwrap_or(WIDTH).max(NARROWEST), colour, terminal: io::stdout().is_terminal() }
    }

    pub(crate) fn draw(&self, document: &[Block<'_>], out: &mut dyn Write) -> io::Result<()> {
        for (i, block) in document.iter().enumerate() {
            if i > 0 && apart(&document[i - 1], block) {
                writeln!(out)?;
            }
            match block {
                Block::Heading(text) => self.heading(text, out)?,
                Block::Table(table) => self.table(table, out)?,
                Block::Line(tone, text) => self.wrapped(*tone, text, if belongs_to_table(*tone) { INDENT } else { 0 }, out)?,
                Block::Commands(lead, commands) => self.commands(lead, commands, out)?,
                Block::Diff(of, diff) => self.diff(of, diff, out)?,
            }
        }
        Ok(())
    }

    fn heading(&self, text: &str, out: &mut dyn Write) -> io::Result<()> {
        fit::wrap(&plain(text), self.width).iter().try_for_each(|line| self.line(Tone::Strong, line, out))
    }

    fn diff(&self, of: &str, diff: &str, out: &mut dyn Write) -> io::Result<()> {
        self.line(Tone::Strong, &fit::cut(&plain(of), self.width, Cut::Middle), out)?;
        for (tone, line) in lines_of(diff) {
            let line = fit::clean(&line);
            let room = if self.terminal { self.width - INDENT } else { usize::MAX };
            for (i, piece) in fit::broken(&line, room, room - fit::width(CONTINUED)).into_iter().enumerate() {
                let lead = if i == 0 { "" } else { CONTINUED };
                write!(out, "{:INDENT$}", "")?;
                self.line(tone, &format!("{lead}{piece}"), out)?;
            }
        }
        Ok(())
    }

    fn table(&self, table: &Table<'_>, out: &mut dyn Write) -> io::Result<()> {
        let layout = self.layout(table);
        for i in 0..table.rows {
            let row = (table.row)(i);
            self.row(&layout, &row, out)?;
            let moved = row.cells[layout.columns.len()..].iter().map(|cell| fit::clean(cell)).filter(|cell| !cell.is_empty());
            for line in fit::packed(moved, self.width - 2 * INDENT) {
                writeln!(out, "{:1$}{line}", "", 2 * INDENT)?;
            }
            for text in &row.below {
                self.wrapped(Tone::Plain, text, 2 * INDENT, out)?;
            }
            if let Some(command) = &row.command {
                writeln!(out, "{:1$}undo: {command}", "", 2 * INDENT)?;
            }
        }
        Ok(())
    }

    /// One line for each row where everything fits; else the last text, and what follows it, goes below, and so on from the end.
    fn layout(&self, table: &Table<'_>) -> Layout {
        let needs = self.needs(table);
        let mut beside = table.columns.len();
        loop {
            let layout = self.share(&table.columns[..beside], &needs[..beside]);
            match layout.columns.iter().rposition(|column| matches!(column, Column::Text(_))) {
                Some(at) if layout.widths != needs[..beside] => beside = at,
                _ => return layout,
            }
        }
    }

    fn needs(&self, table: &Table<'_>) -> Vec<usize> {
        let mut needs = vec![0; table.columns.len()];
        for i in 0..table.rows {
            for ((need, cell), column) in needs.iter_mut().zip(&(table.row)(i).cells).zip(table.columns) {
                *need = (*need).max(fit::width(&cleaned(*column, cell)).min(self.width));
            }
        }
        needs
    }

    fn share(&self, columns: &'static [Column], needs: &[usize]) -> Layout {
        let mut widths = needs.to_vec();
        let used = widths.iter().filter(|&&width| width > 0).count();
        let room = self.width.saturating_sub(INDENT + GAP.len() * used.saturating_sub(1));
        let yields: Vec<Yields> = columns.iter().map(|column| yields(*column)).collect();
        fit::shrink(&mut widths, &yields, room);
        Layout { columns, widths }
    }

    fn row(&self, layout: &Layout, row: &Row<'_>, out: &mut dyn Write) -> io::Result<()> {
        let mut line = " ".repeat(INDENT);
        // Blanks are owed until something stands behind them, so that no line ends in blanks.
        let mut owed = 0;
        for ((&column, &width), cell) in layout.columns.iter().zip(&layout.widths).zip(&row.cells).filter(|((_, width), _)| **width > 0) {
            let at = if matches!(column, Column::Path(_)) { Cut::Middle } else { Cut::End };
            let cell = fit::cut(&cleaned(column, cell), width, at);
            if !cell.is_empty() {
                line.push_str(&" ".repeat(owed));
                owed = 0;
                line.push_str(&self.painted(if matches!(column, Column::Mark(_)) { row.tone } else { Tone::Plain }, &cell));
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
                self.remark(does, out)?;
                writeln!(out, "{:INDENT$}{command}", "")?;
            }
        }
        Ok(())
    }

    /// Each line is one, so that none is a command when it is pasted.
    fn remark(&self, text: &str, out: &mut dyn Write) -> io::Result<()> {
        for line in fit::wrap(text, self.width - INDENT - "# ".len()) {
            write!(out, "{:INDENT$}", "")?;
            self.line(Tone::Faint, &format!("# {line}"), out)?;
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

/// The columns that stand side by side, and how wide each is.
struct Layout {
    columns: &'static [Column],
    widths: Vec<usize>,
}

/// Whether a blank line stands between two blocks.
fn apart(before: &Block<'_>, block: &Block<'_>) -> bool {
    match (before, block) {
        (Block::Heading(_), _) | (_, Block::Table(_)) | (Block::Line(Tone::Bad, _), Block::Line(Tone::Bad, _)) => false,
        (_, Block::Line(tone, _)) => !belongs_to_table(*tone),
        _ => true,
    }
}

/// Whether a line goes on with the table above it.
fn belongs_to_table(tone: Tone) -> bool {
    matches!(tone, Tone::Good | Tone::Faint)
}

fn yields(column: Column) -> Yields {
    match column {
        Column::Path(_) | Column::Text(_) => Yields::First,
        Column::Mark(_) | Column::Word(_) => Yields::Later,
        Column::Id(_) => Yields::Last,
    }
}

fn cleaned(column: Column, cell: &str) -> String {
    if matches!(column, Column::Path(_)) { plain(cell).into_owned() } else { fit::clean(cell) }
}
