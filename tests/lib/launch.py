# SPDX-License-Identifier: MIT
"""Ways to start the program, the peer's end of its connection, and what it logs."""

import contextlib
import fcntl
import os
import re
import select
import signal
import socket
import struct
import subprocess
import termios
import time

from framing import CLOSE, frame
from heads import head, switching
from project import LIMIT, TOP
from require import require

PROGRAM = os.environ.get("WS_ECHO", str(TOP / "ws-echo"))

ELF_64 = b"\x7fELF\x02"
FILTERED = {62, 183, 243}  # e_machine in the ELF header: x86-64, ARM64 and RISC-V
NOTICE = b"this kernel or architecture has no system call filter; running without\n"


def filtered():
    """Whether the program must install a filter of system calls: 64-bit programs for the machines in FILTERED.

    A script instead of a program means that the program runs in an emulator or under valgrind, without a filter.
    """
    with open(PROGRAM, "rb") as program:
        header = program.read(20)
    return header.startswith(ELF_64) and int.from_bytes(header[18:], "little") in FILTERED


def unfiltered_fields():
    """The extra fields of the record if there is no filter."""
    return {} if filtered() else {"sandbox": "partial"}


def without_the_notice(said):
    """The output of --check without the line about a missing filter, which must be there if there is no filter."""
    if filtered():
        return said
    rest, count = re.subn(rb"^ws-echo\[\d+\]: " + NOTICE, b"", said, flags=re.M)
    assert count == 1, said
    return rest


def record(log):
    """The only record among the lines on standard error, as a dict; quoted values keep their escapes."""
    found = [line for line in log.splitlines() if re.match(r"ws-echo\[\d+\]: peer=", line)]
    assert len(found) == 1, f"expected one record, found {len(found)} in {log!r}"
    fields = {}
    rest = found[0].partition(": ")[2]
    while rest:
        match = re.match(r'([a-z_]+)=(?:"((?:[^"\\]|\\["\\]|\\x[0-9A-Fa-f]{2})*)"|([^" ][^ ]*))(?: |$)', rest)
        assert match, f"not a field of the record: {rest!r} in {found[0]!r}"
        name, quoted, plain = match.groups()
        assert name not in fields, f"{name} stands twice: {found[0]!r}"
        fields[name] = plain if quoted is None else quoted
        rest = rest[match.end() :]
    return fields


def become_nobody():
    """Gives up root, if this process has it, so that results do not depend on who runs the tests."""
    with contextlib.suppress(PermissionError):
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)


def run(data, *options, env=None, timeout=LIMIT):
    """Runs the program with `data` as standard input; the result has stdout, stderr and returncode."""
    return subprocess.run([PROGRAM, *options], input=data, capture_output=True, timeout=timeout,
                          env={**os.environ, **(env or {})}, check=False)


def exchange(data, *options):
    """The answer to the frames in `data` after the handshake; asserts that the exit status is 0."""
    result = run(head() + data, *options)
    assert result.returncode == 0, result
    assert result.stdout.startswith(switching()), result
    return result.stdout[len(switching()):]


