//! What GitHub is told of a deployment: a status of its commit throughout, one comment on the commit that was pushed, and one issue for each
//! kind of failure. Whatever GitHub says to that, the deployment goes on being watched.

mod comment;
mod issue;
mod mark;
mod page;
mod text;

use std::cell::{Cell, RefCell};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use contract::action::{Action, Outcome as How};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use self::mark::Phases;
use crate::classify::Cause;
use crate::http::{self, Api, Failure};
use crate::outcome::Outcome;
use crate::repository::Repository;
use crate::trail::Trail;
use crate::voice::Voice;
use crate::watch::Goal;

/// As `gh` reads them.
const TOKENS: [&str; 2] = ["GH_TOKEN", "GITHUB_TOKEN"];
/// "Getting started with the REST API": what every request has to say.
const HEADERS: [(&str, &str); 2] = [("accept", "application/vnd.github+json"), ("x-github-api-version", "2022-11-28")];
/// So the verb of each action begins that tells it something.
pub(crate) const TOLD: &str = "github-";
/// For the last that it is told: at least, when the time for the deployment is over, and at most.
const PATIENCE: Duration = Duration::from_secs(30);
const LONGEST: Duration = Duration::from_mins(3);
/// So often it is asked for something new, where it was busy.
const TRIES: u32 = 4;

/// A repository on GitHub, and the right to write there.
pub(crate) struct GitHub<'t> {
    api: Api<'t>,
    /// `OWNER/NAME`.
    slug: String,
    /// The clone that is watched.
    clone: &'t Repository,
    remote: &'t str,
    /// Whether it is told anything; else it is only said what it would be.
    force: bool,
    /// By this the statuses of commits are told from those of others.
    context: &'t str,
    /// The commit and the phase that its last status was for.
    marked: RefCell<(String, String)>,
    phases: RefCell<Option<Phases>>,
    /// It would not have a status.
    refuses_marks: Cell<bool>,
}

/// How the deployments of one commit went, all attempts together.
pub(crate) struct Story<'s> {
    /// Which watch tells it; one that goes on with a killed one has the same.
    pub(crate) run: &'s str,
    /// The commit that somebody pushed.
    pub(crate) root: &'s str,
    /// The commit whose deployment is told of.
    pub(crate) commit: &'s str,
    pub(crate) branch: Option<&'s str>,
    /// The app, or who tells of it.
    pub(crate) app: &'s str,
    pub(crate) outcome: Outcome,
    pub(crate) text: &'s str,
    pub(crate) attempt: u32,
    pub(crate) cause: Option<&'s Cause>,
    /// The end of it is shown.
    pub(crate) log: Option<&'s Path>,
    /// What was done about it, as the records have it.
    pub(crate) tried: Vec<Action>,
}

impl<'t> GitHub<'t> {
    /// None where nobody wants it told, or where it cannot be, which is said.
    pub(crate) fn find(goal: &Goal<'t>, trail: &'t Trail) -> Option<Self> {
        let (options, remote) = (&goal.watch.follow.github, &*goal.watch.follow.remote);
        if !options.is_told {
            return None;
        }
        let found = http::token(&TOKENS).and_then(|token| {
            let slug = match &options.repository {
                Some(slug) => checked(slug)?,
                None => slug_of(goal.repository, remote, &options.url)?,
            };
            Ok((token, slug))
        });
        let (token, slug) = match found {
            Ok(found) => found,
            Err(e) => {
                trail.say(&format!("GitHub is told nothing: {e:#}"));
                return None;
            }
        };
        let api = Api::new(&options.url, token, trail, goal.deadline()).with(&HEADERS);
        let (force, context) = (goal.watch.follow.heal.force, &*options.context);
        let (marked, phases, refuses_marks) = (RefCell::default(), RefCell::default(), Cell::new(false));
        Some(Self { api, slug, clone: goal.repository, remote, force, context, marked, phases, refuses_marks })
    }

    /// Tells how one of several attempts ended.
    ///
    /// # Errors
    /// Nothing can be written here.
    pub(crate) fn failed(&self, story: &Story<'_>, voice: &mut Voice<'_>) -> anyhow::Result<()> {
        // One try: what follows matters more, and tells of it as well.
        self.api.until(Instant::now());
        self.comment(story, voice)?;
        self.mark_end(story.commit, story.outcome, story.text, voice);
        Ok(())
    }

    /// Tells of a commit whose fix is followed already, since the watch that pushed that may have been killed before it told.
    pub(crate) fn followed(&self, failed: &str, fix: &str, voice: &Voice<'_>) {
        self.api.until(Instant::now());
        self.mark_end(failed, Outcome::Error, &format!("{} is to mend it", &fix[..fix.len().min(7)]), voice);
    }

    /// Tells that nobody knows how it ended.
    pub(crate) fn lost(&self, commit: &str, why: &str, voice: &Voice<'_>) {
        self.api.until(Instant::now() + PATIENCE);
        self.mark_last(commit, "error", why, voice);
    }

