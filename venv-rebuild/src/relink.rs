//! The rung `relink`: the links of `bin/` lead to an interpreter again, and `pyvenv.cfg` names it.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use contract::path::shown;

use crate::build::Interpreter;
use crate::cfg::Cfg;
use crate::edit::{Content, Edit, content};

/// What makes `bin/python*` of the environment lead to `interpreter`. Links that lead there through others stay.
///
/// # Errors
/// The interpreter cannot be read where the environment holds a copy of it.
pub(crate) fn edits(venv: &Path, interpreter: &Interpreter, copies: bool) -> anyhow::Result<Vec<Edit>> {
    let names = names(interpreter);
    let anchor = anchor(venv, &names);
    let wanted = if copies { copy_of(&interpreter.path)? } else { Content::Link(interpreter.path.clone()) };
    let mut edits = Vec::new();
    if !venv.join("bin").is_dir() {
        edits.push(Edit { path: "bin".into(), content: Content::Folder });
    }
    edits.push(Edit { path: Path::new("bin").join(&anchor), content: wanted });
    for name in names.iter().filter(|name| **name != anchor) {
        if !leads_to(venv, name, &anchor) {
            edits.push(Edit { path: Path::new("bin").join(name), content: Content::Link(anchor.clone().into()) });
        }
    }
    edits.extend(named(venv, interpreter)?);
    Ok(edits)
}

/// What makes a dangling `lib64` lead to `lib` again.
pub(crate) fn lib64(venv: &Path) -> Option<Edit> {
    let path = venv.join("lib64");
    let dangling = path.is_symlink() && !path.exists() && venv.join("lib").is_dir();
    dangling.then(|| Edit { path: "lib64".into(), content: Content::Link("lib".into()) })
}

fn names(interpreter: &Interpreter) -> Vec<String> {
    let program = if interpreter.implementation.starts_with("pypy") { "pypy" } else { "python" };
    let minor = interpreter.version.split('.').take(2).collect::<Vec<_>>().join(".");
    let mut names = vec!["python".to_owned(), "python3".to_owned(), format!("python{minor}")];
    if program == "pypy" {
        names.extend(["pypy".to_owned(), "pypy3".to_owned(), format!("pypy{minor}")]);
    }
    names
}

/// The name of the one link that leaves `bin`: the first on the way from `python` that is no link to another of the names.
fn anchor(venv: &Path, names: &[String]) -> String {
    let mut name = names[0].clone();
    for _ in names {
        match inside(venv, &name).filter(|next| names.contains(next)) {
            Some(next) => name = next,
            None => return name,
        }
    }
    // A circle: any of them may become the way out.
    names[0].clone()
}

/// Whether `name` leads to `anchor` by links within `bin`.
fn leads_to(venv: &Path, name: &str, anchor: &str) -> bool {
    let mut name = name.to_owned();
    for _ in 0..8 {
        match inside(venv, &name) {
            Some(next) if next == anchor => return true,
            Some(next) => name = next,
            None => return false,
        }
    }
    false
}

/// The name that a link within `bin` leads to.
fn inside(venv: &Path, name: &str) -> Option<String> {
    let bin = venv.join("bin");
    let target = fs::read_link(bin.join(name)).ok()?;
    let folder = target.parent()?;
    let stays = folder == Path::new("") || folder == Path::new(".") || folder == bin;
    stays.then(|| target.file_name().and_then(OsStr::to_str).map(str::to_owned)).flatten()
}

fn copy_of(interpreter: &Path) -> anyhow::Result<Content> {
    let real = interpreter.canonicalize().with_context(|| format!("cannot find {}", shown(interpreter)))?;
    match content(&real).with_context(|| format!("cannot read {}", shown(&real)))? {
        Content::File { bytes, mode } => Ok(Content::File { bytes, mode: mode & 0o777 }),
        _ => anyhow::bail!("{} is no file", shown(&real)),
    }
}

