# Tells what modules bind at their top level, without running a line of them: `survey.py NAMES FILE...`, where NAMES are separated by commas.
# Of each file one object, with those of its names that are one of NAMES but for the case. Runs on 3.6 and later.
import ast
import json
import sys

WANTED = {name.lower() for name in sys.argv[1].split(",")}
DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
BLOCKS = ("body", "orelse", "finalbody", "handlers", "cases")


class Module:
    def __init__(self):
        self.defines, self.perhaps, self.imports = set(), set(), set()
        self.is_open, self.runs = False, 0

    def read(self, body, sure):
        for node in body:
            self.take(node, sure)

    def take(self, node, sure):
        where = self.defines if sure else self.perhaps
        if isinstance(node, DEFINITIONS):
            where.add(node.name)
            self.is_open = self.is_open or node.name == "__getattr__"
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            self.imported(node, sure)
        elif isinstance(node, ast.Delete):
            for name in stored(node):
                for names in (self.defines, self.perhaps, self.imports):
                    names.discard(name)
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            where.update(stored(node) if node.value else ())
        elif type(node).__name__ == "TypeAlias":
            where.add(node.name.id)
        elif isinstance(node, ast.Expr):
            if sure and isinstance(node.value, ast.Call) and isinstance(node.value.func, ast.Name):
                self.runs = self.runs or node.lineno
        else:
            self.block(node)

    def imported(self, node, sure):
        names = [alias.asname or alias.name.split(".")[0] for alias in node.names]
        self.is_open = self.is_open or "*" in names
        (self.imports if sure else self.perhaps).update(names)

    def block(self, node):
        if isinstance(node, (ast.For, ast.AsyncFor)):
            self.perhaps.update(stored(node.target))
        for item in getattr(node, "items", ()):
            self.perhaps.update(stored(item))
        for block in BLOCKS:
            if not (block == "body" and isinstance(node, ast.If) and is_never_imported(node.test)):
                self.read(getattr(node, block, ()), False)

    def told(self):
        sets = {"defines": self.defines, "perhaps": self.perhaps, "imports": self.imports}
        told = {key: sorted(name for name in names if name.lower() in WANTED) for key, names in sets.items()}
        told.update(open=self.is_open, runs=self.runs)
        return told


def stored(node):
    return [part.id for part in ast.walk(node) if isinstance(part, ast.Name) and not isinstance(part.ctx, ast.Load)]


def is_never_imported(test):
    test = getattr(test, "left", test)
    return getattr(test, "id", getattr(test, "attr", "")) in ("TYPE_CHECKING", "__name__")


def survey(path):
    try:
        with open(path, "rb") as file:
            tree = ast.parse(file.read())
        module = Module()
        module.read(tree.body, True)
        return module.told()
    except Exception as error:
        return {"error": str(error)[:300]}


json.dump([survey(path) for path in sys.argv[2:]], sys.stdout)
