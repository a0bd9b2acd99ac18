//! `snapshot restore`: a transaction. Everything is made aside and checked before anything is changed; then name by name is exchanged, and
//! whatever goes wrong takes all of it back.

mod back;
mod commit;
mod content;
mod ground;
mod hooks;
mod journal;
mod plan;
mod recover;
mod reload;
mod removal;
mod safety;
mod spared;
mod stage;
mod tell;
mod traits;

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

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

use crate::capture::roots::real;
pub(crate) use crate::restore::ground::Ground;
use crate::restore::ground::{Identity, Live};
pub(crate) use crate::restore::journal::is_ours;
use crate::restore::journal::{Journal, Place, Stage, Touch};
use crate::restore::plan::{Change, Plan, Wish};
pub(crate) use crate::restore::recover::{Asked, is_interrupted, recover};
pub(crate) use crate::restore::safety::SAFETY;
use crate::restore::stage::{Aside, Stager};
use crate::restore::tell::{Ending, Teller};
use crate::restore::traits::{Power, Traits};
use crate::store::manifest::{Kind, Manifest};
use crate::store::seal::Recipients;
use crate::store::{Store, names};

const VERB: &str = "restore";
/// The clock of a file system is behind by as much, at most.
const TICK: Duration = Duration::from_millis(20);

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
        paths: options.paths.iter().map(|path| crate::look::held(&manifest, path)).collect::<anyhow::Result<_>>()?,
        to: options.to.as_deref().map(|to| destination(to, store)).transpose()?,
        exact: options.exact,
        ..Wish::all(&manifest, Power::ours(options.keep_setuid))
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
    let mut restore = Restore {
        store,
        manifest: &manifest,
        ground: &ground,
        power,
        plan: &plan,
        recipients,
        safety: None,
        spared: Vec::new(),
        untidy: None,
    };
    let outcome = act(&mut teller, &mut restore, &mut Audit::open(&state.open()?)?)?;
    let told = teller.told;
    let well = outcome != Outcome::Done || hooks::run(out, &hooks, &told)?;
    Ok(if outcome == Outcome::Done && well { Exit::Done } else { Exit::Bad })
}

/// Whether everything that a snapshot holds is as it was, and nothing is there besides: the first path that is not, and how many more.
///
/// # Errors
/// It cannot be compared with what is there.
pub(crate) fn is_back(store: &Store, manifest: &Manifest) -> anyhow::Result<Option<(PathBuf, usize)>> {
    // Whatever the caller may give: owners and modes count.
    let wish = Wish { exact: true, ..Wish::all(manifest, Power { root: true, setuid: true }) };
    let plan = plan::plan(&wish, &Ground::default(), store)?;
    let others = plan.left.iter().map(|(path, _)| path.as_path());
    // What is not seen is not known to be as it was.
    let unseen = manifest.entries.iter().filter(|entry| entry.kind == Kind::Folder && !entry.complete).map(|entry| entry.path.as_path());
    // A link on the way that leads elsewhere by now.
    let moved =
        manifest.header.roots.iter().filter(|root| real(root.path.as_path()) != root.real.as_path()).map(|root| root.path.as_path());
    let mut differing = plan.changes().map(|step| step.path.as_path()).chain(others).chain(unseen).chain(moved);
    Ok(differing.next().map(Path::to_owned).map(|first| (first, differing.count())))
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
    let safety = restore.safety.as_ref().map(|safety| safety.header.id.clone());
    let summary = teller.summary(&Ending { outcome, why, safety, took_ms, spared: std::mem::take(&mut restore.spared) });
    let rendered = teller.out.render(KIND, about, &summary)?;
    let audited = audit.append(&rendered.line);
    told?;
    teller.told.extend_from_slice(&rendered.line);
    teller.out.write(&rendered)?;
    // What is done is done, whether or not that can be written down.
    if let Err(e) = audited {
        teller.out.error("audit.failed", about, None, &format!("the audit log lacks how this ended: {e:#}"))?;
    }
    if let Some(why) = restore.untidy.take() {
        let text = format!("what was replaced could not be removed, and the next run tries again: {why}");
        teller.out.error("restore.untidy", about, None, &text)?;
    }
    Ok(outcome)
}

