"""What the tests of whole systems share: the privileges, and a machine with a real systemd."""

import machine as machines
import parts
import pytest


@pytest.fixture(scope="session", autouse=True)
def privileges():
    parts.require_root()


@pytest.fixture(scope="session")
def machine():
    """One booted systemd with ws-echo installed, for all tests that change nothing for good."""
    with machines.Machine() as booted:
        booted.install()
        yield booted
