//! Whether a process that a registry names is still that process: a number is given to another one after the first has ended.

use std::path::Path;

use chrono::{DateTime, TimeDelta, Utc};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::process::{Pid, test_kill_process};
use rustix::termios::{LocalModes, tcgetattr};

/// A process that is started this much later than its agent said is another one.
const SLACK: TimeDelta = TimeDelta::seconds(120);

/// Programs that wait for commands.
const SHELLS: [&str; 8] = ["sh", "bash", "dash", "zsh", "fish", "ksh", "tcsh", "csh"];
/// Those of them that let a line be edited while they wait.
const EDITS: [&str; 5] = ["bash", "zsh", "fish", "ksh", "tcsh"];

/// What became of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It runs, and was there when the agent was last heard of.
    Runs,
    /// Nothing has that number, or something else by now.
    Gone,
    /// There is one, and nobody here sees more of it.
    Unseen,
}

/// What became of process `pid`, which an agent named that was last heard of at `heard`, which may be that much later, too.
pub(crate) fn fate(pid: i64, heard: Option<DateTime<Utc>>, doubt: TimeDelta) -> Fate {
    let Some(number) = u32::try_from(pid).ok().filter(|pid| *pid > 1) else { return Fate::Gone };
    let Some(started) = started(number) else { return if is_hidden(number) { Fate::Unseen } else { Fate::Gone } };
    if heard.is_none_or(|heard| heard.checked_add_signed(SLACK + doubt).is_none_or(|until| started <= until)) {
        Fate::Runs
    } else {
        Fate::Gone
    }
}

/// Whether something has that number of which the process table shows nothing, not even that it has ended.
fn is_hidden(pid: u32) -> bool {
    let there = i32::try_from(pid).ok().and_then(Pid::from_raw).map(test_kill_process);
    there.is_some_and(|there| there != Err(Errno::SRCH)) && !is_listed(pid)
}

/// Whether a process is a shell that waits for a command at its terminal: nothing runs in it, not even what it runs by itself.
pub(crate) fn is_idle_shell(pid: u32, tty: &Path) -> bool {
    shell(pid).is_some_and(|shell| !has_others(pid) && (!EDITS.contains(&&*shell) || edits(tty)) && !computes(pid))
}

/// Whether somebody reads from a terminal key by key, as a shell does that lets its line be edited; while a command runs it does not.
fn edits(tty: &Path) -> bool {
    let open = || rustix::fs::open(tty, OFlags::RDONLY | OFlags::NOCTTY | OFlags::NONBLOCK | OFlags::CLOEXEC, Mode::empty());
    let attributes = open().and_then(|tty| tcgetattr(&tty));
    attributes.is_ok_and(|attributes| !attributes.local_modes.contains(LocalModes::ICANON))
}

/// The name of a shell that was told to do nothing: neither a command nor a script.
fn shell(pid: u32) -> Option<String> {
    let words = words(pid);
    let (program, options) = words.split_first()?;
    let name = program.rsplit('/').next().unwrap_or_default().trim_start_matches('-');
    let is_bare = options.iter().all(|option| ["-i", "-l", "-il", "-li", "--login"].contains(&option.as_str()));
    (is_bare && SHELLS.contains(&name)).then(|| name.to_owned())
}

/// Whether a process runs at this moment, and does not wait.
#[cfg(target_os = "linux")]
fn computes(pid: u32) -> bool {
    fields(pid).is_none_or(|fields| fields.first().is_none_or(|state| state != "S"))
}

/// Whether a process runs at this moment, and does not wait.
#[cfg(not(target_os = "linux"))]
fn computes(pid: u32) -> bool {
    let asked = std::process::Command::new("ps").args(["-o", "stat=", "-p", &pid.to_string()]).output();
    asked.map_or(true, |asked| !asked.stdout.trim_ascii_start().starts_with(b"S"))
}

/// Whether anything else runs in the session of a process, of its own or left behind.
#[cfg(target_os = "linux")]
fn has_others(pid: u32) -> bool {
    let session = |pid: u32| fields(pid).and_then(|fields| fields.get(3)?.parse::<u32>().ok());
    let Some(own) = session(pid) else { return true };
    pids().is_none_or(|pids| pids.into_iter().any(|other| other != pid && session(other) == Some(own)))
}

/// Whether anything else runs in the session of a process, of its own or left behind.
#[cfg(not(target_os = "linux"))]
fn has_others(pid: u32) -> bool {
    let asked = std::process::Command::new("ps").args(["-A", "-o", "ppid=,sess="]).output();
    asked.map_or(true, |asked| {
        String::from_utf8_lossy(&asked.stdout).lines().any(|line| line.split_whitespace().any(|word| word == pid.to_string()))
    })
}

#[cfg(target_os = "linux")]
fn pids() -> Option<Vec<u32>> {
    let entries = std::fs::read_dir("/proc").ok()?;
    Some(entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect())
}

