//! `repair`: each registry under its lock, judged once more with what tmux runs at that moment, and rewritten where anything differs.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use contract::action::{Action, KIND, Outcome};
use contract::audit::Audit;
use contract::lock;
use contract::output::Output;
use contract::path::{Subject, shown};
use contract::record::About;
use contract::run::Exit;
use contract::{signal, state};
use serde_json::{Map, Value, json};

use crate::agent::Court;
use crate::arguments::{Act, Rules};
use crate::judge::{self, Judgement, Shape};
use crate::registry::{self, Changed, Held};
use crate::tasks::{Patience, Tasks};
use crate::tmux::{self, Servers, Sight};
use crate::{places, probe};

const VERB: &str = "repair";
/// How long the registries of tasks are waited for while the global one is locked.
const UNDER_LOCK: Duration = Duration::from_secs(1);
/// So many agents may be ended whatever the others do.
const FEW: usize = 5;

/// What a run mends with.
pub(crate) struct Shop<'a> {
    pub(crate) servers: &'a Servers,
    pub(crate) state: &'a state::Options,
    pub(crate) rules: Rules,
    pub(crate) act: Act,
    /// Somebody says that most agents may really be gone.
    pub(crate) all_gone: bool,
}

/// How a run went.
#[derive(Default)]
pub(crate) struct Tally {
    failed: bool,
    busy: bool,
}

impl Tally {
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self { failed: true, .. } => Exit::Bad,
            Self { busy: true, .. } => Exit::Busy,
            _ => Exit::Done,
        }
    }
}

/// Mends registries, or says what that would change.
///
/// # Errors
/// The brake holds, or nothing can be written.
pub(crate) fn run(out: &mut Output, registries: &[PathBuf], shop: &Shop<'_>) -> anyhow::Result<Tally> {
    let sight = tmux::look(shop.servers);
    probe::blind(out, &sight)?;
    // Whoever cannot see who is alive mends nothing, not even a number.
    if !sight.unseen.is_empty() {
        return Ok(Tally::default());
    }
    let judged = Judged::all(registries, &sight, shop.rules);
    if let Some(why) = judged.brake.filter(|_| !shop.all_gone) {
        anyhow::ensure!(!shop.act.force, why);
        out.hint(&why);
    }
    let (torn, whole): (Vec<&PathBuf>, Vec<&PathBuf>) = registries.iter().partition(|path| judged.torn.contains(*path));
    let mut audit = if shop.act.force { Some(Audit::open(&shop.state.open()?)?) } else { None };
    let mut tally = Tally::default();
    // Those that have to be waited for keep no other from being mended.
    for path in whole.into_iter().chain(torn) {
        anyhow::ensure!(!signal::interrupted(), "interrupted");
        let subject = Subject::from(path);
        let about = About { subject: Some(&subject), ..About::default() };
        let mended = match &mut audit {
            Some(audit) => again(|| act(out, audit, path, &sight, shop, &mut tally)),
            None => plan(out, path, &sight, shop.rules),
        };
        if let Err(e) = mended {
            tally.busy |= e.is::<lock::Held>();
            out.error(registry::code(&e), about, None, &format!("{e:#}"))?;
        }
    }
    Ok(tally)
}

/// Tries once more where somebody came between who takes no lock.
fn again(mut act: impl FnMut() -> anyhow::Result<()>) -> anyhow::Result<()> {
    let mut left = 5;
    loop {
        left -= 1;
        match act() {
            Err(e) if e.is::<Changed>() && left > 0 => {}
            done => return done,
        }
    }
}

/// What is known before anything is mended.
#[derive(Default)]
struct Judged {
    /// Why this may be a mistake: most agents of a workspace would be ended while others are alive, as when something is not seen.
    brake: Option<String>,
    torn: HashSet<PathBuf>,
}

