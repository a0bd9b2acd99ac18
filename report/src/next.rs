//! What to do next: command lines that can be copied as they stand.

use std::collections::BTreeMap;
use std::path::Path;

use contract::action::Outcome;
use contract::record::Status;
use contract::shell::quoted;

use crate::document::{Block, Tone, counted};
use crate::environments::common_root;
use crate::seen::{Place, Remedy, Seen, Verdict};

/// More environments than these are named by the folder that holds them.
const NAMED: usize = 4;

pub(crate) fn draw(seen: &Seen) -> Vec<Block<'_>> {
    if seen.actions.iter().any(|step| step.action.outcome == Outcome::Planned) || seen.snapshots.has_planned_room() {
        let text = "Nothing has been changed: this was a dry run. The same command with --force does what is planned.";
        return vec![Block::Line(Tone::Strong, text.to_owned())];
    }
    if !seen.actions.is_empty() {
        return Vec::new();
    }
    let ill = seen.environments.iter().filter(|(_, verdict)| matches!(verdict.status, Status::Broken | Status::Degraded));
    let (mendable, rest): (Vec<_>, Vec<_>) = ill.partition(|(_, verdict)| verdict.remedy != Remedy::Nothing);
    if mendable.is_empty() { explain(&rest) } else { repairs(&mendable) }
}

/// For each host, and for each way of calling `venv-rebuild`, the dry run and then the real one.
fn repairs<'a>(mendable: &[(&Place, &Verdict)]) -> Vec<Block<'a>> {
    let mut groups: BTreeMap<(&str, bool), Vec<Target<'_>>> = BTreeMap::new();
    for (place, verdict) in mendable {
        let Some(path) = place.for_command() else { continue };
        groups.entry((&*place.host, verdict.remedy == Remedy::Restore)).or_default().push(Target { path, deep: verdict.deep });
    }
    let first = groups.keys().next().map(|(host, _)| *host);
    let several = groups.keys().any(|(host, _)| Some(*host) != first);
    groups.iter().map(|((host, restore), targets)| repair(several.then_some(*host), *restore, targets)).collect()
}

/// What a command is to name.
struct Target<'a> {
    path: &'a Path,
    deep: bool,
}

fn repair<'a>(host: Option<&str>, restore: bool, targets: &[Target<'_>]) -> Block<'a> {
    let deep = if targets.iter().any(|target| target.deep) { " --deep" } else { "" };
    let probe = format!("venv-probe{deep} --{}", words(targets, restore));
    let on = host.map_or_else(String::new, |host| format!(" on {host}"));
    let environments = counted(targets.len() as u64, "environment");
    let (lead, rebuild) = if restore {
        (
            format!("Next{on}: files were changed by hand in {environments}; --restore puts the packaged ones back."),
            "venv-rebuild --restore",
        )
    } else {
        (format!("Next{on}: venv-rebuild has a repair for {environments}."), "venv-rebuild")
    };
    let commands = vec![
        (format!("{probe} | {rebuild}"), "says what it would do"),
        (format!("{probe} | {rebuild} --force"), "does it, and keeps what it replaces"),
    ];
    Block::Commands(lead, commands)
}

/// The paths, or the folder that holds them. A folder may hold others that were changed by hand, so what restores names each.
fn words(targets: &[Target<'_>], restore: bool) -> String {
    let mut paths: Vec<&Path> = targets.iter().map(|target| target.path).collect();
    paths.sort_unstable();
    let root = common_root(paths.iter().copied());
    let named: Vec<&Path> = match &root {
        Some(root) if paths.len() > NAMED && !restore => vec![root],
        _ => paths,
    };
    named.iter().fold(String::new(), |text, path| text + " " + &quoted(path))
}

/// Where no repair is known, at least what the fault means.
fn explain<'a>(ill: &[(&Place, &Verdict)]) -> Vec<Block<'a>> {
    let mut codes: Vec<&str> = ill.iter().filter_map(|(_, verdict)| verdict.code.as_deref()).filter(|code| is_code(code)).collect();
    codes.sort_unstable();
    codes.dedup();
    let command = |code: &str| (format!("venv-probe --explain {code}"), "tells what it means and what helps");
    let commands: Vec<_> = codes.into_iter().take(NAMED).map(command).collect();
    if commands.is_empty() { Vec::new() } else { vec![Block::Commands("Next: none of this is mended automatically.".to_owned(), commands)] }
}

/// Whether it can be the code of a fault, and neither an option nor anything that a shell understands.
fn is_code(code: &str) -> bool {
    let letter = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    !code.is_empty() && !code.starts_with('-') && code.bytes().all(letter)
}
