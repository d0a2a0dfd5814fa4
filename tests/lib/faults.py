# SPDX-License-Identifier: MIT
"""Makes system calls of the program fail, and tells which results of the connection are right.

inject.c reports the calls of a run without a fault.  ROWS has the classes of faults with their right results, and
one or two errors stand for each.
"""

import dataclasses
import errno
import itertools
import os
import re
import select
import signal
import socket
import subprocess
import zlib

import framing
import heads
import launch
import project
import pytest
from framing import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT
from outcomes import OUTCOMES
from require import require

X86_64 = 62  # e_machine in the ELF header

# Errors of read and write when the peer or the network has ended the connection: tcp(7), ip(7), icmp(7).
NETWORK = ["ECONNRESET", "ETIMEDOUT", "EPIPE", "EACCES", "ECONNREFUSED", "EHOSTDOWN", "EHOSTUNREACH", "ENETDOWN",
           "ENETUNREACH", "ENONET", "ENOPROTOOPT", "EOPNOTSUPP", "EPROTO"]
TRANSIENT = ["EINTR", "EAGAIN"]
OTHER = ["ENOMEM", "EPERM"]  # for the rows of ROWS that hold for any error
TRIED = 2  # of the errors of a row


# Scenarios: the exchanges during which calls fail.

@dataclasses.dataclass(frozen=True)
class Scenario:
    """An exchange, how the program is started for it, and its result without a fault."""

    name: str
    sent: bytes
    answer: bytes | None  # None: any HTTP answer
    options: tuple = ()
    pair: object = launch.tcp_pair
    log: str = "stderr"  # for another channel, a socket of the test replaces the daemon's, which needs root
    status: int = 0
    phases: tuple = ("loading", "starting", "serving", "closing")  # whose calls fail

    def __str__(self):
        return self.name


LARGE = bytes(range(256)) * 2400  # large enough to be read to its final place in memory, and to be written from there


def deflated(payload):
    """A payload compressed as RFC 7692 section 7.2.1 requires."""
    deflater = zlib.compressobj(wbits=-15)
    return (deflater.compress(payload) + deflater.flush(zlib.Z_SYNC_FLUSH))[:-4]


def closed(code, reason=b""):
    return framing.reply(CLOSE, framing.close_body(code, reason))


FRAMES = (framing.text("Hello") + framing.text("fr€", fin=False) + framing.frame(PING, b"ping")
          + framing.frame(CONTINUATION, "ägment".encode()) + framing.frame(BINARY, bytes(200)) + framing.close(1000, b"bye"))
ANSWERS = (framing.echo("Hello") + framing.reply(PONG, b"ping") + framing.echo("fr€ägment") + framing.reply(BINARY, bytes(200))
           + closed(1000, b"bye"))
IDLE = framing.our_close("idle")
BRIEF = framing.text("hi") + framing.close(1000)
EXTENSION = "permessage-deflate; server_no_context_takeover"
SERVING = ("serving", "closing")  # the other phases are the same as in other scenarios
STARTED = ("starting", *SERVING)
PROXY = b"PROXY TCP4 192.0.2.1 192.0.2.2 56324 8888\r\n"

# A slice ends with the head of the answer, and all that is written at once later fits in one: a fault between two slices
# cuts off no frame.
LAB_WORDS = (f"delay=0.02&hello=hi&slice={len(heads.switching())}&fragment=6&latency=0.02&mute=pong&count=2&raw=8a00"
             "&stall=0.02&close=4000&reason=bye")
LAB_REPLY = framing.frame_header(TEXT, 0, 6) + b"server" + framing.reply(CONTINUATION, b": ab")

