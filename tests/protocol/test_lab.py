# SPDX-License-Identifier: MIT
"""The words of the lab that act on replies and on other frames of the program: repeat, latency, fragment, slice and mute.

No test asserts that something comes in time; some assert that it does not come before its time.
"""

import contextlib
import re
import select
import signal
import struct
import termios
import time
import zlib

import framing
import heads
import launch
import pytest
from framing import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT
from lab import LAB, SILENT, answered, lab, opened
from launch import PAIRS, let_pass
from require import require
from rule import rule

MIB = 1 << 20
LARGE_FRAME = framing.frame(BINARY, bytes(16 * MIB))
DEFLATE = "permessage-deflate"
CLOSE_1000 = framing.reply(CLOSE, framing.close_body(1000))
every_connection = pytest.mark.parametrize("pair", PAIRS)


def verbose_lines(log):
    """The lines of --verbose about frames and faults."""
    lines = [line.partition(": ")[2] for line in log.decode().splitlines()]
    return [line for line in lines if not line.startswith(("field ", "peer=", "this kernel "))]


def stopped(served, expected=b""):
    """Sends a stop signal; asserts that `expected` comes, and then the Close 1001. Returns the record."""
    served.stop()
    assert served.peer.answer_close() == expected + framing.our_close("stopped")
    served.peer.close()
    record = launch.record(served.finish())
    assert (record["end_id"], record["close"]) == ("stopped", "1001")
    return record


def traced(tmp_path, *calls):
    """A wrapper that runs strace for these system calls, and the file that strace writes."""
    trace = tmp_path / "trace"
    return [require("strace", "strace"), "-o", str(trace), "-s", "20", "-e", f"trace={','.join(calls)}"], trace


def written(trace):
    """The number of bytes of each write to the peer."""
    return [int(size) for size in re.findall(r"^writev?\(1, .* = (\d+)$", trace.read_text(), re.MULTILINE)]


# repeat.

@rule("ws-echo(8) OPTIONS (29)", "repeat: the hello again and again.")
@every_connection
@pytest.mark.parametrize("query, first, text", [("repeat=0.1&hello=again", [b"again"], b"again"), ("repeat=0.1", [], b"")])
def test_the_hello_or_an_empty_text_is_repeated_first_after_the_time(pair, query, first, text):
    with launch.Served(LAB, pair=pair) as served:
        begun = time.monotonic()
        served.peer.open(path=f"/lab?{query}")
        for expected in first:
            assert served.peer.frame() == (True, TEXT, expected)
        for times in range(1, 5):
            assert served.peer.frame() == (True, TEXT, text)
            assert time.monotonic() - begun >= 0.1 * times
        served.peer.send(framing.frame(BINARY, b"on"))
        while (frame := served.peer.frame()) != (True, BINARY, b"on"):
            assert frame == (True, TEXT, text)


@rule("ws-echo(8) OPTIONS (29)")
def test_a_busy_client_does_not_postpone_the_repetition():
    with opened("repeat=0.1&hello=again") as served:
        repeated = 0
        assert served.peer.frame() == (True, TEXT, b"again")
        while repeated < 3:
            served.peer.send(framing.frame(BINARY, b"busy"))
            while (frame := served.peer.frame()) != (True, BINARY, b"busy"):
                assert frame == (True, TEXT, b"again")
                repeated += 1


@rule("ws-echo(8) OPTIONS (29)")
def test_repetitions_that_a_wait_has_missed_are_left_out():
    with opened("repeat=0.1&hello=x&stall=1&count=1", "--verbose") as served:
        served.peer.send(framing.frame(BINARY, b"stalls"))
        while served.peer.frame() != (True, BINARY, b"stalls"):
            pass
        begun = time.monotonic()
        for _ in range(3):
            assert served.peer.frame() == (True, TEXT, b"x")
        assert time.monotonic() - begun >= 0.1, "only the first can have been due in the stall"


