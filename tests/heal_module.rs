//! `heal`: a module that is missing, installed for real from what the project declares, and taken away again.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tests::{Ran, Run, Sandbox, arg};

use crate::vault::{Inventory, file, inventory};
use crate::ward;

/// A project with an environment that has pip, and a script.
fn project(sandbox: &Sandbox, script: &str, files: &[(&str, &str)]) -> PathBuf {
    let root = bare(sandbox, script, files);
    ward::with_pip(sandbox, &root.join(".venv"));
    root
}

/// A project without an environment.
fn bare(sandbox: &Sandbox, script: &str, files: &[(&str, &str)]) -> PathBuf {
    let root = sandbox.work("shop");
    fs::create_dir_all(root.join(".git")).unwrap();
    file(&root.join("app.py"), script);
    for (name, text) in files {
        file(&root.join(name), text);
    }
    root
}

/// Runs the script with the project's interpreter.
fn script(sandbox: &Sandbox, root: &Path) -> Ran {
    let python = if root.join(".venv").exists() { root.join(".venv/bin/python") } else { ward::python().to_owned() };
    sandbox.command(python, [arg("-B"), arg(root.join("app.py"))]).within(root).run()
}

/// What diagnose says of a failed run.
fn diagnosed(sandbox: &Sandbox, root: &Path, said: &str) -> Vec<u8> {
    let log = sandbox.work("app.log");
    file(&log, said);
    sandbox.tool("diagnose", [arg("--log"), arg(&log)]).within(root).run().code(0).stdout
}

fn heal(sandbox: &Sandbox, root: &Path, args: &[&str], records: Vec<u8>) -> Run {
    ward::at_wheels(sandbox, sandbox.tool("heal", args).within(root).input(records))
}

/// Lets the script fail, and heal attend to what it says.
fn healed(sandbox: &Sandbox, root: &Path, args: &[&str], code: i32) -> Value {
    let failed = script(sandbox, root).code(1);
    let records = diagnosed(sandbox, root, &failed.stderr);
    let ran = heal(sandbox, root, args, records).run().code(code);
    let mut actions = ran.of("action");
    assert_eq!(actions.len(), 1, "{}\n{}", failed.stderr, ran.text());
    actions.remove(0)["data"].take()
}

fn is(data: &Value, outcome: &str) {
    assert_eq!((&data["verb"], &data["outcome"]), (&"install-module".into(), &outcome.into()), "{data}");
}

fn same(before: &Inventory, after: &Inventory) {
    ward::same(before, after);
}

#[test]
fn what_is_declared_is_installed_as_it_is_declared_and_taken_away_again() {
    let sandbox = Sandbox::new();
    let script_text = "import requests\nprint(requests.__version__)\n";
    let root = project(&sandbox, script_text, &[("requirements.txt", "# web\nrequests[socks]==2.34.2 # pinned\nflask\n")]);
    let before = inventory(&root);

    let planned = healed(&sandbox, &root, &[], 0);
    is(&planned, "planned");
    let detail = &planned["detail"];
    assert_eq!((&detail["requirement"], &detail["module"]), (&"requests[socks]==2.34.2".into(), &"requests".into()));
    assert_eq!(detail["declared_in"]["line"], 2);
    assert!(detail["declared_in"]["file"].as_str().unwrap().ends_with("/shop/requirements.txt"), "{detail}");
    let argv: Vec<_> = detail["argv"].as_array().unwrap().iter().map(|word| word.as_str().unwrap()).collect();
    assert!(argv[0].ends_with("/shop/.venv/bin/python") && argv.contains(&"--only-binary"), "{argv:?}");
    same(&before, &inventory(&root));

    let done = healed(&sandbox, &root, &["--force"], 0);
    is(&done, "done");
    assert_eq!((&done["changed"], &done["verified"]), (&true.into(), &true.into()));
    assert_eq!(script(&sandbox, &root).code(0).text(), "2.34.2\n");
    let installed = ward::installed(&root.join(".venv"));
    assert!(installed.contains(&"pysocks 1.7.1".to_owned()) && !installed.iter().any(|name| name.starts_with("flask")), "{installed:?}");

    sandbox.tool("heal", ["undo", "--force"]).within(&root).run().code(0).ok();
    same(&before, &inventory(&root));
    script(&sandbox, &root).code(1).ok();
}

