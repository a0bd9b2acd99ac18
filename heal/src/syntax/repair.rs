//! One slip after the other: each step takes the first error away, or down, and all of them together must leave none.

use super::edit::{Edit, apply, are_apart, join};
use super::encoding::Encoding;
use super::era::Era;
use super::judge::{Candidate, Error, Judge, Ruling};
use super::rules::{self, Case, Proposal};
use super::tokens::Source;
use super::{Suggestion, Verdict, checks, suggest};

/// Slips in one file; more are none.
const STEPS: usize = 40;
/// Suggestions that anybody reads.
const MOST: usize = 4;

/// Mends a source, or says what a person may try.
///
/// # Errors
/// The interpreter does not answer.
pub(crate) fn repair(source: &[u8], encoding: Encoding, first: Error, judge: &Judge) -> anyhow::Result<Verdict> {
    let bench = Bench { judge, encoding, era: Era::of(&Source::read(source, encoding, judge.version >= (3, 12))) };
    let mut made = Made { text: source.to_owned(), edits: Vec::new(), error: first.clone() };
    for _ in 0..STEPS {
        let (step, mut suggestions) = bench.step(&made.text, &made.error)?;
        let Some(Step { edits, text, error }) = step else {
            // What was certain on the way is no repair as long as something stays broken.
            made.suggest(&mut suggestions);
            return Ok(if suggestions.is_empty() {
                Verdict::Refused { error: made.error, why: "nothing that is known fits" }
            } else {
                Verdict::Suggested { error: made.error, suggestions }
            });
        };
        let Some(joined) = join(&made.edits, &edits, source) else { break };
        match error {
            None => return Ok(Verdict::Fixed { edits: joined, text }),
            Some(error) => made = Made { text, edits: joined, error },
        }
    }
    Ok(Verdict::Refused { error: first, why: "it has more errors than one slips into" })
}

/// What was done so far.
struct Made {
    text: Vec<u8>,
    edits: Vec<Edit>,
    error: Error,
}

impl Made {
    fn suggest(self: &Made, suggestions: &mut Vec<Suggestion>) {
        // The others are edits of a text that has these already.
        if let Some(first) = self.edits.first() {
            suggestions.clear();
            let why = "with these the first error stands further down, and what is wrong there is not certain";
            suggestions.push(Suggestion { class: first.class, edits: self.edits.clone(), compiles: false, why });
        }
    }
}

/// A step that may be made.
struct Step {
    edits: Vec<Edit>,
    text: Vec<u8>,
    /// What is the first error then.
    error: Option<Error>,
}

struct Bench<'j> {
    judge: &'j Judge,
    encoding: Encoding,
    era: Era,
}

impl Bench<'_> {
    fn read<'t>(&self, text: &'t [u8]) -> Source<'t> {
        Source::read(text, self.encoding, self.judge.version >= (3, 12))
    }

    /// The one step that is certain, or else what may be tried.
    fn step(&self, text: &[u8], error: &Error) -> anyhow::Result<(Option<Step>, Vec<Suggestion>)> {
        let source = self.read(text);
        let case = Case { source: &source, error, era: &self.era };
        let mut proposals = rules::propose(&case);
        let trials = self.trials(&source, error, &proposals)?;
        let mut certain = trials.iter().filter(|trial| trial.is_certain);
        if let Some(trial) = certain.next()
            && certain.all(|other| other.text == trial.text)
        {
            let edits = proposals[trial.proposal].edits.clone();
            return Ok((Some(Step { edits, text: trial.text.clone(), error: trial.error.clone() }), Vec::new()));
        }
        let mut suggestions = suggestions(&proposals, &trials);
        if suggestions.len() < MOST {
            proposals = suggest::all(&case);
            suggestions.extend(self::suggestions(&proposals, &self.trials(&source, error, &proposals)?));
        }
        suggestions.sort_by_key(|suggestion| !suggestion.compiles);
        suggestions.dedup_by(|a, b| a.edits == b.edits);
        suggestions.truncate(MOST);
        Ok((None, suggestions))
    }

    /// Judges all proposals in one go, and then the rivals of those that are certain but for them.
    fn trials(&self, source: &Source<'_>, error: &Error, proposals: &[Proposal]) -> anyhow::Result<Vec<Trial>> {
        let before = checks::left(source.text, error);
        let own = self.rule(source, proposals.iter().map(|proposal| (&proposal.edits, checks::kept(source, &proposal.edits))))?;
        let mut trials = Vec::new();
        for (at, (proposal, (text, ruling))) in proposals.iter().zip(own).enumerate() {
            let is_progress = checks::is_progress(&ruling, &text, before);
            let is_certain = is_progress
                && proposal.doubt.is_none()
                && checks::are_near(&proposal.edits, source.text, error)
                && checks::are_the_only_change(source, &self.read(&text), &proposal.edits);
            let has_rival = is_certain && self.has_rival(source, proposal, &text, &ruling)?;
            let error = if let Ruling::Fails(error) = ruling { Some(error) } else { None };
            trials.push(Trial { proposal: at, text, error, is_progress, has_rival, is_certain: is_certain && !has_rival });
        }
        Ok(trials)
    }

    /// Whether other edits of the same kind get as far.
    fn has_rival(&self, source: &Source<'_>, proposal: &Proposal, text: &[u8], ruling: &Ruling) -> anyhow::Result<bool> {
        let rivals = self.rule(source, proposal.rivals.iter().map(|edits| (edits, 0)))?;
        Ok(rivals.iter().any(|(rival, said)| rival != text && checks::is_as_good(said, rival, ruling, text)))
    }

    /// The texts that edits make, each with what the interpreter says of it; what is no edit leaves the text as it is.
    fn rule<'e>(&self, source: &Source<'_>, edits: impl Iterator<Item = (&'e Vec<Edit>, usize)>) -> anyhow::Result<Vec<(Vec<u8>, Ruling)>> {
        let edited = |edits: &[Edit]| if are_apart(edits, source.text.len()) { apply(source.text, edits) } else { source.text.to_owned() };
        let candidates: Vec<Candidate> = edits.map(|(edits, keep)| Candidate { text: edited(edits), keep }).collect();
        let rulings = if candidates.is_empty() { Vec::new() } else { self.judge.all(&candidates)? };
        Ok(candidates.into_iter().map(|candidate| candidate.text).zip(rulings).collect())
    }
}

/// How a proposal fared.
struct Trial {
    proposal: usize,
    text: Vec<u8>,
    error: Option<Error>,
    is_progress: bool,
    has_rival: bool,
    is_certain: bool,
}

fn suggestions(proposals: &[Proposal], trials: &[Trial]) -> Vec<Suggestion> {
    let useful = trials.iter().filter(|trial| trial.is_progress || proposals[trial.proposal].edits.is_empty());
    useful
        .map(|trial| {
            let proposal = &proposals[trial.proposal];
            let other = if trial.has_rival { "it would compile with the same at another place" } else { "another repair would do as well" };
            Suggestion {
                class: proposal.class,
                edits: proposal.edits.clone(),
                compiles: trial.error.is_none() && trial.is_progress,
                why: proposal.doubt.unwrap_or(other),
            }
        })
        .collect()
}
