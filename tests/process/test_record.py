# SPDX-License-Identifier: MIT
"""The record: one line per connection on standard error, its fields, and what it never contains."""

import contextlib
import fcntl
import os
import pathlib
import pty
import re
import select
import socket
import struct
import subprocess

import framing
import heads
import launch
import project
import pytest
from framing import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT
from require import require
from rule import rule

ADDRESSES = ("REMOTE_ADDR", "REMOTE_PORT", "TCPREMOTEIP", "TCPREMOTEPORT", "SOCAT_PEERADDR", "SOCAT_PEERPORT",
             "REMOTE_HOST")


@pytest.fixture(autouse=True)
def without_addresses(monkeypatch):
    """Removes the variables of a launcher from the environment: it may have started the tests."""
    for name in ADDRESSES:
        monkeypatch.delenv(name, raising=False)


def recorded(data, *options, env=None):
    """Runs the program with `data` as its input; returns the record."""
    result = launch.run(data, *options, env=env)
    assert result.returncode == 0, result
    return launch.record(result.stderr.decode("ascii"))


def unescape(value):
    """The bytes that a quoted value stands for."""
    value = re.sub(r'\\(x[0-9A-Fa-f]{2}|["\\])',
                   lambda found: chr(int(found[1][1:], 16)) if len(found[1]) == 3 else found[1], value)
    return value.encode("latin-1")


# What it says.

@rule("ws-echo(8) LOGGING (1)", "Each connection is one record with all its fields in a fixed order.")
def test_a_connection_is_one_line_of_all_its_fields():
    request = heads.head("Origin: http://x", "Sec-WebSocket-Protocol: chat", "User-Agent: probe/1.0")
    frames = framing.text("Hello") + framing.frame(BINARY, b"12345") + framing.close(1000, b"bye")
    with launch.Served() as served:
        address, port = served.peer.socket.getsockname()
        served.peer.send(request + frames[:20])
        answer = served.peer.receive(len(heads.switching(subprotocol="chat") + framing.echo("Hello")))
        served.peer.send(frames[20:])  # read to another place in memory than the head, which the record needs
        answer += served.peer.rest()
        served.peer.close()
        log = served.finish()
    assert re.fullmatch(rf"ws-echo\[{served.process.pid}\]: peer=[ -~]+\n", log), log
    record = launch.record(log)
    assert float(record.pop("seconds")) >= 0
    assert record == {
        "peer": f"{address}:{port}", "path": "/socket", "status": "101", "close": "1000", "reason": "bye",
        "end": "closed by the peer", "end_id": "closed-by-peer", "messages": "2",
        "bytes_in": str(len(request + frames)), "bytes_out": str(len(answer)), "origin": "http://x", "subprotocol": "chat", "agent": "probe/1.0",
        **launch.unfiltered_fields(),
    }


@rule("ws-echo(8) LOGGING (1)")
def test_the_fields_come_in_their_order_and_texts_are_quoted():
    request = heads.head("Origin: http://x", "Sec-WebSocket-Protocol: chat", "User-Agent: a")
    log = launch.run(request + framing.close(1000, b"bye")).stderr.decode()
    assert re.fullmatch(
        r'ws-echo\[\d+\]: peer=- path="/socket" status=101 close=1000 reason="bye" end="[^"]+" end_id=closed-by-peer '
        r'messages=0 bytes_in=\d+ bytes_out=\d+ seconds=\d+\.\d{6} origin="http://x" subprotocol="chat" agent="a"'
        + "".join(f" {name}={value}" for name, value in launch.unfiltered_fields().items()) + r"\n", log), log



@rule("ws-echo(8) LOGGING (1)")
def test_fields_with_nothing_to_say_are_absent():
    record = recorded(heads.head() + framing.close(1000))
    for name in ("reason", "origin", "subprotocol", "agent"):
        assert name not in record, record


@rule("RFC 6455 7.1.5", "The recorded code is that of the first Close; 1005 means a Close without code, 1006 no Close.")
@pytest.mark.parametrize("frames, close, reason", [
    (framing.close(1000), "1000", None),
    (framing.close(4999, b"why not"), "4999", b"why not"),
    (framing.close(), "1005", None),
    (b"", "1006", None),
    (framing.text("hi"), "1006", None),
    (framing.close(1000, "tschüß \"x\\".encode()), "1000", "tschüß \"x\\".encode()),
    (b"\x81\x00", "1002", None),
    (framing.text(b"\xff"), "1007", None),
    (framing.frame(BINARY, bytes(11)), "1009", None),
])
def test_the_close_code_is_the_peers_or_ours_1005_without_one_and_1006_without_a_close(frames, close, reason):
    record = recorded(heads.head() + frames, "--max-message=10")
    assert record["close"] == close, record
    if reason is not None:
        assert unescape(record["reason"]) == reason, record


def test_the_seconds_are_those_up_to_the_end_and_not_to_the_last_byte_that_came():
    with launch.Served("--ping-interval=0") as served:
        served.peer.open()
        with launch.Clock(0.3) as clock:
            launch.wait_until(clock.over, "some time has passed")
        served.peer.close()
        assert float(launch.record(served.finish())["seconds"]) >= 0.3


def test_the_subprotocol_is_the_one_that_was_agreed_to():
    request = heads.head("Sec-WebSocket-Protocol: a, b")
    assert recorded(request, "--subprotocol=b")["subprotocol"] == "b"
    assert "subprotocol" not in recorded(request, "--subprotocol=none")


