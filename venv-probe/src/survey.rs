//! One run: targets in, walks and judgements in parallel, records out as each verdict falls.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};

use contract::input::{self, Line};
use contract::output::Output;
use contract::path::{Subject, absolute, shown};
use contract::progress::Progress;
use contract::record::{About, Record, Status};
use contract::venv::{self, Alias, Probe};
use contract::{action, child};
use rustix::system::uname;

use crate::judge::{self, Court};
use crate::targets;
use crate::walk::{self, Found, Walk};

/// Verdicts that wait for the writer; a reader that is slow slows the judges and fills no memory.
const WAITING: usize = 64;

enum Event {
    Judged(PathBuf, Box<Probe>),
    Alias(PathBuf, PathBuf),
    Unreadable(PathBuf, io::Error),
    /// The judge itself failed.
    Failed(PathBuf),
}

/// Judges everything that was asked for; returns whether any of it is degraded or broken.
pub(crate) fn run(paths: &[PathBuf], sets: &[PathBuf], walk: walk::Options, court: &Court, out: &mut Output) -> anyhow::Result<bool> {
    let (mut named, stdin): (Vec<PathBuf>, Vec<PathBuf>) = paths.iter().cloned().partition(|path| path != Path::new("-"));
    if paths.is_empty() && sets.is_empty() {
        named.push(PathBuf::from("."));
    }
    let mut roots = targets::roots(&named, sets, out)?;
    let progress = Progress::start(env!("CARGO_PKG_NAME"), "environments");
    let mut bad = false;
    if !stdin.is_empty() {
        bad |= from_stdin(&mut roots, walk, court, &progress, out)?;
    }
    Ok(bad | survey(&roots, &[], walk, court, &progress, out)?)
}

/// A record is passed on and its subject judged at once, so that the verdict stands right behind its cause; plain paths are gathered.
fn from_stdin(roots: &mut Vec<PathBuf>, walk: walk::Options, court: &Court, progress: &Progress, out: &mut Output) -> anyhow::Result<bool> {
    let (mut bad, mut elsewhere) = (false, false);
    for line in input::stdin("pipe paths or records into `venv-probe -`")? {
        match line? {
            Line::Record(record, raw) => {
                out.pass(&raw)?;
                if !names_an_environment(&record) {
                    continue;
                }
                if record.host != uname().nodename().to_string_lossy() {
                    elsewhere = true;
                    continue;
                }
                let Some(root) = record.subject.as_ref().map(Subject::as_path).filter(|root| root.is_absolute()) else {
                    let about = About { subject: record.subject.as_ref(), cause: std::slice::from_ref(&record.id) };
                    out.error(
                        "input.bad-data",
                        about,
                        None,
                        &format!("record {} does not say by an absolute path what it is about", record.id),
                    )?;
                    continue;
                };
                if root.symlink_metadata().is_ok() {
                    bad |= survey(&[root.to_owned()], std::slice::from_ref(&record.id), walk, court, progress, out)?;
                }
            }
            Line::Other { bytes, .. } if is_path(&bytes) => {
                let path = absolute(Path::new(OsStr::from_bytes(&bytes)))?;
                match path.symlink_metadata() {
                    Ok(_) => roots.push(path),
                    Err(_) => targets::missing(&path, out)?,
                }
            }
            Line::Other { number, why, .. } => out.error("input.not-a-record", About::default(), Some(number), &why)?,
        }
    }
    if elsewhere {
        out.hint("records of other machines were passed on, and what they are about was not judged here");
    }
    Ok(bad)
}

/// Whether a record is about an environment: a verdict on one, or what `venv-rebuild` did to it. An alias is another way to one that has
/// a verdict of its own.
fn names_an_environment(record: &Record) -> bool {
    record.is(venv::KIND) || record.is(action::KIND) && record.tool == "venv-rebuild"
}

/// A line that starts like JSON, or with a byte order mark, was meant as a record.
fn is_path(line: &[u8]) -> bool {
    !line.starts_with(b"\xef\xbb\xbf") && !matches!(line.first(), None | Some(b'{' | b'[' | b'"')) && !line.contains(&0)
}

fn survey(
    roots: &[PathBuf],
    cause: &[String],
    options: walk::Options,
    court: &Court,
    progress: &Progress,
    out: &mut Output,
) -> anyhow::Result<bool> {
    let stop = AtomicBool::new(false);
    let (sender, receiver) = sync_channel(WAITING);
    std::thread::scope(|threads| {
        let stop = &stop;
        // The thread owns the sender, so that the receiver learns when the walk is over.
        threads.spawn(move || {
            let tell = |found: Found| {
                // The receiver is gone when the output is: then nobody wants to know.
                if sender.send(event(found, court, progress)).is_err() {
                    stop.store(true, Ordering::Relaxed);
                }
            };
            Walk::new(options, stop, &tell).run(roots);
        });
        // Whoever reads has gone, or nothing can be written: then no answer is worth waiting for.
        write(receiver, cause, out).inspect_err(|_| child::end_all())
    })
}

fn event(found: Found, court: &Court, progress: &Progress) -> Event {
    match found {
        Found::Environment { path, layout } => {
            // One environment must not take the verdicts on all others with it.
            let probe = catch_unwind(AssertUnwindSafe(|| judge::judge(&path, layout, court)));
            progress.done(1);
            let Ok(probe) = probe else { return Event::Failed(path) };
            Event::Judged(path, Box::new(probe))
        }
        Found::Dangling { path, target } => Event::Judged(path, Box::new(judge::dangling(&target, court.options.deep))),
        Found::Alias { path, of } => Event::Alias(path, of),
        Found::Unreadable { path, error } => Event::Unreadable(path, error),
    }
}

/// Takes the receiver, so that an error here closes the channel and stops the walk.
fn write(receiver: Receiver<Event>, cause: &[String], out: &mut Output) -> anyhow::Result<bool> {
    let mut bad = false;
    for event in receiver {
        match event {
            Event::Judged(path, probe) => {
                bad |= matches!(probe.status, Status::Degraded | Status::Broken);
                let subject = Subject::from(&path);
                out.emit(venv::KIND, About { subject: Some(&subject), cause }, &probe)?;
                // What we could not see says nothing of the environment, and something of this run.
                if let Some(unseen) = probe.faults.iter().find(|fault| fault.severity == Some(Status::Unknown)) {
                    out.error(
                        "venv.unseen",
                        About { subject: Some(&subject), cause },
                        None,
                        &format!("{}: {}", shown(&path), unseen.text),
                    )?;
                }
            }
            Event::Alias(path, of) => {
                out.emit(venv::ALIAS, About { subject: Some(&Subject::from(&path)), cause }, &Alias { of: Subject::from(&of) })?;
            }
            Event::Failed(path) => {
                let text = format!("judging {} failed; this is a defect of venv-probe, please report it", shown(&path));
                out.error("internal", About { subject: Some(&Subject::from(&path)), cause }, None, &text)?;
            }
            Event::Unreadable(path, error) => {
                let text = format!("cannot read {}: {error}; what lies below it was not judged", shown(&path));
                out.error("path.unreadable", About { subject: Some(&Subject::from(&path)), cause }, None, &text)?;
            }
        }
    }
    Ok(bad)
}
