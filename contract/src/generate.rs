//! `--generate man|bash|zsh|fish`: the manual pages and the completions, made from the same definition as `--help`.

use std::io::Write as _;
use std::path::Path;

use anyhow::Context as _;
use clap::CommandFactory;
use clap_complete::Shell;

use crate::path::shown;

/// Writes what was asked for, or returns `None` where nothing was. Kept out of the arguments proper so that no tool needs to know of it.
pub(crate) fn asked<A: CommandFactory>(tool: &'static str) -> Option<anyhow::Result<()>> {
    let mut args = std::env::args_os().skip(1);
    if args.next()? != "--generate" {
        return None;
    }
    let what = args.next().unwrap_or_default().to_string_lossy().into_owned();
    Some(match (what.as_str(), args.next()) {
        ("man", Some(folder)) => pages::<A>(tool, Path::new(&folder)),
        _ => generate::<A>(tool, &what),
    })
}

/// The page of the tool and one of each subcommand, as `git` has `git-commit.1`.
fn pages<A: CommandFactory>(tool: &'static str, folder: &Path) -> anyhow::Result<()> {
    clap_mangen::generate_to(command::<A>(tool), folder).with_context(|| format!("cannot write manual pages into {}", shown(folder)))
}

/// Without `help`, which is a subcommand to nobody who reads.
fn command<A: CommandFactory>(tool: &'static str) -> clap::Command {
    A::command().name(tool).disable_help_subcommand(true)
}

fn generate<A: CommandFactory>(tool: &'static str, what: &str) -> anyhow::Result<()> {
    let mut command = command::<A>(tool);
    let mut page = Vec::new();
    match what {
        "man" => clap_mangen::Man::new(command).render(&mut page)?,
        shell => {
            let shell: Shell = shell.parse().ok().with_context(|| format!("--generate takes man, bash, zsh or fish, not `{shell}`"))?;
            clap_complete::generate(shell, &mut command, tool, &mut page);
            // clap_complete names a command with a hyphen in one way and looks for it in another (4.6.11).
            let text = String::from_utf8(std::mem::take(&mut page)).context("a completion is text")?;
            page = text.replace(&tool.replace('-', "__subcmd__"), &tool.replace('-', "__")).into_bytes();
        }
    }
    std::io::stdout().write_all(&page).context("cannot write to standard output")
}