#[test]
fn an_import_name_that_differs_is_followed_and_an_environment_without_pip_is_served_by_uv() {
    let sandbox = Sandbox::new();
    let project_file = "[project]\nname = 'shop'\nversion = '1'\ndependencies = [\n  'BeautifulSoup4>=4.15,<5',\n]\n";
    let root = bare(&sandbox, "import bs4\nprint(bs4.__version__)\n", &[("pyproject.toml", project_file)]);
    ward::by_uv(&sandbox, &root.join(".venv"), &[]);
    let before = inventory(&root);
    let done = healed(&sandbox, &root, &["--force"], 0);
    is(&done, "done");
    let detail = &done["detail"];
    assert_eq!((&detail["requirement"], &detail["declared_in"]["line"]), (&"BeautifulSoup4>=4.15,<5".into(), &5.into()));
    assert!(detail["argv"][0].as_str().unwrap().ends_with("/uv"), "{detail}");
    assert_eq!(script(&sandbox, &root).code(0).text(), "4.15.0\n");
    sandbox.tool("heal", ["undo", "--force"]).within(&root).run().code(0).ok();
    same(&before, &inventory(&root));
}

#[test]
fn what_nothing_declares_is_not_installed_unless_it_is_vetted_and_allowed() {
    let sandbox = Sandbox::new();
    let root = project(&sandbox, "import bs4\n", &[("requirements.txt", "requests\n")]);
    let before = inventory(&root);
    let skipped = healed(&sandbox, &root, &["--force"], 1);
    is(&skipped, "skipped");
    assert_eq!((&skipped["detail"]["reason"], &skipped["detail"]["candidates"][0]), (&"undeclared".into(), &"beautifulsoup4".into()));
    // The import name is another distribution's.
    is(&healed(&sandbox, &root, &["--force", "--allow-new", "bs4"], 1), "skipped");
    same(&before, &inventory(&root));
    is(&healed(&sandbox, &root, &["--force", "--allow-new", "BeautifulSoup4"], 0), "done");
    script(&sandbox, &root).code(0).ok();

    file(&root.join("app.py"), "import reqeusts\n");
    let skipped = healed(&sandbox, &root, &["--force", "--allow-new", "reqeusts"], 1);
    is(&skipped, "skipped");
    assert_eq!((&skipped["detail"]["reason"], &skipped["detail"]["near"][0]), (&"unknown".into(), &"requests".into()));
}

#[test]
fn an_installation_that_fails_leaves_every_byte_as_it_was() {
    let sandbox = Sandbox::new();
    let root = project(&sandbox, "import gadget\n", &[("requirements.txt", "gadget==9.9\n")]);
    ward::wheel(&sandbox, "gadget", "1.0");
    let before = inventory(&root);
    let undone = healed(&sandbox, &root, &["--force"], 1);
    is(&undone, "undone");
    assert!(undone["text"].as_str().unwrap().contains("gadget==9.9"), "{undone}");
    same(&before, &inventory(&root));
}

#[test]
fn what_is_installed_and_does_not_bring_the_module_is_taken_away_again() {
    let sandbox = Sandbox::new();
    let root = project(&sandbox, "import yaml\n", &[("requirements.txt", "PyYAML\n")]);
    // What has the name brings another module.
    ward::wheel(&sandbox, "pyyaml", "1.0");
    let before = inventory(&root);
    let undone = healed(&sandbox, &root, &["--force"], 1);
    is(&undone, "undone");
    assert!(undone["text"].as_str().unwrap().contains("the check still fails"), "{undone}");
    same(&before, &inventory(&root));
}

#[test]
fn what_would_break_what_is_there_is_taken_away_again() {
    let sandbox = Sandbox::new();
    let root = project(&sandbox, "import gadget\n", &[("requirements.txt", "gadget\n")]);
    ward::wheel_that_needs(&sandbox, "gadget", "1.0", "gizmo<2");
    ward::wheel_that_needs(&sandbox, "widget", "1.0", "gizmo>=2");
    ward::wheel(&sandbox, "gizmo", "1.0");
    ward::wheel(&sandbox, "gizmo", "2.0");
    ward::install(&sandbox, &root.join(".venv"), &["widget"]);
    let before = inventory(&root);
    let undone = healed(&sandbox, &root, &["--force"], 1);
    is(&undone, "undone");
    assert!(undone["text"].as_str().unwrap().contains("conflicts with what is installed: widget 1.0"), "{undone}");
    same(&before, &inventory(&root));
}

