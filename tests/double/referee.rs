//! Prism between the door and the back: it holds what is asked and what is answered to the official description.

use std::io::{BufRead as _, BufReader, Read as _, Result, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use super::wire::Asked;
use crate::ward::on_path;

/// Nobody waits for Prism when a test process is killed, so it ends with its standard input. Without a port of its own choice there is
/// no race for one.
const WRAPPER: &str = r#""$@" & exec >&-; cat >/dev/null; kill $!"#;

const OPTIONS: [&str; 6] = ["proxy", "--errors", "--validate-request", "--cors=false", "--port=0", "--host=127.0.0.1"];

/// A running Prism.
pub(crate) struct Referee {
    address: SocketAddr,
    /// It runs as long as this is open.
    _alive: ChildStdin,
}

/// The address that it says it listens at. What it says afterwards has to be read too, or it would wait for that.
fn listening(stdout: ChildStdout) -> SocketAddr {
    let (mut lines, mut said) = (BufReader::new(stdout).lines().map_while(Result::ok), Vec::new());
    let address = lines.by_ref().find_map(|line| {
        said.push(line);
        said.last()?.split_once("listening on http://").and_then(|(_, address)| address.trim().parse().ok())
    });
    std::thread::spawn(move || lines.for_each(drop));
    address.unwrap_or_else(|| panic!("Prism does not start:\n{}", said.join("\n")))
}

impl Referee {
    /// Starts it and waits for it.
    pub(crate) fn start(description: &Path, upstream: SocketAddr) -> Self {
        let mut child = Command::new("sh")
            .args(["-c", WRAPPER, "sh"])
            .arg(on_path("prism"))
            .args(OPTIONS)
            .arg(description)
            .arg(format!("http://{upstream}"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // What ends the tests by the keyboard would end the wrapper before it can end Prism.
            .process_group(0)
            .spawn()
            .expect("sh starts");
        let alive = child.stdin.take().expect("a pipe");
        let address = listening(child.stdout.take().expect("a pipe"));
        std::thread::spawn(move || child.wait());
        Self { address, _alive: alive }
    }

    /// The answer to a request, which is Prism's own where somebody breaks the description; then with what it objects to.
    pub(crate) fn judge(&self, asked: &Asked) -> (Vec<u8>, Option<String>) {
        let answer = self.ask(asked);
        let objection = objection(&answer).map(|objection| format!("{} {}: {objection}", asked.method, asked.target));
        (answer.unwrap_or_default(), objection)
    }

    fn ask(&self, asked: &Asked) -> Result<Vec<u8>> {
        let mut stream = TcpStream::connect(self.address)?;
        stream.set_read_timeout(Some(Duration::from_mins(1)))?;
        stream.write_all(asked.relayed().as_bytes())?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        Ok(answer)
    }
}

/// All that Prism says itself is of this type; nothing that the APIs say is.
fn objection(answer: &Result<Vec<u8>>) -> Option<String> {
    let answer = match answer {
        Ok(answer) => String::from_utf8_lossy(answer),
        Err(e) => return Some(format!("Prism does not answer: {e}")),
    };
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, "Prism hung up"));
    (head.contains("application/problem+json") || head.is_empty()).then(|| body.to_owned())
}

#[cfg(target_os = "linux")]
#[test]
fn what_the_wrapper_runs_ends_with_its_input() {
    use crate::heal_service::wait_until;
    use crate::ward::is_running;

    let mut child = Command::new("sh")
        .args(["-c", WRAPPER, "sh", "sh", "-c", "echo $$; exec sleep 1000"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut pid = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut pid).unwrap();
    wait_until(|| is_running(pid.trim()));
    drop(child.stdin.take());
    child.wait().unwrap();
    wait_until(|| !is_running(pid.trim()));
}
