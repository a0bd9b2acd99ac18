//! Poetry's own tables in `pyproject.toml`, in the terms of PEP 508.

use std::path::Path;

use pep508_rs::MarkerEnvironment;
use toml::{Table, Value};

use super::declared::{Source, is_index, line_of};
use super::pyproject::at;
use super::requirement::{Declared, Refusal};

/// What poetry's tables demand.
pub(super) fn read(table: &Table, text: &str, path: &Path, here: &MarkerEnvironment) -> Vec<Declared> {
    let own = |keys: &[&str]| at(table, keys).and_then(Value::as_table);
    let groups = own(&["tool", "poetry", "group"]).into_iter().flat_map(Table::values);
    let groups = groups.filter_map(|group| group.get("dependencies").and_then(Value::as_table));
    let direct = [own(&["tool", "poetry", "dependencies"]), own(&["tool", "poetry", "dev-dependencies"])].into_iter().flatten();
    let all = direct.chain(groups).flatten().filter(|(name, _)| *name != "python");
    all.map(|(name, wanted)| one(name, wanted, path, line_of(text, |line| is_key(line, name)), here)).collect()
}

fn is_key(line: &str, name: &str) -> bool {
    line.split_once('=').is_some_and(|(key, _)| key.trim().trim_matches(['"', '\'']) == name)
}

fn one(name: &str, wanted: &Value, path: &Path, number: Option<usize>, here: &MarkerEnvironment) -> Declared {
    let read = || {
        let field = |key: &str| wanted.get(key).and_then(Value::as_str);
        let range = range(wanted.as_str().or_else(|| field("version"))?)?;
        let extras: Vec<&str> = wanted.get("extras").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
        let extras = if extras.is_empty() { String::new() } else { format!("[{}]", extras.join(",")) };
        let marker = field("markers").map(|marker| format!(" ; {marker}")).unwrap_or_default();
        let one = Declared::read(&format!("{name}{extras}{range}{marker}"), path, number, here)?;
        Some(Declared { index: field("source").map(str::to_owned), ..one })
    };
    read().unwrap_or_else(|| Declared::refused(name, path, number, Refusal::source()))
}

/// A constraint of poetry as a range of PEP 440.
fn range(constraint: &str) -> Option<String> {
    let parts = constraint.split(',').map(str::trim).map(part).collect::<Option<Vec<_>>>()?;
    Some(parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(","))
}

fn part(part: &str) -> Option<String> {
    if part == "*" || part.is_empty() {
        return Some(String::new());
    }
    if let Some(version) = part.strip_prefix('^') {
        let numbers = numbers(version)?;
        let leading = numbers.iter().take_while(|number| **number == 0).count().min(numbers.len() - 1);
        return Some(format!(">={},<{}", version.trim(), next(&numbers[..=leading])));
    }
    if let Some(version) = part.strip_prefix('~').filter(|rest| !rest.starts_with('=')) {
        let numbers = numbers(version)?;
        return Some(format!(">={},<{}", version.trim(), next(&numbers[..numbers.len().min(2)])));
    }
    let is_bare = part.starts_with(|c: char| c.is_ascii_digit());
    Some(if is_bare { format!("=={part}") } else { part.to_owned() })
}

fn numbers(version: &str) -> Option<Vec<u64>> {
    version.trim().split('.').map(|number| number.parse().ok()).collect()
}

fn next(numbers: &[u64]) -> String {
    let last = numbers.len().saturating_sub(1);
    let raised = |(at, number): (usize, &u64)| if at == last { number.saturating_add(1) } else { *number }.to_string();
    numbers.iter().enumerate().map(raised).collect::<Vec<_>>().join(".")
}

/// Where poetry is told to take things from: a source that one names for itself, or the first of all.
pub(super) fn sources(table: &Table, source: &mut Source) {
    let all = at(table, &["tool", "poetry", "source"]).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let field = |from: &Value, key: &str| from.get(key).and_then(Value::as_str).map(str::to_owned);
    let url = |from: &Value| field(from, "url").filter(|url| is_index(url));
    for from in all {
        match (field(from, "priority").as_deref(), url(from)) {
            (Some("explicit"), _) => {}
            (Some("primary" | "default"), Some(url)) if all.len() == 1 => source.options.push(format!("--index-url {url}")),
            _ => source.refusal = Some("its sources have an order that only poetry keeps; run `poetry install`".to_owned()),
        }
    }
    for one in source.all.iter_mut().filter(|one| one.index.as_ref().is_some_and(|index| !index.starts_with('-'))) {
        let named = one.index.take();
        match all.iter().find(|from| field(from, "name") == named).and_then(url) {
            Some(url) => one.index = Some(format!("--index-url {url}")),
            None => one.refusal = Some(Refusal::source()),
        }
    }
}