def test_the_subprotocol_that_was_chosen_is_recorded_also_where_the_request_is_refused_then():
    assert recorded(heads.head("Sec-WebSocket-Protocol: a, b", sec_websocket_version="12"), "--subprotocol=b")["subprotocol"] == "b"


@rule("RFC 6455 7.4.1 (2)")
def test_a_signal_is_recorded_as_1001():
    with launch.Served() as served:
        peer = served.peer.open()
        served.stop()
        peer.answer_close()
        peer.close()
        assert launch.record(served.finish())["close"] == "1001"


@rule("RFC 6455 7.1.5")
def test_a_reset_is_recorded_as_1006():
    with launch.Served() as served:
        served.peer.open().reset()
        assert launch.record(served.finish())["close"] == "1006"


@pytest.mark.parametrize("data, end", [
    (heads.head("Origin: null", "User-Agent: a", "Forwarded: for=b", "Content-Length: 5"), "content"),
    (heads.head("Origin: null", "User-Agent: a", "Forwarded: for=b", "X : v"), "field-space"),
    (heads.head("Origin: null", "User-Agent: a", "Forwarded: for=b", "User-Agent: c", "Origin: d"), "origin-twice"),
], ids=["whole", "up-to-its-fault", "the-first-of-two"])
def test_a_refusal_is_recorded_with_what_the_head_says_of_the_client(data, end):
    record = recorded(data)
    assert [record[name] for name in ("end_id", "origin", "agent", "forwarded")] == [end, "null", "a", "for=b"]


@pytest.mark.parametrize("data, status, path", [
    (heads.head(path="/other?query"), "404", "/other"),
    (heads.head(path="http://localhost:8888/other"), "404", "/other"),
    (heads.head(method="POST"), "405", "/socket"),
    (heads.head(key=None), "400", "/socket"),
    (heads.head(sec_websocket_version="8"), "426", "/socket"),
    (b"GET / HTTP/2.0\r\n\r\n", "505", None),
    (b"GET /\n", "400", None),
    (b"GET /" + b"o" * 20000, "414", None),
    (heads.head(method="BREW"), "501", "/socket"),
    (heads.head("Content-Length: 5", method="POST"), "405", "/socket"),
    (heads.head("Content-Length: 5", method="OPTIONS", path="*"), "400", "*"),
    (heads.head(path="/socket#"), "400", None),
])
def test_a_refusal_is_recorded_with_its_status_and_no_close_code(data, status, path):
    record = recorded(data)
    assert record["status"] == status and "close" not in record and record["end"], record
    assert record.get("path") == path, record


@rule("ws-echo(8) LOGGING (1)")
def test_every_end_is_named_differently():
    """The record therefore says what happened."""
    requests = [
        heads.head(path="/other"), heads.head(method="PUT"), heads.head(key=None), heads.head(connection=None),
        heads.head(upgrade=None), heads.head(sec_websocket_version="8"), heads.head(host=None), b"GET /\n",
        heads.head("X : v"), heads.head("X: v", " folded"), heads.head(version="HTTP/3.0"),
        heads.head("Content-Length: 5"), heads.head("Transfer-Encoding: chunked"), heads.head(*["X: v"] * 100),
        heads.head("X: " + "v" * 40000), b"GET /" + b"o" * 20000, heads.head("Sec-WebSocket-Protocol: a b"),
        heads.head("Sec-WebSocket-Protocol: a, a"), heads.head("Sec-WebSocket-Extensions: ;"), b"\x16\x03\x01\x02\x00\x01",
        b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n", heads.head(method="BREW"), heads.head(path="*"), heads.head(path="/#"),
        heads.head(path="/\t"), heads.head(path="/\xe4"), heads.head(host="a/b"), heads.head(host="::1"), heads.head(host="[::1%a]"),
        heads.head(key="x"), heads.head(f"Sec-WebSocket-Key: {heads.KEY}"), heads.head("Sec-WebSocket-Version: 13"),
        heads.head("Origin: a", "Origin: a"),
    ]
    frames = [
        b"", framing.close(1000), b"\x81\x00", framing.text("x", rsv=4), framing.frame(3), framing.frame(PING, fin=False),
        framing.frame(PING, bytes(126)), framing.frame(CONTINUATION), framing.text("a", fin=False) + framing.text("b"),
        b"\x82\xfe\0\5" + bytes(9), b"\x82\xff\x80" + bytes(11), framing.frame(CLOSE, b"\x03"),
        framing.close(1005), framing.text(b"\xff"), framing.close(1000, b"\xff"), b"\x82\xff\x40" + bytes(11),
    ]
    ends = [recorded(data)["end"] for data in [*requests, *[heads.head() + frame for frame in frames]]]
    assert len(set(ends)) == len(ends), sorted(end for end in ends if ends.count(end) > 1)


@rule("ws-echo(8) LOGGING (1)")
@pytest.mark.parametrize("data", [
    heads.head(path="/other"), heads.head() + framing.close(1000), heads.head() + framing.text("hi") * 100,
    heads.head() + framing.text("x", fin=False) + framing.frame(PING, b"y") + framing.frame(CONTINUATION, b"z"),
    heads.head()[:50], heads.head() + framing.text("cut off")[:-3],
])
def test_bytes_are_counted_in_both_directions_from_the_first_of_the_head(data):
    result = launch.run(data)
    record = launch.record(result.stderr.decode())
    assert (record["bytes_in"], record["bytes_out"]) == (str(len(data)), str(len(result.stdout))), record


