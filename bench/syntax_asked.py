"""Asks heal about sources: what it would do to each, as (file, verdict, edits)."""
import json, subprocess


def ask(heal, python, files):
    words = [heal, "--format", "json", "--root", "/", "--tracked", "--python", python]
    out = subprocess.run(words + files, stdout=subprocess.PIPE, check=True).stdout
    for record in map(json.loads, out.splitlines()):
        if record["type"] == "action":
            data = record["data"]
            detail = data.get("detail", {})
            if data["outcome"] == "planned":
                yield record["subject"], "fixed", detail["edits"]
            elif data["text"].startswith("the check passes"):
                yield record["subject"], "valid", []
            else:
                yield record["subject"], detail.get("verdict", "refused"), []


def applied(text, edits):
    for edit in reversed(edits):
        text = text[:edit["offset"]] + edit["insert"].encode() + text[edit["offset"] + edit["len"]:]
    return text
