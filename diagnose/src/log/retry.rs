//! Whether a log says that what failed was tried again.

use std::sync::LazyLock;

use regex::Regex;

use super::line::bare;

/// As many lines behind a failure may say so: the stack of Node.js comes between.
const BEHIND: usize = 10;

static AGAIN: LazyLock<Regex> = LazyLock::new(|| {
    let forms = [
        r"re-?trying\b",
        r"will (?:be )?retr(?:y|ied)\b",
        r"retry (?:in|after) \d",
        r"trying (?:again|another)\b",
        r"reconnect(?:ing|ed)\b",
        r"backing off\b",
    ];
    compiled(&forms)
});

static GIVEN_UP: LazyLock<Regex> = LazyLock::new(|| {
    let forms = [
        r"(?:giving|gave) up\b",
        r"(?:not|never|without) retrying\b",
        r"(?:will not|won't) (?:be )?retr(?:y|ied)\b",
        r"(?:retries|attempts) (?:are )?exhausted\b",
        r"(?:out of|no more) (?:retries|attempts)\b",
        r"all (?:\d+ )?(?:retries|attempts) failed\b",
        r"max(?:imum)? (?:number of )?(?:retries|attempts) reached\b",
    ];
    compiled(&forms)
});

static ATTEMPT: LazyLock<Regex> = LazyLock::new(|| compiled(&[r"(?:attempt|try) #?(\d+) ?(?:/|of) ?(\d+)\b"]));

fn compiled(forms: &[&str]) -> Regex {
    // These are known to compile.
    Regex::new(&format!(r"(?i)\b(?:{})", forms.join("|"))).unwrap_or_else(|e| unreachable!("{e}"))
}

/// Whether it was, by the line itself, by the one above its traceback, or by those behind it.
pub(super) fn was_tried_again(line: &str, before: &str, after: &str) -> bool {
    let above = || before.lines().rev().skip_while(|line| !bare(line).starts_with("Traceback (most recent call last)")).nth(1);
    says_again(line).or_else(|| above().and_then(says_again)).or_else(|| after.lines().take(BEHIND).find_map(says_again)).unwrap_or(false)
}

/// Whether a line says that it is tried again, or that this was the last time.
fn says_again(line: &str) -> Option<bool> {
    if GIVEN_UP.is_match(line) {
        return Some(false);
    }
    if AGAIN.is_match(line) {
        return Some(true);
    }
    let groups = ATTEMPT.captures(line)?;
    let [number, of] = [1, 2].map(|group| groups[group].parse::<u64>().ok());
    Some(number? < of?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_whether_it_goes_on() {
        for line in
            ["refused, retrying in 5s", "refused (attempt 1/3)", "Will retry.", "Port 3000 is in use, trying another one", "Retry in 2 s"]
        {
            assert_eq!(says_again(line), Some(true), "{line}");
        }
        for line in ["refused (attempt 3 of 3)", "giving up after retrying 3 times", "retries exhausted", "not retrying"] {
            assert_eq!(says_again(line), Some(false), "{line}");
        }
        for line in [
            "refused",
            "please try again",
            "Max retries exceeded with url: /x (Caused by Retry(total=0))",
            "    retries = retries.increment(",
        ] {
            assert_eq!(says_again(line), None, "{line}");
        }
    }

    #[test]
    fn it_is_said_before_a_traceback_or_behind_a_failure() {
        assert!(was_tried_again("refused", "", "    at connect (net.js:1)\nretrying in 1 s\ngiving up\n"));
        assert!(!was_tried_again("refused", "", "giving up\nretrying the next one\n"));
        assert!(was_tried_again("refused", "retrying\nTraceback (most recent call last):\n  File \"a.py\", line 1\n", ""));
        assert!(!was_tried_again("refused", "retrying\nconnected\n", ""));
    }
}
