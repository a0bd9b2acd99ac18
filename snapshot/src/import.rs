//! `snapshot import`: snapshots of the rollback manager that this tool replaces, in both of its formats.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use chrono::{Local, NaiveDateTime, SecondsFormat, TimeZone as _, Utc};
use contract::output::Output;
use contract::path::{Subject, absolute, shown};
use contract::record::About;
use contract::run::Exit;
use serde::Deserialize;

use crate::store::address::Address;
use crate::store::contents::Contents;
use crate::store::manifest::{Entry, Header, Kind, Manifest, Python, Root, WorkTree, is_plain};
use crate::store::pack::{self, LONGEST, Writer};
use crate::store::seal::Recipients;
use crate::store::{Store, names};
use crate::{capture, prune, summary};

/// `manifest.json` of the old tool. The oldest snapshots have no `credential_files`.
#[derive(Deserialize)]
struct Old {
    created_at: String,
    #[serde(default)]
    description: Option<String>,
    #[serde(default)]
    category: Option<String>,
    #[serde(default)]
    plist_files: Vec<OldFile>,
    #[serde(default)]
    config_files: Vec<OldFile>,
    #[serde(default)]
    credential_files: Vec<OldFile>,
    #[serde(default)]
    git_state: Option<OldGit>,
    /// By the names of folders below a project that nothing names.
    #[serde(default)]
    venv_metadata: BTreeMap<String, OldVenv>,
}

#[derive(Deserialize)]
struct OldFile {
    original: PathBuf,
    backup: PathBuf,
    hash: String,
}

#[derive(Deserialize)]
struct OldGit {
    #[serde(default)]
    commit: Option<String>,
    #[serde(default)]
    branch: Option<String>,
    #[serde(default)]
    error: Option<String>,
}

#[derive(Deserialize)]
struct OldVenv {
    #[serde(default)]
    exists: bool,
    /// What `python --version` printed.
    #[serde(default)]
    python_version: Option<String>,
}

/// Imports the old snapshot in `folder`, or all in the folders below it. One that is in the store already is passed over.
///
/// # Errors
/// There is none, or the store cannot be written. One that is damaged is an error record and hides no other.
pub(crate) fn run(out: &mut Output, store: &Store, folder: &Path, recipients: &Recipients) -> anyhow::Result<Exit> {
    let folder = absolute(folder)?;
    anyhow::ensure!(!folder.is_file(), "{} is a file; name the folder of the old snapshot", shown(&folder));
    let snapshots = snapshots(&folder)?;
    anyhow::ensure!(!snapshots.is_empty(), "there is no manifest.json in {} or in a folder in it", shown(&folder));
    store.make()?;
    store.sweep()?;
    for snapshot in snapshots {
        if let Err(e) = one(out, store, &snapshot, recipients) {
            let subject = Subject::from(&snapshot);
            out.error("import.failed", About { subject: Some(&subject), ..About::default() }, None, &format!("{e:#}"))?;
        }
    }
    Ok(Exit::Done)
}

fn snapshots(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let is_one = |folder: &PathBuf| folder.join("manifest.json").is_file();
    let entries = fs::read_dir(folder).with_context(|| format!("cannot list {}", shown(folder)))?;
    let mut all: Vec<PathBuf> =
        entries.filter_map(|entry| entry.ok().map(|entry| entry.path())).chain([folder.to_owned()]).filter(is_one).collect();
    all.sort();
    Ok(all)
}

fn one(out: &mut Output, store: &Store, folder: &Path, recipients: &Recipients) -> anyhow::Result<()> {
    let lock = store.share()?;
    let path = folder.join("manifest.json");
    let text = fs::read(&path).with_context(|| format!("cannot read {}", shown(&path)))?;
    let old: Old = serde_json::from_slice(&text).with_context(|| format!("cannot understand {}", shown(&path)))?;
    let id = folder
        .file_name()
        .and_then(|name| name.to_str())
        .filter(|name| names::is_id(name))
        .context("the folder of an old snapshot is called by its id")?;
    if store.manifest(id).exists() {
        let is_partial = store.header(id).is_ok_and(|header| header.partial);
        let again = format!(", though not whole; to import it once more, `snapshot delete {id} --force` first");
        out.hint(&format!("{id} is in the store already{}", if is_partial { &again } else { "" }));
        return Ok(());
    }
    let contents = if recipients.is_empty() { store.open_contents()? } else { Contents::none() };
    let mut writer = Writer::create(&store.packs(), id, recipients)?;
    let gathered = gather(out, &old, folder, &contents, &mut writer);
    let (mut entries, mut partial) = match gathered {
        Ok(gathered) => gathered,
        Err(e) => return Err(writer.discard().err().unwrap_or(e)),
    };
    if entries.is_empty() && partial {
        writer.discard()?;
        anyhow::bail!("nothing of it can be read, so it is not imported");
    }
    let added = writer.finish()?;
    entries.sort_by(|a, b| a.path.as_path().cmp(b.path.as_path()));
    entries.dedup_by(|a, b| a.path == b.path);
    for entry in without_what_is_below_files(&mut entries) {
        partial = true;
        let about = About { subject: Some(&entry.path), ..About::default() };
        out.error("import.damaged", about, None, &format!("{} is said to be in what is a file itself", entry.path))?;
    }
    let mut manifest =
        Manifest { header: Header { sealed_to: recipients.names(), ..header(&old, id, &entries, added, partial)? }, entries };
    if let Err(e) = store.commit(&mut manifest, recipients) {
        drop(lock);
        prune::take_back(store, id);
        return Err(e);
    }
    summary::emit(out, store, &manifest.header, false, &summary::Made::default())
}

