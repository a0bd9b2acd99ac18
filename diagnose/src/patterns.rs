//! `patterns`: what the catalogue has, what is wrong with a user's list, and what it would match.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use contract::output::Output;
use contract::path::shown;
use contract::run::Exit;

use crate::arguments::{Act, Patterns};
use crate::catalogue::{Catalogue, Complaint, Entry};
use crate::search::feed;

const SLOW: &str = "it has no literal of three bytes to look for, which makes every search slow";

/// Answers a person in words.
///
/// # Errors
/// A file cannot be read, or there is no such entry.
pub(crate) fn run(out: &mut Output, act: Act) -> anyhow::Result<Exit> {
    match act {
        Act::List { patterns } => list(out, &load(out, &patterns)?),
        Act::Show { name, patterns } => show(out, &load(out, &patterns)?, &name),
        Act::Lint { files } => lint(out, files),
        Act::Test { patterns, logs } => test(out, &load(out, &patterns)?, &logs),
    }
}

fn load(out: &Output, patterns: &Patterns) -> anyhow::Result<Catalogue> {
    let (catalogue, complaints) = Catalogue::load(&patterns.patterns, patterns.no_builtin)?;
    for complaint in &complaints {
        out.hint(&complaint.to_string());
    }
    for entry in catalogue.slow() {
        out.hint(&format!("{}: {SLOW}", entry.code));
    }
    Ok(catalogue)
}

fn list(out: &mut Output, catalogue: &Catalogue) -> anyhow::Result<Exit> {
    let width = catalogue.entries().iter().map(|entry| entry.code.len()).max().unwrap_or(0);
    let line = |entry: &Entry| {
        let (class, remedy) = (entry.class.as_deref().unwrap_or("-"), entry.remedy.as_deref().unwrap_or("-"));
        format!("{:8} {:width$}  {class:26}  {remedy}\n", format!("{:?}", entry.level).to_lowercase(), entry.code)
    };
    out.prose(&catalogue.entries().iter().map(line).collect::<Vec<_>>().concat())?;
    Ok(Exit::Done)
}

fn show(out: &mut Output, catalogue: &Catalogue, name: &str) -> anyhow::Result<Exit> {
    let is_it = |entry: &&Entry| entry.code == name || entry.seed.as_deref() == Some(name);
    let entry =
        catalogue.entries().iter().find(is_it).with_context(|| format!("there is no entry {name}; `diagnose patterns list` has all"))?;
    let mut text = format!("{}\n  {}\n", entry.code, entry.text);
    let optional = [("class", &entry.class), ("remedy", &entry.remedy), ("by hand", &entry.manual), ("also called", &entry.seed)];
    for (name, value) in optional {
        text.extend(value.as_ref().map(|value| format!("  {name}: {value}\n")));
    }
    text.push_str("  patterns:\n");
    text.extend(entry.patterns.iter().map(|pattern| format!("    {pattern}\n")));
    out.prose(&text)?;
    Ok(Exit::Done)
}

fn lint(out: &mut Output, files: Vec<PathBuf>) -> anyhow::Result<Exit> {
    let files = if files.is_empty() { vec![PathBuf::from("config/autoheal_patterns.json")] } else { files };
    let (catalogue, complaints) = Catalogue::load(&files, true)?;
    let mut lines: Vec<String> = complaints.iter().map(Complaint::to_string).collect();
    lines.extend(catalogue.slow().map(|entry| format!("{}: {SLOW}", entry.code)));
    let used = catalogue.entries().iter().filter(|entry| complaints.iter().all(|complaint| complaint.entry != entry.code)).count();
    lines.push(format!("{used} entries can be used, {} cannot", complaints.len()));
    out.prose(&(lines.join("\n") + "\n"))?;
    Ok(if complaints.is_empty() { Exit::Done } else { Exit::Bad })
}

fn test(out: &mut Output, catalogue: &Catalogue, logs: &[PathBuf]) -> anyhow::Result<Exit> {
    let mut counts = vec![0_u64; catalogue.entries().len()];
    for log in logs {
        count(catalogue, log, &mut counts).with_context(|| format!("cannot search {}", shown(log)))?;
    }
    let lines = catalogue.entries().iter().zip(&counts).map(|(entry, count)| format!("{count:>9}  {}\n", entry.code));
    out.prose(&format!("{}{:>9}  in all\n", lines.collect::<String>(), counts.iter().sum::<u64>()))?;
    Ok(Exit::Done)
}

fn count(catalogue: &Catalogue, log: &Path, counts: &mut [u64]) -> anyhow::Result<()> {
    let (reader, fitted): (Box<dyn Read + Send>, _) = if log.as_os_str() == "-" {
        (Box::new(io::stdin()), None)
    } else {
        let file = File::open(log)?;
        let fitted = feed::fitted(&catalogue.search, &file)?;
        (Box::new(file), fitted)
    };
    feed::search(fitted.as_ref().unwrap_or(&catalogue.search), reader, &BTreeSet::new(), &mut |found| {
        counts[catalogue.entry(found.pattern)] += 1;
        Ok(())
    })
    .map(drop)
}
