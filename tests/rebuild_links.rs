//! Links to folders: what lies behind one is in no backup, so nothing is changed there.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use serde_json::json;
use tests::{Sandbox, arg};

use crate::ward;

/// An environment of pip and a package.
fn environment(sandbox: &Sandbox) -> PathBuf {
    let venv = sandbox.work("project/.venv");
    ward::wheel(sandbox, "gadget", "1.0");
    ward::wheel(sandbox, "gizmo", "1.0");
    ward::by_uv(sandbox, &venv, &["--seed"]);
    ward::install(sandbox, &venv, &["gadget"]);
    venv
}

/// Moves a folder of the environment out of it and puts a link in its place.
fn lead_out(sandbox: &Sandbox, folder: &Path) -> PathBuf {
    let target = sandbox.work("elsewhere");
    fs::rename(folder, &target).unwrap();
    symlink(&target, folder).unwrap();
    target
}

/// Plans and forces, and insists that both decline for that link and nothing is changed before or behind it.
fn declined(sandbox: &Sandbox, args: &[&str], venv: &Path, verb: &str, link: &Path, target: &Path) {
    let (old, behind) = (ward::contents(venv), ward::traces(target));
    let plan = ward::rebuild(sandbox, args.iter().map(arg).chain([arg(venv)])).run().code(0);
    for ran in [plan, ward::force(sandbox, args, venv).code(1)] {
        let data = ward::told(&ran, verb, "skipped");
        let path = link.strip_prefix(venv).unwrap();
        assert_eq!(data["detail"]["linked"], json!({"path": path.to_str(), "target": target.to_str()}), "{data}");
        let text = format!("{} is a link to {}, and no backup has what would be changed there", path.display(), target.display());
        assert!(data["text"].as_str().unwrap().starts_with(&text), "{data}");
        ward::same(&old, &ward::contents(venv));
        ward::same(&behind, &ward::traces(target));
    }
    assert_eq!(ward::names(venv.parent().unwrap()), [".venv"]);
}

#[test]
fn a_tree_whose_folders_lead_elsewhere_is_left_alone() {
    for folder in ["bin", "lib", "lib/python", "site-packages"] {
        let sandbox = Sandbox::new();
        let venv = environment(&sandbox);
        let site = ward::packages(&venv);
        let folder = match folder {
            "site-packages" => site.clone(),
            "lib/python" => site.parent().unwrap().to_owned(),
            name => venv.join(name),
        };
        let target = lead_out(&sandbox, &folder);
        declined(&sandbox, &["--full"], &venv, "rebuild", &folder, &target);
        fs::create_dir(site.join("~adget")).unwrap();
        fs::write(site.join("~adget/left.py"), "").unwrap();
        declined(&sandbox, &[], &venv, "litter", &folder, &target);
        fs::remove_dir_all(site.join("~adget")).unwrap();
        fs::remove_dir_all(site.join("pip")).unwrap();
        declined(&sandbox, &[], &venv, "pip", &folder, &target);
    }
}

/// One's own sources in the place of a package, with changes that are nowhere else.
#[test]
fn a_package_that_leads_to_its_sources_is_not_installed_into_them() {
    let sandbox = Sandbox::new();
    let venv = environment(&sandbox);
    let package = ward::packages(&venv).join("gadget");
    let sources = lead_out(&sandbox, &package);
    fs::write(sources.join("__init__.py"), "version = 'my own'\n").unwrap();
    fs::remove_file(sources.join("data.txt")).unwrap();
    let records = sandbox.tool("venv-probe", [arg("--deep"), arg(&venv)]).run().code(0).text();
    let behind = ward::traces(&sources);
    let ran = ward::rebuild(&sandbox, ["--force"]).input(records).run().code(1);
    let data = ward::told(&ran, "packages", "skipped");
    assert_eq!(data["detail"]["linked"]["target"], sources.to_str().unwrap(), "{data}");
    ward::same(&behind, &ward::traces(&sources));
    assert_eq!(fs::read_link(&package).unwrap(), sources);
}

/// Nothing tells beforehand what a package without a RECORD brings.
#[test]
fn installers_meet_no_link_that_leads_out() {
    let sandbox = Sandbox::new();
    let venv = environment(&sandbox);
    let (site, own) = (ward::packages(&venv), sandbox.work("own"));
    fs::create_dir(&own).unwrap();
    fs::write(own.join("__init__.py"), "mine = True\n").unwrap();
    let missing = json!({"v": 1, "packages": [{"name": "gizmo", "version": "1.0", "why": "gone"}]});
    fs::write(venv.join("mendline-missing.json"), missing.to_string()).unwrap();
    let (link, behind) = (site.join("gizmo"), ward::traces(&own));
    symlink(&own, &link).unwrap();
    let data = ward::told(&ward::force(&sandbox, &[], &venv).code(1), "packages", "skipped");
    assert!(data["text"].as_str().unwrap().contains("/gizmo is a link to "), "{data}");
    ward::same(&behind, &ward::traces(&own));

    // One that nothing is installed behind is a person's own, and stays, as does one that leads nowhere.
    fs::rename(&link, site.join("own")).unwrap();
    symlink("/gone/for/ever", venv.join("bin/mine")).unwrap();
    let is_carried = || {
        let links = [site.join("own"), venv.join("bin/mine")].map(|link| fs::read_link(link).unwrap());
        assert_eq!(links, [own.clone(), PathBuf::from("/gone/for/ever")]);
        ward::same(&behind, &ward::traces(&own));
    };
    ward::told(&ward::force(&sandbox, &[], &venv).code(0), "packages", "done");
    is_carried();
    ward::told(&ward::force(&sandbox, &["--full"], &venv).code(0), "rebuild", "done");
    is_carried();
    assert_eq!(ward::installed(&venv).iter().map(|line| line.split(' ').next().unwrap()).collect::<Vec<_>>(), ["gadget", "gizmo", "pip"]);

    // What a rebuild installs in its place gives way to the link, and is not written through it.
    let package = site.join("gadget");
    fs::remove_dir_all(&package).unwrap();
    symlink(&own, &package).unwrap();
    drop(ward::force(&sandbox, &["--full"], &venv));
    assert_eq!(fs::read_link(&package).unwrap(), own);
    ward::same(&behind, &ward::traces(&own));
}
