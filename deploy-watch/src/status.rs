//! `status` and `logs`: what the watch of a commit left.

use std::fs::OpenOptions;
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use anyhow::Context as _;
use contract::output::Output;
use contract::path::{Subject, shown};
use contract::record::{About, Record};
use contract::run::Exit;
use rustix::fs::OFlags;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::arguments::Which;
use crate::heal::root_of;
use crate::outcome::{Outcome, RESULT, STATE, WATCH};
use crate::repository::Repository;
use crate::trail::{Names, UNSEEN};

/// The exit statuses of the script that this replaces.
const SUCCEEDED: u8 = 0;
const FAILED: u8 = 1;
const GOES_ON: u8 = 2;
const NOT_FOUND: u8 = 3;

#[derive(Deserialize)]
struct Ended {
    result: Outcome,
    commit: String,
}

/// Passes on the last that was told of the deployment.
pub(crate) fn run(out: &mut Output, which: &Which) -> anyhow::Result<Exit> {
    let names = names(&which.commit)?;
    if let Some((record, line)) = of_fix(which, &names)? {
        return verdict(out, &record, &line);
    }
    let told = last(&names.records, &[WATCH, STATE, RESULT])?;
    let word = text(&names.result)?;
    // What is judged may be watched still, while it is told elsewhere.
    if word.is_none() && names.is_watched()? {
        told.map_or(Ok(()), |(record, line)| show(out, &record, &line))?;
        return Ok(Exit::Of(GOES_ON));
    }
    let Some(word) = word else {
        out.hint(if told.is_some() || names.log.exists() {
            "its watch was ended before the deployment was; deploy-watch watch --resume goes on with it"
        } else {
            "nobody watched this commit; deploy-watch watch does"
        });
        return Ok(Exit::Of(NOT_FOUND));
    };
    match told {
        Some((record, line)) if record.is(RESULT) && word.trim() != UNSEEN => verdict(out, &record, &line),
        // The watch could not see it, or it was one of the old system, which wrote no records.
        _ => {
            let data = json!({ "word": word.trim() });
            if word.trim() == UNSEEN {
                out.hint("its watch could not see how it went; deploy-watch logs says why");
            }
            out.emit("deploy.word", About { subject: Some(&Subject::from(&names.result)), ..About::default() }, &data)?;
            Ok(Exit::Of(if word.trim() == "success" { SUCCEEDED } else { FAILED }))
        }
    }
}

fn verdict(out: &mut Output, record: &Record, line: &str) -> anyhow::Result<Exit> {
    show(out, record, line)?;
    Ok(Exit::Of(if record.read::<Ended>()?.result.exit() == Exit::Done { SUCCEEDED } else { FAILED }))
}

/// How a fix of ours went that was watched as a part of what it is for, whatever was seen of that later.
fn of_fix(which: &Which, names: &Names) -> anyhow::Result<Option<(Record, String)>> {
    let repository = Repository::here()?;
    let Ok(commit) = repository.commit(&which.commit) else { return Ok(None) };
    if Names::of(&repository.top, &commit).records == names.records {
        return Ok(None);
    }
    let is_its = |record: &Record| record.is(RESULT) && record.read::<Ended>().is_ok_and(|ended| ended.commit == commit);
    find_last(&names.records, is_its)
}

/// Passes it on as it was told; in a table it is ours, where the end of the run that told it would be missed.
fn show(out: &mut Output, record: &Record, line: &str) -> anyhow::Result<()> {
    if !out.draws() {
        return out.pass(line);
    }
    let about = About { subject: record.subject.as_ref(), ..About::default() };
    out.emit(&record.kind, about, &record.read::<Value>()?).map(drop)
}

/// Prints what its watch said.
pub(crate) fn logs(out: &mut Output, which: &Which) -> anyhow::Result<Exit> {
    let names = names(&which.commit)?;
    match text(&names.log)? {
        Some(text) => out.prose(&text).map(|()| Exit::Done),
        None => anyhow::bail!("nobody watched this commit: there is no {}", shown(&names.log)),
    }
}

/// A commit that is gone from the repository still has its files.
pub(crate) fn names(commit: &str) -> anyhow::Result<Names> {
    let repository = Repository::here()?;
    let is_sha = commit.len() >= 7 && commit.bytes().all(|byte| byte.is_ascii_hexdigit());
    match repository.commit(commit) {
        Err(_) if is_sha => Ok(Names::of(&repository.top, &commit.to_ascii_lowercase())),
        commit => names_of(&repository, &commit?),
    }
}

/// A fix of ours was watched as a part of what it is for, unless somebody watched it for itself.
pub(crate) fn names_of(repository: &Repository, commit: &str) -> anyhow::Result<Names> {
    let own = Names::of(&repository.top, commit);
    let root = if own.log.exists() { None } else { root_of(repository, commit)? };
    Ok(root.map_or(own, |root| Names::of(&repository.top, &root)))
}

/// The last record of some types, and its line.
pub(crate) fn last(path: &Path, kinds: &[&str]) -> anyhow::Result<Option<(Record, String)>> {
    find_last(path, |record| kinds.iter().any(|kind| record.is(kind)))
}

fn find_last(path: &Path, is_meant: impl Fn(&Record) -> bool) -> anyhow::Result<Option<(Record, String)>> {
    let Some(text) = text(path)? else { return Ok(None) };
    // A crash can tear the last line.
    let records = text.lines().rev().filter_map(|line| Some((Record::parse(line).ok()?, line.to_owned())));
    Ok(records.into_iter().find(|(record, _)| is_meant(record)))
}

fn text(path: &Path) -> anyhow::Result<Option<String>> {
    // A pipe in the place of the file would be waited for.
    let mut file = match OpenOptions::new().read(true).custom_flags(OFlags::NONBLOCK.bits().cast_signed()).open(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file.with_context(|| format!("cannot open {}", shown(path)))?,
    };
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).with_context(|| format!("cannot read {}", shown(path)))?;
    Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
}
