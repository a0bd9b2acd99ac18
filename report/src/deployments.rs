//! What `deploy-watch` tells of: each commit once, with the last that is known of its deployment, in the order in which they came.

use std::borrow::Cow;
use std::collections::HashMap;
use std::collections::hash_map::Entry;

use contract::record::Record;
use serde::Deserialize;

use crate::clip;
use crate::document::{Block, Column, Row, Table, Tone};
use crate::seen::Place;

/// What is kept of its records.
#[derive(Debug, Default)]
pub(crate) struct Deployments {
    all: Vec<Deployment>,
    /// Which of them is of which commit.
    known: HashMap<(Place, String), usize>,
}

#[derive(Debug, Deserialize)]
struct Deployment {
    commit: String,
    #[serde(default)]
    branch: Option<String>,
    #[serde(default)]
    phase: Option<String>,
    #[serde(default)]
    result: Option<String>,
    #[serde(default)]
    class: Option<String>,
    #[serde(default)]
    text: Option<String>,
    #[serde(default)]
    url: Option<String>,
}

impl Deployments {
    /// Takes a record in if it is of a type that is drawn here; says whether it was.
    pub(crate) fn take(&mut self, record: &Record, place: &Place) -> anyhow::Result<bool> {
        if !["deploy.watch", "deploy.state", "deploy.result"].contains(&record.kind.as_str()) {
            return Ok(false);
        }
        let seen: Deployment = record.read::<Deployment>()?.clipped();
        match self.known.entry((place.clone(), seen.commit.clone())) {
            Entry::Occupied(known) => self.all[*known.get()] = seen,
            Entry::Vacant(new) => {
                new.insert(self.all.len());
                self.all.push(seen);
            }
        }
        Ok(true)
    }

    pub(crate) fn draw(&self) -> Vec<Block<'_>> {
        if self.all.is_empty() {
            return Vec::new();
        }
        let table = Table {
            columns: &[Column::Mark("deployment"), Column::Word("commit"), Column::Word("branch"), Column::Word("cause")],
            below: Some("what is known"),
            rows: self.all.len(),
            row: Box::new(|i| self.all[i].row()),
        };
        vec![Block::Heading("Deployments".to_owned()), Block::Table(table)]
    }
}

impl Deployment {
    fn clipped(self) -> Self {
        let clipped = |text: Option<String>| text.map(clip::text);
        Self {
            commit: clip::name(&self.commit).into_owned(),
            branch: clipped(self.branch),
            phase: clipped(self.phase),
            result: clipped(self.result),
            class: clipped(self.class),
            text: clipped(self.text),
            url: clipped(self.url),
        }
    }

    fn row(&self) -> Row<'_> {
        let word = self.result.as_ref().or(self.phase.as_ref()).map_or("watching", String::as_str);
        let (tone, mark) = match word {
            "active" => (Tone::Good, "✓"),
            "error" | "rolled_back" => (Tone::Bad, "✗"),
            "not_started" | "moved" | "timeout" | "unknown_phase" => (Tone::Warn, "!"),
            _ => (Tone::Faint, "·"),
        };
        let short: String = self.commit.chars().take(7).collect();
        let or_dash = |text: &'_ Option<String>| Cow::Owned(text.clone().unwrap_or_else(|| "-".to_owned()));
        Row {
            tone,
            cells: vec![
                Cow::Owned(format!("{mark} {}", word.to_lowercase())),
                Cow::Owned(short),
                or_dash(&self.branch),
                or_dash(&self.class),
            ],
            below: [&self.text, &self.url].into_iter().flatten().map(|text| Cow::Borrowed(text.as_str())).collect(),
            command: None,
        }
    }
}
