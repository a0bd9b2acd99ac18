//! What was before, in a snapshot: everything that a remedy touches is kept by `snapshot`, and comes back through it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use contract::action::{Action, KIND, Outcome};
use contract::path::Subject;
use contract::sibling;

/// An environment can have gigabytes.
const PATIENCE: Duration = Duration::from_mins(30);

/// Where `snapshot` keeps things.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    /// The state folder of this run.
    pub(crate) state: PathBuf,
    /// None for the store in it.
    pub(crate) folder: Option<PathBuf>,
}

impl Store {
    /// Keeps all that is at some paths, or that nothing is there; returns the id that brings it back.
    ///
    /// # Errors
    /// Not everything could be kept.
    pub(crate) fn keep(&self, paths: &[PathBuf]) -> anyhow::Result<Subject> {
        let mut words = self.words("create");
        words.extend(["--description", "before heal", "--label", "auto-before-heal", "--absent", "--rehash"].map(OsString::from));
        words.extend(paths.iter().map(|path| path.clone().into_os_string()));
        let answer = sibling::ask("snapshot", &words, PATIENCE)?;
        let kept = answer.records.iter().find(|record| record.is("snapshot")).and_then(|record| record.subject.clone());
        kept.filter(|_| answer.whole).context("snapshot did not keep it whole")
    }

    /// Brings everything back as it was.
    ///
    /// # Errors
    /// It is not back: the snapshot has it.
    pub(crate) fn put_back(&self, snapshot: &Subject) -> anyhow::Result<()> {
        let mut words = self.words("restore");
        words.extend([snapshot.as_path().as_os_str().to_owned(), "--exact".into(), "--force".into()]);
        let answer = sibling::ask("snapshot", &words, PATIENCE)?;
        let actions = answer.records.iter().filter(|record| record.is(KIND));
        let actions: Vec<(Option<&Subject>, Action)> =
            actions.map(|record| Ok((record.subject.as_ref(), record.read()?))).collect::<anyhow::Result<_>>()?;
        // Those before it may be of a restore that was interrupted, and is taken back first.
        let whole = actions.iter().rfind(|(subject, _)| *subject == Some(snapshot));
        let is_left = |action: &Action| matches!(action.outcome, Outcome::Skipped | Outcome::Failed);
        let is_back =
            answer.whole && whole.is_none_or(|(_, action)| action.outcome == Outcome::Done) && !actions.iter().any(|(_, one)| is_left(one));
        anyhow::ensure!(is_back, "snapshot could not bring it back; `snapshot restore {snapshot} --exact` says why");
        Ok(())
    }

    fn words(&self, command: &str) -> Vec<OsString> {
        let mut words: Vec<OsString> = vec![command.into(), "--state-dir".into(), self.state.clone().into()];
        let folder = |folder: &Path| [OsString::from("--store"), folder.to_owned().into()];
        words.extend(self.folder.as_deref().map(folder).into_iter().flatten());
        words
    }
}
