//! `create-path`: a folder that is missing, a file from the template beside it, or an empty one where that is all that its reader wants.

use std::fs;
use std::path::{Path, PathBuf};

use contract::path::shown;
use contract::secret::is_secret;
use serde_json::json;

use super::{Change, Plan, Step, declined, source_line};
use crate::asked::Asked;
use crate::bounds::Bounds;

/// What is put behind the name of a file to make that of its template.
const TEMPLATES: [&str; 4] = ["example", "sample", "dist", "template"];

/// What whoever failed wanted with the path.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Folder,
    /// To make a file, or a folder, there.
    ToMake,
    /// To read it.
    ToRead,
    /// That is all that is known.
    File,
}

pub(super) fn plan(asked: &Asked, bounds: &Bounds) -> anyhow::Result<Plan> {
    let Some(path) = asked.path("path") else { return declined("which path is missing is not told") };
    let ends_as_folder = asked.text("path").is_some_and(|text| text.ends_with('/'));
    let path = bounds.place(&path)?;
    if path.symlink_metadata().is_ok() {
        return Ok(Plan::Passes);
    }
    let wanted = if ends_as_folder { Wanted::Folder } else { wanted(asked, bounds) };
    let parent = path.parent().unwrap_or(bounds.root());
    match wanted {
        Wanted::Folder => Ok(folder(&path, &path)),
        Wanted::ToMake if parent.is_dir() => Ok(Plan::Passes),
        Wanted::ToMake => Ok(folder(&path, parent)),
        Wanted::ToRead | Wanted::File => file(&path, parent, wanted == Wanted::ToRead),
    }
}

fn folder(target: &Path, folder: &Path) -> Plan {
    let (words, detail) = (format!("make the folder {}", shown(folder)), json!({ "folder": folder.to_string_lossy() }));
    Plan::Change(Change { target: target.to_owned(), words, detail, steps: vec![Step::Folder(folder.to_owned())], check: None })
}

fn file(path: &Path, parent: &Path, is_read: bool) -> anyhow::Result<Plan> {
    if is_secret(path) {
        return declined("its name says that it is a secret, which nobody can make up");
    }
    if let Some(template) = template(path) {
        let text = fs::read(&template)?;
        let words = format!("copy its template {}", shown(&template));
        let detail = json!({ "template": template.to_string_lossy() });
        let write = Step::Write { file: path.to_owned(), before: None, text };
        return Ok(Plan::Change(Change { target: path.to_owned(), words, detail, steps: vec![write], check: None }));
    }
    if is_read || !may_be_empty(path, parent) {
        return declined("it has no template beside it, and an empty stand-in would only hide that it is missing");
    }
    let make_folder = (!parent.is_dir()).then(|| Step::Folder(parent.to_owned()));
    let write = Step::Write { file: path.to_owned(), before: None, text: Vec::new() };
    let words = "make it, empty".to_owned();
    Ok(Plan::Change(Change {
        target: path.to_owned(),
        words,
        detail: json!({ "empty": true }),
        steps: make_folder.into_iter().chain([write]).collect(),
        check: None,
    }))
}

fn template(path: &Path) -> Option<PathBuf> {
    let name = path.file_name()?.to_str()?;
    let mut all = TEMPLATES.iter().map(|end| path.with_file_name(format!("{name}.{end}")));
    all.find(|template| template.symlink_metadata().is_ok_and(|meta| meta.is_file()))
}

/// Whether those who read such a file are content with nothing in it.
fn may_be_empty(path: &Path, parent: &Path) -> bool {
    // A folder that was not there would hide a module of that name.
    let has_sources = |folder: &Path| {
        fs::read_dir(folder).is_ok_and(|all| all.flatten().any(|entry| entry.path().extension().is_some_and(|end| end == "py")))
    };
    let is_package = path.file_name().is_some_and(|name| name == "__init__.py") && has_sources(parent);
    is_package || path.extension().is_some_and(|end| end == "log" || end == "pid")
}

/// What was wanted, from the name of the system call, or from the line of the project that the traceback ends in.
fn wanted(asked: &Asked, bounds: &Bounds) -> Wanted {
    match asked.text("operation") {
        Some("scandir" | "opendir" | "readdir" | "chdir" | "watch") => return Wanted::Folder,
        Some("mkdir" | "rename" | "copyfile" | "symlink") => return Wanted::ToMake,
        _ => {}
    }
    let Some(line) = source_line(asked, bounds) else { return Wanted::File };
    let calls = |names: &[&str]| names.iter().any(|name| line.contains(&format!("{name}(")));
    if calls(&["listdir", "scandir", "chdir", "iterdir"]) {
        Wanted::Folder
    } else if calls(&["mkdir", "write_text", "write_bytes", "touch", "FileHandler"]) || opens_to_write(&line) {
        Wanted::ToMake
    } else if calls(&["open", "read_text", "read_bytes", "read", "readlines"]) {
        Wanted::ToRead
    } else {
        Wanted::File
    }
}

/// Whether a line opens a file in one of the modes that make it.
fn opens_to_write(line: &str) -> bool {
    let modes = ["w", "a", "x", "wb", "ab", "xb", "w+", "a+", "wt", "at", "w+b", "wb+", "ab+", "a+b"];
    let quoted = |mode: &str| [format!("\"{mode}\""), format!("'{mode}'")];
    line.contains("open(") && modes.iter().flat_map(|mode| quoted(mode)).any(|mode| line.contains(&mode))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_that_make_a_file_are_told_from_those_that_read_it() {
        for line in ["with open(path, 'w') as f:", "open(p, mode=\"a\")", "Path(x).open('wb')"] {
            assert!(opens_to_write(line), "{line}");
        }
        for line in ["open(path)", "open(path, 'r')", "open('w.txt')", "print('w')"] {
            assert!(!opens_to_write(line), "{line}");
        }
    }
}
