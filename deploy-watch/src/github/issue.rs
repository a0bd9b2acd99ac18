//! One issue for each kind of failure: opened by the first, commented on by the next, closed when a later commit is live.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{GitHub, Story, Told, body_of, text};
use crate::http::{Failure, Method};
use crate::voice::Voice;

const ISSUE: &str = "github-issue";
const CLOSE: &str = "github-close";
const OPEN: &str = "issues?state=open";
/// The first finds it again; the second is the one that the old system had.
const LABELS: [&str; 2] = ["deploy-watch", "auto-heal"];

#[derive(Deserialize)]
struct Issue {
    number: u64,
    html_url: String,
    /// None of an issue that has no text.
    body: Option<String>,
    /// A pull request is an issue, too.
    pull_request: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
struct Comment {
    html_url: String,
    #[serde(default)]
    body: String,
}

impl Issue {
    /// Only what we wrote begins so: what others quote, a log for one, stands further below.
    fn begins(&self, marker: &str) -> bool {
        self.pull_request.is_none() && self.body.as_deref().is_some_and(|body| body.starts_with(marker))
    }
}

impl GitHub<'_> {
    /// Opens an issue, or adds to the one that is open.
    pub(super) fn report(&self, story: &Story<'_>, voice: &mut Voice<'_>) -> anyhow::Result<()> {
        let what = format!("open an issue in {}, or comment on the one that is open for the same failure", self.slug);
        let telling = self.telling(ISSUE, story, what);
        telling.begin(self.force, voice)?;
        if self.force { telling.end(self.open_or_add(story), voice) } else { Ok(()) }
    }

    fn open_or_add(&self, story: &Story<'_>) -> Result<Told, Failure> {
        let marker = text::issue_marker(&text::fingerprint(story));
        // Another branch, or another app, may fail in the same way, and goes on doing so when this one is mended.
        let is_meant = |issue: &Issue| issue.begins(&marker) && issue.body.as_deref().and_then(text::of).is_some_and(|of| of.is_of(story));
        if let Some(issue) = self.open_issue(is_meant)? {
            let told = self.add(&issue, story.run, &text::repeat(story))?;
            self.renew(&issue, story)?;
            return Ok(told);
        }
        let body = json!({ "title": text::title(story), "body": text::issue(story), "labels": LABELS });
        let issue = self.make("issues", &body.to_string(), || self.open_issue(is_meant))?;
        // Another watch may have found none at the same moment.
        let first = self.open_issues(is_meant).unwrap_or_default().into_iter().min_by_key(|issue| issue.number);
        match first.filter(|first| first.number < issue.number) {
            Some(first) => self.give_way(&issue, &first, story),
            None => Ok(Told { text: format!("opened {}#{}", self.slug, issue.number), url: issue.html_url, is_new: true }),
        }
    }

    /// Of two issues for the same, the one that was there first stays.
    fn give_way(&self, ours: &Issue, first: &Issue, story: &Story<'_>) -> Result<Told, Failure> {
        let told = self.add(first, story.run, &text::repeat(story))?;
        let body = format!("The same as #{}, which was opened at the same moment.", first.number);
        self.change(ours, &json!({ "state": "closed", "state_reason": "not_planned", "body": body }))?;
        Ok(told)
    }

    fn change(&self, issue: &Issue, to: &Value) -> Result<(), Failure> {
        self.api.insist(Method::Patch, &self.path(&format!("issues/{}", issue.number)), &to.to_string())
    }

    /// The list is up to date, which the search of GitHub is not. Whoever may not push has no say in labels.
    fn open_issue(&self, is_meant: impl Fn(&Issue) -> bool + Copy) -> Result<Option<Issue>, Failure> {
        match self.search(&labelled(), is_meant)? {
            None => self.search(OPEN, is_meant),
            found => Ok(found),
        }
    }

    fn open_issues(&self, is_meant: impl Fn(&Issue) -> bool + Copy) -> Result<Vec<Issue>, Failure> {
        let mut issues = self.all(&labelled(), is_meant)?;
        let known: Vec<u64> = issues.iter().map(|issue| issue.number).collect();
        issues.extend(self.all(OPEN, |issue| is_meant(issue) && !known.contains(&issue.number))?);
        Ok(issues)
    }

    /// Adds a comment of a watch, unless it did so before it was killed.
    fn add(&self, issue: &Issue, run: &str, body: &str) -> Result<Told, Failure> {
        let (marker, name) = (text::run_marker(run), format!("{}#{}", self.slug, issue.number));
        let comments = format!("issues/{}/comments", issue.number);
        let find = || self.search::<Comment>(&comments, |comment| comment.body.starts_with(&marker));
        if issue.body.as_deref().is_some_and(|body| body.lines().nth(1) == Some(&marker)) || find()?.is_some() {
            return Ok(Told { text: format!("{name} tells of it already"), url: issue.html_url.clone(), is_new: false });
        }
        let comment = self.make(&comments, &body_of(&format!("{marker}\n{body}")), find)?;
        Ok(Told { text: format!("commented on {name}"), url: comment.html_url, is_new: true })
    }

    /// The issue is of the newest commit that fails so: an older one, live late, has not put that right.
    fn renew(&self, issue: &Issue, story: &Story<'_>) -> Result<(), Failure> {
        let before = issue.body.as_deref().unwrap_or_default();
        let is_newer = text::of(before).is_some_and(|of| self.clone.leads_to(&of.commit, story.commit));
        let body = text::renewed(before, story).filter(|_| is_newer);
        body.map_or(Ok(()), |body| self.change(issue, &json!({ "body": body })))
    }

    /// Closes what a commit that is live has put right: issues of its branch and app, but for those of a newer commit.
    pub(super) fn close(&self, story: &Story<'_>, voice: &mut Voice<'_>) -> anyhow::Result<()> {
        let issues = match self.open_issues(|issue| issue.begins(text::ISSUE_MARKER)) {
            Ok(issues) => issues,
            Err(e) => {
                voice.say(&format!("GitHub does not say which issues are open: {e}"));
                return Ok(());
            }
        };
        for issue in issues {
            let Some(of) = issue.body.as_deref().and_then(text::of) else { continue };
            if of.is_of(story) && self.is_put_right(&of.commit, story.commit) {
                self.close_one(&issue, story, voice)?;
            }
        }
        Ok(())
    }

    fn close_one(&self, issue: &Issue, story: &Story<'_>, voice: &mut Voice<'_>) -> anyhow::Result<()> {
        let telling = self.telling(CLOSE, story, format!("close {}#{}", self.slug, issue.number));
        telling.begin(self.force, voice)?;
        if !self.force {
            return Ok(());
        }
        let closed = self.add(issue, story.run, &format!("{} is live.", story.commit)).and_then(|told| {
            self.change(issue, &json!({ "state": "closed", "state_reason": "completed" }))?;
            Ok(Told { text: format!("closed {}#{}", self.slug, issue.number), is_new: true, ..told })
        });
        telling.end(closed, voice)
    }

    /// A failure of a newer commit is none that an older one, live late, has put right. One of a commit that is nowhere to be had may be.
    fn is_put_right(&self, failed: &str, live: &str) -> bool {
        self.clone.obtain(self.remote, failed).is_ok() && !self.clone.leads_to(live, failed)
    }
}

fn labelled() -> String {
    format!("{OPEN}&labels={}", LABELS[0])
}