SCENARIOS = [
    Scenario("echo", heads.head() + FRAMES, heads.switching() + ANSWERS),
    Scenario("pipes", heads.head() + FRAMES, heads.switching() + ANSWERS, pair=launch.pipe_pair, phases=STARTED),
    Scenario("xinetd", heads.head() + BRIEF, heads.switching() + framing.echo("hi") + closed(1000), ("--verbose",),
             log="syslog", phases=STARTED),
    Scenario("journal", heads.head() + FRAMES, heads.switching() + ANSWERS, log="journal", phases=STARTED),
    Scenario("verbose", heads.head() + BRIEF, heads.switching() + framing.echo("hi") + closed(1000), ("--verbose",),
             pair=launch.unix_pair,
             phases=SERVING),
    Scenario("refusal", heads.head(method="POST"), None, phases=SERVING),
    Scenario("page", b"GET / HTTP/1.1\r\nHost: h\r\n\r\n", None, ("--verbose",), phases=SERVING),
    Scenario("proxy", PROXY + heads.head() + FRAMES, heads.switching() + ANSWERS, ("--proxy-protocol",),
             phases=SERVING),
    Scenario("large", heads.head() + framing.frame(BINARY, LARGE) + framing.text("on") + framing.close(1000),
             heads.switching() + framing.reply(BINARY, LARGE) + framing.echo("on") + closed(1000), pair=launch.unix_pair,
             phases=SERVING),
    Scenario("compressed", heads.head(f"Sec-WebSocket-Extensions: {EXTENSION}")
             + framing.frame(BINARY, deflated(LARGE), rsv=4) + framing.close(1000),
             heads.switching(extension=EXTENSION) + framing.reply(BINARY, deflated(LARGE), rsv=4) + closed(1000),
             ("--deflate",), phases=SERVING),
    Scenario("silence", heads.head(), heads.switching() + framing.reply(PING) + IDLE,
             ("--ping-interval=0.02", "--timeout=0.05"), phases=SERVING),
    Scenario("lab", heads.head(path=f"/lab?{LAB_WORDS}") + framing.text("ab") + framing.frame(PING) + framing.text("ab")
             + framing.text("unread") + framing.close(4000),
             heads.switching() + framing.reply(TEXT, b"hi") + 2 * LAB_REPLY + framing.reply(PONG) + closed(4000, b"bye"),
             ("--lab=/lab",), phases=SERVING),
    Scenario("lab-reset", heads.head(path="/lab?close=reset"), heads.switching(), ("--lab=/lab",), phases=SERVING),
    Scenario("lab-muted", heads.head(path="/lab?mute=close") + BRIEF, heads.switching() + framing.echo("hi"),
             ("--lab=/lab", "--verbose", "--ping-interval=0", "--timeout=0.05"), phases=SERVING),
    Scenario("lab-status", heads.head(path="/lab?status=503&delay=0.02"), None, ("--lab=/lab",), phases=SERVING),
    Scenario("violation", heads.head() + framing.text("Hello") + framing.frame(3),
             heads.switching() + framing.echo("Hello") + framing.our_close("opcode-reserved"),
             phases=SERVING),
]


# The result of a run.

@dataclasses.dataclass(frozen=True)
class Call:
    """One system call of a run, and its number among the calls of the same name."""

    name: str
    number: int
    arguments: tuple
    result: int
    faulty: bool
    phase: str

    def role(self):
        """What its descriptor refers to: input, output, log..."""
        return {0: "input", 1: "output", 2: "log"}.get(self.arguments[0], "other")


@dataclasses.dataclass
class Run:
    scenario: Scenario
    answer: bytes
    log: str
    status: int
    calls: list

    def record(self):
        """The record without fields that differ from run to run; None if there is no record."""
        if " end_id=" not in self.log:
            return None
        record = launch.record(self.log)
        differing = {"seconds", "peer"} | ({"bytes_out"} if self.scenario.name == "silence" else set())  # the number of its Pings varies
        if self.scenario.name == "silence":  # a fault may prevent reading the peer's Close
            record["bytes_in"] = str(min(int(record["bytes_in"]), len(self.scenario.sent)))
        return {name: value for name, value in record.items() if name not in differing}

    def complaints(self):
        """The lines in the log except the record and those of --verbose."""
        told = re.compile(r"ws-echo\[\d+\]: (peer=|field |received |sent |inflated |deflated |muted |lab )")
        return [line for line in self.log.splitlines() if not told.match(line)]


