//! A log: each line that the catalogue knows, what stands around it, and what nobody knows.

mod escapes;
pub(crate) mod findings;
mod line;
mod reach;
mod retry;
mod trace;
mod unknown;

use std::collections::BTreeMap;
use std::io::Read;

use contract::path::Subject;
use contract::redact;

use self::escapes::Plain;
use self::findings::{Finding, Findings, Sighting};
use self::trace::Place;
use self::unknown::Templates;
use crate::catalogue::{Catalogue, Level, group_name};
use crate::diagnosis::{Diagnosis, Evidence};
use crate::search::Search;
use crate::search::feed::{self, Extent, Found};

/// As many templates of unknown errors are told, the last of the log first.
const UNKNOWN: usize = 5;
/// The longest value that is captured, in characters.
const VALUE: usize = 300;

/// What was read of a log.
pub(crate) struct Log {
    pub(crate) source: Subject,
    pub(crate) extent: Extent,
    findings: Findings,
    /// Lines that decide between others.
    notes: Vec<Finding>,
    unknown: Templates,
}

impl Log {
    /// Reads a log to its end with the catalogue's search, or one that fits the log better. `sure` is told of the first finding that is the cause whatever follows, as soon as it is there.
    ///
    /// # Errors
    /// It cannot be read, or `sure` fails.
    pub(crate) fn read(
        catalogue: &Catalogue,
        search: &Search,
        source: &Subject,
        reader: impl Read + Send,
        sure: &mut impl FnMut(&Finding) -> anyhow::Result<()>,
    ) -> anyhow::Result<Self> {
        let (mut findings, mut notes, mut unknown, mut is_told) = (Findings::default(), Findings::default(), Templates::default(), false);
        let extent = feed::search(search, Plain::new(reader), &catalogue.traced, &mut |found| {
            let entry = catalogue.entry(found.pattern);
            if line::says_that_it_passed(&text(&found.line)) {
                return Ok(());
            }
            match catalogue.get(entry).level {
                Level::Unknown => unknown.add(&redact::excerpt(line::bare(&text(&found.line))), found.number),
                Level::Note => drop(notes.add(catalogue, source, sighting(catalogue, entry, &found))),
                _ => {
                    let is_new = findings.add(catalogue, source, sighting(catalogue, entry, &found));
                    let newest = findings.all.last().filter(|finding| is_new && !is_told && finding.is_surely_first(catalogue));
                    if let Some(newest) = newest {
                        is_told = true;
                        sure(newest)?;
                    }
                }
            }
            Ok(())
        })?;
        Ok(Self { source: source.clone(), extent, findings, notes: notes.all, unknown })
    }

    /// What it says, the cause first.
    pub(crate) fn ranked(&self, catalogue: &Catalogue) -> Vec<Finding> {
        self.findings.ranked(catalogue)
    }

    /// Whether something said before that it listens on that port.
    pub(crate) fn listened_before(&self, port: &str, line: u64) -> bool {
        self.notes.iter().any(|note| note.first < line && note.captures.get("port").is_some_and(|one| one == port))
    }

    /// The errors that nobody knows, each kind once.
    pub(crate) fn unknown(&self, catalogue: &Catalogue) -> Vec<Diagnosis> {
        let Some(entry) = catalogue.entries().iter().find(|entry| entry.level == Level::Unknown) else { return Vec::new() };
        let of = |template: &unknown::Template| {
            let captures = BTreeMap::from([("template".to_owned(), template.text())]);
            Diagnosis {
                subject: Some(self.source.clone()),
                code: entry.code.clone(),
                class: None,
                severity: entry.severity,
                text: format!("not in the catalogue: {}", template.text()),
                count: Some(template.count),
                evidence: vec![Evidence {
                    source: self.source.clone(),
                    line: Some(template.first),
                    excerpt: template.example.clone(),
                    captures,
                    frames: Vec::new(),
                }],
                explains: Vec::new(),
                consequences: Vec::new(),
                remedy: None,
                auto: false,
                manual: None,
            }
        };
        self.unknown.all().into_iter().take(UNKNOWN).map(of).collect()
    }

    /// How many kinds of errors nobody knows.
    pub(crate) fn kinds_unknown(&self) -> usize {
        self.unknown.all().len()
    }
}

fn sighting(catalogue: &Catalogue, number: usize, found: &Found) -> Sighting {
    let (entry, line, before, after) = (catalogue.get(number), text(&found.line), text(&found.before), text(&found.after));
    let is_exception = entry.is_exception();
    Sighting {
        entry: number,
        line: found.number,
        excerpt: redact::excerpt(line::bare(&line)),
        captures: captures(catalogue, number, found),
        frames: if is_exception { trace::frames(&before) } else { Vec::new() },
        place: if is_exception { trace::place(&before, &after) } else { Place::Alone },
        is_retried: entry.retryable && retry::was_tried_again(&line, &before, &after),
    }
}

/// The groups that have a name, or had a number in the list of the system that this replaces.
fn captures(catalogue: &Catalogue, entry: usize, found: &Found) -> BTreeMap<String, String> {
    let groups = catalogue.search.captures(found.pattern, &found.line).unwrap_or_default();
    let entry = catalogue.get(entry);
    let named = groups.into_iter().enumerate().skip(1).filter_map(|(number, (name, span))| {
        let name =
            name.map(str::to_owned).or_else(|| group_name(entry, number).map(str::to_owned)).unwrap_or_else(|| format!("group_{number}"));
        let value = text(&found.line[span?]);
        let value: String = redact::secrets(&contract::path::plain(value.trim())).chars().take(VALUE).collect();
        (!value.is_empty()).then_some((name, value))
    });
    named.collect()
}

fn text(bytes: &[u8]) -> String {
    line::plain(&String::from_utf8_lossy(bytes)).into_owned()
}
