//! Files of the store: each gets its name only when it is whole.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use anyhow::Context as _;
use contract::path::shown;

/// What the name of a file ends in while it is being written. Nobody reads those, and the next run removes what a crash left of them.
pub(crate) const UNFINISHED: &str = ".unfinished";

/// Writes a new file (mode 0600) and syncs it; one of that name must not be there.
pub(crate) fn create(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let write = || {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        file.write_all(bytes)?;
        file.sync_data()
    };
    write().with_context(|| format!("cannot write {}", shown(path)))
}

/// Gives a file of the store its name; the folder is for the caller to sync.
pub(crate) fn rename(from: &Path, to: &Path) -> anyhow::Result<()> {
    rustix::fs::rename(from, to).with_context(|| format!("cannot rename {} to {}", shown(from), shown(to)))
}
