# SPDX-License-Identifier: MIT
"""The lab in the handshake: where words act, which queries are refused, and the words delay, status, bad, headers and hello."""

import http
import re
import signal
import socket
import time
from hashlib import sha1

import framing
import heads
import launch
import pytest
from framing import BINARY, CLOSE, TEXT
from lab import LAB, lab
from launch import PAIRS
from rule import rule

every_connection = pytest.mark.parametrize("pair", PAIRS)
WORDS = ("delay=S status=CODE bad=NAMES headers hello=TEXT repeat=S latency=S fragment=N slice=N mute=NAMES after=S count=N "
         "raw=HEX stall[=S] close[=CODE] reason=TEXT")


def answered(data, *options):
    """Returns what the program answers to `data` over pipes, and the record."""
    result = launch.run(data, LAB, *options)
    assert result.returncode == 0, result
    return result.stdout, launch.record(result.stderr.decode("ascii"))


def without_date(answer):
    """An HTTP answer without its Date field."""
    return re.sub(rb"\r\nDate: [^\r]*", b"", answer, count=1)


# Where the words act.

@rule("ws-echo(8) OPTIONS (19)", "Without words a path of --lab is an ordinary echo, and on other paths the query is ignored.")
@pytest.mark.parametrize("path", ["/lab", "/lab?"])
def test_without_words_the_lab_is_an_ordinary_echo(path):
    answer, record = answered(heads.head(path=path) + framing.text("hi") + framing.close(1000))
    assert answer == heads.switching() + framing.echo("hi") + framing.reply(CLOSE, framing.close_body(1000))
    assert (record["end_id"], record["path"], "lab" in record) == ("closed-by-peer", "/lab", False)


@rule("ws-echo(8) OPTIONS (19)")
@pytest.mark.parametrize("path, options", [
    ("/socket?close=1013", [LAB]), ("/socket?bogus", [LAB]), ("/other?close=1013", [LAB, "--path=/other"]),
    ("/other?status=500", [LAB, "--path=any"]), ("/lab?status=500", []), ("/lab/?status=500", [LAB, "--path=any"]),
    ("/LAB?status=500", [LAB, "--path=any"]),
])
def test_on_other_paths_the_query_is_ignored(path, options):
    result = launch.run(heads.head(path=path) + framing.text("hi"), *options, *([] if options else ["--path=/lab"]))
    assert result.stdout == heads.switching() + framing.echo("hi")
    assert "lab" not in launch.record(result.stderr.decode())


@rule("ws-echo(8) OPTIONS (19)")
@pytest.mark.parametrize("path, options", [
    ("/lab?hello=x", ["--lab=/lab"]), ("/lab?hello=x", ["--lab=/lab", "--path=/lab"]),
    ("/lab?hello=x", ["--lab=/lab", "--path=any"]),
    ("/b?hello=x", ["--lab=/a", "--lab=/b"]), ("/a?hello=x", ["--lab=/a", "--lab=/b"]), ("/?hello=x", ["--lab=/"]),
    ("http://localhost:8888/lab?hello=x", ["--lab=/lab"]), ("ws://localhost/lab?hello=x", ["--lab=/lab"]),
    ("http://localhost?hello=x", ["--lab=/"]),
])
def test_a_path_of_lab_is_a_lab_whatever_else_is_served(path, options):
    result = launch.run(heads.head(path=path), *options)
    assert result.stdout == heads.switching() + framing.reply(TEXT, b"x")
    assert launch.record(result.stderr.decode())["lab"] == "hello=1"


@rule("ws-echo(8) OPTIONS (19)")
def test_the_ordinary_path_stays_served_beside_a_lab():
    assert answered(heads.head() + framing.text("hi"))[0] == heads.switching() + framing.echo("hi")


