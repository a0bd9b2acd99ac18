//! The code that an environment runs at every start of Python, before any program: `.pth` import lines and site customisation
//! (docs.python.org/3/library/site.html). Environments that share a base and this code can be proven by one start.

use std::collections::{HashMap, HashSet, VecDeque};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use contract::path::Subject;
use sha2::{Digest as _, Sha256};

use crate::bounded;
use crate::catalogue::interpreter;
use crate::findings::Findings;
use crate::pyc;
use crate::reach::{is_open_ended, named, words};

/// No start-up file that people write is longer, in bytes.
const LONGEST: usize = 1 << 20;

/// Modules that `site` imports by itself.
const CUSTOMISATIONS: [&str; 2] = ["sitecustomize", "usercustomize"];

/// What start-up executes in one environment.
#[derive(Debug, Default)]
pub(crate) struct Startup {
    /// Digest of everything that is executed; equal digests run equal code.
    pub(crate) digest: [u8; 32],
    /// It reaches code that the digest does not pin down, so only a start of its own proves anything.
    pub(crate) solitary: bool,
    /// It may execute what it does not name, anywhere in the folders that modules come from.
    pub(crate) boundless: bool,
    /// The files that execute something, for a person who must find out which one hangs.
    pub(crate) files: Vec<PathBuf>,
    /// Everything that was read, and the folders that come onto the path: whoever can write there decides what runs.
    pub(crate) reached: Vec<PathBuf>,
    /// The folders that modules come from.
    pub(crate) folders: Vec<PathBuf>,
    /// The absolute paths that stand in the code: it may execute what lies there.
    pub(crate) named: Vec<PathBuf>,
    /// What Python would read and we could not.
    pub(crate) unreadable: Vec<(PathBuf, io::Error)>,
}

/// Reads what start-up will execute in these site folders.
pub(crate) fn read(sites: &[PathBuf]) -> Startup {
    let mut reader = Reader::default();
    for site in sites {
        reader.list(site);
        reader.site(site);
    }
    // Only now is it known which folders a module can come from.
    reader.lines();
    for name in CUSTOMISATIONS {
        reader.import(name, true);
    }
    reader.modules();
    let Reader { hash, startup, folders, .. } = reader;
    let folders = folders.into_iter().map(|folder| folder.path).collect();
    Startup { digest: hash.finalize().into(), boundless: startup.boundless || startup.solitary, folders, ..startup }
}

/// A folder that modules come from, with its names by what stands before their first dot.
struct Folder {
    path: PathBuf,
    names: HashMap<Vec<u8>, Vec<OsString>>,
}

#[derive(Default)]
struct Reader {
    hash: Sha256,
    startup: Startup,
    folders: Vec<Folder>,
    /// Names that were looked for.
    imported: HashSet<String>,
    /// Lines that were found in `.pth` files and not yet looked into.
    lines: VecDeque<String>,
    /// The same of modules: one can lead to the next without an end.
    modules: VecDeque<(PathBuf, String)>,
    taken: HashSet<PathBuf>,
}

