# SPDX-License-Identifier: MIT
"""How connections end, by either side, and that the last bytes of the program always arrive."""

import contextlib
import random
import re
import select
import signal
import subprocess
import termios

import framing
import heads
import launch
import project
import pytest
from framing import BINARY, CLOSE, CONTINUATION, PING, TEXT
from launch import PAIRS, SOCKETS
from require import require
from rule import rule

SIGNALS = [signal.SIGTERM, signal.SIGINT, signal.SIGHUP]
MIB = 1 << 20
CLOSING = framing.reply(CLOSE, framing.close_body(1000))


# The closing handshake.

@rule("RFC 6455 7.1.1 (1)")
@pytest.mark.parametrize("pair", PAIRS)
def test_a_close_is_answered_and_the_end_of_the_stream_follows_at_once(pair):
    """Even if another process, such as a service manager, keeps the connection open."""
    with launch.Served(pair=pair, watched=pair is not launch.pipe_pair) as served:
        peer = served.peer.open()
        peer.send(framing.close(1000, b"bye"))
        assert peer.rest() == framing.reply(CLOSE, framing.close_body(1000, b"bye"))
        peer.close()
        served.finish()


@rule("RFC 9112 9.6")
@pytest.mark.parametrize("pair", SOCKETS)
@pytest.mark.parametrize("data, status", [(b"GET / HTTP/9.9\r\n\r\n", 505), (heads.head(path="/other"), 404)])
def test_a_refusal_is_followed_by_the_end_of_the_stream_at_once(pair, data, status):
    with launch.Served(pair=pair, watched=True) as served:
        served.peer.send(data)
        heads.refused(served.peer.rest(), status)
        served.peer.close()
        served.finish()


@rule("RFC 9112 9.6")
@pytest.mark.parametrize("pair", SOCKETS)
def test_the_page_is_followed_by_the_end_of_the_stream_at_once(pair):
    with launch.Served(pair=pair, watched=True) as served:
        served.peer.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        answer = heads.Answer(served.peer.rest())
        assert len(answer.body) == int(answer.fields["content-length"])


