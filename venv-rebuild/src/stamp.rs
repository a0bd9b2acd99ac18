//! Times and ids as they stand in names of files.

use std::hash::{BuildHasher as _, RandomState};

/// Local time, `YYYYMMDD_HHMMSS`.
pub(crate) fn now() -> String {
    chrono::Local::now().format("%Y%m%d_%H%M%S").to_string()
}

/// [`now`] and four random hexadecimal digits: two runs within one second do not meet.
pub(crate) fn id() -> String {
    format!("{}-{:04x}", now(), RandomState::new().hash_one(std::process::id()) & 0xffff)
}
