"""What the registry validator that tmux-registry replaces does to every registry of a workspace, with nothing mended: a peer to measure against."""

import fcntl
import glob
import json
import subprocess
import sys

listed = subprocess.run(["tmux", "ls", "-F", "#{session_name}"], capture_output=True, text=True)
sessions = set(listed.stdout.split()) if listed.returncode == 0 else set()
for path in sorted(glob.glob(f"{sys.argv[1]}/TASK-*/AGENT_REGISTRY.json")):
    with open(path, "r+") as file:
        fcntl.flock(file.fileno(), fcntl.LOCK_EX)
        registry = json.load(file)
        active = [agent for agent in registry["agents"] if agent["status"] in ("running", "working", "blocked")]
        zombies = [agent["id"] for agent in active if agent.get("tmux_session") not in sessions]
        json.dumps(registry, indent=2)
        print(json.dumps({"registry_path": path, "zombies": zombies, "active": len(active)}))