@rule("ws-echo(8) LOGGING (1)")
def test_messages_are_counted_and_not_frames():
    fragments = [framing.frame(TEXT, b"a", fin=False), framing.frame(PING), framing.frame(CONTINUATION, b"b")]
    frames = [framing.text("1"), *fragments, framing.frame(PONG), framing.frame(BINARY), framing.close(1000)]
    assert recorded(heads.head() + b"".join(frames))["messages"] == "3"


# Claims of the request about the client's address.

@rule("ws-echo(8) LOGGING (4)")
@rule("ws-echo(8) LOGGING (5)", "Addresses in Forwarded and X-Forwarded-For are recorded as claims.")
@pytest.mark.parametrize("field, value", [
    ("X-Forwarded-For", "192.0.2.1"), ("X-Forwarded-For", "2001:db8::1, 192.0.2.1"), ("x-forwarded-for", "unknown"),
    ("Forwarded", "for=192.0.2.1;proto=https"), ("FORWARDED", 'for="[2001:db8::1]:4711", for=_hidden'),
])
@pytest.mark.parametrize("path, status", [("/socket", "101"), ("/other", "404")])
def test_an_address_claimed_by_the_request_is_recorded_as_a_claim(field, value, path, status):
    record = recorded(heads.head(f"{field}: {value}", path=path))
    assert (record["status"], unescape(record["forwarded"])) == (status, value.encode())
    assert record["peer"] == "-", "the claim is not trusted"


@rule("ws-echo(8) LOGGING (5)")
@pytest.mark.parametrize("field", ["X-Forwarded-For", "Forwarded"])
def test_a_claimed_address_is_escaped_and_cut_like_every_value(field):
    hostile = HOSTILE.replace(b"\x1b", b"").decode("latin-1")
    assert unescape(recorded(heads.head(f"{field}: {hostile}"))["forwarded"]) == hostile.encode("latin-1")
    for length in (256, 257, 4000):
        shown = "f" * 256 + "..." * (length > 256)
        assert recorded(heads.head(f"{field}: {'f' * length}"))["forwarded"] == shown


def test_forwarded_takes_precedence_over_x_forwarded_for():
    request = heads.head("X-Forwarded-For: 192.0.2.1", "Forwarded: for=192.0.2.2", "X-Forwarded-For: 192.0.2.3")
    assert recorded(request)["forwarded"] == "for=192.0.2.2"


@pytest.mark.parametrize("field", ["X-Forwarded-For", "Forwarded"])
def test_several_fields_of_such_a_claim_are_one_list(field):
    request = heads.head(f"{field}: a, b", "X-Real-IP: x", f"{field.lower()}: c", f"{field}: d")
    assert recorded(request)["forwarded"] == "a, b, c, d"
    assert recorded(heads.head(f"{field}: {'a' * 200}", f"{field}: {'b' * 200}"))["forwarded"] == (
        "a" * 200 + ", " + "b" * 54 + "...")


def test_without_such_a_claim_nothing_is_recorded():
    assert "forwarded" not in recorded(heads.head("X-Forwarded-Host: a", "X-Forwarded-Proto: b", "Via: c"))
    assert "forwarded" not in recorded(heads.head("X-Forwarded-For:", "Forwarded: "))


# The peer's address.

EVERY = {"REMOTE_ADDR": "192.0.2.1", "REMOTE_PORT": "1", "TCPREMOTEIP": "192.0.2.2", "TCPREMOTEPORT": "2",
         "SOCAT_PEERADDR": "192.0.2.3", "SOCAT_PEERPORT": "3", "REMOTE_HOST": "192.0.2.4"}

LAUNCHERS = [("REMOTE_ADDR", "REMOTE_PORT"), ("TCPREMOTEIP", "TCPREMOTEPORT"),
             ("SOCAT_PEERADDR", "SOCAT_PEERPORT"), ("REMOTE_HOST", "REMOTE_PORT")]


@rule("ws-echo(8) LOGGING (4)",
      "The record contains the best known address of the peer, IPv4-mapped ones as IPv4, or - if there is none.")
@pytest.mark.parametrize("without, peer", [
    ((), "192.0.2.1:1"),
    (("REMOTE_ADDR",), "192.0.2.2:2"),
    (("REMOTE_ADDR", "TCPREMOTEIP"), "192.0.2.3:3"),
    (("REMOTE_ADDR", "TCPREMOTEIP", "SOCAT_PEERADDR"), "192.0.2.4:1"),
])
def test_the_address_that_the_launcher_gives_is_taken_best_first(without, peer):
    env = {name: value for name, value in EVERY.items() if name not in without}
    assert recorded(heads.head(), env=env)["peer"] == peer


@rule("ws-echo(8) LOGGING (4)")
def test_the_launchers_address_goes_before_the_sockets():
    with launch.Served(env={"REMOTE_ADDR": "192.0.2.1", "REMOTE_PORT": "77"}) as served:
        served.peer.open().close()
        assert launch.record(served.finish())["peer"] == "192.0.2.1:77"


