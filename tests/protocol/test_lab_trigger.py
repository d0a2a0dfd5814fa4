# SPDX-License-Identifier: MIT
"""The trigger of the lab: when it is pulled, and the words raw, stall and close.

No test asserts that something comes in time; some assert that it does not come before its time.
"""

import contextlib
import re
import select
import signal
import termios
import time

import framing
import heads
import launch
import pytest
from framing import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT
from lab import LAB, SILENT, answered, lab, opened
from launch import PAIRS, SOCKETS, let_pass
from require import require
from rule import rule

RAW = b"\x81\x7e\x00\x01a"  # a length that is not minimal
every_connection = pytest.mark.parametrize("pair", PAIRS)


def recorded(served):
    """Closes the connection and returns the record."""
    served.peer.close()
    return launch.record(served.finish())


def lab_close(code=None, reason=b""):
    """The Close frame that the lab sends; without a code its body is empty."""
    return framing.reply(CLOSE, b"" if code is None else framing.close_body(code, reason))


# When the trigger is pulled.

@rule("ws-echo(8) OPTIONS (35)", "The trigger is pulled with the 101, after a time, or by a number of messages, once.")
@pytest.mark.usefixtures("dumpable")
@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize("query, expected", [
    ("close=4000", lab_close(4000)), ("raw=817e000161", RAW), ("raw=817e000161&close", RAW + lab_close()),
    ("close=4000&reason=late&raw=817E000161&hello=first", framing.reply(TEXT, b"first") + RAW + lab_close(4000, b"late")),
    ("close=eof&hello=x", framing.reply(TEXT, b"x")), ("stall=0&raw=ff", b"\xff"),
])
def test_without_after_and_count_the_fault_is_in_the_write_of_the_101(tmp_path, pair, query, expected):
    trace = tmp_path / "trace"
    strace = [require("strace", "strace"), "-o", str(trace), "-e", "trace=write,writev"]
    with launch.Served(LAB, pair=pair, wrapper=strace) as served:
        served.peer.send(lab(query))
        received = served.peer.receive(len(heads.switching() + expected))
        assert received == heads.switching() + expected
        served.peer.end()
        assert served.peer.rest() == b""
        recorded(served)
    first = re.search(r"^writev?\(1, .* = (\d+)$", trace.read_text(), re.MULTILINE)
    assert int(first[1]) == len(heads.switching() + expected)


@rule("ws-echo(8) OPTIONS (35)")
@every_connection
@pytest.mark.parametrize("busy", [False, True], ids=["idle", "busy"])
def test_after_is_not_before_its_time_and_a_busy_client_does_not_postpone_it(pair, busy):
    with launch.Served(LAB, pair=pair) as served:
        begun = time.monotonic()
        peer = served.peer.open(path="/lab?after=0.3&close=4000")
        frame = None
        while busy and frame != (True, CLOSE, framing.close_body(4000)):
            with contextlib.suppress(BrokenPipeError):
                peer.send(framing.frame(BINARY, b"busy"))
            frame = peer.frame()
            assert frame in [(True, BINARY, b"busy"), (True, CLOSE, framing.close_body(4000))]
        if not busy:
            assert peer.frame() == (True, CLOSE, framing.close_body(4000))
        assert time.monotonic() - begun >= 0.3


@rule("ws-echo(8) OPTIONS (35)")
def test_after_counts_from_the_end_of_a_101_that_goes_out_in_slices():
    with launch.Served(LAB) as served:
        begun = time.monotonic()
        peer = served.peer.open(path="/lab?slice=4&after=0.3&close=4000")
        assert peer.frame() == (True, CLOSE, framing.close_body(4000))
        pauses = (len(heads.switching()) - 1) // 4
        assert time.monotonic() - begun >= 0.01 * pauses + 0.3


@rule("ws-echo(8) OPTIONS (35)")
@pytest.mark.parametrize("pair", SOCKETS)
def test_after_comes_while_the_client_floods_and_does_not_read(pair):
    """It floods with Pongs, which have no answer."""
    with opened("after=0.3&close=4000", pair=pair) as served:
        answer = b""
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            while not answer:
                served.peer.send(framing.frame(PONG, bytes(100)) * 100)
                if select.select([served.peer.socket], [], [], 0)[0]:
                    answer = served.peer.receive(4)
        assert (answer or served.peer.receive(4)) == lab_close(4000)


