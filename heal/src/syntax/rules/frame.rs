//! What was around a program where it was copied from: the fence of a Markdown block, the prompts of an interpreter.

use super::{Case, Class, Proposal};
use crate::syntax::edit::Edit;
use crate::syntax::tokens::{Kind, Source};

const FENCE: &[u8] = b"```";

/// A fence as the first line, the last, or both, and no other.
pub(super) fn fences(case: &Case<'_>) -> Vec<Proposal> {
    let lines = physical_lines(case.source);
    let full: Vec<&Row<'_>> = lines.iter().filter(|row| !row.text.trim_ascii().is_empty()).collect();
    let places: Vec<usize> = (0..full.len()).filter(|at| !full[*at].is_in_string && full[*at].text.starts_with(FENCE)).collect();
    let is_edge = |at: &usize| *at == 0 && is_opening(full[0].text) || *at + 1 == full.len() && full[*at].text.trim_ascii() == FENCE;
    if places.is_empty() || places.len() > 2 || full.len() <= places.len() || !places.iter().all(is_edge) {
        return Vec::new();
    }
    let edits = places.iter().map(|at| case.edit(Class::MarkdownFence, full[*at].start, full[*at].end, "")).collect();
    vec![Proposal::sure(Class::MarkdownFence, edits)]
}

fn is_opening(line: &[u8]) -> bool {
    let language = line[FENCE.len()..].trim_ascii().to_ascii_lowercase();
    [&b""[..], b"python", b"python3", b"py", b"python2"].contains(&&language[..])
}

/// `>>> ` and `... ` before every line of code.
pub(super) fn prompts(case: &Case<'_>) -> Vec<Proposal> {
    let lines = physical_lines(case.source);
    let full = lines.iter().filter(|row| !row.text.trim_ascii().is_empty());
    let edits: Option<Vec<Edit>> =
        full.map(|row| prompt(row.text).map(|len| case.edit(Class::Prompt, row.start, row.start + len, ""))).collect();
    match edits {
        Some(edits) if lines.iter().any(|row| row.text.starts_with(b">>> ")) && !starts_with_dots(&lines) => {
            vec![Proposal::sure(Class::Prompt, edits)]
        }
        _ => Vec::new(),
    }
}

fn starts_with_dots(lines: &[Row<'_>]) -> bool {
    lines.iter().find(|row| !row.text.trim_ascii().is_empty()).is_some_and(|row| row.text.starts_with(b"..."))
}

/// How long the prompt is that a line begins with.
fn prompt(line: &[u8]) -> Option<usize> {
    let marked = line.starts_with(b">>>") || line.starts_with(b"...");
    let rest = line.get(3..).filter(|_| marked)?;
    if rest.starts_with(b" ") { Some(4) } else { rest.trim_ascii().is_empty().then_some(3) }
}

/// A line of the text as it stands in the file.
struct Row<'t> {
    text: &'t [u8],
    start: usize,
    /// Behind its line break.
    end: usize,
    /// It begins within a string.
    is_in_string: bool,
}

fn physical_lines<'t>(source: &Source<'t>) -> Vec<Row<'t>> {
    let bom = source.text.len() - source.text.strip_prefix(crate::syntax::encoding::BOM).unwrap_or(source.text).len();
    let mut start = bom;
    let mut rows = Vec::new();
    let strings: Vec<_> = source.tokens.iter().filter(|token| matches!(token.kind, Kind::String | Kind::Open)).collect();
    for line in source.text[bom..].split_inclusive(|byte| *byte == b'\n') {
        let next = strings.partition_point(|token| token.start < start);
        let is_in_string = next > 0 && strings[next - 1].end > start;
        rows.push(Row { text: line, start, end: start + line.len(), is_in_string });
        start += line.len();
    }
    rows
}
