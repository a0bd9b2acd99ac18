//! The one server of a test process: the door, where clients knock, and the back, which answers and holds the archives.

use std::io::{Result, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex, Once, OnceLock};

use tests::workspace;

use super::deployment::Deployment;
use super::state::{Platform, State, random};
use super::{api, archives};
use crate::double::referee::Referee;
use crate::double::serve::{listen, send};
use crate::double::trouble::Mischief;
use crate::double::wire::{Answer, Asked};

/// All that the tests of a process share.
pub(super) struct Server {
    pub(super) platform: Platform,
    door: SocketAddr,
    /// An origin of its own, as the store of the archives is: who sends a token there sends it to strangers.
    pub(super) back: SocketAddr,
    referee: Option<Referee>,
}

impl Server {
    pub(super) fn url(&self) -> String {
        format!("http://{}", self.door)
    }

    pub(super) fn has_referee(&self) -> bool {
        self.referee.is_some()
    }
}

pub(super) fn server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| {
        let back = listen(at_the_back);
        Server { platform: Platform::default(), door: listen(at_the_door), back, referee: referee(back) }
    })
}

/// The description belongs to DigitalOcean and lies beside a checkout, if anywhere.
fn referee(back: SocketAddr) -> Option<Referee> {
    let description = workspace().parent()?.join("shared/data/openapi/digitalocean-apps.json");
    if !description.is_file() {
        let why = "no referee for the double of App Platform: there is no";
        // Past the capture of the test that happens to come first.
        drop(writeln!(std::io::stderr(), "{why} {}", description.display()));
        return None;
    }
    Some(Referee::start(&description, back))
}

/// The server when it answers as fast as it is going to.
pub(super) fn ready() -> &'static Server {
    static WARM: Once = Once::new();
    WARM.call_once(|| server().referee.iter().for_each(|referee| warm_up(referee, &server().platform)));
    server()
}

/// Prism prepares for each kind of answer when the first of it comes, which takes it seconds: more than a client in a test may wait for.
fn warm_up(referee: &Referee, platform: &Platform) {
    let mut state = State::new(random());
    let (folder, token, deployment) = (format!("/v2/apps/{}", state.id), state.token.clone(), state.deploy(Deployment::of("")));
    let app = Arc::new(Mutex::new(state));
    platform.admit(app);
    for below in ["", "/deployments", &format!("/deployments/{deployment}"), &format!("/deployments/{deployment}/logs?type=BUILD")] {
        let (_, objection) = referee.judge(&Asked::get(format!("{folder}{below}"), &token));
        assert_eq!(objection, None);
    }
}

/// Here all is recorded as the client sent it, and here it meets with whatever the referee would not let through.
fn at_the_door(stream: &mut TcpStream) -> Result<()> {
    let mut asked = Asked::read(&mut *stream)?;
    let mischief = note(&mut asked);
    if mischief == Mischief::BadGateway {
        return stream.write_all(&Answer::new(502, "text/html", "<html><h1>502 Bad Gateway</h1></html>").bytes());
    }
    let server = server();
    let answer = match &server.referee {
        Some(referee) => {
            let (answer, objection) = referee.judge(&asked);
            if let (Some(objection), Some(app)) = (objection, server.platform.concerned(&asked)) {
                app.lock().unwrap().violations.push(objection);
            }
            answer
        }
        None => api::answer(&server.platform, &asked).bytes(),
    };
    send(stream, &answer, mischief)
}

/// Nothing that the referee passes on is recorded twice.
fn at_the_back(stream: &mut TcpStream) -> Result<()> {
    let mut asked = Asked::read(&mut *stream)?;
    let platform = &server().platform;
    if asked.target.starts_with("/archives/") {
        let mischief = note(&mut asked);
        return send(stream, &archives::answer(platform, &asked).bytes(), mischief);
    }
    stream.write_all(&api::answer(platform, &asked).bytes())
}

/// What nobody's test asks goes well.
fn note(asked: &mut Asked) -> Mischief {
    let app = server().platform.concerned(asked);
    app.map_or(Mischief::Nothing, |app| app.lock().unwrap().note(asked))
}
