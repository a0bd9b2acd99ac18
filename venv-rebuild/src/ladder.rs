//! Which rungs answer a verdict, and whether a verdict after the change says that they did.

use std::collections::BTreeSet;

use contract::record::Status;
use contract::venv::{Finding, Probe, Repair};
use serde::Serialize;

/// The rungs, least first.
const LADDER: [Repair; 7] =
    [Repair::Config, Repair::Relink, Repair::Relocate, Repair::Litter, Repair::Pip, Repair::Packages, Repair::Rebuild];

/// A packaged file with other bytes that still make sense: somebody's own change, which is undone only on request.
const MODIFIED: &str = "package-modified";

/// What one rebuild could not bring, and the next would not either.
const MISSING: &str = "packages-missing";

/// Rungs of one attempt: each answers some fault, together they answer all.
pub(crate) type Rungs = BTreeSet<Repair>;

/// Why a rung was not, or not alone, what was done.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Reason {
    /// The rung.
    pub(crate) rung: Repair,
    /// In a person's words.
    pub(crate) why_not: String,
}

/// What a verdict asks for.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    /// To be gone afterwards.
    pub(crate) targets: Vec<Finding>,
    /// For another change after this one, or for nobody but the rebuild.
    others: Vec<Finding>,
    /// What to try first.
    pub(crate) rungs: Rungs,
}

impl Case {
    /// Sorts the faults of a verdict. `full` takes them all for the rebuild; `restore` takes what somebody changed by hand.
    pub(crate) fn of(probe: &Probe, full: bool, restore: bool) -> Self {
        let ours = |fault: &Finding| full || rung(fault).is_some() && (restore || fault.code != MODIFIED);
        let wanted: Vec<&Finding> = probe.faults.iter().filter(|fault| ours(fault)).collect();
        let rungs = if full { Rungs::from([Repair::Rebuild]) } else { first(wanted.iter().filter_map(|fault| rung(fault)).collect()) };
        let now =
            |fault: &Finding| rungs.contains(&Repair::Rebuild) || ours(fault) && rung(fault).is_some_and(|rung| rungs.contains(&rung));
        let (targets, others) = probe.faults.iter().filter(|fault| full || rung(fault).is_some()).cloned().partition(now);
        Self { targets, others, rungs }
    }

    /// What is tried when `rungs` did not help.
    pub(crate) fn above(&self, rungs: &Rungs) -> Option<Rungs> {
        let helps = !rungs.contains(&Repair::Rebuild) && self.targets.iter().any(|fault| fault.code != MISSING);
        helps.then(|| Rungs::from([Repair::Rebuild]))
    }

    /// Takes the rebuild, which answers for every fault that any rung could mend.
    pub(crate) fn climb(&mut self) {
        self.targets.append(&mut self.others);
    }

    /// Why each rung below the highest of `rungs` is not among them; `tried` is what was attempted and did not help.
    pub(crate) fn reasons(&self, rungs: &Rungs, tried: &[Reason], full: bool) -> Vec<Reason> {
        let highest = rungs.last().copied().unwrap_or(Repair::Rebuild);
        let why = |rung: Repair| {
            if full {
                return "--full goes straight to the rebuild".to_owned();
            }
            if let Some(reason) = tried.iter().find(|reason| reason.rung == rung) {
                return reason.why_not.clone();
            }
            self.outdone(rung, highest)
        };
        LADDER
            .into_iter()
            .take_while(|rung| *rung < highest)
            .filter(|rung| !rungs.contains(rung))
            .map(|rung| Reason { rung, why_not: why(rung) })
            .collect()
    }

    fn outdone(&self, lower: Repair, highest: Repair) -> String {
        if self.targets.iter().any(|fault| fault.repair == Some(lower)) {
            return format!("{} brings that too", name(highest));
        }
        match self.targets.iter().find(|fault| fault.repair.is_some_and(|repair| repair > lower)) {
            Some(fault) => format!("it does not mend {}", fault.code),
            None => "no fault asks for it".to_owned(),
        }
    }
}

/// The rung that a fault asks for, if we know it.
fn rung(fault: &Finding) -> Option<Repair> {
    fault.repair.filter(|repair| LADDER.contains(repair))
}

