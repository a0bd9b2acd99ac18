"""Makes what bench/diagnose searches: `logs.py log BYTES TSV` writes a log of about so many bytes; `logs.py patterns N TSV JSON TEXT` writes the
first N patterns as diagnose and as grep read them. The same again at each run.

Of the lines, 35 % are of an access log, 30 % JSON, 30 % of a system log, 4 % of tracebacks, and 1 % are what the patterns look for.
"""

import json
import random
import sys

HOSTS = ["web-1", "web-2", "db-1", "worker-7"]
PATHS = ["/", "/api/v1/users", "/api/v1/orders/search", "/static/app.3f2a1c.js", "/healthz", "/login", "/images/logo@2x.png", "/api/v2/events"]
AGENTS = ["Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/126.0 Safari/537.36", "curl/8.5.0", "kube-probe/1.29", "python-requests/2.32.3"]
MESSAGES = ["request completed", "cache miss for key session", "connection established to upstream", "user authenticated", "job finished without errors",
            "retry scheduled after failed attempt", "configuration loaded from file", "no error reported by peer", "module initialised"]
UNITS = ["systemd[1]", "sshd[2211]", "kernel", "cron[801]", "dockerd[913]", "nginx[1022]", "postgres[1500]"]
EVENTS = ["Started Session 812 of User root.", "Accepted publickey for deploy from 10.2.3.4 port 50122 ssh2", "eth0: link is up, 1000 Mbps full duplex",
          "(root) CMD (run-parts /etc/cron.hourly)", "checkpoint complete: wrote 812 buffers (5.0%)", "container started name=api image=api:1.4.2",
          "Connection closed by authenticating user root 10.9.8.7 port 40100 [preauth]", "Reloading configuration file, permission checks passed"]
FILES = ["/srv/app/main.py", "/srv/app/handlers/orders.py", "/usr/lib/python3.12/asyncio/runners.py", "/srv/venv/lib/python3.12/site-packages/httpx/_client.py"]
CODE = ["return await handler(request)", "result = self._send(request, timeout=timeout)", "raise MissingSetting(name)", "for row in cursor.fetchall():"]


def access(pick, number, time):
    status = pick([200, 200, 200, 200, 204, 301, 304, 404, 500])
    return f'10.{number % 200}.{number // 7 % 250}.{number % 31} - - [23/Aug/2026:{time} +0000] "GET {pick(PATHS)} HTTP/1.1" {status} {number % 50000} "-" "{pick(AGENTS)}"'


def structured(pick, number, time):
    level = pick(["info", "info", "info", "debug", "warning", "error"])
    return f'{{"ts":"2026-08-23T{time}.{number % 1000:03}Z","level":"{level}","service":"{pick(HOSTS)}","msg":"{pick(MESSAGES)}","request_id":"{number * 2654435761 % 2**64:016x}","took_ms":{number % 977}}}'


def system(pick, number, time):
    return f"Aug 23 {time} {pick(HOSTS)} {pick(UNITS)}: {pick(EVENTS)}"


def traceback(pick, number, time):
    return pick(["Traceback (most recent call last):", f'  File "{pick(FILES)}", line {number % 900}, in handle', f"    {pick(CODE)}"])


def log(size, examples):
    generator = random.Random(20260823)
    pick = lambda some: some[int(generator.random() * len(some))]
    kinds = [access] * 35 + [structured] * 30 + [system] * 30 + [traceback] * 4 + [lambda pick, number, time: pick(examples)]
    written = number = 0
    while written < size:
        lines = []
        for number in range(number, number + 10_000):
            time = f"{number // 36000 % 24:02}:{number // 600 % 60:02}:{number // 10 % 60:02}"
            lines.append(pick(kinds)(pick, number, time))
        number += 1
        written += sys.stdout.write("\n".join(lines) + "\n")


def patterns(entries, as_json, as_text):
    with open(as_json, "w") as file:
        json.dump({name: {"pattern": pattern, "solution": "", "description": ""} for name, pattern, _ in entries}, file)
    with open(as_text, "w") as file:
        file.writelines(pattern + "\n" for _, pattern, _ in entries)


what, count, tsv, *files = sys.argv[1:]
with open(tsv) as file:
    catalogue = [line.rstrip("\n").split("\t") for line in file]
if what == "log":
    log(int(count), [example for _, _, example in catalogue[:60]])
else:
    patterns(catalogue[: int(count)], *files)
