"""Has files judged and mended, tells how many came to which verdict, and shows every automatic fix for a person to judge.

usage: syntax_diffs.py HEAL NAME PYTHON FILE…
"""
import collections, difflib, json, subprocess, sys

VERDICTS = ("fixed", "suggested", "refused", "mismatch", "valid")


def applied(text, edits):
    for edit in reversed(edits):
        text = text[:edit["offset"]] + edit["insert"].encode() + text[edit["offset"] + edit["len"]:]
    return text


def lines(text):
    return text.decode("utf-8", "backslashreplace").splitlines()


heal, name, python, files = sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4:]
counts, diffs = collections.Counter(), []
for at in range(0, len(files), 100):
    out = subprocess.run([heal, "syntax", "--python", python] + files[at:at + 100], stdout=subprocess.PIPE, check=True).stdout
    for answer in map(json.loads, out.splitlines()):
        result = answer["result"]
        counts[result["verdict"]] += 1
        if result["verdict"] == "fixed":
            with open(answer["file"], "rb") as file:
                text = file.read()
            classes = ", ".join(sorted({edit["class"] for edit in result["edits"]}))
            diff = list(difflib.unified_diff(lines(text), lines(applied(text, result["edits"])), lineterm="", n=1))[2:]
            diffs.append(["# %s with %s: %s" % (answer["file"], python, classes)] + diff)
print("| %s | %d | %s |" % (name, len(files), " | ".join(str(counts[verdict]) for verdict in VERDICTS)))
for diff in diffs:
    print("\n".join("    " + line for line in diff), file=sys.stderr)
