//! One pattern, compiled by itself, so that what is wrong with it harms no other.
//!
//! Patterns are those of Rust's `regex`. Of what only Python's `re` has, `\Z` is translated; look-around, back-references, atomic groups and
//! conditionals are left to `fancy-regex`, which tries one way after the other and therefore has a limit.

use std::ops::Range;

use fancy_regex::BytesMode;
use memchr::memmem;
use regex_automata::meta;
use regex_syntax::ast;
use regex_syntax::hir::{Hir, HirKind};

use super::fancy;

/// The longest pattern, in bytes.
const LONGEST: usize = 16 << 10;
/// The largest that one may become when it is compiled, in bytes. Time grows with it.
const LARGEST: usize = 4 << 20;
/// What a pattern may keep of the states that it has met, in bytes.
const STATES: usize = 512 << 10;
/// How often a backtracking pattern may turn back in one line.
const TURNS: usize = 100_000;

#[derive(Debug)]
pub(crate) enum Matcher {
    /// Nothing but a string.
    Literal(memmem::Finder<'static>),
    Plain(meta::Regex),
    Fancy(fancy_regex::Regex),
}

/// A group of a match, the whole match first: its name, and where it is unless it took no part.
pub(crate) type Group<'a> = (Option<&'a str>, Option<Range<usize>>);

/// A pattern to run, and what to see of its structure: for a backtracking one, what it would be without the conditions that only it has.
pub(crate) struct Compiled {
    pub(crate) matcher: Matcher,
    pub(crate) hir: Hir,
}

/// Compiles a pattern, or says why not.
pub(crate) fn compile(pattern: &str) -> Result<Compiled, String> {
    if pattern.len() > LONGEST {
        return Err(format!("it is longer than {} KiB", LONGEST >> 10));
    }
    let pattern = translated(pattern);
    match parse(&pattern) {
        Ok(hir) => Ok(Compiled { matcher: plain(&hir)?, hir }),
        Err(e) if is_for_backtracking(&pattern, &e) => backtracking(&pattern),
        Err(e) => Err(reason(&e)),
    }
}

/// As `regex::bytes` reads a pattern: what it matches need not be UTF-8.
pub(crate) fn parse(pattern: &str) -> Result<Hir, Box<regex_syntax::Error>> {
    regex_syntax::ParserBuilder::new().utf8(false).build().parse(pattern).map_err(Box::new)
}

fn plain(hir: &Hir) -> Result<Matcher, String> {
    if let HirKind::Literal(literal) = hir.kind() {
        return Ok(Matcher::Literal(memmem::Finder::new(&literal.0).into_owned()));
    }
    // Only lines with the right literals are matched, so that looking for those once more is time lost, and much of it while compiling.
    let config = meta::Config::new()
        .utf8_empty(false)
        .auto_prefilter(false)
        .onepass(false)
        .dfa(false)
        .nfa_size_limit(Some(LARGEST))
        .hybrid_cache_capacity(STATES);
    let built = meta::Builder::new().configure(config).build_from_hir(hir);
    built.map(Matcher::Plain).map_err(|e| match e.size_limit() {
        Some(limit) => format!("it is too large: more than {} MiB when compiled", limit >> 20),
        None => format!("it cannot be compiled: {e}"),
    })
}

fn backtracking(pattern: &str) -> Result<Compiled, String> {
    let built = fancy_regex::RegexBuilder::new(pattern)
        .bytes_mode(BytesMode::UnicodeBytes)
        .backtrack_limit(TURNS)
        .delegate_size_limit(LARGEST)
        .max_prog_size(LARGEST / 64)
        .build();
    let matcher = built.map(Matcher::Fancy).map_err(|e| format!("it cannot be compiled: {e}"))?;
    Ok(Compiled { matcher, hir: fancy::outline(pattern)? })
}

fn is_for_backtracking(pattern: &str, e: &regex_syntax::Error) -> bool {
    let is_unsupported = match e {
        regex_syntax::Error::Parse(e) => {
            matches!(e.kind(), ast::ErrorKind::UnsupportedLookAround | ast::ErrorKind::UnsupportedBackreference)
        }
        _ => false,
    };
    is_unsupported || ["(?P=", "(?>", "(?("].iter().any(|only| pattern.contains(only))
}

