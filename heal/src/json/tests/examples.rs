//! What is mended by itself, what only when it is allowed, and what never; an example each.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use crate::json::{Class, Consumer, Refusal, Verdict, Why, repair};

/// The text after a repair, with the classes of its edits.
fn mended(text: &str, consumer: Consumer, lossy: bool) -> Option<(String, Vec<Class>)> {
    match repair(text.as_bytes(), consumer, lossy) {
        Verdict::Repaired { edits, text, .. } => {
            let mut classes: Vec<_> = edits.iter().map(|edit| edit.class).collect();
            classes.sort_unstable();
            classes.dedup();
            Some((String::from_utf8(text).unwrap(), classes))
        }
        _ => None,
    }
}

#[track_caller]
fn by_itself(text: &str, class: Class, becomes: &str) {
    assert_eq!(mended(text, Consumer::Strict, false), Some((becomes.to_owned(), vec![class])), "{text}");
}

#[track_caller]
fn if_allowed(text: &str, class: Class, becomes: &str) {
    let Verdict::Refused(refusal) = repair(text.as_bytes(), Consumer::Strict, false) else { panic!("{text}") };
    assert!(refusal.would.contains(&class), "{text}: {refusal:?}");
    assert_eq!(mended(text, Consumer::Strict, true).unwrap().0, becomes, "{text}");
}

#[track_caller]
fn never(text: &str, line: u32, column: u32, why: Why) {
    for lossy in [false, true] {
        let Verdict::Refused(refusal) = repair(text.as_bytes(), Consumer::Strict, lossy) else { panic!("{text}") };
        assert_eq!((refusal.line, refusal.column, refusal.why), (line, column, why), "{text}");
    }
}

#[test]
fn what_is_certain_is_mended_by_itself() {
    by_itself("\u{feff}{\"port\": 80}", Class::ByteOrderMark, "{\"port\": 80}");
    by_itself("{\"port\": 80}\n\0\0\0\0", Class::NulPadding, "{\"port\": 80}\n");
    by_itself("```json\n{\"port\": 80}\n```\n", Class::CodeFence, "\n{\"port\": 80}\n\n");
    by_itself("{ // of the proxy\n\"port\": 80 /* old: 81 */}", Class::Comment, "{ \n\"port\": 80 }");
    by_itself("{\"port\":\u{a0}80}", Class::OddSpace, "{\"port\": 80}");
    by_itself("{\"ports\": [80, 81,],\n}", Class::TrailingComma, "{\"ports\": [80, 81]\n}");
    by_itself("{\"host\": \"a\"\n \"port\": 80\n}", Class::MissingComma, "{\"host\": \"a\",\n \"port\": 80\n}");
    by_itself("[\n{\"a\": 1}\n{\"a\": 2}\n]", Class::MissingComma, "[\n{\"a\": 1},\n{\"a\": 2}\n]");
    let laid_out = "{\n  \"a\": {\n    \"b\": [1, 2]\n";
    by_itself(laid_out, Class::MissingCloser, "{\n  \"a\": {\n    \"b\": [1, 2]}}\n");
    // The second opinion takes `b` for a part of the comment.
    let by_old_newline = repair(b"{\"a\": 1, // one\r \"b\": 2}", Consumer::Strict, false);
    assert!(matches!(by_old_newline, Verdict::Refused(Refusal { why: Why::OtherValue, .. })), "{by_old_newline:?}");
    by_itself("{'say': 'the \"end\"'}", Class::Quotes, "{\"say\": \"the \\\"end\\\"\"}");
    by_itself("{“say”: “it's”}", Class::Quotes, "{\"say\": \"it's\"}");
    by_itself("{\"say\": \"it\\'s\"}", Class::EscapedApostrophe, "{\"say\": \"it's\"}");
    by_itself("{\"say\": \"a\tb\"}", Class::RawControl, "{\"say\": \"a\\tb\"}");
    by_itself("{\"a\": True, \"b\": None}", Class::PythonWord, "{\"a\": true, \"b\": null}");
    by_itself("{port: 80, $x_1: 2, 7: 3}", Class::UnquotedKey, "{\"port\": 80, \"$x_1\": 2, \"7\": 3}");
    by_itself("{\"ratio\": .5}", Class::LeadingPoint, "{\"ratio\": 0.5}");
}

