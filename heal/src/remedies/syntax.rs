//! `fix-syntax`: edits in a Python source that its interpreter does not take, of the kinds that cannot be meant otherwise.

use serde_json::{Value, json};

use super::{Change, Declined, Plan, declined, edited, is_installed, text_of};
use crate::arguments::Mend;
use crate::asked::Asked;
use crate::bounds::Bounds;
use crate::python;
use crate::syntax::{self, Error, Verdict};

pub(super) fn plan(asked: &Asked, bounds: &Bounds, options: &Mend) -> anyhow::Result<Plan> {
    let (file, before) = match text_of(asked, bounds)? {
        Ok(found) => found,
        Err(plan) => return Ok(plan),
    };
    if is_installed(&file) {
        return declined("it is part of an installed package: look whether another interpreter should run it, or install it again");
    }
    let judge = syntax::judge(&python::interpreter(options.python.as_deref(), &file, bounds)?)?;
    Ok(match syntax::fix(&before, &judge, &[])? {
        Verdict::Valid => Plan::Passes,
        Verdict::Fixed { edits, text } => {
            let words = edited(edits.iter().map(|edit| (edit.line, &before[edit.offset..edit.end()], edit.insert.as_str())));
            let detail = json!({ "count": edits.len(), "edits": edits });
            Plan::Change(Change::of_text(file, before, text, words, detail))
        }
        other => Plan::Declined(Declined { why: why(&other), detail: serde_json::to_value(&other).unwrap_or(Value::Null) }),
    })
}

fn why(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Suggested { error, suggestions } => {
            let first = suggestions.first().map_or(String::new(), |suggestion| format!("; perhaps: {}", suggestion.why));
            format!("{}: what is meant is for a person to say{first}", said(error))
        }
        Verdict::Mismatch { needs, why, .. } => format!("it is written for another version of Python ({needs}): {why}"),
        Verdict::Refused { error, why } => format!("{}: {why}", said(error)),
        Verdict::Valid | Verdict::Fixed { .. } => String::new(),
    }
}

/// What the interpreter says, and where.
fn said(error: &Error) -> String {
    error.line.map_or_else(|| error.message.clone(), |line| format!("line {line}: {}", error.message))
}
