//! The statement that failed: where it takes names from, which of them are not there, and where they are instead.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::edits::{self, Answer};
use super::statement::{self, From};
use super::survey::{self, Has, Survey};
use super::{Case, Judged, Want, library, package, project, proof};
use crate::remedies::{Declined, Plan};

/// Where a statement takes names from.
enum Place {
    Project { entry: PathBuf, path: Vec<String> },
    Library(String),
    Foreign,
}

/// An answer, or why there is none.
type Found = Result<Answer, Declined>;

/// Judges the statement, if there is one that takes the name.
pub(super) fn judged(case: &Case<'_>) -> anyhow::Result<Option<Judged>> {
    let froms = statement::froms(&case.source);
    let is_at = |from: &&From| case.asked.line().is_none_or(|line| (from.lines.0..=from.lines.1).contains(&line));
    let meant: Vec<&From> = froms.iter().filter(is_at).filter(|from| case.is_meant(from)).collect();
    match meant[..] {
        [] => Ok(None),
        [from] => case.judged_at(from).map(Some),
        _ => Judged::declined(format!("several statements take {}, and which one failed is not told", case.name)).map(Some),
    }
}

impl Case<'_> {
    /// Whether a statement takes the name that was missing, or what takes its place.
    fn is_meant(&self, from: &From) -> bool {
        let path = from.path.join(".");
        let now = self.module().and_then(|module| library::moved(module, self.name));
        from.aliases.iter().any(|alias| {
            let name = self.text(&alias.name);
            let is_bound = alias.bound.as_ref().is_some_and(|bound| self.text(bound) == self.name);
            is_bound || name.to_lowercase() == self.name.to_lowercase() || now.is_some_and(|(module, now)| module == path && now == name)
        })
    }

    fn text(&self, range: &std::ops::Range<usize>) -> &str {
        std::str::from_utf8(&self.source.text[range.clone()]).unwrap_or_default()
    }

    fn names(&self, from: &From) -> Vec<&str> {
        from.aliases.iter().map(|alias| self.text(&alias.name)).collect()
    }

    fn judged_at(&self, from: &From) -> anyhow::Result<Judged> {
        if let Some(judged) = package::judged(self, from, &self.names(from))? {
            return Ok(judged);
        }
        match self.place(from) {
            Place::Project { entry, path } => self.in_project(from, &entry, &path),
            Place::Library(module) => self.in_library(from, &module),
            Place::Foreign => Judged::declined(format!(
                "{} is neither a module of the project nor one of the standard library whose changes are known; install a version that has {}",
                self.module().map_or_else(|| from.path.join("."), str::to_owned),
                self.name
            )),
        }
    }

    fn place(&self, from: &From) -> Place {
        if let Some(entry) = project::entry(self, from)
            && let Some(path) = absolute(&entry, self.file, from)
            && project::is_module(&entry, &path)
        {
            return Place::Project { entry, path };
        }
        let module = from.path.join(".");
        if from.level == 0 && library::knows(&module) { Place::Library(module) } else { Place::Foreign }
    }

    fn in_library(&self, from: &From, module: &str) -> anyhow::Result<Judged> {
        let names = self.names(from);
        let wants: Vec<Want> = names.iter().map(|name| Want { module: module.to_owned(), name: (*name).to_owned() }).collect();
        let there = survey::library(self.judge.python(), &wants)?;
        let missing: Vec<usize> = (0..names.len()).filter(|at| !there[*at]).collect();
        if missing.is_empty() {
            return Ok(Judged::Present(project::top(self.file).to_owned(), wants));
        }
        let mut answers = Vec::new();
        for at in missing {
            match library_answer(self, module, names[at], at)? {
                Ok(answer) => answers.push(answer),
                Err(declined) => return Ok(Judged::Plan(Plan::Declined(declined))),
            }
        }
        self.answered(from, &answers)
    }

    fn in_project(&self, from: &From, entry: &Path, path: &[String]) -> anyhow::Result<Judged> {
        let names = self.names(from);
        let provider = project::file_of(entry, path);
        let files: Vec<PathBuf> = provider.iter().cloned().collect();
        let survey = survey::files(self.judge.python(), &names, &files)?.pop().unwrap_or_default();
        let wants: Vec<Want> = names.iter().map(|name| Want { module: path.join("."), name: (*name).to_owned() }).collect();
        let mut answers = Vec::new();
        for (at, want) in wants.iter().enumerate() {
            if self.has(entry, path, &survey, want)? {
                continue;
            }
            match self.answer(from, entry, provider.as_deref(), &survey, at)? {
                Ok(answer) => answers.push(answer),
                Err(declined) => return Ok(Judged::Plan(Plan::Declined(declined))),
            }
        }
        if answers.is_empty() { Ok(Judged::Present(entry.to_owned(), wants)) } else { self.answered(from, &answers) }
    }

    /// Whether a name can be taken. Where only a run would tell, the traceback is believed until there may be one.
    fn has(&self, entry: &Path, path: &[String], survey: &Survey, want: &Want) -> anyhow::Result<bool> {
        let submodule: Vec<String> = path.iter().chain([&want.name]).cloned().collect();
        match survey.has(&want.name) {
            Has::Yes => Ok(true),
            _ if project::is_module(entry, &submodule) => Ok(true),
            Has::Perhaps if self.may_run => Ok(proof::imports(self.judge.python(), entry, std::slice::from_ref(want))?.is_ok()),
            Has::Perhaps | Has::No => Ok(false),
        }
    }

    /// The one answer for a name that a module of the project has not.
    fn answer(&self, from: &From, entry: &Path, provider: Option<&Path>, survey: &Survey, at: usize) -> anyhow::Result<Found> {
        let name = self.text(&from.aliases[at].name);
        let mut files = project::mentioning(self.bounds, name)?;
        files.retain(|file| file != self.file && Some(&**file) != provider);
        let surveys = survey::files(self.judge.python(), &[name], &files)?;
        let definers: Vec<(&PathBuf, &Survey)> = files.iter().zip(&surveys).filter(|(_, survey)| survey.may_define(name)).collect();
        let alike = survey.alike(name);
        Ok(match (&alike[..], &definers[..]) {
            ([], []) => Err(refused(format!("no module of the project defines {name}"), &[])),
            ([one], []) => Ok(Answer { at, module: None, name: Some((*one).to_owned()) }),
            ([], [(file, survey)]) => self.moved(from, entry, file, survey, at),
            _ => {
                let places = definers.iter().map(|(file, _)| file.to_string_lossy().into_owned());
                let candidates: Vec<String> = alike.iter().map(|one| (*one).to_owned()).chain(places).collect();
                Err(refused(format!("{name} may be meant in more than one way: {}", candidates.join(", ")), &candidates))
            }
        })
    }

    /// A name that one other module of the project defines.
    fn moved(&self, from: &From, entry: &Path, file: &Path, survey: &Survey, at: usize) -> Found {
        let (name, place) = (self.text(&from.aliases[at].name), contract::path::shown(file));
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
        let path = project::path_of(entry, file).filter(|_| project::is_own(file, self.bounds));
        match path.and_then(|path| written(entry, self.file, from, &path)) {
            Some(module) => Ok(Answer { at, module: Some(module), name: None }),
            None => refused(format!("{place} defines {name}, and cannot be imported in the way in which this is")),
        }
    }

    fn answered(&self, from: &From, answers: &[Answer]) -> anyhow::Result<Judged> {
        let edits = match edits::of(&self.source, from, answers) {
            Ok(edits) => edits,
            Err(why) => return Judged::declined(why),
        };
        let word = |answer: &Answer| {
            let old = self.text(&from.aliases[answer.at].name);
            let new = answer.name.as_deref().map_or_else(|| old.to_owned(), |new| format!("{new} for {old}"));
            answer.module.as_deref().map_or_else(|| format!("take {new}"), |module| format!("take {new} from {module}"))
        };
        self.edited(&edits, answers.iter().map(word).collect::<Vec<_>>().join(", "))
    }
}

fn library_answer(case: &Case<'_>, module: &str, name: &str, at: usize) -> anyhow::Result<Found> {
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

fn refused(why: String, candidates: &[String]) -> Declined {
    let detail = if candidates.is_empty() { Value::Null } else { json!({ "candidates": candidates }) };
    Declined { why, detail }
}

/// The whole path of the module that a statement of a file names.
fn absolute(entry: &Path, file: &Path, from: &From) -> Option<Vec<String>> {
    if from.level == 0 {
        return Some(from.path.clone());
    }
    let mut path = project::package_of(entry, file)?;
    path.truncate(path.len().checked_sub(from.level - 1)?);
    path.extend(from.path.iter().cloned());
    Some(path).filter(|path| !path.is_empty())
}

/// How a file names a module, in the style of the statement.
fn written(entry: &Path, file: &Path, from: &From, path: &[String]) -> Option<String> {
    if from.level == 0 {
        return Some(path.join("."));
    }
    let package = project::package_of(entry, file)?;
    let common = package.iter().zip(path).take_while(|(one, other)| one == other).count();
    (common > 0).then(|| ".".repeat(package.len() - common + 1) + &path[common..].join("."))
}
