//! `snapshot restore`: a transaction. Everything is made aside and checked before anything is changed; then name by name is exchanged, and
//! whatever goes wrong takes all of it back.

mod commit;
mod content;
mod ground;
mod hooks;
mod journal;
mod plan;
mod reload;
mod removal;
mod spared;
mod stage;
mod tell;
mod traits;

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Context as _;
use chrono::Utc;
use contract::action::{Action, KIND, Outcome};
use contract::audit::Audit;
use contract::output::Output;
use contract::path::{Subject, shown};
use contract::record::About;
use contract::run::Exit;
use contract::signal;
use contract::state;
use glob::Pattern;

use crate::capture::Trouble;
use crate::capture::roots::{Request, real};
use crate::create::{self, Care, Words};
use crate::restore::ground::{Ground, Identity, Live};
use crate::restore::journal::{Journal, Stage, Touch};
use crate::restore::plan::{Change, Plan, Step, Wish};
use crate::restore::stage::{Aside, Stager};
use crate::restore::tell::{Ending, Teller};
use crate::restore::traits::{Power, Traits};
use crate::store::manifest::{Kind, Manifest};
use crate::store::seal::Recipients;
use crate::store::{Store, names};

const VERB: &str = "restore";
/// The label of the snapshots that a restore makes of what it replaces.
pub(crate) const SAFETY: &str = "auto-before-restore";
/// Up to so many paths are named one by one in that snapshot.
const NAMED: usize = 1000;

/// What a person asks for.
#[derive(Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub(crate) struct Options {
    pub(crate) paths: Vec<PathBuf>,
    pub(crate) to: Option<PathBuf>,
    pub(crate) exact: bool,
    pub(crate) force: bool,
    pub(crate) keep_setuid: bool,
    /// Tell of what stays as it is, too.
    pub(crate) unchanged: bool,
    /// Show what changes in text files.
    pub(crate) text: bool,
    /// A folder of programs to run afterwards.
    pub(crate) hooks: Option<PathBuf>,
    /// Who alone may read what is replaced.
    pub(crate) recipients: Recipients,
}

/// Restores a snapshot, or says what that would change.
///
/// # Errors
/// There is no such snapshot, or it cannot be compared with what is there.
pub(crate) fn run(out: &mut Output, store: &Store, state: &state::Options, name: &str, options: &Options) -> anyhow::Result<Exit> {
    let header = names::find(store, name)?;
    let hooks = options.hooks.as_deref().map(hooks::find).transpose()?.unwrap_or_default();
    let _alone = if options.force { Some(store.restore_alone()?) } else { None };
    let _lock = store.share()?;
    let manifest = store.read(&header.id)?;
    let ground = Ground::default();
    let wish = Wish {
        manifest: &manifest,
        paths: options.paths.iter().map(|path| crate::look::held(&manifest, path)).collect::<anyhow::Result<_>>()?,
        to: options.to.as_deref().map(|to| destination(to, store)).transpose()?,
        exact: options.exact,
        // A glob that nobody can read any more leaves out nothing.
        excluded: manifest.header.excluded.iter().filter_map(|glob| Pattern::new(glob).ok()).collect(),
        power: Power::ours(options.keep_setuid),
    };
    let plan = plan::plan(&wish, &ground, store)?;
    let mut teller = Teller { out, store, plan: &plan, options, told: Vec::new() };
    if !options.force {
        teller.steps(Outcome::Planned)?;
        let summary = teller.summary(&Ending { outcome: Outcome::Planned, ..Ending::default() });
        return teller.put(&Subject::from(header.id.as_str()), &summary).map(|()| Exit::Done);
    }
    // What was a secret then may be one now.
    let recipients = options.recipients.and(&Recipients::parse(&manifest.header.sealed_to)?);
    let power = wish.power;
    let mut restore = Restore { store, manifest: &manifest, ground: &ground, power, plan: &plan, recipients, safety: None, untidy: None };
    let outcome = act(&mut teller, &mut restore, &mut Audit::open(&state.open()?)?)?;
    let told = teller.told;
    let well = outcome != Outcome::Done || hooks::run(out, &hooks, &told)?;
    Ok(if outcome == Outcome::Done && well { Exit::Done } else { Exit::Bad })
}

