//! What a failed deployment's logs say, as `diagnose` reads them.

use std::path::PathBuf;
use std::time::Duration;

use contract::record::{Record, Status};
use contract::sibling;
use serde::Deserialize;

use crate::watch::Voice;

const PATIENCE: Duration = Duration::from_mins(2);

#[derive(Deserialize)]
struct Diagnosis {
    class: Option<String>,
    severity: Status,
    text: String,
}

/// Passes on what the logs say, the cause first, and returns the class of that.
///
/// # Errors
/// Nothing can be written. That `diagnose` cannot be asked is said, and no evidence of anything.
pub(crate) fn tell(logs: &[PathBuf], voice: &mut Voice<'_>) -> anyhow::Result<Option<String>> {
    if logs.is_empty() {
        voice.say("there are no logs of it");
        return Ok(None);
    }
    let words: Vec<_> = ["--log".into()].into_iter().chain(logs.iter().map(|log| log.clone().into_os_string())).collect();
    let answer = match sibling::ask("diagnose", &words, PATIENCE) {
        Ok(answer) => answer,
        Err(e) => {
            voice.say(&format!("its logs were not read: {e:#}"));
            return Ok(None);
        }
    };
    answer.lines.iter().try_for_each(|line| voice.pass(line))?;
    let of_diagnoses = answer.records.iter().filter(|record| record.is("diagnosis")).map(Record::read::<Diagnosis>);
    let all: Vec<Diagnosis> = of_diagnoses.collect::<anyhow::Result<_>>()?;
    let Some(cause) = all.into_iter().find(|diagnosis| diagnosis.severity != Status::Unknown) else {
        voice.say("its logs have nothing that is known");
        return Ok(None);
    };
    voice.say(&format!("the cause: {}", cause.text));
    Ok(Some(cause.class.unwrap_or_else(|| "unknown_deploy".to_owned())))
}
