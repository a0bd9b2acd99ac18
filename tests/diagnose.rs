//! `diagnose` on what real programs write when they fail, and on the records of real probes.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tests::{Ran, Sandbox, arg};

use crate::vault::{file, skipped};

fn run(sandbox: &Sandbox, code: i32, words: &[&str]) -> Ran {
    sandbox.tool("diagnose", words).within(sandbox.work("")).run().code(code)
}

/// The diagnoses of one log.
fn of_log(sandbox: &Sandbox, text: &str) -> Vec<Value> {
    let log = sandbox.work("a.log");
    file(&log, text);
    run(sandbox, 0, &["--log", log.to_str().unwrap()]).of("diagnosis").into_iter().map(|one| one["data"].clone()).collect()
}

fn codes(diagnoses: &[Value]) -> Vec<&str> {
    diagnoses.iter().map(|one| one["code"].as_str().unwrap()).collect()
}

/// What a script of Python writes to stderr.
fn stderr(sandbox: &Sandbox, script: &str) -> String {
    let path = sandbox.work("app.py");
    file(&path, script);
    sandbox.command("python3", [arg("-B"), arg(&path)]).within(sandbox.work("")).run().stderr
}

#[test]
fn what_python_really_writes_is_known() {
    let sandbox = Sandbox::new();
    file(&sandbox.work("models.py"), "import helper\n");
    file(&sandbox.work("helper.py"), "Old = 1\n");
    file(&sandbox.work("broken.py"), "def f(:\n    pass\n");
    file(&sandbox.work("c.json"), "{\"a\" 1}");
    let path = sandbox.work("missing.txt").display().to_string();
    let cases = [
        ("import no_such_module_at_all", "python.module-missing", json!({"module": "no_such_module_at_all"})),
        ("from helper import New", "python.name-missing", json!({"name": "New", "module": "helper"})),
        ("import broken", "python.syntax", json!({})),
        ("import json; json.load(open('c.json'))", "json.malformed", json!({"line": "1", "column": "6"})),
        (&*format!("open({path:?})"), "file.missing", json!({"path": path})),
        ("import socket; socket.create_connection(('127.0.0.1', 1))", "connection.refused", json!({})),
        ("import os; os.environ['APP_SECRET_NAME']", "env.missing", json!({"variable": "APP_SECRET_NAME"})),
        (
            "import socket as s\na, b = s.socket(), s.socket()\na.bind(('127.0.0.1', 0))\na.listen()\nb.bind(a.getsockname())",
            "port.in-use",
            json!({}),
        ),
    ];
    for (script, code, captures) in cases {
        let said = stderr(&sandbox, script);
        let found = of_log(&sandbox, &said);
        assert_eq!(found.first().map(|one| &one["code"]), Some(&json!(code)), "{said}");
        let evidence = &found[0]["evidence"][0];
        for (name, value) in captures.as_object().unwrap() {
            assert_eq!(&evidence["captures"][name], value, "{said}");
        }
        assert!(evidence["line"].as_u64().unwrap() >= 1 && found[0]["count"] == 1, "{evidence}");
    }
    let said = stderr(&sandbox, "def load():\n    import no_such_module\nload()\n");
    let frames = of_log(&sandbox, &said)[0]["evidence"][0]["frames"].clone();
    assert_eq!(frames.as_array().unwrap().iter().map(|frame| frame["line"].as_u64().unwrap()).collect::<Vec<_>>(), [3, 2]);
}

/// The diagnoses of each of many logs, which one run reads.
fn of_logs(sandbox: &Sandbox, texts: &[&str]) -> Vec<Vec<Value>> {
    let logs: Vec<PathBuf> = (0..texts.len()).map(|number| sandbox.work(&format!("{number}.log"))).collect();
    logs.iter().zip(texts).for_each(|(log, text)| file(log, text));
    let ran = sandbox.tool("diagnose", logs.iter().flat_map(|log| [arg("--log"), arg(log)])).run().code(0);
    let found = ran.of("diagnosis");
    let of = |log: &PathBuf| found.iter().filter(|one| one["subject"] == json!(log)).map(|one| one["data"].clone()).collect();
    logs.iter().map(of).collect()
}

/// Its code, one of its captures, and its remedy.
fn told<'d>(diagnosis: &'d Value, name: &str) -> [&'d Value; 3] {
    [&diagnosis["code"], &diagnosis["evidence"][0]["captures"][name], &diagnosis["remedy"]["name"]]
}

