"""One exchange with many kinds of frames, sent in two parts that are cut at any byte: the answer is always the same."""

import random

import pytest
import wire
from wire import BINARY, CLOSE, CONTINUATION, PING, PONG

LARGE = random.Random(70000).randbytes(70000)
KEY = b"\x01\x80\xfe\x7f"

EXCHANGE = b"".join([
    wire.head("Origin: http://localhost:8000", "Sec-WebSocket-Protocol: chat"),
    wire.text("Hello wörld €😀"),
    wire.text(b"frag\xe2", fin=False),
    wire.frame(PING, b"in between"),
    wire.frame(CONTINUATION, b"\x82", fin=False, key=KEY),
    wire.frame(CONTINUATION, b"", fin=False),
    wire.frame(PING),
    wire.frame(CONTINUATION, b"\xacmented"),
    wire.frame(BINARY, bytes(range(126)), key=KEY),
    wire.frame(BINARY),
    wire.frame(BINARY, LARGE),
    wire.text("small again"),
    wire.close(1000, "tschüß".encode()),
])

ANSWER = b"".join([
    wire.switching(subprotocol="chat"),
    wire.echo("Hello wörld €😀"),
    wire.reply(PONG, b"in between"),
    wire.reply(PONG),
    wire.echo("frag€mented"),
    wire.reply(BINARY, bytes(range(126))),
    wire.reply(BINARY),
    wire.reply(BINARY, LARGE),
    wire.echo("small again"),
    wire.reply(CLOSE, wire.close_body(1000, "tschüß".encode())),
])

DENSE = EXCHANGE.index(wire.frame(BINARY, LARGE)) + 40  # up to here, cut at every byte, then at some
TAIL = len(EXCHANGE) - 60


def same(received, where):
    wire.same(received, ANSWER, where)


def test_uncut_it_is_answered_as_expected():
    same(wire.run(EXCHANGE).stdout, "uncut")


@pytest.mark.parametrize("start", range(0, DENSE, 50))
def test_it_may_be_cut_at_every_boundary(start):
    for cut in range(max(start, 1), min(start + 50, DENSE)):
        same(wire.in_parts([EXCHANGE[:cut], EXCHANGE[cut:]]), f"cut at {cut}")


def test_it_may_be_cut_inside_its_large_message_and_its_end():
    sizes = [1 << bits for bits in range(12, 17)]  # likely sizes of buffers
    for cut in [*range(DENSE, TAIL, 1499), *sizes, *range(TAIL, len(EXCHANGE))]:
        same(wire.in_parts([EXCHANGE[:cut], EXCHANGE[cut:]]), f"cut at {cut}")


@pytest.mark.parametrize("pair", [wire.tcp_pair, wire.unix_pair, wire.pipe_pair])
def test_it_may_come_one_byte_at_a_time(pair):
    """Each byte is sent after the previous one has been read, except the middle of the large message."""
    parts = [EXCHANGE[at:at + 1] for at in range(DENSE)]
    parts += [EXCHANGE[DENSE:TAIL], *[EXCHANGE[at:at + 1] for at in range(TAIL, len(EXCHANGE))]]
    same(wire.in_parts(parts, pair=pair), "one byte at a time")


@pytest.mark.parametrize("size", [2, 3, 5, 7, 13, 64, 127, 1021, 4093, 16381, 65521])
def test_it_may_come_in_pieces_of_any_size(size):
    pieces = [EXCHANGE[at:at + size] for at in range(0, min(len(EXCHANGE), 500 * size), size)]
    same(wire.in_parts([*pieces, EXCHANGE[500 * size:]]), f"pieces of {size}")


def test_it_may_come_in_three_parts_cut_at_random():
    numbers = random.Random(3)
    for _ in range(60):
        first, second = sorted(numbers.sample(range(1, DENSE), 2))
        parts = [EXCHANGE[:first], EXCHANGE[first:second], EXCHANGE[second:]]
        same(wire.in_parts(parts), f"cut at {first} and {second}")
