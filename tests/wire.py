"""Shared by the tests: requests, frames and expected answers as bytes, and ways to start the program.

`frame` makes client frames, which are masked (RFC 6455 section 5.3), and `reply` the frames that the server has to
answer with. Tests compare whole answers byte for byte.
"""

import contextlib
import fcntl
import os
import pathlib
import re
import select
import shlex
import signal
import socket
import struct
import subprocess
import termios
import time

TOP = pathlib.Path(__file__).resolve().parent.parent
PROGRAM = os.environ.get("WS_ECHO", str(TOP / "ws-echo"))
UNIT = "build/ws-echo.c"  # includes the whole program; the Makefile makes it

LIMIT = 60  # seconds until a test gives up waiting for an event; no test measures it

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
MASKING_KEY = b"\x37\xfa\x21\x3d"
KEY = "dGhlIHNhbXBsZSBub25jZQ=="  # the example of RFC 6455 section 1.3
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
PREFIX = b"server: "

ELF_64 = b"\x7fELF\x02"
FILTERED = {62, 183, 243}  # e_machine in the ELF header: x86-64, ARM64 and RISC-V
NOTICE = b"this kernel or architecture has no system call filter; running without\n"


def files_of_the_program():
    """ws-echo.c, and the rooms in src/ with their headers."""
    return [TOP / "ws-echo.c", *sorted(TOP.glob("src/*.[ch]"))]


def source():
    """The text of the whole program."""
    return "".join(path.read_text(encoding="utf-8") for path in files_of_the_program())


def compiler_flags(*variables):
    """The flags with which make compiles the program if it is given these variables."""
    command = ["make", "-s", "--no-print-directory", "--eval=print-flags: ; @: $(info $(OURS))", "print-flags", *variables]
    made = subprocess.run(command, cwd=TOP, capture_output=True, text=True, timeout=LIMIT, check=True)
    return shlex.split(made.stdout)


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


