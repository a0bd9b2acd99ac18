//! Which deployment is that of a commit, and what has become of it. `phase` decides: the counts of steps do not come true, since some steps
//! never run.

use super::api::{Deployment, Step};
use crate::outcome::{Ended, Outcome, State};

/// Causes of deployments that are none of a commit's, whatever commit they bring.
const NOT_OF_A_PUSH: [&str; 5] = ["AUTO_ROLLBACK", "MANUAL_ROLLBACK", "MAINTENANCE", "UPDATE_DATABASE_TRUSTED_SOURCES", "AUTOSCALED"];

/// What a list of deployments says of one commit.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Sight {
    /// No deployment of it is there; the commit of the newest push that has one.
    Absent(Option<String>),
    Running(State),
    /// It failed where the platform goes back by itself, which shows a little later.
    Failing(Ended),
    Ended(Ended),
}

/// The deployment of a commit. `list` is newest first, as the API gives it.
pub(super) fn of<'l>(list: &'l [Deployment], commit: &str) -> Option<(usize, &'l Deployment)> {
    list.iter().enumerate().find(|(_, deployment)| is_of_a_push(deployment) && is_of(deployment, commit))
}

/// How often a commit was deployed.
pub(super) fn tries(list: &[Deployment], commit: &str) -> u32 {
    let count = list.iter().filter(|deployment| is_of_a_push(deployment) && is_of(deployment, commit)).count();
    u32::try_from(count).unwrap_or(u32::MAX)
}

pub(super) fn judge(list: &[Deployment], commit: &str) -> Sight {
    let Some((at, ours)) = of(list, commit) else {
        return Sight::Absent(list.iter().filter(|one| is_of_a_push(one)).find_map(commit_of));
    };
    let ended = |outcome, text: String| Ended { deployment: Some(ours.id.clone()), ..Ended::new(outcome, text) };
    // One behind a newer push that is over may be of that one.
    let mut until_next = list[..at].iter().rev().take_while(|one| !(is_of_a_push(one) && is_over(&one.phase)));
    let rollback = until_next.find(|one| one.cause_details.r#type == "AUTO_ROLLBACK");
    match (ours.phase.as_str(), rollback.map(|one| one.phase.as_str())) {
        ("ERROR" | "SUPERSEDED", Some("ACTIVE")) => {
            Sight::Ended(ended(Outcome::RolledBack, format!("{}; the platform went back to the last good one", why(ours))))
        }
        ("ERROR", Some("ERROR" | "CANCELED")) => Sight::Ended(ended(Outcome::Error, format!("{}; going back failed as well", why(ours)))),
        ("ERROR" | "SUPERSEDED", Some(phase)) if !is_over(phase) => {
            Sight::Running(State { phase: "ROLLING_BACK".to_owned(), deployment: Some(ours.id.clone()), text: why(ours) })
        }
        ("ACTIVE", _) => Sight::Ended(ended(Outcome::Active, "it is live".to_owned())),
        ("ERROR", None) if ours.failed_in("deploy") => Sight::Failing(ended(Outcome::Error, why(ours))),
        ("ERROR", _) => Sight::Ended(ended(Outcome::Error, why(ours))),
        ("CANCELED", _) => Sight::Ended(ended(Outcome::Canceled, replaced(&list[..at], "it was called off"))),
        ("SUPERSEDED", _) => Sight::Ended(ended(Outcome::Superseded, replaced(&list[..at], &served(ours)))),
        (phase, _) => Sight::Running(State { phase: phase.to_owned(), deployment: Some(ours.id.clone()), text: doing(ours) }),
    }
}

/// Whether a phase is one that the API documents.
pub(super) fn is_known(phase: &str) -> bool {
    ["PENDING_BUILD", "BUILDING", "PENDING_DEPLOY", "DEPLOYING", "ROLLING_BACK"].contains(&phase) || is_over(phase)
}

pub(super) fn is_over(phase: &str) -> bool {
    ["ACTIVE", "ERROR", "CANCELED", "SUPERSEDED"].contains(&phase)
}

fn is_of_a_push(deployment: &Deployment) -> bool {
    !NOT_OF_A_PUSH.contains(&deployment.cause_details.r#type.as_str())
}

/// Several repositories can make one app, so any component may have it. Where the components do not say, the cause does.
fn is_of(deployment: &Deployment, commit: &str) -> bool {
    let is_same = |hash: &str| hash.eq_ignore_ascii_case(commit);
    let mut hashes =
        deployment.components().map(|component| component.source_commit_hash.as_str()).filter(|hash| !hash.is_empty()).peekable();
    let pushed = deployment.cause_details.git_push.as_ref().map(|push| push.commit_sha.as_str()).filter(|hash| !hash.is_empty());
    if hashes.peek().is_some() || pushed.is_some() {
        return hashes.chain(pushed).any(is_same);
    }
    named(&deployment.cause).is_some_and(|short| commit.starts_with(&short))
}

/// The commit in `commit 9a4df0b pushed to github/OWNER/NAME`.
fn named(cause: &str) -> Option<String> {
    let word = cause.strip_prefix("commit ")?.split_whitespace().next()?.to_ascii_lowercase();
    (word.len() >= 7 && word.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some(word)
}

pub(super) fn commit_of(deployment: &Deployment) -> Option<String> {
    let pushed = deployment.cause_details.git_push.as_ref().map(|push| push.commit_sha.clone());
    let mut hashes = deployment.components().map(|component| component.source_commit_hash.clone());
    hashes.find(|hash| !hash.is_empty()).or(pushed).or_else(|| named(&deployment.cause))
}

fn why(deployment: &Deployment) -> String {
    let steps: Vec<String> = deployment.failed_steps().into_iter().map(reason).collect();
    if steps.is_empty() { "the deployment failed".to_owned() } else { steps.join("; ") }
}

/// `web: BuildJobExitNonZero: Your build job failed …`.
pub(super) fn reason(step: &Step) -> String {
    let place = step.component_name.as_deref().unwrap_or(&step.name);
    match &step.reason {
        Some(reason) if reason.message.is_empty() => format!("{place}: {}", reason.code),
        Some(reason) => format!("{place}: {}: {}", reason.code, reason.message),
        None => format!("{place} failed"),
    }
}

/// The step that runs, from the outermost to the innermost.
fn doing(deployment: &Deployment) -> String {
    let (mut names, mut steps) = (Vec::new(), &deployment.progress.steps);
    while let Some(step) = steps.iter().find(|step| step.status == "RUNNING") {
        names.push(step.component_name.as_deref().unwrap_or(&step.name));
        steps = &step.steps;
    }
    names.join(" > ")
}

fn served(deployment: &Deployment) -> String {
    let is_done = |step: &Step| step.status == "SUCCESS";
    let is_whole = !deployment.progress.steps.is_empty() && deployment.progress.steps.iter().all(is_done);
    if is_whole { "it was live".to_owned() } else { "it never was live".to_owned() }
}

fn replaced(newer: &[Deployment], text: &str) -> String {
    match newer.iter().rev().find(|one| is_of_a_push(one)).and_then(commit_of) {
        Some(commit) => format!("{text}, and {} took its place", &commit[..commit.len().min(7)]),
        None => text.to_owned(),
    }
}
