# SPDX-License-Identifier: MIT
"""How the program refuses to start."""

import os
import pty
import re
import subprocess

import launch
import project


def usage(*options):
    """The line that the program prints for a wrong option."""
    result = subprocess.run([launch.PROGRAM, *options], stdin=subprocess.DEVNULL, capture_output=True,
                            timeout=project.LIMIT, check=False)
    assert result.returncode == 64, result
    assert result.stdout == b"", result
    assert re.fullmatch(rb"[ -~]+\n", result.stderr), f"expected one printable line: {result.stderr!r}"
    return result.stderr.decode()


def on_a_terminal(*command):
    """The command, with a terminal as standard input."""
    ours, terminal = pty.openpty()
    try:
        return subprocess.run(command, stdin=terminal, capture_output=True, timeout=project.LIMIT, check=False)
    finally:
        os.close(ours)
        os.close(terminal)


def refusal_to_start(wrapper, stdin):
    """The sentence with which the program refuses its descriptors."""
    result = subprocess.run([*wrapper, launch.PROGRAM], stdin=stdin, capture_output=True, timeout=project.LIMIT,
                            check=False)
    assert (result.returncode, result.stdout) == (64, b""), result
    assert re.fullmatch(rb"[ -~]+\n", result.stderr), result
    return result.stderr.decode()
