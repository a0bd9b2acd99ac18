//! Faults of what is installed: pip, distributions on disk, their dependencies, and drift from what the project asks for.

use contract::venv::Repair;

use super::{BROKEN, DEGRADED, Entry, UNKNOWN};

pub(crate) const ALL: &[&Entry] = &[
    &PIP_MISSING,
    &PIP_MODULE_MISSING,
    &PIP_PARTIAL,
    &METADATA_MISSING,
    &METADATA_UNREADABLE,
    &METADATA_DUPLICATE,
    &LITTER,
    &EDITABLE_GONE,
    &LINKS_DANGLING,
    &RECORD_DAMAGED,
    &PACKAGES_MISSING,
    &FILES_MISSING,
    &MODIFIED,
    &CLOBBERED,
    &UNREADABLE,
    &FOREIGN_ABI,
    &DEPENDENCY_MISSING,
    &DEPENDENCY_CONFLICT,
    &DRIFT_MISSING,
    &DRIFT_VERSION,
    &SHARED_INODE,
    &SCRIPT_REWRITTEN,
    &CERTIFICATES_ADDED,
    &RECORD_MISSING,
    &REQUIREMENT_UNPARSABLE,
    &PYTHON_UNSUPPORTED,
    &DRIFT_EXTRA,
];

