//! What a person calls a snapshot: an id or the unique beginning of one, a label, or `latest`: the newest but for those that a restore makes of
//! what it replaces and `run` of what a command left.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;

use anyhow::Context as _;
use chrono::{DateTime, Utc};

use crate::restore::SAFETY;
use crate::run::AFTER;
use crate::store::Store;
use crate::store::manifest::Header;

/// So many are named where several could be meant.
const SOME: usize = 5;

/// A new id: `YYYYMMDD_HHMMSS-xxxx`, UTC. That no two are the same is seen to by whoever creates its files.
pub(crate) fn id(now: DateTime<Utc>) -> String {
    let salt = RandomState::new().hash_one(std::process::id()) & 0xffff;
    format!("{}-{salt:04x}", now.format("%Y%m%d_%H%M%S"))
}

/// Whether something could be an id: it becomes the name of files.
pub(crate) fn is_id(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    (1..=64).contains(&text.len()) && !text.starts_with('.') && text.chars().all(plain)
}

/// Reads a label: a word that is no other name of a snapshot.
///
/// # Errors
/// It is empty, or could be taken for an id, or is a word with a meaning.
pub(crate) fn label(text: &str) -> Result<String, String> {
    let is_like_an_id = text.chars().all(|c| c.is_ascii_digit() || c == '_' || c == '-');
    if text.is_empty() || text.contains(|c: char| c.is_whitespace() || c.is_control() || c == '/') {
        return Err("a label is one word, without a slash".to_owned());
    }
    if is_like_an_id || ["latest", "now"].contains(&text) || text.starts_with('-') {
        return Err("it would be taken for something else; begin it with a letter, and not `latest` or `now`".to_owned());
    }
    Ok(text.to_owned())
}

/// Finds the snapshot that is meant.
///
/// # Errors
/// There is none, or more than one; or one that cannot be read may be meant.
pub(crate) fn find(store: &Store, name: &str) -> anyhow::Result<Header> {
    let (headers, mut damaged) = store.headers()?;
    if let Some(at) = damaged.iter().position(|(id, _)| id == name) {
        return Err(damaged.swap_remove(at).1);
    }
    let chosen = choose(headers, name);
    // One that is no older may have that label, too. Ids begin with their second; within one, their order says nothing.
    let second = |id: &str| id.split('-').next().unwrap_or_default().to_owned();
    let may_be_meant = |id: &str| match &chosen {
        Ok(chosen) if chosen.id == name => false,
        Ok(chosen) if chosen.id.starts_with(name) => id.starts_with(name),
        Ok(chosen) => second(&chosen.id) <= second(id),
        Err(_) => true,
    };
    match damaged.into_iter().rev().find(|(id, _)| may_be_meant(id)) {
        Some((id, why)) => {
            Err(why.context(format!("`{name}` may mean {id}, which cannot be read; name the one that you mean by its whole id")))
        }
        None => chosen,
    }
}

fn choose(mut headers: Vec<Header>, name: &str) -> anyhow::Result<Header> {
    if name == "latest" {
        // Else the same restore twice would take itself back, and one after a command that failed would bring the damage again.
        let is_meant = |header: &Header| header.label.as_deref().is_none_or(|label| ![SAFETY, AFTER].contains(&label));
        let at = headers.iter().rposition(is_meant).or(headers.len().checked_sub(1));
        return at.map(|at| headers.swap_remove(at)).context("there is no snapshot yet; `snapshot create PATH…` makes one");
    }
    anyhow::ensure!(!name.is_empty(), "the name of a snapshot is empty");
    if let Some(at) = headers.iter().position(|header| header.id == name) {
        return Ok(headers.swap_remove(at));
    }
    if let Some(at) = headers.iter().rposition(|header| header.label.as_deref() == Some(name)) {
        return Ok(headers.swap_remove(at));
    }
    headers.retain(|header| header.id.starts_with(name));
    if headers.len() > 1 {
        let ids = headers.iter().rev().take(SOME).map(|header| header.id.as_str()).collect::<Vec<_>>().join(", ");
        let more = if headers.len() > SOME { format!(" and {} more", headers.len() - SOME) } else { String::new() };
        anyhow::bail!("`{name}` could be any of {ids}{more}; write more of the id");
    }
    headers.pop().with_context(|| format!("no snapshot is called `{name}`; `snapshot list` shows them"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(id: &str, label: Option<&str>) -> Header {
        serde_json::from_value(serde_json::json!({
            "v": 1, "id": id, "seq": 1, "time": "", "label": label, "host": "h", "user": "u", "tool": "t", "roots": [],
            "entries": 0, "size": 0, "added": 0
        }))
        .unwrap()
    }

    fn chosen(name: &str) -> String {
        let all = vec![
            header("20261101_000000-aaaa", Some("before")),
            header("20261102_000000-bbbb", Some("before")),
            header("20261102_000000-cccc", None),
            header("20261103_000000-dddd", Some(SAFETY)),
        ];
        choose(all, name).map_or_else(|e| e.to_string(), |header| header.id)
    }

    #[test]
    fn each_kind_of_name_finds_its_snapshot() {
        assert_eq!(chosen("latest"), "20261102_000000-cccc");
        assert_eq!(chosen(SAFETY), "20261103_000000-dddd");
        assert_eq!(chosen("20261101"), "20261101_000000-aaaa");
        assert_eq!(chosen("20261102_000000-bbbb"), "20261102_000000-bbbb");
        assert_eq!(chosen("before"), "20261102_000000-bbbb");
        assert_eq!(chosen("20261102"), "`20261102` could be any of 20261102_000000-cccc, 20261102_000000-bbbb; write more of the id");
        assert_eq!(chosen(""), "the name of a snapshot is empty");
    }

    #[test]
    fn a_label_is_no_other_name() {
        assert!(["upgrade", "v2.1", "auto-nightly", "über"].iter().all(|text| label(text).is_ok()));
        for bad in ["", "a b", "a\nb", "a/b", "latest", "now", "2026", "20261124_1", "-x"] {
            assert!(label(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_id_is_a_plain_file_name() {
        assert!(is_id(&id(Utc::now())) && is_id("20251211_143600"));
        for bad in ["", ".", "..", "a/b", "../x", ".hidden", "a b", "ä"] {
            assert!(!is_id(bad), "{bad}");
        }
    }
}
