//! What was done, from the audit log: all of it, and how often each remedy helped.

use std::collections::{BTreeMap, HashSet};
use std::fmt::Write as _;
use std::io;
use std::path::Path;

use anyhow::Context as _;
use chrono::{DateTime, TimeDelta, Utc};
use contract::action::{Action, KIND, Outcome};
use contract::input::{Line, Lines};
use contract::output::Output;
use contract::path::{Subject, plain, shown};
use contract::record::{About, Record};
use contract::run::Exit;
use contract::state;
use serde::Serialize;

use crate::arguments;

/// A success within which the same is wrong again was none.
const RELAPSE: TimeDelta = TimeDelta::minutes(10);
/// Of a normal distribution: one tail of 2.5 %.
const Z: f64 = 1.96;
/// The verb of what takes a repair back.
pub(crate) const UNDO: &str = "undo";

/// Our own actions in the audit log, oldest first.
#[derive(Default)]
pub(crate) struct History(Vec<Entry>);

/// One action.
pub(crate) struct Entry {
    pub(crate) record: Record,
    pub(crate) action: Action,
    raw: String,
    at: DateTime<Utc>,
}

/// How often a remedy helped against one thing, on one kind of target.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Tally {
    pub(crate) tried: u64,
    /// The check passed, nobody took it back, and the same was not wrong again within ten minutes.
    pub(crate) helped: u64,
    pub(crate) relapsed: u64,
    pub(crate) undone: u64,
    /// Neither: it could not be done.
    pub(crate) failed: u64,
    /// Too new to count.
    pub(crate) pending: u64,
}

#[derive(Serialize)]
struct Stats<'a> {
    remedy: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'a str>,
    kind: &'a str,
    tried: u64,
    helped: u64,
    relapsed: u64,
    undone: u64,
    failed: u64,
    pending: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    at_least: Option<f64>,
}

/// A remedy, what it is against, and on what kind of file.
pub(crate) type Key = (String, Option<String>, String);

impl History {
    /// Reads the audit log of a state folder; there need not be one.
    ///
    /// # Errors
    /// It cannot be read.
    pub(crate) fn read(state: &Path) -> anyhow::Result<Self> {
        let path = state.join("audit.jsonl");
        let bytes = match state::read(&path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            bytes => bytes.with_context(|| format!("cannot read the audit log {}", shown(&path)))?,
        };
        let mut entries = Vec::new();
        for line in Lines::new(&bytes[..]) {
            // A torn line is the last of a run that was killed.
            let Line::Record(record, raw) = line? else { continue };
            if record.tool != env!("CARGO_PKG_NAME") || !record.is(KIND) {
                continue;
            }
            let (Ok(action), Ok(at)) = (record.read::<Action>(), DateTime::parse_from_rfc3339(&record.ts)) else { continue };
            entries.push(Entry { record, action, raw, at: at.to_utc() });
        }
        Ok(Self(entries))
    }

    /// The repairs that stand: done, and not taken back.
    pub(crate) fn standing(&self) -> impl Iterator<Item = &Entry> {
        let undone = self.taken_back();
        let stands = move |entry: &&Entry| {
            entry.action.outcome == Outcome::Done && entry.action.verb != UNDO && !undone.contains(entry.record.id.as_str())
        };
        self.0.iter().filter(stands)
    }

    /// The ids of what was taken back.
    fn taken_back(&self) -> HashSet<&str> {
        let undoes = |later: &&Entry| later.action.verb == UNDO && later.action.outcome == Outcome::Done;
        self.0.iter().filter(undoes).flat_map(|later| &later.record.cause).map(String::as_str).collect()
    }

    /// How often each remedy helped.
    pub(crate) fn tallies(&self, now: DateTime<Utc>) -> BTreeMap<Key, Tally> {
        let (mut tallies, undone): (BTreeMap<Key, Tally>, _) = (BTreeMap::new(), self.taken_back());
        for (index, entry) in self.0.iter().enumerate() {
            let Some(key) = key(entry) else { continue };
            let tally = tallies.entry(key).or_default();
            match entry.action.outcome {
                Outcome::Done if undone.contains(entry.record.id.as_str()) => tally.undone += 1,
                Outcome::Done if self.relapsed(index) => tally.relapsed += 1,
                Outcome::Done if now - entry.at < RELAPSE => tally.pending += 1,
                Outcome::Done => tally.helped += 1,
                Outcome::Undone => tally.undone += 1,
                Outcome::Failed => tally.failed += 1,
                _ => continue,
            }
            tally.tried += 1;
        }
        tallies
    }

    /// Whether the same was begun again too soon after a success.
    fn relapsed(&self, done: usize) -> bool {
        let entry = &self.0[done];
        let of = |entry: &Entry| (entry.action.verb.clone(), entry.record.subject.clone(), entry.action.text.clone());
        let same = |later: &&Entry| of(later) == of(entry);
        let soon = self.0[done + 1..].iter().take_while(|later| later.at - entry.at < RELAPSE);
        soon.filter(|later| later.action.outcome == Outcome::Started).any(|later| same(&later))
    }
}

impl Tally {
    /// The lower bound of the rate of successes, by Wilson's interval at 95 %; none while there is nothing to count.
    pub(crate) fn at_least(&self) -> Option<f64> {
        let n = self.tried - self.pending;
        if n == 0 {
            return None;
        }
        #[expect(clippy::cast_precision_loss, reason = "nobody repairs that often")]
        let (n, p) = (n as f64, self.helped as f64 / n as f64);
        let centre = p + Z * Z / (2.0 * n);
        let margin = Z * (p * (1.0 - p) / n + Z * Z / (4.0 * n * n)).sqrt();
        let bound = ((centre - margin) / (1.0 + Z * Z / n)).max(0.0);
        Some((bound * 1000.0).round() / 1000.0)
    }
}

