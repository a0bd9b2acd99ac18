//! A line of a log without what platforms, builders and terminals put before and into it.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::Regex;

/// What comes before the words of a program: git's `remote:`, BuildKit's `#13 346.1`, times in their many forms with the process behind them,
/// `[0]` of programs that run others side by side, `scope/app:build:` of build systems, and quoting.
static PREFIX: LazyLock<Regex> = LazyLock::new(|| {
    let forms = [
        r"\s+",
        r"remote:\s?",
        r"#\d+\s+(?:\d+\.\d+\s+|(?:ERROR|DONE|CACHED)\b:?\s+)?",
        r"\[?\d{2}:\d{2}:\d{2}(?:[.,]\d+)?\]?\s*(?:[|│]\s?)?",
        r"(?:[\w.-]+\s+)?\[?\d{4}-(?:\d{2}|[A-Z][a-z]{2})-\d{2}[T ]\d{2}:\d{2}:\d{2}(?:[.,]\d+)?(?:Z|[+-]\d{2}:?\d{2})?\]?:?(?:\s+|$)",
        r"(?:app|heroku|web|worker|release|run)\[[\w.-]+\]:\s?",
        r"[A-Z][a-z]{2} [ \d]\d \d{2}:\d{2}:\d{2} \S+ [\w./@-]+(?:\[\d+\])?:\s",
        r"\d+\.\d+\s+",
        r"\[\d+\]\s",
        r"@?[\w./-]+:(?:build|dev|start|test|lint|deploy|typecheck|type-check|check-types):\s?",
        r"[|│>❯]\s",
        r"-----> ",
    ];
    // These are known to compile.
    Regex::new(&format!("^(?:{})+", forms.join("|"))).unwrap_or_else(|e| unreachable!("{e}"))
});

/// The words themselves.
pub(crate) fn bare(line: &str) -> &str {
    let rest = PREFIX.find(line).map_or(line, |prefix| &line[prefix.end()..]);
    rest.trim_end()
}

/// What a test says that passed because something failed: pytest's summary and progress, `assertRaises … ok`, "raised … as expected".
static EXPECTED: LazyLock<Regex> = LazyLock::new(|| {
    let forms = [
        r"^(?:PASSED|XFAIL|XFAILED)\s",
        r"\s(?:PASSED|XFAIL)(?:\s+\[\s*\d+%\])?$",
        r"\b(?:assertRaises|assert_raises|pytest\.raises|toThrow)\w*\b.*\b(?i:ok|passed)$",
        r"(?i)\b(?:raise[sd]?|throws?|threw|thrown|caught|rejected|fail(?:s|ed))\b.*[^t] as expected[.!)]*$",
    ];
    Regex::new(&forms.join("|")).unwrap_or_else(|e| unreachable!("{e}"))
});

/// Whether a line is one of a test that passed, whose name or result says what it tests; or the head of a traceback, whose last line says what
/// it is.
pub(crate) fn says_that_it_passed(line: &str) -> bool {
    let bare = bare(line);
    let begins = bare.starts_with(['✓', '√', '✔'])
        || bare.starts_with("PASS ")
        || bare.strip_prefix("ok ").is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    begins || bare.ends_with("... ok") || bare.ends_with("Traceback (most recent call last):") || EXPECTED.is_match(bare)
}

/// A text without the sequences that move the cursor and change its colours (ECMA-48), and without what was overwritten after a lone `\r`.
pub(crate) fn plain(text: &str) -> Cow<'_, str> {
    if !text.contains(['\u{1b}', '\r']) {
        return Cow::Borrowed(text);
    }
    let text = text.trim_end_matches('\r');
    let shown = text.rsplit('\r').next().unwrap_or_default();
    let mut plain = String::with_capacity(shown.len());
    let mut rest = shown;
    while let Some(at) = rest.find('\u{1b}') {
        plain.push_str(&rest[..at]);
        rest = &rest[at + sequence(&rest.as_bytes()[at..])..];
    }
    plain.push_str(rest);
    Cow::Owned(plain)
}

/// The length of an escape sequence at the beginning of some bytes.
pub(crate) fn sequence(bytes: &[u8]) -> usize {
    let ends =
        |from: usize, is_end: fn(u8) -> bool| bytes[from..].iter().position(|byte| is_end(*byte)).map_or(bytes.len(), |at| from + at + 1);
    match bytes.get(1) {
        Some(b'[') => ends(2, |byte| (0x40..=0x7e).contains(&byte)),
        Some(b']') => ends(2, |byte| byte == 0x07 || byte == b'\\'),
        Some(0x20..=0x7e) => 2,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_platforms_put_before_a_line_goes() {
        for line in [
            "remote:        Error: x",
            "#13 346.1 Error: x",
            "24.70 Error: x",
            "[10:15:54.673] Error: x",
            "17:27:42.617 | Error: x",
            "2021-05-21T10:25:43.278367+00:00 app[web.1]: Error: x",
            "2016-05-03T15:24:56.771076+00:00 app[web.1]: [0] Error: x",
            "web 2025-11-15T11:48:48.112053Z Error: x",
            "2025-Nov-15 11:48:48.112053 Error: x",
            "@mixie/website:build: Error: x",
            "> Error: x   ",
            "Nov 28 10:00:00 host app[77]: Error: x",
            "       Error: x",
        ] {
            assert_eq!(bare(line), "Error: x", "{line}");
        }
        assert_eq!(bare("TypeError: build: x"), "TypeError: build: x");
    }

    #[test]
    fn an_error_that_a_test_wanted_is_none() {
        let error = "ModuleNotFoundError: No module named 'x'";
        for line in [
            format!("PASSED tests/a.py::test_x - raised {error}"),
            format!("XFAIL tests/a.py::test_x - {error}"),
            format!("tests/a.py::test_x[{error}] PASSED   [ 50%]"),
            format!("test_x (a.T.test_x) ... raises {error} as expected"),
            format!("2026-01-01 10:00:00 caught {error}, as expected."),
            format!("assertRaises {error} ok"),
        ] {
            assert!(says_that_it_passed(&line), "{line}");
        }
        for line in [
            error.to_owned(),
            format!("FAILED tests/a.py::test_x - {error}"),
            format!("E   {error}"),
            format!("raised {error}, which is not as expected"),
            format!("the plugin does not load as expected: {error}"),
            format!("assertRaises {error} FAIL"),
            format!("3 PASSED, 1 failed: {error}"),
            "SyntaxError: expected ':'".to_owned(),
        ] {
            assert!(!says_that_it_passed(&line), "{line}");
        }
    }

    #[test]
    fn colours_and_what_was_overwritten_go() {
        assert_eq!(plain("\u{1b}[31mERROR\u{1b}[0m: x"), "ERROR: x");
        assert_eq!(plain("10%\r20%\rdone\r"), "done");
        assert_eq!(plain("\u{1b}]0;title\u{7}x\u{1b}"), "x");
        assert!(matches!(plain("as it is"), Cow::Borrowed(_)));
    }
}
