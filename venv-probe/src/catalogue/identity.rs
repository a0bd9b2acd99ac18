//! Faults of what makes a folder this environment: `pyvenv.cfg`, its place on the disk, its scripts, its folders.

use contract::venv::Repair;

use super::{BROKEN, DEGRADED, Entry};

pub(crate) const ALL: &[&Entry] = &[
    &CONFIG_MISSING,
    &CONFIG_EMPTY,
    &HOME_STALE,
    &MOVED,
    &COPIED,
    &LIB64,
    &SITE_PACKAGES_MISSING,
    &REDIRECT_DANGLING,
    &FOREIGN_LAYOUT,
    &CONDA,
];

pub(crate) const CONFIG_MISSING: Entry = Entry {
    code: "config-missing",
    severity: BROKEN,
    repair: Some(Repair::Config),
    means: "pyvenv.cfg is gone. Python then takes the base installation for its own, and this environment's pip installs into the base.",
    arises: "Deleted, ignored by a backup or by git, or only partly restored.",
    mends: "Writing pyvenv.cfg again.",
};
pub(crate) const CONFIG_EMPTY: Entry = Entry {
    code: "config-empty",
    severity: DEGRADED,
    repair: Some(Repair::Config),
    means: "pyvenv.cfg has no `home`. Newer Pythons cope, older ones and most tools do not.",
    arises: "A full disk or an interrupted write truncated it.",
    mends: "Writing its keys again.",
};
pub(crate) const HOME_STALE: Entry = Entry {
    code: "home-stale",
    severity: DEGRADED,
    repair: Some(Repair::Config),
    means: "`home` in pyvenv.cfg names a folder that is gone, while the interpreter still works: it finds its library by luck of its build.",
    arises: "The base Python moved and only the link was mended.",
    mends: "Writing the real folder into pyvenv.cfg.",
};
pub(crate) const MOVED: Entry = Entry {
    code: "moved",
    severity: DEGRADED,
    repair: Some(Repair::Relocate),
    means: "Scripts in bin/ name an interpreter at a path that is gone: they cannot start, and activate sets a wrong VIRTUAL_ENV. Python itself works.",
    arises: "The project's folder was renamed or moved. Environments are not made to be moved.",
    mends: "Rewriting the paths in scripts, activate files and pyvenv.cfg, and their hashes in RECORD.",
};
pub(crate) const COPIED: Entry = Entry {
    code: "copied",
    severity: BROKEN,
    repair: Some(Repair::Relocate),
    means: "Scripts in bin/ run the interpreter of another environment that is alive: this environment's pip silently installs into that one.",
    arises: "The environment, or the project with it, was copied.",
    mends: "Rewriting the paths in scripts, activate files and pyvenv.cfg, and their hashes in RECORD.",
};
pub(crate) const LIB64: Entry = Entry {
    code: "lib64-dangling",
    severity: DEGRADED,
    repair: Some(Repair::Relink),
    means: "The link lib64 leads to nothing. Pythons that keep compiled packages there (Fedora's) lose them.",
    arises: "An archive without links, or an absolute link after a move.",
    mends: "Making it a link to `lib` again.",
};
pub(crate) const SITE_PACKAGES_MISSING: Entry = Entry {
    code: "site-packages-missing",
    severity: BROKEN,
    repair: Some(Repair::Rebuild),
    means: "There is no lib/pythonX.Y/site-packages: the environment has no packages and no place for them.",
    arises: "Its creation was interrupted, or the folder was deleted.",
    mends: "A rebuild.",
};
pub(crate) const REDIRECT_DANGLING: Entry = Entry {
    code: "redirect-dangling",
    severity: BROKEN,
    repair: None,
    means: "The `.venv` file or link redirects to an environment that is gone.",
    arises: "pipenv, uv or a person pointed it at an environment elsewhere, and that was removed.",
    mends: "Making the environment again with the tool that keeps it, or removing the redirection.",
};
pub(crate) const FOREIGN_LAYOUT: Entry = Entry {
    code: "foreign-layout",
    severity: None,
    repair: None,
    means: "This is a virtual environment of Windows (Scripts and Lib). It cannot run here, and nothing is wrong with it for that.",
    arises: "A project folder shared between systems.",
    mends: "Nothing needs mending; on this system make an environment of its own.",
};
pub(crate) const CONDA: Entry = Entry {
    code: "conda",
    severity: None,
    repair: None,
    means: "This is a conda environment. It is named here and not judged: `conda doctor` judges it.",
    arises: "conda, mamba or pixi made it.",
    mends: "Nothing needs mending.",
};
