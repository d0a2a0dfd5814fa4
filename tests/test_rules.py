"""Every rule has tests, and every test of the protocol belongs to a rule: see rules.txt. No test depends on the user."""

import re
import subprocess
import sys

import wire


def test_every_rule_has_tests_and_every_test_of_the_protocol_a_rule():
    result = subprocess.run([sys.executable, wire.TOP / "tests/rules.py"], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


def test_no_test_of_make_check_asks_who_runs_it():
    """Tests that need root belong in tests/system: here, other users would skip them unnoticed."""
    shared = [wire.TOP / "tests" / name for name in ("conftest.py", "faults.py", "inject.c", "sessions.py", "wire.py",
                                                     "bench/instructions.py")]
    asking = re.compile(r"\bgete?uid\(\)|\brequire_" r"root\b")
    found = [f"{path.name}: {line.strip()}" for path in [*(wire.TOP / "tests").glob("test_*.py"), *shared]
             for line in path.read_text(encoding="utf-8").splitlines() if asking.search(line)]
    assert not found, "\n".join(found)
