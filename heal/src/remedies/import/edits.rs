//! Edits of one import statement: it takes names from elsewhere, or under another name, and binds what it bound before.

use crate::syntax::edit::{Edit, line_at};
use crate::syntax::rules::Class;
use crate::syntax::tokens::Source;

use super::statement::{Alias, From};

/// What becomes of one name of a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    /// Which of its names.
    pub(super) at: usize,
    /// What is written behind `from`, if it is another module.
    pub(super) module: Option<String>,
    /// What it is called, if that is something else.
    pub(super) name: Option<String>,
}

/// The edits that make a statement take what the answers tell.
///
/// # Errors
/// Names would have to leave it that comments stand beside.
pub(super) fn of(source: &Source<'_>, from: &From, answers: &[Answer]) -> Result<Vec<Edit>, &'static str> {
    let mut edits = Vec::new();
    let leaves = |at: usize| answers.iter().any(|answer| answer.at == at && answer.module.is_some());
    let mut modules: Vec<&str> = answers.iter().filter_map(|answer| answer.module.as_deref()).collect();
    modules.dedup();
    let all_leave = (0..from.aliases.len()).all(leaves);
    if all_leave && let [module] = modules[..] {
        edits.push(edit(source, from.module.start, from.module.end, module.to_owned()));
    } else if !modules.is_empty() {
        if !from.is_plain {
            return Err("names would have to leave a statement with comments or backslashes in it");
        }
        edits.push(moved(source, from, answers, &modules, all_leave));
        edits.extend(if all_leave { Vec::new() } else { gaps(source, from, &leaves) });
        return Ok(with_names(source, from, answers, edits, |answer| answer.module.is_none()));
    }
    Ok(with_names(source, from, answers, edits, |_| true))
}

/// Adds other names to the edits, for those that stay where they are.
fn with_names(source: &Source<'_>, from: &From, answers: &[Answer], mut edits: Vec<Edit>, stays: impl Fn(&Answer) -> bool) -> Vec<Edit> {
    for answer in answers.iter().filter(|answer| stays(answer)) {
        let alias = &from.aliases[answer.at];
        if answer.name.is_some() {
            edits.push(edit(source, alias.name.start, alias.end(), written(source, alias, answer)));
        }
    }
    edits.sort_by_key(|edit| edit.offset);
    edits
}

/// The statements for what leaves, before the one that it leaves, or instead of it.
fn moved(source: &Source<'_>, from: &From, answers: &[Answer], modules: &[&str], instead: bool) -> Edit {
    let statement = |module: &&str| {
        let names = answers.iter().filter(|answer| answer.module.as_deref() == Some(module));
        let names: Vec<String> = names.map(|answer| written(source, &from.aliases[answer.at], answer)).collect();
        format!("from {module} import {}", names.join(", "))
    };
    let statements: Vec<String> = modules.iter().map(statement).collect();
    let between = from.indent.as_ref().map_or_else(
        || "; ".to_owned(),
        |indent| line_break(source.text).to_owned() + &String::from_utf8_lossy(&source.text[indent.clone()]),
    );
    let text = statements.join(&between) + if instead { "" } else { &between };
    edit(source, from.span.start, if instead { from.span.end } else { from.span.start }, text)
}

/// What goes with the names that leave, so that the list is one as before.
fn gaps(source: &Source<'_>, from: &From, leaves: &impl Fn(usize) -> bool) -> Vec<Edit> {
    let count = from.aliases.len();
    let kept = (0..count).rev().find(|at| !leaves(*at)).unwrap_or(0);
    let before = (0..kept).filter(|at| leaves(*at)).map(|at| (from.aliases[at].name.start, from.aliases[at + 1].name.start));
    let behind = (kept + 1 < count).then(|| (from.aliases[kept].end(), from.aliases[count - 1].end()));
    before.chain(behind).map(|(start, end)| edit(source, start, end, String::new())).collect()
}

/// How a name is written that must be bound as before.
fn written(source: &Source<'_>, alias: &Alias, answer: &Answer) -> String {
    let text = |range: &std::ops::Range<usize>| String::from_utf8_lossy(&source.text[range.clone()]).into_owned();
    let name = answer.name.clone().unwrap_or_else(|| text(&alias.name));
    match &alias.bound {
        Some(bound) => format!("{name} as {}", text(bound)),
        None if answer.name.is_some() => format!("{name} as {}", text(&alias.name)),
        None => name,
    }
}

pub(super) fn edit(source: &Source<'_>, start: usize, end: usize, insert: String) -> Edit {
    Edit { offset: start, len: end - start, insert, class: Class::Import, line: line_at(source.text, start) }
}

/// How the first line of a text ends.
fn line_break(text: &[u8]) -> &'static str {
    match text.iter().position(|byte| matches!(byte, b'\r' | b'\n')) {
        Some(at) if text[at..].starts_with(b"\r\n") => "\r\n",
        Some(at) if text[at] == b'\r' => "\r",
        _ => "\n",
    }
}
