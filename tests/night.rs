//! `scripts/cron/nightly-check` as cron runs it: no HOME, a short PATH, no terminal.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;
use std::thread::JoinHandle;

use tests::{Ran, Sandbox, binary, workspace};

use crate::corpus;

/// Runs it through `env -i` over the sandbox's `work`.
fn night(sandbox: &Sandbox, path: &str, settings: &[String]) -> Ran {
    let mut args = vec!["-i".to_owned()];
    if !path.is_empty() {
        args.push(format!("PATH={path}"));
    }
    args.push(format!("MENDLINE_BIN={}", binary("venv-probe").parent().unwrap().display()));
    args.push(format!("MENDLINE_STATE_DIR={}", sandbox.root().join("state").display()));
    args.extend_from_slice(settings);
    args.push(workspace().join("scripts/cron/nightly-check").display().to_string());
    args.push(sandbox.work("").display().to_string());
    sandbox.command("/usr/bin/env", args).within("/").run()
}

fn kept(sandbox: &Sandbox) -> usize {
    fs::read_dir(sandbox.root().join("state/checks")).unwrap().count()
}

/// Takes one request on loopback, answers it, and returns its path and its body.
fn hook(status: &'static str) -> (String, JoinHandle<(String, serde_json::Value)>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/services/SECRET?a=\"b\\", listener.local_addr().unwrap());
    let taken = std::thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let mut reader = BufReader::new(&stream);
        let mut head = Vec::new();
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            if line.trim().is_empty() {
                break;
            }
            head.push(line);
        }
        let length = head.iter().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length:")?.trim().parse().ok()).unwrap();
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        // While curl waits for the answer, its arguments are there for everyone to see.
        let seen = Command::new("ps").args(["-eo", "args"]).output().unwrap();
        assert!(!String::from_utf8_lossy(&seen.stdout).contains("SECRET"), "the URL is in an argument list");
        write!(&stream, "HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").unwrap();
        (head[0].clone(), serde_json::from_slice(&body).unwrap())
    });
    (url, taken)
}

#[test]
fn a_good_night_is_silent_and_keeps_its_records() {
    let sandbox = Sandbox::new();
    corpus::bare(&sandbox.work("a/.venv"));
    for _ in 0..2 {
        let ran = night(&sandbox, "", &[]).code(0);
        assert_eq!((ran.text().as_str(), ran.stderr.as_str()), ("", ""));
    }
    assert_eq!(kept(&sandbox), 2);
    let mode = |below: &str| sandbox.root().join(below).metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("state"), mode("state/checks")), (0o700, 0o700));
}

#[test]
fn without_a_channel_it_prints_so_that_cron_mails_it() {
    let sandbox = Sandbox::new();
    corpus::bare(&sandbox.work("a/.venv"));
    corpus::dead(&sandbox.work("old/.venv"));
    let ran = night(&sandbox, "/usr/bin:/bin", &[]).code(1);
    assert!(!ran.text().contains("New or worse"), "{}", ran.text());
    corpus::dead(&sandbox.work("new/.venv"));
    let ran = night(&sandbox, "/usr/bin:/bin", &[]).code(1);
    let (text, work) = (ran.text(), sandbox.work(""));
    let work = work.display();
    assert!(
        text.contains(&format!("3 environments, 2 broken; new: {work}new/.venv (interpreter-missing); as before: {work}old/.venv")),
        "{text}"
    );
    assert!(
        text.contains(&format!("New or worse:\n  broken  {work}new/.venv  interpreter-missing\n\nPython environments under")),
        "{text}"
    );
    assert_eq!(ran.stderr, "");
}

#[test]
fn a_report_that_fails_takes_no_news_with_it() {
    let sandbox = Sandbox::new();
    corpus::dead(&sandbox.work("a/.venv"));
    let bin = sandbox.root().join("bin");
    tests::write_program(bin.join("venv-probe"), &format!("exec {} \"$@\"", binary("venv-probe").display()));
    tests::write_program(bin.join("report"), "exit 3");
    let ran = night(&sandbox, "", &[format!("MENDLINE_BIN={}", bin.display())]).code(1);
    assert!(
        ran.text().contains("1 environment, 1 broken") && ran.text().contains("report could not draw all of it (exit status 3)"),
        "{}",
        ran.text()
    );
}

#[test]
fn mail_goes_out_and_nothing_is_printed() {
    let sandbox = Sandbox::new();
    corpus::dead(&sandbox.work("a/.venv"));
    let (bin, mail) = (sandbox.root().join("bin"), sandbox.root().join("mail"));
    tests::write_program(bin.join("sendmail"), &format!("{{ echo \"$@\"; env; cat; }} >'{}'", mail.display()));
    let path = format!("{}:/usr/bin:/bin", bin.display());
    let ran = night(&sandbox, &path, &["MENDLINE_MAILTO=someone@example.org".to_owned()]).code(1);
    assert_eq!((ran.text().as_str(), ran.stderr.as_str()), ("", ""));
    let mail = fs::read_to_string(mail).unwrap();
    assert!(mail.starts_with("-i -t\n"), "{mail}");
    assert!(mail.contains("\nTo: someone@example.org\nSubject: mendline on "), "{mail}");
    assert!(mail.contains(": 1 environment, 1 broken\nAuto-Submitted:"), "{mail}");
    let ran = night(&sandbox, &path, &["MENDLINE_MAILTO=a@example.org\nBcc: b@example.org".to_owned()]).code(2);
    assert!(ran.stderr.contains("MENDLINE_MAILTO is no address"), "{}", ran.stderr);
}

