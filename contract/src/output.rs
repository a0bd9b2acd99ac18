//! The stream that a tool writes: records on stdout, or the same records drawn by `report` where a person is looking.

use std::io::{self, IsTerminal as _, Stdout, Write};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use clap::ValueEnum;
use rustix::process::Signal;
use serde::Serialize;

use crate::path::plain;
use crate::record::{self, About, Author, End, Fault};
use crate::{progress, sibling, signal};

/// The flags that every tool has for its output.
#[derive(Clone, Copy, Debug, Default, clap::Args)]
pub struct Options {
    /// Write JSON lines, or draw them for a person [default: text on a terminal, else json]
    #[arg(long, value_name = "FORMAT", env = "MENDLINE_FORMAT", global = true)]
    format: Option<Format>,
}

/// How records are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// One record a line.
    Json,
    /// Tables for a terminal.
    Text,
    /// Tables for a chat message or an issue.
    Markdown,
}

/// The reader of our stdout has gone away: time to stop, in silence.
#[derive(Debug)]
pub struct Closed;

impl std::fmt::Display for Closed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the reader of standard output is gone")
    }
}

impl std::error::Error for Closed {}

/// `report` did not draw everything, which was said when it was noticed.
#[derive(Debug)]
pub(crate) struct Undrawn;

impl std::fmt::Display for Undrawn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("not everything was drawn")
    }
}

impl std::error::Error for Undrawn {}

enum Sink {
    Stdout(Stdout),
    Report(Child, ChildStdin),
    /// `report` has failed. The work goes on: a repair is not stopped by its drawing.
    Undrawn,
    /// The reader is gone, or is none of ours, and the work goes on all the same.
    Unheard,
}

/// The records of one run. There is one of these, owned by `main` and passed down.
pub struct Output {
    tool: &'static str,
    host: String,
    run: String,
    sequence: u64,
    read: u64,
    wrote: u64,
    trouble: bool,
    options: Options,
    /// Opened by the first record, so that a run without any starts no `report`.
    sink: Option<Sink>,
    /// The run answers a person in words: `--explain` and its like.
    prose: bool,
    outlives_its_reader: bool,
}

/// A record that is ready to be written, possibly in two places.
#[derive(Debug)]
pub struct Rendered {
    /// Its id.
    pub id: String,
    /// The line, newline included.
    pub line: Vec<u8>,
}

impl Output {
    /// Opens the stream of `tool`.
    #[must_use]
    pub fn open(tool: &'static str, options: Options) -> Self {
        Self {
            tool,
            host: rustix::system::uname().nodename().to_string_lossy().into_owned(),
            run: run_id(),
            sequence: 0,
            read: 0,
            wrote: 0,
            trouble: false,
            options,
            sink: None,
            prose: false,
            outlives_its_reader: false,
        }
    }

    /// From here on the run goes on, and its exit status says how it went, whether or not anybody still reads what it writes: it changes
    /// something, and half of that is worse than all of it.
    pub fn outlive_its_reader(&mut self) {
        self.outlives_its_reader = true;
    }

    /// Standard output belongs to a command that is run for somebody: none of our records goes there.
    pub fn leave_stdout(&mut self) {
        self.sink = Some(Sink::Unheard);
    }

    /// Renders a record of this run without writing it.
    ///
    /// # Errors
    /// `data` cannot be expressed in JSON.
    pub fn render<T: Serialize>(&mut self, kind: &str, about: About<'_>, data: &T) -> anyhow::Result<Rendered> {
        self.sequence += 1;
        let id = format!("{}.{}", self.run, self.sequence);
        let author = Author { tool: self.tool, host: &self.host };
        let line = record::line(&author, &id, kind, about, data).with_context(|| format!("cannot render a {kind} record"))?;
        Ok(Rendered { id, line })
    }