class Injector:
    """Runs scenarios with faults; `folder` is for its files."""

    def __init__(self, folder):
        with open(launch.PROGRAM, "rb") as program:
            header = program.read(20)
        if not header.startswith(launch.ELF_64) or int.from_bytes(header[18:], "little") != X86_64:
            pytest.skip("inject.c knows the registers of x86-64 alone")
        self.folder, self.inject = folder, folder / "inject"
        compiler = require("cc", "gcc")
        subprocess.run([compiler, "-O2", "-o", self.inject, project.TOP / "tests/lib/inject.c"], check=True,
                       timeout=project.LIMIT)
        headers = subprocess.run([compiler, "-E", "-dM", "-"], input="#include <sys/syscall.h>", text=True,
                                 capture_output=True, check=True, timeout=project.LIMIT).stdout
        self.numbers = {name: int(number) for name, number in re.findall(r"__NR_(\w+) (\d+)", headers)}
        self.names = {number: name for name, number in self.numbers.items()}
        self.listening = {}

    def close(self):
        for listener in self.listening.values():
            listener.close()

    def listen(self, log):
        """Listens in place of a daemon.  Returns which folder to bind where; binding needs root."""
        place, name = {"syslog": ("/dev", "log"), "journal": ("/run", "systemd/journal/socket")}[log]
        folder = self.folder / log
        if log not in self.listening:
            (folder / name).parent.mkdir(parents=True)
            folder.chmod(0o755)
            self.listening[log] = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            self.listening[log].bind(str(folder / name))
            (folder / name).chmod(0o777)
            self.listening[log].setblocking(False)
        return f"{folder}={place}"

    def heard(self, log):
        """The datagrams that the daemon received, as lines of a log."""
        lines = []
        while select.select([self.listening[log]], [], [], 0)[0]:
            data = self.listening[log].recv(1 << 16).decode()
            if log == "syslog":
                lines.append(data[data.index("ws-echo[") :].rstrip("\n"))  # musl ends a datagram with a line feed
            elif message := re.search("^MESSAGE=(.*)$", data, re.MULTILINE):
                lines.append("ws-echo[1]: " + message[1])
        return "".join(line + "\n" for line in lines)

    def run(self, scenario, faults="", limit=5000):
        """Runs a scenario.  Returns its result."""
        report, bound = self.folder / "report", ""
        env = {name: value for name, value in os.environ.items()
               if name not in ("SYSTEMD_EXEC_PID", "LISTEN_PID", "NOTIFY_SOCKET")}
        if scenario.log == "journal":
            env["SYSTEMD_EXEC_PID"] = "0"
        if scenario.log != "stderr":
            bound = self.listen(scenario.log)
        client, server = scenario.pair()
        with server:
            stdin, stdout = getattr(server, "reading", server), getattr(server, "writing", server)
            process = subprocess.Popen(
                [self.inject, report, str(limit), bound, faults, launch.PROGRAM, *scenario.options], env=env,
                stdin=stdin, stdout=stdout, stderr=stdout if scenario.log == "syslog" else subprocess.PIPE)
        try:
            answer = converse(client, scenario.sent)
            log = (process.communicate(timeout=project.LIMIT)[1] or b"").decode()
        finally:
            client.close()
            process.kill()
            process.wait()
        log = re.sub("^<[0-7]>", "ws-echo[1]: ", log, flags=re.MULTILINE)  # the prefix "<priority>" that systemd reads, used without libsystemd
        if bound:
            log += self.heard(scenario.log)
        if scenario.name == "silence":  # the number of Pings depends on the machine
            answer = re.sub(b"(?:\x89\0)+", b"\x89\0", answer)
        return Run(scenario, re.sub(rb"\nDate: [^\r]*", b"\nDate: ", answer), log, process.returncode,
                   self.calls(scenario, report.read_text()))

    def calls(self, scenario, report):
        """The calls of a report.  The phase `closing` begins when the program shuts down its output, or when it has
        written its own Close and waits for the peer's."""
        phase, seen, calls, written = "loading", {}, [], 0
        for line in report.splitlines():
            number, *arguments, result, faulty = [int(word) for word in [*line.split(), "0", "0"][:7]]
            name = self.names[number]
            seen[name] = seen.get(name, 0) + 1
            if phase == "loading" and name == "setitimer":
                phase = "starting"
            elif phase == "starting" and name == "setitimer":  # the deadline of the request head
                phase = "serving"
            calls.append(Call(name, seen[name], tuple(arguments), result, bool(faulty), phase))
            if phase == "serving" and name in ("write", "writev") and arguments[0] == 1 and result > 0:
                written += result
                if scenario.name == "silence":  # the number of its Pings varies
                    phase = "closing" if result == len(IDLE) else phase
                elif scenario.answer and written == len(scenario.answer):
                    phase = "closing"
            if phase == "serving" and name in ("shutdown", "close") and arguments[0] == 1:
                phase = "closing"
        return calls

    def fault(self, call, kind, value, onwards=False):
        """The argument of inject.c that makes this call fail in another run."""
        number = self.numbers[call.name]
        return f"{number}:{call.number}{'+' if onwards else ''}:{kind}={value}"


