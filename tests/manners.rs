//! One table over every binary: how a tool behaves towards the shell, whatever its job.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use tests::Stdin::{Drawn, Filtered, Taken, Told, Unread};
use tests::{Ran, Sandbox, Stdin, TOOLS, Tool, Way, arg, binary, workspace};

use crate::corpus;

const UNKNOWN: &str = "{\"v\":1,\"type\":\"weather.probe\",\"id\":\"a.1\",\"tool\":\"t\",\"host\":\"h\",\"ts\":\"2026-08-23T10:11:12.345Z\",\"data\":{ \"n\":1.10, \"big\":18446744073709551616,\"n\":2}}";
const NEWER: &str = "{\"v\":2,\"type\":\"venv.probe\",\"id\":\"a.2\",\"tool\":\"t\",\"host\":\"h\",\"ts\":\"2026-08-23T10:11:12.345Z\",\"subject\":\"/\",\"data\":{\"status\":\"broken\"}}";

/// The ways to call any tool with standard input going to one of these ends.
fn ways(ends: &[Stdin]) -> impl Iterator<Item = (&'static str, &'static [&'static str])> {
    let all = TOOLS.iter().flat_map(|Tool { name, ways }| ways.iter().map(move |way| (*name, way)));
    all.filter(|(_, way)| ends.contains(&way.stdin)).map(|(name, Way { args, .. })| (name, *args))
}

fn run(tool: &str, args: &[&str], input: impl Into<Vec<u8>>) -> Ran {
    Sandbox::new().tool(tool, args).input(input).run()
}

/// A copy of a tool that finds a `report` of these lines of sh beside it.
pub(crate) fn beside_a_report(sandbox: &Sandbox, tool: &str, lines: &str) -> PathBuf {
    let folder = sandbox.root().join("beside");
    tests::write_program(folder.join("report"), lines);
    tests::copy_program(binary(tool), folder.join(tool));
    folder.join(tool)
}

#[test]
fn help_and_version_go_to_stdout_and_help_has_examples() {
    let sandbox = Sandbox::new();
    for Tool { name: tool, .. } in TOOLS {
        let help = sandbox.tool(tool, ["--help"]).run().code(0);
        assert!(help.text().contains("Examples:"), "{tool}");
        let version = sandbox.tool(tool, ["--version"]).run().code(0);
        assert_eq!(version.text(), format!("{tool} {}\n", env!("CARGO_PKG_VERSION")));
    }
}

#[test]
fn a_bad_flag_is_a_usage_error() {
    let sandbox = Sandbox::new();
    for Tool { name: tool, .. } in TOOLS {
        let ran = sandbox.tool(tool, ["--no-such-flag"]).run().code(2);
        assert!(ran.stderr.contains("--no-such-flag"), "{tool}: {}", ran.stderr);
        assert_eq!(ran.text(), "", "{tool}");
    }
}

#[test]
fn a_command_behind_an_option_is_not_taken_for_a_path() {
    let sandbox = Sandbox::new();
    for command in ["undo", "prune"] {
        let said = sandbox.tool("venv-rebuild", ["--force", command, "."]).run().code(2).stderr;
        assert!(said.contains(&format!("the command comes first, as in `venv-rebuild {command} …`")), "{said}");
    }
}

#[test]
fn every_duration_is_spelt_the_same_way() {
    let sandbox = Sandbox::new();
    let with = |tool: &str, option: &[&str], duration: &str| sandbox.tool(tool, option.iter().copied().chain([duration, "."])).run();
    let (timeouts, age) =
        ([("venv-probe", &["--timeout"][..]), ("venv-rebuild", &["--timeout"])], ("venv-rebuild", &["prune", "--older-than"][..]));
    for (tool, option) in timeouts.into_iter().chain([age]) {
        for duration in ["90s", "10m", "12h", "14d"] {
            with(tool, option, duration).code(0).ok();
        }
        for bad in ["1.5h", "soon", ""] {
            let said = with(tool, option, bad).code(2).stderr;
            let reason = format!("`{bad}` is no duration; write 90s, 10m, 12h or 14d");
            assert!(said.contains(&reason), "{tool} {option:?}: {said}");
        }
    }
    for (tool, option) in timeouts {
        with(tool, option, "90").code(0).ok();
    }
    let (tool, option) = age;
    let said = with(tool, option, "30").code(2).stderr;
    assert!(said.contains("`30` has no unit; write 30s, 30m, 30h or 30d"), "{said}");
}

#[test]
fn no_variable_means_two_things() {
    let sandbox = Sandbox::new();
    let with = |tool: &str, name: &str, n: &str| sandbox.tool(tool, ["."]).env(name, n).run();
    with("venv-rebuild", "MENDLINE_JOBS", "512").code(0).ok();
    with("venv-probe", "MENDLINE_REBUILD_JOBS", "nonsense").code(0).ok();
    for (tool, name, too_many) in [("venv-probe", "MENDLINE_JOBS", "513"), ("venv-rebuild", "MENDLINE_REBUILD_JOBS", "65")] {
        let said = with(tool, name, too_many).code(2).stderr;
        assert!(said.contains(too_many), "{said}");
    }
}

#[test]
fn an_empty_variable_is_named() {
    let sandbox = Sandbox::new();
    for (tool, args) in ways(&[Filtered, Taken, Unread, Told]) {
        let said = sandbox.tool(tool, args).env("MENDLINE_FORMAT", "").run().code(2).stderr;
        assert!(said.contains("MENDLINE_FORMAT is set and empty"), "{tool}: {said}");
    }
}

/// Two lines would run into each other.
#[test]
fn the_tools_of_a_pipeline_show_their_progress_one_at_a_time() {
    let sandbox = Sandbox::new();
    // Neither finds anything to do before its input ends, and both would say how far they are.
    let line = format!("sleep 3 | {} --format json - | {} --format json", binary("venv-probe").display(), binary("venv-rebuild").display());
    let log = sandbox.work("log");
    File::create(&log).unwrap();
    sandbox.command("script", [arg("-qec"), arg(&line), arg(&log)]).env("TERM", "xterm").run().code(0).ok();
    let said = fs::read_to_string(&log).unwrap();
    let shown = ["venv-probe:", "venv-rebuild:"].map(|tool| said.contains(&format!("{tool} 0 environments")));
    assert_eq!(shown.iter().filter(|shown| **shown).count(), 1, "{said:?}");
}

#[test]
fn manual_pages_and_completions_come_from_the_tool_itself() {
    let sandbox = Sandbox::new();
    for Tool { name: tool, .. } in TOOLS {
        assert!(sandbox.tool(tool, ["--generate", "man"]).run().code(0).text().contains(".TH"), "{tool}");
        for shell in ["bash", "zsh", "fish"] {
            assert!(sandbox.tool(tool, ["--generate", shell]).run().code(0).text().contains(tool), "{tool} {shell}");
        }
    }
}

#[test]
fn a_manual_page_has_the_usage_and_the_examples_of_the_help() {
    let sandbox = Sandbox::new();
    for Tool { name: tool, .. } in TOOLS {
        let help = sandbox.tool(tool, ["--help"]).run().code(0).text();
        let page = sandbox.tool(tool, ["--generate", "man"]).run().code(0).text();
        let page = ["\\&", "\\fB", "\\fR"].iter().fold(page.replace("\\-", "-"), |page, markup| page.replace(markup, ""));
        let (_, examples) = help.split_once("\nExamples:\n").unwrap();
        assert!(page.contains(&format!(".SH EXAMPLES\n.nf\n{}\n.fi\n", examples.trim_end())), "{page}");
        let (_, usage) = help.split_once("\nUsage: ").unwrap();
        for line in usage.lines().take_while(|line| !line.is_empty()) {
            assert!(page.lines().any(|there| there == line.trim()), "{line}: {page}");
        }
    }
}

#[test]
fn every_subcommand_has_a_manual_page_of_its_own() {
    let sandbox = Sandbox::new();
    let pages = sandbox.work("man1");
    fs::create_dir(&pages).unwrap();
    for Tool { name, .. } in TOOLS {
        sandbox.tool(name, [arg("--generate"), arg("man"), arg(&pages)]).run().code(0).ok();
    }
    let entries = fs::read_dir(&pages).unwrap().map(|entry| entry.unwrap().path());
    let page = |path| (fs::read_to_string(&path).unwrap().replace("\\-", "-"), path);
    let texts: Vec<String> = entries
        .map(page)
        .map(|(text, path)| {
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            assert!(text.contains(&format!(".TH {name} 1")), "{text}");
            text
        })
        .collect();
    let referred: BTreeSet<&str> = texts.iter().flat_map(|text| text.lines()).filter_map(|line| line.strip_suffix("(1)")).collect();
    assert!(referred.contains("venv-rebuild-undo") && referred.contains("venv-rebuild-prune"), "{referred:?}");
    for name in referred {
        assert!(pages.join(format!("{name}.1")).is_file(), "{name}");
    }
    let missing = sandbox.tool("venv-rebuild", ["--generate", "man", "nowhere"]).run().code(2);
    assert!(missing.stderr.contains("cannot write manual pages into nowhere"), "{}", missing.stderr);
}

#[test]
fn the_page_of_a_tool_names_every_option_and_variable() {
    let sandbox = Sandbox::new();
    for Tool { name: tool, .. } in TOOLS {
        let (pages, page) = (sandbox.work(tool), workspace().join(format!("docs/{tool}.md")));
        fs::create_dir(&pages).unwrap();
        sandbox.tool(tool, [arg("--generate"), arg("man"), arg(&pages)]).run().code(0).ok();
        let page = fs::read_to_string(page).unwrap();
        for path in fs::read_dir(&pages).unwrap().map(|entry| entry.unwrap().path()) {
            let manual = fs::read_to_string(path).unwrap().replace("\\-", "-");
            let options =
                manual.lines().filter_map(|line| line.strip_prefix("\\fB--")?.split_once("\\fR")).map(|(name, _)| format!("`--{name}"));
            let variables = manual.match_indices("MENDLINE_").map(|(at, _)| manual[at..].split("\\fR").next().unwrap().to_owned());
            for name in options.chain(variables) {
                assert!(page.contains(&name), "docs/{tool}.md does not name {name}");
            }
        }
    }
}

#[test]
fn a_closed_pipe_is_a_quiet_end() {
    let sandbox = Sandbox::new();
    let many = format!("{UNKNOWN}\n").repeat(20_000);
    for (tool, args) in ways(&[Filtered]) {
        let line = format!("{} {} | head -n 1", binary(tool).display(), args.join(" "));
        let ran = sandbox.command("bash", ["-c", &format!("set -o pipefail; {line}")]).input(many.clone()).run().code(0);
        assert_eq!((ran.text(), ran.stderr.as_str()), (format!("{UNKNOWN}\n"), ""), "{tool}");
    }
}

#[test]
fn a_full_device_is_trouble_and_said_once_however_it_is_written_to() {
    let sandbox = Sandbox::new();
    for (tool, args) in ways(&[Filtered, Drawn, Told]) {
        for format in [&[][..], &["--format", "text"], &["--format", "markdown"]] {
            let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
            let ran = sandbox.tool(tool, args.iter().chain(format)).input(format!("{UNKNOWN}\n")).run_into(full).code(2);
            assert_eq!(ran.stderr.matches("cannot write to standard output").count(), 1, "{tool} {format:?}: {}", ran.stderr);
        }
    }
}

#[test]
fn a_report_that_dies_is_trouble_and_said_once() {
    let sandbox = Sandbox::new();
    for (tool, args) in ways(&[Filtered, Unread]) {
        let tool = beside_a_report(&sandbox, tool, "head -c 10 >/dev/null; exit 3");
        for many in [0, 1, 20_000] {
            for format in ["text", "markdown"] {
                let ran = sandbox
                    .command(&tool, args.iter().chain(&["--format", format]))
                    .input(format!("{UNKNOWN}\n").repeat(many))
                    .run()
                    .code(2);
                assert_eq!(ran.stderr.matches("report failed (exit status: 3)").count(), 1, "{}: {}", tool.display(), ran.stderr);
            }
        }
    }
}

#[test]
fn a_report_whose_reader_is_gone_is_none() {
    let sandbox = Sandbox::new();
    for (tool, args) in ways(&[Filtered, Told]) {
        let line = format!("{} {} --format text | true", binary(tool).display(), args.join(" "));
        let ran = sandbox.command("bash", ["-c", &format!("set -o pipefail; {line}")]).input(format!("{UNKNOWN}\n")).run().code(0);
        let said = ran.stderr.replace("tmux-registry: there is no registry here; --workspace names the folder of them\n", "");
        assert_eq!(said, "", "{tool}");
    }
}

#[test]
fn empty_input_gives_an_end_and_nothing_else() {
    for (tool, args) in ways(&[Filtered, Unread]) {
        let ran = run(tool, args, "").code(0);
        let records = ran.records();
        assert_eq!(records.len(), 1, "{tool}: {}", ran.text());
        assert_eq!((&records[0]["type"], &records[0]["data"]["ok"]), (&"end".into(), &true.into()), "{tool}");
    }
    for (tool, args) in ways(&[Drawn]) {
        assert!(run(tool, args, "").code(0).text().contains("no record came in"), "{tool}");
    }
}

#[test]
fn what_is_not_known_is_passed_on_byte_for_byte_and_never_acted_on() {
    let sandbox = Sandbox::new();
    let ill = sandbox.work("agent/.venv");
    corpus::dead(&ill);
    let host = rustix::system::uname().nodename().to_str().unwrap().to_owned();
    // As near to a verdict on a thing that is ill, here, as another type can come.
    let about = |kind: &str| {
        let data = "{\"status\":\"broken\",\"layout\":\"venv\",\"faults\":[],\"of\":\"/\",\"outcome\":\"planned\",\"verb\":\"rebuild\"}";
        let subject = ill.display();
        format!(
            "{{\"v\":1,\"type\":\"{kind}\",\"id\":\"a.3\",\"tool\":\"t\",\"host\":\"{host}\",\"ts\":\"2026-08-23T10:11:12.345Z\",\"subject\":\"{subject}\",\"data\":{data}}}"
        )
    };
    let (weather, future) = (about("weather.probe"), about("venv.probe.next"));
    let input = [UNKNOWN, NEWER, &weather, &future].map(|line| format!("{line}\n")).concat();
    for (tool, args) in ways(&[Filtered]) {
        let ran = sandbox.tool(tool, args).input(input.clone()).run().code(0);
        let text = ran.text();
        assert!(text.starts_with(&input), "{tool}: {text}");
        assert_eq!(text.lines().count(), 5, "{tool}: {text}");
    }
    for (tool, args) in ways(&[Drawn]) {
        let text = sandbox.tool(tool, args).input(input.clone()).run().code(0).text();
        assert!(
            text.starts_with("Also read, and not drawn: 1 venv.probe (version 2), 1 venv.probe.next, 2 weather.probe\n"),
            "{tool}: {text}"
        );
        assert!(!text.contains("Next") && !text.contains("venv-rebuild"), "{tool}: {text}");
    }
}

#[test]
fn garbage_is_reported_with_its_line_and_hides_nothing() {
    let torn = &UNKNOWN[..60];
    let mut input = format!("{UNKNOWN}\n{{\"half\": \n").into_bytes();
    input.extend(b"{\xff\xfe}\n");
    input.extend(format!("{UNKNOWN}\n{torn}").into_bytes());
    for (tool, args) in ways(&[Filtered]) {
        let ran = run(tool, args, input.clone()).code(2);
        assert_eq!(ran.text().matches(UNKNOWN).count(), 2, "{tool}");
        let errors = ran.of("error");
        let lines: Vec<_> = errors.iter().map(|error| error["data"]["line"].as_u64().unwrap()).collect();
        assert_eq!(lines, [2, 3, 5], "{tool}");
        assert!(errors.iter().all(|error| error["data"]["code"] == "input.not-a-record"), "{tool}");
        assert_eq!(ran.of("end").last().unwrap()["data"]["ok"], false, "{tool}");
    }
    for (tool, args) in ways(&[Drawn]) {
        let text = run(tool, args, input.clone()).code(2).text();
        assert!(text.contains("2 weather.probe"), "{tool}: {text}");
        assert!([2, 3, 5].iter().all(|line| text.contains(&format!("    line {line}: "))), "{tool}: {text}");
    }
}

#[test]
fn a_huge_line_is_refused_without_being_kept() {
    let mut input = b"{".to_vec();
    input.resize(40 << 20, b'x');
    input.extend(format!("\n{UNKNOWN}\n").into_bytes());
    for (tool, args) in ways(&[Filtered]) {
        let ran = run(tool, args, input.clone()).code(2);
        assert!(ran.text().starts_with("{\"v\":1,\"type\":\"error\""), "{tool}");
        assert!(ran.text().contains(UNKNOWN), "{tool}");
    }
    for (tool, args) in ways(&[Drawn]) {
        let text = run(tool, args, input.clone()).code(2).text();
        assert!(text.contains("line 1: the line is longer than 16 MiB") && text.contains("1 weather.probe"), "{tool}: {text}");
    }
}

#[test]
fn the_first_interrupt_ends_a_waiting_tool_by_that_signal() {
    let sandbox = Sandbox::new();
    for (tool, args) in ways(&[Filtered, Drawn, Taken]) {
        for (signal, number) in [("INT", 2), ("TERM", 15), ("HUP", 1)] {
            let mut child = sandbox.tool(tool, args).start();
            tests::feed(&mut child, format!("{UNKNOWN}\n").as_bytes());
            assert!(Command::new("kill").args([format!("-{signal}"), child.id().to_string()]).status().unwrap().success());
            let status = wait(&mut child);
            assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(number), "{tool} {signal}");
        }
    }
}

fn wait(child: &mut std::process::Child) -> std::process::ExitStatus {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        assert!(Instant::now() < deadline, "it does not end");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_terminal_on_stdin_is_not_waited_for() {
    let sandbox = Sandbox::new();
    for (tool, args) in ways(&[Filtered, Drawn, Taken]) {
        // script(1) gives it a terminal.
        let line = format!("{} {}", binary(tool).display(), args.join(" "));
        let log = sandbox.work(tool);
        File::create(&log).unwrap();
        let ran = sandbox.command("script", [arg("-qec"), arg(&line), arg(&log)]).run();
        let said = fs::read_to_string(&log).unwrap();
        assert_eq!(ran.code, Some(2), "{tool}: {said}");
        assert!(said.contains("terminal") && !said.contains("Errors"), "{tool}: {said}");
    }
}
