//! What a restore gives a path besides its content: owner, mode, extended attributes, times.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use contract::path::shown;
use rustix::fs::{
    Gid, Mode, OFlags, Timespec, Timestamps, Uid, XattrFlags, fchmod, fchown, fgetxattr, flistxattr, fremovexattr, fsetxattr, fstat,
    futimens, openat,
};
use serde::{Deserialize, Serialize};

use crate::capture::xattrs;
use crate::restore::ground::Live;
use crate::store::manifest::{Attribute, Entry, Kind};

/// Set-user-ID and set-group-ID: a file with them runs as somebody else.
const SETUID: u32 = 0o6000;
/// What a file may do that runs, be its user who it may.
const CAPABILITIES: &str = "security.capability";
/// Extended attributes that only root may give, or that the system itself gives.
const PRIVILEGED: [&str; 3] = ["security.", "trusted.", "system.nfs4_acl"];

/// All of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Traits {
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// Seconds since 1970 and nanoseconds.
    pub(crate) mtime: (i64, i64),
    pub(crate) xattrs: Vec<Attribute>,
}

/// What the caller may and wants to give.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Power {
    /// Owners, and attributes that only root gives.
    pub(crate) root: bool,
    pub(crate) setuid: bool,
}

impl Power {
    pub(crate) fn ours(keep_setuid: bool) -> Self {
        Self { root: rustix::process::geteuid().is_root(), setuid: keep_setuid }
    }

    /// Whether an extended attribute of this name is given or taken. Capabilities make a file run as somebody else, too.
    fn allows(self, name: &OsStr) -> bool {
        let starts_with = |prefix: &str| name.as_bytes().starts_with(prefix.as_bytes());
        if name == CAPABILITIES { self.setuid && self.root } else { self.root || !PRIVILEGED.iter().any(|prefix| starts_with(prefix)) }
    }
}

impl Traits {
    /// What an entry asks for, as far as `power` goes.
    ///
    /// # Errors
    /// The manifest has no number where one must be.
    pub(crate) fn wanted(entry: &Entry, power: Power) -> anyhow::Result<Self> {
        let (Some(mode), Some(mtime), Some(uid), Some(gid)) = (entry.bits(), entry.time(), entry.uid, entry.gid) else {
            anyhow::bail!("the manifest does not say mode, owner and time of {}", entry.path);
        };
        let mode = if entry.kind == Kind::File && !power.setuid { mode & !SETUID } else { mode };
        let mut xattrs = entry.xattrs.clone();
        xattrs.retain(|attribute| power.allows(attribute.name.as_path().as_os_str()));
        Ok(Self { mode, uid, gid, mtime, xattrs })
    }

    /// What stands at a path now.
    pub(crate) fn live(path: &Path, live: &Live) -> io::Result<Self> {
        let xattrs = if live.kind == Kind::Link { Vec::new() } else { xattrs(path)? };
        Ok(Self { mode: live.mode, uid: live.uid, gid: live.gid, mtime: live.mtime, xattrs })
    }

    /// Whether `self`, which is live, is as `wanted`; a folder's time is another matter.
    pub(crate) fn fits(&self, wanted: &Self, kind: Kind, power: Power) -> bool {
        let owner = !power.root || (self.uid, self.gid) == (wanted.uid, wanted.gid);
        let mode = kind == Kind::Link || self.mode == wanted.mode;
        let time = kind == Kind::Folder || self.mtime == wanted.mtime;
        let mut xattrs = self.xattrs.clone();
        xattrs.retain(|attribute| power.allows(attribute.name.as_path().as_os_str()));
        owner && mode && time && xattrs == wanted.xattrs
    }

    /// Whether `self`, which is live, is what somebody has who was on the way from `old` to `new`; a folder's time is another matter.
    pub(crate) fn is_between(&self, old: &Self, new: &Self, kind: Kind) -> bool {
        let mode = |traits: &Self| self.mode & !SETUID == traits.mode & !SETUID;
        let owner = |traits: &Self| (self.uid, self.gid) == (traits.uid, traits.gid);
        let time = |traits: &Self| kind == Kind::Folder || self.mtime == traits.mtime;
        (mode(old) || mode(new)) && (owner(old) || owner(new)) && (time(old) || time(new))
    }

    /// Gives an open file or folder all of it. In this order: a change of owner takes set-user-ID and capabilities away, and every change
    /// but the last one changes a time.
    pub(crate) fn give(&self, file: impl AsFd, power: Power) -> anyhow::Result<()> {
        if power.root {
            fchown(&file, Some(Uid::from_raw(self.uid)), Some(Gid::from_raw(self.gid))).context("cannot give it its owner")?;
        } else if fstat(&file)?.st_gid != self.gid {
            // To a group of his own, its owner may give it; another one stays as it would without us.
            let _ = fchown(&file, None, Some(Gid::from_raw(self.gid)));
        }
        self.give_xattrs(&file, power)?;
        // Whoever is not in the group of a folder would take its set-group-ID away with it.
        if fstat(&file)?.st_mode & 0o7777 != self.mode {
            fchmod(&file, Mode::from_raw_mode(self.mode)).context("cannot give it its mode")?;
        }
        futimens(&file, &self.times()).context("cannot give it its time")
    }

    fn give_xattrs(&self, file: impl AsFd, power: Power) -> anyhow::Result<()> {
        let has = names(&file)?;
        for name in has.iter().filter(|name| power.allows(name)) {
            let is_wanted = self.xattrs.iter().any(|attribute| attribute.name.as_path() == *name);
            if !is_wanted && name != "security.selinux" {
                fremovexattr(&file, name).with_context(|| format!("cannot take away its extended attribute {}", shown(Path::new(name))))?;
            }
        }
        for Attribute { name, value } in &self.xattrs {
            let value = STANDARD.decode(value).with_context(|| format!("the manifest has no base64 for the extended attribute {name}"))?;
            if !has_xattr(&file, name.as_path(), &value) {
                fsetxattr(&file, name.as_path(), &value, XattrFlags::empty())
                    .with_context(|| format!("cannot give it its extended attribute {name}"))?;
            }
        }
        Ok(())
    }

    /// The times as the system calls take them: the time of access is left as it is.
    pub(crate) fn times(&self) -> Timestamps {
        let omit = Timespec { tv_sec: 0, tv_nsec: rustix::fs::UTIME_OMIT };
        Timestamps { last_access: omit, last_modification: Timespec { tv_sec: self.mtime.0, tv_nsec: self.mtime.1 } }
    }
}

/// Whether an attribute is there already: its owner may not set one of a read-only file, not even to what it is.
fn has_xattr(file: impl AsFd, name: &Path, value: &[u8]) -> bool {
    let mut buffer = vec![0_u8; value.len() + 1];
    fgetxattr(file, name, &mut buffer[..]).is_ok_and(|length| buffer[..length] == *value)
}

fn names(file: impl AsFd) -> anyhow::Result<Vec<OsString>> {
    let mut buffer = vec![0_u8; 64 << 10];
    match flistxattr(&file, &mut buffer[..]) {
        Ok(length) => {
            let names = buffer[..length].split(|byte| *byte == 0).filter(|name| !name.is_empty());
            Ok(names.map(|name| OsStr::from_bytes(name).to_owned()).collect())
        }
        Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => Ok(Vec::new()),
        Err(e) => Err(e).context("cannot list its extended attributes"),
    }
}

/// Opens what is to be given other traits in place, a link not followed.
pub(crate) fn open(folder: &OwnedFd, name: &OsStr) -> io::Result<OwnedFd> {
    Ok(openat(folder, name, OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC, Mode::empty())?)
}