#[test]
fn hashes_hold_for_everything_that_is_installed() {
    let sandbox = Sandbox::new();
    let wheels = [ward::wheel_that_needs(&sandbox, "gadget", "1.0", "gizmo"), ward::wheel(&sandbox, "gizmo", "1.0")];
    let hash = |path: &PathBuf| ward::hex(&<sha2::Sha256 as sha2::Digest>::digest(fs::read(path).unwrap()));
    let text = |last: &str| format!("gadget==1.0 \\\n  --hash=sha256:{}\ngizmo==1.0 --hash=sha256:{last}\n", hash(&wheels[0]));
    let root = project(&sandbox, "import gadget\n", &[("requirements.txt", &text(&"0".repeat(64)))]);
    let before = inventory(&root);
    is(&healed(&sandbox, &root, &["--force"], 1), "undone");
    same(&before, &inventory(&root));
    file(&root.join("requirements.txt"), text(&hash(&wheels[1])));
    let done = healed(&sandbox, &root, &["--force"], 0);
    is(&done, "done");
    assert!(done["detail"]["argv"].as_array().unwrap().contains(&"--require-hashes".into()), "{done}");
}

#[test]
fn what_hashes_bring_along_replaces_nothing_that_the_module_does_not_need() {
    let sandbox = Sandbox::new();
    let line = |name: &str, path: &PathBuf| {
        let hash = ward::hex(&<sha2::Sha256 as sha2::Digest>::digest(fs::read(path).unwrap()));
        format!("{name}==2.0 --hash=sha256:{hash}\n")
    };
    let wheels = [
        line("gadget", &ward::wheel_that_needs(&sandbox, "gadget", "2.0", "gizmo")),
        line("gizmo", &ward::wheel(&sandbox, "gizmo", "2.0")),
        line("widget", &ward::wheel(&sandbox, "widget", "2.0")),
    ];
    let root = project(&sandbox, "import gadget\n", &[("requirements.txt", &wheels.concat())]);
    for name in ["gizmo", "widget"] {
        ward::wheel(&sandbox, name, "1.0");
    }
    ward::install(&sandbox, &root.join(".venv"), &["gizmo==1.0", "widget==1.0"]);
    let before = inventory(&root);
    // Without --force nobody is asked.
    is(&healed(&sandbox, &root, &[], 0), "planned");
    let undone = healed(&sandbox, &root, &["--force"], 1);
    is(&undone, "undone");
    assert!(undone["text"].as_str().unwrap().contains("is not known to need: widget 1.0 by 2.0;"), "{undone}");
    same(&before, &inventory(&root));
    // What is needed may be replaced, and what is as declared stays.
    ward::install(&sandbox, &root.join(".venv"), &["widget==2.0"]);
    let done = healed(&sandbox, &root, &["--force"], 0);
    is(&done, "done");
    assert_eq!(done["detail"]["replaced"], serde_json::json!(["gizmo 1.0 by 2.0"]), "{done}");
    let installed = ward::installed(&root.join(".venv"));
    assert!(["gadget 2.0", "gizmo 2.0", "widget 2.0"].iter().all(|one| installed.contains(&(*one).to_owned())), "{installed:?}");
}

#[test]
fn what_a_module_needs_in_another_version_is_told() {
    let sandbox = Sandbox::new();
    let root = project(&sandbox, "import gadget\n", &[("requirements.txt", "gadget\n")]);
    ward::wheel_that_needs(&sandbox, "gadget", "1.0", "gizmo>=2");
    for version in ["1.0", "2.0"] {
        ward::wheel(&sandbox, "gizmo", version);
    }
    ward::install(&sandbox, &root.join(".venv"), &["gizmo==1.0"]);
    let done = healed(&sandbox, &root, &["--force"], 0);
    is(&done, "done");
    assert!(done["text"].as_str().unwrap().ends_with("; it replaced gizmo 1.0 by 2.0"), "{done}");
}

