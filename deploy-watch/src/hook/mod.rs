//! `hook`: git calls nothing after a push (husky, issue 208: "There is no post-push because git doesn't provide one"), so that what it
//! calls before one leaves a waiter behind, which looks whether the push came to pass.
//!
//! The server waits while `pre-push` runs, and the push fails with it: it takes milliseconds and says that all is well, come what may.

mod announced;
mod ledger;
mod proof;
mod pusher;
mod start;
mod wait;

use std::process::{Command, Stdio};

use anyhow::Context as _;
use contract::output::Output;
use contract::run::Exit;
use contract::state;

use crate::arguments::{Hook, PrePush};
use announced::Push;
pub(crate) use proof::{is_noted, noted};

/// Set for pushes whose deployment somebody watches already, and for what a push has started.
pub(crate) const HANDLED: &str = "DEPLOY_WATCH";
/// What git sets for its hooks: they would keep everything that is started from another repository, as a post-push may look at.
const OF_THE_HOOK: [&str; 6] = ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_OBJECT_DIRECTORY", "GIT_COMMON_DIR"];

/// Whether git asks, to whom any status but 0 means that there shall be no push.
pub(crate) fn is_asked() -> bool {
    std::env::args_os().skip(1).take(2).eq(["hook", "pre-push"])
}

pub(crate) fn run(out: &mut Output, hook: &Hook, options: &state::Options) -> anyhow::Result<Exit> {
    // It is git's, and of whoever reads what git says.
    out.leave_stdout();
    match hook {
        Hook::PrePush(asked) => {
            if let Err(e) = announce(asked, options) {
                out.hint(&format!("no deployment will be watched: {e:#}"));
            }
            Ok(Exit::Done)
        }
        Hook::Wait => wait::run(out, options),
    }
}

fn announce(asked: &PrePush, options: &state::Options) -> anyhow::Result<()> {
    if std::env::var_os(HANDLED).is_some_and(|value| value == "1") {
        return Ok(());
    }
    let Some(push) = Push::read(asked)? else { return Ok(()) };
    let mut waiter = Command::new(std::env::current_exe().context("our own executable is gone")?);
    waiter.args(["hook", "wait"]).env(announced::HANDED, push.handed()?);
    for name in OF_THE_HOOK {
        waiter.env_remove(name);
    }
    if let Ok(folder) = options.folder() {
        waiter.env("MENDLINE_STATE_DIR", folder);
    }
    // As long as a descriptor is open, `git push | cat` waits. It takes a session of its own by itself: a group of its own, as std gives
    // one, would forbid that (setsid(2)).
    waiter.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    waiter.spawn().map(drop).context("cannot start the waiter")
}
