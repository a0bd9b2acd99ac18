//! The comment on the commit that was pushed: made when something went wrong, and kept up to date in place.

use serde::Deserialize;

use super::{GitHub, Story, Told, body_of, text};
use crate::http::{Failure, Method};
use crate::outcome::Outcome;
use crate::voice::Voice;

const COMMENT: &str = "github-comment";

#[derive(Deserialize)]
struct Comment {
    id: u64,
    html_url: String,
    #[serde(default)]
    body: String,
}

impl GitHub<'_> {
    /// A commit that is simply live needs no comment, unless there is one of an earlier failure.
    pub(super) fn comment(&self, story: &Story<'_>, voice: &mut Voice<'_>) -> anyhow::Result<()> {
        let is_news =
            matches!(story.outcome, Outcome::Error | Outcome::RolledBack | Outcome::Timeout | Outcome::Moved) || story.attempt > 1;
        let telling = self.telling(COMMENT, story, format!("comment on {} in {}, or update that comment", story.root, self.slug));
        if !self.force {
            return if is_news { telling.begin(false, voice) } else { Ok(()) };
        }
        self.comment_on(story, is_news).transpose().map_or(Ok(()), |told| telling.end(told, voice))
    }

    fn comment_on(&self, story: &Story<'_>, is_news: bool) -> Result<Option<Told>, Failure> {
        let (marker, body) = (text::comment_marker(story), text::comment(story));
        let comments = format!("commits/{}/comments", story.root);
        let find = || self.search::<Comment>(&comments, |comment| comment.body.starts_with(&marker));
        let told = |comment: Comment, text: &str| Told { text: text.to_owned(), url: comment.html_url, is_new: true };
        if let Some(there) = find()? {
            if there.body == body {
                return Ok(None);
            }
            self.api.insist(Method::Patch, &self.path(&format!("comments/{}", there.id)), &body_of(&body))?;
            return Ok(Some(told(there, "updated the comment on the commit")));
        }
        if !is_news {
            return Ok(None);
        }
        let made = self.make(&comments, &body_of(&body), find)?;
        Ok(Some(told(made, "commented on the commit")))
    }
}
