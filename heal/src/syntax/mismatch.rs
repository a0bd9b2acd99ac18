//! Whether the file is right and the interpreter is the wrong one. This is asked first: such a file is never to be changed.

use super::Verdict;
use super::encoding::Encoding;
use super::era::Era;
use super::features;
use super::judge::{Error, Judge, Ruling};
use super::python2;
use super::rules::Class;
use super::tokens::Source;

/// Which versions take a source, if the one that failed is only the wrong one.
///
/// # Errors
/// An interpreter does not answer.
pub(crate) fn diagnose(
    source: &[u8],
    encoding: Encoding,
    error: &Error,
    judge: &Judge,
    others: &[Judge],
) -> anyhow::Result<Option<Verdict>> {
    let read = Source::read(source, encoding, true);
    let features = features::of(source, encoding);
    let missing = features.iter().filter(|feature| feature.is_missing_from(judge.version));
    let here = missing.clone().find(|feature| error.line.is_some_and(|line| feature.is_at(line)) || error.message.contains("f-string"));
    let verdict = |needs, why, accepted_by| Verdict::Mismatch { error: error.clone(), needs, why, accepted_by };

    let era = Era::of(&read);
    let constructs = python2::constructs(&read);
    // Fences and quotes are made of backticks as well.
    let has_construct = constructs.iter().any(|construct| construct.class != Class::Backticks);
    let is_old = judge.version >= (3, 0) && era.only_in_3.is_none() && has_construct;
    for other in others.iter().filter(|other| other.version != judge.version && (other.version >= (3, 0) || is_old)) {
        if other.one(source)? == Ruling::Compiles {
            let (major, minor) = other.version;
            let newest = missing.clone().max_by_key(|feature| feature.since);
            let needs = match newest {
                Some(feature) if major > 2 => feature.versions(),
                _ if major == 2 => "Python 2".to_owned(),
                _ => format!("Python {major}.{minor}"),
            };
            let why = newest.map_or("another interpreter takes it as it is", |feature| feature.name);
            return Ok(Some(verdict(needs, why, Some(other.python().to_owned()))));
        }
    }
    if let Some(feature) = here {
        return Ok(Some(verdict(feature.versions(), feature.name, None)));
    }
    let is_here = constructs.iter().any(|construct| error.line.is_some_and(|line| line.abs_diff(construct.line) <= 1));
    if let Some(why) = era.only_in_2.filter(|_| is_old && is_here) {
        return Ok(Some(verdict("Python 2".to_owned(), why, None)));
    }
    Ok(None)
}
