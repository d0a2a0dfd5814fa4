"""How connections end, by either side, and that the last bytes of the program always arrive."""

import contextlib
import random
import re
import select
import signal
import subprocess
import termios

import pytest
import wire
from parts import require
from wire import BINARY, CLOSE, CONTINUATION, PING, TEXT

PAIRS = [wire.tcp_pair, wire.unix_pair, wire.pipe_pair]
SOCKETS = [wire.tcp_pair, wire.unix_pair]
SIGNALS = [signal.SIGTERM, signal.SIGINT, signal.SIGHUP]
MIB = 1 << 20
CLOSING = wire.reply(CLOSE, wire.close_body(1000))


# The closing handshake.

@pytest.mark.parametrize("pair", PAIRS)
def test_a_close_is_answered_and_the_end_of_the_stream_follows_at_once(pair):
    """Even if another process, such as a service manager, keeps the connection open."""
    with wire.Served(pair=pair, watched=pair is not wire.pipe_pair) as served:
        peer = served.peer.open()
        peer.send(wire.close(1000, b"bye"))
        assert peer.rest() == wire.reply(CLOSE, wire.close_body(1000, b"bye"))
        peer.close()
        served.finish()


@pytest.mark.parametrize("pair", SOCKETS)
@pytest.mark.parametrize("data, status", [(b"GET / HTTP/9.9\r\n\r\n", 505), (wire.head(path="/other"), 404)])
def test_a_refusal_is_followed_by_the_end_of_the_stream_at_once(pair, data, status):
    with wire.Served(pair=pair, watched=True) as served:
        served.peer.send(data)
        wire.refused(served.peer.rest(), status)
        served.peer.close()
        served.finish()


@pytest.mark.parametrize("pair", SOCKETS)
def test_the_page_is_followed_by_the_end_of_the_stream_at_once(pair):
    with wire.Served(pair=pair, watched=True) as served:
        served.peer.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        answer = wire.Answer(served.peer.rest())
        assert len(answer.body) == int(answer.fields["content-length"])


