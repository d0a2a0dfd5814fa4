"""What the tests of the packages share: the way to the modules beside, and fresh Debians."""

import os
import pathlib
import subprocess
import sys

import pytest

TESTS = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(TESTS), str(TESTS / "system")]

import parts
import wire

import machine as machines

BUILDING = 600  # seconds after which a build that hangs is given up


@pytest.fixture(scope="session", autouse=True)
def privileges():
    if os.geteuid() != 0:
        reason = "roots and namespaces of their own need root"
        pytest.fail(reason, pytrace=False) if os.environ.get("CI") == "true" else pytest.skip(reason)


def made(target, *needed):
    """Runs `make` for a target, which needs these commands of these packages; returns what it says."""
    for command, package in needed:
        parts.require(command, package)
    result = subprocess.run(["make", "--no-print-directory", target], cwd=wire.TOP, text=True, check=False,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=BUILDING)
    assert result.returncode == 0, result.stdout
    return result.stdout


def debian(suite):
    """A machine with a fresh Debian: booted, without a network, and gone at the end with all that was changed."""
    root = wire.TOP / "build/roots" / suite
    parts.require_file(f"{root}.made", "mmdebstrap, then run 'make deps-packages'")
    return machines.Machine(root=root)


def echoes(peer, string="Hello"):
    peer.send(wire.text(string))
    assert peer.frame() == (True, wire.TEXT, wire.PREFIX + string.encode())


def leave(peer):
    peer.send(wire.close(1000))
    assert peer.frame() == (True, wire.CLOSE, wire.close_body(1000))
    assert peer.ended()
    peer.close()


def recorded(machine, cursor, port):
    """Waits for the journal's entry about the connection from this port."""
    wire.wait_until(lambda: machine.journal(cursor, SYSLOG_IDENTIFIER="ws-echo", REMOTE_PORT=str(port)),
                    f"the record of port {port} is in the journal")
