//! `bin/python` judged from files: where its links lead, whether that can run here, and whether it is the Python that the packages are for.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use contract::path::{Subject, shown};

use crate::bounded;
use crate::catalogue::interpreter as catalogue;
use crate::config::Config;
use crate::findings::Findings;
use crate::layout::minor;
use crate::program::{self, Program};

/// Read at a time.
const BLOCK: usize = 64 << 10;

/// The interpreter of an environment, as far as files tell.
#[derive(Debug)]
pub(crate) struct Interpreter {
    /// `bin/python`.
    pub(crate) path: PathBuf,
    /// The file at the end of the links; `None` where they lead nowhere.
    pub(crate) real: Option<PathBuf>,
    /// Whether that file lies in the environment itself (`--copies`).
    pub(crate) copied: bool,
}

/// Judges the interpreter of `root`, whose packages are for `minors`. Where this adds no fault, only a start can tell more.
pub(crate) fn judge(root: &Path, config: Option<&Config>, minors: &BTreeSet<(u8, u8)>, deep: bool, found: &mut Findings) -> Interpreter {
    let path = root.join("bin/python");
    let before = found.faults.len();
    for name in names(root, minors) {
        resolve(&root.join("bin").join(name), found);
    }
    let real = fs::canonicalize(&path).ok();
    let copied = real.as_deref().is_some_and(|real| fs::canonicalize(root).is_ok_and(|root| real.starts_with(root)));
    let interpreter = Interpreter { path, real, copied };
    if found.faults.len() == before
        && let Some(real) = &interpreter.real
    {
        judge_file(real, found);
        judge_names(root, real, minors, deep, found);
        judge_base(&interpreter, real, config, minors, found);
    }
    interpreter
}

/// The names that programs start Python by: `python` always, the others where they are there.
fn names(root: &Path, minors: &BTreeSet<(u8, u8)>) -> Vec<String> {
    let mut names = vec!["python".to_owned()];
    let versioned = minors.iter().map(|(major, minor)| format!("python{major}.{minor}"));
    names.extend(["python3".to_owned()].into_iter().chain(versioned).filter(|name| root.join("bin").join(name).symlink_metadata().is_ok()));
    names
}

fn resolve(link: &Path, found: &mut Findings) {
    let Err(error) = fs::metadata(link) else { return };
    let end = end_of_links(link);
    let name = link.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let evidence = Some(Subject::from(&end));
    let entry = match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => &catalogue::MISSING,
        _ if error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) => &catalogue::LOOP,
        _ => {
            found.add(&catalogue::UNREADABLE, format!("bin/{name} cannot be followed: {error}"), evidence);
            return;
        }
    };
    if found.has(entry) {
        return;
    }
    let text = match entry.code {
        "interpreter-loop" => format!("the links of bin/{name} lead in a circle"),
        _ if end == link => format!("Python executable missing: there is no bin/{name}"),
        _ => format!("Python executable missing: bin/{name} points at a Python that is gone"),
    };
    found.add(entry, text, evidence);
}

/// The last path of a chain of links, whether or not anything is there; in a circle, any path of it.
fn end_of_links(link: &Path) -> PathBuf {
    let mut path = link.to_owned();
    for _ in 0..40 {
        let Ok(target) = fs::read_link(&path) else { break };
        path = path.parent().unwrap_or(Path::new("/")).join(target);
    }
    path
}

fn judge_file(real: &Path, found: &mut Findings) {
    let shown = shown(real);
    let executable = fs::metadata(real).map(|meta| meta.permissions().mode() & 0o111 != 0);
    let (entry, text) = match executable.and_then(|yes| if yes { program::kind(real).map(Some) } else { Ok(None) }) {
        Ok(Some(Program::Native | Program::Script)) => return,
        // What may be executed and not read is unusual and lawful.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return,
        Ok(None) => (&catalogue::NOT_EXECUTABLE, format!("Python not runnable: {shown} may not be executed")),
        Ok(Some(Program::Foreign)) => {
            (&catalogue::FOREIGN_PLATFORM, format!("Python not runnable: {shown} is a program for another platform"))
        }
        Ok(Some(Program::Shim)) => (&catalogue::SHIM, format!("bin/python leads to the shim {shown}, which leaves the environment")),
        Ok(Some(Program::Nothing)) => (&catalogue::NOT_A_PROGRAM, format!("Python not runnable: {shown} is empty or no program")),
        Err(error) => (&catalogue::UNREADABLE, format!("{shown} cannot be read: {error}")),
    };
    found.add(entry, text, Some(Subject::from(real)));
}

