# SPDX-License-Identifier: MIT
"""After a Close of the program: the wait for the peer's Close, the end of the stream, and the time limits.

RFC 6455 section 7.1.1 lets the server end the stream when both sides have sent a Close. If it ended the stream right
after its own Close, clients could miss the code: their own Close fails, or a proxy drops the server's.

"At once" means that no timer expires: strace shows an expiry as SIGALRM.
"""

import contextlib
import re
import resource
import select
import signal
import termios
import zlib

import framing
import heads
import launch
import project
import pytest
from framing import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT
from launch import SOCKETS
from require import require
from rule import rule

# On i386 a shutdown is socketcall(2), whose arguments strace reads from the process.
pytestmark = pytest.mark.usefixtures("dumpable")

MIB = 1 << 20
TEN_BYTES = "--max-message=10"
TOO_BIG = framing.frame(BINARY, bytes(11))
RESERVED = framing.frame(3)
LEFT_OPEN = "a peer has two seconds to end, and here it does not"


class Traced(launch.Served):
    """The program under strace; `events` lists what it did after its last write to the peer."""

    def __init__(self, tmp_path, *options, **served):
        self.trace = tmp_path / "trace"
        wrapper = [require("strace", "strace"), "-D", "-o", str(self.trace)]  # -D: signals reach the program
        super().__init__(*options, wrapper=wrapper, **served)

    def events(self):
        """A list of ("read", bytes), "expiry", "SHUT_WR" and "SHUT_RDWR"; consecutive expiries count as one."""
        launch.wait_until(lambda: "+++ exited" in self.trace.read_text(), "strace has written all")
        calls = self.trace.read_text()
        found = re.findall(r"^(?:read\(0,.* = (\d+)$|shutdown\(1, (SHUT_\w+)|--- SIG(ALRM))",
                           calls[calls.rindex("\nwrite(1,"):], re.MULTILINE)
        events = [("read", int(count)) if count else how or "expiry" for count, how, _ in found]
        return [event for before, event in zip([None, *events], events) if event != "expiry" or before != "expiry"]

    def before_the_end_of_the_stream(self):
        events = self.events()
        return events[:events.index("SHUT_WR")]


def refuse_memory():
    """Limits the address space, so that there is no memory for the largest message."""
    resource.setrlimit(resource.RLIMIT_AS, (512 * MIB, 512 * MIB))


# The causes of a Close after which the program waits for the peer's: how to provoke each, and with which options.
CAUSES = {
    "stopped": ((), {}, lambda served: served.stop()),
    "idle": (("--timeout=0.2", "--ping-interval=0"), {}, lambda served: None),
    "message-too-big": ((TEN_BYTES,), {}, lambda served: served.peer.send(TOO_BIG)),
    "no-memory": (("--max-message=1G",), {"preexec_fn": refuse_memory},
                  lambda served: served.peer.send(framing.text("hi", fin=False))),
}


class Closing:
    """A connection on which the program's Close has just arrived; `events` are those of strace."""

    def __init__(self, tmp_path, end, *more, pair=launch.tcp_pair):
        options, served, bring_about = CAUSES[end]
        self.end = end
        self.served = Traced(tmp_path, *options, *more, pair=pair, **served)
        self.peer = self.served.peer.open()
        bring_about(self.served)
        assert self.peer.frame() == (True, CLOSE, framing.close_body(*framing.CLOSES[end]))

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        return self.served.__exit__(*exception)

    def ended(self):
        """Asserts that only the end of the stream follows; returns the record."""
        assert self.peer.rest() == b"", "nothing is answered any more"
        self.peer.close()
        log = self.served.process.communicate(timeout=project.LIMIT)[1].decode()
        assert self.served.process.returncode == (71 if self.end == "no-memory" else 0), log
        found = launch.record(log)
        assert (found["end_id"], found["close"]) == (self.end, str(framing.CLOSES[self.end][0])), found
        return found


# After 1001, 1009 and 1011.

@rule("RFC 6455 7.1.1 (2)",
      "After our Close 1001, 1009 or 1011, the server waits for the peer's Close, and then ends the stream at once.")
@pytest.mark.parametrize("pair", SOCKETS)
@pytest.mark.parametrize("end", CAUSES)
def test_the_end_of_the_stream_follows_the_peers_close_at_once(tmp_path, end, pair):
    answer = framing.close(framing.CLOSES[end][0])
    with Closing(tmp_path, end, pair=pair) as closing:
        closing.peer.send(answer)
        closing.ended()
    assert closing.served.before_the_end_of_the_stream() == [("read", len(answer))]


