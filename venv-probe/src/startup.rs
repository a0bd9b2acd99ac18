//! The code that an environment runs at every start of Python, before any program: `.pth` import lines and site customisation
//! (docs.python.org/3/library/site.html). Environments that share a base and this code can be proven by one start.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use contract::path::Subject;
use contract::venv::Repair;
use sha2::{Digest as _, Sha256};

use crate::catalogue::startup as catalogue;
use crate::findings::Findings;
use crate::packages::{Dist, Installed};

/// What start-up executes in one environment.
#[derive(Debug, Default)]
pub(crate) struct Startup {
    /// Digest of everything that is executed; equal digests run equal code.
    pub(crate) digest: [u8; 32],
    /// It reaches code that is not pinned down by the digest (a whole package), so only a start of its own proves anything.
    pub(crate) solitary: bool,
    /// The files that execute something, for a person who must find out which one hangs.
    pub(crate) files: Vec<PathBuf>,
}

/// Reads what start-up will execute in these site folders.
pub(crate) fn read(sites: &[PathBuf]) -> Startup {
    let mut reader = Reader::default();
    let mut folders = sites.to_vec();
    for site in sites {
        folders.extend(reader.pth_files(site));
    }
    for folder in &folders {
        for name in ["sitecustomize", "usercustomize"] {
            reader.module(folder, name);
        }
    }
    let Reader { hash, solitary, files } = reader;
    Startup { digest: hash.finalize().into(), solitary, files }
}

#[derive(Default)]
struct Reader {
    hash: Sha256,
    solitary: bool,
    files: Vec<PathBuf>,
}

impl Reader {
    /// Reads every `.pth` file of a folder in the order of `site`; returns the folders that they add to the path.
    fn pth_files(&mut self, site: &Path) -> Vec<PathBuf> {
        let Ok(entries) = fs::read_dir(site) else { return Vec::new() };
        let names: HashSet<String> = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect();
        let mut ordered: Vec<&String> = names.iter().filter(|name| has_extension(name, "pth") && !name.starts_with('.')).collect();
        ordered.sort();
        let mut added = Vec::new();
        for name in ordered {
            let path = site.join(name);
            let Ok(bytes) = fs::read(&path) else { continue };
            for line in String::from_utf8_lossy(&bytes).lines() {
                if line.starts_with("import ") || line.starts_with("import\t") {
                    self.executes(line, site, &names);
                    if self.files.last() != Some(&path) {
                        self.files.push(path.clone());
                    }
                } else if !line.trim().is_empty() && !line.starts_with('#') {
                    added.push(site.join(line.trim_end()));
                }
            }
        }
        added
    }

    /// Takes in one piece of code, and whatever it names that lies in the folder beside it.
    fn executes(&mut self, code: &str, site: &Path, names: &HashSet<String>) {
        self.take(code.as_bytes());
        for word in code.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty()) {
            let file = format!("{word}.py");
            if names.contains(&file) {
                self.file(&site.join(file));
            } else if word == "_distutils_hack" {
                // setuptools' shim only sets a hook, which is all in this one file.
                self.file(&site.join("_distutils_hack/__init__.py"));
            } else if names.contains(word) {
                self.solitary = true;
            }
        }
    }

    fn module(&mut self, folder: &Path, name: &str) {
        let file = folder.join(format!("{name}.py"));
        if let Ok(bytes) = fs::read(&file) {
            self.take(&bytes);
            self.solitary |= imports(&String::from_utf8_lossy(&bytes), folder);
            self.files.push(file);
        } else if folder.join(name).is_dir() {
            self.solitary = true;
            self.files.push(folder.join(name));
        }
    }

    fn file(&mut self, path: &Path) {
        // A file that is not there is part of what is executed, too: the import fails.
        self.take(fs::read(path).as_deref().unwrap_or(b"\0missing"));
    }

    fn take(&mut self, bytes: &[u8]) {
        self.hash.update((bytes.len() as u64).to_le_bytes());
        self.hash.update(bytes);
    }
}

/// Whether a customisation imports anything from the folder it lies in.
fn imports(code: &str, folder: &Path) -> bool {
    code.lines().map(str::trim_start).filter(|line| line.starts_with("import ") || line.starts_with("from ")).any(|line| {
        let words = line.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty());
        words.skip(1).any(|word| folder.join(word).is_dir() || folder.join(format!("{word}.py")).exists())
    })
}

fn has_extension(name: &str, extension: &str) -> bool {
    Path::new(name).extension().is_some_and(|found| found == extension)
}

