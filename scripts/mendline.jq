# mendline.jq: the questions that people ask of mendline's records. For jq 1.6 and later.
#
#   venv-probe ~ | jq -L scripts -nr 'include "mendline"; [inputs] | one_line'
#
# Every function takes an array of records. A file that may hold torn or foreign lines is read raw, and those are passed over:
#
#   jq -L scripts -nRr 'include "mendline"; [records] | one_line' night.jsonl
#
# Two runs are compared by slurping the older one:
#
#   jq -L scripts -n --slurpfile old mon.jsonl 'include "mendline"; [inputs] | changed_since($old)' tue.jsonl
#
# docs/jq.md has each function with its output.

# With -nR: the records among the lines, whatever else is between them. Collect them before anything else can fail: `[records] | …`.
def records: inputs | fromjson? | select(type == "object" and .v == 1 and (.type | type) == "string" and has("data"));

def _ours: map(objects | select(.v == 1 and (.type | type) == "string"));

def _badness: {healthy: 0, unknown: 1, degraded: 2, broken: 3}[.] // 1;

# The last verdict of any probe on each subject of each host.
def verdicts:
  _ours
  | map(select((.type | endswith(".probe")) and (.data | type) == "object" and (.data.status | type) == "string" and has("subject")))
  | group_by([.host, .subject]) | map(last);

def _finding:
  {host, subject, status: .data.status, faults: ([.data.faults[]?.code] | unique)};

# Whether every run in the stream came to its end and saw everything. Without this, absence proves nothing.
def whole:
  _ours
  | group_by([.host, .tool, .id[:(.id | rindex("."))]])
  | length > 0 and all(.[]; any(.[]; .type == "end" and .data.ok == true));

# The subjects that are broken: `jq -r` prints one a line. A path that is not UTF-8 stays {"hex":"…"}.
def broken: verdicts[] | select(.data.status == "broken") | .subject;

# What is broken or degraded, with the codes of its faults, the worst first.
def unhealthy:
  [verdicts[] | select(.data.status | _badness > 1) | _finding] | sort_by(-(.status | _badness), .host, .subject) | .[];

# How many subjects have each fault, the commonest first.
def by_fault:
  [verdicts[] | [.data.faults[]? | {code, severity}] | unique[]]
  | group_by(.code) | map(.[0] + {count: length}) | sort_by(-.count, .code);

