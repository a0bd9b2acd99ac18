//! Durations as people write them.

use std::time::Duration;

use anyhow::Context as _;

/// Whole seconds, `s`, `m`, `h` or `d`: `14d`.
///
/// # Errors
/// It is not a number with one of those letters behind it.
pub(crate) fn duration(text: &str) -> anyhow::Result<Duration> {
    let (number, unit) = text.split_at(text.len() - text.chars().next_back().map_or(0, char::len_utf8));
    let (number, seconds) = match unit {
        "s" => (number, 1),
        "m" => (number, 60),
        "h" => (number, 3600),
        "d" => (number, 86400),
        _ => (text, 1),
    };
    let number: u64 = number.parse().ok().with_context(|| format!("`{text}` is no duration; write 90s, 10m, 12h or 14d"))?;
    Ok(Duration::from_secs(number.saturating_mul(seconds)))
}
