# SPDX-License-Identifier: MIT
"""Text has to be UTF-8 (RFC 3629): the first wrong byte is answered with Close 1007."""

import random

import framing
import heads
import launch
import pytest
from framing import CONTINUATION, PING, PONG
from rule import rule

# Invalid sequences; the last byte of each is the first invalid one.
WRONG = {
    **{f"continuation-{byte:02x}-alone": bytes([byte]) for byte in (0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF)},
    **{f"{byte:02x}-which-never-occurs": bytes([byte]) for byte in (0xC0, 0xC1, *range(0xF5, 0x100))},
    **{f"{lead:02x}-without-continuation-but-{wrong:02x}": bytes([lead, wrong])
       for lead in (0xC2, 0xDF, 0xE0, 0xE1, 0xEC, 0xED, 0xEE, 0xEF, 0xF0, 0xF1, 0xF3, 0xF4)
       for wrong in (0x00, 0x41, 0x7F, 0xC0, 0xC2, 0xE2, 0xFF)},
    "e0-overlong-80": b"\xe0\x80",
    "e0-overlong-9f": b"\xe0\x9f",
    "f0-overlong-80": b"\xf0\x80",
    "f0-overlong-8f": b"\xf0\x8f",
    "surrogate-d800": b"\xed\xa0",
    "surrogate-dfff": b"\xed\xbf",
    "above-10ffff": b"\xf4\x90",
    "far-above-10ffff": b"\xf4\xbf",
    "e1-cut-after-two": b"\xe1\x80\x41",
    "ef-cut-after-two": b"\xef\xbf\xc0",
    "f1-cut-after-two": b"\xf1\x80\x41",
    "f1-cut-after-three": b"\xf1\x80\x80\x41",
    "f4-cut-after-three": b"\xf4\x8f\xbf\xff",
    "two-byte-with-two-continuations": b"\xc3\xa4\xa4",
    "three-byte-with-three-continuations": b"\xe2\x82\xac\xac",
    "four-byte-with-four-continuations": b"\xf0\x9f\x98\x80\x80",
}

# The first and last code point of every range in RFC 3629's table, and their neighbours.
VALID = ["", "\0", "\x01", "\x7f", "\x80", "\xbf", "\xc0", "\u07ff", "\u0800", "\u0fff", "\u1000", "\ucfff",
         "\ud000", "\ud7ff", "\ue000", "\uffff", "\ufeff", "\ufdd0", "\ufffe", "\U00010000", "\U0003ffff",
         "\U00040000", "\U000fffff", "\U00100000", "\U0010ffff", "a\u0308", "κόσμε", "日本語", "😀👍🏽"]

TRUNCATED = [b"\xc3", b"\xe2", b"\xe2\x82", b"\xf0", b"\xf0\x9f", b"\xf0\x9f\x98"]


def params(table):
    return [pytest.param(data, id=name) for name, data in table.items()]


def refused(frames, expected=b""):
    """Asserts that the answer is `expected` followed by Close 1007."""
    framing.same(launch.exchange(frames), expected + framing.our_close("text-not-utf8"))


def echoed(*messages):
    """Asserts that text messages are echoed on one connection."""
    received = launch.exchange(b"".join(map(framing.text, messages)))
    assert received == b"".join(map(framing.echo, messages))


@rule("RFC 3629 4")
def test_both_ends_of_every_range_are_valid():
    echoed(*VALID)
    echoed("".join(VALID), "".join(VALID) * 1000)


@rule("RFC 3629 4", "Every code point is valid, and fragments and reads may cut it anywhere.")
def test_every_code_point_is_valid():
    points = [*range(0xD800), *range(0xE000, 0x110000)]
    echoed(*["".join(map(chr, points[at:at + 0x8000])) for at in range(0, len(points), 0x8000)])


@rule("RFC 6455 8.1")
@pytest.mark.parametrize("wrong", params(WRONG))
def test_a_wrong_sequence_is_1007(wrong):
    for message in (wrong, b"before" + wrong, wrong + b"behind, and far enough to fill a vector of any kind",
                    "ä€😀".encode() * 20 + wrong + "ä€😀".encode() * 20):
        refused(framing.text(message))


@rule("RFC 6455 8.1")
@pytest.mark.parametrize("tail", TRUNCATED)
def test_a_code_point_that_the_end_of_the_message_cuts_off_is_1007(tail):
    for front in (b"", b"a", b"a" * 15, b"a" * 16, b"a" * 31, b"a" * 32, b"a" * 63, b"a" * 64, b"a" * 200):
        refused(framing.text(front + tail))
        refused(framing.text(front, fin=False) + framing.frame(CONTINUATION, tail))
        refused(framing.text(front + tail, fin=False) + framing.frame(CONTINUATION))


@rule("RFC 6455 8.1")
def test_a_code_point_is_not_completed_by_the_next_message():
    refused(framing.text(b"\xe2\x82") + framing.text(b"\xac"))
    refused(framing.text("ok") + framing.text(b"\xe2\x82") + framing.text(b"\xac"), framing.echo("ok"))


@rule("RFC 3629 4")
@pytest.mark.parametrize("string", ["ä", "€", "😀", "aä€😀b", "\u0800\ud7ff\ue000\U00010000\U0010ffff"])
def test_a_code_point_may_be_cut_by_fragments_anywhere(string):
    message, data = string.encode(), b""
    for first in range(len(message) + 1):
        for second in range(first, len(message) + 1):
            data += (framing.text(message[:first], fin=False)
                     + framing.frame(CONTINUATION, message[first:second], fin=False)
                     + framing.frame(CONTINUATION, message[second:]))
    count = (len(message) + 1) * (len(message) + 2) // 2
    assert launch.exchange(data) == framing.echo(message) * count


