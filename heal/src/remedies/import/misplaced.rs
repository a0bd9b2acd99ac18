//! A module that is missing because the project has it in another case, or has moved it: the statement names it as it is called now.
//! Whatever could be somebody else's module is a matter of `install-module`.

use std::fs;
use std::path::{Path, PathBuf};

use contract::path::shown;

use super::edits::edit;
use super::statement::{self, From, Plain};
use super::survey::{self, Has, Survey};
use super::{Case, Judged, Want, answer, project, site};
use crate::bounds::git;
use crate::remedies::module;
use crate::syntax::edit::Edit;

/// An import at the line that failed.
struct Import<'s> {
    statement: Statement<'s>,
    /// The folder that the way to its module begins at, and the whole path of that.
    entry: PathBuf,
    path: Vec<String>,
}

#[derive(Clone, Copy)]
enum Statement<'s> {
    Names(&'s From),
    Module(&'s Plain),
}

/// Where a module is, or why that cannot be told.
type Found = Result<Vec<String>, String>;

/// Judges the import of a module that was not there.
pub(super) fn judged(case: &Case<'_>) -> anyhow::Result<Judged> {
    let Some((missing, line)) = case.module().zip(case.asked.line()) else { return Judged::declined("which import failed is not told") };
    let missing: Vec<String> = missing.split('.').map(str::to_owned).collect();
    let (froms, plains) = (statement::froms(&case.source), statement::plains(&case.source));
    let names = froms.iter().filter(|from| (from.lines.0..=from.lines.1).contains(&line)).map(Statement::Names);
    let modules = plains.iter().filter(|plain| plain.line == line).map(Statement::Module);
    let imports: Vec<Import<'_>> = names.chain(modules).flat_map(|statement| case.imports(statement, &missing)).collect();
    let (broken, other): (Vec<_>, Vec<_>) = imports.into_iter().partition(|import| import.path.starts_with(&missing));
    match (&broken[..], other.iter().find(|import| import.is_mended(&missing))) {
        ([one], _) => case.placed(one, &missing),
        ([], Some(mended)) => Ok(Judged::Present(mended.entry.clone(), mended.wants(case, &mended.path))),
        _ => Judged::declined(format!("no single import at line {line} is known to be of {}", missing.join("."))),
    }
}

impl Case<'_> {
    /// An import, from each folder that the way to the missing module is known to begin at: what lies in a package that is there is found
    /// as that is; anything else where the outermost package of the file lies, or the script.
    fn imports<'s>(&self, statement: Statement<'s>, missing: &[String]) -> Vec<Import<'s>> {
        let (level, parent) = (statement.level(), &missing[..missing.len() - 1]);
        let mut entries = if level > 0 || parent.is_empty() { vec![project::top(self.file).to_owned()] } else { project::entries(self) };
        entries.retain(|entry| parent.is_empty() || project::is_module(entry, parent));
        let path = |entry: &Path| match &statement {
            Statement::Names(from) => site::absolute(entry, self.file, from),
            Statement::Module(plain) => Some(plain.path.split('.').map(str::to_owned).collect()),
        };
        let all = entries.into_iter().filter_map(|entry| path(&entry).map(|path| (entry, path)));
        all.map(|(entry, path)| Import { statement, entry, path }).collect()
    }

    fn placed(&self, import: &Import<'_>, missing: &[String]) -> anyhow::Result<Judged> {
        let now = match respelt(&import.entry, &import.path) {
            Some(path) if path == import.path => return Judged::declined("the project has it, and the way to it is another one"),
            Some(path) => self.with_names(import, &path)?,
            None => self.moved_module(import, missing)?,
        };
        let path = match now {
            Ok(path) => path,
            Err(why) => return Judged::declined(why),
        };
        let near = self.file.parent().unwrap_or(self.bounds.root());
        for name in [missing, &path] {
            let name = name.join(".");
            if module::is_foreign(&name, self.judge.python(), near, self.bounds)? {
                return Judged::declined(format!("{name} may be meant that is not of the project"));
            }
        }
        match self.renamed(import, &path) {
            Some(edit) => self.edited(&[edit], format!("take it from {}", path.join("."))),
            None => Judged::declined(format!("import {} and what is called by that name", path.join("."))),
        }
    }

    fn taken(&self, import: &Import<'_>) -> Vec<&str> {
        match import.statement {
            Statement::Names(from) => self.names(from),
            Statement::Module(_) => Vec::new(),
        }
    }

    fn survey(&self, import: &Import<'_>, file: &Path) -> anyhow::Result<Survey> {
        Ok(survey::files(self.judge.python(), &self.taken(import), &[file.to_owned()])?.pop().unwrap_or_default())
    }

    /// A module in another case, if it may have all that is taken.
    fn with_names(&self, import: &Import<'_>, path: &[String]) -> anyhow::Result<Found> {
        let survey = project::file_of(&import.entry, path).map(|file| self.survey(import, &file)).transpose()?.unwrap_or_default();
        let submodule = |name: &str| path.iter().cloned().chain([name.to_owned()]).collect::<Vec<_>>();
        let is_none = |name: &&str| survey.has(name) == Has::No && !project::is_module(&import.entry, &submodule(name));
        let without = self.taken(import).into_iter().find(is_none);
        Ok(without.map_or_else(|| Ok(path.to_owned()), |name| Err(format!("{} has no {name}", path.join(".")))))
    }

    /// Where the one module is now that is called so.
    fn moved_module(&self, import: &Import<'_>, missing: &[String]) -> anyhow::Result<Found> {
        let (Some(name), Statement::Names(_)) = (missing.last().filter(|_| import.path == missing), &import.statement) else {
            return Ok(Err(format!("the project has no {}", missing.join("."))));
        };
        let mut files = crate::project::sources(self.bounds)?;
        files.retain(|file| file != self.file && is_called(file, name));
        let [file] = &files[..] else {
            let why = if files.is_empty() { "no module of the project is" } else { "several modules of the project are" };
            return Ok(Err(format!("{why} called {name}")));
        };
        let (place, survey) = (shown(file), self.survey(import, file)?);
        let without = self.taken(import).into_iter().find(|name| !survey.defines.iter().any(|one| one == name));
        let path = project::path_of(&import.entry, file).filter(|_| crate::project::is_own(file, self.bounds));
        Ok(match (without, path) {
            (Some(name), _) => Err(format!("{place} is not known to define {name}")),
            _ if survey.runs > 0 => Err(format!("{place} does more where it is imported: see its line {}", survey.runs)),
            _ if project::is_apart(file, self.bounds) && !project::is_apart(self.file, self.bounds) => {
                Err(format!("{place} is there to be run, or to test others"))
            }
            _ if !self.was_there(import) => Err(format!("{} was never there, as far as git knows", missing.join("."))),
            (None, Some(path)) => Ok(path),
            (None, None) => Err(format!("{place} cannot be imported in the way in which this is")),
        })
    }

    /// Whether git knows a module that is gone. Without a history the package that it was in is believed, and of a module in none, which
    /// could be anybody's, nothing is.
    fn was_there(&self, import: &Import<'_>) -> bool {
        let says = |words: &[&str], path: &Path| git(&import.entry, words, path).ok().flatten().is_some_and(|said| !said.is_empty());
        let place = import.entry.join(import.path.iter().collect::<PathBuf>());
        let places = [place.with_extension("py"), place.join("__init__.py")];
        let has_history = says(&["ls-files", "--"], self.file);
        if has_history { places.iter().any(|place| says(&["log", "-1", "--format=%h", "--"], place)) } else { import.path.len() > 1 }
    }

    /// The edit that names another module and binds what was bound before; none where what it binds has the old name in it.
    fn renamed(&self, import: &Import<'_>, path: &[String]) -> Option<Edit> {
        let (span, text) = match import.statement {
            Statement::Names(from) => (&from.module, answer::written(&import.entry, self.file, from, path)?),
            Statement::Module(plain) if plain.is_bound => (&plain.span, path.join(".")),
            Statement::Module(plain) if path.len() == 1 => (&plain.span, format!("{} as {}", path[0], plain.path)),
            Statement::Module(_) => return None,
        };
        Some(edit(&self.source, span.start, span.end, text))
    }
}