GOING_AWAY = IDLE, framing.our_close("stopped")


def converse(client, data):
    """Sends data, answers a Close 1001, reads up to the end of the stream, and closes.  Returns what was read."""
    answer, tail = [], b""
    if isinstance(client, launch.PipeEnd):
        client.settimeout(project.LIMIT)
        receiving, sending = client.reading, client.writing
        send, receive = (lambda part: os.write(sending.fileno(), part)), lambda: os.read(receiving.fileno(), 1 << 18)
        os.set_blocking(sending.fileno(), False)
    else:
        client.setblocking(False)
        receiving = sending = client
        send, receive = client.send, lambda: client.recv(1 << 18)
    data = memoryview(data)
    while True:
        readable, writable, _ = select.select([receiving], [sending] if data else [], [], project.LIMIT)
        assert readable or writable, "it hangs"
        try:
            if writable:
                data = data[send(data) :]
            if readable:
                part = receive()
                if not part:
                    break
                answer.append(part)
                tail = (tail + part)[-max(map(len, GOING_AWAY)) :]
                if tail.endswith(GOING_AWAY) and not data:
                    data = memoryview(framing.close(1001))
        except BrokenPipeError:
            data = data[:0]
        except ConnectionResetError:
            break
    client.close()
    return b"".join(answer)


# Right results, as functions of a run and of the usual run, without a fault.

def whole_frames(answer):
    """Whether an answer consists of whole frames, or is empty."""
    while answer:
        at = 2 if answer[1] < 126 else 4 if answer[1] == 126 else 10
        length = answer[1] if at == 2 else int.from_bytes(answer[2:at], "big")
        if len(answer) < at + length:
            return False
        answer = answer[at + length :]
    return True


def is_beginning(answer, of):
    """Whether an answer is the beginning of another one, up to the end of a frame or of an HTTP answer."""
    if answer in (b"", of):
        return True
    head = of.index(b"\r\n\r\n") + 4
    return of.startswith(b"HTTP/1.1 101 ") and len(answer) >= head and of.startswith(answer) and whole_frames(
        answer[head:])


LOCAL_ENDS = {end: outcome for end, outcome in OUTCOMES.items() if outcome.is_local_fault}
LOCAL = "|".join(f"{outcome.sentence}: " for outcome in LOCAL_ENDS.values())
AT_THE_START = "cannot |--log=journal: there is no libsystemd"


def complains(run, words):
    """If the log can be read, one line of it names the fault."""
    if not run.complaints() and run.scenario.log != "stderr":
        return True
    return len(run.complaints()) == 1 and re.match(rf"ws-echo\[\d+\]: ({words})", run.complaints()[0])


def answers(run, usual):
    """The same answer as without a fault. A reset discards what has not been read by then."""
    return run.answer == usual.answer or (usual.scenario.name == "lab-reset" and usual.answer.startswith(run.answer))


def right(run, usual):
    """The same result as without a fault."""
    return answers(run, usual) and (run.status, run.record(), run.complaints()) == (
        usual.status, usual.record(), usual.complaints())


def unlogged(run, usual):
    """The same result as without a fault, except for missing lines in the log."""
    return answers(run, usual) and run.status == usual.status and not run.complaints()


def partial(run, usual):
    """The same result as on a kernel without seccomp."""
    return (answers(run, usual) and (run.status, run.record()) == (0, usual.record() | {"sandbox": "partial"})
            and all("no system call filter" in line for line in run.complaints()))


def local(run, usual):
    """A local fault: the log names it, the exit status is 71, no frame is cut off, the record blames no one else."""
    record = run.record()
    return (run.status == 71 and is_beginning(run.answer, usual.answer) and complains(run, LOCAL)
            and (record is None or record["end_id"] in LOCAL_ENDS))


def no_memory(run, usual):
    """The same, and the peer gets a Close 1011."""
    reason = framing.our_close("no-memory")
    said = run.answer.removesuffix(reason)
    return (run.status == 71 and said != run.answer and is_beginning(said, usual.answer)
            and complains(run, "no memory for the message: ") and run.record()["end_id"] == "no-memory")


def not_started(run, _):
    """Exit status 71, before the program reads a byte from the peer."""
    return run.status == 71 and run.answer == b"" and run.record() is None and complains(run, AT_THE_START)


