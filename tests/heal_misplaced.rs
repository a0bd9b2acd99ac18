//! `heal` follows modules that are spelt in another case or that moved within the project, and leaves what could be somebody else's.

use std::fs;

use serde_json::{Value, json};
use tests::{Sandbox, arg};

use crate::heal_import::{files, project, read, script};
use crate::vault::{file, inventory, same};
use crate::ward::python;

/// What `heal` makes of a script whose import fails: its one action.
#[track_caller]
fn heal(sandbox: &Sandbox, code: i32, script_file: &str, words: &[&str]) -> Value {
    let failed = script(sandbox, python(), &[script_file]);
    assert!(failed.code == Some(1) && failed.stderr.contains("No module named"), "{}", failed.stderr);
    of_log(sandbox, code, &failed.stderr, words)
}

#[track_caller]
fn of_log(sandbox: &Sandbox, code: i32, log: &str, words: &[&str]) -> Value {
    let diagnosed = sandbox.tool("diagnose", ["--log", "-"]).input(log).run().code(0);
    assert_eq!(diagnosed.of("diagnosis")[0]["data"]["remedy"]["name"], "install-module", "{log}");
    let words = [arg("--root"), sandbox.work("").into(), arg("--python"), arg(python())].into_iter().chain(words.iter().map(arg));
    let ran = sandbox.tool("heal", words).input(diagnosed.stdout).within(sandbox.work("")).run().code(code);
    let [action] = &ran.of("action")[..] else { panic!("one action: {}", ran.text()) };
    action["data"].clone()
}

/// Insists that a script is mended in a way that its log then needs no more, and says this.
#[track_caller]
fn mended(sandbox: &Sandbox, script_file: &str, says: &str) {
    let before = inventory(&sandbox.work(""));
    let failed = script(sandbox, python(), &[script_file]).stderr;
    let planned = of_log(sandbox, 0, &failed, &[]);
    assert_eq!((&planned["verb"], &planned["outcome"]), (&json!("fix-import"), &json!("planned")), "{planned}");
    same(&before, &inventory(&sandbox.work("")));
    let done = of_log(sandbox, 0, &failed, &["--force"]);
    assert_eq!((&done["verb"], &done["outcome"], &done["verified"]), (&json!("fix-import"), &json!("done"), &json!(true)), "{done}");
    assert_eq!(script(sandbox, python(), &[script_file]).code(0).text(), says);
    for words in [&[][..], &["--force"]] {
        assert_eq!(of_log(sandbox, 0, &failed, words)["text"], "the check passes: there is nothing to mend");
    }
}

/// Insists that nothing is done and nothing changes, and that it is a matter of `install-module`.
#[track_caller]
fn left(sandbox: &Sandbox, script_file: &str) {
    let before = files(&sandbox.work(""));
    let action = heal(sandbox, 1, script_file, &["--force"]);
    assert_eq!((&action["verb"], &action["outcome"]), (&json!("install-module"), &json!("skipped")), "{action}");
    same(&before, &files(&sandbox.work("")));
}

#[test]
fn a_module_in_another_case_is_imported_as_it_is_spelt() {
    let sandbox = project(&[("app.py", "import os, Foo # it\nprint(Foo.X)\n"), ("foo.py", "X = 1\n")]);
    mended(&sandbox, "app.py", "1\n");
    assert_eq!(read(&sandbox, "app.py"), "import os, foo as Foo # it\nprint(Foo.X)\n");
    let sandbox = project(&[
        ("app.py", "from Shop.Models import (Order, # it\n  Tax)\nprint(Order, Tax)\n"),
        ("shop/models.py", "Order = Tax = 2\n"),
    ]);
    file(&sandbox.work("shop/__init__.py"), "");
    mended(&sandbox, "app.py", "2 2\n");
    assert_eq!(read(&sandbox, "app.py"), "from shop.models import (Order, # it\n  Tax)\nprint(Order, Tax)\n");
    let sandbox = project(&[("app.py", "import shop.Models as m\nprint(m.X)\n"), ("shop/models.py", "X = 3\n")]);
    mended(&sandbox, "app.py", "3\n");
    assert_eq!(read(&sandbox, "app.py"), "import shop.models as m\nprint(m.X)\n");
    let relative =
        [("app.py", "import pkg.a\n"), ("pkg/__init__.py", ""), ("pkg/a.py", "from .B import X\nprint(X)\n"), ("pkg/b.py", "X = 4\n")];
    let sandbox = project(&relative);
    mended(&sandbox, "app.py", "4\n");
    assert_eq!(read(&sandbox, "pkg/a.py"), "from .b import X\nprint(X)\n");
}

#[test]
fn a_module_that_moved_is_taken_from_where_it_is() {
    let sandbox = project(&[
        ("app.py", "from shop.prices import total, Rate as R\nprint(total(), R)\n"),
        ("shop/__init__.py", ""),
        ("shop/core/__init__.py", ""),
        ("shop/core/prices.py", "Rate = 7\n\n\ndef total():\n    return 3\n"),
        (".venv/lib/prices.py", "Rate = 9\n"),
    ]);
    mended(&sandbox, "app.py", "3 7\n");
    assert!(read(&sandbox, "app.py").starts_with("from shop.core.prices import total, Rate as R\n"));
    // What failed is a module of a package, and how it names others stays.
    let sandbox = project(&[
        ("app.py", "import shop.views.cart\n"),
        ("shop/__init__.py", ""),
        ("shop/views/__init__.py", ""),
        ("shop/views/cart.py", "from ..prices import X\nprint(X)\n"),
        ("shop/core/prices/__init__.py", "X = 5\n"),
    ]);
    mended(&sandbox, "app.py", "5\n");
    assert_eq!(read(&sandbox, "shop/views/cart.py"), "from ..core.prices import X\nprint(X)\n");
}

