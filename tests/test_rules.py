"""Every rule has its tests, and every test of the protocol its rule; see rules.txt."""

import subprocess
import sys

import wire


def test_every_rule_has_tests_and_every_test_of_the_protocol_a_rule():
    result = subprocess.run([sys.executable, wire.TOP / "tests/rules.py"], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
