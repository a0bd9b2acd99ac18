# shellcheck shell=bash
# What the measurements share, to be sourced: where things are, how they are timed, how a result is told.
# Everything that is made stays below target/bench for the next run; remove that folder to begin anew.

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=${here%/*}
target=${CARGO_TARGET_DIR:-$root/target}
data=$target/bench
bin=$target/release
mkdir -p "$data"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# The person's settings must not shape what is measured.
unset VIRTUAL_ENV PYTHONHOME PYTHONPATH MENDLINE_JOBS MENDLINE_TIMEOUT
export MENDLINE_STATE_DIR=$scratch/state MENDLINE_TEMPLATES=$data/templates
export UV_CACHE_DIR=$data/uv-cache UV_NO_CONFIG=1 UV_PYTHON_DOWNLOADS=never UV_LINK_MODE=hardlink
export PIP_CACHE_DIR=$data/pip-cache PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1

die() { echo "${0##*/}: $*" >&2; exit 2; }

needs() { # COMMAND…
  local command
  for command; do
    command -v "$command" >/dev/null || die "please install $command"
  done
}

needs_binaries() { # NAME…
  local name
  for name; do
    [[ -x $bin/$name ]] || die "there is no $bin/$name; run cargo build --release first"
  done
}

# Makes $data/NAME with a command, unless an earlier run finished that. Environments know their path, so no rename can tell.
made_once() { # NAME COMMAND…
  local name=$1
  [[ ! -e $data/$name.made ]] || return 0
  echo "making $data/$name …" >&2
  rm -rf "${data:?}/$name"
  mkdir -p "$data/$name"
  "${@:2}" >&2
  touch "$data/$name.made"
}

# A uv that is there will do; scripts/test may have left one.
find_uv() {
  PATH=$PATH:$target/test-tools/bin:$data/uv/bin
  command -v uv >/dev/null || made_once uv install_uv
}

# The tools' own Python must not come before the machine's on PATH, so bin/ has a link to uv alone.
install_uv() {
  python3 -m venv "$data/uv/python"
  "$data/uv/python/bin/pip" install -q uv==0.13.9
  mkdir -p "$data/uv/bin"
  ln -s ../python/bin/uv "$data/uv/bin/"
}

# Sets `base` to the interpreter that broken-venvs chooses.
find_base() {
  made_once base "$root/scripts/broken-venvs" "$data/base" healthy
  base=$(readlink -f "$data/base/healthy/.venv/bin/python")
}

# Makes an environment that holds exactly the packages of a list.
environment() { # VENV LIST [FLAG…]
  uv venv -q --python "$base" "${@:3}" "$1"
  uv pip install -q --no-deps --python "$1/bin/python" -r "$2"
}

# Times commands turn by turn, so that a slow moment of the machine meets them all, into $scratch/times.json.
# An entry of `prepare` for each command, if set, runs before each of its runs; `warm` says how often each runs unmeasured first.
measure() { # ROUNDS RUNS [NAME COMMAND]…
  local rounds=$1 runs=$2 round each=()
  shift 2
  for round in "${prepare[@]:-}"; do
    [[ -z $round ]] || each+=(--prepare "$round")
  done
  while [[ $# -gt 0 ]]; do
    each+=(-n "$1" "$2")
    shift 2
  done
  for ((round = 1; round <= rounds; round++)); do
    hyperfine -N --style none --warmup "${warm:-1}" --runs "$runs" --export-json "$scratch/round-$round.json" "${each[@]}" \
      >"$scratch/hyperfine" 2>&1 || { cat "$scratch/hyperfine" >&2; die "a command that is measured failed"; }
  done
  jq -s '[.[].results[]] | group_by(.command) | map({
      name: .[0].command,
      times: map(.times[] * 1000) | sort,
      cpu: (map((.user + .system) * 1000) | add / length)
    })' "$scratch"/round-*.json >"$scratch/times.json"
  rm "$scratch"/round-*.json
}

table() { # FIRST-COLUMN
  printf '\n| %s | median [min] ms | CPU ms | measured against | median [min] ms | CPU ms | ratio [of minima] | bar | |\n' "$1"
  printf '|---|---|---|---|---|---|---|---|---|\n'
}

# A row: with `<=`, how many times as long as its peer a command takes; with `>=`, how many times faster it is.
row() { # NAME PEER BAR: `<= TIMES` or `>= TIMES`, or the sign alone where there is no bar
  jq -r --arg name "$1" --arg peer "$2" --arg bar "$3" "$jq_library"'
    time($name) as $tool | time($peer) as $peer | ($bar | sign) as $sign
    | (if $sign == ">=" then [$peer, $tool] else [$tool, $peer] end) as [$a, $b]
    | (($a.times | median) / ($b.times | median)) as $ratio
    | [cells($tool), cells($peer), "\($ratio | rounded(100)) [\($a.times[0] / $b.times[0] | rounded(100))]", $bar, verdict($ratio; $bar)]
    | line' "$scratch/times.json"
}

# A row against a number of milliseconds.
row_within() { # NAME MS
  jq -r --arg name "$1" --arg bar "< $2 ms" "$jq_library"'
    time($name) as $tool | [cells($tool), "", "", "", "", $bar, verdict($tool.times | median; $bar)] | line' "$scratch/times.json"
}

# shellcheck disable=SC2016 # jq's variables, not the shell's
jq_library='
  def median: if length % 2 == 1 then .[length / 2 | floor] else (.[length / 2 - 1] + .[length / 2]) / 2 end;
  def rounded($by): . * $by | round / $by;
  def ms: if . < 100 then rounded(10) else round end;
  def time($name): .[] | select(.name == $name);
  def cells($of): $of.name, "\($of.times | median | ms) [\($of.times[0] | ms)]", "\($of.cpu | ms)";
  def sign: split(" ")[0];
  def verdict($value; $bar):
    ($bar | split(" ")) as [$sign, $limit]
    | if $limit == null then ""
      elif ($sign == ">=" and $value >= ($limit | tonumber)) or ($sign != ">=" and $value <= ($limit | tonumber)) then "met"
      else "MISSED" end;
  def line: "| \(join(" | ")) |";
'

# The most memory that a command, or a child of it, held: GNU time tells the largest of them.
memory() { # NAME MB COMMAND…
  local kb
  kb=$(command time -f %M "${@:3}" 2>&1 >/dev/null) || die "$1 failed: $kb"
  awk -v kb="${kb##*$'\n'}" -v name="$1" -v bar="$2" 'BEGIN {
    printf "peak memory of %s: %.1f MB (bar: < %d MB, %s)\n", name, kb / 1024, bar, kb / 1024 < bar ? "met" : "MISSED" }'
}

# What the figures below it were measured on.
machine() {
  local model
  model=$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo 2>/dev/null | head -n 1)
  echo "## ${0##*/}: $1"
  echo
  echo "$(date +%Y-%m-%d), $(getconf _NPROCESSORS_ONLN) cores${model:+ ($model)}, $(uname -sr), load $(uptime | sed 's/.*: //');" \
    "mendline $(git -C "$root" describe --always --dirty)${base:+, $(uv --version), $("$base" --version)}, $(hyperfine --version)."
}