pub(crate) const PIP_MISSING: Entry = Entry {
    code: "pip-missing",
    severity: DEGRADED,
    repair: Some(Repair::Pip),
    means: "pip is gone from an environment that was made with it.",
    arises: "A removal by hand, or an interrupted upgrade of pip.",
    mends: "Bootstrapping pip with ensurepip.",
};
pub(crate) const PIP_MODULE_MISSING: Entry = Entry {
    code: "pip-missing-module",
    severity: DEGRADED,
    repair: Some(Repair::Pip),
    means: "bin/pip is there, and the module that it starts is not: `pip` fails with ModuleNotFoundError.",
    arises: "site-packages was cleaned or restored without pip, or an upgrade of pip was interrupted.",
    mends: "Bootstrapping pip with ensurepip.",
};
pub(crate) const PIP_PARTIAL: Entry = Entry {
    code: "pip-partial",
    severity: DEGRADED,
    repair: Some(Repair::Pip),
    means: "Files are missing without which pip cannot start. ensurepip alone takes such a pip for satisfied and leaves it broken.",
    arises: "An interrupted upgrade of pip, or a full disk.",
    mends: "Removing what is left of pip, then bootstrapping it with ensurepip.",
};
pub(crate) const METADATA_MISSING: Entry = Entry {
    code: "metadata-missing",
    severity: DEGRADED,
    repair: Some(Repair::Packages),
    means: "A distribution's record has no METADATA, or an empty one. Its code may work; pip can neither list, upgrade nor remove it.",
    arises: "An interrupted install or removal, or a full disk.",
    mends: "Reinstalling the distribution at the version that the name of its record gives; removing the record where it is an empty folder.",
};
pub(crate) const METADATA_UNREADABLE: Entry = Entry {
    code: "metadata-unreadable",
    severity: UNKNOWN,
    repair: None,
    means: "A record of an installed distribution, or the folder of them all, may not be read: what is installed is not known.",
    arises: "Files of another user, mostly after a `sudo pip install`.",
    mends: "Giving the files back to whoever uses the environment, or probing as their owner.",
};
pub(crate) const METADATA_DUPLICATE: Entry = Entry {
    code: "metadata-duplicate",
    severity: DEGRADED,
    repair: Some(Repair::Packages),
    means: "One distribution is recorded at two versions. Python takes the one that the folder's listing has first, which may be the wrong one.",
    arises: "An interrupted upgrade, or files copied or restored over an environment.",
    mends: "Removing the record that certainly describes nothing any more; where none does, reinstalling the distribution.",
};
pub(crate) const LITTER: Entry = Entry {
    code: "litter",
    severity: DEGRADED,
    repair: Some(Repair::Litter),
    means: "A folder `~name` with code or a record of a distribution in it: pip renames what it is about to delete, and was interrupted. pip warns of it at every run.",
    arises: "An upgrade or removal that was killed, ran out of disk, or met a file in use.",
    mends: "Removing the folder: nothing can import it.",
};
pub(crate) const EDITABLE_GONE: Entry = Entry {
    code: "editable-gone",
    severity: BROKEN,
    repair: None,
    means: "An editable install leads to sources that are gone: importing it fails, while pip and uv report it as fine.",
    arises: "The project's folder was moved, renamed or deleted after `pip install -e`.",
    mends: "Where the project is still at the recorded place, reinstalling it; else installing it from its new place, or removing it.",
};
pub(crate) const LINKS_DANGLING: Entry = Entry {
    code: "package-links-dangling",
    severity: BROKEN,
    repair: Some(Repair::Packages),
    means: "The files of a distribution are links into a cache, and what they lead to is gone.",
    arises: "Installed by uv with link mode `symlink`, then `uv cache clean`.",
    mends: "Reinstalling the distribution; a rebuild where all are like that.",
};
pub(crate) const RECORD_DAMAGED: Entry = Entry {
    code: "record-damaged",
    severity: DEGRADED,
    repair: Some(Repair::Packages),
    means: "A distribution's RECORD is empty, or no list of files from some line on: whether its files are whole cannot be told, and pip cannot remove it.",
    arises: "A power cut or a full disk truncated it, often together with the files themselves.",
    mends: "Reinstalling the distribution at its recorded version.",
};
pub(crate) const PACKAGES_MISSING: Entry = Entry {
    code: "packages-missing",
    severity: DEGRADED,
    repair: None,
    means: "A rebuild could not bring back what was installed before, as mendline-missing.json in the environment says.",
    arises: "A private index that cannot be reached, a local build, or metadata that was lost with the files.",
    mends: "Installing it; venv-rebuild tries again where the version is known. Who does without removes mendline-missing.json.",
};
pub(crate) const FILES_MISSING: Entry = Entry {
    code: "package-files-missing",
    severity: BROKEN,
    repair: Some(Repair::Packages),
    means: "Files that a distribution's RECORD lists are gone. It is broken where code is among them, degraded where none is.",
    arises: "A partial deletion, a full disk, a sync tool, or a removed distribution that had overwritten this one.",
    mends: "Reinstalling the distribution at its recorded version.",
};
pub(crate) const MODIFIED: Entry = Entry {
    code: "package-modified",
    severity: DEGRADED,
    repair: Some(Repair::Packages),
    means: "A file is not what its distribution's RECORD says, by size or hash. Whether it still works is not tested.",
    arises: "Somebody edited an installed file, on purpose or in a debugger; or the disk damaged it.",
    mends: "Reinstalling the distribution at its recorded version, which throws the edit away.",
};
pub(crate) const CLOBBERED: Entry = Entry {
    code: "package-clobbered",
    severity: DEGRADED,
    repair: None,
    means: "Another distribution installed its own files over this one's: the files are as that one's RECORD has them.",
    arises: "Two distributions that own the same path are installed together, such as two flavours of OpenCV.",
    mends: "Nothing automatic, since reinstalling one damages the other: remove the one that is not wanted, then reinstall the one that is.",
};
pub(crate) const UNREADABLE: Entry = Entry {
    code: "package-unreadable",
    severity: UNKNOWN,
    repair: None,
    means: "Installed files may not be read, so whether they are whole is not known.",
    arises: "Files of another user, mostly after a `sudo pip install`, or a failing disk.",
    mends: "Giving the files back to whoever uses the environment, or probing as their owner.",
};
pub(crate) const FOREIGN_ABI: Entry = Entry {
    code: "package-foreign-abi",
    severity: BROKEN,
    repair: Some(Repair::Packages),
    means: "A distribution was built for another Python version or platform. Its extension modules cannot be loaded here; a pure Python fallback may hide that.",
    arises: "site-packages was copied from another environment, the interpreter moved to another minor version, or pip was told `--platform`.",
    mends: "Reinstalling the distribution at its recorded version.",
};
pub(crate) const DEPENDENCY_MISSING: Entry = Entry {
    code: "dependency-missing",
    severity: DEGRADED,
    repair: None,
    means: "A distribution requires another that is not installed, by itself or through an extra that an installed distribution asks for.",
    arises: "A removal of what seemed unused, an install with `--no-deps`, or an interrupted one.",
    mends: "Installing what is missing. No version of it is recorded, so that is left to a person or to a rebuild from the project's lock.",
};
pub(crate) const DEPENDENCY_CONFLICT: Entry = Entry {
    code: "dependency-conflict",
    severity: DEGRADED,
    repair: None,
    means: "A distribution is installed at a version that another one rules out.",
    arises: "Packages installed one after another: pip keeps the last wish and only warns.",
    mends: "Installing both in one go, so that the resolver sees all wishes; or a rebuild from the project's lock.",
};
pub(crate) const DRIFT_MISSING: Entry = Entry {
    code: "drift-missing",
    severity: DEGRADED,
    repair: None,
    means: "The project asks for distributions that are not installed.",
    arises: "The project's requirements or lock changed, and the environment was not synchronised.",
    mends: "Installing what the project asks for: `uv sync`, `pip install -r requirements.txt`, or a rebuild.",
};
pub(crate) const DRIFT_VERSION: Entry = Entry {
    code: "drift-version",
    severity: DEGRADED,
    repair: None,
    means: "Distributions are installed at versions that the project's lock or requirements rule out.",
    arises: "The lock moved on, or somebody upgraded a package by hand.",
    mends: "Installing what the project asks for: `uv sync`, `pip install -r requirements.txt`, or a rebuild.",
};
pub(crate) const SHARED_INODE: Entry = Entry {
    code: "package-shared-inode",
    severity: None,
    repair: None,
    means: "A modified file has further names (hard links): uv's cache and other environments have the same damage, and installing from the cache brings it back.",
    arises: "uv links its cache into environments, and somebody edited the file in place.",
    mends: "Reinstalling with the cache left out or refreshed (`--refresh-package`, `--no-cache`), and hashing again afterwards.",
};
pub(crate) const SCRIPT_REWRITTEN: Entry = Entry {
    code: "script-rewritten",
    severity: None,
    repair: None,
    means: "Scripts in bin/ are not as their distribution's RECORD has them, and still start with a line that names a Python.",
    arises: "Somebody rewrote the first line after the environment was moved, and left RECORD alone.",
    mends: "Nothing needs mending; reinstalling the distribution brings file and RECORD together again.",
};
pub(crate) const CERTIFICATES_ADDED: Entry = Entry {
    code: "certificates-added",
    severity: None,
    repair: None,
    means: "A bundle of certificates is as recorded, with more behind the recorded ones. Reinstalling its distribution would lose them.",
    arises: "A company's certificate authority was added, by a script or by start-up code.",
    mends: "Nothing needs mending.",
};
pub(crate) const RECORD_MISSING: Entry = Entry {
    code: "record-missing",
    severity: None,
    repair: None,
    means: "Distributions without a RECORD that can be read: which files are theirs, and whether those are whole, cannot be told.",
    arises: "Installed by conda, a Linux distribution, distutils or `setup.py install`, which write none.",
    mends: "Nothing needs mending.",
};
pub(crate) const REQUIREMENT_UNPARSABLE: Entry = Entry {
    code: "requirement-unparsable",
    severity: None,
    repair: None,
    means: "A distribution states a requirement that today's rules (PEP 508, PEP 440) do not know, so it was not checked.",
    arises: "An old distribution with a specifier such as `>=1.0.*` or `>dev`.",
    mends: "Nothing needs mending; a newer version of the distribution may state it properly.",
};
pub(crate) const PYTHON_UNSUPPORTED: Entry = Entry {
    code: "python-unsupported",
    severity: None,
    repair: None,
    means: "A distribution says that it does not support this version of Python. It often works all the same.",
    arises: "Installed with the check switched off, or copied from an environment of another version.",
    mends: "Another version of the distribution.",
};
pub(crate) const DRIFT_EXTRA: Entry = Entry {
    code: "drift-extra",
    severity: None,
    repair: None,
    means: "Distributions are installed that neither the project nor what it asks for wants.",
    arises: "Installed by hand, or dropped from the project's requirements since.",
    mends: "Nothing needs mending; `uv sync` would remove them.",
};