@rule("RFC 6455 7.1.1 (3)", "During this wait, all frames are skipped; bytes that are no frame end the wait.")
@pytest.mark.parametrize("end", CAUSES)
def test_frames_before_the_peers_close_are_skipped(tmp_path, end):
    """Even stray fragments and text that is not UTF-8. They count as received bytes."""
    data = b"".join([
        framing.text("hello"), framing.text(b"\xff"), framing.frame(PING, b"ping"), framing.frame(PONG), framing.frame(CONTINUATION, b"none"),
        framing.text("begun", fin=False), framing.text("new", fin=False), framing.frame(BINARY, bytes(70000)), framing.frame(BINARY),
    ])
    with Closing(tmp_path, end) as closing:
        closing.peer.send(data + framing.close(1000))
        found = closing.ended()
    sent = len(TOO_BIG) if end == "message-too-big" else len(framing.text("hi")) if end == "no-memory" else 0
    assert (found["bytes_in"], found["messages"]) == (str(len(heads.head() + data + framing.close(1000)) + sent), "0")
    assert "expiry" not in closing.served.before_the_end_of_the_stream()


@rule("RFC 6455 7.1.1 (3)")
def test_compressed_frames_are_skipped_if_compression_was_negotiated(tmp_path):
    extension = "permessage-deflate"
    with Traced(tmp_path, "--deflate", TEN_BYTES) as served:
        peer = served.peer.open(f"Sec-WebSocket-Extensions: {extension}", extension=extension)
        peer.send(TOO_BIG)
        assert peer.frame()[:2] == (True, CLOSE)
        peer.send(framing.frame(TEXT, b"no DEFLATE", rsv=4) + framing.frame(BINARY, b"\xff", rsv=4, fin=False) + framing.close(1009))
        assert peer.rest() == b""
        peer.close()
        assert launch.record(served.finish())["end_id"] == "message-too-big"
    assert "expiry" not in served.before_the_end_of_the_stream()


def deflated(data):
    deflater = zlib.compressobj(wbits=-15)
    return (deflater.compress(data) + deflater.flush(zlib.Z_SYNC_FLUSH))[:-4]


@rule("RFC 6455 7.1.1 (3)")
@pytest.mark.parametrize("begun", [14, 15, 300, 70000], ids=["header", "one-byte", "part", "more-than-a-read"])
@pytest.mark.parametrize("kind", ["announced", "inflated", "no-memory"])
def test_a_refused_message_may_go_on_up_to_its_end(tmp_path, kind, begun):
    """The message was refused inside a frame. Bytes inside this frame that look like a Close are payload."""
    payload, options, served = framing.close(4000) * 20000, [TEN_BYTES], {}
    data = framing.frame(BINARY, payload)
    if kind == "inflated":
        data = framing.frame(BINARY, deflated(bytes(MIB)) + payload, rsv=4)
    if kind == "no-memory":
        options, served = ["--max-message=1G"], {"preexec_fn": refuse_memory}
    extension = {"extension": "permessage-deflate"} if kind == "inflated" else {}
    with Traced(tmp_path, "--deflate", *options, **served) as closing:
        peer = closing.peer.open(*(f"Sec-WebSocket-Extensions: {name}" for name in extension.values()), **extension)
        peer.send(data[:begun] if kind != "inflated" else data[:begun + 1100])
        assert peer.frame()[1] == CLOSE
        peer.send(data[begun if kind != "inflated" else begun + 1100:] + framing.close(1009))
        assert peer.rest() == b""
        peer.close()
        log = closing.process.communicate(timeout=project.LIMIT)[1].decode()
    sent = len(heads.head(*(f"Sec-WebSocket-Extensions: {name}" for name in extension.values()))) + len(data)
    assert launch.record(log)["bytes_in"] == str(sent + len(framing.close(1009)))
    assert "expiry" not in closing.before_the_end_of_the_stream()


@rule("RFC 6455 7.1.1 (2)")
@pytest.mark.parametrize("header", [framing.close(1000)[:6], framing.close(1000, b"reason")[:9]], ids=["header", "half"])
def test_the_header_of_a_close_is_enough(tmp_path, header):
    with Closing(tmp_path, "message-too-big") as closing:
        closing.peer.send(header)
        closing.ended()
    assert closing.served.before_the_end_of_the_stream() == [("read", len(header))]


