//! What stands on GitHub, as Markdown. A comment of HTML at the very beginning, which nobody sees, is how it is found again.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::Path;

use contract::action::{Action, Outcome as How};
use contract::redact;
use serde::{Deserialize, Serialize};

use super::Story;
use crate::fingerprint;
use crate::outcome::Outcome;

/// So every issue of ours begins.
pub(super) const ISSUE_MARKER: &str = "<!-- deploy-watch:fp=";
const OF: &str = "<!-- deploy-watch:of=";
const END: &str = " -->";
/// GitHub takes 256.
const LONGEST_TITLE: usize = 200;
/// So much of the end of a log is read, in bytes: a secret of many lines that begins before what is shown must be known for one.
const READ: u64 = 256 << 10;
/// So much of it is shown: bytes, and lines. GitHub takes 65,536 characters in all.
const TAIL: usize = 16 << 10;
const LINES: usize = 60;
/// So much of each line, in characters.
const LONGEST_LINE: usize = 1000;
/// So many of the steps that were tried, the last ones.
const STEPS: usize = 10;

/// Whose failure an issue tells of.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Of {
    pub(super) commit: String,
    branch: Option<String>,
    app: String,
}

impl Of {
    pub(super) fn is_of(&self, story: &Story<'_>) -> bool {
        self.branch.as_deref() == story.branch && self.app == story.app
    }
}

/// The same for the same kind of failure.
pub(super) fn fingerprint(story: &Story<'_>) -> String {
    story.cause.map_or_else(|| fingerprint::of(story.outcome.word(), story.text), crate::classify::Cause::fingerprint)
}

pub(super) fn issue_marker(fingerprint: &str) -> String {
    format!("{ISSUE_MARKER}{fingerprint}{END}")
}

pub(super) fn run_marker(run: &str) -> String {
    format!("<!-- deploy-watch:run={run}{END}")
}

pub(super) fn comment_marker(story: &Story<'_>) -> String {
    format!("<!-- deploy-watch:commit={}{END}", story.app)
}

/// A branch may be called `-->`.
fn of_marker(story: &Story<'_>) -> String {
    let of = Of { commit: story.commit.to_owned(), branch: story.branch.map(str::to_owned), app: story.app.to_owned() };
    let json = serde_json::to_string(&of).unwrap_or_default().replace('>', "\\u003e");
    format!("{OF}{json}{END}")
}

/// What the third line of an issue of ours says; nothing that is no commit's name is one.
pub(super) fn of(body: &str) -> Option<Of> {
    let line = body.lines().nth(2)?;
    let of: Of = serde_json::from_str(line.strip_prefix(OF)?.strip_suffix(END)?).ok()?;
    let is_name = [40, 64].contains(&of.commit.len()) && of.commit.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_name.then_some(of)
}

/// The same text of another commit.
pub(super) fn renewed(body: &str, story: &Story<'_>) -> Option<String> {
    let old = body.lines().nth(2)?;
    old.starts_with(OF).then(|| body.replacen(old, &of_marker(story), 1))
}

pub(super) fn title(story: &Story<'_>) -> String {
    let why = story.cause.map_or(story.text, |cause| &cause.text);
    format!("Deployment fails: {}", redact::public(&redact::excerpt(why))).chars().take(LONGEST_TITLE).collect()
}

pub(super) fn issue(story: &Story<'_>) -> String {
    let markers = [issue_marker(&fingerprint(story)), run_marker(story.run), of_marker(story)].join("\n");
    let parts = [Some(markers), Some(headline(story)), cause(story), Some(tried(story)), Some(to_do(story)), story.log.and_then(tail)];
    let closing = "This issue is closed when a later commit is live. If it fails in the same way again, that becomes a comment.";
    parts.into_iter().flatten().chain([closing.to_owned()]).collect::<Vec<_>>().join("\n\n") + "\n"
}

/// What is said of the same failure, once there is an issue.
pub(super) fn repeat(story: &Story<'_>) -> String {
    let parts = [Some(headline(story)), Some(tried(story)), story.log.and_then(tail)];
    parts.into_iter().flatten().collect::<Vec<_>>().join("\n\n") + "\n"
}

