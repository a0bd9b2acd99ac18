//! `reap`: ends sessions of agents that no registry knows, after what they have shown is on the disk.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use chrono::Utc;
use contract::action::{Action, KIND, Outcome};
use contract::audit::Audit;
use contract::output::Output;
use contract::path::{Subject, shown};
use contract::record::About;
use contract::run::Exit;
use contract::{replace, state};

use crate::probe::Union;
use crate::process;
use crate::repair::Shop;
use crate::times;
use crate::tmux::{self, Session, Sight};

const VERB: &str = "reap";

/// Ends those orphans that may go, or says which would; `read` tells what all registries say at that moment.
///
/// # Errors
/// Not everything could be seen, so that nobody knows who is an orphan; or nothing can be written.
pub(crate) fn run(
    out: &mut Output,
    read: &dyn Fn(&mut Output) -> anyhow::Result<Union>,
    sight: &Sight,
    shop: &Shop<'_>,
    min_age: Duration,
    prefix: &str,
) -> anyhow::Result<Exit> {
    anyhow::ensure!(!prefix.is_empty(), "every session begins with nothing; name a prefix");
    let union = read(out)?;
    if union.busy {
        return Ok(Exit::Busy);
    }
    anyhow::ensure!(
        union.registries > 0,
        "there is no registry here, so every session would be nobody's; --workspace names the folder of them"
    );
    anyhow::ensure!(!union.unseen && sight.unseen.is_empty(), "not every registry could be read, so nobody knows whose sessions these are");
    let mut audit = if shop.act.force { Some(Audit::open(&shop.state.open()?)?) } else { None };
    let mut exit = Exit::Done;
    for session in union.orphans(sight, prefix).into_values().flatten() {
        let subject = Subject::from(session.name.as_str());
        let about = About { subject: Some(&subject), ..About::default() };
        let action = |outcome, text: String| Action { verb: VERB.to_owned(), outcome, text, ..Action::default() };
        if let Some(why) = stays(session, min_age) {
            out.emit(KIND, about, &action(Outcome::Skipped, why))?;
            continue;
        }
        let text = "no registry names it, nobody looks at it, and nothing runs in it".to_owned();
        let Some(audit) = &mut audit else {
            out.emit(KIND, about, &action(Outcome::Planned, text))?;
            continue;
        };
        audit.append(&out.render(KIND, about, &action(Outcome::Started, text.clone()))?.line)?;
        let is_still = |out: &mut Output| {
            let union = read(out)?;
            Ok(!union.unseen && union.is_orphan(session, prefix))
        };
        let ended = match end(session, min_age, shop, || is_still(out)) {
            Ok(log) => Action { changed: true, verified: true, log: Some(Subject::from(&log)), ..action(Outcome::Done, text) },
            Err(e) => {
                exit = Exit::Bad;
                action(Outcome::Failed, format!("{e:#}"))
            }
        };
        let rendered = out.render(KIND, about, &ended)?;
        audit.append(&rendered.line)?;
        out.write(&rendered)?;
    }
    Ok(exit)
}

/// Why a session stays; nothing where it may go.
fn stays(session: &Session, min_age: Duration) -> Option<String> {
    if session.attached > 0 {
        return Some("somebody looks at it".to_owned());
    }
    let age = session.created.and_then(|created| times::age(created, Utc::now()));
    if age.is_none_or(|age| age < min_age) {
        return Some(format!("it is younger than {} s", min_age.as_secs()));
    }
    let busy = session.panes.iter().find(|pane| !pane.dead && !process::is_idle_shell(pane.pid, &pane.tty))?;
    Some(format!("something runs in its pane {}", busy.id))
}

/// Saves what it has shown, looks once more, ends it and sees that it has ended; returns where that is saved.
fn end(session: &Session, min_age: Duration, shop: &Shop<'_>, is_orphan: impl FnOnce() -> anyhow::Result<bool>) -> anyhow::Result<PathBuf> {
    let folder = shop.state.open()?.join("scrollback");
    state::private_folder(&folder)?;
    let log = save(session, &folder)?;
    let now = tmux::look_again(session);
    let same = now
        .shown(&session.name)
        .iter()
        .find(|one| one.id == session.id && one.created == session.created)
        .context("it has ended, or is another one by now")?;
    if let Some(why) = stays(same, min_age) {
        anyhow::bail!("{why} now");
    }
    anyhow::ensure!(is_orphan()?, "a registry names it now");
    tmux::end(session)?;
    let after = tmux::look_again(session);
    anyhow::ensure!(
        after.unseen.is_empty() && after.shown(&session.name).iter().all(|one| one.id != session.id),
        "it was told to end and is still there"
    );
    Ok(log)
}

fn save(session: &Session, folder: &Path) -> anyhow::Result<PathBuf> {
    let plain: String = session.name.chars().map(|c| if c.is_alphanumeric() || "-_".contains(c) { c } else { '_' }).collect();
    let path = folder.join(format!("{}-{}.txt", Utc::now().format("%Y%m%d_%H%M%S%3f"), plain.chars().take(100).collect::<String>()));
    let mut file =
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).with_context(|| format!("cannot make {}", shown(&path)))?;
    for pane in &session.panes {
        let shown = tmux::scrollback(session, pane)?;
        file.write_all(format!("--- pane {} of {}\n", pane.id, session.name).as_bytes()).and_then(|()| file.write_all(&shown))?;
    }
    file.sync_all().with_context(|| format!("cannot write {}", shown(&path)))?;
    replace::sync_folder(folder)?;
    Ok(path)
}
