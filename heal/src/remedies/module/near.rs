//! Names that differ from what was imported by a letter or two: an import that is misspelt.

use super::names;

/// Names of three letters are all near to each other.
const SHORT: usize = 4;

/// The names of declared distributions, and of modules that they bring, that are near to a module's.
pub(super) fn misses<'a>(module: &str, declared: impl Iterator<Item = &'a str>) -> Vec<String> {
    let top = module.split('.').next().unwrap_or(module);
    let most = if top.chars().count() <= SHORT { 1 } else { 2 };
    let is_near = |name: &str| distance(&name.to_lowercase().replace('-', "_"), &top.to_lowercase()) <= most;
    let mut near: Vec<String> = declared
        .flat_map(|name| {
            let modules = names::modules_of(name).filter(|module| is_near(module)).map(|module| format!("{module} (of {name})"));
            let own = is_near(name).then(|| name.to_owned());
            own.into_iter().chain(modules).collect::<Vec<_>>()
        })
        .collect();
    near.sort();
    near.dedup();
    near
}

/// How many letters must be changed, put in or taken out to make one word of the other.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (at, c) in one.chars().enumerate() {
        let mut before = std::mem::replace(&mut row[0], at + 1);
        for (column, d) in other.iter().enumerate() {
            let changed = before + usize::from(c != *d);
            before = row[column + 1];
            row[column + 1] = changed.min(before + 1).min(row[column] + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_those_of_levenshtein() {
        for (one, other, far) in
            [("", "abc", 3), ("kitten", "sitting", 3), ("yaml", "yaml", 0), ("reqests", "requests", 1), ("ab", "ba", 2)]
        {
            assert_eq!((distance(one, other), distance(other, one)), (far, far), "{one} {other}");
        }
    }

    #[test]
    fn slips_of_a_letter_or_two_are_shown() {
        let declared = || ["requests", "pyyaml", "pycryptodome", "six"].into_iter();
        assert_eq!(misses("reqeusts", declared()), ["requests"]);
        assert_eq!(misses("ymal.x", declared()), [""; 0]);
        assert_eq!(misses("yml", declared()), ["yaml (of pyyaml)"]);
        assert_eq!(misses("crypto", declared()), ["Crypto (of pycryptodome)"]);
        assert_eq!(misses("sax", declared()), ["six"]);
    }
}
