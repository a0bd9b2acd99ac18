//! Times and ids as they stand in names of files.

use std::hash::{BuildHasher as _, RandomState};

/// UTC as `YYYYMMDD_HHMMSS`, since local time goes back once a year and differs between a shell and cron, and six hexadecimal digits:
/// four of the fraction of the second, so that ids sort by time, and two at random, so that two runs do not meet.
pub(crate) fn id() -> String {
    let now = chrono::Utc::now();
    let fraction = (u64::from(now.timestamp_subsec_nanos()) << 16) / 1_000_000_000;
    let random = RandomState::new().hash_one(std::process::id()) & 0xff;
    format!("{}-{:04x}{random:02x}", now.format("%Y%m%d_%H%M%S"), fraction.min(0xffff))
}