@rule("ws-echo(8) OPTIONS (35)")
@every_connection
@pytest.mark.parametrize("begun",
                         [framing.text("half")[:7], framing.text("half", fin=False), framing.frame(BINARY, bytes(1000))[:500], b"\x81"])
def test_after_comes_inside_a_message_of_the_client_too(pair, begun):
    with opened("after=0.2&close=4000", pair=pair) as served:
        served.peer.send(begun)
        assert served.peer.end_at_close() == lab_close(4000)
        assert recorded(served)["end_id"] == "lab"


@rule("ws-echo(8) OPTIONS (35)")
def test_a_client_may_finish_its_message_after_the_close_of_the_lab_and_then_answer():
    data = framing.frame(BINARY, framing.close(1000) * 100)
    with opened("after=0.2&close=4000") as served:
        served.peer.send(data[:300])
        assert served.peer.frame() == (True, CLOSE, framing.close_body(4000))
        served.peer.send(data[300:] + framing.close(4000))
        assert served.peer.rest() == b""
        assert recorded(served)["bytes_in"] == str(len(lab("after=0.2&close=4000") + data + framing.close(4000)))


@rule("ws-echo(8) OPTIONS (35)")
@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("mute", [False, True], ids=["echoed", "muted"])
def test_count_counts_complete_messages_and_those_after_the_last_are_not_echoed(count, mute):
    messages = [(framing.text("a") + framing.frame(PING, b"p"), framing.echo("a") * (not mute) + framing.reply(PONG, b"p")),
                (framing.frame(BINARY, b"b", fin=False) + framing.frame(PING) + framing.frame(CONTINUATION, b"c"),
                 framing.reply(PONG) + framing.reply(BINARY, b"bc") * (not mute)),
                (framing.text(""), framing.echo("") * (not mute)), (framing.text("never") + framing.frame(PING), b"")]
    answer, record = answered(f"close=4000&count={count}" + "&mute=echo" * mute, b"".join(sent for sent, _ in messages))
    expected = b"".join(echo for _, echo in messages[:count])
    if count == 1:
        expected = expected[:-3]  # the Ping follows the message
    assert answer == expected + lab_close(4000)
    assert (record["end_id"], record["messages"]) == ("lab", "0" if mute else str(count))


@rule("ws-echo(8) OPTIONS (35)")
def test_count_counts_compressed_messages():
    offer = "Sec-WebSocket-Extensions: permessage-deflate"
    request = heads.head(offer, path="/lab?count=2&close=eof")
    hello = framing.frame(BINARY, b"\xf2\x48\xcd\xc9\xc9\x07\x00", rsv=4)
    result = launch.run(request + hello * 3, LAB, "--deflate")
    answer = result.stdout[len(heads.switching(extension="permessage-deflate")):]
    assert answer.startswith(b"\xc2") and launch.record(result.stderr.decode())["messages"] == "2"


@rule("ws-echo(8) OPTIONS (35)")
def test_after_a_trigger_that_does_not_end_the_connection_the_echo_goes_on_and_the_trigger_is_not_pulled_again():
    frames = framing.text("a") + framing.text("b") + framing.text("c")
    assert answered("count=2&raw=ff", frames)[0] == framing.echo("a") + framing.echo("b") + b"\xff" + framing.echo("c")


@rule("ws-echo(8) OPTIONS (35)")
def test_a_count_that_is_not_reached_does_nothing():
    answer, record = answered("count=3&close=4000", framing.text("a") * 2 + framing.close(1000))
    assert answer == framing.echo("a") * 2 + lab_close(1000) and record["end_id"] == "closed-by-peer"