    /// Tells how it ended.
    ///
    /// # Errors
    /// Nothing can be written here.
    pub(crate) fn ended(&self, story: &Story<'_>, deadline: Instant, voice: &mut Voice<'_>) -> anyhow::Result<()> {
        // The status first, at which others look.
        let now = Instant::now();
        self.api.until(deadline.clamp(now + PATIENCE, now + LONGEST));
        self.mark_end(story.commit, story.outcome, story.text, voice);
        match story.outcome {
            Outcome::Active => self.close(story, voice)?,
            Outcome::Error | Outcome::RolledBack | Outcome::Timeout => self.report(story, voice)?,
            // Who is replaced is not to blame, and what never began did not fail.
            Outcome::Canceled | Outcome::Superseded | Outcome::Moved | Outcome::NotStarted | Outcome::UnknownPhase => {}
        }
        self.comment(story, voice)
    }

    fn path(&self, below: &str) -> String {
        format!("/repos/{}/{below}", self.slug)
    }

    /// Asks for something new: once, unless it is seen that there is none.
    fn make<T: DeserializeOwned>(&self, below: &str, body: &str, find: impl Fn() -> Result<Option<T>, Failure>) -> Result<T, Failure> {
        for tries in 0..TRIES {
            match self.api.post(&self.path(below), body) {
                // The answer may have been lost, and not the request.
                Err(Failure::Unseen(_)) => thread::sleep(http::pause(tries)),
                made => return made,
            }
            if let Some(found) = find()? {
                return Ok(found);
            }
        }
        Err(Failure::Unseen(format!("it was asked {TRIES} times")))
    }

    /// What is about to be told, or would be.
    fn telling<'s>(&self, verb: &'static str, story: &'s Story<'_>, text: String) -> Telling<'s> {
        let detail = json!({ "repository": self.slug, "commit": story.commit });
        Telling { verb, text, detail, cause: story.cause.map(|cause| &*cause.id) }
    }
}

/// What is told to GitHub, and how that went.
struct Telling<'s> {
    verb: &'static str,
    text: String,
    detail: Value,
    /// The id of the diagnosis.
    cause: Option<&'s str>,
}

impl Telling<'_> {
    /// On the disk before it is done, or instead of it.
    fn begin(&self, force: bool, voice: &mut Voice<'_>) -> anyhow::Result<()> {
        let outcome = if force { How::Started } else { How::Planned };
        voice.action(self.cause, &self.action(outcome, self.text.clone()))
    }

    /// What GitHub refuses is a warning.
    fn end(mut self, told: Result<Told, Failure>, voice: &mut Voice<'_>) -> anyhow::Result<()> {
        let action = match told {
            Ok(Told { text, url, is_new }) => {
                self.detail["url"] = url.into();
                let outcome = if is_new { How::Done } else { How::Skipped };
                Action { changed: is_new, verified: is_new, ..self.action(outcome, text) }
            }
            Err(e) => self.action(How::Failed, format!("GitHub was not told: {e}")),
        };
        voice.action(self.cause, &action)
    }

    fn action(&self, outcome: How, text: String) -> Action {
        Action { verb: self.verb.to_owned(), outcome, text, detail: Some(self.detail.clone()), ..Action::default() }
    }
}

/// What GitHub has now.
struct Told {
    text: String,
    url: String,
    /// It had it before else.
    is_new: bool,
}

/// `OWNER/NAME` of a remote, if it is where the API is of: `https://api.github.com`, or `https://HOST/api/v3`.
fn slug_of(repository: &Repository, remote: &str, api: &str) -> anyhow::Result<String> {
    let host = api.split("://").nth(1).and_then(|rest| rest.split('/').next()).unwrap_or_default();
    let host = host.strip_prefix("api.").unwrap_or(host);
    if let Some(place) = repository.on_forge(remote)?.filter(|place| place.host == host) {
        return checked(&place.slug);
    }
    // Elsewhere than in a workflow these may be left over from another repository ("Variables reference" of GitHub Actions).
    let of_workflow = std::env::var("GITHUB_REPOSITORY").ok().filter(|_| std::env::var("GITHUB_ACTIONS").is_ok_and(|is| is == "true"));
    let slug = of_workflow
        .with_context(|| format!("the remote `{remote}` is not on {host}; --github-repository says which repository is meant"))?;
    checked(&slug)
}

/// It becomes part of a path.
fn checked(slug: &str) -> anyhow::Result<String> {
    let is_name =
        |name: &str| !name.is_empty() && !name.starts_with('.') && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
    let is_slug = slug.split_once('/').is_some_and(|(owner, name)| is_name(owner) && is_name(name));
    anyhow::ensure!(is_slug, "`{}` is not OWNER/NAME of a repository", contract::redact::excerpt(slug));
    Ok(slug.to_owned())
}

/// A body with one member.
fn body_of(text: &str) -> String {
    json!({ "body": text }).to_string()
}
