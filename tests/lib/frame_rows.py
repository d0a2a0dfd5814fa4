# SPDX-License-Identifier: MIT
"""Frames and how they are answered, row by row: what is right, and what is wrong by the end that the record names.

protocol/test_conformance.py sends every row; random conversations end with those that are wrong.
"""

from typing import NamedTuple

import framing
from framing import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, fragments, raw, wide

MIB = 1 << 20
A, B = framing.text("a", fin=False), framing.frame(CONTINUATION, b"b")  # a message in two fragments
AB = framing.echo("ab")


class Row(NamedTuple):
    """The frames to send, the answers in front of the last Close, and the options."""

    data: bytes
    answers: bytes = b""
    options: tuple = ()


def in_message(data):
    """A frame inside a fragmented message."""
    return A + data


# Accepted frames; then the peer closes.

LIMIT_10 = ("--max-message=10",)
TEN = b"ten bytes!"
ANSWERED = {
    "nothing": Row(b""),
    "text-of-0": Row(framing.text(""), framing.echo("")),
    "binary-of-0": Row(framing.frame(BINARY), framing.reply(BINARY)),
    **{f"binary-of-{length}": Row(framing.frame(BINARY, b"x" * length), framing.reply(BINARY, b"x" * length))
       for length in (1, 125, 126, 127, 65535, 65536)},
    **{f"text-whose-reply-has-{length}": Row(framing.text("x" * (length - 8)), framing.echo("x" * (length - 8)))
       for length in (125, 126, 127, 65535, 65536)},
    **{f"fragments-of-{length}-in-all": Row(fragments(BINARY, b"x", b"x" * (length - 1)), framing.reply(BINARY, b"x" * length))
       for length in (125, 126, 127, 65535, 65536)},
    "binary-of-the-limit": Row(framing.frame(BINARY, TEN), framing.reply(BINARY, TEN), LIMIT_10),
    "text-of-the-limit": Row(framing.text(TEN), framing.echo(TEN), LIMIT_10),
    "fragments-of-the-limit": Row(fragments(TEXT, TEN[:4], b"", TEN[4:], b""), framing.echo(TEN), LIMIT_10),
    "control-frames-that-do-not-count": Row(
        A + framing.frame(PING, bytes(125)) + framing.frame(PONG, bytes(125)) + B, framing.reply(PONG, bytes(125)) + AB, LIMIT_10),
    "ping-empty": Row(framing.frame(PING), framing.reply(PONG)),
    "ping-of-125": Row(framing.frame(PING, bytes(range(125))), framing.reply(PONG, bytes(range(125)))),
    "ping-that-is-not-utf-8": Row(framing.frame(PING, b"\xff"), framing.reply(PONG, b"\xff")),
    "ping-inside-a-message": Row(A + framing.frame(PING, b"p") + B, framing.reply(PONG, b"p") + AB),
    "ten-pings-at-once": Row(b"".join(framing.frame(PING, b"%d" % number) for number in range(10)),
                             b"".join(framing.reply(PONG, b"%d" % number) for number in range(10))),
    "pong-empty": Row(framing.frame(PONG)),
    "pong-of-125": Row(framing.frame(PONG, bytes(125))),
    "pong-inside-a-message": Row(A + framing.frame(PONG, b"p") + B, AB),
    "fragments-that-are-empty": Row(fragments(TEXT, b"", b"", b""), framing.echo("")),
    "message-that-is-not-finished": Row(A),
    "message-cut-inside-a-character": Row(framing.text(b"\xe2\x82", fin=False)),
    "character-over-fragments": Row(fragments(TEXT, b"\xf0", b"\x9f", b"", b"\x98", b"\x80"), framing.echo("\U0001f600")),
    "noncharacters": Row(framing.text("\ufffe\uffff\U0010ffff"), framing.echo("\ufffe\uffff\U0010ffff")),
    "byte-order-mark": Row(framing.text("\ufeff"), framing.echo("\ufeff")),
    "binary-that-is-not-utf-8": Row(framing.frame(BINARY, b"\xff\xed\xa0\x80"), framing.reply(BINARY, b"\xff\xed\xa0\x80")),
    "masking-key-of-zeros": Row(framing.frame(BINARY, b"zero", key=bytes(4)), framing.reply(BINARY, b"zero")),
    "masking-key-that-makes-a-payload-of-zeros": Row(framing.frame(BINARY, b"same", key=b"same"), framing.reply(BINARY, b"same")),
    "other-masking-key-for-each-frame": Row(
        framing.text("a", fin=False, key=b"\1\2\3\4") + framing.frame(PING, b"p", key=b"\5\6\7\x08")
        + framing.frame(CONTINUATION, b"b", key=b"\xff\0\xff\0"), framing.reply(PONG, b"p") + AB),
}

# Violations, by end_id.

