# SPDX-License-Identifier: MIT
"""Deadlines. No test measures time: each waits for an event, or compares which of two events comes first."""

import contextlib
import fcntl
import os
import pathlib
import re
import select
import signal
import subprocess
import sys
import time

import framing
import heads
import launch
import project
import pytest
from framing import BINARY, CLOSE, PING, PONG, TEXT
from require import require
from rule import rule

SILENT = "--ping-interval=0"
MIB = 1 << 20
LARGE = bytes(range(256)) * (16 * MIB // 256)
LARGE_FRAME = framing.frame(BINARY, LARGE)
every_connection = pytest.mark.parametrize("pair", launch.PAIRS)


def readable(peer):
    """Whether bytes or the end of the stream can be read within a short time."""
    reading = getattr(peer.socket, "reading", peer.socket)
    return bool(select.select([reading], [], [], 0.02)[0])


# The handshake's deadline.

@rule("ws-echo(8) OPTIONS (8)",
      "--handshake-timeout limits the time for the head and the PROXY header together; single bytes do not extend it.")
@every_connection
def test_a_head_that_is_not_complete_in_time_is_408(pair):
    with launch.Served("--handshake-timeout=0.3", pair=launch.holding(heads.head()[:-1], pair)) as served:
        heads.refused(served.peer.rest(), 408)
        served.peer.close()
        served.finish()


@rule("ws-echo(8) OPTIONS (8)")
@every_connection
def test_the_handshakes_deadline_is_not_extended_by_single_bytes(pair):
    """Otherwise the program would read byte after byte until the request line is too long, and answer 414."""
    with launch.Served("--handshake-timeout=0.3", pair=launch.holding(b"GET /socket?" + b"x" * 3500, pair)) as served:
        while not readable(served.peer):
            served.peer.send(b"x")
        heads.refused(served.peer.rest(), 408)


@rule("ws-echo(8) OPTIONS (8)")
@every_connection
def test_a_connection_without_a_byte_is_ended_silently(pair):
    with launch.Served("--handshake-timeout=0.3", pair=pair) as served:
        assert served.peer.rest() == b""
        served.peer.close()
        assert served.finish() == ""


@rule("ws-echo(8) OPTIONS (8)")
@every_connection
def test_a_proxy_header_counts_towards_the_handshakes_deadline(pair):
    data = b"PROXY TCP4 192.0.2.1 192.0.2.2 1024 8888\r\n" + heads.head()[:-1]
    with launch.Served("--handshake-timeout=0.3", "--proxy-protocol", pair=launch.holding(data, pair)) as served:
        heads.refused(served.peer.rest(), 408)


@rule("ws-echo(8) OPTIONS (8)")
@pytest.mark.slow("a deadline passes, or half as much again")
def test_the_handshakes_deadline_comes_before_the_end_of_a_timeout_that_is_half_as_long_again():
    with launch.Served("--handshake-timeout=1", pair=launch.holding(b"G"), watched=True) as served:
        served.consumed()
        with launch.Served(SILENT, "--timeout=1.5") as other:
            ends = [served.peer.socket, other.peer.open().socket]
            assert ends[0] in select.select(ends, [], [], project.LIMIT)[0]  # both, if the machine was suspended
            heads.refused(served.peer.rest(), 408)


@rule("ws-echo(8) OPTIONS (8)")
@every_connection
def test_the_handshakes_deadline_ends_with_the_handshake(pair):
    """Pings at intervals show that time passes: altogether longer than the deadline."""
    options = ["--handshake-timeout=0.3", "--ping-interval=0.05"]
    with launch.Served(*options, pair=launch.holding(heads.head(), pair)) as served:
        peer = served.peer
        assert peer.receive(len(heads.switching())) == heads.switching()
        for _ in range(10):
            assert peer.frame()[:2] == (True, PING)
        peer.send(framing.text("still here"))
        assert last(peer) == (True, TEXT, framing.PREFIX + b"still here")


# Ping after silence.

def last(peer):
    """Receives frames up to the first that is not a Ping, and returns it."""
    while (frame := peer.frame())[1] == PING:
        pass
    return frame


@rule("ws-echo(8) OPTIONS (9)",
      "With --ping-interval, the program sends a Ping after every silence of that time; with 0 never.")
@every_connection
def test_silence_is_answered_with_a_ping_and_again_after_every_interval(pair):
    with launch.Served("--ping-interval=0.02", pair=pair) as served:
        peer = served.peer.open()
        for _ in range(5):
            fin, opcode, payload = peer.frame()
            assert (fin, opcode) == (True, PING) and len(payload) <= 125


@rule("ws-echo(8) OPTIONS (9)")
@every_connection
def test_silence_inside_a_message_is_answered_with_a_ping_too(pair):
    with launch.Served("--ping-interval=0.02", pair=pair) as served:
        peer = served.peer.open()
        for part in (framing.text("half", fin=False), framing.frame(framing.CONTINUATION, b"done")[:5]):
            peer.send(part)
            assert peer.frame()[:2] == (True, PING)
        peer.send(framing.frame(framing.CONTINUATION, b"done")[5:])
        assert last(peer) == (True, TEXT, framing.PREFIX + b"halfdone")


@rule("ws-echo(8) OPTIONS (9)")
@pytest.mark.slow("the timeout passes several times")
@every_connection
def test_a_peer_that_answers_pings_is_kept(pair):
    """It answers for longer than the timeout."""
    with launch.Served("--ping-interval=0.1", "--timeout=1", pair=pair) as served:
        peer = served.peer.open()
        for _ in range(15):
            fin, opcode, payload = peer.frame()
            assert (fin, opcode) == (True, PING)
            peer.send(framing.frame(PONG, payload))
        peer.send(framing.text("kept"))
        assert last(peer) == (True, TEXT, framing.PREFIX + b"kept")


# The idle timeout.

@rule("ws-echo(8) OPTIONS (10)")
@every_connection
def test_without_any_byte_from_the_peer_it_ends_with_1001(pair):
    with launch.Served(SILENT, "--timeout=0.1", pair=pair) as served:
        peer = served.peer.open()
        assert framing.close_code(peer.answer_close()) == 1001
        peer.close()
        assert launch.record(served.finish())["close"] == "1001"


@rule("ws-echo(8) OPTIONS (10)",
      "--timeout ends a silent connection with 1001, and one whose peer does not read without a Close; 0 means no timeout.")
@every_connection
def test_a_peer_that_does_not_answer_pings_is_given_up_with_1001(pair):
    with launch.Served("--ping-interval=0.05", "--timeout=0.5", pair=pair) as served:
        peer, pings = served.peer.open(), 0
        while (frame := peer.frame())[:2] == (True, PING):
            pings += 1
            assert pings < 50, "ten of them should take so long"
        assert pings and frame[:2] == (True, CLOSE) and frame[2][:2] == framing.close_body(1001), frame
        peer.end()
        assert peer.ended()


@rule("ws-echo(8) OPTIONS (10)")
@every_connection
def test_the_timeout_counts_inside_a_message_too(pair):
    with launch.Served(SILENT, "--timeout=0.1", pair=pair) as served:
        served.peer.open().send(framing.text("half", fin=False) + framing.frame(framing.CONTINUATION, b"more")[:4])
        assert framing.close_code(served.peer.end_at_close()) == 1001


@rule("ws-echo(8) OPTIONS (10)")
@every_connection
def test_a_timeout_of_zero_is_none(pair):
    """Pings show that time passes. If zero were a timeout, the first wait would end the connection."""
    with launch.Served("--ping-interval=0.02", "--timeout=0", pair=pair) as served:
        peer = served.peer.open()
        for _ in range(20):
            assert peer.frame()[:2] == (True, PING)
        peer.send(framing.text("here"))
        assert last(peer) == (True, TEXT, framing.PREFIX + b"here")


# Writing.

every_narrow_connection = pytest.mark.parametrize("pair", [launch.narrow_pair, launch.unix_pair, launch.pipe_pair])


@rule("ws-echo(8) OPTIONS (10)")
@rule("ws-echo(8) SECURITY (8)", "A peer that does not read is given up, and the kernel keeps no output for it.")
@every_narrow_connection
@pytest.mark.parametrize("ping", [SILENT, "--ping-interval=0.02"])
def test_a_peer_that_never_reads_ends_by_the_write_timeout_and_the_record_says_so(pair, ping):
    with launch.Served(ping, "--timeout=0.5", pair=pair) as served:
        served.peer.open().send(LARGE_FRAME)
        record = launch.record(served.finish())
        assert "read" in record["end"] and int(record["bytes_out"]) < len(LARGE), record


@rule("ws-echo(8) OPTIONS (10)")
@every_narrow_connection
def test_a_peer_that_sends_and_never_reads_ends_by_the_write_timeout(pair):
    """Unread echoes fill the buffers of both directions, so that the client's own writes block as well."""
    with launch.Served(SILENT, "--timeout=0.5", pair=pair) as served:
        peer = served.peer.open()
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            for _ in range(8):
                peer.send(LARGE_FRAME)
        assert "read" in launch.record(served.finish())["end"]


@rule("ws-echo(8) OPTIONS (10)")
@pytest.mark.slow("a short timeout is hard to tell from one and a half of it")
@every_narrow_connection
def test_a_peer_that_reads_no_more_is_given_up_within_one_and_a_half_of_the_timeout(pair):
    """Whether it has read nothing, little or more by then; the three peers wait at the same time.

    The test allows one and three quarters, in case the machine is busy.
    """
    with contextlib.ExitStack() as stack:
        waits = []
        for read in [0, 1000, MIB // 16]:
            served = stack.enter_context(launch.Served(SILENT, "--timeout=3", pair=pair))
            peer = served.peer.open()
            peer.send(LARGE_FRAME)
            peer.receive(read)
            waits.append((read, served, stack.enter_context(launch.Clock(5.25))))
        for read, served, clock in waits:
            assert clock.outlasts(served.process), f"after {read} bytes"
            assert "read" in launch.record(served.finish())["end"]


def sockets_between(local, remote):
    """The states of TCP connections between two ports, from /proc/net/tcp."""
    with open("/proc/net/tcp", encoding="ascii") as table:
        rows = [row.split() for row in table][1:]
    return [state for _, *ends, state in (row[:4] for row in rows)
            if [int(end.partition(":")[2], 16) for end in ends] == [local, remote]]


@rule("ws-echo(8) SECURITY (8)")
@pytest.mark.slow("the timeout passes")
@pytest.mark.parametrize("stopped", [False, True], ids=["by-the-timeout", "after-a-signal"])
def test_nothing_stays_in_the_kernel_for_a_peer_that_was_given_up(stopped):
    with launch.Served(SILENT, "--timeout=1", pair=launch.narrow_pair) as served:
        peer = served.peer.open()
        client, server = peer.socket.getsockname()[1], peer.socket.getpeername()[1]
        assert sockets_between(server, client) == ["01"], "established"
        peer.send(LARGE_FRAME)
        peer.receive(1000)
        if stopped:
            served.stop()
        assert "read" in launch.record(served.finish())["end"]
        assert sockets_between(server, client) == []


@rule("ws-echo(8) OPTIONS (10)")
@rule("ws-echo(8) CLOSE CODES (8)")
@pytest.mark.slow("the timeout passes, and passes again")
def test_a_peer_that_reads_is_not_given_up_because_this_process_was_stopped():
    """After SIGCONT, the timer interrupts a write that has waited for longer than the timeout, before the write
    transfers the bytes for which there is room by now."""
    with launch.Served(SILENT, "--timeout=1", pair=launch.narrow_pair) as served:
        peer = served.peer.open()
        peer.send(LARGE_FRAME)
        received = peer.receive(1000)
        with launch.Clock(0.7) as clock:
            launch.wait_until(clock.over, "the write has been looked at")
        served.stop(signal.SIGSTOP)
        with launch.Clock(1.5) as clock:
            while not clock.over():
                if readable(peer):
                    peer.buffer += peer.socket.recv(1 << 16)
        served.stop(signal.SIGCONT)
        expected = framing.reply(BINARY, LARGE)
        received += peer.receive(len(expected) - len(received))
        framing.same(received, expected)


@rule("ws-echo(8) OPTIONS (10)")
@pytest.mark.slow("the peer takes longer than the timeout")
@every_narrow_connection
def test_a_peer_that_reads_slowly_makes_progress_and_gets_its_echo(pair):
    """Each pause of the reader is shorter than the timeout, all together are longer."""
    expected = framing.reply(BINARY, LARGE)
    with launch.Served(SILENT, "--timeout=1", pair=pair) as served:
        peer = served.peer.open()
        peer.send(LARGE_FRAME)
        received = b""
        started = time.monotonic()
        while time.monotonic() < started + 2:
            received += peer.receive(MIB // 4)
            select.select([], [], [], 0.1)
        received += peer.receive(len(expected) - len(received))
        framing.same(received, expected)
        peer.send(framing.text("on"))
        assert peer.frame() == (True, TEXT, framing.PREFIX + b"on"), "the silence counts from the end of the write"


# A process that is stopped for a while.

def state(process):
    """The state of a process: R (runs), S (sleeps) or T (stopped)."""
    return pathlib.Path("/proc", str(process.pid), "stat").read_text().rpartition(") ")[2][0]


def stopped_before_a_ping(served):
    """Stops the process; tells whether it had sent no Ping yet."""
    served.stop(signal.SIGSTOP)
    launch.wait_until(lambda: state(served.process) == "T", "it is stopped", process=served.process)
    return not readable(served.peer)


@rule("ws-echo(8) CLOSE CODES (8)", "A process that was suspended first sends its Ping before it gives the peer up.")
@pytest.mark.slow("the timeout passes, and passes again")
@every_connection
def test_a_process_that_was_stopped_for_longer_than_the_timeout_sends_its_ping_before_it_gives_up(pair):
    with launch.Served("--ping-interval=0.5", "--timeout=1", pair=pair) as served:
        peer = served.peer.open()
        while not stopped_before_a_ping(served):
            served.stop(signal.SIGCONT)
            peer.send(framing.frame(PONG, peer.frame()[2]))
        launch.let_pass(2)
        served.stop(signal.SIGCONT)
        assert peer.frame() == (True, PING, b"")
        peer.send(framing.frame(PONG) + framing.text("kept"))
        assert last(peer) == (True, TEXT, framing.PREFIX + b"kept")


# The log is bounded by the same timer.

@rule("ws-echo(8) CLOSE CODES (7)")
@every_connection
def test_deadlines_hold_after_a_line_of_the_log(pair):
    with launch.Served(SILENT, "--timeout=0.2", "--verbose", pair=pair) as served:
        peer = served.peer.open()
        peer.send(framing.text("hi"))
        assert peer.frame() == (True, TEXT, framing.PREFIX + b"hi")
        assert framing.close_code(peer.answer_close()) == 1001


def full_pipe():
    """Both ends of a pipe that has no room for a line of the log, and its contents."""
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
    room = b"" if launch.filtered() else b"ws-echo[4194304]: " + launch.NOTICE  # logged at the start
    os.write(writing, full := bytes(4096 - len(room)))
    return reading, writing, full


def at_the_bound_of_the_first_line(how):
    """A wrapper that makes `how` happen at the setitimer call that bounds the write of the first line: the third call,
    or a later one if the program logs the notice first."""
    return [require("strace", "strace"), "-e", f"inject=setitimer:{how}:when={3 if launch.filtered() else 5}", "-o"]


def logged_with_a_signal_in_it(pair, wrapper=()):
    """Sends SIGTERM while the program waits to write its first line, unless the wrapper does; returns its log.

    Returns None if the machine was suspended for so long that the program may have given up the line.
    """
    reading, writing, full = full_pipe()
    client, server = pair()
    with launch.Clock(1.5) as clock, server, open(reading, "rb") as log:
        process = subprocess.Popen([*wrapper, launch.PROGRAM, "--verbose"], stdin=getattr(server, "reading", server),
                                   stdout=getattr(server, "writing", server), stderr=writing)
        server.close()
        os.close(writing)
        peer = launch.Peer(client).open()
        if not wrapper:
            launch.wait_until(lambda: state(process) == "S", "it waits for the log", process=process)
            process.send_signal(signal.SIGTERM)
        launch.let_pass(0.1)  # time for the effects of the signal
        assert log.read(len(full)) == full
        in_time = not clock.over()
        assert peer.frame()[:2] == (True, CLOSE)
        peer.close()
        lines = log.read().decode()
        assert process.wait(project.LIMIT) == 0
    return lines if in_time else None


@every_connection
@pytest.mark.parametrize("when", ["while-it-waits", "when-the-bound-is-set"])
def test_a_signal_while_a_line_of_the_log_is_written_is_not_lost_and_cuts_no_line(pair, when, tmp_path):
    wrapper = [] if when == "while-it-waits" else [*at_the_bound_of_the_first_line("signal=SIGTERM"), tmp_path / "trace"]
    log = next(filter(None, (logged_with_a_signal_in_it(pair, wrapper) for _ in range(10))), "")
    lines = [re.sub(r"^ws-echo\[\d+\]: ", "", line) for line in log.splitlines()]
    assert [line for line in lines if line.startswith("field ")] == [
        re.sub("(.*?): (.*)", r'field \1: "\2"', field) for field in heads.head().decode().split("\r\n")[1:-2]]
    assert launch.record(log)["end_id"] == "stopped"


@pytest.mark.slow("a log has two seconds to take a line, and here it does not")
def test_a_log_that_blocks_is_not_asked_again_however_late_this_process_goes_on(tmp_path):
    """The log gets the first line and the record."""
    reading, writing, _ = full_pipe()
    trace = tmp_path / "trace"
    client, server = launch.tcp_pair()
    with server:
        process = subprocess.Popen([*at_the_bound_of_the_first_line("delay_exit=1000000"), trace, launch.PROGRAM, "--verbose"],
                                   stdin=server, stdout=server, stderr=writing)
    with client:
        launch.Peer(client).open()
        launch.wait_until(lambda: re.search(r"^write\(2, .*ERESTART", trace.read_text(), re.MULTILINE), "it has given up",
                        process=process)
        os.read(reading, 4096)
    os.close(writing)
    with open(reading, "rb") as log:
        assert launch.record(log.read().decode())["status"] == "101"
    assert process.wait(project.LIMIT) == 0
    written = re.findall(r"^write\((\d)", trace.read_text(), re.MULTILINE)
    assert written == ["2"] * (not launch.filtered()) + ["1", "2", "2"], "the answer leaves before the line"


# Inherited signals and timers.

ALARMS = {"default": "signal.SIG_DFL", "ignored": "signal.SIG_IGN"}


def inherit_alarm(how, setting="0"):
    """A wrapper that lets the program inherit this disposition of SIGALRM, and a timer."""
    blocked = "signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGALRM])"
    treat = blocked if how == "blocked" else f"signal.signal(signal.SIGALRM, {ALARMS[how]})"
    return [sys.executable, "-c", f"import os, signal, sys; {treat}; "
            f"signal.setitimer(signal.ITIMER_REAL, {setting}); os.execv(sys.argv[1], sys.argv[1:])"]


@rule("ws-echo(8) CLOSE CODES (7)")
@every_connection
@pytest.mark.parametrize("how", ["default", "ignored", "blocked"])
def test_deadlines_hold_whatever_became_of_their_signal(pair, how):
    with launch.Served("--handshake-timeout=0.3", pair=launch.holding(b"G", pair), wrapper=inherit_alarm(how)) as served:
        heads.refused(served.peer.rest(), 408)


@rule("ws-echo(8) RUNNING (3)")
@pytest.mark.parametrize("how", ["ignored", "blocked"])
def test_an_inherited_timer_is_stopped_before_its_signal_counts(how, tmp_path):
    trace = tmp_path / "trace"
    command = [require("strace", "strace"), "-o", str(trace), *inherit_alarm(how, "0.001, 0.001"), launch.PROGRAM]
    result = subprocess.run(command, input=heads.head() + framing.text("hi"), capture_output=True, check=False,
                            timeout=project.LIMIT)
    assert (result.returncode, result.stdout) == (0, heads.switching() + framing.echo("hi")), result
    before, _, after = trace.read_text().rpartition("rt_sigaction(SIGALRM, ")
    assert "tv_usec=1000" in before and before.count("setitimer(") == 2, before
    assert after.count("--- SIGALRM") <= (how == "blocked"), after


# O_NONBLOCK, which another process that holds the connection sets again and again.

class Disturbed(launch.Served):
    """The program under strace, on a socket whose O_NONBLOCK the test can set."""

    def __init__(self, tmp_path, *options, pair):
        self.trace, self.times = tmp_path / "trace", 0
        super().__init__(*options, pair=pair, watched=True, wrapper=[
            require("strace", "strace"), "-o", str(self.trace), "-e", "trace=read,write,writev,fcntl"])

    def disturb(self):
        os.set_blocking(self.watched.fileno(), False)
        self.times += 1

    def unfinished(self, call=""):
        """How many calls failed with EAGAIN."""
        return len(re.findall(rf"^{call}.* EAGAIN ", self.trace.read_text(), re.MULTILINE))


@rule("ws-echo(8) RUNNING (3)")
@pytest.mark.parametrize("pair", [launch.tcp_pair, launch.unix_pair])
def test_o_nonblock_that_is_set_again_and_again_neither_ends_a_read_nor_makes_it_spin(pair, tmp_path):
    with Disturbed(tmp_path, "--ping-interval=0.05", pair=pair) as served:
        peer = served.peer.open()
        for _ in range(10):
            served.disturb()
            peer.send(framing.text("on"))
            assert last(peer) == (True, TEXT, framing.PREFIX + b"on")
            assert peer.frame() == (True, PING, b"")
        peer.close()
        assert launch.record(served.finish())["messages"] == "10"
        assert 0 < served.unfinished() <= served.times


@rule("ws-echo(8) RUNNING (3)")
@pytest.mark.parametrize("pair", [launch.narrow_pair, launch.unix_pair])
def test_o_nonblock_that_is_set_again_and_again_neither_ends_a_write_nor_makes_it_spin(pair, tmp_path):
    """The write blocks, and is interrupted and repeated after each quarter of the timeout."""
    expected = framing.reply(BINARY, LARGE)
    with Disturbed(tmp_path, SILENT, "--timeout=2", pair=pair) as served:
        peer = served.peer.open()
        peer.send(LARGE_FRAME)
        received = b""
        while served.unfinished("write") < 2:
            served.disturb()
            select.select([], [], [], 0.05)  # in this time, a busy loop would write many times
            received += peer.receive(1000)
            assert served.process.poll() is None, "it has ended"
        received += peer.receive(len(expected) - len(received))
        framing.same(received, expected)
        peer.close()
        served.finish()
        assert served.unfinished() <= served.times


# The wait for the peer's end.

@rule("ws-echo(8) CLOSE CODES (3)")
@pytest.mark.slow("a peer has two seconds to end, and here it does not")
@pytest.mark.parametrize("pair", [launch.tcp_pair, launch.unix_pair])
@pytest.mark.parametrize("data", [heads.head() + framing.close(1000), heads.head(path="/other")], ids=["close", "refusal"])
def test_single_bytes_do_not_extend_the_wait_for_the_peers_end(pair, data):
    """The bound is two seconds; the test sends bytes for eight, in case the machine is busy."""
    with launch.Served(pair=launch.holding(data, pair)) as served, launch.Clock(8) as clock:
        assert served.peer.rest()
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            while served.process.poll() is None and not clock.over():
                served.peer.send(b"x")
                select.select([], [], [], 0.001)
        assert clock.outlasts(served.process)
        assert int(launch.record(served.finish())["bytes_in"]) > len(data)


# The lab.

@rule("ws-echo(8) OPTIONS (10)")
@every_connection
def test_a_ping_that_the_lab_writes_in_slices_does_not_move_the_end_of_the_timeout(pair):
    """If the pause in it were a wait for the peer, silence would begin again with every Ping."""
    with launch.Served("--lab=/lab", "--timeout=1", "--ping-interval=0.4", pair=pair) as served:
        received = framing.frames(served.peer.open(path="/lab?slice=1").answer_close())
        assert [opcode for _, opcode, _ in received] in ([PING, CLOSE], [PING, PING, CLOSE]), received


@rule("RFC 6455 4.2.2 (1)")
@every_connection
def test_the_101_does_not_wait_with_the_reply_to_a_message_that_came_with_the_request(pair):
    request = heads.head(path="/lab?latency=60&hello=hi") + framing.text("held")
    early = heads.switching() + framing.reply(TEXT, b"hi")
    with launch.Clock(20) as clock, launch.Served("--lab=/lab", "--timeout=0", pair=launch.holding(request, pair)) as served:
        assert served.peer.receive(len(early)) == early
        assert not clock.over()
        assert not readable(served.peer)
        served.stop()
        assert served.peer.answer_close() == framing.echo("held") + framing.our_close("stopped")