/// The command line of a process.
#[cfg(target_os = "linux")]
fn words(pid: u32) -> Vec<String> {
    let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    line.split(|byte| *byte == 0).filter(|word| !word.is_empty()).map(|word| String::from_utf8_lossy(word).into_owned()).collect()
}

/// The command line of a process.
#[cfg(not(target_os = "linux"))]
fn words(pid: u32) -> Vec<String> {
    let asked = std::process::Command::new("ps").args(["-o", "args=", "-p", &pid.to_string()]).output();
    asked.map_or_else(|_| Vec::new(), |asked| String::from_utf8_lossy(&asked.stdout).split_whitespace().map(str::to_owned).collect())
}

/// Whether the process table shows a process, be it one that has ended.
#[cfg(target_os = "linux")]
fn is_listed(pid: u32) -> bool {
    fields(pid).is_some()
}

/// Whether the process table shows a process, be it one that has ended.
#[cfg(not(target_os = "linux"))]
fn is_listed(pid: u32) -> bool {
    !words(pid).is_empty()
}

/// The servers of tmux that run for this user, wherever their sockets are; nothing where processes cannot be seen.
#[cfg(target_os = "linux")]
pub(crate) fn servers() -> Option<Vec<u32>> {
    use std::os::unix::fs::MetadataExt as _;
    let is_ours = |pid: &u32| {
        let folder = format!("/proc/{pid}");
        let is_server = std::fs::read_to_string(format!("{folder}/comm")).is_ok_and(|name| name.starts_with("tmux: server"));
        is_server && std::fs::metadata(&folder).is_ok_and(|meta| meta.uid() == rustix::process::getuid().as_raw())
    };
    fields(std::process::id())?;
    Some(pids()?.into_iter().filter(is_ours).collect())
}

/// The servers of tmux that run for this user: none but those that answer is known of here.
#[cfg(not(target_os = "linux"))]
pub(crate) fn servers() -> Option<Vec<u32>> {
    Some(Vec::new())
}

/// When a process was started; nothing of one that has ended, even if nobody has taken notice yet.
#[cfg(target_os = "linux")]
fn started(pid: u32) -> Option<DateTime<Utc>> {
    let fields = fields(pid)?;
    // proc_pid_stat(5): the third field is the state, the 22nd the start in ticks since the machine was started.
    let (state, ticks) = (fields.first()?, fields.get(19)?.parse::<i64>().ok()?);
    let boot =
        std::fs::read_to_string("/proc/stat").ok()?.lines().find_map(|line| line.strip_prefix("btime ")?.trim().parse::<i64>().ok())?;
    let per_second = i64::try_from(rustix::param::clock_ticks_per_second()).ok().filter(|ticks| *ticks > 0)?;
    if *state == "Z" || *state == "X" { None } else { DateTime::from_timestamp(boot + ticks / per_second, 0) }
}

/// The fields of a process from the state on. What comes before may hold anything, but ends at the last parenthesis.
#[cfg(target_os = "linux")]
fn fields(pid: u32) -> Option<Vec<String>> {
    let stat = std::fs::read(format!("/proc/{pid}/stat")).ok()?;
    let stat = String::from_utf8_lossy(&stat).into_owned();
    Some(stat.rsplit_once(')')?.1.split_whitespace().map(str::to_owned).collect())
}

/// When a process was started, by ps(1).
#[cfg(not(target_os = "linux"))]
fn started(pid: u32) -> Option<DateTime<Utc>> {
    let asked = std::process::Command::new("ps").args(["-o", "stat=,etime=", "-p", &pid.to_string()]).output().ok()?;
    let answer = String::from_utf8_lossy(&asked.stdout).into_owned();
    let (state, elapsed) = answer.trim().split_once(char::is_whitespace)?;
    let (days, clock) = elapsed.trim().split_once('-').unwrap_or(("0", elapsed.trim()));
    let seconds = clock.split(':').try_fold(0_i64, |sum, part| Some(sum * 60 + part.parse::<i64>().ok()?))?;
    let elapsed = TimeDelta::seconds(days.parse::<i64>().ok()? * 86400 + seconds);
    (!state.starts_with('Z')).then(|| Utc::now() - elapsed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_told_from_a_later_one_of_its_number() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let pid = i64::from(child.id());
        assert_eq!(fate(pid, Some(Utc::now()), TimeDelta::zero()), Fate::Runs);
        assert_eq!(fate(pid, None, TimeDelta::zero()), Fate::Runs);
        assert_eq!(fate(pid, Some(Utc::now() - TimeDelta::hours(1)), TimeDelta::zero()), Fate::Gone);
        child.kill().unwrap();
        // It has ended, and nobody has taken notice.
        std::thread::sleep(std::time::Duration::from_millis(100));
        assert_eq!(fate(pid, Some(Utc::now()), TimeDelta::zero()), Fate::Gone);
        child.wait().unwrap();
        assert_eq!([0, -1, i64::MAX].map(|pid| fate(pid, None, TimeDelta::zero())), [Fate::Gone; 3]);
    }
}
