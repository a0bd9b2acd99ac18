//! What a piece of Python may reach, as far as a look at its text tells.

use std::os::unix::fs::FileTypeExt as _;
use std::path::PathBuf;

/// Words of code that executes what it does not name.
const OPEN_ENDED: [&str; 18] = [
    "exec",
    "eval",
    "compile",
    "execfile",
    "open",
    "getattr",
    "globals",
    "builtins",
    "importlib",
    "imp",
    "runpy",
    "pkgutil",
    "zipimport",
    "marshal",
    "pickle",
    "ctypes",
    "subprocess",
    "system",
];

/// The names in a piece of code, and all else that could be one.
pub(crate) fn words(code: &str) -> impl Iterator<Item = &str> {
    code.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty())
}

/// Whether code may execute what it does not name.
pub(crate) fn is_open_ended(code: &str) -> bool {
    let is_name = |rest: &str| {
        let argument = rest.trim_start().strip_prefix('(').map(str::trim_start);
        let quoted =
            argument.and_then(|text| text.strip_prefix('\'').map(|text| (text, '\'')).or(text.strip_prefix('"').map(|text| (text, '"'))));
        quoted.and_then(|(text, quote)| text.split_once(quote)).is_some_and(|(_, rest)| rest.trim_start().starts_with([')', ',']))
    };
    words(code).any(|word| OPEN_ENDED.contains(&word)) || code.split("__import__").skip(1).any(|rest| !is_name(rest))
}

/// The absolute paths in a piece of code: what is quoted, and what stands there by itself. Devices hold no code.
pub(crate) fn named(code: &str) -> impl Iterator<Item = PathBuf> {
    let quoted = code.split(['"', '\'', '\n']);
    let bare = code.split(|c: char| c.is_whitespace() || "\"'`,;()[]{}".contains(c));
    let paths = quoted.chain(bare).filter(|text| text.starts_with('/')).map(PathBuf::from);
    // A slash by itself separates.
    paths.filter(|path| path.file_name().is_some()).filter(|path| !path.metadata().is_ok_and(|meta| meta.file_type().is_char_device()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_import_of_a_name_is_bounded_and_one_of_an_expression_is_not() {
        for line in ["import os; __import__('o'+'m')", "import os; __import__ (x)", "import os; exec(os.environ.get('X', ''))"] {
            assert!(is_open_ended(line), "{line}");
        }
        assert!(!is_open_ended("import os; __import__('gone'); __import__( \"gone\" ).x()"));
    }

    #[test]
    fn absolute_paths_are_found_in_quotes_and_without() {
        let found = |code| named(code).map(|path| path.display().to_string()).collect::<Vec<_>>();
        assert_eq!(found("x = '/srv/a b'  # see /etc/x, a/b, http://c/d"), ["/srv/a b", "/srv/a", "/etc/x"]);
        assert_eq!(found("open('/dev/null'), '/'.join(a)"), [""; 0]);
    }
}
