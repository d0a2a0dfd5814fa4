"""A table of frames: bytes sent, bytes received, and how the connection ends.

Each row is sent over TCP after a handshake, followed by more bytes. The whole answer is compared, up to the end of the
stream, which must not be a reset; then the record. Rules that do not fit a row, about many lengths and about time and
order, are in test_frames.py, test_utf8.py and test_closing.py.
"""

import re
from typing import NamedTuple

import pytest
import wire
from test_frames import fragments, raw, wide
from wire import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT

MIB = 1 << 20
LATE = wire.text("late") + wire.frame(PING, b"late") + wire.close(1001) + b"\x81\x00"
CLOSING = wire.reply(CLOSE, wire.close_body(1000))
A, B = wire.text("a", fin=False), wire.frame(CONTINUATION, b"b")  # a message in two fragments
AB = wire.echo("ab")


class Row(NamedTuple):
    """The frames to send, the answers in front of the last Close, and the options."""

    data: bytes
    answers: bytes = b""
    options: tuple = ()


def sent(row, end, late=LATE):
    """Asserts the answer to a row, and how the connection ends."""
    head, closing = wire.head(), CLOSING if end == "closed-by-peer" else wire.our_close(end)
    with wire.Served(*row.options) as served:
        data, expected = head + row.data + late, wire.switching() + row.answers + closing
        wire.same(served.peer.talk(data, until=len(expected)), expected)
        served.peer.close()
        record = wire.record(served.finish())
    code, reason = wire.CLOSES.get(end, (1000, b"closed by the peer"))
    assert (record["end_id"], record["end"], record["close"]) == (end, reason.decode(), str(code)), record
    assert record.get("reason") == (reason.decode() if end in wire.CLOSES else None), record
    assert record["bytes_in"] == str(len(data)), "bytes after the Close are read and discarded"
    echoes = [opcode for _, opcode, _ in wire.frames(row.answers) if opcode in (TEXT, BINARY)]
    assert record["messages"] == str(len(echoes)), "what was echoed counts, and no other message"


def in_message(data):
    """A frame inside a fragmented message."""
    return A + data


# Accepted frames; then the peer closes.

LIMIT_10 = ("--max-message=10",)
TEN = b"ten bytes!"
ANSWERED = {
    "nothing": Row(b""),
    "text-of-0": Row(wire.text(""), wire.echo("")),
    "binary-of-0": Row(wire.frame(BINARY), wire.reply(BINARY)),
    **{f"binary-of-{length}": Row(wire.frame(BINARY, b"x" * length), wire.reply(BINARY, b"x" * length))
       for length in (1, 125, 126, 127, 65535, 65536)},
    **{f"text-whose-reply-has-{length}": Row(wire.text("x" * (length - 8)), wire.echo("x" * (length - 8)))
       for length in (125, 126, 127, 65535, 65536)},
    **{f"fragments-of-{length}-in-all": Row(fragments(BINARY, b"x", b"x" * (length - 1)), wire.reply(BINARY, b"x" * length))
       for length in (125, 126, 127, 65535, 65536)},
    "binary-of-the-limit": Row(wire.frame(BINARY, TEN), wire.reply(BINARY, TEN), LIMIT_10),
    "text-of-the-limit": Row(wire.text(TEN), wire.echo(TEN), LIMIT_10),
    "fragments-of-the-limit": Row(fragments(TEXT, TEN[:4], b"", TEN[4:], b""), wire.echo(TEN), LIMIT_10),
    "control-frames-that-do-not-count": Row(
        A + wire.frame(PING, bytes(125)) + wire.frame(PONG, bytes(125)) + B, wire.reply(PONG, bytes(125)) + AB, LIMIT_10),
    "ping-empty": Row(wire.frame(PING), wire.reply(PONG)),
    "ping-of-125": Row(wire.frame(PING, bytes(range(125))), wire.reply(PONG, bytes(range(125)))),
    "ping-that-is-not-utf-8": Row(wire.frame(PING, b"\xff"), wire.reply(PONG, b"\xff")),
    "ping-inside-a-message": Row(A + wire.frame(PING, b"p") + B, wire.reply(PONG, b"p") + AB),
    "ten-pings-at-once": Row(b"".join(wire.frame(PING, b"%d" % number) for number in range(10)),
                             b"".join(wire.reply(PONG, b"%d" % number) for number in range(10))),
    "pong-empty": Row(wire.frame(PONG)),
    "pong-of-125": Row(wire.frame(PONG, bytes(125))),
    "pong-inside-a-message": Row(A + wire.frame(PONG, b"p") + B, AB),
    "fragments-that-are-empty": Row(fragments(TEXT, b"", b"", b""), wire.echo("")),
    "message-that-is-not-finished": Row(A),
    "message-cut-inside-a-character": Row(wire.text(b"\xe2\x82", fin=False)),
    "character-over-fragments": Row(fragments(TEXT, b"\xf0", b"\x9f", b"", b"\x98", b"\x80"), wire.echo("\U0001f600")),
    "noncharacters": Row(wire.text("\ufffe\uffff\U0010ffff"), wire.echo("\ufffe\uffff\U0010ffff")),
    "byte-order-mark": Row(wire.text("\ufeff"), wire.echo("\ufeff")),
    "binary-that-is-not-utf-8": Row(wire.frame(BINARY, b"\xff\xed\xa0\x80"), wire.reply(BINARY, b"\xff\xed\xa0\x80")),
    "masking-key-of-zeros": Row(wire.frame(BINARY, b"zero", key=bytes(4)), wire.reply(BINARY, b"zero")),
    "masking-key-that-makes-a-payload-of-zeros": Row(wire.frame(BINARY, b"same", key=b"same"), wire.reply(BINARY, b"same")),
    "other-masking-key-for-each-frame": Row(
        wire.text("a", fin=False, key=b"\1\2\3\4") + wire.frame(PING, b"p", key=b"\5\6\7\x08")
        + wire.frame(CONTINUATION, b"b", key=b"\xff\0\xff\0"), wire.reply(PONG, b"p") + AB),
}


