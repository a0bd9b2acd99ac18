//! What a stream may ask for: verdicts and diagnoses, old ones, foreign ones, broken ones, and the same one twice.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tests::{Ran, Sandbox};

use crate::ward;

fn dead(sandbox: &Sandbox) -> PathBuf {
    let venv = sandbox.work("project/.venv");
    ward::by_uv(sandbox, &venv, &[]);
    ward::kill(&venv);
    venv
}

fn verdict(sandbox: &Sandbox, venv: &Path) -> Value {
    sandbox.tool("venv-probe", [venv]).run().code(0).of("venv.probe").remove(0)
}

fn diagnosis(venv: &Path, remedy: &str) -> Value {
    json!({"v": 1, "type": "diagnosis", "id": "d.7", "cause": ["p.1"], "tool": "diagnose", "host": "h", "ts": "2026-08-23T10:11:12.345Z",
        "subject": venv, "data": {"code": "venv.base-interpreter-gone", "severity": "broken", "text": "gone", "evidence": [],
        "explains": ["p.1"], "remedy": {"name": remedy, "args": {}}, "auto": true}})
}

fn mend(sandbox: &Sandbox, records: &[Value]) -> Ran {
    let input = records.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    ward::rebuild(sandbox, ["--force"]).input(input).run()
}

#[test]
fn a_diagnosis_is_answered_where_the_remedy_is_ours() {
    let sandbox = Sandbox::new();
    let venv = dead(&sandbox);
    let others = mend(&sandbox, &[diagnosis(&venv, "heal")]).code(0);
    assert!(others.of("action").is_empty());
    let ran = mend(&sandbox, &[diagnosis(&venv, "venv-rebuild")]).code(0);
    assert_eq!(ward::action(&ran)["cause"], json!(["d.7"]));
    assert_eq!(ran.of("diagnosis"), [diagnosis(&venv, "venv-rebuild")]);
    ward::told(&ran, "relink", "done");
    ward::is_healthy(&sandbox, &venv);
}

#[test]
fn what_is_asked_for_twice_is_done_once() {
    let sandbox = Sandbox::new();
    let venv = dead(&sandbox);
    let record = verdict(&sandbox, &venv);
    let ran = mend(&sandbox, &[record.clone(), record.clone(), diagnosis(&venv, "venv-rebuild")]).code(0);
    assert_eq!(ward::action(&ran)["cause"], json!([record["id"]]));
    ward::told(&ran, "relink", "done");
}

#[test]
fn a_verdict_that_is_no_longer_true_is_not_acted_on() {
    let sandbox = Sandbox::new();
    let venv = dead(&sandbox);
    let record = verdict(&sandbox, &venv);
    ward::told(&mend(&sandbox, std::slice::from_ref(&record)).code(0), "relink", "done");
    let mended = ward::contents(&venv);
    let data = ward::told(&mend(&sandbox, std::slice::from_ref(&record)).code(0), "mend", "skipped");
    assert_eq!(data["text"], "already healthy", "{data}");
    ward::same(&mended, &ward::contents(&venv));
}

#[test]
fn an_environment_that_is_gone_meanwhile_hides_no_other() {
    let sandbox = Sandbox::new();
    let (gone, venv) = (sandbox.work("gone/.venv"), dead(&sandbox));
    ward::by_uv(&sandbox, &gone, &[]);
    ward::kill(&gone);
    let records = [verdict(&sandbox, &gone), verdict(&sandbox, &venv)];
    std::fs::remove_dir_all(&gone).unwrap();
    let ran = mend(&sandbox, &records).code(2);
    let error = ran.of("error").remove(0);
    assert_eq!(error["data"]["code"], "repair.failed");
    assert!(error["data"]["text"].as_str().unwrap().contains("does not exist"), "{error}");
    assert_eq!(ward::action(&ran)["subject"], json!(venv));
    ward::told(&ran, "relink", "done");
    assert!(!gone.exists());
    ward::is_healthy(&sandbox, &venv);
}

#[test]
fn a_verdict_from_another_machine_is_not_acted_on() {
    let sandbox = Sandbox::new();
    let venv = dead(&sandbox);
    let old = ward::contents(&venv);
    let mut record = verdict(&sandbox, &venv);
    record["host"] = json!("somewhere-else");
    let data = ward::told(&mend(&sandbox, &[record]).code(0), "relink", "skipped");
    assert!(data["text"].as_str().unwrap().contains("somewhere-else"), "{data}");
    ward::same(&old, &ward::contents(&venv));
}

#[test]
fn a_record_that_makes_no_sense_is_reported_and_hides_no_other() {
    let sandbox = Sandbox::new();
    let venv = dead(&sandbox);
    let record = verdict(&sandbox, &venv);
    let mut without_subject = record.clone();
    without_subject.as_object_mut().unwrap().remove("subject");
    let mut without_verdict = record.clone();
    without_verdict["data"]["status"] = json!(7);
    let ran = mend(&sandbox, &[without_subject, without_verdict, record]).code(2);
    let errors = ran.of("error");
    assert_eq!(errors.iter().map(|error| &error["data"]["code"]).collect::<Vec<_>>(), ["input.bad-data", "input.bad-data"]);
    ward::told(&ran, "relink", "done");
    ward::is_healthy(&sandbox, &venv);
}