@rule("ws-echo(8) OPTIONS (19)")
@pytest.mark.parametrize("options", [[LAB], ["--lab=/"], [LAB, "--path=/"]])
def test_the_page_and_the_health_checks_are_the_same_beside_a_lab(options):
    """But for the lab's path in the page."""
    def without_lab(answer):
        return re.sub(rb'(?<=Content-Length: )\d+|(?<=data-lab=")[^"]*', b"", without_date(answer))

    for request in (b"GET /?status=500 HTTP/1.1\r\nHost: x\r\n\r\n", b"HEAD /?bogus HTTP/1.1\r\nHost: x\r\n\r\n",
                    b"OPTIONS /?close HTTP/1.1\r\nHost: x\r\n\r\n", b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n"):
        ordinary = [option for option in options if not option.startswith("--lab")]
        same = launch.run(request, *ordinary)
        result = launch.run(request, *options)
        assert result.returncode == 0 and result.stderr == b""
        assert without_lab(result.stdout) == without_lab(same.stdout)


@rule("ws-echo(8) OPTIONS (19)")
def test_the_page_and_the_404_name_an_ordinary_path():
    page = launch.run(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", LAB, "--path=/first", "--path=/second").stdout
    assert b'value="/first" data-origins="" data-lab="/lab"' in page
    assert b"connect to /first instead" in launch.run(heads.head(path="/x"), LAB, "--path=/first").stdout


OTHERWISE_REFUSED = {
    "path": (dict(path="/other"), [], 404), "path-below": (dict(path="/lab/x"), [], 404),
    "method": (dict(method="POST"), [], 405), "head": (dict(method="HEAD"), [], 405),
    "unknown-method": (dict(method="BREW"), [], 501),
    "no-upgrade": (dict(upgrade=None), [], 426), "http-1.0": (dict(version="HTTP/1.0"), [], 426),
    "version": (dict(sec_websocket_version="8"), [], 426), "connection": (dict(connection="close"), [], 400),
    "key": (dict(key="x"), [], 400), "no-host": (dict(host=None), [], 400), "http-2": (dict(version="HTTP/2.0"), [], 505),
    "origin": (dict(more="Origin: http://foreign"), ["--origin=http://named"], 403),
    "subprotocol": (dict(more="Sec-WebSocket-Protocol: a, a"), [], 400),
    "extension": (dict(more="Sec-WebSocket-Extensions: ;"), [], 400), "content": (dict(more="Content-Length: 5"), [], 400),
    "fragment": (dict(path="/lab?close#x"), [], 400), "too-long": (dict(path="/lab?hello=" + "x" * 17000), [], 414),
}


@rule("ws-echo(8) OPTIONS (20)", "The words act only on a request that would get 101.")
@pytest.mark.parametrize("query", ["status=503", "delay=60", "bogus", "close=1013", "bad=accept"])
@pytest.mark.parametrize("changed, options, status", OTHERWISE_REFUSED.values(), ids=OTHERWISE_REFUSED)
def test_words_act_only_on_a_request_that_would_get_101(changed, options, status, query):
    """The query is parsed last, so a wrong one changes no other refusal."""
    changed = {"path": "/lab"} | changed
    more = [changed.pop("more")] if "more" in changed else []
    plain, _ = answered(heads.head(*more, **changed), *options)
    if "?" not in changed["path"]:
        changed["path"] += f"?{query}"
    answer, record = answered(heads.head(*more, **changed), *options)
    assert without_date(answer) == without_date(plain)
    assert record["status"] == str(status) and "lab" not in record, record
    if status not in (400, 414) or changed.get("method") == "HEAD":
        heads.refused(answer, status, changed.get("method", "GET"))


# Queries that are refused.

UNKNOWN = "A word in the query is unknown, empty or repeated; the lab knows"
WRONG = "A word in the query has a wrong value, none, or one where none belongs; the lab knows"
REFUSED = {
    "lab-word-unknown": (UNKNOWN, [
        "bogus", "BOGUS=secret", "close&", "&close", "close&&raw=00", "&", "=", "=x", "Close", "CLOSE=1000", "cl%6fse",
        "close+", "close%20",
        "close&close", "close=1000&close=1001", "hello=a&hello=b", "headers&hello=x&headers", "close?", "close;raw=00",
        "status%3D200",
        "after=1&raw=00&secret",
    ]),
    "lab-value-wrong": (WRONG, [
        "headers=", "headers=1", "delay", "delay=", "status", "status=", "bad", "bad=", "hello", "repeat", "repeat=",
        "latency=", "fragment=",
        "slice=", "mute", "mute=", "after", "count=", "raw", "raw=", "stall=", "close=", "reason",
        "delay=-1", "delay=60.000001", "delay=61", "delay=1e1", "delay=.5", "delay=1.", "delay=0x1", "delay=+1", "delay=1s",
        "latency=61", "stall=61", "after=3600.1&close", "repeat=3601", "repeat=0.09", "repeat=0", "delay=99999999999999999999",
        "status=101", "status=100", "status=199", "status=600", "status=20", "status=0200x", "status=1000", "status=-200",
        "bad=", "bad=accept,", "bad=,accept", "bad=accept,accept", "bad=Accept", "bad=secret", "bad=accept%20",
        "bad=accept+extension",
        "mute=echo,echo", "mute=ping,close,ping", "mute=secret", "mute=echo,", "mute=echo%00",
        "fragment=0", "fragment=-1", "fragment=1.5", "slice=0", "slice=1000000001", "fragment=99999999999999999999",
        "count=0&close", "count=x&close", "raw=0", "raw=000", "raw=0g", "raw=0x00", "raw=%00", "raw=" + "00" * 513,
        "close=65536", "close=-1", "close=1000.0", "close=EOF", "close=secret", "close=eof,reset", "close=1000%00",
        "close=1000+",
        "close=1000&reason=" + "r" * 124, "close=1000&reason=%ff", "close=1000&reason=" + "%C3%A4" * 62,
        "hello=%ff", "hello=%C3", "hello=%ed%a0%80", "hello=%c0%80", "hello=" + "x" * 1025, "hello=%4", "hello=%",
        "hello=%zz", "hello=a%4",
        "delay=%31%", "close=%",
    ]),
    "lab-status-not-alone": ("In the query, status goes with no other word but delay; the lab knows", [
        "status=503&headers", "status=503&close", "status=503&hello=secret", "delay=0&bad=accept&status=200",
        "slice=1&status=200",
        "status=200&mute=echo", "status=200&after=1", "status=200&reason=x",
    ]),
    "lab-triggers-nothing": ("In the query, after and count need raw, stall or close; the lab knows", [
        "after=1", "count=1", "after=1&count=2", "hello=secret&after=0", "repeat=1&after=10", "count=3&mute=echo",
        "after=1&reason=x",
    ]),
    "lab-reason-without-code": ("In the query, reason needs close=CODE; the lab knows", [
        "reason=secret", "close&reason=secret", "close=eof&reason=", "close=eof&reason=x", "raw=00&reason=secret",
        "close=reset&reason=x",
    ]),
    "lab-reset-without-tcp": ("In the query, close=reset needs a TCP connection, which this is not; the lab knows", [
        "close=reset", "close=reset&after=2", "raw=00&count=1&close=reset",
    ]),
}


@rule("ws-echo(8) OPTIONS (21)",
      "A query with a word that is unknown or wrong is 400 with the list of words, and nothing of the query is reflected.")
@pytest.mark.parametrize("end", REFUSED)
def test_a_query_that_is_wrong_is_400_with_the_list_of_words_and_nothing_of_itself(end):
    sentence, queries = REFUSED[end]
    for query in queries:
        answer, record = answered(lab(query) + framing.text("never"))
        assert heads.refused(answer, 400).body.decode() == f"{sentence} {WORDS}.\n", query
        assert (record["end_id"], record["status"], record["end"]) == (end, "400", f"{sentence} {WORDS}."), query
        assert "secret" not in str(record) and "messages" in record, record


@rule("ws-echo(8) OPTIONS (21)")
def test_a_reset_of_a_unix_socket_is_refused_and_of_tcp_not():
    with launch.Served(LAB, pair=launch.unix_pair) as served:
        served.peer.send(lab("close=reset&after=3600"))
        heads.refused(served.peer.rest(), 400)
    with launch.Served(LAB) as served:
        served.peer.open(path="/lab?close=reset&after=3600")


@rule("ws-echo(8) OPTIONS (21)")
@pytest.mark.parametrize("query", [
    "delay=0", "delay=0.000000001", "latency=60", "after=3600&close", "repeat=3600", "repeat=0.1", "stall=0", "hello=",
    "hello=%00",
    "close=1000&reason=&after=9", "close=1000&after=9&reason=" + "r" * 123, "raw=" + "00" * 512 + "&after=9",
    "fragment=1000000000",
    "close=65535&after=9", "close=eof&count=1000000000", "mute=close,pong,ping,echo", "count=1&raw=aAbB", "mute=%65cho",
    "delay=%30",
    "hello=" + "%C3%A4" * 512, "hello=a=b=c", "hello=a%26b",
])
def test_values_at_their_limits_are_accepted(query):
    assert answered(lab(query), "--timeout=0")[0].startswith(heads.switching())


@rule("ws-echo(8) OPTIONS (21)")
@pytest.mark.parametrize("timeout, given, accepted", [
    ("2", "1.999999", True), ("2", "2", False), ("60", "59.9", True), ("60", "60", False), ("61", "60", True),
    ("0", "60", True),
])
def test_no_wait_is_as_long_as_the_timeout(timeout, given, accepted):
    for word in ("latency", "stall", "delay"):
        with launch.Served(LAB, f"--timeout={timeout}") as served:
            served.peer.send(lab(f"{word}={given}"))
            if word == "delay" and accepted:
                served.peer.close()
                served.stop()  # the test need not wait for it
            elif accepted:
                assert served.peer.receive(len(heads.switching())) == heads.switching()
                served.stop()
            else:
                heads.refused(served.peer.rest(), 400)


@rule("ws-echo(8) OPTIONS (21)")
def test_a_stall_for_which_the_timeout_leaves_no_time_is_refused():
    heads.refused(launch.run(lab("stall"), LAB, "--timeout=0.000001").stdout, 400)


# delay.

@rule("ws-echo(8) OPTIONS (24)", "delay: the answer comes so many seconds after the head.")
@every_connection
@pytest.mark.parametrize("query, status", [("delay=0.3", 101), ("delay=0.3&status=503", 503)])
def test_the_answer_is_not_there_before_the_delay_is_over(pair, query, status):
    with launch.Served(LAB, pair=pair) as served:
        begun = time.monotonic()
        served.peer.send(lab(query) + framing.text("hi"))
        assert served.peer.receive(12) == b"HTTP/1.1 %d" % status
        assert time.monotonic() - begun >= 0.3
        if status == 101:
            expected = heads.switching()[12:] + framing.echo("hi")
            assert served.peer.receive(len(expected)) == expected


@rule("ws-echo(8) OPTIONS (24)")
@every_connection
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_stop_in_the_delay_lets_the_101_and_the_close_go_out(pair, number):
    with launch.Served(LAB, "--timeout=0", pair=pair, watched=True) as served:
        served.peer.send(lab("delay=60&hello=x&close=4000"))
        served.consumed()
        served.stop(number)
        expected = heads.switching() + framing.reply(TEXT, b"x")
        assert served.peer.receive(len(expected)) == expected
        assert served.peer.answer_close() == framing.our_close("stopped")
        served.peer.close()
        record = launch.record(served.finish())
        assert (record["end_id"], record["close"], record["lab"]) == ("stopped", "1001", "delay=60&hello=1&close=4000")


@rule("ws-echo(8) OPTIONS (24)")
@every_connection
def test_a_stop_in_the_delay_lets_the_status_go_out(pair):
    with launch.Served(LAB, pair=pair, watched=True) as served:
        served.peer.send(lab("delay=59&status=503"))
        served.consumed()
        served.stop()
        assert served.peer.rest().startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
        served.peer.close()
        assert launch.record(served.finish())["end_id"] == "lab"


@rule("ws-echo(8) OPTIONS (24)")
def test_a_peer_that_is_gone_after_the_delay_ends_the_connection_as_elsewhere():
    with launch.Served(LAB) as served:
        served.peer.send(lab("delay=0.3"))
        served.peer.reset()
        assert launch.record(served.finish())["end_id"] == "reset"


# status.

PHRASES = {status.value: status.phrase for status in http.HTTPStatus if status.value in {
    *range(200, 207), *range(300, 306), 307, 308, *range(400, 418), 421, 422, 426, 428, 429, 431, *range(500, 506), 511}} | {
    413: "Content Too Large", 414: "URI Too Long", 416: "Range Not Satisfiable", 422: "Unprocessable Content"}  # RFC 9110
FIELDS = {401: "WWW-Authenticate: Bearer", 405: "Allow: GET", 407: "Proxy-Authenticate: Bearer", 426: "Upgrade: websocket"}
SENTENCE = "The query asked the lab for this status.\n"


def lab_answer(status, path="/lab"):
    """The answer with a status, without its Date field."""
    lines = [f"HTTP/1.1 {status} {PHRASES.get(status, '')}", "Connection: " + "Upgrade, " * (status == 426) + "close"]
    lines += [FIELDS[status]] if status in FIELDS else []
    lines += [f"Location: {path}"] * (300 <= status < 400 and status != 304)
    empty = status in (204, 205, 304)
    lines += ["Content-Length: 0"] * (status == 205)
    lines += ["Content-Type: text/plain; charset=utf-8", f"Content-Length: {len(SENTENCE)}"] * (not empty)
    return ("\r\n".join(lines) + "\r\n\r\n" + SENTENCE * (not empty)).encode()


@rule("ws-echo(8) OPTIONS (25)", "status: this status instead of 101, with its phrase and fields.")
@pytest.mark.parametrize("hundreds", [2, 3, 4, 5])
def test_each_status_is_answered_with_its_phrase_and_fields_and_recorded(hundreds):
    for status in range(100 * hundreds, 100 * hundreds + 100):
        answer, record = answered(lab(f"status={status}", "User-Agent: secret") + framing.text("never"))
        assert heads.DATE.search(answer.decode()), answer
        assert without_date(answer) == lab_answer(status), answer
        assert (record["status"], record["end_id"], record["lab"]) == (str(status), "lab", f"status={status}")
        assert record["end"] == "ended as the query asked the lab to" and "close" not in record and record["messages"] == "0"


@rule("ws-echo(8) OPTIONS (25)")
@pytest.mark.parametrize("target, path", [
    ("/a%0d%0aX:?status=302", "/a%0d%0aX:"), ("http://localhost:8888/a?status=302", "/a"), ("/?status=302", "/"),
])
def test_the_location_is_the_path_of_the_lab_alone(target, path):
    result = launch.run(heads.head(path=target), f"--lab={path}")
    assert without_date(result.stdout) == lab_answer(302, path), result


@rule("ws-echo(8) OPTIONS (19)")
def test_a_path_that_is_any_is_no_lab():
    assert launch.run(heads.head(path="//evil.example?status=302"), LAB, "--path=any").stdout == heads.switching()


@rule("ws-echo(8) OPTIONS (22)")
@pytest.mark.parametrize("status", [200, 204, 503])
def test_quiet_leaves_the_record_of_a_status_out_and_nothing_else(status):
    assert launch.run(lab(f"status={status}"), LAB, "--quiet").stderr == b""
    assert launch.record(launch.run(lab(f"status={status}"), LAB).stderr.decode())["status"] == str(status)


# bad.

INVENTED = "ws-echo-lab"
WRONG_ACCEPT = "A" + heads.ACCEPT[1:]
GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 section 1.3


@rule("ws-echo(8) OPTIONS (26)", "bad: a 101 that the client has to refuse.")
@pytest.mark.parametrize("query, fields, options, expected", [
    ("bad=accept", [], [], {"accept": WRONG_ACCEPT}),
    ("bad=accept", ["Sec-WebSocket-Protocol: chat"], [], {"accept": WRONG_ACCEPT, "subprotocol": "chat"}),
    ("bad=subprotocol", [], [], {"subprotocol": INVENTED}),
    ("bad=subprotocol", ["Sec-WebSocket-Protocol: chat, superchat-with-a-long-name"], [], {"subprotocol": INVENTED}),
    ("bad=subprotocol", ["Sec-WebSocket-Protocol: chat"], ["--subprotocol=none"], {"subprotocol": INVENTED}),
    ("bad=subprotocol", [f"Sec-WebSocket-Protocol: {INVENTED}"], [], {"subprotocol": f"{INVENTED}-2"}),
    ("bad=subprotocol", [f"Sec-WebSocket-Protocol: a, {INVENTED}-2", f"Sec-WebSocket-Protocol: {INVENTED}"], [],
     {"subprotocol": f"{INVENTED}-3"}),
    ("bad=subprotocol", [f"Sec-WebSocket-Protocol: {INVENTED}-2"], [], {"subprotocol": INVENTED}),
    ("bad=subprotocol", [f"Sec-WebSocket-Extensions: {INVENTED}"], [], {"subprotocol": INVENTED}),
    ("bad=extension", [], [], {"extension": INVENTED}),
    ("bad=extension", ["Sec-WebSocket-Extensions: permessage-deflate"], ["--deflate"], {"extension": INVENTED}),
    ("bad=extension", [f"Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover, {INVENTED}; a=b"],
     ["--deflate"],
     {"extension": f"{INVENTED}-2"}),
    ("bad=extension", [f"Sec-WebSocket-Extensions: x,\t{INVENTED} ;a"], [], {"extension": f"{INVENTED}-2"}),
    ("bad=extension", [f"Sec-WebSocket-Extensions: {INVENTED}-2, {INVENTED}"], [], {"extension": f"{INVENTED}-3"}),
    ("bad=extension", ["Sec-WebSocket-Protocol: chat"], [], {"extension": INVENTED, "subprotocol": "chat"}),
    ("bad=extension,accept,subprotocol", ["Sec-WebSocket-Protocol: chat"], ["--deflate"],
     {"accept": WRONG_ACCEPT, "extension": INVENTED, "subprotocol": INVENTED}),
    ("bad=accept", ["Sec-WebSocket-Extensions: permessage-deflate"], ["--deflate"],
     {"accept": WRONG_ACCEPT, "extension": "permessage-deflate"}),
])
def test_a_bad_101_is_wrong_in_what_was_asked_for_and_in_nothing_else(query, fields, options, expected):
    answer, record = answered(lab(query, *fields) + framing.text("hi"), *options)
    assert answer == heads.switching(**expected) + framing.echo("hi")
    assert record.get("subprotocol") == expected.get("subprotocol") and record.get("extension") == expected.get("extension")
    assert record["lab"] == query


@rule("ws-echo(8) OPTIONS (26)")
def test_the_wrong_accept_value_differs_also_where_the_right_one_begins_with_a():
    keys = (f"{number:022}==" for number in range(1000))
    key = next(key for key in keys if sha1((key + GUID).encode()).digest()[0] < 4)  # whose first six bits are an A in Base64
    right = answered(heads.head(key=key))[0]
    at = right.index(b"Accept: ") + 8
    wrong = answered(lab("bad=accept", key=key))[0]
    assert right[at:at + 1] == b"A" and wrong == right[:at] + b"B" + right[at + 1:], right


@rule("ws-echo(8) OPTIONS (26)")
def test_with_a_bad_extension_compression_is_not_in_force():
    offer = "Sec-WebSocket-Extensions: permessage-deflate"
    compressed = framing.frame(TEXT, b"\x4a\x04\x00", rsv=4)
    answer, _ = answered(lab("bad=extension", offer) + framing.text("a" * 1000) + compressed, "--deflate")
    assert answer == heads.switching(extension=INVENTED) + framing.echo("a" * 1000) + framing.our_close("rsv-set")


# headers.

def shown(address, request):
    return framing.reply(TEXT, address.encode() + b"\r\n" + request)


@rule("ws-echo(8) OPTIONS (27)",
      "headers: the first message has the peer's address and the head; a page gets it only where its origin is named.")
@pytest.mark.parametrize("request_head", [
    lab("headers"), lab("headers", "Cookie: a=b", "X:  spaces kept\t ", "x: \u00e4".encode().decode("latin-1")),
    b"\r\n" + lab("headers"),
    lab("headers", "X: " + "x" * 20000), lab("headers", version="HTTP/1.9"), lab("headers", host=""),
])
def test_headers_is_a_message_of_the_head_as_it_arrived(request_head):
    answer, record = answered(request_head + framing.text("hi"))
    assert answer == heads.switching() + shown("-", request_head) + framing.echo("hi")
    assert record["messages"] == "1"


@rule("ws-echo(8) OPTIONS (27)")
def test_headers_is_binary_where_the_head_is_not_utf_8():
    request = lab("headers", "X: \xff")
    assert answered(request)[0] == heads.switching() + framing.reply(BINARY, b"-\r\n" + request)


@rule("ws-echo(8) OPTIONS (27)")
@pytest.mark.parametrize("bind, connect, peer", [
    (("127.0.0.1", 0), "127.0.0.1", "127.0.0.1"), (("::1", 0), "::1", "[::1]"), (("::", 0), "127.0.0.1", "127.0.0.1"),
])
def test_headers_begins_with_the_peers_address(bind, connect, peer):
    def pair():
        family = socket.AF_INET6 if ":" in bind[0] else socket.AF_INET
        with socket.create_server(bind, family=family, dualstack_ipv6=bind[0] == "::") as listener:
            client = socket.create_connection((connect, listener.getsockname()[1]))
            return client, listener.accept()[0]

    with launch.Served(LAB, pair=pair) as served:
        address = f"{peer}:{served.peer.socket.getsockname()[1]}"
        served.peer.send(lab("headers"))
        expected = heads.switching() + shown(address, lab("headers"))
        assert served.peer.receive(len(expected)) == expected


@rule("ws-echo(8) OPTIONS (27)")
@pytest.mark.parametrize("address, peer",
                         [("192.0.2.1 192.0.2.2 5 6", "192.0.2.1:5"), ("2001:db8::1 2001:db8::2 5 6", "[2001:db8::1]:5")])
def test_headers_shows_the_address_of_a_proxy_header_but_not_the_header(address, peer):
    family = "TCP6" if ":" in address else "TCP4"
    request = lab("headers")
    result = launch.run(f"PROXY {family} {address}\r\n".encode() + request, LAB, "--proxy-protocol")
    assert result.stdout == heads.switching() + shown(peer, request)


@rule("ws-echo(8) OPTIONS (27)")
@pytest.mark.parametrize("address", ["192.0.2.1", "2001:db8::1"])
def test_headers_shows_an_address_without_a_port_where_none_is_known(address):
    expected = f"[{address}]" if ":" in address else address
    result = launch.run(lab("headers"), LAB, env={"REMOTE_ADDR": address})
    assert result.stdout == heads.switching() + shown(expected, lab("headers"))


@rule("ws-echo(8) OPTIONS (27)")
@pytest.mark.parametrize("origin, options, status", [
    ("http://foreign", [], 403), ("null", [], 403), ("", [], 403), ("http://localhost:8888", [], 403),
    ("http://foreign", ["--origin=any"], 403), ("http://named", ["--origin=http://named"], 101),
    ("http://named", ["--origin=http://other", "--origin=http://named"], 101),
    ("http://foreign", ["--origin=http://named"], 403),
    (None, [], 101), (None, ["--origin=http://named"], 101), ("null", ["--origin=null"], 101),
])
def test_a_page_gets_the_headers_only_where_its_origin_is_named(origin, options, status):
    """Otherwise a page of another origin could read the cookies of the lab's host."""
    request = lab("hello=x&headers", *([] if origin is None else [f"Origin: {origin}"]), "Cookie: secret")
    answer, record = answered(request, *options)
    assert record["status"] == str(status)
    if status == 101:
        assert answer == heads.switching() + shown("-", request) + framing.reply(TEXT, b"x")
        return
    assert b"secret" not in answer
    heads.refused(answer, 403)
    ordinary = options == ["--origin=http://named"]
    assert record["end_id"] == ("origin-forbidden" if ordinary else "lab-headers-forbidden")


@rule("ws-echo(8) OPTIONS (27)")
def test_without_headers_a_page_of_any_origin_may_use_the_lab():
    assert answered(lab("hello=x", "Origin: http://foreign"))[0] == heads.switching() + framing.reply(TEXT, b"x")


# hello.

@rule("ws-echo(8) OPTIONS (28)", "hello: a text message that nobody asked for, with the 101.")
@pytest.mark.parametrize("query, text", [
    ("hello=hi", "hi"), ("hello=", ""), ("hello=a+b%20c%2Bd", "a b c+d"), ("hello=%00", "\0"), ("hello=%C3%A4", "ä"),
    ("hello=a=b", "a=b"),
    ("hello=" + "x" * 1024, "x" * 1024),
])
def test_hello_comes_unasked_and_without_the_prefix(query, text):
    answer, record = answered(lab(query) + framing.text("hi"), "--prefix=p ")
    assert answer == heads.switching() + framing.reply(TEXT, text.encode()) + framing.echo("hi", b"p ")
    assert (record["messages"], record["lab"]) == ("1", f"hello={len(text.encode())}")


@rule("ws-echo(8) OPTIONS (27)")
@rule("ws-echo(8) OPTIONS (28)")
def test_headers_and_hello_are_not_compressed():
    offer, text = "Sec-WebSocket-Extensions: permessage-deflate", "a" * 1000
    request = lab(f"hello={text}&headers", offer)
    answer, _ = answered(request, "--deflate")
    assert answer == heads.switching(extension="permessage-deflate") + shown("-", request) + framing.reply(TEXT, text.encode())


# The record.

@rule("ws-echo(8) OPTIONS (22)",
      "The record has the words, with texts by their length, and names the end lab where a word ended the connection.")
@pytest.mark.parametrize("query, recorded", [
    ("close=4000&after=2&hello=hello+world&raw=81ff00", "close=4000&after=2&hello=11&raw=3"),
    ("reason=%C3%A4&close=4000&count=1", "reason=2&close=4000&count=1"), ("delay=%30.0&hello=", "delay=0.0&hello=0"),
    ("mute=echo,ping&bad=accept", "mute=echo,ping&bad=accept"), ("stall&after=9", "stall&after=9"), ("headers", "headers"),
])
def test_the_record_has_the_words_with_texts_by_their_length(query, recorded):
    assert answered(lab(query))[1]["lab"] == recorded


@rule("ws-echo(8) OPTIONS (22)")
def test_the_longest_words_are_cut_in_the_record_as_other_values_are():
    query = "after=" + "0" * 250 + "9&close=4000&hello=x"
    shown_words = query.replace("hello=x", "hello=1")
    assert answered(lab(query))[1]["lab"] == shown_words[:256] + "..."


@rule("ws-echo(8) OPTIONS (23)")
def test_verbose_logs_a_status_and_the_fields_of_its_request():
    result = launch.run(lab("status=418"), LAB, "--verbose")
    lines = [re.sub(r"^ws-echo\[\d+\]: ", "", line) for line in result.stderr.decode().splitlines()]
    first = lines.index("lab status=418")
    assert lines[first + 1] == 'field Host: "localhost:8888"' and "end_id=lab" in lines[-1]
