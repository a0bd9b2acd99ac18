//! `snapshot create`: everything below some paths, as it is now.

use std::time::Instant;

use chrono::{SecondsFormat, Utc};
use contract::output::Output;
use contract::path::{Subject, shown};
use contract::record::About;
use contract::run::Exit;

pub(crate) use crate::capture::Care;
use crate::capture::roots::Request;
use crate::capture::{self, Captured, Trouble};
use crate::prune;
use crate::store::Store;
use crate::store::manifest::{Header, Kind, Manifest};
use crate::store::seal::Recipients;
use crate::summary::{self, Made};

/// What a person says of a snapshot.
#[derive(Clone, Default)]
pub(crate) struct Words {
    pub(crate) description: Option<String>,
    pub(crate) label: Option<String>,
    /// Who alone may read it.
    pub(crate) recipients: Recipients,
}

/// Makes a snapshot and says what it is.
///
/// # Errors
/// Nothing is named, or the store cannot be written; then it is as before.
pub(crate) fn run(out: &mut Output, store: &Store, request: &Request, words: Words, care: Care) -> anyhow::Result<Exit> {
    let start = Instant::now();
    let (Manifest { header, .. }, captured) = make(store, request, words, care)?;
    report(out, &captured.troubles)?;
    warn_of_keys(out, &header, &captured);
    request.idle().for_each(|glob| out.hint(&format!("--exclude left nothing out: nothing that was kept matches `{glob}`")));
    let took_ms = u64::try_from(start.elapsed().as_millis()).ok();
    summary::emit(out, store, &header, false, &Made { took_ms, absent: captured.absent })?;
    Ok(Exit::Done)
}

/// Makes a snapshot. What of it could not be read is among what was captured.
///
/// # Errors
/// As [`run`].
pub(crate) fn make(store: &Store, request: &Request, words: Words, care: Care) -> anyhow::Result<(Manifest, Captured)> {
    anyhow::ensure!(!request.is_empty(), "nothing to hold: neither the command line nor a path set nor standard input names a path");
    store.make()?;
    store.sweep()?;
    let lock = store.share()?;
    let now = Utc::now();
    let id = store.new_id(now);
    let mut captured = capture::capture(request, store, &id, &words.recipients, care)?;
    let header = Header {
        v: Header::VERSION,
        id,
        seq: 0,
        time: now.to_rfc3339_opts(SecondsFormat::Millis, true),
        description: words.description,
        label: words.label,
        host: rustix::system::uname().nodename().to_string_lossy().into_owned(),
        user: user(),
        tool: concat!(env!("CARGO_PKG_NAME"), " ", env!("CARGO_PKG_VERSION")).to_owned(),
        roots: std::mem::take(&mut captured.roots),
        excluded: request.exclusions().map(str::to_owned).collect(),
        above: std::mem::take(&mut captured.above),
        git: std::mem::take(&mut captured.git),
        pythons: std::mem::take(&mut captured.pythons),
        entries: captured.entries.len() as u64,
        size: captured.entries.iter().filter(|entry| entry.kind == Kind::File).filter_map(|entry| entry.size).sum(),
        added: captured.added,
        sealed_to: words.recipients.names(),
        roots_sha256: None,
        partial: !captured.troubles.is_empty(),
    };
    let mut manifest = Manifest { header, entries: std::mem::take(&mut captured.entries) };
    if let Err(e) = store.commit(&mut manifest, &words.recipients) {
        drop(lock);
        prune::take_back(store, &manifest.header.id);
        return Err(e);
    }
    Ok((manifest, captured))
}

/// Names what could not be held as it should be; the run ends with 2.
pub(crate) fn report(out: &mut Output, troubles: &[Trouble]) -> anyhow::Result<()> {
    for trouble in troubles {
        let subject = Subject::from(&trouble.path);
        out.error(trouble.code, About { subject: Some(&subject), ..About::default() }, None, &trouble.text)?;
    }
    Ok(())
}

fn warn_of_keys(out: &Output, header: &Header, captured: &Captured) {
    if let ([first, rest @ ..], []) = (&captured.keys[..], &header.sealed_to[..]) {
        let others = if rest.is_empty() { String::new() } else { format!(" and {} more", rest.len()) };
        out.hint(&format!(
            "{}{others} looks like a private key; the store keeps it readable for you alone, and not encrypted (--encrypt-to does that)",
            shown(first)
        ));
    }
}

/// The name of whoever runs this, else their number.
fn user() -> String {
    let named = ["USER", "LOGNAME"].into_iter().find_map(|name| std::env::var(name).ok().filter(|name| !name.is_empty()));
    named.unwrap_or_else(|| rustix::process::getuid().as_raw().to_string())
}