fn reason(e: &regex_syntax::Error) -> String {
    match e {
        regex_syntax::Error::Parse(e) => format!("{}, at column {}", e.kind(), e.span().start.column),
        regex_syntax::Error::Translate(e) => format!("{}, at column {}", e.kind(), e.span().start.column),
        _ => e.to_string(),
    }
}

/// `\Z` of Python is `\z`.
fn translated(pattern: &str) -> String {
    let mut translated = String::with_capacity(pattern.len());
    let mut is_escaped = false;
    for char in pattern.chars() {
        translated.push(if is_escaped && char == 'Z' { 'z' } else { char });
        is_escaped = char == '\\' && !is_escaped;
    }
    translated
}

impl Matcher {
    pub(crate) fn is_match(&self, line: &[u8]) -> bool {
        match self {
            Self::Literal(literal) => literal.find(line).is_some(),
            Self::Plain(regex) => regex.is_match(line),
            // One that turns back too often is given up.
            Self::Fancy(regex) => regex.is_match(line).unwrap_or(false),
        }
    }

    /// The groups of its first match.
    pub(crate) fn captures(&self, line: &[u8]) -> Option<Vec<Group<'_>>> {
        match self {
            Self::Literal(literal) => {
                let at = literal.find(line)?;
                Some(vec![(None, Some(at..at + literal.needle().len()))])
            }
            Self::Plain(regex) => {
                let mut captures = regex.create_captures();
                regex.captures(line, &mut captures);
                let names = regex.group_info().pattern_names(regex_automata::PatternID::ZERO);
                captures.is_match().then(|| names.zip(captures.iter()).map(|(name, span)| (name, span.map(|span| span.range()))).collect())
            }
            Self::Fancy(regex) => {
                let captures = regex.captures(line).ok()??;
                let spans = captures.iter().map(|group| group.map(|group| group.range()));
                Some(regex.capture_names().zip(spans).collect())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn groups(pattern: &str, line: &str) -> Vec<(Option<String>, Option<Range<usize>>)> {
        let matcher = compile(pattern).unwrap_or_else(|e| panic!("{pattern}: {e}")).matcher;
        let groups = matcher.captures(line.as_bytes()).unwrap();
        groups.into_iter().map(|(name, span)| (name.map(str::to_owned), span)).collect()
    }

    fn refusal(pattern: &str) -> String {
        compile(pattern).err().unwrap_or_else(|| panic!("{pattern} compiles"))
    }

    #[test]
    fn groups_have_names_and_places() {
        let expected = [(None, Some(0..4)), (Some("key".into()), Some(0..1)), (None, None), (Some("value".into()), Some(2..4))];
        assert_eq!(groups(r"(?P<key>\w)=(x)?(?P<value>\d+)", "a=12"), expected);
        assert_eq!(groups(r"(?P<quote>['\x22])(\w+)(?P=quote)", "say 'so'")[2], (None, Some(5..7)));
    }

    #[test]
    fn python_is_understood_where_that_is_simple() {
        assert!(compile(r"\\Z|end\Z").unwrap().matcher.is_match(br"x\Z") && compile(r"end\Z").unwrap().matcher.is_match(b"the end"));
        assert!(compile(r"time(?!d out)").unwrap().matcher.is_match(b"time\xff"));
        assert!(!compile(r"time(?!d out)").unwrap().matcher.is_match(b"timed out"));
    }

    #[test]
    fn a_refusal_says_why() {
        assert_eq!(refusal("a(b"), "unclosed group, at column 2");
        assert_eq!(refusal(r"(\w{200}x){20}"), "it is too large: more than 4 MiB when compiled");
        assert_eq!(refusal(&"x".repeat(20_000)), "it is longer than 16 KiB");
        assert!(refusal(r"(?=a").starts_with("it cannot be compiled: "));
    }

    #[test]
    fn what_turns_back_for_ever_is_given_up() {
        let matcher = compile(r"(?=(a+)+$)(a+)+\1b").unwrap().matcher;
        assert!(!matcher.is_match(&[b'a'; 5000]));
    }
}