@rule("ws-echo(8) OPTIONS (35)")
@every_connection
def test_of_after_and_count_the_first_pulls_the_trigger_and_the_other_not_again(pair):
    with launch.Served(LAB, pair=launch.holding(lab("count=1&after=0.3&raw=817e000161") + framing.text("a"), pair)) as served:
        expected = heads.switching() + framing.echo("a") + RAW
        assert served.peer.receive(len(expected)) == expected
        let_pass(0.4)
        served.peer.send(framing.text("b"))
        assert served.peer.receive(len(framing.echo("b"))) == framing.echo("b")
    with opened("count=1&after=0.2&raw=817e000161", pair=pair) as served:
        assert served.peer.receive(len(RAW)) == RAW
        served.peer.send(framing.text("a") + framing.close(1000))
        assert served.peer.rest() == framing.echo("a") + lab_close(1000)


@rule("ws-echo(8) OPTIONS (35)")
def test_after_0_comes_after_the_replies_to_what_came_with_the_head():
    with launch.Served(LAB, pair=launch.holding(lab("after=0&close=4000") + framing.text("a"))) as served:
        expected = heads.switching() + framing.echo("a") + lab_close(4000)
        assert served.peer.receive(len(expected)) == expected


# raw.

@rule("ws-echo(8) OPTIONS (36)",
      "raw: these bytes; stall: neither reads nor writes; close: a Close with any code, the end of the stream or a reset; "
      "in this order.")
@pytest.mark.parametrize("raw", [b"\0", bytes(range(256)) * 2, b"\xff" * 512, RAW, b"HTTP/1.1 200 OK\r\n\r\n"])
@pytest.mark.parametrize("upper", [False, True])
def test_raw_is_sent_as_it_is(raw, upper):
    digits = raw.hex().upper() if upper else raw.hex()
    answer, record = answered(f"raw={digits}", framing.text("on"))
    assert answer == raw + framing.echo("on")
    assert (record["end_id"], record["lab"], record["bytes_out"]) == (
        "end-of-input", f"raw={len(raw)}", str(len(heads.switching() + raw + framing.echo("on"))))


@rule("ws-echo(8) OPTIONS (36)")
def test_half_a_frame_and_the_end():
    answer, record = answered("raw=8105616263&close=eof&count=1", framing.text("a"))
    assert answer == framing.echo("a") + b"\x81\5abc" and (record["end_id"], record["close"]) == ("lab", "1006")


# stall.

@rule("ws-echo(8) OPTIONS (36)")
@every_connection
def test_a_stall_neither_reads_nor_writes_and_what_is_due_is_written_before(pair):
    with opened("count=1&raw=817e000161&stall=60&close=4000", "--timeout=0", pair=pair, watched=True) as served:
        served.peer.send(framing.text("a"))
        expected = framing.echo("a") + RAW
        assert served.peer.receive(len(expected)) == expected
        more = framing.text("b") + framing.frame(PING)
        served.peer.send(more)
        let_pass(0.2)
        assert launch.queued(served.watched, termios.FIONREAD) == len(more)
        served.stop()
        assert served.peer.answer_close() == framing.our_close("stopped"), "a stop ends it at once, with the Close of the stop"
        record = recorded(served)
        assert (record["end_id"], record["close"]) == ("stopped", "1001")


@rule("ws-echo(8) OPTIONS (36)")
@every_connection
def test_after_a_stall_what_has_come_is_answered(pair):
    with launch.Served(LAB, pair=pair) as served:
        begun = time.monotonic()
        served.peer.open(path="/lab?stall=0.3")
        served.peer.send(framing.text("a") + framing.frame(PING, b"p") + framing.close(1000))
        assert served.peer.rest() == framing.echo("a") + framing.reply(PONG, b"p") + lab_close(1000)
        assert time.monotonic() - begun >= 0.3


@rule("ws-echo(8) OPTIONS (36)")
@every_connection
@pytest.mark.parametrize("trigger", ["", "after=0.1&", "count=1&"])
def test_raw_stall_and_close_come_in_this_order(pair, trigger):
    with launch.Served(LAB, pair=pair) as served:
        begun = time.monotonic()
        served.peer.open(path=f"/lab?{trigger}close=4000&stall=0.3&raw=817e000161")
        if "count" in trigger:
            served.peer.send(framing.frame(BINARY, b"a") + framing.text("never"))
            assert served.peer.frame() == (True, BINARY, b"a")
        assert served.peer.receive(len(RAW)) == RAW
        assert served.peer.answer_close() == lab_close(4000)
        assert time.monotonic() - begun >= 0.3 + 0.1 * ("after" in trigger)


