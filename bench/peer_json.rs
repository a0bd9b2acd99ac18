//! `peer-json`: jsonrepair-rs as it comes, to measure `heal json` against.

use std::io::{self, Write as _};

use anyhow::{Context as _, anyhow};

fn main() -> anyhow::Result<()> {
    let path = std::env::args_os().nth(1).context("usage: peer-json FILE")?;
    let text = std::fs::read_to_string(path)?;
    let repaired = jsonrepair_rs::jsonrepair(&text).map_err(|e| anyhow!("{e}"))?;
    Ok(writeln!(io::stdout(), "{} bytes", repaired.len())?)
}