fn since_1970(time: SystemTime) -> anyhow::Result<(i64, i64)> {
    let since = time.duration_since(UNIX_EPOCH).context("the clock is before 1970")?;
    Ok((i64::try_from(since.as_secs())?, since.subsec_nanos().into()))
}

/// A restore in hand.
struct Restore<'a> {
    store: &'a Store,
    manifest: &'a Manifest,
    ground: &'a Ground,
    power: Power,
    plan: &'a Plan<'a>,
    recipients: Recipients,
    /// What was replaced.
    safety: Option<Manifest>,
    /// Where what somebody wrote to what was replaced is now.
    spared: Vec<PathBuf>,
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
        journal.safety = self.safety.as_ref().map(|safety| safety.header.id.clone());
        journal.around = self.around(&journal.touches)?;
        journal.folders = self.folders()?;
        journal.home = Some(Identity::of(&self.store.journal())?);
        // From here on the first signal waits for the way back.
        let _hold = signal::hold()?;
        journal.write(&self.store.journal())?;
        match self.go(&mut journal, &aside) {
            Ok(()) => {
                let tidied = back::tidy(&journal, self.ground).and_then(|spared| journal.end(&self.store.journal()).map(|()| spared));
                match tidied {
                    Ok(spared) => self.spared = spared,
                    Err(e) => self.untidy = Some(format!("{e:#}")),
                }
                Ok(())
            }
            Err(e) => match back::undo(&journal, self.ground, self.power) {
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
        let before_the_look = SystemTime::now().checked_sub(TICK).context("the clock is at its beginning")?;
        commit::old_is_untouched(journal, &before, self.ground)?;
        self.trees_are_kept(journal)?;
        journal.compared = Some(since_1970(before_the_look)?);
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

    /// What is given in place: traits that differ, and the times of folders that the restore works in.
    fn touches(&self) -> anyhow::Result<Vec<Touch>> {
        let (mut touches, worked_in) = (Vec::new(), self.worked_in());
        // Folders come after what is in them.
        for step in self.plan.steps.iter().rev().filter(|step| !step.within) {
            let (Some(entry), Some(live)) = (step.entry, &step.before) else { continue };
            let folder = entry.kind == Kind::Folder && live.kind == Kind::Folder;
            // The time of somebody else's folder is not ours to give.
            if step.change != Change::Traits && !self.is_ours_to_touch(live) {
                continue;
            }
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

    fn is_ours_to_touch(&self, live: &Live) -> bool {
        self.power.root || live.uid == rustix::process::geteuid().as_raw()
    }

    /// The folders that the restore works in and leaves as they become.
    fn around(&self, touches: &[Touch]) -> anyhow::Result<Vec<Touch>> {
        let done: HashSet<&Path> = touches.iter().map(|touch| touch.path.as_path()).collect();
        let mut around = Vec::new();
        for folder in self.worked_in().into_iter().filter(|folder| !done.contains(folder) && folder.parent().is_some()) {
            if let Some(live) = self.ground.live(folder)?.filter(|live| self.is_ours_to_touch(live)) {
                let old = Traits::live(folder, &live).with_context(|| format!("cannot look at {}", shown(folder)))?;
                around.push(Touch { path: Subject::from(folder), identity: live.identity, new: old.clone(), old });
            }
        }
        Ok(around)
    }

    /// The same folders, so that they can be told from others at their paths.
    fn folders(&self) -> anyhow::Result<Vec<Place>> {
        let of = |folder: &Path| {
            let open = self.ground.folder(folder)?;
            Ok(Place { path: Subject::from(folder), identity: ground::open(&*open)?.identity, born: ground::born(&open) })
        };
        self.worked_in().into_iter().map(of).collect()
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
