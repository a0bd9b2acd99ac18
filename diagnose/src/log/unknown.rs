//! Errors that the catalogue does not know: lines that differ only in their variable parts are one template, as in Drain (He et al., 2017:
//! a tree of fixed depth by length and first word, then the nearest template).

use std::collections::HashMap;
use std::sync::LazyLock;

use regex::Regex;

/// The part of the words of two lines that must be the same for one template, in tenths.
const ALIKE: usize = 6;
/// As many templates are told apart; whatever comes then is counted with the last.
const MOST: usize = 500;
/// Words of a line that count.
const WORDS: usize = 60;
/// A word that differs.
const ANY: &str = "<*>";

/// What is different each time: times, addresses, identifiers, numbers, paths, quoted texts.
static VARIABLE: LazyLock<Regex> = LazyLock::new(|| {
    let forms = [
        r"\d{4}-\d{2}-\d{2}[T ][\d:.,]+Z?",
        r"https?://\S+",
        r"\b[0-9a-fA-F]{8}-[0-9a-fA-F-]{27}\b",
        r"\b0x[0-9a-fA-F]+\b",
        r"\b[0-9a-f]{12,}\b",
        r"(?:/[\w.@+-]+){2,}/?",
        r"\b\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?\b",
        r#""[^"]*"|'[^']*'"#,
        r"\b\d[\d.,]*",
    ];
    Regex::new(&forms.join("|")).unwrap_or_else(|e| unreachable!("{e}"))
});

/// Lines that are one but for their variable parts.
#[derive(Clone, Debug)]
pub(crate) struct Template {
    words: Vec<String>,
    pub(crate) count: u64,
    /// The first line, its number and that of the last.
    pub(crate) example: String,
    pub(crate) first: u64,
    pub(crate) last: u64,
}

impl Template {
    /// The words, those that differ as `<*>`.
    pub(crate) fn text(&self) -> String {
        self.words.join(" ")
    }
}

/// The templates of one log.
#[derive(Default)]
pub(crate) struct Templates {
    all: Vec<Template>,
    /// By number of words and first word.
    leaves: HashMap<(usize, String), Vec<usize>>,
}

impl Templates {
    pub(crate) fn add(&mut self, line: &str, number: u64) {
        let masked = VARIABLE.replace_all(line, ANY);
        let words: Vec<String> = masked.split_whitespace().take(WORDS).map(str::to_owned).collect();
        let Some(first) = words.first().cloned() else { return };
        let is_full = self.all.len() >= MOST;
        let leaf = self.leaves.entry((words.len(), first)).or_default();
        let nearest = leaf.iter().copied().max_by_key(|at| same(&self.all[*at].words, &words));
        let near = nearest.filter(|at| same(&self.all[*at].words, &words) * 10 >= words.len() * ALIKE);
        let Some(at) = near.or(is_full.then(|| self.all.len() - 1)) else {
            leaf.push(self.all.len());
            return self.all.push(Template { words, count: 1, example: line.to_owned(), first: number, last: number });
        };
        let template = &mut self.all[at];
        template.count += 1;
        template.last = number;
        if near.is_some() {
            template.words.iter_mut().zip(&words).filter(|(old, new)| old != new).for_each(|(old, _)| ANY.clone_into(old));
        }
    }

    /// All of them, the last ones of the log first: what ends it is nearest to its end.
    pub(crate) fn all(&self) -> Vec<&Template> {
        let mut all: Vec<&Template> = self.all.iter().collect();
        all.sort_by_key(|template| std::cmp::Reverse(template.last));
        all
    }
}

/// How many words are the same.
fn same(one: &[String], other: &[String]) -> usize {
    one.iter().zip(other).filter(|(one, other)| one == other).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lines_that_differ_in_their_values_are_one() {
        let mut templates = Templates::default();
        for (number, line) in
            ["error: job 17 failed on node-a", "error: cannot open /srv/x/y.conf", "error: job 18 failed on node-b"].iter().enumerate()
        {
            templates.add(line, number as u64);
        }
        let all: Vec<_> =
            templates.all().into_iter().map(|template| (template.text(), template.count, template.first, template.last)).collect();
        assert_eq!(all, [("error: job <*> failed on <*>".to_owned(), 2, 0, 2), ("error: cannot open <*>".to_owned(), 1, 1, 1)]);
    }

    proptest! {
        #[test]
        fn every_line_is_counted_however_many_there_are(lines in prop::collection::vec("[a-z]{1,3}( [a-z0-9]{1,3}){0,5}", 1..800)) {
            let mut templates = Templates::default();
            lines.iter().enumerate().for_each(|(number, line)| templates.add(line, number as u64));
            prop_assert_eq!(templates.all().iter().map(|template| template.count).sum::<u64>(), lines.len() as u64);
            prop_assert!(templates.all().len() <= MOST);
        }
    }
}
