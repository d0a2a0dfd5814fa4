# SPDX-License-Identifier: MIT
"""Every rule has tests, and every test of the protocol belongs to a rule: see lib/rule.py. No test depends on the user."""

import re
import subprocess
import sys

import project


def test_every_rule_has_tests_and_every_test_of_the_protocol_a_rule():
    result = subprocess.run([sys.executable, project.TOP / "tests/tools/rules.py"], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


def test_no_test_of_make_check_asks_who_runs_it():
    """Tests that need root belong in tests/system: here, other users would skip them unnoticed."""
    shared = [project.TESTS / "conftest.py", *project.TESTS.glob("lib/*.[pc]*"), project.TESTS / "bench/instructions.py"]
    shared = [path for path in shared if path.name not in ("require.py", "browsers.py", "malformed.py")]  # which have the question
    tests = map(project.TESTS.joinpath, project.tests_in(project.OF_THE_PROGRAM + project.ONCE))
    asking = re.compile(r"\bgete?uid\(\)|\brequire_" r"root\b")
    found = [f"{path.name}: {line.strip()}" for path in [*tests, *shared]
             for line in path.read_text(encoding="utf-8").splitlines() if asking.search(line)]
    assert not found, "\n".join(found)
