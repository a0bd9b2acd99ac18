//! Texts without secrets. Where it is in doubt what is one, too much goes rather than too little.

mod arguments;
mod known;
mod public;

use std::borrow::Cow;

use self::arguments::arguments;
use self::known::{connections, credentials, webhooks};
pub use self::public::public;
use crate::path::plain;

/// What stands in place of a secret.
pub const GONE: &str = "***";

/// The longest text from outside that goes into a record, in characters.
const LONGEST: usize = 1000;

/// Parts of names that are given to secrets.
const SECRET: [&str; 9] = ["pass", "secret", "token", "key", "auth", "cred", "pwd", "signature", "cookie"];

/// Whole names of secrets where a colon follows, as it does behind many a word of a message.
const SURE: [&str; 8] = ["password", "passwd", "passphrase", "secret", "authorization", "cookie", "set-cookie", "pwd"];

/// Keys of a fragment that installers read.
const FRAGMENT: [&str; 8] = ["egg", "subdirectory", "sha1", "sha224", "sha256", "sha384", "sha512", "md5"];

/// As much of a text from outside as a person reads, without secrets and without what could move a cursor.
#[must_use]
pub fn excerpt(text: &str) -> String {
    secrets(&plain(text)).chars().take(LONGEST).collect()
}

/// The same of a line that may be anything, such as a line of a file of settings: no value of an assignment is shown.
#[must_use]
pub fn quoted(line: &str) -> String {
    excerpt(&assignments(&private_keys(line), |_name| true))
}

/// Takes out of a text: user name and password of every URL, and the values in its query; the value of whatever has the name of a secret;
/// credentials that are known by how they begin, addresses of webhooks, private keys, whatever follows `Bearer` or `Basic`, and what a command line gives to an option that is named
/// for a secret.
#[must_use]
pub fn secrets(text: &str) -> String {
    let is_secret = |name: &str| SECRET.iter().any(|part| name.to_ascii_lowercase().contains(part));
    let safe = connections(&webhooks(&addresses(&private_keys(text))));
    sealed(&arguments(&credentials(&fields(&assignments(&safe, is_secret)))))
}

/// Replaces what App Platform has encrypted (`EV[1:…:…]`, "How to Use Environment Variables in App Platform").
fn sealed(text: &str) -> String {
    const BEGIN: &str = "EV[";
    let mut parts = text.split(BEGIN);
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |safe, part| {
        let end = part.find(']').filter(|end| part[..*end].contains(':'));
        safe + BEGIN + end.map_or("", |_| GONE) + &part[end.unwrap_or(0)..]
    })
}

/// Replaces what stands between the first and the last line of a private key, which may be one line; of one that does not end, all the rest.
fn private_keys(text: &str) -> Cow<'_, str> {
    const BEGIN: &str = "-----BEGIN ";
    if !text.contains(BEGIN) {
        return Cow::Borrowed(text);
    }
    let (mut safe, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(at) = rest.find(BEGIN) {
        let (before, label) = rest.split_at(at + BEGIN.len());
        safe.push_str(before);
        let end = label.find("-----").map_or(label.len(), |end| end + 5);
        safe.push_str(&label[..end]);
        rest = &label[end..];
        if label[..end].contains("PRIVATE KEY") {
            safe.push_str(GONE);
            rest = rest.find("-----END ").map_or("", |end| &rest[end..]);
        }
    }
    safe.push_str(rest);
    Cow::Owned(safe)
}

/// Replaces the values of `"name": "value"` and `NAME: value`, where the name is surely one of a secret.
fn fields(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(':') {
        let (before, after) = (&rest[..at], &rest[at + 1..]);
        safe.push_str(&rest[..=at]);
        rest = after;
        let escaped = before.trim_end().trim_end_matches('\\');
        let is_quoted = escaped.ends_with(['"', '\'']) || before.ends_with("\\\"");
        let name = before.trim_end_matches(['"', '\'', '\\', ' ']);
        let name = name.rsplit(|c: char| !c.is_ascii_alphanumeric() && !"_-".contains(c)).next().unwrap_or_default().to_ascii_lowercase();
        let is_compound = name.contains(['_', '-']) || is_quoted;
        let is_secret = SURE.contains(&&*name) || is_compound && SECRET.iter().any(|part| name.contains(part));
        let value = after.trim_start();
        let gap = &after[..after.len() - value.len()];
        // Only JSON is so long that a value has a line of its own; behind a prompt the next line is another's.
        let is_elsewhere = gap.contains('\n') && !is_quoted;
        if !is_secret || value.is_empty() || after.starts_with([':', '=']) || is_elsewhere || is_complaint(value) {
            continue;
        }
        safe.push_str(gap);
        safe.push_str(GONE);
        rest = &value[value_end(value, name.contains("auth") || name.contains("cookie"))..];
    }
    safe.push_str(rest);
    safe
}