impl Reader {
    /// Returns whether it is a new one.
    fn list(&mut self, folder: &Path) -> bool {
        if self.folders.iter().any(|known| known.path == folder) {
            return false;
        }
        let mut names: HashMap<Vec<u8>, Vec<OsString>> = HashMap::new();
        // What is not there, or no folder, holds no module.
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            names.entry(stem(&entry.file_name()).to_owned()).or_default().push(entry.file_name());
        }
        self.folders.push(Folder { path: folder.to_owned(), names });
        true
    }

    /// Takes a folder for one whose `.pth` files are heeded.
    fn site(&mut self, folder: &Path) {
        for file in self.pth_files(folder) {
            let lines = self.pth(folder, &file);
            self.lines.extend(lines);
        }
    }

    fn lines(&mut self) {
        while let Some(line) = self.lines.pop_front() {
            self.execute(&line, true);
        }
    }

    /// In the order of `site`, hidden ones included: some versions read those.
    fn pth_files(&mut self, site: &Path) -> Vec<PathBuf> {
        let names = self.folders.iter().filter(|folder| folder.path == site).flat_map(|folder| folder.names.values().flatten());
        let mut files: Vec<PathBuf> = names.filter(|name| name.as_bytes().ends_with(b".pth")).map(|name| site.join(name)).collect();
        files.sort();
        // What a name that is no text, or a hidden one, does depends on the version.
        self.startup.solitary |=
            files.iter().any(|file| file.file_name().and_then(|name| name.to_str()).is_none_or(|name| name.starts_with('.')));
        files
    }

    /// The lines of a `.pth` file that are executed; its other lines bring folders onto the path.
    fn pth(&mut self, site: &Path, file: &Path) -> Vec<String> {
        let Some(bytes) = self.bytes(file) else { return Vec::new() };
        let Some(text) = std::str::from_utf8(&bytes).ok().filter(|text| !text.contains(is_other_newline)) else {
            self.startup.solitary = true;
            self.startup.files.push(file.to_owned());
            return Vec::new();
        };
        let mut code = Vec::new();
        for line in text.lines() {
            if line.starts_with("import ") || line.starts_with("import\t") {
                code.push(line.to_owned());
            } else if !line.trim().is_empty() && !line.starts_with('#') {
                let folder = site.join(line.trim_end());
                self.startup.reached.push(folder.clone());
                self.list(&folder);
            }
        }
        if !code.is_empty() {
            self.startup.files.push(file.to_owned());
        }
        code
    }

    /// Takes in one piece of code, and every module that it could name and that lies on the path. Names in strings and comments
    /// count, too: too much is taken in rather than too little.
    fn execute(&mut self, code: &str, surely: bool) {
        self.take(code.as_bytes());
        let adds_sites = code.contains("addsitedir");
        let adds_folders = adds_sites || code.contains("sys.path");
        self.startup.solitary |= adds_folders;
        self.startup.boundless |= is_open_ended(code);
        for path in named(code).filter(|path| surely || path.exists()) {
            if adds_folders && path.is_dir() && self.list(&path) && adds_sites {
                self.site(&path);
            }
            self.startup.named.push(path);
        }
        for word in words(code) {
            if self.imported.insert(word.to_owned()) {
                self.import(word, false);
            }
        }
    }

    /// Finds a module. If it is a single file of source, that is all there is to it; anything else is beyond the digest.
    fn import(&mut self, name: &str, by_itself: bool) {
        let mut found = Vec::new();
        for folder in &self.folders {
            let entries = folder.names.get(name.as_bytes()).into_iter().flatten().filter(|entry| !entry.as_bytes().ends_with(b".pth"));
            let is_source: Vec<bool> = entries.map(|entry| entry.as_bytes() == [name.as_bytes(), b".py"].concat()).collect();
            match name {
                _ if is_source.is_empty() => {}
                // It only sets a hook, which is all in this one file.
                "_distutils_hack" => found.push(folder.path.join("_distutils_hack/__init__.py")),
                _ if is_source.iter().all(|yes| *yes) => found.push(folder.path.join(format!("{name}.py"))),
                _ => {
                    self.startup.solitary = true;
                    found.push(folder.path.join(name));
                }
            }
        }
        for file in found {
            if by_itself {
                self.startup.files.push(file.clone());
            }
            self.startup.reached.push(file.clone());
            self.modules.extend(file.extension().is_some_and(|ending| ending == "py").then(|| (file, name.to_owned())));
        }
    }

    fn modules(&mut self) {
        while let Some((file, name)) = self.modules.pop_front() {
            if self.taken.insert(file.clone()) {
                self.module(&file, &name);
                self.lines();
            }
        }
    }

    fn module(&mut self, file: &Path, name: &str) {
        // Once the digest does not tell anyway, it is read for what it names.
        let bytes = if self.startup.solitary { bounded::read(file, LONGEST).ok() } else { self.bytes(file) };
        let Some(bytes) = bytes else { return };
        self.compiled(file);
        match String::from_utf8(bytes) {
            // These two name packages that they patch when those are imported, and import none at the start.
            Ok(code) if ["_distutils_hack", "_virtualenv"].contains(&name) => self.take(code.as_bytes()),
            Ok(code) => self.execute(&code, CUSTOMISATIONS.contains(&name)),
            Err(_) => self.startup.solitary = true,
        }
    }

    /// Takes in what was compiled from a source file, since Python executes that in its place.
    fn compiled(&mut self, source: &Path) {
        let (Some(folder), Some(name)) = (source.parent().map(|folder| folder.join("__pycache__")), source.file_name()) else { return };
        self.startup.reached.push(folder.clone());
        let entries = fs::read_dir(&folder).into_iter().flatten().flatten().map(|entry| entry.file_name());
        let mut names: Vec<OsString> = entries.filter(|entry| stem(entry) == stem(name) && entry.as_bytes().ends_with(b".pyc")).collect();
        names.sort();
        for name in names {
            if let Some(bytes) = self.bytes(&folder.join(name)) {
                self.take(&pyc::code(&bytes, source).unwrap_or_default());
            }
        }
    }

    fn bytes(&mut self, file: &Path) -> Option<Vec<u8>> {
        self.startup.reached.push(file.to_owned());
        match bounded::read(file, LONGEST) {
            Ok(bytes) => Some(bytes),
            Err(error) => {
                self.startup.solitary = true;
                self.startup.unreadable.push((file.to_owned(), error));
                None
            }
        }
    }

    fn take(&mut self, bytes: &[u8]) {
        self.hash.update((bytes.len() as u64).to_le_bytes());
        self.hash.update(bytes);
    }
}

/// What `import NAME` goes by: `NAME.py`, a folder `NAME`, an extension module `NAME.cpython-312-….so`, `NAME.pyc`.
fn stem(entry: &OsStr) -> &[u8] {
    entry.as_bytes().split(|&b| b == b'.').next().unwrap_or_default()
}

/// What some versions of Python take for the end of a line, or for an encoding mark, and others do not.
fn is_other_newline(c: char) -> bool {
    matches!(c, '\0' | '\r' | '\u{b}' | '\u{c}' | '\u{1c}'..='\u{1e}' | '\u{85}' | '\u{2028}' | '\u{2029}' | '\u{feff}')
}