def misused(run, _):
    """Exit status 64, before the program reads a byte from the peer: the fault looks like a usage error."""
    return run.status == 64 and run.answer == b"" and run.record() is None and len(run.complaints()) <= 1


def not_loaded(run, _):
    """The dynamic loader fails, and sends nothing to the peer."""
    return run.status in (127, -signal.SIGSEGV, -signal.SIGABRT, -signal.SIGTRAP) and run.answer == b""


def network(run, usual):
    """The record says that the peer or the network ended the connection."""
    return (run.status == 0 and is_beginning(run.answer, usual.answer) and not run.complaints()
            and (run.answer == b"" if run.record() is None else run.record()["end_id"] in ("reset", "network-lost")))


def stopped(run, usual):
    """SIGTERM: before the handshake the peer gets nothing, later a Close 1001; no frame is cut off."""
    said = run.answer.removesuffix(framing.our_close("stopped"))
    return (run.status == 0 and is_beginning(said, usual.answer) and not run.complaints()
            and (run.record() is None or run.record()["end_id"] in ("stopped", "stopped-in-head", "page-served")))


def killed(run, _):
    """SIGTERM, before the program has installed its handler."""
    return run.status == -signal.SIGTERM and run.answer == b"" and run.log == ""


ANY = None
CONNECTION = ["read", "write", "writev"]
FILES = ["open", "openat", "newfstatat", "fstat", "read", "lseek", "close", "fcntl", "mmap", "munmap", "brk",
         "getrandom", "socket", "connect", "pread64", "mprotect", "futex", "access", "ioctl", "prctl"]
LOGGING = ["socket", "connect", "sendto", "sendmsg", "getsockopt", "setsockopt", "close"]

# Phase, calls, what the descriptor refers to, errors, and the right results; the first row that matches counts.
ROWS = [
    ("loading", ANY, ANY, ANY, [right, not_loaded]),
    # Calls whose failure changes nothing.
    ("starting", ["setitimer", "rt_sigaction", "rt_sigprocmask", "close_range", "ioctl"], ANY, ANY, [right]),
    ("starting", ["getpeername"], ANY, ANY, [right]),
    ("starting", ["getsockopt"], ["input", "output"], ANY, [right]),
    ("starting", ["fcntl", "dup2"], ["log"], ANY, [right, unlogged]),
    # If the program cannot tell whether standard error is the connection, it assumes so: the peer must not get the log.
    ("starting", ["newfstatat", "fstat"], ["input", "output", "log"], ANY, [right, unlogged]),
    ("starting", ["fcntl"], ["input", "output"], ANY, [misused]),
    ("starting", ["setsockopt"], ["output"], ["EOPNOTSUPP", "ENOPROTOOPT"], [right]),
    ("starting", ["setsockopt"], ["output"], ANY, [not_started]),
    # Protections that the program promises before it reads the first byte from the peer.
    ("starting", ["prctl"], ANY, ["EINVAL"], [not_started, partial, right]),
    ("starting", ["setgroups", "setgid", "setuid", "prlimit64", "prctl"], ANY, ANY, [not_started, right]),
    # Files of libraries, users and the log: the program does without them or does not start.
    ("starting", FILES, ANY, ANY, [right, unlogged, not_started, misused]),
    # The connection.
    ("serving", CONNECTION, ["input", "output"], TRANSIENT, [right]),
    ("serving", CONNECTION, ["input", "output"], NETWORK, [network]),
    ("serving", CONNECTION, ["input", "output"], ANY, [local]),
    ("closing", CONNECTION, ["input"], [*TRANSIENT, *NETWORK], [right]),
    ("closing", CONNECTION, ["input"], ANY, [local]),
    (ANY, ["clock_nanosleep"], ANY, ["EINTR"], [right]),
    (ANY, ["clock_nanosleep"], ANY, ANY, [local]),
    ("closing", ["setsockopt"], ["output"], ANY, [local]),  # close=reset
    ("serving", ["setitimer"], ANY, ANY, [right, local]),
    ("closing", ["setitimer"], ANY, ANY, [right, local]),
    ("serving", ["mmap", "brk"], ANY, ANY, [right, no_memory]),
    # If shutdown fails, the peer gets the end of the stream when the process exits.
    (ANY, ["shutdown", "close"], ["output"], ANY, [right]),
    # Calls that save memory, find the time zone, or get a random number for malloc.
    (ANY, ["madvise", "munmap", "openat", "open", "newfstatat", "fstat", "brk", "getrandom"], ANY, ANY, [right]),
    # A log that cannot be written does not end the connection.
    (ANY, ["write", "writev"], ["log"], ANY, [unlogged]),
    (ANY, LOGGING, ANY, ANY, [unlogged]),
]


