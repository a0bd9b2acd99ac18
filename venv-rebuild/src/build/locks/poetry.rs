//! `poetry.lock`, versions 1 and 2.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::Value;

use super::{Locked, Origin};
use crate::build::markers::Markers;
use crate::build::pin::normalised;

#[derive(Deserialize)]
struct Lock {
    #[serde(default, rename = "package")]
    packages: Vec<Package>,
    metadata: Metadata,
}

#[derive(Deserialize)]
struct Metadata {
    /// Of version 1.
    #[serde(default)]
    files: BTreeMap<String, Vec<Archive>>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: String,
    #[serde(default)]
    optional: bool,
    /// From 2.1 on.
    groups: Option<Vec<String>>,
    /// From 2.1 on: a marker, or one for each group.
    markers: Option<Value>,
    source: Option<Source>,
    #[serde(default)]
    dependencies: BTreeMap<String, Value>,
    #[serde(default)]
    files: Vec<Archive>,
    #[serde(default)]
    develop: bool,
}

#[derive(Deserialize)]
struct Source {
    r#type: String,
    url: String,
    resolved_reference: Option<String>,
    subdirectory: Option<String>,
}

#[derive(Deserialize)]
struct Archive {
    hash: String,
}

/// What is for here and no extra; extras and groups beside `main` if they were there, or if nothing is known of what was.
pub(super) fn read(text: &str, markers: &Markers, was_there: &dyn Fn(&str) -> bool, nothing_was: bool) -> anyhow::Result<Vec<Locked>> {
    let lock: Lock = super::toml(text)?;
    let is_wanted = |package: &Package| {
        let is_main = package.groups.as_ref().is_none_or(|groups| groups.iter().any(|group| group == "main"));
        let is_default = !package.optional && (is_main || nothing_was);
        (is_default || was_there(&package.name)) && package.is_for_here(markers) && lock.is_asked_for(&package.name, markers)
    };
    lock.packages.iter().filter(|package| is_wanted(package)).map(|package| package.locked(&lock.metadata)).collect()
}

impl Lock {
    /// Before 2.1 a package's marker stands with those that need it alone: none of theirs holding means that it is for elsewhere.
    fn is_asked_for(&self, name: &str, markers: &Markers) -> bool {
        let asking = self
            .packages
            .iter()
            .flat_map(|package| &package.dependencies)
            .filter(|(needs, _)| normalised(needs).is_ok_and(|needs| needs == name));
        let mut held = asking.map(|(_, how)| holds(how.get("markers"), markers)).peekable();
        held.peek().is_none() || held.any(|held| held)
    }
}

fn holds(marker: Option<&Value>, markers: &Markers) -> bool {
    let text = |value: &Value| value.as_str().is_none_or(|marker| markers.hold(marker, &[]) != Some(false));
    match marker {
        None => true,
        Some(Value::Table(of_groups)) => of_groups.values().any(text),
        Some(marker) => text(marker),
    }
}

impl Package {
    fn is_for_here(&self, markers: &Markers) -> bool {
        holds(self.markers.as_ref(), markers)
    }

    fn locked(&self, metadata: &Metadata) -> anyhow::Result<Locked> {
        let origin = match &self.source {
            None => Origin::Index,
            Some(source) => source.origin(self.develop)?,
        };
        let files = metadata.files.get(&self.name).into_iter().flatten().chain(&self.files);
        let hashes = files.map(|file| file.hash.clone()).collect();
        Ok(Locked { name: self.name.clone(), version: Some(self.version.clone()), origin, hashes })
    }
}

impl Source {
    fn origin(&self, develop: bool) -> anyhow::Result<Origin> {
        Ok(match self.r#type.as_str() {
            "git" => {
                Origin::repository("git", &self.url, self.resolved_reference.as_deref().unwrap_or_default(), self.subdirectory.as_deref())?
            }
            "url" => Origin::Url(self.url.clone()),
            "directory" | "file" => Origin::Path { path: (&self.url).into(), editable: develop },
            _ => Origin::Index,
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::build::locks::tests::brought;

    const LOCK: &str = r#"
[[package]]
name = "a"
version = "1.0"
optional = false
groups = ["main"]
files = [{ file = "a.whl", hash = "sha256:aa" }]
[package.dependencies]
Win_only = { version = "*", markers = "sys_platform == \"win32\"" }
[[package]]
name = "win-only"
version = "1"
optional = false
[[package]]
name = "b"
version = "2"
optional = false
groups = ["dev"]
markers = "python_version >= \"3.9\""
[[package]]
name = "c"
version = "3"
optional = true
groups = ["main"]
markers = { main = "extra == \"x\"" }
[[package]]
name = "d"
version = "4"
optional = false
groups = ["main", "dev"]
[package.source]
type = "git"
url = "https://h/d.git"
reference = "main"
resolved_reference = "abc"
[metadata]
lock-version = "2.1"
"#;

    #[test]
    fn markers_decide_and_groups_are_known_by_what_was_there() {
        let (a, d) = ("a==1.0 --hash=sha256:aa", "d @ git+https://h/d.git@abc");
        assert_eq!(brought("poetry.lock", LOCK, &[]), [a, "b==2", d]);
        assert_eq!(brought("poetry.lock", LOCK, &["a"]), [a, d]);
    }
}
