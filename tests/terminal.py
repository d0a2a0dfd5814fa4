"""A command on a terminal of its own, as a person has it."""

import fcntl
import os
import select
import signal
import subprocess
import termios
import time

import wire

CTRL_C = b"\x03"


class Terminal:
    """Starts a command as the first of a session on a new pseudo-terminal; `shown` is what stands there so far.

    The terminal does not echo what is typed, so that only what the command says is shown.
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
            signal.signal(signal.SIGINT, signal.SIG_DFL)  # which is ignored where tests run in the background

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

    def read(self, limit=wire.LIMIT):
        """More of what is shown; False when nobody has the terminal any more."""
        assert select.select([self.end], [], [], limit)[0], f"nothing more is shown after {self.shown!r}"
        try:
            data = os.read(self.end, 65536)
        except OSError:  # EIO
            return False
        self.shown += data
        return data != b""

    def until(self, mark, count=1, limit=wire.LIMIT):
        """Wait until `mark` has been shown so many times."""
        deadline = time.monotonic() + limit
        while self.shown.count(mark) < count:
            assert self.read(limit), f"it ended before {mark!r} was shown: {self.shown!r}"
            assert time.monotonic() < deadline, f"{mark!r} is not among {self.shown!r}"

    def finish(self):
        """Wait for the end of the command and of all that it started here; returns its exit status."""
        while self.read():
            pass
        return self.process.wait(wire.LIMIT)
