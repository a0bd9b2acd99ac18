//! What to do next: command lines that can be copied as they stand.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use contract::action::Outcome;
use contract::path::plain;
use contract::record::Status;

use crate::document::{Block, Tone, counted};
use crate::environments::common_root;
use crate::seen::{Place, Seen, Verdict};

/// More environments than these are named by the folder that holds them.
const NAMED: usize = 4;

pub(crate) fn draw(seen: &Seen) -> Vec<Block<'_>> {
    if seen.actions.iter().any(|step| step.action.outcome == Outcome::Planned) {
        let text = "Nothing has been changed: this was a dry run. The same command with --force does what is planned.";
        return vec![Block::Line(Tone::Strong, text.to_owned())];
    }
    if !seen.actions.is_empty() {
        return Vec::new();
    }
    let ill = seen.environments.iter().filter(|(_, verdict)| matches!(verdict.status, Status::Broken | Status::Degraded));
    let (mendable, rest): (Vec<_>, Vec<_>) = ill.partition(|(_, verdict)| verdict.mendable);
    if mendable.is_empty() { explain(&rest) } else { repairs(&mendable) }
}

/// For each host the dry run, and then the real one.
fn repairs<'a>(mendable: &[(&Place, &Verdict)]) -> Vec<Block<'a>> {
    let mut hosts: BTreeMap<&str, Vec<(&Place, &Verdict)>> = BTreeMap::new();
    for &(place, verdict) in mendable {
        hosts.entry(&*place.host).or_default().push((place, verdict));
    }
    let several = hosts.len() > 1;
    hosts.iter().map(|(host, mendable)| repair(several.then_some(*host), mendable)).collect()
}

fn repair<'a>(host: Option<&str>, mendable: &[(&Place, &Verdict)]) -> Block<'a> {
    let deep = if mendable.iter().any(|(_, verdict)| verdict.deep) { " --deep" } else { "" };
    let probe = format!("venv-probe{deep}{}", targets(mendable));
    let on = host.map_or_else(String::new, |host| format!(" on {host}"));
    let lead = format!("Next{on}: venv-rebuild has a repair for {}.", counted(mendable.len() as u64, "environment"));
    let commands = vec![
        (format!("{probe} | venv-rebuild"), "says what it would do"),
        (format!("{probe} | venv-rebuild --force"), "does it, and keeps what it replaces"),
    ];
    Block::Commands(lead, commands)
}

fn targets(mendable: &[(&Place, &Verdict)]) -> String {
    let mut paths: Vec<&Path> = mendable.iter().map(|(place, _)| place.subject.as_path()).collect();
    paths.sort_unstable();
    let root = common_root(paths.iter().copied());
    let named: Vec<&Path> = match &root {
        Some(root) if paths.len() > NAMED => vec![root],
        _ => paths,
    };
    named.iter().fold(String::new(), |text, path| text + " " + &quoted(path))
}

/// Where no repair is known, at least what the fault means.
fn explain<'a>(ill: &[(&Place, &Verdict)]) -> Vec<Block<'a>> {
    let mut codes: Vec<&str> = ill.iter().filter_map(|(_, verdict)| verdict.code.as_deref()).collect();
    codes.sort_unstable();
    codes.dedup();
    let command = |code: &str| (format!("venv-probe --explain {}", quoted(Path::new(code))), "tells what it means and what helps");
    let commands: Vec<_> = codes.into_iter().take(NAMED).map(command).collect();
    if commands.is_empty() { Vec::new() } else { vec![Block::Commands("Next: none of this is mended automatically.".to_owned(), commands)] }
}

/// A word for a shell: bare, in single quotes or, where bytes cannot be shown, in `$'…'` (bash, zsh and ksh read it).
pub(crate) fn quoted(path: &Path) -> String {
    let bytes = path.as_os_str().as_bytes();
    let bare = |b: &u8| b.is_ascii_alphanumeric() || b"/._-+,:@%=".contains(b);
    match path.to_str() {
        Some(text) if !text.is_empty() && bytes.iter().all(bare) => text.to_owned(),
        Some(text) if plain(text) == text => format!("'{}'", text.replace('\'', r"'\''")),
        _ => {
            let mut word = "$'".to_owned();
            for &b in bytes {
                if (b.is_ascii_graphic() || b == b' ') && b != b'\'' && b != b'\\' {
                    word.push(char::from(b));
                } else if write!(word, "\\x{b:02x}").is_err() {
                    break;
                }
            }
            word + "'"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsStr;
    use std::process::Command;

    use proptest::prelude::*;

    #[test]
    fn words_are_quoted_no_more_than_needed() {
        assert_eq!(quoted(Path::new("/srv/a b/it's")), r"'/srv/a b/it'\''s'");
        assert_eq!(quoted(Path::new("/srv/app/.venv")), "/srv/app/.venv");
        assert_eq!(quoted(Path::new(OsStr::from_bytes(b"/a\n\xff"))), r"$'/a\x0a\xff'");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(60))]
        #[test]
        fn bash_reads_back_the_very_bytes(bytes in prop::collection::vec(1_u8.., 1..40)) {
            let word = quoted(Path::new(OsStr::from_bytes(&bytes)));
            let script = format!("printf %s {word}");
            let printed = Command::new("bash").args(["-c", &script]).env("LC_ALL", "C.UTF-8").output().unwrap();
            prop_assert_eq!(printed.stdout, bytes, "{}", word);
        }
    }
}
