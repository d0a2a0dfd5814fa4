"""What the tests under a real systemd share: the machine."""

import machine as machines
import parts
import pytest


@pytest.fixture(scope="session")
def machine():
    """One booted systemd with ws-echo installed, for all tests that change nothing for good."""
    parts.require_root()
    with machines.Machine() as booted:
        booted.install()
        yield booted
