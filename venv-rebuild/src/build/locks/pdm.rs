//! `pdm.lock`.

use std::collections::{BTreeMap, HashSet};

use serde::Deserialize;

use super::{Locked, Origin};
use crate::build::markers::Markers;

#[derive(Deserialize)]
struct Lock {
    #[serde(default, rename = "package")]
    packages: Vec<Package>,
    #[serde(default)]
    metadata: Metadata,
}

#[derive(Default, Deserialize)]
struct Metadata {
    /// Before version 4.2, by `name version`.
    #[serde(default)]
    files: BTreeMap<String, Vec<Archive>>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: Option<String>,
    groups: Option<Vec<String>>,
    marker: Option<String>,
    git: Option<String>,
    revision: Option<String>,
    subdirectory: Option<String>,
    url: Option<String>,
    path: Option<String>,
    #[serde(default)]
    editable: bool,
    #[serde(default)]
    files: Vec<Archive>,
}

#[derive(Deserialize)]
struct Archive {
    hash: Option<String>,
}

/// What is for here and in the group `default`; other groups' if they were there, or if nothing is known of what was.
pub(super) fn read(text: &str, markers: &Markers, was_there: &dyn Fn(&str) -> bool, nothing_was: bool) -> anyhow::Result<Vec<Locked>> {
    let lock: Lock = toml::from_str(text)?;
    let is_wanted = |package: &Package| {
        let is_default = package.groups.as_ref().is_none_or(|groups| groups.iter().any(|group| group == "default"));
        let is_here = package.marker.as_ref().is_none_or(|marker| markers.hold(marker, &[]) != Some(false));
        (is_default || nothing_was || was_there(&package.name)) && is_here
    };
    // A package stands there once more for each set of extras that somebody asks for.
    let mut seen = HashSet::new();
    let wanted = lock.packages.iter().filter(|package| is_wanted(package) && seen.insert(package.name.as_str()));
    wanted.map(|package| package.locked(&lock.metadata)).collect()
}

impl Package {
    fn locked(&self, metadata: &Metadata) -> anyhow::Result<Locked> {
        let origin = match (&self.git, &self.url, &self.path) {
            (Some(git), ..) => Origin::repository("git", git, self.revision.as_deref().unwrap_or_default(), self.subdirectory.as_deref())?,
            (_, Some(url), _) => Origin::Url(url.clone()),
            (.., Some(path)) => Origin::Path { path: path.into(), editable: self.editable },
            _ => Origin::Index,
        };
        let key = format!("{} {}", self.name, self.version.as_deref().unwrap_or_default());
        let files = metadata.files.get(&key).into_iter().flatten().chain(&self.files);
        let hashes = files.filter_map(|file| file.hash.clone()).collect();
        Ok(Locked { name: self.name.clone(), version: self.version.clone(), origin, hashes })
    }
}

#[cfg(test)]
mod tests {
    use crate::build::locks::tests::brought;

    const LOCK: &str = r#"
[metadata]
groups = ["default", "dev"]
lock_version = "4.5.0"
[[package]]
name = "a"
version = "1.0"
groups = ["default"]
files = [{ file = "a.whl", hash = "sha256:aa" }]
[[package]]
name = "a"
version = "1.0"
extras = ["x"]
groups = ["default"]
files = [{ file = "a.whl", hash = "sha256:aa" }]
[[package]]
name = "b"
version = "2"
groups = ["dev"]
[[package]]
name = "win"
version = "1"
groups = ["default"]
marker = "sys_platform == \"win32\""
[[package]]
name = "d"
version = "4"
groups = ["default"]
git = "https://h/d.git"
revision = "abc"
[[package]]
name = "e"
version = "0.1"
groups = ["default"]
editable = true
path = "./src"
"#;

    #[test]
    fn markers_decide_and_groups_are_known_by_what_was_there() {
        let (a, d, e) = ("a==1.0 --hash=sha256:aa", "d @ git+https://h/d.git@abc", "-e file:///src");
        assert_eq!(brought("pdm.lock", LOCK, &[]), [a, "b==2", d, e]);
        assert_eq!(brought("pdm.lock", LOCK, &["a"]), [a, d, e]);
    }
}