/// Says which start-up files could not be read.
pub(crate) fn judge(startup: &Startup, found: &mut Findings) {
    for (file, error) in &startup.unreadable {
        let text = format!("{} cannot be read: {error}", contract::path::shown(file));
        found.add(&interpreter::UNREADABLE, text, Some(Subject::from(file)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site(files: &[(&str, &[u8])]) -> (tempfile::TempDir, Startup) {
        let folder = tempfile::tempdir().unwrap();
        for (name, bytes) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            contract::replace::write(&path, bytes).unwrap();
        }
        let startup = read(&[folder.path().to_owned()]);
        (folder, startup)
    }

    #[test]
    fn equal_code_is_one_class_wherever_it_lies() {
        let (_a, first) = site(&[("a.pth", b"import _a\n"), ("_a.py", b"import _b\n"), ("_b.py", b"x = 1\n")]);
        let (_b, second) = site(&[("a.pth", b"import _a\n"), ("_a.py", b"import _b\n"), ("_b.py", b"x = 1\n")]);
        assert_eq!((first.digest, first.solitary), (second.digest, false));
        let (_c, deeper) = site(&[("a.pth", b"import _a\n"), ("_a.py", b"import _b\n"), ("_b.py", b"x = 2\n")]);
        assert_ne!(first.digest, deeper.digest, "what a module imports counts");
        let (_d, missing) = site(&[("a.pth", b"import _a\n")]);
        assert_ne!(first.digest, missing.digest);
    }

    #[test]
    fn a_path_line_executes_nothing_but_may_lead_to_a_customisation() {
        let (_a, none) = site(&[("README", b"")]);
        let (_b, path) = site(&[("a.pth", b"/nowhere\n# import x\n")]);
        assert_eq!((none.digest, path.solitary), (path.digest, false));
        let (folder, startup) = site(&[("deep/sitecustomize.py", b"print()\n"), ("a.pth", b"deep\n")]);
        assert_eq!(startup.files, [folder.path().join("deep/sitecustomize.py")]);
        let (_c, other) = site(&[("src/boot.py", b"x = 2\n"), ("a.pth", b"src\nimport boot\n")]);
        let (_d, another) = site(&[("src/boot.py", b"x = 3\n"), ("a.pth", b"src\nimport boot\n")]);
        assert_ne!(other.digest, another.digest, "a module can come from a folder that a line added");
    }

    #[test]
    fn modules_that_lead_from_one_to_the_next_fill_no_stack() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            io::Write::write_all(&mut fs::File::create(folder.path().join(name)).unwrap(), text.as_bytes()).unwrap();
        };
        write("x.pth", "import m0\n");
        (0..20_000).for_each(|n| write(&format!("m{n}.py"), &format!("import m{}\n", n + 1)));
        let startup = read(&[folder.path().to_owned()]);
        assert_eq!((startup.solitary, startup.reached.iter().filter(|path| path.ends_with("m19999.py")).count()), (false, 2));
    }

    #[test]
    fn what_the_digest_cannot_pin_down_is_proven_alone() {
        for files in [
            &[("cov.pth", &b"import coverage; coverage.process_startup()\n"[..]), ("coverage/__init__.py", b"")][..],
            &[("sitecustomize.py", b"from tools import x\n"), ("tools/__init__.py", b"")],
            &[("sitecustomize.pyc", b"")],
            &[("sitecustomize/__init__.py", b"")],
            &[("x.pth", b"import _fast\n"), ("_fast.cpython-312-x86_64-linux-gnu.so", b"")],
            &[("x.pth", b"/srv/caf\xe9\n")],
            &[("x.pth", b"/srv/x\rimport gone\n")],
            &[("x.pth", b"\xef\xbb\xbfimport gone\n")],
            &[(".x.pth", b"import os; os._exit(3)\n")],
            &[("x.pth", b"import sys; sys.path.insert(0, '/')\n")],
        ] {
            let startup = site(files).1;
            assert!(startup.solitary && startup.boundless, "{files:?}");
        }
        let (_folder, startup) = site(&[("sitecustomize.py", b"import sys\nsys.path += ['/nowhere', \"/usr\"]\n")]);
        assert!(["/usr", "/nowhere"].iter().all(|path| startup.named.contains(&PathBuf::from(path))));
        assert!(startup.folders.contains(&PathBuf::from("/usr")));
    }

    #[test]
    fn the_hooks_of_setuptools_and_virtualenv_are_shared_by_content() {
        let hack = [
            ("distutils-precedence.pth", &b"import os; enabled = True; enabled and __import__('_distutils_hack').add_shim()\n"[..]),
            ("_distutils_hack/__init__.py", b"import setuptools\n"),
            ("setuptools/__init__.py", b""),
            ("_virtualenv.pth", b"import _virtualenv\n"),
            ("_virtualenv.py", b"'setuptools'\n"),
        ];
        let ((_a, first), (_b, second)) = (site(&hack), site(&hack));
        assert_eq!((first.digest, first.solitary), (second.digest, false));
    }
}
