//! What tmux really runs: one question to each server (tmux(1), "list-panes"), and what an answer that is none means.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::FileTypeExt as _;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;
use chrono::{DateTime, Utc};
use contract::child::{self, Ended};
use contract::path::{Subject, shown};
use serde::Serialize;

/// A server that takes longer has hung.
const PATIENCE: Duration = Duration::from_secs(10);
/// Bytes of an answer: some hundred thousand panes.
const KEEP: usize = 64 << 20;
/// The name comes last, since it may hold anything.
const FORMAT: &str = "#{pane_dead} #{pane_pid} #{session_created} #{session_attached} #{pane_id} #{session_name}";

/// A server, by the way to it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Socket {
    /// The one that tmux takes by itself.
    Default,
    /// `tmux -L NAME`
    Name(String),
    /// `tmux -S PATH`
    Path(PathBuf),
}

/// A session with its panes.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    pub(crate) socket: Socket,
    pub(crate) name: String,
    pub(crate) created: Option<DateTime<Utc>>,
    /// Clients that look at it.
    pub(crate) attached: u32,
    pub(crate) panes: Vec<Pane>,
}

#[derive(Clone, Debug, Serialize)]
pub(crate) struct Pane {
    pub(crate) id: String,
    pub(crate) dead: bool,
    pub(crate) pid: u32,
}

impl Session {
    /// Whether anything still runs in it.
    pub(crate) fn lives(&self) -> bool {
        self.panes.iter().any(|pane| !pane.dead)
    }
}

/// All that was seen.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sight {
    /// By name; two servers may have one of a name each.
    pub(crate) sessions: BTreeMap<String, Vec<Session>>,
    /// Why some servers could not be seen: then what is not here may be there all the same.
    pub(crate) unseen: Vec<String>,
}

impl Sight {
    /// The sessions of exactly that name, as tmux writes it: it makes `_` of the characters that its targets use.
    pub(crate) fn named(&self, name: &str) -> &[Session] {
        self.sessions.get(&spelled(name)).map_or(&[], Vec::as_slice)
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &Session> {
        self.sessions.values().flatten()
    }
}

/// A name as tmux keeps it.
pub(crate) fn spelled(name: &str) -> String {
    name.replace(['.', ':'], "_")
}

impl Socket {
    pub(crate) fn command(&self) -> Command {
        let mut tmux = Command::new("tmux");
        // Without -u it makes `_` of all letters that are not ASCII, unless the locale says otherwise.
        tmux.arg("-u");
        match self {
            Self::Default => {}
            Self::Name(name) => {
                tmux.arg("-L").arg(name);
            }
            Self::Path(path) => {
                tmux.arg("-S").arg(path);
            }
        }
        // From within tmux it would ask the server that we run in.
        tmux.env_remove("TMUX").env_remove("TMUX_PANE");
        tmux
    }

    /// What is told of it; nothing of the default one.
    pub(crate) fn told(&self) -> Option<Subject> {
        match self {
            Self::Default => None,
            Self::Name(name) => Some(Subject::from(name.as_str())),
            Self::Path(path) => Some(Subject::from(path)),
        }
    }
}

/// Every socket in the folder of this user (`$TMUX_TMPDIR`, else `/tmp`, then `tmux-UID`).
///
/// # Errors
/// The folder is there and cannot be read.
pub(crate) fn all_sockets() -> anyhow::Result<Vec<Socket>> {
    let folder = std::env::var_os("TMUX_TMPDIR").filter(|folder| !folder.is_empty()).map_or_else(|| PathBuf::from("/tmp"), PathBuf::from);
    let folder = folder.join(format!("tmux-{}", rustix::process::getuid().as_raw()));
    let entries = match fs::read_dir(&folder) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.with_context(|| format!("cannot list the sockets of tmux in {}", shown(&folder)))?,
    };
    let is_socket = |path: &PathBuf| path.symlink_metadata().is_ok_and(|meta| meta.file_type().is_socket());
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| entry.ok().map(|entry| entry.path())).filter(is_socket).collect();
    paths.sort();
    Ok(paths.into_iter().map(Socket::Path).collect())
}

/// Asks each server what it runs.
pub(crate) fn look(sockets: &[Socket]) -> Sight {
    let mut sight = Sight::default();
    for socket in sockets {
        match ask(socket) {
            Ok(sessions) => {
                for session in sessions {
                    sight.sessions.entry(session.name.clone()).or_default().push(session);
                }
            }
            Err(why) => sight.unseen.push(why),
        }
    }
    sight
}