#[test]
fn a_path_of_a_build_context_is_told_and_never_made() {
    let sandbox = Sandbox::new();
    let cases = [
        (
            "ERROR: failed to solve: failed to compute cache key: failed to calculate checksum of ref a::b: \"/app/r.txt\": not found",
            "/app/r.txt",
        ),
        ("#7 ERROR: failed to calculate checksum of ref a::b: \"/r.txt\": not found", "/r.txt"),
        ("failed to compute cache key: \"/r.txt\" not found: not found", "/r.txt"),
        (
            "failed to compute cache key: failed to walk /var/lib/docker/tmp/buildkit-mount1/x: lstat /var/lib/docker/tmp/buildkit-mount1/x: no such file or directory",
            "x",
        ),
        ("COPY failed: file not found in build context or excluded by .dockerignore: stat r.txt: file does not exist", "r.txt"),
        ("ADD failed: file not found in build context or excluded by .dockerignore: stat a/r.txt: file does not exist", "a/r.txt"),
        ("COPY failed: stat /var/lib/docker/tmp/docker-builder12/r.txt: no such file or directory", "r.txt"),
        ("COPY failed: stat /var/lib/docker/overlay2/0a/merged/app/r.txt: no such file or directory", "/app/r.txt"),
        ("COPY failed: forbidden path outside the build context: ../r.txt ()", "../r.txt"),
    ];
    let found = of_logs(&sandbox, &cases.map(|(text, _)| text));
    for ((text, path), found) in cases.iter().zip(&found) {
        assert_eq!(told(&found[0], "path"), [&json!("docker.source-missing"), &json!(path), &Value::Null], "{text}");
    }
    let without = of_log(&sandbox, "failed to read dockerfile: open Dockerfile: no such file or directory");
    assert_eq!(told(&without[0], "path"), [&json!("docker.file-missing"), &Value::Null, &Value::Null]);
}

#[test]
fn what_is_no_package_is_never_to_be_installed() {
    let sandbox = Sandbox::new();
    let renaming = "(consider renaming '/srv/random.py' since it has the same name as the standard library module named 'random' and \
                    prevents importing that standard library module)";
    let cases = [
        ("ModuleNotFoundError: No module named 'yaml.x'; 'yaml' is not a package", "python.module-shadowed", "package", "yaml"),
        (&format!("AttributeError: module 'random' has no attribute 'x' {renaming}"), "python.module-shadowed", "file", "/srv/random.py"),
        (&format!("ImportError: cannot import name 'x' from 'random' {renaming}"), "python.module-shadowed", "file", "/srv/random.py"),
        ("Error: Cannot find module './src/app'\nRequire stack:", "node.file-missing", "module", "./src/app"),
        ("Error: Cannot find module '../x'", "node.file-missing", "module", "../x"),
        ("Error: Cannot find module '/srv/app/index.js'", "node.start-file-missing", "module", "/srv/app/index.js"),
        ("Module not found: Error: Can't resolve './Foo' in '/srv/src'", "node.file-missing", "module", "./Foo"),
        ("Module not found: Can't resolve '@/Foo'", "node.file-missing", "module", "@/Foo"),
        ("Failed to resolve import \"./foo\" from \"src/main.js\". Does the file exist?", "node.file-missing", "module", "./foo"),
        ("a.c:1:10: fatal error: foo.h: No such file or directory\nmake: *** [all] Error 1", "native.header-missing", "header", "foo.h"),
        ("a.c:1:10: fatal error: 'foo.h' file not found", "native.header-missing", "header", "foo.h"),
    ];
    let found = of_logs(&sandbox, &cases.map(|(text, ..)| text));
    for ((text, code, name, value), found) in cases.iter().zip(&found) {
        assert_eq!(told(&found[0], name), [&json!(code), &json!(value), &Value::Null], "{text}");
        let said = format!("{} {}", found[0]["text"], found[0]["manual"]);
        assert!(found.len() == 1 && !said.contains("add it to") && !said.contains("a package"), "{found:?}");
    }
    let packages = [
        ("Error: Cannot find module 'express'\nRequire stack:", "express"),
        ("Module not found: Error: Can't resolve '@scope/foo'", "@scope/foo"),
        ("Error: Cannot find module '.prisma/client/index'", ".prisma/client/index"),
    ];
    let found = of_logs(&sandbox, &packages.map(|(text, _)| text));
    for ((_, module), found) in packages.iter().zip(&found) {
        assert_eq!(told(&found[0], "module")[..2], [&json!("node.module-missing"), &json!(module)]);
    }
}