/// A rebuild brings everything. Single files come before whole trees, in a change of their own: they disturb nobody, the rest needs the
/// interpreter that they bring back, and a package that cannot be had must not take them along when it is rolled back.
fn first(rungs: Rungs) -> Rungs {
    if rungs.contains(&Repair::Rebuild) {
        return Rungs::from([Repair::Rebuild]);
    }
    let (files, trees): (Rungs, Rungs) = rungs.into_iter().partition(|rung| *rung <= Repair::Relocate);
    if files.is_empty() { trees } else { files }
}

/// Whether these rungs only replace a few files, one by one, so that nobody who uses the environment is disturbed.
pub(crate) fn is_patch(rungs: &Rungs) -> bool {
    rungs.iter().all(|rung| *rung <= Repair::Relocate)
}

/// The name of a rung, as on the wire.
pub(crate) fn name(rung: Repair) -> &'static str {
    match rung {
        Repair::Config => "config",
        Repair::Relink => "relink",
        Repair::Relocate => "relocate",
        Repair::Litter => "litter",
        Repair::Pip => "pip",
        Repair::Packages => "packages",
        Repair::Rebuild | Repair::Other => "rebuild",
    }
}

/// What the probe after a change means.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// Every target is gone and nothing came of the change; what a dead interpreter hid may have come to light, for another change.
    Mended,
    /// It did not help.
    Not(String),
}

/// Compares two verdicts on one environment, before and after a change by `rungs`.
pub(crate) fn judge(case: &Case, rungs: &Rungs, before: &Probe, after: &Probe) -> Verdict {
    if after.status == Status::Unknown {
        return Verdict::Not(format!("it could not be judged afterwards: {}", worst(after)));
    }
    let must_go = |target: &Finding| target.severity == Some(Status::Broken) || rung(target).is_some();
    if let Some(fault) = after.faults.iter().find(|fault| case.targets.iter().any(|target| must_go(target) && same(target, fault))) {
        return Verdict::Not(format!("{} is still there afterwards: {}", fault.code, fault.text));
    }
    let fresh = after.faults.iter().filter(|fault| !before.faults.iter().any(|old| same(old, fault)));
    match fresh.into_iter().find(|fault| is_our_doing(fault, rungs, before, after)) {
        Some(fault) => Verdict::Not(format!("{} came with it: {}", fault.code, fault.text)),
        None => Verdict::Mended,
    }
}

/// Where an interpreter came to life, faults that it hid come to light; those of the rungs just done, and those of an environment that
/// worked before, did not come from there. What only a deeper look than the first one shows (a conflict, drift) may have been there.
fn is_our_doing(fault: &Finding, rungs: &Rungs, before: &Probe, after: &Probe) -> bool {
    let is_broken = fault.severity == Some(Status::Broken);
    let answered = rung(fault).is_some_and(|rung| rungs.contains(&rung) || rungs.contains(&Repair::Rebuild));
    let revived =
        before.status == Status::Broken && rungs.iter().any(|rung| matches!(rung, Repair::Config | Repair::Relink | Repair::Rebuild));
    if revived { answered } else { is_broken || rung(fault).is_some() || before.level == after.level }
}

/// Whether two findings are of one fault, seen twice.
fn same(a: &Finding, b: &Finding) -> bool {
    a.code == b.code
        && a.package.as_ref().map(|p| &p.name) == b.package.as_ref().map(|p| &p.name)
        && a.repair.is_some() == b.repair.is_some()
}

