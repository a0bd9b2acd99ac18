//! Listening on loopback, and answering as well or as badly as a test wants it.

use std::io::{Result, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use super::trouble::Mischief;

/// A client that hangs up is no matter of ours.
pub(crate) fn listen(serve: fn(&mut TcpStream) -> Result<()>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            std::thread::spawn(move || drop(serve(&mut stream)));
        }
    });
    address
}

const PIECES: u32 = 10;

pub(crate) fn send(stream: &mut TcpStream, answer: &[u8], mischief: Mischief) -> Result<()> {
    let head = answer.windows(4).position(|end| end == b"\r\n\r\n").map_or(answer.len(), |at| at + 4);
    let (head, body) = answer.split_at(head);
    match mischief {
        Mischief::HungUp => return Ok(()),
        Mischief::Late(by) => std::thread::sleep(by),
        _ => {}
    }
    stream.write_all(head)?;
    match mischief {
        Mischief::Truncated => stream.write_all(&body[..body.len() / 2]),
        Mischief::Slow(whole) => trickle(stream, body, whole / PIECES),
        _ => stream.write_all(body),
    }
}

fn trickle(stream: &mut TcpStream, body: &[u8], pause: Duration) -> Result<()> {
    for piece in body.chunks(body.len().div_ceil(PIECES as usize).max(1)) {
        std::thread::sleep(pause);
        stream.write_all(piece)?;
    }
    Ok(())
}