/// `pyvenv.cfg` with the keys of each creator that say where the interpreter is; none is added but those of PEP 405.
fn named(venv: &Path, interpreter: &Interpreter) -> anyhow::Result<Option<Edit>> {
    let path = PathBuf::from("pyvenv.cfg");
    let Content::File { bytes, mode } = content(&venv.join(&path)).context("cannot read pyvenv.cfg")? else { return Ok(None) };
    let mut cfg = Cfg::parse(&bytes);
    name_base(&mut cfg, interpreter);
    let new = cfg.render();
    Ok((new != bytes).then_some(Edit { path, content: Content::File { bytes: new, mode } }))
}

/// Writes an interpreter into the keys that venv (`version`, `executable`), uv (`version_info`) and virtualenv (`base-…`) have for it.
pub(crate) fn name_base(cfg: &mut Cfg, interpreter: &Interpreter) {
    let home = interpreter.path.parent().unwrap_or(Path::new("/"));
    let bytes = |path: &Path| path.as_os_str().as_bytes().to_vec();
    cfg.set("home", &bytes(home));
    let real = interpreter.path.canonicalize().unwrap_or_else(|_| interpreter.path.clone());
    cfg.update("executable", &bytes(&real));
    cfg.update("base-executable", &bytes(&interpreter.path));
    for key in ["base-prefix", "base-exec-prefix"] {
        cfg.update(key, &bytes(home.parent().unwrap_or(home)));
    }
    let version = interpreter.version.as_bytes();
    cfg.update("version", version);
    // virtualenv writes `3.12.1.final.0`, uv `3.12.1`.
    if let Some(info) = cfg.get("version_info") {
        let tail: &[u8] = if info.ends_with(b".final.0") { b".final.0" } else { b"" };
        let info = [version, tail].concat();
        cfg.set("version_info", &info);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn interpreter() -> Interpreter {
        Interpreter { path: "/opt/p/bin/python3.12".into(), version: "3.12.4".into(), implementation: "cpython".into() }
    }

    fn links(links: &[(&str, &str)]) -> Vec<(String, String)> {
        let venv = tempfile::tempdir().unwrap();
        fs::create_dir(venv.path().join("bin")).unwrap();
        for (name, target) in links {
            symlink(target, venv.path().join("bin").join(name)).unwrap();
        }
        let edits = edits(venv.path(), &interpreter(), false).unwrap();
        edits
            .into_iter()
            .map(|edit| match edit.content {
                Content::Link(target) => (edit.path.to_str().unwrap().to_owned(), target.to_str().unwrap().to_owned()),
                other => panic!("{other:?}"),
            })
            .collect()
    }

    fn is(edits: &[(&str, &str)]) -> Vec<(String, String)> {
        edits.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect()
    }

    #[test]
    fn only_the_link_that_leaves_is_replaced() {
        let base = "/opt/p/bin/python3.12";
        assert_eq!(links(&[("python", "python3.12"), ("python3", "python3.12"), ("python3.12", "/gone")]), is(&[("bin/python3.12", base)]));
        assert_eq!(links(&[("python", "/gone"), ("python3", "python"), ("python3.12", "python")]), is(&[("bin/python", base)]));
        assert_eq!(links(&[("python", "python3"), ("python3", "/gone"), ("python3.12", "python3")]), is(&[("bin/python3", base)]));
    }

    #[test]
    fn a_circle_and_an_empty_bin_get_all_names() {
        let base = "/opt/p/bin/python3.12";
        let all = is(&[("bin/python", base), ("bin/python3", "python"), ("bin/python3.12", "python")]);
        assert_eq!(links(&[]), all);
        assert_eq!(links(&[("python", "python3"), ("python3", "python"), ("python3.12", "python")]), is(&[("bin/python", base)]));
    }

    #[test]
    fn each_creator_finds_its_own_keys() {
        let mut uv = Cfg::parse(b"home = /gone\nuv = 0.13\nversion_info = 3.12.1\n");
        name_base(&mut uv, &interpreter());
        assert_eq!(uv.render(), b"home = /opt/p/bin\nuv = 0.13\nversion_info = 3.12.4\n");
        let mut venv = Cfg::parse(b"home = /gone\nversion = 3.12.1\nexecutable = /gone/python\n");
        name_base(&mut venv, &interpreter());
        assert_eq!(venv.render(), b"home = /opt/p/bin\nversion = 3.12.4\nexecutable = /opt/p/bin/python3.12\n");
    }
}
