#!/usr/bin/python3
"""Prints the rules of rules.txt, each with the number of test cases for it: tests/tools/rules.py [-v].

-v also prints the cases. Prints errors to standard error and exits with 1 if a rule has no test, if a test does not
exist, if no rule names a test of the files in COMPLETE, or if there are too few cases.
"""

import ast
import contextlib
import io
import os
import pathlib
import re
import sys

HERE = pathlib.Path(__file__).resolve().parent
LEAST = 300
SECTION = re.compile(r"RFC [0-9]+ section [0-9.]*[0-9]|PROXY protocol section [0-9.]*[0-9]|"
                     r"(ws-echo[a-z-]*)\(([1-8])\) ([A-Z ]+)")

# The files of which each test must belong to a rule.
COMPLETE = {"closing", "compression", "compression_clients", "conformance", "cuts", "frames", "gaps", "handshake", "head",
            "head_oracles", "lab", "lab_frames", "lab_handshake", "lab_manual", "lab_trigger", "oracles", "proxy_protocol",
            "utf8"}


def rules():
    """The rules of rules.txt: (section, sentence, [lines that name tests])."""
    found, section = [], None
    for line in (HERE / "rules.txt").read_text(encoding="utf-8").splitlines():
        if line.startswith("== "):
            section = line[3:]
        elif line.startswith("    "):
            found[-1][2].append(line.strip())
        elif line and not line.startswith("#"):
            found.append((section, line, []))
    return found


def collected():
    """The test cases as FILE: TEST: those that pytest collects in this folder, and the tests in system/, read from the
    source because pytest may be unable to collect them here."""
    import pytest

    class Collector:
        def pytest_collection_modifyitems(self, items):
            self.names = [f"{item.path.stem.removeprefix('test_')}: {item.name.removeprefix('test_')}" for item in items]

    os.environ.setdefault("WS_ECHO", str(HERE.parent / "ws-echo"))  # one program is enough
    collector = Collector()
    with contextlib.redirect_stdout(io.StringIO()) as said:
        files = sorted(str(path) for path in HERE.glob("test_*.py"))
        status = pytest.main(["--collect-only", "-q", "-p", "no:cacheprovider", *files], plugins=[collector])
    if status:
        sys.exit(said.getvalue()[said.getvalue().find("= ERRORS") :])
    for path in sorted((HERE / "system").glob("test_*.py")):
        collector.names += [f"{path.stem.removeprefix('test_')}: {node.name.removeprefix('test_')}"
                            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
                            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")]
    return collector.names


def matching(test, names):
    """The names that a line of rules.txt matches."""
    pattern = "".join({"*": ".*", "?": "."}.get(part, re.escape(part)) for part in re.split(r"([*?])", test))
    return list(filter(re.compile(pattern + ("" if "[" in test else r"(\[.*\])?")).fullmatch, names))


def main():
    names, table, problems = collected(), rules(), []
    pages = {path.name: path.read_text(encoding="utf-8") for path in (HERE.parent / "man").glob("*.[1-8]")}
    of_a_rule = set()
    for section, sentence, tests in table:
        place = SECTION.fullmatch(section or "")
        if not place:
            problems.append(f"not a section: {section}")
        elif place[1] and f"\n.Sh {place[3]}\n" not in pages.get(f"{place[1]}.{place[2]}", ""):
            problems.append(f"the manual has no {section}")
        if not tests:
            problems.append(f"a rule without a test: {section}: {sentence}")
        cases = {}
        for test in tests:
            found = matching(test, names)
            cases.update(dict.fromkeys(found))
            if not found:
                problems.append(f"a test that does not exist: {test}")
        of_a_rule.update(cases)
        print(f"{len(cases):5}  {section}: {sentence}")
        if "-v" in sys.argv[1:]:
            print(*(f"           {case}" for case in cases), sep="\n")
    print(f"{len(of_a_rule):5}  cases of {len(table)} rules")
    if len(of_a_rule) < LEAST:
        problems.append(f"{len(of_a_rule)} cases; there have to be {LEAST}")
    left = {re.sub(r"\[.*", "", name) for name in names if name.split(":")[0] in COMPLETE and name not in of_a_rule}
    problems += [f"a test that no rule names: {name}" for name in sorted(left)]
    sys.exit("\n".join(problems) or 0)


if __name__ == "__main__":
    main()