OPCODES = {"continuation": CONTINUATION, "text": TEXT, "binary": BINARY, "close": CLOSE, "ping": PING, "pong": PONG}
CONTROL = ["close", "ping", "pong"]
RESERVED = [*range(3, 8), *range(0xB, 0x10)]
CODES = [0, 1, 125, 255, 256, 999, 1004, 1005, 1006, 1015, 1016, 1099, 1100, 1999, 2000, 2999, 5000, 5001, 9999,
         0x83E8, 65535]
NOT_UTF_8 = {
    "never-occurs": b"\xff", "truncated-2": b"\xc3", "truncated-3": b"\xe2\x82", "truncated-4": b"\xf0\x9f\x98",
    "overlong-2": b"\xc0\x80", "overlong-3": b"\xe0\x9f\xbf", "overlong-4": b"\xf0\x8f\xbf\xbf",
    "surrogate": b"\xed\xa0\x80", "low-surrogate": b"\xed\xbf\xbf", "above-10ffff": b"\xf4\x90\x80\x80", "continuation-alone": b"\x80",
    "five-bytes": b"\xf8\x88\x80\x80\x80", "after-ascii": b"ok\xfe", "before-ascii": b"\xc3ok",
}
LONG = {"2^31": 1 << 31, "2^32-1": (1 << 32) - 1, "2^32": 1 << 32, "2^32+1": (1 << 32) + 1, "2^32+5": (1 << 32) + 5,
        "2^62": 1 << 62, "2^63-1": (1 << 63) - 1}
TOP_BIT = {"2^63": 1 << 63, "2^63+1": (1 << 63) + 1, "2^63+5": (1 << 63) + 5, "2^64-1": (1 << 64) - 1}
# The places of a frame: the frames in front of it, and its first byte.
PLACES = {"text": (b"", 0x81), "binary": (b"", 0x82), "first-fragment": (b"", 0x02), "fragment": (A, 0x00),
          "last-fragment": (A, 0x80)}

