# SPDX-License-Identifier: MIT
"""Connections to the lab."""

import contextlib

import heads
import launch

LAB = "--lab=/lab"
SILENT = "--ping-interval=0"


def lab(query, *more, **changed):
    """A request head for the lab with this query."""
    return heads.head(*more, path=f"/lab?{query}", **changed)


def answered(query, frames=b"", *options):
    """Returns what follows the 101 when `frames` come through a pipe, and the record."""
    result = launch.run(lab(query) + frames, LAB, *options)
    assert result.returncode == 0, result
    assert result.stdout.startswith(heads.switching()), result
    return result.stdout[len(heads.switching()):], launch.record(result.stderr.decode("ascii"))


@contextlib.contextmanager
def opened(query, *options, **served):
    """The program, connected to the lab with this query; the 101 has been received."""
    with launch.Served(LAB, *options, **served) as program:
        program.peer.open(path=f"/lab?{query}")
        yield program
