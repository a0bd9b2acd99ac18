//! What the command line of a run said, for the commands that follow it.

use contract::path::Subject;
use serde::Deserialize;

use crate::clip;
use crate::seen::for_command;
use contract::shell::quoted;

/// More paths than these are not repeated in a command.
const MOST: usize = 20;

/// Besides the snapshot.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Asked {
    paths: Vec<Subject>,
    to: Option<Subject>,
    run_hooks: Option<Subject>,
    store: Option<Subject>,
    identity: Option<Subject>,
    exact: bool,
    keep_setuid: bool,
}

impl Asked {
    pub(crate) fn at(store: Option<Subject>, identity: Option<Subject>) -> Self {
        Self { store, identity, ..Self::default() }.clipped()
    }

    pub(crate) fn clipped(self) -> Self {
        let paths = self.paths.into_iter().take(MOST + 1).map(clip::subject).collect();
        let [to, run_hooks, store, identity] = [self.to, self.run_hooks, self.store, self.identity].map(|path| path.map(clip::subject));
        Self { paths, to, run_hooks, store, identity, ..self }
    }

    /// The command line of this restore with `--force`; none where a part of it cannot be written down.
    pub(crate) fn command(&self, id: &str) -> Option<String> {
        if self.paths.len() > MOST {
            return None;
        }
        let mut words = vec![format!("snapshot restore {id}")];
        words.extend(options(&[("--to", &self.to), ("--run-hooks", &self.run_hooks)])?);
        words.extend(self.place()?);
        let flags = [(self.exact, "--exact"), (self.keep_setuid, "--keep-setuid"), (true, "--force"), (!self.paths.is_empty(), "--")];
        words.extend(flags.into_iter().filter(|(said, _)| *said).map(|(_, flag)| flag.to_owned()));
        let paths = self.paths.iter().map(word).collect::<Option<Vec<_>>>()?;
        Some([words, paths].concat().join(" "))
    }

    /// Another command on the same store, with the same keys.
    pub(crate) fn also(&self, command: String) -> Option<String> {
        Some([vec![command], self.place()?].concat().join(" "))
    }

    fn place(&self) -> Option<Vec<String>> {
        options(&[("--store", &self.store), ("--identity", &self.identity)])
    }
}

fn options(all: &[(&str, &Option<Subject>)]) -> Option<Vec<String>> {
    let said = all.iter().filter_map(|(flag, path)| Some((flag, path.as_ref()?)));
    said.map(|(flag, path)| Some(format!("{flag} {}", word(path)?))).collect()
}

/// A path that a command line may name.
fn word(path: &Subject) -> Option<String> {
    for_command(path).map(quoted)
}
