//! The `git push` that runs the hook, through however many shells.

use std::fs;
use std::os::unix::process::parent_id;

use contract::process::Identity;

/// No chain of hooks is longer.
const DEEPEST: usize = 64;

/// The nearest ancestor that is git. Where there is no /proc, as on macOS, nobody knows: then the remote alone is asked.
pub(super) fn find() -> Option<Identity> {
    let mut pid = parent_id();
    for _ in 0..DEEPEST {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let (name, parent) = name_and_parent(&stat)?;
        if matches!(name, "git" | "git-push") {
            return Identity::of(pid);
        }
        pid = parent;
    }
    None
}

/// Fields 2 and 4 of proc_pid_stat(5); the name may hold blanks and brackets.
fn name_and_parent(stat: &str) -> Option<(&str, u32)> {
    let (begin, end) = (stat.find('(')?, stat.rfind(')')?);
    let parent = stat[end + 1..].split_ascii_whitespace().nth(1)?.parse().ok()?;
    Some((&stat[begin + 1..end], parent))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_is_read_whole() {
        assert_eq!(name_and_parent("12 (a) R (b) S 7 12 12 0"), Some(("a) R (b", 7)));
        assert_eq!(name_and_parent("12 git S"), None);
    }
}
