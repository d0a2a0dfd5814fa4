# SPDX-License-Identifier: MIT
"""The bytes of frames, in both directions.

Client frames are masked, as RFC 6455 section 5.3 wants them; `reply` makes the frames that
the server is expected to answer with, so that a test compares whole answers, byte for byte.
"""

import os
import struct

from outcomes import OUTCOMES

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
MASKING_KEY = b"\x37\xfa\x21\x3d"
PREFIX = b"server: "


def unmask(payload, key=MASKING_KEY):
    """Apply a masking key, or undo it: section 5.3."""
    pad = (key * (len(payload) // 4 + 1))[: len(payload)]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(pad, "big")).to_bytes(len(payload), "big")


def frame_header(first, second, length):
    """The first two bytes (without the length bits) and the length in its shortest form."""
    if length < 126:
        return bytes([first, second | length])
    if length < 1 << 16:
        return bytes([first, second | 126]) + struct.pack(">H", length)
    return bytes([first, second | 127]) + struct.pack(">Q", length)


def frame(opcode, payload=b"", fin=True, rsv=0, key=MASKING_KEY):
    """A frame as a client sends it; `rsv` is the value of the three reserved bits, 4 for RSV1."""
    first = (0x80 if fin else 0) | rsv << 4 | opcode
    return frame_header(first, 0x80, len(payload)) + key + unmask(payload, key)


def text(string, **more):
    return frame(TEXT, string if isinstance(string, bytes) else string.encode(), **more)


def close_body(code, reason=b""):
    return struct.pack(">H", code) + reason


def close(code=None, reason=b""):
    """A client's Close frame; without a code its body is empty."""
    return frame(CLOSE, b"" if code is None else close_body(code, reason))


def reply(opcode, payload=b"", rsv=0):
    """An unfragmented, unmasked frame, as the server sends it."""
    return frame_header(0x80 | rsv << 4 | opcode, 0, len(payload)) + payload


def echo(string, prefix=PREFIX):
    """The answer to a text message."""
    return reply(TEXT, prefix + (string if isinstance(string, bytes) else string.encode()))


def frames(data):
    """A server's frames, all of them complete, as (FIN, opcode, payload)."""
    found = []
    while data:
        first, length, at = data[0], data[1], 2
        assert not first & 0x70, f"no extension was agreed to: {data[:10]!r}"
        assert not length & 0x80, f"a server's frame must not be masked: {data[:10]!r}"
        if length >= 126:
            at = 4 if length == 126 else 10
            length = int.from_bytes(data[2:at], "big")
        assert len(data) >= at + length, f"a frame of {length} bytes is cut off: {data[:40]!r}"
        found.append((bool(first & 0x80), first & 0x0F, data[at : at + length]))
        data = data[at + length :]
    return found


def close_code(data):
    """Asserts that `data` is one Close frame and returns its code; None if its body is empty."""
    found = frames(data)
    assert len(found) == 1 and found[0][:2] == (True, CLOSE), f"expected one Close, received {data[:200]!r}"
    body = found[0][2]
    if not body:
        return None
    assert 2 <= len(body) <= 125, data
    body[2:].decode()  # fails unless the reason is UTF-8
    return int.from_bytes(body[:2], "big")


# The Close frames of the program, by end_id: what each code is for, and the reason from the table of outcomes.
CODES = {
    1001: "stopped idle",
    1002: """unmasked rsv-set opcode-reserved length-not-minimal length-top-bit control-fragmented control-too-long no-message
        message-unfinished close-truncated close-code-invalid""",
    1007: "close-not-utf8 text-not-utf8 inflate-failed inflate-unfinished",
    1009: "message-too-big",
    1011: "no-memory",
}
CLOSES = {end: (code, OUTCOMES[end].sentence.encode()) for code, ends in CODES.items() for end in ends.split()}


def our_close(end):
    """The Close frame that the program sends for this end_id."""
    return reply(CLOSE, close_body(*CLOSES[end]))


def same(received, expected, where="answer"):
    """Asserts that two long byte strings are equal; on failure, shows the first difference."""
    if received == expected:
        return
    at = len(os.path.commonprefix([received, expected]))
    raise AssertionError(
        f"{where}: they differ at byte {at}, expected {expected[at : at + 40]!r} of {len(expected)} bytes, "
        f"received {received[at : at + 40]!r} of {len(received)} bytes")


# Fragments.

def fragments(opcode, *parts, between=b""):
    """A message in fragments, with the bytes `between` in front of each except the first."""
    last = len(parts) - 1
    return between.join(frame(opcode if number == 0 else CONTINUATION, part, fin=number == last)
                        for number, part in enumerate(parts))


# Protocol errors.

def raw(first, second, *rest):
    """A frame header of exactly these bytes, and a masking key."""
    return bytes([first, second, *rest]) + MASKING_KEY


def wide(size, length):
    """A length in that many bytes, even if fewer would do."""
    return length.to_bytes(size, "big")
