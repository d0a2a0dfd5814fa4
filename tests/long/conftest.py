"""The tests that take minutes: the way to the modules of the other tests."""

import pathlib
import sys

TESTS = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(TESTS / folder) for folder in (".", "system", "bench")]