REFUSED = {
    "unmasked": {
        "text": b"\x81\x02hi",
        "empty-text": b"\x81\x00",
        "binary-of-126": b"\x82\x7e\x00\x7e" + bytes(126),
        "binary-of-65536": b"\x82\x7f" + wide(8, 65536) + bytes(65536),
        "first-fragment": b"\x01\x01a",
        "continuation": in_message(b"\x80\x01b"),
        "ping": b"\x89\x00",
        "pong": b"\x8a\x00",
        "close": b"\x88\x02\x03\xe8",
        "our-own-answer": framing.echo("hi"),
        "length-that-is-not-minimal": b"\x82\x7e\x00\x05hello",
        "ping-of-126": b"\x89\x7e\x00\x7e" + bytes(126),
        "after-a-masked-one": Row(framing.text("a") + b"\x81\x01b", framing.echo("a")),
    },
    "rsv-set": {
        **{f"{rsv:03b}-on-{name}": framing.frame(opcode, b"\x03\xe8", rsv=rsv)
           for rsv in range(1, 8) for name, opcode in OPCODES.items()},
        **{f"{rsv:03b}-on-a-fragment": in_message(framing.frame(CONTINUATION, b"b", rsv=rsv)) for rsv in range(1, 8)},
        **{f"{rsv:03b}-on-a-ping-inside-a-message": in_message(framing.frame(PING, rsv=rsv)) for rsv in (1, 2, 4)},
        "on-a-reserved-opcode": framing.frame(3, rsv=4),
        "on-a-frame-that-is-not-masked": b"\xc1\x00",
        "after-a-message": Row(framing.text("a") + framing.text("b", rsv=4), framing.echo("a")),
    },
    "opcode-reserved": {
        **{f"{opcode:x}": framing.frame(opcode, b"x") for opcode in RESERVED},
        **{f"{opcode:x}-not-final": framing.frame(opcode, b"x", fin=False) for opcode in RESERVED},
        **{f"{opcode:x}-inside-a-message": in_message(framing.frame(opcode)) for opcode in RESERVED},
        "after-a-message": Row(framing.text("a") + framing.frame(3), framing.echo("a")),
    },
    "length-not-minimal": {
        **{f"{place}-of-{length}-in-2-bytes": before + raw(first, 0xFE, *wide(2, length)) + bytes(length)
           for place, (before, first) in PLACES.items() for length in (0, 1, 125)},
        **{f"{place}-of-{length}-in-8-bytes": before + raw(first, 0xFF, *wide(8, length)) + bytes(length)
           for place, (before, first) in PLACES.items() for length in (0, 125, 126, 65535)},
    },
    "length-top-bit": {f"{place}-of-{name}": before + raw(first, 0xFF, *wide(8, length))
                       for place, (before, first) in PLACES.items() for name, length in TOP_BIT.items()},
    "control-fragmented": {
        **{name: framing.frame(OPCODES[name], framing.close_body(1000), fin=False) for name in CONTROL},
        **{f"{name}-inside-a-message": in_message(framing.frame(OPCODES[name], fin=False)) for name in CONTROL},
        "ping-with-a-continuation": framing.frame(PING, b"x", fin=False) + framing.frame(CONTINUATION, b"y"),
    },
    "control-too-long": {
        **{f"{name}-of-{length}": framing.frame(OPCODES[name], framing.close_body(1000) + b"x" * (length - 2))
           for name in CONTROL for length in (126, 127, 65535, 65536)},
        "ping-of-5-in-2-bytes": raw(0x89, 0xFE, 0, 5) + bytes(5),
        "ping-of-2^64-1": raw(0x89, 0xFF, *wide(8, (1 << 64) - 1)),
        "ping-of-126-inside-a-message": in_message(framing.frame(PING, bytes(126))),
    },
    "no-message": {
        "last-fragment": framing.frame(CONTINUATION, b"x"),
        "fragment": framing.frame(CONTINUATION, b"x", fin=False),
        "empty": framing.frame(CONTINUATION),
        "after-a-message": Row(framing.text("a") + B, framing.echo("a")),
        "after-fragments": Row(A + B + B, AB),
        "after-a-ping": Row(framing.frame(PING, b"p") + B, framing.reply(PONG, b"p")),
        "that-is-too-long": raw(0x80, 0xFF, *wide(8, 1 << 62)),
    },
    "message-unfinished": {
        "text": in_message(framing.text("b")),
        "binary": in_message(framing.frame(BINARY, b"b")),
        "fragment": in_message(framing.text("b", fin=False)),
        "empty": in_message(framing.text("")),
        "after-an-empty-fragment": framing.text("", fin=False) + framing.text("b"),
        "after-many-fragments": A + framing.frame(CONTINUATION, b"b", fin=False) * 10 + framing.text("b"),
        "after-a-pong": in_message(framing.frame(PONG) + framing.text("b")),
        "after-a-ping": Row(in_message(framing.frame(PING, b"p") + framing.text("b")), framing.reply(PONG, b"p")),
    },
    "close-truncated": {"one-byte": framing.frame(CLOSE, b"\x03"), "inside-a-message": in_message(framing.frame(CLOSE, b"\x03"))},
    "close-code-invalid": {
        **{f"{code}": framing.close(code) for code in CODES},
        **{f"{code}-with-a-reason": framing.close(code, b"reason") for code in CODES},
        "before-a-reason-that-is-not-utf-8": framing.close(1005, b"\xff"),
        "inside-a-message": in_message(framing.close(1006)),
    },
    "close-not-utf8": {
        **{name: framing.close(1000, data) for name, data in NOT_UTF_8.items()},
        "in-the-123rd-byte": framing.close(4999, b"x" * 122 + b"\xc3"),
        "inside-a-message": in_message(framing.close(1000, b"\xff")),
    },
    "text-not-utf8": {
        **{name: framing.text(data) for name, data in NOT_UTF_8.items()},
        **{f"{name}-in-fragments": fragments(TEXT, *(data[at:at + 1] for at in range(len(data))), b"")
           for name, data in NOT_UTF_8.items()},
        "cut-by-a-ping": Row(framing.text(b"\xe2\x82", fin=False) + framing.frame(PING) + framing.frame(CONTINUATION, b"a"),
                             framing.reply(PONG)),
        "completed-by-another-message": framing.text(b"\xe2\x82") + framing.text(b"\xac"),
        "after-a-binary-message": Row(framing.frame(BINARY, b"\xff") + framing.text(b"\xff"), framing.reply(BINARY, b"\xff")),
    },
    "message-too-big": {
        **{f"{place}-of-{name}": before + raw(first, 0xFF, *wide(8, length))
           for place, (before, first) in PLACES.items() for name, length in LONG.items()},
        "16-mib-and-1": raw(0x82, 0xFF, *wide(8, 16 * MIB + 1)),
        "16-mib-and-1-all-sent": framing.frame(BINARY, bytes(16 * MIB + 1)),
        "1-gib-and-1": Row(raw(0x82, 0xFF, *wide(8, (1 << 30) + 1)), options=("--max-message=1G",)),
        "11-of-10": Row(framing.text(TEN + b"!"), options=LIMIT_10),
        "4-and-7-of-10": Row(fragments(BINARY, TEN[:4], b"7 bytes"), options=LIMIT_10),
        "10-and-1-of-10": Row(fragments(BINARY, TEN, b"1"), options=LIMIT_10),
        "10-and-0-and-1-of-10": Row(fragments(BINARY, TEN, b"", b"1"), options=LIMIT_10),
        "10-and-2^63-10-of-10": Row(framing.text(TEN, fin=False) + raw(0x80, 0xFF, *wide(8, (1 << 63) - 10)), options=LIMIT_10),
        "after-a-message-of-the-limit": Row(framing.text(TEN) + framing.text(TEN + b"!"), framing.echo(TEN), LIMIT_10),
    },
}
