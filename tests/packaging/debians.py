# SPDX-License-Identifier: MIT
"""Shared by the tests of the packages: fresh Debian machines, and checks of a connection."""

import os
import subprocess

import framing
import launch
import machine
import project
from require import require, require_file

BUILDING = 600  # seconds until a hanging build is given up

# Who publishes the packages that are built on them, and the command that says so in an unpacked source.
ADDRESS, HOME = "Jane Doe <jane@example.org>", "https://example.org/ws-echo"
PUBLISH = f"printf '%s\\n' 'address={ADDRESS}' 'home={HOME}' | tee ws-echo-*/packaging/publisher"


def made(target, *needed, tree=project.TOP, **environment):
    """Runs `make` for a target that needs these commands of these packages; returns its output."""
    for command, package in needed:
        require(command, package)
    result = subprocess.run(["make", "--no-print-directory", target], cwd=tree, text=True, check=False,
                            env={**os.environ, **environment}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                            timeout=BUILDING)
    assert result.returncode == 0, result.stdout
    return result.stdout


def debian(suite):
    """A booted machine with a fresh Debian, without a network; at the end, it and all changes are removed."""
    root = project.TOP / "build/roots" / suite
    require_file(f"{root}.made", "mmdebstrap, then run 'make deps-packages'")
    return machine.Machine(lower=root)


def echoes(peer, prefix=framing.PREFIX):
    peer.send(framing.text("Hello"))
    assert peer.frame() == (True, framing.TEXT, prefix + b"Hello")


def leave(peer):
    peer.send(framing.close(1000))
    assert peer.frame() == (True, framing.CLOSE, framing.close_body(1000))
    assert peer.ended()
    peer.close()


def recorded(booted, cursor, port):
    """Waits for the journal's entry about the connection from this port."""
    launch.wait_until(lambda: booted.journal(cursor, SYSLOG_IDENTIFIER="ws-echo", REMOTE_PORT=str(port)),
                    f"the record of port {port} is in the journal")
