"""The request head: every row of the table of HTTP answers, its limits, and what has to be accepted."""

import email.utils
import re
import string
import time

import pytest
import wire

LINE_LIMIT, HEAD_LIMIT, FIELD_LIMIT = 4096, 16384, 100


def request(line, *fields, host="localhost:8888"):
    """A request head of any line; `host=None` leaves Host out."""
    lines = [line, *([] if host is None else [f"Host: {host}"]), *fields, ""]
    return "".join(text + "\r\n" for text in lines).encode("latin-1")


def answer(data, *options):
    """The answer to a request, and nothing else may happen."""
    result = wire.run(data, *options)
    assert result.returncode == 0, result
    return result.stdout


def refused(data, status, *options):
    return wire.refused(answer(data, *options), status, "HEAD" if data.startswith(b"HEAD ") else "GET")


def accepted(data, *options):
    """Assert that a head is accepted and that a frame behind it is answered."""
    received = answer(data + wire.text("hi"), *options)
    assert received == wire.switching() + wire.echo("hi"), received


def rows(table, status):
    return [pytest.param(data, status, id=f"{status}-{name}") for name, data in table.items()]


def long_line(length):
    """A request line of that many bytes without its CRLF."""
    return "GET /socket?" + "q" * (length - len("GET /socket? HTTP/1.1")) + " HTTP/1.1"


def long_head(length):
    """An accepted head of that many bytes with its empty line."""
    return wire.head("X-Long: " + "v" * (length - len(wire.head("X-Long: "))))


def many_fields(count):
    """An accepted head of that many fields."""
    return wire.head(*[f"X-{number}: v" for number in range(count - 5)])


HTTP_2 = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
TLS = bytes.fromhex("16030100f8010000f40303") + bytes(range(256)) * 2

LINE_TOO_LONG = {
    "one-byte-too-long": request(long_line(LINE_LIMIT + 1)),
    "twice-as-long": request(long_line(2 * LINE_LIMIT)),
    "longer-than-a-head": request(long_line(3 * HEAD_LIMIT)),
    "long-method": request("G" * LINE_LIMIT + "ET /socket HTTP/1.1"),
    "with-another-version": request(long_line(LINE_LIMIT + 1).replace("/1.1", "/2.0")),
}

HEAD_TOO_LARGE = {
    "one-byte-too-large": long_head(HEAD_LIMIT + 1),
    "four-times-as-large": long_head(4 * HEAD_LIMIT),
    "one-field-too-many": many_fields(FIELD_LIMIT + 1),
    "many-too-many": many_fields(5 * FIELD_LIMIT),
    "on-a-path-not-served": wire.head("X-Long: " + "v" * HEAD_LIMIT, path="/other"),
    "without-host": wire.head("X-Long: " + "v" * HEAD_LIMIT, host=None),
}

OTHER_VERSION = {
    "http-2-preface": HTTP_2,
    "http-2": request("GET /socket HTTP/2.0"),
    "http-3": wire.head(version="HTTP/3.0"),
    "http-0.9": request("GET / HTTP/0.9"),
    "without-host": request("GET / HTTP/2.0", host=None),
    "with-a-wrong-field": request("GET / HTTP/2.0", "no colon"),
    "on-a-path-not-served": request("GET /other HTTP/2.0"),
}

WRONG_LINE = {
    "empty": b"\r\n\r\n\r\n",
    "two-empty-lines-in-front": b"\r\n\r\n" + wire.head(),
    "nothing-but-a-method": request("GET"),
    "http-0.9-simple-request": b"GET /\r\n",
    "without-a-version": request("GET /socket"),
    "without-a-method": request(" /socket HTTP/1.1"),
    "without-a-target": request("GET  HTTP/1.1"),
    "leading-space": request(" GET /socket HTTP/1.1"),
    "trailing-space": request("GET /socket HTTP/1.1 "),
    "two-spaces-before-target": request("GET  /socket HTTP/1.1"),
    "two-spaces-before-version": request("GET /socket  HTTP/1.1"),
    "space-in-target": request("GET /soc ket HTTP/1.1"),
    "tab-for-a-space": request("GET\t/socket HTTP/1.1"),
    "tab-before-version": request("GET /socket\tHTTP/1.1"),
    "method-no-token": request("G@T /socket HTTP/1.1"),
    "method-with-a-byte-above-0x7f": request("G\xc9T /socket HTTP/1.1"),
    "lower-case-http": wire.head(version="http/1.1"),
    "another-protocol": wire.head(version="ICY/1.1"),
    "version-without-slash": wire.head(version="HTTP1.1"),
    "version-without-minor": wire.head(version="HTTP/1"),
    "version-with-two-digits": wire.head(version="HTTP/1.10"),
    "version-with-a-letter": wire.head(version="HTTP/1.x"),
    "version-with-more-behind": wire.head(version="HTTP/1.1x"),
    "smtp": b"EHLO mail.example\r\n",
    "ssh": b"SSH-2.0-OpenSSH_9.2\r\n",
}