/// What is said beside the commit.
pub(super) fn comment(story: &Story<'_>) -> String {
    let to_do = (story.outcome != Outcome::Active).then(|| to_do(story));
    let parts = [Some(comment_marker(story)), Some(headline(story)), cause(story), Some(tried(story)), to_do];
    parts.into_iter().flatten().collect::<Vec<_>>().join("\n\n") + "\n"
}

fn headline(story: &Story<'_>) -> String {
    let branch = story.branch.map_or_else(String::new, |branch| format!(" on {}", code(branch)));
    let how = if story.outcome == Outcome::Active { "is live" } else { "is not live" };
    let (app, word, attempt) = (code(story.app), story.outcome.word(), story.attempt);
    format!("{}{branch} ({app}) {how}, at attempt {attempt}: **{word}**, {}", story.commit, code(story.text))
}

fn cause(story: &Story<'_>) -> Option<String> {
    let cause = story.cause?;
    let shown = [&cause.text, &cause.excerpt].map(|text| redact::public(&redact::excerpt(text))).join("\n");
    Some(format!("### Cause\n\n{}\n\n{}", code(&cause.class), block(shown.trim())))
}

fn tried(story: &Story<'_>) -> String {
    let is_over = |action: &&Action| !matches!(action.outcome, How::Planned | How::Started);
    let under_way = story.tried.last().filter(|action| action.outcome == How::Started);
    let line = |action: &Action| format!("- {}: {}", code(&action.verb), code(&action.text));
    let over = story.tried.iter().filter(is_over).map(line);
    let steps: Vec<String> = over.chain(under_way.map(|action| line(action) + ", under way")).collect();
    let last = steps[steps.len().saturating_sub(STEPS)..].join("\n");
    let steps = if last.is_empty() { "Nothing.".to_owned() } else { last };
    format!("### What was tried\n\n{steps}")
}

fn to_do(story: &Story<'_>) -> String {
    let manual = story.cause.and_then(|cause| cause.manual.as_deref());
    let manual =
        manual.map_or_else(|| "- Look at the end of the log for the first error.".to_owned(), |manual| format!("- {}", code(manual)));
    format!(
        "### What to do\n\n{manual}\n- Mend that in a new commit, and push it.\n- {} says what is safely mended by itself.",
        code(&format!("deploy-watch watch {} --heal", story.commit))
    )
}

/// The end of a log, folded and without secrets.
fn tail(log: &Path) -> Option<String> {
    let name = log.file_name()?.to_string_lossy().into_owned();
    let text = end_of(log).ok()?;
    let safe = redact::public(&text);
    let lines: Vec<&str> = safe.lines().collect();
    let mut room = TAIL;
    let last = lines.iter().rev().take(LINES).map(|line| line.chars().take(LONGEST_LINE).collect::<String>()).take_while(|line| {
        room = room.saturating_sub(line.len() + 1);
        room > 0
    });
    let mut last: Vec<String> = last.collect();
    last.reverse();
    let last = last.join("\n");
    (!last.trim().is_empty())
        .then(|| format!("<details>\n<summary>The end of {}</summary>\n\n{}\n\n</details>", code_html(&name), block(&last)))
}

fn end_of(log: &Path) -> std::io::Result<String> {
    let mut file = File::open(log)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(READ)))?;
    let mut bytes = Vec::new();
    file.take(READ).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    // The first line may begin in the middle.
    Ok(if length > READ { text.split_once('\n').map_or(String::new(), |(_, rest)| rest.to_owned()) } else { text })
}

/// Text from outside as code of one line, in which nobody is mentioned and nothing is linked (CommonMark, "Code spans").
fn code(text: &str) -> String {
    let text = redact::public(&redact::excerpt(text));
    let fence = "`".repeat(longest_run(&text) + 1);
    let pad = if text.starts_with('`') || text.ends_with('`') { " " } else { "" };
    format!("{fence}{pad}{text}{pad}{fence}")
}

fn code_html(text: &str) -> String {
    format!("<code>{}</code>", text.replace('&', "&amp;").replace('<', "&lt;"))
}

/// The same of several lines (CommonMark, "Fenced code blocks").
fn block(text: &str) -> String {
    let fence = "`".repeat((longest_run(text) + 1).max(3));
    format!("{fence}text\n{text}\n{fence}")
}

fn longest_run(text: &str) -> usize {
    text.split(|c| c != '`').map(str::len).max().unwrap_or(0)
}
