//! Which deployment is meant, and what has become of it.

use serde_json::json;

use super::api::Deployment;
use super::which::{Sight, judge};
use crate::outcome::{Outcome, State};

const OURS: &str = "9a4df0b8e161e323bc3cdf1dc71878080fe144fa";
const OTHER: &str = "1111111111111111111111111111111111111111";

fn deployment(id: &str, phase: &str, commit: &str, kind: &str) -> serde_json::Value {
    json!({ "id": id, "phase": phase, "cause_details": { "type": kind }, "services": [{ "name": "web", "source_commit_hash": commit }] })
}

/// Newest first.
fn seen(list: &[serde_json::Value]) -> Sight {
    let list: Vec<Deployment> = list.iter().map(|one| serde_json::from_value(one.clone()).unwrap()).collect();
    judge(&list, OURS)
}

fn outcome(list: &[serde_json::Value]) -> Outcome {
    match seen(list) {
        Sight::Ended(ended) | Sight::Failing(ended) => ended.outcome,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_newest_is_not_taken_for_ours() {
    assert_eq!(seen(&[deployment("a", "ACTIVE", OTHER, "DEPLOY_ON_PUSH")]), Sight::Absent(Some(OTHER.to_owned())));
    assert_eq!(seen(&[]), Sight::Absent(None));
    let list = [deployment("b", "BUILDING", OTHER, "DEPLOY_ON_PUSH"), deployment("a", "ACTIVE", OURS, "DEPLOY_ON_PUSH")];
    assert_eq!(outcome(&list), Outcome::Active);
}

#[test]
fn a_rollback_to_the_commit_is_no_deployment_of_it() {
    let list = [deployment("c", "ACTIVE", OURS, "AUTO_ROLLBACK"), deployment("b", "ERROR", OTHER, "DEPLOY_ON_PUSH")];
    assert_eq!(seen(&list), Sight::Absent(Some(OTHER.to_owned())));
}

#[test]
fn a_failure_that_the_platform_took_back_is_no_success() {
    let failed = deployment("b", "ERROR", OURS, "DEPLOY_ON_PUSH");
    assert_eq!(outcome(&[deployment("c", "ACTIVE", OTHER, "AUTO_ROLLBACK"), failed.clone()]), Outcome::RolledBack);
    assert!(matches!(seen(&[deployment("c", "DEPLOYING", OTHER, "AUTO_ROLLBACK"), failed.clone()]), Sight::Running(_)));
    assert_eq!(outcome(&[deployment("c", "ERROR", OTHER, "AUTO_ROLLBACK"), failed]), Outcome::Error);
    let newer = [deployment("d", "ACTIVE", OURS, "AUTO_ROLLBACK"), deployment("c", "ERROR", OTHER, "DEPLOY_ON_PUSH")];
    assert_eq!(outcome(&[&newer[..], &[deployment("b", "ERROR", OURS, "DEPLOY_ON_PUSH")]].concat()), Outcome::Error);
    // It was live for a moment.
    let gone = deployment("b", "SUPERSEDED", OURS, "DEPLOY_ON_PUSH");
    assert_eq!(outcome(&[deployment("c", "ACTIVE", OTHER, "AUTO_ROLLBACK"), gone]), Outcome::RolledBack);
}

#[test]
fn who_was_replaced_is_not_to_blame() {
    let newer = deployment("c", "BUILDING", OTHER, "DEPLOY_ON_PUSH");
    assert_eq!(outcome(&[newer.clone(), deployment("b", "CANCELED", OURS, "DEPLOY_ON_PUSH")]), Outcome::Canceled);
    assert_eq!(outcome(&[newer, deployment("b", "SUPERSEDED", OURS, "DEPLOY_ON_PUSH")]), Outcome::Superseded);
}

#[test]
fn where_no_component_tells_the_cause_does() {
    let by = |cause: &str| seen(&[json!({ "id": "a", "phase": "BUILDING", "cause": cause })]);
    assert!(matches!(by("commit 9a4df0b pushed to github/o/r"), Sight::Running(_)));
    assert!(matches!(by("commit 9a4df0c pushed to github/o/r"), Sight::Absent(_)));
    assert!(matches!(by("manual"), Sight::Absent(None)));
    assert!(matches!(
        seen(&[json!({ "id": "a", "phase": "BUILDING", "cause_details": { "git_push": { "commit_sha": OURS } } })]),
        Sight::Running(_)
    ));
}

#[test]
fn the_step_that_runs_and_the_reason_of_the_one_that_failed_are_told() {
    let mut running = deployment("a", "BUILDING", OURS, "DEPLOY_ON_PUSH");
    running["progress"] = json!({ "success_steps": 1, "total_steps": 1, "steps": [
        { "name": "build", "status": "RUNNING", "steps": [{ "name": "components", "status": "RUNNING", "steps": [
            { "name": "web", "component_name": "web", "status": "RUNNING" }] }] }] });
    let text = "build > components > web".to_owned();
    assert_eq!(seen(&[running]), Sight::Running(State { phase: "BUILDING".to_owned(), deployment: Some("a".to_owned()), text }));

    let mut failed = deployment("a", "ERROR", OURS, "DEPLOY_ON_PUSH");
    failed["progress"] = json!({ "steps": [{ "name": "build", "status": "ERROR", "steps": [
        { "name": "web", "component_name": "web", "status": "ERROR", "reason": { "code": "BuildJobExitNonZero", "message": "it failed" } },
        { "name": "old", "status": "SUCCESS", "reason": { "code": "PreBuiltImage" } }] }] });
    let Sight::Ended(ended) = seen(&[failed]) else { panic!("it is over") };
    assert_eq!((ended.outcome, ended.text.as_str()), (Outcome::Error, "web: BuildJobExitNonZero: it failed"));
}
