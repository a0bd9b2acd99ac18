//! What `pyvenv.cfg` says of the base installation, held against the disk.

use std::path::{Path, PathBuf};

use contract::path::{Subject, shown};

use crate::bounded;
use crate::catalogue::{identity, interpreter as catalogue};
use crate::config::Config;
use crate::findings::Findings;
use crate::interpreter::Interpreter;
use crate::judge::{Court, Patient};
use crate::start::{Answer, Start, With, start};

/// No interpreter is longer, in bytes.
const PROGRAM: usize = 256 << 20;

/// Judges `home`.
pub(crate) fn judge(root: &Path, config: Option<&Config>, interpreter: &Interpreter, found: &mut Findings) {
    let file = Some(Subject::from(&root.join("pyvenv.cfg")));
    let Some(config) = config else {
        found.add(&identity::CONFIG_MISSING, "pyvenv.cfg is gone: Python and pip act on the base installation", file);
        return;
    };
    let Some(home) = &config.home else {
        found.add(&identity::CONFIG_EMPTY, "pyvenv.cfg has no `home`", file);
        return;
    };
    if home.metadata().is_err_and(|error| bounded::is_gone(&error)) && interpreter.real.is_some() {
        found.add(&identity::HOME_STALE, format!("`home` in pyvenv.cfg names {}, which is gone", shown(home)), Some(Subject::from(home)));
    } else if let Some(base) = home.parent().filter(|base| base.join("pyvenv.cfg").exists()) {
        found.add(
            &catalogue::BASE_IS_VENV,
            format!("`home` in pyvenv.cfg names the virtual environment {}", shown(base)),
            Some(Subject::from(base)),
        );
    }
}

/// Says whether the base moved on within its minor version, and whether a copied interpreter stayed behind.
pub(crate) fn judge_patch(answer: &Answer, patient: &Patient<'_>, court: &Court, found: &mut Findings) {
    let Patient { config, interpreter, .. } = patient;
    if interpreter.copied
        && let Some(base) = base_of_copy(config, interpreter, &answer.version)
        && patient.breach(Some(&base), court).is_none()
        && let Start::Answered(now) = start(&base, With::Nothing, court.options.timeout)
        && now.version != answer.version
    {
        let text = format!("bin/python is a copy of Python {}, its library is of {}", answer.version, now.version);
        found.add(&catalogue::COPY_STALE, text, Some(Subject::from(&base)));
    }
    let recorded = config.version.as_deref().unwrap_or(&answer.version);
    if recorded != answer.version && same_minor(recorded, &answer.version) {
        found.add(&catalogue::PATCH_DRIFT, format!("made with Python {recorded}, runs on {}", answer.version), None);
    }
}

/// The base interpreter that a copy was made from, where it is another file now.
fn base_of_copy(config: &Config, interpreter: &Interpreter, version: &str) -> Option<PathBuf> {
    let (major, minor) = minor_of(version)?;
    let base = config.home.as_ref()?.join(format!("python{major}.{minor}"));
    let same = bounded::read(&base, PROGRAM).ok()? == bounded::read(interpreter.real.as_ref()?, PROGRAM).ok()?;
    (!same).then_some(base)
}

/// `(X, Y)` of `X.Y.Z`.
pub(crate) fn minor_of(version: &str) -> Option<(u8, u8)> {
    let mut parts = version.split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

fn same_minor(a: &str, b: &str) -> bool {
    minor_of(a).is_some() && minor_of(a) == minor_of(b)
}