WRONG_TARGET = {
    "asterisk": request("OPTIONS * HTTP/1.1"),
    "asterisk-for-get": request("GET * HTTP/1.1"),
    "authority": request("CONNECT localhost:8888 HTTP/1.1"),
    "no-slash": request("GET socket HTTP/1.1"),
    "query-only": request("GET ?x HTTP/1.1"),
    "fragment": request("GET /socket#part HTTP/1.1"),
    "byte-above-0x7f": request("GET /s\xf6cket HTTP/1.1"),
    "absolute-without-host": request("GET http:///socket HTTP/1.1"),
    "absolute-with-userinfo": request("GET http://me@localhost/socket HTTP/1.1"),
    "absolute-with-wrong-port": request("GET http://localhost:80a/socket HTTP/1.1"),
    "absolute-with-wrong-address": request("GET http://[::1/socket HTTP/1.1"),
    "absolute-without-slashes": request("GET http:localhost/socket HTTP/1.1"),
}

WRONG_BYTE = {
    "bare-lf-after-line": request("GET /socket HTTP/1.1").replace(b"\r\n", b"\n", 1),
    "bare-lf-after-field": b"GET / HTTP/1.1\r\nHost: localhost\nX-A: b\r\n\r\n",
    "bare-lf-at-the-end": b"GET / HTTP/1.1\r\nHost: localhost\r\n\n",
    "bare-lf-throughout": b"GET / HTTP/1.1\nHost: localhost\n\n",
    "bare-lf-in-front": b"\n" + wire.head(),
    "bare-lf-in-line": request("GET /so\ncket HTTP/1.1"),
    "bare-cr-in-line": request("GET /so\rcket HTTP/1.1"),
    "bare-cr-in-front": b"\r" + wire.head(),
    "bare-cr-after-line": request("GET / HTTP/1.1").replace(b"\r\n", b"\r", 1),
    "bare-cr-in-value": wire.head("X-A: b\rc"),
    "bare-cr-in-name": wire.head("X\rA: b"),
    "bare-cr-before-crlf": wire.head("X-A: b\r"),
    "cr-in-the-empty-line": wire.head()[:-2] + b"\r\r\n",
    "nul-in-line": request("GET /so\0cket HTTP/1.1"),
    "nul-in-value": wire.head("X-A: b\0c"),
    "nul-in-name": wire.head("X\0A: b"),
    "nul-in-front": b"\0" + wire.head(),
    "tls": TLS,
    **{f"0x{byte:02x}-in-value": wire.head(f"X-A: b{chr(byte)}c")
       for byte in [*range(1, 9), 0x0B, 0x0C, *range(0x0E, 0x20), 0x7F]},
    "0x01-in-target": request("GET /so\x01cket HTTP/1.1"),
    "0x7f-in-target": request("GET /so\x7fcket HTTP/1.1"),
    "0x1b-in-a-host": wire.head(host="local\x1bhost"),
}

WRONG_FIELD = {
    "space-before-colon": wire.head("X-A : b"),
    "tab-before-colon": wire.head("X-A\t: b"),
    "host-with-space-before-colon": request("GET / HTTP/1.1", "Host : localhost", host=None),
    "space-in-name": wire.head("X A: b"),
    "no-colon": wire.head("X-A"),
    "no-name": wire.head(": b"),
    "name-above-0x7f": wire.head("X-\xc4: b"),
    **{f"name-with-{ord(character):02x}": wire.head(f"X{character}A: b")
       for character in '"(),/;<=>?@[\\]{}'},
    "folded-with-space": wire.head("X-A: b", " c"),
    "folded-with-tab": wire.head("X-A: b", "\tc"),
    "folded-with-a-field": wire.head("X-A: b", " X-B: c"),
    "line-of-spaces": wire.head("X-A: b", "  "),
    "space-before-the-first-field": b"GET /socket HTTP/1.1\r\n " + wire.head().partition(b"\r\n")[2],
}

WRONG_HOSTS = [
    "me@localhost", "me:secret@localhost", "local host", "localhost:80a", "localhost:-1", "localhost:80:90",
    "::1", "[::1", "::1]", "[::1]x", "[::1]:x", "[]", "[::g]", "[1:2:3]", "[1.2.3.4]", "localhost/",
    "http://localhost", "localhost?", "localhost#", "local%zzhost", "localhost%4", '"localhost"',
    "<localhost>", "local\\host", "local^host", "l\xf6calhost",
]

