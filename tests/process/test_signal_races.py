# SPDX-License-Identifier: MIT
"""Signals and deadlines that come between the decision to wait and the blocking call are not lost.

signal_race.c holds the program at this point for as long as a test wants. If a signal or deadline were lost, the call would
block for longer than any test may take.
"""

import mmap
import pathlib
import signal
import socket
import subprocess

import framing
import heads
import launch
import project
import pytest
from framing import BINARY, CLOSE, PING
from launch import PAIRS, SOCKETS, let_pass, resident
from require import require
from rule import rule

pytestmark = rule("ws-echo(8) CLOSE CODES (7)", "A deadline that expires just before a blocking call is not lost.")

MIB = 1 << 20
CALL, NUMBER, HELD = range(3)  # as in signal_race.c
READ, WRITE, SET_TIMER, SLEEP = b"rwsn"

# No deadline expires except those that a test sets.
UNHURRIED = ["--handshake-timeout=1000", "--timeout=0", "--ping-interval=0"]


@pytest.fixture(name="races", scope="module")
def library_that_holds_the_program(tmp_path_factory):
    """The folder of signal_race.c, compiled as a shared library, and of the file that controls it."""
    compiler, folder = require("cc", "gcc"), tmp_path_factory.mktemp("races")
    subprocess.run([compiler, "-O2", "-fPIC", "-shared", "-o", folder / "signal_race.so",
                    project.TESTS / "process/signal_race.c"], check=True, timeout=project.LIMIT)
    return folder


class Held(launch.Served):
    """The program, held just before one of its calls."""

    def __init__(self, races, call, number, *options, **served):
        races.joinpath("hold").write_bytes(bytes(3))
        with races.joinpath("hold").open("r+b") as file:
            self.shared = mmap.mmap(file.fileno(), 3)
        self.hold_before(call, number)
        super().__init__(*UNHURRIED, *options, **served,
                         env={"LD_PRELOAD": str(races / "signal_race.so"), "HOLD": str(races / "hold")})

    def __exit__(self, *exception):
        self.let_go()
        super().__exit__(*exception)

    def hold_before(self, call, number=1):
        """Has the program held before the next call of a kind, or before a later one."""
        self.shared[NUMBER] = number
        self.shared[CALL] = call

    def wait_until_held(self):
        launch.wait_until(lambda: self.shared[HELD], "the program is held", process=self.process)

    def let_go(self):
        self.shared[HELD] = 0

    def wait_until_handled(self, number):
        """Waits until the program has handled every signal of this number."""
        status = pathlib.Path("/proc", str(self.process.pid), "status")

        def handled():
            fields = dict(line.split(":\t") for line in status.read_text().splitlines() if "Pnd" in line)
            return not sum(int(pending, 16) for pending in fields.values()) >> (number - 1) & 1

        launch.wait_until(handled, f"signal {number} is handled", process=self.process)

    def stop_before_the_call(self):
        self.wait_until_held()
        self.stop()
        self.wait_until_handled(signal.SIGTERM)
        self.let_go()

    def let_a_deadline_pass_before_the_call(self, seconds):
        self.wait_until_held()
        let_pass(seconds)
        self.wait_until_handled(signal.SIGALRM)
        self.let_go()


# Before a read.

@pytest.mark.parametrize("pair", PAIRS)
def test_the_handshakes_deadline_may_come_just_before_a_read(races, pair):
    with Held(races, READ, 2, "--handshake-timeout=0.1", pair=launch.holding(heads.head()[:-1], pair)) as served:
        served.let_a_deadline_pass_before_the_call(0.1)
        heads.refused(served.peer.rest(), 408)


@pytest.mark.parametrize("pair", PAIRS)
def test_the_time_for_a_ping_may_come_just_before_a_read(races, pair):
    with Held(races, READ, 2, "--ping-interval=0.1", pair=launch.holding(heads.head(), pair)) as served:
        assert served.peer.receive(len(heads.switching())) == heads.switching()
        served.let_a_deadline_pass_before_the_call(0.1)
        assert served.peer.frame() == (True, PING, b"")


@pytest.mark.parametrize("pair", PAIRS)
def test_the_end_of_the_timeout_may_come_just_before_a_read(races, pair):
    with Held(races, READ, 2, "--timeout=0.1", pair=launch.holding(heads.head(), pair)) as served:
        assert served.peer.receive(len(heads.switching())) == heads.switching()
        served.let_a_deadline_pass_before_the_call(0.1)
        assert framing.close_code(served.peer.answer_close()) == 1001


