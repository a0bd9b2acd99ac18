//! What tmux really runs: one question to each server (tmux(1), "list-panes"), and what an answer that is none means.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;
use chrono::{DateTime, Utc};
use contract::child::{self, Ended};
use contract::path::{Subject, absolute, shown};
use serde::Serialize;

use crate::process;

/// A server that takes longer has hung.
const PATIENCE: Duration = Duration::from_secs(3);
/// Bytes of an answer: some hundred thousand panes.
const KEEP: usize = 64 << 20;
/// The name comes last, since it may hold anything.
const FORMAT: &str = "#{pane_dead} #{pane_pid} #{session_created} #{?session_group_attached,#{session_group_attached},#{session_attached}} #{pane_id} #{session_id} #{pid} #{pane_tty} #{session_name}";

/// A server, by its socket.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Socket {
    path: PathBuf,
    known: Known,
}

/// How it is known that there may be a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Known {
    /// Where everybody's is.
    Usual,
    /// Its socket is there.
    Listed,
    /// Somebody named it.
    Named,
}

/// The servers that are asked.
#[derive(Clone, Debug)]
pub(crate) struct Servers {
    pub(crate) sockets: Vec<Socket>,
    /// Somebody says that no other server has agents.
    pub(crate) no_others: bool,
}

/// A session with its panes.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    pub(crate) socket: Socket,
    pub(crate) name: String,
    /// As `$3`: no other session of that server ever has it.
    pub(crate) id: String,
    /// The process of its server.
    server: u32,
    pub(crate) created: Option<DateTime<Utc>>,
    /// Clients that look at it, or at another of its group.
    pub(crate) attached: u32,
    pub(crate) panes: Vec<Pane>,
}

#[derive(Clone, Debug, Serialize)]
pub(crate) struct Pane {
    pub(crate) id: String,
    pub(crate) dead: bool,
    pub(crate) pid: u32,
    #[serde(skip)]
    pub(crate) tty: PathBuf,
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
    /// The users whose servers were asked.
    pub(crate) asked: Vec<u32>,
    /// The living sessions by their loose names.
    alike: HashMap<String, String>,
    /// The loose names of all sessions.
    loose: HashSet<String>,
    /// Names that tmux could not show as they are.
    escaped: Vec<String>,
}

impl Sight {
    /// The sessions of exactly that name, as tmux writes it: it makes `_` of the characters that its targets use.
    pub(crate) fn named(&self, name: &str) -> &[Session] {
        self.shown(&spelled(name))
    }

    /// The sessions of exactly that name, as tmux shows it.
    pub(crate) fn shown(&self, name: &str) -> &[Session] {
        self.sessions.get(name).map_or(&[], Vec::as_slice)
    }

    /// What was seen of these sessions.
    pub(crate) fn of(all: Vec<Session>, unseen: Vec<String>) -> Self {
        let mut sight = Self { unseen, asked: vec![rustix::process::getuid().as_raw()], ..Self::default() };
        for session in all {
            sight.loose.insert(loose(&session.name));
            if session.lives() {
                sight.alike.insert(loose(&session.name), session.name.clone());
                sight.escaped.extend(session.name.contains('\\').then(|| session.name.clone()));
            }
            sight.sessions.entry(session.name.clone()).or_default().push(session);
        }
        sight
    }

    /// Whether any session could have that name.
    pub(crate) fn has_like(&self, name: &str) -> bool {
        !self.loose.is_empty() && self.loose.contains(&loose(name))
    }