impl Import<'_> {
    /// Whether it names a module that is there, and could be the missing one.
    fn is_mended(&self, missing: &[String]) -> bool {
        let lower = |path: &[String]| path.iter().map(|part| part.to_lowercase()).collect::<Vec<_>>();
        let is_alike = lower(&self.path).starts_with(&lower(missing)) || self.path.last() == missing.last();
        is_alike && respelt(&self.entry, &self.path).as_ref() == Some(&self.path)
    }

    fn wants(&self, case: &Case<'_>, path: &[String]) -> Vec<Want> {
        let want = |name: &str| Want { module: path.join("."), name: name.to_owned() };
        match self.statement {
            Statement::Names(_) => case.taken(self).into_iter().map(want).collect(),
            Statement::Module(_) => vec![want("")],
        }
    }
}

impl Statement<'_> {
    fn level(&self) -> usize {
        match self {
            Statement::Names(from) => from.level,
            Statement::Module(_) => 0,
        }
    }
}

fn is_called(file: &Path, name: &str) -> bool {
    let module = if file.ends_with("__init__.py") { file.parent() } else { Some(file) };
    module.and_then(Path::file_stem).is_some_and(|stem| stem == name)
}

/// A module's path as its files are called, if it is that but for the case of letters. A file system may take one case for the other,
/// which Python does not.
fn respelt(entry: &Path, path: &[String]) -> Option<Vec<String>> {
    let (mut folder, mut respelt) = (entry.to_owned(), Vec::new());
    for part in path {
        let names = modules_in(&folder);
        let mut alike = names.iter().filter(|name| name.to_lowercase() == part.to_lowercase() && file_in(&folder, name));
        let name = if names.contains(part) { part } else { alike.next().filter(|_| alike.next().is_none())? };
        respelt.push(name.clone());
        folder.push(name);
    }
    Some(respelt)
}

fn file_in(folder: &Path, name: &str) -> bool {
    project::file_of(folder, &[name.to_owned()]).is_some()
}

/// What can be imported from a folder, each once.
fn modules_in(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let modules = entries.filter(|path| path.is_dir() || path.extension().is_some_and(|end| end == "py"));
    let mut names: Vec<String> = modules.filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned())).collect();
    names.sort();
    names.dedup();
    names
}