@rule("ws-echo(8) LOGGING (4)")
@pytest.mark.parametrize("address, shown", [
    ("::ffff:192.0.2.9", "192.0.2.9"),
    ("::FFFF:192.0.2.9", "192.0.2.9"),
    ("2001:db8::1", "2001:db8::1"),
    ("[2001:db8::1]", "2001:db8::1"),
    ("[::ffff:192.0.2.9]", "192.0.2.9"),
])
@pytest.mark.parametrize("names", LAUNCHERS)
def test_ipv4_mapped_addresses_are_shown_as_ipv4(names, address, shown):
    peer = recorded(heads.head(), env={names[0]: address, names[1]: "8"})["peer"]
    assert peer in (f"{shown}:8", f"[{shown}]:8"), peer
    assert ("[" in peer) == (":" in shown), peer


@rule("ws-echo(8) LOGGING (4)")
@pytest.mark.parametrize("bind, connect, peer", [
    (("127.0.0.1", 0), "127.0.0.1", "127.0.0.1"),
    (("::1", 0), "::1", "[::1]"),
    (("::", 0), "127.0.0.1", "127.0.0.1"),
])
def test_without_a_launchers_address_the_address_of_the_socket_is_shown(bind, connect, peer):
    def pair():
        family = socket.AF_INET6 if ":" in bind[0] else socket.AF_INET
        with socket.create_server(bind, family=family, dualstack_ipv6=bind[0] == "::") as listener:
            client = socket.create_connection((connect, listener.getsockname()[1]))
            return client, listener.accept()[0]

    with launch.Served(pair=pair) as served:
        port = served.peer.socket.getsockname()[1]
        served.peer.open().close()
        assert launch.record(served.finish())["peer"] == f"{peer}:{port}"


def test_of_a_unix_socket_that_has_a_name_this_is_shown(tmp_path):
    def pair():
        client = socket.socket(socket.AF_UNIX)
        client.bind(str(tmp_path / "client"))
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(tmp_path / "server"))
            listener.listen()
            client.connect(str(tmp_path / "server"))
            return client, listener.accept()[0]

    with launch.Served(pair=pair) as served:
        served.peer.open().close()
        assert launch.record(served.finish())["peer"] == str(tmp_path / "client")


@rule("ws-echo(8) LOGGING (4)")
@pytest.mark.parametrize("address", ["127.0.0.1", "::ffff:127.0.0.1", "[::ffff:127.0.0.1]"])
@pytest.mark.parametrize("name", [address for address, _ in LAUNCHERS])
def test_a_launchers_address_without_a_port_gets_the_sockets_port_where_both_name_one_host(name, address):
    """xinetd gives the address so."""
    with launch.Served(env={name: address}) as served:
        port = served.peer.socket.getsockname()[1]
        served.peer.open().close()
        assert launch.record(served.finish())["peer"] == f"127.0.0.1:{port}"


@rule("ws-echo(8) LOGGING (4)")
@pytest.mark.parametrize("address, shown", [("192.0.2.1", "192.0.2.1"), ("2001:db8::1", "[2001:db8::1]"),
                                            ("127.0.0.2", "127.0.0.2"), ("client.example", "client.example")])
@pytest.mark.parametrize("name", [address for address, _ in LAUNCHERS])
def test_a_launchers_address_without_a_port_has_none_where_the_socket_names_another_host(name, address, shown):
    """The address is then the client's, and the port of the socket is that of a proxy."""
    with launch.Served(env={name: address}) as served:
        served.peer.open().close()
        assert launch.record(served.finish())["peer"] == shown


@pytest.mark.parametrize("pair", [launch.unix_pair, launch.pipe_pair])
def test_an_unknown_address_is_a_dash(pair):
    with launch.Served(pair=pair) as served:
        served.peer.open().close()
        assert launch.record(served.finish())["peer"] == "-"


@rule("ws-echo(8) LOGGING (4)")
@pytest.mark.parametrize("value", [
    "x\ny", 'x" status=999 end="', "x y", "\x1b[2J", "\xff", "x" * 5000, "", " ",
], ids=["newline", "quotes", "blank", "escape", "above-0x7f", "long", "empty", "only-a-blank"])
@pytest.mark.parametrize("name", [name for name in ADDRESSES if "PORT" not in name])
def test_an_address_from_the_environment_cannot_spoil_the_record(name, value):
    """The record stays one short line of ASCII with the same number of fields."""
    env = {port: value[:100] for port in ("REMOTE_PORT", "TCPREMOTEPORT", "SOCAT_PEERPORT")} | {name: value}
    result = launch.run(heads.head() + framing.close(1000), env=env)
    assert re.fullmatch(rb"[ -~]{1,1000}\n", result.stderr), result.stderr
    assert list(launch.record(result.stderr.decode())) == [
        "peer", "path", "status", "close", "end", "end_id", "messages", "bytes_in", "bytes_out", "seconds",
        *launch.unfiltered_fields()]


def test_a_record_that_is_too_long_leaves_values_out_and_cuts_none():
    """It is at most PIPE_BUF bytes long: the kernel writes it atomically, so lines of several processes do not mix."""
    long = "\x80" * 300
    request = heads.head(f"Origin: {long}", f"User-Agent: {long}", f"X-Forwarded-For: {long}", path="/" + "\\" * 400)
    log = launch.run(request + framing.close(1000, b"\xc2\x80" * 61), "--path=any").stderr
    assert len(log) <= select.PIPE_BUF
    assert {"path", "close", "end_id", "origin"} < set(launch.record(log.decode()))


