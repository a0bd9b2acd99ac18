//! The proof: the interpreter really imports what a statement takes. The program itself is not run.

use std::path::Path;

use contract::child::Ended;

use super::Want;
use crate::python;

/// What comes last where all was there; a module that ends the process does not say it.
const MARK: &str = "mendline-all-imported";

/// Whether the names can be imported where a folder is the first on the way to modules; else why not.
///
/// # Errors
/// The interpreter cannot be started, or does not end.
pub(super) fn imports(python: &Path, folder: &Path, wants: &[Want]) -> anyhow::Result<Result<(), String>> {
    let words: Vec<String> = std::iter::once(MARK.to_owned()).chain(wants.iter().map(Want::to_string)).collect();
    let finished = python::ask(python, folder, include_str!("prove.py"), &words)?;
    let (stdout, stderr) = (String::from_utf8_lossy(&finished.stdout), String::from_utf8_lossy(&finished.stderr));
    match finished.ended {
        Ended::Exited(status) if status.success() && stdout.lines().any(|line| line == MARK) => Ok(Ok(())),
        Ended::Exited(_) => {
            let last = stderr.lines().map(str::trim).rfind(|line| !line.is_empty());
            Ok(Err(last.unwrap_or("importing it ends the program").chars().take(300).collect()))
        }
        Ended::TimedOut => Ok(Err("importing it takes too long".to_owned())),
        Ended::Interrupted => anyhow::bail!("interrupted"),
    }
}