def row_of(call, error):
    """The first row of ROWS that matches this fault."""
    for row in ROWS:
        phase, names, roles, errors, _ = row
        if ((phase in (ANY, call.phase)) and (names is ANY or call.name in names)
                and (roles is ANY or call.role() in roles) and (errors is ANY or error in errors)):
            return row
    raise AssertionError(f"no row for {error} of {call}")


def errors_of(call):
    """The errors that a call of a run fails with: some of each row of ROWS that is about it."""
    if call.name in ("clock_gettime", "exit_group", "getpid", "getuid", "geteuid", "getgid", "getegid", "rt_sigreturn"):
        return []  # these calls cannot fail with the arguments that the program passes
    found = []
    for phase, names, roles, errors, _ in ROWS:
        if phase in (ANY, call.phase) and (names is ANY or call.name in names) and (roles is ANY or call.role() in roles):
            found += (OTHER if errors is ANY else errors)[:TRIED]
            if errors is ANY:
                return list(dict.fromkeys(found))
    raise AssertionError(f"no row for {call}")


def judge(run, usual, ends):
    """Why the result of a run is wrong; None if it is right."""
    if any(end(run, usual) for end in ends):
        return None
    names = " or ".join(dict.fromkeys(end.__name__ for end in ends))
    return f"expected {names}, got {run.status}, {run.answer[-200:]!r} of {len(run.answer)} bytes, {run.log!r}"


# Cases.

SIZES = [1, 2, 3, 10, 125, 126, 4095, 4096, 65535, 65536, 262143, 262144]


def scenarios():
    """The scenarios that the program supports."""
    static = launch.PROGRAM.endswith("-static")
    return [scenario for scenario in SCENARIOS if not (static and scenario.log == "journal")]


def swept(usual):
    """The calls of a run that are tried.  A failing shutdown is left out in most scenarios: it takes two seconds."""
    return [call for call in usual.calls if call.phase in usual.scenario.phases and call.name != "exit_group"
            and (call.name != "shutdown" or usual.scenario.name == "echo")]


def failing_cases(injector, usual):
    """Each call fails with each of its errors, once, and from then on: (faults, right results of ROWS)."""
    for call in swept(usual):
        for error in errors_of(call):
            yield injector.fault(call, "error", getattr(errno, error)), ROWS
            # A call that is interrupted every time is not realistic.
            if not (call.name in [*CONNECTION, "clock_nanosleep"] and error in TRANSIENT):
                yield injector.fault(call, "error", getattr(errno, error), onwards=True), ROWS


def short_cases(injector, usual):
    """Each read and write of the connection transfers less than it could: every length, or a sample of lengths."""
    for call in usual.calls:
        if call.phase not in SERVING or call.name not in CONNECTION or call.role() not in ("input", "output"):
            continue
        small = call.result <= 600
        for size in range(1, call.result) if small else [*SIZES, call.result - 1]:
            if size < call.result:
                yield injector.fault(call, "size", size), [right]
        # A Ping of which one byte was written first counts as progress of the peer, which changes the result.
        for size in [1, 2, 3, 7, 61, 1000, 65536][usual.scenario.name == "silence" :]:
            if size < call.result and len(usual.answer) < 5000 * size:
                yield injector.fault(call, "size", size, onwards=True), [right]


def signal_cases(injector, usual):
    """SIGTERM arrives at each call."""
    handled = next(number for number, call in enumerate(usual.calls)
                   if call.name == "rt_sigaction" and call.arguments[0] == signal.SIGTERM)
    for number, call in enumerate(usual.calls):
        if call.phase in usual.scenario.phases and call.name != "exit_group":
            ends = [killed] if number < handled else [stopped] if call.phase == "starting" else [stopped, right]
            yield injector.fault(call, "signal", int(signal.SIGTERM)), ends


