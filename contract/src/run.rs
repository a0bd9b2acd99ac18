//! A tool's life: arguments in, exit status out, and one place where errors reach a person.

use std::io::{self, BufWriter, Write};
use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use crate::lock::Held;
use crate::output::{self, Closed, Output, Undrawn};
use crate::record::About;
use crate::{generate, signal};

/// How a run ended. An error that is returned instead ends it with 2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// 0: the job is done, whatever the verdict.
    Done,
    /// 1: under `--check` the verdict is bad; for a repair with `--force`, something stayed broken.
    Bad,
    /// 75 (`EX_TEMPFAIL` of `sysexits.h`): somebody else holds the lock.
    Busy,
    /// That of a command which was run for somebody, whatever we have to say ourselves.
    Of(u8),
}

/// Usage, I/O or bad input.
const TROUBLE: u8 = 2;
const BUSY: u8 = 75;

/// Runs a tool: parses its arguments, catches signals, opens its output, does the work, ends the stream, and turns all of that into
/// the exit status (or death by the signal) that `contract/README.md` promises.
pub fn main<A: Parser + CommandFactory>(
    tool: &'static str,
    options: fn(&A) -> output::Options,
    work: fn(A, &mut Output) -> anyhow::Result<Exit>,
) -> ExitCode {
    let args = match begin::<A>(tool) {
        Ok(args) => args,
        Err(over) => return over,
    };
    let mut out = Output::open(tool, options(&args));
    let result = work(args, &mut out);
    let code = conclude(tool, out, result);
    signal::die_if_interrupted();
    code
}

/// Runs a tool that draws for a person where the others write records: as [`main`], with text on stdout, buffered, and no stream to end.
pub fn draw<A: Parser + CommandFactory>(tool: &'static str, work: fn(A, &mut dyn Write) -> anyhow::Result<()>) -> ExitCode {
    let args = match begin::<A>(tool) {
        Ok(args) => args,
        Err(over) => return over,
    };
    let mut stdout = BufWriter::new(io::stdout());
    let result = work(args, &mut stdout);
    let result = result.and(stdout.flush().map_err(output::unwritable));
    signal::die_if_interrupted();
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) if e.is::<Closed>() => ExitCode::SUCCESS,
        Err(e) => fail(tool, &e),
    }
}

/// Parses the arguments and catches signals, or says with which status the run is over already.
fn begin<A: Parser + CommandFactory>(tool: &'static str) -> Result<A, ExitCode> {
    if let Some(done) = generate::asked::<A>(tool) {
        return Err(done.map_or_else(|e| fail(tool, &e), |()| ExitCode::SUCCESS));
    }
    let args = A::try_parse().map_err(|e| usage(tool, &e))?;
    signal::install().map_err(|e| fail(tool, &e))?;
    Ok(args)
}

fn conclude(tool: &str, mut out: Output, result: anyhow::Result<Exit>) -> ExitCode {
    let code = match result {
        // What was not seen may be worse than what was.
        Ok(Exit::Done | Exit::Bad) if out.trouble() => ExitCode::from(TROUBLE),
        Ok(Exit::Done) => ExitCode::SUCCESS,
        Ok(Exit::Bad) => ExitCode::from(1),
        Ok(Exit::Busy) => ExitCode::from(BUSY),
        Ok(Exit::Of(status)) => ExitCode::from(status),
        Err(e) if e.is::<Closed>() => return ExitCode::SUCCESS,
        Err(e) => {
            let (name, code) = if e.is::<Held>() { ("lock.held", BUSY) } else { ("failed", TROUBLE) };
            let text = format!("{e:#}");
            // To a person who looks at an empty page, a sentence says more than a table of one error.
            if out.is_undrawn_page() {
                out.hint(&text);
                return ExitCode::from(code);
            }
            // Where stdout itself is the trouble, the line on stderr, which comes first, must do.
            if out.error(name, About::default(), None, &text).is_err() {
                return ExitCode::from(TROUBLE);
            }
            ExitCode::from(code)
        }
    };
    let ok = !out.trouble();
    match out.end(ok) {
        Ok(()) => code,
        Err(e) if e.is::<Closed>() => code,
        Err(e) if e.is::<Undrawn>() => ExitCode::from(TROUBLE),
        Err(e) => fail(tool, &e),
    }
}

fn fail(tool: &str, error: &anyhow::Error) -> ExitCode {
    output::hint(tool, &format!("{error:#}"));
    ExitCode::from(TROUBLE)
}

fn usage(tool: &str, error: &clap::Error) -> ExitCode {
    if error.exit_code() != 0 {
        let empty = std::env::vars_os().filter(|(name, value)| value.is_empty() && name.as_encoded_bytes().starts_with(b"MENDLINE_"));
        for (name, _) in empty {
            output::hint(tool, &format!("{} is set and empty; unset it, or give it a value", name.to_string_lossy()));
        }
    }
    match error.print() {
        Ok(()) => ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(TROUBLE)),
        Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(_) => ExitCode::from(TROUBLE),
    }
}
