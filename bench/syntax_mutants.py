"""Breaks files of this interpreter's own library, has each mended, and compares what a repair means with what the file meant before.

usage: PYTHON syntax_mutants.py HEAL COUNT SEED
"""
import ast, collections, glob, io, os, random, re, sys, sysconfig, tempfile, tokenize

from syntax_asked import applied, ask

HEADERS = "if elif else for while def class try except finally with async".split()


def tokens(source):
    """(kind, text, start, end) of every token, as offsets."""
    starts = [0]
    for line in source.splitlines(True):
        starts.append(starts[-1] + len(line))
    place = lambda at: starts[at[0] - 1] + at[1]
    found = []
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.string.strip() and token.type not in (tokenize.COMMENT,):
            found.append((token.type, token.string, place(token.start), place(token.end), token.line))
    return found


def cut(source, start, end, put=""):
    return source[:start] + put + source[end:]


def drop_colon(source, found, pick):
    ends = [t for t, n in zip(found, found[1:]) if t[1] == ":" and t[4].split("(")[0].split()[0].rstrip(":") in HEADERS and n[2] > t[3] and "\n" in source[t[3]:n[2]]]
    token = pick(ends)
    return cut(source, token[2], token[3])


def drop_closer(source, found, pick):
    token = pick([t for t in found if t[1] in (")", "]", "}")])
    return cut(source, token[2], token[3])


def drop_token(source, found, pick):
    token = pick(found)
    return cut(source, token[2], token[3])


def double_token(source, found, pick):
    token = pick(found)
    return cut(source, token[3], token[3], " " + token[1])


def swap_tokens(source, found, pick):
    at = pick(range(len(found) - 1))
    one, two = found[at], found[at + 1]
    return source[:one[2]] + two[1] + source[one[3]:two[2]] + one[1] + source[two[3]:]


def drop_character(source, found, pick):
    at = pick(range(len(source)))
    return cut(source, at, at + 1)


def drop_line(source, found, pick):
    lines = source.splitlines(True)
    del lines[pick(range(len(lines)))]
    return "".join(lines)


def truncate(source, found, pick):
    return source[:pick(range(len(source)))]


def else_if(source, found, pick):
    token = pick([t for t in found if t[1] == "elif"])
    return cut(source, token[2], token[3], "else if")


def equals(source, found, pick):
    token = pick([t for t in found if t[1] == "==" and t[4].split()[0] in ("if", "elif", "while")])
    return cut(source, token[2], token[3], "=")


def smart(source, found, pick):
    token = pick([t for t in found if t[0] == tokenize.STRING and t[1][0] in "\"'" and t[1][:3] not in ('"""', "'''")])
    open, close = ("\u201c", "\u201d") if token[1][0] == '"' else ("\u2018", "\u2019")
    return cut(source, token[2], token[3], open + token[1][1:-1] + close)


def nbsp(source, found, pick):
    at = pick([m.start() for m in re.finditer(" ", source)])
    return cut(source, at, at + 1, "\u00a0")


def invisible(source, found, pick):
    at = pick([t[2] for t in found] + [t[3] for t in found])
    return cut(source, at, at, pick(["\u200b", "\ufeff", "\u2060"]))


def tab(source, found, pick):
    at = pick([m for m in re.finditer("(?m)^( {8})+", source)])
    return cut(source, at.start(), at.end(), at.group().replace(" " * 8, "\t"))


def tab4(source, found, pick):
    at = pick([m for m in re.finditer("(?m)^( {4})+", source)])
    return cut(source, at.start(), at.end(), at.group().replace(" " * 4, "\t"))


def fence(source, found, pick):
    return "```python\n" + source + "```\n"


def prompts(source, found, pick):
    return "".join(("... " if line[0] in " \t" else ">>> ") + line for line in source.splitlines(True))


def nul(source, found, pick):
    return source + "\0" * pick([1, 3, 100])


def print2(source, found, pick):
    at = pick([m for m in re.finditer(r"(?m)^( *)print\((.+)\)$", source)])
    return cut(source, at.start(), at.end(), at.group(1) + "print " + at.group(2))


def except2(source, found, pick):
    at = pick([m for m in re.finditer(r"(?m)^( *except .+) as (\w+):$", source)])
    return cut(source, at.start(), at.end(), at.group(1) + ", " + at.group(2) + ":")


