//! `snapshot export`: one snapshot as a tar archive, for another machine or another tool.

use std::io::{self, IsTerminal as _, Write};

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use contract::output::{Output, unwritable};
use contract::record::About;
use contract::run::Exit;
use tar::{Builder, EntryType, Header};

use crate::look::named;
use crate::parts::Stream;
use crate::store::Store;
use crate::store::contents::Contents;
use crate::store::manifest::{Entry, Kind, Manifest};

/// Writes a snapshot as a tar archive (POSIX.1-2001, pax) to standard output, paths without the leading slash.
///
/// # Errors
/// There is no such snapshot, or a content of it is lost or damaged.
pub(crate) fn run(out: &mut Output, store: &Store, name: &str) -> anyhow::Result<Exit> {
    anyhow::ensure!(!io::stdout().is_terminal(), "a tar archive is nothing for a terminal; send it to a file or to tar");
    out.prose("")?;
    let _lock = store.share()?;
    let manifest = named(store, name)?;
    archive(&manifest, &store.contents()?, io::stdout().lock())?;
    let nameless = |entry: &&Entry| entry.xattrs.iter().any(|attribute| attribute.name.as_path().to_str().is_none());
    for entry in manifest.entries.iter().filter(nameless) {
        let text = "an extended attribute whose name is not UTF-8 has no place in a tar archive, and is not in this one";
        out.error("export.left-out", About { subject: Some(&entry.path), ..About::default() }, None, &format!("{}: {text}", entry.path))?;
    }
    Ok(Exit::Done)
}

fn archive(manifest: &Manifest, contents: &Contents, stdout: impl Write) -> anyhow::Result<()> {
    let mut archive = Builder::new(stdout);
    for entry in manifest.entries.iter().filter(|entry| matches!(entry.kind, Kind::File | Kind::Folder | Kind::Link)) {
        append(&mut archive, entry, contents).with_context(|| format!("cannot export {}", entry.path))?;
    }
    archive.into_inner().and_then(|mut stdout| stdout.flush()).map_err(unwritable)
}

fn append<W: Write>(archive: &mut Builder<W>, entry: &Entry, contents: &Contents) -> anyhow::Result<()> {
    let path = entry.path.as_path().strip_prefix("/").unwrap_or(entry.path.as_path());
    let named = entry.xattrs.iter().filter_map(|attribute| Some((attribute.name.as_path().to_str()?, &attribute.value)));
    let xattrs = named.map(|(name, value)| Ok((format!("SCHILY.xattr.{name}"), STANDARD.decode(value)?)));
    let mtime = [Ok(("mtime".to_owned(), mtime(entry)?.into_bytes()))];
    let extensions = mtime.into_iter().chain(xattrs).collect::<anyhow::Result<Vec<_>>>()?;
    archive.append_pax_extensions(extensions.iter().map(|(name, value)| (name.as_str(), value.as_slice()))).map_err(unwritable)?;
    let mut header = header(entry)?;
    match (entry.kind, &entry.same_as, &entry.target) {
        (Kind::File, Some(first), _) => {
            header.set_entry_type(EntryType::Link);
            let first = first.as_path().strip_prefix("/").unwrap_or(first.as_path());
            archive.append_link(&mut header, path, first).map_err(unwritable)
        }
        (Kind::Link, _, Some(target)) => {
            header.set_entry_type(EntryType::Symlink);
            archive.append_link(&mut header, path, target.as_path()).map_err(unwritable)
        }
        (Kind::Folder, ..) => {
            header.set_entry_type(EntryType::Directory);
            archive.append_data(&mut header, path, io::empty()).map_err(unwritable)
        }
        _ => {
            header.set_size(entry.size.unwrap_or(0));
            archive.append_data(&mut header, path, Stream::of(entry, contents)?).map_err(failed)
        }
    }
}

/// What cannot be read back says so itself.
fn failed(e: io::Error) -> anyhow::Error {
    if e.get_ref().is_some() { anyhow::Error::new(e) } else { unwritable(e) }
}

/// Seconds since 1970 as a decimal number, negative before that (POSIX pax, "mtime").
fn mtime(entry: &Entry) -> anyhow::Result<String> {
    let (seconds, nanos) = entry.time().context("its time is missing")?;
    Ok(match (seconds, nanos) {
        (..0, 1..) => format!("-{}.{:09}", -(seconds + 1), 1_000_000_000 - nanos),
        _ => format!("{seconds}.{nanos:09}"),
    })
}

fn header(entry: &Entry) -> anyhow::Result<Header> {
    let mut header = Header::new_gnu();
    header.set_mode(entry.bits().context("its mode is missing")?);
    header.set_uid(entry.uid.unwrap_or(0).into());
    header.set_gid(entry.gid.unwrap_or(0).into());
    let (seconds, _) = entry.time().context("its time is missing")?;
    header.set_mtime(u64::try_from(seconds).unwrap_or(0));
    header.set_size(0);
    Ok(header)
}