def clock_cases(injector, usual):
    """
    The clock has jumped at each call that reads it: the realtime clock both ways, the monotonic one forward.
    Scenarios in which the program sleeps until a time are left out: the kernel's clock, which has not jumped,
    would be years behind.
    """
    if any(call.name == "clock_nanosleep" for call in usual.calls):
        return
    for call in usual.calls:
        if call.name == "clock_gettime":
            time_of_day = call.arguments[0] == 0
            for seconds in [1, 3, 100, 366 * 24 * 3600, *([-1, -3600, -20 * 366 * 24 * 3600] if time_of_day else [])]:
                yield injector.fault(call, "jump", seconds, onwards=True), [right] if time_of_day else [right, unlogged]


def combined_cases(injector, usual):
    """Two faults at once: O_NONBLOCK is set and cannot be cleared; SIGTERM arrives while a frame is written in
    pieces."""
    calls_before = sum(call.name == "fcntl" for call in usual.calls)
    for call in usual.calls:
        if call.phase == "serving" and call.name in CONNECTION and call.role() in ("input", "output"):
            blocks_not = injector.fault(call, "error", errno.EAGAIN)
            for error in ["EBADF", "EPERM", "EINVAL"]:
                unchanged = f"{injector.numbers['fcntl']}:{calls_before + 1}:error={getattr(errno, error)}"
                yield f"{blocks_not},{unchanged}", [local]
            if call.role() == "output":
                for number in range(2, 8):
                    pieces = f"{injector.numbers[call.name]}:{call.number}+:size=50000"
                    later = f"{injector.numbers[call.name]}:{call.number + number}:signal={int(signal.SIGTERM)}"
                    yield f"{later},{pieces}", [stopped, right]


def class_cases(injector, usual):
    """For each row, one call of each name with the first error of the row."""
    tried_already = set()
    for call in swept(usual):
        for error in errors_of(call):
            row = row_of(call, error)
            what = ROWS.index(row), call.name, call.role(), call.phase
            if what not in tried_already:
                tried_already.add(what)
                yield injector.fault(call, "error", getattr(errno, error)), ROWS


KINDS = {"errors": failing_cases, "lengths": short_cases, "signals": signal_cases, "clocks": clock_cases,
         "pairs": combined_cases}


def tried(injector, usual, cases):
    """Runs cases.  Returns why each wrong result is wrong, and the number of cases."""
    wrong, count = [], 0
    limit = 2 * len(usual.calls) + 200  # a run with more calls is a busy loop
    for faults, ends in cases:
        count += 1
        pieces = re.search(r"\+:size=(\d+)", faults)
        longer = 3 * (len(usual.scenario.sent) + len(usual.answer)) // int(pieces[1]) if pieces else 0
        longer *= 3 if usual.scenario.name == "lab" else 1  # a pause and two reads of the clock between slices
        longer += 1000 if usual.scenario.name == "silence" else 0  # a slow machine causes more Pings
        run = injector.run(usual.scenario, faults, limit + longer)
        faulty = [call for call in run.calls if call.faulty]
        if not faulty:  # the number of calls varies with the speed of the machine
            number, occurrence = re.match("([0-9]+):([0-9]+)", faults).groups()
            if sum(call.name == injector.names[int(number)] for call in run.calls) >= int(occurrence):
                wrong.append(f"{usual.scenario} {faults}: the fault has not come to pass")
            ends = [right]
        elif ends is ROWS:
            number = int(faults.rpartition("=")[2])
            known = [*NETWORK, *TRANSIENT, *OTHER, *itertools.chain.from_iterable(row[3] or [] for row in ROWS)]
            name = next(name for name in known if getattr(errno, name) == number)
            ends = [end for call in faulty for end in row_of(call, name)[-1]]
        elif usual.scenario.name == "silence":  # the order of its calls varies
            ends = [*ends, right]
        if fault := judge(run, usual, ends):
            at = "; ".join(f"{call.name} {call.number} {call.role()}, {call.phase}" for call in faulty[:1])
            wrong.append(f"{usual.scenario} {faults} ({at}): {fault}")
    return wrong, count


# Tests of one exchange.


@pytest.fixture(name="injector", scope="module")
def that_injects_faults(tmp_path_factory, program):
    injector = Injector(tmp_path_factory.mktemp("faults"))
    yield injector
    injector.close()


def usual_run(injector, scenario):
    usual = injector.run(scenario)
    assert usual.status == 0 and scenario.answer in (None, usual.answer), usual
    return usual


def all_right(injector, usual, cases):
    wrong, count = tried(injector, usual, cases)
    assert count > 0 and not wrong, f"{len(wrong)} of {count}:\n" + "\n".join(wrong)
