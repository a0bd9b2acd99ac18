//! The table of remedies. Nothing that is not in it is ever done, whatever a record says.

mod import;
mod json;
mod module;
mod path;
mod permissions;
mod service;
pub(crate) mod sibling;
mod syntax;

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use contract::path::shown;
use contract::{redact, replace};
use serde_json::Value;

use crate::arguments::{Mend, Name};
use crate::asked::Asked;
use crate::bounds::Bounds;

/// So many edits are told in words, each with so many characters.
const TOLD: usize = 3;
const LONGEST: usize = 40;
/// The largest file that is mended, in bytes.
const LARGEST: u64 = 256 << 20;

/// What there is to say of one thing that is to be mended. It is the check as well: what is made is judged by what had failed.
pub(crate) enum Plan {
    /// Nothing is wrong, or not any more.
    Passes,
    Declined(Declined),
    Change(Change),
}

/// Why nothing is done.
#[derive(Debug)]
pub(crate) struct Declined {
    /// For a person.
    pub(crate) why: String,
    /// For a program.
    pub(crate) detail: Value,
}

/// What would be done.
#[derive(Debug)]
pub(crate) struct Change {
    /// What the action is about.
    pub(crate) target: PathBuf,
    /// For a person: what it is that is done.
    pub(crate) words: String,
    /// For a program: edits, bits, argument vectors.
    pub(crate) detail: Value,
    /// One after the other.
    pub(crate) steps: Vec<Step>,
    /// What the check is asked when it is run again, where only the plan knew what had failed.
    pub(crate) check: Option<Box<Asked>>,
}

/// One thing that is done. Whatever it touches was kept before.
#[derive(Debug)]
pub(crate) enum Step {
    /// Gives a file a new text, if it still has the old one; where there is none, nothing may be there.
    Write { file: PathBuf, before: Option<Vec<u8>>, text: Vec<u8> },
    /// Gives a file another mode, if it still has the old one.
    Mode { file: PathBuf, before: u32, mode: u32 },
    /// Makes a folder and those above it.
    Folder(PathBuf),
    /// Starts a service again.
    Restart(service::Restart),
    /// Installs into an environment.
    Install(module::Install),
}

/// Judges one thing that is to be mended.
///
/// # Errors
/// It cannot be judged, or is out of bounds.
pub(crate) fn plan(name: Name, asked: &Asked, bounds: &Bounds, options: &Mend, state: &Path) -> anyhow::Result<Plan> {
    let plan = planned(name, asked, bounds, options, state)?;
    if let Plan::Change(change) = &plan {
        change.steps.iter().try_for_each(|step| step.admitted(bounds))?;
    }
    Ok(plan)
}

/// What is really asked for: a module that the project has in another case, or elsewhere, is no matter of installing.
pub(crate) fn routed(asked: &Asked, bounds: &Bounds, options: &Mend) -> Asked {
    let import = || Asked { remedy: "fix-import".to_owned(), ..asked.clone() };
    let import = (asked.name() == Some(Name::InstallModule)).then(import);
    let has_answer = |import: &Asked| matches!(import::plan(import, bounds, options), Ok(Plan::Change(_) | Plan::Passes));
    import.filter(has_answer).unwrap_or_else(|| asked.clone())
}

fn planned(name: Name, asked: &Asked, bounds: &Bounds, options: &Mend, state: &Path) -> anyhow::Result<Plan> {
    match name {
        Name::RepairJson => json::plan(asked, bounds, options),
        Name::FixSyntax => syntax::plan(asked, bounds, options),
        Name::FixPermissions => permissions::plan(asked, bounds),
        Name::CreatePath => path::plan(asked, bounds),
        Name::RestartService => service::plan(asked, bounds, state),
        Name::FixImport => import::plan(asked, bounds, options),
        Name::InstallModule => Ok(module::plan(asked, bounds, options)),
        Name::VenvRebuild | Name::RegistryRepair => anyhow::bail!("a sibling does this"),
    }
}

impl Change {
    /// A file gets another text.
    fn of_text(file: PathBuf, before: Vec<u8>, text: Vec<u8>, words: String, detail: Value) -> Self {
        let steps = vec![Step::Write { file: file.clone(), before: Some(before), text }];
        Self { target: file, words, detail, steps, check: None }
    }
}

impl Step {
    /// The topmost paths whose content it changes or makes.
    pub(crate) fn touches(&self) -> Vec<PathBuf> {
        match self {
            Self::Write { file, .. } => vec![file.clone()],
            Self::Folder(folder) => vec![topmost_missing(folder)],
            Self::Install(install) => vec![install.touches()],
            Self::Mode { .. } | Self::Restart(_) => Vec::new(),
        }
    }

    /// A folder whose whole content it answers for.
    pub(crate) fn tree(&self) -> Option<PathBuf> {
        match self {
            Self::Folder(folder) => Some(topmost_missing(folder)),
            Self::Install(install) => Some(install.touches()),
            _ => None,
        }
    }

