//! The command line.

use std::str::FromStr;
use std::time::Duration;

use anyhow::Context as _;
use clap::builder::FalseyValueParser;
use clap::{ArgGroup, Args, Parser, Subcommand};
use contract::{duration, output, state};

use crate::http;

const EXAMPLES: &str = "\
Examples:
  deploy-watch watch                           follow the deployment of HEAD to its end
  deploy-watch watch 9a4df0b --timeout 20m     that of another commit, for longer
  deploy-watch watch --heal --force            mend what is safely mended, and prove it
  deploy-watch watch -- ./on-fly               what a command of yours tells of
  deploy-watch install --force                 have each push to main followed
  deploy-watch push -- origin main             push, and follow what was pushed
  deploy-watch status                          0 succeeded, 1 failed, 2 goes on, 3 nobody watched
  deploy-watch watch | jq -r 'select(.type==\"deploy.result\").data.result'
  tail -f .deployment-status-*.log             what a watch in the background says";

const SWEEP: &str = "\
Examples:
  deploy-watch sweep --branch main             from cron: whoever pushed, and from wherever
  deploy-watch sweep --branch main --heal --force

Exit status: that of watch; 0 where the head was judged already, or is being watched.";

const WATCH: &str = "\
Examples:
  deploy-watch watch                           the commit that is checked out
  deploy-watch watch --app shop                in the app of that name or id
  deploy-watch watch --heal                    say what would help, too
  deploy-watch watch --heal --force            do it, and follow what comes of it
  deploy-watch watch --heal --github --force   and keep a status, a comment and an issue on GitHub
  deploy-watch watch --rollback-on-failure --force
  deploy-watch watch -- scripts/adapters/kubectl-rollout deployment/web

Exit status: 0 it is live, or was replaced without blame; 1 it failed, or never ended; 2 trouble; 75 another watch of that commit goes on.";

const PUSH: &str = "\
Examples:
  deploy-watch push                            git push
  deploy-watch push -- origin HEAD:main
  deploy-watch push --branch production -- --force-with-lease origin production
  deploy-watch push --heal --force -- origin main

What stands before `--` is about its deployment; of the remote that got something, whichever is named there.
Exit status: that of git push where it fails; 0 where nothing new is on the branch; else as of deploy-watch watch.";

const INSTALL: &str = "\
Examples:
  deploy-watch install                         say what would be done, and where
  deploy-watch install --force                 do it: in git's settings, for husky, or in .git/hooks
  deploy-watch install --force --branch live   have the pushes to another branch followed";

const HOOK: &str = "\
Examples:
  deploy-watch hook pre-push \"$@\" || :        in a hook, whose lines it reads on stdin

Exit status: 0, always: any other would keep git from pushing.";

/// Follows the deployment of a commit to its end, and says why it failed.
#[derive(Parser)]
#[command(version, after_help = EXAMPLES)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
    #[command(flatten)]
    pub(crate) state: state::Options,
    #[command(flatten)]
    pub(crate) output: output::Options,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Follow the deployment of one commit
    #[command(after_help = WATCH)]
    Watch(Box<Watch>),
    /// Say how the deployment of a commit went, from what its watch left
    #[command(after_help = "Examples:\n  deploy-watch status\n  deploy-watch status 9a4df0b; echo $?")]
    Status(Which),
    /// End the watch of a commit, and all that it started
    #[command(after_help = "Examples:\n  deploy-watch stop\n  deploy-watch stop 9a4df0b")]
    Stop(Which),
    /// Print what the watch of a commit said
    #[command(after_help = "Examples:\n  deploy-watch logs\n  deploy-watch logs 9a4df0b | less")]
    Logs(Which),
    /// Follow the deployment of the head of the branch, as it is on the remote, if nobody has
    #[command(after_help = SWEEP)]
    Sweep(Box<Sweep>),
    /// Push, and follow the deployment of what was pushed
    #[command(after_help = PUSH)]
    Push(Box<Push>),
    /// Have the deployment of each push followed
    #[command(after_help = INSTALL)]
    Install(Install),
    /// Take out what install has put in, and nothing else
    #[command(after_help = "Examples:\n  deploy-watch uninstall\n  deploy-watch uninstall --force")]
    Uninstall(Act),
    /// What git calls
    #[command(subcommand, after_help = HOOK)]
    Hook(Hook),
}

