//! Which of the declared distributions brings a module, and with which lines it is installed.

use std::collections::BTreeSet;

use contract::path::shown;
use serde_json::json;

use super::declared::Source;
use super::names;
use super::near;
use super::requirement::Declared;
use super::target::refused;
use crate::python;
use crate::remedies::Declined;

/// What is to be installed, and the file that says so.
#[derive(Debug)]
pub(super) struct Chosen<'a> {
    pub(super) source: &'a Source,
    pub(super) one: &'a Declared,
}

/// What an installer is given.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Lines {
    pub(super) requirements: Vec<String>,
    pub(super) limits: Vec<String>,
    pub(super) hashed: bool,
    /// All that a file declares is among them, whatever the module needs.
    pub(super) is_whole: bool,
}

/// Finds the one declared distribution that brings a module, of whose dotted name so many parts are there; `None` where none does.
///
/// # Errors
/// Several do, or the one cannot be installed.
pub(super) fn declared<'a>(module: &str, found: usize, sources: &'a [Source]) -> Result<Option<Chosen<'a>>, Declined> {
    let missing = names::prefixes(module).filter(|prefix| prefix.split('.').count() > found);
    let Some(hits) = missing.map(|prefix| hits(prefix, sources)).find(|hits| !hits.is_empty()) else { return Ok(None) };
    let distinct: BTreeSet<&str> = hits.iter().map(|hit| &*hit.one.name).collect();
    if distinct.len() > 1 {
        let list = distinct.iter().copied().collect::<Vec<_>>().join(", ");
        let why = format!("the project declares several that can bring {module}: {list}; install the one that is meant");
        return Err(Declined { why, detail: json!({ "reason": "several", "candidates": distinct }) });
    }
    best(module, hits).map(Some)
}

fn hits<'a>(prefix: &str, sources: &'a [Source]) -> Vec<Chosen<'a>> {
    let (same, vetted) = (names::normalised(prefix), names::vetted(prefix));
    let all = sources.iter().flat_map(|source| source.all.iter().map(move |one| Chosen { source, one }));
    all.filter(|chosen| chosen.one.name == same || vetted.contains(&&*chosen.one.name)).collect()
}

/// The nearest file counts; of those in one folder a lock, then hashes, then an exact version.
fn best<'a>(module: &str, hits: Vec<Chosen<'a>>) -> Result<Chosen<'a>, Declined> {
    let why_not = |hit: &Chosen<'_>| match (&hit.one.refusal, &hit.source.refusal) {
        (Some(refusal), _) => Some((refusal.0, refusal.1.clone())),
        (None, Some(why)) => Some(("installer", why.clone())),
        (None, None) => python::trusted(&hit.source.file).err().map(|e| ("untrusted", format!("{e:#}"))),
    };
    let (fit, unfit): (Vec<_>, Vec<_>) = hits.into_iter().map(|hit| (why_not(&hit), hit)).partition(|(why, _)| why.is_none());
    let rank = |hit: &Chosen<'_>| (hit.source.distance, !hit.source.is_lock, hit.one.hashes.is_empty(), !hit.one.is_exact);
    match (fit.into_iter().map(|(_, hit)| hit).min_by_key(rank), unfit.into_iter().next()) {
        (Some(hit), _) => Ok(hit),
        (None, Some((Some((reason, why)), hit))) => {
            Err(refused(reason, format!("{} brings {module}, as {} says, but {why}", hit.one.name, shown(&hit.one.file))))
        }
        _ => Err(refused("unknown", format!("nothing brings {module}"))),
    }
}

impl Chosen<'_> {
    /// With hashes an installer wants one of everything that it installs, so that what goes with it is named as well.
    ///
    /// # Errors
    /// What goes with it comes from elsewhere.
    pub(super) fn lines(&self) -> Result<Lines, Declined> {
        let with: Vec<&Declared> = match (self.source.is_lock, self.source.hashed) {
            (true, _) => self.closure(),
            (false, true) => self.source.all.iter().filter(|one| one.refusal.is_none()).collect(),
            (false, false) => vec![self.one],
        };
        if self.source.is_lock && with.iter().any(|one| one.index != self.one.index) {
            let why = format!("{} takes what goes with {} from several indexes; run its own tool", shown(&self.source.file), self.one.name);
            return Err(refused("several-indexes", why));
        }
        let options = self.source.options.iter().filter(|option| self.one.index.is_none() || !option.starts_with("--index-url"));
        let mut requirements: Vec<String> = options.chain(&self.one.index).cloned().collect();
        let mut limits = self.source.limits.clone();
        if self.source.hashed {
            requirements.extend(with.iter().map(|one| one.full()));
        } else {
            requirements.push(self.one.line.clone());
            // What else the project declares is not to come in another version, nor to be brought to one.
            let others = if self.source.is_lock { with } else { self.source.all.iter().filter(|one| one.refusal.is_none()).collect() };
            limits.extend(others.iter().filter(|one| one.name != self.one.name).filter_map(|one| one.limit()));
        }
        Ok(Lines { requirements, limits, hashed: self.source.hashed, is_whole: self.source.hashed && !self.source.is_lock })
    }

    /// It and all that a lock says it needs, and what those need.
    fn closure(&self) -> Vec<&Declared> {
        let (mut names, mut left) = (BTreeSet::from([&*self.one.name]), vec![self.one]);
        while let Some(one) = left.pop() {
            let needs =
                one.needs.iter().filter_map(|name| self.source.all.iter().find(|other| other.name == *name && other.refusal.is_none()));
            left.extend(needs.filter(|other| names.insert(&other.name)).collect::<Vec<_>>());
        }
        self.source.all.iter().filter(|one| names.contains(&*one.name) && one.refusal.is_none()).collect()
    }
}

/// The distribution of the vetted map that may be installed although nothing declares it.
///
/// # Errors
/// None may.
pub(super) fn allowed(module: &str, allow_new: &[String], sources: &[Source]) -> Result<&'static str, Declined> {
    let vetted = names::vetted_for(module);
    let wanted: BTreeSet<String> = allow_new.iter().map(|name| names::normalised(name)).collect();
    let mut named = vetted.iter().filter(|name| wanted.contains(**name));
    match (named.next(), named.next()) {
        (Some(name), None) => return Ok(name),
        (Some(_), Some(_)) => return Err(refused("several", format!("--allow-new names several that bring {module}; name one"))),
        (None, _) => {}
    }
    let near = near::misses(module, sources.iter().flat_map(|source| &source.all).map(|one| &*one.name));
    let hint = if near.is_empty() { String::new() } else { format!("; of what it declares, near to it are: {}", near.join(", ")) };
    if vetted.is_empty() {
        let why = format!("nothing that the project declares is known to bring {module}, and an unknown name is never installed{hint}");
        return Err(Declined { why, detail: json!({ "reason": "unknown", "near": near }) });
    }
    let list = vetted.join(", ");
    let why = format!(
        "the project does not declare what brings {module}: {list}; declare it, or allow it once by --allow-new {}{hint}",
        vetted[0]
    );
    Err(Declined { why, detail: json!({ "reason": "undeclared", "candidates": vetted, "near": near }) })
}
