//! Where a name is that is not where it is taken from: one answer, or why there is none.

use std::path::{Path, PathBuf};

use contract::path::shown;
use serde_json::{Value, json};

use super::edits::Answer;
use super::statement::From;
use super::survey::{self, Survey};
use super::{Case, Want, library, project};
use crate::bounds::git;
use crate::remedies::Declined;

/// An answer, or why there is none.
type Found = Result<Answer, Declined>;

impl Case<'_> {
    /// The one answer for a name that a module of the project has not.
    pub(super) fn answer(&self, from: &From, entry: &Path, provider: Option<&Path>, survey: &Survey, at: usize) -> anyhow::Result<Found> {
        let name = self.text(&from.aliases[at].name);
        let mut files = project::mentioning(self.bounds, name)?;
        files.retain(|file| file != self.file && Some(&**file) != provider);
        let surveys = survey::files(self.judge.python(), &[name], &files)?;
        let definers: Vec<(&PathBuf, &Survey)> = files.iter().zip(&surveys).filter(|(_, survey)| survey.may_define(name)).collect();
        let alike = survey.alike(name);
        Ok(match (&alike[..], &definers[..]) {
            ([], []) => Err(refused(format!("no module of the project defines {name}"), &[])),
            ([one], []) if kind(one) != kind(name) => {
                Err(refused(format!("{one} is spelt as another kind of thing than {name}"), &[(*one).to_owned()]))
            }
            ([one], []) => Ok(Answer { at, module: None, name: Some((*one).to_owned()) }),
            ([], [(file, survey)]) => match provider.map(|provider| (provider, past(provider, name))) {
                Some((_, Past::Without)) => {
                    Err(refused(format!("{} defines {name}, which was never in the module that it is taken from", shown(file)), &[]))
                }
                Some((provider, Past::Unknown)) if !are_together(entry, provider, file) => {
                    self.moved(from, entry, file, survey, at).and_then(|_| Err(unlikely(file, name)))
                }
                _ => self.moved(from, entry, file, survey, at),
            },
            _ => {
                let places = definers.iter().map(|(file, _)| file.to_string_lossy().into_owned());
                let candidates: Vec<String> = alike.iter().map(|one| (*one).to_owned()).chain(places).collect();
                Err(refused(format!("{name} may be meant in more than one way: {}", candidates.join(", ")), &candidates))
            }
        })
    }

    /// A name that one other module of the project defines.
    fn moved(&self, from: &From, entry: &Path, file: &Path, survey: &Survey, at: usize) -> Found {
        let (name, place) = (self.text(&from.aliases[at].name), shown(file));
        let refused = |why: String| Err(refused(why, &[file.to_string_lossy().into_owned()]));
        if !survey.defines.iter().any(|one| one == name) {
            return refused(match &survey.error {
                Some(error) => format!("{place} mentions {name}, and does not compile: {error}"),
                None => format!("{place} defines {name} under a condition only"),
            });
        }
        if survey.runs > 0 {
            return refused(format!("{place} defines {name}, and does more where it is imported: see its line {}", survey.runs));
        }
        if project::is_apart(file, self.bounds) && !project::is_apart(self.file, self.bounds) {
            return refused(format!("only {place} defines {name}, which is there to be run, or to test others"));
        }
        let path = project::path_of(entry, file).filter(|_| crate::project::is_own(file, self.bounds));
        match path.and_then(|path| written(entry, self.file, from, &path)) {
            Some(module) => Ok(Answer { at, module: Some(module), name: None }),
            None => refused(format!("{place} defines {name}, and cannot be imported in the way in which this is")),
        }
    }
}

/// The one answer for a name that a module of the standard library has not.
pub(super) fn in_library(case: &Case<'_>, module: &str, name: &str, at: usize) -> anyhow::Result<Found> {
    let Some((to, now)) = library::moved(module, name) else {
        let advice = library::advice(module, name).map(|advice| format!("; {advice}")).unwrap_or_default();
        return Ok(Err(refused(format!("{module} of this Python has no {name}{advice}"), &[])));
    };
    let want = Want { module: to.to_owned(), name: now.to_owned() };
    if survey::library(case.judge.python(), &[want])? != [true] {
        return Ok(Err(refused(format!("this Python has {name} neither in {module} nor in {to}"), &[])));
    }
    let differs = |now: &str, old: &str| (now != old).then(|| now.to_owned());
    Ok(Ok(Answer { at, module: differs(to, module), name: differs(now, name) }))
}

/// What the history of a module tells of a name.
enum Past {
    With,
    Without,
    /// There is no history.
    Unknown,
}

fn past(module: &Path, name: &str) -> Past {
    let has_commit = |words: &[&str]| {
        let commits = module.parent().and_then(|folder| git(folder, words, module).ok().flatten());
        commits.map(|commits| !commits.is_empty())
    };
    match has_commit(&["log", "-1", "--format=%h", "--"]) {
        Some(true) => match has_commit(&["log", "-1", "--format=%h", "--no-textconv", "-S", name, "--"]) {
            Some(false) => Past::Without,
            _ => Past::With,
        },
        _ => Past::Unknown,
    }
}

fn unlikely(file: &Path, name: &str) -> Declined {
    let why = format!("{} defines {name}, and without a history nothing tells that it is the same", shown(file));
    refused(why, &[file.to_string_lossy().into_owned()])
}

/// Whether two modules are of one package, or lie side by side where they are of none.
fn are_together(entry: &Path, one: &Path, other: &Path) -> bool {
    let package = |file: &Path| project::path_of(entry, file).filter(|path| path.len() > 1).map(|path| path[0].clone());
    match (package(one), package(other)) {
        (Some(one), Some(other)) => one == other,
        (None, None) => one.parent() == other.parent(),
        _ => false,
    }
}

/// A class, a function and a constant that are spelt alike are three things (PEP 8, Naming Conventions).
fn kind(name: &str) -> (bool, bool) {
    (name.starts_with(char::is_uppercase), name.contains(char::is_lowercase))
}

fn refused(why: String, candidates: &[String]) -> Declined {
    let detail = if candidates.is_empty() { Value::Null } else { json!({ "candidates": candidates }) };
    Declined { why, detail }
}

/// How a file names a module, in the style of the statement.
pub(super) fn written(entry: &Path, file: &Path, from: &From, path: &[String]) -> Option<String> {
    if from.level == 0 {
        return Some(path.join("."));
    }
    let package = project::package_of(entry, file)?;
    let common = package.iter().zip(path).take_while(|(one, other)| one == other).count();
    (common > 0).then(|| ".".repeat(package.len() - common + 1) + &path[common..].join("."))
}