@rule("ws-echo(8) CLOSE CODES (4)")
@pytest.mark.parametrize("data", [heads.head() + framing.close(1000), b"GET / HTTP/9.9\r\n\r\n",
                                  b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"], ids=["close", "refusal", "page"])
def test_on_pipes_the_end_of_the_stream_comes_before_anything_that_may_wait(data, tmp_path):
    """The log may block, and the peer may never end its stream."""
    trace = tmp_path / "trace"
    wrapper = [require("strace", "strace"), "-o", str(trace)]
    with launch.Served(pair=launch.holding(data, launch.pipe_pair), wrapper=wrapper) as served:
        assert served.peer.rest()
        served.peer.close()
        served.finish()
    calls = re.findall(r"^(\w+\((?:[012]\b)?)", trace.read_text(), re.MULTILINE)
    last = len(calls) - calls[::-1].index("write(1")
    assert "close(1" in calls[last:], calls[last:]
    before = calls[last : calls.index("close(1", last)]
    assert not [call for call in before if re.match("read|write|send|p?poll|p?select|exit", call)], before


@rule("ws-echo(8) EXIT STATUS (1)")
@pytest.mark.usefixtures("dumpable")  # on i386 a shutdown is socketcall(2), whose arguments strace reads from the process
@pytest.mark.parametrize("pair", SOCKETS)
def test_where_nothing_is_left_to_be_said_the_end_of_the_stream_comes_before_the_record(pair, tmp_path):
    """Writing the record may block."""
    trace = tmp_path / "trace"
    with launch.Served(pair=pair, wrapper=[require("strace", "strace"), "-o", str(trace)]) as served:
        served.peer.open().end()
        assert served.peer.rest() == b""
        served.peer.close()
        launch.record(served.finish())
    calls = trace.read_text()
    assert 0 < calls.find("shutdown(1, SHUT_RDWR)") < calls.rindex("write(2, "), calls


@rule("ws-echo(8) CLOSE CODES (4)", "Over pipes, the program ends after its last output and discards no input.")
@pytest.mark.parametrize("data", [heads.head() + framing.close(1000), heads.head() + framing.frame(3),
                                  b"GET / HTTP/9.9\r\n\r\n", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"],
                         ids=["close", "error", "refusal", "page"])
def test_over_pipes_it_ends_after_its_last_output_and_discards_nothing(data):
    """A pipe cannot be reset. Unread bytes stay in it for its next reader."""
    request = launch.holding(data + bytes(MIB - len(data)), launch.pipe_pair)
    with launch.Served(pair=request, watched=True) as served:
        assert served.peer.rest()
        served.finish()
        assert launch.queued(served.watched, termios.FIONREAD) > 0


@rule("RFC 6455 7.1.1 (1)")
@pytest.mark.slow("a peer has two seconds to end, and here it does not")
def test_the_process_ends_although_the_peer_keeps_the_connection_open():
    with launch.Served() as served:
        served.peer.open().send(framing.close(1000))
        assert served.peer.rest() == CLOSING
        served.finish()


@rule("RFC 6455 7.1.1 (1)")
@pytest.mark.parametrize("pair", PAIRS[:2])
def test_nothing_more_is_taken_from_the_peer_although_another_process_holds_the_connection(pair):
    """A service manager does so."""
    with launch.Served(pair=pair, watched=True) as served:
        served.peer.open().send(framing.close(1000))
        assert served.peer.rest() == CLOSING
        served.finish()
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            for _ in range(1000):
                served.peer.send(b"more")
                select.select([], [], [], 0.001)  # the answer takes some time


@rule("RFC 6455 7.1.1 (1)")
def test_of_two_sockets_the_output_is_shut_down_before_the_wait_for_the_peers_end():
    """Another process holds both, as a service manager does."""
    upwards, downwards = launch.unix_pair(), launch.unix_pair()
    with upwards[1], downwards[1], launch.Served(pair=lambda: (
            launch.PipeEnd(upwards[0].detach(), downwards[0].detach()),
            launch.PipeEnd(downwards[1].dup().detach(), upwards[1].dup().detach()))) as served:
        served.peer.send(heads.head() + framing.close(1000))
        assert served.peer.rest() == heads.switching() + CLOSING
        served.peer.send(b"more")
        served.peer.close()
        assert launch.record(served.finish())["bytes_in"] == str(len(heads.head() + framing.close(1000) + b"more"))


# Half-closed connections and their ends.

@rule("ws-echo(8) CLOSE CODES (1)", "A peer that half-closes after a message still receives the echo.")
@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize("length", [5, 3 * MIB])
def test_a_peer_that_half_closes_after_a_message_still_gets_its_echo(pair, length):
    with launch.Served(pair=pair) as served:
        peer = served.peer.open()
        peer.send(framing.frame(BINARY, bytes(length)))
        peer.end()
        framing.same(peer.rest(), framing.reply(BINARY, bytes(length)))
        peer.close()
        served.finish()


@rule("ws-echo(8) EXIT STATUS (1)")
@pytest.mark.parametrize("data", [
    pytest.param(data, id=name) for name, data in {
        "before-a-byte": b"",
        "after-a-byte": b"G",
        "in-the-head": heads.head()[:-2],
        "in-a-header": heads.head() + framing.text("hi")[:1],
        "before-a-masking-key": heads.head() + framing.text("hi")[:2],
        "in-a-masking-key": heads.head() + framing.text("hi")[:4],
        "in-a-long-length": heads.head() + framing.frame(BINARY, bytes(70000))[:5],
        "in-a-payload": heads.head() + framing.text("hi")[:-1],
        "in-a-message": heads.head() + framing.text("hi", fin=False),
        "in-a-fragment": heads.head() + framing.text("hi", fin=False) + framing.frame(CONTINUATION, b"ho")[:-1],
        "in-a-close": heads.head() + framing.close(1000)[:-1],
    }.items()
])
@pytest.mark.parametrize("pair", PAIRS)
def test_an_end_of_the_stream_anywhere_is_an_ordinary_end(pair, data):
    """The program's own end of the stream reaches the peer even if another process holds the connection."""
    with launch.Served(pair=pair, watched=pair is not launch.pipe_pair) as served:
        served.peer.send(data)
        served.peer.end()
        received = served.peer.rest()
        if data.startswith(heads.head()):
            assert received == heads.switching(), received
        served.peer.close()
        served.finish()


# Resets.

@rule("ws-echo(8) EXIT STATUS (1)", "The exit status is 0 for everything that a peer or the network can cause.")
@pytest.mark.parametrize("data", [
    b"", heads.head()[:50], heads.head(), heads.head() + framing.text("hi")[:4], heads.head() + framing.text("hi"),
    heads.head() + framing.close(1000),
], ids=["first", "in-the-head", "after-the-head", "in-a-frame", "after-a-message", "after-a-close"])
def test_a_reset_is_an_ordinary_end(data):
    with launch.Served() as served:
        served.peer.send(data)
        served.peer.reset()
        served.finish()


@rule("ws-echo(8) EXIT STATUS (1)")
@pytest.mark.parametrize("pair", [launch.narrow_pair, launch.unix_pair])
def test_a_peer_that_goes_while_a_large_echo_is_written_is_an_ordinary_end(pair):
    """The record does not count the message as echoed."""
    with launch.Served(pair=pair) as served:
        peer = served.peer.open()
        peer.send(framing.frame(BINARY, bytes(16 * MIB)))
        peer.receive(1000)
        peer.reset()
        assert launch.record(served.finish())["messages"] == "0"


@rule("ws-echo(8) EXIT STATUS (1)")
def test_a_reset_is_an_ordinary_end_where_only_the_input_is_a_socket():
    client, server = launch.tcp_pair()
    with server:
        process = subprocess.Popen([launch.PROGRAM], stdin=server, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    launch.Peer(client).reset()
    process.communicate(timeout=project.LIMIT)
    assert process.returncode == 0


@rule("ws-echo(8) EXIT STATUS (1)")
def test_a_pipe_that_breaks_while_a_large_echo_is_written_is_an_ordinary_end():
    with launch.Served(pair=launch.pipe_pair) as served:
        peer = served.peer.open()
        peer.send(framing.frame(BINARY, bytes(16 * MIB)))
        peer.receive(1000)
        peer.socket.reading.close()
        served.finish()


# Bytes that the peer is still sending do not cause a reset, which would destroy the last answer.

@rule("RFC 9112 9.6")
@pytest.mark.parametrize("pair", SOCKETS)
def test_a_refusal_arrives_although_much_more_was_sent_than_read(pair):
    with launch.Served(pair=pair) as served:
        served.peer.send(b"GET /socket HTTP/1.1\nHost: x\n\n" + bytes(MIB))
        heads.refused(served.peer.rest(), 400)
        served.peer.close()
        served.finish()


@rule("RFC 6455 7.1.1 (1)")
@pytest.mark.parametrize("pair", SOCKETS)
@pytest.mark.parametrize("data, code", [
    (framing.frame(3), 1002), (framing.text(b"\xff"), 1007), (framing.frame(BINARY, bytes(11)), 1009),
    (framing.close(4000), 4000),
])
def test_a_close_arrives_although_much_more_was_sent_than_read(pair, data, code):
    with launch.Served("--max-message=10", pair=pair) as served:
        peer = served.peer.open()
        peer.send(data + bytes(MIB))
        assert framing.close_code(peer.rest()) == code
        peer.close()
        assert launch.record(served.finish())["path"] == "/socket", "the head stays for the record"


@rule("ws-echo(8) CLOSE CODES (3)")
@pytest.mark.slow("the connection is older than the wait for its end may take")
def test_the_wait_for_the_peers_end_begins_after_our_last_output():
    with launch.Clock(2.5) as clock, launch.Served() as served:
        served.peer.open()
        launch.wait_until(clock.over, "the connection is older than two seconds")
        served.peer.send(framing.close(1000))
        assert served.peer.rest() == CLOSING
        served.peer.send(b"more")
        served.peer.close()
        assert launch.record(served.finish())["bytes_in"] == str(len(heads.head() + framing.close(1000) + b"more"))


@rule("RFC 6455 7.1.1 (1)")
@pytest.mark.slow("a peer has two seconds to end, and here it does not")
@pytest.mark.parametrize("pair", [launch.narrow_pair, launch.unix_pair])
def test_a_peer_that_reads_only_after_the_end_still_gets_all_output(pair):
    message = random.Random(1).randbytes(MIB // 16)
    with launch.Served(pair=pair) as served:
        peer = served.peer.open()
        peer.send(framing.frame(BINARY, message) + framing.close(1000))
        served.finish()
        framing.same(peer.rest(), framing.reply(BINARY, message) + CLOSING)


# Signals.

@rule("RFC 6455 7.4.1 (2)", "A process that gets SIGTERM sends Close 1001.")
@rule("ws-echo(8) CLOSE CODES (2)")
@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_is_answered_with_close_1001(pair, number):
    with launch.Served(pair=pair) as served:
        peer = served.peer.open()
        peer.send(framing.text("hi"))
        assert peer.frame() == (True, TEXT, framing.PREFIX + b"hi")
        served.stop(number)
        assert framing.close_code(peer.answer_close()) == 1001
        peer.close()
        served.finish()


@rule("ws-echo(8) CLOSE CODES (2)")
@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize("begun", [8, 10], ids=["frame", "message"])
def test_a_signal_inside_the_peers_message_is_answered_at_once(pair, begun):
    """The program need not finish reading the peer's message; only its own frames must be complete."""
    data = framing.text("half", fin=False)
    with launch.Served(pair=pair, watched=True) as served:
        served.peer.open().send(data[:begun])
        served.consumed()
        served.stop()
        assert served.peer.frame() == (True, CLOSE, framing.close_body(*framing.CLOSES["stopped"]))
        if pair is not launch.pipe_pair:
            served.peer.send(data[begun:] + framing.close(1001))
        assert served.peer.rest() == b""


@rule("ws-echo(8) CLOSE CODES (2)")
@pytest.mark.parametrize("pair", [launch.narrow_pair, launch.unix_pair, launch.pipe_pair])
@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_while_a_large_echo_is_written_lets_the_frame_be_finished_first(pair, number):
    message = random.Random(number).randbytes(16 * MIB)
    with launch.Served(pair=pair) as served:
        peer = served.peer.open()
        peer.send(framing.frame(BINARY, message))
        begun = peer.receive(10)
        served.stop(number)
        received = peer.answer_close(begun)
        expected = framing.reply(BINARY, message)
        assert received[:len(expected)] == expected, f"the frame is not whole: {len(received)} bytes"
        assert framing.close_code(received[len(expected):]) == 1001
        peer.close()
        served.finish()


@rule("ws-echo(8) CLOSE CODES (2)",
      "A signal ends the connection after the frame that is being written, which gets two seconds.")
@pytest.mark.slow("the peer takes nothing for two seconds")
@pytest.mark.parametrize("pair, reads", [
    (launch.narrow_pair, "not-at-all"), (launch.unix_pair, "not-at-all"), (launch.pipe_pair, "not-at-all"),
    (launch.narrow_pair, "slowly"), (launch.unix_pair, "slowly"), (launch.pipe_pair, "slowly"),
])
def test_a_signal_leaves_a_peer_two_seconds_to_take_what_is_being_written(pair, reads):
    """The test allows eight, in case the machine is busy."""
    with launch.Served(pair=pair) as served, launch.Clock(8) as clock:
        peer = served.peer.open()
        peer.send(framing.frame(BINARY, bytes(16 * MIB)))
        peer.receive(4096)
        served.stop()
        while reads == "slowly" and served.process.poll() is None and not clock.over():
            with contextlib.suppress(ConnectionResetError):  # the kernel discards unread output
                peer.receive(4096)
            select.select([], [], [], 0.02)  # so slow that reading everything would take longer than any test may
        assert clock.outlasts(served.process)
        assert "read" in launch.record(served.finish())["end"]


@rule("ws-echo(8) CLOSE CODES (2)")
def test_a_signal_that_comes_again_changes_nothing():
    message = bytes(16 * MIB)
    with launch.Served(pair=launch.narrow_pair) as served:
        peer = served.peer.open()
        peer.send(framing.frame(BINARY, message))
        received = peer.receive(10)
        for number in SIGNALS * 10:
            served.stop(number)
            received += peer.receive(1000)
        received = peer.answer_close(received)
        expected = framing.reply(BINARY, message)
        assert received[:len(expected)] == expected, f"the frame is not whole: {len(received)} bytes"
        assert framing.close_code(received[len(expected):]) == 1001
        peer.close()
        served.finish()


@rule("ws-echo(8) CLOSE CODES (2)")
@pytest.mark.parametrize("pair", PAIRS)
def test_a_signal_at_any_moment_is_not_lost_and_cuts_no_frame(pair):
    """Messages are on their way when the signal arrives: each is echoed as a whole or not at all; then comes 1001."""
    for count in range(40):
        messages = [bytes([number]) * (number * 37 % 400) for number in range(count)]
        with launch.Served(pair=pair) as served:
            peer = served.peer.open()
            peer.send(b"".join(framing.frame(BINARY, message) for message in messages))
            served.stop()
            answers = framing.frames(peer.answer_close())
            peer.close()
            served.finish()
        *echoes, (fin, opcode, body) = answers
        assert (fin, opcode, body[:2]) == (True, CLOSE, framing.close_body(1001)), answers[-1]
        assert [payload for _, _, payload in echoes] == messages[:len(echoes)], (count, len(echoes))


@rule("ws-echo(8) CLOSE CODES (2)")
@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("data", [b"G", heads.head()[:-1]], ids=["one-byte", "all-but-one"])
def test_a_signal_during_the_handshake_ends_it_silently(pair, number, data):
    with launch.Served(pair=pair, watched=True) as served:
        served.peer.send(data)
        served.consumed()
        served.stop(number)
        assert served.peer.rest() == b""
        served.peer.close()
        served.finish()


@rule("ws-echo(8) CLOSE CODES (2)")
@pytest.mark.parametrize("pair", SOCKETS)
def test_a_signal_while_closing_changes_nothing(pair):
    """The program still reads what the peer sends; otherwise a reset could destroy its Close."""
    more = bytes(8 * MIB)
    with launch.Served(pair=pair) as served:
        peer = served.peer.open()
        peer.send(framing.close(1000))
        assert framing.close_code(peer.rest()) == 1000
        for number in SIGNALS * 3:
            served.stop(number)
        peer.send(more)
        peer.close()
        assert launch.record(served.finish())["bytes_in"] == str(len(heads.head() + framing.close(1000) + more))


# Order of the last things.

@rule("ws-echo(8) CLOSE CODES (1)")
def test_messages_complete_before_the_end_of_the_stream_are_answered_before_it():
    with launch.Served() as served:
        peer = served.peer
        peer.send(heads.head() + framing.text("a") + framing.frame(PING, b"p") + framing.text("b")[:-1])
        peer.end()
        assert peer.rest() == heads.switching() + framing.echo("a") + framing.reply(framing.PONG, b"p")


@rule("RFC 6455 7.1.1 (1)")
def test_the_answer_to_a_close_comes_after_a_large_echo():
    with launch.Served(pair=launch.narrow_pair) as served:
        peer = served.peer.open()
        peer.send(framing.frame(BINARY, bytes(4 * MIB)) + framing.close(1000))
        framing.same(peer.rest(), framing.reply(BINARY, bytes(4 * MIB)) + CLOSING)
