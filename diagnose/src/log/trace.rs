//! What stands around the last line of a traceback of Python: its frames, and whether another exception came before or after it.

use std::sync::LazyLock;

use regex::Regex;

use super::line::bare;
use crate::diagnosis::Frame;

/// The most frames that are kept; the innermost ones say most.
const FRAMES: usize = 10;

static FRAME: LazyLock<Regex> = LazyLock::new(|| Regex::new(r#"^File "([^"]+)", line (\d+)"#).unwrap_or_else(|e| unreachable!("{e}")));

/// How an exception stands to the others beside it (`traceback` of the standard library).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Place {
    #[default]
    Alone,
    /// Another one was raised from it: this is the cause.
    Cause,
    /// Another one was raised while it was handled: that one counts.
    Handled,
    /// It was raised from another one, which is the cause.
    Consequence,
}

/// The frames right above a line, outermost first.
pub(super) fn frames(before: &str) -> Vec<Frame> {
    let mut frames: Vec<Frame> = Vec::new();
    for line in before.lines().rev().map(bare) {
        if line.starts_with("Traceback (most recent call last)")
            || line.starts_with("The above exception")
            || line.starts_with("During handling")
        {
            break;
        }
        if let Some(frame) = FRAME.captures(line) {
            frames.push(Frame { file: frame[1].to_owned(), line: frame[2].parse().unwrap_or(0) });
        }
    }
    frames.truncate(FRAMES);
    frames.reverse();
    frames
}

/// Where an exception stands among others.
pub(super) fn place(before: &str, after: &str) -> Place {
    let next = after.lines().map(bare).filter(|line| !line.is_empty()).take(3).find_map(link);
    if let Some(link) = next {
        return if link == Link::Raised { Place::Cause } else { Place::Handled };
    }
    let mut above = before.lines().rev().map(bare).skip_while(|line| !line.starts_with("Traceback (most recent call last)"));
    let previous = above.nth(1).into_iter().chain(above).filter(|line| !line.is_empty()).take(1).find_map(link);
    if previous == Some(Link::Raised) { Place::Consequence } else { Place::Alone }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Link {
    Raised,
    Handling,
}

fn link(line: &str) -> Option<Link> {
    match line {
        "The above exception was the direct cause of the following exception:" => Some(Link::Raised),
        "During handling of the above exception, another exception occurred:" => Some(Link::Handling),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: &str =
        "Traceback (most recent call last):\n  File \"/srv/a.py\", line 3, in <module>\n    import b\n  File \"/srv/b.py\", line 1\n";
    const RAISED: &str = "\nThe above exception was the direct cause of the following exception:\n\nTraceback (most recent call last):\n";

    #[test]
    fn the_frames_of_this_traceback_alone_are_its_own() {
        let earlier = format!("{FIRST}KeyError: 'x'\n{RAISED}  File \"c.py\", line 9, in f\n");
        assert_eq!(frames(FIRST).iter().map(|frame| (&*frame.file, frame.line)).collect::<Vec<_>>(), [("/srv/a.py", 3), ("/srv/b.py", 1)]);
        assert_eq!(frames(&earlier), [Frame { file: "c.py".to_owned(), line: 9 }]);
        assert_eq!(frames("app[web.1]:   File \"c.py\", line 9, in f\n").len(), 1);
        assert_eq!(frames("nothing\n"), []);
    }

    #[test]
    fn of_several_exceptions_each_has_its_place() {
        let before = format!("{FIRST}KeyError: 'x'\n{RAISED}  File \"c.py\", line 9, in f\n");
        assert_eq!(place(FIRST, RAISED), Place::Cause);
        assert_eq!(place(FIRST, "\nDuring handling of the above exception, another exception occurred:\n\n"), Place::Handled);
        assert_eq!((place(&before, ""), place(FIRST, "")), (Place::Consequence, Place::Alone));
    }
}
