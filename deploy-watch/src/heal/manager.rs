//! The package manager of a project, in the version that the project pins: another one writes another lock file, or breaks the build.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;
use contract::child::{self, Ended, Finished};
use contract::path::shown;
use contract::redact;
use serde_json::Value;

/// Registries can be slow.
const PATIENCE: Duration = Duration::from_mins(10);
/// Node.js takes its time to start.
const ANSWER: Duration = Duration::from_secs(20);
const KEEP: usize = 64 << 10;
/// Only in lock files of yarn 2 and later.
const METADATA: &str = "__metadata:";
/// What no package manager is to know of.
const SECRETS: [&str; 5] = ["DIGITALOCEAN_ACCESS_TOKEN", "DIGITALOCEAN_TOKEN", "DIGITALOCEAN_API_TOKEN", "GITHUB_TOKEN", "GH_TOKEN"];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Npm,
    Pnpm,
    /// 1.x, which is frozen.
    Yarn,
    /// 2 and later.
    Berry,
}

/// A package manager and the lock file that it keeps.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Manager {
    kind: Kind,
    /// The version, or the range of versions, that is asked for.
    version: Option<String>,
    /// Whether the project says exactly which one is meant.
    is_pinned: bool,
    pub(crate) lock: &'static str,
    /// Of which version the lock file is.
    format: Option<String>,
}

impl Manager {
    /// Of the project in a folder.
    ///
    /// # Errors
    /// It has no lock file, more than one, or no `package.json` that can be read.
    pub(crate) fn of(folder: &Path) -> anyhow::Result<Self> {
        let locks = ["pnpm-lock.yaml", "package-lock.json", "npm-shrinkwrap.json", "yarn.lock"];
        let there: Vec<&'static str> = locks.into_iter().filter(|lock| folder.join(lock).is_file()).collect();
        let &[lock] = &there[..] else {
            let which = if there.is_empty() { "none that is known".to_owned() } else { there.join(" and ") };
            anyhow::bail!("the root of the project has {which}, where one lock file was expected");
        };
        let text = read(&folder.join(lock))?;
        let kind = Kind::of(lock, &text);
        let package = folder.join("package.json");
        let package: Value = serde_json::from_str(&read(&package)?).with_context(|| format!("cannot read {}", shown(&package)))?;
        let (format, pinned) = (format(kind, &text), pinned(kind, &package)?);
        let range = || package["engines"][kind.program()].as_str().map(str::to_owned);
        let (is_pinned, asked) = (pinned.is_some(), pinned.or_else(range).filter(|version| is_version(version)));
        let version = asked.or_else(|| implied(kind, format.as_deref()).map(str::to_owned));
        Ok(Self { kind, version, is_pinned, lock, format })
    }

    /// # Errors
    /// The lock file has become one that whoever reads the old one may not know; only where the project says for whom it is that may be.
    pub(crate) fn keeps_format(&self, folder: &Path) -> anyhow::Result<()> {
        let text = read(&folder.join(self.lock))?;
        let (kind, now) = (Kind::of(self.lock, &text), format(self.kind, &text));
        let (lock, name) = (self.lock, self.kind.program());
        anyhow::ensure!(
            kind == self.kind && (self.is_pinned || now == self.format),
            "{lock} would be one of another version of {name}; `packageManager` in package.json would say for which one it is"
        );
        Ok(())
    }

    /// Makes the lock file fit, and touches nothing else. Scripts of packages are not run.
    pub(crate) fn update(&self) -> Vec<String> {
        self.argv(match self.kind {
            Kind::Npm => &["install", "--package-lock-only", "--ignore-scripts", "--no-audit", "--no-fund"],
            Kind::Pnpm => &["install", "--lockfile-only", "--no-frozen-lockfile", "--ignore-scripts"],
            Kind::Yarn => &["install", "--ignore-scripts", "--non-interactive"],
            Kind::Berry => &["install", "--mode=update-lockfile"],
        })
    }

    /// What the platform does, and what failed there.
    pub(crate) fn frozen(&self) -> Vec<String> {
        self.argv(match self.kind {
            Kind::Npm => &["ci", "--ignore-scripts", "--no-audit", "--no-fund"],
            Kind::Pnpm => &["install", "--frozen-lockfile", "--ignore-scripts"],
            Kind::Yarn => &["install", "--frozen-lockfile", "--ignore-scripts", "--non-interactive"],
            Kind::Berry => &["install", "--immutable", "--mode=skip-build"],
        })
    }

