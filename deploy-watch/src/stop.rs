//! `stop`: ends the watch of a commit, and nobody else.

use std::thread;
use std::time::{Duration, Instant};

use contract::action::{Action, KIND, Outcome};
use contract::output::Output;
use contract::path::Subject;
use contract::process::Identity;
use contract::record::About;
use contract::run::Exit;
use serde::Deserialize;

use crate::arguments::Which;
use crate::outcome::WATCH;
use crate::status::{last, names};
use crate::trail::Names;

const GRACE: Duration = Duration::from_secs(1);
const TICK: Duration = Duration::from_millis(10);

#[derive(Deserialize)]
struct Watched {
    watcher: Option<Identity>,
}

pub(crate) fn run(out: &mut Output, which: &Which) -> anyhow::Result<Exit> {
    let (start, names) = (Instant::now(), names(&which.commit)?);
    let subject = Subject::from(&names.pid);
    let mut tell = |outcome, text: String| {
        let is_done = outcome == Outcome::Done;
        let took_ms = u64::try_from(start.elapsed().as_millis()).ok();
        let action = Action { verb: "stop".to_owned(), outcome, changed: is_done, verified: is_done, text, took_ms, ..Action::default() };
        out.emit(KIND, About { subject: Some(&subject), ..About::default() }, &action).map(drop)
    };
    if !names.is_watched()? {
        tell(Outcome::Skipped, "no watch of it goes on".to_owned())?;
        return Ok(Exit::Done);
    }
    let begun = last(&names.records, &[WATCH])?.map(|(record, _)| record.read::<Watched>()).transpose()?;
    // The number in the file alone may be somebody else's by now.
    let Some(watcher) = begun.and_then(|begun| begun.watcher).filter(Identity::is_alive) else {
        tell(Outcome::Failed, "a watch goes on, and which process it is is not known; end it where it was started".to_owned())?;
        return Ok(Exit::Bad);
    };
    if watcher.end() && is_over(&names)? {
        tell(Outcome::Done, format!("process {} is over", watcher.pid()))?;
        return Ok(Exit::Done);
    }
    tell(Outcome::Failed, format!("process {} goes on", watcher.pid()))?;
    Ok(Exit::Bad)
}

/// The last of its threads closes the file, a moment after the process is over.
fn is_over(names: &Names) -> anyhow::Result<bool> {
    let deadline = Instant::now() + GRACE;
    while names.is_watched()? && Instant::now() < deadline {
        thread::sleep(TICK);
    }
    Ok(!names.is_watched()?)
}