#[test]
fn the_webhook_gets_one_line_and_its_address_is_in_no_argument_list() {
    let sandbox = Sandbox::new();
    corpus::dead(&sandbox.work("a/.venv"));
    let (url, taken) = hook("200 OK");
    let ran = night(&sandbox, "", &[format!("MENDLINE_WEBHOOK={url}")]).code(1);
    assert_eq!((ran.text().as_str(), ran.stderr.as_str()), ("", ""));
    let (request, body) = taken.join().unwrap();
    assert!(request.starts_with("POST /services/SECRET?a=\"b\\ HTTP/1.1"), "{request}");
    let text = body["text"].as_str().unwrap();
    assert!(text.contains(": 1 environment, 1 broken: ") && !text.contains('\n'), "{text}");
}

#[test]
fn a_message_that_does_not_get_away_is_printed_and_is_trouble() {
    let sandbox = Sandbox::new();
    corpus::dead(&sandbox.work("a/.venv"));
    let (url, taken) = hook("404 Not Found");
    let ran = night(&sandbox, "", &[format!("MENDLINE_WEBHOOK={url}")]).code(2);
    taken.join().unwrap();
    assert!(ran.stderr.contains("the webhook did not take the message"), "{}", ran.stderr);
    assert!(ran.stderr.contains("1 environment, 1 broken"), "{}", ran.stderr);
    assert!(!ran.stderr.contains("SECRET"), "{}", ran.stderr);
}

#[test]
fn a_probe_that_could_not_see_is_no_good_news() {
    let sandbox = Sandbox::new();
    let ran = night(&sandbox, "", &[]).code(0);
    assert_eq!(ran.text(), "");
    fs::remove_dir_all(sandbox.work("")).unwrap();
    let state = sandbox.root().join("state");
    let args = [
        "-i".to_owned(),
        format!("MENDLINE_BIN={}", binary("venv-probe").parent().unwrap().display()),
        format!("MENDLINE_STATE_DIR={}", state.display()),
        workspace().join("scripts/cron/nightly-check").display().to_string(),
        "/nonexistent/root".to_owned(),
    ];
    let ran = sandbox.command("/usr/bin/env", args).run().code(2);
    assert!(ran.text().contains("venv-probe had trouble (exit status 2)"), "{}", ran.text());
    assert!(ran.text().contains("/nonexistent/root does not exist"), "{}", ran.text());
}

#[test]
fn two_never_overlap() {
    let sandbox = Sandbox::new();
    corpus::bare(&sandbox.work("a/.venv"));
    assert_eq!(night(&sandbox, "", &[]).code(0).text(), "");
    let lock = sandbox.root().join("state/nightly-check.lock");
    let mut holder = Command::new("flock")
        .arg(&lock)
        .args(["sh", "-c", "echo held; read x"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = String::new();
    BufReader::new(holder.stdout.take().unwrap()).read_line(&mut said).unwrap();
    let ran = night(&sandbox, "", &[]).code(75);
    assert!(ran.stderr.contains("the run before still goes on"), "{}", ran.stderr);
    drop(holder.stdin.take());
    holder.wait().unwrap();
    assert_eq!(kept(&sandbox), 1);
}

#[test]
fn the_last_thirty_are_kept() {
    let sandbox = Sandbox::new();
    corpus::bare(&sandbox.work("a/.venv"));
    assert_eq!(night(&sandbox, "", &[]).code(0).text(), "");
    let checks = sandbox.root().join("state/checks");
    let first = fs::read_dir(&checks).unwrap().next().unwrap().unwrap().file_name().into_string().unwrap();
    let series = &first["YYYYMMDD_HHMMSS".len()..];
    for day in 1..=31 {
        fs::copy(checks.join(&first), checks.join(format!("202001{day:02}_031700{series}"))).unwrap();
    }
    fs::copy(checks.join(&first), checks.join("20200101_031700_other.jsonl")).unwrap();
    assert_eq!(night(&sandbox, "", &[]).code(0).text(), "");
    assert_eq!(kept(&sandbox), 31);
    assert!(checks.join(&first).exists() && checks.join("20200101_031700_other.jsonl").exists());
    assert!(!checks.join(format!("20200103_031700{series}")).exists() && checks.join(format!("20200104_031700{series}")).exists());
}

#[test]
fn a_stream_without_its_end_is_trouble_whatever_the_status_says() {
    let sandbox = Sandbox::new();
    let bin = sandbox.root().join("bin");
    tests::write_program(bin.join("venv-probe"), "exit 0");
    let ran = night(&sandbox, "", &[format!("MENDLINE_BIN={}", bin.display())]).code(2);
    assert!(ran.text().contains("nothing was judged; venv-probe had trouble (exit status 0)"), "{}", ran.text());
}