@rule("ws-echo(8) OPTIONS (29)")
def test_the_repetition_is_no_activity_of_the_peer():
    with opened("repeat=0.1&hello=x", SILENT, "--timeout=0.5") as served:
        answer = served.peer.answer_close()
        assert answer.endswith(framing.our_close("idle"))
        assert set(framing.frames(answer)[:-1]) == {(True, TEXT, b"x")}


@rule("ws-echo(8) OPTIONS (29)")
def test_the_repetition_in_slices_is_no_activity_of_the_peer():
    """The pauses are the program's own: a write in slices did not wait for the peer."""
    with opened("repeat=0.1&hello=x&slice=1", SILENT, "--timeout=0.5") as served:
        answer = served.peer.answer_close()
        assert answer.endswith(framing.our_close("idle"))
        assert len(framing.frames(answer)) < 50, "there are pauses for hundreds"


@rule("ws-echo(8) OPTIONS (29)")
@every_connection
def test_a_stop_between_repetitions(pair):
    with opened("repeat=3600&hello=x", "--timeout=0", pair=pair) as served:
        stopped(served, framing.reply(TEXT, b"x"))


@rule("ws-echo(8) OPTIONS (29)")
def test_the_peer_is_read_between_hellos_that_take_longer_to_write_than_their_interval():
    """Otherwise ten of them would come before the echo, until the pauses of slice are used up."""
    with opened("repeat=0.1&slice=10&hello=" + "x" * 1000) as served:
        for _ in range(2):  # the hello, and the first one that is repeated
            assert served.peer.frame() == (True, TEXT, b"x" * 1000)
        served.peer.send(framing.text("here"))
        assert len(list(iter(served.peer.frame, (True, TEXT, framing.PREFIX + b"here")))) <= 4


# latency.

@rule("ws-echo(8) OPTIONS (30)", "latency: replies wait, and what was due before does not.")
@every_connection
def test_a_reply_is_not_there_before_the_latency_is_over(pair):
    with opened("latency=0.3", pair=pair, watched=True) as served:
        frame = framing.text("hello")
        served.peer.send(frame[:-1])
        served.consumed()
        let_pass(0.1)
        begun = time.monotonic()
        served.peer.send(frame[-1:])
        assert served.peer.frame() == (True, TEXT, b"server: hello")
        assert time.monotonic() - begun >= 0.3, "the latency counts from the end of the message"


@rule("ws-echo(8) OPTIONS (30)")
@pytest.mark.usefixtures("dumpable")
@pytest.mark.parametrize("pair", PAIRS)
def test_all_that_one_read_brought_is_answered_together_and_the_101_before_it(tmp_path, pair):
    """Also if all of it came in the same read as the request head."""
    wrapper, trace = traced(tmp_path, "write")
    data = [lab("latency=0.3&hello=x"), framing.frame(PING, b"1"), framing.text("a"), framing.frame(PING, b"2"),
            framing.frame(BINARY, b"b"),
            framing.close(4000)]
    begun = time.monotonic()
    with launch.Served(LAB, pair=launch.holding(b"".join(data), pair), wrapper=wrapper) as served:
        first = heads.switching() + framing.reply(TEXT, b"x")
        answer = (framing.reply(PONG, b"1") + framing.echo("a") + framing.reply(PONG, b"2") + framing.reply(BINARY, b"b")
                  + framing.reply(CLOSE, framing.close_body(4000)))
        assert served.peer.receive(len(first)) == first
        assert served.peer.rest() == answer
        assert time.monotonic() - begun >= 0.3
        served.peer.close()
        served.finish()
    assert written(trace) == [len(first), len(answer)]


@rule("ws-echo(8) OPTIONS (30)")
@every_connection
def test_nothing_is_read_before_the_replies_are_written(pair):
    begun = time.monotonic()
    with opened("latency=0.3", pair=pair, watched=True) as served:
        served.peer.send(framing.text("a"))
        served.consumed()
        served.peer.send(framing.text("b"))
        for sent, letter in enumerate("ab", 1):
            assert served.peer.frame() == (True, TEXT, f"server: {letter}".encode())
            assert time.monotonic() - begun >= 0.3 * sent