#[test]
fn a_limit_or_a_signal_is_told_for_what_it_is() {
    let sandbox = Sandbox::new();
    let cases = [
        ("Error: ENOSPC: System limit for number of file watchers reached, watch '/srv'", "file-watchers"),
        ("Error: ENOSPC: no space left on device, watch '/srv'", "file-watchers"),
        ("OSError: [Errno 28] inotify watch limit reached", "file-watchers"),
        ("Failed to allocate directory watch: No space left on device", "file-watchers"),
        ("Error: ENOSPC: no space left on device, write", "disk.full"),
        ("make: *** [Makefile:3: run] Error 139", "program.crashed"),
        ("Segmentation fault (core dumped)\nmake: *** [run] Error 139", "program.crashed"),
        ("make[2]: *** [run] Error 137", "memory.signal"),
        ("make: *** [all] Error 1", "make.failed"),
        ("a.c:1:10: fatal error: foo.h: No such file or directory\nmake: *** [all] Error 139", "native.header-missing"),
    ];
    let found = of_logs(&sandbox, &cases.map(|(text, _)| text));
    for ((text, code), found) in cases.iter().zip(&found) {
        assert_eq!(codes(found), [*code], "{text}");
    }
    let watched = &found[0][0];
    assert!(watched["manual"].as_str().unwrap().contains("fs.inotify.max_user_watches") && watched["class"] == "config");
}

#[test]
fn of_exceptions_that_follow_each_other_the_cause_is_first() {
    let sandbox = Sandbox::new();
    let raised = "try:\n    import no_such_module\nexcept ImportError as e:\n    raise FileNotFoundError(2, 'No such file or directory', '/x') from e\n";
    let found = of_log(&sandbox, &stderr(&sandbox, raised));
    assert_eq!(codes(&found), ["python.module-missing", "file.missing"]);
    // What was handled is not the cause of what came then.
    let handled = "try:\n    import no_such_module\nexcept ImportError:\n    open('/x/y')\n";
    let found = of_log(&sandbox, &stderr(&sandbox, handled));
    assert_eq!(codes(&found), ["file.missing", "python.module-missing"]);
}

/// Ordinary output of builds and servers, the same each time.
fn ordinary(lines: usize) -> Vec<String> {
    let line = |number: usize| match number % 9 {
        0 => format!("2026-11-28T10:15:{:02}.{:03}Z app[web.1]: GET /items/{number} 200 {}ms", number % 60, number % 1000, number % 97),
        1 => format!("#{} {}.{} Collecting package-{number}>=1.{}", number % 30, number % 400, number % 10, number % 7),
        2 => format!("   Compiling crate-{number} v0.{}.{}", number % 9, number % 5),
        3 => format!("npm http fetch GET 200 https://registry.example/pkg-{number} {}ms (cache hit)", number % 300),
        4 => format!("[10:15:{:02}.123] Step {}/40 : RUN make part-{number}", number % 60, number % 40),
        5 => "warning: unused variable: `x`, 0 errors, 3 warnings".to_owned(),
        6 => format!("ok {number} - retries no error when the server answers ({}ms)", number % 50),
        7 => format!("{{\"level\":\"info\",\"msg\":\"request done\",\"status\":200,\"id\":\"{number:08x}\"}}"),
        _ => format!("remote: -----> Installing dependencies, part {number}"),
    };
    (0..lines).map(line).collect()
}

