//! From the way a start went to the fault: what lies with the interpreter, what with the environment's start-up code, what with this machine.

use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

use contract::path::{Subject, shown};

use crate::catalogue::{Entry, interpreter as catalogue, startup as startup_catalogue};
use crate::findings::Findings;
use crate::start::{Start, With, start};
use crate::startup::Startup;

/// Judges a start that gave no answer.
pub(crate) fn judge(outcome: &Start, python: &Path, startup: &Startup, timeout: Duration, found: &mut Findings) {
    match outcome {
        Start::Answered(_) => {}
        Start::Refused(kind, text) => refused(*kind, text, python, found),
        Start::Interrupted => {
            found.add(&catalogue::UNREADABLE, "interrupted before the interpreter answered", None);
        }
        Start::Shunned => {
            let text = "not started: others with the same start-up code hang; probe it by itself to know";
            found.add(&catalogue::UNREADABLE, text, None);
        }
        Start::Silent | Start::Hung | Start::Failed { .. } => {
            // Without its site module it runs none of the environment's code: then whose fault it is shows.
            let bare = !startup.files.is_empty() && matches!(start(python, With::Nothing, timeout), Start::Answered(_));
            if bare { start_up_code(outcome, startup, timeout, found) } else { interpreter(outcome, python, timeout, found) }
        }
    }
}

fn refused(kind: ErrorKind, text: &str, python: &Path, found: &mut Findings) {
    let entry = match kind {
        // The file is there, as was seen before: what is gone is its loader, or the interpreter of a script.
        ErrorKind::NotFound => &catalogue::LIBRARY_MISSING,
        ErrorKind::PermissionDenied => &catalogue::NOT_EXECUTABLE,
        // ENOEXEC has no kind of its own.
        _ if text.contains("os error 8)") => &catalogue::NOT_A_PROGRAM,
        _ => &catalogue::UNREADABLE,
    };
    found.add(entry, format!("Python not runnable: {text}"), Some(Subject::from(python)));
}

fn start_up_code(outcome: &Start, startup: &Startup, timeout: Duration, found: &mut Findings) {
    let files: Vec<String> = startup.files.iter().map(|file| shown(file)).collect();
    let (entry, what) = match outcome {
        Start::Hung => (&startup_catalogue::HANGS, format!("did not return within {} s", timeout.as_secs())),
        _ => (&startup_catalogue::FAILS, "ends the interpreter".to_owned()),
    };
    let text = format!("start-up code {what}: {}", files.join(", "));
    found.add(entry, text, startup.files.first().map(Subject::from));
}

fn interpreter(outcome: &Start, python: &Path, timeout: Duration, found: &mut Findings) {
    let (entry, text, evidence) = match outcome {
        Start::Hung => (&catalogue::HANGS, format!("Python not runnable: no answer within {} s", timeout.as_secs()), Subject::from(python)),
        Start::Failed { stderr, signal } => failure(stderr, *signal),
        _ => (&catalogue::SILENT, "Python not runnable: it ended with success and did nothing".to_owned(), Subject::from(python)),
    };
    found.add(entry, text, Some(evidence));
}

fn failure(stderr: &str, signal: Option<i32>) -> (&'static Entry, String, Subject) {
    let last = stderr.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("").trim();
    let line = |wanted: &[&str]| stderr.lines().find(|line| wanted.iter().any(|text| line.contains(text))).map(str::trim);
    let (entry, what, evidence) = if let Some(line) = line(&["error while loading shared libraries", "Library not loaded"]) {
        (&catalogue::LIBRARY_MISSING, "Python not runnable", line)
    } else if let Some(line) = line(&["No module named 'encodings'", "init_fs_encoding", "Could not find platform independent libraries"]) {
        (&catalogue::STDLIB_MISSING, "Python imports broken", line)
    } else {
        (&catalogue::FAILS, "Python not runnable", last)
    };
    let text = match (evidence, signal) {
        ("", Some(signal)) => format!("{what}: killed by signal {signal}"),
        ("", None) => format!("{what}: it ended with an error and said nothing"),
        _ => format!("{what}: {}", evidence.chars().take(200).collect::<String>()),
    };
    (entry, text, Subject::from(evidence))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_systems_last_words_are_understood() {
        for (stderr, signal, code) in [
            (
                "/v/bin/python: error while loading shared libraries: libpython3.12.so.1.0: cannot open shared object file",
                None,
                "interpreter-library-missing",
            ),
            (
                "dyld[71]: Library not loaded: /opt/homebrew/Cellar/python@3.12/3.12.4/Frameworks/Python.framework/Versions/3.12/Python\n  Referenced from: /v/bin/python3.12\n",
                Some(6),
                "interpreter-library-missing",
            ),
            (
                "Fatal Python error: init_fs_encoding: failed to get the Python codec\nModuleNotFoundError: No module named 'encodings'\n",
                None,
                "stdlib-missing",
            ),
            ("Segmentation fault\n", Some(11), "interpreter-fails"),
            ("", Some(9), "interpreter-fails"),
        ] {
            assert_eq!(failure(stderr, signal).0.code, code, "{stderr}");
        }
        assert_eq!(failure("", Some(9)).1, "Python not runnable: killed by signal 9");
    }
}
