# SPDX-License-Identifier: MIT
"""One exchange with many kinds of frames, sent in two parts that are cut at any byte: the answer is always the same."""

import random

import framing
import heads
import launch
import pytest
from framing import BINARY, CLOSE, CONTINUATION, PING, PONG
from rule import rule

pytestmark = rule("ws-echo(8) CLOSE CODES (6)", "The answer is the same wherever reads cut the input.")

LARGE = random.Random(70000).randbytes(70000)
KEY = b"\x01\x80\xfe\x7f"

EXCHANGE = b"".join([
    heads.head("Origin: http://localhost:8000", "Sec-WebSocket-Protocol: chat"),
    framing.text("Hello wörld €😀"),
    framing.text(b"frag\xe2", fin=False),
    framing.frame(PING, b"in between"),
    framing.frame(CONTINUATION, b"\x82", fin=False, key=KEY),
    framing.frame(CONTINUATION, b"", fin=False),
    framing.frame(PING),
    framing.frame(CONTINUATION, b"\xacmented"),
    framing.frame(BINARY, bytes(range(126)), key=KEY),
    framing.frame(BINARY),
    framing.frame(BINARY, LARGE),
    framing.text("small again"),
    framing.close(1000, "tschüß".encode()),
])

ANSWER = b"".join([
    heads.switching(subprotocol="chat"),
    framing.echo("Hello wörld €😀"),
    framing.reply(PONG, b"in between"),
    framing.reply(PONG),
    framing.echo("frag€mented"),
    framing.reply(BINARY, bytes(range(126))),
    framing.reply(BINARY),
    framing.reply(BINARY, LARGE),
    framing.echo("small again"),
    framing.reply(CLOSE, framing.close_body(1000, "tschüß".encode())),
])

DENSE = EXCHANGE.index(framing.frame(BINARY, LARGE)) + 40  # up to here, cut at every byte, then at some
TAIL = len(EXCHANGE) - 60


def same(received, where):
    framing.same(received, ANSWER, where)


def test_uncut_it_is_answered_as_expected():
    same(launch.run(EXCHANGE).stdout, "uncut")


@pytest.mark.parametrize("start", range(0, DENSE, 50))
def test_it_may_be_cut_at_every_boundary(start):
    for cut in range(max(start, 1), min(start + 50, DENSE)):
        same(launch.in_parts([EXCHANGE[:cut], EXCHANGE[cut:]]), f"cut at {cut}")


def test_it_may_be_cut_inside_its_large_message_and_its_end():
    sizes = [1 << bits for bits in range(12, 17)]  # likely sizes of buffers
    for cut in [*range(DENSE, TAIL, 1499), *sizes, *range(TAIL, len(EXCHANGE))]:
        same(launch.in_parts([EXCHANGE[:cut], EXCHANGE[cut:]]), f"cut at {cut}")


@pytest.mark.parametrize("pair", launch.PAIRS)
def test_it_may_come_one_byte_at_a_time(pair):
    """Each byte is sent after the previous one has been read, except the middle of the large message."""
    parts = [EXCHANGE[at:at + 1] for at in range(DENSE)]
    parts += [EXCHANGE[DENSE:TAIL], *[EXCHANGE[at:at + 1] for at in range(TAIL, len(EXCHANGE))]]
    same(launch.in_parts(parts, pair=pair), "one byte at a time")


@pytest.mark.parametrize("size", [2, 3, 5, 7, 13, 64, 127, 1021, 4093, 16381, 65521])
def test_it_may_come_in_pieces_of_any_size(size):
    pieces = [EXCHANGE[at:at + size] for at in range(0, min(len(EXCHANGE), 500 * size), size)]
    same(launch.in_parts([*pieces, EXCHANGE[500 * size:]]), f"pieces of {size}")


def test_it_may_come_in_three_parts_cut_at_random():
    numbers = random.Random(3)
    for _ in range(60):
        first, second = sorted(numbers.sample(range(1, DENSE), 2))
        parts = [EXCHANGE[:first], EXCHANGE[first:second], EXCHANGE[second:]]
        same(launch.in_parts(parts), f"cut at {first} and {second}")