    /// Through `npm exec`, unless the one on PATH has that version.
    fn argv(&self, words: &[&str]) -> Vec<String> {
        let program = self.kind.program();
        let package = if self.kind == Kind::Berry { "@yarnpkg/cli-dist" } else { program };
        let through = match self.version.as_ref().filter(|version| !is_on_path(program, version)) {
            Some(version) => {
                vec!["npm".to_owned(), "exec".to_owned(), "--yes".to_owned(), format!("--package={package}@{version}"), "--".to_owned()]
            }
            None => Vec::new(),
        };
        through.into_iter().chain([program.to_owned()]).chain(words.iter().map(|word| (*word).to_owned())).collect()
    }
}

impl Kind {
    fn of(lock: &str, text: &str) -> Self {
        match lock {
            "pnpm-lock.yaml" => Self::Pnpm,
            "yarn.lock" if text.contains(METADATA) => Self::Berry,
            "yarn.lock" => Self::Yarn,
            _ => Self::Npm,
        }
    }

    fn program(self) -> &'static str {
        match self {
            Self::Npm => "npm",
            Self::Pnpm => "pnpm",
            Self::Yarn | Self::Berry => "yarn",
        }
    }
}

/// Whether a program has a version, or, where only the first number of that is asked for, one of those.
fn is_on_path(program: &str, version: &str) -> bool {
    let mut command = Command::new(program);
    // In the project it would become the version that is pinned there.
    command.arg("--version").current_dir("/");
    let Ok(finished) = child::run(&mut command, ANSWER, KEEP) else { return false };
    let own = String::from_utf8_lossy(&finished.stdout).trim().to_owned();
    finished.ended.success() && (own == version || own.split('.').next() == Some(version))
}

/// Runs it in a folder.
///
/// # Errors
/// It cannot be started, or fails; with the last that it said.
pub(crate) fn run(argv: &[String], folder: &Path) -> anyhow::Result<()> {
    let (program, words) = argv.split_first().context("there is no command")?;
    let mut command = Command::new(program);
    command.args(words).current_dir(folder).env("CI", "true").env("DEPLOY_WATCH", "1").env("npm_config_update_notifier", "false");
    // What is fetched to be run is no dependency of the project, whose audit and funding nobody asked for.
    command.env("npm_config_audit", "false").env("npm_config_fund", "false");
    // Without it corepack asks a person.
    command.env("COREPACK_ENABLE_DOWNLOAD_PROMPT", "0").env("YARN_ENABLE_IMMUTABLE_INSTALLS", "false");
    for name in SECRETS {
        command.env_remove(name);
    }
    let finished = child::run(&mut command, PATIENCE, KEEP).with_context(|| format!("cannot start {program}"))?;
    match finished.ended {
        Ended::Exited(status) if status.success() => Ok(()),
        Ended::Exited(_) => anyhow::bail!("`{}` failed: {}", argv.join(" "), said(&finished)),
        Ended::TimedOut => anyhow::bail!("`{}` did not end within {} minutes", argv.join(" "), PATIENCE.as_secs() / 60),
        Ended::Interrupted => anyhow::bail!("interrupted"),
    }
}

/// The line that says what went wrong, as far as that shows.
fn said(finished: &Finished) -> String {
    let text = [&finished.stdout[..], &finished.stderr].map(String::from_utf8_lossy).concat();
    // Of yarn 2 and later the last one with a code does; YN0000 stands before all else, the news that something failed included.
    let is_coded = |line: &&str| line.contains("YN0") && !line.contains("YN0000");
    // npm ends with one that only says where its log is.
    let is_error = |line: &&str| ["ERR", "error", "Error"].iter().any(|word| line.contains(word)) && !line.contains("A complete log of");
    let line = text.lines().rfind(is_coded).or_else(|| text.lines().find(is_error));
    let line = line.or_else(|| text.lines().rfind(|line| !line.trim().is_empty()));
    redact::excerpt(line.unwrap_or("it said nothing"))
}

/// What `packageManager` names (Node.js, "Corepack").
fn pinned(kind: Kind, package: &Value) -> anyhow::Result<Option<String>> {
    let Some(manager) = package["packageManager"].as_str() else { return Ok(None) };
    let (named, version) = manager.split_once('@').with_context(|| format!("packageManager is `{manager}`, without a version"))?;
    // `9.1.0+sha512.…`
    let version = version.split('+').next().unwrap_or(version);
    let is_yarn_1 = version.split('.').next() == Some("1");
    let is_its_own = named == kind.program() && (named != "yarn" || is_yarn_1 == (kind == Kind::Yarn));
    anyhow::ensure!(is_its_own, "packageManager is `{}`, and the lock file is another one's", redact::excerpt(manager));
    anyhow::ensure!(is_version(version), "packageManager is `{}`, which names no version", redact::excerpt(manager));
    Ok(Some(version.to_owned()))
}

