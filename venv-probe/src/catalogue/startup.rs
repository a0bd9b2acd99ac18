//! Faults of the code that runs before any program does: `.pth` files and site customisation. It runs even under `-I`.

use super::{BROKEN, DEGRADED, Entry};

pub(crate) const ALL: &[&Entry] = &[&HANGS, &RAISES, &PTH_BROKEN, &FAILS];

pub(crate) const HANGS: Entry = Entry {
    code: "startup-hangs",
    severity: BROKEN,
    repair: None,
    means: "Python starts without its site module and hangs with it: start-up code in the environment does not return.",
    arises: "A sitecustomize.py or an import line in a .pth file that waits: for the network, a lock, a debugger.",
    mends: "Nothing automatic: the evidence names the file; look at it, and move it away.",
};
pub(crate) const FAILS: Entry = Entry {
    code: "startup-fails",
    severity: BROKEN,
    repair: None,
    means: "Python starts without its site module and ends with it: start-up code in the environment ends the interpreter.",
    arises: "A sitecustomize.py or an import line in a .pth file that exits or crashes.",
    mends: "Nothing automatic: the evidence names the file; look at it, and move it away.",
};
pub(crate) const RAISES: Entry = Entry {
    code: "startup-raises",
    severity: DEGRADED,
    repair: None,
    means: "Start-up code in the environment fails at every start of Python, which goes on without it.",
    arises: "A sitecustomize.py or usercustomize.py with an error.",
    mends: "Nothing automatic: the evidence names the error; mend or remove the file.",
};
pub(crate) const PTH_BROKEN: Entry = Entry {
    code: "pth-broken",
    severity: DEGRADED,
    repair: None,
    means: "A line of a .pth file in site-packages fails at every start of Python, mostly since it imports a module that is gone.",
    arises: "A package that installs such a file was removed only in part.",
    mends: "Reinstalling the distribution that owns the file; removing it where a removed one left it. A person's own file is theirs to mend.",
};
