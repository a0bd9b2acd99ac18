#!/usr/bin/env bash
# The name, the options and the folders of the old AutoHeal script, done by `repair-toolchain`.
set -euo pipefail
here=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")" && pwd)
export MENDLINE_LOGS_DIR=${MENDLINE_LOGS_DIR:-logs/autoheal} MENDLINE_STORE=${MENDLINE_STORE:-backups/autoheal}
exec "$here/../repair-toolchain" "$@"
