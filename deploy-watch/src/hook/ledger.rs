//! `deploy/pushes.jsonl` in the state folder: what became of each push that was announced. Several may announce what arrives once: a dry
//! run and then the push, one that failed and was tried again, two URLs of a remote, two hooks. The first that proves it has it watched.

use std::fs::OpenOptions;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use contract::lock::{self, Mode};
use contract::output::Output;
use contract::path::{Subject, shown};
use contract::record::{About, Record};
use contract::{redact, state};
use serde::{Deserialize, Serialize};

use super::announced::Push;
use super::proof::Proof;
use crate::trail::NO_LINK;

const KIND: &str = "deploy.push";
/// The other waiter of a push writes a line.
const PATIENCE: Duration = Duration::from_secs(10);
/// Beyond this it begins anew, in bytes: only pushes of the same minute look for each other.
const LARGEST: u64 = 1 << 20;

#[derive(Serialize)]
struct Told<'p> {
    remote: String,
    branch: &'p str,
    commit: &'p str,
    #[serde(skip_serializing_if = "Option::is_none")]
    proof: Option<Proof>,
    watched: bool,
    announced: &'p str,
}

#[derive(Deserialize)]
struct Seen {
    remote: String,
    branch: String,
    commit: String,
    watched: bool,
}

/// Writes down what became of a push, and says whether its deployment is to be watched.
pub(super) fn enter(out: &mut Output, options: &state::Options, top: &Path, push: &Push, proof: Option<Proof>) -> anyhow::Result<bool> {
    let folder = options.open()?.join("deploy");
    state::private_folder(&folder)?;
    let path = folder.join("pushes.jsonl");
    let mut file = OpenOptions::new();
    file.create(true).append(true).read(true).mode(0o600).custom_flags(NO_LINK);
    let mut file = file.open(&path).with_context(|| format!("cannot open {}", shown(&path)))?;
    lock::file(&file, &path, Mode::Exclusive, PATIENCE)?;
    let mut text = Vec::new();
    file.read_to_end(&mut text).with_context(|| format!("cannot read {}", shown(&path)))?;
    let (subject, remote) = (Subject::from(top), redact::excerpt(&push.remote));
    let watched = proof.is_some() && !is_watched(&String::from_utf8_lossy(&text), push, &remote, &subject);
    let told = Told { remote, branch: &push.branch, commit: &push.commit, proof, watched, announced: &push.announced };
    let line = out.render(KIND, About { subject: Some(&subject), ..About::default() }, &told)?.line;
    let shortened = if u64::try_from(text.len())? > LARGEST { file.set_len(0) } else { Ok(()) };
    shortened.and_then(|()| file.write_all(&line)).with_context(|| format!("cannot write {}", shown(&path)))?;
    Ok(watched)
}

/// Whether that has been watched since this was announced, in UTC of a fixed width. A crash can tear a line.
fn is_watched(text: &str, push: &Push, remote: &str, subject: &Subject) -> bool {
    let records = text.lines().filter_map(|line| Record::parse(line).ok());
    let mut since = records.filter(|record| record.ts >= push.announced && record.subject.as_ref() == Some(subject));
    since.any(|record| {
        let is_same = |seen: Seen| seen.watched && (&*seen.remote, &seen.branch, &seen.commit) == (remote, &push.branch, &push.commit);
        record.read::<Seen>().is_ok_and(is_same)
    })
}
