//! `heal` follows names that moved: real tracebacks of real interpreters go in, and the programs run afterwards.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tests::{Ran, Sandbox, arg};

use crate::vault::{Inventory, chmod, file, inventory, same, skipped, touch};
use crate::ward::{python, pythons};

/// The interpreter of a version, if it is here.
fn version(minor: &str, test: &str) -> Option<&'static Path> {
    let found = pythons().iter().find(|(known, _)| known == minor).map(|(_, path)| path.as_path());
    if found.is_none() {
        skipped(test, &format!("there is no Python {minor} here"));
    }
    found
}

/// A project with these files, each from long ago.
pub(crate) fn project(files: &[(&str, &str)]) -> Sandbox {
    let sandbox = Sandbox::new();
    for (name, text) in files {
        let path = sandbox.work(name);
        file(&path, text);
        chmod(&path, 0o640);
        touch(&path, 1_500_000_000, 123_456_789);
    }
    sandbox
}

pub(crate) fn script(sandbox: &Sandbox, python: &Path, words: &[&str]) -> Ran {
    let words = [arg("-B")].into_iter().chain(words.iter().map(arg));
    sandbox.command(python, words).env("PYTHONPATH", sandbox.root().join("outside")).within(sandbox.work("")).run()
}

/// What `heal` makes of a script that fails: its actions.
#[track_caller]
fn heal(sandbox: &Sandbox, python: &Path, code: i32, words: &[&str]) -> Vec<Value> {
    let failed = script(sandbox, python, words);
    assert_eq!(failed.code, Some(1), "{}", failed.stderr);
    of_log(sandbox, python, code, &failed.stderr, &["--force"])
}

#[track_caller]
fn of_log(sandbox: &Sandbox, python: &Path, code: i32, log: &str, words: &[&str]) -> Vec<Value> {
    let diagnosed = sandbox.tool("diagnose", ["--log", "-"]).input(log).run().code(0);
    assert_eq!(diagnosed.of("diagnosis")[0]["data"]["remedy"]["name"], "fix-import", "{log}");
    let words = [arg("--root"), sandbox.work("").into(), arg("--python"), arg(python)].into_iter().chain(words.iter().map(arg));
    let outside = sandbox.root().join("outside");
    let ran = sandbox.tool("heal", words).input(diagnosed.stdout).env("PYTHONPATH", outside).within(sandbox.work("")).run().code(code);
    ran.of("action").into_iter().map(|action| action["data"].clone()).collect()
}

/// Insists that one script that fails is mended and then says this.
#[track_caller]
fn mended(sandbox: &Sandbox, python: &Path, words: &[&str], says: &str) -> Value {
    let actions = heal(sandbox, python, 0, words);
    assert_eq!((actions.len(), &actions[0]["outcome"]), (1, &json!("done")), "{actions:?}");
    assert_eq!(script(sandbox, python, words).code(0).text(), says);
    actions[0].clone()
}

/// Insists that nothing is done, for this reason, and nothing changes.
#[track_caller]
fn left(sandbox: &Sandbox, python: &Path, words: &[&str], outcome: &str, why: &str) {
    let before = files(&sandbox.work(""));
    let actions = heal(sandbox, python, 1, words);
    assert_eq!((actions.len(), &actions[0]["outcome"]), (1, &json!(outcome)), "{actions:?}");
    assert!(actions[0]["text"].as_str().unwrap().contains(why), "{actions:?}");
    same(&before, &files(&sandbox.work("")));
}

/// All but folders, whose time tells that something came and went.
pub(crate) fn files(top: &Path) -> Inventory {
    inventory(top).into_iter().filter(|(_, what)| !what.starts_with("folder")).collect()
}

pub(crate) fn read(sandbox: &Sandbox, name: &str) -> String {
    fs::read_to_string(sandbox.work(name)).unwrap()
}