/// No server means no sessions, which is what there is after the machine was started again; any other failure means that nothing is known.
fn ask(socket: &Socket) -> Result<Vec<Session>, String> {
    let mut tmux = socket.command();
    tmux.args(["list-panes", "-a", "-F", FORMAT]);
    let finished = child::run(&mut tmux, PATIENCE, KEEP).map_err(|e| format!("cannot start tmux: {e}"))?;
    let said = String::from_utf8_lossy(finished.stderr.trim_ascii()).into_owned();
    match finished.ended {
        Ended::Exited(status) if status.success() => parse(socket, &String::from_utf8_lossy(&finished.stdout)),
        Ended::Exited(_) if is_no_server(&said) => Ok(Vec::new()),
        Ended::Exited(status) => Err(format!("tmux cannot tell what it runs ({status}): {said}")),
        Ended::TimedOut => Err(format!("tmux did not answer within {} s", PATIENCE.as_secs())),
        Ended::Interrupted => Err("interrupted".to_owned()),
    }
}

fn is_no_server(said: &str) -> bool {
    said.starts_with("no server running on ") || said.starts_with("error connecting to ") && said.ends_with("(No such file or directory)")
}

fn parse(socket: &Socket, answer: &str) -> Result<Vec<Session>, String> {
    let mut sessions: Vec<Session> = Vec::new();
    for line in answer.lines() {
        let mut words = line.splitn(6, ' ');
        let mut word = || words.next().ok_or_else(|| format!("tmux gave an answer that is none: {line}"));
        let (dead, pid, created, attached, id, name) = (word()?, word()?, word()?, word()?, word()?, word()?);
        let pane = Pane { id: id.to_owned(), dead: dead == "1", pid: pid.parse().unwrap_or(0) };
        match sessions.last_mut() {
            Some(session) if session.name == name => session.panes.push(pane),
            _ => sessions.push(Session {
                socket: socket.clone(),
                name: name.to_owned(),
                created: created.parse().ok().and_then(|seconds| DateTime::from_timestamp(seconds, 0)),
                attached: attached.parse().unwrap_or(0),
                panes: vec![pane],
            }),
        }
    }
    Ok(sessions)
}

/// Everything that a pane has shown and still keeps.
///
/// # Errors
/// tmux does not give it.
pub(crate) fn scrollback(session: &Session, pane: &Pane) -> anyhow::Result<Vec<u8>> {
    let mut tmux = session.socket.command();
    tmux.args(["capture-pane", "-p", "-e", "-S", "-", "-t", &pane.id]);
    let finished = child::run(&mut tmux, PATIENCE, KEEP).context("cannot start tmux")?;
    anyhow::ensure!(finished.ended.success(), "tmux does not give it: {}", String::from_utf8_lossy(finished.stderr.trim_ascii()));
    Ok(finished.stdout)
}

/// Ends a session of exactly that name.
///
/// # Errors
/// tmux does not do it.
pub(crate) fn end(session: &Session) -> anyhow::Result<()> {
    let mut tmux = session.socket.command();
    tmux.args(["kill-session", "-t", &format!("={}", session.name)]);
    let finished = child::run(&mut tmux, PATIENCE, KEEP).context("cannot start tmux")?;
    anyhow::ensure!(finished.ended.success(), "tmux does not end it: {}", String::from_utf8_lossy(finished.stderr.trim_ascii()));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panes_are_gathered_by_session_and_a_name_may_hold_spaces() {
        let answer = "0 11 1795895082 1 %0 agent_a_b\n1 12 1795895082 1 %1 agent_a_b\n1 13 1795895083 0 %2 näme mit leer\n";
        let sessions = parse(&Socket::Default, answer).unwrap();
        assert_eq!(
            sessions.iter().map(|one| (one.name.as_str(), one.panes.len(), one.lives(), one.attached)).collect::<Vec<_>>(),
            [("agent_a_b", 2, true, 1), ("näme mit leer", 1, false, 0)]
        );
        assert!(parse(&Socket::Default, "nonsense\n").is_err());
    }

    #[test]
    fn only_no_server_means_no_sessions() {
        assert!(is_no_server("no server running on /tmp/tmux-0/default"));
        assert!(is_no_server("error connecting to /tmp/tmux-0/x (No such file or directory)"));
        assert!(!is_no_server("error connecting to /tmp/tmux-0/x (Permission denied)"));
        assert!(!is_no_server("server exited unexpectedly") && !is_no_server(""));
    }
}
