//! The rung `relocate`: the paths that scripts, activate files and `pyvenv.cfg` carry, after a move or a copy.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::File;
use std::io::Read as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use contract::path::shown;

use crate::cfg::Cfg;
use crate::edit::{Content, Edit, content};
use crate::record::{self, Rewritten};
use crate::{activate, layout, shebang};

/// The longest script that is rewritten, in bytes.
const LONGEST: u64 = 256 << 20;

/// Makes the environment in the folder `venv`, which stands aside, say that it stands at `to`, wherever it says that it stands at one of `from`:
/// shebangs, activate files, the `command` of `pyvenv.cfg`, and the RECORD lines of the scripts that changed. One of `from` may also be an
/// interpreter outside that the scripts were written for.
///
/// # Errors
/// A file cannot be read or replaced.
pub(crate) fn rewrite(venv: &Path, from: &[&Path], to: &Path) -> anyhow::Result<()> {
    edits(venv, from, to)?.iter().try_for_each(|edit| edit.apply_aside(venv))
}

/// What [`rewrite`] changes.
pub(crate) fn edits(venv: &Path, from: &[&Path], to: &Path) -> anyhow::Result<Vec<Edit>> {
    anyhow::ensure!(
        to.to_str().is_some(),
        "the path {} is not UTF-8, as everything in a Python script must be; rename the folder",
        shown(to)
    );
    let (mut edits, mut scripts) = (Vec::new(), Vec::new());
    for path in layout::scripts(venv).with_context(|| format!("cannot list {}", shown(&venv.join("bin"))))? {
        let name = path.file_name().context("a script without a name")?;
        let Some((old, mode)) = script(&venv.join(&path))? else { continue };
        let new = if activate::is_one(name) { activated(name, &old, from, to) } else { interpreted(&old, venv, from, to) };
        if let Some(new) = new {
            edits.push(Edit { path: path.clone(), content: Content::File { bytes: new.clone(), mode } });
            scripts.push(Rewritten { path, old, new });
        }
    }
    edits.extend(command(venv, from, to)?);
    edits.extend(record::edits(venv, &scripts)?);
    Ok(edits)
}

/// The bytes and mode of a file of `bin` that can carry a path. Programs are told by their first bytes: some have 50 MB.
fn script(path: &Path) -> anyhow::Result<Option<(Vec<u8>, u32)>> {
    let read = || -> std::io::Result<_> {
        let mut file = File::open(path)?;
        let mut bytes = Vec::new();
        file.by_ref().take(2).read_to_end(&mut bytes)?;
        if bytes != b"#!" && !path.file_name().is_some_and(activate::is_one) {
            return Ok(None);
        }
        // An application that lies behind its `#!` line can be larger than memory.
        if file.metadata()?.len() > LONGEST {
            return Ok(None);
        }
        file.read_to_end(&mut bytes)?;
        Ok(Some((bytes, file.metadata()?.permissions().mode() & 0o7777)))
    };
    read().with_context(|| format!("cannot read {}", shown(path)))
}

fn activated(name: &OsStr, old: &[u8], from: &[&Path], to: &Path) -> Option<Vec<u8>> {
    from.iter().fold(None, |new, from| activate::moved(name, new.as_deref().unwrap_or(old), from, to).or(new))
}

fn interpreted(old: &[u8], venv: &Path, from: &[&Path], to: &Path) -> Option<Vec<u8>> {
    let script = shebang::parse(old)?;
    let name = script.interpreter.file_name()?;
    let is_outside = from.contains(&&*script.interpreter);
    if !is_outside && !from.contains(&root_of(&script.interpreter)?) {
        return None;
    }
    // A copy for another minor version may have no such name.
    let is_ours = !is_outside && venv.join("bin").join(name).symlink_metadata().is_ok();
    let name = if is_ours { name } else { OsStr::new("python") };
    Some(script.with(&to.join("bin").join(name)))
}

fn command(venv: &Path, from: &[&Path], to: &Path) -> anyhow::Result<Option<Edit>> {
    let path = PathBuf::from("pyvenv.cfg");
    let Content::File { bytes, mode } = content(&venv.join(&path)).context("cannot read pyvenv.cfg")? else { return Ok(None) };
    let mut cfg = Cfg::parse(&bytes);
    let Some(command) = cfg.get("command") else { return Ok(None) };
    let Some(old) = from.iter().find(|from| ends_with_word(command, from.as_os_str().as_bytes())) else { return Ok(None) };
    let kept = &command[..command.len() - old.as_os_str().len()];
    let new = [kept, to.as_os_str().as_bytes()].concat();
    cfg.set("command", &new);
    Ok(Some(Edit { path, content: Content::File { bytes: cfg.render(), mode } }))
}

fn ends_with_word(text: &[u8], word: &[u8]) -> bool {
    text.strip_suffix(word).is_some_and(|before| before.ends_with(b" "))
}