@pytest.mark.parametrize("row", [pytest.param(row, id=name) for name, row in ANSWERED.items()])
def test_what_is_right_is_answered_and_a_close_ends_it(row):
    sent(row._replace(data=row.data + wire.close(1000)), "closed-by-peer")


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
        "our-own-answer": wire.echo("hi"),
        "length-that-is-not-minimal": b"\x82\x7e\x00\x05hello",
        "ping-of-126": b"\x89\x7e\x00\x7e" + bytes(126),
        "after-a-masked-one": Row(wire.text("a") + b"\x81\x01b", wire.echo("a")),
    },
    "rsv-set": {
        **{f"{rsv:03b}-on-{name}": wire.frame(opcode, b"\x03\xe8", rsv=rsv)
           for rsv in range(1, 8) for name, opcode in OPCODES.items()},
        **{f"{rsv:03b}-on-a-fragment": in_message(wire.frame(CONTINUATION, b"b", rsv=rsv)) for rsv in range(1, 8)},
        **{f"{rsv:03b}-on-a-ping-inside-a-message": in_message(wire.frame(PING, rsv=rsv)) for rsv in (1, 2, 4)},
        "on-a-reserved-opcode": wire.frame(3, rsv=4),
        "on-a-frame-that-is-not-masked": b"\xc1\x00",
        "after-a-message": Row(wire.text("a") + wire.text("b", rsv=4), wire.echo("a")),
    },
    "opcode-reserved": {
        **{f"{opcode:x}": wire.frame(opcode, b"x") for opcode in RESERVED},
        **{f"{opcode:x}-not-final": wire.frame(opcode, b"x", fin=False) for opcode in RESERVED},
        **{f"{opcode:x}-inside-a-message": in_message(wire.frame(opcode)) for opcode in RESERVED},
        "after-a-message": Row(wire.text("a") + wire.frame(3), wire.echo("a")),
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
        **{name: wire.frame(OPCODES[name], wire.close_body(1000), fin=False) for name in CONTROL},
        **{f"{name}-inside-a-message": in_message(wire.frame(OPCODES[name], fin=False)) for name in CONTROL},
        "ping-with-a-continuation": wire.frame(PING, b"x", fin=False) + wire.frame(CONTINUATION, b"y"),
    },
    "control-too-long": {
        **{f"{name}-of-{length}": wire.frame(OPCODES[name], wire.close_body(1000) + b"x" * (length - 2))
           for name in CONTROL for length in (126, 127, 65535, 65536)},
        "ping-of-5-in-2-bytes": raw(0x89, 0xFE, 0, 5) + bytes(5),
        "ping-of-2^64-1": raw(0x89, 0xFF, *wide(8, (1 << 64) - 1)),
        "ping-of-126-inside-a-message": in_message(wire.frame(PING, bytes(126))),
    },
    "no-message": {
        "last-fragment": wire.frame(CONTINUATION, b"x"),
        "fragment": wire.frame(CONTINUATION, b"x", fin=False),
        "empty": wire.frame(CONTINUATION),
        "after-a-message": Row(wire.text("a") + B, wire.echo("a")),
        "after-fragments": Row(A + B + B, AB),
        "after-a-ping": Row(wire.frame(PING, b"p") + B, wire.reply(PONG, b"p")),
        "that-is-too-long": raw(0x80, 0xFF, *wide(8, 1 << 62)),
    },
    "message-unfinished": {
        "text": in_message(wire.text("b")),
        "binary": in_message(wire.frame(BINARY, b"b")),
        "fragment": in_message(wire.text("b", fin=False)),
        "empty": in_message(wire.text("")),
        "after-an-empty-fragment": wire.text("", fin=False) + wire.text("b"),
        "after-many-fragments": A + wire.frame(CONTINUATION, b"b", fin=False) * 10 + wire.text("b"),
        "after-a-pong": in_message(wire.frame(PONG) + wire.text("b")),
        "after-a-ping": Row(in_message(wire.frame(PING, b"p") + wire.text("b")), wire.reply(PONG, b"p")),
    },
    "close-truncated": {"one-byte": wire.frame(CLOSE, b"\x03"), "inside-a-message": in_message(wire.frame(CLOSE, b"\x03"))},
    "close-code-invalid": {
        **{f"{code}": wire.close(code) for code in CODES},
        **{f"{code}-with-a-reason": wire.close(code, b"reason") for code in CODES},
        "before-a-reason-that-is-not-utf-8": wire.close(1005, b"\xff"),
        "inside-a-message": in_message(wire.close(1006)),
    },
    "close-not-utf8": {
        **{name: wire.close(1000, data) for name, data in NOT_UTF_8.items()},
        "in-the-123rd-byte": wire.close(4999, b"x" * 122 + b"\xc3"),
        "inside-a-message": in_message(wire.close(1000, b"\xff")),
    },
    "text-not-utf8": {
        **{name: wire.text(data) for name, data in NOT_UTF_8.items()},
        **{f"{name}-in-fragments": fragments(TEXT, *(data[at:at + 1] for at in range(len(data))), b"")
           for name, data in NOT_UTF_8.items()},
        "cut-by-a-ping": Row(wire.text(b"\xe2\x82", fin=False) + wire.frame(PING) + wire.frame(CONTINUATION, b"a"),
                             wire.reply(PONG)),
        "completed-by-another-message": wire.text(b"\xe2\x82") + wire.text(b"\xac"),
        "after-a-binary-message": Row(wire.frame(BINARY, b"\xff") + wire.text(b"\xff"), wire.reply(BINARY, b"\xff")),
    },
    "message-too-big": {
        **{f"{place}-of-{name}": before + raw(first, 0xFF, *wide(8, length))
           for place, (before, first) in PLACES.items() for name, length in LONG.items()},
        "16-mib-and-1": raw(0x82, 0xFF, *wide(8, 16 * MIB + 1)),
        "16-mib-and-1-all-sent": wire.frame(BINARY, bytes(16 * MIB + 1)),
        "1-gib-and-1": Row(raw(0x82, 0xFF, *wide(8, (1 << 30) + 1)), options=("--max-message=1G",)),
        "11-of-10": Row(wire.text(TEN + b"!"), options=LIMIT_10),
        "4-and-7-of-10": Row(fragments(BINARY, TEN[:4], b"7 bytes"), options=LIMIT_10),
        "10-and-1-of-10": Row(fragments(BINARY, TEN, b"1"), options=LIMIT_10),
        "10-and-0-and-1-of-10": Row(fragments(BINARY, TEN, b"", b"1"), options=LIMIT_10),
        "10-and-2^63-10-of-10": Row(wire.text(TEN, fin=False) + raw(0x80, 0xFF, *wide(8, (1 << 63) - 10)), options=LIMIT_10),
        "after-a-message-of-the-limit": Row(wire.text(TEN) + wire.text(TEN + b"!"), wire.echo(TEN), LIMIT_10),
    },
}


