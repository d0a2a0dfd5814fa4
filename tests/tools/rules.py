#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The table of the rules that tests name, by section, with the number of their cases: tests/tools/rules.py [-v].

With -v each case is named. What does not fit is on standard error, and the exit status is 1: a rule without a sentence or
with two, rows that do not exist, a section that the manual does not have, a test of the protocol that names no rule, or too
few cases.
"""

import ast
import collections
import contextlib
import io
import os
import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "lib"))

import project
from project import TESTS, TOP
from rule import rule

LEAST = 300
SECTION = re.compile(r"(RFC [0-9]+ [0-9.]*[0-9]|PROXY protocol [0-9.]*[0-9]|(?P<page>[a-z-]+)\((?P<part>[1-8])\) (?P<title>[A-Z ]+?))"
                     r"(?P<number> \([1-9][0-9]*\))?")
ORDER = ["RFC 6455", "RFC 7692", "RFC 9112", "RFC 9110", "PROXY", "ws-echo"]

# Every test in these folders and files is of a rule.
COMPLETE = ("protocol/", "clients/", "process/test_signal_races.py")


def collected():
    """[(case, its function, [(where a rule is named, its section, sentence and rows)])], of what pytest finds and of the tests
    that need a system, which it may not."""
    import pytest

    class Collector:
        def pytest_collection_modifyitems(self, items):
            self.cases = []
            for item in items:
                function = f"{item.path.relative_to(TESTS)}::{item.originalname}"
                named = [(function if node is item else item.path, *mark.args) for node, mark in item.iter_markers_with_node("rule")]
                self.cases.append((function + item.name.removeprefix(item.originalname), function, named))

    os.environ.setdefault("WS_ECHO", str(TOP / "ws-echo"))  # one program is enough
    collector = Collector()
    with contextlib.redirect_stdout(io.StringIO()) as said:
        status = pytest.main(["--collect-only", "-q", "-p", "no:cacheprovider",
                              *(str(TESTS / file) for file in project.tests_in(project.OF_THE_PROGRAM + project.ONCE))],
                             plugins=[collector])
    if status:
        sys.exit(said.getvalue()[said.getvalue().find("= ERRORS") :])
    for path in sorted((TESTS / "system").glob("test_*.py")):
        module = ast.parse(path.read_text(encoding="utf-8"))
        of_all = [(path, *rules) for node in module.body if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "pytestmark"
                  for rules in rules_in(node.value)]
        for node in module.body:
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                name = f"{path.relative_to(TESTS)}::{node.name}"
                own = [(name, *rules) for each in node.decorator_list for rules in rules_in(each)]
                collector.cases.append((name, name, [*of_all, *own]))
    return collector.cases


def rules_in(expression):
    """The arguments of the calls of rule() in an expression."""
    return [rule(*map(ast.literal_eval, node.args), **{word.arg: ast.literal_eval(word.value) for word in node.keywords}).mark.args
            for node in ast.walk(expression) if isinstance(node, ast.Call) and ast.unparse(node.func) == "rule"]


def order(section):
    """As the documents are read."""
    numbers = [int(number) for number in re.findall(r"\d+", section.partition(" ")[2].partition(" ")[2])]
    document = next((place for place, name in enumerate(ORDER) if section.startswith(name)), len(ORDER))
    return document, re.sub(r"[\d.]+.*", "", section.partition(" ")[2]), numbers


def is_chosen(case, function, rows):
    """Whether the patterns choose the row of this case."""
    row = case.removeprefix(function).removeprefix("[").removesuffix("]")
    return any(re.fullmatch(re.escape(pattern).replace(r"\*", ".*").replace(r"\?", "."), row) for pattern in rows.split())


def main():
    sentences, cases_of, chosen, problems = collections.defaultdict(dict), collections.defaultdict(dict), {}, set()
    without, of_a_rule = set(), set()
    for case, function, named in collected():
        for where, section, sentence, rows in named:
            if sentence:
                sentences[section][sentence, where] = True
            chosen.setdefault((function, section, rows), False)
            cases_of[section]
            if is_chosen(case, function, rows):
                chosen[function, section, rows] = True
                cases_of[section][case] = True
                of_a_rule.add(case)
        if case not in of_a_rule and function.startswith(COMPLETE):
            without.add(function)
    for section in sorted(cases_of, key=order):
        match = SECTION.fullmatch(section)
        if not match:
            problems.add(f"not a section: {section}")
        elif match["page"] and f"\n.Sh {match['title']}\n" not in (TOP / f"man/{match['page']}.{match['part']}").read_text("utf-8"):
            problems.add(f"the manual has no {section}")
        texts = sorted({sentence for sentence, _ in sentences[section]})
        if len(sentences[section]) != 1:
            places = ", ".join(sorted(str(where) for _, where in sentences[section])) or f"none of {', '.join(cases_of[section])}"
            problems.add(f"{section} has to have its sentence in one place: {places}")
        print(f"{len(cases_of[section]):5}  {section}: {' '.join(texts)}")
        if "-v" in sys.argv[1:]:
            print(*(f"           {case}" for case in cases_of[section]), sep="\n")
    print(f"{len(of_a_rule):5}  cases of {len(cases_of)} rules")
    problems |= {f"{section} of {function}: no such row among {rows}" for (function, section, rows), found in chosen.items() if not found}
    problems |= {f"a test that names no rule: {function}" for function in without}
    if len(of_a_rule) < LEAST:
        problems.add(f"{len(of_a_rule)} cases; there have to be {LEAST}")
    sys.exit("\n".join(sorted(problems)) or 0)


if __name__ == "__main__":
    main()
