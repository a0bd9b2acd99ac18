//! By what a failure is known again.

use sha2::{Digest as _, Sha256};

/// 16 hexadecimal digits of a kind of failure and of the line that shows it.
pub(crate) fn of(class: &str, excerpt: &str) -> String {
    digits(format!("{class}\n{}", lasting(excerpt)).as_bytes())
}

/// The first 16 digits of a hash (SHA-256).
pub(crate) fn digits(bytes: &[u8]) -> String {
    let hash = Sha256::digest(bytes);
    format!("{:016x}", hash.first_chunk().map_or(0, |chunk| u64::from_be_bytes(*chunk)))
}

/// A line without what differs from one time to the next: times, hashes, numbers, folders. Ports stay.
fn lasting(line: &str) -> String {
    let words = line.split_whitespace().map(|word| word.rsplit_once('/').map_or(word, |(_, name)| name));
    let words = words.map(|word| {
        let port = word
            .rsplit_once(':')
            .map(|(_, port)| port)
            .filter(|port| (3..=5).contains(&port.len()) && port.bytes().all(|b| b.is_ascii_digit()));
        let rest = port.map_or(word, |port| &word[..word.len() - port.len()]);
        let parts = rest.split_inclusive(|c: char| !c.is_ascii_alphanumeric()).map(|part| {
            let name = part.trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
            let is_hash = name.len() >= 7 && name.bytes().all(|b| b.is_ascii_hexdigit());
            if is_hash || name.bytes().any(|b| b.is_ascii_digit()) { format!("#{}", &part[name.len()..]) } else { part.to_owned() }
        });
        parts.collect::<String>() + port.unwrap_or_default()
    });
    words.collect::<Vec<_>>().join(" ").to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::lasting;

    #[test]
    fn the_same_failure_looks_the_same_every_time() {
        let same = [
            ("10:15:54 connect ECONNREFUSED 10.0.0.7:5432", "11:00:02 connect ECONNREFUSED 10.2.3.4:5432"),
            ("cannot find module /workspace/a1b2c3d4e5/dist/index.js", "cannot find module /tmp/x/dist/index.js"),
            ("build 4f6c71e2-1e90-4762-9fee-6cc4a0a9f2cf failed", "build 5f6c71e2-1e91-4763-9fef-6cc4a0a9f2ce failed"),
        ];
        for (one, other) in same {
            assert_eq!(lasting(one), lasting(other));
        }
        let others =
            [("ECONNREFUSED 10.0.0.7:5432", "ECONNREFUSED 10.0.0.7:6379"), ("No module named 'yaml'", "No module named 'requests'")];
        for (one, other) in others {
            assert_ne!(lasting(one), lasting(other));
        }
    }
}
