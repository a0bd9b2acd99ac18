//! What a failed deployment's logs say, as `diagnose` reads them.

use std::path::PathBuf;
use std::time::Duration;

use contract::record::{Record, Status};
use contract::sibling;
use serde::Deserialize;

use crate::fingerprint;
use crate::voice::Voice;

const PATIENCE: Duration = Duration::from_mins(2);

/// The first diagnosis.
#[derive(Debug)]
pub(crate) struct Cause {
    /// Of its record.
    pub(crate) id: String,
    pub(crate) class: String,
    pub(crate) text: String,
    /// What a person is to do.
    pub(crate) manual: Option<String>,
    /// What may be tried without one.
    pub(crate) remedy: Option<String>,
    /// The line that shows it.
    pub(crate) excerpt: String,
}

#[derive(Deserialize)]
struct Diagnosis {
    class: Option<String>,
    severity: Status,
    text: String,
    manual: Option<String>,
    #[serde(default)]
    auto: bool,
    remedy: Option<Remedy>,
    #[serde(default)]
    evidence: Vec<Evidence>,
}

/// Where a log says so.
#[derive(Deserialize)]
struct Evidence {
    #[serde(default)]
    excerpt: String,
}

#[derive(Deserialize)]
struct Remedy {
    name: String,
}

/// Passes on what the logs say, and returns the cause.
///
/// # Errors
/// Nothing can be written. That `diagnose` cannot be asked is said, and no evidence of anything.
pub(crate) fn tell(logs: &[PathBuf], voice: &mut Voice<'_>) -> anyhow::Result<Option<Cause>> {
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
    for record in answer.records.iter().filter(|record| record.is("diagnosis")) {
        if let Some(cause) = cause(record)? {
            voice.say(&format!("the cause: {}", cause.text));
            return Ok(Some(cause));
        }
    }
    voice.say(if answer.whole {
        "its logs have nothing that is known"
    } else {
        "what could be read of its logs has nothing that is known"
    });
    Ok(None)
}

/// None of an error that nobody knows.
fn cause(record: &Record) -> anyhow::Result<Option<Cause>> {
    let diagnosis: Diagnosis = record.read()?;
    if diagnosis.severity == Status::Unknown {
        return Ok(None);
    }
    Ok(Some(Cause {
        id: record.id.clone(),
        class: diagnosis.class.unwrap_or_else(|| "unknown_deploy".to_owned()),
        text: diagnosis.text,
        manual: diagnosis.manual,
        remedy: diagnosis.remedy.filter(|_| diagnosis.auto).map(|remedy| remedy.name),
        excerpt: diagnosis.evidence.into_iter().next().map_or_else(String::new, |evidence| evidence.excerpt),
    }))
}

impl Cause {
    /// The same for the same failure, whenever and wherever it comes.
    pub(crate) fn fingerprint(&self) -> String {
        fingerprint::of(&self.class, &self.excerpt)
    }
}
