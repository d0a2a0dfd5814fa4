# SPDX-License-Identifier: MIT
"""The tests in C with other compilers than in `make check`, how much of the program the corpora of the fuzzers cover, and that
it holds for many changed copies of each input."""

import re
import subprocess

import project
import pytest
from corpora import targets_of, unpacked
from require import require
from tests_in_c import FUZZERS, ROOMS, SANITIZED, compile_fuzzer, compile_room, passes

ELSEWHERE = {"src/start.c", "src/sandbox.c"}  # files that no fuzzer calls


def test_the_corpora_alone_reach_nineteen_of_twenty_lines():
    require("gcov", "gcc")
    said = subprocess.run([project.TOP / "tests" / "tools" / "coverage.py", "corpus"], capture_output=True, text=True,
                          timeout=10 * project.LIMIT, check=True).stdout
    files = re.findall(r"^(.{34}) *(\d+) of +(\d+) lines", said, re.M)
    lines = [(int(reached), int(count)) for name, reached, count in files if name.strip() not in ELSEWHERE]
    reached, count = map(sum, zip(*lines))
    assert len(lines) > 10 and reached >= 0.95 * count, said
    print(f"{reached} of {count} lines")


@pytest.mark.parametrize("fuzzer", FUZZERS)
def test_inputs_of_the_corpora_and_many_changed_copies_hold(fuzzer, tmp_path):
    """test_unit.py tries fewer copies."""
    program = compile_fuzzer("cc", fuzzer, f"fuzz-{fuzzer}-long", "-O1", "-DSTANDALONE")
    for target in targets_of(fuzzer):
        count = unpacked(target, tmp_path / target)
        assert passes(program, tmp_path / target, TARGET=target, CHANGES="100") == f"{count} inputs\n"


@pytest.mark.parametrize("fuzzer", FUZZERS)
def test_inputs_of_the_corpora_hold_under_sanitizers(fuzzer, tmp_path):
    """`make fuzz` searches for new inputs."""
    options = ["-O0", *SANITIZED, "-fsanitize=fuzzer"]  # optimising takes longer than it saves
    program = compile_fuzzer(require("clang", "clang"), fuzzer, f"fuzz-{fuzzer}-sanitized", *options)
    for target in targets_of(fuzzer):
        unpacked(target, tmp_path / target)
        said = passes(program, "-seed=1", "-runs=2000", tmp_path / target, TARGET=target)
        assert re.search(r"^Done \d+ runs", said, re.M), said


@pytest.mark.parametrize("room", ROOMS)
def test_the_functions_of_a_room_compiled_by_gcc(room):
    """test_unit.py compiles them with clang and its sanitizers."""
    assert passes(compile_room(room, "plain", "gcc", "-O1")).endswith(" passed, 0 failed\n")
