//! Lists that come in pages of a hundred.

use serde::de::DeserializeOwned;

use super::GitHub;
use crate::http::Failure;

/// In one page, which is the most.
const SIZE: usize = 100;
/// Pages that are looked at.
const MOST: usize = 10;

impl GitHub<'_> {
    /// The first entry of a list that is meant.
    pub(super) fn search<T: DeserializeOwned>(&self, below: &str, is_meant: impl Fn(&T) -> bool) -> Result<Option<T>, Failure> {
        for page in 1..=MOST {
            let entries = self.page::<T>(below, page)?;
            let is_last = entries.len() < SIZE;
            let found = entries.into_iter().find(&is_meant);
            if found.is_some() || is_last {
                return Ok(found);
            }
        }
        Ok(None)
    }

    /// All entries of a list that are meant.
    pub(super) fn all<T: DeserializeOwned>(&self, below: &str, is_meant: impl Fn(&T) -> bool) -> Result<Vec<T>, Failure> {
        let mut all = Vec::new();
        for page in 1..=MOST {
            let entries = self.page::<T>(below, page)?;
            let is_last = entries.len() < SIZE;
            all.extend(entries.into_iter().filter(&is_meant));
            if is_last {
                break;
            }
        }
        Ok(all)
    }

    fn page<T: DeserializeOwned>(&self, below: &str, page: usize) -> Result<Vec<T>, Failure> {
        let sign = if below.contains('?') { '&' } else { '?' };
        self.api.get(&self.path(&format!("{below}{sign}per_page={SIZE}&page={page}")))
    }
}