@pytest.mark.parametrize("pair", PAIRS)
def test_bytes_that_arrive_before_the_timeout_is_noticed_are_read_and_answered(races, pair):
    with Held(races, READ, 2, "--timeout=0.1", pair=launch.holding(heads.head(), pair)) as served:
        assert served.peer.receive(len(heads.switching())) == heads.switching()
        served.peer.send(framing.text("late"))
        served.let_a_deadline_pass_before_the_call(0.1)
        assert served.peer.receive(len(framing.echo("late"))) == framing.echo("late")


def test_after_the_handshakes_deadline_nothing_more_is_read_of_the_head(races):
    """The test uses pipes, because there the program does not read after a refusal either."""
    with Held(races, READ, 2, "--handshake-timeout=0.1", pair=launch.holding(heads.head()[:-2], launch.pipe_pair)) as served:
        served.wait_until_held()
        served.hold_before(READ)
        served.peer.send(heads.head()[-2:-1])
        served.let_a_deadline_pass_before_the_call(0.1)
        heads.refused(served.peer.rest(), 408)


@pytest.mark.parametrize("pair", PAIRS)
def test_the_time_to_give_memory_back_may_come_just_before_a_read(races, pair):
    message = bytes(range(256)) * (16 * MIB // 256)
    with Held(races, WRITE, 2, pair=pair) as served:
        served.peer.open()
        before = resident(served.process)
        served.peer.send(framing.frame(BINARY, message))
        served.wait_until_held()
        served.hold_before(READ)
        served.let_go()
        expected = framing.reply(BINARY, message)
        framing.same(served.peer.receive(len(expected)), expected)
        served.let_a_deadline_pass_before_the_call(0.1)
        launch.wait_until(lambda: resident(served.process) < before + MIB, "the memory is given back")


@rule("ws-echo(8) CLOSE CODES (2)")
@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize("data, number", [(b"", 1), (b"G", 2), (heads.head()[:-1], 2)],
                         ids=["no-byte", "one-byte", "all-but-one"])
def test_a_signal_just_before_a_read_of_the_head_is_not_lost(races, pair, data, number):
    with Held(races, READ, number, "--verbose", pair=launch.holding(data, pair)) as served:
        served.stop_before_the_call()
        assert served.peer.rest() == b""
        served.peer.close()
        assert launch.record(served.finish())["end_id"] == "stopped-in-head"


@rule("ws-echo(8) CLOSE CODES (2)")
@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize("data", [b"", framing.text("half")[:8]], ids=["between-messages", "in-a-message"])
def test_a_signal_just_before_a_read_of_frames_is_not_lost(races, pair, data):
    with Held(races, READ, 2, pair=launch.holding(heads.head() + data, pair)) as served:
        assert served.peer.receive(len(heads.switching())) == heads.switching()
        served.stop_before_the_call()
        assert served.peer.frame()[:2] == (True, CLOSE)


# Before a write that blocks because the peer does not read: the page, which is a single write.

ORIGINS = [f"--origin=https://{number:02}.{'x' * 280}" for number in range(64)]
PAGE_REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


def tight(pair):
    """A pair whose buffers are smaller than a page with all these origins."""
    def tightened():
        client, server = pair()
        if isinstance(client, socket.socket):
            server.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
        else:
            server.writing.write(bytes(1 << 20))  # the capacity of pipe_pair's pipes
        client.sendall(PAGE_REQUEST)
        return client, server
    return tightened


every_tight_connection = pytest.mark.parametrize("pair", [launch.narrow_pair, launch.unix_pair, launch.pipe_pair])


@every_tight_connection
def test_the_time_to_look_after_a_write_may_come_just_before_it(races, pair):
    with Held(races, WRITE, 1, *ORIGINS, "--timeout=0.4", "--verbose", pair=tight(pair)) as served:
        served.let_a_deadline_pass_before_the_call(0.4 / 4)
        assert launch.record(served.finish())["end_id"] == "not-read"


@rule("ws-echo(8) CLOSE CODES (2)")
@pytest.mark.slow("a peer has two seconds to end, and here it does not")
@every_tight_connection
@pytest.mark.parametrize("call, number, options", [
    pytest.param(WRITE, 1, [], id="write"),
    pytest.param(SET_TIMER, 3, ["--timeout=1000"], id="timer"),
])
def test_a_signal_just_before_a_write_is_not_lost(races, pair, call, number, options):
    """A peer that does not read has two seconds. The timer is set at the start, for the head, and for this write."""
    if call == SET_TIMER and not launch.filtered():
        number += 2  # the timer is also set for the line about the missing filter, and after it
    with Held(races, call, number, *ORIGINS, *options, "--verbose", pair=tight(pair)) as served:
        served.stop_before_the_call()
        assert launch.record(served.finish())["end_id"] == "not-read"


@rule("ws-echo(8) CLOSE CODES (2)")
@pytest.mark.parametrize("pair", [launch.narrow_pair, launch.unix_pair, launch.pipe_pair])
def test_a_signal_just_before_the_write_of_a_frame_leaves_it_whole(races, pair):
    message = bytes(range(256)) * (16 * MIB // 256)
    with Held(races, WRITE, 2, pair=pair) as served:
        served.peer.open().send(framing.frame(BINARY, message))
        served.stop_before_the_call()
        expected = framing.reply(BINARY, message)
        framing.same(served.peer.receive(len(expected)), expected)
        assert framing.close_code(served.peer.answer_close()) == 1001


# Before setitimer, which then sets the timer for a deadline that no longer applies.

@rule("ws-echo(8) CLOSE CODES (2)")
@pytest.mark.parametrize("pair", PAIRS)
def test_a_signal_just_before_the_timer_is_set_for_the_head_is_not_lost(races, pair):
    with Held(races, SET_TIMER, 2, pair=pair) as served:
        served.stop_before_the_call()
        assert served.peer.rest() == b""


@rule("ws-echo(8) CLOSE CODES (2)")
@pytest.mark.parametrize("pair", PAIRS)
def test_a_signal_just_before_the_timer_is_set_for_frames_is_not_lost(races, pair):
    with Held(races, SET_TIMER, 3, "--ping-interval=500", pair=launch.holding(heads.head(), pair)) as served:
        assert served.peer.receive(len(heads.switching())) == heads.switching()
        served.stop_before_the_call()
        assert served.peer.frame()[:2] == (True, CLOSE)


# Before a sleep of the lab, and before the timer is disarmed for it.

@rule("ws-echo(8) CLOSE CODES (2)")
@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize("call, number", [(SLEEP, 1), (SET_TIMER, 3)], ids=["sleep", "timer"])
@pytest.mark.parametrize("words", ["delay=60", "latency=60", "stall=60", "slice=1"])
def test_a_signal_just_before_a_sleep_of_the_lab_ends_it(races, pair, call, number, words):
    """The answer goes out, and what was due; then the Close 1001."""
    request = heads.head(path=f"/lab?{words}") + (framing.text("hi") if "latency" in words else b"")
    with Held(races, call, number, "--lab=/lab", pair=launch.holding(request, pair)) as served:
        served.stop_before_the_call()
        assert served.peer.receive(len(heads.switching())) == heads.switching()
        reply = framing.echo("hi") if "latency" in words else b""
        assert served.peer.answer_close() == reply + framing.our_close("stopped")


# While closing.

@rule("ws-echo(8) CLOSE CODES (2)")
@pytest.mark.slow("a peer has two seconds to end, and here it does not")
@pytest.mark.parametrize("pair", SOCKETS)
@pytest.mark.parametrize("call, number", [(READ, 2), (SET_TIMER, 3)], ids=["read", "timer"])
def test_a_signal_just_before_a_wait_for_the_peers_end_does_not_move_its_bound(races, pair, call, number):
    with Held(races, call, number, pair=launch.holding(heads.head() + framing.close(1000), pair)) as served:
        answer = heads.switching() + framing.reply(CLOSE, framing.close_body(1000))
        assert served.peer.rest() == answer
        served.stop_before_the_call()
        assert launch.record(served.finish())["end_id"] == "closed-by-peer"


@rule("ws-echo(8) CLOSE CODES (3)")
@pytest.mark.slow("a peer has two seconds to end, and here it does not")
@pytest.mark.parametrize("pair", SOCKETS)
def test_the_bound_of_the_wait_for_the_peers_end_may_come_just_before_a_read(races, pair):
    with Held(races, READ, 2, pair=launch.holding(heads.head() + framing.close(1000), pair)) as served:
        served.let_a_deadline_pass_before_the_call(2)
        served.finish()
