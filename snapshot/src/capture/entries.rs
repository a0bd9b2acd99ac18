//! What was found and read, as the manifest has it, and what of it could not be held as it should be.

use std::collections::HashMap;
use std::fs::Metadata;
use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use contract::path::{Subject, shown};
use rayon::prelude::*;

use super::{Content, Reading, Trouble};
use crate::capture::attributes::{self, xattrs};
use crate::capture::cache::Cache;
use crate::capture::read::is_sparse;
use crate::capture::walk::{Found, inode};
use crate::store::address::Address;
use crate::store::manifest::{Attribute, Entry, Kind, Piece};

/// Entries, what went wrong, and the files that hold what looks like a private key.
type Entries = (Vec<Entry>, Vec<Trouble>, Vec<PathBuf>);

/// Makes entries of what was found, each with its reading; what was read anew is remembered in the cache.
pub(super) fn entries(found: &[Found], read: Vec<Reading>, cache: &mut Cache) -> Entries {
    let attributes: Vec<_> = found.par_iter().map(attributes_of).collect();
    let mut clerk = Clerk { cache, first_names: HashMap::new(), troubles: Vec::new(), keys: Vec::new() };
    let each = found.iter().zip(read).zip(attributes);
    let entries = each.map(|((found, read), attributes)| clerk.entry(found, read, attributes)).collect();
    (entries, clerk.troubles, clerk.keys)
}

fn attributes_of(found: &Found) -> io::Result<Vec<Attribute>> {
    match &found.meta {
        Some(meta) if meta.is_file() || meta.is_dir() => xattrs(&found.path),
        _ => Ok(Vec::new()),
    }
}

/// Inode, size and content.
type SameFile = ((u64, u64), u64, Option<Address>, Vec<Piece>);

struct Clerk<'a> {
    cache: &'a mut Cache,
    /// Of files that have several: the same inode with another content is a file that was changed meanwhile.
    first_names: HashMap<SameFile, &'a Path>,
    troubles: Vec<Trouble>,
    keys: Vec<PathBuf>,
}

impl<'a> Clerk<'a> {
    fn entry(&mut self, found: &'a Found, read: Reading, attributes: io::Result<Vec<Attribute>>) -> Entry {
        let path = &found.path;
        let Some(meta) = &found.meta else { return Entry::new(path, Kind::Absent) };
        let mut entry = Entry::new(path, kind(meta));
        let mut meta = meta.clone();
        match read {
            None => {}
            Some(Err(e)) => {
                self.trouble("unreadable", path, format!("cannot read {}: {e}", shown(path)));
                // It was there: a restore must not take its absence for a fact.
                entry.kind = Kind::Special;
            }
            Some(Ok((newer, content))) => {
                meta = newer.unwrap_or(meta);
                self.content(&mut entry, path, &meta, content);
            }
        }
        match entry.kind {
            Kind::Link => self.target(&mut entry, path),
            Kind::Folder => entry.complete = found.complete,
            Kind::Special if meta.is_file() => {}
            Kind::Special => self.trouble("not-kept", path, format!("{} is {} and cannot be kept", shown(path), special(&meta))),
            _ => {}
        }
        attributes::fill(&mut entry, &meta);
        match attributes {
            Ok(attributes) => entry.xattrs = attributes,
            Err(e) => self.trouble("unreadable", path, format!("cannot read the extended attributes of {}: {e}", shown(path))),
        }
        entry
    }

    fn content(&mut self, entry: &mut Entry, path: &'a Path, meta: &Metadata, content: Content) {
        if !content.stable {
            let text = format!("{} changed each time that it was read; what is kept may be of no one moment", shown(path));
            self.trouble("changed-while-read", path, text);
        }
        if let Some((look, at)) = content.fresh {
            self.cache.remember(path, look, at, content.sha256, &content.pieces);
        }
        if content.key {
            self.keys.push(path.to_owned());
        }
        entry.size = Some(content.size);
        entry.sha256 = content.sha256;
        entry.pieces = content.pieces;
        entry.sparse = is_sparse(meta);
        entry.changed_while_read = !content.stable;
        if meta.nlink() > 1 {
            let first = *self.first_names.entry((inode(meta), content.size, entry.sha256, entry.pieces.clone())).or_insert(path);
            entry.same_as = (first != path).then(|| Subject::from(first));
        }
    }

    fn target(&mut self, entry: &mut Entry, path: &Path) {
        match path.read_link() {
            Ok(target) => entry.target = Some(Subject::from(&target)),
            Err(e) => {
                self.trouble("unreadable", path, format!("cannot read the link {}: {e}", shown(path)));
                entry.kind = Kind::Special;
            }
        }
    }

    fn trouble(&mut self, code: &'static str, path: &Path, text: String) {
        self.troubles.push(Trouble { code, path: path.to_owned(), text });
    }
}

fn kind(meta: &Metadata) -> Kind {
    if meta.is_file() {
        Kind::File
    } else if meta.is_dir() {
        Kind::Folder
    } else if meta.is_symlink() {
        Kind::Link
    } else {
        Kind::Special
    }
}

fn special(meta: &Metadata) -> &'static str {
    let kind = meta.file_type();
    if kind.is_socket() {
        "a socket"
    } else if kind.is_fifo() {
        "a named pipe"
    } else {
        "a device"
    }
}
