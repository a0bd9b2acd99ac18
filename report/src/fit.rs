//! Fitting text into columns of a terminal.

use contract::path::plain;
use unicode_width::UnicodeWidthChar as _;

/// Where to cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    Middle,
    End,
}

/// When a column gives way to the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Yields {
    First,
    Later,
    Last,
}

/// What stands between two texts side by side.
pub(crate) const GAP: &str = "  ";

/// Text on one line that moves no cursor: a line break or tab is a blank, the rest as [`plain`] has it.
pub(crate) fn clean(text: &str) -> String {
    plain(&text.replace(['\n', '\r', '\t'], " ")).into_owned()
}

/// Columns that a text takes at most: the sum over its characters, since terminals differ on joined ones.
pub(crate) fn width(text: &str) -> usize {
    text.chars().map(columns).sum()
}

fn columns(c: char) -> usize {
    // It makes the character before it an emoji, which is wider.
    if c == '\u{fe0f}' { 1 } else { c.width().unwrap_or(1) }
}

/// The text, cut with an ellipsis to at most `room` columns.
pub(crate) fn cut(text: &str, room: usize, at: Cut) -> String {
    if width(text) <= room {
        return text.to_owned();
    }
    match at {
        Cut::End => joined(text, "", room),
        Cut::Middle => cut_path(text, room),
    }
}

/// The last two names of a path tell it from its neighbours, so they are the last to go: `infra…/blog/.venv`.
fn cut_path(path: &str, room: usize) -> String {
    let names = path.rmatch_indices('/').nth(1).map(|(at, _)| &path[at..]);
    match names {
        Some(names) if width(names) < room => joined(path, names, room),
        Some(names) if room > 12 => format!("…/{}", joined(&names[1..], end(names, (room - 2) / 2), room - 2)),
        _ => joined(path, end(path, room / 2), room),
    }
}

/// As much of the head as fits, an ellipsis, the tail.
fn joined(text: &str, tail: &str, room: usize) -> String {
    let Some(rest) = room.checked_sub(1 + width(tail)) else { return start("…", room).to_owned() };
    format!("{}…{tail}", start(text, rest))
}

fn start(text: &str, room: usize) -> &str {
    let mut used = 0;
    let beyond = text.char_indices().find(|&(_, c)| {
        used += columns(c);
        used > room
    });
    beyond.map_or(text, |(at, _)| &text[..at])
}

fn end(text: &str, room: usize) -> &str {
    let mut used = 0;
    let beyond = text.char_indices().rev().find(|&(_, c)| {
        used += columns(c);
        used > room
    });
    beyond.map_or(text, |(at, c)| &text[at + c.len_utf8()..])
}

/// The text in lines of at most `room` columns, broken at blanks where there are any.
pub(crate) fn wrap(text: &str, room: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let (mut line, mut used) = (String::new(), 0);
    for word in text.split(' ').flat_map(|word| pieces(word, room)) {
        let wide = width(word);
        if !line.is_empty() && used + 1 + wide > room {
            lines.push(std::mem::take(&mut line));
            used = 0;
        }
        if !line.is_empty() {
            line.push(' ');
            used += 1;
        }
        line.push_str(word);
        used += wide;
    }
    lines.push(line);
    lines
}

/// The texts side by side, in lines of at most `room` columns; one that fits into a line is never broken.
pub(crate) fn packed(texts: impl Iterator<Item = String>, room: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for text in texts {
        match lines.last_mut() {
            Some(line) if width(line) + GAP.len() + width(&text) <= room => line.extend([GAP, &text]),
            _ => lines.extend(wrap(&text, room)),
        }
    }
    lines
}

/// The text to its last blank, in a line of `first` columns and others of `rest`.
pub(crate) fn broken(text: &str, first: usize, rest: usize) -> Vec<&str> {
    let head = start(text, first);
    let tail = &text[head.len()..];
    let more = if tail.is_empty() { Vec::new() } else { pieces(tail, rest) };
    [vec![head], more].concat()
}

