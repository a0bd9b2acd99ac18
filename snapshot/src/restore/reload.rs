//! Who must be told that files have changed under them: most programs read their configuration only when they start.

use std::collections::BTreeSet;
use std::path::Path;

use contract::path::shown;

/// The files of MCP clients (Claude Code, Claude Desktop, Cursor, VS Code) that name servers.
const MCP: [&str; 4] = [".mcp.json", "mcp.json", ".claude.json", "claude_desktop_config.json"];

/// What to do, in a person's words or as a command, each once.
pub(crate) fn advice<'p>(paths: impl Iterator<Item = &'p Path>) -> BTreeSet<String> {
    paths.filter_map(one).collect()
}

fn one(path: &Path) -> Option<String> {
    let text = path.to_str().unwrap_or_default();
    let below = |folder: &str| text.contains(folder);
    let name = path.file_name()?;
    let plist = path.extension().is_some_and(|extension| extension == "plist");
    let quoted = || format!("'{}'", shown(path).replace('\'', "'\\''"));
    if plist && (below("/Library/LaunchAgents/") || below("/Library/LaunchDaemons/")) {
        return Some(format!("launchctl unload {0}; launchctl load {0}", quoted()));
    }
    if below("/systemd/user/") {
        return Some("systemctl --user daemon-reload".to_owned());
    }
    if below("/systemd/system/") {
        return Some("systemctl daemon-reload".to_owned());
    }
    if below("/var/spool/cron/") || below("/etc/cron.d/") || path == Path::new("/etc/crontab") {
        return Some("cron reads its tables again within a minute; nothing to do".to_owned());
    }
    MCP.iter().any(|file| name == *file).then(|| format!("restart the MCP client that reads {}", shown(path)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn advised(path: &str) -> String {
        advice([Path::new(path)].into_iter()).pop_first().unwrap_or_default()
    }

    #[test]
    fn each_kind_of_configuration_has_its_word() {
        let agent = "/Users/a/Library/LaunchAgents/it's.plist";
        assert_eq!(
            advised(agent),
            r"launchctl unload '/Users/a/Library/LaunchAgents/it'\''s.plist'; launchctl load '/Users/a/Library/LaunchAgents/it'\''s.plist'"
        );
        assert_eq!(advised("/home/a/.config/systemd/user/x.service"), "systemctl --user daemon-reload");
        assert_eq!(advised("/etc/systemd/system/x.service"), "systemctl daemon-reload");
        assert_eq!(advised("/home/a/.mcp.json"), "restart the MCP client that reads /home/a/.mcp.json");
        assert_eq!(advised("/home/a/notes.txt"), "");
    }
}
