//! `uv.lock`: a graph of packages, with markers on the edges.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{bail, ensure};
use serde::Deserialize;

use super::{Locked, Origin};
use crate::build::markers::{Markers, extras};

#[derive(Deserialize)]
struct Lock {
    version: u64,
    #[serde(default, rename = "package")]
    packages: Vec<Package>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Package {
    name: String,
    version: Option<String>,
    source: Source,
    #[serde(default)]
    resolution_markers: Vec<String>,
    #[serde(default)]
    dependencies: Vec<Dependency>,
    #[serde(default)]
    optional_dependencies: BTreeMap<String, Vec<Dependency>>,
    #[serde(default)]
    dev_dependencies: BTreeMap<String, Vec<Dependency>>,
    sdist: Option<Archive>,
    #[serde(default)]
    wheels: Vec<Archive>,
}

#[derive(Deserialize)]
struct Source {
    registry: Option<String>,
    git: Option<String>,
    url: Option<String>,
    path: Option<String>,
    directory: Option<String>,
    editable: Option<String>,
    r#virtual: Option<String>,
    subdirectory: Option<String>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    version: Option<String>,
    marker: Option<String>,
    #[serde(default)]
    extra: Vec<String>,
}

#[derive(Deserialize)]
struct Archive {
    hash: Option<String>,
}

/// What the project needs with its `dev` group, and what of the rest was there; the project itself unless it was left out.
pub(super) fn read(text: &str, markers: &Markers, was_there: &dyn Fn(&str) -> bool, nothing_was: bool) -> anyhow::Result<Vec<Locked>> {
    let lock: Lock = super::toml(text)?;
    ensure!(lock.version == 1, "version {} of its format is not known", lock.version);
    let mut reached = BTreeSet::new();
    let mut next: Vec<(usize, Vec<String>)> = lock.roots();
    let mut met = BTreeSet::new();
    while let Some((at, asked)) = next.pop() {
        if met.insert((at, asked.clone())) {
            reached.insert(at);
            next.extend(lock.packages[at].needs(&asked).filter_map(|needs| lock.chosen(needs, markers)));
        }
    }
    reached.extend(lock.others(&reached, was_there, markers));
    let is_wanted = |package: &&Package| !package.source.is_local() || nothing_was || was_there(&package.name);
    let packages = reached.into_iter().map(|at| &lock.packages[at]).filter(|package| package.source.r#virtual.is_none());
    packages.filter(is_wanted).map(Package::locked).collect()
}

impl Lock {
    /// The project of the lock's folder with its `dev` group; where there is none, every member of the workspace.
    fn roots(&self) -> Vec<(usize, Vec<String>)> {
        let is_at = |package: &Package, test: &dyn Fn(&str) -> bool| {
            [&package.source.editable, &package.source.r#virtual, &package.source.directory].into_iter().flatten().any(|path| test(path))
        };
        let of = |test: &dyn Fn(&str) -> bool| -> Vec<_> {
            (0..self.packages.len()).filter(|at| is_at(&self.packages[*at], test)).map(|at| (at, vec!["\0dev".to_owned()])).collect()
        };
        let own = of(&|path| path == ".");
        if own.is_empty() { of(&|_| true) } else { own }
    }

    fn chosen(&self, needs: &Dependency, markers: &Markers) -> Option<(usize, Vec<String>)> {
        let holds = needs.marker.as_ref().is_none_or(|marker| markers.hold(marker, &extras(&needs.extra)) == Some(true));
        let at = self.named(&needs.name, needs.version.as_deref(), markers).filter(|_| holds)?;
        Some((at, needs.extra.clone()))
    }

    /// Of several versions, the one of the fork that is for here.
    fn named(&self, name: &str, version: Option<&str>, markers: &Markers) -> Option<usize> {
        let fits = |package: &Package| package.name == name && version.is_none_or(|version| package.version.as_deref() == Some(version));
        let here = |package: &Package| {
            package.resolution_markers.is_empty() || package.resolution_markers.iter().any(|marker| markers.hold(marker, &[]) == Some(true))
        };
        let mut found = (0..self.packages.len()).filter(|at| fits(&self.packages[*at]));
        let first = found.clone().find(|at| here(&self.packages[*at]));
        first.or_else(|| found.next())
    }

    /// What other extras and groups hold and was there.
    fn others(&self, reached: &BTreeSet<usize>, was_there: &dyn Fn(&str) -> bool, markers: &Markers) -> Vec<usize> {
        let names: BTreeSet<&str> = reached.iter().map(|at| self.packages[*at].name.as_str()).collect();
        let rest = self.packages.iter().map(|package| package.name.as_str()).filter(|name| !names.contains(name) && was_there(name));
        rest.filter_map(|name| self.named(name, None, markers)).collect()
    }
}

impl Package {
    fn needs<'a>(&'a self, asked: &'a [String]) -> impl Iterator<Item = &'a Dependency> {
        let group = |name: &String| match name.strip_prefix('\0') {
            Some(group) => self.dev_dependencies.get(group),
            None => self.optional_dependencies.get(name),
        };
        self.dependencies.iter().chain(asked.iter().filter_map(group).flatten())
    }

    fn locked(&self) -> anyhow::Result<Locked> {
        let archives = self.sdist.iter().chain(&self.wheels);
        Ok(Locked {
            name: self.name.clone(),
            version: self.version.clone(),
            origin: self.source.origin()?,
            hashes: archives.filter_map(|archive| archive.hash.clone()).collect(),
        })
    }
}

impl Source {
    fn is_local(&self) -> bool {
        self.directory.is_some() || self.editable.is_some()
    }

    fn origin(&self) -> anyhow::Result<Origin> {
        let at = |path: &str, editable| Origin::Path { path: path.into(), editable };
        Ok(match self {
            Self { registry: Some(_), .. } => Origin::Index,
            Self { git: Some(git), .. } => repository(git)?,
            Self { url: Some(url), subdirectory: Some(folder), .. } => Origin::Url(format!("{url}#subdirectory={folder}")),
            Self { url: Some(url), .. } => Origin::Url(url.clone()),
            Self { editable: Some(path), .. } => at(path, true),
            Self { path: Some(path), .. } | Self { directory: Some(path), .. } => at(path, false),
            _ => bail!("it has a source of a kind that is not known"),
        })
    }
}

/// `https://host/repo?subdirectory=x&rev=main#commit`.
fn repository(git: &str) -> anyhow::Result<Origin> {
    let (address, commit) = git.rsplit_once('#').unwrap_or((git, ""));
    let (url, query) = address.split_once('?').unwrap_or((address, ""));
    let folder = query.split('&').find_map(|pair| pair.strip_prefix("subdirectory="));
    Origin::repository("git", url, commit, folder)
}

#[cfg(test)]
mod tests {
    use crate::build::locks::tests::brought;

    const LOCK: &str = r#"
version = 1
revision = 3
requires-python = ">=3.8"
[[package]]
name = "app"
version = "0.1"
source = { editable = "." }
dependencies = [
  { name = "flask", extra = ["async"] },
  { name = "colorama", marker = "sys_platform == 'win32'" },
  { name = "numpy", version = "2.0", source = { registry = "https://h" }, marker = "python_full_version >= '3.9'" },
  { name = "numpy", version = "1.24", source = { registry = "https://h" }, marker = "python_full_version < '3.9'" },
]
[package.optional-dependencies]
docs = [{ name = "sphinx" }]
[package.dev-dependencies]
dev = [{ name = "pytest" }]
lint = [{ name = "ruff" }]
[[package]]
name = "asgiref"
version = "3"
source = { registry = "https://h" }
sdist = { url = "https://h/a", hash = "sha256:aa", size = 1 }
wheels = [{ url = "https://h/b", hash = "sha256:bb" }]
[[package]]
name = "colorama"
version = "1"
source = { registry = "https://h" }
[[package]]
name = "flask"
version = "3"
source = { git = "https://h/flask?subdirectory=src&rev=main#abc123" }
dependencies = [{ name = "flask" }]
[package.optional-dependencies]
async = [{ name = "asgiref" }]
[[package]]
name = "numpy"
version = "1.24"
source = { registry = "https://h" }
resolution-markers = ["python_full_version < '3.9'"]
[[package]]
name = "numpy"
version = "2.0"
source = { registry = "https://h" }
resolution-markers = ["python_full_version >= '3.9'"]
[[package]]
name = "pytest"
version = "8"
source = { path = "dist/pytest-8-py3-none-any.whl" }
[[package]]
name = "ruff"
version = "1"
source = { registry = "https://h" }
[[package]]
name = "sphinx"
version = "1"
source = { url = "https://h/sphinx.zip" }
"#;

    #[test]
    fn the_graph_is_followed_for_here_and_chosen_extras_are_known_by_what_was_there() {
        let flask = "flask @ git+https://h/flask@abc123#subdirectory=src";
        let rest = ["numpy==2.0", "pytest @ file:///dist/pytest-8-py3-none-any.whl"];
        let asgiref = "asgiref==3 --hash=sha256:aa --hash=sha256:bb";
        assert_eq!(brought("uv.lock", LOCK, &[]), ["-e file://", asgiref, flask, rest[0], rest[1]]);
        assert_eq!(
            brought("uv.lock", LOCK, &["sphinx", "numpy", "x"]),
            [asgiref, flask, rest[0], rest[1], "sphinx @ https://h/sphinx.zip"]
        );
    }
}