@rule("ws-echo(8) OPTIONS (36)")
@pytest.mark.parametrize("pair", PAIRS)
def test_a_stall_without_a_time_is_as_long_as_is_allowed_and_a_peer_that_is_idle_meanwhile_is_pinged_first(pair):
    """Such a stall is one microsecond shorter than the timeout. The peer's silence in it does not count."""
    with launch.Served(LAB, "--timeout=1", "--ping-interval=0.3", pair=pair) as served:
        begun = time.monotonic()
        served.peer.open(path="/lab?stall")
        assert served.peer.frame() == (True, PING, b"")
        assert time.monotonic() - begun >= 0.99
        served.peer.send(framing.text("here"))
        while (frame := served.peer.frame()) == (True, PING, b""):
            pass
        assert frame == (True, TEXT, b"server: here")


@rule("ws-echo(8) OPTIONS (36)")
def test_a_connection_stalls_once():
    result = launch.run(lab("stall=0.05&count=1") + framing.text("a") * 3, LAB, "--verbose")
    assert result.stdout == heads.switching() + framing.echo("a") * 3
    assert result.stderr.count(b"lab stall seconds=0.05") == 1


@rule("ws-echo(8) OPTIONS (36)")
def test_a_peer_that_is_gone_after_a_stall_is_an_ordinary_end():
    with opened("stall=0.3&raw=ff&count=1") as served:
        served.peer.send(framing.text("a"))
        served.peer.receive(len(framing.echo("a")) + 1)
        served.peer.reset()
        assert launch.record(served.finish())["end_id"] == "reset"


# close.

CLOSES = {
    "empty": ("close", lab_close(), "1005", None), "0": ("close=0", lab_close(0), "0", None),
    "1": ("close=1", lab_close(1), "1", None),
    **{str(code): (f"close={code}", lab_close(code), str(code), None)
       for code in (999, 1000, 1001, 1002, 1004, 1005, 1006, 1007, 1009, 1011, 1013, 1015, 2999, 4999, 5000, 65535)},
    "zeros": ("close=0001000", lab_close(1000), "1000", None),
    "reason": ("close=1013&reason=try+again%20l%C3%A4ter", lab_close(1013, "try again läter".encode()), "1013",
               r"try again l\xc3\xa4ter"),
    "empty-reason": ("close=1000&reason=", lab_close(1000), "1000", None),
    "long-reason": ("reason=" + "r" * 123 + "&close=65535", lab_close(65535, b"r" * 123), "65535", "r" * 123),
    "quotes": ("close=1006&reason=%22%00%5C", lab_close(1006, b'"\0\\'), "1006", r'\"\x00\\'),
    "eof": ("close=eof", b"", "1006", None),
}


@rule("ws-echo(8) OPTIONS (36)")
@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize("query, expected, code, reason", CLOSES.values(), ids=CLOSES)
def test_the_close_is_sent_and_recorded_as_asked(pair, query, expected, code, reason):
    with opened(query, pair=pair, watched=True) as served:
        assert served.peer.receive(len(expected)) == expected
        if expected and pair is not launch.pipe_pair:
            served.peer.send(framing.close(4001, b"the client's"))
        assert served.peer.rest() == b""
        record = recorded(served)
    assert [record.get(name) for name in ("end_id", "status", "close", "reason")] == ["lab", "101", code, reason]