@rule("ws-echo(8) OPTIONS (30)")
@every_connection
def test_a_stop_in_the_latency_lets_the_replies_go_out_and_reads_nothing_more(pair):
    with opened("latency=60", "--timeout=0", pair=pair, watched=True) as served:
        served.peer.send(framing.text("a") + framing.frame(PING, b"p"))
        served.consumed()
        served.peer.send(framing.text("b"))
        let_pass(0.1)
        assert launch.queued(served.watched, termios.FIONREAD) == len(framing.text("b"))
        stopped(served, framing.echo("a") + framing.reply(PONG, b"p"))


@rule("ws-echo(8) OPTIONS (30)")
@every_connection
def test_pings_pongs_and_closes_without_a_message_are_not_held(pair):
    """If these were held, they would come after a minute."""
    begun = time.monotonic()
    with opened("latency=60", "--timeout=0", "--ping-interval=0.1", pair=pair) as served:
        served.peer.send(framing.frame(PING, b"p"))
        while (frame := served.peer.frame()) == (True, PING, b""):
            pass
        assert frame == (True, PONG, b"p")
        served.peer.send(framing.close(1000))
        assert served.peer.rest().endswith(CLOSE_1000)
    assert time.monotonic() - begun < 60


@rule("ws-echo(8) OPTIONS (30)")
@pytest.mark.parametrize("rsv", [0, 4], ids=["plain", "compressed"])
def test_a_large_message_is_held_too(rsv):
    payload = bytes(range(256)) * 4096
    deflater = zlib.compressobj(wbits=-15)
    compressed = (deflater.compress(payload) + deflater.flush(zlib.Z_SYNC_FLUSH))[:-4]
    with launch.Served(LAB, "--deflate") as served:
        served.peer.open(f"Sec-WebSocket-Extensions: {DEFLATE}", extension=DEFLATE, path="/lab?latency=0.3")
        begun = time.monotonic()
        served.peer.send(framing.frame(BINARY, compressed if rsv else payload, rsv=rsv))
        assert served.peer.receive(1) == bytes([0x82 | rsv << 4])
        assert time.monotonic() - begun >= 0.3


@rule("ws-echo(8) OPTIONS (30)")
def test_the_peers_silence_in_the_latency_is_not_counted_against_it():
    with opened("latency=0.5", "--timeout=0.6", "--ping-interval=0.3") as served:
        for _ in range(3):
            served.peer.send(framing.text("slow"))
            while (frame := served.peer.frame()) == (True, PING, b""):
                pass
            assert frame == (True, TEXT, b"server: slow")


# fragment.

def fragments(opcode, payload, size, rsv=0):
    """A message in frames of at most `size` bytes; after 1,000 of them, one frame has the rest."""
    parts = [payload[at:at + size] for at in range(0, len(payload), size)] or [b""]
    parts[1000:] = [b"".join(parts[1000:])] if len(parts) > 1000 else []
    firsts = [rsv << 4 | opcode] + [CONTINUATION] * (len(parts) - 1)
    firsts[-1] |= 0x80
    return b"".join(framing.frame_header(first, 0, len(part)) + part for first, part in zip(firsts, parts))


LENGTHS = {1: [0, 1, 2, 3, 999, 1000, 1001, 1002, 5000], 3: [0, 1, 2, 3, 4, 6, 8, 3000, 3001, 3003, 3004, 70000],
           125: [125, 126, 250, 251],
           126: [125, 126, 127, 252], 65535: [65535, 65536, 131070], 65536: [65535, 65536, 65537, 131072], 70000: [200000],
           1000000000: [0, 1, 100000]}


