//! What an agent's own logs say at their end: the stream log, whose last line is the result of a run that came to its end, and the progress
//! log, in which it tells of itself.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::Value;

use crate::status;
use crate::times;

/// The end of a log that is read, in bytes: a result may hold a whole answer.
const TAIL: u64 = 1 << 20;

/// What a log says, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Said {
    /// A status that nothing follows.
    pub(crate) status: String,
    pub(crate) evidence: String,
}

/// What the stream log says: it ends with a result. One that was written to last before the agent was started is of an earlier run.
pub(crate) fn result(log: &Path, started: Option<DateTime<Utc>>) -> Option<Said> {
    #[derive(Deserialize)]
    struct Line {
        r#type: String,
        #[serde(default)]
        subtype: Option<String>,
        #[serde(default)]
        is_error: bool,
    }
    let written: DateTime<Utc> = log.metadata().ok()?.modified().ok()?.into();
    if started.is_some_and(|started| written < started) {
        return None;
    }
    let line: Line = serde_json::from_str(&last_line(log)?).ok()?;
    let failed = line.is_error || line.subtype.as_deref().is_some_and(|subtype| subtype.starts_with("error"));
    let status = if failed { "failed" } else { "completed" };
    (line.r#type == "result").then(|| Said { status: status.to_owned(), evidence: format!("{} ends with its result", shown(log)) })
}

/// What the progress log says last, if that is later than the registry heard and nothing follows it.
pub(crate) fn progress(log: &Path, heard: DateTime<Utc>) -> Option<Said> {
    #[derive(Deserialize)]
    struct Line {
        #[serde(default)]
        timestamp: Option<Value>,
        status: String,
    }
    let line: Line = serde_json::from_str(&last_line(log)?).ok()?;
    let written = line.timestamp.map(|time| time.as_str().map_or_else(|| time.to_string(), str::to_owned)).unwrap_or_default();
    let at = times::read(&written);
    let is_newer = at.is_some_and(|at| at > heard);
    let evidence = || format!("{} says {} at {}", shown(log), line.status, written);
    (is_newer && status::is_terminal(&line.status)).then(|| Said { evidence: evidence(), status: line.status.clone() })
}

fn shown(log: &Path) -> String {
    let parts: Vec<_> = log.iter().rev().take(2).collect();
    contract::path::shown(&parts.into_iter().rev().collect::<PathBuf>())
}

/// The last line that is not empty, of as much as is read; none where it is cut off.
fn last_line(log: &Path) -> Option<String> {
    // Whatever is no file, such as a pipe that nobody writes to, need not open.
    let mut file = log.metadata().is_ok_and(|meta| meta.is_file()).then(|| File::open(log).ok()).flatten()?;
    let length = file.metadata().ok()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL))).ok()?;
    let mut tail = Vec::new();
    file.take(TAIL).read_to_end(&mut tail).ok()?;
    let text = String::from_utf8_lossy(&tail);
    text.lines().rev().find(|line| !line.trim().is_empty()).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(text: &str) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.jsonl");
        std::io::Write::write_all(&mut File::create(&path).unwrap(), text.as_bytes()).unwrap();
        (folder, path)
    }

    #[test]
    fn only_a_result_at_the_end_is_one() {
        let said = |text: &str| result(&log(text).1, None).map(|said| said.status);
        assert_eq!(
            said("{\"type\":\"assistant\"}\n{\"type\":\"result\",\"subtype\":\"success\",\"is_error\":false}\n\n").as_deref(),
            Some("completed")
        );
        assert_eq!(said("{\"type\":\"result\",\"subtype\":\"error_max_turns\"}").as_deref(), Some("failed"));
        assert_eq!(said("{\"type\":\"result\",\"is_error\":true}\n").as_deref(), Some("failed"));
        for none in ["", "{\"type\":\"result\"}\n{\"type\":\"assistant\"}\n", "{\"type\":\"resu", "nonsense\n"] {
            assert_eq!(said(none), None, "{none}");
        }
        assert_eq!(result(Path::new("/nonexistent"), None), None);
        let (_folder, path) = log("{\"type\":\"result\"}\n");
        assert_eq!(
            (
                result(&path, Some(Utc::now() + chrono::TimeDelta::hours(1))),
                result(&path, Some(Utc::now() - chrono::TimeDelta::hours(1))).is_some()
            ),
            (None, true)
        );
    }

    #[test]
    fn only_news_of_an_end_counts() {
        let (_folder, path) = log(
            "{\"timestamp\":\"2026-01-01T00:00:00Z\",\"status\":\"working\"}\n{\"timestamp\":\"2026-01-02T00:00:00Z\",\"status\":\"completed\"}\n",
        );
        let heard = |text: &str| progress(&path, times::read(text).unwrap()).map(|said| said.status);
        assert_eq!(heard("2026-01-01T12:00:00Z").as_deref(), Some("completed"));
        assert_eq!(heard("2026-01-02T00:00:00Z"), None);
        let (_folder, path) = log("{\"timestamp\":\"2026-01-02T00:00:00Z\",\"status\":\"working\"}\n");
        assert_eq!(progress(&path, DateTime::UNIX_EPOCH), None);
    }
}
