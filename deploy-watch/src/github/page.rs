//! Lists that come in pages of a hundred.

use std::iter;

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
        for page in self.pages(below) {
            if let Some(found) = page?.into_iter().find(&is_meant) {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// All entries of a list that are meant.
    pub(super) fn all<T: DeserializeOwned>(&self, below: &str, is_meant: impl Fn(&T) -> bool) -> Result<Vec<T>, Failure> {
        let pages = self.pages(below).collect::<Result<Vec<_>, _>>()?;
        Ok(pages.into_iter().flatten().filter(is_meant).collect())
    }

    /// Asked for as they are wanted, up to the first that is not full.
    fn pages<T: DeserializeOwned>(&self, below: &str) -> impl Iterator<Item = Result<Vec<T>, Failure>> {
        let sign = if below.contains('?') { '&' } else { '?' };
        let (mut page, mut is_last) = (0, false);
        iter::from_fn(move || {
            page += 1;
            if is_last || page > MOST {
                return None;
            }
            let entries = self.api.get::<Vec<T>>(&self.path(&format!("{below}{sign}per_page={SIZE}&page={page}")));
            is_last = entries.as_ref().map_or(true, |entries| entries.len() < SIZE);
            Some(entries)
        })
    }
}