@rule("ws-echo(8) OPTIONS (31)", "fragment: replies in frames of so many bytes at most.")
@pytest.mark.parametrize("size", LENGTHS)
def test_a_reply_is_sent_in_frames_of_so_many_bytes_at_most(size):
    for length in LENGTHS[size]:
        payload = bytes(number * 7 % 251 for number in range(length))
        sent = framing.frame(BINARY, payload) + framing.frame(PING, b"between") + framing.close(1000, b"bye")
        answer, record = answered(f"fragment={size}", sent)
        control = framing.reply(PONG, b"between") + framing.reply(CLOSE, framing.close_body(1000, b"bye"))
        framing.same(answer, fragments(BINARY, payload, size) + control, f"{length} bytes")
        assert record["messages"] == "1"


@rule("ws-echo(8) OPTIONS (31)")
def test_a_text_is_fragmented_with_its_prefix_and_inside_a_character_too():
    sent = framing.frame(TEXT, "ä".encode()[:1], fin=False) + framing.frame(CONTINUATION, "ä€".encode()[1:]) + framing.text("")
    assert answered("fragment=1", sent)[0] == (
        fragments(TEXT, "server: ä€".encode(), 1) + fragments(TEXT, b"server: ", 1))
    assert answered("fragment=2", framing.text("€"), "--prefix=")[0] == fragments(TEXT, "€".encode(), 2)


@rule("ws-echo(8) OPTIONS (31)")
def test_the_messages_of_the_lab_are_fragmented_too_and_raw_and_close_are_not():
    expected = (fragments(TEXT, b"-\r\n" + lab("headers&hello=hello&fragment=4&raw=81026162&close=4000&reason=reason"), 4)
                + fragments(TEXT, b"hello", 4) + b"\x81\x02ab" + framing.reply(CLOSE, framing.close_body(4000, b"reason")))
    assert answered("headers&hello=hello&fragment=4&raw=81026162&close=4000&reason=reason")[0] == expected


@rule("ws-echo(8) OPTIONS (31)")
@pytest.mark.parametrize("size", [1, 5, 100, 10000])
def test_a_compressed_reply_is_fragmented_and_only_its_first_frame_has_rsv1(size):
    payload = b"".join(struct.pack(">I", number * 2654435761 % 2**32) for number in range(1000))
    deflater = zlib.compressobj(wbits=-15)
    sent = (deflater.compress(payload) + deflater.flush(zlib.Z_SYNC_FLUSH))[:-4]
    request = lab(f"fragment={size}", f"Sec-WebSocket-Extensions: {DEFLATE}")
    result = launch.run(request + framing.frame(BINARY, sent, rsv=4), LAB, "--deflate")
    whole = launch.run(heads.head(f"Sec-WebSocket-Extensions: {DEFLATE}") + framing.frame(BINARY, sent, rsv=4), "--deflate").stdout
    start = heads.switching(extension=DEFLATE)
    assert result.stdout.startswith(start) and whole[len(start)] == 0xC2
    compressed = whole[len(start) + (4 if whole[len(start) + 1] == 126 else 10):]
    assert zlib.decompressobj(wbits=-15).decompress(compressed + b"\0\0\xff\xff") == payload
    framing.same(result.stdout[len(start):], fragments(BINARY, compressed, size, rsv=4))


@rule("ws-echo(8) OPTIONS (30)")
@pytest.mark.parametrize("query", ["delay=0.9", "latency=0.9", "stall=0.9&count=1"])
def test_a_peer_that_is_idle_while_the_program_waits_is_pinged_first(query):
    """Nor does the deadline of the handshake end the delay."""
    with launch.Served(LAB, "--handshake-timeout=0.5", "--timeout=1", "--ping-interval=0.3") as served:
        peer = served.peer.open(path=f"/lab?{query}")
        if not query.startswith("delay"):
            peer.send(framing.frame(BINARY, b"a"))
            assert peer.frame() == (True, BINARY, b"a")
        assert peer.frame() == (True, PING, b"")
        peer.send(framing.frame(BINARY, b"here"))
        while (frame := peer.frame()) == (True, PING, b""):
            pass
        assert frame == (True, BINARY, b"here")