/// A word that is too long for any line, in pieces that are not.
fn pieces(word: &str, room: usize) -> Vec<&str> {
    let mut pieces = Vec::new();
    let (mut from, mut used) = (0, 0);
    for (at, c) in word.char_indices() {
        if used > 0 && used + columns(c) > room {
            pieces.push(&word[from..at]);
            (from, used) = (at, 0);
        }
        used += columns(c);
    }
    pieces.push(&word[from..]);
    pieces
}

/// Lowers widths, the widest first, until they fit into `room`; what yields first keeps its `LEAST` before others give way.
pub(crate) fn shrink(widths: &mut [usize], yields: &[Yields], room: usize) {
    const LEAST: usize = 12;
    while widths.iter().sum::<usize>() > room {
        let widest = |until: Yields, least: usize| {
            let candidates = (0..widths.len()).filter(|&i| yields[i] <= until && widths[i] > least);
            candidates.max_by_key(|&i| widths[i])
        };
        match widest(Yields::First, LEAST).or_else(|| widest(Yields::Later, 1)).or_else(|| widest(Yields::Last, 1)) {
            Some(i) => widths[i] -= 1,
            None => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn both_ends_of_a_path_stay() {
        assert_eq!(cut("infrastructure/mcp-servers/google-ads/.venv", 24, Cut::Middle), "infras…/google-ads/.venv");
        assert_eq!(cut("infrastructure/mcp-servers/google-ads/.venv", 15, Cut::Middle), "…/google…/.venv");
        assert_eq!(cut("infrastructure", 8, Cut::Middle), "inf…ture");
        assert_eq!(cut("pip is missing", 8, Cut::End), "pip is …");
    }

    #[test]
    fn wide_characters_count_twice() {
        assert_eq!(cut("環境環境", 5, Cut::End), "環境…");
        assert_eq!(width("環境"), 4);
    }

    #[test]
    fn a_long_word_is_broken_and_blanks_are_preferred() {
        assert_eq!(wrap("no such file /a/very/long/path", 12), ["no such file", "/a/very/long", "/path"]);
    }

    #[test]
    fn the_widest_column_gives_way_first() {
        let mut widths = [10, 60, 30];
        shrink(&mut widths, &[Yields::Later, Yields::First, Yields::First], 70);
        assert_eq!(widths, [10, 30, 30]);
        let mut widths = [19, 20, 15];
        shrink(&mut widths, &[Yields::Later, Yields::Last, Yields::First], 40);
        assert_eq!(widths, [10, 20, 10]);
    }

    #[test]
    fn marks_without_width_take_no_time() {
        let text = "\u{301}".repeat(200_000) + &"b".repeat(300) + &"\u{301}".repeat(200_000) + &" \u{301}".repeat(100_000);
        let begun = std::time::Instant::now();
        for at in [Cut::Middle, Cut::End] {
            assert!(width(&cut(&text, 80, at)) <= 80);
        }
        assert!(wrap(&text, 80).len() > 1000);
        assert!(begun.elapsed().as_secs() < 5, "{:?}", begun.elapsed());
    }

    proptest! {
        #[test]
        fn no_terminal_needs_more_columns_than_counted(text in "(\\PC|[#*0-9❤☎👩🏽🇩\u{200d}\u{fe0e}\u{fe0f}\u{338}\u{20e3}]){0,40}") {
            prop_assert!(unicode_width::UnicodeWidthStr::width(&*text) <= width(&text));
        }

        #[test]
        fn nothing_is_wider_than_its_room(text in "\\PC{0,60}", room in 0_usize..40) {
            prop_assert!(width(&cut(&text, room, Cut::Middle)) <= room);
            prop_assert!(width(&cut(&text, room, Cut::End)) <= room);
        }

        #[test]
        fn wrapping_loses_nothing_but_blanks(text in "\\PC{0,80}", room in 4_usize..40) {
            let blankless = |s: &str| s.replace(' ', "");
            prop_assert_eq!(blankless(&wrap(&text, room).concat()), blankless(&text));
            for line in wrap(&text, room) {
                prop_assert!(width(&line) <= room, "{line:?}");
            }
        }
    }
}
