//! `deploy/pushes.jsonl` in the state folder: what became of each push that was announced. Two hooks may announce the same one, as two
//! URLs of a remote do, and its deployment is watched once.

use std::fs::OpenOptions;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use contract::lock::{self, Mode};
use contract::output::Output;
use contract::path::{Subject, shown};
use contract::process::Identity;
use contract::record::{About, Record};
use contract::{redact, state};
use serde::{Deserialize, Serialize};

use super::announced::Push;
use super::proof::Proof;
use crate::trail::NO_LINK;

const KIND: &str = "deploy.push";
/// The other waiter of a push writes a line.
const PATIENCE: Duration = Duration::from_secs(10);
/// Beyond this it begins anew, in bytes: only pushes that end at the same moment look for each other.
const LARGEST: u64 = 1 << 20;

#[derive(Serialize)]
struct Told<'p> {
    remote: String,
    branch: &'p str,
    commit: &'p str,
    #[serde(skip_serializing_if = "Option::is_none")]
    proof: Option<Proof>,
    watched: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pusher: Option<&'p Identity>,
}

#[derive(Deserialize)]
struct Seen {
    commit: String,
    watched: bool,
    pusher: Option<Identity>,
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
    let watched = proof.is_some() && !is_watched(&String::from_utf8_lossy(&text), push);
    let (commit, branch, pusher) = (&*push.commit, &*push.branch, push.pusher.as_ref());
    let told = Told { remote: redact::excerpt(&push.remote), branch, commit, proof, watched, pusher };
    let line = out.render(KIND, About { subject: Some(&Subject::from(top)), ..About::default() }, &told)?.line;
    let shortened = if u64::try_from(text.len())? > LARGEST { file.set_len(0) } else { Ok(()) };
    shortened.and_then(|()| file.write_all(&line)).with_context(|| format!("cannot write {}", shown(&path)))?;
    Ok(watched)
}

/// A crash can tear a line.
fn is_watched(text: &str, push: &Push) -> bool {
    let mut pushes = text.lines().filter_map(|line| Record::parse(line).ok()?.read::<Seen>().ok());
    push.pusher.is_some() && pushes.any(|seen| seen.watched && seen.commit == push.commit && seen.pusher == push.pusher)
}
