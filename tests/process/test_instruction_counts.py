# SPDX-License-Identifier: MIT
"""A message and a start take no more instructions and calls than recorded; see bench/instructions.py."""

import os
import platform
import re
import subprocess
import sys

import framing
import heads
import instructions
import project
import pytest
from require import require, require_file

pytestmark = pytest.mark.compiles


@pytest.mark.slow("valgrind runs the program two dozen times")
def test_nothing_takes_more_instructions_than_committed():
    result = subprocess.run([sys.executable, project.TOP / "tests/bench/instructions.py"], capture_output=True, text=True,
                            env={name: value for name, value in os.environ.items() if name != "WS_ECHO"}, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    if result.stdout.startswith("instructions: not compared"):
        pytest.skip(result.stdout.strip())


SHORT = {
    "text": framing.text("x" * 16),
    "ping": framing.frame(framing.PING, b"x" * 16),
    "fragments": framing.frame(framing.TEXT, b"x" * 8, fin=False) + framing.frame(framing.CONTINUATION, b"x" * 8),
}


@pytest.mark.slow("valgrind runs the program twice")
@pytest.mark.parametrize("kind", SHORT)
@pytest.mark.parametrize("name", ["ws-echo", "ws-echo-static"])
def test_a_short_message_calls_no_function_of_a_library(name, kind):
    """Above all not memcpy: for a short message, the call costs more than copying, most with musl."""
    require("valgrind", "valgrind")
    program = project.TOP / name
    require_file(program, f"make ({name})")
    if platform.machine() != "x86_64" or program.read_bytes()[4] == instructions.ELF_32:
        pytest.skip("the filter that callgrind needs is for x86-64 only")
    few, many = (instructions.calls(program, heads.head() + SHORT[kind] * number + framing.close(1000)) for number in (10, 110))
    ours = {function.partition(".")[0] for function in many if many[function] - few.get(function, 0) >= 100}
    assert ours and [function for function in ours if not re.search(rf"^\w.*\b{function}\(", project.source(), re.M)] == []
