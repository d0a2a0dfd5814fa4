"""What the tests under a real systemd share: the way to the modules beside, and the machine."""

import os
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

import machine as machines


@pytest.fixture(scope="session")
def machine():
    """One booted systemd with ws-echo installed, for all tests that change nothing for good."""
    if os.geteuid() != 0:
        reason = "namespaces with a systemd of their own need root"
        pytest.fail(reason, pytrace=False) if os.environ.get("CI") == "true" else pytest.skip(reason)
    with machines.Machine() as booted:
        booted.install()
        yield booted
