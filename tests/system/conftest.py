"""Shared by the tests of whole systems: they need root, and a machine with a real systemd."""

import machine as machines
from require import require_root
import pytest


@pytest.fixture(scope="session", autouse=True)
def privileges():
    require_root()


@pytest.fixture(scope="session")
def machine():
    """One booted systemd with ws-echo installed, shared by all tests that undo their changes."""
    with machines.Machine() as booted:
        booted.install()
        yield booted
