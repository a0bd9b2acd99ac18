//! Requirements files with all that people write into them.

use std::fs;

use proptest::prelude::*;

use super::super::requirement::tests::here;
use super::*;

fn project(files: &[(&str, &str)]) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::create_dir_all(root.path().join(name).parent().unwrap()).unwrap();
        #[expect(clippy::disallowed_methods, reason = "a test's own file")]
        fs::write(root.path().join(name), text).unwrap();
    }
    root
}

fn of(text: &str) -> Source {
    read(&project(&[("requirements.txt", text)]).path().join("requirements.txt"), &here())
}

#[test]
fn nesting_comments_continuations_hashes_and_markers() {
    let root = project(&[
        (
            "requirements.txt",
            "\u{feff}# all\n-r sub/base.txt\n-c sub/limits.txt\nflask \\\n  >=3 ; python_version>'3.8' # web\nb==1.0 \\\n    --hash=sha256:ab \\\n    --hash sha256:cd\n",
        ),
        ("sub/base.txt", "-r ../requirements.txt\nA_B[x]==2.*\n-e ./src[dev]\ngit+https://h/r@v1#egg=Dd\n./vendor/own\n-f wheels\n"),
        ("sub/limits.txt", "idna<4\n"),
    ]);
    let source = read(&root.path().join("requirements.txt"), &here());
    let names: Vec<_> = source.all.iter().map(|one| (&*one.name, one.number.unwrap(), one.refusal.is_some())).collect();
    assert_eq!(names, [("a-b", 2, false), ("src", 3, true), ("dd", 4, true), ("own", 5, true), ("flask", 4, false), ("b", 6, false)]);
    assert_eq!(source.all[5].full(), "b==1.0 --hash=sha256:ab --hash=sha256:cd");
    assert!(source.hashed && source.refusal.is_none());
    assert_eq!(source.limits, ["idna<4"]);
    assert_eq!(source.options, [format!("--find-links {}/sub/wheels", root.path().display())]);
}

#[test]
fn indexes_are_kept_and_what_kind_of_archive_is_not() {
    let source = of("--index-url https://u:p@h/simple\n--extra-index-url=https://x/\n--no-binary :all:\n--prefer-binary\na\n");
    assert_eq!(source.options, ["--index-url https://u:p@h/simple", "--extra-index-url https://x/"]);
    assert_eq!(source.refusal, None);
}

#[test]
fn what_could_do_more_than_say_where_refuses_the_whole_file() {
    for line in ["--trusted-host h", "--global-option=x", "-r https://h/r.txt", "-r missing.txt", "--index-url https://a --pre", "-i"] {
        assert!(of(&format!("{line}\na\n")).refusal.is_some(), "{line}");
    }
    assert_eq!(of("a --config-settings=x\n").all[0].refusal.as_ref().unwrap().0, "options");
}

proptest! {
    #[test]
    fn any_text_is_taken(text: String) {
        of(&text);
    }

    #[test]
    fn anything_like_a_file_is_taken(text in r"((-r|-c|-e|-i|--hash|--pre|a|b==1|[a-c.-]{1,3}|\\|#| |\n|;|\[x\]|@){1,3}){0,12}") {
        let source = of(&text);
        prop_assert!(source.all.iter().all(|one| !one.full().contains('\n')));
        prop_assert!(source.options.iter().all(|option| !option.contains('\n')));
    }
}
