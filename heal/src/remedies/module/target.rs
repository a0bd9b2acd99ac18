//! The environment that a module is to go into, and what it says of itself.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use contract::child::{self, Ended};
use contract::path::{absolute, shown};
use contract::redact;
use contract::trust::Trust;
use pep508_rs::MarkerEnvironment;
use serde::Deserialize;
use serde_json::json;

use super::own;
use crate::arguments::Mend;
use crate::asked::Asked;
use crate::bounds::Bounds;
use crate::python;
use crate::remedies::Declined;

const LOOK: &str = include_str!("look.py");
const IMPORT: &str = "import importlib, sys\nimportlib.import_module(sys.argv[1])";
const PATIENCE: Duration = Duration::from_mins(1);
const KEEP: usize = 64 << 10;

/// An environment of the project.
#[derive(Debug)]
pub(super) struct Target {
    /// Without links on the way.
    pub(super) venv: PathBuf,
}

/// What the interpreter of an environment says, without running any of a module.
#[derive(Debug, Deserialize)]
pub(super) struct Seen {
    prefix: PathBuf,
    pub(super) version: String,
    /// The module is one of Python itself.
    pub(super) stdlib: bool,
    /// How many parts of the dotted name are there.
    pub(super) found: usize,
    /// The last of them is a folder that several distributions can share.
    pub(super) namespace: bool,
    #[serde(default)]
    pub(super) origin: Option<String>,
    pub(super) pip: bool,
    pub(super) markers: MarkerEnvironment,
}

impl Seen {
    /// What an interpreter says of a module.
    ///
    /// # Errors
    /// Why it does not answer.
    pub(super) fn by(python: &Path, module: &str) -> Result<Self, String> {
        let mut command = Command::new(python);
        command.args(["-I", "-B", "-W", "ignore", "-c", LOOK, module]).current_dir("/");
        let finished = child::run(&mut command, PATIENCE, KEEP).map_err(|e| e.to_string())?;
        if finished.ended.success() {
            serde_json::from_slice(&finished.stdout).map_err(|e| e.to_string())
        } else {
            Err(last_line(&finished.stderr))
        }
    }

    /// `X.Y`.
    pub(super) fn minor(&self) -> (u32, u32) {
        let mut numbers = self.version.split('.').map(|number| number.parse().unwrap_or(0));
        (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
    }
}

pub(super) fn refused(reason: &str, why: impl Into<String>) -> Declined {
    Declined { why: why.into(), detail: json!({ "reason": reason }) }
}

impl Target {
    /// The environment that is named, else the one that failed, else the nearest.
    ///
    /// # Errors
    /// There is none, or it is not one that anything is installed into.
    pub(super) fn choose(asked: &Asked, near: &Path, bounds: &Bounds, options: &Mend) -> Result<Self, Declined> {
        let venv = match (options.python.as_deref(), asked.path("interpreter")) {
            (Some(named), _) => of_interpreter(named, bounds).ok_or_else(|| {
                let why = format!("{} is not the interpreter of an environment below {}", shown(named), shown(bounds.root()));
                refused("no-environment", format!("{why}; name the bin/python of one"))
            })?,
            (None, Some(failed)) => of_interpreter(&failed, bounds).ok_or_else(|| other(&failed, near, bounds))?,
            (None, None) => python::environment(near, bounds).ok_or_else(|| {
                let why = format!("there is no environment in {} or above it", shown(near));
                refused("no-environment", format!("{why}; make one (`python3 -m venv .venv`), or name its interpreter by --python"))
            })?,
        };
        let real = venv.canonicalize().map_err(|e| refused("no-environment", format!("cannot look at {}: {e}", shown(&venv))))?;
        let packages = own::packages(&real);
        let inner = packages.iter().chain([&real.join("bin")]).all(|folder| folder.canonicalize().is_ok_and(|f| f.starts_with(&real)));
        if !bounds.holds(&real) || !inner || packages.is_empty() {
            let why = format!("{} does not lie wholly below {}", shown(&venv), shown(bounds.root()));
            return Err(refused("outside", format!("{why}; nothing is installed elsewhere")));
        }
        let target = Self { venv: real };
        target.is_ours()?;
        Ok(target)
    }

    pub(super) fn python(&self) -> PathBuf {
        self.venv.join("bin/python")
    }

    /// A start of its interpreter, and an installer, run what lies in it. The lock that uv leaves in its root is anybody's, and is not run.
    fn is_ours(&self) -> Result<(), Declined> {
        let untrusted = |why: String| refused("untrusted", why);
        python::trusted(&self.python()).map_err(|e| untrusted(format!("{e:#}")))?;
        let trust = Trust::default();
        let below = || ["lib", "bin"].iter().find_map(|name| trust.breach_below(&self.venv.join(name), &[]));
        let breach = trust.breach([&*self.venv, &self.venv.join("pyvenv.cfg")].into_iter()).or_else(below);
        breach.map_or(Ok(()), |why| Err(untrusted(format!("nothing is installed into {}: {why}", shown(&self.venv)))))
    }

    /// Asks its interpreter about a module. Nothing of the module is run, and nothing of the project.
    ///
    /// # Errors
    /// It does not answer.
    pub(super) fn look(&self, module: &str) -> Result<Seen, Declined> {
        let broken = |why: &str| refused("broken-environment", format!("{} {why}; look at it with venv-probe", shown(&self.python())));
        let seen = Seen::by(&self.python(), module).map_err(|why| broken(&format!("did not answer: {why}")))?;
        if seen.prefix != self.venv {
            return Err(broken(&format!("installs into {}", shown(&seen.prefix))));
        }
        Ok(seen)
    }

    /// Imports the module, as a program in the root of the project would.
    ///
    /// # Errors
    /// It cannot be imported.
    pub(super) fn import(&self, module: &str, root: &Path) -> Result<(), Declined> {
        let failed = |why: String| refused("import-fails", format!("{module} is there, and importing it fails: {why}"));
        let finished = python::ask(&self.python(), root, IMPORT, &[module]).map_err(|e| failed(format!("{e:#}")))?;
        match finished.ended {
            ended if ended.success() => Ok(()),
            Ended::TimedOut => Err(failed("it did not end in time".to_owned())),
            _ => Err(failed(last_line(&finished.stderr))),
        }
    }
}

/// The environment that an interpreter is of, below the root.
fn of_interpreter(python: &Path, bounds: &Bounds) -> Option<PathBuf> {
    if python.components().count() < 2 {
        return None;
    }
    let python = absolute(&bounds.based(python)).ok()?;
    let venv = bounds.place(python.parent().filter(|bin| bin.ends_with("bin"))?.parent()?).ok()?;
    (venv.join("pyvenv.cfg").is_file() && venv.join("bin/python").exists()).then_some(venv)
}

fn other(failed: &Path, near: &Path, bounds: &Bounds) -> Declined {
    let why = format!("what failed was run by {}, which is of no environment below {}", shown(failed), shown(bounds.root()));
    let instead = python::environment(near, bounds).map(|venv| format!("; run it with {}", shown(&venv.join("bin/python"))));
    refused("other-interpreter", why + &instead.unwrap_or_else(|| "; make one (`python3 -m venv .venv`) and run it with that".to_owned()))
}

/// The last line that says anything, as a record may show it.
pub(super) fn last_line(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    redact::excerpt(text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it said nothing").trim())
}