def test_the_longest_line_is_written_atomically_without_the_values_that_would_make_it_longer():
    """64 of the PIPE_BUF bytes are reserved for the beginning of the line."""
    long, begun = "\x80" * 256, "\x80" * 120
    fields = [f"Origin: {long}", f"Sec-WebSocket-Protocol: {'s' * 256}", f"User-Agent: {long}"]
    reason = framing.close(1000, b"\xc2\x80" * 61)

    def line(forwarded):
        data = heads.head(*fields, f"Forwarded: {begun}{forwarded}", path="/" + "\\" * 400) + reason
        log = launch.run(data, "--path=any").stderr
        assert len(log) <= select.PIPE_BUF and log.endswith(b"\n"), len(log)
        return log.partition(b": ")[2]

    room = select.PIPE_BUF - 64 - len(line("f"))
    assert 0 < room < 100, f"a value that is not cut fills these {room} bytes"
    longest = line("f" * (room + 1))
    assert len(longest) == select.PIPE_BUF - 64 and b" forwarded=" in longest, longest
    assert len(line("f" * (room + 2))) < len(longest) - 10, "something is left out as a whole"


# Bytes that must not get into the record.

HOSTILE = b"\x1b[2J\xff\x80\xc2\x9b\"\\\t'x"


@rule("ws-echo(8) LOGGING (2)", "Bytes outside printable ASCII are escaped, long values are cut, and payload is never logged.")
def test_bytes_outside_printable_ascii_quotes_and_backslashes_are_escaped():
    line = HOSTILE.replace(b"\x1b", b"").decode("latin-1")  # a field's value must not contain it
    reason = b"\x1b[2J\n\0\"\\\xc2\x9b"
    request = heads.head(f"Origin: {line}", f"User-Agent: {line}", path='/"\\x?y')
    result = launch.run(request + framing.close(1000, reason), "--path=any")
    assert re.fullmatch(rb"[ -~]+\n", result.stderr), result.stderr
    record = launch.record(result.stderr.decode())
    assert unescape(record["origin"]) == unescape(record["agent"]) == line.encode("latin-1")
    assert unescape(record["reason"]) == reason
    assert unescape(record["path"]).startswith(b'/"\\x')


@rule("ws-echo(8) LOGGING (2)")
def test_long_values_are_cut_at_256_bytes():
    fields = ["Origin: http://" + "o" * 4000, "User-Agent: " + "a" * 4000,
              "Sec-WebSocket-Protocol: " + "s" * 2000]
    frames = framing.close(1000, b"\xc2\x9b" * 60)
    result = launch.run(heads.head(*fields, path="/" + "p" * 3000) + frames, "--path=any")
    assert len(result.stderr) < 5000
    record = launch.record(result.stderr.decode())
    for name in ("path", "origin", "agent", "subprotocol"):
        assert record[name].endswith("...") and len(record[name]) <= 259, record
        assert record[name][:200].rstrip("aops/:ht") == "", record
    assert unescape(record["reason"]) == b"\xc2\x9b" * 60, "this one is short enough"


@rule("ws-echo(8) LOGGING (2)")
@pytest.mark.parametrize("length", [255, 256, 257])
def test_a_value_of_256_bytes_is_the_longest_that_is_logged_whole(length):
    fields = {"path": "/", "origin": "http://", "agent": "", "subprotocol": ""}
    values = {name: start + "v" * (length - len(start)) for name, start in fields.items()}
    request = heads.head(f"Origin: {values['origin']}", f"User-Agent: {values['agent']}", f"X-Probe: {values['agent']}",
                        f"Sec-WebSocket-Protocol: {values['subprotocol']}", path=values["path"])
    log = launch.run(request, "--path=any", "--verbose").stderr.decode()
    record = launch.record(log)
    for name, value in values.items():
        assert record[name] == value[:256] + "..." * (length > 256), (name, length)
    shown = "v" * min(length, 256) + "..." * (length > 256)
    assert f'field X-Probe: "{shown}"\n' in log, log


@rule("ws-echo(8) LOGGING (2)")
def test_values_of_which_every_byte_is_escaped_are_cut_as_well():
    hostile = "\xff" * 4000
    result = launch.run(heads.head(f"Origin: {hostile}", f"User-Agent: {hostile}"))
    assert re.fullmatch(rb"[ -~]+\n", result.stderr) and len(result.stderr) < 5000, result.stderr
    launch.record(result.stderr.decode())


@rule("ws-echo(8) LOGGING (2)")
def test_a_refused_head_full_of_hostile_bytes_leaves_one_printable_line():
    for data in (b"GET /\x1b[2J HTTP/1.1\r\n\r\n", b"\x1b]0;x\x07\r\n\r\n", HOSTILE * 1000, b"\n" * 100,
                 bytes(100), heads.head(HOSTILE.decode("latin-1") + ": x")):
        result = launch.run(data)
        assert re.fullmatch(rb"[ -~]+\n", result.stderr), (data[:50], result.stderr)
        launch.record(result.stderr.decode())


SECRET = "wombat-in-the-payload"


@rule("ws-echo(8) LOGGING (2)")
@pytest.mark.parametrize("option", ["--quiet", None, "--verbose"])
def test_payload_is_never_logged(option):
    data = b"".join([heads.head(), framing.text(SECRET), framing.frame(BINARY, SECRET.encode()),
                     framing.frame(PING, SECRET.encode()), framing.frame(PONG, SECRET.encode()),
                     framing.text(SECRET, fin=False), framing.frame(CONTINUATION, SECRET.encode() + b"\xff")])
    result = launch.run(data, *([option] if option else []))
    assert b"wombat" not in result.stderr, result.stderr


