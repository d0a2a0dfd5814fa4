# SPDX-License-Identifier: MIT
"""Calls of the program that strace makes fail."""

import contextlib
import os
import re

import heads
import launch
import project
from require import require


class Faulty(launch.Served):
    """The program under strace, which makes some of its calls fail, such as `read:error=EIO:when=2`; several faults are
    separated by blanks.

    A request for a WebSocket is sent before it starts. Only calls on the connection fail, unless `everywhere` is set.
    """

    def __init__(self, trace, fault, *options, pair=launch.tcp_pair, everywhere=False, **served):
        self.trace = trace
        wrapper = [require("strace", "strace"), "-o", str(trace), *[f"-einject={each}" for each in fault.split()]]

        def named():
            client, server = launch.holding(heads.head(), pair)()
            for end in {getattr(server, "reading", server), getattr(server, "writing", server)}:
                wrapper.extend([] if everywhere else ["-P", os.readlink(f"/proc/self/fd/{end.fileno()}")])
            return client, server

        super().__init__(*options, pair=named, wrapper=wrapper, **served)

    def ended(self, status):
        """Ends the input, waits for the exit, and returns the log."""
        with contextlib.suppress(OSError):  # the program may have ended already
            self.peer.end()
        log = self.process.communicate(timeout=project.LIMIT)[1].decode()
        assert "(INJECTED)" in self.trace.read_text(), "the fault did not happen"
        assert self.process.returncode == status, (self.process.returncode, log)
        return log


def one_line(log, words):
    """Asserts that a log is one line with these words and the text of an errno other than 0."""
    assert re.fullmatch(rf"ws-echo\[\d+\]: {words}(?!Success|No error)[A-Z][ -~]*\n", log), log
