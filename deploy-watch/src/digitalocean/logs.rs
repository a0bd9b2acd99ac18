//! The logs of one deployment, kept on the disk: after a rollback the platform has those of the run no more.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use contract::{replace, state};

use super::api::{Deployment, Logs};
use super::which::reason;
use crate::http::{Api, Failure};

/// So much of the end of a log is kept, in bytes.
const MOST: usize = 8 << 20;
/// In the order in which a cause is likely in them.
const KINDS: [&str; 3] = ["BUILD", "DEPLOY", "RUN"];

/// Takes what there is by now; the paths in which it is, the likeliest first. What cannot be had goes to `missed`, and the rest is taken.
///
/// # Errors
/// It cannot be written.
pub(super) fn capture(
    api: &Api<'_>,
    app: &str,
    deployment: &Deployment,
    folder: &Path,
    missed: &mut dyn FnMut(anyhow::Error),
) -> anyhow::Result<Vec<PathBuf>> {
    let folder = folder.join(plain(app)).join(plain(&deployment.id));
    state::private_folder(&folder)?;
    let failed: Vec<&str> = deployment.failed_steps().into_iter().filter_map(|step| step.component_name.as_deref()).collect();
    let mut names: Vec<&str> = deployment.components().map(|component| component.name.as_str()).filter(|name| !name.is_empty()).collect();
    names.sort_by_key(|name| !failed.contains(name));
    let mut paths = Vec::new();
    for name in names {
        for kind in KINDS {
            let path = folder.join(format!("{}-{}.log", plain(name), kind.to_ascii_lowercase()));
            match fetch(api, &format!("/v2/apps/{app}/deployments/{}/components/{name}/logs?type={kind}", deployment.id)) {
                // What is gone by now was there before.
                Ok(text) if text.is_empty() => {}
                Ok(text) => replace::write(&path, &text)?,
                Err(e) => missed(e),
            }
            paths.extend(path.is_file().then_some(path));
        }
    }
    paths.extend(steps(deployment, &folder)?);
    Ok(paths)
}

/// What the platform itself says of the steps that failed.
fn steps(deployment: &Deployment, folder: &Path) -> anyhow::Result<Option<PathBuf>> {
    let lines: String =
        deployment.failed_steps().into_iter().filter(|step| step.reason.is_some()).map(|step| reason(step) + "\n").collect();
    let path = folder.join("steps.log");
    if lines.is_empty() {
        return Ok(None);
    }
    replace::write(&path, lines.as_bytes())?;
    Ok(Some(path))
}

/// Nothing where the stage was not reached, or its log is gone.
fn fetch(api: &Api<'_>, path: &str) -> anyhow::Result<Vec<u8>> {
    let logs: Logs = match api.get(path) {
        Err(Failure::Refused(400 | 404, _)) => return Ok(Vec::new()),
        logs => logs.with_context(|| format!("cannot get the log {path}"))?,
    };
    let mut text = Vec::new();
    for url in &logs.historic_urls {
        match api.signed(url) {
            Err(Failure::Refused(..)) => {}
            part => text.extend(part.context("cannot get an archived log")?),
        }
    }
    text.drain(..text.len().saturating_sub(MOST));
    Ok(text)
}

/// A name of the platform as the name of a file.
fn plain(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() || "-_".contains(c) { c } else { '_' }).collect()
}
