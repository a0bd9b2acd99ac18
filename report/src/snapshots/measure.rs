//! Sizes and ages in the words of people.

use chrono::{DateTime, Utc};

/// `512 B`, `1.5 KiB`, `12 MiB`: binary units (IEC 80000-13), rounded down.
pub(crate) fn size(bytes: u64) -> String {
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let (mut unit, mut tenths) = (0, u128::from(bytes) * 10 / 1024);
    while tenths >= 10 * 1024 {
        tenths /= 1024;
        unit += 1;
    }
    let number = if tenths < 100 { format!("{}.{}", tenths / 10, tenths % 10) } else { (tenths / 10).to_string() };
    format!("{number} {}", ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"][unit])
}

/// How long before `now` a time was, both as records write them. One that cannot be compared stands as it is.
pub(crate) fn age(time: &str, now: &str) -> String {
    let read = |text: &str| DateTime::parse_from_rfc3339(text).ok().map(|time| time.with_timezone(&Utc));
    let Some(age) = read(time).zip(read(now)).map(|(time, now)| (now - time).num_seconds()).filter(|age| *age >= -1) else {
        return time.to_owned();
    };
    match age {
        ..60 => "just now".to_owned(),
        60..3600 => format!("{} min ago", age / 60),
        3600..172_800 => format!("{} h ago", age / 3600),
        _ => format!("{} d ago", age / 86400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_two_digits_or_more() {
        let sizes = [0, 1023, 1024, 1536, 10 << 10, (1 << 20) - 1, 1 << 20, u64::MAX].map(size);
        assert_eq!(sizes, ["0 B", "1023 B", "1.0 KiB", "1.5 KiB", "10 KiB", "1023 KiB", "1.0 MiB", "15 EiB"]);
    }

    #[test]
    fn ages_are_told_in_the_unit_that_matters() {
        let now = "2026-08-23T10:11:12.345Z";
        let ages = ["2026-08-23T10:11:11.000Z", "2026-08-23T09:12:00Z", "2026-08-22T10:11:12.345Z", "2026-08-20T10:00:00Z"];
        assert_eq!(ages.map(|time| age(time, now)), ["just now", "59 min ago", "24 h ago", "3 d ago"]);
        assert_eq!(["2027-01-01T00:00:00Z", "odd"].map(|time| age(time, now)), ["2027-01-01T00:00:00Z", "odd"]);
    }
}
