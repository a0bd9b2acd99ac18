//! `fix-import`: a name that is not where a source takes it from, where the project itself, or the table of what moved in the standard library,
//! has exactly one answer. The interpreter that is to run the source proves it by importing what is taken.

mod answer;
mod attribute;
mod edits;
mod library;
mod misplaced;
mod package;
mod project;
mod proof;
mod site;
mod statement;
mod survey;

#[cfg(test)]
mod tests;

use std::fmt;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::{Change, Plan, declined, is_installed, text_of};
use crate::arguments::Mend;
use crate::asked::Asked;
use crate::bounds::Bounds;
use crate::python;
use crate::syntax::edit::{self, Edit};
use crate::syntax::encoding::{self, Encoding};
use crate::syntax::tokens::Source;
use crate::syntax::{self, Judge};

/// A name that must be there to be taken from a module; without a name, the module.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Want {
    module: String,
    name: String,
}

impl fmt::Display for Want {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.module, self.name)
    }
}

/// What is known of the import that failed.
struct Case<'c> {
    asked: &'c Asked,
    bounds: &'c Bounds,
    /// Whether things of the project may be run.
    may_run: bool,
    /// The name that was missing; where none was taken, the module.
    name: &'c str,
    file: &'c Path,
    source: Source<'c>,
    judge: &'c Judge,
}

/// What a look at it shows, without a run of anything of the project.
enum Judged {
    /// All seems to be there, seen from a folder.
    Present(PathBuf, Vec<Want>),
    Plan(Plan),
}

/// Judges the import that failed.
pub(super) fn plan(asked: &Asked, bounds: &Bounds, options: &Mend) -> anyhow::Result<Plan> {
    let Some(name) = asked.text("name").or_else(|| asked.text("module")) else { return declined("which name is missing is not told") };
    if asked.text("state").is_some() {
        return declined("two modules import each other: move what both need to a third one, or import where it is used");
    }
    let (file, text) = match text_of(asked, bounds)? {
        Ok(found) => found,
        Err(plan) => return Ok(plan),
    };
    if is_installed(&file) {
        return declined("it is part of an installed package: install a version of it that fits");
    }
    if encoding::of(&text) != Ok(Encoding::Utf8) {
        return declined("it is not in UTF-8");
    }
    let judge = syntax::judge(&python::interpreter(options.python.as_deref(), &file, bounds)?)?;
    if judge.version < (3, 0) {
        return declined("Python 2 is not mended");
    }
    if !syntax::compiles(&text, &judge)? {
        return declined("it does not compile, which is to be mended first");
    }
    let source = Source::read(&text, Encoding::Utf8, judge.version >= (3, 12));
    let case = Case { asked, bounds, may_run: options.force, name, file: &file, source, judge: &judge };
    match case.judged()? {
        Judged::Plan(plan) => Ok(plan),
        Judged::Present(..) if !case.may_run => Ok(Plan::Passes),
        Judged::Present(folder, wants) => match proof::imports(judge.python(), &folder, &wants)? {
            Ok(()) => Ok(Plan::Passes),
            Err(why) => declined(format!("the name seems to be there, and importing it fails: {why}")),
        },
    }
}

impl Case<'_> {
    fn judged(&self) -> anyhow::Result<Judged> {
        if self.asked.text("name").is_none() {
            return misplaced::judged(self);
        }
        if let Some(judged) = site::judged(self)? {
            return Ok(judged);
        }
        if let Some(judged) = attribute::judged(self)? {
            return Ok(judged);
        }
        let place = self.asked.line().map_or_else(|| "nothing in it".to_owned(), |line| format!("nothing at line {line}"));
        Judged::declined(match self.module().and_then(|module| Some((module, library::advice(module, self.name)?))) {
            Some((module, advice)) => format!("{module} of this Python has no {}; {advice}", self.name),
            None => format!("{place} takes {} from a module by an import that can be followed", self.name),
        })
    }

    /// The module that was asked for, as the message tells it.
    fn module(&self) -> Option<&str> {
        self.asked.text("module")
    }

    /// The change that edits make, if the interpreter takes what comes of them.
    fn edited(&self, edits: &[Edit], words: String) -> anyhow::Result<Judged> {
        let before = self.source.text.to_vec();
        let text = edit::apply(&before, edits);
        if !edit::are_apart(edits, before.len()) || !syntax::compiles(&text, self.judge)? {
            return Judged::declined("the statement is written in a way that cannot be edited");
        }
        let detail = json!({ "count": edits.len(), "edits": edits });
        Ok(Judged::Plan(Plan::Change(Change::of_text(self.file.to_owned(), before, text, words, detail))))
    }
}

impl Judged {
    fn declined(why: impl Into<String>) -> anyhow::Result<Self> {
        declined(why).map(Self::Plan)
    }
}
