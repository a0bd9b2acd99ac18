//! `install` and `uninstall`: the hook that has each push followed, where this version of git and this project have their hooks.

mod block;
mod made;
mod place;
mod plan;

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anyhow::Context as _;
use contract::action::{Action, KIND, Outcome};
use contract::audit::Audit;
use contract::lock;
use contract::output::Output;
use contract::path::{Subject, shown};
use contract::record::About;
use contract::run::Exit;
use contract::{replace, signal, state};

use crate::arguments::{Act, Install};
use crate::digitalocean;
use crate::repository::Repository;
use plan::{Change, Step, There};

pub(crate) fn install(out: &mut Output, asked: &Install, options: &state::Options) -> anyhow::Result<Exit> {
    let exit = run(out, &asked.act, options, "install", |repository| plan::install(repository, asked.branch.as_deref()))?;
    // Whoever pushes would not see it.
    if let Err(e) = digitalocean::token() {
        out.hint(&format!("{e:#}; without one in the environment of a push nobody can follow its deployment on DigitalOcean"));
    }
    Ok(exit)
}

pub(crate) fn uninstall(out: &mut Output, act: &Act, options: &state::Options) -> anyhow::Result<Exit> {
    run(out, act, options, "uninstall", plan::uninstall)
}

fn run(
    out: &mut Output,
    act: &Act,
    options: &state::Options,
    verb: &str,
    plan: impl Fn(&Repository) -> anyhow::Result<Vec<Step>>,
) -> anyhow::Result<Exit> {
    let repository = Repository::here()?;
    if !act.force {
        for step in plan(&repository)? {
            let outcome = if step.is_idle() { Outcome::Skipped } else { Outcome::Planned };
            tell(out, None, &step, &step.action(verb, outcome))?;
        }
        return Ok(Exit::Done);
    }
    let folder = options.open()?;
    let _lock = lock::take(&folder.join("deploy-hooks.lock"))?;
    let mut audit = Audit::open(&folder)?;
    out.outlive_its_reader();
    let mut exit = Exit::Done;
    for step in plan(&repository)? {
        let ended = if step.is_idle() { step.action(verb, Outcome::Skipped) } else { change(out, &mut audit, &repository, &step, verb)? };
        if ended.outcome == Outcome::Failed || step.change == Change::Declined {
            exit = Exit::Bad;
        }
        tell(out, Some(&mut audit).filter(|_| !step.is_idle()), &step, &ended)?;
    }
    Ok(exit)
}

/// On record before, done, and looked at.
fn change(out: &mut Output, audit: &mut Audit, repository: &Repository, step: &Step, verb: &str) -> anyhow::Result<Action> {
    let subject = Subject::from(&*step.subject);
    let about = About { subject: Some(&subject), ..About::default() };
    audit.append(&out.render(KIND, about, &step.action(verb, Outcome::Started))?.line)?;
    let _whole = signal::hold()?;
    let seen = apply(repository, step).and_then(|()| is_there(repository, step));
    Ok(match seen {
        Ok(true) => Action { changed: true, verified: true, ..step.action(verb, Outcome::Done) },
        Ok(false) => Action { changed: true, text: "it was done, and is not to be seen".to_owned(), ..step.action(verb, Outcome::Failed) },
        Err(e) => Action { text: format!("{e:#}"), ..step.action(verb, Outcome::Failed) },
    })
}

fn apply(repository: &Repository, step: &Step) -> anyhow::Result<()> {
    let path = &*step.subject;
    match &step.change {
        Change::Nothing | Change::Declined => Ok(()),
        Change::Write { bytes, is_new: false, .. } => replace::write(path, bytes),
        Change::Write { bytes, is_run, .. } => make(repository, path, bytes, *is_run),
        Change::Strip(bytes) => {
            replace::write(path, bytes)?;
            made::forget(repository, path)
        }
        Change::Remove => {
            fs::remove_file(path).with_context(|| format!("cannot remove {}", shown(path)))?;
            made::forget(repository, path)
        }
        Change::Settings(Some(command)) => {
            set(repository, &["hook.deploy-watch.event", "pre-push"])?;
            set(repository, &["hook.deploy-watch.command", command])
        }
        Change::Settings(None) => {
            let gone = repository.text(&["config", "--local", "--remove-section", "hook.deploy-watch"])?;
            gone.map(drop).context("git does not remove hook.deploy-watch; are its settings writable?")
        }
    }
}

fn set(repository: &Repository, words: &[&str; 2]) -> anyhow::Result<()> {
    let done = repository.text(&["config", "--local", "--replace-all", words[0], words[1]])?;
    done.map(drop).with_context(|| format!("git does not set {}; are its settings writable?", words[0]))
}

/// For whom the folder is, the file is, too.
fn make(repository: &Repository, path: &Path, bytes: &[u8], is_run: bool) -> anyhow::Result<()> {
    let folder = path.parent().context("a hook lies in a folder")?;
    fs::create_dir_all(folder).with_context(|| format!("cannot create the folder {}", shown(folder)))?;
    let mode = folder.metadata().with_context(|| format!("cannot look at {}", shown(folder)))?.permissions().mode() & 0o777;
    made::note(repository, path)?;
    replace::write(path, bytes)?;
    let mode = Permissions::from_mode(if is_run { mode } else { mode & 0o666 });
    fs::set_permissions(path, mode).with_context(|| format!("cannot set the mode of {}", shown(path)))
}

fn is_there(repository: &Repository, step: &Step) -> anyhow::Result<bool> {
    let there = There::at(&step.subject)?;
    match &step.change {
        Change::Nothing | Change::Declined => Ok(true),
        Change::Write { bytes, is_run, .. } => {
            Ok(there.is_some_and(|there| there.bytes.as_ref() == Some(bytes) && (there.is_executable || !is_run)))
        }
        Change::Strip(bytes) => Ok(there.is_some_and(|there| there.bytes.as_ref() == Some(bytes))),
        Change::Remove => Ok(there.is_none()),
        Change::Settings(Some(command)) => plan::is_set(repository, command),
        Change::Settings(None) => Ok(repository.text(&["config", "--local", "--get-regexp", r"^hook\.deploy-watch\."])?.is_none()),
    }
}

impl Step {
    fn is_idle(&self) -> bool {
        matches!(self.change, Change::Nothing | Change::Declined)
    }

    fn action(&self, verb: &str, outcome: Outcome) -> Action {
        Action { verb: verb.to_owned(), outcome, text: self.text.clone(), ..Action::default() }
    }
}

/// On record, then told.
fn tell(out: &mut Output, audit: Option<&mut Audit>, step: &Step, action: &Action) -> anyhow::Result<()> {
    let subject = Subject::from(&*step.subject);
    let rendered = out.render(KIND, About { subject: Some(&subject), ..About::default() }, action)?;
    let audited = audit.map_or(Ok(()), |audit| audit.append(&rendered.line));
    out.write(&rendered)?;
    audited
}
