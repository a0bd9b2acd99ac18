//! One healer across machines: a reference on the remote that exactly one of two racers can make (git-push(1), `--force-with-lease`).

use anyhow::Context as _;
use chrono::Utc;
use contract::process::Identity;
use serde_json::{Value, json};

use crate::repository::Repository;

/// A lease that is older, in seconds, is one of a healer that died: no attempts together take so long.
const OLDEST: i64 = 6 * 60 * 60;

/// Held until it is given back.
#[derive(Debug)]
pub(crate) struct Lease<'r> {
    repository: &'r Repository,
    remote: &'r str,
    reference: String,
    blob: String,
}

impl<'r> Lease<'r> {
    /// None where somebody else heals that commit; who that is.
    ///
    /// # Errors
    /// The remote cannot be asked.
    pub(crate) fn take(repository: &'r Repository, remote: &'r str, root: &str) -> anyhow::Result<Result<Self, String>> {
        let reference = format!("refs/deploy-watch/lease/{root}");
        // Two healers must not write the same, or both would have it.
        let note = json!({ "host": host(), "healer": Identity::of(std::process::id()), "at": Utc::now().timestamp(), "salt": Utc::now().timestamp_subsec_nanos() });
        let blob = repository.fed(&["hash-object", "-w", "--stdin"], note.to_string().as_bytes())?;
        let lease = Self { repository, remote, reference, blob };
        let mut expected = String::new();
        for _ in 0..2 {
            if lease.put(&expected)? {
                return Ok(Ok(lease));
            }
            let Some(holder) = lease.there()? else { continue };
            let note = lease.note(&holder)?;
            let age = Utc::now().timestamp() - note["at"].as_i64().unwrap_or_default();
            if age < OLDEST && !is_dead(&note) {
                let host = note["host"].as_str().unwrap_or("another machine");
                return Ok(Err(format!("{host} has been healing it for {age} s")));
            }
            expected = holder;
        }
        Ok(Err("somebody else was faster".to_owned()))
    }

    /// Puts it there, if what is there is as expected.
    fn put(&self, expected: &str) -> anyhow::Result<bool> {
        let (lease, refspec) = (format!("--force-with-lease={}:{expected}", self.reference), format!("{}:{}", self.blob, self.reference));
        let put = self.repository.push(&lease, self.remote, &refspec);
        match self.there()? {
            Some(there) if there == self.blob => Ok(true),
            Some(_) => Ok(false),
            None => put.map(|()| false).with_context(|| format!("cannot take the lease {}", self.reference)),
        }
    }

    fn there(&self) -> anyhow::Result<Option<String>> {
        self.repository.remote_ref(self.remote, &self.reference)
    }

    fn note(&self, blob: &str) -> anyhow::Result<Value> {
        self.repository.run(&["fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--", self.remote, &self.reference])?;
        let text = self.repository.run(&["cat-file", "blob", blob])?;
        Ok(serde_json::from_str(&text).unwrap_or_default())
    }

    /// # Errors
    /// The remote cannot be asked.
    pub(crate) fn give_back(self) -> anyhow::Result<()> {
        let (lease, refspec) = (format!("--force-with-lease={}:{}", self.reference, self.blob), format!(":{}", self.reference));
        self.repository.push(&lease, self.remote, &refspec)
    }
}

/// Whether it is of a process of this machine that is over.
fn is_dead(note: &Value) -> bool {
    let healer: Option<Identity> = serde_json::from_value(note["healer"].clone()).ok();
    note["host"].as_str() == Some(&host()) && healer.is_some_and(|healer| !healer.is_alive())
}

fn host() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}
