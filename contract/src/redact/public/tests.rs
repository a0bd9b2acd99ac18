use std::time::Duration;

use proptest::prelude::*;
use rustix::time::{ClockId, clock_gettime};

use super::*;

#[test]
fn no_usual_form_of_a_secret_is_read_by_strangers() {
    for text in [
        "  apiKey: 'S3CR3T',",
        "  clientSecret: 'S3CR3T with words',",
        "{ accessToken: S3CR3T, x: 1 }",
        "  privateKey: \"S3CR3T\\\"S3CR3T too\",",
        "  credentials: [ 'x', 'S3CR3T' ],",
        "API_KEYS: [ 'x', 'S3CR3T' ]",
        "token: S3CR3T",
        "apikey: S3CR3T",
        "pass: S3CR3T with words",
        "  - auth: S3CR3T",
        "password: a,S3CR3T",
        "password: |\n  S3CR3T\n\n  S3CR3T",
        "#12 0.345   password: >-\n#12 0.346     S3CR3T",
        "- token: |\n    S3CR3T",
        "password:\n  S3CR3T",
        "SECRET_KEY => 'S3CR3T'",
        "'secret_key' => 'S3CR3T',",
        "token=>S3CR3T",
        "SECRETS := S3CR3T",
        "DB_PASSWORD -> S3CR3T",
        "token -> S3CR3T",
        "| DB_PASSWORD | S3CR3T and more |",
        "| token       | S3CR3T |",
        "deploy --client-secret S3CR3T now",
        "deploy --api-token S3CR3T now",
        "['--requirepass','S3CR3T']",
        "[ '--password', 'S3CR3T' ]",
        "sshpass -p S3CR3T ssh me@host",
        "docker login -u me -p S3CR3T registry.example",
        "/usr/bin/redis-cli -a S3CR3T ping",
        "mysql -u root -pS3CR3T db",
        "mysql -u root \\\n  -pS3CR3T db",
        "#5 [2/3] ENV API_KEY S3CR3T",
        "ENV PLAIN S3CR3T",
        "machine h login me password S3CR3T",
        "machine h login me password plainsecretS3CR3T",
        "password S3CR3T",
        "jdbc:oracle:thin:scott/S3CR3T@host:1521:db",
        "root:S3CR3T@tcp(127.0.0.1:3306)/db",
        "ANYTHING=S3CR3T",
        "DefaultEndpointsProtocol=https;AccountName=x;AccountKey=S3CR3T==;EndpointSuffix=core",
        "https://hooks.slack.com/services/T000/B000/S3CR3T",
        "https://discord.com/api/webhooks/123/S3CR3T",
        "https://api.telegram.org/bot123:S3CR3T/sendMessage",
        "\u{1b}[32mtoken\u{1b}[39m: S3CR3T",
        "token\t:\tS3CR3T",
        "X-Api-Key: S3CR3T",
        "PGPASSWORD: S3CR3T",
        "S3CR3T\nMIIES3CR3T\n-----END RSA PRIVATE KEY-----",
        "-----BEGIN RSA PRIVATE KEY-----\nS3CR3T\n-----END RSA PRIVATE KEY-----\nS3CR3T\n-----END PRIVATE KEY-----",
    ] {
        let shown = public(text);
        assert!(!shown.contains("S3CR3T") && shown.contains(GONE), "{text} gives {shown}");
        assert!(shown.lines().count() <= text.lines().count(), "{text} gives {shown}");
    }
}

#[test]
fn a_token_is_known_by_its_beginning() {
    for begin in [
        "sk_test_",
        "rk_test_",
        "whsec_",
        "xapp-",
        "glptt-",
        "dor_v1_",
        "hf_",
        "SG.",
        "shpss_",
        "dapi",
        "sk-ant-",
        "ATATT3",
        "ya29.",
        "GOCSPX-",
        "HRKU-",
        "lin_api_",
        "dp.pt.",
        "hvs.",
        "x.atlasv1.",
    ] {
        let text = format!("got {begin}0s3cr3t0s3cr3t0s3cr3t and more");
        assert!(!secrets(&text).contains("s3cr3t"), "{text}");
        assert!(!public(&text).contains("s3cr3t"), "{text}");
    }
}

#[test]
fn a_long_word_of_chance_goes() {
    for text in [
        "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        "got aB3dE6gH9jK2mN5pQ8sT1vW4yZ7aB3dE6gH9, sorry",
        "/services/aB3dE6gH9jK2mN5pQ8sT1vW4yZ7aB3dE6gH9/x",
    ] {
        let shown = public(text);
        assert!(shown.contains(GONE) && !shown.contains("MDENG") && !shown.contains("jK2mN5"), "{shown}");
    }
}

