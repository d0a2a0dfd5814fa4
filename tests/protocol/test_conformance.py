# SPDX-License-Identifier: MIT
"""A table of frames: bytes sent, bytes received, and how the connection ends.

Each row is sent over TCP after a handshake, followed by more bytes. The whole answer is compared, up to the end of the
stream, which must not be a reset; then the record. Rules that do not fit a row, about many lengths and about time and
order, are in test_frames.py, test_utf8.py and test_closing.py.
"""

import framing
import heads
import launch
import pytest
from frame_rows import A, AB, ANSWERED, B, LIMIT_10, MIB, OPCODES, REFUSED, Row
from framing import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, raw
from outcomes import OUTCOMES
from rule import rule

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


@rule("RFC 6455 5.2 (5)", "Payload of any length is echoed, in a frame whose length is in its shortest form.",
      rows="binary-of-* text-*")
@rule("RFC 6455 5.3", "Payload is unmasked with the key of its frame, for any key, and wherever reads cut the payload.",
      rows="*masking-key-*")
@rule("RFC 6455 5.4 (1)",
      "A message may have any number of fragments of any length; once complete, it is echoed as one frame with its opcode.",
      rows="fragments-*")
@rule("RFC 6455 5.4 (2)", "Control frames may stand between fragments, and are answered at once.", rows="p?ng-inside-a-message")
@rule("RFC 6455 5.5.1 (1)",
      "A Close is answered with a Close with the same code and reason, an empty Close with an empty one.", rows="nothing")
@rule("RFC 6455 5.5.1 (4)")
@rule("RFC 6455 5.5.1 (5)", "A message that is incomplete when the Close arrives is not answered.",
      rows="message-that-is-not-finished")
@rule("RFC 6455 5.5.2", "Every Ping is answered, in order.", rows="ping-* ten-pings-at-once")
@rule("RFC 6455 5.5.3 (2)", "A Pong without a Ping of ours is not answered.", rows="pong-*")
@rule("RFC 6455 5.6", "Binary messages may contain any bytes.", rows="binary-that-is-not-utf-8")
@rule("RFC 3629 4", rows="*character* byte-order-mark")
@rule("RFC 6455 10.4 (2)",
      "A message of exactly the limit is echoed; the prefix, control frames and other messages do not count.",
      rows="*-of-the-limit control-frames-that-do-not-count")
@pytest.mark.parametrize("row", [pytest.param(row, id=name) for name, row in ANSWERED.items()])
def test_what_is_right_is_answered_and_a_close_ends_it(row):
    sent(row._replace(data=row.data + framing.close(1000)), "closed-by-peer")


@rule("RFC 6455 5.1 (1)", "A frame that is not masked is answered with Close 1002.", rows="unmasked-*")
@rule("RFC 6455 5.2 (1)", "A reserved bit that no extension defines is answered with Close 1002.", rows="rsv-set-*")
@rule("RFC 6455 5.2 (2)", "A reserved opcode is answered with Close 1002.", rows="opcode-reserved-*")
@rule("RFC 6455 5.2 (3)", "A length that is not in its shortest form is answered with Close 1002.", rows="length-not-minimal-*")
@rule("RFC 6455 5.2 (4)", "A length of eight bytes whose top bit is 1 is answered with Close 1002.", rows="length-top-bit-*")
@rule("RFC 6455 5.4 (3)", "A continuation without a message is answered with Close 1002.", rows="no-message-*")
@rule("RFC 6455 5.4 (4)", "A new message inside a fragmented one is answered with Close 1002.", rows="message-unfinished-*")
@rule("RFC 6455 5.5 (1)", "A fragmented control frame is answered with Close 1002.", rows="control-fragmented-*")
@rule("RFC 6455 5.5 (2)", "A control frame of more than 125 bytes is answered with Close 1002.", rows="control-too-long-*")
@rule("RFC 6455 5.5.1 (2)", "A Close body of one byte is answered with Close 1002.", rows="close-truncated-*")
@rule("RFC 6455 5.5.1 (3)", "A Close reason that is not UTF-8 is answered with Close 1007.", rows="close-not-utf8-*")
@rule("RFC 6455 5.5.1 (4)", "Nothing is sent after our Close, and nothing that arrives after the peer's Close is answered.")
@rule("RFC 6455 7.1.1 (1)",
      "The server ends the stream first, after its Close; no reset destroys its last bytes, whatever the peer still sends.")
@rule("RFC 6455 7.4.1 (1)")
@rule("RFC 6455 7.4.2 (1)", "A close code that must not be sent is answered with Close 1002.", rows="close-code-invalid-*")
@rule("RFC 6455 8.1", "Text that is not UTF-8 is answered with Close 1007, at its first wrong byte.", rows="text-not-utf8-*")
@rule("RFC 6455 10.4 (1)", "A message above the limit is answered with Close 1009 as soon as its length is announced.",
      rows="message-too-big-*")
@pytest.mark.parametrize("end, row", [pytest.param(end, row if isinstance(row, Row) else Row(row), id=f"{end}-{name}")
                                      for end, rows in REFUSED.items() for name, row in rows.items()])
def test_what_is_wrong_gets_the_close_of_its_row_and_nothing_after_it_an_answer(end, row):
    sent(row, end)


@rule("RFC 6455 7.4.1 (1)", "Each kind of failure has its own code and reason.")
def test_every_close_of_ours_has_rows():
    """Except Closes that no frame causes, or compressed frames only."""
    ours = {end: outcome.code for end, outcome in OUTCOMES.items() if outcome.code >= 1000 and end != "closed-by-peer"}
    assert ours == {end: code for end, (code, _) in framing.CLOSES.items()}
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


@rule("RFC 6455 5.2 (1)")
@rule("RFC 6455 5.2 (2)")
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

@rule("RFC 6455 5.4 (1)")
def test_a_message_may_have_65536_fragments_with_control_frames_between():
    fragment, ping = framing.frame(CONTINUATION, b"b", fin=False), framing.frame(PING, b"p")
    data = A + (ping + framing.frame(PONG, b"q") + fragment) * 65534 + ping + framing.frame(CONTINUATION, b"c")
    answers = framing.reply(PONG, b"p") * 65535 + framing.echo("a" + "b" * 65534 + "c")
    sent(Row(data + framing.close(1000), answers), "closed-by-peer")


@rule("RFC 6455 5.4 (1)")
def test_a_message_may_have_a_million_empty_continuations():
    empty = framing.frame(CONTINUATION, fin=False)
    sent(Row(A + empty * 1_000_000 + B + framing.close(1000), AB), "closed-by-peer")


@rule("RFC 6455 7.1.1 (1)")
def test_a_close_arrives_while_the_peer_goes_on_sending_megabytes():
    for end, data in {"closed-by-peer": framing.close(1000), "opcode-reserved": framing.frame(3),
                      "message-too-big": framing.frame(BINARY, bytes(11))}.items():
        sent(Row(data, options=LIMIT_10), end, late=LATE + bytes(40 * MIB))
