//! Whether pip is there, whether it should be, and whether it is whole.

use std::io;
use std::path::Path;

use contract::path::{Subject, shown};
use contract::venv::Pip;

use super::{Dist, Installed};
use crate::bounded;
use crate::catalogue::interpreter::UNREADABLE;
use crate::catalogue::packages::{PIP_MISSING, PIP_MODULE_MISSING, PIP_PARTIAL};
use crate::config::Seeded;
use crate::findings::Findings;
use crate::site::Site;

/// Without these pip cannot start. What lies deeper differs from version to version.
const ESSENTIAL: [&str; 2] = ["__init__.py", "__main__.py"];
/// Since pip 10.
const INTERNAL: &str = "_internal/__init__.py";

/// Judges pip; `scripts` says whether there is a `bin/pip*`.
pub(crate) fn pip(site: &Site, installed: &Installed, seeded: Seeded, scripts: bool, found: &mut Findings) -> Pip {
    let dist = installed.find("pip");
    for module in site.folders.iter().map(|folder| folder.join("pip")) {
        match bounded::exists(&module) {
            Ok(true) if module.is_dir() => return whole_or_partial(&module, dist, found),
            Ok(_) => {}
            Err(error) => return unknown(&module, &error, found),
        }
    }
    if dist.is_some_and(Dist::is_editable) || site.inherited.iter().any(|folder| folder.join("pip/__main__.py").is_file()) {
        return Pip::Present;
    }
    let (entry, text, evidence) = match dist {
        Some(dist) => (&PIP_PARTIAL, "pip is recorded as installed, and its module is gone", dist.info.clone()),
        None if scripts => (&PIP_MODULE_MISSING, "bin/pip is there, and the module that it starts is gone", site.root.join("bin/pip")),
        None if seeded == Seeded::Yes => (&PIP_MISSING, "pip is gone; the environment was made with it", site.root.join("pyvenv.cfg")),
        None => return Pip::AbsentByDesign,
    };
    found.add(entry, text, Some(Subject::from(&evidence)));
    Pip::Missing
}

fn whole_or_partial(module: &Path, dist: Option<&Dist>, found: &mut Findings) -> Pip {
    let version = dist.and_then(|dist| dist.version.as_deref()?.split('.').next()?.parse::<u32>().ok());
    let internal = version.is_none_or(|version| version >= 10).then_some(INTERNAL);
    for file in ESSENTIAL.into_iter().chain(internal) {
        let path = module.join(file);
        match bounded::exists(&path) {
            Ok(true) => {}
            Ok(false) => {
                found.add(&PIP_PARTIAL, format!("pip lacks pip/{file} and cannot start"), Some(Subject::from(&path)));
                return Pip::Missing;
            }
            Err(error) => return unknown(&path, &error, found),
        }
    }
    Pip::Present
}

/// There is something that may not be looked at: more than that is not claimed.
fn unknown(path: &Path, error: &io::Error, found: &mut Findings) -> Pip {
    found.add(
        &UNREADABLE,
        format!("whether pip is whole is not known: {} cannot be read: {error}", shown(path)),
        Some(Subject::from(path)),
    );
    Pip::Present
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn judged(files: &[&str], seeded: Seeded, scripts: bool) -> (Pip, Vec<String>) {
        let root = tempfile::tempdir().unwrap();
        for file in files {
            fs::create_dir_all(root.path().join(file).parent().unwrap()).unwrap();
            fs::File::create(root.path().join(file)).unwrap();
        }
        let site = Site {
            root: root.path(),
            folders: vec![root.path().into()],
            inherited: vec![],
            minor: (3, 12),
            version: "3.12.1".into(),
            implementation: "cpython".into(),
        };
        let mut found = Findings::default();
        let pip = pip(&site, &super::super::scan(&site), seeded, scripts, &mut found);
        (pip, found.faults.into_iter().map(|fault| fault.code).collect())
    }

    const WHOLE: [&str; 3] = ["pip/__init__.py", "pip/__main__.py", "pip/_internal/__init__.py"];

    #[test]
    fn pip_is_there_or_was_never_wanted() {
        assert_eq!(judged(&WHOLE, Seeded::No, false), (Pip::Present, vec![]));
        assert_eq!(judged(&[&WHOLE[..2], &["pip-9.0.1.dist-info/METADATA"]].concat(), Seeded::Yes, true), (Pip::Present, vec![]));
        assert_eq!(judged(&[], Seeded::No, false), (Pip::AbsentByDesign, vec![]));
        assert_eq!(judged(&[], Seeded::Unknown, false), (Pip::AbsentByDesign, vec![]));
    }

    #[test]
    fn what_is_left_of_pip_tells_how_it_went() {
        let cases: [(&[&str], Seeded, bool, &str); 4] = [
            (&[], Seeded::Yes, false, "pip-missing"),
            (&[], Seeded::Unknown, true, "pip-missing-module"),
            (&WHOLE[..2], Seeded::No, false, "pip-partial"),
            (&["pip-24.0.dist-info/METADATA"], Seeded::Yes, true, "pip-partial"),
        ];
        for (files, seeded, scripts, code) in cases {
            assert_eq!(judged(files, seeded, scripts), (Pip::Missing, vec![code.to_owned()]));
        }
    }
}
