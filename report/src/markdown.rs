//! Drawing for an issue or a chat message: the tables of GitHub Flavored Markdown, with everything from outside escaped.

use std::io::{self, Write};

use contract::path::plain;

use crate::document::{Block, Column, Row, Table, Tone, lines_of};
use crate::fit::clean;

pub(crate) fn draw(document: &[Block<'_>], out: &mut dyn Write) -> io::Result<()> {
    for (i, block) in document.iter().enumerate() {
        if i > 0 {
            writeln!(out)?;
        }
        match block {
            Block::Heading(text) => writeln!(out, "### {}", escaped(text))?,
            Block::Table(table) => draw_table(table, out)?,
            Block::Line(Tone::Strong | Tone::Bad, text) => writeln!(out, "**{}**", escaped(text))?,
            Block::Line(_, text) => writeln!(out, "{}", escaped(text))?,
            Block::Commands(lead, commands) => draw_commands(lead, commands, out)?,
            Block::Diff(of, diff) => draw_diff(of, diff, out)?,
        }
    }
    Ok(())
}

fn draw_table(table: &Table<'_>, out: &mut dyn Write) -> io::Result<()> {
    let titles: Vec<&str> = table.columns.iter().map(|column| column.title()).chain(table.below).collect();
    writeln!(out, "| {} |", titles.join(" | "))?;
    writeln!(out, "|{}", " --- |".repeat(titles.len()))?;
    for i in 0..table.rows {
        draw_row(table, &(table.row)(i), out)?;
    }
    Ok(())
}

fn draw_row(table: &Table<'_>, row: &Row<'_>, out: &mut dyn Write) -> io::Result<()> {
    for (column, cell) in table.columns.iter().zip(&row.cells) {
        let cell = if matches!(column, Column::Path(_)) { code(cell) } else { escaped(cell) };
        write!(out, "| {cell} ")?;
    }
    if table.below.is_some() {
        let command = row.command.as_ref().map(|command| format!("undo: {}", code(command)));
        let lines: Vec<String> = row.below.iter().map(|text| escaped(text)).chain(command).collect();
        write!(out, "| {} ", lines.join("<br>"))?;
    }
    writeln!(out, "|")
}

fn draw_commands(lead: &str, commands: &[(String, &str)], out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "**{}**\n\n```sh", escaped(lead))?;
    for (command, does) in commands {
        writeln!(out, "{command}  # {does}")?;
    }
    writeln!(out, "```")
}

/// A fence is longer than any run of backticks in it: a line of the diff could be a fence itself.
fn draw_diff(of: &str, diff: &str, out: &mut dyn Write) -> io::Result<()> {
    let longest = diff.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    writeln!(out, "{}\n\n{fence}diff", code(of))?;
    for (_, line) in lines_of(diff) {
        writeln!(out, "{}", clean(&line))?;
    }
    writeln!(out, "{fence}")
}

/// A path as code, unless it holds what a code span in a table cannot.
fn code(text: &str) -> String {
    if text.is_empty() || text.contains(['`', '|', '\\']) || text.trim() != text {
        return escaped(text);
    }
    format!("`{}`", plain(text))
}

/// Text without any meaning to Markdown. What a forge would turn into a mention or a link, even behind a backslash, stands as code.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for word in clean(text).split_inclusive(BETWEEN) {
        let run = word.trim_end_matches(BETWEEN);
        if is_live(run) {
            safe.extend(["`", run, "`"]);
        } else {
            safe.extend(run.chars().flat_map(without_meaning));
        }
        safe.extend(word[run.len()..].chars().flat_map(without_meaning));
    }
    safe
}

/// Blanks, and what a code span in a table cannot hold.
const BETWEEN: [char; 4] = [' ', '`', '|', '\\'];

/// Whether it mentions someone, numbers an issue or is a link without any markup.
fn is_live(run: &str) -> bool {
    let numbered = run.split('#').skip(1).any(|after| after.starts_with(|c: char| c.is_ascii_digit()));
    numbered || run.contains('@') || run.contains("://") || run.to_ascii_lowercase().contains("www.")
}

fn without_meaning(c: char) -> impl Iterator<Item = char> {
    r"\`*_[]<>~|&$".contains(c).then_some('\\').into_iter().chain([c])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_called_and_nothing_is_linked() {
        assert_eq!(escaped("ask @me or https://x.y/z_1"), "ask `@me` or `https://x.y/z_1`");
        assert_eq!(escaped("a|@me`b"), r"a\|`@me`\`b");
        assert_eq!(escaped("WWW.x.y fixes o/r#12, not #x"), "`WWW.x.y` fixes `o/r#12,` not #x");
        assert_eq!(code("/a|b/@me"), r"/a\|`b/@me`");
    }
}