/// It becomes a part of an argument: nothing that leads to a folder, a URL, or another package.
fn is_version(version: &str) -> bool {
    !version.is_empty() && version.chars().all(|c| c.is_ascii_alphanumeric() || ".-^~<>=|* ".contains(c)) && !version.starts_with('-')
}

/// Of which version a lock file is, as it says itself: of the numbers in that the first.
fn format(kind: Kind, lock: &str) -> Option<String> {
    let key = match kind {
        Kind::Npm => "\"lockfileVersion\":",
        Kind::Pnpm => "lockfileVersion:",
        Kind::Yarn => return None,
        Kind::Berry => "version:",
    };
    let text = lock.split_once(METADATA).map_or(lock, |(_, text)| text);
    let version = text.lines().find_map(|line| line.trim().strip_prefix(key))?;
    version.trim().trim_matches(['\'', '"', ',']).split('.').next().map(str::to_owned)
}

/// What writes a lock file of this version.
fn implied(kind: Kind, format: Option<&str>) -> Option<&'static str> {
    Some(match (kind, format) {
        (Kind::Npm, Some("1")) => "6",
        (Kind::Npm, _) => return None,
        (Kind::Yarn, _) => "1",
        (Kind::Berry, Some("4")) => "~3.0",
        (Kind::Berry, Some("5")) => "~3.1",
        (Kind::Berry, Some("6")) => "3",
        (Kind::Berry, Some("8")) => ">=4.0.0 <4.14.0",
        (Kind::Berry, Some("9")) => "~4.14",
        (Kind::Berry, _) => "4",
        (Kind::Pnpm, Some("5")) => "7",
        (Kind::Pnpm, Some("6")) => "8",
        (Kind::Pnpm, _) => "9",
    })
}

fn read(path: &PathBuf) -> anyhow::Result<String> {
    let text = fs::read(path).and_then(|bytes| String::from_utf8(bytes).map_err(io::Error::other));
    text.with_context(|| format!("cannot read {}", shown(path)))
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a crash of a test harms nobody")]
mod tests {
    use super::*;

    fn of(files: &[(&str, &str)]) -> anyhow::Result<Manager> {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(folder.path().join(name), text).unwrap();
        }
        Manager::of(folder.path())
    }

    #[test]
    fn the_version_is_the_one_that_the_project_pins() {
        let argv = |lock: &str, text: &str, package: &str| of(&[(lock, text), ("package.json", package)]).unwrap().update().join(" ");
        let pinned = argv("pnpm-lock.yaml", "lockfileVersion: '9.0'\n", r#"{"packageManager":"pnpm@9.0.1+sha512.aa"}"#);
        assert!(pinned.starts_with("npm exec --yes --package=pnpm@9.0.1 -- pnpm install --lockfile-only"), "{pinned}");
        assert!(argv("pnpm-lock.yaml", "lockfileVersion: '5.4'\n", "{}").contains("pnpm@7 "));
        assert!(argv("package-lock.json", "{}", "{}").starts_with("npm install --package-lock-only --ignore-scripts"));
        assert!(argv("package-lock.json", "{}", r#"{"engines":{"npm":">=9 <11"}}"#).contains("--package=npm@>=9 <11 -- npm install"));
        assert!(
            argv("yarn.lock", "# yarn lockfile v1\n", r#"{"engines":{"yarn":"^1.0.9"}}"#).contains("--package=yarn@^1.0.9 -- yarn install")
        );
        assert!(
            argv("yarn.lock", "__metadata:\n  version: 8\n", "{}")
                .contains("@yarnpkg/cli-dist@>=4.0.0 <4.14.0 -- yarn install --mode=update-lockfile")
        );
        assert!(argv("package-lock.json", "{\n  \"lockfileVersion\": 1,\n", "{}").contains("--package=npm@6 "));
    }

    #[test]
    fn what_is_ambiguous_or_no_version_is_refused() {
        assert!(of(&[("package.json", "{}")]).is_err());
        assert!(of(&[("package.json", "{}"), ("yarn.lock", ""), ("package-lock.json", "{}")]).is_err());
        for (manager, lock) in [("npm@10", ""), ("yarn@4.9.0", ""), ("yarn@1.22.22", "__metadata:\n"), ("yarn@", ""), ("yarn@../1", "")] {
            let package = format!("{{\"packageManager\":\"{manager}\"}}");
            assert!(of(&[("package.json", &package), ("yarn.lock", lock)]).is_err(), "{manager}");
        }
        for version in ["https://example.org/x.tgz", "../x", "-g", "file:x"] {
            assert!(!is_version(version), "{version}");
        }
    }
}