# --quiet and --verbose.

@rule("ws-echo(8) OPTIONS (17)", "--quiet logs only local faults, --verbose also every frame and field.")
def test_quiet_is_silent_about_whatever_a_peer_does():
    for data in (b"", heads.head(), heads.head() + framing.text("hi") + framing.close(1000),
                 heads.head() + b"\x81\x00", heads.head(path="/other"), b"\x16\x03\x01", heads.head()[:-1]):
        assert launch.run(data, "--quiet").stderr == b"", data


@rule("ws-echo(8) LOGGING (6)", "Health checks are logged with --verbose only.")
@pytest.mark.parametrize("data", [
    b"", b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", b"GET / HTTP/1.0\r\n\r\n",
    b"OPTIONS / HTTP/1.0\r\n\r\n",
], ids=["nothing", "get", "http-1.0", "options"])
def test_health_checks_are_recorded_only_with_verbose(data):
    assert launch.run(data).stderr == b""
    launch.record(launch.run(data, "--verbose").stderr.decode())


@rule("ws-echo(8) LOGGING (6)")
@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_health_checks_where_there_is_no_page_too(method):
    data = f"{method} / HTTP/1.0\r\n\r\n".encode()
    assert launch.run(data, "--no-page").stderr == b""
    launch.record(launch.run(data, "--no-page", "--verbose").stderr.decode())


@rule("ws-echo(8) LOGGING (6)")
def test_a_connection_reset_without_a_byte_is_a_health_check_too():
    with launch.Served() as served:
        served.peer.reset()
        assert served.finish() == ""


@pytest.mark.usefixtures("dumpable")
@pytest.mark.parametrize("path", ["/socket", "/other", "/"])
def test_the_peer_has_its_answer_before_verbose_names_the_fields(path, tmp_path):
    """Writing to a log may block."""
    trace = tmp_path / "trace"
    subprocess.run([require("strace", "strace"), "-o", trace, "-e", "trace=write", launch.PROGRAM, "--verbose"],
                   input=heads.head(path=path), capture_output=True, check=True, timeout=project.LIMIT)
    order = re.findall(r'^write\(\d, "(HTTP|ws-echo.*: field)', trace.read_text(), re.MULTILINE)
    assert len(order) > 1 and order[0] == "HTTP", order


@rule("ws-echo(8) OPTIONS (17)")
@pytest.mark.parametrize("data", [b"", framing.text("half")[:-1], framing.frame(3), framing.close(1000)],
                         ids=["end-of-input", "in-a-frame", "violation", "close"])
def test_verbose_names_every_field_once_however_it_ends(data):
    log = launch.run(heads.head(*["X: v"] * 94, "X-Probe: seen") + data, "--verbose").stderr.decode()
    assert log.count("field ") == 100 and log.count("X-Probe") == 1, log


@rule("ws-echo(8) OPTIONS (17)")
def test_verbose_says_that_frames_are_compressed_and_both_lengths():
    head = heads.head("Sec-WebSocket-Extensions: permessage-deflate")
    hello = bytes.fromhex("f248cdc9c90700")
    data = [framing.frame(TEXT, hello[:3], fin=False, rsv=4), framing.frame(CONTINUATION, hello[3:]), framing.text("plain"),
            framing.frame(BINARY, b"\x06", fin=False, rsv=4)]
    result = launch.run(head + b"".join(data), "--deflate", "--verbose", "--prefix=ab")
    log = [line.partition(": ")[2] for line in result.stderr.decode().splitlines()]
    begun = log.index("received text fin=0 length=3 compressed")
    assert log[begun:-1] == [
        "received text fin=0 length=3 compressed", "received continuation fin=1 length=4", "inflated text length=5",
        "deflated text length=7", "sent text fin=1 length=9 compressed", "received text fin=1 length=5",
        "sent text fin=1 length=7", "received binary fin=0 length=1 compressed", "inflated binary length=0",
        "sent close fin=1 length=35 code=1007",
    ]


@rule("ws-echo(8) OPTIONS (13)")
def test_the_record_names_the_extension_as_it_was_agreed_to():
    agreed = ("permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=11"
              "; client_max_window_bits=12")
    offer = heads.head(f"Sec-WebSocket-Extensions: {agreed}", "Origin: http://a.example")
    for options, extension in [(["--deflate"], agreed), ([], None), (["--deflate", "--origin=null"], None)]:
        record = launch.record(launch.run(offer, *options).stderr.decode())
        assert record.get("extension") == extension, record