#[test]
fn what_a_person_needs_to_understand_a_failure_stays() {
    for text in [
        "src/auth.ts:12:5 - error TS2322: Type 'string' is not assignable to type 'number'.",
        "npm error code EUSAGE",
        "Error: Cannot find module '/app/dist/index.js'",
        "Error: connect ECONNREFUSED 127.0.0.1:5432",
        "error: key \"x\" not found",
        "error: token 'x' was not expected",
        "KeyError: 'SECRET_KEY'",
        "JsonWebTokenError: invalid signature",
        "SyntaxError: /app/src/auth.js: Unexpected token (1:2)",
        "SyntaxError: Unexpected token: punc (})",
        "ERROR: failed to compute cache key: \"/app/package.json\": not found",
        "FATAL: password authentication failed for user \"me\"",
        "Type '{ key: string; token: undefined; }' is not assignable",
        "error: password is required",
        "cat: /run/secrets/token: Permission denied",
        "commit 0123456789abcdef0123456789abcdef01234567",
        "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
        "org.springframework.beans.factory.BeanCreationException2 in /workspace/node_modules/.pnpm/@types+React@18.2.0/index.d.ts",
        "https://registry.example/foo/-/foo-1.0.0-next.20240101T120000Z.tgz",
        "npm error sha512-VzBRYJ0VKFN+hpaUQMmXFUOYAFOHkB5LKcCdK1kYc2ELmaDpKtIfOjfHJmFWwYAbbXGmlKHoJZPA87LtuXyJmw== integrity checksum failed",
        "rpc error: code = Unknown desc = executor failed running [/bin/sh -c yarn build]: exit code: 137",
        "{ HASHING_KEY_SECRET: [ 'Required' ] }",
        "timeout reached waiting for health checks to pass for machine 7813112c002178",
        "Author: Jane, keyword: x, passed: 12",
    ] {
        assert_eq!(public(text), text);
    }
}

#[test]
fn lines_stay_lines() {
    assert_eq!(public("KEY=\nnpm error\r\n\nPassword:\nnpm error"), "KEY=\nnpm error\n\nPassword: ***\nnpm error");
    assert_eq!(public("a:\n  password: |\n    x\n    y\n  b: 1"), "a:\n  password: ***\n  b: 1");
    assert_eq!(public("a\u{7}b\u{202e}"), "a\\u{7}b\\u{202e}");
}

#[test]
fn the_time_grows_with_the_text_alone() {
    for piece in [
        "-----BEGIN ",
        "-----END ",
        "-----END PRIVATE KEY",
        "***-----END PRIVATE KEY-----",
        "key: ",
        "key: {",
        "key: [",
        "key: \"",
        "key | ",
        "|key|",
        "password a",
        "aB3/",
        "=>",
        "x=>'",
        "token:",
        "token: |\n ",
        "ENV ",
        "jdbc:oracle:",
        "@tcp(",
        "\u{1b}[",
        "mysql -p",
        "login -p",
        "--key\",\"",
        "discord.com/api/",
        "a.",
    ] {
        let [part, whole] = [50_000, 200_000].map(|length| time_for(&piece.repeat(length / piece.len())));
        // Four times the text takes four times as long, and sixteen times where each byte leads to a look at all others.
        assert!(whole < part * 8 + Duration::from_millis(200), "{piece}: {part:?}, {whole:?}");
    }
}

/// The processor time, which does not depend on what else runs.
fn time_for(text: &str) -> Duration {
    let now = || Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap();
    let start = now();
    assert!(public(text).len() <= text.len() * 2);
    now().saturating_sub(start)
}

proptest! {
    #[test]
    fn any_text_is_taken_and_has_no_more_lines_than_before(text: String) {
        prop_assert!(public(&text).matches('\n').count() <= text.matches('\n').count());
    }

    #[test]
    fn what_looks_like_a_log_is_taken_as_well(text in "([é |:=>'\"\\\\\\[{,./@-]|\n|\r|password|token: |KEY=|ENV |jdbc:oracle:|@tcp\\(|-----(BEGIN|END) PRIVATE KEY-----|mysql -p|\u{1b}\\[){0,40}") {
        let shown = public(&text);
        prop_assert!(shown.matches('\n').count() <= text.matches('\n').count());
        prop_assert!(!shown.contains(|c: char| c.is_control() && c != '\n'));
    }

    #[test]
    fn no_value_of_a_secret_is_shown(name in "(api|client|access|db)(Key|Secret|Token|Password|_key|-secret|_TOKEN)", between in "(: |:|=| = | => | := | -> )", quote in "['\"]?", value in "[a-z]{0,4}S3CR3T[a-z]{0,4}") {
        let shown = public(&format!("  {name}{between}{quote}{value}{quote}"));
        prop_assert!(!shown.contains("S3CR3T"), "{}", shown);
    }
}