@rule("ws-echo(8) OPTIONS (36)")
@pytest.mark.usefixtures("dumpable")
@pytest.mark.parametrize("pair", SOCKETS)
@pytest.mark.parametrize("query", ["close=4000", "close", "close=1002", "close=1007&count=1"])
def test_after_the_close_of_the_lab_the_peers_close_is_awaited_and_the_end_follows_at_once(tmp_path, pair, query):
    """As after 1001, also with codes after which the program reads no Close where it chose them itself."""
    trace = tmp_path / "trace"
    strace = [require("strace", "strace"), "-D", "-o", str(trace)]
    late = framing.text("late") + framing.frame(PING) + framing.text(b"\xff")
    with opened(query, "--verbose", pair=pair, wrapper=strace) as served:
        if "count" in query:
            served.peer.send(framing.frame(BINARY))
            assert served.peer.frame() == (True, BINARY, b"")
        assert served.peer.frame()[:2] == (True, CLOSE)
        served.peer.send(late + framing.close(1000))
        assert served.peer.rest() == b""
        served.peer.close()
        log = served.finish()
    assert "received close fin=1 length=2 code=1000\n" in log and "received text fin=1 length=4" not in log
    launch.wait_until(lambda: "+++ exited" in trace.read_text(), "strace has written all")
    calls = trace.read_text()
    awaited = calls[calls.rindex("\nwrite(1,"):calls.index("SHUT_WR")]
    assert "SIGALRM" not in awaited, "a timer expired before the end of the stream"


@rule("ws-echo(8) OPTIONS (33)")
@pytest.mark.parametrize("query", ["mute=close&close=4000", "mute=echo,ping,pong,close&close=4000&count=1"])
def test_a_muted_close_is_the_answer_to_the_peers_and_not_that_of_the_lab(query):
    assert answered(query, framing.text("a"))[0] == lab_close(4000)


@rule("ws-echo(8) OPTIONS (36)")
@pytest.mark.parametrize("pair", SOCKETS)
def test_after_eof_what_comes_is_read_so_that_no_reset_destroys_what_was_sent(pair):
    with opened("close=eof&count=1", pair=pair) as served:
        served.peer.send(framing.frame(BINARY, b"a") + framing.text("never"))
        assert served.peer.rest() == framing.reply(BINARY, b"a")
        served.peer.send(framing.text("late"))
        record = recorded(served)
    assert [record[name] for name in ("end_id", "close", "messages")] == ["lab", "1006", "1"]


@rule("ws-echo(8) OPTIONS (36)")
@pytest.mark.parametrize("query, sent, expected", [
    ("close=reset", b"", b""), ("close=reset&count=1", framing.frame(BINARY, b"a") + framing.text("never"), framing.reply(BINARY, b"a")),
    ("close=reset&after=0.1", b"", b""), ("close=reset&raw=817e000161&stall=0.1", b"", RAW),
    ("close=reset&after=0.2", framing.text("half")[:7], b""), ("close=reset&slice=40&hello=x", b"", framing.reply(TEXT, b"x")),
])
def test_the_peer_gets_a_reset_after_all_that_was_sent(query, sent, expected):
    """Not the end of the stream."""
    with opened(query) as served:
        if sent:
            served.peer.send(sent)
        assert served.peer.receive(len(expected)) == expected
        with pytest.raises(ConnectionResetError):
            served.peer.rest()
        record = recorded(served)
    assert [record[name] for name in ("end_id", "close", "status")] == ["lab", "1006", "101"]


@rule("ws-echo(8) OPTIONS (36)")
@pytest.mark.usefixtures("dumpable")
def test_for_a_reset_the_linger_time_is_zero_and_the_socket_is_neither_shut_down_nor_read(tmp_path):
    trace = tmp_path / "trace"
    with opened("close=reset", wrapper=[require("strace", "strace"), "-o", str(trace)]) as served:
        with pytest.raises(ConnectionResetError):
            served.peer.rest()
        recorded(served)
    calls = trace.read_text()
    rest = calls[calls.index("SO_LINGER"):]
    assert re.match(r"SO_LINGER, \{l_onoff=1, l_linger=0\}", rest), rest[:200]
    assert not re.search(r"^(shutdown|read)\(", rest, re.MULTILINE), rest


@rule("ws-echo(8) OPTIONS (35)")
@every_connection
@pytest.mark.parametrize("query", ["after=3600&close=4000", "count=5&close=4000", "after=3600&stall&raw=ff&close=eof"])
def test_a_stop_before_the_trigger_is_an_ordinary_one(pair, query):
    with opened(query, "--timeout=0", pair=pair) as served:
        served.peer.send(framing.frame(BINARY, b"a"))
        assert served.peer.frame() == (True, BINARY, b"a")
        served.stop(signal.SIGINT)
        assert served.peer.answer_close() == framing.our_close("stopped")
        assert recorded(served)["end_id"] == "stopped"


