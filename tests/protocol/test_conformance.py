"""A table of frames: bytes sent, bytes received, and how the connection ends.

Each row is sent over TCP after a handshake, followed by more bytes. The whole answer is compared, up to the end of the
stream, which must not be a reset; then the record. Rules that do not fit a row, about many lengths and about time and
order, are in test_frames.py, test_utf8.py and test_closing.py.
"""

import re

import framing
import heads
import launch
import project
import pytest
from frame_rows import A, AB, ANSWERED, B, LIMIT_10, MIB, OPCODES, REFUSED, Row
from framing import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, raw

LATE = framing.text("late") + framing.frame(PING, b"late") + framing.close(1001) + b"\x81\x00"
CLOSING = framing.reply(CLOSE, framing.close_body(1000))


def sent(row, end, late=LATE):
    """Asserts the answer to a row, and how the connection ends."""
    head, closing = heads.head(), CLOSING if end == "closed-by-peer" else framing.our_close(end)
    with launch.Served(*row.options) as served:
        data, expected = head + row.data + late, heads.switching() + row.answers + closing
        framing.same(served.peer.talk(data, until=len(expected)), expected)
        served.peer.close()
        record = launch.record(served.finish())
    code, reason = framing.CLOSES.get(end, (1000, b"closed by the peer"))
    assert (record["end_id"], record["end"], record["close"]) == (end, reason.decode(), str(code)), record
    assert record.get("reason") == (reason.decode() if end in framing.CLOSES else None), record
    assert record["bytes_in"] == str(len(data)), "bytes after the Close are read and discarded"
    echoes = [opcode for _, opcode, _ in framing.frames(row.answers) if opcode in (TEXT, BINARY)]
    assert record["messages"] == str(len(echoes)), "what was echoed counts, and no other message"


@pytest.mark.parametrize("row", [pytest.param(row, id=name) for name, row in ANSWERED.items()])
def test_what_is_right_is_answered_and_a_close_ends_it(row):
    sent(row._replace(data=row.data + framing.close(1000)), "closed-by-peer")


@pytest.mark.parametrize("end, row", [pytest.param(end, row if isinstance(row, Row) else Row(row), id=f"{end}-{name}")
                                      for end, rows in REFUSED.items() for name, row in rows.items()])
def test_what_is_wrong_gets_the_close_of_its_row_and_nothing_after_it_an_answer(end, row):
    sent(row, end)


def test_every_close_of_ours_has_rows():
    """Except Closes that no frame causes, or compressed frames only."""
    source = project.source()
    codes = {"GOING_AWAY": 1001, "PROTOCOL_ERROR": 1002, "INVALID_PAYLOAD": 1007, "TOO_BIG": 1009, "INTERNAL_ERROR": 1011}
    ours = {name.lower().replace("_", "-"): (codes[code], reason.encode())
            for name, code, reason in re.findall(r'^    X\((\w+), (\w+), \w+,\s*"(.*)"\)', source, re.MULTILINE) if code in codes}
    assert ours == framing.CLOSES
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
    payload = framing.close_body(0x0C20)  # an allowed close code, and valid text
    for first in range(256):
        data = (framing.text("", fin=False) if inside else b"") + raw(first, 0x82) + framing.unmask(payload) + framing.close(1000)
        wrong, fin, opcode = verdict(first, inside), first >> 7, first & 15
        if wrong:
            expected = framing.our_close(wrong)
        elif opcode == CLOSE:
            expected = framing.reply(CLOSE, payload)
        else:
            answers = {CONTINUATION: framing.echo(payload), TEXT: framing.echo(payload), BINARY: framing.reply(BINARY, payload),
                       PING: framing.reply(PONG, payload), PONG: b""}
            expected = (answers[opcode] if fin else b"") + CLOSING
        framing.same(launch.exchange(data), expected, f"first byte {first:02x}")


# Many frames.

def test_a_message_may_have_65536_fragments_with_control_frames_between():
    fragment, ping = framing.frame(CONTINUATION, b"b", fin=False), framing.frame(PING, b"p")
    data = A + (ping + framing.frame(PONG, b"q") + fragment) * 65534 + ping + framing.frame(CONTINUATION, b"c")
    answers = framing.reply(PONG, b"p") * 65535 + framing.echo("a" + "b" * 65534 + "c")
    sent(Row(data + framing.close(1000), answers), "closed-by-peer")


def test_a_message_may_have_a_million_empty_continuations():
    empty = framing.frame(CONTINUATION, fin=False)
    sent(Row(A + empty * 1_000_000 + B + framing.close(1000), AB), "closed-by-peer")


def test_a_close_arrives_while_the_peer_goes_on_sending_megabytes():
    for end, data in {"closed-by-peer": framing.close(1000), "opcode-reserved": framing.frame(3),
                      "message-too-big": framing.frame(BINARY, bytes(11))}.items():
        sent(Row(data, options=LIMIT_10), end, late=LATE + bytes(40 * MIB))