/// A folder that is named, its links followed: whoever names it knows it.
fn destination(to: &Path, store: &Store) -> anyhow::Result<PathBuf> {
    let to = contract::path::absolute(to)?;
    let to = to.canonicalize().unwrap_or_else(|_| real(&to));
    let first = to.ancestors().find_map(|above| above.metadata().ok().map(|meta| (above, meta)));
    if let Some((above, _)) = first.filter(|(_, meta)| !meta.is_dir()) {
        anyhow::bail!("{} is no folder; name another one with --to", shown(above));
    }
    anyhow::ensure!(!store.holds(&to), "{} is in the store itself; name another folder with --to", shown(&to));
    Ok(to)
}

/// Makes the restore, on record before and after.
fn act(teller: &mut Teller<'_>, restore: &mut Restore<'_>, audit: &mut Audit) -> anyhow::Result<Outcome> {
    let start = Instant::now();
    let subject = Subject::from(restore.manifest.header.id.as_str());
    let about = About { subject: Some(&subject), ..About::default() };
    let started = Action { verb: VERB.to_owned(), outcome: Outcome::Started, ..Action::default() };
    audit.append(&teller.out.render(KIND, about, &started)?.line)?;
    let result = restore.make();
    let outcome = match &result {
        Ok(()) => Outcome::Done,
        Err(_) if signal::interrupted() => Outcome::Cancelled,
        Err(_) => Outcome::Failed,
    };
    // A reader that cannot be told of the paths is no reason to leave the record of the whole out.
    let told = teller.steps(outcome);
    let why = result.err().map(|e| format!("{e:#}"));
    let took_ms = u64::try_from(start.elapsed().as_millis()).ok();
    let summary = teller.summary(&Ending { outcome, why, safety: restore.safety.clone(), took_ms });
    let rendered = teller.out.render(KIND, about, &summary)?;
    audit.append(&rendered.line)?;
    told?;
    teller.told.extend_from_slice(&rendered.line);
    teller.out.write(&rendered)?;
    if let Some(why) = restore.untidy.take() {
        let text = format!("what was replaced could not be removed, and the next run tries again: {why}");
        teller.out.error("restore.untidy", about, None, &text)?;
    }
    Ok(outcome)
}

/// Ends every restore that a crash interrupted: takes it back, or tidies up behind one that was through.
///
/// # Errors
/// One cannot be ended; its journal stays.
pub(crate) fn recover(out: &mut Output, store: &Store, state: &state::Options) -> anyhow::Result<bool> {
    let _alone = store.restore_alone()?;
    let mut over = true;
    for journal in journal::all(&store.journal())? {
        let ground = Ground::default();
        let ended = end(&journal, &ground, store);
        let (outcome, text) = match (&ended, journal.stage) {
            (Ok(_), Stage::Committed) => (Outcome::Done, "a run died at the end of this restore; it is complete".to_owned()),
            (Err(e), Stage::Committed) => {
                out.hint(&format!("the restore of {} is complete, and what it replaced cannot be removed yet: {e:#}", journal.snapshot));
                continue;
            }
            (Ok(kept), _) => (
                Outcome::Undone,
                format!("a run died in the middle of this restore; everything is as it was before{}", spared::words(kept)),
            ),
            (Err(e), _) => (Outcome::Failed, format!("a run died in the middle of this restore, and it cannot be taken back yet: {e:#}")),
        };
        over &= ended.is_ok();
        let subject = Subject::from(journal.snapshot.as_str());
        let undo = journal.safety.as_deref().map(Subject::from);
        let action = Action {
            verb: VERB.to_owned(),
            outcome,
            changed: outcome == Outcome::Done,
            verified: ended.is_ok(),
            text,
            undo,
            detail: ended.ok().and_then(|kept| spared::detail(&kept)),
            ..Action::default()
        };
        let rendered = out.render(KIND, About { subject: Some(&subject), ..About::default() }, &action)?;
        Audit::open(&state.open()?)?.append(&rendered.line)?;
        out.write(&rendered)?;
    }
    Ok(over)
}

fn end(journal: &Journal, ground: &Ground, store: &Store) -> anyhow::Result<Vec<PathBuf>> {
    let spared = match journal.stage {
        Stage::Committed => commit::tidy(journal, ground).map(|()| Vec::new())?,
        Stage::Staging | Stage::Committing => commit::undo(journal, ground, Power::ours(false))?,
    };
    journal.end(&store.journal()).map(|()| spared)
}

/// Whether a restore was interrupted.
pub(crate) fn is_interrupted(store: &Store) -> anyhow::Result<bool> {
    Ok(!journal::all(&store.journal())?.is_empty())
}

/// A restore in hand.
struct Restore<'a> {
    store: &'a Store,
    manifest: &'a Manifest,
    ground: &'a Ground,
    power: Power,
    plan: &'a Plan<'a>,
    recipients: Recipients,
    safety: Option<String>,
    /// Why what was replaced is still aside.
    untidy: Option<String>,
}

