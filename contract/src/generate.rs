//! `--generate man|bash|zsh|fish`: the manual pages and the completions, made from the same definition as `--help`.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;

use anyhow::Context as _;
use clap::CommandFactory;
use clap::builder::Resettable;
use clap_complete::Shell;
use clap_mangen::Man;

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
    let mut command = command::<A>(tool);
    command.build();
    let mut all = vec![&command];
    while let Some(command) = all.pop() {
        all.extend(command.get_subcommands());
        let page = folder.join(Man::new(command.clone()).get_filename());
        let whole = File::create(&page).and_then(|mut file| file.write_all(&manual(command)?));
        whole.with_context(|| format!("cannot write manual pages into {}", shown(folder)))?;
    }
    Ok(())
}

/// As clap_mangen has it, with the usage of `--help`, and with examples that keep their lines.
fn manual(command: &clap::Command) -> io::Result<Vec<u8>> {
    let (usage, examples) = (command.clone().render_usage().to_string(), command.get_after_help());
    let usage = usage.trim_start_matches("Usage: ").to_owned();
    let mut page = Vec::new();
    Man::new(command.clone().override_usage(usage).after_help(Resettable::Reset)).render(&mut page)?;
    if let Some(examples) = examples {
        page.extend(as_it_stands("EXAMPLES", examples.to_string().trim_start_matches("Examples:\n")).into_bytes());
    }
    Ok(page)
}

/// A section of roff that is not filled. A line that begins with a point or an apostrophe would be a request.
fn as_it_stands(title: &str, text: &str) -> String {
    let line = |line: &str| format!("\\&{}\n", line.replace('\\', "\\e").replace('-', "\\-"));
    format!(".SH {title}\n.nf\n{}.fi\n", text.lines().map(line).collect::<String>())
}

/// Without `help`, which is a subcommand to nobody who reads.
fn command<A: CommandFactory>(tool: &'static str) -> clap::Command {
    A::command().name(tool).disable_help_subcommand(true)
}

fn generate<A: CommandFactory>(tool: &'static str, what: &str) -> anyhow::Result<()> {
    let mut command = command::<A>(tool);
    let mut page = Vec::new();
    match what {
        "man" => {
            command.build();
            page = manual(&command)?;
        }
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
