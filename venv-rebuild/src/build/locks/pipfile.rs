//! `Pipfile.lock`.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{Locked, Origin};
use crate::build::markers::Markers;
use crate::build::pin::normalised;

#[derive(Deserialize)]
struct Lock {
    #[serde(default)]
    default: BTreeMap<String, Package>,
    #[serde(default)]
    develop: BTreeMap<String, Package>,
}

#[derive(Deserialize)]
struct Package {
    version: Option<String>,
    markers: Option<String>,
    #[serde(default)]
    hashes: Vec<String>,
    git: Option<String>,
    r#ref: Option<String>,
    subdirectory: Option<String>,
    file: Option<String>,
    path: Option<String>,
    #[serde(default)]
    editable: bool,
}

/// The packages of `default` whose markers hold, and those of `develop` that were there.
pub(super) fn read(text: &str, markers: &Markers, was_there: &dyn Fn(&str) -> bool) -> anyhow::Result<Vec<Locked>> {
    let lock: Lock = serde_json::from_str(text)?;
    let name = |name: &String| normalised(name).unwrap_or_else(|_| name.clone());
    let develop = lock.develop.into_iter().filter(|(key, _)| !lock.default.contains_key(key) && was_there(&name(key))).collect::<Vec<_>>();
    let packages = lock.default.into_iter().chain(develop);
    let here = packages.filter(|(_, package)| package.markers.as_ref().is_none_or(|marker| markers.hold(marker, &[]) != Some(false)));
    here.map(|(name, package)| package.locked(name)).collect()
}

impl Package {
    fn locked(self, name: String) -> anyhow::Result<Locked> {
        let origin = match (&self.git, &self.file, &self.path) {
            (Some(git), ..) => Origin::repository("git", git, self.r#ref.as_deref().unwrap_or_default(), self.subdirectory.as_deref())?,
            (_, Some(url), _) if url.contains("://") => Origin::Url(url.clone()),
            (_, Some(path), _) | (_, _, Some(path)) => Origin::Path { path: path.into(), editable: self.editable },
            _ => Origin::Index,
        };
        let version = self.version.map(|version| version.trim_start_matches('=').to_owned());
        Ok(Locked { name, version, origin, hashes: self.hashes })
    }
}

#[cfg(test)]
mod tests {
    use crate::build::locks::tests::brought;

    const LOCK: &str = r#"{"_meta":{},"default":{
        "a":{"hashes":["sha256:aa"],"version":"==1.0","index":"main"},
        "b":{"markers":"sys_platform == 'win32'","version":"==1"},
        "c":{"git":"https://h/c.git","ref":"abc"},
        "d":{"path":"./src","editable":true}},
        "develop":{"e":{"version":"==5"}}}"#;

    #[test]
    fn markers_decide_and_develop_is_known_by_what_was_there() {
        let rest = ["a==1.0 --hash=sha256:aa", "c @ git+https://h/c.git@abc", "-e file:///src"];
        assert_eq!(brought("Pipfile.lock", LOCK, &[]), rest);
        assert_eq!(brought("Pipfile.lock", LOCK, &["e"])[3], "e==5");
    }
}
