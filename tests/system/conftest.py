# SPDX-License-Identifier: MIT
"""Shared by the tests of whole systems: they need root, and a machine with a real systemd."""

import pathlib
import subprocess

import machine as machines
import pytest
from require import require, require_root


@pytest.fixture(scope="session", autouse=True)
def privileges():
    require_root()


@pytest.fixture(scope="session")
def machine():
    """One booted systemd with ws-echo installed, shared by all tests that undo their changes."""
    with machines.Machine() as booted:
        booted.install()
        yield booted


@pytest.fixture(scope="session")
def probe(tmp_path_factory):
    """probe.c, compiled, which replaces the program: `machine.replaced(machine.program, probe)`."""
    compiled = tmp_path_factory.mktemp("probe") / "probe"
    subprocess.run([require("gcc", "gcc"), "-static", "-O2", "-Wall", "-Wextra", "-Werror", "-o", compiled,
                    pathlib.Path(__file__).with_name("probe.c")], check=True)
    return compiled.read_bytes()
