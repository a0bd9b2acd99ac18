//! What Python 2 wrote in another way.

use super::{Case, Proposal};
use crate::syntax::edit::Edit;

/// Every such construct of the statement that the interpreter stops at.
pub(super) fn constructs(case: &Case<'_>) -> Vec<Proposal> {
    let Some((_, line)) = case.error.line.and_then(|line| case.source.line_with(line)) else { return Vec::new() };
    let here: Vec<_> = crate::syntax::python2::constructs(case.source)
        .into_iter()
        .filter(|construct| (line.first..=line.last).contains(&construct.line))
        .collect();
    let Some(class) = here.first().map(|construct| construct.class) else { return Vec::new() };
    let doubt = case.era.doubt().or_else(|| here.iter().find_map(|construct| construct.doubt));
    let mut edits: Vec<Edit> = here.into_iter().flat_map(|construct| construct.edits).collect();
    edits.sort_by_key(|edit| (edit.offset, edit.len));
    vec![Proposal { doubt, ..Proposal::sure(class, edits) }]
}
