//! Whether a service answers: a connection (TCP), an answer (HTTP), or a handshake (WebSocket).

use std::fmt;
use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream, ToSocketAddrs as _};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest as _, Sha1};

/// On this machine an answer takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(3);
/// Of an answer only its head matters, in bytes.
const HEAD: u64 = 16 << 10;
/// RFC 6455, section 1.3.
const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/// Section 4.1 wants 16 random bytes against caches, of which there is none on the way to this machine.
const KEY: &[u8; 16] = b"mendline-health!";

/// Where something listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    pub(crate) host: String,
    pub(crate) port: u16,
}

/// How a service shows that it is well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Health {
    Tcp(Address),
    /// The path; a status below 400 is well.
    Http(Address, String),
    /// The path; 101 with the right key is well.
    WebSocket(Address, String),
}

impl Address {
    /// `HOST:PORT`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (host, port) = text.rsplit_once(':')?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        Some(Self { host: host.to_owned(), port: port.parse().ok()? }).filter(|address| !address.host.is_empty())
    }

    /// The first `HOST:PORT` in a sentence.
    pub(crate) fn within(text: &str) -> Option<Self> {
        let words = text.split(|c: char| c.is_whitespace() || "'\",()/".contains(c));
        words.filter_map(|word| Self::parse(word.trim_end_matches(['.', ':']))).find(|address| address.port > 0)
    }

    /// The only number of a line of source that can be a port, on this machine.
    pub(crate) fn in_source(line: &str) -> Option<Self> {
        let words = line.split(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '.');
        let mut ports = words.filter(|word| word.len() >= 2).filter_map(|word| word.parse().ok()).filter(|port| *port >= 10);
        let port = ports.next()?;
        ports.next().is_none().then(|| Self { host: "localhost".to_owned(), port })
    }

    pub(crate) fn is_local(&self) -> bool {
        ["localhost", "::1", "::", "0.0.0.0"].contains(&&*self.host) || self.host.parse().is_ok_and(|host: Ipv4Addr| host.is_loopback())
    }

    fn connect(&self) -> io::Result<TcpStream> {
        // What listens everywhere is reached here.
        let host = if self.host == "0.0.0.0" || self.host == "::" { "localhost" } else { &self.host };
        let mut last = io::Error::from(io::ErrorKind::NotFound);
        for address in (host, self.port).to_socket_addrs()? {
            match TcpStream::connect_timeout(&address, PATIENCE) {
                Ok(stream) => {
                    stream.set_read_timeout(Some(PATIENCE))?;
                    stream.set_write_timeout(Some(PATIENCE))?;
                    return Ok(stream);
                }
                Err(e) => last = e,
            }
        }
        Err(last)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') { write!(f, "[{}]:{}", self.host, self.port) } else { write!(f, "{}:{}", self.host, self.port) }
    }
}

impl Health {
    /// The address and the path of a URL of `http` or `ws`.
    pub(crate) fn parse_url(url: &str) -> Option<(Address, String)> {
        let rest = url.strip_prefix("http://").or_else(|| url.strip_prefix("ws://"))?;
        let (host, path) = rest.split_once('/').map_or((rest, String::new()), |(host, path)| (host, path.to_owned()));
        let address = Address::parse(host).or_else(|| Address::parse(&format!("{host}:80")))?;
        let is_plain = |text: &str| text.bytes().all(|b| b.is_ascii_graphic());
        Some((address, format!("/{path}"))).filter(|(address, path)| is_plain(&address.host) && is_plain(path))
    }

    pub(crate) fn address(&self) -> &Address {
        match self {
            Self::Tcp(address) | Self::Http(address, _) | Self::WebSocket(address, _) => address,
        }
    }

    /// Asks the service.
    ///
    /// # Errors
    /// It is not well, and how.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        let address = self.address();
        let mut stream = address.connect().map_err(|e| anyhow::anyhow!("{address} does not answer: {e}"))?;
        let (path, more) = match self {
            Self::Tcp(_) => return Ok(()),
            Self::Http(_, path) => (path, "Connection: close\r\n".to_owned()),
            Self::WebSocket(_, path) => {
                let key = STANDARD.encode(KEY);
                (path, format!("Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n"))
            }
        };
        let head = exchange(&mut stream, &format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n{more}\r\n"))
            .map_err(|e| anyhow::anyhow!("{address} takes a connection and gives no answer: {e}"))?;
        let status: u16 = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        if matches!(self, Self::WebSocket(..)) {
            anyhow::ensure!(status == 101 && accepts(&head), "{address} makes no WebSocket handshake: {}", first_line(&head));
        } else {
            anyhow::ensure!((100..400).contains(&status), "{address} answers with {}", first_line(&head));
        }
        Ok(())
    }
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "tcp {address}"),
            Self::Http(address, path) => write!(f, "http://{address}{path}"),
            Self::WebSocket(address, path) => write!(f, "ws://{address}{path}"),
        }
    }
}

/// Sends a request and reads the head of the answer.
fn exchange(stream: &mut TcpStream, request: &str) -> io::Result<String> {
    stream.write_all(request.as_bytes())?;
    let (mut head, mut buffer) = (Vec::new(), [0; 1024]);
    let (mut reader, deadline) = (stream.take(HEAD), Instant::now() + PATIENCE);
    while Instant::now() < deadline && !head.windows(4).any(|end| end == b"\r\n\r\n") {
        match reader.read(&mut buffer)? {
            0 => break,
            n => head.extend_from_slice(&buffer[..n]),
        }
    }
    if head.is_empty() { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(String::from_utf8_lossy(&head).into_owned()) }
}

/// Whether the server has understood the handshake (RFC 6455, section 4.2.2).
fn accepts(head: &str) -> bool {
    let wanted = STANDARD.encode(Sha1::digest(STANDARD.encode(KEY) + GUID));
    let headers = head.lines().filter_map(|line| line.split_once(':'));
    headers.into_iter().any(|(name, value)| name.eq_ignore_ascii_case("sec-websocket-accept") && value.trim() == wanted)
}

fn first_line(head: &str) -> String {
    contract::redact::quoted(head.lines().next().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_found_where_messages_have_them() {
        let at = |host: &str, port| Some(Address { host: host.to_owned(), port });
        assert_eq!(Address::within("Cannot connect to localhost:8765"), at("localhost", 8765));
        assert_eq!(Address::within("connect to ('127.0.0.1:80'): refused"), at("127.0.0.1", 80));
        assert_eq!(Address::within("[::1]:9000."), at("::1", 9000));
        assert_eq!(Address::within("error: at line 3: 12:30"), at("12", 30));
        assert_eq!(Address::within("no address"), None);
        assert_eq!(Address::in_source("socket.create_connection(('127.0.0.1', 8971))"), at("localhost", 8971));
        assert_eq!(Address::in_source("connect(host, port, timeout=5)"), None);
        assert_eq!(Address::in_source("connect(('h', 80), timeout=30)"), None);
        assert_eq!(Health::parse_url("ws://localhost:1/a").unwrap(), (at("localhost", 1).unwrap(), "/a".to_owned()));
        assert_eq!(Health::parse_url("http://h").unwrap(), (at("h", 80).unwrap(), "/".to_owned()));
        assert!(Health::parse_url("https://h").is_none());
        assert!(Health::parse_url("http://h:1/a\r\nX: y").is_none());
    }
}
