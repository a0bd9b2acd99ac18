//! What the registries of its tasks say of the agents of a global registry.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::Deserialize;

use crate::agent::{Agent, Court, Fate};
use crate::archive;
use crate::document::{self, Fields, Members, Raw, Top, text};
use crate::judge::{Shape, Wanted, judge};
use crate::places::TASK;
use crate::registry;
use crate::status;

/// What the registries of the tasks say of the agents of a global one.
#[derive(Default)]
pub(crate) struct Tasks {
    /// By the ids of agents.
    statuses: HashMap<String, There>,
    folders: HashMap<String, PathBuf>,
    pub(crate) unreadable: Vec<String>,
    /// Those tasks of which not every agent could be read.
    guarded: HashSet<String>,
}

/// How long the registries of the tasks are waited for.
#[derive(Clone, Copy)]
pub(crate) enum Patience {
    /// Each of them, and until it is whole.
    Each(Duration),
    /// All of them together, since others wait for us.
    Until(Instant),
}

impl Patience {
    fn read(self, path: &Path) -> anyhow::Result<String> {
        match self {
            Self::Each(patience) => registry::read(path, patience),
            Self::Until(deadline) => registry::glance(path, deadline.saturating_duration_since(Instant::now())),
        }
    }
}

/// A task of a global registry.
#[derive(Default, Deserialize)]
struct Task {
    #[serde(default)]
    status: Option<String>,
    #[serde(default)]
    workspace: Option<PathBuf>,
}

/// One that cannot be read is there all the same.
fn tasks(top: &Top<'_>) -> HashMap<String, Task> {
    let Members(tasks) = top.tasks.and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or(Members(Vec::new()));
    tasks.into_iter().map(|(id, raw)| (id.into_owned(), serde_json::from_str(raw.get()).unwrap_or_default())).collect()
}

impl Tasks {
    /// Reads the registries of the tasks that the agents of a global registry name, one after the other, and keeps what they say of these.
    /// Nothing, of the registry of a task.
    ///
    /// # Errors
    /// It is no registry.
    pub(crate) fn of(path: &Path, whole: &str, court: &Court<'_>, patience: Patience) -> anyhow::Result<Self> {
        let top = document::top(whole)?;
        if Shape::of(&top) == Shape::Task {
            return Ok(Self::default());
        }
        let folder = path.parent().unwrap_or(Path::new("/"));
        let (known, Members(agents)) = (tasks(&top), serde_json::from_str(top.agents.get())?);
        let mut of: HashMap<String, HashSet<&str>> = HashMap::new();
        for (id, raw) in &agents {
            let task = serde_json::from_str::<Fields<'_>>(raw.get()).ok().and_then(|fields| text(fields.task_id));
            of.entry(task.unwrap_or_default()).or_default().insert(id);
        }
        let mut all = Self::default();
        for (task, ids) in of {
            let named =
                known.get(&task).and_then(|task| task.workspace.clone()).filter(|path| path.is_absolute() && path.join(TASK).is_file());
            let place = named.unwrap_or_else(|| folder.parent().unwrap_or(folder).join(&task));
            let path = place.join(TASK);
            if !task.is_empty() && path.is_file() {
                let judged = patience.read(&path).and_then(|whole| judge(&path, &whole, &Self::default(), court));
                match judged.and_then(|judged| Ok((archive::agents(&path)?, judged))) {
                    Ok((archived, judged)) => {
                        all.guarded.extend(judged.is_guarded().then(|| task.clone()));
                        all.statuses.extend(archived.into_iter().chain(judged.statuses).filter(|(id, _)| ids.contains(&**id)));
                    }
                    Err(e) => {
                        all.guarded.insert(task.clone());
                        all.unreadable.push(format!("the registry of the task {task} cannot be read: {e:#}"));
                    }
                }
            }
            all.folders.insert(task, place);
        }
        Ok(all)
    }

    pub(crate) fn wanted(&self, agent: &Agent, court: &Court<'_>) -> Wanted {
        let there = self.statuses.get(&agent.id);
        if let Some(there) = there.filter(|there| there.is_word()) {
            return Wanted::Task(there.clone());
        }
        if agent.status.as_deref().is_some_and(status::is_terminal) {
            return Wanted::Nothing;
        }
        if let Some(there) = there {
            return Wanted::Fate(Fate::Unknown(format!("its task says `{}` of it, which is none of the known words", there.written)));
        }
        if agent.task.as_ref().is_some_and(|task| self.guarded.contains(task)) {
            return Wanted::Fate(Fate::Unknown("not everything in the registry of its task can be read".to_owned()));
        }
        let folder = agent.task.as_ref().and_then(|task| self.folders.get(task)).cloned().unwrap_or_else(|| PathBuf::from("/nonexistent"));
        Wanted::Fate(agent.judge(&folder, court))
    }
}

/// How an agent is in the registry of its task.
#[derive(Clone, Debug, Default)]
pub(crate) struct There {
    /// When all is mended.
    pub(crate) status: String,
    /// As it is written.
    pub(crate) written: String,
    /// Values as they are written, of one that came to its end.
    pub(crate) reason: Option<String>,
    pub(crate) terminated: Option<String>,
    pub(crate) completed: Option<String>,
}

impl There {
    /// As it is written.
    pub(crate) fn of(fields: &Fields<'_>) -> Self {
        let raw = |value: Option<Raw<'_>>| value.filter(|raw| raw.get().starts_with('"')).map(|raw| raw.get().to_owned());
        let status = text(fields.status).unwrap_or_default();
        Self {
            written: status.clone(),
            status,
            reason: raw(fields.termination_reason),
            terminated: raw(fields.terminated_at),
            completed: raw(fields.completed_at),
        }
    }

    fn is_word(&self) -> bool {
        status::is_active(&self.status) || status::is_terminal(&self.status)
    }
}

/// The tasks of a global registry that are not over.
pub(crate) fn open_tasks(top: &Top<'_>) -> usize {
    let tasks = tasks(top);
    tasks.values().filter(|task| !task.status.as_deref().is_some_and(status::is_closed)).count()
}
