//! Editable installs: what leads Python from site-packages to a project's sources, and whether it still leads anywhere.

use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use contract::path::{Subject, shown};
use contract::venv::Repair;

use super::{Dist, Installed, Kind, name};
use crate::bounded::text;
use crate::catalogue::packages::EDITABLE_GONE;
use crate::findings::Findings;

/// Looks for editable installs whose sources are gone.
pub(super) fn judge(installed: &Installed, found: &mut Findings) {
    for dist in installed.dists.iter().filter(|dist| dist.is_editable()) {
        if let Some(target) = targets(dist, installed).into_iter().find(|target| is_gone(target)) {
            report(dist, &target, found);
        }
    }
}

fn report(dist: &Dist, gone: &Path, found: &mut Findings) {
    let text = format!("{} runs from {}, which is gone", dist.title(), shown(gone));
    let finding = found.add(&EDITABLE_GONE, text, Some(Subject::from(gone)));
    finding.package = Some(dist.package());
    let project = dist.source.as_ref().and_then(super::Source::path);
    finding.repair = project.is_some_and(|project| project.is_dir()).then_some(Repair::Packages);
}

/// The project itself first, then what the files of the install lead to.
fn targets(dist: &Dist, installed: &Installed) -> Vec<PathBuf> {
    let mut targets: Vec<_> = dist.source.as_ref().and_then(super::Source::path).into_iter().collect();
    if dist.kind == Kind::EggLink {
        targets.extend(link_target(&dist.info));
    }
    for pth in installed.pth.iter().filter(|pth| belongs(dist, pth)) {
        targets.extend(added_paths(pth));
    }
    for finder in installed.finders.iter().filter(|finder| belongs(dist, finder)) {
        targets.extend(mapped_paths(&text(finder).unwrap_or_default()));
    }
    targets
}

/// Whether a file has the name that build back ends give to what makes this distribution editable.
pub(super) fn belongs(dist: &Dist, file: &Path) -> bool {
    let Some(stem) = file.file_stem().and_then(|stem| stem.to_str()) else { return false };
    let version = dist.version.as_deref().map_or_else(String::new, name::normal);
    let stem = match (stem.strip_prefix("__editable__"), file.extension().is_some_and(|extension| extension == "py")) {
        // setuptools: `__editable__.widget-0.1.pth` and `__editable___widget_0_1_finder.py`.
        (Some(stem), false) => stem.trim_start_matches('.'),
        (Some(stem), true) => stem.strip_suffix("_finder").unwrap_or(stem),
        // hatchling: `_editable_impl_widget.pth`, formerly `_widget.pth`; most others: `widget.pth`.
        (None, _) => {
            let stem = stem.strip_prefix("_editable_impl_").unwrap_or(stem);
            return dist.is_editable() && name::normal(stem.trim_start_matches('_')) == dist.name;
        }
    };
    name::normal(stem.trim_start_matches('_')) == format!("{}-{version}", dist.name).trim_end_matches('-')
}

fn link_target(egg_link: &Path) -> Option<PathBuf> {
    let content = text(egg_link)?;
    let line = content.lines().next()?.trim();
    Some(egg_link.parent()?.join(line)).filter(|_| !line.is_empty())
}

/// The lines of a path configuration file that are paths, relative ones made whole; the `import` lines are code.
pub(crate) fn added_paths(pth: &Path) -> Vec<PathBuf> {
    let Some(site) = pth.parent() else { return Vec::new() };
    // One that cannot be read adds nothing for Python either.
    let content = text(pth).unwrap_or_default();
    let is_path = |line: &&str| !line.is_empty() && !line.starts_with('#') && !line.starts_with("import ") && !line.starts_with("import\t");
    content.lines().map(str::trim_end).filter(is_path).map(|line| site.join(line)).collect()
}

/// The values of setuptools' `MAPPING: dict[str, str] = {'widget': '/src/widget'}`.
fn mapped_paths(finder: &str) -> Vec<PathBuf> {
    let Some(line) = finder.lines().find(|line| line.starts_with("MAPPING")) else { return Vec::new() };
    let Some((_, dict)) = line.split_once('{') else { return Vec::new() };
    strings(dict).chunks_exact(2).map(|pair| PathBuf::from(&pair[1])).collect()
}

/// The Python string literals in a line, as `repr` writes them for paths.
fn strings(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut chars = text.chars();
    while let Some(quote) = chars.find(|c| matches!(c, '\'' | '"' | '}')) {
        if quote == '}' {
            break;
        }
        let mut string = String::new();
        while let Some(c) = chars.next().filter(|&c| c != quote) {
            string.extend(if c == '\\' { chars.next() } else { Some(c) });
        }
        found.push(string);
    }
    found
}

/// Where a folder above may not be searched nothing is known, and nothing is gone.
fn is_gone(target: &Path) -> bool {
    matches!(target.try_exists(), Ok(false)) && !is_module(target)
}

/// Mapped modules have no suffix: `/src/widget` stands for `/src/widget.py` or an extension module too.
fn is_module(target: &Path) -> bool {
    let (Some(folder), Some(stem)) = (target.parent(), target.file_name()) else { return false };
    let is_of_that_name = |file: &Path| {
        file.extension().is_some_and(|extension| extension == "py" || extension == "so")
            && file.as_os_str().as_bytes().strip_prefix(stem.as_bytes()).is_some_and(|rest| rest.starts_with(b"."))
    };
    folder.read_dir().is_ok_and(|mut files| files.any(|file| file.is_ok_and(|file| is_of_that_name(Path::new(&file.file_name())))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packages::{Metadata, Source};

    fn widget() -> Dist {
        Dist {
            name: "my-widget".into(),
            version: Some("0.1.dev2".into()),
            kind: Kind::DistInfo,
            info: "/s/my_widget-0.1.dev2.dist-info".into(),
            metadata: Metadata::Read,
            source: Some(Source { url: "file:///src".into(), editable: true }),
        }
    }

    #[test]
    fn every_back_ends_files_are_known() {
        for file in [
            "__editable__.my_widget-0.1.dev2.pth",
            "__editable___my_widget_0_1_dev2_finder.py",
            "_my_widget.pth",
            "_editable_impl_my_widget.pth",
            "my-widget.pth",
        ] {
            assert!(belongs(&widget(), &Path::new("/s").join(file)), "{file}");
        }
        for file in ["__editable__.my_widget-0.2.pth", "__editable___my_other_0_1_dev2_finder.py", "other.pth"] {
            assert!(!belongs(&widget(), &Path::new("/s").join(file)), "{file}");
        }
    }

    #[test]
    fn a_finders_mapping_is_read() {
        let finder = "import sys\nMAPPING: dict[str, str] = {'a': '/src/a', \"b\": \"/it's/b\"}\nNAMESPACES: dict = {'x': ['/y']}\n";
        assert_eq!(mapped_paths(finder), [Path::new("/src/a"), Path::new("/it's/b")]);
        assert_eq!(mapped_paths("MAPPING = {}\n"), [] as [&Path; 0]);
    }

    #[test]
    fn a_module_is_there_under_any_suffix() {
        let folder = tempfile::tempdir().unwrap();
        contract::replace::write(&folder.path().join("a.py"), b"").unwrap();
        contract::replace::write(&folder.path().join("b.cpython-312-x86_64-linux-gnu.so"), b"").unwrap();
        assert!(!is_gone(&folder.path().join("a")));
        assert!(!is_gone(&folder.path().join("b")));
        assert!(is_gone(&folder.path().join("c")));
        assert!(is_gone(&folder.path().join("d/a")));
    }
}
