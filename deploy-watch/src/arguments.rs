//! The command line.

use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use contract::{duration, output, state};

const EXAMPLES: &str = "\
Examples:
  deploy-watch watch                           follow the deployment of HEAD to its end
  deploy-watch watch 9a4df0b --timeout 20m     that of another commit, for longer
  deploy-watch watch -- ./on-fly               what a command of yours tells of
  deploy-watch status                          0 succeeded, 1 failed, 2 goes on, 3 nobody watched
  deploy-watch watch | jq -r 'select(.type==\"deploy.result\").data.result'
  tail -f .deployment-status-*.log             what a watch in the background says";

const WATCH: &str = "\
Examples:
  deploy-watch watch                           the commit that is checked out
  deploy-watch watch --app shop                in the app of that name or id
  deploy-watch watch v1.2 --timeout 30m
  deploy-watch watch -- scripts/adapters/kubectl-rollout deployment/web

Exit status: 0 it is live, or was replaced without blame; 1 it failed, or never ended; 2 trouble; 75 another watch of that commit goes on.";

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
    Watch(Watch),
    /// Say how the deployment of a commit went, from what its watch left
    #[command(after_help = "Examples:\n  deploy-watch status\n  deploy-watch status 9a4df0b; echo $?")]
    Status(Which),
    /// End the watch of a commit, and all that it started
    #[command(after_help = "Examples:\n  deploy-watch stop\n  deploy-watch stop 9a4df0b")]
    Stop(Which),
    /// Print what the watch of a commit said
    #[command(after_help = "Examples:\n  deploy-watch logs\n  deploy-watch logs 9a4df0b | less")]
    Logs(Which),
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
    /// The branch that it was pushed to [default: the one that is checked out]
    #[arg(long, value_name = "NAME", env = "MENDLINE_DEPLOY_BRANCH")]
    pub(crate) branch: Option<String>,
    /// The remote that it was pushed to
    #[arg(long, value_name = "NAME", env = "MENDLINE_DEPLOY_REMOTE", default_value = "origin")]
    pub(crate) remote: String,
    /// The app, by id or name [default: the one that deploys this branch of the remote]
    #[arg(long, value_name = "APP", env = "MENDLINE_DEPLOY_APP", conflicts_with = "teller")]
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
    #[arg(long, value_name = "URL", env = "MENDLINE_DIGITALOCEAN_URL", default_value = "https://api.digitalocean.com")]
    pub(crate) digitalocean_url: String,
    /// Instead of DigitalOcean: a command that writes a line of JSON for each change
    #[arg(last = true, value_name = "COMMAND")]
    pub(crate) teller: Vec<String>,
}