/// What checks of settings say instead of a value: `API_KEY: [ 'Required' ]`.
fn is_complaint(value: &str) -> bool {
    let said = value.strip_prefix('[').map(|rest| rest.trim_start_matches([' ', '"', '\'']));
    said.is_some_and(|said| said.starts_with("Required") || said.starts_with("required"))
}

/// Where a value ends: at its closing quote, or at a blank, a comma or a bracket; a header's at the end of the line.
fn value_end(value: &str, is_header: bool) -> usize {
    let opening = value.trim_start_matches('\\');
    match opening.chars().next().filter(|c| matches!(c, '"' | '\'')) {
        Some(quote) => {
            let start = value.len() - opening.len() + 1;
            let is_escaped = start > 1;
            closing(&value[start..], quote, is_escaped).map_or(value.len(), |end| start + end + 1)
        }
        None if value.starts_with('[') => {
            value.find([']', '\n']).map_or(value.len(), |end| end + usize::from(value[end..].starts_with(']')))
        }
        None if is_header => value.find(['"', '\'', '\n']).unwrap_or(value.len()),
        None => value.find(|c: char| c.is_whitespace() || ",}])".contains(c)).unwrap_or(value.len()),
    }
}

/// Where the closing quote is; where the opening one has no backslash before it, one that has is part of the value.
fn closing(value: &str, quote: char, is_escaped: bool) -> Option<usize> {
    let mut is_taken = false;
    value.char_indices().find_map(|(at, c)| {
        let is_end = c == quote && !is_taken;
        is_taken = c == '\\' && !is_taken && !is_escaped;
        is_end.then_some(at)
    })
}

fn addresses(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        safe.push_str(before);
        let (address, behind) = after.split_at(after.find(|c: char| c.is_whitespace() || "\"<>".contains(c)).unwrap_or(after.len()));
        let scheme = before.trim_end_matches("://").rsplit(|c: char| !c.is_ascii_alphanumeric() && c != '+').next().unwrap_or_default();
        safe.push_str(&without_secrets(address, scheme.contains('+')));
        rest = behind;
    }
    safe.push_str(rest);
    safe
}

/// What stands behind the `://`; that of a repository may end in `@` and what is checked out.
fn without_secrets(address: &str, of_repository: bool) -> String {
    let cut = user_info(address, of_repository);
    let (user, rest) = cut.map_or(("", address), |at| (GONE, &address[at..]));
    let (rest, fragment) = rest.split_once('#').map_or((rest, None), |(rest, fragment)| (rest, Some(fragment)));
    let (path, query) = rest.split_once('?').map_or((rest, None), |(path, query)| (path, Some(query)));
    let query = query.map(|query| format!("?{}", pairs(query, |_key, value| value.is_empty().then_some(value))));
    let is_known = |key: &str| key.is_empty() || FRAGMENT.contains(&key);
    let fragment = fragment.map(|fragment| format!("#{}", pairs(fragment, |key, value| is_known(key).then_some(value))));
    format!("{user}{path}{}{}", query.unwrap_or_default(), fragment.unwrap_or_default())
}

/// Keeps the keys of `a=1&b=2`, and of the values those that `kept` returns. What has no key is a value of its own.
fn pairs<'a>(text: &'a str, kept: impl Fn(&str, &'a str) -> Option<&'a str>) -> String {
    let one = |part: &'a str| match part.split_once('=') {
        Some((key, value)) => format!("{key}={}", kept(key, value).unwrap_or(GONE)),
        None => kept("", part).unwrap_or(GONE).to_owned(),
    };
    text.split('&').map(one).collect::<Vec<_>>().join("&")
}

/// Where user name and password end: a password may hold an `@`, a `/`, a `?` or a `#` of its own.
fn user_info(address: &str, of_repository: bool) -> Option<usize> {
    let (mut cut, mut from) = (None, 0);
    for (at, _) in address.match_indices('@') {
        let (before, behind) = (&address[from..at], &address[at + 1..]);
        let host = before.split(['/', '?', '#']).next().unwrap_or_default();
        let leads_on = behind.contains('/') || !of_repository && behind.contains(['.', ':']);
        if host.len() == before.len() || !is_host(host) || leads_on {
            (cut, from) = (Some(at), at + 1);
        }
    }
    cut
}

/// `host`, `host:8080`, `[::1]`.
fn is_host(text: &str) -> bool {
    let (name, port) = text.rsplit_once(':').filter(|_| !text.ends_with(']')).unwrap_or((text, ""));
    let is_name = |c: char| c.is_ascii_alphanumeric() || "-._[]:".contains(c);
    !name.is_empty()
        && name.chars().all(is_name)
        && (name.starts_with('[') || !name.contains(':'))
        && port.bytes().all(|b| b.is_ascii_digit())
}