@rule("ws-echo(8) OPTIONS (17)")
def test_verbose_names_every_frame_with_its_type_fin_length_and_close_code():
    data = b"".join([heads.head("X-Probe: seen"), framing.text("four"), framing.frame(BINARY, bytes(70000)),
                     framing.frame(TEXT, b"abc", fin=False), framing.frame(PING, b"12345"),
                     framing.frame(PONG, b"123456"), framing.frame(CONTINUATION, b"de")])
    for last, lines in {
        framing.close(4001, b"x"): ["received close fin=1 length=3 code=4001", "sent close fin=1 length=3 code=4001"],
        framing.close(): ["received close fin=1 length=0", "sent close fin=1 length=0"],
        framing.frame(CLOSE, b"\3"): ["received close fin=1 length=1", "sent close fin=1 length=24 code=1002"],
        framing.close(1005): ["received close fin=1 length=2 code=1005", "sent close fin=1 length=36 code=1002"],
        framing.close(1000, b"\xff"): ["received close fin=1 length=3 code=1000", "sent close fin=1 length=27 code=1007"],
        framing.frame(BINARY, bytes(70001)): ["received binary fin=1 length=70001", "sent close fin=1 length=34 code=1009"],
    }.items():
        log = launch.run(data + last, "--verbose", "--max-message=70000").stderr.decode().splitlines()
        for line in log:
            assert re.fullmatch(r"ws-echo\[\d+\]: [ -~]+", line), line
        log = [line.partition(": ")[2] for line in log]
        begun = log.index("received text fin=1 length=4")
        assert 'field X-Probe: "seen"' in log[:begun], log
        assert log[begun:-1] == [
            "received text fin=1 length=4", "sent text fin=1 length=12", "received binary fin=1 length=70000",
            "sent binary fin=1 length=70000", "received text fin=0 length=3", "received ping fin=1 length=5",
            "sent pong fin=1 length=5", "received pong fin=1 length=6", "received continuation fin=1 length=2",
            "sent text fin=1 length=13", *lines], log


# The channel of the log.

@rule("ws-echo(8) LOGGING (3)", "No byte of the log reaches the peer.")
@pytest.mark.parametrize("options", [[], ["--verbose"], ["--quiet"]])
@pytest.mark.parametrize("pair", [launch.tcp_pair, launch.unix_pair])
def test_where_standard_error_is_the_connection_not_one_byte_of_the_log_reaches_the_peer(pair, options):
    """This is the case under inetd and xinetd."""
    wrapper = ["/bin/sh", "-c", 'exec "$@" 2>&0', "sh"]
    frames = framing.text("hi") + framing.close(1000)
    for data, status in ((heads.head() + frames, 101), (heads.head(path="/other"), 404)):
        with launch.Served(*options, pair=pair, wrapper=wrapper) as served:
            served.peer.send(data)
            received = served.peer.rest()
            served.peer.close()
            assert served.finish() == ""
        if status == 101:
            assert received == heads.switching() + framing.echo("hi") + framing.reply(CLOSE, framing.close_body(1000))
        else:
            heads.refused(received, status)


def test_a_terminal_may_be_both_standard_output_and_standard_error(tmp_path):
    """A user who pipes a recorded handshake into the program sees the answer and the record."""
    (tmp_path / "request").write_bytes(heads.head(path="/other"))
    ours, terminal = pty.openpty()
    with (tmp_path / "request").open("rb") as request:
        process = subprocess.Popen([launch.PROGRAM], stdin=request, stdout=terminal, stderr=terminal)
    os.close(terminal)
    shown = b""
    with contextlib.suppress(OSError):  # EIO: no process holds the terminal any more
        while select.select([ours], [], [], project.LIMIT)[0]:
            shown += os.read(ours, 4096)
    os.close(ours)
    assert process.wait(project.LIMIT) == 0
    assert shown.startswith(b"HTTP/1.1 404 "), shown
    assert launch.record(shown.decode())["status"] == "404"


@pytest.mark.usefixtures("dumpable")
@pytest.mark.parametrize("number", [0, 1])
def test_dev_null_may_be_standard_error_and_an_end_of_the_connection(tmp_path, number):
    """The program then does not log to syslog instead."""
    strace, trace = require("strace", "strace"), tmp_path / "trace"
    reading, writing = os.pipe()
    os.write(writing, b"x")
    os.close(writing)
    with open("/dev/null", "r+b") as null:
        ends = [reading, subprocess.DEVNULL]
        ends[number] = null
        subprocess.run([strace, "-o", trace, "-e", "trace=write,connect,sendto", launch.PROGRAM, "--verbose"],
                       stdin=ends[0], stdout=ends[1], stderr=null, check=True, timeout=project.LIMIT)
    os.close(reading)
    calls = trace.read_text()
    assert re.search(r'^write\(2, "ws-echo\[', calls, re.MULTILINE), calls
    assert "/dev/log" not in calls, calls


def test_nor_where_it_is_the_connection_that_was_passed_as_descriptor_3():
    script = 'exec 3<&0 2>&0 </dev/null >/dev/null; LISTEN_FDS=1 LISTEN_PID=$$ exec "$@"'
    with launch.Served("--verbose", wrapper=["/bin/sh", "-c", script, "sh"]) as served:
        served.peer.send(heads.head(path="/other"))
        heads.refused(served.peer.rest(), 404)


@rule("ws-echo(8) LOGGING (3)")
def test_not_even_a_wrong_option_reaches_the_peer():
    wrapper = ["/bin/sh", "-c", 'exec "$@" 2>&0', "sh"]
    with launch.Served("--nope", wrapper=wrapper) as served:
        assert served.peer.rest() == b""
        assert served.process.wait(project.LIMIT) == 64


