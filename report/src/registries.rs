//! What `tmux-registry` tells of: registries, sessions, and those that belong to nobody.

use std::borrow::Cow;

use contract::path::Subject;
use contract::record::{Record, Status};
use serde::Deserialize;

use crate::actions::subject;
use crate::clip;
use crate::document::{Block, Column, Row, Table, Tone, counted};
use crate::environments::{common_root, status};
use crate::seen::{Place, Seen};

/// So many faults of a registry are named.
const NAMED: usize = 5;

/// What is kept of its records.
#[derive(Debug, Default)]
pub(crate) struct Registries {
    judged: Vec<(Place, Verdict)>,
    sessions: Vec<(Place, Session)>,
    orphans: Vec<(Place, Session)>,
}

#[derive(Debug, Deserialize)]
struct Verdict {
    status: Status,
    agents: u64,
    active: u64,
    #[serde(default)]
    faults: Vec<Fault>,
}

#[derive(Debug, Deserialize)]
struct Fault {
    text: String,
    #[serde(default)]
    repair: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Session {
    alive: bool,
    attached: u64,
    #[serde(default)]
    created: Option<String>,
    #[serde(default)]
    socket: Option<Subject>,
}

impl Registries {
    pub(crate) fn has(&self, place: &Place) -> bool {
        self.judged.iter().any(|(judged, _)| judged == place)
    }

    /// Takes a record in if it is of a type that is drawn here; says whether it was.
    pub(crate) fn take(&mut self, record: &Record, place: &Place) -> anyhow::Result<bool> {
        match record.kind.as_str() {
            "registry.probe" => {
                let verdict: Verdict = record.read()?;
                let more = verdict.faults.len().saturating_sub(NAMED);
                let mut faults: Vec<Fault> = verdict.faults.into_iter().take(NAMED).map(Fault::clipped).collect();
                faults.extend((more > 0).then(|| Fault { text: format!("and {more} more"), repair: None }));
                self.judged.push((place.clone(), Verdict { faults, ..verdict }));
            }
            "tmux.session" => self.sessions.push((place.clone(), Session::clipped(record.read()?))),
            "registry.orphan" => self.orphans.push((place.clone(), Session::clipped(record.read()?))),
            _ => return Ok(false),
        }
        Ok(true)
    }
}

impl Fault {
    fn clipped(self) -> Self {
        Self { text: clip::text(self.text), repair: self.repair.map(clip::text) }
    }
}

impl Session {
    fn clipped(self) -> Self {
        Self { created: self.created.map(clip::text), socket: self.socket.map(clip::subject), ..self }
    }
}

pub(crate) fn draw(seen: &Seen) -> Vec<Block<'_>> {
    let kept = &seen.registries;
    let mut blocks = judged(&kept.judged, seen);
    blocks.extend(sessions("Sessions of tmux", &kept.sessions, seen));
    blocks.extend(sessions("Sessions that no registry names", &kept.orphans, seen));
    blocks
}

fn judged<'a>(judged: &'a [(Place, Verdict)], seen: &Seen) -> Vec<Block<'a>> {
    if judged.is_empty() {
        return Vec::new();
    }
    let several_hosts = seen.several_hosts();
    let root = if several_hosts { None } else { common_root(judged.iter().map(|(place, _)| place.subject.as_path())) };
    let under = root.as_ref().map_or_else(String::new, |root| format!(" under {}", root.to_string_lossy()));
    let mut rows: Vec<&(Place, Verdict)> = judged.iter().collect();
    rows.sort_by_key(|(_, verdict)| std::cmp::Reverse(verdict.status.badness()));
    let count = |status: Status| rows.iter().filter(|(_, verdict)| verdict.status == status).count();
    let each = [(Status::Healthy, "healthy"), (Status::Degraded, "degraded"), (Status::Broken, "broken"), (Status::Unknown, "unknown")];
    let words: Vec<String> =
        each.iter().map(|(status, word)| (count(*status), word)).filter(|(n, _)| *n > 0).map(|(n, word)| format!("{n} {word}")).collect();
    let noun = if rows.len() == 1 { "registry" } else { "registries" };
    let ending = format!("{} {noun}: {}", rows.len(), words.join(", "));
    let mendable = rows.iter().any(|(_, verdict)| verdict.faults.iter().any(|fault| fault.repair.is_some()));
    let table = Table {
        columns: &[Column::Mark("status"), Column::Path("registry"), Column::Word("agents"), Column::Word("at work")],
        below: Some("what is wrong"),
        rows: rows.len(),
        row: Box::new(move |i| {
            let (place, verdict) = rows[i];
            let (tone, mark) = status(verdict.status);
            let below = root.as_deref().and_then(|root| place.subject.as_path().strip_prefix(root).ok());
            let path = below.map_or_else(|| subject(Some(place), several_hosts), |below| below.to_string_lossy().into_owned());
            let cells = vec![
                Cow::Borrowed(mark),
                Cow::Owned(path),
                Cow::Owned(counted(verdict.agents, "agent")),
                Cow::Owned(format!("{} at work", verdict.active)),
            ];
            Row { tone, cells, below: verdict.faults.iter().map(|fault| Cow::Borrowed(fault.text.as_str())).collect(), command: None }
        }),
    };
    let mut blocks = vec![Block::Heading(format!("Agent registries{under}")), Block::Table(table), Block::Line(Tone::Strong, ending)];
    // After a repair of the same stream the verdicts are of before it.
    if mendable && seen.actions.is_empty() {
        blocks
            .push(Block::Line(Tone::Strong, "Next: the same command with `repair` instead of `check` says what it would mend.".to_owned()));
    }
    blocks
}

fn sessions<'a>(title: &str, sessions: &'a [(Place, Session)], seen: &Seen) -> Vec<Block<'a>> {
    if sessions.is_empty() {
        return Vec::new();
    }
    let several_hosts = seen.several_hosts();
    let table = Table {
        columns: &[Column::Mark("state"), Column::Path("session"), Column::Word("clients"), Column::Word("since"), Column::Path("socket")],
        below: None,
        rows: sessions.len(),
        row: Box::new(move |i| {
            let (place, session) = &sessions[i];
            let (tone, mark) = if session.alive { (Tone::Good, "✓ alive") } else { (Tone::Faint, "· dead") };
            let socket = session.socket.as_ref().map_or_else(String::new, |socket| socket.as_path().to_string_lossy().into_owned());
            let since = session.created.as_deref().unwrap_or("-");
            let cells = vec![
                Cow::Borrowed(mark),
                Cow::Owned(subject(Some(place), several_hosts)),
                Cow::Owned(counted(session.attached, "client")),
                Cow::Borrowed(since),
                Cow::Owned(socket),
            ];
            Row { tone, cells, below: Vec::new(), command: None }
        }),
    };
    vec![Block::Heading(title.to_owned()), Block::Table(table)]
}