@rule("RFC 3629 4")
@pytest.mark.parametrize("string", ["aä€😀b"])
def test_a_code_point_may_be_cut_by_reads_anywhere(string):
    data = framing.text(string)
    for cut in range(1, len(data)):
        received = launch.in_parts([heads.head() + data[:cut], data[cut:]])
        assert received == heads.switching() + framing.echo(string), (cut, received)


@rule("RFC 6455 8.1")
@pytest.mark.parametrize("wrong", params(WRONG))
def test_a_text_fails_at_its_first_wrong_byte_while_the_frame_is_incomplete(wrong):
    with launch.Served() as served:
        served.peer.open().send(framing.text(b"ok \xe2\x82\xac" + wrong + bytes(1000))[:-1000])
        assert framing.close_code(served.peer.end_at_close()) == 1007


@rule("RFC 6455 8.1")
@pytest.mark.parametrize("wrong", params({name: data for name, data in WRONG.items() if len(data) > 1}))
def test_a_text_fails_at_its_first_wrong_byte_and_not_before(wrong):
    """A fragment ends in front of the wrong byte; a Pong proves that the program has read it and continues."""
    with launch.Served() as served:
        peer = served.peer.open()
        peer.send(framing.text(b"ok" + wrong[:-1], fin=False) + framing.frame(PING, b"still open?"))
        assert peer.frame() == (True, PONG, b"still open?")
        peer.send(framing.frame(CONTINUATION, wrong[-1:] + bytes(9), fin=False)[:-9])
        assert framing.close_code(peer.end_at_close()) == 1007


@rule("RFC 6455 8.1")
@pytest.mark.parametrize("wrong", params({name: data for name, data in WRONG.items() if len(data) > 1}))
def test_a_text_fails_at_its_first_wrong_byte_across_reads(wrong):
    data = framing.text(b"ok" + wrong + bytes(9))[:-9]
    with launch.Served(watched=True) as served:
        peer = served.peer.open()
        peer.send(data[:-1])
        served.consumed()
        peer.send(data[-1:])
        assert framing.close_code(peer.end_at_close()) == 1007


# Comparison with Python's strict decoder, in texts long enough for code that processes many bytes at once.

numbers = random.Random(3629)
ALPHABETS = ["ascii", "aä", "€日本", "😀𐍈", "a€b😀cä\x7f\0"]


def random_text(length, alphabet):
    """Random valid UTF-8 of exactly that many bytes."""
    data = b""
    while len(data) < length:
        character = numbers.choice(alphabet).encode()
        data += character if len(data) + len(character) <= length else b"."
    return data


def is_utf_8(data):
    try:
        data.decode("utf-8", "strict")
    except UnicodeDecodeError:
        return False
    return True


def judged(data):
    """Asserts that a message is echoed or refused as Python's decoder decides."""
    if is_utf_8(data):
        assert launch.exchange(framing.text(data)) == framing.echo(data), data
    else:
        received = launch.exchange(framing.text(data))
        assert framing.close_code(received) == 1007, (data, received)


@rule("RFC 3629 4")
@pytest.mark.parametrize("alphabet", ALPHABETS)
def test_valid_texts_of_every_length_up_to_300_are_echoed(alphabet):
    echoed(*[random_text(length, alphabet) for length in range(300)], random_text(5000, alphabet))


@rule("RFC 6455 8.1")
@pytest.mark.parametrize("alphabet", ALPHABETS)
def test_an_error_at_any_offset_is_found(alphabet):
    good = random_text(300, alphabet)
    for offset in range(0, 300):
        wrong = numbers.choice([b"\xff", b"\xc0", b"\x80", b"\xed\xa0\x80", b"\xe0\x9f", b"\xf4\x90"])
        judged(good[:offset] + wrong + good[offset + len(wrong):])


@rule("RFC 6455 8.1")
@pytest.mark.parametrize("alphabet", ALPHABETS)
def test_an_error_deep_in_a_long_text_is_found(alphabet):
    good = random_text(5000, alphabet)
    for offset in [*range(0, 5000, 97), *range(4990, 5000)]:
        judged(good[:offset] + bytes([numbers.randrange(128, 256)]) + good[offset + 1:])


@rule("RFC 6455 8.1")
def test_random_bytes_are_judged_as_pythons_decoder_judges_them():
    """Most texts have one changed byte, so that both results occur often."""
    verdicts = set()
    for _ in range(300):
        data = random_text(numbers.randrange(80), "aä€😀\ud7ff\ue000\U0010ffff")
        if numbers.random() < 0.7 and data:
            at = numbers.randrange(len(data))
            data = data[:at] + numbers.randbytes(1) + data[at + 1:]
        verdicts.add(is_utf_8(data))
        judged(data)
    assert verdicts == {True, False}


@rule("RFC 3629 4")
def test_random_texts_in_random_fragments_are_echoed():
    data, expected = b"", b""
    for _ in range(200):
        message = random_text(numbers.randrange(400), numbers.choice(ALPHABETS))
        cuts = sorted(numbers.randrange(len(message) + 1) for _ in range(numbers.randrange(5)))
        parts = [message[start:end] for start, end in zip([0, *cuts], [*cuts, len(message)])]
        for number, part in enumerate(parts):
            data += framing.frame(CONTINUATION if number else framing.TEXT, part, fin=number == len(parts) - 1)
        expected += framing.echo(message)
    assert launch.exchange(data) == expected
