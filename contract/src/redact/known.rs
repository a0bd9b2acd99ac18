//! Secrets that are known by how they look.

use super::GONE;

/// Beginnings of credentials that say themselves what they are.
const CREDENTIALS: &[&str] = &[
    // GitHub, GitLab
    "ghp_",
    "gho_",
    "ghs_",
    "ghu_",
    "ghr_",
    "github_pat_",
    "glpat-",
    "glptt-",
    "gldt-",
    "glrt-",
    "glrtr-",
    "glcbt-",
    "glft-",
    "glffct-",
    "glimt-",
    "glagent-",
    "gloas-",
    "glsoat-",
    "GR1348941",
    // Slack
    "xoxb-",
    "xoxp-",
    "xoxa-",
    "xoxc-",
    "xoxd-",
    "xoxe-",
    "xoxe.",
    "xoxo-",
    "xoxr-",
    "xoxs-",
    "xapp-",
    "xwfp-",
    // OpenAI, Anthropic and their kind; Hugging Face
    "sk-",
    "hf_",
    "api_org_",
    "gsk_",
    "r8_",
    "xai-",
    "pplx-",
    "pcsk_",
    "lsv2_",
    // Stripe, Square, Shippo
    "sk_live_",
    "sk_test_",
    "sk_prod_",
    "rk_live_",
    "rk_test_",
    "rk_prod_",
    "whsec_",
    "sq0atp-",
    "sq0csp-",
    "shippo_live_",
    "shippo_test_",
    // Amazon, Google, Alibaba
    "AKIA",
    "ASIA",
    "ABIA",
    "ACCA",
    "ABSK",
    "AIza",
    "ya29.",
    "GOCSPX-",
    "LTAI",
    // Registries
    "npm_",
    "pypi-",
    "rubygems_",
    "dckr_pat_",
    "dckr_oat_",
    "AKCp",
    "CLOJARS_",
    // Platforms
    "dop_v1_",
    "doo_v1_",
    "dor_v1_",
    "HRKU-",
    "fo1_",
    "fm1_",
    "fm2_",
    "FlyV1",
    "nfp_",
    "rnd_",
    "sbp_",
    "sb_secret_",
    "pscale_",
    "dapi",
    "tskey-",
    "pul-",
    "CCIPAT_",
    "bkua_",
    // Safes
    "hvs.",
    "hvb.",
    "hvr.",
    "dp.pt.",
    "dp.st.",
    "dp.ct.",
    "dp.sa.",
    "dp.scim.",
    "dp.audit.",
    "ops_eyJ",
    "AGE-SECRET-KEY-",
    // Others
    "eyJ",
    "ATATT3",
    "ATCTT3",
    "ATBB",
    "SG.",
    "xkeysib-",
    "shpat_",
    "shpca_",
    "shppa_",
    "shpss_",
    "lin_api_",
    "lin_oauth_",
    "ntn_",
    "figd_",
    "PMAK-",
    "NRAK-",
    "glc_",
    "glsa_",
    "sntryu_",
    "sntrys_",
    "sgp_",
    "phx_",
    "dt0c01.",
];

/// A word that begins so and is shorter, in bytes, is none.
const SHORTEST: usize = 20;

/// What stands inside the tokens of HCP Terraform.
const TERRAFORM: &str = ".atlasv1.";

/// Beginnings of addresses that whoever knows the rest of may post to.
const WEBHOOKS: [&str; 6] =
    ["hooks.slack.com/", "discord.com/api/", "discordapp.com/api/", "api.telegram.org/bot", "hooks.zapier.com/", ".webhook.office.com/"];

/// Replaces words that are credentials by how they begin, and those behind the names of the schemes of RFC 7235.
pub(super) fn credentials(text: &str) -> String {
    let is_part = |c: char| c.is_ascii_alphanumeric() || "_-./+=~".contains(c);
    let (mut safe, mut rest, mut is_due) = (String::with_capacity(text.len()), text, false);
    while !rest.is_empty() {
        let gap = rest.find(is_part).unwrap_or(rest.len());
        safe.push_str(&rest[..gap]);
        rest = &rest[gap..];
        let (word, behind) = rest.split_at(rest.find(|c| !is_part(c)).unwrap_or(rest.len()));
        let (name, value) = word.split_at(word.find('=').map_or(0, |at| at + 1));
        match beginning(value) {
            Some(begin) => safe.extend([name, begin, GONE]),
            None if is_due && word.len() >= 8 || word.contains(TERRAFORM) => safe.push_str(GONE),
            None => safe.push_str(word),
        }
        is_due = ["bearer", "basic"].contains(&&*word.to_ascii_lowercase());
        rest = behind;
    }
    safe
}

fn beginning(word: &str) -> Option<&'static str> {
    CREDENTIALS.iter().find(|begin| word.starts_with(**begin) && word.len() >= SHORTEST).copied()
}

/// Replaces the rest of an address of a webhook.
pub(super) fn webhooks(text: &str) -> String {
    WEBHOOKS.iter().fold(text.to_owned(), |text, begin| {
        let mut parts = text.split(begin);
        let first = parts.next().unwrap_or_default().to_owned();
        parts.fold(first, |safe, part| safe + begin + GONE + &part[address_end(part)..])
    })
}

/// Replaces user name and password of the addresses of databases that have no `://`: `jdbc:oracle:thin:scott/tiger@host`, and the `user:password@tcp(host)` of Go.
pub(super) fn connections(text: &str) -> String {
    const ORACLE: &str = "jdbc:oracle:";
    let mut parts = text.split(ORACLE);
    let first = parts.next().unwrap_or_default().to_owned();
    let safe = parts.fold(first, |safe, part| {
        let driver = part.find(':').map_or(0, |at| at + 1).min(address_end(part));
        let user = part[driver..address_end(part)].rfind('@').filter(|at| *at > 0);
        safe + ORACLE + &part[..driver] + user.map_or("", |_| GONE) + &part[driver + user.unwrap_or(0)..]
    });
    ["@tcp(", "@unix("].iter().fold(safe, |text, host| {
        let parts: Vec<&str> = text.split(host).collect();
        let (last, others) = parts.split_last().unwrap_or((&"", &[]));
        others.iter().map(|part| without_user(part) + host).collect::<String>() + last
    })
}

fn without_user(part: &str) -> String {
    let start = part
        .rfind(|c: char| c.is_whitespace() || "\"'`=".contains(c))
        .map_or(0, |at| at + part[at..].chars().next().map_or(0, char::len_utf8));
    part[..start].to_owned() + GONE
}

fn address_end(text: &str) -> usize {
    text.find(|c: char| c.is_whitespace() || "\"'`<>".contains(c)).unwrap_or(text.len())
}