fn key(entry: &Entry) -> Option<Key> {
    let detail = entry.action.detail.as_ref()?;
    let text = |name: &str| detail.get(name).and_then(serde_json::Value::as_str).map(str::to_owned);
    Some((entry.action.verb.clone(), text("code"), text("kind")?))
}

/// Shows what was done.
///
/// # Errors
/// The audit log cannot be read, or nothing can be written.
pub(crate) fn run(out: &mut Output, asked: &arguments::History, state: &state::Options) -> anyhow::Result<Exit> {
    let history = History::read(&state.folder()?)?;
    match (asked.stats, out.draws()) {
        (true, false) => history.tallies(Utc::now()).iter().try_for_each(|(key, tally)| emit(out, key, tally))?,
        (true, true) => out.prose(&history.rates())?,
        (false, true) => out.prose(&history.words())?,
        // As they are: what the audit log says is what happened.
        (false, false) => history.0.iter().try_for_each(|entry| out.pass(&entry.raw))?,
    }
    Ok(Exit::Done)
}

fn emit(out: &mut Output, (remedy, code, kind): &Key, tally: &Tally) -> anyhow::Result<()> {
    let Tally { tried, helped, relapsed, undone, failed, pending } = *tally;
    let (code, at_least) = (code.as_deref(), tally.at_least());
    let rate = Stats { remedy, code, kind, tried, helped, relapsed, undone, failed, pending, at_least };
    out.emit("heal.stats", About { subject: Some(&Subject::from(remedy.as_str())), ..About::default() }, &rate).map(drop)
}

impl History {
    /// Each outcome in a line, and what it was about below.
    fn words(&self) -> String {
        let (mut text, undone) = (String::new(), self.taken_back());
        for entry in self.0.iter().filter(|entry| entry.action.outcome != Outcome::Started) {
            let Entry { record, action, .. } = entry;
            let at = record.ts.get(..19).unwrap_or(&record.ts).replace('T', " ");
            let outcome = if undone.contains(record.id.as_str()) { "taken back".to_owned() } else { word(action.outcome) };
            let subject = record.subject.as_ref().map_or_else(String::new, Subject::to_string);
            let _ = writeln!(text, "{at}  {outcome:10}  {:15}  {}\n    {subject}\n    {}", action.verb, record.id, plain(&action.text));
        }
        if text.is_empty() { "nothing was done yet\n".to_owned() } else { text }
    }

    fn rates(&self) -> String {
        let mut text =
            format!("{:15}  {:24}  {:6}  tried  helped  relapsed  undone  failed  pending  at least\n", "remedy", "against", "on");
        for ((remedy, code, kind), tally) in &self.tallies(Utc::now()) {
            let Tally { tried, helped, relapsed, undone, failed, pending } = tally;
            let rate = tally.at_least().map_or_else(|| "-".to_owned(), |rate| format!("{:.0} %", rate * 100.0));
            let against = plain(code.as_deref().unwrap_or("-")).into_owned();
            let _ = writeln!(
                text,
                "{remedy:15}  {against:24}  {:6}  {tried:5}  {helped:6}  {relapsed:8}  {undone:6}  {failed:6}  {pending:7}  {rate:>8}",
                plain(kind)
            );
        }
        text
    }
}

/// An outcome as it is in records.
pub(crate) fn word(outcome: Outcome) -> String {
    let value = serde_json::to_value(outcome).ok();
    value.as_ref().and_then(serde_json::Value::as_str).unwrap_or("other").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(minute: u32, outcome: &str) -> String {
        format!(
            r#"{{"v":1,"type":"action","id":"1.{minute}{outcome}","tool":"heal","host":"h","ts":"2026-08-23T10:{minute:02}:00.000Z","subject":"/a.py","data":{{"verb":"fix-syntax","outcome":"{outcome}","changed":true,"verified":true,"detail":{{"code":"python.syntax","kind":"py"}}}}}}"#
        )
    }

    fn tally(lines: &[(u32, &str)], now: u32) -> Tally {
        let state = tempfile::tempdir().unwrap();
        let text: Vec<String> = lines.iter().map(|(minute, outcome)| line(*minute, outcome)).collect();
        let text = text.join("\n") + "\n{\"torn";
        contract::replace::write(&state.path().join("audit.jsonl"), text.as_bytes()).unwrap();
        let now = format!("2026-08-23T10:{now:02}:00.000Z").parse().unwrap();
        let all = History::read(state.path()).unwrap().tallies(now);
        assert_eq!(all.len(), 1);
        all.into_values().next().unwrap()
    }

    #[test]
    fn a_success_counts_once_nothing_relapsed() {
        let done = [(0, "started"), (0, "done")];
        assert_eq!(tally(&done, 5), Tally { tried: 1, pending: 1, ..Tally::default() });
        assert_eq!(tally(&done, 11), Tally { tried: 1, helped: 1, ..Tally::default() });
        let again = [(0, "started"), (0, "done"), (9, "started"), (9, "undone")];
        assert_eq!(tally(&again, 30), Tally { tried: 2, relapsed: 1, undone: 1, ..Tally::default() });
    }

    #[test]
    fn few_successes_promise_little() {
        let of = |helped, tried| Tally { tried, helped, ..Tally::default() }.at_least();
        assert_eq!(of(0, 0), None);
        assert_eq!(of(1, 1), Some(0.207));
        assert_eq!(of(10, 10), Some(0.722));
        assert_eq!(of(0, 10), Some(0.0));
    }
}
