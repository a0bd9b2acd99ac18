//! Values that stand below their names.

use super::super::GONE;
use super::named::is_named;

/// Replaces what stands below `password: |`, or below a mere `password:`, and further to the right (YAML 1.2.2, "Block Scalar Styles").
pub(super) fn blocks(text: &str) -> String {
    let mut safe: Vec<String> = Vec::new();
    let mut above: Option<(usize, usize)> = None;
    for line in text.split('\n') {
        if above.is_some_and(|(margin, name)| is_below(line, margin, name)) {
            continue;
        }
        let header = header(line);
        above = header.map(|header| (header.margin, header.name));
        safe.push(header.map_or_else(|| line.to_owned(), |header| format!("{}: {GONE}", &line[..header.end])));
    }
    safe.join("\n")
}

#[derive(Clone, Copy)]
struct Header {
    /// Where the blanks before the name begin: a builder may have put the time before each line.
    margin: usize,
    name: usize,
    end: usize,
}

fn header(line: &str) -> Option<Header> {
    let (before, style) = line.rsplit_once(':')?;
    let style = style.trim();
    let is_block = style.starts_with(['|', '>']) && style.len() <= 3;
    let name = before.trim_end_matches(['"', '\'']);
    let start = name.rfind(|c: char| !c.is_ascii_alphanumeric() && !"_-.".contains(c)).map_or(0, |at| at + 1);
    let start = start.min(name.len());
    let lead = name.get(..start)?.trim_end_matches(['"', '\'']);
    let is_alone = style.is_empty() && lead.trim_start_matches([' ', '-']).is_empty();
    if !is_block && !is_alone || !is_named(name.get(start..)?) {
        return None;
    }
    Some(Header { margin: lead.trim_end_matches(' ').len(), name: lead.len(), end: before.len() })
}

fn is_below(line: &str, margin: usize, name: usize) -> bool {
    line.bytes().skip(margin).take(name + 1 - margin).all(|byte| byte == b' ')
}