    /// A living session that could have that name, written in another way: of letters that tmux does not know it makes octal numbers
    /// behind `\`.
    pub(crate) fn alike(&self, name: &str) -> Option<&str> {
        let is_plain = name.chars().all(|c| c.is_ascii() && !c.is_ascii_control());
        let escaped = self.escaped.first().filter(|_| !is_plain);
        self.alike.get(&loose(name)).or(escaped).map(String::as_str)
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &Session> {
        self.sessions.values().flatten()
    }
}

/// A name as tmux keeps and shows it: `.` and `:` are for its targets, and `\` and `$` before a name are escaped (`utf8_strvis` of tmux).
pub(crate) fn spelled(name: &str) -> String {
    let mut spelled = String::with_capacity(name.len());
    let mut rest = name.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '.' | ':' => spelled.push('_'),
            '\\' => spelled.push_str("\\\\"),
            '$' if rest.peek().is_some_and(|next| next.is_ascii_alphabetic() || "_{".contains(*next)) => spelled.push_str("\\$"),
            c => spelled.push(c),
        }
    }
    spelled
}

/// What is left of a name without all that somebody could write in another way: two that differ here are not one.
pub(crate) fn loose(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).collect()
}

impl Socket {
    /// `tmux -S PATH`
    pub(crate) fn at(path: &Path) -> anyhow::Result<Self> {
        Ok(Self { path: absolute(path)?, known: Known::Named })
    }

    /// `tmux -L NAME`
    pub(crate) fn named(name: &str) -> Self {
        Self { path: folder().join(name), known: Known::Named }
    }

    pub(crate) fn command(&self) -> Command {
        let mut tmux = Command::new("tmux");
        // Without -u it makes `_` of all letters that are not ASCII, unless the locale says otherwise.
        tmux.arg("-u").arg("-S").arg(&self.path);
        tmux
    }

    /// What is told of it; nothing of those that nobody named.
    pub(crate) fn told(&self) -> Option<Subject> {
        (self.known != Known::Usual).then(|| Subject::from(&self.path))
    }
}

/// The folder of the sockets of this user: `$TMUX_TMPDIR`, else `/tmp`, then `tmux-UID`.
fn folder() -> PathBuf {
    let folder = std::env::var_os("TMUX_TMPDIR").filter(|folder| !folder.is_empty()).map_or_else(|| PathBuf::from("/tmp"), PathBuf::from);
    folder.join(format!("tmux-{}", rustix::process::getuid().as_raw()))
}

/// The server that tmux takes by itself, and the one that we run in (`$TMUX`: its socket, a comma, and more).
pub(crate) fn usual_sockets() -> Vec<Socket> {
    let own = std::env::var_os("TMUX").and_then(|own| own.to_str().and_then(|own| own.split(',').next()).map(PathBuf::from));
    let default = folder().join("default");
    let mut paths = vec![default];
    paths.extend(own.filter(|own| own.is_absolute()));
    paths.dedup();
    paths.into_iter().map(|path| Socket { path, known: Known::Usual }).collect()
}

/// Every socket in the folder of this user.
///
/// # Errors
/// The folder is there and cannot be read.
pub(crate) fn all_sockets() -> anyhow::Result<Vec<Socket>> {
    let folder = folder();
    let entries = match fs::read_dir(&folder) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.with_context(|| format!("cannot list the sockets of tmux in {}", shown(&folder)))?,
    };
    let is_socket = |path: &PathBuf| path.symlink_metadata().is_ok_and(|meta| meta.file_type().is_socket());
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| entry.ok().map(|entry| entry.path())).filter(is_socket).collect();
    paths.sort();
    Ok(paths.into_iter().map(|path| Socket { path, known: Known::Listed }).collect())
}

/// Asks each server what it runs.
pub(crate) fn look(servers: &Servers) -> Sight {
    let (mut all, mut unseen, mut is_certain) = (Vec::new(), Vec::new(), !servers.sockets.is_empty());
    for socket in &servers.sockets {
        match ask(socket) {
            // Whoever names sockets, and somebody answers at each, knows of the others.
            Ok(sessions) => {
                is_certain &= socket.known == Known::Named && !sessions.is_empty();
                all.extend(sessions);
            }
            Err(why) => unseen.push(why),
        }
    }
    // One whose socket was removed or is elsewhere answers nobody, and its agents are alive.
    if !is_certain && !servers.no_others && unseen.is_empty() {
        unseen.extend(others(&all));
    }
    let mut sight = Sight::of(all, unseen);
    sight.asked.extend(servers.sockets.iter().filter_map(|socket| Some(socket.path.metadata().ok()?.uid())));
    sight
}

