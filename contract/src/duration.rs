//! Durations on the command line, one spelling for every tool.

use std::time::Duration;

use anyhow::Context as _;

/// Letters that may stand behind the number, with their seconds. Without one it counts seconds.
const UNITS: [(&str, u64); 5] = [("s", 1), ("m", 60), ("h", 60 * 60), ("d", 24 * 60 * 60), ("", 1)];

/// Reads a whole number and a unit: `90s`, `10m`, `12h`, `14d`, or `90`, which is seconds.
///
/// # Errors
/// It is anything else.
pub fn parse(text: &str) -> anyhow::Result<Duration> {
    // As many as 32 bits hold, so that no clock overflows when it is added.
    let number = |unit| text.strip_suffix(unit).and_then(|number| number.parse::<u32>().ok());
    let seconds = UNITS.iter().find_map(|(unit, seconds)| Some(u64::from(number(unit)?) * seconds));
    seconds.map(Duration::from_secs).with_context(|| format!("`{text}` is no duration; write 90s, 10m, 12h or 14d"))
}

/// Reads how long something may take, as [`parse`] does.
///
/// # Errors
/// It is no duration, or none at all: what may take no time would always be too late.
pub fn limit(text: &str) -> anyhow::Result<Duration> {
    let limit = parse(text)?;
    anyhow::ensure!(!limit.is_zero(), "`{text}` leaves no time; write 90s, 10m, 12h or 14d");
    Ok(limit)
}

/// Reads the age from which things are thrown away, as [`parse`] does, and never without a unit: 30 seconds for 30 days would be a loss.
///
/// # Errors
/// It is no duration, or a bare number.
pub fn age(text: &str) -> anyhow::Result<Duration> {
    let age = parse(text)?;
    anyhow::ensure!(!text.ends_with(|c: char| c.is_ascii_digit()), "`{text}` has no unit; write {text}s, {text}m, {text}h or {text}d");
    Ok(age)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read() {
        let read = |text| parse(text).unwrap().as_secs();
        assert_eq!(["90s", "10m", "12h", "14d", "300", "0"].map(read), [90, 600, 43_200, 1_209_600, 300, 0]);
        for bad in ["", "d", "-1d", "1w", "1.5h", "1 h", "é", "1é", "4294967296"] {
            assert_eq!(parse(bad).unwrap_err().to_string(), format!("`{bad}` is no duration; write 90s, 10m, 12h or 14d"));
        }
    }

    #[test]
    fn an_age_says_of_what() {
        assert_eq!(["0s", "30d"].map(|text| age(text).unwrap().as_secs()), [0, 2_592_000]);
        for (bad, why) in [("30", "`30` has no unit; write 30s, 30m, 30h or 30d"), ("d", "`d` is no duration; write 90s, 10m, 12h or 14d")]
        {
            assert_eq!(age(bad).unwrap_err().to_string(), why);
        }
    }

    #[test]
    fn a_limit_leaves_time_and_can_be_added_to_a_clock() {
        assert_eq!(limit("0m").unwrap_err().to_string(), "`0m` leaves no time; write 90s, 10m, 12h or 14d");
        assert!(std::time::Instant::now().checked_add(limit("4294967295d").unwrap()).is_some());
    }
}