#[test]
fn a_name_that_moved_within_the_project_is_taken_from_where_it_is() {
    let sandbox = project(&[
        ("app.py", "import os\nfrom shop.models import Order, Customer as C  # both\r\nprint(Order.name, C)\n"),
        ("shop/__init__.py", ""),
        ("shop/models.py", "Customer = 1\n"),
        ("shop/core/orders.py", "class Order:\n    name = 'order'\n"),
        ("unused.py", "from shop.core.orders import Order\n\n\ndef f():\n    Order = 2\n    return Order\n"),
        (".venv/lib/x.py", "Order = 3\n"),
        ("node_modules/x/y.py", "Order = 4\n"),
    ]);
    let action = mended(&sandbox, python(), &["app.py"], "order 1\n");
    assert_eq!(
        read(&sandbox, "app.py"),
        "import os\nfrom shop.core.orders import Order\nfrom shop.models import Customer as C  # both\r\nprint(Order.name, C)\n"
    );
    assert_eq!((&action["verified"], &action["detail"]["edits"][0]["line"]), (&json!(true), &json!(2)));
}

#[test]
fn a_relative_import_stays_relative_and_a_src_layout_is_one() {
    let sandbox = project(&[
        ("run.py", "import sys\nsys.path.insert(0, 'src')\nimport shop.views.cart\n"),
        ("src/shop/__init__.py", ""),
        ("src/shop/models.py", ""),
        ("src/shop/db/__init__.py", ""),
        ("src/shop/db/tables.py", "async def load(): pass\n"),
        ("src/shop/views/__init__.py", ""),
        ("src/shop/views/cart.py", "def f():\n\tfrom ..models import (\n\t\tload,  # it\n\t)\n\treturn load.__module__\nprint(f())\n"),
    ]);
    mended(&sandbox, python(), &["run.py"], "shop.db.tables\n");
    assert!(read(&sandbox, "src/shop/views/cart.py").contains("from ..db.tables import (\n\t\tload,  # it\n"));
}

#[test]
fn modules_that_give_names_on_and_folders_without_a_file_are_understood() {
    let sandbox = project(&[
        ("src/app.py", "from pkg import X\nfrom pkg.sub import Y\nprint(X, Y)\n"),
        ("src/pkg/one.py", "X = 1\n"),
        ("src/pkg/sub.py", "from pkg.two import *\n"),
        ("src/pkg/two.py", ""),
        ("src/pkg/three.py", "Y = 3\n"),
    ]);
    let failed = script(&sandbox, python(), &["src/app.py"]);
    assert!(failed.stderr.contains("(unknown location)"), "{}", failed.stderr);
    assert_eq!(heal(&sandbox, python(), 0, &["src/app.py"])[0]["outcome"], "done");
    mended(&sandbox, python(), &["src/app.py"], "1 3\n");
    assert_eq!(read(&sandbox, "src/app.py"), "from pkg.one import X\nfrom pkg.three import Y\nprint(X, Y)\n");
    // What is mended already is left as it is, whether it is known by a look or by a run.
    let (failed, before) = (failed.stderr, inventory(&sandbox.work("")));
    for words in [&[][..], &["--force"]] {
        let actions = of_log(&sandbox, python(), 0, &failed, words);
        assert_eq!(actions[0]["text"], "the check passes: there is nothing to mend");
    }
    same(&before, &inventory(&sandbox.work("")));
}

#[test]
fn a_wrong_case_is_mended_where_it_is_imported() {
    let sandbox = project(&[("app.py", "from m import fooBar, bar\nprint(fooBar, bar)\n"), ("m.py", "foobar = 0\nbar = foobar = 1\n")]);
    mended(&sandbox, python(), &["app.py"], "1 1\n");
    assert_eq!(read(&sandbox, "app.py"), "from m import foobar as fooBar, bar\nprint(fooBar, bar)\n");
    let sandbox = project(&[("app.py", "from m import Httpclient as f\nprint(f)\n"), ("m.py", "HttpClient = 2\n")]);
    mended(&sandbox, python(), &["app.py"], "2\n");
    assert_eq!(read(&sandbox, "app.py"), "from m import HttpClient as f\nprint(f)\n");
    for other in ["Session", "SESSION"] {
        let sandbox = project(&[("app.py", "from m import session\n"), ("m.py", &format!("{other} = 2\n"))]);
        left(&sandbox, python(), &["app.py"], "skipped", "another kind of thing");
    }
}

