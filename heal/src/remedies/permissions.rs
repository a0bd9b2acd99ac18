//! `fix-permissions`: the one bit that is missing, for the owner alone. A denied write is explained, and never given.

use std::fs::Metadata;
use std::io::Read as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use contract::path::shown;
use contract::secret::is_secret;
use rustix::fs::{Access, AtFlags, CWD, StatVfsMountFlags, StatxAttributes, StatxFlags};
use serde_json::{Value, json};

use super::{Change, Declined, Plan, Step, source_line};
use crate::asked::Asked;
use crate::bounds::Bounds;

/// What was denied: from the plan to its check, since a message does not tell.
const DENIED: &str = "denied";
const READ: u32 = 0o400;
const EXECUTE: u32 = 0o100;

pub(super) fn plan(asked: &Asked, bounds: &Bounds) -> anyhow::Result<Plan> {
    let Some(path) = asked.path("path") else { return super::declined("which path was denied is not told") };
    let file = bounds.place(&path)?;
    if let Some(folder) = closed_folder(&file) {
        return Ok(explained(&folder, "the folder may not be entered; its owner can give that right"));
    }
    let Ok(meta) = file.symlink_metadata() else { return super::declined(format!("{} is not there", shown(&file))) };
    let (bit, word, access) = match asked.code.as_deref() {
        Some("program.not-executable") => (EXECUTE, "executed", Access::EXEC_OK),
        _ if starts_it(asked, bounds) => (EXECUTE, "executed", Access::EXEC_OK),
        _ => (READ, "read", Access::READ_OK),
    };
    if is_granted(&file, access) {
        let was_written = access == Access::READ_OK && asked.text(DENIED) != Some(word) && !is_granted(&file, Access::WRITE_OK);
        return Ok(if was_written { explained(&file, "it may be read, and not be written to, which is not given") } else { Plan::Passes });
    }
    if let Some(why) = unfit(&file, &meta, access) {
        return Ok(explained(&file, why));
    }
    let mut check = asked.clone();
    check.args.insert(DENIED.to_owned(), word.into());
    let before = meta.permissions().mode() & 0o7777;
    let words = format!("its owner may have it {word}: mode {before:04o} becomes {:04o}", before | bit);
    let detail = json!({ "mode": format!("{before:04o}"), "becomes": format!("{:04o}", before | bit) });
    Ok(Plan::Change(Change {
        target: file.clone(),
        words,
        detail,
        steps: vec![Step::Mode { file, before, mode: before | bit }],
        check: Some(Box::new(check)),
    }))
}

/// Whether the line of the project that the traceback ends in starts a program.
fn starts_it(asked: &Asked, bounds: &Bounds) -> bool {
    let calls = ["subprocess.", "Popen(", "os.exec", "os.spawn", "check_call(", "check_output(", "create_subprocess_exec("];
    source_line(asked, bounds).is_some_and(|line| calls.iter().any(|call| line.contains(call)))
}

/// Why the bit is not given.
fn unfit(file: &Path, meta: &Metadata, access: Access) -> Option<&'static str> {
    if !meta.is_file() {
        return Some("it is no regular file");
    }
    if is_secret(file) {
        return Some("its name says that it is a secret, whose mode is left alone");
    }
    if meta.uid() != rustix::process::geteuid().as_raw() {
        return Some("it is somebody else's");
    }
    if meta.nlink() > 1 {
        return Some("it has other names (hard links), which may lie anywhere");
    }
    let is_script = access != Access::EXEC_OK || has_shebang(file);
    (!is_script).then_some("it is no script with a first line that names its interpreter (`#!`)")
}

fn has_shebang(file: &Path) -> bool {
    let mut start = [0; 2];
    std::fs::File::open(file).and_then(|mut file| file.read_exact(&mut start)).is_ok() && &start == b"#!"
}

fn is_granted(path: &Path, access: Access) -> bool {
    rustix::fs::accessat(CWD, path, access, AtFlags::EACCESS).is_ok()
}

/// The first folder on the way that may not be entered.
fn closed_folder(file: &Path) -> Option<PathBuf> {
    let folders: Vec<&Path> = file.ancestors().skip(1).collect();
    folders.into_iter().rev().find(|folder| folder.is_dir() && !is_granted(folder, Access::EXEC_OK)).map(Path::to_owned)
}

/// What stands against it, with all that a person needs to decide.
fn explained(path: &Path, why: &str) -> Plan {
    let mut why = format!("{}: {why}", shown(path));
    let Ok(meta) = path.symlink_metadata() else { return Plan::Declined(Declined { why, detail: Value::Null }) };
    let read_only = rustix::fs::statvfs(path).is_ok_and(|fs| fs.f_flag.contains(StatVfsMountFlags::RDONLY));
    let statx = rustix::fs::statx(CWD, path, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::empty());
    let immutable = statx.is_ok_and(|stat| stat.stx_attributes.contains(StatxAttributes::IMMUTABLE));
    if read_only {
        why.push_str("; it is mounted read-only");
    }
    if immutable {
        why.push_str("; it has the immutable flag (`chattr -i` takes it away)");
    }
    let mode = format!("{:04o}", meta.mode() & 0o7777);
    let detail = json!({ "uid": meta.uid(), "gid": meta.gid(), "mode": mode, "read_only_mount": read_only, "immutable": immutable });
    Plan::Declined(Declined { why, detail })
}
