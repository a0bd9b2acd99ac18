//! Whether a process that a registry names is still that process: a number is given to another one after the first has ended.

use chrono::{DateTime, TimeDelta, Utc};

/// A process that is started this much later than its agent said is another one.
const SLACK: TimeDelta = TimeDelta::seconds(120);

/// Programs that wait for commands.
const SHELLS: [&str; 8] = ["sh", "bash", "dash", "zsh", "fish", "ksh", "tcsh", "csh"];

/// What became of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It runs, and was there when the agent was last heard of.
    Runs,
    /// Nothing has that number, or something else by now.
    Gone,
}

/// What became of process `pid`, which an agent named that was last heard of at `heard`.
pub(crate) fn fate(pid: i64, heard: Option<DateTime<Utc>>) -> Fate {
    let Some(started) = u32::try_from(pid).ok().filter(|pid| *pid > 1).and_then(started) else { return Fate::Gone };
    if heard.is_none_or(|heard| started <= heard + SLACK) { Fate::Runs } else { Fate::Gone }
}

/// Whether a process is a shell that waits for a command: nothing runs in it.
pub(crate) fn is_idle_shell(pid: u32) -> bool {
    name(pid).is_some_and(|name| SHELLS.contains(&name.trim_start_matches('-'))) && !has_children(pid)
}

/// Whether a process has any of its own.
#[cfg(target_os = "linux")]
fn has_children(pid: u32) -> bool {
    let parent = |entry: std::fs::DirEntry| {
        let pid = entry.file_name().to_str()?.parse::<u32>().ok()?;
        fields(pid)?.get(1)?.parse::<u32>().ok()
    };
    let Ok(entries) = std::fs::read_dir("/proc") else { return true };
    entries.filter_map(Result::ok).filter_map(parent).any(|parent| parent == pid)
}

/// Whether a process has any of its own.
#[cfg(not(target_os = "linux"))]
fn has_children(pid: u32) -> bool {
    let listed = std::process::Command::new("ps").args(["-A", "-o", "ppid="]).output();
    listed.map_or(true, |listed| String::from_utf8_lossy(&listed.stdout).lines().any(|line| line.trim() == pid.to_string()))
}

/// The name of the program that a process runs.
#[cfg(target_os = "linux")]
fn name(pid: u32) -> Option<String> {
    Some(std::fs::read_to_string(format!("/proc/{pid}/comm")).ok()?.trim().to_owned())
}

/// The name of the program that a process runs.
#[cfg(not(target_os = "linux"))]
fn name(pid: u32) -> Option<String> {
    let asked = std::process::Command::new("ps").args(["-o", "comm=", "-p", &pid.to_string()]).output().ok()?;
    Some(String::from_utf8_lossy(&asked.stdout).trim().rsplit('/').next()?.to_owned())
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
        assert_eq!(fate(pid, Some(Utc::now())), Fate::Runs);
        assert_eq!(fate(pid, None), Fate::Runs);
        assert_eq!(fate(pid, Some(Utc::now() - TimeDelta::hours(1))), Fate::Gone);
        child.kill().unwrap();
        // It has ended, and nobody has taken notice.
        std::thread::sleep(std::time::Duration::from_millis(100));
        assert_eq!(fate(pid, Some(Utc::now())), Fate::Gone);
        child.wait().unwrap();
        assert_eq!((fate(0, None), fate(-1, None), fate(i64::MAX, None)), (Fate::Gone, Fate::Gone, Fate::Gone));
    }
}
