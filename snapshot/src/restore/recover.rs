//! What became of a restore whose run died: the next one takes it back, or tidies up behind it.

use std::path::PathBuf;

use contract::action::{Action, KIND, Outcome};
use contract::audit::Audit;
use contract::output::Output;
use contract::path::Subject;
use contract::record::About;
use contract::state;
use serde_json::Value;

use crate::restore::ground::{Ground, Identity};
use crate::restore::journal::{self, Journal, Stage};
use crate::restore::traits::Power;
use crate::restore::{VERB, back, spared};
use crate::store::Store;

/// What to do where that never comes.
const OR_ELSE: &str = "; if that cannot be mended, `snapshot recover --abandon` gives it up and leaves what is aside where it is";

/// Whether somebody came for this.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// It is the first thing of a run that is about something else.
    Nothing,
    Recover,
    /// To be over with it all the same.
    Abandon,
}

/// Whether a restore was interrupted.
pub(crate) fn is_interrupted(store: &Store) -> anyhow::Result<bool> {
    journal::exist(&store.journal())
}

/// Ends every restore that a crash interrupted: takes it back, or tidies up behind one that was through. Asked to
/// abandon them, one for which neither can be done is over all the same, and everything stays where it is.
///
/// # Errors
/// A journal cannot be read or removed.
pub(crate) fn recover(out: &mut Output, store: &Store, state: &state::Options, asked: Asked) -> anyhow::Result<bool> {
    let abandon = asked == Asked::Abandon;
    let _alone = store.restore_alone()?;
    let mut over = true;
    if abandon {
        for why in journal::remove_unreadable(&store.journal())? {
            out.hint(&format!("given up: {why}"));
        }
    }
    for journal in journal::all(&store.journal())? {
        let ground = Ground::default();
        let ended = end(&journal, &ground, store);
        let (outcome, text) = match (&ended, journal.stage) {
            (Err(e), _) if abandon => {
                journal.end(&store.journal())?;
                (Outcome::Cancelled, given_up(&journal, e))
            }
            (Ok(kept), Stage::Committed) => {
                (Outcome::Done, format!("a run died at the end of this restore; it is complete{}", spared::words(kept)))
            }
            (Err(e), Stage::Committed) => {
                let text =
                    format!("the restore of {} is complete, and what it replaced cannot be removed yet: {e:#}{OR_ELSE}", journal.snapshot);
                // Whoever came for something else is not held up by it.
                match asked {
                    Asked::Nothing => out.hint(&text),
                    _ => out.error("restore.untidy", About::default(), None, &text)?,
                }
                continue;
            }
            (Ok(kept), _) => (
                Outcome::Undone,
                format!("a run died in the middle of this restore; everything is as it was before{}", spared::words(kept)),
            ),
            (Err(e), _) => {
                (Outcome::Failed, format!("a run died in the middle of this restore, and it cannot be taken back yet: {e:#}{OR_ELSE}"))
            }
        };
        over &= ended.is_ok() || abandon;
        let subject = Subject::from(journal.snapshot.as_str());
        let undo = journal.safety.as_deref().map(Subject::from);
        let action = Action {
            verb: VERB.to_owned(),
            outcome,
            changed: outcome == Outcome::Done,
            verified: ended.is_ok(),
            text,
            undo,
            detail: ended.ok().and_then(|kept| spared::kept(&kept)).map(|kept| Value::Object([kept].into_iter().collect())),
            ..Action::default()
        };
        let rendered = out.render(KIND, About { subject: Some(&subject), ..About::default() }, &action)?;
        Audit::open(&state.open()?)?.append(&rendered.line)?;
        out.write(&rendered)?;
    }
    Ok(over)
}

fn end(journal: &Journal, ground: &Ground, store: &Store) -> anyhow::Result<Vec<PathBuf>> {
    let home = Identity::of(&store.journal())?;
    anyhow::ensure!(
        journal.home.is_none_or(|there| there.is_same(home)),
        "this store is a copy, or was brought back, of the one that the restore was made from"
    );
    let spared = match journal.stage {
        Stage::Committed => back::tidy(journal, ground)?,
        Stage::Staging | Stage::Committing => back::undo(journal, ground, Power::ours(false))?,
    };
    journal.end(&store.journal()).map(|()| spared)
}

/// What is said of a restore that nobody ends any more.
fn given_up(journal: &Journal, why: &anyhow::Error) -> String {
    let safety = journal.safety.as_ref().map(|id| format!(", and in the snapshot {id}")).unwrap_or_default();
    let names = journal.aside(0);
    let names = names.to_string_lossy();
    let names = names.trim_end_matches('0');
    format!("given up: what could be put back is back, and what else was there before is in files called {names}N{safety}; {why:#}")
}
