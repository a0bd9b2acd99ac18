//! Faults of the interpreter: `bin/python` and what its links lead to.

use contract::venv::Repair;

use super::{BROKEN, DEGRADED, Entry, UNKNOWN};

pub(crate) const ALL: &[&Entry] = &[
    &MISSING,
    &LOOP,
    &NOT_EXECUTABLE,
    &NOT_A_PROGRAM,
    &SILENT,
    &HANGS,
    &FAILS,
    &LIBRARY_MISSING,
    &STDLIB_MISSING,
    &MINOR_MOVED,
    &SHIM,
    &FOREIGN_PLATFORM,
    &COPY_STALE,
    &NAMES_DIFFER,
    &BASE_IS_VENV,
    &PATCH_DRIFT,
    &NOT_STARTED,
    &NOT_TRUSTED,
    &ESCAPES,
    &UNREADABLE,
];

pub(crate) const MISSING: Entry = Entry {
    code: "interpreter-missing",
    severity: BROKEN,
    repair: Some(Repair::Relink),
    means: "bin/python is not there, or its chain of links ends at a Python that is gone. Nothing in the environment can run.",
    arises: "Homebrew, pyenv, uv or apt removed or upgraded the Python that the environment was made from; or the environment was only half deleted, or restored without bin/.",
    mends: "Pointing bin/python at another interpreter of the same minor version (venv-rebuild's rung `relink`); a rebuild where there is none.",
};
pub(crate) const LOOP: Entry = Entry {
    code: "interpreter-loop",
    severity: BROKEN,
    repair: Some(Repair::Relink),
    means: "The links of bin/python lead in a circle.",
    arises: "A copy or rsync that rewrote links, or `ln -s python python3` by hand where python already pointed at python3.",
    mends: "Pointing bin/python at an interpreter of the same minor version again.",
};
pub(crate) const NOT_EXECUTABLE: Entry = Entry {
    code: "interpreter-not-executable",
    severity: BROKEN,
    repair: Some(Repair::Relink),
    means: "The interpreter is there and may not be executed.",
    arises: "The mode was lost on the way: a zip archive, a CIFS or FAT file system, a careless chmod.",
    mends: "Pointing bin/python at an interpreter of the same minor version again.",
};
pub(crate) const NOT_A_PROGRAM: Entry = Entry {
    code: "interpreter-not-a-program",
    severity: BROKEN,
    repair: Some(Repair::Relink),
    means: "The interpreter is an empty file, or bytes that no kernel can run. A shell would run an empty file and report success.",
    arises: "A full disk or an interrupted copy truncated it.",
    mends: "Pointing bin/python at an interpreter of the same minor version again.",
};
pub(crate) const SILENT: Entry = Entry {
    code: "interpreter-silent",
    severity: BROKEN,
    repair: Some(Repair::Relink),
    means: "The interpreter was started, ended with success, and did not do what it was told: it is something else in Python's place.",
    arises: "A stub or wrapper script that ends with `exit 0`.",
    mends: "Pointing bin/python at a real interpreter of the same minor version.",
};
pub(crate) const HANGS: Entry = Entry {
    code: "interpreter-hangs",
    severity: BROKEN,
    repair: None,
    means: "The interpreter was started and gave no answer in time (--timeout); its whole process group was ended.",
    arises: "A dead network file system below it, a virus scanner, or a wrapper that waits for something.",
    mends: "Nothing automatic: find what it waits for. `venv-rebuild --full` builds a new environment in its place and keeps the old one.",
};
pub(crate) const FAILS: Entry = Entry {
    code: "interpreter-fails",
    severity: BROKEN,
    repair: Some(Repair::Relink),
    means: "The interpreter was started and ended with an error before it could answer; the evidence is its last line.",
    arises: "Its installation is damaged, or a variable or configuration leads it astray.",
    mends: "Pointing bin/python at another interpreter of the same minor version; else a rebuild.",
};
pub(crate) const LIBRARY_MISSING: Entry = Entry {
    code: "interpreter-library-missing",
    severity: BROKEN,
    repair: Some(Repair::Relink),
    means: "The interpreter cannot be loaded because a shared library that it needs, often libpython, is gone.",
    arises: "The distribution or Homebrew upgraded and removed the library under it.",
    mends: "Pointing bin/python at another interpreter of the same minor version; else a rebuild.",
};
pub(crate) const STDLIB_MISSING: Entry = Entry {
    code: "stdlib-missing",
    severity: BROKEN,
    repair: Some(Repair::Relink),
    means: "The base installation has lost its standard library. `python --version` still works, everything else fails.",
    arises: "The base Python was half removed, or its folder was cleaned.",
    mends: "Pointing bin/python at another interpreter of the same minor version, or reinstalling the base.",
};
pub(crate) const MINOR_MOVED: Entry = Entry {
    code: "minor-version-moved",
    severity: BROKEN,
    repair: Some(Repair::Relink),
    means: "The interpreter is of another minor version than lib/pythonX.Y: it starts, and none of the installed packages can be seen.",
    arises: "bin/python points at a moving link such as /usr/bin/python3 or Homebrew's python3, and an upgrade moved it to the next minor version.",
    mends: "Pointing bin/python at the old minor version where it is still installed; else a rebuild for it.",
};
pub(crate) const SHIM: Entry = Entry {
    code: "interpreter-is-shim",
    severity: BROKEN,
    repair: Some(Repair::Relink),
    means: "bin/python leads to a version manager's shim (pyenv, asdf, mise), which starts whatever Python is selected: it leaves the environment.",
    arises: "The environment's link was made, or remade by hand, with a shim's path.",
    mends: "Pointing bin/python at the real interpreter.",
};
pub(crate) const FOREIGN_PLATFORM: Entry = Entry {
    code: "interpreter-foreign-platform",
    severity: BROKEN,
    repair: Some(Repair::Rebuild),
    means: "The interpreter is a program for another processor or operating system. It was not started.",
    arises: "The environment was copied from another machine or mounted into a container of another kind.",
    mends: "A rebuild on this machine; compiled packages are of the other platform too.",
};
pub(crate) const COPY_STALE: Entry = Entry {
    code: "interpreter-copy-stale",
    severity: DEGRADED,
    repair: Some(Repair::Relink),
    means: "The environment holds a copy of the interpreter (--copies) that is older or newer than the standard library it uses.",
    arises: "The base Python was upgraded in place.",
    mends: "Copying the base interpreter over it again.",
};
pub(crate) const NAMES_DIFFER: Entry = Entry {
    code: "interpreter-names-differ",
    severity: DEGRADED,
    repair: Some(Repair::Relink),
    means: "bin/python3 or bin/pythonX.Y is another program than bin/python: which Python runs depends on the name that a script happens to use.",
    arises: "A link remade by hand for one name only, or an upgrade that replaced one of them.",
    mends: "Pointing all names at the same interpreter again.",
};
pub(crate) const BASE_IS_VENV: Entry = Entry {
    code: "base-is-venv",
    severity: DEGRADED,
    repair: Some(Repair::Config),
    means: "`home` in pyvenv.cfg names another virtual environment instead of a base installation: it dies with that one.",
    arises: "A tool that was itself installed in an environment wrote it, or an edit by hand.",
    mends: "Writing the real base into pyvenv.cfg.",
};
pub(crate) const PATCH_DRIFT: Entry = Entry {
    code: "patch-drift",
    severity: None,
    repair: None,
    means: "The base Python was upgraded within its minor version since the environment was made. That is as it should be.",
    arises: "Ordinary upgrades.",
    mends: "Nothing needs mending.",
};
pub(crate) const NOT_TRUSTED: Entry = Entry {
    code: "not-trusted",
    severity: None,
    repair: None,
    means: "Somebody else than you and root could have written, or could exchange, something that a start of this environment executes. Nothing of it is executed, and nothing in it is mended.",
    arises: "The environment, its interpreter, or a folder on the way to them belongs to another user or can be written by others.",
    mends: "Running the tools as its owner; or taking it over, once you have looked at what is in it.",
};
pub(crate) const NOT_STARTED: Entry = Entry {
    code: "not-started",
    severity: None,
    repair: None,
    means: "No interpreter was started for this environment, so the verdict rests on files alone. Starting one runs code that lies in the environment.",
    arises: "--spawn never; an old Python; or the note `not-trusted`.",
    mends: "`--spawn each` starts it all the same, if you trust its owner.",
};
pub(crate) const ESCAPES: Entry = Entry {
    code: "interpreter-escapes",
    severity: BROKEN,
    repair: Some(Repair::Relink),
    means: "The interpreter starts and does not take this folder for its environment (sys.prefix is another): what is installed here cannot be seen, and pip would act elsewhere.",
    arises: "A wrapper in Python's place, or a link that leaves the environment.",
    mends: "Pointing bin/python at a real interpreter of the same minor version.",
};
pub(crate) const UNREADABLE: Entry = Entry {
    code: "unreadable",
    severity: UNKNOWN,
    repair: None,
    means: "A file that the verdict needs could not be read, or the interpreter could not be started for a reason that lies with this machine and not with the environment.",
    arises: "Permissions, too many processes, a failing disk.",
    mends: "Running the probe as the owner of the environment, or removing the cause.",
};
