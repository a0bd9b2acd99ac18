//! What a run started and left behind when it was killed, an installer say: it is known by a mark in its environment, which all that it starts
//! inherits, and not by its name.

use std::fs;
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rustix::process::{Pid, Signal, kill_process};

/// The variable that has the mark.
pub(crate) const VARIABLE: &str = "MENDLINE_CHANGE";
const PATIENCE: Duration = Duration::from_secs(5);
const TICK: Duration = Duration::from_millis(20);

/// The mark of this run, which no other has.
pub(crate) fn mark() -> &'static str {
    static MARK: OnceLock<String> = OnceLock::new();
    MARK.get_or_init(|| {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        format!("{}-{}", std::process::id(), now.as_nanos())
    })
}

/// Ends all that bears a mark, so that nothing writes any more to what is put back. Without /proc there is nothing to know it by.
pub(crate) fn end(mark: &str) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let left = bearers(mark);
        if left.is_empty() || Instant::now() > deadline {
            return;
        }
        for pid in left {
            // It may be over by now.
            let _ = kill_process(pid, Signal::KILL);
        }
        thread::sleep(TICK);
    }
}

/// The processes whose environment has a mark (proc_pid_environ(5)); that of a zombie is empty.
fn bearers(mark: &str) -> Vec<Pid> {
    let wanted = format!("{VARIABLE}={mark}");
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let bears = |pid: &i32| {
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|variable| variable == wanted.as_bytes())
    };
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(bears).filter_map(Pid::from_raw).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn what_bears_a_mark_is_ended_and_nothing_else() {
        let marked = |mark: &str| Command::new("sh").args(["-c", "sleep 60 & sleep 60"]).env(VARIABLE, mark).spawn().unwrap();
        let (mut ours, mut other) = (marked("ours-1"), marked("ours-11"));
        let deadline = Instant::now() + PATIENCE;
        while bearers("ours-1").len() < 3 && Instant::now() < deadline {
            thread::sleep(TICK);
        }
        end("ours-1");
        assert!(!ours.wait().unwrap().success());
        assert_eq!(bearers("ours-1"), []);
        assert!(other.try_wait().unwrap().is_none());
        end("ours-11");
        other.wait().unwrap();
    }
}