#[test]
fn a_folder_that_all_beside_it_have_init_in_becomes_a_package() {
    let files = [
        ("app.py", "from helpers import text\nprint(text.WORD)\n"),
        ("helpers/text.py", "WORD = 'hello'\n"),
        ("views/__init__.py", ""),
        ("views/page.py", ""),
        ("docs/readme.txt", ""),
    ];
    let sandbox = project(&files);
    file(&sandbox.root().join("outside/helpers/__init__.py"), "");
    let outside = inventory(&sandbox.root().join("outside"));
    mended(&sandbox, python(), &["app.py"], "hello\n");
    assert_eq!(read(&sandbox, "helpers/__init__.py"), "");
    same(&outside, &inventory(&sandbox.root().join("outside")));

    let sandbox = project(&[&files[..], &[("more/x.py", "")]].concat());
    file(&sandbox.root().join("outside/helpers/__init__.py"), "");
    left(&sandbox, python(), &["app.py"], "skipped", "do not all have one");

    let sandbox = project(&[("app.py", "from html import pages\n"), ("html/pages.py", ""), ("views/__init__.py", ""), ("views/a.py", "")]);
    left(&sandbox, python(), &["app.py"], "skipped", "is called as a module of the standard library");
}

#[test]
fn what_moved_in_the_standard_library_is_followed_by_each_version() {
    const NAME: &str = "what_moved_in_the_standard_library_is_followed_by_each_version";
    let text = "try:\n    from collections import OrderedDict, Mapping, Set as S\nexcept KeyError:\n    pass\nprint(Mapping.__name__, S.__name__, OrderedDict.__name__)\n";
    for minor in ["3.10", "3.11", "3.12", "3.13"] {
        let Some(python) = version(minor, NAME) else { continue };
        let sandbox = project(&[("app.py", text)]);
        mended(&sandbox, python, &["app.py"], "Mapping Set OrderedDict\n");
        let start = "try:\n    from collections.abc import Mapping, Set as S\n    from collections import OrderedDict\n";
        assert!(read(&sandbox, "app.py").starts_with(start));
        // The version that still has it has nothing to mend.
        let Some(older) = version("3.9", NAME) else { continue };
        let sandbox = project(&[("app.py", text)]);
        let failed = script(&sandbox, python, &["app.py"]).stderr;
        let actions = of_log(&sandbox, older, 0, &failed, &["--force"]);
        assert_eq!((&actions[0]["outcome"], read(&sandbox, "app.py").as_str()), (&json!("skipped"), text));
    }
    if let Some(python) = version("3.9", NAME) {
        let sandbox = project(&[("a.py", "from fractions import Fraction, gcd\nprint(gcd(4, 6), Fraction(1))\n")]);
        mended(&sandbox, python, &["a.py"], "2 1\n");
        let sandbox = project(&[("a.py", "from itertools import count, izip_longest as z\nprint(list(z([1], [2])))\n")]);
        mended(&sandbox, python, &["a.py"], "[(1, 2)]\n");
        assert!(read(&sandbox, "a.py").starts_with("from itertools import count, zip_longest as z\n"));
    }
    if let Some(python) = version("3.12", NAME) {
        let sandbox = project(&[("a.py", "import inspect\ninspect.getargspec(len)\n")]);
        left(&sandbox, python, &["a.py"], "skipped", "inspect.getfullargspec");
        // No file goes before a module that is built in.
        let sandbox = project(&[("a.py", "from time import clock\n"), ("time.py", ""), ("b.py", "def clock(): pass\n")]);
        left(&sandbox, python, &["a.py"], "skipped", "time.perf_counter");
        let sandbox = project(&[("a.py", "from inspect import getargspec\n")]);
        left(&sandbox, python, &["a.py"], "skipped", "inspect.getfullargspec");
    }
}

