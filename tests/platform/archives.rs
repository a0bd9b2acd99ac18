//! The archives of logs, which lie with a store that knows nothing of the API's tokens.

use super::api::refusal;
use super::state::{Platform, State};
use crate::double::wire::{Answer, Asked};

pub(super) fn answer(platform: &Platform, asked: &Asked) -> Answer {
    let Some(app) = platform.concerned(asked) else { return refused(404, "NoSuchBucket", "The specified bucket does not exist") };
    let state = app.lock().unwrap();
    if let Some(refusal) = refusal(&state, asked) {
        return refusal;
    }
    if asked.authorization().is_some() {
        return refused(400, "InvalidArgument", "Only one auth mechanism allowed");
    }
    if asked.query("X-Amz-Signature").next().is_none() {
        return refused(403, "AccessDenied", "Access Denied");
    }
    match archive(&state, &asked.segments()) {
        Some(text) => Answer::new(200, "text/plain", text),
        None => refused(404, "NoSuchKey", "The specified key does not exist."),
    }
}

fn archive<'a>(state: &'a State, segments: &[&str]) -> Option<&'a str> {
    let [_, _, id, component, kind, at] = segments else { return None };
    let log = state.find(id)?.logs.iter().find(|log| log.component == *component && log.kind == *kind)?;
    log.archives.get(at.parse::<usize>().ok()?).map(String::as_str)
}

fn refused(status: u16, code: &str, message: &str) -> Answer {
    Answer::new(status, "application/xml", format!("<Error><Code>{code}</Code><Message>{message}</Message></Error>"))
}
