# SPDX-License-Identifier: MIT
"""No test of make check depends on the user who runs it."""

import re

import project


def test_no_test_of_make_check_asks_who_runs_it():
    """Tests that need root belong in tests/system: here, other users would skip them unnoticed."""
    shared = [project.TESTS / "conftest.py", *project.TESTS.glob("lib/*.[pc]*"), project.TESTS / "bench/instructions.py"]
    shared = [path for path in shared if path.name not in ("require.py", "browsers.py", "malformed.py")]  # which have the question
    tests = map(project.TESTS.joinpath, project.tests_in(project.OF_THE_PROGRAM + project.ONCE))
    asking = re.compile(r"\bgete?uid\(\)|\brequire_" r"root\b")
    found = [f"{path.name}: {line.strip()}" for path in [*tests, *shared]
             for line in path.read_text(encoding="utf-8").splitlines() if asking.search(line)]
    assert not found, "\n".join(found)
