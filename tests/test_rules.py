"""Every rule has its tests, and every test of the protocol its rule: see rules.txt. They are the same for every user."""

import re
import subprocess
import sys

import wire


def test_every_rule_has_tests_and_every_test_of_the_protocol_a_rule():
    result = subprocess.run([sys.executable, wire.TOP / "tests/rules.py"], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


def test_no_test_of_make_check_asks_who_runs_it():
    """What needs root is in tests/system: here others would skip it, and nobody would notice."""
    shared = [wire.TOP / "tests" / name for name in ("conftest.py", "faults.py", "inject.c", "sessions.py", "wire.py",
                                                     "bench/instructions.py")]
    asking = re.compile(r"\bgete?uid\(\)|\brequire_" r"root\b")
    found = [f"{path.name}: {line.strip()}" for path in [*(wire.TOP / "tests").glob("test_*.py"), *shared]
             for line in path.read_text(encoding="utf-8").splitlines() if asking.search(line)]
    assert not found, "\n".join(found)
