//! The user's own patterns: `{"Name": {"pattern", "solution", "description"}}`, the format of the system that this replaces.

use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use contract::path::shown;
use contract::record::Status;
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::{Entry, Level};
use crate::search::Search;

/// The names that strategies have there, and the remedies that these are here.
const STRATEGIES: [(&str, &str); 17] = [
    ("install_module", "install-module"),
    ("fix_import", "fix-import"),
    ("create_file", "create-path"),
    ("create_path", "create-path"),
    ("fix_permissions", "fix-permissions"),
    ("fix_syntax", "fix-syntax"),
    ("fix_json", "repair-json"),
    ("repair_json", "repair-json"),
    ("fix_connection", "restart-service"),
    ("restart_service", "restart-service"),
    ("restart_websocket", "restart-service"),
    ("venv_rebuild", "venv-rebuild"),
    ("registry_repair", "registry-repair"),
    ("lockfile_update", "lockfile-update"),
    ("redeploy", "redeploy"),
    ("none", ""),
    ("manual", ""),
];

/// What the groups of the original's patterns mean, in their order.
const SEED_GROUPS: [(&str, &[&str]); 8] = [
    ("ModuleNotFoundError", &["module"]),
    ("ImportError", &["name", "module"]),
    ("FileNotFoundError", &["path"]),
    ("PermissionError", &["path"]),
    ("SyntaxError", &["problem", "file", "line"]),
    ("JSONDecodeError", &["problem", "line", "column"]),
    ("ConnectionError", &["problem"]),
    ("WebSocketConnectionError", &["problem"]),
];

/// Something in a list of patterns that is not as it should be.
#[derive(Clone, Debug)]
pub(crate) struct Complaint {
    /// None of a built-in one.
    pub(crate) file: Option<PathBuf>,
    pub(crate) entry: String,
    pub(crate) reason: String,
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = self.file.as_deref().map_or_else(|| "the built-in list".to_owned(), shown);
        write!(f, "{file}: {}: {}, and is not used", self.entry, self.reason)
    }
}

#[derive(Deserialize)]
struct Given {
    pattern: String,
    #[serde(default)]
    solution: Option<String>,
    #[serde(default)]
    description: Option<String>,
}

/// Reads a file of patterns, each entry by itself.
///
/// # Errors
/// It cannot be read, or is no JSON object.
pub(super) fn read(path: &Path) -> anyhow::Result<(Vec<Entry>, Vec<Complaint>)> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read the patterns in {}", shown(path)))?;
    let Members(members) = serde_json::from_str(&text).with_context(|| format!("{} is no list of patterns", shown(path)))?;
    let (mut entries, mut complaints) = (Vec::new(), Vec::new());
    let mut complain = |entry: &str, reason: String| {
        complaints.push(Complaint { file: Some(path.to_owned()), entry: entry.to_owned(), reason });
    };
    for (name, raw) in members {
        let given: Given = match serde_json::from_str(raw.get()) {
            Ok(given) => given,
            Err(e) => {
                complain(&name, format!("it is no entry: {e}"));
                continue;
            }
        };
        let solution = given.solution.as_deref().unwrap_or("none");
        match remedy(solution) {
            None => {
                let known: Vec<&str> = STRATEGIES.iter().map(|(name, _)| *name).collect();
                complain(&name, format!("`{solution}` is no known strategy; known are {}", known.join(", ")));
            }
            // One that cannot be searched for takes the place of none.
            Some(remedy) => match unusable(&given.pattern) {
                Some(reason) => complain(&name, reason),
                None => entries.push(entry(path, name, given, remedy)),
            },
        }
    }
    Ok((entries, complaints))
}

/// Why a pattern cannot be searched for, or says nothing.
fn unusable(pattern: &str) -> Option<String> {
    let (search, refused) = Search::new([pattern]);
    let refused = refused.into_iter().next().map(|refused| refused.reason);
    refused.or_else(|| search.captures(0, b"").map(|_| "it matches every line".to_owned()))
}

/// The remedy of a strategy, by either name; the empty one means that a person is to look.
fn remedy(solution: &str) -> Option<&'static str> {
    STRATEGIES.iter().find(|(name, remedy)| *name == solution || *remedy == solution).map(|(_, remedy)| *remedy)
}

fn entry(path: &Path, name: String, given: Given, remedy: &str) -> Entry {
    Entry {
        text: given.description.clone().unwrap_or_else(|| name.clone()),
        code: name,
        seed: None,
        class: None,
        level: Level::Cause,
        transient: false,
        retryable: false,
        severity: Status::Broken,
        manual: given.description,
        remedy: Some(remedy.to_owned()).filter(|remedy| !remedy.is_empty()),
        yields_to: Vec::new(),
        key: None,
        patterns: vec![given.pattern],
        from: Some(path.to_owned()),
    }
}

/// Puts a user's entry in the place of the one that it names, or behind the surest ones.
pub(super) fn insert(entries: &mut Vec<Entry>, mut new: Entry) {
    let is_it = |old: &Entry| (old.seed.as_deref() == Some(&*new.code) || old.code == new.code) && old.level < Level::Note;
    match entries.iter_mut().find(|old| is_it(old)) {
        Some(old) => {
            (new.seed, new.level, new.class) = (old.seed.clone(), old.level, old.class.clone());
            *old = new;
        }
        None => entries.push(new),
    }
}

/// The names of the groups of an entry that the original had: its patterns have numbers for them.
pub(crate) fn group_name(entry: &Entry, number: usize) -> Option<&'static str> {
    let seed = entry.seed.as_deref()?;
    SEED_GROUPS.iter().find(|(name, _)| *name == seed)?.1.get(number.checked_sub(1)?).copied()
}

/// The members of an object in their order.
struct Members(Vec<(String, Box<RawValue>)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Each;
        impl<'de> Visitor<'de> for Each {
            type Value = Members;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of patterns by their names")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Each)
    }
}