impl Judged {
    fn all(registries: &[PathBuf], sight: &Sight, rules: Rules) -> Self {
        let mut judged = Self::default();
        let mut counts: BTreeMap<(&Path, bool), (usize, usize)> = BTreeMap::new();
        for path in registries {
            match probe::judged(path, sight, rules) {
                Ok(judgement) => {
                    let gone = judgement.changes.iter().filter(|change| change.reason.is_some()).count();
                    // What the global registry has is there twice, and would make few of many.
                    let count = counts.entry((places::workspace(path), judgement.shape == Shape::Global)).or_default();
                    *count = (count.0 + gone, count.1 + judgement.tally.active + gone);
                }
                Err(e) => judged.torn.extend(registry::is_torn_by_a_write(&e).then(|| path.clone())),
            }
        }
        let others_live = sight.all().any(tmux::Session::lives) || counts.values().any(|(gone, active)| active > gone);
        let most = counts.into_iter().find(|(_, (gone, active))| *gone > FEW && gone * 2 > *active && others_live);
        judged.brake = most.map(|((workspace, _), (gone, active))| {
            format!(
                "{gone} of {active} active agents below {} would be ended, while other sessions or agents are alive; add --all-gone if they \
                 really are gone",
                shown(workspace)
            )
        });
        judged
    }
}

fn plan(out: &mut Output, path: &Path, sight: &Sight, rules: Rules) -> anyhow::Result<()> {
    let judgement = match probe::judged(path, sight, rules) {
        Err(e) if registry::is_torn_by_a_write(&e) && registry::remains(path).is_ok() => {
            return tell(out, path, &recovery(path, &e, Outcome::Planned));
        }
        judged => judged?,
    };
    if judgement.edits.is_empty() {
        return Ok(());
    }
    let action = Action { outcome: Outcome::Planned, ..action(&judgement) };
    tell(out, path, &action)
}

/// Mends one registry, on record before and after.
fn act(out: &mut Output, audit: &mut Audit, path: &Path, sight: &Sight, shop: &Shop<'_>, tally: &mut Tally) -> anyhow::Result<()> {
    let start = Instant::now();
    let court = |sight| Court::of(path, sight, shop.rules.grace);
    let before = match registry::read(path, shop.rules.wait) {
        Err(e) if registry::is_torn_by_a_write(&e) => return recover(out, audit, path, &e, shop, tally),
        read => read?,
    };
    let tasks = Tasks::of(path, &before, &court(sight), Patience::Each(shop.rules.wait))?;
    if judge::judge(path, &before, &tasks, &court(sight))?.edits.is_empty() {
        return Ok(());
    }
    let (mut held, whole) = registry::hold_whole(path, shop.rules.wait)?;
    // An agent may have come since: what tmux runs is asked again while nobody can add one.
    let now = tmux::look(shop.servers);
    probe::blind(out, &now)?;
    if !now.unseen.is_empty() {
        return Ok(());
    }
    let tasks = Tasks::of(path, &whole, &court(&now), Patience::Until(Instant::now() + UNDER_LOCK))?;
    let mut judgement = judge::judge(path, &whole, &tasks, &court(&now))?;
    if judgement.edits.is_empty() {
        return Ok(());
    }
    let planned = action(&judgement);
    let subject = Subject::from(path);
    let about = About { subject: Some(&subject), ..About::default() };
    audit.append(&out.render(KIND, about, &Action { outcome: Outcome::Started, ..planned.clone() })?.line)?;
    let new = std::mem::take(&mut judgement.edits).applied(&whole);
    let is_mended = |text: &str| judge::judge(path, text, &tasks, &court(&now)).is_ok_and(|again| again.edits.is_empty());
    let whole_change = signal::hold()?;
    let written = if is_mended(&new) {
        held.write(whole.as_bytes(), &new)
    } else {
        Err(anyhow::anyhow!("what would be written is not as it should be"))
    };
    let written = match written {
        Err(e) if e.is::<Changed>() => {
            audit.append(&out.render(KIND, about, &Action { outcome: Outcome::Undone, text: format!("{e:#}"), ..planned })?.line)?;
            return Err(e);
        }
        written => written,
    };
    // The same check that had failed: what it changes must not need changing any more.
    let verified = written.is_ok() && held.text().is_ok_and(|text| is_mended(&text));
    let locked_ms = held.since().as_micros().div_ceil(1000);
    drop((held, whole_change));
    let took_ms = u64::try_from(start.elapsed().as_millis()).ok();
    let mut ended = ended(planned, written, verified, took_ms);
    if let Some(detail) = ended.detail.as_mut().and_then(Value::as_object_mut) {
        detail.insert("locked_ms".to_owned(), json!(u64::try_from(locked_ms).unwrap_or(u64::MAX)));
    }
    tally.failed |= ended.outcome != Outcome::Done;
    conclude(out, audit, path, &ended)
}

