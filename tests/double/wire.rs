//! As much of HTTP/1.1 as the double needs: one request to a connection, bodies of known length.

use std::io::{BufReader, Error, Read, Result};

const NUMBER: &str = "x-number";

/// A request.
pub(crate) struct Asked {
    pub(crate) method: String,
    /// The path with its query.
    pub(crate) target: String,
    headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Asked {
    pub(crate) fn read(stream: impl Read) -> Result<Self> {
        let mut lines = BufReader::new(stream);
        let first = line(&mut lines)?;
        let mut words = first.split(' ').map(str::to_owned);
        let (Some(method), Some(target)) = (words.next(), words.next()) else { return Err(Error::other("no request")) };
        let mut asked = Self { method, target, headers: Vec::new(), body: String::new() };
        while let Some((name, value)) = line(&mut lines)?.split_once(':') {
            asked.headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        let length = asked.header("content-length").map_or(Ok(0), str::parse).map_err(Error::other)?;
        lines.take(length).read_to_string(&mut asked.body)?;
        Ok(asked)
    }

    /// One of the double's own.
    pub(crate) fn get(target: String, token: &str) -> Self {
        let headers = vec![("authorization".to_owned(), format!("Bearer {token}"))];
        Self { method: "GET".to_owned(), target, headers, body: String::new() }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Whatever authorises it, be it a bearer token or not.
    pub(crate) fn authorization(&self) -> Option<&str> {
        self.header("authorization")
    }

    pub(crate) fn token(&self) -> Option<&str> {
        self.authorization()?.strip_prefix("Bearer ")
    }

    /// Lets it be known again behind the referee.
    pub(crate) fn number(&mut self, number: usize) {
        self.headers.push((NUMBER.to_owned(), number.to_string()));
    }

    pub(crate) fn numbered(&self) -> Option<usize> {
        self.header(NUMBER)?.parse().ok()
    }

    pub(crate) fn segments(&self) -> Vec<&str> {
        let path = self.target.split('?').next().unwrap_or_default();
        path.split('/').skip(1).collect()
    }

    /// Every value of a parameter; no client of ours sends one that needs decoding.
    pub(crate) fn query<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let query = self.target.split_once('?').map_or("", |(_, query)| query);
        query.split('&').filter_map(move |pair| pair.split_once('=').filter(|(known, _)| *known == name)).map(|(_, value)| value)
    }

    /// The same request for who stands behind, who is to say where the answer ends by closing.
    pub(crate) fn relayed(&self) -> String {
        let headers = self.headers.iter().filter(|(name, _)| name != "connection");
        let headers = headers.fold(String::new(), |text, (name, value)| text + &format!("{name}: {value}\r\n"));
        format!("{} {} HTTP/1.1\r\n{headers}connection: close\r\n\r\n{}", self.method, self.target, self.body)
    }
}

fn line(lines: &mut impl std::io::BufRead) -> Result<String> {
    let mut text = String::new();
    lines.read_line(&mut text)?;
    Ok(text.trim_end().to_owned())
}

/// An answer.
pub(crate) struct Answer {
    status: u16,
    headers: String,
    body: String,
}

impl Answer {
    pub(crate) fn new(status: u16, kind: &str, body: impl Into<String>) -> Self {
        Self { status, headers: format!("content-type: {kind}\r\n"), body: body.into() }
    }

    pub(crate) fn empty() -> Self {
        Self { status: 200, headers: String::new(), body: String::new() }
    }

    #[must_use]
    pub(crate) fn header(mut self, name: &str, value: impl std::fmt::Display) -> Self {
        self.headers.extend([name, ": ", &value.to_string(), "\r\n"]);
        self
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let (status, headers, length) = (self.status, &self.headers, self.body.len());
        format!("HTTP/1.1 {status} Status\r\n{headers}content-length: {length}\r\nconnection: close\r\n\r\n{}", self.body).into_bytes()
    }
}