class Peer:
    """The client's end of a connection; its calls block, but no longer than LIMIT."""

    def __init__(self, connected):
        self.socket = connected
        self.socket.settimeout(LIMIT)
        self.buffer = b""

    def send(self, data):
        self.socket.sendall(data)

    def end(self):
        """Half-closes the connection: the program reads an end of file."""
        self.socket.shutdown(socket.SHUT_WR)

    def reset(self):
        """Closes the connection with a reset."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def close(self):
        self.socket.close()

    def receive(self, count):
        """Exactly `count` bytes; fewer only if the stream ends."""
        parts, length = [self.buffer], len(self.buffer)
        while length < count:
            part = self.socket.recv(1 << 18)
            if not part:
                break
            parts.append(part)
            length += len(part)
        data = b"".join(parts)
        self.buffer = data[count:]
        return data[:count]

    def rest(self):
        """Everything up to the end of the stream."""
        parts = [self.buffer]
        self.buffer = b""
        while part := self.socket.recv(1 << 18):
            parts.append(part)
        return b"".join(parts)

    def answer_close(self, received=b""):
        """Receives up to the server's Close, answers it as every client does, and receives up to the end of the stream.
        Returns `received`, which may be the beginning of the first frame, followed by all that was received."""
        received, payload = self._to_close(received)
        if isinstance(self.socket, socket.socket):  # over pipes the program has ended by now
            self.send(frame(CLOSE, payload))
        return received + self.rest()

    def end_at_close(self, received=b""):
        """The same for a peer that has sent part of a frame and so cannot send a Close: it half-closes instead."""
        received, _ = self._to_close(received)
        self.end()
        return received + self.rest()

    def _to_close(self, received):
        """Receives up to the server's Close. Returns `received` with all bytes up to there, and the Close's payload."""
        data, at = bytearray(received + self.buffer), 0
        self.buffer = b""
        while True:
            while len(data) >= at + 2:
                size = {126: 2, 127: 8}.get(data[at + 1], 0)
                length = int.from_bytes(data[at + 2 : at + 2 + size], "big") if size else data[at + 1]
                if len(data) < at + 2 + size + length:
                    break
                payload, at = at + 2 + size, at + 2 + size + length
                if data[payload - 2 - size] == 0x80 | CLOSE:
                    return bytes(data), bytes(data[payload:at])
            part = self.socket.recv(1 << 18)
            assert part, f"the stream ended without a Close: {bytes(data[-200:])!r}"
            data += part

    def talk(self, data, end=False, size=1 << 18, until=None):
        """Sends `data` in pieces of `size` bytes, and receives at the same time. With `end`, half-closes after the last
        byte; with `until`, also waits for that many received bytes. Returns everything received up to the end of the
        stream, once all is sent. Raises if the connection is reset."""
        data, parts, ended = memoryview(data), [self.buffer], False
        self.buffer = b""
        while data or not ended:
            if until is not None and not data and sum(map(len, parts)) >= until:
                self.end()
                until = None
            readable, writable, _ = select.select([] if ended else [self.socket], [self.socket] if data else [], [], LIMIT)
            assert readable or writable, f"nothing moved for {LIMIT} seconds"
            if writable:
                data = data[self.socket.send(data[:size]) :]
                if end and not data:
                    self.end()
            if readable:
                parts.append(self.socket.recv(1 << 18))
                ended = not parts[-1]
        return b"".join(parts)

    def frame(self):
        """The next frame as (FIN, opcode, payload)."""
        first, second = self.receive(2)
        assert not second & 0x80, "a server's frame must not be masked"
        length = second & 0x7F
        if length == 126:
            (length,) = struct.unpack(">H", self.receive(2))
        elif length == 127:
            (length,) = struct.unpack(">Q", self.receive(8))
        return bool(first & 0x80), first & 0x0F, self.receive(length)

    def open(self, *more, extension=None, **changed):
        """Does the handshake."""
        self.send(head(*more, **changed))
        expected = switching(extension=extension)
        received = self.receive(len(expected))
        assert received == expected, received
        return self

    def ended(self):
        """Waits for the end of the stream; tells whether nothing more came."""
        return self.rest() == b""


def tcp_pair():
    """Two ends of one TCP connection over loopback."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname())
        server, _ = listener.accept()
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return client, server


def narrow_pair():
    """The same with small buffers: the program can write only a little before its client reads."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.socket()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 << 10)
        client.connect(listener.getsockname())
        server, _ = listener.accept()
    return client, server


def unix_pair():
    """Two ends of one Unix stream connection."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)


class PipeEnd:
    """Two pipes with the part of a socket's interface that Peer and Served use."""

    def __init__(self, reading, writing):
        self.reading, self.writing = open(reading, "rb", buffering=0), open(writing, "wb", buffering=0)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def settimeout(self, seconds):
        self.seconds = seconds

    def sendall(self, data):
        data = memoryview(data)
        while data:
            data = data[self.writing.write(data) :]

    def recv(self, count):
        if not select.select([self.reading], [], [], self.seconds)[0]:
            raise TimeoutError(f"nothing came for {self.seconds} seconds")
        return self.reading.read(count)

    def shutdown(self, _):
        self.writing.close()

    def dup(self):
        return open(os.dup(self.reading.fileno()), "rb", buffering=0)

    def close(self):
        self.reading.close()
        self.writing.close()


def pipe_pair():
    """Two ends that are joined by two pipes, which buffer as much as a socket would."""
    downwards, upwards = os.pipe(), os.pipe()
    for end in (downwards[0], upwards[0]):
        fcntl.fcntl(end, fcntl.F_SETPIPE_SZ, 1 << 20)
    return PipeEnd(upwards[0], downwards[1]), PipeEnd(downwards[0], upwards[1])


PAIRS = [tcp_pair, unix_pair, pipe_pair]
SOCKETS = PAIRS[:2]


def holding(data, pair=tcp_pair):
    """A pair on which `data` is sent before the program starts."""
    def filled():
        client, server = pair()
        if isinstance(client, socket.socket):
            client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 << 20)
        client.sendall(data)
        return client, server
    return filled


def queued(descriptor, request):
    """How many bytes a socket or pipe has buffered: with FIONREAD bytes to be read, with TIOCOUTQ bytes to be sent."""
    return struct.unpack("i", fcntl.ioctl(descriptor, request, bytes(4)))[0]