    /// Writes a rendered record, in one write.
    ///
    /// # Errors
    /// [`Closed`], or the write failed.
    pub fn write(&mut self, rendered: &Rendered) -> anyhow::Result<()> {
        self.wrote += 1;
        self.put(&rendered.line)
    }

    /// Renders and writes a record; returns its id.
    ///
    /// # Errors
    /// As [`Output::render`] and [`Output::write`].
    pub fn emit<T: Serialize>(&mut self, kind: &str, about: About<'_>, data: &T) -> anyhow::Result<String> {
        let rendered = self.render(kind, about, data)?;
        self.write(&rendered)?;
        Ok(rendered.id)
    }

    /// Passes on a line that was read, byte for byte.
    ///
    /// # Errors
    /// [`Closed`], or the write failed.
    pub fn pass(&mut self, line: &str) -> anyhow::Result<()> {
        self.read += 1;
        let mut bytes = Vec::with_capacity(line.len() + 1);
        bytes.extend_from_slice(line.as_bytes());
        bytes.push(b'\n');
        self.put(&bytes)
    }

    /// Reports what could not be read or done while the rest goes on: an `error` record, a line on stderr, and exit status 2 at the end.
    ///
    /// # Errors
    /// [`Closed`], or the write failed.
    pub fn error(&mut self, code: &str, about: About<'_>, line: Option<u64>, text: &str) -> anyhow::Result<()> {
        self.trouble = true;
        if self.prose || !matches!(self.sink(), Sink::Report(..)) {
            self.hint(&line.map_or_else(|| text.to_owned(), |n| format!("line {n}: {text}")));
        }
        // Whatever is on stdout then, a record would be taken for a part of it.
        if self.prose {
            return Ok(());
        }
        self.emit("error", about, &Fault { code: code.to_owned(), line, text: text.to_owned() })?;
        Ok(())
    }

    /// Answers a person in words on stdout; this run then writes no records.
    ///
    /// # Errors
    /// [`Closed`], or the write failed.
    pub fn prose(&mut self, text: &str) -> anyhow::Result<()> {
        self.prose = true;
        io::stdout().write_all(text.as_bytes()).map_err(unwritable)
    }

    /// Where records are drawn: draws those that were written so far, as a page of their own. A run that never ends would show nothing else.
    ///
    /// # Errors
    /// As [`Output::write`].
    pub fn turn_page(&mut self) -> anyhow::Result<()> {
        if matches!(self.sink, Some(Sink::Report(..))) {
            self.emit("end", About::default(), &End { ok: !self.trouble, read: self.read, wrote: self.wrote })?;
        }
        match self.sink.take() {
            Some(Sink::Report(mut report, stdin)) => {
                drop(stdin);
                is_drawn(self.tool, &mut report);
            }
            other => self.sink = other,
        }
        Ok(())
    }

    /// Says something to the person, on stderr.
    pub fn hint(&self, text: &str) {
        hint(self.tool, text);
    }

    /// Whether anything was reported through [`Output::error`].
    #[must_use]
    pub fn trouble(&self) -> bool {
        self.trouble
    }

    /// Writes `end` and waits until the reader that we started, if any, has drawn it all.
    pub(crate) fn end(mut self, ok: bool) -> anyhow::Result<()> {
        if self.prose {
            return io::stdout().flush().map_err(unwritable);
        }
        let end = End { ok, read: self.read, wrote: self.wrote };
        self.emit("end", About::default(), &end)?;
        let drawn = match self.sink {
            Some(Sink::Stdout(mut stdout)) => return stdout.flush().map_err(unwritable),
            Some(Sink::Report(mut report, stdin)) => {
                drop(stdin);
                is_drawn(self.tool, &mut report)
            }
            Some(Sink::Undrawn) => false,
            Some(Sink::Unheard) | None => true,
        };
        if drawn { Ok(()) } else { Err(Undrawn.into()) }
    }

