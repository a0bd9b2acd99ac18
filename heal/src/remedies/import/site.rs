//! The statement that failed: where it takes names from, which of them are not there, and where they are instead.

use std::path::{Path, PathBuf};

use super::edits::{self, Answer};
use super::statement::{self, From};
use super::survey::{self, Has, Survey};
use super::{Case, Judged, Want, answer, library, package, project, proof};
use crate::remedies::Plan;

/// Where a statement takes names from.
enum Place {
    Project { entry: PathBuf, path: Vec<String> },
    Library(String),
    Foreign,
}

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

    pub(super) fn text(&self, range: &std::ops::Range<usize>) -> &str {
        std::str::from_utf8(&self.source.text[range.clone()]).unwrap_or_default()
    }

    pub(super) fn names(&self, from: &From) -> Vec<&str> {
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
        let module = from.path.join(".");
        // Of those that are built in no file is told, and none goes before them.
        let is_library = from.level == 0 && library::knows(&module);
        if !(is_library && self.asked.text("provider").is_none())
            && let Some(entry) = project::entry(self, from)
            && let Some(path) = absolute(&entry, self.file, from)
            && project::is_module(&entry, &path)
        {
            return Place::Project { entry, path };
        }
        if is_library { Place::Library(module) } else { Place::Foreign }
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
            match answer::in_library(self, module, names[at], at)? {
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

/// The whole path of the module that a statement of a file names.
pub(super) fn absolute(entry: &Path, file: &Path, from: &From) -> Option<Vec<String>> {
    if from.level == 0 {
        return Some(from.path.clone());
    }
    let mut path = project::package_of(entry, file)?;
    path.truncate(path.len().checked_sub(from.level - 1)?);
    path.extend(from.path.iter().cloned());
    Some(path).filter(|path| !path.is_empty())
}