/// The places where the environment in the folder `venv` says that it stands and where `stands` is not: the shebangs of scripts that
/// a distribution brought, `VIRTUAL_ENV` in activate, the path that it was made at. A script of a person's own is no evidence.
///
/// # Errors
/// `bin` cannot be read.
pub(crate) fn stale_roots(venv: &Path, stands: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut roots = BTreeSet::new();
    for path in layout::scripts(venv).with_context(|| format!("cannot list {}", shown(&venv.join("bin"))))? {
        let Some((bytes, _)) = script(&venv.join(&path))? else { continue };
        if path.file_name() == Some(OsStr::new("activate")) {
            roots.extend(activate::root(&bytes));
        } else if let Some(header) = shebang::parse(&bytes) {
            roots.extend(root_of(&header.interpreter).filter(|root| is_or_was_environment(root)).map(Path::to_owned));
        }
    }
    roots.extend(Cfg::read(venv).context("cannot read pyvenv.cfg")?.get("command").and_then(made_at));
    Ok(roots.into_iter().filter(|root| !is_same(root, stands)).collect())
}

/// `/srv/app/.venv` of `/srv/app/.venv/bin/python3`.
fn root_of(interpreter: &Path) -> Option<&Path> {
    interpreter.parent().filter(|bin| bin.ends_with("bin")).and_then(Path::parent)
}

/// A shebang of `/usr/bin/python3` is somebody's intention; one of a folder that is gone, or of another environment, is not.
fn is_or_was_environment(root: &Path) -> bool {
    !root.join("bin").exists() || root.join("pyvenv.cfg").exists()
}

/// The path at the end of `PYTHON -m venv [FLAGS] PATH`, which may hold spaces.
fn made_at(command: &[u8]) -> Option<PathBuf> {
    let at = shebang::find(command, b" -m venv ").or_else(|| shebang::find(command, b" -m virtualenv "))?;
    let from = shebang::find(&command[at..], b" /")? + at + 1;
    Some(layout::path(&command[from..]).to_owned())
}

/// Whether two paths name one folder: symlinks, bind mounts and macOS firmlinks give it several spellings.
fn is_same(a: &Path, b: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    a == b || a.metadata().ok().zip(b.metadata().ok()).is_some_and(|(a, b)| (a.dev(), a.ino()) == (b.dev(), b.ino()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::io::Write as _;

    fn write(path: &Path, text: &str) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::File::create(path).unwrap().write_all(text.as_bytes()).unwrap();
    }

    #[test]
    fn what_may_be_larger_than_memory_is_left_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let venv = folder.path().join(".venv");
        for name in ["app", "script"] {
            write(&venv.join("bin").join(name), "#!/old/.venv/bin/python\n");
        }
        fs::OpenOptions::new().write(true).open(venv.join("bin/app")).unwrap().set_len(LONGEST + 1).unwrap();
        let edits = edits(&venv, &[Path::new("/old/.venv")], &venv).unwrap();
        assert_eq!(edits.iter().map(|edit| edit.path.as_path()).collect::<Vec<_>>(), [Path::new("bin/script")]);
    }

    #[test]
    fn a_moved_environment_says_where_it_is_and_its_record_agrees() {
        let folder = tempfile::tempdir().unwrap();
        let venv = folder.path().join("new place/.venv");
        let info = venv.join("lib/python3.12/site-packages/flask-3.0.dist-info");
        write(&venv.join("bin/flask"), "#!/old/.venv/bin/python\nimport flask\n");
        write(&venv.join("bin/mine"), "#!/usr/bin/python3\n");
        write(&venv.join("bin/activate"), "VIRTUAL_ENV=\"/old/.venv\"\n");
        write(&venv.join("pyvenv.cfg"), "home = /usr/bin\ncommand = /usr/bin/python3 -m venv --copies /old/.venv\n");
        write(&info.join("RECORD"), "flask/__init__.py,,\n");

        let stale = stale_roots(&venv, &venv).unwrap();
        assert_eq!(stale, [PathBuf::from("/old/.venv")]);
        rewrite(&venv, &[&stale[0]], &venv).unwrap();

        let read = |name: &str| fs::read_to_string(venv.join(name)).unwrap();
        let root = venv.to_str().unwrap();
        assert_eq!(read("bin/flask"), format!("#!/bin/sh\n'''exec' '{root}/bin/python' \"$0\" \"$@\"\n' '''\nimport flask\n"));
        assert_eq!(read("bin/mine"), "#!/usr/bin/python3\n");
        assert_eq!(read("bin/activate"), format!("VIRTUAL_ENV=\"{root}\"\n"));
        assert_eq!(read("pyvenv.cfg"), format!("home = /usr/bin\ncommand = /usr/bin/python3 -m venv --copies {root}\n"));
        assert_eq!(stale_roots(&venv, &venv).unwrap(), [] as [PathBuf; 0]);
    }

    #[test]
    fn scripts_that_were_written_for_an_interpreter_outside_start_the_environments_own() {
        let folder = tempfile::tempdir().unwrap();
        let venv = folder.path();
        write(&venv.join("pyvenv.cfg"), "home = /usr/bin\n");
        write(&venv.join("bin/python3.12"), "");
        write(&venv.join("bin/flask"), "#!/usr/bin/python3.12\nimport flask\n");
        write(&venv.join("bin/mine"), "#!/usr/bin/python3\n");
        rewrite(venv, &[Path::new("/usr/bin/python3.12")], Path::new("/srv/.venv")).unwrap();
        assert_eq!(fs::read_to_string(venv.join("bin/flask")).unwrap(), "#!/srv/.venv/bin/python\nimport flask\n");
        assert_eq!(fs::read_to_string(venv.join("bin/mine")).unwrap(), "#!/usr/bin/python3\n");
    }
}
