//! Which requirements and environment markers (PEP 508) may be given to pep508_rs 0.9.2: it panics on some, and takes time and memory
//! without bound for others. A requirement that probe and repair read differently would be mended for ever.

/// Whether a whole requirement can be read safely.
#[must_use]
pub fn is_safe_requirement(text: &str) -> bool {
    let marker = text.split_once(';').map_or("", |(_, marker)| marker);
    is_shallow(text) && !has_open_name(text) && is_safe_marker(marker)
}

/// Whether a marker can be read safely.
#[must_use]
pub fn is_safe_marker(text: &str) -> bool {
    // The grammar has no other characters, and in some places the parser cuts them in two.
    text.is_ascii() && is_shallow(text) && is_simple(text) && !matches_strings(text)
}

/// The parser recurses into parentheses; nobody nests them like that.
fn is_shallow(text: &str) -> bool {
    text.len() < 10_000 && text.bytes().filter(|byte| *byte == b'(').count() < 50
}

/// The parser makes a decision diagram of a marker, which every extra and every `in` can double, unless `or` alone joins them.
fn is_simple(marker: &str) -> bool {
    let mut quote = None;
    let bare = marker.chars().map(|c| match quote {
        None if matches!(c, '\'' | '"') => {
            quote = Some(c);
            ' '
        }
        None => c,
        Some(open) => {
            quote = quote.filter(|_| c != open);
            ' '
        }
    });
    let bare: String = bare.collect();
    let count = |words: &[&str]| bare.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').filter(|word| words.contains(word)).count();
    count(&["extra", "in"]) <= 20 || count(&["and"]) == 0
}

/// It panics on a name or an extra that ends in a separator.
fn has_open_name(text: &str) -> bool {
    let names = text.split(['@', ';', '(', '<', '=', '>', '~', '!']).next().unwrap_or(text);
    let mut words = names.split(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '-' | '_' | '.'));
    words.any(|word| word.ends_with(['-', '_', '.']))
}

/// It panics on `~=` between strings, and on every marker after that.
fn matches_strings(marker: &str) -> bool {
    const VERSIONS: [&str; 3] = ["python_version", "python_full_version", "implementation_version"];
    marker.match_indices("~=").any(|(at, _)| !VERSIONS.iter().any(|name| marker[..at].trim_end().ends_with(name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_parser_cannot_bear_is_refused() {
        for text in ["a.", "a. >=1", "a[b-]", "a[b_ ,c]", "a.[b]", "a-;os_name=='x'", "a ; os_name ~= 'x'", "a ; 'x' ~= os_name"] {
            assert!(!is_safe_requirement(text), "{text}");
        }
        assert!(!is_safe_requirement(&format!("a ; {}", "(".repeat(5000))));
        assert!(is_safe_requirement("flask[async] >= 2.0, < 4 ; python_version ~= '3.8'"));
    }

    #[test]
    fn a_marker_that_would_grow_without_bound_is_refused() {
        let pairs = |many: usize| (0..many).map(|n| format!("(extra == 'a{n}' or 'b{n}' in os_name)")).collect::<Vec<_>>().join(" and ");
        let list = (0..200).map(|n| format!("extra == 'and-{n}'")).collect::<Vec<_>>().join(" or ");
        assert!(is_safe_marker(&pairs(10)) && is_safe_marker(&list));
        assert!(!is_safe_marker(&pairs(11)) && !is_safe_requirement(&format!("a; {}", pairs(40))));
        assert!(!is_safe_marker(&format!("'\"' == os_name and {}", pairs(40))));
    }
}
