//! The whole picture, in the order in which a person asks: what is there, why, what was done, what to do, what went wrong.

use std::borrow::Cow;

use crate::document::{Block, Column, Row, Table, Tone};
use crate::seen::{Diagnosis, Seen};
use crate::{actions, environments, next, registries, snapshots, troubles};

pub(crate) fn of(seen: &Seen, all: bool) -> Vec<Block<'_>> {
    let mut blocks = environments::draw(seen, all);
    blocks.extend(seen.deployments.draw());
    blocks.extend(diagnoses(seen));
    blocks.extend(registries::draw(seen));
    blocks.extend(snapshots::draw(seen, all));
    blocks.extend(actions::draw(seen));
    blocks.extend(snapshots::draw_room(seen));
    blocks.extend(troubles::others(seen));
    // `snapshot` itself says what is not there, on stderr.
    if blocks.is_empty() && seen.is_whole() && !seen.is_only_of(snapshots::TOOL) {
        blocks.push(Block::Line(Tone::Plain, "There is nothing to report.".to_owned()));
    }
    blocks.extend(next::draw(seen));
    blocks.extend(snapshots::draw_roll_backs(seen));
    blocks.extend(troubles::draw(seen));
    blocks
}

/// But, beside what was done about them, for those that say of one environment or registry what its own row says.
fn diagnoses(seen: &Seen) -> Vec<Block<'_>> {
    let is_drawn = |one: &&Diagnosis| {
        !seen.actions.is_empty() && one.data.explains.len() == 1 && one.place.as_ref().is_some_and(|place| seen.has_a_row(place))
    };
    let all: Vec<&Diagnosis> = seen.diagnoses.iter().filter(|one| !is_drawn(one)).collect();
    if all.is_empty() {
        return Vec::new();
    }
    let several_hosts = seen.several_hosts();
    let table = Table {
        columns: &[Column::Mark("severity"), Column::Word("cause"), Column::Path("subject")],
        below: Some("why, and what helps"),
        rows: all.len(),
        row: Box::new(move |i| diagnosis(all[i], several_hosts)),
    };
    vec![Block::Heading("Diagnoses".to_owned()), Block::Table(table)]
}

fn diagnosis(one: &Diagnosis, several_hosts: bool) -> Row<'_> {
    let (tone, mark) = environments::status(one.data.severity);
    let subject = actions::subject(one.place.as_ref(), several_hosts);
    let said = one.data.evidence.iter().filter_map(|seen| Some(Cow::Owned(format!("line {} of the log: {}", seen.line?, seen.excerpt))));
    let frames = one.data.evidence.iter().flat_map(|seen| &seen.frames);
    let said = said.chain(frames.map(|frame| Cow::Owned(format!("in {}, line {}", frame.file, frame.line))));
    let below = std::iter::once(&one.data.text).map(|text| Cow::Borrowed(text.as_str())).chain(said);
    let below = below.chain(one.data.manual.iter().map(|text| Cow::Borrowed(text.as_str())));
    Row {
        tone,
        cells: vec![Cow::Borrowed(mark), Cow::Borrowed(&*one.data.code), Cow::Owned(subject)],
        below: below.collect(),
        command: None,
    }
}
