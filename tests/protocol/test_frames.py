# SPDX-License-Identifier: MIT
"""Frames: which bytes are echoed, in which order, and when; test_conformance.py tests violations."""

import random

import framing
import launch
import pytest
from framing import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT
from rule import rule

numbers = random.Random(6455)
LENGTHS = [0, 1, 2, 117, 118, 124, 125, 126, 127, 128, 65527, 65528, 65534, 65535, 65536, 65537, 1 << 20]


def echoed(data, expected, *options):
    """Assert the whole answer."""
    framing.same(launch.exchange(data, *options), expected)


def refused(data, end, expected=b"", *options):
    """Asserts that `expected` is followed by the Close for this end_id, and nothing more."""
    framing.same(launch.exchange(data, *options), expected + framing.our_close(end))


# Echoes.

@rule("RFC 6455 5.2 (5)")
@pytest.mark.parametrize("length", LENGTHS)
def test_a_text_message_of_any_length_is_echoed_after_the_prefix(length):
    message = ("abcdefghijklmnopqrstuvwxyz" * (length // 26 + 1))[:length]
    echoed(framing.text(message), framing.echo(message))


@rule("RFC 6455 5.2 (5)")
@pytest.mark.parametrize("length", LENGTHS)
def test_a_binary_message_of_any_length_is_echoed_byte_for_byte(length):
    message = numbers.randbytes(length)
    echoed(framing.frame(BINARY, message), framing.reply(BINARY, message))


@rule("RFC 6455 5.2 (5)")
def test_every_byte_value_is_echoed_in_a_binary_message():
    message = bytes(range(256))
    echoed(framing.frame(BINARY, message), framing.reply(BINARY, message))


@rule("RFC 6455 5.6")
def test_a_binary_message_need_not_be_utf_8():
    echoed(framing.frame(BINARY, b"\xff\xfe\xed\xa0\x80"), framing.reply(BINARY, b"\xff\xfe\xed\xa0\x80"))


@rule("RFC 6455 5.4 (5)", "Messages are answered in the order in which they arrive.")
def test_messages_are_echoed_in_their_order():
    messages = [numbers.randbytes(numbers.randrange(300)) for _ in range(500)]
    echoed(b"".join(framing.frame(BINARY, message) for message in messages),
           b"".join(framing.reply(BINARY, message) for message in messages))


@rule("RFC 6455 5.2 (5)")
def test_a_text_message_with_nul_and_controls_is_echoed():
    echoed(framing.text(bytes(range(128))), framing.echo(bytes(range(128))))


# Masks.

@rule("RFC 6455 5.3")
@pytest.mark.parametrize("key", ["00000000", "ffffffff", "80000000", "00000001", "01020304"])
@pytest.mark.parametrize("length", [0, 1, 3, 4, 5, 7, 8, 31, 125, 126, 1000, 65536 + 3])
def test_any_masking_key_is_undone(key, length):
    message = numbers.randbytes(length)
    echoed(framing.frame(BINARY, message, key=bytes.fromhex(key)), framing.reply(BINARY, message))


@rule("RFC 6455 5.3")
def test_a_payload_is_unmasked_wherever_in_memory_it_begins_and_ends():
    """All frames are sent at once: each one shifts the following ones by some bytes, so that every alignment occurs."""
    lengths = [*range(140), *range(70, 0, -1), 1000, 1001, 1002, 1003]
    messages = [numbers.randbytes(length) for length in lengths]
    echoed(b"".join(framing.frame(BINARY, message, key=numbers.randbytes(4)) for message in messages),
           b"".join(framing.reply(BINARY, message) for message in messages))


@rule("RFC 6455 5.3")
def test_the_masking_key_starts_afresh_with_every_fragment():
    message, data, first = numbers.randbytes(2000), b"", BINARY
    at = 0
    while at < len(message):
        step = numbers.randrange(40)
        data += framing.frame(first, message[at:at + step], fin=False, key=numbers.randbytes(4))
        first, at = CONTINUATION, at + step
    echoed(data + framing.frame(CONTINUATION), framing.reply(BINARY, message))


@rule("RFC 6455 5.4 (1)")
@pytest.mark.parametrize("parts", [
    [b"a", b"b"], [b"", b""], [b"", b"", b""], [b"", b"a"], [b"a", b""], [b"a", b"", b"b"],
    [b"", b"a", b"", b"b", b""], [b"x" * 125, b"y" * 126, b"z" * 70000], [b"x" * 70000, b"", b"y"],
    [b"."] * 1000, [b""] * 1000 + [b"."],
])
@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_fragments_are_echoed_as_one_unfragmented_frame(opcode, parts):
    message = b"".join(parts)
    expected = framing.echo(message) if opcode == TEXT else framing.reply(BINARY, message)
    echoed(framing.fragments(opcode, *parts), expected)


@rule("RFC 6455 5.4 (1)")
def test_fragmented_and_whole_messages_may_follow_each_other():
    first, last = framing.fragments(TEXT, b"a", b"b"), framing.fragments(TEXT, b"", b"e")
    echoed(first + framing.text("c") + framing.fragments(BINARY, b"d", b"") + last,
           framing.echo("ab") + framing.echo("c") + framing.reply(BINARY, b"d") + framing.echo("e"))


@rule("RFC 6455 5.4 (1)")
def test_a_fragmented_message_is_not_answered_before_it_is_complete():
    echoed(framing.text("a", fin=False) + framing.frame(CONTINUATION, b"b", fin=False), b"")


# Ping and Pong.

@rule("RFC 6455 5.5.3 (1)", "A Pong has the payload of its Ping.")
@pytest.mark.parametrize("payload", [b"", b"x", b"\xff" * 4, bytes(range(125))])
def test_a_ping_is_answered_with_a_pong_of_the_same_payload(payload):
    echoed(framing.frame(PING, payload), framing.reply(PONG, payload))


@rule("RFC 6455 5.5.2")
def test_every_ping_is_answered_in_order():
    payloads = [str(number).encode() for number in range(1000)]
    echoed(b"".join(framing.frame(PING, payload) for payload in payloads),
           b"".join(framing.reply(PONG, payload) for payload in payloads))


@rule("RFC 6455 5.5.3 (2)")
@pytest.mark.parametrize("payload", [b"", b"x", bytes(125)])
def test_a_pong_is_ignored(payload):
    echoed(framing.frame(PONG, payload) + framing.text("hi"), framing.echo("hi"))


@rule("RFC 6455 5.4 (2)")
def test_pings_and_pongs_inside_a_fragmented_message_leave_it_whole():
    between = framing.frame(PING, b"1") + framing.frame(PONG, b"2") + framing.frame(PING, b"3")
    pongs = framing.reply(PONG, b"1") + framing.reply(PONG, b"3")
    echoed(framing.fragments(TEXT, b"a\xe2", b"\x82", b"\xacb", between=between), pongs * 2 + framing.echo("a€b"))


@rule("RFC 6455 5.4 (2)")
@pytest.mark.parametrize("pair", launch.PAIRS)
def test_a_ping_inside_a_fragmented_message_is_answered_at_once(pair):
    with launch.Served(pair=pair) as served:
        peer = served.peer.open()
        for fragment in (framing.text("a", fin=False), framing.frame(CONTINUATION, b"b", fin=False)):
            peer.send(fragment + framing.frame(PING, fragment))
            assert peer.frame() == (True, PONG, fragment)
        peer.send(framing.frame(CONTINUATION, b"c"))
        assert peer.frame() == (True, TEXT, framing.PREFIX + b"abc")


@rule("RFC 6455 5.4 (3)")
def test_a_continuation_after_a_complete_message_is_a_protocol_error():
    for message, answer in ((framing.text("a"), framing.echo("a")), (framing.fragments(TEXT, b"a", b"b"), framing.echo("ab"))):
        refused(message + framing.frame(CONTINUATION, b"x"), "no-message", answer)


@rule("RFC 6455 5.5.1 (6)", "Frames and messages that were complete before a violation are answered before our Close.")
def test_messages_and_pings_that_were_complete_before_a_violation_are_answered_before_the_close():
    before = framing.text("a") + framing.frame(PING, b"p") + framing.fragments(BINARY, b"b", b"c") + framing.frame(PING, b"q")
    answers = framing.echo("a") + framing.reply(PONG, b"p") + framing.reply(BINARY, b"bc") + framing.reply(PONG, b"q")
    refused(before + framing.frame(3), "opcode-reserved", answers)
    refused(before + framing.text(b"\xff"), "text-not-utf8", answers)
    refused(before + framing.frame(BINARY, bytes(2000)), "message-too-big", answers, "--max-message=1999")


@rule("RFC 6455 5.5.1 (5)")
def test_a_message_that_was_not_complete_before_a_violation_is_not_answered():
    refused(framing.text("a", fin=False) + framing.frame(PING, b"p") + b"\x81\x00", "message-unfinished", framing.reply(PONG, b"p"))


@rule("RFC 6455 5.2 (6)", "A wrong header or Close is answered at its first wrong byte, before the rest arrives.")
@pytest.mark.parametrize("data", [
    pytest.param(data, id=name) for name, data in {
        "reserved-opcode": framing.raw(0x83, 0x85),
        "rsv": framing.raw(0xC1, 0x85),
        "unmasked": b"\x81\x05",
        "fragmented-ping": framing.raw(0x09, 0x85),
        "long-ping": framing.raw(0x89, 0xFE, 1, 0),
        "length-not-minimal": framing.raw(0x82, 0xFE, 0, 5),
        "top-bit": framing.raw(0x82, 0xFF, 0x80, *bytes(7)),
        "continuation": framing.raw(0x80, 0x85),
        "close-of-1-byte": framing.raw(0x88, 0x81),
    }.items()
])
def test_a_wrong_header_is_answered_before_its_payload_comes(data):
    with launch.Served() as served:
        served.peer.open().send(data)
        assert framing.close_code(served.peer.rest()) == 1002


@rule("RFC 6455 5.2 (6)")
@pytest.mark.parametrize("payload, code", [(framing.close_body(1005), 1002), (framing.close_body(1000, b"ok\xff"), 1007),
                                           (framing.close_body(1000, b"\xed\xa0"), 1007)],
                         ids=["code", "reason", "surrogate"])
def test_a_wrong_close_is_answered_at_its_first_wrong_byte(payload, code):
    with launch.Served() as served:
        served.peer.open().send(framing.frame(CLOSE, payload + bytes(9))[:-9])
        assert framing.close_code(served.peer.rest()) == code


# The largest message.

SIX = framing.frame(BINARY, bytes(6), fin=False)
TEN = framing.frame(BINARY, bytes(10), fin=False) + framing.frame(CONTINUATION, fin=False)


@rule("RFC 6455 10.4 (1)")
@pytest.mark.parametrize("data, options", [
    pytest.param(framing.raw(0x82, 0xFF, *framing.wide(8, 1 << 62)), [], id="2^62"),
    pytest.param(framing.raw(0x82, 0xFF, *framing.wide(8, (1 << 63) - 1)), [], id="2^63-1"),
    pytest.param(framing.raw(0x81, 0xFF, *framing.wide(8, (1 << 24) + 1)), [], id="one-more-than-16-mib"),
    pytest.param(framing.raw(0x02, 0xFF, *framing.wide(8, 1 << 62)), [], id="2^62-in-a-fragment"),
    pytest.param(framing.raw(0x82, 0x8B), ["--max-message=10"], id="11-of-10"),
    pytest.param(SIX + framing.raw(0x80, 0x85), ["--max-message=10"], id="6-and-5-of-10"),
    pytest.param(SIX + framing.raw(0x80, 0xFF, *framing.wide(8, (1 << 63) - 1)), [], id="6-and-2^63-1"),
    pytest.param(SIX + framing.raw(0x80, 0xFF, *framing.wide(8, (1 << 63) - 6)), [], id="6-and-2^63-6"),
    pytest.param(TEN + framing.raw(0x80, 0x81), ["--max-message=10"], id="10-and-0-and-1-of-10"),
])
def test_too_large_a_message_is_answered_with_1009_from_the_length_announced(data, options):
    with launch.Served(*options) as served:
        served.peer.open().send(data)
        assert framing.close_code(served.peer.end_at_close()) == 1009


@rule("RFC 6455 10.4 (2)")
def test_a_message_of_exactly_the_largest_size_is_echoed():
    message = bytes(range(256)) * (1 << 16)
    echoed(framing.frame(BINARY, message), framing.reply(BINARY, message))
    echoed(framing.text(b"x" * (1 << 24)), framing.echo(b"x" * (1 << 24)))
    echoed(framing.fragments(BINARY, message[:5], message[5:]), framing.reply(BINARY, message))


@rule("RFC 6455 10.4 (2)")
def test_neither_the_prefix_nor_control_frames_count_towards_the_size_of_a_message():
    echoed(framing.text("ten bytes!"), framing.echo("ten bytes!"), "--max-message=10")
    echoed(framing.text("", fin=False) + framing.frame(PING, bytes(125)) + framing.frame(CONTINUATION, b"x"),
           framing.reply(PONG, bytes(125)) + framing.echo("x"), "--max-message=1")
    echoed(framing.close(1000, b"x" * 123), framing.reply(CLOSE, framing.close_body(1000, b"x" * 123)), "--max-message=1")


@rule("RFC 6455 10.4 (2)")
def test_fragments_of_one_message_do_not_count_for_the_next():
    echoed(framing.fragments(BINARY, bytes(6), bytes(4)) * 3, framing.reply(BINARY, bytes(10)) * 3, "--max-message=10")


# Close.

ALLOWED = [1000, 1001, 1002, 1003, *range(1007, 1015), 3000, 3001, 3999, 4000, 4999]


@rule("RFC 6455 7.4.2 (2)", "Registered codes, codes of libraries and private codes are answered with the same code.")
@pytest.mark.parametrize("code", ALLOWED)
def test_a_close_code_that_is_allowed_is_answered_with_the_same(code):
    echoed(framing.close(code), framing.reply(CLOSE, framing.close_body(code)))


@rule("RFC 6455 5.5.1 (1)")
@pytest.mark.parametrize("reason", ["", "bye", "tschüß €", "x" * 123, "€" * 41, "\0"])
def test_a_close_is_answered_with_its_code_and_its_reason(reason):
    echoed(framing.close(1000, reason.encode()), framing.reply(CLOSE, framing.close_body(1000, reason.encode())))


@rule("RFC 6455 5.5.1 (1)")
def test_an_empty_close_is_answered_with_an_empty_one():
    echoed(framing.close(), framing.reply(CLOSE))


@rule("RFC 6455 5.5.1 (1)")
def test_a_close_inside_a_fragmented_message_is_answered_and_the_message_is_not():
    echoed(framing.text("a", fin=False) + framing.close(1001), framing.reply(CLOSE, framing.close_body(1001)))


@rule("RFC 6455 5.5.1 (1)")
def test_a_close_inside_a_code_point_that_is_cut_by_fragments_is_answered():
    echoed(framing.text(b"\xe2\x82", fin=False) + framing.close(1000), framing.reply(CLOSE, framing.close_body(1000)))


# Random frames.

@rule("RFC 6455 5.5.1 (4)")
@rule("ws-echo(8) EXIT STATUS (1)")
@pytest.mark.parametrize("seed", range(60))
def test_random_frames_end_with_at_most_one_close_and_exit_status_0(seed):
    """Random bytes follow valid frames. The test computes the answer to the valid frames."""
    chosen, data, expected = random.Random(seed), b"", b""
    for _ in range(chosen.randrange(30)):
        payload = chosen.randbytes(chosen.choice([0, 1, 5, 125]))
        opcode = chosen.choice([BINARY, PING, PONG, TEXT])
        if opcode == TEXT:
            payload = payload.hex().encode()
        data += framing.frame(opcode, payload, key=chosen.randbytes(4))
        expected += {BINARY: framing.reply(BINARY, payload), PING: framing.reply(PONG, payload),
                     TEXT: framing.echo(payload), PONG: b""}[opcode]
    received = launch.exchange(data + chosen.randbytes(chosen.randrange(200)))
    assert received.startswith(expected), (expected, received)
    opcodes = [opcode for _, opcode, _ in framing.frames(received)]
    assert CLOSE not in opcodes[:-1], received


@rule("RFC 6455 5.4 (1)")
def test_answers_that_are_many_times_as_long_as_what_was_read_come_whole_and_in_order():
    """The answers do not fit into the output buffer at once."""
    prefix = "p" * 255 + ":"
    texts = [str(number % 10) for number in range(30_000)]
    expected = b"".join(framing.echo(string, prefix.encode()) for string in texts)
    framing.same(launch.exchange(b"".join(map(framing.text, texts)), f"--prefix={prefix}"), expected)
