//! Records in, records out: everything is passed on in order, and what was done about it stands right behind.

use std::collections::{HashSet, VecDeque};
use std::path::PathBuf;
use std::thread::{self, Scope, ScopedJoinHandle};

use anyhow::Context as _;
use contract::diagnosis;
use contract::input::{self, Line};
use contract::path::absolute;
use contract::progress::Progress;
use contract::record::{About, Fault, Record};
use contract::run::Exit;
use contract::signal;
use contract::venv::KIND;

use crate::mend;
use crate::patient::{self, Patient};
use crate::session::{Session, Tally, Told};

const USAGE: &str = "pipe the records of venv-probe in, or name environments";

/// Trees are gone through folder by folder, each within the last; a tree of thousands of levels must fail and not end everything. The
/// system gives only what is used of it.
const STACK: usize = 256 << 20;

/// Mends what the records on stdin, or the environments at or below `paths`, ask for.
///
/// # Errors
/// Nothing can be read or written, or `venv-probe` cannot be asked.
pub(crate) fn run(session: &Session<'_>, paths: &[PathBuf]) -> anyhow::Result<Exit> {
    let progress = Progress::start(env!("CARGO_PKG_NAME"), "environments");
    let mut ward = Ward { session, progress, tally: Tally::default(), seen: HashSet::new() };
    thread::scope(|scope| {
        let mut queue = VecDeque::new();
        if paths.is_empty() { ward.records(scope, &mut queue) } else { ward.paths(scope, &mut queue, paths) }?;
        while let Some(item) = queue.pop_front() {
            ward.deliver(item)?;
        }
        anyhow::Ok(())
    })?;
    Ok(if session.force.is_some() { ward.tally.exit() } else { Exit::Done })
}

/// What waits for its turn on stdout.
enum Item<'scope> {
    Pass(String),
    Bad(u64, String),
    Treatment(ScopedJoinHandle<'scope, anyhow::Result<Vec<Told>>>),
}

type Queue<'scope> = VecDeque<Item<'scope>>;

struct Ward<'a, 's> {
    session: &'a Session<'s>,
    progress: Progress,
    tally: Tally,
    seen: HashSet<PathBuf>,
}

impl<'a> Ward<'a, '_> {
    fn records<'scope>(&mut self, scope: &'scope Scope<'scope, 'a>, queue: &mut Queue<'scope>) -> anyhow::Result<()> {
        for line in input::stdin(USAGE)? {
            match line? {
                Line::Record(record, raw) => {
                    queue.push_back(Item::Pass(raw));
                    for patient in self.patients(&record)? {
                        self.admit(scope, queue, patient)?;
                    }
                }
                Line::Other { number, why, .. } => queue.push_back(Item::Bad(number, why)),
            }
            self.make_room(queue)?;
            if signal::interrupted() {
                break;
            }
        }
        Ok(())
    }

    fn paths<'scope>(&mut self, scope: &'scope Scope<'scope, 'a>, queue: &mut Queue<'scope>, paths: &[PathBuf]) -> anyhow::Result<()> {
        let paths = paths.iter().map(|path| absolute(path)).collect::<Result<Vec<_>, _>>()?;
        // What somebody changed by hand shows in a deep look alone.
        let (patients, faults) = patient::judged(&paths, self.session.options.restore)?;
        self.report(&faults)?;
        self.progress.found(patients.len() as u64);
        for mut patient in patients {
            // The verdict was asked for here and is on no stream that a reader could look it up in.
            patient.matter.cause.clear();
            self.admit(scope, queue, patient)?;
            if signal::interrupted() {
                break;
            }
        }
        Ok(())
    }

    /// Whom a record is about, if it is for us.
    fn patients(&self, record: &Record) -> anyhow::Result<Vec<Patient>> {
        let cause = vec![record.id.clone()];
        if record.is(KIND) {
            return match Patient::of(record, cause, false) {
                Ok(patient) => Ok(vec![patient]),
                Err(e) => self.unfit(record, &e).map(|()| Vec::new()),
            };
        }
        let paths = diagnosis::paths(record, env!("CARGO_PKG_NAME"));
        if paths.is_empty() {
            return Ok(Vec::new());
        }
        let (mut patients, mut faults) = patient::judged(&paths, false)?;
        // The probe that was diagnosed may have looked deeper.
        if patients.iter().any(|patient| patient.probe.faults.is_empty()) {
            (patients, faults) = patient::judged(&paths, true)?;
        }
        self.report(&faults)?;
        for patient in &mut patients {
            patient.matter.cause.clone_from(&cause);
        }
        Ok(patients)
    }

    fn unfit(&self, record: &Record, e: &anyhow::Error) -> anyhow::Result<()> {
        let about = About { subject: record.subject.as_ref(), cause: std::slice::from_ref(&record.id) };
        self.session.with_output(|out| out.error("input.bad-data", about, None, &format!("{e:#}")))
    }

    fn report(&self, faults: &[Fault]) -> anyhow::Result<()> {
        faults.iter().try_for_each(|fault| self.session.with_output(|out| out.error(&fault.code, About::default(), None, &fault.text)))
    }

    /// Begins one treatment, each environment once a run, and delivers what is due.
    fn admit<'scope>(&mut self, scope: &'scope Scope<'scope, 'a>, queue: &mut Queue<'scope>, patient: Patient) -> anyhow::Result<()> {
        if self.seen.insert(patient.root.clone()) {
            let session = self.session;
            let treatment = thread::Builder::new().stack_size(STACK).spawn_scoped(scope, move || mend::attend(session, patient));
            queue.push_back(Item::Treatment(treatment.context("cannot start a thread")?));
        }
        self.make_room(queue)
    }

    /// Delivers what is ready, and waits for the first where as many are at work as may be.
    fn make_room(&mut self, queue: &mut Queue<'_>) -> anyhow::Result<()> {
        let busy = |item: &Item<'_>| matches!(item, Item::Treatment(treatment) if !treatment.is_finished());
        while let Some(first) = queue.front() {
            if busy(first) && queue.iter().filter(|item| busy(item)).count() < self.session.options.jobs {
                break;
            }
            let Some(item) = queue.pop_front() else { break };
            self.deliver(item)?;
        }
        Ok(())
    }

    fn deliver(&mut self, item: Item<'_>) -> anyhow::Result<()> {
        match item {
            Item::Bad(number, why) => self.session.with_output(|out| out.error("input.not-a-record", About::default(), Some(number), &why)),
            Item::Pass(line) => self.session.with_output(|out| out.pass(&line)),
            Item::Treatment(treatment) => {
                let ended = treatment.join();
                self.progress.done(1);
                match ended {
                    Ok(Ok(told)) => self.emit(&told),
                    Ok(Err(e)) => {
                        self.tally.ill += 1;
                        self.session.with_output(|out| out.error("repair.failed", About::default(), None, &format!("{e:#}")))
                    }
                    Err(panic) => std::panic::resume_unwind(panic),
                }
            }
        }
    }

    fn emit(&mut self, told: &[Told]) -> anyhow::Result<()> {
        // Only the last word on an environment counts: a change can be followed by another.
        self.tally.count(told.last().map(|told| told.standing));
        told.iter().try_for_each(|told| self.session.with_output(|out| out.write(&told.line)))
    }
}
