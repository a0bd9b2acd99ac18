//! Times as registries have them: naive local ones of Python's `datetime.now().isoformat()`, or RFC 3339 as `toISOString()` writes them.

use std::time::Duration;

use chrono::{DateTime, Local, NaiveDateTime, SecondsFormat, TimeDelta, TimeZone as _, Utc};

/// How a registry writes its times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// `2025-10-17T21:35:12.211797`, local time.
    Python,
    /// `2025-10-17T21:35:12.211Z`.
    Zulu,
}

impl Style {
    /// The style of a time that is there.
    pub(crate) fn of(text: Option<&str>) -> Self {
        if text.is_some_and(|text| text.ends_with('Z')) { Self::Zulu } else { Self::Python }
    }

    /// A time in this style, as a JSON string.
    pub(crate) fn json(self, time: DateTime<Utc>) -> String {
        match self {
            Self::Python => format!("\"{}\"", time.with_timezone(&Local).format("%Y-%m-%dT%H:%M:%S%.6f")),
            Self::Zulu => format!("\"{}\"", time.to_rfc3339_opts(SecondsFormat::Millis, true)),
        }
    }
}

/// Reads a time in either style, or with an offset.
pub(crate) fn read(text: &str) -> Option<DateTime<Utc>> {
    let text = &text.trim().replacen(' ', "T", 1);
    if let Ok(seconds) = text.parse::<f64>() {
        // JavaScript counts milliseconds.
        let seconds = if seconds > 1e11 { seconds / 1000.0 } else { seconds };
        #[expect(clippy::cast_possible_truncation, reason = "a time of this millennium in milliseconds")]
        return (0.0..1e11).contains(&seconds).then(|| DateTime::from_timestamp_millis((seconds * 1000.0) as i64)).flatten();
    }
    let zoned = || {
        let other = || DateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f%z");
        DateTime::parse_from_rfc3339(text).or_else(|_| other()).ok().map(|time| time.to_utc())
    };
    let forms = ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%dT%H:%M"];
    let naive = forms.iter().find_map(|form| NaiveDateTime::parse_from_str(text, form).ok());
    match naive {
        // Of two readings in the hour that comes twice, the later: younger agents are spared.
        Some(naive) => Local.from_local_datetime(&naive).latest().map(|time| time.to_utc()),
        None => zoned(),
    }
}

/// How far from what is read a time may be: one without a zone is that of whoever wrote it.
pub(crate) fn doubt(text: &str) -> TimeDelta {
    let clock = text.get(10..).unwrap_or_default();
    let is_zoned = text.parse::<f64>().is_ok() || clock.contains(['Z', 'z', '+', '-']);
    if is_zoned { TimeDelta::zero() } else { TimeDelta::hours(26) }
}

/// How long ago a time is; nothing of one that is still to come.
pub(crate) fn age(time: DateTime<Utc>, now: DateTime<Utc>) -> Option<Duration> {
    (now - time).to_std().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let time = "2026-11-28T10:20:30.123Z".parse().unwrap();
        for style in [Style::Python, Style::Zulu] {
            let text = style.json(time);
            let text = text.trim_matches('"');
            assert_eq!((read(text), Style::of(Some(text))), (Some(time), style));
        }
        assert_eq!(read("2026-11-28T12:20:30.123+02:00"), Some(time));
        for other in ["2026-11-28T10:20:30.123+0000", "2026-11-28 10:20:30.123Z", "1795861230.123", "1795861230123"] {
            assert_eq!(read(other), Some(time), "{other}");
        }
        assert!(read("2026-11-28 10:20").is_some());
        let doubts =
            ["2026-11-28T10:20:30", "2026-11-28T10:20:30Z", "2026-11-28T10:20:30-08:00", "1795861230"].map(|text| doubt(text).num_hours());
        assert_eq!(doubts, [26, 0, 0, 0]);
        assert_eq!((read("yesterday"), read(""), read("NaN")), (None, None, None));
    }
}
