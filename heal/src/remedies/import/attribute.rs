//! `collections.Mapping`: an attribute of a module that is now one of a module below it, in all places of a file at once.

use super::edits::edit;
use super::statement;
use super::{Case, Judged, Want, library, project, survey};
use crate::syntax::edit::Edit;
use crate::syntax::tokens::{Kind, Source};

/// An attribute that is taken from a module, or from the one below it that has it now.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Use {
    name: String,
    start: usize,
    line: usize,
    is_new: bool,
}

/// Judges the uses of a module's attributes, if the line that failed has one.
pub(super) fn judged(case: &Case<'_>) -> anyhow::Result<Option<Judged>> {
    let Some((module, (to, _))) = case.module().and_then(|module| Some((module, library::moved(module, case.name)?))) else {
        return Ok(None);
    };
    let Some(below) = to.strip_prefix(module).and_then(|below| below.strip_prefix('.')) else { return gone(case, module) };
    let uses = uses(&case.source, module, below);
    let at: Vec<&Use> = uses.iter().filter(|one| case.asked.line().is_none_or(|line| one.line == line)).collect();
    if !at.iter().any(|one| one.name == case.name) {
        return Ok(None);
    }
    let wants: Vec<Want> = at.iter().map(|one| want(if one.is_new { to } else { module }, one)).collect();
    let old: Vec<&Use> = uses.iter().filter(|one| !one.is_new).collect();
    let there = survey::library(case.judge.python(), &old.iter().map(|one| want(module, one)).collect::<Vec<_>>())?;
    let missing: Vec<&Use> = old.iter().zip(&there).filter(|(_, there)| !**there).map(|(one, _)| *one).collect();
    if missing.is_empty() {
        return Ok(Some(Judged::Present(project::top(case.file).to_owned(), wants)));
    }
    let now = survey::library(case.judge.python(), &missing.iter().map(|one| want(to, one)).collect::<Vec<_>>())?;
    if now.contains(&false) {
        return Judged::declined(format!("this Python has them neither in {module} nor in {to}")).map(Some);
    }
    if is_rebound(&case.source, module) {
        return Judged::declined(format!("{module} is more than the module in this file")).map(Some);
    }
    let Some(mut edits) = imports(&case.source, module, to, below) else {
        return Judged::declined(format!("no `import {module}` in this file says where {module} is from")).map(Some);
    };
    edits.extend(missing.iter().map(|one| edit(&case.source, one.start, one.start, format!("{below}."))));
    edits.sort_by_key(|edit| edit.offset);
    let mut names: Vec<String> = missing.iter().map(|one| format!("{to}.{}", one.name)).collect();
    names.sort();
    names.dedup();
    case.edited(&edits, format!("write {}", names.join(", "))).map(Some)
}

/// One that is in another module altogether, which no edit of the attribute alone would reach.
fn gone(case: &Case<'_>, module: &str) -> anyhow::Result<Option<Judged>> {
    let Some((to, now)) = library::moved(module, case.name) else { return Ok(None) };
    Judged::declined(format!("{module}.{} is {to}.{now} now; import that", case.name)).map(Some)
}

fn want(module: &str, one: &Use) -> Want {
    Want { module: module.to_owned(), name: one.name.clone() }
}

/// The uses of what moved from a module to the one below it.
fn uses(source: &Source<'_>, module: &str, below: &str) -> Vec<Use> {
    let is_attribute = |at: usize| at.checked_sub(1).is_some_and(|before| source.is_any(before, &[".", "..."]));
    let firsts = (0..source.tokens.len()).filter(|at| source.is(*at, module) && !is_attribute(*at) && source.is(at + 1, "."));
    let found = firsts.filter_map(|at| {
        let is_new = source.is(at + 2, below) && source.is(at + 3, ".");
        let token = source.tokens.get(if is_new { at + 4 } else { at + 2 }).filter(|token| token.kind == Kind::Name)?;
        let name = String::from_utf8_lossy(source.bytes(*token)).into_owned();
        library::moved(module, &name).is_some().then_some(Use { name, start: token.start, line: token.line, is_new })
    });
    found.collect()
}

/// Whether a module's name stands for something else as well: it is assigned, or a parameter.
fn is_rebound(source: &Source<'_>, module: &str) -> bool {
    let is_import = |line: &crate::syntax::tokens::Line| source.is_any(line.tokens.start, &["import", "from"]);
    let code = source.lines.iter().filter(|line| !is_import(line)).flat_map(|line| line.tokens.clone());
    code.into_iter().any(|at| {
        let before = at.checked_sub(1);
        let is_taken = |before: usize| source.is_any(before, &[".", "import", "from"]);
        source.is(at, module) && !before.is_some_and(is_taken) && !source.is(at + 1, ".")
    })
}

/// The edits that make a file import the module below; `None` where it has no import of the module to go by.
fn imports(source: &Source<'_>, module: &str, to: &str, below: &str) -> Option<Vec<Edit>> {
    let plains: Vec<_> = statement::plains(source).into_iter().filter(|plain| !plain.is_bound).collect();
    if plains.iter().any(|plain| plain.path == to) {
        return Some(Vec::new());
    }
    let edits: Vec<Edit> = plains
        .iter()
        .filter(|plain| plain.path == module)
        .map(|plain| edit(source, plain.span.end, plain.span.end, format!(".{below}")))
        .collect();
    Some(edits).filter(|edits| !edits.is_empty())
}