class Served:
    """The program on one end of a connection, as an inetd would start it; `peer` is the other end.

    A `wrapper` is a command that finally executes its arguments. With `watched` the test keeps a copy of
    the program's end open, as a service manager does; `consumed` needs this.
    """

    def __init__(self, *options, pair=tcp_pair, env=None, wrapper=(), watched=False, **popen):
        client, server = pair()
        with server:
            stdin = getattr(server, "reading", server)
            stdout = getattr(server, "writing", server)
            self.watched = server.dup() if watched else None
            self.process = subprocess.Popen([*wrapper, PROGRAM, *options], stdin=stdin, stdout=stdout,
                                            stderr=subprocess.PIPE, env={**os.environ, **(env or {})},
                                            **popen)
        self.peer = Peer(client)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.peer.socket.close()
        if self.watched is not None:
            self.watched.close()
        if self.process.poll() is None:
            try:
                self.process.wait(LIMIT)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                raise
        self.process.stderr.close()

    def finish(self):
        """Waits until the program exits; returns what it wrote on standard error."""
        log = self.process.communicate(timeout=LIMIT)[1].decode()
        assert self.process.returncode == 0, (self.process.returncode, log)
        return log

    def stop(self, number=signal.SIGTERM):
        self.process.send_signal(number)

    def consumed(self):
        """Waits until the program has read every byte that was sent: all have arrived at its end of the
        connection, and none is buffered there."""
        sent = self.peer.socket

        def all_read():
            if isinstance(sent, socket.socket):
                if sent.family != socket.AF_UNIX:  # TIOCOUTQ counts what TCP has not acknowledged yet
                    self.watched.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
                if queued(sent, termios.TIOCOUTQ):
                    return False
            return queued(self.watched, termios.FIONREAD) == 0

        wait_until(all_read, "the program had read everything", pause=1e-4, process=self.process)


class Clock:
    """A second ws-echo process that ends after a handshake timeout of so many seconds.

    A test compares which of two processes ends first on the same machine, so it need not measure time.
    """

    def __init__(self, seconds):
        self.program = Served(f"--handshake-timeout={seconds}")

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.program.peer.close()
        return self.program.__exit__(*exception)

    def over(self):
        return self.program.process.poll() is not None

    def outlasts(self, process):
        """Waits until this program or `process` ends; tells whether `process` ended first."""
        wait_until(lambda: self.over() or process.poll() is not None, "one of two programs ends")
        return not self.over()


def in_parts(parts, *options, pair=tcp_pair, **served):
    """Sends each part after the program has read those in front of it, so that each part is a read of
    its own; returns the whole answer."""
    with Served(*options, pair=pair, watched=True, **served) as program:
        for part in parts:
            program.peer.send(part)
            program.consumed()
        program.peer.end()
        answer = program.peer.rest()
        program.peer.close()
        program.finish()
    return answer


def wait_until(condition, what, pause=0.01, process=None):
    """Polls until a condition is true. Fails after LIMIT seconds, or if the `process` that should make it true ends."""
    deadline = time.monotonic() + LIMIT
    while True:
        ended = process is not None and process.poll() is not None
        if condition():
            return
        assert not ended, f"it ended, with status {process.returncode}, before {what}"
        assert time.monotonic() < deadline, f"waited in vain until {what}"
        select.select([], [], [], pause)


@contextlib.contextmanager
def listening(program, *options):
    """The address at which systemd-socket-activate starts a program for each connection. It inherits the listening
    socket, so that no free port need be guessed."""
    activate = require("systemd-socket-activate", "systemd")
    handed_over = 'exec 3<&0 </dev/null; LISTEN_PID=$$ exec "$@"'
    command = ["sh", "-c", handed_over, "sh", activate, "--accept", "--inetd", program, *options]
    environment = {**os.environ, "SYSTEMD_LOG_LEVEL": "warning", "LISTEN_FDS": "1"}
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        process = subprocess.Popen(command, stdin=listener, stderr=subprocess.DEVNULL, env=environment)
    with process:
        yield f"ws://127.0.0.1:{port}/socket"
        process.terminate()


def let_pass(seconds):
    """Waits until a timer set now expires. Timers set earlier for a shorter time have then expired too."""
    with Clock(seconds) as clock:
        wait_until(clock.over, "the clock is over")


# Memory.

def resident(process):
    """The resident memory of the process in bytes."""
    with open(f"/proc/{process.pid}/status", encoding="ascii") as status:
        return 1024 * int(re.search(r"^VmRSS:\s*(\d+) kB", status.read(), re.MULTILINE)[1])


# Descriptors, environment and signals that a launcher passes on.

def shell(script):
    """A wrapper that runs `script` and then executes its arguments in the same process."""
    return ["/bin/sh", "-c", script + '; exec "$@"', "sh"]