@pytest.mark.parametrize("end", [0, 1], ids=["input", "output"])
def test_standard_error_is_the_connection_also_where_it_is_one_end_of_two(end):
    client, server = zip(launch.unix_pair(), launch.unix_pair())
    with contextlib.ExitStack() as opened:
        for one in [*client, *server]:
            opened.enter_context(one)
        client[0].sendall(heads.head(path="/other"))
        client[0].shutdown(socket.SHUT_WR)
        subprocess.run([launch.PROGRAM, "--verbose"], stdin=server[0], stdout=server[1], stderr=server[end], check=True,
                       timeout=project.LIMIT)
        for one in server:
            one.close()
        heads.refused(launch.Peer(client[1]).rest(), 404)
        assert launch.Peer(client[0]).rest() == b""


@rule("ws-echo(8) OPTIONS (14)")
@pytest.mark.parametrize("end", [0, 1], ids=["input", "output"])
def test_stderr_as_the_log_is_refused_where_it_is_the_connection(end):
    (client, server), (other, others) = launch.tcp_pair(), launch.tcp_pair()
    with server, others:
        ends = [others, others]
        ends[end] = server
        process = subprocess.Popen([launch.PROGRAM, "--log=stderr"], stdin=ends[0], stdout=ends[1], stderr=server)
    with client, other:
        assert launch.Peer(client).rest() == launch.Peer(other).rest() == b""
    assert process.wait(project.LIMIT) == 64


@rule("ws-echo(8) OPTIONS (14)", "--log selects where the program logs.")
@pytest.mark.usefixtures("dumpable")
@pytest.mark.parametrize("channel, place", [("syslog", "/dev/log"), ("journal", "/run/systemd/journal/socket")])
def test_the_channel_that_is_named_gets_the_record(tmp_path, channel, place):
    """Even if standard error would be chosen automatically, and even if no daemon listens on the channel."""
    trace = tmp_path / "trace"
    command = [require("strace", "strace"), "-e", "trace=connect,sendto,sendmsg", "-o", trace]
    result = subprocess.run([*command, launch.PROGRAM, f"--log={channel}"], input=heads.head(), capture_output=True,
                            timeout=project.LIMIT, check=False)
    if channel == "journal" and launch.PROGRAM.endswith("-static"):
        assert result.returncode == 71 and b"libsystemd" in result.stderr, result
        return
    assert (result.returncode, result.stdout, result.stderr) == (0, heads.switching(), b""), result
    assert place in trace.read_text()


@pytest.mark.usefixtures("dumpable")
def test_it_serves_although_standard_error_is_closed():
    with launch.Served(wrapper=["/bin/sh", "-c", 'exec "$@" 2>&-', "sh"]) as served:
        peer = served.peer.open()
        assert os.readlink(f"/proc/{served.process.pid}/fd/2") == "/dev/null"
        peer.send(framing.text("hi") + framing.close(1000))
        assert peer.rest() == framing.echo("hi") + framing.reply(CLOSE, framing.close_body(1000))


@rule("ws-echo(8) LOGGING (7)")
def test_it_ends_although_nobody_reads_standard_error():
    with launch.Served() as served:
        peer = served.peer.open()
        served.process.stderr.close()
        peer.send(framing.close(1000))
        assert peer.rest() == framing.reply(CLOSE, framing.close_body(1000))
        peer.close()
        assert served.process.wait(project.LIMIT) == 0


def test_a_reset_inside_a_head_leaves_a_record():
    with launch.Served(watched=True) as served:
        served.peer.send(b"GET / HT")
        served.consumed()
        served.peer.reset()
        served.watched.close()
        assert launch.record(served.finish())["bytes_in"] == "8"


@rule("ws-echo(8) LOGGING (7)", "A log that blocks does not stop the connection.")
@pytest.mark.slow("a log has two seconds to take a line, and here it does not")
def test_a_log_that_blocks_is_not_asked_again_and_the_connection_goes_on():
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
    os.write(writing, bytes(4096))
    client, server = launch.tcp_pair()
    with server:
        process = subprocess.Popen([launch.PROGRAM, "--verbose"], stdin=server, stdout=server, stderr=writing)
    with client:
        peer = launch.Peer(client).open()
        for _ in range(100):  # each logs two lines; if every line waited for 2 s, this would take 400 s
            peer.send(framing.text("on"))
            assert peer.receive(len(framing.echo("on"))) == framing.echo("on")
        assert os.read(reading, 4096) == bytes(4096)
    assert process.wait(project.LIMIT) == 0
    os.close(writing)
    with open(reading, "rb") as log:
        assert launch.record(log.read().decode())["messages"] == "100", "but the record it gets all the same"


def test_a_note_tells_packagers_which_library_of_the_journal_is_loaded(tmp_path):
    """https://systemd.io/ELF_DLOPEN_METADATA/"""
    if not launch.filtered():
        pytest.skip("its bytes are in the order of another architecture, or an emulator has none of its own")
    note = tmp_path / "note"
    copied = subprocess.run([require("objcopy", "binutils"), "-O", "binary", "--only-section=.note.dlopen",
                             launch.PROGRAM, note], check=False, capture_output=True)
    if launch.PROGRAM.endswith("-static"):
        assert copied.returncode or not note.exists() or note.read_bytes() == b""
        return
    assert b"libsystemd.so.0\0" in pathlib.Path(launch.PROGRAM).read_bytes()
    described = (b'[{"feature":"journal","description":"Structured records and unit status",'
                 b'"priority":"recommended","soname":["libsystemd.so.0"]}]\0')
    assert note.read_bytes().rstrip(b"\0") == (
        struct.pack("=III4s", 4, len(described), 0x407C0C0A, b"FDO\0") + described).rstrip(b"\0")
