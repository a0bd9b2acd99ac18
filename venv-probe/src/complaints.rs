//! What start-up code complained of, and whose it is to mend.

use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use contract::path::Subject;
use contract::venv::Repair;

use crate::catalogue::startup as catalogue;
use crate::findings::Findings;
use crate::packages::{Dist, Installed};
use crate::startup::Startup;

/// Reads from the messages of an interpreter that did start what went wrong on the way (`site.addpackage`, `site.execsitecustomize`).
/// `theirs` is the environment that was started, `ours` the one to speak of, with its start-up code.
pub(crate) fn judge(stderr: &str, theirs: &Path, ours: &Path, startup: &Startup, found: &mut Findings) {
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

/// Says of each broken `.pth` file whose it is: its distribution can be reinstalled, and what a removed one left can go. What a person put
/// there is theirs to mend: it may lead to something that is only not there yet.
pub(crate) fn blame(root: &Path, installed: &Installed, found: &mut Findings) {
    for fault in found.faults.iter_mut().filter(|fault| fault.code == catalogue::PTH_BROKEN.code) {
        let Some(file) = &fault.evidence else { continue };
        let owner = installed.owner(file.as_path());
        fault.package = owner.map(Dist::package);
        fault.repair = match owner {
            Some(_) => Some(Repair::Packages),
            None => (is_of_a_tool(file.as_path()) && file.as_path().starts_with(root)).then_some(Repair::Litter),
        };
    }
}

/// Names that build back ends and setuptools give: `__editable__.widget-0.1.pth`, `_widget.pth`, `zope.interface-5-nspkg.pth`.
fn is_of_a_tool(file: &Path) -> bool {
    let name = file.file_name().unwrap_or_default().as_bytes();
    name.starts_with(b"_") || name.ends_with(b"-nspkg.pth") || name == b"distutils-precedence.pth"
}

/// The last line of the traceback that follows, up to site's own closing words.
fn reason<'a>(lines: &[&'a str]) -> Option<&'a str> {
    let traceback = lines.iter().skip(1).take_while(|line| !line.starts_with("Remainder of file"));
    traceback.filter(|line| !line.trim().is_empty()).last().map(|line| line.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn complaints_name_the_file_of_the_environment_that_is_spoken_of() {
        let stderr = "Error processing line 1 of /a/lib/x.pth:\n\n  Traceback (most recent call last):\n  ModuleNotFoundError: No module named 'gone'\n\nRemainder of file ignored\nError in sitecustomize; set PYTHONVERBOSE for traceback:\nRuntimeError: no\n";
        let mut found = Findings::default();
        judge(stderr, Path::new("/a"), Path::new("/b"), &Startup::default(), &mut found);
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
