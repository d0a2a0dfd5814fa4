"""Deadlines. No test measures time: each waits for what has to come, or shows what must not come first."""

import select
import time

import pytest
import wire
from wire import BINARY, CLOSE, PING, PONG, TEXT

PAIRS = [wire.tcp_pair, wire.unix_pair, wire.pipe_pair]
SILENT = "--ping-interval=0"
MIB = 1 << 20
LARGE = bytes(range(256)) * (16 * MIB // 256)
LARGE_FRAME = wire.frame(BINARY, LARGE)
every_connection = pytest.mark.parametrize("pair", PAIRS)


def readable(peer):
    """Whether anything, an end included, can be read within a moment."""
    reading = getattr(peer.socket, "reading", peer.socket)
    return bool(select.select([reading], [], [], 0.02)[0])


# The handshake's deadline.

@every_connection
def test_a_head_that_is_not_complete_in_time_is_408(pair):
    with wire.Served("--handshake-timeout=0.3", pair=wire.holding(wire.head()[:-1], pair)) as served:
        wire.refused(served.peer.rest(), 408)
        served.peer.close()
        served.finish()


@every_connection
def test_the_handshakes_deadline_is_not_moved_by_bytes_that_trickle_in(pair):
    """If it were, one byte after the other would be taken until the request line is too long: a 414."""
    with wire.Served("--handshake-timeout=0.3", pair=wire.holding(b"GET /socket?", pair)) as served:
        while not readable(served.peer):
            served.peer.send(b"x")
        wire.refused(served.peer.rest(), 408)


@every_connection
def test_a_connection_without_a_byte_is_ended_silently(pair):
    with wire.Served("--handshake-timeout=0.3", pair=pair) as served:
        assert served.peer.rest() == b""
        served.peer.close()
        assert served.finish() == ""


@every_connection
def test_a_proxy_header_counts_towards_the_handshakes_deadline(pair):
    data = b"PROXY TCP4 192.0.2.1 192.0.2.2 1024 8888\r\n" + wire.head()[:-1]
    with wire.Served("--handshake-timeout=0.3", "--proxy-protocol", pair=wire.holding(data, pair)) as served:
        wire.refused(served.peer.rest(), 408)


@every_connection
def test_the_handshakes_deadline_ends_with_the_handshake(pair):
    """Pings that come once in a while show that time passes: together they take longer than the deadline."""
    options = ["--handshake-timeout=0.3", "--ping-interval=0.05"]
    with wire.Served(*options, pair=wire.holding(wire.head(), pair)) as served:
        peer = served.peer
        assert peer.receive(len(wire.switching())) == wire.switching()
        for _ in range(10):
            assert peer.frame()[:2] == (True, PING)
        peer.send(wire.text("still here"))
        assert last(peer) == (True, TEXT, wire.PREFIX + b"still here")


# Ping after silence.

def last(peer):
    """The next frame that is no Ping."""
    while (frame := peer.frame())[1] == PING:
        pass
    return frame


@every_connection
def test_silence_is_answered_with_a_ping_and_again_after_every_interval(pair):
    with wire.Served("--ping-interval=0.02", pair=pair) as served:
        peer = served.peer.open()
        for _ in range(5):
            fin, opcode, payload = peer.frame()
            assert (fin, opcode) == (True, PING) and len(payload) <= 125


@every_connection
def test_silence_inside_a_message_is_answered_with_a_ping_too(pair):
    with wire.Served("--ping-interval=0.02", pair=pair) as served:
        peer = served.peer.open()
        for part in (wire.text("half", fin=False), wire.frame(wire.CONTINUATION, b"done")[:5]):
            peer.send(part)
            assert peer.frame()[:2] == (True, PING)
        peer.send(wire.frame(wire.CONTINUATION, b"done")[5:])
        assert last(peer) == (True, TEXT, wire.PREFIX + b"halfdone")


@every_connection
def test_a_peer_that_answers_pings_is_kept(pair):
    """For a time in which it would have been given up without its Pongs."""
    with wire.Served("--ping-interval=0.1", "--timeout=1", pair=pair) as served:
        peer = served.peer.open()
        for _ in range(15):
            fin, opcode, payload = peer.frame()
            assert (fin, opcode) == (True, PING)
            peer.send(wire.frame(PONG, payload))
        peer.send(wire.text("kept"))
        assert last(peer) == (True, TEXT, wire.PREFIX + b"kept")


# The idle timeout.

@every_connection
def test_without_any_byte_from_the_peer_it_ends_with_1001(pair):
    with wire.Served(SILENT, "--timeout=0.1", pair=pair) as served:
        peer = served.peer.open()
        assert wire.close_code(peer.rest()) == 1001
        peer.close()
        assert wire.record(served.finish())["close"] == "1001"


@every_connection
def test_a_peer_that_does_not_answer_pings_is_given_up_with_1001(pair):
    with wire.Served("--ping-interval=0.05", "--timeout=0.5", pair=pair) as served:
        *pings, closing = wire.frames(served.peer.open().rest())
        assert pings and {frame[:2] for frame in pings} == {(True, PING)}, pings
        assert closing[:2] == (True, CLOSE) and closing[2][:2] == wire.close_body(1001), closing


@every_connection
def test_the_timeout_counts_inside_a_message_too(pair):
    with wire.Served(SILENT, "--timeout=0.1", pair=pair) as served:
        served.peer.open().send(wire.text("half", fin=False) + wire.frame(wire.CONTINUATION, b"more")[:4])
        assert wire.close_code(served.peer.rest()) == 1001


@every_connection
def test_a_timeout_of_zero_is_none(pair):
    """Pings show that time passes; had zero been a timeout, the first wait would have ended it."""
    with wire.Served("--ping-interval=0.02", "--timeout=0", pair=pair) as served:
        peer = served.peer.open()
        for _ in range(20):
            assert peer.frame()[:2] == (True, PING)
        peer.send(wire.text("here"))
        assert last(peer) == (True, TEXT, wire.PREFIX + b"here")


# Writing.

every_narrow_connection = pytest.mark.parametrize("pair", [wire.narrow_pair, wire.unix_pair, wire.pipe_pair])


@every_narrow_connection
@pytest.mark.parametrize("ping", [SILENT, "--ping-interval=0.02"])
def test_a_peer_that_never_reads_ends_by_the_write_timeout_and_the_record_says_so(pair, ping):
    with wire.Served(ping, "--timeout=0.5", pair=pair) as served:
        served.peer.open().send(LARGE_FRAME)
        assert "read" in wire.record(served.finish())["end"]


@every_narrow_connection
def test_a_peer_that_sends_and_never_reads_ends_by_the_write_timeout(pair):
    """Unread messages fill the buffers of both directions, so that this end would stall as well."""
    with wire.Served(SILENT, "--timeout=0.5", pair=pair) as served:
        peer = served.peer.open()
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            for _ in range(8):
                peer.send(LARGE_FRAME)
        assert "read" in wire.record(served.finish())["end"]


@every_narrow_connection
def test_a_peer_that_reads_slowly_makes_progress_and_gets_its_echo(pair):
    """Pauses that are short of the timeout, and in sum beyond it."""
    expected = wire.reply(BINARY, LARGE)
    with wire.Served(SILENT, "--timeout=1", pair=pair) as served:
        peer = served.peer.open()
        peer.send(LARGE_FRAME)
        received = b""
        started = time.monotonic()
        while time.monotonic() < started + 2:
            received += peer.receive(MIB // 4)
            select.select([], [], [], 0.1)
        received += peer.receive(len(expected) - len(received))
        wire.same(received, expected)
