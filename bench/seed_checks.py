"""Checks environments as the script that this project grew from did: four checks each, one after another.

usage: seed_checks.py VENV…     prints `VENV<tab>status<tab>reason` for each
"""

import pathlib
import subprocess
import sys


def run(python, *arguments):
    return subprocess.run([python, *arguments], capture_output=True, text=True, timeout=5)


def judge(venv):
    python = venv / "bin" / "python"
    if not python.exists():
        return "broken", "Python executable missing"
    try:
        version = run(python, "--version")
        if version.returncode != 0:
            return "broken", "Python not runnable"
        if run(python, "-c", "import sys").returncode != 0:
            return "broken", "Python imports broken"
    # The original caught neither, and its run ended there; both count as found here.
    except (OSError, subprocess.TimeoutExpired) as error:
        return "broken", "Python not runnable: %s" % type(error).__name__
    if not (venv / "bin" / "pip").exists():
        return "degraded", "pip executable missing"
    return "healthy", version.stdout.strip()


for name in sys.argv[1:]:
    print(name, *judge(pathlib.Path(name)), sep="\t")