impl Restore<'_> {
    fn make(&mut self) -> anyhow::Result<()> {
        if self.plan.changes().next().is_none() && !self.times_differ()? {
            return Ok(());
        }
        self.keep_what_goes()?;
        let aside = Aside::of(self.plan);
        let touches = self.touches()?;
        let mut journal = Journal::new(names::id(Utc::now()), self.manifest.header.id.clone(), aside.swaps.clone(), touches);
        journal.safety.clone_from(&self.safety);
        journal.around = self.around(&journal.touches)?;
        // From here on the first signal waits for the way back.
        let _hold = signal::hold()?;
        journal.write(&self.store.journal())?;
        match self.go(&mut journal, &aside) {
            Ok(()) => {
                let tidied = commit::tidy(&journal, self.ground).and_then(|()| journal.end(&self.store.journal()));
                self.untidy = tidied.err().map(|e| format!("{e:#}"));
                Ok(())
            }
            Err(e) => match commit::undo(&journal, self.ground, self.power) {
                Ok(kept) => {
                    let text = format!("nothing is restored, and everything is as before{}", spared::words(&kept));
                    journal.end(&self.store.journal()).and(Err(e.context(text)))
                }
                Err(stuck) => Err(e.context(format!("{stuck:#}; the next run, or `snapshot recover`, tries again"))),
            },
        }
    }

    fn go(&self, journal: &mut Journal, aside: &Aside) -> anyhow::Result<()> {
        let folder = self.store.journal();
        let contents = self.store.contents()?;
        let named = journal.clone();
        let stager = Stager { ground: self.ground, contents: &contents, power: self.power, aside, name: |number| named.aside(number) };
        stager.make(self.plan)?;
        stager.identities(&mut journal.swaps, self.plan)?;
        journal.stage = Stage::Committing;
        journal.write(&folder)?;
        let before = self.before();
        commit::all(journal, &before, self.ground, self.power)?;
        commit::old_is_untouched(journal, &before, self.ground)?;
        self.trees_are_kept(journal)?;
        commit::sync(journal, self.ground)?;
        commit::verify(journal)?;
        journal.stage = Stage::Committed;
        journal.write(&folder)
    }

    /// What the plan saw at the name of each swap.
    fn before(&self) -> Vec<Option<Live>> {
        let swapped = self.plan.changes().filter(|step| !step.within && step.change != Change::Traits);
        swapped.map(|step| step.before.clone()).collect()
    }

    /// Makes a snapshot of everything that will be touched, and of what is not there.
    fn keep_what_goes(&mut self) -> anyhow::Result<()> {
        let touched: Vec<&Step<'_>> = self.plan.changes().filter(|step| !step.within).collect();
        if touched.iter().all(|step| step.before.is_none()) {
            return Ok(());
        }
        let mut request = Request::default();
        let few = touched.len() <= NAMED;
        if few {
            // With the other names of what goes, so that they can be names of one file again.
            let of_many =
                |step: &&Step<'_>| step.before.as_ref().filter(|live| live.kind == Kind::File && live.names > 1).map(|live| live.identity);
            let shared: HashSet<Identity> = touched.iter().filter_map(of_many).collect();
            let others = self.plan.steps.iter().filter(|step| of_many(step).is_some_and(|identity| shared.contains(&identity)));
            others.chain(touched.iter().copied()).try_for_each(|step| request.add_exactly(&step.path))?;
        } else {
            let tops = self.tops();
            tops.iter().try_for_each(|top| request.add_exactly(top))?;
        }
        let description = Some(format!("before restoring {}", self.manifest.header.id));
        let words = Words { description, label: Some(SAFETY.to_owned()), recipients: self.recipients.clone() };
        let (header, captured) = create::make(self.store, &request, words, if few { Care::ProofOfFew } else { Care::Proof })?;
        // Of a folder that only gets another mode or time, what is in it stays.
        let goes =
            |step: &Step<'_>, path: &Path| if step.change == Change::Traits { path == step.path } else { path.starts_with(&step.path) };
        // A socket or pipe that stands where a file was holds nothing that could be lost.
        let is_empty = |step: &Step<'_>| step.entry.is_some() && step.before.as_ref().is_some_and(|live| live.kind == Kind::Special);
        let loses = |trouble: &Trouble| touched.iter().any(|step| goes(step, &trouble.path) && !is_empty(step));
        if let Some(trouble) = captured.troubles.iter().find(|trouble| loses(trouble)) {
            anyhow::bail!("what would be replaced could not be kept first: {}", trouble.text);
        }
        self.safety = Some(header.id);
        Ok(())
    }

    /// The topmost paths of the plan.
    fn tops(&self) -> Vec<&Path> {
        let mut tops: Vec<&Path> = Vec::new();
        for step in &self.plan.steps {
            if tops.last().is_none_or(|top| !step.path.starts_with(top)) {
                tops.push(&step.path);
            }
        }
        tops
    }

    /// Whole folders that went aside hold only what is in the snapshot of what goes: somebody may have put something into them since.
    fn trees_are_kept(&self, journal: &Journal) -> anyhow::Result<()> {
        let Some(safety) = &self.safety else { return Ok(()) };
        let gone: Vec<usize> = self.swaps_of_folders();
        if gone.is_empty() {
            return Ok(());
        }
        let kept = self.store.read(safety)?;
        for number in gone {
            let swap = &journal.swaps[number];
            let was = swap.folder.as_path().join(swap.name.as_path());
            self.tree_is_kept(&kept, &swap.folder.as_path().join(journal.aside(number)), &was)?;
        }
        Ok(())
    }

    fn swaps_of_folders(&self) -> Vec<usize> {
        let folder = |live: &Option<Live>| live.as_ref().is_some_and(|live| live.kind == Kind::Folder);
        self.before().iter().enumerate().filter(|(_, live)| folder(live)).map(|(number, _)| number).collect()
    }

    fn tree_is_kept(&self, kept: &Manifest, aside: &Path, was: &Path) -> anyhow::Result<()> {
        let live = self.ground.live(aside)?.with_context(|| format!("{} is gone", shown(aside)))?;
        let entry = kept.at(was).with_context(|| format!("somebody made {} meanwhile", shown(was)))?;
        let time = crate::capture::mtime(live.mtime.0, live.mtime.1);
        let still = live.kind == Kind::Folder || entry.size.is_none_or(|size| size == live.size) && entry.mtime.as_ref() == Some(&time);
        anyhow::ensure!(still && entry.kind == live.kind, "somebody changed {} meanwhile", shown(was));
        if live.kind == Kind::Folder {
            for name in plan::names(aside, self.ground)? {
                self.tree_is_kept(kept, &aside.join(&name), &was.join(&name))?;
            }
        }
        Ok(())
    }

    /// What is given in place: traits that differ, and the times of folders that the restore works in.
    fn touches(&self) -> anyhow::Result<Vec<Touch>> {
        let (mut touches, worked_in) = (Vec::new(), self.worked_in());
        // Folders come after what is in them.
        for step in self.plan.steps.iter().rev().filter(|step| !step.within) {
            let (Some(entry), Some(live)) = (step.entry, &step.before) else { continue };
            let folder = entry.kind == Kind::Folder && live.kind == Kind::Folder;
            if step.change != Change::Traits && !(folder && step.change == Change::Unchanged) {
                continue;
            }
            let new = Traits::wanted(entry, self.power)?;
            let old = Traits::live(&step.path, live).with_context(|| format!("cannot look at {}", shown(&step.path)))?;
            if step.change == Change::Traits || old.mtime != new.mtime || worked_in.contains(step.path.as_path()) {
                touches.push(Touch { path: Subject::from(&step.path), identity: live.identity, old, new });
            }
        }
        Ok(touches)
    }

    /// The folders that the restore works in and leaves as they become.
    fn around(&self, touches: &[Touch]) -> anyhow::Result<Vec<Touch>> {
        let done: HashSet<&Path> = touches.iter().map(|touch| touch.path.as_path()).collect();
        let mut around = Vec::new();
        for folder in self.worked_in().into_iter().filter(|folder| !done.contains(folder) && folder.parent().is_some()) {
            if let Some(live) = self.ground.live(folder)? {
                let old = Traits::live(folder, &live).with_context(|| format!("cannot look at {}", shown(folder)))?;
                around.push(Touch { path: Subject::from(folder), identity: live.identity, new: old.clone(), old });
            }
        }
        Ok(around)
    }

    /// The folders in which names change hands.
    fn worked_in(&self) -> HashSet<&Path> {
        let changes = self.plan.changes().filter(|step| !step.within && step.change != Change::Traits);
        changes.filter_map(|step| step.path.parent()).collect()
    }

    fn times_differ(&self) -> anyhow::Result<bool> {
        Ok(!self.touches()?.is_empty())
    }
}