#[test]
fn attributes_that_moved_are_followed_in_the_whole_file_and_in_code_alone() {
    const NAME: &str = "attributes_that_moved_are_followed_in_the_whole_file_and_in_code_alone";
    let Some(python) = version("3.12", NAME) else { return };
    let text = "import os, collections\r\n# collections.Mapping\r\nprint('collections.Mapping', issubclass(dict, collections.Mapping))\r\n\
                print(collections.OrderedDict(), isinstance([], (collections.Sequence, collections.Set)))\r\n";
    let sandbox = project(&[("app.py", text)]);
    mended(&sandbox, python, &["app.py"], "collections.Mapping True\nOrderedDict() True\n");
    assert_eq!(
        read(&sandbox, "app.py"),
        "import os, collections.abc\r\n# collections.Mapping\r\nprint('collections.Mapping', issubclass(dict, collections.abc.Mapping))\r\n\
         print(collections.OrderedDict(), isinstance([], (collections.abc.Sequence, collections.abc.Set)))\r\n"
    );
    let sandbox = project(&[("app.py", "import collections\ndef f(collections=collections):\n    return collections.Mapping\nf()\n")]);
    left(&sandbox, python, &["app.py"], "skipped", "more than the module");
}

#[test]
fn a_dry_run_runs_nothing_of_the_project_and_changes_nothing() {
    let sandbox =
        project(&[("app.py", "from m import X\n"), ("m.py", "open('ran', 'a').close()\n"), ("n.py", "open('ran', 'a').close()\nX = 1\n")]);
    let failed = script(&sandbox, python(), &["app.py"]).stderr;
    fs::remove_file(sandbox.work("ran")).unwrap();
    let before = inventory(&sandbox.work(""));
    let actions = of_log(&sandbox, python(), 0, &failed, &[]);
    assert_eq!((&actions[0]["outcome"], &actions[0]["text"]), (&json!("planned"), &json!("take X from n")), "{actions:?}");
    same(&before, &inventory(&sandbox.work("")));
}

#[test]
fn what_does_not_help_is_undone() {
    let app = ("app.py", "from m import X\n");
    let raises = project(&[app, ("m.py", ""), ("n.py", "X = 1\nraise RuntimeError('not today')\n")]);
    left(&raises, python(), &["app.py"], "undone", "RuntimeError: not today");
    let ends = project(&[app, ("m.py", ""), ("n.py", "import sys\nX = 1\nsys.exit(0)\n")]);
    left(&ends, python(), &["app.py"], "undone", "importing it ends the program");
    let circular = project(&[("app.py", "import a\n"), ("a.py", "from m import X\n"), ("m.py", ""), ("n.py", "import a\nX = 1\n")]);
    left(&circular, python(), &["app.py"], "undone", "circular import");
    let package = project(&[
        ("app.py", "from helpers import text\n"),
        ("helpers/text.py", "raise RuntimeError('not today')\n"),
        ("views/__init__.py", ""),
        ("views/page.py", ""),
    ]);
    file(&package.root().join("outside/helpers/__init__.py"), "");
    left(&package, python(), &["app.py"], "undone", "RuntimeError: not today");
}

#[test]
fn what_may_be_meant_otherwise_is_left_alone() {
    let app = ("app.py", "from m import X\n");
    let cases: [(&[(&str, &str)], &str); 11] = [
        (&[app, ("m.py", ""), ("tests/fakes.py", "class X: pass\n")], "is there to be run, or to test others"),
        (&[app, ("m.py", ""), ("pkg/__main__.py", "X = 1\n")], "is there to be run, or to test others"),
        (&[app, ("m.py", ""), ("a.py", "X = 1\n"), ("b.py", "def X(): pass\n")], "may be meant in more than one way"),
        (&[app, ("m.py", "x = 1\n"), ("a.py", "X = 1\n")], "may be meant in more than one way"),
        (&[app, ("m.py", ""), ("a.py", "X = 1\n"), ("b.py", "try:\n    X = 2\nfinally:\n    pass\n")], "may be meant in more than one way"),
        (&[app, ("m.py", ""), ("a.py", "if 1:\n    X = 1\n")], "under a condition only"),
        (&[app, ("m.py", ""), ("a.py", "X = 1\nprint(X)\n")], "does more where it is imported"),
        (&[app, ("m.py", ""), ("a-b.py", "X = 1\n")], "cannot be imported in the way in which this is"),
        (&[app, ("m.py", ""), ("a.py", "X = (\n")], "does not compile"),
        (&[app, ("m.py", ""), ("tools/__init__.py", ""), ("tools/x.py", "X = 1\n")], "without a history"),
        (&[app, ("m.py", ""), ("a.py", "from m import X\n")], "no module of the project defines X"),
    ];
    for (files, why) in cases {
        left(&project(files), python(), &["app.py"], "skipped", why);
    }
    let circular = project(&[("app.py", "import a\n"), ("a.py", "from b import X\nY = 1\n"), ("b.py", "from a import Y\nX = 1\n")]);
    left(&circular, python(), &["app.py"], "skipped", "two modules import each other");
    let commented = project(&[("app.py", "from m import (X, # this\n  Y)\n"), ("m.py", "Y = 1\n"), ("a.py", "X = 1\n")]);
    left(&commented, python(), &["app.py"], "skipped", "with comments");
    let latin = project(&[app, ("m.py", ""), ("a.py", "X = 1\n")]);
    fs::write(latin.work("app.py"), b"# coding: latin-1\nfrom m import X # \xe9\n").unwrap();
    left(&latin, python(), &["app.py"], "skipped", "not in UTF-8");
}

