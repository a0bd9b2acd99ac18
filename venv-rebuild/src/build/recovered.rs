//! The package set as the broken environment's own metadata has it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{bail, ensure};
use contract::path::shown;

use super::dist::{DirectUrl, Dist, VcsInfo, installed};
use super::pin::Pin;
use super::{ours, redact, trust};

/// What can be installed again, and what cannot.
#[derive(Debug, Default)]
pub(super) struct Recovered {
    /// By normalised name, at exact versions.
    pub(super) pins: BTreeMap<String, Pin>,
    /// By normalised name.
    pub(super) dists: BTreeMap<String, Dist>,
    /// Names, each with the reason.
    pub(super) unrecoverable: Vec<(String, String)>,
}

/// Reads what is installed in a `site-packages` of an environment.
pub(super) fn recover(venv: &Path, packages: &Path) -> Recovered {
    let (found, unreadable) = installed(packages);
    let mut recovered = Recovered { unrecoverable: unreadable, ..Recovered::default() };
    for (name, dists) in by_name(found) {
        let Some(dist) = real_one(dists) else { continue };
        match pin(venv, &dist) {
            Ok(pin) => drop(recovered.pins.insert(name.clone(), pin)),
            Err(reason) => recovered.unrecoverable.push((name.clone(), redact::excerpt(&format!("{reason:#}")))),
        }
        recovered.dists.insert(name, dist);
    }
    recovered
}

fn by_name(dists: Vec<Dist>) -> BTreeMap<String, Vec<Dist>> {
    let mut named: BTreeMap<String, Vec<Dist>> = BTreeMap::new();
    for dist in dists {
        named.entry(dist.name.clone()).or_default().push(dist);
    }
    named
}

/// Of several metadata folders for one name, the one whose files are there; it says what is imported.
fn real_one(mut dists: Vec<Dist>) -> Option<Dist> {
    if dists.len() > 1 {
        dists.sort_by_key(|dist| trust::share_that_fits(&dist.info));
    }
    dists.pop()
}

/// How one distribution is installed again.
///
/// # Errors
/// It came from a place that is gone, or its metadata is not to be trusted.
pub(super) fn pin(venv: &Path, dist: &Dist) -> anyhow::Result<Pin> {
    let Some(origin) = &dist.origin else { return Pin::exact(&dist.name, &dist.version) };
    if let Some(path) = local(&origin.url) {
        ours::source(&path)?;
    }
    let mut pin = match (&origin.vcs_info, local(&origin.url)) {
        (Some(repository), _) => Pin::at_url(&dist.name, &commit(origin, repository)?)?,
        (None, Some(path)) => of_path(venv, &dist.name, &path, origin)?,
        (None, None) => Pin::at_url(&dist.name, &with_subdirectory(origin.url.clone(), origin)?)?,
    };
    pin.version = Some(dist.version.clone());
    Ok(pin)
}

fn of_path(venv: &Path, name: &str, path: &Path, origin: &DirectUrl) -> anyhow::Result<Pin> {
    ensure!(path.exists(), "it was installed from `{}`, which is gone", shown(path));
    ensure!(!path.starts_with(venv), "its source `{}` lies inside the environment", shown(path));
    if origin.dir_info.as_ref().is_some_and(|info| info.editable) {
        return Pin::editable(name, path);
    }
    Pin::at_url(name, &with_subdirectory(super::pin::file_url(path)?, origin)?)
}

fn commit(origin: &DirectUrl, repository: &VcsInfo) -> anyhow::Result<String> {
    let VcsInfo { vcs, commit_id } = repository;
    ensure!(matches!(vcs.as_str(), "git" | "hg" | "bzr" | "svn"), "`{vcs:?}` is no kind of repository that is installed from");
    ensure!(!commit_id.is_empty() && commit_id.bytes().all(|b| b.is_ascii_alphanumeric()), "`{commit_id:?}` is no commit");
    with_subdirectory(format!("{vcs}+{}@{commit_id}", origin.url), origin)
}