/// The worst fault in a few words.
pub(crate) fn worst(probe: &Probe) -> String {
    probe.faults.first().map_or_else(|| "the probe gives no reason".to_owned(), |fault| fault.text.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn probe(status: &str, faults: &[(&str, &str, Option<&str>)]) -> Probe {
        let faults: Vec<_> = faults
            .iter()
            .map(|(code, severity, repair)| match repair {
                Some(repair) => serde_json::json!({"code": code, "severity": severity, "text": "t", "repair": repair}),
                None => serde_json::json!({"code": code, "severity": severity, "text": "t"}),
            })
            .collect();
        serde_json::from_value(serde_json::json!({
            "status": status, "layout": "venv", "level": "default", "proof": {"by": "files"}, "faults": faults, "took_ms": 1
        }))
        .unwrap()
    }

    #[test]
    fn a_rebuild_answers_for_what_was_changed_by_hand_too() {
        let gone =
            probe("broken", &[("site-packages-missing", "broken", Some("rebuild")), ("package-modified", "degraded", Some("packages"))]);
        let after = probe("degraded", &[("package-modified", "degraded", Some("packages"))]);
        assert_eq!(verdict(&gone, &after), "package-modified is still there afterwards: t");
    }

    fn rungs_of(probe: &Probe, full: bool, restore: bool) -> Vec<Repair> {
        Case::of(probe, full, restore).rungs.into_iter().collect()
    }

    #[test]
    fn the_union_of_the_cheapest_is_tried_first() {
        let two = probe("broken", &[("interpreter-missing", "broken", Some("relink")), ("moved", "degraded", Some("relocate"))]);
        assert_eq!(rungs_of(&two, false, false), [Repair::Relink, Repair::Relocate]);
        let all = probe("broken", &[("site-packages-missing", "broken", Some("rebuild")), ("moved", "degraded", Some("relocate"))]);
        assert_eq!(rungs_of(&all, false, false), [Repair::Rebuild]);
        assert_eq!(rungs_of(&two, true, false), [Repair::Rebuild]);
    }

    #[test]
    fn what_somebody_changed_is_not_undone_unasked() {
        let patched = probe("degraded", &[("package-modified", "degraded", Some("packages"))]);
        assert!(rungs_of(&patched, false, false).is_empty());
        assert_eq!(rungs_of(&patched, false, true), [Repair::Packages]);
    }

    fn verdict(before: &Probe, after: &Probe) -> String {
        let case = Case::of(before, false, false);
        match judge(&case, &case.rungs, before, after) {
            Verdict::Mended => "mended".into(),
            Verdict::Not(why) => why,
        }
    }

    #[test]
    fn only_a_check_that_passes_is_a_repair() {
        let before = probe("broken", &[("interpreter-missing", "broken", Some("relink"))]);
        assert_eq!(verdict(&before, &probe("healthy", &[])), "mended");
        assert_eq!(verdict(&before, &before), "interpreter-missing is still there afterwards: t");
        assert_eq!(verdict(&before, &probe("unknown", &[])), "it could not be judged afterwards: the probe gives no reason");
        assert_eq!(verdict(&before, &probe("degraded", &[("pip-missing", "degraded", Some("pip"))])), "mended");
        assert_eq!(
            verdict(&before, &probe("broken", &[("minor-version-moved", "broken", Some("relink"))])),
            "minor-version-moved came with it: t"
        );
        assert_eq!(verdict(&before, &probe("degraded", &[("startup-raises", "degraded", None)])), "mended");
    }

    #[test]
    fn a_living_environment_is_not_made_worse() {
        let moved = probe("degraded", &[("moved", "degraded", Some("relocate"))]);
        let dead = probe("broken", &[("interpreter-fails", "broken", Some("relink"))]);
        assert_eq!(verdict(&moved, &dead), "interpreter-fails came with it: t");
        let before = probe("degraded", &[("pip-missing", "degraded", Some("pip"))]);
        assert_eq!(verdict(&before, &probe("broken", &[("startup-hangs", "broken", None)])), "startup-hangs came with it: t");
        assert_eq!(verdict(&before, &probe("degraded", &[("drift-version", "degraded", None)])), "drift-version came with it: t");
        let drifted = probe("degraded", &[("pip-missing", "degraded", Some("pip")), ("drift-version", "degraded", None)]);
        assert_eq!(verdict(&drifted, &probe("degraded", &[("drift-version", "degraded", None)])), "mended");
    }

    #[test]
    fn what_no_rung_mends_need_not_be_gone_after_a_rebuild_that_somebody_wants() {
        let drifted = probe("degraded", &[("drift-version", "degraded", None)]);
        let case = Case::of(&drifted, true, false);
        assert!(matches!(judge(&case, &case.rungs, &drifted, &drifted), Verdict::Mended));
    }

    #[test]
    fn every_rung_below_has_its_reason() {
        let case = Case::of(&probe("degraded", &[("pip-missing", "degraded", Some("pip"))]), false, false);
        let reasons = case.reasons(&case.rungs, &[], false);
        assert_eq!(reasons.iter().map(|r| r.rung).collect::<Vec<_>>(), [Repair::Config, Repair::Relink, Repair::Relocate, Repair::Litter]);
        assert_eq!(reasons[0].why_not, "it does not mend pip-missing");
    }
}
