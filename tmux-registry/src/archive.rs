//! `compact`: agents that have long come to their end are moved out of their registry, to a file beside it: one JSON object a line, with the
//! agent as it was.

use std::collections::{HashMap, HashSet};
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use chrono::{DateTime, SecondsFormat, Utc};
use contract::action::{Action, KIND, Outcome};
use contract::audit::Audit;
use contract::lock;
use contract::output::Output;
use contract::path::{Subject, shown};
use contract::record::About;
use contract::replace;
use contract::run::Exit;
use serde::Deserialize;
use serde_json::json;

use crate::document::{self, Edits, Fields, Members, Raw, span, text};
use crate::registry;
use crate::repair::Shop;
use crate::status;
use crate::tasks::There;
use crate::times;

const VERB: &str = "compact";

/// The archive of a registry.
pub(crate) fn path(registry: &Path) -> PathBuf {
    let registry = registry::real(registry);
    let name = registry.file_name().unwrap_or_default().to_string_lossy();
    registry.with_file_name(format!("{}.archive.jsonl", name.strip_suffix(".json").unwrap_or(&name)))
}

/// Who is in it, and with which status; a last line that is torn is nobody.
///
/// # Errors
/// It cannot be read, or a line of it is none of ours: then nobody knows who is in it.
pub(crate) fn agents(registry: &Path) -> anyhow::Result<HashMap<String, There>> {
    #[derive(Deserialize)]
    struct Line<'t> {
        agent_id: String,
        #[serde(borrow)]
        agent: Fields<'t>,
    }
    let archive = path(registry);
    let text = text_of(&archive)?;
    let mut agents = HashMap::new();
    for (number, line) in text.split_inclusive('\n').enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        match serde_json::from_str::<Line<'_>>(line) {
            Ok(line) => agents.insert(line.agent_id, There::of(&line.agent)),
            Err(_) if !line.ends_with('\n') => None,
            Err(e) => return Err(e).with_context(|| format!("line {} of {}", number + 1, shown(&archive))),
        };
    }
    Ok(agents)
}

/// Moves them, or says how many would be.
///
/// # Errors
/// Nothing can be written.
pub(crate) fn compact(out: &mut Output, registries: &[PathBuf], shop: &Shop<'_>, older: Duration) -> anyhow::Result<Exit> {
    let mut audit = if shop.act.force { Some(Audit::open(&shop.state.open()?)?) } else { None };
    let since =
        chrono::TimeDelta::from_std(older).ok().and_then(|older| Utc::now().checked_sub_signed(older)).unwrap_or(DateTime::<Utc>::MIN_UTC);
    let mut exit = Exit::Done;
    for path in registries {
        let subject = Subject::from(path);
        let about = About { subject: Some(&subject), ..About::default() };
        let whole = match registry::read(path, shop.rules.wait) {
            Ok(whole) => whole,
            Err(e) => {
                exit = if e.is::<lock::Held>() { Exit::Busy } else { exit };
                out.error(registry::code(&e), about, None, &format!("{e:#}"))?;
                continue;
            }
        };
        let old = match Old::of(&whole, since) {
            Ok(old) if old.agents.is_empty() => continue,
            Ok(old) => old,
            Err(e) => {
                out.error("registry.unreadable", about, None, &format!("{}: {e:#}", shown(path)))?;
                continue;
            }
        };
        let Some(audit) = &mut audit else {
            out.emit(KIND, about, &old.action(path, Outcome::Planned))?;
            continue;
        };
        audit.append(&out.render(KIND, about, &old.action(path, Outcome::Started))?.line)?;
        let done = act(path, shop, since);
        exit = match &done {
            Err(e) if e.is::<lock::Held>() => Exit::Busy,
            Err(_) => Exit::Bad,
            Ok(_) => exit,
        };
        let ended =
            done.unwrap_or_else(|e| Action { outcome: Outcome::Failed, text: format!("{e:#}"), ..old.action(path, Outcome::Failed) });
        let rendered = out.render(KIND, about, &ended)?;
        audit.append(&rendered.line)?;
        out.write(&rendered)?;
    }
    Ok(exit)
}

/// First they are in the archive, and on the disk; then they go.
fn act(path: &Path, shop: &Shop<'_>, since: DateTime<Utc>) -> anyhow::Result<Action> {
    let (mut held, whole) = registry::hold_whole(path, shop.rules.wait)?;
    let old = Old::of(&whole, since)?;
    let _whole_change = contract::signal::hold()?;
    append(path, &old)?;
    let copy = held.write(whole.as_bytes(), &old.without(&whole)?)?;
    let left = Old::of(&held.text()?, since)?;
    anyhow::ensure!(left.agents.is_empty(), "they are still there");
    Ok(Action { changed: true, verified: true, undo: Some(Subject::from(&copy)), ..old.action(path, Outcome::Done) })
}