@rule("ws-echo(8) OPTIONS (36)")
@pytest.mark.parametrize("ending", ["eof", "reset"])
def test_a_stop_while_the_reply_before_the_end_is_late_gives_the_close_of_the_stop(ending):
    with opened(f"latency=60&count=1&close={ending}", "--timeout=0", watched=True) as served:
        served.peer.send(framing.text("a"))
        served.consumed()
        served.stop()
        assert served.peer.answer_close() == framing.echo("a") + framing.our_close("stopped")
        record = recorded(served)
        assert (record["end_id"], record["close"]) == ("stopped", "1001")


@rule("ws-echo(8) OPTIONS (36)")
def test_a_signal_after_the_close_of_the_lab_changes_nothing():
    with opened("close=4000") as served:
        assert served.peer.frame() == (True, CLOSE, framing.close_body(4000))
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            served.stop(number)
        served.peer.send(framing.close(4000))
        assert served.peer.rest() == b""
        record = recorded(served)
    assert (record["end_id"], record["close"]) == ("lab", "4000")


@rule("ws-echo(8) OPTIONS (34)")
@pytest.mark.parametrize("query", ["after=3600&close=4000", "repeat=3600", "count=9&raw=ff", "mute=echo", "mute=pong,close"])
def test_the_timeout_and_the_pings_are_what_they_are_elsewhere(query):
    with opened(query, "--ping-interval=0.1", "--timeout=0.45") as served:
        answer = served.peer.answer_close()
        assert answer.startswith(framing.reply(PING)) and answer.endswith(framing.our_close("idle"))
        assert set(framing.frames(answer)[:-1]) == {(True, PING, b"")}
        assert recorded(served)["end_id"] == "idle"


@rule("ws-echo(8) OPTIONS (35)")
def test_without_a_timeout_a_trigger_comes_however_late():
    with opened("after=0.5&close=4000", "--timeout=0", SILENT) as served:
        assert served.peer.answer_close() == lab_close(4000)


# The record and --verbose.

@rule("ws-echo(8) OPTIONS (22)")
@pytest.mark.parametrize("query", ["close", "close=eof", "close=1000&reason=bye"])
def test_quiet_leaves_the_record_out_and_nothing_else(query):
    quiet, plain = (launch.run(lab(query), LAB, *more) for more in (["--quiet"], []))
    assert quiet.stdout == plain.stdout and quiet.stderr == b"" and quiet.returncode == 0
    record = launch.record(plain.stderr.decode())
    assert record["end"] == "ended as the query asked the lab to"


@rule("ws-echo(8) OPTIONS (23)")
@pytest.mark.parametrize("query, lines", [
    ("raw=0102&stall=0.25&close=4000", ["lab raw length=2", "lab stall seconds=0.25", "sent close fin=1 length=2 code=4000"]),
    ("close", ["sent close fin=1 length=0"]), ("close=0&reason=xy", ["sent close fin=1 length=4 code=0"]),
    ("close=eof&raw=00", ["lab raw length=1", "lab close=eof"]),
    ("close=eof&count=1", ["received binary fin=1 length=1", "sent binary fin=1 length=1", "lab close=eof"]),
    ("raw=00&count=2", ["received binary fin=1 length=1", "sent binary fin=1 length=1"]),
])
def test_verbose_names_each_fault_as_it_is_made(query, lines):
    data = lab(query) + framing.frame(BINARY, b"a") * ("count" in query)
    result = launch.run(data, LAB, "--verbose")
    said = [line.partition(": ")[2] for line in result.stderr.decode().splitlines()]
    assert [line for line in said if not line.startswith(("field ", "peer=", "this kernel "))] == lines
    assert launch.run(data, LAB).stderr.count(b"\n") == 1, "without --verbose there is the record alone"


@rule("ws-echo(8) OPTIONS (23)")
def test_verbose_names_a_reset():
    for options, expected in (["--verbose"], 1), ([], 0):
        with launch.Served(LAB, *options) as served:
            served.peer.send(lab("close=reset"))
            with pytest.raises(ConnectionResetError):
                served.peer.rest()
            served.peer.close()
            assert served.finish().count("lab close=reset\n") == expected