@pytest.mark.parametrize("data", [wire.head() + wire.close(1000), b"GET / HTTP/9.9\r\n\r\n",
                                  b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"], ids=["close", "refusal", "page"])
def test_on_pipes_the_end_of_the_stream_comes_before_anything_that_may_wait(data, tmp_path):
    """The log may block, and the peer may never end its stream."""
    trace = tmp_path / "trace"
    wrapper = [require("strace", "strace"), "-o", str(trace)]
    with wire.Served(pair=wire.holding(data, wire.pipe_pair), wrapper=wrapper) as served:
        assert served.peer.rest()
        served.peer.close()
        served.finish()
    calls = re.findall(r"^(\w+\((?:[012]\b)?)", trace.read_text(), re.MULTILINE)
    last = len(calls) - calls[::-1].index("write(1")
    assert "close(1" in calls[last:], calls[last:]
    before = calls[last : calls.index("close(1", last)]
    assert not [call for call in before if re.match("read|write|send|p?poll|p?select|exit", call)], before


@pytest.mark.usefixtures("dumpable")  # on i386 a shutdown is socketcall(2), whose arguments strace reads from the process
@pytest.mark.parametrize("pair", SOCKETS)
def test_where_nothing_is_left_to_be_said_the_end_of_the_stream_comes_before_the_record(pair, tmp_path):
    """Writing the record may block."""
    trace = tmp_path / "trace"
    with wire.Served(pair=pair, wrapper=[require("strace", "strace"), "-o", str(trace)]) as served:
        served.peer.open().end()
        assert served.peer.rest() == b""
        served.peer.close()
        wire.record(served.finish())
    calls = trace.read_text()
    assert 0 < calls.find("shutdown(1, SHUT_RDWR)") < calls.rindex("write(2, "), calls


@pytest.mark.parametrize("data", [wire.head() + wire.close(1000), wire.head() + wire.frame(3),
                                  b"GET / HTTP/9.9\r\n\r\n", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"],
                         ids=["close", "error", "refusal", "page"])
def test_over_pipes_it_ends_after_its_last_output_and_discards_nothing(data):
    """A pipe cannot be reset. Unread bytes stay in it for its next reader."""
    request = wire.holding(data + bytes(MIB - len(data)), wire.pipe_pair)
    with wire.Served(pair=request, watched=True) as served:
        assert served.peer.rest()
        served.finish()
        assert wire.queued(served.watched, termios.FIONREAD) > 0


@pytest.mark.slow("a peer has two seconds to end, and here it does not")
def test_the_process_ends_although_the_peer_keeps_the_connection_open():
    with wire.Served() as served:
        served.peer.open().send(wire.close(1000))
        assert served.peer.rest() == CLOSING
        served.finish()


@pytest.mark.parametrize("pair", PAIRS[:2])
def test_nothing_more_is_taken_from_the_peer_although_another_process_holds_the_connection(pair):
    """A service manager does so."""
    with wire.Served(pair=pair, watched=True) as served:
        served.peer.open().send(wire.close(1000))
        assert served.peer.rest() == CLOSING
        served.finish()
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            for _ in range(1000):
                served.peer.send(b"more")
                select.select([], [], [], 0.001)  # the answer takes some time


def test_of_two_sockets_the_output_is_shut_down_before_the_wait_for_the_peers_end():
    """Another process holds both, as a service manager does."""
    upwards, downwards = wire.unix_pair(), wire.unix_pair()
    with upwards[1], downwards[1], wire.Served(pair=lambda: (
            wire.PipeEnd(upwards[0].detach(), downwards[0].detach()),
            wire.PipeEnd(downwards[1].dup().detach(), upwards[1].dup().detach()))) as served:
        served.peer.send(wire.head() + wire.close(1000))
        assert served.peer.rest() == wire.switching() + CLOSING
        served.peer.send(b"more")
        served.peer.close()
        assert wire.record(served.finish())["bytes_in"] == str(len(wire.head() + wire.close(1000) + b"more"))


# Half-closed connections and their ends.

@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize("length", [5, 3 * MIB])
def test_a_peer_that_half_closes_after_a_message_still_gets_its_echo(pair, length):
    with wire.Served(pair=pair) as served:
        peer = served.peer.open()
        peer.send(wire.frame(BINARY, bytes(length)))
        peer.end()
        wire.same(peer.rest(), wire.reply(BINARY, bytes(length)))
        peer.close()
        served.finish()


@pytest.mark.parametrize("data", [
    pytest.param(data, id=name) for name, data in {
        "before-a-byte": b"",
        "after-a-byte": b"G",
        "in-the-head": wire.head()[:-2],
        "in-a-header": wire.head() + wire.text("hi")[:1],
        "before-a-masking-key": wire.head() + wire.text("hi")[:2],
        "in-a-masking-key": wire.head() + wire.text("hi")[:4],
        "in-a-long-length": wire.head() + wire.frame(BINARY, bytes(70000))[:5],
        "in-a-payload": wire.head() + wire.text("hi")[:-1],
        "in-a-message": wire.head() + wire.text("hi", fin=False),
        "in-a-fragment": wire.head() + wire.text("hi", fin=False) + wire.frame(CONTINUATION, b"ho")[:-1],
        "in-a-close": wire.head() + wire.close(1000)[:-1],
    }.items()
])
@pytest.mark.parametrize("pair", PAIRS)
def test_an_end_of_the_stream_anywhere_is_an_ordinary_end(pair, data):
    """The program's own end of the stream reaches the peer even if another process holds the connection."""
    with wire.Served(pair=pair, watched=pair is not wire.pipe_pair) as served:
        served.peer.send(data)
        served.peer.end()
        received = served.peer.rest()
        if data.startswith(wire.head()):
            assert received == wire.switching(), received
        served.peer.close()
        served.finish()


# Resets.

@pytest.mark.parametrize("data", [
    b"", wire.head()[:50], wire.head(), wire.head() + wire.text("hi")[:4], wire.head() + wire.text("hi"),
    wire.head() + wire.close(1000),
], ids=["first", "in-the-head", "after-the-head", "in-a-frame", "after-a-message", "after-a-close"])
def test_a_reset_is_an_ordinary_end(data):
    with wire.Served() as served:
        served.peer.send(data)
        served.peer.reset()
        served.finish()


@pytest.mark.parametrize("pair", [wire.narrow_pair, wire.unix_pair])
def test_a_peer_that_goes_while_a_large_echo_is_written_is_an_ordinary_end(pair):
    """The record does not count the message as echoed."""
    with wire.Served(pair=pair) as served:
        peer = served.peer.open()
        peer.send(wire.frame(BINARY, bytes(16 * MIB)))
        peer.receive(1000)
        peer.reset()
        assert wire.record(served.finish())["messages"] == "0"


def test_a_reset_is_an_ordinary_end_where_only_the_input_is_a_socket():
    client, server = wire.tcp_pair()
    with server:
        process = subprocess.Popen([wire.PROGRAM], stdin=server, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    wire.Peer(client).reset()
    process.communicate(timeout=wire.LIMIT)
    assert process.returncode == 0


def test_a_pipe_that_breaks_while_a_large_echo_is_written_is_an_ordinary_end():
    with wire.Served(pair=wire.pipe_pair) as served:
        peer = served.peer.open()
        peer.send(wire.frame(BINARY, bytes(16 * MIB)))
        peer.receive(1000)
        peer.socket.reading.close()
        served.finish()


# Bytes that the peer is still sending do not cause a reset, which would destroy the last answer.

@pytest.mark.parametrize("pair", SOCKETS)
def test_a_refusal_arrives_although_much_more_was_sent_than_read(pair):
    with wire.Served(pair=pair) as served:
        served.peer.send(b"GET /socket HTTP/1.1\nHost: x\n\n" + bytes(MIB))
        wire.refused(served.peer.rest(), 400)
        served.peer.close()
        served.finish()


@pytest.mark.parametrize("pair", SOCKETS)
@pytest.mark.parametrize("data, code", [
    (wire.frame(3), 1002), (wire.text(b"\xff"), 1007), (wire.frame(BINARY, bytes(11)), 1009),
    (wire.close(4000), 4000),
])
def test_a_close_arrives_although_much_more_was_sent_than_read(pair, data, code):
    with wire.Served("--max-message=10", pair=pair) as served:
        peer = served.peer.open()
        peer.send(data + bytes(MIB))
        assert wire.close_code(peer.rest()) == code
        peer.close()
        assert wire.record(served.finish())["path"] == "/socket", "the head stays for the record"


@pytest.mark.slow("the connection is older than the wait for its end may take")
def test_the_wait_for_the_peers_end_begins_after_our_last_output():
    with wire.Clock(2.5) as clock, wire.Served() as served:
        served.peer.open()
        wire.wait_until(clock.over, "the connection is older than two seconds")
        served.peer.send(wire.close(1000))
        assert served.peer.rest() == CLOSING
        served.peer.send(b"more")
        served.peer.close()
        assert wire.record(served.finish())["bytes_in"] == str(len(wire.head() + wire.close(1000) + b"more"))


@pytest.mark.slow("a peer has two seconds to end, and here it does not")
@pytest.mark.parametrize("pair", [wire.narrow_pair, wire.unix_pair])
def test_a_peer_that_reads_only_after_the_end_still_gets_all_output(pair):
    message = random.Random(1).randbytes(MIB // 16)
    with wire.Served(pair=pair) as served:
        peer = served.peer.open()
        peer.send(wire.frame(BINARY, message) + wire.close(1000))
        served.finish()
        wire.same(peer.rest(), wire.reply(BINARY, message) + CLOSING)


# Signals.

@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_is_answered_with_close_1001(pair, number):
    with wire.Served(pair=pair) as served:
        peer = served.peer.open()
        peer.send(wire.text("hi"))
        assert peer.frame() == (True, TEXT, wire.PREFIX + b"hi")
        served.stop(number)
        assert wire.close_code(peer.answer_close()) == 1001
        peer.close()
        served.finish()


@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize("begun", [8, 10], ids=["frame", "message"])
def test_a_signal_inside_the_peers_message_is_answered_at_once(pair, begun):
    """The program need not finish reading the peer's message; only its own frames must be complete."""
    data = wire.text("half", fin=False)
    with wire.Served(pair=pair, watched=True) as served:
        served.peer.open().send(data[:begun])
        served.consumed()
        served.stop()
        assert served.peer.frame() == (True, CLOSE, wire.close_body(*wire.CLOSES["stopped"]))
        if pair is not wire.pipe_pair:
            served.peer.send(data[begun:] + wire.close(1001))
        assert served.peer.rest() == b""


@pytest.mark.parametrize("pair", [wire.narrow_pair, wire.unix_pair, wire.pipe_pair])
@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_while_a_large_echo_is_written_lets_the_frame_be_finished_first(pair, number):
    message = random.Random(number).randbytes(16 * MIB)
    with wire.Served(pair=pair) as served:
        peer = served.peer.open()
        peer.send(wire.frame(BINARY, message))
        begun = peer.receive(10)
        served.stop(number)
        received = peer.answer_close(begun)
        expected = wire.reply(BINARY, message)
        assert received[:len(expected)] == expected, f"the frame is not whole: {len(received)} bytes"
        assert wire.close_code(received[len(expected):]) == 1001
        peer.close()
        served.finish()


@pytest.mark.slow("the peer takes nothing for two seconds")
@pytest.mark.parametrize("pair, reads", [
    (wire.narrow_pair, "not-at-all"), (wire.unix_pair, "not-at-all"), (wire.pipe_pair, "not-at-all"),
    (wire.narrow_pair, "slowly"), (wire.unix_pair, "slowly"), (wire.pipe_pair, "slowly"),
])
def test_a_signal_leaves_a_peer_two_seconds_to_take_what_is_being_written(pair, reads):
    """The test allows eight, in case the machine is busy."""
    with wire.Served(pair=pair) as served, wire.Clock(8) as clock:
        peer = served.peer.open()
        peer.send(wire.frame(BINARY, bytes(16 * MIB)))
        peer.receive(4096)
        served.stop()
        while reads == "slowly" and served.process.poll() is None and not clock.over():
            with contextlib.suppress(ConnectionResetError):  # the kernel discards unread output
                peer.receive(4096)
            select.select([], [], [], 0.02)  # so slow that reading everything would take longer than any test may
        assert clock.outlasts(served.process)
        assert "read" in wire.record(served.finish())["end"]


def test_a_signal_that_comes_again_changes_nothing():
    message = bytes(16 * MIB)
    with wire.Served(pair=wire.narrow_pair) as served:
        peer = served.peer.open()
        peer.send(wire.frame(BINARY, message))
        received = peer.receive(10)
        for number in SIGNALS * 10:
            served.stop(number)
            received += peer.receive(1000)
        received = peer.answer_close(received)
        expected = wire.reply(BINARY, message)
        assert received[:len(expected)] == expected, f"the frame is not whole: {len(received)} bytes"
        assert wire.close_code(received[len(expected):]) == 1001
        peer.close()
        served.finish()


@pytest.mark.parametrize("pair", PAIRS)
def test_a_signal_at_any_moment_is_not_lost_and_cuts_no_frame(pair):
    """Messages are on their way when the signal arrives: each is echoed as a whole or not at all; then comes 1001."""
    for count in range(40):
        messages = [bytes([number]) * (number * 37 % 400) for number in range(count)]
        with wire.Served(pair=pair) as served:
            peer = served.peer.open()
            peer.send(b"".join(wire.frame(BINARY, message) for message in messages))
            served.stop()
            answers = wire.frames(peer.answer_close())
            peer.close()
            served.finish()
        *echoes, (fin, opcode, body) = answers
        assert (fin, opcode, body[:2]) == (True, CLOSE, wire.close_body(1001)), answers[-1]
        assert [payload for _, _, payload in echoes] == messages[:len(echoes)], (count, len(echoes))


@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("data", [b"G", wire.head()[:-1]], ids=["one-byte", "all-but-one"])
def test_a_signal_during_the_handshake_ends_it_silently(pair, number, data):
    with wire.Served(pair=pair, watched=True) as served:
        served.peer.send(data)
        served.consumed()
        served.stop(number)
        assert served.peer.rest() == b""
        served.peer.close()
        served.finish()


@pytest.mark.parametrize("pair", SOCKETS)
def test_a_signal_while_closing_changes_nothing(pair):
    """The program still reads what the peer sends; otherwise a reset could destroy its Close."""
    more = bytes(8 * MIB)
    with wire.Served(pair=pair) as served:
        peer = served.peer.open()
        peer.send(wire.close(1000))
        assert wire.close_code(peer.rest()) == 1000
        for number in SIGNALS * 3:
            served.stop(number)
        peer.send(more)
        peer.close()
        assert wire.record(served.finish())["bytes_in"] == str(len(wire.head() + wire.close(1000) + more))


# Order of the last things.

def test_messages_complete_before_the_end_of_the_stream_are_answered_before_it():
    with wire.Served() as served:
        peer = served.peer
        peer.send(wire.head() + wire.text("a") + wire.frame(PING, b"p") + wire.text("b")[:-1])
        peer.end()
        assert peer.rest() == wire.switching() + wire.echo("a") + wire.reply(wire.PONG, b"p")


def test_the_answer_to_a_close_comes_after_a_large_echo():
    with wire.Served(pair=wire.narrow_pair) as served:
        peer = served.peer.open()
        peer.send(wire.frame(BINARY, bytes(4 * MIB)) + wire.close(1000))
        wire.same(peer.rest(), wire.reply(BINARY, bytes(4 * MIB)) + CLOSING)
