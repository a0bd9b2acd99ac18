//! Whether a file has the content that a snapshot says.

use std::fs::File;
use std::io::{self, Read as _};

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
    let mut buffer = vec![0; BUFFER];
    for piece in pieces {
        if !is_piece(file, piece, &mut buffer)? {
            return Ok(false);
        }
    }
    Ok(file.read(&mut buffer[..1])? == 0)
}

fn is_piece(file: &File, piece: &Piece, buffer: &mut [u8]) -> io::Result<bool> {
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
