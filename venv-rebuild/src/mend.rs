//! One environment, from its verdict to what was done, would be done, or was declined.

use anyhow::Context as _;
use contract::action::{Action, Outcome};
use contract::lock::Held;
use contract::record::Status;
use contract::signal;
use contract::venv::{Layout, Level, Probe, Repair};

use crate::backup;
use crate::change::Change;
use crate::ladder::{self, Case};
use crate::means::Means;
use crate::patient::Patient;
use crate::refuse;
use crate::session::{Force, Session, Standing, Told};

/// Changes of one environment in one run: single files first, then trees, then what came to light.
const ROUNDS: usize = 4;

/// Plans or makes what the verdict asks for; the records are to be written behind their cause.
///
/// # Errors
/// A record cannot be rendered or audited. What goes wrong with the environment is a record.
pub(crate) fn attend(session: &Session<'_>, patient: Patient) -> anyhow::Result<Vec<Told>> {
    let subject = patient.matter.subject.clone();
    attended(session, patient).with_context(|| format!("cannot mend {subject}"))
}

fn attended(session: &Session<'_>, mut patient: Patient) -> anyhow::Result<Vec<Told>> {
    if let Some(told) = declined(session, &patient)? {
        return Ok(told);
    }
    match &session.force {
        None => plan(session, patient),
        Some(force) => treat(session, force, &mut patient),
    }
}

/// What is not for us to mend, whatever the rungs; no record at all where nothing is wrong.
fn declined(session: &Session<'_>, patient: &Patient) -> anyhow::Result<Option<Vec<Told>>> {
    let Probe { layout, status, .. } = &patient.probe;
    if let Some(host) = &patient.elsewhere {
        return skipped(session, patient, &format!("it was judged on {host}, and this is another machine"), Standing::Well).map(Some);
    }
    let is_due = match status {
        Status::Degraded | Status::Broken => true,
        Status::Healthy => session.options.full && patient.is_named(),
        Status::Unknown => false,
    };
    let text = match (layout, status) {
        (Layout::Venv, _) if is_due => match refuse::stranger(&patient.root, &patient.probe) {
            Some(refusal) => refusal.text(),
            None => return Ok(None),
        },
        (_, Status::Healthy) if patient.is_named() => {
            return skipped(session, patient, "healthy, nothing to mend; --full builds it anew all the same", Standing::Well).map(Some);
        }
        (_, Status::Healthy) => return Ok(Some(Vec::new())),
        (Layout::Conda, _) => "a conda environment; `conda doctor --fix` mends those".to_owned(),
        (Layout::Windows, _) => "an environment of Windows, which is not mended on this system".to_owned(),
        (Layout::Redirect, _) => "a redirection that leads nowhere; make the environment that it names again, or remove it".to_owned(),
        (Layout::Other, _) => "of a kind that this version does not know".to_owned(),
        (Layout::Venv, _) => format!("nothing is mended on an unknown status: {}", ladder::worst(&patient.probe)),
    };
    let standing = if *status == Status::Unknown { Standing::Well } else { Standing::Ill };
    skipped(session, patient, &text, standing).map(Some)
}

fn skipped(session: &Session<'_>, patient: &Patient, text: &str, standing: Standing) -> anyhow::Result<Vec<Told>> {
    let action = Action { verb: verb(patient, session), outcome: Outcome::Skipped, text: text.to_owned(), ..Action::default() };
    Ok(vec![session.tell(&patient.matter, &action, standing)?])
}

fn verb(patient: &Patient, session: &Session<'_>) -> String {
    let case = Case::of(&patient.probe, session.options.full, session.options.restore);
    case.rungs.last().map_or("mend", |rung| ladder::name(*rung)).to_owned()
}

fn plan(session: &Session<'_>, mut patient: Patient) -> anyhow::Result<Vec<Told>> {
    let mut told = Vec::new();
    for round in 0..ROUNDS {
        let case = Case::of(&patient.probe, session.options.full, session.options.restore);
        if case.rungs.is_empty() {
            if round == 0 {
                told.extend(skipped(session, &patient, &by_hand(&patient.probe), Standing::Ill)?);
            }
            break;
        }
        let action = Means::of(session.options, &patient).planned(&case);
        told.push(session.tell(&patient.matter, &action, Standing::Ill)?);
        if action.outcome != Outcome::Planned || case.rungs.contains(&Repair::Rebuild) {
            break;
        }
        patient.probe.faults.retain(|fault| !case.targets.contains(fault));
    }
    Ok(told)
}

fn by_hand(probe: &Probe) -> String {
    let codes = probe.faults.iter().map(|fault| fault.code.clone()).collect::<Vec<_>>();
    let restorable = probe.faults.iter().any(|fault| fault.repair.is_some());
    let advice = if restorable { "; --restore puts the packaged files back" } else { "" };
    format!("nothing automatic mends {}: {}{advice}", crate::refuse::list(codes.into_iter()), ladder::worst(probe))
}

fn treat(session: &Session<'_>, force: &Force, patient: &mut Patient) -> anyhow::Result<Vec<Told>> {
    let _lock = match force.lock(&patient.root) {
        Ok(lock) => lock,
        Err(e) if e.is::<Held>() => return skipped(session, patient, &format!("{e:#}"), Standing::Busy),
        Err(e) => return Err(e),
    };
    if let Some(told) = judged_now(session, patient)? {
        return Ok(told);
    }
    if backup::is_own(&patient.root) {
        backup::unmark(&patient.root)?;
    }
    let mut told = Vec::new();
    for round in 0..ROUNDS {
        let case = Case::of(&patient.probe, session.options.full && round == 0, session.options.restore);
        if case.rungs.is_empty() {
            if round == 0 {
                told.extend(skipped(session, patient, &by_hand(&patient.probe), Standing::Ill)?);
            }
            break;
        }
        let (said, after) = Change::make(session, force, patient, case)?;
        told.push(said);
        let Some(after) = after.filter(|after| after.status != Status::Healthy && !signal::interrupted()) else { break };
        // What somebody's hand must mend stays; what another rung can mend is another change, with a record of its own.
        patient.probe = after;
    }
    Ok(told)
}

/// A record can be older than a repair that somebody made since, and a damaged package is seldom the only one.
fn judged_now(session: &Session<'_>, patient: &mut Patient) -> anyhow::Result<Option<Vec<Told>>> {
    let case = Case::of(&patient.probe, session.options.full, session.options.restore);
    let deep = case.rungs.contains(&Repair::Packages);
    if case.rungs.is_empty() || patient.fresh && (!deep || patient.probe.level == Level::Deep) {
        return Ok(None);
    }
    let stale = !patient.fresh;
    patient.judge_again(deep).with_context(|| "cannot judge the environment again before changing it".to_owned())?;
    match declined(session, patient)? {
        Some(told) if told.is_empty() && stale => skipped(session, patient, "already healthy", Standing::Well).map(Some),
        declined => Ok(declined),
    }
}