/// That a server runs whose sessions are none of these.
fn others(all: &[Session]) -> Option<String> {
    let Some(servers) = process::servers() else {
        return Some("which servers of tmux run cannot be seen; --no-other-servers says that no other has agents".to_owned());
    };
    let other = servers.into_iter().find(|server| !all.iter().any(|one| one.server == *server))?;
    Some(format!(
        "a tmux server runs (process {other}) that was not asked; -S names its socket, --all-sockets asks all in the usual place, and \
         --no-other-servers says that no other has agents"
    ))
}

/// Asks the one server that a session is of.
pub(crate) fn look_again(session: &Session) -> Sight {
    ask(&session.socket).map_or_else(|why| Sight::of(Vec::new(), vec![why]), |sessions| Sight::of(sessions, Vec::new()))
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

pub(crate) fn parse(socket: &Socket, answer: &str) -> Result<Vec<Session>, String> {
    let mut sessions: Vec<Session> = Vec::new();
    for line in answer.lines() {
        let mut words = line.splitn(9, ' ');
        let mut word = || words.next().ok_or_else(|| format!("tmux gave an answer that is none: {line}"));
        let (dead, pid, created, attached) = (word()?, word()?, word()?, word()?);
        let (id, session_id, server, tty, name) = (word()?, word()?, word()?, word()?, word()?);
        let pane = Pane { id: id.to_owned(), dead: dead == "1", pid: pid.parse().unwrap_or(0), tty: PathBuf::from(tty) };
        match sessions.last_mut() {
            Some(session) if session.id == session_id => session.panes.push(pane),
            _ => sessions.push(Session {
                socket: socket.clone(),
                name: name.to_owned(),
                id: session_id.to_owned(),
                server: server.parse().unwrap_or(0),
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

/// Ends that very session: by its id, since a target could mean another one by a name that looks like an id.
///
/// # Errors
/// tmux does not do it.
pub(crate) fn end(session: &Session) -> anyhow::Result<()> {
    let mut tmux = session.socket.command();
    tmux.args(["kill-session", "-t", &session.id]);
    let finished = child::run(&mut tmux, PATIENCE, KEEP).context("cannot start tmux")?;
    anyhow::ensure!(finished.ended.success(), "tmux does not end it: {}", String::from_utf8_lossy(finished.stderr.trim_ascii()));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panes_are_gathered_by_session_and_a_name_may_hold_spaces() {
        let answer = "0 11 1 1 %0 $0 9 /dev/pts/1 agent_a_b\n1 12 1 1 %1 $0 9  agent_a_b\n1 13 1 0 %2 $1 9 /dev/pts/3 näme mit leer\n";
        let sessions = parse(&Socket::named("x"), answer).unwrap();
        assert_eq!(
            sessions.iter().map(|one| (one.name.as_str(), one.panes.len(), one.lives(), one.attached)).collect::<Vec<_>>(),
            [("agent_a_b", 2, true, 1), ("näme mit leer", 1, false, 0)]
        );
        assert!(parse(&Socket::named("x"), "nonsense\n").is_err());
    }

    #[test]
    fn a_name_is_as_tmux_shows_it() {
        let names = ["agent_a.b:c", "agent_a$HOME", "agent_a$1", "agent_a\\b", "müde"].map(spelled);
        assert_eq!(names, ["agent_a_b_c", "agent_a\\$HOME", "agent_a$1", "agent_a\\\\b", "müde"]);
    }

    #[test]
    fn only_no_server_means_no_sessions() {
        assert!(is_no_server("no server running on /tmp/tmux-0/default"));
        assert!(is_no_server("error connecting to /tmp/tmux-0/x (No such file or directory)"));
        assert!(!is_no_server("error connecting to /tmp/tmux-0/x (Permission denied)"));
        assert!(!is_no_server("server exited unexpectedly") && !is_no_server(""));
    }
}