WRONG_HOST = {
    "none": request("GET /socket HTTP/1.1", host=None),
    "none-with-an-absolute-target": request("GET http://localhost/socket HTTP/1.1", host=None),
    "none-with-a-later-minor-version": request("GET /socket HTTP/1.2", host=None),
    "two": wire.head("Host: localhost:8888"),
    "two-of-different-case": wire.head("hOST: localhost:8888"),
    "two-empty": wire.head("Host:", host=""),
    "two-in-http-1.0": request("GET / HTTP/1.0", "Host: localhost"),
    "two-in-one": wire.head(host="a, b"),
    "invalid-on-a-path-not-served": wire.head(host="me@localhost", path="/other"),
    **{f"invalid-{host}": wire.head(host=host) for host in WRONG_HOSTS},
}

WRONG_CONTENT = {
    "length-above-0": wire.head("Content-Length: 1"),
    "length-above-0-of-a-post": request("POST /socket HTTP/1.1", "Content-Length: 5") + b"hello",
    **{f"length-{value or 'empty'}": wire.head(f"Content-Length: {value}")
       for value in ("", "abc", "-1", "-0", "+0", "0x0", "0.0", "0 0", "1a", "05", "0000000005", "4294967296",
                     "18446744073709551616", "340282366920938463463374607431768211456")},
    "two-lengths": wire.head("Content-Length: 0", "Content-Length: 5"),
    **{f"transfer-encoding-{value}": wire.head(f"Transfer-Encoding: {value}")
       for value in ("chunked", "identity", "CHUNKED", "x", "gzip, chunked")},
    "transfer-encoding-and-length": wire.head("Transfer-Encoding: chunked", "Content-Length: 0"),
    "transfer-encoding-in-http-1.0": request("GET / HTTP/1.0", "Transfer-Encoding: chunked"),
}

PROXY_HEADERS = {
    "proxy-version-1": b"PROXY TCP4 192.0.2.1 192.0.2.2 1024 8888\r\n" + wire.head(),
    "proxy-version-2": b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c" + bytes(12) + wire.head(),
}

NOT_SERVED = {
    "path": wire.head(path="/other"),
    "path-in-another-case": wire.head(path="/Socket"),
    "path-encoded": wire.head(path="/%73ocket"),
    "path-with-a-slash-behind": wire.head(path="/socket/"),
    "path-with-two-slashes": wire.head(path="//socket"),
    "path-with-dots": wire.head(path="/./socket"),
    "beginning-of-a-path": wire.head(path="/sock"),
    "page-as-a-websocket": wire.head(path="/"),
    "absolute": wire.head(path="http://localhost:8888/other"),
    "plain-get": request("GET /other HTTP/1.1"),
    "favicon": request("GET /favicon.ico HTTP/1.1"),
    "head": request("HEAD /other HTTP/1.1"),
    "post": request("POST /other HTTP/1.1"),
    "post-of-length-0": request("POST /other HTTP/1.1", "Content-Length: 0"),
    "http-1.0": request("GET /other HTTP/1.0", host=None),
    "version-8": wire.head(path="/other", sec_websocket_version="8"),
    "without-a-key": wire.head(path="/other", key=None),
}