fn with_subdirectory(url: String, origin: &DirectUrl) -> anyhow::Result<String> {
    match &origin.subdirectory {
        None => Ok(url),
        Some(folder) if folder.contains(['#', '&']) => bail!("`{folder:?}` is no folder that an address can name"),
        Some(folder) => Ok(format!("{url}#subdirectory={folder}")),
    }
}

/// The path of a `file:` address of this machine.
pub(super) fn local(url: &str) -> Option<PathBuf> {
    let path = url.strip_prefix("file://")?;
    let path = path.strip_prefix("localhost").unwrap_or(path);
    path.starts_with('/').then(|| percent_decoded(path)).flatten()
}

fn percent_decoded(text: &str) -> Option<PathBuf> {
    use std::os::unix::ffi::OsStringExt as _;
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        rest = after;
        if first != b'%' {
            bytes.push(first);
            continue;
        }
        let hex = std::str::from_utf8(rest.get(..2)?).ok()?;
        bytes.push(u8::from_str_radix(hex, 16).ok()?);
        rest = &rest[2..];
    }
    Some(std::ffi::OsString::from_vec(bytes).into())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn dist(origin: &str) -> Dist {
        let origin = Some(serde_json::from_str(origin).unwrap());
        Dist { info: PathBuf::new(), name: "a".to_owned(), version: "1".to_owned(), requires: Vec::new(), origin }
    }

    fn line(origin: &str) -> Result<String, String> {
        pin(Path::new("/v"), &dist(origin)).map(|pin| pin.line).map_err(|e| format!("{e:#}"))
    }

    #[test]
    fn a_direct_address_comes_back_exactly() {
        let git =
            r#"{"url":"https://h/r.git","vcs_info":{"vcs":"git","commit_id":"abc123","requested_revision":"main"},"subdirectory":"py"}"#;
        assert_eq!(line(git).unwrap(), "a @ git+https://h/r.git@abc123#subdirectory=py");
        assert_eq!(line(r#"{"url":"https://h/a-1.tar.gz","archive_info":{}}"#).unwrap(), "a @ https://h/a-1.tar.gz");
        let folder = tempfile::tempdir().unwrap();
        let source = super::super::pin::file_url(folder.path()).unwrap();
        assert_eq!(line(&format!(r#"{{"url":"{source}","dir_info":{{"editable":true}}}}"#)).unwrap(), format!("-e {source}"));
        assert_eq!(line(&format!(r#"{{"url":"{source}","dir_info":{{}}}}"#)).unwrap(), format!("a @ {source}"));
    }

    #[test]
    fn what_is_gone_or_hostile_is_named_and_not_guessed() {
        assert!(line(r#"{"url":"file:///gone%20away","dir_info":{"editable":true}}"#).unwrap_err().contains("`/gone away`, which is gone"));
        assert!(line(r#"{"url":"https://h/x y"}"#).is_err());
        assert!(line(r#"{"url":"https://h/r","vcs_info":{"vcs":"git","commit_id":"a b"}}"#).is_err());
        assert!(line(r#"{"url":"https://h/r","vcs_info":{"vcs":"-e","commit_id":"a"}}"#).is_err());
    }

    #[test]
    fn a_reason_is_short_whatever_the_metadata_says() {
        let packages = tempfile::tempdir().unwrap();
        let info = packages.path().join("a-1.dist-info");
        std::fs::create_dir(&info).unwrap();
        let origin = format!(r#"{{"url":"file:///{}","dir_info":{{}}}}"#, "gone/".repeat(1000));
        for (name, text) in [("METADATA", "Metadata-Version: 2.1\nName: a\nVersion: 1\n"), ("direct_url.json", &origin)] {
            contract::replace::write(&info.join(name), text.as_bytes()).unwrap();
        }
        let lost = recover(Path::new("/v"), packages.path()).unrecoverable;
        assert!(matches!(&lost[..], [(name, why)] if name == "a" && why.starts_with("it was installed from `/gone") && why.len() == 1000));
    }

    proptest! {
        #[test]
        fn any_address_is_taken(url: String) {
            local(&url);
            local(&format!("file:///{url}"));
        }
    }
}