/// All names must start the same Python. Beside a copy there may be further copies.
fn judge_names(root: &Path, real: &Path, minors: &BTreeSet<(u8, u8)>, deep: bool, found: &mut Findings) {
    for name in names(root, minors) {
        let path = root.join("bin").join(&name);
        let (Ok(python), Ok(other)) = (fs::metadata(real), fs::metadata(&path)) else { continue };
        let is_same = (other.dev(), other.ino()) == (python.dev(), python.ino());
        // What may be executed and not read is unusual and lawful.
        if !is_same && (other.len() != python.len() || !is_copy(&path, real, deep).unwrap_or(true)) {
            let end = fs::canonicalize(&path).unwrap_or(path);
            let text = format!("bin/{name} leads to {}, and bin/python to {}", shown(&end), shown(real));
            found.add(&catalogue::NAMES_DIFFER, text, Some(Subject::from(&end)));
            return;
        }
    }
}

/// Whether a file of the same length is the same program: by its head, since programs have many megabytes, or by all of it.
fn is_copy(path: &Path, real: &Path, deep: bool) -> io::Result<bool> {
    let (mut ours, mut theirs) = (vec![0; BLOCK], vec![0; BLOCK]);
    let (mut path, mut real) = (bounded::open(path)?, bounded::open(real)?);
    loop {
        let (length, other) = (bounded::fill(&mut path, &mut ours)?, bounded::fill(&mut real, &mut theirs)?);
        if ours[..length] != theirs[..other] {
            return Ok(false);
        }
        if length == 0 || !deep {
            return Ok(true);
        }
    }
}

fn judge_base(interpreter: &Interpreter, real: &Path, config: Option<&Config>, minors: &BTreeSet<(u8, u8)>, found: &mut Findings) {
    let Some(version) = real.file_name().and_then(minor).or_else(|| minors.first().copied().filter(|_| interpreter.copied)) else { return };
    if !minors.is_empty() && !minors.contains(&version) {
        minor_moved(version, minors, real, found);
        return;
    }
    let bin = if interpreter.copied { config.and_then(|config| config.home.as_deref()) } else { real.parent() };
    let Some(library) = bin.and_then(Path::parent).and_then(|prefix| library(prefix, version)) else { return };
    if !library.join("encodings").exists() {
        let text = format!("Python imports broken: the standard library in {} has no `encodings`", shown(&library));
        found.add(&catalogue::STDLIB_MISSING, text, Some(Subject::from(&library)));
    }
}

/// Says that the interpreter is of another minor version than the packages.
pub(crate) fn minor_moved(version: (u8, u8), minors: &BTreeSet<(u8, u8)>, real: &Path, found: &mut Findings) {
    let was: Vec<String> = minors.iter().map(|(major, minor)| format!("{major}.{minor}")).collect();
    let text = format!(
        "the interpreter is Python {}.{}, the packages are for {}: none of them can be seen",
        version.0,
        version.1,
        was.join(" and ")
    );
    found.add(&catalogue::MINOR_MOVED, text, Some(Subject::from(real)));
}

