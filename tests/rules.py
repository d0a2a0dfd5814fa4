#!/usr/bin/python3
"""The table of rules.txt with the cases that the tests have for each rule: tests/rules.py [-v].

With -v each case is named. What does not fit is on standard error, and the exit status is 1: a rule without a test, a test
that does not exist, one of the tests of the protocol that no rule names, or too few cases.
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
SECTION = re.compile(r"RFC [0-9]+ section [0-9.]*[0-9]|PROXY protocol section [0-9.]*[0-9]|ws-echo\(8\) [A-Z ]+")

# Every test in these is of a rule.
COMPLETE = {"closing", "compression", "compression_clients", "conformance", "cuts", "frames", "gaps", "handshake", "head",
            "head_oracles", "oracles", "proxy_protocol", "utf8"}


def rules():
    """Rows of rules.txt: (section, sentence, [test as it is written there])."""
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
    """The cases that pytest finds in this folder, and the tests that need a system, which it may not, as FILE: TEST."""
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
    """The names that a line of rules.txt stands for."""
    pattern = "".join({"*": ".*", "?": "."}.get(part, re.escape(part)) for part in re.split(r"([*?])", test))
    return list(filter(re.compile(pattern + ("" if "[" in test else r"(\[.*\])?")).fullmatch, names))


def main():
    names, table, problems = collected(), rules(), []
    manual = (HERE.parent / "man/ws-echo.8").read_text(encoding="utf-8")
    of_a_rule = set()
    for section, sentence, tests in table:
        if not section or not SECTION.fullmatch(section):
            problems.append(f"not a section: {section}")
        elif section.startswith("ws-echo(8)") and f"\n.Sh {section[11:]}\n" not in manual:
            problems.append(f"the manual has no {section[11:]}")
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
