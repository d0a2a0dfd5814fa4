# SPDX-License-Identifier: MIT
"""Runs a command on a pseudo-terminal of its own."""

import fcntl
import os
import select
import signal
import subprocess
import termios
import time

import project

CTRL_C = b"\x03"


class Terminal:
    """Starts a command as session leader on a new pseudo-terminal; `shown` is its output so far.

    The terminal does not echo what is typed, so `shown` is only the output of the command.
    """

    def __init__(self, command, **popen):
        self.end, theirs = os.openpty()
        modes = termios.tcgetattr(theirs)
        modes[1] &= ~termios.OPOST
        modes[3] &= ~termios.ECHO
        termios.tcsetattr(theirs, termios.TCSANOW, modes)
        self.shown = b""

        def take_terminal():
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)
            signal.signal(signal.SIGINT, signal.SIG_DFL)  # a shell that runs the tests in the background ignores it

        self.process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
                                        preexec_fn=take_terminal, **popen)
        os.close(theirs)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        os.close(self.end)

    def type(self, data):
        while data:
            data = data[os.write(self.end, data) :]

    def read(self, limit=project.LIMIT):
        """Reads more output; returns False once all processes have closed the terminal."""
        assert select.select([self.end], [], [], limit)[0], f"nothing more is shown after {self.shown!r}"
        try:
            data = os.read(self.end, 65536)
        except OSError:  # EIO
            return False
        self.shown += data
        return data != b""

    def until(self, mark, count=1, limit=project.LIMIT):
        """Waits until the output contains `mark` so many times."""
        deadline = time.monotonic() + limit
        while self.shown.count(mark) < count:
            assert self.read(limit), f"it ended before {mark!r} was shown: {self.shown!r}"
            assert time.monotonic() < deadline, f"{mark!r} is not among {self.shown!r}"

    def finish(self):
        """Waits until the command and all that it started on this terminal have ended; returns its exit status."""
        while self.read():
            pass
        return self.process.wait(project.LIMIT)