# What failed, and where its log is.
def actions_failed:
  _ours[] | select(.type == "action" and .data.outcome == "failed")
  | {host, subject, tool, verb: .data.verb, text: .data.text, log: .data.log, partial: (.data.partial // false)};

# What is other than in $old, an array of records of an earlier run. `new` is told only where $old was whole, `gone` only where this run is;
# what could not be seen this time has become neither worse nor better.
def changed_since($old):
  def index: reduce .[] as $one ({}; .[[$one.host, $one.subject] | tojson] = ($one | _finding));
  ($old | verdicts | index) as $before | (verdicts | index) as $now
  | [$now | to_entries[] | select($before[.key] != null and .value.status != "unknown") | .value + {was: $before[.key].status}] as $both
  | {
      new: (if $old | whole then [$now | to_entries[] | select($before[.key] == null) | .value] else [] end),
      worse: [$both[] | select((.status | _badness) > (.was | _badness))],
      better: [$both[] | select((.status | _badness) < (.was | _badness))],
      gone: (if whole then [$before | to_entries[] | select($now[.key] == null) | .value] else [] end)
    };

# Text that cannot move a cursor or reorder a line; bytes that are no text as \xNN.
def shown:
  def hex: (. % 16) as $low | (if . > 15 then (. / 16 | floor | hex) else "" end) + "0123456789abcdef"[$low:$low + 1];
  def unsafe: . < 32 or (. >= 127 and . < 160) or . == 8206 or . == 8207 or (. >= 8232 and . <= 8238) or (. >= 8294 and . <= 8297) or . == 65279;
  def byte: if test("^(2[0-9a-f]|[3-6][0-9a-f]|7[0-9a-e])$") then [explode | map(if . > 96 then . - 87 else . - 48 end) | .[0] * 16 + .[1]] | implode else "\\x" + . end;
  if type == "object" and (.hex | type) == "string"
  then .hex as $hex | [range(0; $hex | length; 2) | $hex[.:. + 2] | byte] | join("")
  else tostring | explode | map(if unsafe then "\\u{" + hex + "}" else [.] | implode end) | join("")
  end;

def _few($most; each):
  (.[:$most] | map(each) | join(", ")) + (if length > $most then ", and \(length - $most) more" else "" end);

def _head:
  (_ours | map(.host) | unique) as $hosts | verdicts as $all
  | def count($status): [$all[] | select(.data.status == $status)] | length;
  (if all($all[]; .type == "venv.probe") then "environment" else "subject" end) as $what
  | (if ($hosts | length) == 1 then "host " else "hosts " end) + ($hosts | map(shown) | _few(3; .)) + ": "
  + (if ($all | length) == 0 then "nothing was judged"
     else "\($all | length) \($what)\(if ($all | length) == 1 then "" else "s" end)"
       + ([("broken", "degraded", "unknown") | . as $status | count($status) | select(. > 0) | ", \(.) \($status)"] | join(""))
       + (if count("healthy") == ($all | length) then ", all healthy" else "" end)
     end);

def _tail: if whole then "" else " (incomplete: not everything was seen)" end;

def _named($several):
  (if $several then "\(.host | shown):" else "" end) + (.subject | shown)
  + (if .faults == [] then "" else " (\(.faults | map(shown) | _few(2; .)))" end);

# One line for a chat message.
def one_line:
  ((_ours | map(.host) | unique | length) > 1) as $several
  | [unhealthy] as $ill
  | if length == 0 then "no records" else _head + (if $ill == [] then "" else ": " + ($ill | _few(5; _named($several))) end) + _tail end;

# The same, what was not so in $old first. Where $old is [] nothing is called new.
def one_line_since($old):
  ((_ours | map(.host) | unique | length) > 1) as $several
  | changed_since($old) as $changed
  | [unhealthy] as $ill
  | [$ill[] | select(. as $one | any($changed.new[], $changed.worse[]; .host == $one.host and .subject == $one.subject))] as $fresh
  | if $fresh == [] then one_line
    else _head + "; new: " + ($fresh | _few(5; _named($several)))
      + (($ill - $fresh) as $known | if $known == [] then "" else "; as before: " + ($known | _few(3; _named($several))) end) + _tail
    end;

# Lines for a mail: what is new or worse than in $old, then what is better, then what is gone.
def news_since($old):
  def list($title; each): [each | "  \(.status)\(if .was then " (was \(.was))" else "" end)  \(.subject | shown)  \(.faults | map(shown) | join(", "))"]
    | if . == [] then empty else $title, (.[] | sub(" +$"; "")), "" end;
  changed_since($old)
  | list("New or worse:"; .worse + .new | sort_by(-(.status | _badness), .host, .subject)[] | select(.status | _badness > 1)),
    list("Better:"; .better[]),
    list("Gone:"; .gone[]);

# The paths that the `env` of MCP servers names, one a line: with `jq -r` on .mcp.json and its kind, for `snapshot create -`.
# Lists of folders, and variables that stand for a whole home or its like, are passed over.
def mcp_env_paths:
  ["HOME", "PWD", "TMPDIR", "SHELL", "VIRTUAL_ENV", "PYTHONHOME", "PATH", "PYTHONPATH", "NODE_PATH", "LD_LIBRARY_PATH"] as $wide
  | [.. | objects | .env? | objects | to_entries[]
      | select(.key as $name | all($wide[]; . != $name)) | .value | strings
      | sub("^(~|\\$HOME|\\$\\{HOME\\})(?=/)"; env.HOME // "~")
      | select(test("^/[^/]") and (test("[[:cntrl:]]|:/") | not))]
  | unique[];