/// A module that git knows at the first of these places, before it moved to the other.
fn moved_in_git(from: &str, to: &str) -> Sandbox {
    let sandbox = project(&[("app.py", "from prices import X\nprint(X)\n"), (from, "X = 1\n")]);
    crate::heal::committed(&sandbox, ".");
    fs::create_dir_all(sandbox.work(to).parent().unwrap()).unwrap();
    fs::rename(sandbox.work(from), sandbox.work(to)).unwrap();
    file(&sandbox.work("app.py"), "from prices import X\nprint(X, 'now')\n");
    sandbox
}

#[test]
fn a_module_of_no_package_moved_where_git_knows_that_it_was_there() {
    mended(&moved_in_git("prices.py", "shop/prices.py"), "app.py", "1 now\n");
    left(&moved_in_git("other/prices.py", "shop/prices.py"), "app.py");
    left(&project(&[("app.py", "from prices import X\n"), ("shop/prices.py", "X = 1\n")]), "app.py");
}

#[test]
fn what_could_be_meant_otherwise_is_left_alone() {
    let (init, taken) = (("shop/__init__.py", ""), ("app.py", "from shop.prices import X\n"));
    let cases: [&[(&str, &str)]; 12] = [
        &[taken, init, ("shop/a/prices.py", "X = 1\n"), ("shop/b/prices.py", "X = 1\n")],
        &[taken, init, ("shop/tests/prices.py", "X = 1\n")],
        &[taken, init, ("shop/prices_old/prices.py", "X = 1\n")],
        &[taken, init, ("shop/a/prices.py", "Y = 1\n")],
        &[taken, init, ("shop/a/prices.py", "if 1:\n    X = 1\n")],
        &[taken, init, ("shop/a/prices.py", "X = 1\nprint(X)\n")],
        &[taken, init, ("shop/a-b/prices.py", "X = 1\n")],
        &[("app.py", "import Foo.bar\n"), ("foo/__init__.py", ""), ("foo/bar.py", "")],
        &[("app.py", "from Foo import X\n"), ("foo.py", "Y = 1\n")],
        &[("app.py", "import Foo\n"), ("foo.py", ""), ("FOO.py", "")],
        &[("app.py", "import Foo\n"), ("docs/foo.py", ""), ("foo/readme.txt", "")],
        &[("app.py", "import shop.old_prices\n"), init, ("shop/a/old_prices.py", "")],
    ];
    for files in cases {
        left(&project(files), "app.py");
    }
}

#[test]
fn what_could_be_of_somebody_else_is_left_alone() {
    let wrong_case = |name: &str| {
        let module = format!("{}.py", name.to_lowercase());
        project(&[("app.py", &format!("import {name}\n")), (&module, "")])
    };
    // Python had it, Python has it, and the vetted map knows it, whatever its case.
    for name in ["ConfigParser", "Json", "Yaml", "Crypto"] {
        left(&wrong_case(name), "app.py");
    }
    let declares = [("requirements.txt", "foo>=1\n"), ("pyproject.toml", "[project]\nname = 'x'\nversion = '1'\ndependencies = ['Foo']\n")];
    for (name, text) in declares {
        let sandbox = wrong_case("Foo");
        file(&sandbox.work(name), text);
        left(&sandbox, "app.py");
    }
    // The lock of a project lists the project.
    let sandbox = project(&[("app.py", "from Shop import X\nprint(X)\n"), ("shop/__init__.py", "X = 1\n")]);
    file(&sandbox.work("pyproject.toml"), "[project]\nname = 'shop'\nversion = '1'\n");
    file(&sandbox.work("uv.lock"), "version = 1\n[[package]]\nname = \"shop\"\nversion = \"1\"\nsource = { editable = \".\" }\n");
    mended(&sandbox, "app.py", "1\n");
}

#[test]
fn what_does_not_help_is_undone() {
    let raises = project(&[("app.py", "import Foo\n"), ("foo.py", "raise RuntimeError('not today')\n")]);
    let before = files(&raises.work(""));
    let action = heal(&raises, 1, "app.py", &["--force"]);
    assert_eq!((&action["verb"], &action["outcome"]), (&json!("fix-import"), &json!("undone")), "{action}");
    assert!(action["text"].as_str().unwrap().contains("RuntimeError: not today"), "{action}");
    same(&before, &files(&raises.work("")));
}

#[test]
fn it_is_fix_import_that_is_asked_for_or_not() {
    let sandbox = project(&[("app.py", "import Foo\n"), ("foo.py", "")]);
    assert_eq!(heal(&sandbox, 0, "app.py", &["--only", "fix-import"])["outcome"], "planned");
    let failed = script(&sandbox, python(), &["app.py"]).stderr;
    let diagnosed = sandbox.tool("diagnose", ["--log", "-"]).input(failed).run().code(0).stdout;
    let ran = sandbox.tool("heal", ["--except", "fix-import", "--force"]).input(diagnosed).within(sandbox.work("")).run().code(0);
    assert_eq!(ran.of("action"), [] as [Value; 0]);
}
