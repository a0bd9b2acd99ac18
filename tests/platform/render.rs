//! Apps and deployments as DigitalOcean words them.

use serde_json::{Map, Value, json};

use super::deployment::{Deployment, Failure};
use super::state::{State, now};

pub(super) fn app(state: &State) -> Value {
    let among = |phases: &[&str]| state.deployments.iter().rfind(|known| phases.contains(&known.phase()));
    let shown = [
        ("active_deployment", state.active()),
        ("pending_deployment", among(&["PENDING_BUILD"])),
        ("in_progress_deployment", among(&["BUILDING", "PENDING_DEPLOY", "DEPLOYING"])),
        ("pinned_deployment", state.pinned.as_deref().and_then(|id| state.find(id))),
    ];
    let mut app = json!({
        "id": state.id, "spec": spec(state), "live_url": format!("https://{}.ondigitalocean.app", name(state)), "tier_slug": "basic",
        "created_at": "2020-11-19T20:27:18Z", "updated_at": now(),
    });
    for (key, known) in shown {
        if let Some(known) = known {
            app[key] = deployment(state, known);
        }
    }
    app
}

fn name(state: &State) -> String {
    format!("shop-{}", &state.id[..8])
}

fn spec(state: &State) -> Value {
    let source = json!({ "repo": state.repo, "branch": state.branch, "deploy_on_push": state.deploy_on_push });
    let mut spec = grouped(state, |name| json!({ "name": name, "github": source }));
    spec.insert("name".to_owned(), name(state).into());
    spec.into()
}

/// The components by their kinds.
fn grouped(state: &State, component: impl Fn(&str) -> Value) -> Map<String, Value> {
    let mut kinds: Map<String, Value> = Map::new();
    for (kind, name) in &state.components {
        let group = kinds.entry(*kind).or_insert_with(|| json!([]));
        group.as_array_mut().expect("a group is a list").push(component(name));
    }
    kinds
}

pub(super) fn deployment(state: &State, known: &Deployment) -> Value {
    let mut told = grouped(state, |name| json!({ "name": name, "source_commit_hash": known.commit }));
    let rest = json!({
        "id": known.id, "phase": state.phase(known), "cause": cause(state, known), "cause_details": details(state, known),
        "created_at": known.created_at, "updated_at": now(), "phase_last_updated_at": now(), "spec": spec(state),
        "progress": progress(state, known), "tier_slug": "basic",
    });
    told.extend(rest.as_object().cloned().into_iter().flatten());
    told.extend(known.previous.as_ref().map(|id| ("previous_deployment_id".to_owned(), json!(id))));
    told.into()
}

fn cause(state: &State, known: &Deployment) -> String {
    match known.cause.as_str() {
        "DEPLOY_ON_PUSH" => format!("commit {} pushed to github/{}", known.commit.get(..7).unwrap_or_default(), state.repo),
        "MANUAL" => "manual".to_owned(),
        other => other.to_lowercase().replace('_', " "),
    }
}

/// What godo knows and the description does not.
fn details(state: &State, known: &Deployment) -> Value {
    let mut details = json!({ "type": known.cause });
    if known.cause == "DEPLOY_ON_PUSH" {
        let github = json!({ "repo": state.repo, "branch": state.branch, "deploy_on_push": true });
        details["git_push"] = json!({ "github": github, "commit_sha": known.commit });
    }
    details
}

fn progress(state: &State, known: &Deployment) -> Value {
    let each = |at: fn(&Deployment, &str) -> Value| state.components.iter().map(|(_, name)| at(known, name)).collect::<Vec<_>>();
    let build = parent("build", &[leaf(known, 1, "initialize", ""), parent("components", &each(built))]);
    let last = leaf(known, 3, "finalize", "");
    let deploy = parent("deploy", &[leaf(known, 3, "initialize", ""), parent("components", &each(deployed)), last]);
    let mut leaves = Vec::new();
    let steps = json!([build, deploy]);
    collect(&steps, &mut leaves);
    let count = |status: &str| leaves.iter().filter(|leaf| leaf["status"] == status).count();
    json!({
        "pending_steps": count("PENDING"), "running_steps": count("RUNNING"), "success_steps": count("SUCCESS"), "error_steps": count("ERROR"),
        "total_steps": leaves.len(), "steps": steps, "summary_steps": leaves,
    })
}

fn collect(steps: &Value, leaves: &mut Vec<Value>) {
    for step in steps.as_array().into_iter().flatten() {
        if step["steps"].is_array() {
            collect(&step["steps"], leaves);
        } else {
            leaves.push(step.clone());
        }
    }
}

fn built(known: &Deployment, component: &str) -> Value {
    let mut step = leaf(known, 1, component, component);
    step["message_base"] = "Building service".into();
    if step["status"] == "SUCCESS" && known.reused.iter().any(|name| name == component) {
        step["reason"] = json!({ "code": "PreviousBuildReused", "message": "The previous build was reused." });
    }
    step
}

fn deployed(known: &Deployment, component: &str) -> Value {
    let mut step = parent(component, &[leaf(known, 3, "deploy", component), leaf(known, 3, "wait", component)]);
    step["component_name"] = component.into();
    step
}

fn parent(name: &str, steps: &[Value]) -> Value {
    let all = |status: &str| steps.iter().all(|step| step["status"] == status);
    let status = match () {
        () if steps.iter().any(|step| step["status"] == "ERROR") => "ERROR",
        () if all("SUCCESS") => "SUCCESS",
        () if all("PENDING") => "PENDING",
        () => "RUNNING",
    };
    json!({ "name": name, "status": status, "steps": steps })
}

/// `stage` is 1 for what is built and 3 for what is deployed, as [`reached`] counts.
fn leaf(known: &Deployment, stage: u8, name: &str, component: &str) -> Value {
    let failure = known.failure.as_ref().filter(|failure| known.phase() == "ERROR" && fails(failure, stage, name, component));
    let status = match reached(known) {
        _ if failure.is_some() => "ERROR",
        _ if stage == 3 && known.idle.iter().any(|name| name == component) => "PENDING",
        reached if reached > stage => "SUCCESS",
        reached if reached < stage => "PENDING",
        _ if !known.is_over() => "RUNNING",
        _ if matches!(name, "initialize" | "deploy") => "SUCCESS",
        _ => "PENDING",
    };
    let mut step = json!({ "name": name, "status": status });
    if !component.is_empty() {
        step["component_name"] = component.into();
    }
    if let Some(Failure { code, message, .. }) = failure {
        step["reason"] = json!({ "code": code, "message": message });
    }
    step
}

/// It is while waiting for a component that its deployment is seen to fail.
fn fails(failure: &Failure, stage: u8, name: &str, component: &str) -> bool {
    let step = if stage == 1 { component } else { "wait" };
    failure.component == component && self::stage(failure) == stage && name == step
}

/// How far a deployment came, whatever became of it then.
pub(super) fn reached(known: &Deployment) -> u8 {
    let rank = |phase: &String| match phase.as_str() {
        "BUILDING" => 1,
        "PENDING_DEPLOY" => 2,
        "DEPLOYING" => 3,
        "ACTIVE" => 4,
        _ => 0,
    };
    let failed = known.failure.as_ref().filter(|_| known.phase() == "ERROR").map(stage);
    known.passed().iter().map(rank).chain(failed).max().unwrap_or(0)
}

fn stage(failure: &Failure) -> u8 {
    if failure.stage == "build" { 1 } else { 3 }
}
