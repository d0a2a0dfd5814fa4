"""How much of the program the corpora of the fuzzers cover."""

import re
import subprocess

import project
from require import require

ELSEWHERE = {"src/start.c", "src/sandbox.c"}  # files that no fuzzer calls


def test_the_corpora_alone_reach_nineteen_of_twenty_lines():
    require("gcov", "gcc")
    said = subprocess.run([project.TOP / "tests" / "coverage.py", "corpus"], capture_output=True, text=True,
                          timeout=10 * project.LIMIT, check=True).stdout
    files = re.findall(r"^(.{34}) *(\d+) of +(\d+) lines", said, re.M)
    lines = [(int(reached), int(count)) for name, reached, count in files if name.strip() not in ELSEWHERE]
    reached, count = map(sum, zip(*lines))
    assert len(lines) > 10 and reached >= 0.95 * count, said
    print(f"{reached} of {count} lines")
