# Imports MODULE:NAME as `from MODULE import NAME` does, or MODULE: alone, and says MARK when all is there: `prove.py MARK MODULE:NAME...`.
import importlib
import os
import sys

mark, wanted = sys.argv[1], [one.split(":") for one in sys.argv[2:]]
sys.argv[1:] = []
for module, name in wanted:
    imported = importlib.import_module(module)
    if name and not hasattr(imported, name):
        try:
            importlib.import_module(module + "." + name)
        except ModuleNotFoundError as error:
            if error.name != module + "." + name:
                raise
            raise ImportError("cannot import name %r from %r" % (name, module)) from None
# Whatever a module did to the streams of this process.
os.write(1, ("\n%s\n" % mark).encode())
