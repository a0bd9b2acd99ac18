//! What holds for any text whatever.

use proptest::prelude::*;

use crate::json::{Consumer, Refusal, Verdict, Why, repair};

const CONSUMERS: [Consumer; 3] = [Consumer::Strict, Consumer::Comments, Consumer::Jsonc];

/// Pieces that mean something, so that chance does not take long to come to what is odd.
fn pieces() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        proptest::sample::select(vec![
            "{",
            "}",
            "[",
            "]",
            ",",
            ":",
            "\"",
            "'",
            "\\",
            "\n",
            " ",
            "\t",
            "\0",
            "`",
            "“",
            "”",
            "‘",
            "’",
            "´",
            "/*",
            "*/",
            "//",
            "+",
            "-",
            ".",
            "0",
            "12",
            "1.5e3",
            "e",
            "a",
            "key",
            "true",
            "None",
            "undefined",
            "...",
            "```",
            "```json",
            "(",
            ")",
            ";",
            "\\u",
            "\\u00e9",
            "\u{feff}",
            "\u{a0}",
            "\u{2028}",
            "https://",
            "<<<<<<< a\n",
            "=======\n",
            ">>>>>>> b\n",
            "ä",
            "\"a\": 1",
            "\"x\",",
            "\r\n",
            "/",
            "\\\"",
            "\\'",
            "#",
        ])
        .prop_map(str::to_owned),
        "[ -~]",
    ];
    proptest::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

fn value() -> impl Strategy<Value = String> {
    let scalar = prop_oneof![
        Just("null".to_owned()),
        "-?[1-9][0-9]{0,20}(\\.[0-9]{1,4})?".prop_map(String::from),
        any::<String>().prop_map(|text| serde_json::to_string(&text).unwrap()),
    ];
    let space = proptest::sample::select(vec!["", " ", "\n  ", "\r\n\t"]);
    scalar.prop_recursive(6, 60, 6, move |inner| {
        let space = space.clone();
        prop_oneof![
            (proptest::collection::vec(inner.clone(), 0..6), space.clone())
                .prop_map(|(values, space)| format!("[{space}{}{space}]", values.join(&format!(",{space}")))),
            (proptest::collection::vec(("[a-z]{1,9}", inner), 0..6), space).prop_map(|(members, space)| {
                let members: Vec<_> = members.iter().map(|(key, value)| format!("{space}\"{key}\":{space}{value}")).collect();
                format!("{{{}{space}}}", members.join(","))
            }),
        ]
    })
}

/// A repair is valid, so nothing more is to be done to it, and outside its edits each byte is as it was.
fn holds(text: &[u8]) {
    for (consumer, lossy) in CONSUMERS.into_iter().flat_map(|consumer| [(consumer, false), (consumer, true)]) {
        let verdict = repair(text, consumer, lossy);
        assert!(!matches!(&verdict, Verdict::Refused(Refusal { why: Why::Unsound, .. })), "{:?}", String::from_utf8_lossy(text));
        let Verdict::Repaired { edits, text: new, .. } = verdict else { continue };
        assert!(matches!(repair(&new, consumer, lossy), Verdict::Valid { .. }));
        assert!(lossy || edits.iter().all(|edit| edit.class.is_lossless()));
        let (mut kept, mut at) = (new.as_slice(), 0);
        for edit in &edits {
            kept = kept.strip_prefix(&text[at..edit.offset]).unwrap().strip_prefix(edit.insert.as_bytes()).unwrap();
            at = edit.offset + edit.len;
        }
        assert_eq!(kept, &text[at..]);
        if consumer == Consumer::Strict && nesting(&new) < 100 {
            serde_json::from_slice::<serde::de::IgnoredAny>(&new).unwrap();
        }
    }
}

fn nesting(text: &[u8]) -> usize {
    text.iter().filter(|&&byte| byte == b'[' || byte == b'{').count()
}

proptest! {
    #[test]
    fn any_bytes(text in proptest::collection::vec(any::<u8>(), 0..200)) {
        holds(&text);
    }

    #[test]
    fn any_pieces(text in pieces()) {
        holds(text.as_bytes());
    }

    #[test]
    fn a_valid_text_is_valid(text in value()) {
        for consumer in CONSUMERS {
            prop_assert!(matches!(repair(text.as_bytes(), consumer, true), Verdict::Valid { .. }), "{text}");
        }
    }

    /// Also what is cut off anywhere, or has a piece put in somewhere.
    #[test]
    fn a_damaged_text(text in value(), piece in pieces(), at in any::<proptest::sample::Index>(), end in any::<proptest::sample::Index>()) {
        let cuts: Vec<_> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
        let (at, end) = (cuts[at.index(cuts.len())], cuts[end.index(cuts.len())]);
        holds(&text.as_bytes()[..end]);
        holds(format!("{}{piece}{}", &text[..at], &text[at..]).as_bytes());
    }
}
