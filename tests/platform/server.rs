//! The one server of a test process: the door, where clients knock, and the back, which answers and holds the archives.

use std::io::{Result, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, Once, OnceLock};
use std::time::Duration;

use super::deployment::Deployment;
use super::referee::{self, Referee};
use super::state::{Platform, State, random};
use super::trouble::Mischief;
use super::wire::{Answer, Asked};
use super::{api, archives};

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
        Server { platform: Platform::default(), door: listen(at_the_door), back, referee: referee::start(back) }
    })
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
    platform.admit(Arc::clone(&app));
    for below in ["", "/deployments", &format!("/deployments/{deployment}"), &format!("/deployments/{deployment}/logs?type=BUILD")] {
        referee.judge(&Asked::get(format!("{folder}{below}"), &token), Some(&app));
    }
    let violations = &app.lock().unwrap().violations;
    assert!(violations.is_empty(), "{violations:#?}");
}

/// A client that hangs up is no matter of ours.
fn listen(serve: fn(&mut TcpStream) -> Result<()>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            std::thread::spawn(move || drop(serve(&mut stream)));
        }
    });
    address
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
        Some(referee) => referee.judge(&asked, server.platform.concerned(&asked).as_ref()),
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

const PIECES: u32 = 10;

fn send(stream: &mut TcpStream, answer: &[u8], mischief: Mischief) -> Result<()> {
    let head = answer.windows(4).position(|end| end == b"\r\n\r\n").map_or(answer.len(), |at| at + 4);
    let (head, body) = answer.split_at(head);
    match mischief {
        Mischief::HungUp => return Ok(()),
        Mischief::Late(by) => std::thread::sleep(by),
        _ => {}
    }
    stream.write_all(head)?;
    match mischief {
        Mischief::Truncated => stream.write_all(&body[..body.len() / 2]),
        Mischief::Slow(whole) => trickle(stream, body, whole / PIECES),
        _ => stream.write_all(body),
    }
}

fn trickle(stream: &mut TcpStream, body: &[u8], pause: Duration) -> Result<()> {
    for piece in body.chunks(body.len().div_ceil(PIECES as usize).max(1)) {
        std::thread::sleep(pause);
        stream.write_all(piece)?;
    }
    Ok(())
}
