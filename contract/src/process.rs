//! A process, and that it is still that one: its number alone passes on to others.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, getpgid, kill_process, kill_process_group};
use serde::{Deserialize, Serialize};

/// Between asking a process to end and ending it.
const GRACE: Duration = Duration::from_secs(5);
const TICK: Duration = Duration::from_millis(50);

/// A process, which is over once another has its number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    pid: i32,
    /// When it began, in ticks since the machine did (proc_pid_stat(5), field 22).
    start: String,
    /// Which run of the machine that was.
    boot: String,
}

impl Identity {
    /// None where it is over already, or where there is no /proc.
    #[must_use]
    pub fn of(pid: u32) -> Option<Self> {
        let pid = i32::try_from(pid).ok()?;
        Some(Self { pid, start: start(pid)?, boot: boot()? })
    }

    /// Whether it still runs.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        boot().as_ref() == Some(&self.boot) && start(self.pid).as_ref() == Some(&self.start)
    }

    /// Whether anything of its group still runs. Its number is nobody else's as long as the group has members.
    fn has_group(&self) -> bool {
        let is_stranger = start(self.pid).is_some_and(|start| start != self.start);
        boot().as_ref() == Some(&self.boot) && !is_stranger && members(self.pid)
    }

    /// Its number.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// Ends it, with its group where it leads one: asks, waits, and insists. Says whether it is over.
    #[must_use]
    pub fn end(&self) -> bool {
        let pid = Pid::from_raw(self.pid);
        if pid.is_some_and(|pid| getpgid(Some(pid)) == Ok(pid)) {
            self.end_group();
        } else {
            insist(&|| self.is_alive(), &|signal| pid.map_or(Ok(()), |pid| kill_process(pid, signal)));
        }
        !self.is_alive()
    }

    /// Ends the group that it leads or led: asks, waits, and insists. What left the group may outlive it.
    pub fn end_group(&self) {
        let group = Pid::from_raw(self.pid);
        insist(&|| self.has_group(), &|signal| group.map_or(Ok(()), |group| kill_process_group(group, signal)));
    }
}

/// Sends signals as long as there is somebody to send them to, who may be over by then.
fn insist(is_there: &dyn Fn() -> bool, send: &dyn Fn(Signal) -> rustix::io::Result<()>) {
    for (signal, patience) in [(Signal::TERM, GRACE), (Signal::KILL, Duration::from_secs(1))] {
        if !is_there() {
            return;
        }
        let _ = send(signal);
        let deadline = Instant::now() + patience;
        while is_there() && Instant::now() < deadline {
            thread::sleep(TICK);
        }
    }
}

/// Whether a process that is no zombie is in a group (proc_pid_stat(5), field 5).
fn members(group: i32) -> bool {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let mut stats = processes.filter_map(|entry| fs::read_to_string(entry.path().join("stat")).ok());
    stats.any(|stat| {
        let mut fields = stat.rfind(')').map_or("", |end| &stat[end + 1..]).split_ascii_whitespace();
        let is_over = matches!(fields.next(), Some("Z" | "X") | None);
        !is_over && fields.nth(1).and_then(|group| group.parse().ok()) == Some(group)
    })
}

/// When a process that is no zombie began.
fn start(pid: i32) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name of the program may hold blanks and brackets.
    let mut fields = stat[stat.rfind(')')? + 1..].split_ascii_whitespace();
    let is_over = matches!(fields.next()?, "Z" | "X");
    fields.nth(18).filter(|_| !is_over).map(str::to_owned)
}

fn boot() -> Option<String> {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").ok().map(|id| id.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_leads_no_group_is_ended_alone_and_nobody_with_its_number_but_itself() {
        let mut other = Command::new("sleep").arg("60").spawn().unwrap();
        let identity = Identity::of(other.id()).unwrap();
        let stranger = Identity { start: "1".to_owned(), ..identity.clone() };
        assert!(stranger.end() && identity.is_alive());
        // Reaped by nobody yet, it is over all the same.
        assert!(identity.end());
        other.wait().unwrap();
    }
    use std::os::unix::process::CommandExt as _;
    use std::process::Command;

    #[test]
    fn a_group_is_ended_also_where_its_leader_is_gone() {
        let mut leader = Command::new("sh").args(["-c", "trap '' TERM; sleep 60 & wait"]).process_group(0).spawn().unwrap();
        let identity = Identity::of(leader.id()).unwrap();
        let another = Identity { start: "1".to_owned(), ..identity.clone() };
        assert!(identity.has_group() && !another.has_group());
        leader.kill().unwrap();
        leader.wait().unwrap();
        assert!(identity.has_group());
        identity.end_group();
        assert!(!identity.has_group());
    }
}