/// Replaces the values of `NAME=VALUE`, `NAME := VALUE` and `NAME => VALUE`, also with blanks around, where the name is one of a secret.
fn assignments(text: &str, is_secret: impl Fn(&str) -> bool) -> String {
    let mut safe = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('=') {
        let (before, after) = rest.split_at(at);
        let (operator, after) = after.split_at(if after.starts_with("=>") { 2 } else { 1 });
        let is_arrow = operator == "=>";
        let named = before.trim_end().trim_end_matches([':', '?', '+', '"', '\'']).trim_end();
        let name = named.rsplit(|c: char| !c.is_alphanumeric() && !"_.-".contains(c)).next().unwrap_or_default();
        let is_comparison = before.ends_with(['<', '>', '=', '!', '~']) || after.starts_with('=');
        let value = after.trim_start_matches([' ', '\t']);
        let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''));
        // `key => key.id` is a function.
        let is_value = !is_arrow || quote.is_some() || name.contains('_');
        safe.extend([before, operator]);
        rest = after;
        if !is_comparison && is_value && !name.is_empty() && is_secret(name) {
            let end = match quote {
                Some(quote) => closing(&value[1..], quote, false).map_or(value.len(), |end| end + 2),
                None => value.find(|c: char| c.is_whitespace() || c == '&').unwrap_or(value.len()),
            };
            safe.push_str(if is_arrow { &after[..after.len() - value.len()] } else { "" });
            safe.push_str(if end == 0 { "" } else { GONE });
            rest = &value[end..];
        }
    }
    safe.push_str(rest);
    safe
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use std::time::Duration;

    use rustix::time::{ClockId, clock_gettime};

    use super::*;

    #[test]
    fn a_password_is_never_shown() {
        for (text, expected) in [
            ("-i https://me:s3@cret@host/simple x", "-i https://***@host/simple x"),
            ("git+ssh://git@host/a b://c:d@e", "git+ssh://***@host/a b://***@e"),
            ("https://host/a@b", "https://host/a@b"),
            ("value: EV[1:c29tZQ:c2VjcmV0] of EV[0]", "value: EV[***] of EV[0]"),
            ("a @ git+https://h/r.git@v1.0#subdirectory=py", "a @ git+https://h/r.git@v1.0#subdirectory=py"),
            ("https://user:pa/S3CR3T@127.0.0.1:9/x.whl", "https://***@127.0.0.1:9/x.whl"),
            ("https://user:pa?S3CR3T@host/x.whl", "https://***@host/x.whl"),
            ("https://user:pa#S3CR3T@host/x.whl", "https://***@host/x.whl"),
            ("https://user:12/S3CR3T@host/x.whl", "https://***@host/x.whl"),
            ("https://user:p@s/S3CR3T@host/x", "https://***@host/x"),
            ("https://S3/CR3T@host.example", "https://***@host.example"),
            ("git+https://S3/CR3T@host/r@v1", "git+https://***@host/r@v1"),
            ("https://[::1]:8080/a@b", "https://[::1]:8080/a@b"),
            ("error: --password hunter4 rejected", "error: --password *** rejected"),
            ("mysql -u root -phunter2 failed", "mysql -u root -p*** failed"),
            ("curl -u bob:hunter3 failed", "curl -u bob:*** failed"),
            ("password is hunter5 for bob", "password is *** for bob"),
            ("error:\t--password\thunter4\nrejected", "error:\t--password\t***\nrejected"),
            ("cp -u a -p b", "cp -u a -p b"),
            ("SECRET_KEY 'two S3CR3T words' is", "SECRET_KEY *** is"),
            ("using (db_password \\\"two S3CR3T words\\\")", "using (db_password ***)"),
            ("passphrase is \"two S3CR3T words\" for", "passphrase is *** for"),
            ("--password 'two S3CR3T words' and -u \"me:two S3CR3T words\" x", "--password *** and -u \"me:*** x"),
            ("mysql -p'two S3CR3T words' x", "mysql -p*** x"),
            ("password is \"S3CR3T that does not end", "password is ***"),
        ] {
            assert_eq!(secrets(text), expected);
        }
    }

    #[test]
    fn a_query_keeps_its_keys_and_a_fragment_what_installers_read() {
        let text = "https://h/x.whl?X-Amz-Signature=S3CR3T&expires=9#sha256=ab&access_token=S3CR3T failed";
        assert_eq!(secrets(text), "https://h/x.whl?X-Amz-Signature=***&expires=***#sha256=ab&access_token=*** failed");
        assert_eq!(secrets("https://h/x?S3CR3T"), "https://h/x?***");
    }

    #[test]
    fn what_has_the_name_of_a_secret_loses_its_value() {
        let text = "TOKEN=S3CR3T db_password = \"S3 CR3T\" x==1.0 --hash=sha256:ab python=3";
        assert_eq!(secrets(text), "TOKEN=*** db_password =*** x==1.0 --hash=sha256:ab python=3");
        assert_eq!(quoted("DSN=S3CR3T x y"), "DSN=*** x y");
        assert_eq!(quoted("pytz>dev"), "pytz>dev");
    }

    #[test]
    fn a_sentence_about_a_secret_stays_readable() {
        for text in [
            "the password is required, and the passphrase is not set.",
            "KeyError: 'SECRET_KEY'",
            "API_KEY is deprecated",
            "duplicate key value violates unique constraint \"users_pkey\"",
            "column \"auth_token\" of relation \"users\" does not exist",
            "Load key \"/home/me/id\": invalid format",
            "Unexpected token 'x', \"x\" is not valid JSON",
        ] {
            assert_eq!(secrets(text), text);
        }
    }

    #[test]
    fn of_a_private_key_its_lines_of_beginning_and_end_are_left() {
        let gone = "x -----BEGIN PRIVATE KEY-----***-----END PRIVATE KEY----- y";
        for between in ["MIIES3CR3T+/=", "\\nMIIE\\nS3CR3T=\\n", "\nMIIES3CR3T\n", " MIIE S3CR3T "] {
            let text = format!("x -----BEGIN PRIVATE KEY-----{between}-----END PRIVATE KEY----- y");
            assert_eq!(secrets(&text), gone);
            assert!(!quoted(&format!("KEY={text}")).contains("S3CR3T"), "{text}");
        }
        assert_eq!(secrets("-----BEGIN RSA PRIVATE KEY-----MIIES3CR3T"), "-----BEGIN RSA PRIVATE KEY-----***");
        let public = "-----BEGIN CERTIFICATE-----MIIE-----END CERTIFICATE-----";
        assert_eq!(secrets(public), public);
    }

    #[test]
    fn the_time_grows_with_the_text_alone() {
        for piece in
            ["-----BEGIN ", "-----BEGIN PRIVATE KEY-----", "password is \"", "SECRET_KEY ' ", "--token '\\", "is is ", "a:\"", "a_key '"]
        {
            let [part, whole] = [50_000, 200_000].map(|length| time_for(&piece.repeat(length / piece.len())));
            // Four times the text takes four times as long, and sixteen times where each byte leads to a look at all others.
            assert!(whole < part * 8 + Duration::from_millis(200), "{piece}: {part:?}, {whole:?}");
        }
    }

    /// The processor time, which does not depend on what else runs.
    fn time_for(text: &str) -> Duration {
        let now = || Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap();
        let start = now();
        assert!(!secrets(text).is_empty());
        now().saturating_sub(start)
    }

    #[test]
    fn an_excerpt_is_one_short_line() {
        assert_eq!(excerpt("a\nhttps://me:s3cret@host/"), "a\\nhttps://***@host/");
        assert_eq!(excerpt(&"é".repeat(5000)).chars().count(), LONGEST);
    }

    #[test]
    fn a_secret_is_known_by_its_name_its_scheme_or_its_beginning() {
        for (text, expected) in [
            ("{\"password\": \"S3CR3T\", \"user\": \"me\"}", "{\"password\": ***, \"user\": \"me\"}"),
            ("{\\\"api_key\\\":\\\"S3CR3T\\\"}", "{\\\"api_key\\\":***}"),
            ("db-password: S3CR3T, next", "db-password: ***, next"),
            ("Authorization: Bearer S3CR3TS3CR3T", "Authorization: ***"),
            ("with Bearer S3CR3TS3CR3T and more", "with Bearer *** and more"),
            ("npm_0123456789abcdefS3CR3T in", "npm_*** in"),
            ("SyntaxError: Unexpected token: name", "SyntaxError: Unexpected token: name"),
            ("sk-learn is not scikit-learn", "sk-learn is not scikit-learn"),
        ] {
            assert_eq!(secrets(text), expected);
        }
    }

    proptest! {
        #[test]
        fn any_text_is_taken(text: String) {
            let _ = secrets(&text);
            let _ = quoted(&text);
        }

        #[test]
        fn no_password_is_shown_whatever_is_in_it(user in "[a-z]{1,8}", password in "[a-z/?#@:.]{0,6}S3CR3T[a-z/?#@:.]{0,6}") {
            let shown = secrets(&format!("https://{user}:{password}@host.example/simple"));
            prop_assert!(!shown.contains("S3CR3T"), "{}", shown);
        }
    }
}