/// The labelled failures, where they are.
fn labelled(name: &str) -> Option<Vec<Value>> {
    let data = std::env::var_os("MENDLINE_DATA").map_or_else(|| tests::workspace().join("../shared/data"), PathBuf::from);
    let Ok(text) = fs::read_to_string(data.join("failure-logs/labelled.jsonl")) else {
        skipped(name, "the folder with real data is not here");
        return None;
    };
    Some(text.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
}

#[test]
fn real_failures_are_told_apart_in_the_middle_of_ordinary_output() {
    let Some(rows) = labelled("real_failures_are_told_apart_in_the_middle_of_ordinary_output") else { return };
    let sandbox = Sandbox::new();
    let noise = ordinary(2_000);
    let (mut words, mut logs) = (Vec::new(), Vec::new());
    for (number, row) in rows.iter().enumerate() {
        let at = number * 7919 % noise.len();
        let excerpt = row["excerpt"].as_str().unwrap().to_owned();
        let log = sandbox.work(&format!("{number}.log"));
        file(&log, [&noise[..at], &[excerpt], &noise[at..]].concat().join("\n"));
        words.extend(["--log".to_owned(), log.display().to_string()]);
        logs.push(log);
    }
    let ran = run(&sandbox, 0, &words.iter().map(String::as_str).collect::<Vec<_>>());
    let diagnoses = ran.of("diagnosis");
    // The first diagnosis of a log is its cause.
    let first =
        |log: &PathBuf| diagnoses.iter().find(|one| one["data"]["evidence"][0]["source"] == json!(log)).map(|one| one["data"].clone());
    let mut wrong = Vec::new();
    for (row, log) in rows.iter().zip(&logs) {
        let found = first(log).unwrap_or_default();
        if found["class"] != row["class"] {
            wrong.push(format!("{} is taken for {}: {}", row["class"], found["class"], row["excerpt"]));
        }
        // Nothing is pushed, or deployed again, where that is not safe.
        let is_mended = found["auto"] == json!(true) && found["remedy"].is_object();
        assert!(!is_mended || row["auto_fixable"] == json!(true), "{row}");
    }
    assert!(wrong.len() * 20 <= rows.len(), "{} of {} are wrong:\n{}", wrong.len(), rows.len(), wrong.join("\n"));
}

#[test]
fn ordinary_output_is_no_failure() {
    let sandbox = Sandbox::new();
    assert_eq!(of_log(&sandbox, &ordinary(5_000).join("\n")), Vec::<Value>::new());
    let well = "GET /api/items/P1003 200 OK\nNOTICE:  relation \"users\" already exists, skipping\nmanifest unknown fields ignored\n\
                test handles_eaddrinuse: Address already in use ... ok\n  ✓ throws ECONNREFUSED 127.0.0.1:5432 when db is down\n\
                PASS src/errors/EMFILE.test.ts\nok 12 - returns 401 Unauthorized without a token\nERROR:root:Traceback (most recent call last):\n\
                raises ModuleNotFoundError: No module named 'x' as expected\n\
                PASSED tests/a.py::test_x - raised ModuleNotFoundError: No module named 'x'\n\
                INFO database connection timed out handler registered\nLOG:  the database system is starting up\n";
    assert_eq!(codes(&of_log(&sandbox, well)), Vec::<&str>::new());
}

#[test]
fn what_stays_is_before_what_may_go_away_and_what_a_platform_says_of_the_end() {
    let sandbox = Sandbox::new();
    let found = of_log(
        &sandbox,
        "npm error code ECONNRESET\nnpm error code EBADPLATFORM\nnpm error notsup Unsupported platform for fsevents@2.3.3: wanted x\n\
         Process exited with status 137\nerror building image: exit status 1\n",
    );
    assert_eq!(codes(&found), ["node.platform-unfit", "node.registry"]);
    let consequences: Vec<&str> = found[0]["consequences"].as_array().unwrap().iter().map(|one| one["code"].as_str().unwrap()).collect();
    assert_eq!(consequences, ["memory.signal", "platform.build-failed"]);
    // Where there is nothing else, the platform's word is the answer, and the last program's is not.
    assert_eq!(codes(&of_log(&sandbox, "Error R10 (Boot timeout)\nProcess exited with status 137\n")), ["platform.port-unbound"]);
    // Whoever listened on the port before is the program itself.
    let twice = of_log(&sandbox, "Server listening on port 5000\nError: listen EADDRINUSE: address already in use :::5000\n");
    let once = of_log(&sandbox, "Error: listen EADDRINUSE: address already in use :::5000\n");
    assert_eq!([&twice[0]["auto"], &once[0]["auto"]], [&json!(false), &json!(true)]);
    // And so it is where nobody else could have it.
    let alone = [
        "2026-11-29T15:24:56.771076+00:00 app[web.1]: Error: listen EADDRINUSE: address already in use :::5000",
        "2026-11-29T15:24:56.771076+00:00 app[web.1]: OSError: [Errno 98] Address already in use",
        "web 2026-11-29T15:24:56.771076Z [1] Error: listen EADDRINUSE :::23043",
    ];
    for found in of_logs(&sandbox, &alone) {
        assert_eq!(
            (codes(&found), &found[0]["class"], &found[0]["auto"]),
            (vec!["port.in-use-inside"], &json!("port_conflict"), &json!(false))
        );
    }
}

#[test]
fn what_was_tried_again_is_behind_what_stays() {
    let sandbox = Sandbox::new();
    let import = "Traceback (most recent call last):\n  File \"/srv/main.py\", line 3, in <module>\n\
                  ImportError: cannot import name 'New' from 'helper' (/srv/helper.py)\n";
    let logs = [
        "ConnectionRefusedError: [Errno 111] Connection refused, retrying (1/5)\nconnected\n",
        "ConnectionRefusedError: [Errno 111] Connection refused\nretrying in 2 seconds\nconnected\n",
        "Error: connect ECONNREFUSED 127.0.0.1:5432 (attempt 1 of 3)\n    at TCPConnectWrap.afterConnect (node:net:1494:16)\nconnected\n",
        "WARNING retrying in 5 s\nTraceback (most recent call last):\n  File \"/srv/a.py\", line 1, in f\nConnectionRefusedError: [Errno 111] Connection refused\n",
        "Port 3000 is in use, trying another one instead.\n",
    ]
    .map(|retried| format!("{retried}{import}"));
    for found in of_logs(&sandbox, &logs.each_ref().map(String::as_str)) {
        assert_eq!((codes(&found)[0], found.len()), ("python.name-missing", 2), "{found:?}");
    }
    let other = "ConnectionRefusedError: [Errno 111] Connection refused, retrying\nImportError: attempted relative import\n";
    assert_eq!(codes(&of_log(&sandbox, other)), ["python.import-failed", "connection.refused"]);
    // The last attempt was the end of it; and what nothing follows is the cause, however often it was tried.
    let logs = [
        format!("Error: connect ECONNREFUSED 127.0.0.1:5432, retrying\nError: connect ECONNREFUSED 127.0.0.1:5432\ngiving up\n{import}"),
        format!("Error: connect ECONNREFUSED 127.0.0.1:5432 (attempt 3 of 3)\n{import}"),
        "Error: connect ECONNREFUSED 127.0.0.1:5432, retrying\n".to_owned(),
    ];
    for found in of_logs(&sandbox, &logs.each_ref().map(String::as_str)) {
        assert_eq!(codes(&found)[0], "database.unreachable", "{found:?}");
    }
}

#[test]
fn what_can_never_be_done_is_not_offered() {
    let sandbox = Sandbox::new();
    let logs = [
        "PermissionError: [Errno 13] Permission denied: '/etc/shadow'",
        "Error: EACCES: permission denied, open '/proc/1/mem'",
        "PermissionError: [Errno 13] Permission denied: '/home/u/.ssh/id_rsa'",
        "open /srv/app/.env: permission denied",
        "bash: /usr/sbin/foo: Permission denied",
        "/srv/run.sh: /bin/zsh: bad interpreter: Permission denied",
        "FileNotFoundError: [Errno 2] No such file or directory: '/srv/tls/server.key'",
    ];
    for found in of_logs(&sandbox, &logs) {
        assert_eq!((found.len(), found[0].get("remedy"), &found[0]["auto"]), (1, None, &json!(false)), "{found:?}");
        assert!(found[0]["manual"].is_string(), "{found:?}");
    }
    let own = of_log(&sandbox, "PermissionError: [Errno 13] Permission denied: '/srv/app/run.sh'");
    assert_eq!(own[0]["remedy"], json!({"name": "fix-permissions", "args": {"path": "/srv/app/run.sh"}}));
}

#[test]
fn equal_findings_are_one_with_their_number_and_places() {
    let sandbox = Sandbox::new();
    let text = "x\n\u{1b}[31mModuleNotFoundError\u{1b}[0m: No module named 'a'\n".repeat(30) + "ModuleNotFoundError: No module named 'b'\n";
    let found = of_log(&sandbox, &text);
    assert_eq!(
        found.iter().map(|one| (one["count"].clone(), one["text"].clone())).collect::<Vec<_>>(),
        [
            (json!(30), json!("the Python module a is not installed where it is imported")),
            (json!(1), json!("the Python module b is not installed where it is imported")),
        ]
    );
    assert_eq!(found[0]["evidence"].as_array().unwrap().len(), 3);
}

/// However many packages it lacks: one installation puts all of them right.
#[test]
fn a_stale_lock_file_is_one_cause() {
    let sandbox = Sandbox::new();
    let missing = [1, 2, 3].map(|number| format!("npm error Missing: is-odd-{number}@3.0.1 from lock file\n")).concat();
    let invalid = "npm error Invalid: lock file's ms@2.0.0 does not satisfy ms@2.1.3\n";
    let stale =
        "npm error `npm ci` can only install packages when your package.json and package-lock.json or npm-shrinkwrap.json are in sync.\n";
    let found = of_log(&sandbox, &format!("npm error code EUSAGE\nnpm error\n{stale}npm error\n{missing}{invalid}"));
    assert_eq!((codes(&found), &found[0]["count"]), (vec!["node.lockfile-stale"], &json!(5)), "{found:?}");
}

#[test]
fn errors_that_nobody_knows_are_templates_without_a_remedy() {
    let sandbox = Sandbox::new();
    let lines: Vec<String> = (0..40).map(|n| format!("ERROR frobnicator {n} lost its gadget on host-{n}")).collect();
    let text = lines.join("\n");
    let found = of_log(&sandbox, &text);
    assert_eq!(codes(&found), ["unknown"]);
    assert_eq!((&found[0]["severity"], &found[0]["count"], found[0].get("remedy")), (&json!("unknown"), &json!(40), None));
    assert_eq!(found[0]["evidence"][0]["captures"]["template"], "ERROR frobnicator <*> lost its gadget on host-<*>");
}

#[test]
fn no_secret_is_told() {
    let sandbox = Sandbox::new();
    let text =
        "ConnectionError: cannot reach https://me:S3CR3TPASS@host/x?token=S3CR3TPASS\nERROR password=S3CR3TPASS and Bearer S3CR3TPASS\n";
    let log = sandbox.work("a.log");
    file(&log, text);
    let ran = run(&sandbox, 0, &["--log", log.to_str().unwrap()]);
    assert!(!ran.text().contains("S3CR3TPASS") && ran.of("diagnosis").len() == 2, "{}", ran.text());
}

#[test]
fn a_cause_leaves_a_pipe_before_its_end() {
    let sandbox = Sandbox::new();
    let mut child = sandbox.tool("diagnose", ["--log", "-"]).start();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(b"starting\nModuleNotFoundError: No module named 'x'\n").unwrap();
    stdin.flush().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    // The pipe is still open.
    let first: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
    assert_eq!(first["data"]["code"], "python.module-missing");
    stdin.write_all(b"ModuleNotFoundError: No module named 'x'\n").unwrap();
    drop(stdin);
    let rest: Vec<Value> = lines.map(|line| serde_json::from_str(&line.unwrap()).unwrap()).collect();
    assert!(rest.iter().all(|record| record["type"] != "diagnosis"), "it is told once: {rest:?}");
    assert!(child.wait().unwrap().success());
}

/// An environment whose interpreter is a link to this.
fn environment(root: &Path, base: &str) {
    file(&root.join("pyvenv.cfg"), format!("home = {}\nversion = 3.12.4\n", Path::new(base).parent().unwrap().display()));
    fs::create_dir_all(root.join("bin")).unwrap();
    fs::create_dir_all(root.join("lib/python3.12/site-packages")).unwrap();
    std::os::unix::fs::symlink(base, root.join("bin/python")).unwrap();
}

#[test]
fn environments_that_rest_on_one_python_that_is_gone_have_one_cause_and_so_has_their_server() {
    let sandbox = Sandbox::new();
    let base = sandbox.root().join("gone/bin/python3.12").display().to_string();
    for name in ["a", "b", "c"] {
        environment(&sandbox.work(&format!("{name}/.venv")), &base);
    }
    environment(&sandbox.work("d/.venv"), "/another/bin/python3.12");
    let probed = sandbox.tool("venv-probe", ["."]).within(sandbox.work("")).run().code(0);
    let ids: Vec<String> = probed.of("venv.probe").iter().map(|probe| probe["id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(ids.len(), 4);
    let log = sandbox.work("mcp.log");
    let interpreter = sandbox.work("a/.venv/bin/python");
    file(&log, format!("spawn {} ENOENT\nMCP error -32000: Connection closed\n", interpreter.display()));
    let words = [arg("-"), arg("--log"), arg(&log)];
    let ran = sandbox.tool("diagnose", words).input(probed.stdout.clone()).run().code(0);
    assert!(ran.stdout.starts_with(&probed.stdout), "what came in is passed on byte for byte");
    let diagnoses = ran.of("diagnosis");
    assert_eq!(diagnoses.iter().map(|one| one["data"]["explains"].as_array().unwrap().len()).collect::<Vec<_>>(), [3, 1]);
    let cause = &diagnoses[0];
    assert_eq!((&cause["subject"], &cause["data"]["code"]), (&json!(base), &json!("venv.interpreter-missing")));
    let paths: Vec<Value> = ["a", "b", "c"].map(|name| json!(sandbox.work(&format!("{name}/.venv")))).to_vec();
    assert_eq!(cause["data"]["remedy"], json!({"name": "venv-rebuild", "args": {"paths": paths}}));
    let sources: Vec<&Value> = cause["data"]["evidence"].as_array().unwrap().iter().map(|one| &one["source"]).collect();
    assert!(sources.contains(&&json!(log)), "the log of the server is evidence of it: {sources:?}");
    // The diagnosis alone, without the records that it explains, leads to all of them.
    let planned = sandbox.tool("venv-rebuild", [""; 0]).input(format!("{cause}\n")).run().code(0);
    assert_eq!(planned.of("action").len(), 3, "{}", planned.text());
    // Without its probe the log alone tells which environment it is.
    let alone = run(&sandbox, 0, &["--log", log.to_str().unwrap()]).of("diagnosis");
    assert_eq!((&alone[0]["subject"], &alone[0]["data"]["code"]), (&json!(sandbox.work("a/.venv")), &json!("venv.interpreter-gone")));
}

#[test]
fn agents_that_went_with_tmux_have_one_cause() {
    let sandbox = Sandbox::new();
    for id in ["TASK-1", "TASK-2"] {
        crate::registry::task(&sandbox, id, &[crate::registry::agent("x", "working", json!({}))], json!({}));
    }
    let checked = crate::registry::run(&sandbox, 0, &["check", "--all"]);
    let ran = sandbox.tool("diagnose", [""; 0]).input(checked.stdout.clone()).run().code(0);
    let diagnoses = ran.of("diagnosis");
    assert_eq!(diagnoses.iter().map(|one| one["data"]["code"].clone()).collect::<Vec<_>>(), [json!("tmux.server-gone")]);
    assert_eq!(diagnoses[0]["data"]["remedy"]["args"]["paths"].as_array().unwrap().len(), 2);
    // The diagnosis alone, without the records that it explains, leads to all of them.
    let alone = format!("{}\n", diagnoses[0]);
    let repaired = sandbox.tool("tmux-registry", ["repair"]).input(alone).run().code(0);
    assert_eq!(repaired.of("action").len(), 2, "{}", repaired.text());
    // Where not all was seen, that there is no session is not known.
    let torn: Vec<u8> = checked
        .text()
        .lines()
        .filter(|line| !line.contains("\"type\":\"end\""))
        .flat_map(|line| format!("{line}\n").into_bytes())
        .collect();
    let ran = sandbox.tool("diagnose", [""; 0]).input(torn).run().code(0);
    assert_eq!(ran.of("diagnosis").len(), 2);
}

#[test]
fn a_config_that_cannot_be_read_explains_that_there_are_no_servers() {
    let sandbox = Sandbox::new();
    let (client, parser) = (sandbox.work("client.log"), sandbox.work("parser.log"));
    file(&client, "No MCP servers configured\n");
    let found = run(&sandbox, 0, &["--log", client.to_str().unwrap()]).of("diagnosis");
    assert_eq!(found[0]["data"]["code"], "mcp.no-servers");
    file(&client, "MCP config is not a valid JSON\nNo MCP servers configured\n");
    let found = run(&sandbox, 0, &["--log", client.to_str().unwrap()]).of("diagnosis");
    assert_eq!(found.iter().map(|one| one["data"]["code"].clone()).collect::<Vec<_>>(), [json!("mcp.config-malformed")]);
    assert_eq!(found[0]["data"]["consequences"][0]["code"], "mcp.no-servers");
    file(&parser, "nothing here\n");
    let both = run(&sandbox, 0, &["--log", client.to_str().unwrap(), parser.to_str().unwrap()]);
    assert_eq!(both.of("log.summary").len(), 2);
}

#[test]
fn the_users_patterns_are_used_each_by_itself() {
    let sandbox = Sandbox::new();
    let list = json!({
        "ModuleNotFoundError": {"pattern": "ModuleNotFoundError: No module named '([^']+)'", "solution": "install_module", "description": "mine"},
        "Shard": {"pattern": "shard (\\d+) is gone", "solution": "restart_service", "description": "A shard is gone"},
        "Torn": {"pattern": "(", "solution": "none", "description": ""},
        "Strange": {"pattern": "abcdef", "solution": "reboot_the_moon", "description": ""},
        "Ahead": {"pattern": "quark(?= soup)", "solution": "manual", "description": "a quark"},
        "Without": {"solution": "none"},
        "Every": {"pattern": "x*", "solution": "none", "description": ""},
        "ImportError": {"pattern": "x{1000}{1000}", "solution": "fix_import", "description": ""},
    });
    file(&sandbox.work("config/autoheal_patterns.json"), list.to_string());
    let log = sandbox.work("a.log");
    file(
        &log,
        "shard 7 is gone\nModuleNotFoundError: No module named 'x'\nquark soup\nquark salad\nImportError: cannot import name 'a' from 'b'\n",
    );
    // Those that cannot be used are told, and the others work.
    let ran = run(&sandbox, 2, &["--log", "a.log"]);
    let mut found: Vec<String> = ran.of("diagnosis").iter().map(|one| one["data"]["code"].as_str().unwrap().to_owned()).collect();
    found.sort();
    // What cannot be used takes the place of nothing.
    assert_eq!(found, ["Ahead", "ModuleNotFoundError", "Shard", "python.name-missing"]);
    let module = ran.of("diagnosis").into_iter().find(|one| one["data"]["code"] == "ModuleNotFoundError").unwrap();
    assert_eq!(module["data"]["remedy"], json!({"name": "install-module", "args": {"module": "x"}}));
    for wrong in ["Torn: ", "Every: it matches every line", "`reboot_the_moon` is no known strategy", "Without: it is no entry"] {
        assert!(ran.stderr.contains(wrong), "{wrong}: {}", ran.stderr);
    }
    let linted = run(&sandbox, 1, &["patterns", "lint"]);
    assert!(linted.text().contains("Strange") && linted.text().contains("3 entries can be used, 5 cannot"), "{}", linted.text());
    let test = run(&sandbox, 0, &["patterns", "test", "a.log"]);
    assert!(test.text().lines().any(|line| line.trim() == "1  Shard") && test.text().ends_with("4  in all\n"), "{}", test.text());
    assert!(run(&sandbox, 0, &["patterns", "show", "Shard"]).text().contains("restart-service"));
    run(&sandbox, 2, &["--patterns", "nowhere.json", "--log", "a.log"]).ok();
}

#[test]
fn what_cannot_be_read_is_told_and_the_rest_is_diagnosed() {
    let sandbox = Sandbox::new();
    file(&sandbox.work("a.log"), "ModuleNotFoundError: No module named 'x'\n");
    let ran = run(&sandbox, 2, &["--log", "nowhere.log", "a.log", "."]);
    assert_eq!((ran.of("diagnosis").len(), ran.of("error").len()), (1, 2));
    run(&sandbox, 1, &["--check", "--log", "a.log"]).ok();
    file(&sandbox.work("fine.log"), "all is well\n");
    run(&sandbox, 0, &["--check", "--log", "fine.log"]).ok();
    run(&sandbox, 2, &["-", "--log", "-"]).ok();
}

#[test]
fn a_line_without_an_end_takes_no_more_than_a_little_memory() {
    let sandbox = Sandbox::new();
    let log = sandbox.work("long.log");
    let mut text = vec![b'x'; 100 << 20];
    text.extend_from_slice(b" ModuleNotFoundError: No module named 'x'\n");
    file(&log, text);
    let binary = tests::binary("diagnose").display().to_string();
    let script = format!("ulimit -v 400000; exec {binary} --format json --log {}", log.display());
    let ran = sandbox.command("bash", ["-c", &script]).run().code(0);
    assert_eq!(ran.of("diagnosis")[0]["data"]["code"], "python.module-missing");
}