@pytest.mark.parametrize("end, row", [pytest.param(end, row if isinstance(row, Row) else Row(row), id=f"{end}-{name}")
                                      for end, rows in REFUSED.items() for name, row in rows.items()])
def test_what_is_wrong_gets_the_close_of_its_row_and_nothing_after_it_an_answer(end, row):
    sent(row, end)


def test_every_close_of_ours_has_rows():
    """Except Closes that no frame causes, or compressed frames only."""
    source = wire.source()
    codes = {"GOING_AWAY": 1001, "PROTOCOL_ERROR": 1002, "INVALID_PAYLOAD": 1007, "TOO_BIG": 1009, "INTERNAL_ERROR": 1011}
    ours = {name.lower().replace("_", "-"): (codes[code], reason.encode())
            for name, code, reason in re.findall(r'^    X\((\w+), (\w+), \w+,\s*"(.*)"\)', source, re.MULTILINE) if code in codes}
    assert ours == wire.CLOSES
    assert REFUSED.keys() == ours.keys() - {"stopped", "idle", "no-memory", "inflate-failed", "inflate-unfinished"}


# Every first byte.

def verdict(first, inside):
    """The violation of a masked frame with two bytes of payload that begins with this byte; None if it is valid."""
    fin, rsv, opcode = first >> 7, first >> 4 & 7, first & 15
    if rsv:
        return "rsv-set"
    if opcode not in OPCODES.values():
        return "opcode-reserved"
    if opcode >= CLOSE:
        return None if fin else "control-fragmented"
    if opcode == CONTINUATION:
        return None if inside else "no-message"
    return "message-unfinished" if inside else None