#[derive(Subcommand)]
pub(crate) enum Hook {
    /// Note what is about to be pushed, and leave somebody behind who looks whether it was
    #[command(after_help = HOOK)]
    PrePush(PrePush),
    /// Wait for the end of a push
    #[command(hide = true)]
    Wait,
}

#[derive(Args)]
pub(crate) struct PrePush {
    /// The remote, as git names it
    pub(crate) remote: String,
    /// Where it is
    pub(crate) url: String,
    /// The branch whose deployment is followed
    #[arg(long, value_name = "NAME", env = "MENDLINE_DEPLOY_BRANCH", default_value = "main")]
    pub(crate) branch: String,
    /// Ask the remote for so long after a push whose end git did not note
    #[arg(long, value_name = "DURATION", env = "MENDLINE_DEPLOY_PATIENCE", default_value = "30s", value_parser = duration::limit)]
    pub(crate) patience: Duration,
}

#[derive(Args)]
pub(crate) struct Push {
    #[command(flatten)]
    pub(crate) follow: Follow,
    /// What git push is told
    #[arg(last = true, value_name = "ARGUMENT")]
    pub(crate) words: Vec<String>,
}

#[derive(Args)]
pub(crate) struct Install {
    /// The branch whose deployment is followed, unless the environment of a push names another [default: main]
    #[arg(long, value_name = "NAME")]
    pub(crate) branch: Option<String>,
    #[command(flatten)]
    pub(crate) act: Act,
}

#[derive(Args)]
pub(crate) struct Act {
    /// Do it; without this it is only said what would be done
    #[arg(long)]
    pub(crate) force: bool,
    /// Only say what would be done: the default
    #[arg(long, conflicts_with = "force")]
    pub(crate) dry_run: bool,
}

/// Of which commit.
#[derive(Args)]
pub(crate) struct Which {
    /// The commit
    #[arg(default_value = "HEAD")]
    pub(crate) commit: String,
}

#[derive(Args)]
pub(crate) struct Watch {
    /// The commit
    #[arg(default_value = "HEAD")]
    pub(crate) commit: String,
    /// Go on where a watch of this commit was killed, without doing again what it did
    #[arg(long)]
    pub(crate) resume: bool,
    #[command(flatten)]
    pub(crate) follow: Follow,
    #[command(flatten)]
    pub(crate) teller: Teller,
}

#[derive(Args)]
pub(crate) struct Sweep {
    #[command(flatten)]
    pub(crate) follow: Follow,
    #[command(flatten)]
    pub(crate) teller: Teller,
}

/// Which deployment is followed, and how.
#[derive(Args)]
#[command(group = ArgGroup::new("what").multiple(true))]
pub(crate) struct Follow {
    /// The branch that it was pushed to [default: the one that is checked out; of push, main]
    #[arg(long, value_name = "NAME", env = "MENDLINE_DEPLOY_BRANCH")]
    pub(crate) branch: Option<String>,
    /// The remote that it was pushed to
    #[arg(long, value_name = "NAME", env = "MENDLINE_DEPLOY_REMOTE", default_value = "origin")]
    pub(crate) remote: String,
    /// The app, by id or name [default: the one that deploys this branch of the remote]
    #[arg(long, value_name = "APP", env = "MENDLINE_DEPLOY_APP")]
    pub(crate) app: Option<String>,
    /// Give up after so long
    #[arg(long, value_name = "DURATION", env = "MENDLINE_DEPLOY_TIMEOUT", default_value = "10m", value_parser = duration::limit)]
    pub(crate) timeout: Duration,
    /// Take a deployment that has not begun after so long for one that never does
    #[arg(long, value_name = "DURATION", env = "MENDLINE_DEPLOY_START_TIMEOUT", default_value = "2m", value_parser = duration::limit)]
    pub(crate) start_timeout: Duration,
    /// Look again after so long
    #[arg(long, value_name = "DURATION", env = "MENDLINE_DEPLOY_INTERVAL", default_value = "10s", value_parser = duration::limit)]
    pub(crate) interval: Duration,
    /// Where the API of DigitalOcean is
    #[arg(long, value_name = "URL", env = "MENDLINE_DIGITALOCEAN_URL", default_value = "https://api.digitalocean.com", value_parser = http::base)]
    pub(crate) digitalocean_url: String,
    #[command(flatten)]
    pub(crate) heal: Heal,
    /// Where nothing else helps, have the platform go back to what is live; it deploys nothing then until somebody ends that
    #[arg(long, group = "what")]
    pub(crate) rollback_on_failure: bool,
    #[command(flatten)]
    pub(crate) github: GitHub,
}