/// Puts them at the end of the archive, and sees that they are there.
fn append(registry: &Path, old: &Old) -> anyhow::Result<()> {
    let archive = path(registry);
    let known = text_of(&archive)?;
    let now = Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true);
    // Who was put there by a run that died before they went is there already; the same id may have had another life.
    let has = |text: &str, agent: &str| text.lines().any(|line| line.ends_with(&format!("\"agent\":{agent}}}")));
    let mut lines = Vec::new();
    if !known.is_empty() && !known.ends_with('\n') {
        lines.push(b'\n');
    }
    let agents: Vec<(&String, String)> = old.agents.iter().map(|(id, raw)| (id, document::on_one_line(raw))).collect();
    for (id, agent) in agents.iter().filter(|(_, agent)| !has(&known, agent)) {
        // Writing to memory cannot fail.
        let _ = writeln!(lines, "{{\"agent_id\":{},\"archived_at\":\"{now}\",\"agent\":{agent}}}", json!(id));
    }
    // Whoever may read the one may read the other.
    let mode = registry.metadata().map_or(0o600, |meta| meta.mode() & 0o666);
    let file = OpenOptions::new().create(true).append(true).mode(mode).open(&archive);
    let mut file = file.with_context(|| format!("cannot open the archive {}", shown(&archive)))?;
    file.write_all(&lines).and_then(|()| file.sync_all()).with_context(|| format!("cannot write the archive {}", shown(&archive)))?;
    replace::sync_folder(archive.parent().context("a registry is in a folder")?)?;
    let written = text_of(&archive)?;
    anyhow::ensure!(agents.iter().all(|(_, agent)| has(&written, agent)), "they are not in the archive {}", shown(&archive));
    Ok(())
}

fn text_of(archive: &Path) -> anyhow::Result<String> {
    // Nothing else, such as a pipe that nobody writes to, ends.
    let is_other = archive.metadata().is_ok_and(|meta| !meta.is_file());
    anyhow::ensure!(!is_other, "the archive {} is no file", shown(archive));
    match fs::read(archive) {
        Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
        Err(e) => Err(e).with_context(|| format!("cannot read the archive {}", shown(archive))),
    }
}

/// Those who came to their end long ago: id, and the agent as it is written.
struct Old {
    agents: Vec<(String, String)>,
    numbers: HashSet<usize>,
}

impl Old {
    fn of(whole: &str, since: DateTime<Utc>) -> anyhow::Result<Self> {
        let top = document::top(whole)?;
        let mut old = Self { agents: Vec::new(), numbers: HashSet::new() };
        for (number, (key, raw)) in members(top.agents)?.into_iter().enumerate() {
            let Ok(fields) = serde_json::from_str::<Fields<'_>>(raw.get()) else { continue };
            let is_over = text(fields.status).is_some_and(|status| status::is_terminal(&status));
            if let Some(id) = key.or_else(|| text(fields.id)).filter(|_| is_over && ended(&fields).is_some_and(|ended| ended < since)) {
                old.agents.push((id, raw.get().to_owned()));
                old.numbers.insert(number);
            }
        }
        Ok(old)
    }

    fn without(&self, whole: &str) -> anyhow::Result<String> {
        let top = document::top(whole)?;
        let values: Vec<Raw<'_>> = members(top.agents)?.into_iter().map(|(_, raw)| raw).collect();
        let mut edits = Edits::default();
        edits.replace(span(whole, top.agents), &document::without(whole, top.agents, &values, |number| !self.numbers.contains(&number)));
        Ok(edits.applied(whole))
    }

    fn action(&self, registry: &Path, outcome: Outcome) -> Action {
        let noun = if self.agents.len() == 1 { "agent" } else { "agents" };
        let text = format!("{} {noun} to {}", self.agents.len(), shown(&path(registry)));
        let detail = Some(json!({ "agents": self.agents.iter().map(|(id, _)| id).collect::<Vec<_>>() }));
        Action { verb: VERB.to_owned(), outcome, text, detail, ..Action::default() }
    }
}

/// The agents of either shape, with the keys that they have.
fn members(agents: Raw<'_>) -> anyhow::Result<Vec<(Option<String>, Raw<'_>)>> {
    if agents.get().starts_with('[') {
        let list: Vec<Raw<'_>> = serde_json::from_str(agents.get())?;
        return Ok(list.into_iter().map(|raw| (None, raw)).collect());
    }
    let Members(members) = serde_json::from_str(agents.get())?;
    Ok(members.into_iter().map(|(key, raw)| (Some(key.into_owned()), raw)).collect())
}

/// When an agent came to its end, by the latest of its times.
fn ended(fields: &Fields<'_>) -> Option<DateTime<Utc>> {
    let all = [fields.completed_at, fields.terminated_at, fields.failed_at, fields.last_update];
    all.into_iter().filter_map(|raw| times::read(&text(raw)?)).max()
}
