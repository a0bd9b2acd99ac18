//! Repair of Python sources that do not compile.
//!
//! The interpreter that is to run a file judges it, before and after. Only slips of a closed list are undone ([`rules`]), only where every
//! check holds ([`checks`]), and only if the whole file compiles in the end. Whatever else comes to mind is a suggestion.

mod checks;
pub(crate) mod edit;
pub(crate) mod encoding;
mod era;
mod features;
mod judge;
mod mismatch;
mod python2;
mod repair;
pub(crate) mod rules;
mod statements;
mod strings;
mod suggest;
pub(crate) mod tokens;

#[cfg(test)]
mod corpus;
#[cfg(test)]
mod properties;

use std::path::{Path, PathBuf};

use serde::Serialize;

use edit::Edit;
pub(crate) use judge::Error;
pub(crate) use judge::Judge;
use rules::Class;

/// Bytes of a source; nobody writes longer ones, and each candidate is a copy.
const LONGEST: usize = 2 << 20;

/// What can be done about a source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "verdict", rename_all = "kebab-case")]
pub(crate) enum Verdict {
    /// Nothing is wrong.
    Valid,
    /// The text that compiles, and what was changed for it: edits of the source, in order.
    Fixed {
        edits: Vec<Edit>,
        #[serde(skip)]
        text: Vec<u8>,
    },
    /// What a person may try.
    Suggested { error: Error, suggestions: Vec<Suggestion> },
    /// Nothing comes to mind, or the source is not to be touched.
    Refused { error: Error, why: &'static str },
    /// The source is written for another interpreter.
    Mismatch {
        error: Error,
        /// The versions that take it.
        needs: String,
        why: &'static str,
        /// An interpreter at hand that takes it.
        #[serde(skip_serializing_if = "Option::is_none")]
        accepted_by: Option<PathBuf>,
    },
}

/// What may be the slip.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Suggestion {
    pub(crate) class: Class,
    /// None where only words can be given; else the first error is gone with them, or stands further down.
    pub(crate) edits: Vec<Edit>,
    /// Whether the source compiles with them.
    pub(crate) compiles: bool,
    pub(crate) why: &'static str,
}

/// Judges a source with the interpreter that is to run it, and mends it if that is certain. Of the `others` at hand one may take it as it is.
///
/// # Errors
/// The interpreter does not answer.
pub(crate) fn fix(source: &[u8], judge: &Judge, others: &[Judge]) -> anyhow::Result<Verdict> {
    let judge::Ruling::Fails(error) = judge.one(source)? else { return Ok(Verdict::Valid) };
    let refused = |why| Ok(Verdict::Refused { error: error.clone(), why });
    if source.len() > LONGEST {
        return refused("it is longer than anybody writes");
    }
    if let Some(why) = suggest::is_foreign(source) {
        return refused(why);
    }
    let encoding = match encoding::of(source) {
        Ok(encoding) => encoding,
        Err(why) => return refused(why),
    };
    if !["SyntaxError", "IndentationError", "TabError", "ValueError"].contains(&error.class.as_str()) {
        return refused("the interpreter fails in another way than over its syntax");
    }
    if let Some(mismatch) = mismatch::diagnose(source, encoding, &error, judge, others)? {
        return Ok(mismatch);
    }
    if judge.version < (3, 0) {
        return refused("Python 2 is not mended");
    }
    repair::repair(source, encoding, error, judge)
}

/// Whether an interpreter takes a source as it is.
///
/// # Errors
/// The interpreter does not answer.
pub(crate) fn compiles(source: &[u8], judge: &Judge) -> anyhow::Result<bool> {
    Ok(judge.one(source)? == judge::Ruling::Compiles)
}

/// The interpreter at a path, to judge with.
///
/// # Errors
/// It does not run, or is no Python.
pub(crate) fn judge(python: &Path) -> anyhow::Result<Judge> {
    Judge::at(python)
}