fn ended(planned: Action, written: anyhow::Result<PathBuf>, verified: bool, took_ms: Option<u64>) -> Action {
    match written {
        Ok(copy) if verified => {
            Action { outcome: Outcome::Done, changed: true, verified, undo: Some(Subject::from(&copy)), took_ms, ..planned }
        }
        Ok(copy) => {
            let text = "it was written and is still not as it should be".to_owned();
            Action { outcome: Outcome::Failed, changed: true, text, undo: Some(Subject::from(&copy)), took_ms, ..planned }
        }
        Err(e) => Action { outcome: Outcome::Failed, text: format!("{e:#}"), took_ms, ..planned },
    }
}

/// Brings a torn registry back: what stands whole at its beginning, else the newest copy of it that is whole.
fn recover(
    out: &mut Output,
    audit: &mut Audit,
    path: &Path,
    why: &anyhow::Error,
    shop: &Shop<'_>,
    tally: &mut Tally,
) -> anyhow::Result<()> {
    let planned = recovery(path, why, Outcome::Started);
    let mut held: Held = registry::hold(path, shop.rules.wait)?;
    if held.text().is_ok() {
        return Ok(());
    }
    let subject = Subject::from(path);
    let about = About { subject: Some(&subject), ..About::default() };
    audit.append(&out.render(KIND, about, &planned)?.line)?;
    let whole_change = signal::hold()?;
    let torn = registry::bytes(&held)?;
    let written = registry::remains(path).and_then(|(_, text)| held.write(&torn, &text));
    let verified = written.is_ok() && held.text().is_ok();
    drop((held, whole_change));
    let ended = ended(planned, written, verified, None);
    tally.failed |= ended.outcome != Outcome::Done;
    conclude(out, audit, path, &ended)
}

fn recovery(path: &Path, why: &anyhow::Error, outcome: Outcome) -> Action {
    let text = match registry::remains(path) {
        Ok((place, _)) => format!("it is torn ({why:#}), and {place} is whole"),
        Err(e) => format!("it is torn ({why:#}), and {e:#}"),
    };
    Action { verb: "recover".to_owned(), outcome, text, ..Action::default() }
}

/// On record, then told.
fn conclude(out: &mut Output, audit: &mut Audit, path: &Path, action: &Action) -> anyhow::Result<()> {
    let subject = Subject::from(path);
    let rendered = out.render(KIND, About { subject: Some(&subject), ..About::default() }, action)?;
    let audited = audit.append(&rendered.line);
    out.write(&rendered)?;
    audited
}

fn tell(out: &mut Output, path: &Path, action: &Action) -> anyhow::Result<()> {
    let subject = Subject::from(path);
    out.emit(KIND, About { subject: Some(&subject), ..About::default() }, action).map(drop)
}

/// What a judgement asks for, in the words of the validator that this replaces.
fn action(judgement: &Judgement) -> Action {
    let gone = judgement.changes.iter().filter(|change| change.reason.is_some()).count();
    let ended = judgement.changes.len() - gone;
    let counted = |count: usize, one: &str, many: &str| format!("{count} {}", if count == 1 { one } else { many });
    let mut words = Vec::new();
    words.extend((gone > 0).then(|| format!("terminated {}", counted(gone, "zombie", "zombies"))));
    words.extend((ended > 0).then(|| format!("ended {} that had come to an end", counted(ended, "agent", "agents"))));
    words.extend(judgement.counts.iter().map(|count| format!("corrected {} ({} -> {})", count.name, count.old, count.new)));
    let detail: Map<String, Value> = [("agents", json!(judgement.changes)), ("counts", json!(judgement.counts))]
        .into_iter()
        .filter(|(_, value)| value.as_array().is_some_and(|list| !list.is_empty()))
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
    Action { verb: VERB.to_owned(), text: words.join(", "), detail: Some(Value::Object(detail)), ..Action::default() }
}
