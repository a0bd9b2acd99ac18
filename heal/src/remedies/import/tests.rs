//! Edits by table, and what holds for any bytes.

use proptest::prelude::*;

use super::edits::{self, Answer};
use super::statement;
use crate::syntax::edit::{apply, are_apart};
use crate::syntax::encoding::Encoding;
use crate::syntax::tokens::Source;

/// Which name of the first statement goes to which module, and under which name.
type Move = (usize, Option<&'static str>, Option<&'static str>);

fn answers(moves: &[Move]) -> Vec<Answer> {
    moves.iter().map(|(at, module, name)| Answer { at: *at, module: module.map(str::to_owned), name: name.map(str::to_owned) }).collect()
}

fn edited(text: &str, moves: &[Move]) -> Option<String> {
    let source = Source::read(text.as_bytes(), Encoding::Utf8, true);
    let edits = edits::of(&source, statement::froms(&source).first().unwrap(), &answers(moves)).ok()?;
    assert!(are_apart(&edits, text.len()), "{edits:?}");
    Some(String::from_utf8(apply(text.as_bytes(), &edits)).unwrap())
}

const ABC: Option<&str> = Some("collections.abc");

#[test]
fn a_statement_whose_names_all_moved_names_another_module() {
    let cases: [(&str, &[Move], &str); 5] = [
        ("from collections import Mapping\n", &[(0, ABC, None)], "from collections.abc import Mapping\n"),
        (
            "  from  collections  import(Set, # x\r\n Mapping as M)\r\n",
            &[(0, ABC, None), (1, ABC, None)],
            "  from  collections.abc  import(Set, # x\r\n Mapping as M)\r\n",
        ),
        ("from .old import A", &[(0, Some("..new"), None)], "from ..new import A"),
        ("from urllib import a\n", &[(0, Some("b"), Some("c"))], "from b import c as a\n"),
        ("if x: from a import b, c; d()\n", &[(0, Some("e"), None), (1, Some("f"), None)], "if x: from e import b; from f import c; d()\n"),
    ];
    for (before, moves, after) in cases {
        assert_eq!(edited(before, moves).as_deref(), Some(after));
    }
}

#[test]
fn names_that_moved_leave_those_that_did_not() {
    let cases: [(&str, &[Move], &str); 8] = [
        (
            "from collections import Mapping, OrderedDict\n",
            &[(0, ABC, None)],
            "from collections.abc import Mapping\nfrom collections import OrderedDict\n",
        ),
        (
            "from collections import OrderedDict, Mapping\n",
            &[(1, ABC, None)],
            "from collections.abc import Mapping\nfrom collections import OrderedDict\n",
        ),
        (
            "from c import A, Set as S, B, D\n",
            &[(0, ABC, None), (1, ABC, None), (3, ABC, None)],
            "from collections.abc import A, Set as S, D\nfrom c import B\n",
        ),
        (
            "try:\r\n\tfrom c import A, B\r\nexcept E: x\r\n",
            &[(1, ABC, None)],
            "try:\r\n\tfrom collections.abc import B\r\n\tfrom c import A\r\nexcept E: x\r\n",
        ),
        (
            "from c import (\n    A,\n    B,\n    D,\n)\n",
            &[(1, ABC, None)],
            "from collections.abc import B\nfrom c import (\n    A,\n    D,\n)\n",
        ),
        ("from c import (\n    A,\n    B,\n)\n", &[(1, ABC, None)], "from collections.abc import B\nfrom c import (\n    A,\n)\n"),
        ("x = 1; from c import A, B\n", &[(0, ABC, None)], "x = 1; from collections.abc import A; from c import B\n"),
        (
            "from c import A, b, C\n",
            &[(0, Some("d"), None), (1, None, Some("B")), (2, Some("e"), None)],
            "from d import A\nfrom e import C\nfrom c import B as b\n",
        ),
    ];
    for (before, moves, after) in cases {
        assert_eq!(edited(before, moves).as_deref(), Some(after));
    }
    for left in ["from c import (A, # of A\n B)\n", "from c import A, \\\n B\n"] {
        assert_eq!(edited(left, &[(0, ABC, None)]), None);
    }
}

#[test]
fn another_name_is_bound_as_before() {
    let cases: [(&str, &[Move], &str); 3] = [
        ("from m import foo\n", &[(0, None, Some("Foo"))], "from m import Foo as foo\n"),
        ("from m import a, foo  as  f, b\n", &[(1, None, Some("Foo"))], "from m import a, Foo as f, b\n"),
        ("from m import (foo, # why\n bar)\n", &[(0, None, Some("Foo"))], "from m import (Foo as foo, # why\n bar)\n"),
    ];
    for (before, moves, after) in cases {
        assert_eq!(edited(before, moves).as_deref(), Some(after));
    }
}

/// Pieces of programs that imports are made of.
const PIECES: [&str; 24] = [
    "from ",
    "import ",
    "a",
    "b.c",
    ".",
    "...",
    " as ",
    ",",
    "(",
    ")",
    "\n",
    "\r\n",
    "\n    ",
    ";",
    ":",
    "try:",
    "# x",
    "\\\n",
    "'",
    "'''",
    "*",
    " import d, e as f",
    "from x import ",
    "é",
];

fn program() -> impl Strategy<Value = Vec<u8>> {
    let pieces = prop::collection::vec(prop::sample::select(&PIECES[..]), 0..24).prop_map(|pieces| pieces.concat().into_bytes());
    prop_oneof![4 => pieces, 1 => prop::collection::vec(any::<u8>(), 0..200)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn only_bytes_of_the_statement_change(text in program(), leaves in prop::collection::vec(0..4_u8, 0..8)) {
        let source = Source::read(&text, Encoding::Utf8, true);
        let _ = statement::plains(&source);
        for from in statement::froms(&source) {
            let chosen = leaves.iter().enumerate().filter(|(at, _)| *at < from.aliases.len());
            let answers: Vec<Answer> = chosen.filter_map(|(at, kind)| match kind {
                0 => None,
                1 => Some(Answer { at, module: None, name: Some("N".to_owned()) }),
                2 => Some(Answer { at, module: Some("m".to_owned()), name: None }),
                _ => Some(Answer { at, module: Some("n".to_owned()), name: Some("N".to_owned()) }),
            }).collect();
            let Ok(edits) = edits::of(&source, &from, &answers) else { continue };
            prop_assert!(are_apart(&edits, text.len()));
            prop_assert!(edits.iter().all(|edit| from.span.start <= edit.offset && edit.end() <= from.span.end));
            let edited = apply(&text, &edits);
            prop_assert!(edited.starts_with(&text[..from.span.start]) && edited.ends_with(&text[from.span.end..]));
        }
    }
}
