//! `floor`: the least work that a job takes, with no judgement in it. A tool is measured against this.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail, ensure};
use rayon::prelude::*;
use sha2::{Digest as _, Sha256};

const USAGE: &str = "\
usage: floor files ROOT   read what tells an environment's state: pyvenv.cfg, the interpreter's links, the heads of scripts and metadata
       floor starts ROOT  start each environment's interpreter once
       floor hash VENV    hash every file that a RECORD lists with a hash
Uses all processors, and says how much it did.";

/// What is read of a file to know what it is.
const HEAD: usize = 4096;
/// Read at a time while hashing; larger blocks leave the processor's cache.
const BLOCK: usize = 128 << 10;

fn main() -> anyhow::Result<()> {
    // As many as the tools take: on a busy machine more threads get more of it.
    let threads = std::thread::available_parallelism()?.get() * 2;
    rayon::ThreadPoolBuilder::new().num_threads(threads).build_global()?;
    let args: Vec<_> = std::env::args_os().skip(1).collect();
    let [job, path] = &args[..] else { bail!(USAGE) };
    let path = Path::new(path);
    let did = match job.to_str() {
        Some("files") => format!("{} files read", files(path)?),
        Some("starts") => format!("{} interpreters started", starts(path)?),
        Some("hash") => format!("{} bytes hashed", hash(path)?),
        _ => bail!(USAGE),
    };
    Ok(writeln!(io::stdout(), "{did}")?)
}

fn files(root: &Path) -> io::Result<usize> {
    let read = |venv: &PathBuf| Ok(1 + interpreter(venv)? + scripts(venv)? + metadata(venv)?);
    environments(root)?.par_iter().map(read).sum()
}

fn starts(root: &Path) -> anyhow::Result<usize> {
    let environments = environments(root)?;
    environments.par_iter().try_for_each(|venv| start(&venv.join("bin/python")))?;
    Ok(environments.len())
}

fn hash(venv: &Path) -> anyhow::Result<u64> {
    let records: Vec<_> = sites(venv)?.iter().map(|site| recorded(site)).collect::<Result<_, _>>()?;
    let files: Vec<_> = records.into_iter().flatten().collect();
    files.par_iter().map_init(|| vec![0; BLOCK], |buffer, file| digest(file, buffer)).sum()
}

/// The folders with a `pyvenv.cfg`; what lies below one is its own.
fn environments(root: &Path) -> io::Result<Vec<PathBuf>> {
    let mut folders = Vec::new();
    for entry in fs::read_dir(root)? {
        let entry = entry?;
        if entry.file_name() == "pyvenv.cfg" {
            fs::read(entry.path())?;
            return Ok(vec![root.to_owned()]);
        }
        if entry.file_type()?.is_dir() {
            folders.push(entry.path());
        }
    }
    let found: Vec<_> = folders.par_iter().map(|folder| environments(folder)).collect::<Result<_, _>>()?;
    Ok(found.concat())
}

/// Follows the links to the real interpreter.
fn interpreter(venv: &Path) -> io::Result<usize> {
    let mut path = venv.join("bin/python");
    let mut links = 0;
    while let Ok(target) = fs::read_link(&path) {
        path = path.with_file_name(target);
        links += 1;
    }
    fs::metadata(&path)?;
    Ok(links)
}

fn scripts(venv: &Path) -> io::Result<usize> {
    let mut read = 0;
    for entry in fs::read_dir(venv.join("bin"))? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            read += usize::from(head(&entry.path()));
        }
    }
    Ok(read)
}

fn metadata(venv: &Path) -> io::Result<usize> {
    let infos = sites(venv)?.iter().map(|site| infos(site)).collect::<Result<Vec<_>, _>>()?.concat();
    let files = infos.iter().flat_map(|info| ["METADATA", "WHEEL", "INSTALLER"].map(|file| info.join(file)));
    Ok(files.filter(|file| head(file)).count())
}

fn sites(venv: &Path) -> io::Result<Vec<PathBuf>> {
    fs::read_dir(venv.join("lib"))?.map(|python| Ok(python?.path().join("site-packages"))).collect()
}

fn infos(site: &Path) -> io::Result<Vec<PathBuf>> {
    let entries: Vec<_> = fs::read_dir(site)?.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>()?;
    Ok(entries.into_iter().filter(|path| path.extension().is_some_and(|extension| extension == "dist-info")).collect())
}

/// Whether there was such a file to read.
fn head(path: &Path) -> bool {
    File::open(path).and_then(|mut file| file.read(&mut [0; HEAD])).is_ok()
}

fn start(python: &Path) -> anyhow::Result<()> {
    let status = Command::new(python).args(["-I", "-c", "pass"]).stdin(Stdio::null()).status();
    let status = status.with_context(|| format!("cannot start {}", python.display()))?;
    ensure!(status.success(), "{}: {status}", python.display());
    Ok(())
}

/// The files that the RECORDs of a site folder list with a hash: `path,sha256=…,size`, quoted where the path has a comma.
fn recorded(site: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for record in infos(site)?.iter().map(|info| info.join("RECORD")) {
        let lines = fs::read_to_string(&record).with_context(|| format!("cannot read {}", record.display()))?;
        let hashed = lines.lines().filter_map(|line| line.split_once(",sha256="));
        files.extend(hashed.map(|(path, _)| site.join(path.trim_matches('"'))));
    }
    Ok(files)
}

fn digest(path: &Path, buffer: &mut [u8]) -> anyhow::Result<u64> {
    let mut file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    let (mut hasher, mut bytes) = (Sha256::new(), 0);
    loop {
        let length = file.read(buffer)?;
        if length == 0 {
            std::hint::black_box(hasher.finalize());
            return Ok(bytes);
        }
        hasher.update(&buffer[..length]);
        bytes += length as u64;
    }
}
