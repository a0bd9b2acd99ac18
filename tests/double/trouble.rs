//! What goes wrong between a client and the platform.

use std::time::Duration;

/// One thing that goes wrong.
///
/// The last five happen on the way to the client, since Prism passes none of them well: it never answers where the body is truncated, keeps a
/// slow one back until it is whole, and takes HTML for a breach of the description.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Mischief {
    /// This one goes well, so that a later one does not.
    Nothing,
    /// 429 of the limit of a minute: `retry-after` in so many seconds.
    Burst(u64),
    /// 429 of the limit of an hour: only `ratelimit-reset` says when it ends, in so many seconds.
    Exhausted(u64),
    /// An error in DigitalOcean's form; 401 is what an expired token gets.
    Error(u16),
    /// 502 and a page of HTML by what stands before the platform, which heard nothing.
    BadGateway,
    /// The connection ends amid the body, after the platform did what it was asked.
    Truncated,
    /// The connection ends before the answer begins, after the platform did what it was asked.
    HungUp,
    /// The body comes in pieces and takes this long.
    Slow(Duration),
    /// Nothing comes for this long, and then all of it.
    Late(Duration),
}

/// What is still to go wrong.
#[derive(Default)]
pub(crate) struct Troubles(Vec<(String, usize, Mischief)>);

impl Troubles {
    pub(crate) fn add(&mut self, at: &str, times: usize, mischief: Mischief) {
        self.0.push((at.to_owned(), times, mischief));
    }

    /// What becomes of a request.
    pub(crate) fn next(&mut self, target: &str) -> Mischief {
        let due = self.0.iter_mut().find(|(at, times, _)| *times > 0 && target.contains(at.as_str()));
        due.map_or(Mischief::Nothing, |(_, times, mischief)| {
            *times -= 1;
            *mischief
        })
    }
}
