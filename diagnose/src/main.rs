//! `diagnose`: evidence in, root cause and remedy out. Changes nothing.

mod arguments;
mod catalogue;
mod causes;
mod diagnosis;
mod log;
mod patterns;
mod records;
mod search;

use std::fs::File;
use std::io::{self, IsTerminal as _, Read};
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use contract::input;
use contract::output::Output;
use contract::path::{Subject, absolute, shown};
use contract::record::{About, Status};
use contract::run::{self, Exit};
use serde_json::json;

use crate::arguments::{Arguments, Command, Run};
use crate::catalogue::Catalogue;
use crate::diagnosis::{Diagnosis, KIND};
use crate::log::Log;
use crate::log::findings::Finding;
use crate::records::Records;
use crate::search::{Search, feed};

/// What standard input is called where it is a log.
const STDIN: &str = "-";

fn main() -> ExitCode {
    run::main(env!("CARGO_PKG_NAME"), |args: &Arguments| args.output, work)
}

fn work(args: Arguments, out: &mut Output) -> anyhow::Result<Exit> {
    match args.command {
        Some(Command::Patterns(act)) => patterns::run(out, act),
        None => diagnose(out, &args.run),
    }
}

fn diagnose(out: &mut Output, run: &Run) -> anyhow::Result<Exit> {
    // Records need no patterns, and to make a search of them takes longer than all the rest.
    let (catalogue, complaints) = Catalogue::load(&run.patterns.patterns, run.patterns.no_builtin || run.log.is_empty())?;
    for complaint in complaints {
        out.error("pattern.unusable", About::default(), None, &complaint.to_string())?;
    }
    let mut broken = false;
    let reads_stdin = run.log.iter().any(|log| log.as_os_str() == STDIN);
    anyhow::ensure!(!(reads_stdin && run.records.is_some()), "standard input is either records (`-`) or a log (`--log -`)");
    let records = if run.log.is_empty() || run.records.is_some() {
        Records::read(out, input::stdin("pipe the records of a probe in, or name logs with --log")?)?
    } else {
        Records::default()
    };
    let (mut logs, mut told) = (Vec::new(), Vec::new());
    for path in &run.log {
        match read(out, &catalogue, path, &mut told) {
            Ok(log) => logs.push(log),
            Err(e) if e.is::<contract::output::Closed>() => return Err(e),
            Err(e) => out.error("log.unreadable", About::default(), None, &format!("{e:#}"))?,
        }
    }
    broken |= !told.is_empty();
    for diagnosis in causes::diagnoses(&catalogue, &logs, records, &told) {
        broken |= diagnosis.severity == Status::Broken;
        emit(out, &diagnosis)?;
    }
    for log in &logs {
        summary(out, log)?;
    }
    Ok(if run.check && broken { Exit::Bad } else { Exit::Done })
}

/// Reads one log. What comes through a pipe is told as soon as it is sure, since it may go on for long.
fn read(out: &mut Output, catalogue: &Catalogue, path: &Path, told: &mut Vec<Finding>) -> anyhow::Result<Log> {
    let (source, reader, is_live, fitted): (Subject, Box<dyn Read + Send>, bool, Option<Search>) = if path.as_os_str() == STDIN {
        anyhow::ensure!(!io::stdin().is_terminal(), "nothing to read: standard input is a terminal; pipe a log in, or name one");
        (Subject::from(STDIN), Box::new(io::stdin()), true, None)
    } else {
        let file = File::open(path).with_context(|| format!("cannot open {}", shown(path)))?;
        let meta = file.metadata()?;
        anyhow::ensure!(!meta.is_dir(), "{} is a folder; name the logs in it", shown(path));
        let fitted = if meta.is_file() { feed::fitted(&catalogue.search, &file)? } else { None };
        (Subject::from(&absolute(path)?), Box::new(file), !meta.is_file(), fitted)
    };
    let search = fitted.as_ref().unwrap_or(&catalogue.search);
    let mut sure = |finding: &Finding| {
        if is_live {
            told.push(finding.clone());
            emit(out, &causes::of_finding(catalogue, finding))?;
        }
        Ok(())
    };
    Log::read(catalogue, search, &source, reader, &mut sure).with_context(|| format!("cannot read {source}"))
}

fn emit(out: &mut Output, diagnosis: &Diagnosis) -> anyhow::Result<()> {
    let about = About { subject: diagnosis.subject.as_ref(), cause: &diagnosis.explains };
    out.emit(KIND, about, diagnosis).map(drop)
}

/// How much of a log there was, so that no diagnosis means something.
fn summary(out: &mut Output, log: &Log) -> anyhow::Result<()> {
    let data = json!({ "bytes": log.extent.bytes, "lines": log.extent.lines, "unknown": log.kinds_unknown() });
    out.emit("log.summary", About { subject: Some(&log.source), ..About::default() }, &data).map(drop)
}