#[test]
fn what_needs_a_guess_is_mended_only_where_it_is_allowed() {
    if_allowed("{\"host\": \"a.b", Class::MissingQuote, "{\"host\": \"a.b\"}");
    if_allowed("{\"say\": \"a \"big\" one\"}", Class::InnerQuote, "{\"say\": \"a \\\"big\\\" one\"}");
    if_allowed("{'say': 'it's one'}", Class::OddQuotes, "{\"say\": \"it's one\"}");
    if_allowed("{\"say\": \"one\ntwo\"}", Class::RawNewline, "{\"say\": \"one\\ntwo\"}");
    if_allowed("{\"path\": \"C:\\dir\"}", Class::InvalidEscape, "{\"path\": \"C:dir\"}");
    if_allowed("{\"say\": \"a\" + \"b\"}", Class::Concatenation, "{\"say\": \"ab\"}");
    if_allowed("{\"host\": localhost}", Class::UnquotedText, "{\"host\": \"localhost\"}");
    if_allowed("{True: 1}", Class::UnquotedText, "{\"True\": 1}");
    if_allowed("{\"a\": undefined}", Class::Undefined, "{\"a\": null}");
    if_allowed("{\"zip\": 01234}", Class::LeadingZeros, "{\"zip\": \"01234\"}");
    if_allowed("[1, 2", Class::MisplacedCloser, "[1, 2]");
    if_allowed("{\"a\": 1,", Class::Truncated, "{\"a\": 1}");
    if_allowed("{\"a\" 1}", Class::MissingColon, "{\"a\": 1}");
    if_allowed("{\"a\": }", Class::MissingValue, "{\"a\": null}");
    if_allowed("{\"a\": 1 \"b\": 2}", Class::MissingCommaInLine, "{\"a\": 1, \"b\": 2}");
    if_allowed("{\"a\": 1}}", Class::ExtraCloser, "{\"a\": 1}");
    if_allowed("{\"a\": 1} /* and", Class::OpenComment, "{\"a\": 1} ");
    if_allowed("{\"a\": 1}\n{\"a\": 2}\n", Class::SeveralValues, "[\n{\"a\": 1},\n{\"a\": 2}\n\n]");
    let merge = "{\n<<<<<<< HEAD\n\"port\": 80,\n=======\n\"port\": 81,\n>>>>>>> theirs\n\"tls\": true\n}";
    if_allowed(merge, Class::MergeMarkers, "{\n\n\"port\": 80,\n\n\"tls\": true\n}");
}

#[test]
fn what_nobody_can_know_is_refused_with_its_place() {
    never("  },\n\"a\": 1\n}", 1, 3, Why::Unexpected('}'));
    never("{\"a\": 1}\n...", 2, 1, Why::Unexpected('.'));
    never("{\"a\",", 1, 5, Why::ColonExpected);
    never("{\"ä\": 1, : 2}", 1, 10, Why::KeyExpected);
    never("{\"a\": \"\\uZZZZ\"}", 1, 8, Why::UnicodeEscape);
    never("{\"a\": \"\u{1}\"}", 1, 8, Why::ControlCharacter);
    never("", 1, 1, Why::NoValue);
    let Verdict::Refused(refusal) = repair(b"{\"a\": \"\xff\"}", Consumer::Strict, true) else { panic!() };
    assert_eq!((refusal.column, refusal.why), (8, Why::NotUtf8));
}