fn header(old: &Old, id: &str, entries: &[Entry], added: u64, partial: bool) -> anyhow::Result<Header> {
    let git = old.git_state.iter().map(|git| WorkTree {
        commit: git.commit.clone(),
        branch: git.branch.clone(),
        error: git.error.clone(),
        ..WorkTree::default()
    });
    Ok(Header {
        v: Header::VERSION,
        id: id.to_owned(),
        seq: 0,
        time: time(&old.created_at)?,
        description: old.description.clone(),
        label: old.category.as_deref().and_then(label),
        host: rustix::system::uname().nodename().to_string_lossy().into_owned(),
        user: String::new(),
        tool: "rollback_manager".to_owned(),
        roots: entries.iter().map(|entry| Root { path: entry.path.clone(), real: entry.path.clone() }).collect(),
        excluded: Vec::new(),
        above: Vec::new(),
        git: git.collect(),
        pythons: old.venv_metadata.iter().filter(|(_, venv)| venv.exists).map(python).collect(),
        entries: entries.len() as u64,
        size: entries.iter().filter_map(|entry| entry.size).sum(),
        added,
        sealed_to: Vec::new(),
        roots_sha256: None,
        partial,
    })
}

/// What the old tool called a category could have spaces in it.
fn label(category: &str) -> Option<String> {
    let word = category.split_whitespace().collect::<Vec<_>>().join("-");
    // Nobody who takes old snapshots over wants them to go by themselves.
    let word = if word.starts_with(prune::AUTOMATIC) { format!("imported-{word}") } else { word };
    names::label(&word).ok()
}

fn python((name, venv): (&String, &OldVenv)) -> Python {
    let version = venv.python_version.as_deref().map(|text| text.trim().trim_start_matches("Python ").to_owned());
    Python { path: Subject::from(Path::new(name)), version }
}

/// The old tool wrote local time without saying so; a newer one of it could say so.
fn time(text: &str) -> anyhow::Result<String> {
    let zoned = chrono::DateTime::parse_from_rfc3339(text).ok().map(|time| time.to_utc());
    let local = || {
        let naive = NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f").ok()?;
        Local.from_local_datetime(&naive).earliest().map(|time| time.with_timezone(&Utc))
    };
    let time = zoned.or_else(local).with_context(|| format!("`{text}` is no time"))?;
    Ok(time.to_rfc3339_opts(SecondsFormat::Millis, true))
}

fn gather(out: &mut Output, old: &Old, folder: &Path, contents: &Contents, writer: &mut Writer) -> anyhow::Result<(Vec<Entry>, bool)> {
    let (mut entries, mut partial) = (Vec::new(), false);
    let mut added = std::collections::HashSet::new();
    for (kind, files) in [("plist", &old.plist_files), ("config", &old.config_files), ("credentials", &old.credential_files)] {
        for file in files {
            match kept(file, folder, kind) {
                Ok((bytes, mut entry)) => {
                    let address = Address::of(&bytes);
                    entry.sha256 = Some(address);
                    if !contents.has(&address) && added.insert(address) {
                        writer.append(address, bytes.len() as u64, &pack::frame(address, &bytes)?)?;
                    }
                    entries.push(entry);
                }
                Err(e) => {
                    partial = true;
                    let subject = Subject::from(&file.original);
                    out.error("import.damaged", About { subject: Some(&subject), ..About::default() }, None, &format!("{e:#}"))?;
                }
            }
        }
    }
    Ok((entries, partial))
}

/// Takes out what cannot have been where it is said to have been; `entries` are sorted, each a file.
fn without_what_is_below_files(entries: &mut Vec<Entry>) -> Vec<Entry> {
    let mut last: Option<PathBuf> = None;
    let is_below = |entry: &mut Entry| {
        let below = last.as_ref().is_some_and(|last| entry.path.as_path().starts_with(last));
        if !below {
            last = Some(entry.path.as_path().to_owned());
        }
        below
    };
    entries.extract_if(.., is_below).collect()
}

/// Snapshots were moved with the project they lay in, and their manifests name the old place: what lies in the snapshot itself goes first.
fn kept(file: &OldFile, folder: &Path, kind: &str) -> anyhow::Result<(Vec<u8>, Entry)> {
    let name = file.backup.file_name().context("a backup has no name")?;
    let path = [folder.join(kind).join(name), file.backup.clone()].into_iter().find(|path| path.is_file());
    let path = path.with_context(|| format!("the backup of {} is missing", shown(&file.original)))?;
    let bytes = fs::read(&path).with_context(|| format!("cannot read {}", shown(&path)))?;
    anyhow::ensure!(bytes.len() <= LONGEST, "{} is larger than the old tool kept files", shown(&path));
    anyhow::ensure!(Address::of(&bytes).to_string() == file.hash, "{} is damaged: its hash is another", shown(&path));
    anyhow::ensure!(is_plain(&file.original), "{} is no plain absolute path", shown(&file.original));
    let meta = path.metadata().with_context(|| format!("cannot look at {}", shown(&path)))?;
    let mut entry = Entry::new(&file.original, Kind::File);
    entry.mode = Some(format!("{:04o}", meta.mode() & 0o777));
    entry.uid = Some(meta.uid());
    entry.gid = Some(meta.gid());
    entry.mtime = Some(capture::mtime(meta.mtime(), meta.mtime_nsec()));
    entry.size = Some(bytes.len() as u64);
    Ok((bytes, entry))
}
