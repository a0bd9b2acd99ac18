# Tells of each MODULE:NAME of the standard library whether it is there: `library.py MODULE:NAME...`. Without NAME: whether the module is.
import importlib
import importlib.util
import json
import sys


def is_there(module, name):
    try:
        if importlib.util.find_spec(module) is None:
            return False
        return not name or hasattr(importlib.import_module(module), name) or is_there(module + "." + name, "")
    except ImportError:
        return False


json.dump([is_there(*wanted.split(":")) for wanted in sys.argv[1:]], sys.stdout)