/// A bracket that lacks its partner in the middle is no bracket that lacks it at the end.
#[test]
fn a_bracket_is_closed_at_the_end_only_where_it_can_be_open_there_alone() {
    let lost_inside = "{\n  \"a\": {\n    \"x\": 1,\n  \"b\": 2\n}\n";
    if_allowed(lost_inside, Class::MisplacedCloser, "{\n  \"a\": {\n    \"x\": 1,\n  \"b\": 2\n}}\n");
    for in_line in ["{\"a\": {\"b\": 1, \"c\": 2}", "{\"a\": {\"b\": 1\n\"c\": 2}", "{\n\"a\": {\n\"b\": 1,\n\"c\": 2\n}"] {
        let Verdict::Refused(refusal) = repair(in_line.as_bytes(), Consumer::Strict, false) else { panic!("{in_line}") };
        assert_eq!(refusal.why, Why::Lossy(Class::MisplacedCloser), "{in_line}");
    }
    let twice = "{\n  \"a\": {\n    \"name\": 1,\n    \"b\": 2,\n    \"name\": 3\n  }\n";
    let Verdict::Refused(refusal) = repair(twice.as_bytes(), Consumer::Strict, false) else { panic!() };
    assert_eq!(refusal.why, Why::DoubtfulBrackets);
    let outside = "{\n  \"a\": {\n    \"x\": 1\n  \"b\": 2\n}\n}\n";
    let Verdict::Refused(refusal) = repair(outside.as_bytes(), Consumer::Strict, false) else { panic!() };
    assert_eq!((refusal.line, refusal.why), (3, Why::DoubtfulBrackets));
    if_allowed("{\"a\": 1 // }", Class::MisplacedCloser, "{\"a\": 1} ");
    if_allowed("{\"a\": \"x\"\n\0\0", Class::MisplacedCloser, "{\"a\": \"x\"}\n");
}

#[test]
fn what_the_consumer_takes_stays() {
    let settings = "// mine\n{\"a\": 1, /* b */}\n";
    assert!(matches!(repair(settings.as_bytes(), Consumer::Jsonc, false), Verdict::Valid { .. }));
    let (text, classes) = mended("// mine\n{\"a\": 1 // b\n\"c\": [2,],}", Consumer::Jsonc, false).unwrap();
    assert_eq!((&*text, &*classes), ("// mine\n{\"a\": 1, // b\n\"c\": [2,],}", &[Class::MissingComma][..]));
    let (text, _) = mended("{\"a\": [1,], // b\n}", Consumer::Comments, false).unwrap();
    assert_eq!(text, "{\"a\": [1] // b\n}");
}

#[test]
fn a_key_that_is_there_twice_is_told_of_and_left() {
    let Verdict::Valid { duplicates } = repair(b"{\"a\": 1,\n\"a\": 2}", Consumer::Strict, true) else { panic!() };
    assert_eq!((&*duplicates[0].key, duplicates[0].line), ("a", 2));
}

#[test]
fn numbers_stay_as_they_are_written() {
    by_itself("[1.10, 1e400, 123456789012345678901234567890,]", Class::TrailingComma, "[1.10, 1e400, 123456789012345678901234567890]");
}

/// Texts on which a search from each quote, comment or bracket to the end would take hours.
#[test]
fn no_text_takes_long() {
    let hostile = [
        ("\"a, b ", "]"),
        ("\"a\"b, c", "]"),
        ("\"a: ", "\"x"),
        ("\"([x\") ", ""),
        ("\"/* ", ""),
        ("\"/*\"/**/ ", "*/b"),
        ("\"/*\"*/ ", "z"),
        ("/*", ""),
        ("'a ‘b `c “d ", "]"),
        ("a(", ""),
        ("[", ""),
        ("{\"a\":", ""),
        ("[{", "]"),
        ("<<<<<<< a\n", ">>>>>>> b\n"),
        ("<<<<<<< a\n=======\n", ""),
        ("\"a\" + ", ""),
        ("\\\"a", ""),
        ("1 ", ""),
        (",", ""),
        ("...", ""),
        ("}", ""),
        ("\"a\"        ", "b"),
        ("https://", ""),
        ("\"\\u", ""),
    ];
    for (piece, end) in hostile {
        let [part, whole] = [5_000, 20_000].map(|count| time_for(piece, count, end));
        // Four times the text takes four times as long, and sixteen times where each byte leads to a look at all others.
        assert!(whole < part * 8 + Duration::from_millis(200), "{piece}: {part:?}, {whole:?}");
    }
}

/// The processor time, which does not depend on what else runs.
fn time_for(piece: &str, count: usize, end: &str) -> Duration {
    let now = || Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap();
    let (start, text) = (now(), piece.repeat(count) + end);
    repair(text.as_bytes(), Consumer::Strict, true);
    repair(("[".to_owned() + &text).as_bytes(), Consumer::Strict, false);
    // All on one line that is indented as far as the text is long.
    repair((" ".repeat(2 * count) + "[" + &text).as_bytes(), Consumer::Strict, false);
    now().saturating_sub(start)
}
