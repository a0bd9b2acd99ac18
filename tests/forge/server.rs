//! The one server of a test process: the door, where clients knock, and the back, which answers.

use std::io::{Result, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock};

use super::state::State;
use super::{api, description};
use crate::double::referee::Referee;
use crate::double::serve::{listen, send};
use crate::double::wire::Asked;

type Shared = Arc<Mutex<State>>;

/// All that the tests of a process share.
pub(super) struct Server {
    repositories: Mutex<Vec<Shared>>,
    door: SocketAddr,
    referee: Option<Referee>,
}

impl Server {
    pub(super) fn url(&self) -> String {
        format!("http://{}", self.door)
    }

    pub(super) fn admit(&self, repository: Shared) {
        self.repositories.lock().unwrap().push(repository);
    }

    /// The repository that a path names.
    fn concerned(&self, asked: &Asked) -> Option<Shared> {
        let [_, owner, name, ..] = asked.segments()[..] else { return None };
        let slug = format!("{owner}/{name}");
        self.repositories.lock().unwrap().iter().find(|repository| repository.lock().unwrap().slug == slug).cloned()
    }
}

/// The server, with a referee where there is a description.
pub(super) fn ready() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| {
        let back = listen(at_the_back);
        let referee = described().map(|description| Referee::start(&description, back));
        if let Some(referee) = &referee {
            warm_up(referee);
        }
        Server { repositories: Mutex::default(), door: listen(at_the_door), referee }
    })
}

/// `scripts/test` has it from the package of GitHub's own libraries.
fn described() -> Option<PathBuf> {
    let Some(whole) = std::env::var_os("MENDLINE_GITHUB_OPENAPI").map(PathBuf::from).filter(|path| path.is_file()) else {
        drop(writeln!(std::io::stderr(), "no referee for the double of GitHub: MENDLINE_GITHUB_OPENAPI names no file"));
        return None;
    };
    let cut = Path::new(env!("CARGO_TARGET_TMPDIR")).join("github-openapi.json");
    // Another test process may be reading it.
    let new = cut.with_extension(std::process::id().to_string());
    description::cut(&whole, &new);
    std::fs::rename(new, &cut).unwrap();
    Some(cut)
}

/// Prism prepares for each kind of answer when the first of it comes, which takes it seconds: more than a client in a test may wait for.
fn warm_up(referee: &Referee) {
    for below in ["issues", "issues/1/comments", "commits/0/comments"] {
        referee.judge(&Asked::get(format!("/repos/nobody/nothing/{below}"), "none"));
    }
}

/// Here all is recorded as the client sent it. Refusals that the description does not know do not come to the referee.
fn at_the_door(stream: &mut TcpStream) -> Result<()> {
    let (asked, server) = (Asked::read(&mut *stream)?, ready());
    let Some(repository) = server.concerned(&asked) else { return stream.write_all(&api::missing().bytes()) };
    let mischief = {
        let mut state = repository.lock().unwrap();
        let name = format!("{} {}", asked.method, asked.target);
        state.requests.push(name.clone());
        state.troubles.next(&name)
    };
    if let Some(refusal) = api::refusal(mischief) {
        return stream.write_all(&refusal.bytes());
    }
    let answer = match &server.referee {
        Some(referee) => {
            let (answer, objection) = referee.judge(&asked);
            repository.lock().unwrap().violations.extend(objection);
            answer
        }
        None => api::answer(&mut repository.lock().unwrap(), &asked).bytes(),
    };
    send(stream, &answer, mischief)
}

fn at_the_back(stream: &mut TcpStream) -> Result<()> {
    let asked = Asked::read(&mut *stream)?;
    if asked.target.starts_with("/repos/nobody/") {
        return stream.write_all(&api::nothing().bytes());
    }
    let repository = ready().concerned(&asked);
    let answer = repository.map_or_else(api::missing, |repository| api::answer(&mut repository.lock().unwrap(), &asked));
    stream.write_all(&answer.bytes())
}
