//! Whether a file has the content that a snapshot says.

use std::fs::File;
use std::io::{self, Read as _, Seek as _};

use rustix::fs::{SeekFrom, seek};
use rustix::io::Errno;
use sha2::{Digest as _, Sha256};

use crate::store::address::Address;
use crate::store::manifest::{Entry, Piece};

const BUFFER: usize = 128 << 10;

/// Reads an open file from its start and compares it with what an entry says, to the last byte.
///
/// # Errors
/// It cannot be read.
pub(crate) fn is_of(mut file: &File, entry: &Entry) -> io::Result<bool> {
    let size = entry.size.unwrap_or(0);
    let whole = [Piece { sha256: entry.sha256, size }];
    let pieces = if entry.pieces.is_empty() { &whole[..] } else { &entry.pieces };
    // Most files are small, and a large buffer for each costs more than reading it.
    let mut buffer = vec![0; usize::try_from(size).map_or(BUFFER, |size| size.clamp(1, BUFFER))];
    for piece in pieces {
        if !is_piece(file, piece, &mut buffer)? {
            return Ok(false);
        }
    }
    Ok(file.read(&mut buffer[..1])? == 0)
}

/// Whether there is a hole of that length next, which is passed over; a file system that has none of them does not say so.
fn is_hole(mut file: &File, size: u64) -> io::Result<bool> {
    let start = file.stream_position()?;
    let Some(end) = start.checked_add(size).filter(|end| file.metadata().is_ok_and(|meta| meta.len() >= *end)) else { return Ok(false) };
    let is_hole = match seek(file, SeekFrom::Data(start)) {
        Ok(data) => data >= end,
        Err(Errno::NXIO) => true,
        Err(_) => false,
    };
    seek(file, SeekFrom::Start(if is_hole { end } else { start }))?;
    Ok(is_hole)
}

fn is_piece(file: &File, piece: &Piece, buffer: &mut [u8]) -> io::Result<bool> {
    if piece.sha256.is_none() && is_hole(file, piece.size)? {
        return Ok(true);
    }
    let (mut hash, mut left, mut zeros) = (Sha256::new(), piece.size, true);
    let mut reader = file.take(piece.size);
    loop {
        let length = reader.read(buffer)?;
        if length == 0 {
            break;
        }
        left -= length as u64;
        match piece.sha256 {
            Some(_) => hash.update(&buffer[..length]),
            None => zeros &= buffer[..length].iter().all(|byte| *byte == 0),
        }
    }
    Ok(left == 0 && piece.sha256.map_or(zeros, |sha256| Address::end(hash) == sha256))
}
