//! Indentation of tabs and spaces mixed.

use super::{Case, Class, Proposal};
use crate::syntax::tokens::{Line, Source};

/// Tabs become spaces where the blocks are the same ones for whoever sees a tab as eight columns and for whoever sees four.
pub(super) fn tabs(case: &Case<'_>) -> Vec<Proposal> {
    let source = case.source;
    let is_about_it =
        case.error.class == "TabError" || case.error.class == "IndentationError" && case.error.message.starts_with("unindent");
    let indents = || source.lines.iter().map(|line| &source.text[line.indent.clone()]);
    if !is_about_it
        || !indents().any(|indent| indent.contains(&b'\t'))
        || indents().any(|indent| indent.iter().any(|b| !b" \t".contains(b)))
    {
        return Vec::new();
    }
    let edits = source.lines.iter().filter(|line| source.text[line.indent.clone()].contains(&b'\t')).map(|line| {
        let spaces = " ".repeat(width(source, line, 8));
        case.edit(Class::Tabs, line.indent.start, line.indent.end, &spaces)
    });
    let edits = edits.collect();
    vec![match (blocks(source, 8), blocks(source, 4)) {
        (Some(eight), Some(four)) if eight == four => Proposal::sure(Class::Tabs, edits),
        _ => Proposal::doubtful(Class::Tabs, edits, "with tabs of another width the blocks would be other ones"),
    }]
}

/// How deep each logical line is; `None` where a line goes back to where none was.
fn blocks(source: &Source<'_>, tab: usize) -> Option<Vec<usize>> {
    let mut open = vec![0];
    let mut depths = Vec::with_capacity(source.lines.len());
    for line in &source.lines {
        let width = width(source, line, tab);
        let before = open.len();
        open.retain(|outer| *outer <= width);
        if open.last() != Some(&width) {
            if open.len() < before {
                return None;
            }
            open.push(width);
        }
        depths.push(open.len());
    }
    Some(depths)
}

fn width(source: &Source<'_>, line: &Line, tab: usize) -> usize {
    source.text[line.indent.clone()].iter().fold(0, |width, byte| if *byte == b'\t' { (width / tab + 1) * tab } else { width + 1 })
}
