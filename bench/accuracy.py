"""Judges what diagnose, and the classifier of the old system, say of labelled failures: `accuracy.py DIAGNOSE FILE SEED`.

The old classifier is what `grep -qi` finds first of six patterns. It looked at the last 50 lines of two logs; here each pattern has
all of them, which can only help it.
"""

import collections
import json
import random
import re
import subprocess
import sys

LINES = 2_000
BAR = 0.95

OLD = [
    ("typescript", r"typescript error|type error|TS[0-9]"),
    ("missing_dependency", r"module not found|cannot find module|ENOENT"),
    ("memory", r"out of memory|heap out of memory"),
    ("database_connection", r"database.*connection|ECONNREFUSED.*25060"),
    ("env_var", r"environment variable.*not set|missing.*env"),
    ("port_conflict", r"port.*already in use|EADDRINUSE"),
]
# On the first it installed again, committed and pushed; on the second it had the app deployed again.
OLD_FIXES = {"missing_dependency", "port_conflict"}

PACKAGES = ["react", "lodash", "vite", "express", "left-pad", "pg", "@types/node", "esbuild", "zod", "next"]
STEPS = ["RUN apt-get update", "COPY . .", "WORKDIR /app", "RUN npm run build", "ENV NODE_ENV=production", "FROM node:20-slim"]
MODULES = ["src/components/Button.tsx", "src/pages/index.tsx", "src/server/db.ts", "node_modules/react/index.js", "src/styles/main.css"]


def ordinary(generator):
    """A line of a build in which all is well."""
    number, pick = generator.randrange(100_000), generator.choice
    package, version = pick(PACKAGES), f"{number % 19}.{number % 7}.{number % 31}"
    return pick([
        lambda: f"npm http fetch GET 200 https://registry.example.org/{package} {number % 900}ms (cache hit)",
        lambda: f"npm warn deprecated {package}@{version}: this version is no longer supported",
        lambda: f"#{number % 40} {number % 400}.{number % 10} Get:{number % 90} http://deb.example.org/debian stable/main amd64 lib{number % 99} [{number % 900} kB]",
        lambda: f"Step {number % 40}/40 : {pick(STEPS)}",
        lambda: f" ---> Using cache {number * 2654435761 % 2**48:012x}",
        lambda: f"Progress: resolved {number % 1500}, reused {number % 1400}, downloaded {number % 90}, added {number % 1500}",
        lambda: f"dist/assets/index-{''.join(pick('abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789_') for _ in range(8))}.js   {number % 700}.{number % 99:02} kB │ gzip: {number % 200}.{number % 99:02} kB",
        lambda: f"transforming ({number % 2000}) {pick(MODULES)}",
        lambda: f"Collecting {package}=={version}",
        lambda: f"   Compiling {package.strip('@').replace('/', '-')} v{version}",
        lambda: f"web 2026-11-29T10:{number % 60:02}:{number // 60 % 60:02}.{number * 10_007 % 10**9:09}Z GET /items/{number} 200 {number % 97} ms",
        lambda: f'{{"level":"info","msg":"request completed","status":200,"took_ms":{number % 300}}}',
        lambda: f"  ✓ renders {package} without errors ({number % 90} ms)",
        lambda: f"PASS src/tests/{package.strip('@').replace('/', '-')}.test.ts",
        lambda: f"remote: -----> Restoring cache, part {number % 9}",
        lambda: f"[10:15:{number % 60:02}.{number % 1000:03}] Cloning into 'repo'... {number % 101}% ({number}/{number + 9})",
    ])()


def diagnosed(diagnose, log):
    """The class of the cause, and whether something would be done about it without asking."""
    ran = subprocess.run([diagnose, "--format", "json", "--log", "-"], input=log.encode(), capture_output=True, check=True)
    records = map(json.loads, ran.stdout.splitlines())
    causes = [record["data"] for record in records if record["type"] == "diagnosis" and record["data"]["code"] != "unknown"]
    cause = causes[0] if causes else {}
    return cause.get("class"), bool(cause.get("auto") and cause.get("remedy"))


def classified(log):
    """The same of the old classifier."""
    found = next((name for name, pattern in OLD if re.search(pattern, log, re.IGNORECASE)), None)
    return found, found in OLD_FIXES


def main():
    diagnose, file, seed = sys.argv[1:]
    generator = random.Random(int(seed))
    with open(file, encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    judges = [lambda log: diagnosed(diagnose, log), classified]
    # Of each class: how often each judge was right alone and embedded, and how often it would have mended what it must not.
    tallies = collections.defaultdict(collections.Counter)
    for row in rows:
        noise = [ordinary(generator) for _ in range(LINES)]
        at = generator.randrange(LINES + 1)
        embedded = "\n".join([*noise[:at], row["excerpt"], *noise[at:], ""])
        tally = tallies[row["class"]]
        tally["n"] += 1
        for judge, judged in enumerate(judges):
            for way, log in enumerate([row["excerpt"], embedded]):
                found, is_mended = judged(log)
                tally[judge, way] += found == row["class"]
                tally[judge, "wrong"] += is_mended and not row["auto_fixable"]
    false_alarms = sum(diagnosed(diagnose, "\n".join(ordinary(generator) for _ in range(LINES)))[0] is not None for _ in range(10))

    print(f"\n{len(rows)} failures, each alone and in {LINES:,} lines of ordinary output; seed {seed}.\n")
    print("| class | n | right, alone | embedded | mended that must not be | old: right, alone | embedded | mended that must not be |")
    print("|---|---|---|---|---|---|---|---|")
    columns = ["n", (0, 0), (0, 1), (0, "wrong"), (1, 0), (1, 1), (1, "wrong")]
    total = sum(tallies.values(), collections.Counter())
    for name, tally in [*sorted(tallies.items(), key=lambda item: (-item[1]["n"], item[0])), ("all", total)]:
        print("|", " | ".join([name, *(str(tally[column]) for column in columns)]), "|")
    shares = [total[judge, way] / total["n"] for judge in (0, 1) for way in (0, 1)]
    print("\nRight: {:.1%} alone, {:.1%} embedded; the old classifier {:.1%} and {:.1%}.".format(*shares))
    known = sum((tallies[name] for name, _ in OLD), collections.Counter())
    print(f"Of the {known['n']} that are of one of the six classes that the old one has: {known[0, 0]} and {known[0, 1]}; the old one {known[1, 0]} and {known[1, 1]}.")
    print(f"Ordinary output alone, 10 times: {false_alarms} false alarms.")
    is_met = min(shares[:2]) >= BAR and not total[0, "wrong"] and not false_alarms
    print(f"Bar: {BAR:.0%} right, nothing mended that must not be, no false alarm: {'met' if is_met else 'MISSED'}.")
    return 0 if is_met else 1


if __name__ == "__main__":
    sys.exit(main())
