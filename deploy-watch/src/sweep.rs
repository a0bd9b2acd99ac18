//! `sweep`: the net under all hooks, for cron. Pushes of other machines and of other programs than git call none.

use anyhow::Context as _;
use contract::output::Output;
use contract::path::shown;
use contract::run::Exit;
use contract::state;

use crate::arguments::{Sweep, Watch};
use crate::repository::Repository;
use crate::status::names_of;
use crate::watch;

pub(crate) fn run(out: &mut Output, sweep: Sweep, options: &state::Options) -> anyhow::Result<Exit> {
    let repository = Repository::here()?;
    let branch = sweep.follow.branch.clone().map_or_else(|| repository.branch(), |branch| Ok(Some(branch)))?;
    let branch = branch.context("HEAD is no branch, so that --branch must say which one is deployed")?;
    let remote = &sweep.follow.remote;
    let head = repository
        .remote_ref(remote, &format!("refs/heads/{branch}"))?
        .with_context(|| format!("the remote `{remote}` has no branch {branch}"))?;
    // By its branch, since not every server gives out what is asked for by its hash.
    if repository.commit(&head).is_err() {
        repository.run(&["fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--", remote, &format!("refs/heads/{branch}")])?;
    }
    let names = names_of(&repository, &head)?;
    if names.is_watched()? {
        out.hint(&format!("{head} is being watched"));
        return Ok(Exit::Done);
    }
    if names.is_judged()? {
        out.hint(&format!("{head} was judged already: {}", shown(&names.result)));
        return Ok(Exit::Done);
    }
    // What a watch of it had begun that was killed is not begun again.
    let resume = names.records.exists();
    watch::run(out, &Watch { commit: head, resume, follow: sweep.follow, teller: sweep.teller }, options)
}
