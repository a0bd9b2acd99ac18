//! Installed distributions, as their own metadata describes them.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use contract::path::shown;
use serde::Deserialize;

use super::pin::normalised;
use super::remains::entries;

/// One installed distribution.
#[derive(Clone, Debug)]
pub(super) struct Dist {
    /// Its `dist-info` or `egg-info`.
    pub(super) info: PathBuf,
    /// Normalised.
    pub(super) name: String,
    /// As its metadata or the name of its folder says; not checked.
    pub(super) version: String,
    /// Its `Requires-Dist` lines.
    pub(super) requires: Vec<String>,
    /// Where it was installed from, if from no index.
    pub(super) origin: Option<DirectUrl>,
}

/// `direct_url.json` (the direct URL specification, PEP 610).
#[derive(Clone, Debug, Deserialize)]
pub(super) struct DirectUrl {
    /// The address.
    pub(super) url: String,
    /// The project within the archive or repository.
    pub(super) subdirectory: Option<String>,
    /// Of a local source tree.
    pub(super) dir_info: Option<DirInfo>,
    /// Of a repository.
    pub(super) vcs_info: Option<VcsInfo>,
}

/// How a source tree was installed.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct DirInfo {
    /// Whether it is imported from where it is.
    #[serde(default)]
    pub(super) editable: bool,
}

/// Which commit was installed.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct VcsInfo {
    /// `git`, `hg`, `bzr`, `svn`.
    pub(super) vcs: String,
    /// The commit.
    pub(super) commit_id: String,
}

/// Reads every distribution of a `site-packages`, in the order of their folders' names; those that cannot be read come apart, with the reason.
pub(super) fn installed(packages: &Path) -> (Vec<Dist>, Vec<(String, String)>) {
    let mut unreadable = Vec::new();
    // What starts with `~` is what pip could not remove: nothing of it counts.
    let infos = entries(packages).into_iter().filter(|name| !name.starts_with('~'));
    let infos = infos.filter(|name| name.ends_with(".dist-info") || name.ends_with(".egg-info"));
    let dists = infos.filter_map(|name| match read(packages.join(&name)) {
        Ok(dist) => Some(dist),
        Err(reason) => {
            unreadable.push((name, format!("{reason:#}")));
            None
        }
    });
    (dists.collect(), unreadable)
}

/// Reads one distribution; where the metadata is gone, the folder's name has to do.
fn read(info: PathBuf) -> anyhow::Result<Dist> {
    let metadata = [info.join("METADATA"), info.join("PKG-INFO"), info.clone()].iter().find_map(|path| read_text(path));
    let headers = metadata.as_deref().map(headers).unwrap_or_default();
    let header = |key: &str| headers.iter().find(|(k, _)| k.eq_ignore_ascii_case(key)).map(|(_, value)| value.as_str());
    let folder = info.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    let (of_folder, rest) = folder.split_once('-').unwrap_or((folder, ""));
    let name = normalised(header("name").unwrap_or(of_folder)).with_context(|| shown(&info))?;
    let version = header("version").unwrap_or_else(|| rest.split_once("-py").map_or(rest, |(version, _)| version)).to_owned();
    let requires = headers.iter().filter(|(key, _)| key.eq_ignore_ascii_case("requires-dist")).map(|(_, value)| value.clone()).collect();
    let origin = match read_text(&info.join("direct_url.json")) {
        Some(text) => {
            Some(serde_json::from_str(&text).with_context(|| format!("{} is no direct URL", shown(&info.join("direct_url.json"))))?)
        }
        None => None,
    };
    Ok(Dist { info, name, version, requires, origin })
}

/// Reads a regular file of at most 4 MiB as text; `None` where it is anything else. A pipe in its place would block for ever.
pub(super) fn read_text(path: &Path) -> Option<String> {
    let found = fs::metadata(path).ok().filter(|found| found.is_file() && found.len() <= 4 << 20)?;
    let mut bytes = Vec::with_capacity(usize::try_from(found.len()).ok()?);
    std::io::Read::read_to_end(&mut fs::File::open(path).ok()?, &mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// The header fields of core metadata up to the first empty line, folded lines joined.
fn headers(text: &str) -> Vec<(String, String)> {
    let mut fields: Vec<(String, String)> = Vec::new();
    for line in text.lines().take_while(|line| !line.is_empty()) {
        match (line.starts_with([' ', '\t']), fields.last_mut(), line.split_once(':')) {
            (true, Some((_, value)), _) => value.extend([" ", line.trim()]),
            (false, _, Some((key, value))) => fields.push((key.trim().to_owned(), value.trim().to_owned())),
            _ => {}
        }
    }
    fields
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn write(path: &Path, text: &str) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        #[expect(clippy::disallowed_methods, reason = "a test's own file")]
        fs::write(path, text).unwrap();
    }

    #[test]
    fn the_metadata_names_a_distribution_and_the_folder_only_without_it() {
        let root = tempfile::tempdir().unwrap();
        write(
            &root.path().join("wrong-9.dist-info/METADATA"),
            "Metadata-Version: 2.1\nName: Right.Name\nVersion: 1.0\nRequires-Dist: a\n (>=1)\n\nName: no\n",
        );
        write(&root.path().join("empty_dist-2.1.dist-info/RECORD"), "");
        write(&root.path().join("old-0.3-py3.8.egg-info"), "Metadata-Version: 1.0\nName: old\n");
        write(&root.path().join("~ask-1.0.dist-info/METADATA"), "Name: flask\nVersion: 1\n");
        write(&root.path().join("evil-1.dist-info/METADATA"), "Name: --index-url\nVersion: 1\n");
        let (dists, unreadable) = installed(root.path());
        let shown: Vec<_> = dists.iter().map(|dist| (dist.name.as_str(), dist.version.as_str())).collect();
        assert_eq!(shown, [("empty-dist", "2.1"), ("old", "0.3"), ("right-name", "1.0")]);
        assert_eq!(dists[2].requires, ["a (>=1)"]);
        assert_eq!(unreadable[0].0, "evil-1.dist-info");
    }

    proptest! {
        #[test]
        fn any_metadata_is_taken(text: String) {
            headers(&text);
        }
    }
}