#[test]
fn nothing_outside_of_the_root_or_in_a_package_is_touched() {
    let sandbox = project(&[("app.py", "import lib\n"), ("n.py", "X = 1\n"), ("site-packages/own.py", "from m import X\n"), ("m.py", "")]);
    file(&sandbox.root().join("outside/lib.py"), "from m import X\n");
    file(&sandbox.root().join("outside/X.py"), "X = 1\n");
    let outside = inventory(&sandbox.root().join("outside"));
    left(&sandbox, python(), &["app.py"], "skipped", "is not below");
    same(&outside, &inventory(&sandbox.root().join("outside")));
    let traced = format!(
        "Traceback (most recent call last):\n  File \"{0}/site-packages/own.py\", line 1, in <module>\n    from m import X\n\
         ImportError: cannot import name 'X' from 'm' ({0}/m.py)\n",
        sandbox.work("").display()
    );
    let before = inventory(&sandbox.work(""));
    let actions = of_log(&sandbox, python(), 1, &traced, &["--force"]);
    assert_eq!(actions[0]["outcome"], "skipped", "{actions:?}");
    same(&before, &inventory(&sandbox.work("")));
}

#[test]
fn old_messages_without_a_module_are_understood() {
    let home = std::env::var_os("PYENV_ROOT").map_or_else(|| std::env::home_dir().unwrap().join(".pyenv"), PathBuf::from);
    let oldest = fs::read_dir(home.join("versions")).into_iter().flatten().flatten().map(|entry| entry.path());
    let Some(python) = oldest.into_iter().find(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("3.6")))
    else {
        return skipped("old_messages_without_a_module_are_understood", "there is no Python 3.6 here");
    };
    let sandbox = project(&[
        ("app.py", "import pkg.a\n"),
        ("pkg/__init__.py", ""),
        ("pkg/a.py", "from .m import X\nprint(X)\n"),
        ("pkg/m.py", ""),
        ("pkg/n.py", "X: int = 7\n"),
    ]);
    mended(&sandbox, &python.join("bin/python"), &["app.py"], "7\n");
    assert_eq!(read(&sandbox, "pkg/a.py"), "from .n import X\nprint(X)\n");
}

#[test]
fn what_was_never_in_a_module_did_not_move_out_of_it() {
    let moved = |had: &str| {
        let sandbox = project(&[("app.py", "from users import delete\nprint(delete)\n"), ("users.py", had)]);
        crate::heal::committed(&sandbox, "users.py");
        file(&sandbox.work("users.py"), "X = 1\n");
        file(&sandbox.work("files.py"), "def delete():\n    pass\n");
        sandbox
    };
    left(&moved("X = 1\n"), python(), &["app.py"], "skipped", "was never in the module");
    let sandbox = moved("X = 1\ndef delete():\n    pass\n");
    let actions = heal(&sandbox, python(), 0, &["app.py"]);
    assert_eq!(actions[0]["outcome"], "done", "{actions:?}");
}
