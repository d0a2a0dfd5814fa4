"""How much of the program the corpora of the fuzzers cover, and that it holds for many changed copies of each input."""

import re
import subprocess

import project
import pytest
from corpora import targets_of, unpacked
from require import require
from tests_in_c import FUZZERS, compile_fuzzer, passes

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