@rule("RFC 6455 7.1.1 (3)")
@pytest.mark.parametrize("data", [b"\x81\x00", RESERVED, framing.frame(PING, bytes(126)), framing.text("x", rsv=4),
                                  framing.frame(PING, fin=False), b"\x82\xfe\0\5"],
                         ids=["unmasked", "reserved", "long-ping", "rsv1", "fragmented-ping", "length"])
def test_bytes_that_are_no_frame_end_the_wait_at_once(tmp_path, data):
    """The program cannot find a Close after it."""
    with Closing(tmp_path, "message-too-big") as closing:
        closing.peer.send(framing.text("good") + data)
        closing.ended()
    assert closing.served.before_the_end_of_the_stream() == [("read", len(framing.text("good") + data))]


@rule("RFC 6455 7.1.1 (2)")
@pytest.mark.slow(LEFT_OPEN)
@pytest.mark.parametrize("data", [b"", framing.close(1000)[:5], framing.frame(BINARY, bytes(100))[:50] + framing.close(1000)],
                         ids=["silent", "part-of-a-header", "frame-that-was-abandoned"])
def test_a_peer_that_sends_no_close_has_two_seconds(tmp_path, data):
    with Closing(tmp_path, "message-too-big") as closing:
        closing.peer.send(data)
        closing.ended()
    assert closing.served.before_the_end_of_the_stream() == [("read", len(data))] * bool(data) + ["expiry"]


@rule("RFC 6455 7.1.1 (2)")
@pytest.mark.parametrize("end", CAUSES)
def test_the_peers_end_of_the_stream_ends_the_wait_at_once(tmp_path, end):
    with Closing(tmp_path, end) as closing:
        closing.peer.send(framing.text("half")[:4])
        closing.peer.end()
        closing.ended()
    assert "expiry" not in closing.served.events()


@rule("RFC 6455 7.1.5")
def test_the_record_keeps_our_code_whatever_the_peer_answers(tmp_path):
    with Closing(tmp_path, "message-too-big") as closing:
        closing.peer.send(framing.close(4000, b"my own"))
        assert closing.ended()["reason"] == framing.CLOSES["message-too-big"][1].decode()


@rule("RFC 6455 7.1.1 (2)")
@pytest.mark.parametrize("data", [b"", framing.text("half")[:4]])
@pytest.mark.parametrize("end", [end for end in CAUSES if end != "no-memory"])
def test_a_reset_during_the_wait_is_not_recorded(tmp_path, end, data):
    with Closing(tmp_path, end) as closing:
        closing.peer.send(data)
        closing.peer.reset()
        assert launch.record(closing.served.finish())["end_id"] == end


@rule("RFC 6455 7.1.1 (2)")
@pytest.mark.parametrize("end", CAUSES)
def test_signals_in_the_wait_change_nothing(tmp_path, end):
    with Closing(tmp_path, end) as closing:
        for number in [signal.SIGTERM, signal.SIGINT, signal.SIGHUP] * 3:
            closing.served.stop(number)
        closing.peer.send(framing.frame(BINARY, bytes(MIB)) + framing.close(1001))
        found = closing.ended()
    assert int(found["bytes_in"]) > MIB


@rule("RFC 6455 7.1.1 (3)")
def test_verbose_names_only_the_peers_close_in_the_wait():
    """Otherwise a flood of frames would cause a flood of lines."""
    with launch.Served("--verbose", TEN_BYTES) as served:
        peer = served.peer.open()
        peer.send(TOO_BIG + framing.frame(BINARY) * 100_000 + framing.close(4000, b"late"))
        assert framing.close_code(peer.rest()) == 1009
        peer.close()
        lines = [line.partition(": ")[2] for line in served.finish().splitlines()]
    begun = lines.index("received binary fin=1 length=11")
    assert lines[begun + 1:-1] == ["sent close fin=1 length=34 code=1009", "received close fin=1 length=6 code=4000"], lines


@rule("RFC 6455 7.1.1 (3)")
@pytest.mark.parametrize("data, line", [
    (framing.close(4000)[:7], "received close fin=1 length=2"), (framing.close(4000), "received close fin=1 length=2 code=4000"),
    (framing.close(), "received close fin=1 length=0"),
])
def test_verbose_names_the_code_of_the_peers_close_if_it_has_come(data, line):
    with launch.Served("--verbose", TEN_BYTES) as served:
        peer = served.peer.open()
        peer.send(TOO_BIG + data)
        assert framing.close_code(peer.rest()) == 1009
        peer.close()
        assert served.finish().splitlines()[-2].partition(": ")[2] == line


# After 1002 and 1007.

WRONG = {"reserved": RESERVED, "unmasked": b"\x81\x00", "text": framing.text(b"\xff")}


