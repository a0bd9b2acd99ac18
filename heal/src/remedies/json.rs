//! `repair-json`: edits in a text that does not parse; what is not certain only where that is allowed.

use serde_json::{Value, json};

use super::{Change, Declined, Plan, Step, declined, text_of};
use crate::arguments::Mend;
use crate::asked::Asked;
use crate::bounds::Bounds;
use crate::json::{Consumer, Verdict, repair};

/// As many edits are told in a record.
const TOLD: usize = 100;

pub(super) fn plan(asked: &Asked, bounds: &Bounds, options: &Mend) -> anyhow::Result<Plan> {
    let (file, before) = match text_of(asked, bounds)? {
        Ok(found) => found,
        Err(plan) => return Ok(plan),
    };
    let Some(consumer) = Consumer::of(&file) else { return declined("this is a format of its own, which is left alone") };
    Ok(match repair(&before, consumer, options.allow_lossy) {
        Verdict::Valid { .. } => Plan::Passes,
        Verdict::Repaired { edits, text, .. } => {
            let first = edits.first().map_or(0, |edit| edit.line);
            let words = if edits.len() == 1 {
                format!("one edit at line {first}")
            } else {
                format!("{} edits, the first at line {first}", edits.len())
            };
            let told: Vec<_> = edits.iter().take(TOLD).collect();
            let detail = json!({ "count": edits.len(), "edits": told });
            Plan::Change(Change {
                target: file.clone(),
                words,
                detail,
                steps: vec![Step::Write { file, before: Some(before), text }],
                check: None,
            })
        }
        Verdict::Refused(refusal) => {
            let lossy = if refusal.would.is_empty() { "" } else { "; --allow-lossy mends it all the same" };
            let why = format!("line {}, column {}: {}{lossy}", refusal.line, refusal.column, refusal.why);
            Plan::Declined(Declined { why, detail: serde_json::to_value(&refusal).unwrap_or(Value::Null) })
        }
    })
}