/// Reads from the messages of an interpreter that did start what went wrong on the way (`site.addpackage`, `site.execsitecustomize`).
/// `theirs` is the environment that was started, `ours` the one to speak of, with its start-up code.
pub(crate) fn complaints(stderr: &str, theirs: &Path, ours: &Path, startup: &Startup, found: &mut Findings) {
    let lines: Vec<&str> = stderr.lines().collect();
    for (at, line) in lines.iter().enumerate() {
        if let Some(rest) = line.strip_prefix("Error processing line ")
            && let Some((number, file)) = rest.trim_end_matches(':').split_once(" of ")
        {
            let file = Path::new(file).strip_prefix(theirs).map_or_else(|_| PathBuf::from(file), |below| ours.join(below));
            let why = reason(&lines[at..]).unwrap_or("it raises an error");
            found.add(
                &catalogue::PTH_BROKEN,
                format!("line {number} of {} fails at every start: {why}", contract::path::shown(&file)),
                Some(Subject::from(&file)),
            );
        }
        for name in ["sitecustomize", "usercustomize"] {
            if line.starts_with(&format!("Error in {name}")) {
                let why = lines.get(at + 1).map_or("", |why| why.trim());
                let file = startup.files.iter().find(|file| file.file_stem().is_some_and(|stem| stem == name));
                found.add(&catalogue::RAISES, format!("{name} fails at every start: {why}"), file.map(Subject::from));
            }
        }
    }
}

/// Says of each broken `.pth` file whose it is: its distribution can be reinstalled, and what nobody owns can go.
pub(crate) fn blame(installed: &Installed, found: &mut Findings) {
    for fault in found.faults.iter_mut().filter(|fault| fault.code == catalogue::PTH_BROKEN.code) {
        let Some(file) = &fault.evidence else { continue };
        let owner = installed.owner(file.as_path());
        fault.package = owner.map(Dist::package);
        fault.repair = Some(if owner.is_some() { Repair::Packages } else { Repair::Litter });
    }
}

/// The last line of the traceback that follows, up to site's own closing words.
fn reason<'a>(lines: &[&'a str]) -> Option<&'a str> {
    let traceback = lines.iter().skip(1).take_while(|line| !line.starts_with("Remainder of file"));
    traceback.filter(|line| !line.trim().is_empty()).last().map(|line| line.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site(files: &[(&str, &str)]) -> (tempfile::TempDir, Startup) {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            contract::replace::write(&path, text.as_bytes()).unwrap();
        }
        let startup = read(&[folder.path().to_owned()]);
        (folder, startup)
    }

    #[test]
    fn equal_code_is_one_class_wherever_it_lies() {
        let files = [("a.pth", "import _a\n"), ("_a.py", "x = 1\n")];
        let (_a, first) = site(&files);
        let (_b, second) = site(&files);
        assert_eq!(first.digest, second.digest);
        assert!(!first.solitary);
        let (_c, third) = site(&[("a.pth", "import _a\n"), ("_a.py", "x = 2\n")]);
        assert_ne!(first.digest, third.digest);
        let (_d, missing) = site(&[("a.pth", "import _a\n")]);
        assert_ne!(first.digest, missing.digest);
    }

    #[test]
    fn a_path_line_executes_nothing_but_may_lead_to_a_customisation() {
        let (_a, none) = site(&[("README", "")]);
        let (_b, path) = site(&[("a.pth", "/nowhere\n# import x\n")]);
        assert_eq!(none.digest, path.digest);
        let (folder, _) = site(&[("deep/sitecustomize.py", "print()\n"), ("a.pth", "deep\n")]);
        let startup = read(&[folder.path().to_owned()]);
        assert_eq!(startup.files, [folder.path().join("deep/sitecustomize.py")]);
    }

    #[test]
    fn code_that_reaches_a_package_is_proven_alone() {
        let (_a, startup) = site(&[("cov.pth", "import coverage; coverage.process_startup()\n"), ("coverage/__init__.py", "")]);
        assert!(startup.solitary);
        let (_b, startup) = site(&[("sitecustomize.py", "from tools import x\n"), ("tools/__init__.py", "")]);
        assert!(startup.solitary);
    }

    #[test]
    fn complaints_name_the_file_of_the_environment_that_is_spoken_of() {
        let stderr = "Error processing line 1 of /a/lib/x.pth:\n\n  Traceback (most recent call last):\n  ModuleNotFoundError: No module named 'gone'\n\nRemainder of file ignored\nError in sitecustomize; set PYTHONVERBOSE for traceback:\nRuntimeError: no\n";
        let mut found = Findings::default();
        complaints(stderr, Path::new("/a"), Path::new("/b"), &Startup::default(), &mut found);
        let texts: Vec<_> = found.faults.iter().map(|fault| fault.text.as_str()).collect();
        assert_eq!(
            texts,
            [
                "line 1 of /b/lib/x.pth fails at every start: ModuleNotFoundError: No module named 'gone'",
                "sitecustomize fails at every start: RuntimeError: no"
            ]
        );
    }
}
