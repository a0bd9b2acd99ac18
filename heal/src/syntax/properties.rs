//! What holds for any bytes.

use proptest::prelude::*;

use super::corpus;
use super::edit::{Edit, apply};
use super::encoding::Encoding;
use super::era::Era;
use super::features;
use super::python2;
use super::tokens::Source;
use super::{Verdict, fix};

/// Pieces of programs, so that what is put together is broken in likely ways.
const PIECES: [&str; 40] = [
    "if ",
    "else",
    "else if ",
    "elif ",
    ":",
    "\n",
    "\n    ",
    "\n\t",
    "x",
    " = ",
    " == ",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    "'",
    "\"",
    "'''",
    "f'{",
    "“",
    "”",
    "‘",
    "’",
    "\u{a0}",
    "\u{200b}",
    "\0",
    "```\n",
    ">>> ",
    "... ",
    "print ",
    "exec ",
    "except A, e:",
    "raise A, 'b'",
    "<>",
    "`",
    "0755",
    "#",
    "\\\n",
];

fn program() -> impl Strategy<Value = Vec<u8>> {
    let pieces = prop::collection::vec(prop::sample::select(&PIECES[..]), 0..24).prop_map(|pieces| pieces.concat().into_bytes());
    prop_oneof![4 => pieces, 1 => prop::collection::vec(any::<u8>(), 0..200)]
}

/// Every byte outside of the edits is where it was.
fn only_edits_change(source: &[u8], text: &[u8], edits: &[Edit]) -> bool {
    let (mut rest, mut from) = (text, 0);
    let follows = |rest: &mut &[u8], part: &[u8]| {
        let has = rest.starts_with(part);
        *rest = &rest[if has { part.len() } else { 0 }..];
        has
    };
    for edit in edits {
        if !follows(&mut rest, &source[from..edit.offset]) || !follows(&mut rest, edit.insert.as_bytes()) {
            return false;
        }
        from = edit.end();
    }
    rest == &source[from..]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_bytes_are_read(text in program(), nests: bool) {
        for encoding in [Encoding::Utf8, Encoding::SingleByte] {
            let source = Source::read(&text, encoding, nests);
            prop_assert!(source.tokens.windows(2).all(|pair| pair[0].end <= pair[1].start));
            prop_assert!(source.tokens.iter().all(|token| token.start < token.end && token.end <= text.len()));
            let _ = (python2::constructs(&source), Era::of(&source), features::of(&text, encoding));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(50))]

    #[test]
    fn what_is_mended_is_valid_and_nothing_else_changed(source in program()) {
        let judge = corpus::judges().last().unwrap();
        if let Verdict::Fixed { edits, text } = fix(&source, judge, &[]).unwrap() {
            prop_assert_eq!(&apply(&source, &edits), &text);
            prop_assert!(only_edits_change(&source, &text, &edits));
            prop_assert_eq!(fix(&text, judge, &[]).unwrap(), Verdict::Valid);
        }
    }
}
