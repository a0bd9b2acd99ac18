import importlib.util, json, os, platform, sys
from importlib.machinery import PathFinder


def walk(parts):
    """How many parts of a dotted name are there, and the last of them. Nothing of them is run."""
    found, last = 0, None
    try:
        spec = importlib.util.find_spec(parts[0])
    except (ImportError, ValueError, AttributeError):
        spec = None
    while spec is not None:
        found, last = found + 1, spec
        if found == len(parts) or spec.submodule_search_locations is None:
            break
        spec = PathFinder.find_spec(parts[found], list(spec.submodule_search_locations))
    return found, last


def full(info):
    version = "%d.%d.%d" % info[:3]
    return version if info[3] == "final" else version + info[3][0] + str(info[4])


parts = sys.argv[1].split(".")
found, last = walk(parts)
print(json.dumps({
    "prefix": os.path.realpath(sys.prefix),
    "version": "%d.%d.%d" % sys.version_info[:3],
    "stdlib": parts[0] in getattr(sys, "stdlib_module_names", ()),
    "found": found,
    "namespace": last is not None and last.origin is None,
    "origin": last.origin if last is not None else None,
    "pip": importlib.util.find_spec("pip") is not None,
    "markers": {
        "implementation_name": sys.implementation.name,
        "implementation_version": full(sys.implementation.version),
        "os_name": os.name,
        "platform_machine": platform.machine(),
        "platform_python_implementation": platform.python_implementation(),
        "platform_release": platform.release(),
        "platform_system": platform.system(),
        "platform_version": platform.version(),
        "python_full_version": platform.python_version(),
        "python_version": ".".join(platform.python_version_tuple()[:2]),
        "sys_platform": sys.platform,
    },
}))