@rule("RFC 6455 7.1.7 (1)",
      "After our Close 1002 or 1007 nothing is processed, not even a Close; the server ends the stream after a silence.")
@pytest.mark.parametrize("pair", SOCKETS)
@pytest.mark.parametrize("data", WRONG.values(), ids=WRONG)
def test_after_1002_and_1007_no_close_is_processed_but_a_silence_awaited(tmp_path, data, pair):
    """Section 7.1.7 forbids processing anything more, even a Close."""
    more = framing.close(1002) + bytes(MIB) + framing.close(1002)
    with Traced(tmp_path, pair=launch.holding(heads.head() + data + more, pair)) as served:
        assert served.peer.rest().startswith(heads.switching())
        served.peer.close()
        assert launch.record(served.finish())["bytes_in"] == str(len(heads.head() + data + more))
    events = served.before_the_end_of_the_stream()
    assert events.index("expiry") == len(events) - 1, events


@rule("RFC 6455 7.1.7 (1)")
def test_after_1002_the_peers_end_of_the_stream_ends_the_wait_at_once(tmp_path):
    with Traced(tmp_path) as served:
        served.peer.open().send(RESERVED)
        served.peer.end()
        assert framing.close_code(served.peer.rest()) == 1002
        served.peer.close()
        served.finish()
    assert "expiry" not in served.events()


WRONG_CLOSES = {
    "one-byte": framing.frame(CLOSE, b"\x03"), "code": framing.close(1005), "reason": framing.close(1000, b"\xff"),
    "unmasked": b"\x88\x00", "rsv": framing.frame(CLOSE, rsv=4), "fragmented": framing.frame(CLOSE, fin=False),
    "too-long": framing.frame(CLOSE, framing.close_body(1000, bytes(124))),
}


@rule("RFC 6455 7.1.7 (2)", "If the peer's Close was itself invalid, the server ends the stream at once after its own.")
@pytest.mark.parametrize("data", WRONG_CLOSES.values(), ids=WRONG_CLOSES)
def test_after_an_invalid_close_of_the_peer_the_end_of_the_stream_follows_at_once(tmp_path, data):
    with Traced(tmp_path) as served:
        served.peer.open().send(data)
        assert framing.close_code(served.peer.rest()) in (1002, 1007)
        served.peer.close()
        served.finish()
    assert served.before_the_end_of_the_stream() == []


# Time limits.

@rule("ws-echo(8) CLOSE CODES (3)", "After the last output, at most 64 MiB of input are discarded, for at most two seconds.")
@pytest.mark.parametrize("data, more", [(TOO_BIG, framing.frame(BINARY, bytes(MIB))), (RESERVED, bytes(MIB))],
                         ids=["frames", "anything"])
def test_a_peer_that_never_stops_sending_is_read_for_64_mib_at_most(data, more):
    sent = 0
    with launch.Served(TEN_BYTES) as served:
        served.peer.open().send(data)
        try:
            while sent < 1024 * MIB:
                served.peer.send(more)
                sent += len(more)
        except (ConnectionResetError, BrokenPipeError):
            pass
        assert sent < 64 * MIB + 32 * MIB, "more than what is read and what socket buffers hold"
        served.finish()


@rule("ws-echo(8) CLOSE CODES (3)")
@pytest.mark.slow("a peer has two seconds, and uses them")
@pytest.mark.parametrize("data, more", [(TOO_BIG, framing.frame(PING)), (RESERVED, b"x")], ids=["frames", "anything"])
def test_single_bytes_do_not_extend_the_limit_of_two_seconds(data, more):
    """The test sends for eight, in case the machine is busy."""
    with launch.Served(TEN_BYTES) as served, launch.Clock(8) as clock:
        peer = served.peer.open()
        peer.send(data)
        assert peer.frame()[1] == CLOSE
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            while served.process.poll() is None and not clock.over():
                peer.send(more)
                select.select([], [], [], 0.02)  # so often that there is no silence of a tenth of a second
        assert clock.outlasts(served.process)


@rule("ws-echo(8) CLOSE CODES (4)")
@pytest.mark.parametrize("data", [TOO_BIG, RESERVED])
def test_over_pipes_nothing_is_awaited(data):
    with launch.Served(TEN_BYTES, pair=launch.holding(heads.head() + data + bytes(MIB - 1000), launch.pipe_pair), watched=True) as served:
        assert served.peer.rest()
        served.finish()
        assert launch.queued(served.watched, termios.FIONREAD) > 0