@pytest.mark.parametrize("inside", [False, True], ids=["between-messages", "inside-a-message"])
def test_every_first_byte_of_a_frame_is_judged(inside):
    payload = wire.close_body(0x0C20)  # an allowed close code, and valid text
    for first in range(256):
        data = (wire.text("", fin=False) if inside else b"") + raw(first, 0x82) + wire.unmask(payload) + wire.close(1000)
        wrong, fin, opcode = verdict(first, inside), first >> 7, first & 15
        if wrong:
            expected = wire.our_close(wrong)
        elif opcode == CLOSE:
            expected = wire.reply(CLOSE, payload)
        else:
            answers = {CONTINUATION: wire.echo(payload), TEXT: wire.echo(payload), BINARY: wire.reply(BINARY, payload),
                       PING: wire.reply(PONG, payload), PONG: b""}
            expected = (answers[opcode] if fin else b"") + CLOSING
        wire.same(wire.exchange(data), expected, f"first byte {first:02x}")


# Many frames.

def test_a_message_may_have_65536_fragments_with_control_frames_between():
    fragment, ping = wire.frame(CONTINUATION, b"b", fin=False), wire.frame(PING, b"p")
    data = A + (ping + wire.frame(PONG, b"q") + fragment) * 65534 + ping + wire.frame(CONTINUATION, b"c")
    answers = wire.reply(PONG, b"p") * 65535 + wire.echo("a" + "b" * 65534 + "c")
    sent(Row(data + wire.close(1000), answers), "closed-by-peer")


def test_a_message_may_have_a_million_empty_continuations():
    empty = wire.frame(CONTINUATION, fin=False)
    sent(Row(A + empty * 1_000_000 + B + wire.close(1000), AB), "closed-by-peer")


def test_a_close_arrives_while_the_peer_goes_on_sending_megabytes():
    for end, data in {"closed-by-peer": wire.close(1000), "opcode-reserved": wire.frame(3),
                      "message-too-big": wire.frame(BINARY, bytes(11))}.items():
        sent(Row(data, options=LIMIT_10), end, late=LATE + bytes(40 * MIB))
