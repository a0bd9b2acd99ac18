//! The modules of the project: where the way to them begins, and which file is which.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use contract::path::shown;

use super::Case;
use super::statement::From;
use crate::bounds::Bounds;
use crate::project;

/// As much is looked at in search of a definition.
const MOST_BYTES: u64 = 256 << 20;
/// As many files may mention a name.
const MOST_MENTIONS: usize = 400;

/// Whether a file is there to be run, or to test others, so that nothing else takes names from it.
pub(super) fn is_apart(file: &Path, bounds: &Bounds) -> bool {
    let below = file.strip_prefix(bounds.root()).unwrap_or(file);
    let apart = ["test", "tests", "conftest", "examples", "example", "demo", "demos", "vendor", "legacy", "archive", "deprecated"];
    let is_old = |name: &str| name.split('_').any(|part| ["old", "backup", "bak", "copy", "orig"].contains(&part));
    let is_test = |name: &str| apart.contains(&name) || is_old(name) || name.starts_with("test_") || name.ends_with("_test");
    below.with_extension("").iter().any(|name| is_test(&name.to_string_lossy()))
        || file.file_name().is_some_and(|name| name == "__main__.py" || name == "setup.py")
}

/// The file of a module, as it is found from a folder: a package goes before a module of its name.
pub(super) fn file_of(entry: &Path, path: &[String]) -> Option<PathBuf> {
    let place: PathBuf = entry.join(path.iter().collect::<PathBuf>());
    [place.join("__init__.py"), place.with_extension("py")].into_iter().find(|file| file.is_file())
}

/// Whether there is a module, be it one without a file.
pub(super) fn is_module(entry: &Path, path: &[String]) -> bool {
    !path.is_empty() && (file_of(entry, path).is_some() || entry.join(path.iter().collect::<PathBuf>()).is_dir())
}

/// What a file is called as a module, as seen from a folder.
pub(super) fn path_of(entry: &Path, file: &Path) -> Option<Vec<String>> {
    let below = file.strip_prefix(entry).ok()?.with_extension("");
    let mut path: Vec<String> = below.iter().map(|name| name.to_str().map(str::to_owned)).collect::<Option<_>>()?;
    path.pop_if(|last| last == "__init__");
    let is_name = |name: &String| !name.starts_with(|c: char| c.is_ascii_digit()) && name.chars().all(|c| c.is_alphanumeric() || c == '_');
    (!path.is_empty() && path.iter().all(is_name) && file_of(entry, &path).as_deref() == Some(file)).then_some(path)
}

/// The package that a file is in.
pub(super) fn package_of(entry: &Path, file: &Path) -> Option<Vec<String>> {
    let below = file.parent()?.strip_prefix(entry).ok()?;
    below.iter().map(|name| name.to_str().map(str::to_owned)).collect()
}

/// The folder that the outermost package of a file lies in.
pub(super) fn top(file: &Path) -> &Path {
    let folders = file.ancestors().skip(1);
    folders.into_iter().find(|folder| !folder.join("__init__.py").exists()).unwrap_or(file)
}

/// The folders that the way to modules may begin at, nearest first.
pub(super) fn entries(case: &Case<'_>) -> Vec<PathBuf> {
    let folders = case.file.ancestors().skip(1).take_while(|folder| folder.starts_with(case.bounds.root()));
    let mut all: Vec<PathBuf> = Vec::new();
    for folder in folders.flat_map(|folder| [folder.to_owned(), folder.join("src")]) {
        if folder.is_dir() && !all.contains(&folder) {
            all.push(folder);
        }
    }
    all
}

/// The file of the module that was asked for, as the message tells it.
pub(super) fn provider(case: &Case<'_>) -> Option<PathBuf> {
    case.bounds.place(&case.asked.path("provider")?).ok()
}

/// The folder that the way to the modules of the project begins at, if the module that was asked for is one of them.
pub(super) fn entry(case: &Case<'_>, from: &From) -> Option<PathBuf> {
    let split = |module: &str| module.split('.').map(str::to_owned).collect::<Vec<_>>();
    if case.asked.text("provider").is_some() {
        let provider = provider(case).filter(|provider| project::is_own(provider, case.bounds))?;
        return provider.ancestors().skip(1).find(|entry| path_of(entry, &provider) == case.module().map(split)).map(Path::to_owned);
    }
    let path = match case.module() {
        Some(module) => split(module),
        None if from.level > 0 => return Some(top(case.file).to_owned()),
        None => from.path.clone(),
    };
    let mut all = entries(case);
    all.retain(|entry| is_module(entry, &path));
    all.pop().filter(|_| all.is_empty())
}

/// The files of the project that have a name in them.
///
/// # Errors
/// There are too many files to look at.
pub(super) fn mentioning(bounds: &Bounds, name: &str) -> anyhow::Result<Vec<PathBuf>> {
    let (mut found, mut bytes) = (Vec::new(), 0);
    for path in project::sources(bounds)? {
        let text = fs::read(&path).with_context(|| format!("cannot read {}", shown(&path)))?;
        bytes += text.len() as u64;
        ensure!(bytes <= MOST_BYTES, "the project has too many sources to look for {name} in all of them");
        found.extend(has_word(&text, name).then_some(path));
    }
    ensure!(found.len() <= MOST_MENTIONS, "too many sources mention {name}");
    Ok(found)
}

fn has_word(text: &[u8], word: &str) -> bool {
    let is_part = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_' || *byte >= 128);
    memchr::memmem::find_iter(text, word)
        .any(|at| !is_part(at.checked_sub(1).and_then(|before| text.get(before))) && !is_part(text.get(at + word.len())))
}