    /// Whether what it changes may be changed. Of a mode git keeps the execute bit alone.
    fn admitted(&self, bounds: &Bounds) -> anyhow::Result<()> {
        match self {
            Self::Write { file, before: Some(_), .. } => bounds.admit(file),
            Self::Mode { file, before, mode } if before & 0o111 != mode & 0o111 => bounds.admit(file),
            _ => Ok(()),
        }
    }

    /// Tells what came in the place of what, where the plan could not know it.
    ///
    /// # Errors
    /// It could not be done; the caller puts back what there was.
    pub(crate) fn apply(&self, state: &Path) -> anyhow::Result<Vec<String>> {
        let applied = match self {
            Self::Write { file, before, text } => {
                let now = match fs::read(file) {
                    Err(e) if e.kind() == io::ErrorKind::NotFound => None,
                    now => Some(now.with_context(|| format!("cannot read {}", shown(file)))?),
                };
                anyhow::ensure!(now == *before, "somebody wrote to {} meanwhile; try again", shown(file));
                replace::write_through(file, text, &aside(std::process::id()))
            }
            Self::Mode { file, before, mode } => {
                let meta = file.symlink_metadata().with_context(|| format!("cannot look at {}", shown(file)))?;
                let is_same = meta.is_file() && meta.permissions().mode() & 0o7777 == *before;
                anyhow::ensure!(is_same, "somebody changed {} meanwhile; try again", shown(file));
                fs::set_permissions(file, fs::Permissions::from_mode(*mode))
                    .with_context(|| format!("cannot change the mode of {}", shown(file)))
            }
            Self::Folder(folder) => fs::create_dir_all(folder).with_context(|| format!("cannot make {}", shown(folder))),
            Self::Restart(restart) => restart.apply(state),
            Self::Install(install) => return install.apply(),
        };
        applied.map(|()| Vec::new())
    }
}

/// What a new text is called until it takes the place of the old one.
pub(crate) fn aside(pid: u32) -> String {
    format!(".mendline-heal-{pid}")
}

/// The highest of the folders on the way that is not there.
fn topmost_missing(folder: &Path) -> PathBuf {
    folder.ancestors().take_while(|folder| folder.symlink_metadata().is_err()).last().unwrap_or(folder).to_owned()
}

#[expect(clippy::unnecessary_wraps, reason = "it is what each remedy returns")]
pub(crate) fn declined(why: impl Into<String>) -> anyhow::Result<Plan> {
    Ok(Plan::Declined(Declined { why: why.into(), detail: Value::Null }))
}

/// The line of the project's own source that the traceback ends in.
fn source_line(asked: &Asked, bounds: &Bounds) -> Option<String> {
    let source = text_in(&bounds.place(&asked.path("file")?).ok()?)?;
    source.lines().nth(asked.line()?.checked_sub(1)?).map(str::to_owned)
}

/// The text of a source; whatever is no file, or longer than anybody writes, is none.
fn text_in(file: &Path) -> Option<String> {
    let meta = file.metadata().ok()?;
    if meta.is_file() && meta.len() <= 4 << 20 { fs::read_to_string(file).ok() } else { None }
}

/// Whether a file is part of a package that somebody else made.
fn is_installed(file: &Path) -> bool {
    file.iter().any(|name| name == "site-packages" || name == "dist-packages" || name == "node_modules")
}

/// One edit: its line, the bytes that go, and what comes in their place.
type Edited<'t> = (usize, &'t [u8], &'t str);

/// Some edits in words, the first three of them as they are.
fn edited<'t>(edits: impl ExactSizeIterator<Item = Edited<'t>>) -> String {
    let more = edits.len().saturating_sub(TOLD);
    let quoted = |text: &str| redact::excerpt(&text.chars().take(LONGEST).collect::<String>());
    let words = edits.take(TOLD).map(|(line, gone, new)| {
        let (gone, new) = (quoted(&String::from_utf8_lossy(gone)), quoted(new));
        match (gone.is_empty(), new.is_empty()) {
            (true, _) => format!("line {line}: insert `{new}`"),
            (_, true) => format!("line {line}: remove `{gone}`"),
            _ => format!("line {line}: `{gone}` becomes `{new}`"),
        }
    });
    let words: Vec<String> = words.collect();
    words.join("; ") + &if more > 0 { format!("; and {more} more edits") } else { String::new() }
}

/// The text of a file that may be changed, and where that is.
fn text_of(asked: &Asked, bounds: &Bounds) -> anyhow::Result<Result<(PathBuf, Vec<u8>), Plan>> {
    let Some(file) = asked.path("file") else { return declined("which file it is about is not told; name it").map(Err) };
    let file = bounds.file(&file)?;
    anyhow::ensure!(file.metadata()?.len() <= LARGEST, "{} is larger than {} MiB", shown(&file), LARGEST >> 20);
    let text = fs::read(&file).with_context(|| format!("cannot read {}", shown(&file)))?;
    Ok(Ok((file, text)))
}
