//! Why an installer failed, in its own words.

use contract::child::Finished;

use super::redact;

/// What the installer said, on one line and without secrets; `None` where it said nothing. All of it is in the log.
pub(super) fn reason(finished: &Finished) -> Option<String> {
    let text = String::from_utf8_lossy(&finished.stderr) + "\n" + String::from_utf8_lossy(&finished.stdout);
    let said = of_uv(&text).or_else(|| of_pip(&text)).or_else(|| text.lines().rfind(|line| !line.trim().is_empty()).map(str::to_owned))?;
    let words: Vec<&str> = said.split_whitespace().collect();
    Some(redact::excerpt(&words.join(" ")))
}

/// Whether nobody answered where the index should be.
pub(super) fn is_unreachable(reason: &str) -> bool {
    let signs = [
        "error (Connect)",
        "tcp connect error",
        "dns error",
        "Failed to establish a new connection",
        "ConnectTimeout",
        "NameResolutionError",
    ];
    signs.iter().any(|sign| reason.contains(sign))
}

/// From the line that begins with `error` or a cross on, without hints.
fn of_uv(text: &str) -> Option<String> {
    let is_first = |line: &&str| line.starts_with("error: ") || line.trim_start().starts_with('×');
    let lines = text.lines().skip_while(|line| !is_first(line)).take_while(|line| !line.trim_start().starts_with("hint:"));
    let said: Vec<&str> = lines.map(|line| line.trim_start_matches([' ', '×', '╰', '─', '▶', '│', '├'])).collect();
    let said = said.join(" ");
    (!said.is_empty()).then(|| said.strip_prefix("error: ").unwrap_or(&said).to_owned())
}

/// All errors, and behind them why the index did not answer: pip has that as a warning and then finds "no version".
fn of_pip(text: &str) -> Option<String> {
    let mut errors: Vec<&str> = text.lines().filter_map(|line| line.trim_start().strip_prefix("ERROR: ")).collect();
    let unanswered = text.lines().find(|line| line.contains("Retrying (") && is_unreachable(line));
    errors.extend(unanswered.filter(|_| !errors.is_empty()));
    (!errors.is_empty()).then(|| errors.join("; "))
}

#[cfg(test)]
mod tests {
    use contract::child::Ended;
    use proptest::prelude::*;

    use super::*;

    fn said(stderr: &str) -> Option<String> {
        reason(&Finished { ended: Ended::TimedOut, stdout: Vec::new(), stderr: stderr.as_bytes().to_vec() })
    }

    #[test]
    fn each_installer_is_understood() {
        let uv = "Using Python 3.12.1 environment at: a1\nerror: No solution found\n  cause: Because x was not found\n\nhint: y\n";
        assert_eq!(said(uv).unwrap(), "No solution found cause: Because x was not found");
        let pip = "WARNING: z\nERROR: Could not find a version at https://u:p@h/s\nERROR: No matching distribution\n\n[notice] new\n";
        assert_eq!(said(pip).unwrap(), "Could not find a version at https://***@h/s; No matching distribution");
        assert_eq!(said("Traceback\nOSError: full\n").unwrap(), "OSError: full");
        assert_eq!(said("\n"), None);
    }

    proptest! {
        #[test]
        fn any_output_is_taken(text: String) {
            said(&text);
        }
    }
}
