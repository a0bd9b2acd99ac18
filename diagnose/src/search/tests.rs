//! The search against what it stands for: every pattern on every line.

use proptest::prelude::*;
use regex::bytes::Regex;

use super::*;

/// As little text is searched, and then as much is.
fn hits(search: &Search, buffer: &[u8]) -> Vec<Hit> {
    let scan = || {
        let mut hits = Vec::new();
        search.scan(buffer, &mut |hit| hits.push(hit));
        hits
    };
    let of_little = scan();
    search.finders();
    assert_eq!(of_little, scan());
    of_little
}

fn naive(patterns: &[String], buffer: &[u8]) -> Vec<Hit> {
    let regexes: Vec<_> = patterns.iter().map(|pattern| Regex::new(pattern).unwrap()).collect();
    let mut at = 0;
    let mut hits = Vec::new();
    for whole in buffer.split_inclusive(|byte| *byte == b'\n') {
        let line = whole.strip_suffix(b"\n").unwrap_or(whole);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let first = regexes.iter().position(|regex| regex.is_match(line));
        hits.extend(first.map(|pattern| Hit { line: at..at + line.len(), pattern }));
        at += whole.len();
    }
    hits
}

/// Patterns that share pieces with each other and with the lines, so that many come near to a match.
fn pattern() -> impl Strategy<Value = String> {
    let word = prop::sample::select(vec![
        "error",
        "gcc:",
        "ENO",
        "ENT",
        "abcd",
        "bcda",
        "aaaa",
        "aaa",
        "sk",
        "é",
        "ß",
        "K",
        "x",
        ": ",
        "[a-c]",
        "[45]",
        ".",
        r"\d",
        r"\w",
        r"\S",
        r"\W",
        "[^x]",
        r"\b",
        "^",
        "$",
        "a{3}",
        "(?-u:\\xff)",
        "\\r",
        r"\n",
        "\\x{17f}",
        "(?-u:.)",
    ]);
    let leaf = word.prop_map(str::to_owned);
    let inner = leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            4 => prop::collection::vec(inner.clone(), 1..5).prop_map(|parts| parts.concat()),
            2 => prop::collection::vec(inner.clone(), 2..4).prop_map(|parts| format!("(?:{})", parts.join("|"))),
            1 => (inner.clone(), prop::sample::select(vec!["?", "*", "+", "{2}", "{1,2}"])).prop_map(|(inner, times)| format!("(?:{inner}){times}")),
            1 => inner.clone().prop_map(|inner| format!("(?i:{inner})")),
            1 => inner.clone().prop_map(|inner| format!("(?m:{inner})")),
            1 => inner.prop_map(|inner| format!("({inner})")),
        ]
    });
    inner.prop_filter("it compiles", |pattern| Regex::new(pattern).is_ok())
}

fn buffer() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop::sample::select(vec![
        &b"error"[..],
        b"ERROR",
        b"gcc:",
        b"ENO",
        b"ENT",
        b"eno",
        b"abcda",
        b"aaaa",
        b"a",
        b"sK",
        b"\xc5\xbfk",
        b"\xe2\x84\xaa",
        "é".as_bytes(),
        b"x",
        b": ",
        b"45",
        b" ",
        b"\xff",
        b"\r",
        b"\r\n",
        b"\n",
        b"\n",
        b"\n\n",
        b"c",
        b"d",
    ]);
    prop::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
}

// PROPTEST_CASES=30000 tries more.
proptest! {
    #[test]
    fn it_is_as_every_pattern_on_every_line(patterns in prop::collection::vec(pattern(), 1..12), buffer in buffer()) {
        let (search, refused) = Search::new(patterns.iter().map(String::as_str));
        prop_assert!(refused.is_empty(), "{refused:?}");
        let expected = naive(&patterns, &buffer);
        prop_assert_eq!(&hits(&search, &buffer), &expected);
        prop_assert_eq!(&hits(&search.tuned(&buffer), &buffer), &expected);
        for hit in expected {
            let line = &buffer[hit.line];
            let ours = search.captures(hit.pattern, line).unwrap();
            let theirs = Regex::new(&patterns[hit.pattern]).unwrap().captures(line).unwrap();
            let theirs: Vec<_> = theirs.iter().map(|group| group.map(|group| group.range())).collect();
            prop_assert_eq!(ours.into_iter().map(|(_, span)| span).collect::<Vec<_>>(), theirs);
        }
    }
}

#[test]
fn the_first_pattern_wins_and_a_refused_one_harms_none() {
    let (search, refused) = Search::new(["a(b", "timeout", r"(?<!no )timeout", r"(?=.)", r"\b[45]\d\d\b [A-Z]", r"(\w+) \1\Z"]);
    let why: Vec<_> = refused.iter().map(|refused| refused.pattern).collect();
    assert_eq!((why, search.slow()), (vec![0, 3, 5], &[4][..]));
    assert!(refused[1].reason.contains("no literal of 3 bytes"), "{}", refused[1].reason);
    let told = hits(&search, b"no timeout\r\n500 OK\nfine\ntimeout");
    let told: Vec<_> = told.into_iter().map(|hit| (hit.line, hit.pattern)).collect();
    assert_eq!(told, [(0..10, 1), (12..18, 4), (24..31, 1)]);
}

#[test]
fn more_patterns_than_one_pack_takes() {
    let patterns: Vec<String> = (0..400).map(|number| format!("{:x}-{number}$", number * 7_919 + 100_000)).collect();
    let lines = patterns.join("\n").replace('$', "");
    let (search, _) = Search::new(patterns.iter().map(String::as_str));
    assert_eq!(hits(&search, lines.as_bytes()).into_iter().map(|hit| hit.pattern).collect::<Vec<_>>(), (0..400).collect::<Vec<_>>());
}
