//! Distributions that can be had nowhere any more, carried over from the broken environment: a local build, a private index that is
//! gone, no network. Only what every hash in its RECORD proves to be as it was installed.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use contract::path::shown;
use rustix::system::uname;
use sha2::{Digest as _, Sha256};

use super::dist::{Dist, read_text};
use super::trust::{Entry, record};
use crate::layout::normal;

/// The files of a distribution of the environment `old`, relative to it, every one proven; bytecode is left out.
///
/// # Errors
/// It is not as it was installed, is for another machine, or is no copy of its own but a link to a source tree.
pub(super) fn proven(old: &Path, dist: &Dist) -> anyhow::Result<Vec<PathBuf>> {
    let is_editable = dist.origin.as_ref().and_then(|origin| origin.dir_info.as_ref()).is_some_and(|info| info.editable);
    ensure!(!is_editable, "it is imported from a source tree");
    ensure!(is_for_here(&dist.info), "it was built for another machine");
    let entries = record(&dist.info).context("it has no RECORD")?;
    entries.iter().filter_map(|entry| proven_file(old, &dist.info, entry).transpose()).collect()
}

/// Copies these files to the environment `new`, which has the same minor version.
///
/// # Errors
/// One cannot be written.
pub(super) fn over(old: &Path, new: &Path, files: &[PathBuf]) -> anyhow::Result<()> {
    files
        .iter()
        .try_for_each(|file| copy(&old.join(file), &new.join(file)).with_context(|| format!("cannot copy {}", shown(&old.join(file)))))
}

/// The file of one entry, relative to the environment; `None` for bytecode, which is made anew.
fn proven_file(old: &Path, info: &Path, entry: &Entry) -> anyhow::Result<Option<PathBuf>> {
    let path = normal(&info.parent().unwrap_or(info).join(&entry.path));
    if path.extension().is_some_and(|ending| ending == "pyc") {
        return Ok(None);
    }
    let inside = path.strip_prefix(old).with_context(|| format!("{} lies outside", shown(&path)))?;
    // A folder on the way may be a link.
    let real = path.parent().and_then(|folder| folder.canonicalize().ok()).zip(old.canonicalize().ok());
    ensure!(real.is_some_and(|(folder, root)| folder.starts_with(root)), "{} is not there", shown(&path));
    ensure!(fs::symlink_metadata(&path).is_ok_and(|found| found.is_file()), "{} is not there", shown(&path));
    ensure!(path == info.join("RECORD") || hash(&path)? == entry.hash, "{} is not as it was installed", shown(&path));
    Ok(Some(inside.to_owned()))
}

/// The SHA-256 of a file, as a RECORD has it.
pub(super) fn hash(path: &Path) -> anyhow::Result<String> {
    let mut hasher = Sha256::new();
    let mut file = fs::File::open(path).with_context(|| format!("cannot read {}", shown(path)))?;
    let mut buffer = vec![0; 128 << 10];
    loop {
        match io::Read::read(&mut file, &mut buffer).with_context(|| format!("cannot read {}", shown(path)))? {
            0 => return Ok(format!("sha256={}", URL_SAFE_NO_PAD.encode(hasher.finalize()))),
            read => hasher.update(&buffer[..read]),
        }
    }
}

/// Whether one of the wheel's tags (PEP 425) is of this machine; the library's folder vouches for the version of Python.
fn is_for_here(info: &Path) -> bool {
    let wheel = read_text(&info.join("WHEEL")).unwrap_or_default();
    let machine = uname();
    let (system, arch) = (machine.sysname().to_string_lossy(), machine.machine().to_string_lossy());
    let of_system = |tag: &str| if system == "Darwin" { tag.starts_with("macosx") } else { tag.contains("linux") };
    let fits =
        |platform: &str| platform == "any" || of_system(platform) && (platform.ends_with(&*arch) || platform.ends_with("universal2"));
    let tags = wheel.lines().filter_map(|line| line.strip_prefix("Tag:")?.trim().rsplit('-').next());
    tags.into_iter().flat_map(|platforms| platforms.split('.')).any(fits)
}

/// A file that another distribution has brought stays.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    if fs::symlink_metadata(to).is_ok() {
        return Ok(());
    }
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::copy(from, to).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::build::dist::installed;

    fn write(path: &Path, text: &str) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        #[expect(clippy::disallowed_methods, reason = "a test's own file")]
        fs::write(path, text).unwrap();
    }

    /// An environment with the distribution `a`, whose RECORD has these further lines.
    fn environment(root: &Path, tag: &str, lines: &str) -> Dist {
        let packages = root.join("old/lib/python3.12/site-packages");
        let info = packages.join("a-1.dist-info");
        write(&packages.join("a/__init__.py"), "x = 1\n");
        write(&root.join("old/bin/a"), "#!/old/bin/python\n");
        write(&info.join("METADATA"), "Name: a\nVersion: 1\n");
        write(&info.join("WHEEL"), &format!("Tag: py3-none-{tag}\n"));
        let line = |path: &str| format!("{path},{},\n", hash(&packages.join(path)).unwrap());
        let all: String = ["a/__init__.py", "../../../bin/a", "a-1.dist-info/METADATA", "a-1.dist-info/WHEEL"].map(line).concat();
        write(&info.join("RECORD"), &format!("{all}a/__pycache__/a.pyc,,\na-1.dist-info/RECORD,,\n{lines}"));
        installed(&packages).0.remove(0)
    }

    #[test]
    fn what_is_proven_is_carried_whole() {
        let root = tempfile::tempdir().unwrap();
        let dist = environment(root.path(), "any", "");
        let new = root.path().join("new");
        let old = root.path().join("old");
        over(&old, &new, &proven(&old, &dist).unwrap()).unwrap();
        assert_eq!(fs::read_to_string(new.join("bin/a")).unwrap(), "#!/old/bin/python\n");
        assert!(new.join("lib/python3.12/site-packages/a-1.dist-info/RECORD").is_file());
    }

    #[test]
    fn what_is_changed_foreign_missing_or_outside_is_left() {
        let lines = [
            "a/__init__.py,sha256=x,\n",
            "a/gone.py,sha256=x,\n",
            "a/__init__.py,,\n",
            "../../../../outside,sha256=x,\n",
            "/etc/passwd,,\n",
        ];
        for (tag, line) in [("win_amd64", "")].into_iter().chain(lines.map(|line| ("any", line))) {
            let root = tempfile::tempdir().unwrap();
            let dist = environment(root.path(), tag, line);
            assert!(proven(&root.path().join("old"), &dist).is_err(), "{tag} {line}");
        }
    }
}
