"""Writes each example of this interpreter's own test_syntax.py that is to fail into a file of a folder.

usage: PYTHON syntax_doctests.py FOLDER
"""
import ast, doctest, os, sys, sysconfig

path = os.path.join(sysconfig.get_paths()["stdlib"], "test", "test_syntax.py")
with open(path, encoding="utf-8") as file:
    examples = doctest.DocTestParser().get_examples(ast.get_docstring(ast.parse(file.read())))
failing = [example.source for example in examples if example.exc_msg and "Error" in example.exc_msg]
for number, source in enumerate(failing):
    with open(os.path.join(sys.argv[1], "%d.%d-%03d.py" % (sys.version_info[:2] + (number,))), "w", encoding="utf-8") as file:
        file.write(source)