/// Who tells of deployments.
#[derive(Args, Default)]
pub(crate) struct Teller {
    /// Instead of DigitalOcean: a command that writes a line of JSON for each change
    #[arg(last = true, value_name = "COMMAND", conflicts_with_all = ["app", "rollback_on_failure"])]
    pub(crate) command: Vec<String>,
}

/// What may be done about a failure.
#[derive(Args)]
pub(crate) struct Heal {
    /// Say what would help a failed deployment; with --force, do it, and follow the next one
    #[arg(long = "heal", group = "what")]
    pub(crate) heals: bool,
    /// Act: push a fix of the lock file, have it deployed again, go back, or tell GitHub
    #[arg(long, visible_alias = "yes", requires = "what", conflicts_with = "dry_run")]
    pub(crate) force: bool,
    /// Only say what would be done, which is the default
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// So many deployments at most, the first one included
    #[arg(long, value_name = "N", env = "MENDLINE_DEPLOY_ATTEMPTS", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=5))]
    pub(crate) max_attempts: u32,
    /// Who commits a fix, as `NAME <ADDRESS>` [default: who git says]
    #[arg(long, value_name = "WHO", env = "MENDLINE_DEPLOY_COMMITTER")]
    pub(crate) committer: Option<Committer>,
}

/// `NAME <ADDRESS>`.
#[derive(Clone, Debug)]
pub(crate) struct Committer {
    name: String,
    address: String,
}

impl FromStr for Committer {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let (name, address) = text.strip_suffix('>').and_then(|who| who.split_once(" <")).context("a committer is `NAME <ADDRESS>`")?;
        Ok(Self { name: name.to_owned(), address: address.to_owned() })
    }
}

impl Committer {
    /// As git has it in its settings, of the `user`, the `author` or the `committer`.
    pub(crate) fn settings(&self, of: &str) -> [String; 2] {
        [format!("{of}.name={}", self.name), format!("{of}.email={}", self.address)]
    }
}

/// Who else is told.
#[derive(Args)]
pub(crate) struct GitHub {
    /// Tell GitHub: a status of the commit, a comment on one that failed, and an issue where nothing helped
    #[arg(long = "github", group = "what", env = "MENDLINE_DEPLOY_GITHUB", value_parser = FalseyValueParser::new())]
    pub(crate) is_told: bool,
    /// The repository there [default: that of the remote; in a workflow of GitHub Actions, that of the workflow]
    #[arg(long = "github-repository", value_name = "OWNER/NAME")]
    pub(crate) repository: Option<String>,
    /// By what statuses of commits are told from others; two apps of one repository need two
    #[arg(long = "github-context", value_name = "NAME", env = "MENDLINE_DEPLOY_CONTEXT", default_value = "deploy-watch")]
    pub(crate) context: String,
    /// Where the API of GitHub is
    #[arg(long = "github-url", value_name = "URL", env = "GITHUB_API_URL", default_value = "https://api.github.com", value_parser = http::base)]
    pub(crate) url: String,
}
