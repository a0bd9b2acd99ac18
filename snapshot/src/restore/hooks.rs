//! What a person wants to happen after a restore: programs in a folder, each with the records of the restore on its standard input.

use std::fs;
use std::io::{Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::Context as _;
use contract::action::{Action, KIND, Outcome};
use contract::child::{self, Ended};
use contract::output::Output;
use contract::path::{Subject, absolute, shown};
use contract::record::About;

const VERB: &str = "hook";
const PATIENCE: Duration = Duration::from_mins(5);
/// The last bytes of what a hook says.
const KEEP: usize = 2000;

/// The executables of a folder, by name.
///
/// # Errors
/// It cannot be listed.
pub(crate) fn find(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let folder = &absolute(folder)?;
    let entries = fs::read_dir(folder).with_context(|| format!("cannot list the hooks in {}", shown(folder)))?;
    let executable = |path: &PathBuf| path.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0);
    let mut hooks: Vec<PathBuf> = entries.filter_map(|entry| entry.ok().map(|entry| entry.path())).filter(executable).collect();
    hooks.sort();
    Ok(hooks)
}

/// Runs the hooks one after the other; returns whether all ended well.
///
/// # Errors
/// Their records cannot be written.
pub(crate) fn run(out: &mut Output, hooks: &[PathBuf], records: &[u8]) -> anyhow::Result<bool> {
    let mut well = true;
    for hook in hooks {
        let (outcome, text) = match one(hook, records) {
            Ok((true, said)) => (Outcome::Done, said),
            Ok((false, said)) => (Outcome::Failed, said),
            Err(e) => (Outcome::Failed, format!("{e:#}")),
        };
        well &= outcome == Outcome::Done;
        let subject = Subject::from(hook);
        let action = Action { verb: VERB.to_owned(), outcome, changed: true, text, ..Action::default() };
        out.emit(KIND, About { subject: Some(&subject), ..About::default() }, &action)?;
    }
    Ok(well)
}

fn one(hook: &Path, records: &[u8]) -> anyhow::Result<(bool, String)> {
    let mut input = tempfile::tempfile().context("cannot make a temporary file")?;
    input.write_all(records).and_then(|()| input.seek(SeekFrom::Start(0))).context("cannot write a temporary file")?;
    let finished = child::run_fed(&mut Command::new(hook), Stdio::from(input), PATIENCE, KEEP).context("cannot start it")?;
    let said = if finished.stderr.trim_ascii().is_empty() { &finished.stdout } else { &finished.stderr };
    let said = String::from_utf8_lossy(said.trim_ascii()).into_owned();
    Ok(match finished.ended {
        Ended::Exited(status) if status.success() => (true, said),
        Ended::Exited(status) => (false, format!("it ended with {status}: {said}")),
        Ended::TimedOut => (false, format!("it did not end within {} s: {said}", PATIENCE.as_secs())),
        Ended::Interrupted => (false, "interrupted".to_owned()),
    })
}
