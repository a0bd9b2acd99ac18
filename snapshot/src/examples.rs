//! What the help of each command shows.

pub(crate) const ALL: &str = "\
Examples:
  snapshot create 'before the upgrade' --label upgrade ~/.mcp.json ~/agents
  snapshot list
  snapshot diff latest                  what has changed since
  snapshot restore upgrade              what a restore would do
  snapshot restore upgrade --force      do it: all of it or nothing, and keep what it replaces
  snapshot cat upgrade ~/.mcp.json
  venv-probe ~/agents | snapshot create --label venvs -";

pub(crate) const CREATE: &str = "\
Examples:
  snapshot create 'before the upgrade' --label upgrade ~/.mcp.json ~/agents
  snapshot create --exclude node_modules --exclude '*.log' ~/app
  snapshot create --paths-from scripts/sets/credentials.paths --encrypt-to age1…
  venv-probe ~/agents | snapshot create --label venvs -";

pub(crate) const LIST: &str = "\
Examples:
  snapshot list
  snapshot list | jq -r 'select(.data.label == \"upgrade\") | .subject'";

pub(crate) const SHOW: &str = "\
Examples:
  snapshot show latest
  snapshot show latest ~/agents
  snapshot show upgrade | jq -r 'select(.type == \"snapshot.entry\") | .subject'";

pub(crate) const CAT: &str = "\
Examples:
  snapshot cat upgrade ~/.mcp.json
  snapshot cat latest shared/paths.py | diff - shared/paths.py";

pub(crate) const DIFF: &str = "\
Examples:
  snapshot diff latest                  what has changed since
  snapshot diff latest --text           with the lines that have
  snapshot diff latest -- ~/.mcp.json   of one file alone
  snapshot diff 20261124 upgrade        between two snapshots";

pub(crate) const VERIFY: &str = "\
Examples:
  snapshot verify                       every snapshot
  snapshot verify latest --repair";

pub(crate) const RESTORE: &str = "\
Examples:
  snapshot restore upgrade              what a restore would do
  snapshot restore upgrade --text       with the lines that would change
  snapshot restore upgrade --force      do it: all of it or nothing, and keep what it replaces
  snapshot restore upgrade --exact --force
                                        also remove what was not there then
  snapshot restore upgrade ~/.mcp.json --force
                                        one file alone
  snapshot restore upgrade --to /tmp/look --force
                                        somewhere else, to look at it";

pub(crate) const RECOVER: &str = "\
Examples:
  snapshot recover                      what any command that changes something does first
  snapshot recover --abandon            where the folder is gone for good";

pub(crate) const DELETE: &str = "\
Examples:
  snapshot delete 20261124_130537-e7a3
  snapshot delete 20261124_130537-e7a3 --force";

pub(crate) const PRUNE: &str = "\
Examples:
  snapshot prune                        what would go: automatic ones, after a week
  snapshot prune --keep-daily 7 --keep-weekly 4 --keep-label release
  snapshot prune --keep-within 30d --force";

pub(crate) const PIN: &str = "\
Examples:
  snapshot pin upgrade";

pub(crate) const RUN: &str = "\
Examples:
  snapshot run ~/agents -- ./migrate.sh
  snapshot run --rollback-on-failure ~/agents ~/.mcp.json -- ./migrate.sh";

pub(crate) const IMPORT: &str = "\
Examples:
  snapshot import infrastructure/rollback-snapshots";

pub(crate) const EXPORT: &str = "\
Examples:
  snapshot export upgrade >upgrade.tar
  snapshot export upgrade | tar -x -C /tmp/look";