#[test]
fn uv_is_asked_what_it_would_replace_as_well() {
    let sandbox = Sandbox::new();
    let wheels = [ward::wheel(&sandbox, "gadget", "2.0"), ward::wheel(&sandbox, "widget", "2.0")];
    let hash = |path: &PathBuf| ward::hex(&<sha2::Sha256 as sha2::Digest>::digest(fs::read(path).unwrap()));
    let text = format!("gadget==2.0 --hash=sha256:{}\nwidget==2.0 --hash=sha256:{}\n", hash(&wheels[0]), hash(&wheels[1]));
    let root = bare(&sandbox, "import gadget\n", &[("requirements.txt", &text)]);
    ward::by_uv(&sandbox, &root.join(".venv"), &[]);
    ward::wheel(&sandbox, "widget", "1.0");
    ward::install(&sandbox, &root.join(".venv"), &["widget==1.0"]);
    let before = inventory(&root);
    let undone = healed(&sandbox, &root, &["--force"], 1);
    is(&undone, "undone");
    assert!(undone["text"].as_str().unwrap().contains("is not known to need: widget 1.0 by 2.0;"), "{undone}");
    same(&before, &inventory(&root));
}

#[test]
fn a_lock_decides_versions_and_hashes_of_all_that_comes_along() {
    let sandbox = Sandbox::new();
    let wheels = [ward::wheel_that_needs(&sandbox, "gadget", "1.0", "gizmo"), ward::wheel(&sandbox, "gizmo", "1.0")];
    ward::wheel_that_needs(&sandbox, "gadget", "2.0", "gizmo");
    ward::wheel(&sandbox, "gizmo", "2.0");
    let package = |name: &str, needs: &str, wheel: &PathBuf| {
        let source = "source = { registry = \"https://pypi.org/simple\" }";
        let hash = ward::hex(&<sha2::Sha256 as sha2::Digest>::digest(fs::read(wheel).unwrap()));
        format!("[[package]]\nname = \"{name}\"\nversion = \"1.0\"\n{source}\n{needs}\nwheels = [{{ hash = \"sha256:{hash}\" }}]\n")
    };
    let lock = package("gadget", "dependencies = [{ name = \"gizmo\" }]", &wheels[0]) + &package("gizmo", "", &wheels[1]);
    let project_file = "[project]\nname = 'shop'\nversion = '1'\ndependencies = ['gadget']\n";
    let root = project(&sandbox, "import gadget\n", &[("pyproject.toml", project_file), ("uv.lock", &lock)]);
    let done = healed(&sandbox, &root, &["--force"], 0);
    is(&done, "done");
    assert!(done["detail"]["declared_in"]["file"].as_str().unwrap().ends_with("/uv.lock"), "{done}");
    let installed = ward::installed(&root.join(".venv"));
    assert!(["gadget 1.0", "gizmo 1.0"].iter().all(|one| installed.contains(&(*one).to_owned())), "{installed:?}");
}

/// A project whose index takes calls and never answers, and a run of heal that waits for it.
fn hanging(sandbox: &Sandbox) -> (PathBuf, std::net::TcpStream, Inventory, std::process::Child) {
    let index = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let lines = format!("--index-url http://{}/simple\ngadget\n", index.local_addr().unwrap());
    let root = project(sandbox, "import gadget\n", &[("requirements.txt", &lines)]);
    let before = inventory(&root);
    let failed = script(sandbox, &root).code(1);
    let records = diagnosed(sandbox, &root, &failed.stderr);
    let run = sandbox.tool("heal", ["--force"]).within(&root).env("PIP_RETRIES", "0").env("PIP_NO_CACHE_DIR", "1");
    let mut child = run.start();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), &records).unwrap();
    let (call, _) = index.accept().unwrap();
    (root, call, before, child)
}

#[test]
fn whoever_interrupts_an_installation_finds_all_as_it_was() {
    let sandbox = Sandbox::new();
    let (root, call, before, child) = hanging(&sandbox);
    rustix::process::kill_process(rustix::process::Pid::from_child(&child), rustix::process::Signal::INT).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("\"outcome\":\"cancelled\"") && said.contains("interrupted; all is as it was"), "{said}");
    same(&before, &inventory(&root));
    drop(call);
}

#[test]
fn what_a_killed_run_left_half_installed_is_taken_back_although_it_can_be_imported() {
    let sandbox = Sandbox::new();
    let (root, call, before, mut child) = hanging(&sandbox);
    child.kill().unwrap();
    child.wait().unwrap();
    file(&ward::packages(&root.join(".venv")).join("gadget/__init__.py"), "half = True\n");
    let installers = || {
        let all = fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
        let ours = root.join(".venv").display().to_string();
        all.filter(|line| String::from_utf8_lossy(line).contains(&ours)).count()
    };
    assert!(installers() > 0);
    let ran = heal(&sandbox, &root, &["--force"], Vec::new()).run().code(0);
    let undone = &ran.of("action")[0]["data"];
    is(undone, "undone");
    assert_eq!(installers(), 0);
    drop(call);
    same(&before, &inventory(&root));
}