WRONG_METHOD = {
    **{method: request(f"{method} /socket HTTP/1.1")
       for method in ("POST", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH", "get", "Get", "X-ANY!")},
    "upgrade-by-post": wire.head(method="POST"),
    "upgrade-by-head": wire.head(method="HEAD"),
    "post-to-the-page": request("POST / HTTP/1.1"),
    "post-in-http-1.0": request("POST /socket HTTP/1.0", host=None),
}

NOT_UPGRADED = {
    "no-upgrade": request("GET /socket HTTP/1.1"),
    "no-upgrade-but-the-rest": wire.head(upgrade=None),
    "another-upgrade": wire.head(upgrade="h2c"),
    "empty-upgrade": wire.head(upgrade=""),
    "upgrade-that-begins-like-websocket": wire.head(upgrade="websockets"),
    "upgrade-that-ends-like-websocket": wire.head(upgrade="xwebsocket"),
    "upgrade-with-a-space": wire.head(upgrade="web socket"),
    "http-1.0": wire.head(version="HTTP/1.0"),
    "http-1.0-without-host": wire.head(version="HTTP/1.0", host=None),
    "without-anything-else": request("GET /socket HTTP/1.1", "Connection: close"),
}

WRONG_HANDSHAKE = {
    "no-connection": wire.head(connection=None),
    "connection-empty": wire.head(connection=""),
    "connection-close": wire.head(connection="close"),
    "connection-keep-alive": wire.head(connection="keep-alive"),
    "connection-upgraded": wire.head(connection="Upgraded"),
    "connection-websocket": wire.head(connection="websocket"),
    "connection-with-a-space": wire.head(connection="keep-alive Upgrade"),
    "no-key": wire.head(key=None),
    "two-keys": wire.head("Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=="),
    "the-same-key-twice": wire.head(f"Sec-WebSocket-Key: {wire.KEY}"),
    "two-versions": wire.head("Sec-WebSocket-Version: 13"),
    "two-different-versions": wire.head("Sec-WebSocket-Version: 8"),
    "two-origins": wire.head("Origin: http://a.example", "Origin: http://b.example"),
    "the-same-origin-twice": wire.head("Origin: http://a.example", "Origin: http://a.example"),
    **{f"subprotocol-{name}": wire.head(f"Sec-WebSocket-Protocol: {value}")
       for name, value in {"with-space": "a b", "with-at": "a@b", "quoted": '"a"', "with-slash": "chat/1",
                           "with-semicolon": "a;q=1", "second-wrong": "chat, a b", "above-0x7f": "ch\xe4t",
                           "twice": "chat, chat", "twice-with-others": "a, chat, b, chat",
                           "empty": "", "of-blanks": " \t ", "of-commas": ",", "of-empty-names": " , ,\t,"}.items()},
    "subprotocol-empty-on-two-lines": wire.head("Sec-WebSocket-Protocol:", "Sec-WebSocket-Protocol: ,"),
    "subprotocols-over-64": wire.head("Sec-WebSocket-Protocol: " + ",".join(f"p{i}" for i in range(65))),
    "subprotocol-twice-on-two-lines": wire.head("Sec-WebSocket-Protocol: chat",
                                                "Sec-WebSocket-Protocol: x, chat"),
}

WRONG_KEYS = {
    "empty": "",
    "one-short": wire.KEY[1:],
    "one-long": "A" + wire.KEY,
    "of-15-bytes": "AAAAAAAAAAAAAAAAAAAA",
    "of-17-bytes": "AAAAAAAAAAAAAAAAAAAAAAA=",
    "of-18-bytes": "AAAAAAAAAAAAAAAAAAAAAAAA",
    "without-padding": wire.KEY[:-2],
    "with-one-equals-sign": wire.KEY[:-1],
    "with-three-equals-signs": wire.KEY + "=",
    "padding-in-front": "==" + wire.KEY[:-2],
    "padding-inside": wire.KEY[:10] + "==" + wire.KEY[12:],
    "space-inside": wire.KEY[:10] + " " + wire.KEY[11:],
    "space-added": wire.KEY[:10] + " " + wire.KEY[10:],
    "tab-added": wire.KEY[:10] + "\t" + wire.KEY[10:],
    "hyphen": "-" + wire.KEY[1:],
    "underscore": "_" + wire.KEY[1:],
    "byte-above-0x7f": "\xc4" + wire.KEY[1:],
    "in-quotes": f'"{wire.KEY}"',
    "list": f"{wire.KEY}, {wire.KEY}",
    "comma-behind": wire.KEY + ",",
}

WRONG_VERSION = {
    "none": wire.head(sec_websocket_version=None),
    **{value or "empty": wire.head(sec_websocket_version=value)
       for value in ("", "0", "7", "8", "12", "14", "013", "130", "1", "3", "13.0", "+13", "13, 8", "8, 13",
                     "x")},
}

ROWS = [
    *rows(LINE_TOO_LONG, 414),
    *rows(HEAD_TOO_LARGE, 431),
    *rows(OTHER_VERSION, 505),
    *rows({**WRONG_LINE, **WRONG_TARGET, **WRONG_BYTE, **WRONG_FIELD, **WRONG_HOST, **WRONG_CONTENT,
           **PROXY_HEADERS}, 400),
    *rows(NOT_SERVED, 404),
    *rows(WRONG_METHOD, 405),
    *rows(NOT_UPGRADED, 426),
    *rows(WRONG_HANDSHAKE, 400),
    *rows({f"key-{name}": wire.head(key=value) for name, value in WRONG_KEYS.items()}, 400),
    *rows(WRONG_VERSION, 426),
]


@pytest.mark.parametrize("data, status", ROWS)
def test_a_wrong_head_gets_the_answer_of_its_row(data, status):
    refused(data, status)


def test_an_origin_that_is_not_on_the_list_is_403():
    refused(wire.head("Origin: http://evil.example"), 403, "--origin=https://example.org")


def test_the_date_is_now():
    before = int(time.time())
    date = refused(wire.head(path="/other"), 404).fields["date"]
    assert before <= email.utils.parsedate_to_datetime(date).timestamp() <= time.time()


@pytest.mark.parametrize("data, status, allow", [
    (request("POST /socket HTTP/1.1"), 405, "GET"),
    (request("HEAD /socket HTTP/1.1"), 405, "GET"),
    (request("POST / HTTP/1.1"), 405, "GET, HEAD, OPTIONS"),
])
def test_405_names_the_methods_allowed(data, status, allow):
    assert refused(data, status).fields["allow"] == allow


@pytest.mark.parametrize("value", [None, "", "8", "13, 8"])
def test_426_for_another_version_names_version_13(value):
    found = refused(wire.head(sec_websocket_version=value), 426)
    assert found.fields["sec-websocket-version"] == "13"


@pytest.mark.parametrize("options, named", [
    ([], [b"/socket"]), (["--path=/a", "--path=/b"], [b"/a", b"/b"]),
])
def test_404_names_a_path_that_is_served_to_a_websocket_request(options, named):
    body = refused(wire.head(path="/other"), 404, *options).body
    assert any(path in body for path in named), body


# No byte of the request is reflected. The marker stands in every part that a head has, besides the fault.

MARKED = {
    "method": request("QUOKKA /socket HTTP/1.1"),
    "method-no-token": request("QUO@QUOKKA /socket HTTP/1.1"),
    "target": request("GET quokka HTTP/1.1"),
    "target-absolute": request("GET quokka://me@quokka/quokka HTTP/1.1"),
    "path": wire.head(path="/quokka?quokka"),
    "long-line": request("GET /" + "quokka" * 1000 + " HTTP/1.1"),
    "version": wire.head(version="HTTP/quokka"),
    "major-version": request("GET /quokka HTTP/7.0"),
    "host": wire.head(host="quokka@quokka"),
    "name": wire.head("quokka : x"),
    "value": wire.head("X-A: quokka\0quokka"),
    "folded": wire.head("X-A: quokka", " quokka"),
    "many-fields": wire.head(*["quokka: quokka"] * 200),
    "large": wire.head(*["quokka: " + "quokka" * 100] * 50),
    "length": wire.head("Content-Length: quokka"),
    "transfer-encoding": wire.head("Transfer-Encoding: quokka"),
    "upgrade": wire.head(upgrade="quokka"),
    "connection": wire.head(connection="quokka"),
    "key": wire.head(key="quokka"),
    "websocket-version": wire.head(sec_websocket_version="quokka"),
    "subprotocol": wire.head("Sec-WebSocket-Protocol: quokka, quokka"),
    "subprotocol-no-token": wire.head("Sec-WebSocket-Protocol: quo kka, qu\xd6kka/quokka"),
    "origin": wire.head("Origin: http://quokka.example"),
    "origins": wire.head("Origin: http://quokka.example", "Origin: http://quokka.example"),
    "proxy": b"PROXY quokka quokka\r\n\r\n",
    "tls": TLS + b"quokka",
}


@pytest.mark.parametrize("data", [pytest.param(data, id=name) for name, data in MARKED.items()])
def test_a_refusal_reflects_no_byte_of_the_request(data):
    line = b" HTTP/1.1\r\n"
    marked = data.replace(line, line + b"User-Agent: quokka\r\nCookie: quokka=quokka\r\n", 1)
    received = answer(marked, "--origin=https://example.org")
    assert wire.Answer(received).status >= 400, received
    assert b"quokka" not in received.lower(), received


@pytest.mark.parametrize("data, status", [
    (request("HEAD /other HTTP/1.1"), 404),
    (request("HEAD /socket HTTP/1.1"), 405),
    (request("HEAD / HTTP/1.1", host=None), 400),
    (request("HEAD / HTTP/1.1", "Host: twice"), 400),
    (request("HEAD / HTTP/1.1", "X-A : b"), 400),
    (request("HEAD / HTTP/1.1", *["X-A: b"] * FIELD_LIMIT), 431),
    (request("HEAD / HTTP/1.1", "Content-Length: 3"), 400),
    (request("HEAD / HTTP/2.0"), 505),
])
def test_no_body_comes_after_head(data, status):
    refused(data, status)


# Precedence: what makes the head unreadable first, then the rows in their order, by pairs of faults.

POLICY = "--origin=https://example.org"
EVIL = "Origin: http://evil.example"


@pytest.mark.parametrize("data, status", [
    pytest.param(data, status, id=f"{status}-{name}") for name, data, status in [
        ("line-too-long-before-path", request("GET /" + "o" * LINE_LIMIT + " HTTP/1.1"), 414),
        ("line-too-long-before-host", request("GET /" + "o" * LINE_LIMIT + " HTTP/1.1", host=None), 414),
        ("head-too-large-before-path", wire.head("X: " + "v" * HEAD_LIMIT, path="/other"), 431),
        ("head-too-large-before-method", wire.head("X: " + "v" * HEAD_LIMIT, method="POST"), 431),
        ("too-many-fields-before-host", wire.head(*["X: v"] * FIELD_LIMIT, host=None), 431),
        ("version-before-host", request("GET /other HTTP/2.0", host=None), 505),
        ("version-before-target", request("GET * HTTP/2.0"), 505),
        ("host-before-path", wire.head(host=None, path="/other"), 400),
        ("host-before-method", wire.head(host=None, method="POST"), 400),
        ("length-before-path", request("POST /other HTTP/1.1", "Content-Length: 4"), 400),
        ("transfer-encoding-before-method", request("POST / HTTP/1.1", "Transfer-Encoding: chunked"), 400),
        ("field-before-path", wire.head("X : v", path="/other"), 400),
        ("target-before-method", request("POST * HTTP/1.1"), 400),
        ("path-before-method", wire.head(path="/other", method="POST"), 404),
        ("path-before-version", wire.head(path="/other", sec_websocket_version="8"), 404),
        ("path-before-upgrade", wire.head(path="/other", upgrade=None), 404),
        ("path-before-http-1.0", wire.head(path="/other", version="HTTP/1.0"), 404),
        ("path-before-origin", wire.head(EVIL, path="/other"), 404),
        ("method-before-upgrade", wire.head(method="POST", upgrade=None), 405),
        ("method-before-http-1.0", wire.head(method="POST", version="HTTP/1.0"), 405),
        ("method-before-key", wire.head(method="POST", key=None), 405),
        ("method-before-version", wire.head(method="POST", sec_websocket_version="8"), 405),
        ("upgrade-before-connection", wire.head(upgrade=None, connection=None), 426),
        ("upgrade-before-key", wire.head(upgrade=None, key="x"), 426),
        ("http-1.0-before-key", wire.head(version="HTTP/1.0", key="x"), 426),
        ("connection-before-version", wire.head(connection=None, sec_websocket_version="8"), 400),
        ("key-before-version", wire.head(key=None, sec_websocket_version="8"), 400),
        ("two-origins-before-version", wire.head(EVIL, EVIL, sec_websocket_version="8"), 400),
        ("subprotocol-before-version",
         wire.head("Sec-WebSocket-Protocol: a, a", sec_websocket_version="8"), 400),
        ("subprotocol-before-origin", wire.head(EVIL, "Sec-WebSocket-Protocol: a b"), 400),
        ("version-before-origin", wire.head(EVIL, sec_websocket_version="8"), 426),
        ("upgrade-before-origin", wire.head(EVIL, upgrade=None), 426),
        ("origin-last", wire.head(EVIL), 403),
    ]
])
def test_the_first_row_that_applies_decides(data, status):
    refused(data, status, POLICY)


# Limits: exactly at them, and one beyond.

def test_a_request_line_of_4096_bytes_is_accepted_and_one_of_4097_is_414():
    line = long_line(LINE_LIMIT)
    assert len(line) == LINE_LIMIT
    accepted(wire.head().replace(b"GET /socket HTTP/1.1", line.encode()))
    refused(wire.head().replace(b"GET /socket HTTP/1.1", line.replace("?", "?q").encode()), 414)


def test_a_head_of_16384_bytes_is_accepted_and_one_of_16385_is_431():
    assert len(long_head(HEAD_LIMIT)) == HEAD_LIMIT
    accepted(long_head(HEAD_LIMIT))
    refused(long_head(HEAD_LIMIT + 1), 431)


def test_the_frames_behind_a_head_do_not_count_as_head():
    received = answer(long_head(HEAD_LIMIT) + wire.frame(wire.BINARY, bytes(HEAD_LIMIT)))
    assert received == wire.switching() + wire.reply(wire.BINARY, bytes(HEAD_LIMIT)), received[:200]


def test_100_fields_are_accepted_and_101_are_431():
    assert many_fields(FIELD_LIMIT).count(b"\r\n") == FIELD_LIMIT + 2
    accepted(many_fields(FIELD_LIMIT))
    refused(many_fields(FIELD_LIMIT + 1), 431)


def test_a_field_may_take_what_the_head_leaves_it():
    accepted(wire.head("X" * 8000 + ": " + "v" * 8000))


# What is odd but legal.

ACCEPTED = {
    "as-browsers-send-it": wire.head("Pragma: no-cache", "Cache-Control: no-cache", "User-Agent: Mozilla/5.0",
                                     "Origin: http://localhost:8000", "Accept-Encoding: gzip, deflate, br",
                                     "Accept-Language: en-GB,en;q=0.9", connection="keep-alive, Upgrade"),
    "tab-in-value": wire.head("X-A: b\tc"),
    "tab-around-value": wire.head("X-A:\tb\t"),
    "bytes-above-0x7f-in-value": wire.head("X-A: " + "".join(map(chr, range(0x80, 0x100)))),
    "every-visible-character-in-value": wire.head("X-A: " + string.printable[:94]),
    "every-token-character-in-name": wire.head(f"!#$%&'*+-.^_`|~{string.digits}{string.ascii_letters}: v"),
    "name-of-one-character": wire.head("X: v"),
    "empty-value": wire.head("X-A:", "X-B: ", "X-C: \t "),
    "colons-in-value": wire.head("X-A::b: c:"),
    "no-space-after-the-colon": wire.head().replace(b": ", b":"),
    "many-spaces-after-the-colon": wire.head().replace(b": ", b":  \t  "),
    "space-behind-values": wire.head().replace(b"\r\n", b" \t\r\n").replace(b" \t\r\n", b"\r\n", 1).replace(
        b"\r\n \t\r\n", b"\r\n\r\n"),
    "names-in-lower-case": re.sub(rb"\r\n[^:]+:", lambda name: name.group().lower(), wire.head()),
    "names-in-upper-case": re.sub(rb"\r\n[^:]+:", lambda name: name.group().upper(), wire.head()),
    "fields-in-another-order": b"GET /socket HTTP/1.1\r\n" + b"".join(
        line + b"\r\n" for line in reversed(wire.head().split(b"\r\n")[1:-2])) + b"\r\n",
    "empty-host": wire.head(host=""),
    "http-1.2": wire.head(version="HTTP/1.2"),
    "http-1.9": wire.head(version="HTTP/1.9"),
    "absolute-target": wire.head(path="http://localhost:8888/socket"),
    "absolute-target-of-another-host": wire.head(path="http://example.org/socket"),
    "absolute-target-in-another-case": wire.head(path="HTTP://LOCALHOST/socket"),
    "absolute-target-with-a-query": wire.head(path="http://localhost/socket?a=b"),
    "absolute-target-of-scheme-https": wire.head(path="https://localhost/socket"),
    "absolute-target-of-scheme-ws": wire.head(path="ws://localhost/socket"),
    "absolute-target-of-an-ipv6-address": wire.head(path="http://[::1]:8888/socket"),
    "query": wire.head(path="/socket?a=b&c"),
    "empty-query": wire.head(path="/socket?"),
    "query-with-question-marks-and-slashes": wire.head(path="/socket?/a?b/"),
    "query-with-an-address": wire.head(path="/socket?to=http://me@localhost/"),
    "leading-crlf": b"\r\n" + wire.head(),
    "keep-alive-and-upgrade": wire.head(connection="keep-alive, Upgrade"),
    "connection-in-lower-case": wire.head(connection="upgrade"),
    "connection-in-upper-case": wire.head(connection="UPGRADE"),
    "connection-without-spaces": wire.head(connection="keep-alive,Upgrade,x"),
    "connection-with-empty-elements": wire.head(connection=", ,keep-alive,,\tUpgrade , ,"),
    "connection-over-two-lines": wire.head("Connection: Upgrade", connection="keep-alive"),
    "connection-over-many-lines": wire.head("Connection: a", "connection: uPGRADE", "Connection:",
                                            connection=""),
    "connection-twice": wire.head("Connection: Upgrade"),
    "upgrade-in-another-case": wire.head(upgrade="WebSocket"),
    "upgrade-in-upper-case": wire.head(upgrade="WEBSOCKET"),
    "upgrade-list": wire.head(upgrade="h2c, websocket"),
    "upgrade-list-in-another-order": wire.head(upgrade="websocket,IRC/6.9"),
    "upgrade-with-empty-elements": wire.head(upgrade=",, websocket ,"),
    "upgrade-over-two-lines": wire.head("Upgrade: websocket", upgrade="h2c"),
    "content-length-0": wire.head("Content-Length: 0"),
    "content-length-00": wire.head("Content-Length: 00"),
    "expect": wire.head("Expect: 100-continue"),
    "version-with-space-around": wire.head(sec_websocket_version=" \t13\t "),
    "origin-of-any-kind": wire.head("Origin: null"),
    "extensions": wire.head("Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits, x"),
    "one-cookie-after-another": wire.head("Cookie: a=b", "Cookie: a=b"),
}


@pytest.mark.parametrize("data", [pytest.param(data, id=name) for name, data in ACCEPTED.items()])
def test_what_is_odd_but_legal_is_accepted(data):
    accepted(data)


@pytest.mark.parametrize("host", [
    "localhost", "localhost:", "localhost:8888", "LOCALHOST", "a.example.", "192.0.2.1", "192.0.2.1:80",
    "[::1]", "[::1]:8888", "[2001:db8::192.0.2.1]", "[1:2:3:4:5:6:7:8]", "[v1.a:b]", "a%20b",
    "a-b_c~d!$&'()*+;=", "xn--bcher-kva",
])
def test_a_valid_host_is_accepted(host):
    accepted(wire.head(host=host))


@pytest.mark.parametrize("position", range(22))
def test_a_key_may_have_any_character_of_base64_in_its_first_21_and_four_in_its_last(position):
    """The 22nd character carries two bits only: with others set it is another spelling of the same bytes."""
    alphabet = string.ascii_letters + string.digits + "+/"
    for character in "AQgw" if position == 21 else alphabet[position::21] + "+/":
        key = wire.KEY[:position] + character + wire.KEY[position + 1:]
        assert wire.Answer(answer(wire.head(key=key))).status == 101, key
    for character in set(alphabet) - set("AQgw") if position == 21 else "-_=,":
        key = wire.KEY[:position] + character + wire.KEY[position + 1:]
        refused(wire.head(key=key), 400)


# Wherever the bytes are cut, and with the connection still open, the answer is the same.

@pytest.mark.parametrize("data, status", [
    pytest.param(data, status, id=f"{status}-{name}") for name, data, status in [
        ("bare-lf", b"GET /socket HTTP/1.1\n", 400),
        ("bare-lf-in-a-field", b"GET /socket HTTP/1.1\r\nHost: x\n", 400),
        ("bare-cr", b"GET /socket HTTP/1.1\r\nHost: x\rX", 400),
        ("nul", b"GET /so\0", 400),
        ("nul-first", b"\0", 400),
        ("control-byte", b"GET /socket HTTP/1.1\r\nHost: \x1b", 400),
        ("tls", TLS[:11], 400),
        ("tls-whole", TLS, 400),
        ("wrong-line", b"hello\r\n", 400),
        ("folded", b"GET /socket HTTP/1.1\r\nHost: x\r\n folded\r\n", 400),
        ("space-before-colon", b"GET /socket HTTP/1.1\r\nHost : x\r\n", 400),
        ("name-no-token", b"GET /socket HTTP/1.1\r\nHo(st: x\r\n", 400),
        ("no-colon", b"GET /socket HTTP/1.1\r\nHost\r\n", 400),
        ("proxy-version-1", PROXY_HEADERS["proxy-version-1"].partition(b"GET")[0], 400),
        ("proxy-version-2", PROXY_HEADERS["proxy-version-2"].partition(b"GET")[0], 400),
        ("long-line", b"GET /" + b"o" * LINE_LIMIT, 414),
        ("long-head", wire.head("X: " + "v" * HEAD_LIMIT)[:HEAD_LIMIT + 1], 431),
        ("many-fields", many_fields(FIELD_LIMIT + 2)[:-2], 431),
        ("http-2", HTTP_2, 505),
    ]
])
def test_what_cannot_become_a_head_is_refused_at_once_while_the_connection_stays_open(data, status):
    with wire.Served() as served:
        served.peer.send(data)
        wire.refused(served.peer.rest(), status)


def undated(data):
    return re.sub(rb"\r\nDate: [^\r]*", b"", data)


@pytest.mark.parametrize("data, status", [
    pytest.param(data, status, id=f"{status}-{name}") for name, data, status in [
        ("accepted", wire.head(), 101),
        ("accepted-after-crlf", b"\r\n" + wire.head("X-A: b\t", connection="a,Upgrade"), 101),
        ("bare-cr", request("GET / HTTP/1.1", "X-A: b\rc"), 400),
        ("bare-lf", request("GET / HTTP/1.1", "X-A: b\nc"), 400),
        ("folded", request("GET / HTTP/1.1", "X-A: b", "\tc"), 400),
        ("no-host", request("GET / HTTP/1.1", "X-A: b", host=None), 400),
        ("two-empty-lines", b"\r\n\r\n" + wire.head(), 400),
        ("path", request("GET /other HTTP/1.1"), 404),
        ("http-2", HTTP_2, 505),
        ("proxy", PROXY_HEADERS["proxy-version-2"], 400),
    ]
])
def test_the_answer_is_the_same_wherever_the_bytes_are_cut(data, status):
    expected = undated(answer(data))
    assert wire.Answer(expected).status == status
    for cut in range(1, len(data)):
        received = undated(wire.in_parts([data[:cut], data[cut:]]))
        assert received == expected, (data[:cut], data[cut:], expected, received)


@pytest.mark.parametrize("data", [
    pytest.param(data, id=name) for name, data in {
        "head": long_head(HEAD_LIMIT),
        "large-head": long_head(HEAD_LIMIT + 1),
        "line": request(long_line(LINE_LIMIT)),
        "long-line": request(long_line(LINE_LIMIT + 1)),
        "fields": many_fields(FIELD_LIMIT),
        "many-fields": many_fields(FIELD_LIMIT + 1),
    }.items()
])
def test_limits_are_the_same_wherever_the_bytes_are_cut(data):
    expected = undated(answer(data))
    for cut in {1, LINE_LIMIT - 1, LINE_LIMIT, LINE_LIMIT + 1, len(data) - 3, len(data) - 2, len(data) - 1}:
        received = undated(wire.in_parts([data[:cut], data[cut:]]))
        assert received == expected, (len(data), cut, expected, received)


@pytest.mark.parametrize("data", [
    b"G", b"GET /socket HTTP/1.1\r\n", wire.head()[:-2], wire.head()[:-1], b"\r", b"\r\n",
])
def test_an_end_in_the_middle_of_a_head_is_an_ordinary_end(data):
    received = answer(data)
    assert not received or wire.Answer(received).status in (400, 408), received


def test_nothing_behind_a_refused_head_is_parsed():
    received = answer(wire.head(path="/other") + wire.head() + wire.text("hi"))
    assert received.count(b"HTTP/1.1 ") == 1, received
    wire.refused(received, 404)
