//! Where logs are to be had.

use serde_json::json;

use super::api::{error, missing, ok};
use super::deployment::{Deployment, Log};
use super::render::reached;
use super::server;
use super::state::{State, random};
use crate::double::wire::{Answer, Asked};

/// The logs of what is served, which are those of another deployment than the one that failed.
pub(super) fn of_the_active(state: &State, asked: &Asked) -> Answer {
    match state.active() {
        Some(known) => of(state, asked, &known.id, None),
        None => error(400, "the app has no active deployment"),
    }
}

pub(super) fn of(state: &State, asked: &Asked, id: &str, component: Option<&str>) -> Answer {
    let Some(known) = state.find(id) else { return missing() };
    if component.is_some_and(|name| state.components.iter().all(|(_, known)| known != name)) {
        return missing();
    }
    let kind = asked.query("type").next().unwrap_or_default();
    if let Some(why) = unavailable(known, kind) {
        return error(400, &why);
    }
    let wanted = known.logs.iter().filter(|log| log.kind == kind && component.is_none_or(|name| name == log.component));
    let live = format!("wss://proxy-apps.ondigitalocean.app/?token={}", random());
    ok(&json!({ "live_url": live, "historic_urls": wanted.flat_map(|log| addresses(state, known, log)).collect::<Vec<_>>() }))
}

/// Of a failed deployment nothing runs any more, and what it said while it ran is lost.
fn unavailable(known: &Deployment, kind: &str) -> Option<String> {
    match kind {
        "RUN" | "RUN_RESTARTED" if known.phase() == "ERROR" => {
            Some(format!("cannot get running logs from deployment {} in phase final_cleanup", known.id))
        }
        "BUILD" if reached(known) < 1 => Some("the deployment was not built yet".to_owned()),
        "DEPLOY" | "RUN" | "RUN_RESTARTED" if reached(known) < 3 => Some("the deployment was not deployed yet".to_owned()),
        _ => None,
    }
}

/// What is in the query of such an address lets anybody in who has it.
fn addresses(state: &State, known: &Deployment, log: &Log) -> Vec<String> {
    let folder = format!("http://{}/archives/{}/{}/{}/{}", server::server().back, state.id, known.id, log.component, log.kind);
    (0..log.archives.len()).map(|at| format!("{folder}/{at}?X-Amz-Expires=900&X-Amz-Signature={}", random())).collect()
}