/// The standard library's folder of an installation, where it is in a usual place: `lib` or Fedora's `lib64`.
/// A build that keeps it elsewhere (or in a zip) is not judged by this.
fn library(prefix: &Path, (major, minor): (u8, u8)) -> Option<PathBuf> {
    let name = format!("python{major}.{minor}");
    let (lib64, lib) = (prefix.join("lib64").join(&name), prefix.join("lib").join(&name));
    [lib64, lib]
        .into_iter()
        .find(|folder| folder.join("encodings").exists())
        .or_else(|| Some(prefix.join("lib").join(&name)).filter(|folder| folder.is_dir()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    /// An environment whose `bin/python` leads to `base/bin/pythonX.Y`, with a standard library beside it.
    fn environment(base: &str, version: (u8, u8), encodings: bool) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let (prefix, root) = (folder.path().join(base), folder.path().join("venv"));
        let name = format!("python{}.{}", version.0, version.1);
        fs::create_dir_all(root.join("bin")).unwrap();
        fs::create_dir_all(prefix.join("bin")).unwrap();
        fs::create_dir_all(prefix.join("lib").join(&name).join(if encodings { "encodings" } else { "json" })).unwrap();
        fs::copy("/bin/true", prefix.join("bin").join(&name)).unwrap();
        symlink(prefix.join("bin").join(&name), root.join("bin/python")).unwrap();
        (folder, root)
    }

    fn codes(root: &Path, minors: &[(u8, u8)]) -> Vec<String> {
        let mut found = Findings::default();
        judge(root, None, &minors.iter().copied().collect(), false, &mut found);
        found.faults.into_iter().map(|fault| fault.code).collect()
    }

    #[test]
    fn bases_of_macos_and_linux_are_judged_by_their_layout() {
        for base in [
            "Library/Frameworks/Python.framework/Versions/3.12",
            "opt/homebrew/Cellar/python@3.12/3.12.7/Frameworks/Python.framework/Versions/3.12",
            "usr",
        ] {
            let (_kept, root) = environment(base, (3, 12), true);
            assert!(codes(&root, &[(3, 12)]).is_empty(), "{base}");
            assert_eq!(codes(&root, &[(3, 11)]), ["minor-version-moved"], "{base}");
            let (_kept, root) = environment(base, (3, 12), false);
            assert_eq!(codes(&root, &[(3, 12)]), ["stdlib-missing"], "{base}");
        }
    }

    #[test]
    fn every_name_must_lead_to_the_same_python() {
        let (folder, root) = environment("usr", (3, 12), true);
        symlink("python", root.join("bin/python3")).unwrap();
        fs::copy("/bin/true", root.join("bin/python3.12")).unwrap();
        assert!(codes(&root, &[(3, 12)]).is_empty());
        fs::remove_file(root.join("bin/python3")).unwrap();
        symlink(folder.path().join("other"), root.join("bin/python3")).unwrap();
        contract::replace::write(&folder.path().join("other"), b"\x7fELF").unwrap();
        assert_eq!(codes(&root, &[(3, 12)]), ["interpreter-names-differ"]);
    }

    #[test]
    fn a_copy_of_the_same_length_is_looked_into() {
        let (_folder, root) = environment("usr", (3, 12), true);
        let real = fs::canonicalize(root.join("bin/python")).unwrap();
        let (copy, whole) = (root.join("bin/python3"), fs::read(&real).unwrap());
        let judged = |bytes: &[u8], deep: bool| {
            contract::replace::write(&copy, bytes).unwrap();
            let mut found = Findings::default();
            judge_names(&root, &real, &BTreeSet::new(), deep, &mut found);
            found.has(&catalogue::NAMES_DIFFER)
        };
        assert!(!judged(&whole, true));
        assert!(judged(&vec![0; whole.len()], false), "what a power cut leaves");
        let mut torn = [&whole[..], &vec![1; 2 * BLOCK]].concat();
        contract::replace::write(&real, &torn).unwrap();
        *torn.last_mut().unwrap() = 0;
        assert!(!judged(&torn, false) && judged(&torn, true), "its end is looked at by a deep look");
    }

    #[test]
    fn a_removed_cellar_is_named_as_the_evidence() {
        let (folder, root) = environment("opt/homebrew/Cellar/python@3.12/3.12.7", (3, 12), true);
        fs::remove_dir_all(folder.path().join("opt")).unwrap();
        let mut found = Findings::default();
        judge(&root, None, &BTreeSet::new(), false, &mut found);
        let evidence = found.faults[0].evidence.as_ref().unwrap().as_path().to_owned();
        assert!(evidence.ends_with("opt/homebrew/Cellar/python@3.12/3.12.7/bin/python3.12"), "{evidence:?}");
    }
}
