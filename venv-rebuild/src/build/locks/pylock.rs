//! `pylock.toml` (PEP 751).

use std::collections::BTreeMap;

use anyhow::ensure;
use serde::Deserialize;

use super::{Locked, Origin};
use crate::build::markers::Markers;

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Lock {
    lock_version: String,
    #[serde(default)]
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: Option<String>,
    marker: Option<String>,
    vcs: Option<Repository>,
    directory: Option<Directory>,
    archive: Option<Archive>,
    sdist: Option<Archive>,
    #[serde(default)]
    wheels: Vec<Archive>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Repository {
    r#type: String,
    url: Option<String>,
    path: Option<String>,
    commit_id: String,
    subdirectory: Option<String>,
}

#[derive(Deserialize)]
struct Directory {
    path: String,
    #[serde(default)]
    editable: bool,
}

#[derive(Deserialize)]
struct Archive {
    url: Option<String>,
    path: Option<String>,
    subdirectory: Option<String>,
    #[serde(default)]
    hashes: BTreeMap<String, String>,
}

/// Every package whose marker holds; one that hangs on extras or groups if it was there.
pub(super) fn read(text: &str, markers: &Markers, was_there: &dyn Fn(&str) -> bool) -> anyhow::Result<Vec<Locked>> {
    let lock: Lock = super::toml(text)?;
    ensure!(lock.lock_version.starts_with("1."), "version {} of its format is not known", lock.lock_version);
    let is_wanted = |package: &Package| match &package.marker {
        None => true,
        Some(marker) => markers.hold(marker, &[]).unwrap_or_else(|| was_there(&package.name)),
    };
    lock.packages.into_iter().filter(|package| is_wanted(package)).map(Package::locked).collect()
}

impl Package {
    fn locked(self) -> anyhow::Result<Locked> {
        let origin = match (&self.vcs, &self.directory, &self.archive) {
            (Some(vcs), ..) => {
                let url = vcs.url.as_deref().or(vcs.path.as_deref()).unwrap_or_default();
                Origin::repository(&vcs.r#type, url, &vcs.commit_id, vcs.subdirectory.as_deref())?
            }
            (_, Some(directory), _) => Origin::Path { path: (&directory.path).into(), editable: directory.editable },
            (_, _, Some(archive)) => archive.origin(),
            _ => Origin::Index,
        };
        let archives = self.sdist.iter().chain(&self.wheels);
        let hashes = archives.flat_map(|archive| archive.hashes.iter().map(|(algorithm, digest)| format!("{algorithm}:{digest}")));
        Ok(Locked { hashes: hashes.collect(), name: self.name, version: self.version, origin })
    }
}

impl Archive {
    fn origin(&self) -> Origin {
        let folder = self.subdirectory.as_ref().map(|folder| format!("#subdirectory={folder}")).unwrap_or_default();
        match (&self.url, &self.path) {
            (Some(url), _) => Origin::Url(format!("{url}{folder}")),
            (None, path) => Origin::Path { path: path.clone().unwrap_or_default().into(), editable: false },
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::build::locks::tests::brought;

    const LOCK: &str = r#"
lock-version = "1.0"
created-by = "x"
[[packages]]
name = "a"
version = "1.0"
wheels = [{ url = "https://h/a", hashes = { sha256 = "aa" } }]
[[packages]]
name = "b"
marker = "sys_platform == 'win32'"
version = "1.0"
[[packages]]
name = "c"
marker = "'x' in extras"
vcs = { type = "git", url = "https://h/c", commit-id = "abc" }
[[packages]]
name = "d"
directory = { path = "../d", editable = true }
[[packages]]
name = "e"
archive = { url = "https://h/e.zip", hashes = { sha256 = "ee" } }
"#;

    #[test]
    fn markers_decide_and_extras_are_known_by_what_was_there() {
        let lines = brought("pylock.toml", LOCK, &["c"]);
        assert_eq!(
            (&lines[..2], lines[3].as_str()),
            (&["a==1.0 --hash=sha256:aa".to_owned(), "c @ git+https://h/c@abc".to_owned()][..], "e @ https://h/e.zip")
        );
        assert!(lines[2].starts_with("-e file:///") && lines[2].ends_with("/d"), "{}", lines[2]);
        assert_eq!(brought("pylock.toml", LOCK, &[]).len(), 3);
    }
}