def unmask(payload, key=MASKING_KEY):
    """Apply a masking key, or undo it: section 5.3."""
    pad = (key * (len(payload) // 4 + 1))[: len(payload)]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(pad, "big")).to_bytes(len(payload), "big")


def frame_header(first, second, length):
    """The first two bytes (without the length bits) and the length in its shortest form."""
    if length < 126:
        return bytes([first, second | length])
    if length < 1 << 16:
        return bytes([first, second | 126]) + struct.pack(">H", length)
    return bytes([first, second | 127]) + struct.pack(">Q", length)


def frame(opcode, payload=b"", fin=True, rsv=0, key=MASKING_KEY):
    """A frame as a client sends it; `rsv` is the value of the three reserved bits, 4 for RSV1."""
    first = (0x80 if fin else 0) | rsv << 4 | opcode
    return frame_header(first, 0x80, len(payload)) + key + unmask(payload, key)


def text(string, **more):
    return frame(TEXT, string if isinstance(string, bytes) else string.encode(), **more)


def close_body(code, reason=b""):
    return struct.pack(">H", code) + reason


def close(code=None, reason=b""):
    """A client's Close frame; without a code its body is empty."""
    return frame(CLOSE, b"" if code is None else close_body(code, reason))


def reply(opcode, payload=b"", rsv=0):
    """An unfragmented, unmasked frame, as the server sends it."""
    return frame_header(0x80 | rsv << 4 | opcode, 0, len(payload)) + payload


def echo(string, prefix=PREFIX):
    """The answer to a text message."""
    return reply(TEXT, prefix + (string if isinstance(string, bytes) else string.encode()))


def frames(data):
    """A server's frames, all of them complete, as (FIN, opcode, payload)."""
    found = []
    while data:
        first, length, at = data[0], data[1], 2
        assert not first & 0x70, f"no extension was agreed to: {data[:10]!r}"
        assert not length & 0x80, f"a server's frame must not be masked: {data[:10]!r}"
        if length >= 126:
            at = 4 if length == 126 else 10
            length = int.from_bytes(data[2:at], "big")
        assert len(data) >= at + length, f"a frame of {length} bytes is cut off: {data[:40]!r}"
        found.append((bool(first & 0x80), first & 0x0F, data[at : at + length]))
        data = data[at + length :]
    return found


def close_code(data):
    """Asserts that `data` is one Close frame and returns its code; None if its body is empty."""
    found = frames(data)
    assert len(found) == 1 and found[0][:2] == (True, CLOSE), f"expected one Close, received {data[:200]!r}"
    body = found[0][2]
    if not body:
        return None
    assert 2 <= len(body) <= 125, data
    body[2:].decode()  # fails unless the reason is UTF-8
    return int.from_bytes(body[:2], "big")


# The Close frames of the program: code and reason by end_id.
CLOSES = {
    "stopped": (1001, b"server is stopping"),
    "idle": (1001, b"nothing received in time"),
    "unmasked": (1002, b"frame is not masked"),
    "rsv-set": (1002, b"RSV bit set where no extension defines it"),
    "opcode-reserved": (1002, b"reserved opcode"),
    "length-not-minimal": (1002, b"payload length is not minimal"),
    "length-top-bit": (1002, b"top bit of the payload length is set"),
    "control-fragmented": (1002, b"control frame is fragmented"),
    "control-too-long": (1002, b"control frame is over 125 bytes"),
    "no-message": (1002, b"continuation without a message"),
    "message-unfinished": (1002, b"new message inside a fragmented one"),
    "close-truncated": (1002, b"Close body of one byte"),
    "close-code-invalid": (1002, b"Close code not allowed on the wire"),
    "close-not-utf8": (1007, b"Close reason is not UTF-8"),
    "text-not-utf8": (1007, b"text is not UTF-8"),
    "inflate-failed": (1007, b"compressed message is not DEFLATE"),
    "inflate-unfinished": (1007, b"compressed message ends inside a block"),
    "message-too-big": (1009, b"message is larger than the limit"),
    "no-memory": (1011, b"no memory for the message"),
}


def our_close(end):
    """The Close frame that the program sends for this end_id."""
    return reply(CLOSE, close_body(*CLOSES[end]))


def head(*more, path="/socket", method="GET", version="HTTP/1.1", **changed):
    """An acceptable request head, with fields changed (`upgrade="x"`), left out
    (`upgrade=None`) or added (`more`, whole lines without CRLF)."""
    fields = {
        "Host": "localhost:8888",
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Key": KEY,
        "Sec-WebSocket-Version": "13",
    }
    for name, value in changed.items():
        fields[next(field for field in fields if field.lower().replace("-", "_").endswith(name))] = value
    lines = [f"{method} {path} {version}"]
    lines += [f"{name}: {value}" for name, value in fields.items() if value is not None]
    return "".join(line + "\r\n" for line in [*lines, *more, ""]).encode("latin-1")


def switching(accept=ACCEPT, subprotocol=None, extension=None):
    """The answer to an accepted head."""
    lines = [
        "HTTP/1.1 101 Switching Protocols",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Accept: {accept}",
    ]
    if subprotocol:
        lines.append(f"Sec-WebSocket-Protocol: {subprotocol}")
    if extension:
        lines.append(f"Sec-WebSocket-Extensions: {extension}")
    return "".join(line + "\r\n" for line in [*lines, ""]).encode()


def same(received, expected, where="answer"):
    """Asserts that two long byte strings are equal; on failure, shows the first difference."""
    if received == expected:
        return
    at = len(os.path.commonprefix([received, expected]))
    raise AssertionError(
        f"{where}: they differ at byte {at}, expected {expected[at : at + 40]!r} of {len(expected)} bytes, "
        f"received {received[at : at + 40]!r} of {len(received)} bytes")


class Answer:
    """A parsed HTTP answer: status, fields by their names in lower case, body."""

    LINE = re.compile(
        r"HTTP/1\.1 (101 Switching Protocols|200 OK|204 No Content|400 Bad Request|403 Forbidden|404 Not Found|"
        r"405 Method Not Allowed|408 Request Timeout|414 URI Too Long|426 Upgrade Required|"
        r"431 Request Header Fields Too Large|501 Not Implemented|505 HTTP Version Not Supported)")  # RFC 9110 section 15, RFC 6585
    FIELD = re.compile(r"([A-Za-z][A-Za-z-]*): (\S|\S[ -~]*\S)")

    def __init__(self, data):
        top, end, self.body = data.partition(b"\r\n\r\n")
        assert end, f"expected an HTTP answer, received {data[:200]!r}"
        line, *lines = top.decode("ascii").split("\r\n")
        assert self.LINE.fullmatch(line), line
        self.status = int(line[9:12])
        self.fields = {}
        for line in lines:
            match = self.FIELD.fullmatch(line)
            assert match, f"not a field: {line!r}"
            name, value = match.groups()
            assert name.lower() not in self.fields, f"{name} stands twice: {top!r}"
            self.fields[name.lower()] = value


DATE = re.compile(r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun), [0-9]{2} (Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
                  r" [0-9]{4} [0-9]{2}:[0-9]{2}:[0-9]{2} GMT")


def refused(data, status, method="GET"):
    """Asserts that `data` is one complete refusal with the fields that every refusal has; returns it parsed."""
    answer = Answer(data)
    assert answer.status == status, f"expected {status}, received {data!r}"
    assert DATE.fullmatch(answer.fields["date"]), data
    assert answer.fields["content-type"] == "text/plain; charset=utf-8", data
    assert answer.fields["connection"] == ("Upgrade, close" if status == 426 else "close"), data
    assert answer.fields.get("upgrade") == ("websocket" if status == 426 else None), data
    assert ("allow" in answer.fields) == (status == 405), data
    length = int(answer.fields["content-length"])
    if method == "HEAD":
        assert answer.body == b"" and length > 0, data
    else:
        assert len(answer.body) == length, data
        assert re.fullmatch(rb"[A-Z][ -~]+[^.]\.\n", answer.body), f"not a sentence: {answer.body!r}"
        assert not re.search(rb"[.!?] ", answer.body), f"more than a sentence: {answer.body!r}"
    return answer


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