def unequal(source, found, pick):
    token = pick([t for t in found if t[1] == "!="])
    return cut(source, token[2], token[3], "<>")


def raise2(source, found, pick):
    at = pick([m for m in re.finditer(r"(?m)^( *raise \w+)\((.+)\)$", source)])
    return cut(source, at.start(), at.end(), at.group(1) + ", " + at.group(2))


def octal(source, found, pick):
    token = pick([t for t in found if re.match(r"0o[0-7]+$", t[1])])
    return cut(source, token[2], token[3], "0" + token[1][2:])


def backticks(source, found, pick):
    at = pick([m for m in re.finditer(r"repr\(([\w.]+)\)", source)])
    return cut(source, at.start(), at.end(), "`" + at.group(1) + "`")


MUTATIONS = [drop_colon, drop_closer, drop_token, double_token, swap_tokens, drop_character, drop_line, truncate, else_if, equals, smart, nbsp,
             invisible, tab, tab4, fence, prompts, nul, print2, except2, unequal, raise2, octal, backticks]


def broken(text):
    try:
        compile(text, "<mutant>", "exec", dont_inherit=True)
        return False
    except Exception:
        return True


def snippet(source, chooser):
    """The file, or one function or class of it: a small file has fewer places for a rival."""
    tree = ast.parse(source)
    bodies = [node for node in tree.body if hasattr(node, "body") and hasattr(node, "end_lineno")]
    if not bodies or chooser.random() < 0.5:
        return source
    node = chooser.choice(bodies)
    lines = source.splitlines(True)
    return "".join(lines[node.lineno - 1:node.end_lineno])


def main():
    heal, count, seed = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    chooser = random.Random(seed)
    library = sysconfig.get_paths()["stdlib"]
    files = [f for folder in ("", "json", "email", "http", "unittest", "test") for f in glob.glob(os.path.join(library, folder, "*.py"))]
    files = [f for f in sorted(files) if 500 < os.path.getsize(f) < 40000 and "bad" not in f]
    cases = []
    with tempfile.TemporaryDirectory() as folder:
        while len(cases) < count:
            mutation = MUTATIONS[len(cases) % len(MUTATIONS)]
            try:
                with open(chooser.choice(files), encoding="utf-8", newline="") as file:
                    source = snippet(file.read(), chooser)
                mutant = mutation(source, tokens(source), chooser.choice)
                meant = ast.dump(ast.parse(source))
            except (UnicodeDecodeError, IndexError, SyntaxError, tokenize.TokenError):
                continue
            if mutant != source and broken(mutant.encode()):
                name = os.path.join(folder, "%d.py" % len(cases))
                with open(name, "wb") as file:
                    file.write(mutant.encode())
                cases.append((mutation.__name__, mutant.encode(), meant, name, source))
        names = [case[3] for case in cases]
        answers = []
        for at in range(0, len(names), 200):
            answers += [(verdict, edits) for _, verdict, edits in ask(heal, sys.executable, names[at:at + 200])]
    table = collections.defaultdict(collections.Counter)
    for (name, mutant, meant, _, source), (outcome, edits) in zip(cases, answers):
        if outcome == "fixed":
            text = applied(mutant, edits)
            outcome = "fixed" if ast.dump(ast.parse(text)) == meant else "WRONG"
            if outcome == "WRONG":
                print("--- WRONG after %s, by %s" % (name, ",".join(sorted({e["class"] for e in edits}))))
                before, after, was = mutant.decode(), text.decode(), source
                for a, b in zip(before.splitlines(), after.splitlines()):
                    if a != b:
                        print("  - %s\n  + %s" % (a, b))
                for a, b in zip(before.splitlines(), was.splitlines()):
                    if a != b:
                        print("  = %s" % b)
                        break
        table[name][outcome] += 1
        table["all"][outcome] += 1
    print("| Python %d.%d, seed %d | fixed | WRONG | suggested | refused | mismatch |\n|---|---|---|---|---|---|" % (sys.version_info[:2] + (seed,)))
    for name in [m.__name__ for m in MUTATIONS] + ["all"]:
        print("| %s | %s |" % (name, " | ".join(str(table[name][o]) for o in ("fixed", "WRONG", "suggested", "refused", "mismatch"))))


main()