#[test]
fn what_installing_does_not_help_is_told() {
    let sandbox = Sandbox::new();
    let root = project(&sandbox, "import requests\n", &[("requirements.txt", "requests\nhelper\n"), ("tools/helper.py", "x = 1\n")]);
    let reason = |said: &str, args: &[&str]| {
        let records = diagnosed(&sandbox, &root, said);
        let actions = heal(&sandbox, &root, args, records).run().code(1).of("action");
        assert_eq!(actions.len(), 1, "{said}");
        is(&actions[0]["data"], "skipped");
        (actions[0]["data"]["detail"]["reason"].as_str().unwrap_or_default().to_owned(), actions[0]["data"]["text"].to_string())
    };
    let missing = |module: &str| format!("ModuleNotFoundError: No module named '{module}'\n");
    assert_eq!(reason(&missing("helper"), &["--force"]).0, "own-module");
    assert_eq!(reason(&missing("urllib2"), &["--force"]).0, "stdlib-version");
    assert_eq!(reason(&missing("__main__.x"), &["--force"]).0, "relative-import");
    assert_eq!(reason(&missing("pip.nonsense"), &["--force"]).0, "submodule-missing");
    assert_eq!(reason("/usr/bin/python3: No module named requests\n", &["--force"]).0, "other-interpreter");
    assert_eq!(reason(&missing("requests"), &["--force", "--python", "python3"]).0, "no-environment");
    assert_eq!(reason(&missing("requests"), &["--force", "--python", ward::python().to_str().unwrap()]).0, "no-environment");
    let other = root.join("env2");
    ward::by_uv(&sandbox, &other, &[]);
    ward::install(&sandbox, &other, &["requests"]);
    let (code, words) = reason(&missing("requests"), &["--force"]);
    assert_eq!(code, "other-environment");
    assert!(words.contains("/shop/env2"), "{words}");
    fs::remove_dir_all(root.join(".venv")).unwrap();
    fs::remove_dir_all(other).unwrap();
    let (code, words) = reason(&missing("requests"), &["--force"]);
    assert!(code == "no-environment" && words.contains("python3 -m venv .venv"), "{code} {words}");
}

#[test]
fn no_environment_outside_of_the_root_is_written_to() {
    let sandbox = Sandbox::new();
    let root = bare(&sandbox, "import requests\n", &[("requirements.txt", "requests\n")]);
    let outside = sandbox.work("elsewhere");
    ward::by_uv(&sandbox, &outside, &[]);
    std::os::unix::fs::symlink(&outside, root.join(".venv")).unwrap();
    let before = inventory(&outside);
    let skipped = healed(&sandbox, &root, &["--force"], 1);
    is(&skipped, "skipped");
    assert_eq!(skipped["detail"]["reason"], "outside");
    same(&before, &inventory(&outside));
}

#[test]
fn a_dry_run_runs_nothing_of_the_module() {
    let sandbox = Sandbox::new();
    let root = project(&sandbox, "import requests\n", &[]);
    let trace = sandbox.work("trace");
    let module = ward::packages(&root.join(".venv")).join("gadget.py");
    file(&module, format!("open({:?}, 'w')\n", trace.to_str().unwrap()));
    let records = diagnosed(&sandbox, &root, "ModuleNotFoundError: No module named 'gadget'\n");
    let text = |args: &[&str]| heal(&sandbox, &root, args, records.clone()).run().code(0).of("action")[0]["data"]["text"].to_string();
    assert!(text(&[]).contains("the check passes") && !trace.exists());
    assert!(text(&["--force"]).contains("the check passes") && trace.exists());
}

#[test]
fn an_index_keeps_its_password_to_itself() {
    let sandbox = Sandbox::new();
    let lines = "--extra-index-url https://me:S3CR3T@127.0.0.1:9/simple\nrequests\n";
    let root = project(&sandbox, "import requests\n", &[("requirements.txt", lines)]);
    let failed = script(&sandbox, &root).code(1);
    let ran = heal(&sandbox, &root, &[], diagnosed(&sandbox, &root, &failed.stderr)).run().code(0);
    let planned = &ran.of("action")[0]["data"];
    is(planned, "planned");
    assert_eq!(planned["detail"]["requirements"][0], "--extra-index-url https://***@127.0.0.1:9/simple");
    assert!(!ran.text().contains("S3CR3T"), "{}", ran.text());
}
