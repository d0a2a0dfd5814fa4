"""The tests in other roots: the way to the modules beside, and the privileges that they need."""

import os
import pathlib
import sys

import pytest

TESTS = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(TESTS), str(TESTS / "system")]

import parts


@pytest.fixture(scope="session", autouse=True)
def privileges():
    if os.geteuid() != 0:
        reason = "roots and namespaces of their own need root"
        pytest.fail(reason, pytrace=False) if os.environ.get("CI") == "true" else pytest.skip(reason)
    parts.require("mmdebstrap", "mmdebstrap")