# slice.

@rule("ws-echo(8) OPTIONS (32)", "slice: writes of so many bytes at most, with pauses, of which there are 1,000 at most.")
@pytest.mark.usefixtures("dumpable")
@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize("size", [20, 129])
def test_each_write_takes_so_many_bytes_at_most_with_pauses_between(tmp_path, pair, size):
    wrapper, trace = traced(tmp_path, "write,writev")
    begun = time.monotonic()
    with opened(f"slice={size}&hello=hi", pair=pair, wrapper=wrapper) as served:
        served.peer.send(framing.frame(BINARY, bytes(200)) + framing.frame(PING, b"p") + framing.close(1000))
        expected = framing.reply(TEXT, b"hi") + framing.reply(BINARY, bytes(200)) + framing.reply(PONG, b"p") + CLOSE_1000
        assert served.peer.rest() == expected
        served.peer.close()
        served.finish()
    sizes = written(trace)
    assert max(sizes) == size and sum(sizes) == len(heads.switching() + expected)
    first = len(heads.switching() + framing.reply(TEXT, b"hi"))
    rest = len(expected) - len(framing.reply(TEXT, b"hi"))
    assert len(sizes) == -(-first // size) + -(-rest // size), sizes
    assert time.monotonic() - begun >= 0.01 * (len(sizes) - 1)


@rule("ws-echo(8) OPTIONS (32)")
@pytest.mark.slow("a thousand pauses of ten milliseconds")
@pytest.mark.usefixtures("dumpable")
def test_after_1000_pauses_writes_are_normal_again_so_that_a_large_message_ends(tmp_path):
    """On a busy machine, a pause may be over before it begins. The program does not count that one."""
    wrapper, trace = traced(tmp_path, "write,writev")
    payload, begun = bytes(range(256)) * (4 * MIB // 256), time.monotonic()
    with opened("slice=1", wrapper=wrapper) as served:
        expected = framing.reply(BINARY, payload) + CLOSE_1000
        framing.same(served.peer.talk(framing.frame(BINARY, payload) + framing.close(1000)), expected)
        served.peer.close()
        served.finish()
    assert time.monotonic() - begun >= 10
    sizes = written(trace)
    small = sizes.index(next(size for size in sizes if size > 1))
    assert small >= 1001, small
    assert len(sizes) < small + 1000, "the rest does not leave byte by byte"


@rule("ws-echo(8) OPTIONS (32)")
@pytest.mark.slow("it has to take longer than the timeout")
def test_slices_are_progress_and_the_timeout_does_not_end_them():
    with opened("slice=1", "--timeout=0.5", SILENT) as served:
        served.peer.send(framing.frame(BINARY, bytes(100)))
        assert served.peer.receive(102) == framing.reply(BINARY, bytes(100))


@rule("ws-echo(8) OPTIONS (32)")
@pytest.mark.parametrize("query", ["slice=100000", "latency=0.1", "fragment=100000", "slice=100000&latency=0.1&fragment=70000"])
def test_a_peer_that_does_not_read_is_given_up_all_the_same(query):
    with opened(query, SILENT, "--timeout=0.5", pair=launch.narrow_pair) as served:
        served.peer.send(LARGE_FRAME)
        assert launch.record(served.finish())["end_id"] == "not-read"


@rule("ws-echo(8) OPTIONS (32)")
@every_connection
def test_a_stop_ends_the_pauses_of_slice(pair):
    """Without the stop, 100,000 bytes would take 10 seconds."""
    payload = bytes(100_000)
    with opened("slice=1", pair=pair) as served:
        served.peer.send(framing.frame(BINARY, payload))
        received = served.peer.receive(3)
        served.stop()
        framing.same(served.peer.answer_close(received), framing.reply(BINARY, payload) + framing.our_close("stopped"))
        served.peer.close()
        record = launch.record(served.finish())
        assert record["end_id"] == "stopped" and float(record["seconds"]) < 10


# mute.

COMPLETE = framing.text("a") + framing.frame(BINARY, b"b") + framing.frame(TEXT, b"c",
                                                                  fin=False) + framing.frame(CONTINUATION) + framing.text("")
ECHOED = framing.echo("a") + framing.reply(BINARY, b"b") + framing.echo("c") + framing.echo("")


@rule("ws-echo(8) OPTIONS (33)", "mute: what is not sent.")
@pytest.mark.parametrize("query, expected, messages", [
    ("mute=echo", framing.reply(PONG, b"p") + CLOSE_1000, "0"),
    ("mute=pong", ECHOED + CLOSE_1000, "4"),
    ("mute=pong,echo", CLOSE_1000, "0"),
    ("mute=echo,ping,pong,close", b"", "0"), ("mute=close,pong,echo,ping", b"", "0"),
    ("mute=close,echo", framing.reply(PONG, b"p"), "0"), ("mute=close,pong,echo&hello=x", framing.reply(TEXT, b"x"), "0"),
    ("mute=ping,close", ECHOED + framing.reply(PONG, b"p"), "4"),
])
def test_what_is_muted_is_not_sent_and_nothing_else(query, expected, messages):
    answer, record = answered(query, COMPLETE + framing.frame(PING, b"p") + framing.close(1000))
    assert answer == expected
    assert [record[name] for name in ("end_id", "close", "messages")] == ["closed-by-peer", "1000", messages]
    assert record["lab"] == query.replace("=x", "=1")


@rule("ws-echo(8) OPTIONS (33)")
def test_compressed_messages_are_muted_and_counted_too():
    offer = f"Sec-WebSocket-Extensions: {DEFLATE}"
    hello = framing.frame(TEXT, b"\xf2\x48\xcd\xc9\xc9\x07\x00", rsv=4)  # RFC 7692 section 7.2.3.1
    result = launch.run(lab("mute=echo&count=2&raw=ff", offer) + hello * 3, LAB, "--deflate", "--verbose")
    assert result.stdout == heads.switching(extension=DEFLATE) + b"\xff"
    assert verbose_lines(result.stderr) == [
        *["received text fin=1 length=7 compressed", "inflated text length=5", "muted text length=5"] * 2, "lab raw length=1",
        "received text fin=1 length=7 compressed", "inflated text length=5", "muted text length=5"]


@rule("ws-echo(8) OPTIONS (34)", "The rules for the client's frames stay in force in the lab.")
@pytest.mark.parametrize("data, end", [
    (framing.text(b"\xff"), "text-not-utf8"), (framing.text(b"\xc3"), "text-not-utf8"),
    (framing.frame(BINARY, bytes(11)), "message-too-big"),
    (b"\x81\x00", "unmasked"), (framing.close(1005), "close-code-invalid"), (framing.frame(CONTINUATION), "no-message"),
])
def test_the_rules_for_the_clients_frames_stay_in_force_and_our_own_close_is_sent(data, end):
    for query in ("mute=echo,ping,pong,close", "fragment=1", "count=9&close", "latency=0.01", "slice=50"):
        answer, record = answered(query, framing.text("") + data, "--max-message=10", "--prefix=")
        assert answer == (b"" if "mute" in query else framing.reply(TEXT)) + framing.our_close(end)
        assert record["end_id"] == end


@rule("ws-echo(8) OPTIONS (33)")
@every_connection
def test_muted_pings_are_not_sent_and_the_silence_ends_the_connection_all_the_same(pair):
    with opened("mute=ping", "--ping-interval=0.1", "--timeout=0.5", pair=pair) as served:
        assert served.peer.answer_close() == framing.our_close("idle")


@rule("ws-echo(8) OPTIONS (33)")
def test_a_peer_that_is_not_pinged_lives_while_it_sends():
    with opened("mute=ping", "--ping-interval=0.05", "--timeout=0") as served:
        for _ in range(5):
            let_pass(0.1)
            served.peer.send(framing.text("on"))
            assert served.peer.frame() == (True, TEXT, b"server: on")


@rule("ws-echo(8) OPTIONS (33)")
@every_connection
def test_with_a_muted_close_everything_is_read_and_discarded_until_the_peers_end(pair):
    more = framing.text("late") + framing.text(b"\xff") + bytes(MIB)
    with opened("mute=close", pair=pair, watched=True) as served:
        served.peer.send(framing.text("a") + framing.close(4000, b"bye"))
        assert served.peer.frame() == (True, TEXT, b"server: a")
        served.peer.send(more)
        served.consumed()
        served.peer.end()
        assert served.peer.rest() == b""
        served.peer.close()
        record = launch.record(served.finish())
    data = lab("mute=close") + framing.text("a") + framing.close(4000, b"bye") + more
    assert [record[name] for name in ("end_id", "close", "reason", "bytes_in")] == ["closed-by-peer", "4000", "bye",
                                                                                    str(len(data))]


@rule("ws-echo(8) OPTIONS (33)")
@every_connection
def test_with_a_muted_close_the_timeout_ends_the_wait_whatever_comes(pair):
    with opened("mute=close", "--timeout=0.4", SILENT, pair=pair) as served:
        begun = time.monotonic()
        served.peer.send(framing.close(1000))
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            while not select.select([getattr(served.peer.socket, "reading", served.peer.socket)], [], [], 0.02)[0]:
                served.peer.send(b"x")
            assert served.peer.rest() == b""
        assert time.monotonic() - begun >= 0.4
        served.peer.close()
        assert launch.record(served.finish())["end_id"] == "closed-by-peer"


@rule("ws-echo(8) OPTIONS (33)")
@every_connection
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_with_a_muted_close_a_stop_ends_the_wait_with_1001(pair, number):
    with opened("mute=close", "--timeout=0", pair=pair, watched=True) as served:
        served.peer.send(framing.close(1000, b"bye"))
        served.consumed()
        let_pass(0.1)
        assert served.process.poll() is None, "without a timeout the wait has no end"
        served.stop(number)
        assert served.peer.rest() == framing.our_close("stopped")
        served.peer.close()
        record = launch.record(served.finish())
        assert (record["end_id"], record["close"], record["reason"]) == ("stopped", "1000", "bye"), "the record has the first Close"


@rule("ws-echo(8) OPTIONS (33)")
def test_a_reset_after_a_muted_close_changes_nothing():
    with opened("mute=close", watched=True) as served:
        served.peer.send(framing.close(1000))
        served.consumed()
        served.peer.reset()
        assert launch.record(served.finish())["end_id"] == "closed-by-peer"


# --verbose.

@rule("ws-echo(8) OPTIONS (23)", "With --verbose each fault is logged as it is made.")
@pytest.mark.parametrize("query, data, lines", [
    ("hello=hi&repeat=3600", b"", ["lab hello length=2", "sent text fin=1 length=2"]),
    ("repeat=3600", b"", []),
    ("mute=echo,pong", framing.text("a") + framing.frame(PING, b"p") + framing.frame(BINARY),
     ["received text fin=1 length=1", "muted text length=1", "received ping fin=1 length=1", "muted pong fin=1 length=1",
      "received binary fin=1 length=0", "muted binary length=0"]),
    ("mute=close", framing.close(1000, b"bye"), ["received close fin=1 length=5 code=1000", "muted close fin=1 length=5"]),
    ("mute=close", framing.close(), ["received close fin=1 length=0", "muted close fin=1 length=0"]),
    ("fragment=6", framing.text("abc"),
     ["received text fin=1 length=3", "sent text fin=0 length=6", "sent continuation fin=1 length=5"]),
    ("latency=0.25", framing.text("a") + framing.text("b"),
     ["received text fin=1 length=1", "lab latency seconds=0.25", "sent text fin=1 length=9", "received text fin=1 length=1",
      "sent text fin=1 length=9"]),
    ("slice=40&hello=", b"", ["lab slice length=40", "lab hello length=0", "sent text fin=1 length=0"]),
    ("delay=0.125", b"", ["lab delay seconds=0.125"]),
    ("bad=extension,accept", b"", ["lab bad accept extension"]),
    ("bad=accept,subprotocol,extension", b"", ["lab bad accept subprotocol extension"]),
    ("headers", b"", [f"lab headers length={3 + len(lab('headers'))}", f"sent text fin=1 length={3 + len(lab('headers'))}"]),
    ("bad=subprotocol", b"", ["lab bad subprotocol"]),
])
def test_verbose_names_each_fault_as_it_is_made(query, data, lines):
    result = launch.run(lab(query) + data, LAB, "--verbose")
    assert verbose_lines(result.stderr) == lines
    assert launch.run(lab(query) + data, LAB).stderr.count(b"\n") == 1, "without --verbose there is the record alone"


@rule("ws-echo(8) OPTIONS (23)")
def test_verbose_names_each_repetition_and_each_muted_ping():
    with opened("repeat=0.1&hello=hi&mute=ping", "--verbose", "--ping-interval=0.15") as served:
        for _ in range(4):
            assert served.peer.frame() == (True, TEXT, b"hi")
        served.peer.close()
        log = served.finish()
    assert log.count(": lab repeat length=2\n") >= 3 and log.count(": muted ping fin=1 length=0\n") >= 1


# System calls.

def calls(tmp_path, request, *options):
    """The names of a connection's system calls after the filter is installed, and the answer."""
    trace = tmp_path / "trace"
    strace = [require("strace", "strace"), "-o", str(trace)]
    data = request + framing.text("a") + framing.frame(PING) + framing.frame(BINARY, bytes(100_000)) + framing.close(1000)
    with launch.Served(*options, pair=launch.holding(data, launch.unix_pair), wrapper=strace) as served:
        served.peer.end()
        answer = served.peer.rest()
        served.peer.close()
        served.finish()
    names = re.findall(r"^(\w+)\(", trace.read_text(), re.MULTILINE)
    return names[names.index("read", len(names) - 1 - names[::-1].index("seccomp") if "seccomp" in names else 0):], answer


@rule("ws-echo(8) OPTIONS (37)",
      "Where no words are given no system call is added, and only what neither reads nor writes for a while sleeps.")
@pytest.mark.usefixtures("dumpable")
def test_a_lab_adds_no_system_call_to_a_connection_without_words(tmp_path):
    ordinary, _ = calls(tmp_path, heads.head())
    assert not [name for name in ordinary if name.startswith("clock_nanosleep")]
    assert calls(tmp_path, heads.head(), LAB)[0] == ordinary, "beside a lab"
    assert calls(tmp_path, heads.head(path="/lab"), LAB)[0] == ordinary, "in a lab"
    assert calls(tmp_path, heads.head(path="/lab?"), LAB)[0] == ordinary


@rule("ws-echo(8) OPTIONS (37)")
@pytest.mark.usefixtures("dumpable")
@pytest.mark.parametrize("query, sleeps", [
    ("delay=0.01", True), ("latency=0.01", True), ("slice=50000", True), ("stall=0.01&count=1", True), ("delay=0", False),
    ("mute=close,echo,ping,pong", False), ("hello=x&headers&fragment=1000&bad=accept", False), ("after=0&raw=00", False),
    ("repeat=0.1", False), ("count=2&close", False), ("status=503", False), ("close=eof", False),
])
def test_only_delay_latency_stall_and_slice_sleep(tmp_path, query, sleeps):
    names, _ = calls(tmp_path, lab(query), LAB)
    assert any(name.startswith("clock_nanosleep") for name in names) == sleeps, names
