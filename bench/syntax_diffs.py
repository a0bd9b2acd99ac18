"""Has files judged and mended, tells how many came to which verdict, and shows every automatic fix for a person to judge.

usage: syntax_diffs.py HEAL NAME PYTHON FILE…
"""
import collections, difflib, sys

from syntax_asked import applied, ask

VERDICTS = ("fixed", "suggested", "refused", "mismatch", "valid")


def lines(text):
    return text.decode("utf-8", "backslashreplace").splitlines()


heal, name, python, files = sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4:]
counts, diffs = collections.Counter(), []
for at in range(0, len(files), 100):
    for name_of_file, verdict, edits in ask(heal, python, files[at:at + 100]):
        counts[verdict] += 1
        if verdict == "fixed":
            with open(name_of_file, "rb") as file:
                text = file.read()
            classes = ", ".join(sorted({edit["class"] for edit in edits}))
            diff = list(difflib.unified_diff(lines(text), lines(applied(text, edits)), lineterm="", n=1))[2:]
            diffs.append(["# %s with %s: %s" % (name_of_file, python, classes)] + diff)
print("| %s | %d | %s |" % (name, len(files), " | ".join(str(counts[verdict]) for verdict in VERDICTS)))
for diff in diffs:
    print("\n".join("    " + line for line in diff), file=sys.stderr)
