# Reads candidates from its input, each behind a line `LENGTH KEEP`, and tells of each whether this interpreter compiles it.
# Runs on 2.7 and on 3.6 and later. Nothing of a candidate is ever run, imported or written.
import sys

# Without -I, which Python 2 has not, a file of the working folder could pass for a module of the library.
sys.path[:] = [folder for folder in sys.path if folder]
# To import `ast` would take longer than all the rest.
from _ast import AST, PyCF_ONLY_AST

stdin = getattr(sys.stdin, "buffer", sys.stdin)
stdout = getattr(sys.stdout, "buffer", sys.stdout)


def shape(statement):
    told, left = [], [statement]
    while left:
        node = left.pop()
        if isinstance(node, AST):
            told.append(type(node))
            left.extend([getattr(node, field, None) for field in node._fields])
        elif isinstance(node, list):
            told.append(len(node))
            left.extend(node)
        else:
            told.append(repr(node))
    return told


def shapes(source, most=None):
    return [shape(statement) for statement in compile(source, "<candidate>", "exec", PyCF_ONLY_AST, True).body[:most]]


def judge(source, keep):
    compile(source, "<candidate>", "exec", 0, True)
    before = shapes(source[:keep]) if keep else []
    return "ok" if not keep or shapes(source, len(before)) == before else "moved"


def told(error):
    message = str(getattr(error, "msg", None) or error)[:300]
    for blank in "\t\r\n":
        message = message.replace(blank, " ")
    place = [getattr(error, name, None) or 0 for name in ("lineno", "offset")]
    return "\t".join(["fail", type(error).__name__] + [str(number) for number in place] + [message])


def tell(line):
    stdout.write(line.encode("utf-8", "replace") if str is not bytes else line)
    stdout.write(b"\n")


tell("%d %d" % sys.version_info[:2])
for header in iter(stdin.readline, b""):
    length, keep = map(int, header.split())
    candidate = stdin.read(length)
    try:
        ruling = judge(candidate, keep)
    except Exception as error:
        ruling = told(error)
    tell(ruling)
