//! The rung `config`: `pyvenv.cfg` is written again, with what is still true in it kept.

use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::build::Interpreter;
use crate::cfg::Cfg;
use crate::edit::{Content, Edit, content};
use crate::relink::name_base;

/// What gives the environment a `pyvenv.cfg` that names `base`.
///
/// # Errors
/// The file is there and cannot be read.
pub(crate) fn edits(venv: &Path, base: &Interpreter) -> anyhow::Result<Vec<Edit>> {
    let path = PathBuf::from("pyvenv.cfg");
    let (old, mode) = match content(&venv.join(&path)).context("cannot read pyvenv.cfg")? {
        Content::File { bytes, mode } => (bytes, mode),
        _ => (Vec::new(), 0o644),
    };
    let new = written(&old, base);
    Ok(if new == old { Vec::new() } else { vec![Edit { path, content: Content::File { bytes: new, mode } }] })
}

fn written(old: &[u8], base: &Interpreter) -> Vec<u8> {
    let mut cfg = Cfg::parse(old);
    name_base(&mut cfg, base);
    if cfg.get("include-system-site-packages").is_none() {
        cfg.set("include-system-site-packages", b"false");
    }
    if cfg.get("version").is_none() && cfg.get("version_info").is_none() {
        cfg.set("version", base.version.as_bytes());
    }
    cfg.render()
}

/// The interpreter that the links of `bin/python` lead to: the first on the way that is outside of every environment,
/// so that a stable name (Homebrew's `opt`) is kept; `None` where they lead nowhere or it is a copy.
pub(crate) fn base(venv: &Path, version: Option<&str>) -> Option<Interpreter> {
    let mut path = venv.join("bin/python");
    for _ in 0..40 {
        let target = std::fs::read_link(&path).ok()?;
        path = crate::layout::normal(&path.parent()?.join(target));
        let root = path.parent()?.parent()?;
        if !root.join("pyvenv.cfg").exists() && !path.starts_with(venv) {
            break;
        }
    }
    let implementation = if path.file_name()?.as_bytes().starts_with(b"pypy") { "pypy" } else { "cpython" };
    path.is_file().then_some(Interpreter { path, version: version?.to_owned(), implementation: implementation.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base() -> Interpreter {
        Interpreter { path: "/opt/p/bin/python3.12".into(), version: "3.12.4".into(), implementation: "cpython".into() }
    }

    #[test]
    fn a_lost_file_gets_the_keys_of_pep_405() {
        assert_eq!(written(b"", &base()), b"home = /opt/p/bin\ninclude-system-site-packages = false\nversion = 3.12.4\n");
    }

    #[test]
    fn what_is_still_true_stays() {
        let old = b"home = /gone/bin\ninclude-system-site-packages = true\nversion = 3.12.1\nprompt = x\n";
        assert_eq!(written(old, &base()), b"home = /opt/p/bin\ninclude-system-site-packages = true\nversion = 3.12.4\nprompt = x\n");
    }
}
