//! Single distributions put back at their recorded versions.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use contract::path::shown;
use contract::venv::Package;

use super::dist::{Dist, installed};
use super::install::{Session, Way};
use super::pin::{Pin, normalised};
use super::recovered;
use super::remains::Remains;
use super::seed::remove_tree;
use super::spec::Spec;
use super::tool::Tool;
use super::trust::record;
use super::{Failed, Run};
use crate::{layout, relocate};

/// Installs the named distributions into `clone` again, at their recorded versions and without their dependencies, and makes their
/// scripts say `final_path`. Returns what could not be installed, each with the reason.
///
/// # Errors
/// A distribution's version is not recorded or its source is gone; `clone` cannot be written; or `run` fails.
pub(crate) fn reinstall(clone: &Path, final_path: &Path, packages: &[Package], spec: &Spec, run: &mut Run<'_>) -> anyhow::Result<Failed> {
    let remains = Remains::of(clone);
    let library = remains.library().with_context(|| format!("`{}` has no site-packages", shown(final_path)))?;
    let (dists, _) = installed(&library.packages);
    let pins: Vec<Pin> = packages.iter().map(|package| pin(final_path, package, &dists)).collect::<anyhow::Result<_>>()?;
    for package in packages {
        clear(clone, &library.packages, package, &dists)?;
    }
    let python = clone.join("bin/python");
    let folder = final_path.parent().unwrap_or(final_path).to_owned();
    let mut session = Session::plain(Tool::choose(spec.installer, &python)?, python, folder, run);
    (session.fresh, session.again) = (spec.fresh, true);
    let mut failed = session.install(pins.clone(), &Way::EXACT)?;
    let (present, _) = installed(&library.packages);
    // The probe cannot miss what has no trace any more.
    let is_there = |pin: &Pin| present.iter().any(|dist| dist.name == pin.name) || failed.iter().any(|(other, _)| other.name == pin.name);
    let gone: Vec<Pin> = pins.into_iter().filter(|pin| !is_there(pin)).collect();
    failed.extend(gone.into_iter().map(|pin| (pin, format!("{} reports no error, and it is not there", session.tool.name()))));
    relocate::rewrite(clone, &[clone], final_path).context("cannot make the scripts say where they will stand")?;
    Ok(failed)
}

/// What installing these again takes away and brings, as far as their RECORDs tell, relative to `venv`.
pub(crate) fn replaced(venv: &Path, packages: &[Package]) -> Vec<PathBuf> {
    let remains = Remains::of(venv);
    let Some(library) = remains.library() else { return Vec::new() };
    let is_meant = |dist: &Dist| packages.iter().any(|package| normalised(&package.name).is_ok_and(|name| name == dist.name));
    let mut paths = Vec::new();
    for dist in installed(&library.packages).0.into_iter().filter(is_meant) {
        paths.extend(record(&dist.info).unwrap_or_default().iter().map(|entry| layout::normal(&library.packages.join(&entry.path))));
        paths.push(dist.info);
    }
    paths.iter().filter_map(|path| path.strip_prefix(venv).ok()).map(Path::to_owned).collect()
}

/// As the distribution says where it came from, else the version that the finding names.
fn pin(venv: &Path, package: &Package, dists: &[Dist]) -> anyhow::Result<Pin> {
    let name = normalised(&package.name)?;
    let fits = |dist: &&Dist| dist.name == name && package.version.as_ref().is_none_or(|version| *version == dist.version);
    match (dists.iter().find(fits), &package.version) {
        (Some(dist), _) => recovered::pin(venv, dist),
        (None, Some(version)) => Pin::exact(&name, version),
        (None, None) => anyhow::bail!("nothing tells which version of {name} was installed"),
    }
    .with_context(|| format!("cannot reinstall {name}"))
}

/// Takes away what an installer would stumble over: metadata without METADATA, and metadata of another version of the same name.
fn clear(clone: &Path, packages: &Path, package: &Package, dists: &[Dist]) -> anyhow::Result<()> {
    let name = normalised(&package.name)?;
    let same: Vec<&Dist> = dists.iter().filter(|dist| dist.name == name).collect();
    for dist in &same {
        let is_whole = dist.info.join("METADATA").is_file();
        let is_other = same.len() > 1 && package.version.as_ref().is_some_and(|version| *version != dist.version);
        if !is_whole {
            owned(clone, packages, &dist.info).iter().try_for_each(|path| remove_tree(path))?;
        }
        if !is_whole || is_other {
            remove_tree(&dist.info)?;
        }
    }
    Ok(())
}

/// The files that a RECORD names and that lie within the environment, also where a folder on the way is a link.
fn owned(clone: &Path, packages: &Path, info: &Path) -> Vec<PathBuf> {
    let Ok(root) = clone.canonicalize() else { return Vec::new() };
    let entries = record(info).unwrap_or_default();
    let paths = entries.iter().map(|entry| layout::normal(&packages.join(&entry.path)));
    let is_inside =
        |path: &PathBuf| path.parent().and_then(|folder| folder.canonicalize().ok()).is_some_and(|folder| folder.starts_with(&root));
    paths.filter(|path| is_inside(path) && !path.is_dir()).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn nothing_outside_is_owned_whatever_a_record_says() {
        let root = tempfile::tempdir().unwrap();
        let (venv, outside) = (root.path().join("venv"), root.path().join("outside"));
        let (packages, info) = (venv.join("site-packages"), venv.join("site-packages/a-1.dist-info"));
        for folder in [&info, &outside, &venv.join("bin")] {
            fs::create_dir_all(folder).unwrap();
        }
        symlink(&outside, packages.join("linked")).unwrap();
        for file in [outside.join("x"), packages.join("a.py"), venv.join("bin/a")] {
            fs::File::create(file).unwrap();
        }
        let record = format!("a.py,,\n../bin/a,,\nlinked/x,,\n../../outside/x,,\n{}/x,,\na-1.dist-info,,\n", outside.display());
        #[expect(clippy::disallowed_methods, reason = "a test's own file")]
        fs::write(info.join("RECORD"), record).unwrap();
        assert_eq!(owned(&venv, &packages, &info), [packages.join("a.py"), venv.join("bin/a")]);
    }
}