    /// Whether records are drawn for a person in this run.
    #[must_use]
    pub fn draws(&self) -> bool {
        format(self.options) != Format::Json
    }

    /// The same, as long as none has been written.
    pub(crate) fn is_undrawn_page(&self) -> bool {
        self.sink.is_none() && self.draws()
    }

    fn sink(&mut self) -> &mut Sink {
        self.sink.get_or_insert_with(|| sink(self.tool, self.options))
    }

    fn put(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        match self.try_put(bytes) {
            Err(e) if self.outlives_its_reader && e.is::<Closed>() => {
                self.sink = Some(Sink::Unheard);
                Ok(())
            }
            put => put,
        }
    }

    fn try_put(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        let tool = self.tool;
        let sink = self.sink();
        match sink {
            Sink::Stdout(stdout) => stdout.write_all(bytes).map_err(unwritable),
            Sink::Report(report, stdin) => {
                if stdin.write_all(bytes).is_ok() {
                    return Ok(());
                }
                let drawn = is_drawn(tool, report);
                *sink = Sink::Undrawn;
                if drawn { Err(Closed.into()) } else { Ok(()) }
            }
            Sink::Undrawn | Sink::Unheard => Ok(()),
        }
    }
}

/// Waits for `report` and says so where it has failed. That it ended before we did is its failure, unless it says itself that it is
/// done: then its own reader has gone.
fn is_drawn(tool: &str, report: &mut Child) -> bool {
    let how = match report.wait() {
        // It reads and draws on through a Ctrl-C, which the terminal sends to us both, and ends by it only then.
        Ok(status) if status.success() || status.signal() == Some(Signal::INT.as_raw()) => return true,
        Ok(status) => status.to_string(),
        Err(e) => e.to_string(),
    };
    // A signal that ends us is not the drawing's fault.
    if !signal::interrupted() {
        hint(tool, &format!("report failed ({how}), so not everything was drawn; --format json does without it"));
    }
    false
}

/// Says something to the person, on stderr, in the name of `tool`.
pub fn hint(tool: &str, text: &str) {
    progress::beside(|| {
        // Nothing can be done, or need be, where stderr itself is gone.
        let _ = writeln!(io::stderr(), "{tool}: {}", plain(text));
    });
}

/// What a failed write to stdout means: [`Closed`], or trouble.
#[must_use]
pub fn unwritable(e: io::Error) -> anyhow::Error {
    match e.kind() {
        io::ErrorKind::BrokenPipe => anyhow::Error::new(Closed),
        _ => anyhow::Error::new(e).context("cannot write to standard output"),
    }
}

fn format(options: Options) -> Format {
    options.format.unwrap_or(if io::stdout().is_terminal() { Format::Text } else { Format::Json })
}

fn sink(tool: &str, options: Options) -> Sink {
    let format = format(options);
    if format == Format::Json {
        return Sink::Stdout(io::stdout());
    }
    match start_report(format) {
        Ok(sink) => sink,
        Err(e) => {
            hint(tool, &format!("{e:#}; writing JSON lines instead"));
            Sink::Stdout(io::stdout())
        }
    }
}

fn start_report(format: Format) -> anyhow::Result<Sink> {
    let name = if format == Format::Markdown { "markdown" } else { "text" };
    let mut child =
        Command::new(sibling::locate("report")?).args(["--format", name]).stdin(Stdio::piped()).spawn().context("cannot start report")?;
    let stdin = child.stdin.take().context("report has no standard input")?;
    Ok(Sink::Report(child, stdin))
}

/// Unique across processes (time and pid) and, but for one chance in 65,536, across machines whose cron fires in the same millisecond
/// with the same pid, as containers do.
fn run_id() -> String {
    use std::hash::{BuildHasher as _, RandomState};
    let millis = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis());
    let salt = RandomState::new().hash_one(0) & 0xffff;
    format!("{millis:x}-{:x}{salt:04x}", std::process::id())
}
