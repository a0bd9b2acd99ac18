//! Our lines in a hook that is somebody else's otherwise.

use std::ops::Range;

/// As it stands in the repository of a team, where each has the program on PATH or does without.
pub(super) const SHIPPED: &str = include_str!("../../../scripts/hooks/husky/pre-push");
const PROGRAM: &str = "deploy_watch=deploy-watch\n";
const CALLED: &str = "\"$deploy_watch\" hook pre-push";
const BEGIN: &[u8] = b"# >>> deploy-watch";
const END: &[u8] = b"# <<< deploy-watch";

/// What a hook calls, in words of sh.
#[derive(Clone, Copy)]
pub(super) struct Call<'c> {
    pub(super) program: &'c str,
    /// Whose deployment is followed, where that is not for the program to say.
    pub(super) branch: Option<&'c str>,
}

impl Call<'_> {
    /// What stands before the program. Whoever pushes can still name another branch.
    pub(super) fn setting(self) -> String {
        self.branch.map_or_else(String::new, |branch| format!("MENDLINE_DEPLOY_BRANCH=${{MENDLINE_DEPLOY_BRANCH:-{branch}}} "))
    }
}

/// A hook that has nothing else.
pub(super) fn whole(call: Call<'_>) -> String {
    let named = SHIPPED.replace(PROGRAM, &format!("deploy_watch={}\n", call.program));
    named.replace(CALLED, &format!("{}{CALLED}", call.setting()))
}

/// A hook with our lines, as high up as may be: whoever reads what git says leaves nothing to those behind, but for us.
///
/// # Errors
/// Somebody has changed our lines so that it is not clear which they are.
pub(super) fn with(hook: &[u8], call: Call<'_>) -> anyhow::Result<Vec<u8>> {
    let whole = whole(call);
    let block = whole.split_once('\n').map_or("", |(_, block)| block);
    if let Some(ours) = ours(hook)? {
        let is_last = ours.end == hook.len() && !hook.ends_with(b"\n");
        let block = if is_last { block.trim_end() } else { block };
        return Ok([&hook[..ours.start], block.as_bytes(), &hook[ours.end..]].concat());
    }
    let (above, below) = hook.split_at(place(hook));
    Ok(match above.last() {
        None | Some(b'\n') => [above, block.as_bytes(), below].concat(),
        Some(_) => [above, b"\n", block.trim_end().as_bytes()].concat(),
    })
}

/// A hook as it was before ours came in; none where there is nothing of ours.
///
/// # Errors
/// As of [`with`].
pub(super) fn without(hook: &[u8]) -> anyhow::Result<Option<Vec<u8>>> {
    let Some(ours) = ours(hook)? else { return Ok(None) };
    // A last line that had no end has none again.
    let is_last = ours.end == hook.len() && !hook.ends_with(b"\n");
    let above = &hook[..ours.start];
    let above = if is_last { above.strip_suffix(b"\n").unwrap_or(above) } else { above };
    Ok(Some([above, &hook[ours.end..]].concat()))
}

/// Whether sh can read it.
pub(super) fn is_sh(hook: &[u8]) -> bool {
    let first = hook.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let Some(program) = first.strip_prefix(b"#!") else { return false };
    let program = String::from_utf8_lossy(program);
    let names = program.split_whitespace().map(|word| word.rsplit('/').next().unwrap_or(word));
    names.into_iter().find(|name| *name != "env" && !name.starts_with('-')).is_some_and(|name| matches!(name, "sh" | "bash" | "dash"))
}

/// Behind what says who runs it, and behind the line with which older versions of husky start the file once more.
fn place(hook: &[u8]) -> usize {
    let (mut at, mut place) = (0, 0);
    for line in hook.split_inclusive(|byte| *byte == b'\n') {
        let is_first = at == 0 && line.starts_with(b"#!");
        at += line.len();
        if is_first || !line.starts_with(b"#") && line.windows(8).any(|word| word == b"husky.sh") {
            place = at;
        }
    }
    place
}

fn ours(hook: &[u8]) -> anyhow::Result<Option<Range<usize>>> {
    let (mut at, mut begins, mut ends) = (0, Vec::new(), Vec::new());
    for line in hook.split_inclusive(|byte| *byte == b'\n') {
        if line.starts_with(BEGIN) {
            begins.push(at);
        }
        at += line.len();
        if line.starts_with(END) {
            ends.push(at);
        }
    }
    match (&begins[..], &ends[..]) {
        ([], []) => Ok(None),
        ([begin], [end]) if begin < end => Ok(Some(*begin..*end)),
        _ => anyhow::bail!(
            "its lines about deploy-watch have changed; take them out by hand, from `# >>> deploy-watch` to `# <<< deploy-watch`"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const CALL: Call<'static> = Call { program: "deploy-watch", branch: None };

    #[test]
    fn it_comes_behind_the_first_line_and_behind_what_starts_the_file_again() {
        let at = |hook: &str| {
            let with = String::from_utf8(with(hook.as_bytes(), CALL).unwrap()).unwrap();
            with.lines().position(|line| line.starts_with("# >>>")).unwrap()
        };
        assert_eq!((at("npm test\n"), at("#!/bin/sh\nnpm test\n"), at("")), (0, 1, 0));
        assert_eq!(at("#!/usr/bin/env sh\n. \"$(dirname -- \"$0\")/_/husky.sh\"\n\nnpm test\n"), 2);
    }

    #[test]
    fn what_is_sh_is_known_by_its_first_line() {
        for sh in ["#!/bin/sh", "#!/usr/bin/env bash\n", "#! /bin/dash -e\nx", "#!/usr/bin/env -S bash -e"] {
            assert!(is_sh(sh.as_bytes()), "{sh}");
        }
        for other in ["#!/usr/bin/env node", "#!/usr/bin/python3", "echo sh", "", "#!/bin/fish", "#!"] {
            assert!(!is_sh(other.as_bytes()), "{other}");
        }
    }

    #[test]
    fn a_block_that_was_torn_is_left_alone_and_an_older_one_exchanged() {
        let torn = "#!/bin/sh\n# >>> deploy-watch\nnpm test\n";
        assert!(with(torn.as_bytes(), CALL).is_err() && without(torn.as_bytes()).is_err());
        let older = with(b"a\n", Call { program: "'/old place/deploy-watch'", branch: Some("live") }).unwrap();
        assert_eq!(with(&older, CALL).unwrap(), with(b"a\n", CALL).unwrap());
    }

    proptest! {
        #[test]
        fn what_was_there_comes_back_to_the_byte(hook in "(#!/bin/sh\n?)?([a-z#. \n]|husky\\.sh|\n\n){0,60}") {
            let there = with(hook.as_bytes(), CALL).unwrap();
            prop_assert_eq!(with(&there, CALL).unwrap(), there.clone());
            prop_assert_eq!(without(&there).unwrap(), Some(hook.into_bytes()));
        }
    }
}
