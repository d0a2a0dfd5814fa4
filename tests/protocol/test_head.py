# SPDX-License-Identifier: MIT
"""The request head: the answer to each kind of head, the limits, and which heads are accepted.

The table REFUSED contains whole requests, with status, sentence and end_id. unit/test_head.c tests the parser alone, with cases
that would take too many processes: every cut, every byte.
"""

import base64
import email.utils
import hashlib
import re
import string
import time

import framing
import heads
import launch
import pytest
from outcomes import OUTCOMES
from rule import rule

LINE_LIMIT, HEAD_LIMIT, FIELD_LIMIT = 16384, 32768, 100

# The options for the table; a head without Origin is accepted.
LISTED = ["--origin=https://example.org", "--origin=http://localhost:8000", "--origin=null"]


def request(line, *fields, host="localhost:8888"):
    """A request head with any request line; `host=None` leaves Host out."""
    lines = [line, *([] if host is None else [f"Host: {host}"]), *fields, ""]
    return "".join(text + "\r\n" for text in lines).encode("latin-1")


def run(data, *options):
    """The answer to a request and its record; asserts that nothing else is logged."""
    result = launch.run(data, *options)
    assert result.returncode == 0, result
    return result.stdout, launch.record(result.stderr.decode())


def answer(data, *options):
    return run(data, *options)[0]


def refused(data, end, *options):
    """Asserts that a head is refused with this end_id; returns the parsed answer."""
    received, record = run(data, *options)
    found = heads.refused(received, STATUS[end], "HEAD" if data.startswith(b"HEAD ") else "GET")
    assert (record["end_id"], record["status"]) == (end, str(STATUS[end])), record
    assert found.body in (b"", record["end"].encode() + b"\n"), (found.body, record)
    assert found.fields.get("sec-websocket-version") == ("13" if end == "version-not-13" else None), received
    return found


def accepted(data, *options):
    """Asserts that a head is accepted and that a frame after it is answered; returns the record."""
    received, record = run(data + framing.text("hi"), *options)
    assert received == heads.switching() + framing.echo("hi"), received
    return record


def long_line(length):
    """A request line of that many bytes, not counting CRLF."""
    return "GET /socket?" + "q" * (length - len("GET /socket? HTTP/1.1")) + " HTTP/1.1"


def long_head(length):
    """An acceptable head of that many bytes, including its empty line."""
    return heads.head("X-Long: " + "v" * (length - len(heads.head("X-Long: "))))


def many_fields(count):
    """An acceptable head with that many fields."""
    return heads.head(*[f"X-{number}: v" for number in range(count - 5)])


def key_of(first, last="A"):
    """A key of 16 bytes: 21 characters, and a last one of which only two bits count."""
    return f"{first:A<21}{last}=="


BASE64 = string.ascii_letters + string.digits + "+/"
TOKEN = "!#$%&'*+-.^_`|~" + string.digits + string.ascii_letters
HTTP_2 = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
TLS = bytes.fromhex("16030100f8010000f40303") + bytes(range(256)) * 2
PROXY_1 = b"PROXY TCP4 192.0.2.1 192.0.2.2 1024 8888\r\n"
PROXY_2 = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c" + bytes(12)

LINE_TOO_LONG = {
    "one-byte": request(long_line(LINE_LIMIT + 1)),
    "twice-as-long": request(long_line(2 * LINE_LIMIT)),
    "longer-than-a-head": request(long_line(3 * HEAD_LIMIT)),
    "long-method": request("G" * LINE_LIMIT + "ET /socket HTTP/1.1"),
    "with-another-version": request(long_line(LINE_LIMIT + 1).replace("/1.1", "/2.0")),
    "after-crlf": b"\r\n" + request(long_line(LINE_LIMIT + 1)),
}

HEAD_TOO_LARGE = {
    "one-byte": long_head(HEAD_LIMIT + 1),
    "one-byte-with-the-crlf-in-front": b"\r\n" + long_head(HEAD_LIMIT - 1),
    "four-times-as-large": long_head(4 * HEAD_LIMIT),
    "on-a-path-not-served": heads.head("X-Long: " + "v" * HEAD_LIMIT, path="/other"),
    "without-host": heads.head("X-Long: " + "v" * HEAD_LIMIT, host=None),
}

TOO_MANY_FIELDS = {
    "one": many_fields(FIELD_LIMIT + 1),
    "many": many_fields(5 * FIELD_LIMIT),
    "before-a-malformed-one": heads.head(*["X: v"] * FIELD_LIMIT, "no colon"),
}

VERSION_UNSUPPORTED = {
    "http-2-preface": HTTP_2,
    "http-2": request("GET /socket HTTP/2.0"),
    "http-3": heads.head(version="HTTP/3.0"),
    "http-0.9": request("GET / HTTP/0.9"),
    "without-host": request("GET / HTTP/2.0", host=None),
    "with-a-wrong-field": request("GET / HTTP/2.0", "no colon"),
    "on-a-path-not-served": request("GET /other HTTP/2.0"),
}

CUT_OFF = {
    "after-one-byte": b"G",
    "after-cr": b"\r",
    "after-crlf": b"\r\n",
    "after-two-empty-lines": b"\r\n\r\n",
    "in-the-line": request("GET /socket HTTP/1.1")[:10],
    "after-cr-of-the-line": b"GET /socket HTTP/1.1\r",
    "after-the-line": b"GET /socket HTTP/1.1\r\n",
    "in-a-field": heads.head()[:50],
    "before-the-empty-line": heads.head()[:-2],
    "in-the-empty-line": heads.head()[:-1],
}

LINE_MALFORMED = {
    "empty": b"\r\n\r\n\r\n",
    "two-empty-lines-in-front": b"\r\n\r\n" + heads.head(),
    "nothing-but-a-method": request("GET"),
    "http-0.9-simple-request": b"GET /\r\n",
    "without-a-version": request("GET /socket"),
    "without-a-method": request(" /socket HTTP/1.1"),
    "leading-space": request(" GET /socket HTTP/1.1"),
    "trailing-space": request("GET /socket HTTP/1.1 "),
    "two-spaces-before-target": request("GET  /socket HTTP/1.1"),
    "two-spaces-before-version": request("GET /socket  HTTP/1.1"),
    "space-in-target": request("GET /soc ket HTTP/1.1"),
    "space-in-an-absolute-target": request("GET http://a b/socket HTTP/1.1"),
    "tab-for-a-space": request("GET\t/socket HTTP/1.1"),
    "tab-before-version": request("GET /socket\tHTTP/1.1"),
    "method-no-token": request("G@T /socket HTTP/1.1"),
    "method-with-a-parenthesis": request("G(T /socket HTTP/1.1"),
    "method-with-a-byte-above-0x7f": request("G\xc9T /socket HTTP/1.1"),
    "lower-case-http": heads.head(version="http/1.1"),
    "lower-case-proxy": b"proxy TCP4 192.0.2.1 192.0.2.2 1024 8888\r\n",
    "another-protocol": heads.head(version="ICY/1.1"),
    "version-without-slash": heads.head(version="HTTP1.1"),
    "version-without-minor": heads.head(version="HTTP/1"),
    "version-without-dot": heads.head(version="HTTP/11"),
    "version-with-a-comma": heads.head(version="HTTP/1,1"),
    "version-with-two-digits": heads.head(version="HTTP/1.10"),
    "version-with-a-letter": heads.head(version="HTTP/1.x"),
    "version-with-a-letter-in-front": heads.head(version="HTTP/x.1"),
    "version-with-more-after": heads.head(version="HTTP/1.1x"),
    "smtp": b"EHLO mail.example\r\n",
    "ssh": b"SSH-2.0-OpenSSH_9.2\r\n",
}

TARGET_MALFORMED = {
    "empty": request("GET  HTTP/1.1"),
    "asterisk-for-get": request("GET * HTTP/1.1"),
    "asterisk-for-head": request("HEAD * HTTP/1.1"),
    "asterisk-for-post": request("POST * HTTP/1.1"),
    "asterisk-for-options-in-lower-case": request("options * HTTP/1.1"),
    "asterisk-for-a-method-that-begins-like-options": request("OPTIONSX * HTTP/1.1"),
    "asterisk-for-a-websocket": heads.head(path="*"),
    "two-asterisks": request("OPTIONS ** HTTP/1.1"),
    "asterisk-with-a-query": request("OPTIONS *?x HTTP/1.1"),
    "asterisk-with-a-path": request("OPTIONS */ HTTP/1.1"),
    "authority": request("CONNECT localhost:8888 HTTP/1.1"),
    "no-slash": request("GET socket HTTP/1.1"),
    "query-only": request("GET ?x HTTP/1.1"),
    **{f"absolute-{target}": heads.head(path=target) for target in [
        "http", "http:", "http:/", "http://", "http:///socket", "http://?a", "http://:80/socket", "http:/socket",
        "http:localhost/socket", "ftp://localhost/socket", "xhttp://localhost/socket", "://localhost/socket",
        "http://me@localhost/socket", "http://localhost:80a/socket", "http://[::1/socket", "http://[::1]x/socket",
        "http://a:b:c/socket",
    ]},
}

TARGET_FRAGMENT = {
    "after-the-path": request("GET /socket#part HTTP/1.1"),
    "empty": request("GET /socket# HTTP/1.1"),
    "after-the-query": heads.head(path="/socket?token=a#b"),
    "of-an-absolute-target": heads.head(path="http://localhost/#part"),
    "alone": request("GET # HTTP/1.1"),
    "of-a-websocket": heads.head(path="/socket#"),
    "before-a-tab": request("GET /#\t HTTP/1.1"),
    "before-a-byte-above-0x7f": request("GET /#\xe4 HTTP/1.1"),
}

TARGET_NOT_ASCII = {
    "utf-8": request("GET /s\xc3\xb6cket HTTP/1.1"),
    "latin-1": request("GET /s\xf6cket HTTP/1.1"),
    "0x80": request("GET /\x80 HTTP/1.1"),
    "0xff": request("GET /\xff HTTP/1.1"),
    "in-a-query": heads.head(path="/socket?name=J\xc3\xb6rg"),
    "in-an-absolute-target": heads.head(path="http://b\xc3\xbccher.example/socket"),
    "in-no-path": request("GET \xc3\xa4 HTTP/1.1"),
    "before-a-number-sign": request("GET /\xc3\xa4# HTTP/1.1"),
}

TARGET_TAB = {
    "in-a-path": request("GET /soc\tket HTTP/1.1"),
    "in-a-query": heads.head(path="/socket?a\tb"),
    "in-front": request("GET \t/socket HTTP/1.1"),
    "after": request("GET /socket\t HTTP/1.1"),
    "before-a-number-sign": request("GET /\t# HTTP/1.1"),
}

BARE_LF = {
    "after-line": request("GET /socket HTTP/1.1").replace(b"\r\n", b"\n", 1),
    "after-field": b"GET / HTTP/1.1\r\nHost: localhost\nX-A: b\r\n\r\n",
    "at-the-end": b"GET / HTTP/1.1\r\nHost: localhost\r\n\n",
    "throughout": b"GET / HTTP/1.1\nHost: localhost\n\n",
    "in-front": b"\n" + heads.head(),
    "in-line": request("GET /so\ncket HTTP/1.1"),
}

BARE_CR = {
    "in-line": request("GET /so\rcket HTTP/1.1"),
    "in-front": b"\r" + heads.head(),
    "after-line": request("GET / HTTP/1.1").replace(b"\r\n", b"\r", 1),
    "in-value": heads.head("X-A: b\rc"),
    "in-name": heads.head("X\rA: b"),
    "before-crlf": heads.head("X-A: b\r"),
    "in-the-empty-line": heads.head()[:-2] + b"\r\r\n",
    "before-a-control-byte": heads.head("X-A: b\r\x01"),
}

CONTROL_BYTE = {
    "nul-in-line": request("GET /so\0cket HTTP/1.1"),
    "nul-in-value": heads.head("X-A: b\0c"),
    "nul-in-name": heads.head("X\0A: b"),
    "nul-in-front": b"\0" + heads.head(),
    **{f"0x{byte:02x}-in-value": heads.head(f"X-A: b{chr(byte)}c")
       for byte in [*range(1, 9), 0x0B, 0x0C, *range(0x0E, 0x20), 0x7F]},
    "0x01-in-front": b"\x01" + heads.head(),
    "0x01-in-target": request("GET /so\x01cket HTTP/1.1"),
    "0x16-after-the-first-byte": request("G\x16T /socket HTTP/1.1"),
    "0x7f-in-target": request("GET /so\x7fcket HTTP/1.1"),
    "0x1b-in-a-host": heads.head(host="local\x1bhost"),
}

FIELD_SPACE = {
    "space": heads.head("X-A : b"),
    "tab": heads.head("X-A\t: b"),
    "host": request("GET / HTTP/1.1", "Host : localhost", host=None),
}

FIELD_MALFORMED = {
    "space-in-name": heads.head("X A: b"),
    "no-colon": heads.head("X-A"),
    "no-colon-but-a-space": heads.head("X-A "),
    "no-name": heads.head(": b"),
    "name-above-0x7f": heads.head("X-\xc4: b"),
    **{f"name-with-{ord(character):02x}": heads.head(f"X{character}A: b")
       for character in '"(),/;<=>?@[\\]{}'},
}

FIELD_FOLDED = {
    "with-space": heads.head("X-A: b", " c"),
    "with-tab": heads.head("X-A: b", "\tc"),
    "with-a-field": heads.head("X-A: b", " X-B: c"),
    "line-of-spaces": heads.head("X-A: b", "  "),
    "before-the-first-field": b"GET /socket HTTP/1.1\r\n " + heads.head().partition(b"\r\n")[2],
}

HOST_COUNT = {
    "none": request("GET /socket HTTP/1.1", host=None),
    "none-with-an-absolute-target": request("GET http://localhost/socket HTTP/1.1", host=None),
    "none-with-options": request("OPTIONS / HTTP/1.1", host=None),
    "none-with-a-later-minor-version": request("GET /socket HTTP/1.2", host=None),
    "two": heads.head("Host: localhost:8888"),
    "two-of-different-case": heads.head("hOST: localhost:8888"),
    "two-empty": heads.head("Host:", host=""),
    "two-malformed": heads.head("Host: a/b", host="a/b"),
    "two-in-http-1.0": request("GET / HTTP/1.0", "Host: localhost"),
}

LONGEST_ADDRESS = "1111:2222:3333:4444:5555:6666:255.255.255.255"

WRONG_HOSTS = [
    "me@localhost", "me:secret@localhost", "local host", "localhost:80a", "localhost:8 0", "localhost:-1",
    "localhost:80:90", "localhost:b", "a:80:90", "b:c:d", "[", "[:", "[::1", "::1]", "[::1]]", "a[::1]", "[::1]x",
    "[::1]8888", "[::1]:x", "[::1]:80a", "[]", "[::g]", "[1:2:3]", "[1:2:3:4:5:6:7:8:9]", "[1.2.3.4]", "1:2:3",
    "1:2:3:4:5:6:7:8:9:10", "::g", "::g:80", "::1:80x", "192.0.2.1:80:90", ":80:90", "[%eth0]", "[::g%eth0]",
    "[1.2.3.4%eth0]", "::g%eth0", "localhost%eth0", "%eth0", "a:80%eth0",
    f"[{LONGEST_ADDRESS}5]", f"[{'0' * 56}]", f"{LONGEST_ADDRESS}5", "[v.a]", "[v1.]", "[v1]", "[vg.a]", "[v1.a/b]",
    "[v1.a%41]", "[v1.a%eth0]", "localhost/", "http://localhost", "localhost?", "localhost#", "%", "%4", "%4g", "%g4",
    "local%zzhost", "localhost%4", "localhost%4:80", '"localhost"', "<localhost>", "local\\host", "local^host",
    "l\xf6calhost", "b\xc3\xbccher.example", "a\x80",
]

HOST_MALFORMED = {
    "two-in-one": heads.head(host="a, b"),
    "on-a-path-not-served": heads.head(host="me@localhost", path="/other"),
    "in-http-1.0": request("GET / HTTP/1.0", host="a/b"),
    "with-an-absolute-target": request("GET http://localhost/ HTTP/1.1", host="a@b"),
    **{host: heads.head(host=host) for host in WRONG_HOSTS},
}

UNBRACKETED = [
    "::", "::1", "2001:db8::1", "1:2:3:4:5:6:7:8", "::ffff:192.0.2.1", LONGEST_ADDRESS,
    "::1:80", "::1:65535", "::1:", ":::80", "2001:db8::1:8888", "2001:db8:1:2:3:4:5:6:8888", "::ffff:192.0.2.1:80",
    f"{LONGEST_ADDRESS}:8888",
]

HOST_UNBRACKETED = {
    **{host: heads.head(host=host) for host in UNBRACKETED},
    **{f"in-the-target-{host}": heads.head(path=f"ws://{host}/socket") for host in UNBRACKETED},
    "in-http-1.0": request("GET / HTTP/1.0", host="::1"),
}

ZONED = [
    "[fe80::1%eth0]", "[fe80::1%eth0]:8888", "[fe80::1%25eth0]", "[fe80::1%]", "[fe80::1%1]:", "[::1%lo]",
    f"[{LONGEST_ADDRESS}%eth0]", "fe80::1%eth0", "fe80::1%eth0:8888", "fe80::1%25eth0", "::%1",
]

HOST_ZONE = {
    **{host: heads.head(host=host) for host in ZONED},
    **{f"in-the-target-{host}": heads.head(path=f"ws://{host}/socket") for host in ZONED},
    "in-http-1.0": request("GET / HTTP/1.0", host="[fe80::1%eth0]"),
}

# Not exactly one plain number: refused for any method, before path and method are checked.
WRONG_LENGTHS = [
    "", "abc", "-1", "-0", "+0", "+5", "0x0", "0x5", "0o5", "0b1", "0.0", "5.0", "5e0", "0 0", "5 5", "0, 0", "5, 5", "5,5",
    "5,", ",5", "0,5", "1_0", "1a", "5;", "5; a", '"5"', "5 octets", "\xb2", "\xb25", "1\t2",
    "1000000000000000000", "18446744073709551616", "18446744073709551621", "340282366920938463463374607431768211456",
    "9" * 1000,
]
REQUEST_LINES = {
    "get": "GET /socket", "head": "HEAD /", "options": "OPTIONS /", "options-of-all": "OPTIONS *", "post": "POST /socket",
    "post-to-the-page": "POST /", "post-elsewhere": "POST /other", "put": "PUT /socket", "trace": "TRACE /",
    "unknown-method": "get /",
}
WITHOUT_CONTENT = ["get", "head", "options", "options-of-all"]


def with_content(name, *fields, version="1.1"):
    """A request with this request line."""
    return request(f"{REQUEST_LINES[name]} HTTP/{version}", *fields)


CONTENT = {
    # Content of methods that have none.
    **{f"{name}-{value}": with_content(name, f"Content-Length: {value}") for name in WITHOUT_CONTENT
       for value in ("1", "5", "05", "0000000005", "4294967296", "999999999999999999")},
    "of-a-websocket": heads.head("Content-Length: 5"),
    "of-a-page-in-http-1.0": request("GET / HTTP/1.0", "Content-Length: 5", host=None),
    # Ambiguous.
    **{f"{name}-{value[:40] or 'empty'}": with_content(name, f"Content-Length: {value}")
       for name in ("get", "post") for value in WRONG_LENGTHS},
    **{f"{name}-two-lengths{kind}": with_content(name, *fields) for name in REQUEST_LINES for kind, fields in {
        "": ("Content-Length: 0", "Content-Length: 5"),
        "-the-same": ("Content-Length: 5", "Content-Length: 5"),
        "-of-0": ("Content-Length: 0", "Content-Length: 0"),
        "-of-different-case": ("Content-Length: 0", "content-length: 00"),
        "-one-empty": ("Content-Length:", "Content-Length: 5"),
        "-apart": ("Content-Length: 5", "X-A: b", "CONTENT-LENGTH: 5"),
    }.items()},
    "two-lengths-of-a-websocket": heads.head("Content-Length: 0", "Content-Length: 0"),
    "two-lengths-in-http-1.0": with_content("post", "Content-Length: 5", "Content-Length: 5", version="1.0"),
}

# Anything except chunked alone: refused as above.
WRONG_CODINGS = [
    "", "identity", "x", "gzip", "gzip, chunked", "chunked, gzip", "chunked, chunked", "chunked,chunked", "chunked,",
    ", chunked", ",chunked", "chunked, identity", "identity, chunked", "chunked;a=b", "chunked; a", '"chunked"', "'chunked'",
    "xchunked", "chunkedx", "chunk", "chunked\xa0", "\x85chunked", "chunked chunked", "chun\tked", "chunked/1", "cow",
    "compress", "trailers",
]

TRANSFER_ENCODING = {
    # Content of methods that have none.
    **{f"{name}-{value}": with_content(name, f"Transfer-Encoding: {value}")
       for name in WITHOUT_CONTENT for value in ("chunked", "CHUNKED", "gzip")},
    "of-a-websocket": heads.head("Transfer-Encoding: chunked"),
    # Ambiguous.
    **{f"{name}-{value or 'empty'}": with_content(name, f"Transfer-Encoding: {value}")
       for name in ("post", "post-elsewhere", "unknown-method") for value in WRONG_CODINGS},
    **{f"{name}-two{kind}": with_content(name, *fields) for name in REQUEST_LINES for kind, fields in {
        "": ("Transfer-Encoding: chunked", "Transfer-Encoding: chunked"),
        "-of-different-case": ("Transfer-Encoding: chunked", "transfer-encoding: Chunked"),
        "-one-empty": ("Transfer-Encoding: chunked", "Transfer-Encoding:"),
        "-the-other-identity": ("Transfer-Encoding: chunked", "Transfer-Encoding: identity"),
    }.items()},
    **{f"{name}-and-length{kind}": with_content(name, *fields) for name in REQUEST_LINES for kind, fields in {
        "": ("Transfer-Encoding: chunked", "Content-Length: 0"),
        "-in-front": ("Content-Length: 5", "Transfer-Encoding: chunked"),
        "-malformed": ("Transfer-Encoding: chunked", "Content-Length: x"),
        "-of-an-empty-one": ("Transfer-Encoding:", "Content-Length: 5"),
        "-of-another-coding": ("Content-Length: 5", "Transfer-Encoding: identity"),
    }.items()},
    **{f"{name}-in-http-1.0": with_content(name, "Transfer-Encoding: chunked", version="1.0") for name in REQUEST_LINES},
}

SOCKET_ELSEWHERE = {
    "path": heads.head(path="/other"),
    "path-in-another-case": heads.head(path="/Socket"),
    "path-encoded": heads.head(path="/%73ocket"),
    "path-with-a-slash-after": heads.head(path="/socket/"),
    "path-with-two-slashes": heads.head(path="//socket"),
    "path-with-dots": heads.head(path="/./socket"),
    "beginning-of-a-path": heads.head(path="/sock"),
    "page-as-a-websocket": heads.head(path="/"),
    "absolute": heads.head(path="http://localhost:8888/other"),
    "version-8": heads.head(path="/other", sec_websocket_version="8"),
    "without-a-key": heads.head(path="/other", key=None),
}

PATH_UNKNOWN = {
    "get": request("GET /other HTTP/1.1"),
    "favicon": request("GET /favicon.ico HTTP/1.1"),
    "index": request("GET /index.html HTTP/1.1"),
    "folder": request("GET /other/ HTTP/1.1"),
    "head": request("HEAD /other HTTP/1.1"),
    "post": request("POST /other HTTP/1.1"),
    "post-of-length-0": request("POST /other HTTP/1.1", "Content-Length: 0"),
    "post-with-content": request("POST /other HTTP/1.1", "Content-Length: 5") + b"hello",
    "post-with-chunks": request("POST /other HTTP/1.1", "Transfer-Encoding: chunked") + b"5\r\nhello\r\n0\r\n\r\n",
    "unknown-method": request("BREW /other HTTP/1.1"),
    "options": request("OPTIONS /other HTTP/1.1"),
    "http-1.0": request("GET /other HTTP/1.0", host=None),
}

METHOD_NOT_ALLOWED = {
    **{method: request(f"{method} /socket HTTP/1.1")
       for method in ("POST", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH", "CONNECT")},
    **{f"{method}-to-the-page": request(f"{method} / HTTP/1.1")
       for method in ("POST", "PUT", "DELETE", "TRACE", "PATCH", "CONNECT")},
    # Valid framing of content does not change the answer.
    **{f"{name}-{value}": with_content(name, f"Content-Length: {value}") + b"hello"
       for name in ("post", "post-to-the-page", "put", "trace")
       for value in ("5", "0", "00", "0005", "999999999999999999", "000000000000000000000000000005", " \t 5 \t ")},
    **{f"{name}-{value}": with_content(name, f"Transfer-Encoding: {value}") + b"5\r\nhello\r\n0\r\n\r\n"
       for name in ("post", "post-to-the-page", "put", "trace") for value in ("chunked", "Chunked", "CHUNKED", " \t chunked \t ")},
    "post-with-content-that-does-not-come": with_content("post", "Content-Length: 5"),
    "post-with-malformed-chunks": with_content("post", "Transfer-Encoding: chunked") + b"+5\nhello",
    "post-with-content-that-looks-like-a-request": with_content("post", "Content-Length: 400") + heads.head(),
    "post-with-content-in-http-1.0": with_content("post", "Content-Length: 5", version="1.0") + b"hello",
    "post-that-expects-100-continue": with_content("post", "Expect: 100-continue", "Content-Length: 5"),
    "upgrade-by-post": heads.head(method="POST"),
    "upgrade-by-head": heads.head(method="HEAD"),
    "post-in-http-1.0": request("POST /socket HTTP/1.0", host=None),
}

METHOD_UNKNOWN = {
    **{method: request(f"{method} /socket HTTP/1.1")
       for method in ("get", "Get", "GETS", "GE", "post", "patch", "QUERY", "PROPFIND", "BREW", "PRI", "X-ANY!", "0", TOKEN)},
    "to-the-page": request("PROPFIND / HTTP/1.1"),
    "upgrade": heads.head(method="get"),
    "with-content": request("BREW /socket HTTP/1.1", "Content-Length: 5") + b"hello",
    "with-chunks": request("BREW /socket HTTP/1.1", "Transfer-Encoding: chunked") + b"0\r\n\r\n",
    "in-http-1.0": request("BREW /socket HTTP/1.0", host=None),
    "as-long-as-the-line-allows": request("G" * (LINE_LIMIT - len(" / HTTP/1.1")) + " / HTTP/1.1"),
}

UPGRADE_REQUIRED = {
    "no-upgrade": request("GET /socket HTTP/1.1"),
    "no-upgrade-but-the-rest": heads.head(upgrade=None),
    "another-upgrade": heads.head(upgrade="h2c"),
    "empty-upgrade": heads.head(upgrade=""),
    "upgrade-that-begins-like-websocket": heads.head(upgrade="websockets"),
    "upgrade-that-ends-like-websocket": heads.head(upgrade="xwebsocket"),
    "upgrade-with-a-space": heads.head(upgrade="web socket"),
    "http-1.0": heads.head(version="HTTP/1.0"),
    "http-1.0-without-host": heads.head(version="HTTP/1.0", host=None),
    "without-anything-else": request("GET /socket HTTP/1.1", "Connection: close"),
}

CONNECTION_NOT_UPGRADE = {
    "none": heads.head(connection=None),
    **{value or "empty": heads.head(connection=value)
       for value in ("", "close", "keep-alive", "Upgraded", "websocket", "keep-alive Upgrade")},
}

KEY_TWICE = {
    "another": heads.head("Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=="),
    "the-same": heads.head(f"Sec-WebSocket-Key: {heads.KEY}"),
    "after-a-malformed-one": heads.head(f"Sec-WebSocket-Key: {heads.KEY}", key="x"),
}

WRONG_KEYS = {
    "empty": "",
    "one-short": heads.KEY[1:],
    "one-long": "A" + heads.KEY,
    "of-15-bytes": "AAAAAAAAAAAAAAAAAAAA",
    "of-17-bytes": "AAAAAAAAAAAAAAAAAAAAAAA=",
    "of-18-bytes": "AAAAAAAAAAAAAAAAAAAAAAAA",
    "without-padding": heads.KEY[:-2],
    "with-one-equals-sign": heads.KEY[:-1],
    "with-three-equals-signs": heads.KEY + "=",
    "padding-in-front": "==" + heads.KEY[:-2],
    "padding-inside": heads.KEY[:10] + "==" + heads.KEY[12:],
    "space-inside": heads.KEY[:10] + " " + heads.KEY[11:],
    "space-added": heads.KEY[:10] + " " + heads.KEY[10:],
    "tab-added": heads.KEY[:10] + "\t" + heads.KEY[10:],
    "hyphen": "-" + heads.KEY[1:],
    "underscore": "_" + heads.KEY[1:],
    "byte-above-0x7f": "\xc4" + heads.KEY[1:],
    "in-quotes": f'"{heads.KEY}"',
    "list": f"{heads.KEY}, {heads.KEY}",
    "comma-after": heads.KEY + ",",
    **{f"{ord(byte):02x}-at-{at}": heads.KEY[:at] + byte + heads.KEY[at + 1:] for at in (0, 10, 21) for byte in "-_=@[`{:. "},
}

VERSION_TWICE = {
    "the-same": heads.head("Sec-WebSocket-Version: 13"),
    "another": heads.head("Sec-WebSocket-Version: 8"),
    "and-origin": heads.head("Sec-WebSocket-Version: 13", "Origin: null", "Origin: null"),
}

ORIGIN_TWICE = {
    "another": heads.head("Origin: http://a.example", "Origin: http://b.example"),
    "the-same": heads.head("Origin: http://a.example", "Origin: http://a.example"),
}

SUBPROTOCOL_MALFORMED = {
    name: heads.head(*[f"Sec-WebSocket-Protocol: {value}" for value in values]) for name, *values in [
        ("with-space", "a b"), ("with-at", "a@b"), ("quoted", '"a"'), ("with-slash", "chat/1"),
        ("with-semicolon", "a;q=1"), ("the-second", "chat, a b"), ("the-65th", ",".join(map(str, range(64))) + ",a b"),
        ("above-0x7f", "ch\xe4t"), ("empty-in-quotes", '""'), ("after-empty-names", ",, ,a b"), ("on-the-second-line", "", "a b"),
    ]
}

SUBPROTOCOL_TWICE = {
    "the-same": heads.head("Sec-WebSocket-Protocol: chat, chat"),
    "among-others": heads.head("Sec-WebSocket-Protocol: a, chat, b, chat"),
    "on-two-lines": heads.head("Sec-WebSocket-Protocol: chat", "Sec-WebSocket-Protocol: x, chat"),
}

TOO_MANY_SUBPROTOCOLS = {
    "one": heads.head("Sec-WebSocket-Protocol: " + ",".join(map(str, range(65)))),
    "the-same-again": heads.head("Sec-WebSocket-Protocol: " + ",".join(map(str, [*range(64), 0]))),
}

VERSION_NOT_13 = {
    "none": heads.head(sec_websocket_version=None),
    **{value or "empty": heads.head(sec_websocket_version=value)
       for value in ("", "0", "7", "8", "12", "14", "013", "130", "1", "3", "13.0", "+13", "13, 8", "8, 13",
                     "x")},
}

ORIGIN_FORBIDDEN = {
    origin or "empty": heads.head(f"Origin: {origin}") for origin in [
        "http://evil.example", "http://example.org", "https://example.org:443", "https://example.org/",
        "https://example.or", "https://example.org.evil.example", "https://www.example.org", "HTTPS://EXAMPLE.ORG",
        "http://localhost", "http://localhost:80", "nul", "nullx", "", "https://example.org, null",
        "https://example.org null", "https://evil.example/https://example.org",
    ]
}

# Heads by (end_id, status); each end_id has one sentence.
REFUSED = {
    ("line-too-long", 414): LINE_TOO_LONG,
    ("head-too-large", 431): HEAD_TOO_LARGE,
    ("too-many-fields", 431): TOO_MANY_FIELDS,
    ("version-unsupported", 505): VERSION_UNSUPPORTED,
    ("cut-off", 400): CUT_OFF,
    ("tls-hello", 400): {"whole": TLS, "one-byte": TLS[:1]},
    ("proxy-unexpected", 400): {"version-1": PROXY_1 + heads.head(), "version-2": PROXY_2 + heads.head()},
    ("bare-lf", 400): BARE_LF,
    ("bare-cr", 400): BARE_CR,
    ("control-byte", 400): CONTROL_BYTE,
    ("line-malformed", 400): LINE_MALFORMED,
    ("target-malformed", 400): TARGET_MALFORMED,
    ("target-fragment", 400): TARGET_FRAGMENT,
    ("target-not-ascii", 400): TARGET_NOT_ASCII,
    ("target-tab", 400): TARGET_TAB,
    ("field-folded", 400): FIELD_FOLDED,
    ("field-space", 400): FIELD_SPACE,
    ("field-malformed", 400): FIELD_MALFORMED,
    ("host-count", 400): HOST_COUNT,
    ("host-malformed", 400): HOST_MALFORMED,
    ("host-unbracketed", 400): HOST_UNBRACKETED,
    ("host-zone", 400): HOST_ZONE,
    ("content", 400): CONTENT,
    ("transfer-encoding", 400): TRANSFER_ENCODING,
    ("path-unknown", 404): PATH_UNKNOWN,
    ("socket-elsewhere", 404): SOCKET_ELSEWHERE,
    ("method-unknown", 501): METHOD_UNKNOWN,
    ("method-not-allowed", 405): METHOD_NOT_ALLOWED,
    ("upgrade-required", 426): UPGRADE_REQUIRED,
    ("connection-not-upgrade", 400): CONNECTION_NOT_UPGRADE,
    ("key-absent", 400): {"none": heads.head(key=None)},
    ("key-twice", 400): KEY_TWICE,
    ("key-malformed", 400): {name: heads.head(key=value) for name, value in WRONG_KEYS.items()},
    ("version-twice", 400): VERSION_TWICE,
    ("origin-twice", 400): ORIGIN_TWICE,
    ("subprotocol-malformed", 400): SUBPROTOCOL_MALFORMED,
    ("subprotocol-twice", 400): SUBPROTOCOL_TWICE,
    ("too-many-subprotocols", 400): TOO_MANY_SUBPROTOCOLS,
    ("version-not-13", 426): VERSION_NOT_13,
    ("extension-malformed", 400): {
        value or "empty": heads.head(f"Sec-WebSocket-Extensions: {value}")
        for value in [";", ",;", "a b", "a;", "a; b=", "a; =b", "a; b=c d", 'a; b="c', 'a; b=""', 'a; b="c,d"', "a, b;"]
    },
    ("origin-forbidden", 403): ORIGIN_FORBIDDEN,
}

STATUS = dict(REFUSED.keys())


@rule("RFC 6455 4.2.1 (1)", "A WebSocket request is a GET.", rows="method-not-allowed-* method-unknown-upgrade")
@rule("RFC 6455 4.2.1 (2)", "Its version is HTTP/1.1 or a later HTTP/1.x.", rows="upgrade-required-http-1.0*")
@rule("RFC 6455 4.2.1 (3)", "The field Upgrade contains websocket, in upper or lower case.", rows="upgrade-required-*")
@rule("RFC 6455 4.2.1 (4)", "The field Connection contains upgrade, in upper or lower case.", rows="connection-not-upgrade-*")
@rule("RFC 6455 4.2.1 (5)",
      "The key is 22 characters of Base64 and ==; the unused bits of the last character may have any value.",
      rows="key-malformed-* key-absent-*")
@rule("RFC 6455 4.2.1 (6)", "Sec-WebSocket-Version is 13.", rows="version-not-13-*")
@rule("RFC 6455 4.2.1 (7)",
      "Origin occurs at most once; a request without Origin does not come from a browser and is accepted.",
      rows="origin-twice-*")
@rule("RFC 6455 4.2.2 (2)", "An origin that is not allowed gets 403.", rows="origin-forbidden-*")
@rule("RFC 6455 4.2.2 (3)", "A path that is not served gets 404, and the answer names a path that is served.",
      rows="path-unknown-* socket-elsewhere-*")
@rule("RFC 6455 4.4", "Another version gets 426 with the supported version.", rows="version-not-13-*")
@rule("RFC 6455 9.1 (1)", "A malformed list of extensions gets 400.", rows="extension-malformed-*")
@rule("RFC 6455 11.3 (1)", "Sec-WebSocket-Key and Sec-WebSocket-Version occur exactly once.",
      rows="key-twice-* version-twice-*")
@rule("RFC 6455 11.3 (2)", "Subprotocols are tokens without duplicates; several fields form one list.", rows="subprotocol-*")
@rule("RFC 9112 2.2 (1)", "A line ends with CRLF; a bare CR or LF gets 400.", rows="bare-*")
@rule("RFC 9112 2.2 (2)", rows="line-malformed-*empty*")
@rule("RFC 9112 2.3", "A version is HTTP/ and two digits separated by a dot; a major version other than 1 gets 505.",
      rows="version-unsupported-* line-malformed-version-*")
@rule("RFC 9112 3 (1)", "A request line is a method, a target and a version with single spaces.", rows="line-malformed-*")
@rule("RFC 9112 3 (2)", rows="line-too-long-*")
@rule("RFC 9112 3.2 (1)", "A target is in origin or absolute form, or the asterisk of OPTIONS.", rows="target-malformed-*")
@rule("RFC 9112 3.2 (2)", "The answer to a fragment, a tab or a byte above 0x7f in a target says how to encode it.",
      rows="target-fragment-* target-not-ascii-* target-tab-*")
@rule("RFC 9112 3.2 (4)", "HTTP/1.1 requires exactly one Host; two are never allowed.", rows="host-count-*")
@rule("RFC 9112 3.2 (5)", "A Host is a name or an address with an optional port; it may be empty.", rows="host-malformed-*")
@rule("RFC 9112 3.2 (6)", "The answer names an IPv6 address without brackets, or with a zone, in Host and in a target.",
      rows="host-unbracketed-* host-zone-*")
@rule("RFC 9112 5", "A field is a token, a colon and a value, with optional white space around the value.",
      rows="field-malformed-*")
@rule("RFC 9112 5.1", "White space in front of the colon gets 400.", rows="field-space-*")
@rule("RFC 9112 5.2", "A folded line gets 400.", rows="field-folded-*")
@rule("RFC 9112 6",
      "A Content-Length other than one plain number, and a Transfer-Encoding other than chunked, get 400 for any method.",
      rows="content-* transfer-encoding-*")
@rule("RFC 9112 8", "A request that ends before its head is complete gets 400.", rows="cut-off-*")
@rule("RFC 9110 5.4 (1)", rows="head-too-large-* too-many-fields-*")
@rule("RFC 9110 5.5", "NUL and control bytes get 400; a tab and bytes above 0x7f are legal in values.", rows="control-byte-*")
@rule("RFC 9110 7.8", "426 has Upgrade: websocket.", rows="upgrade-required-*")
@rule("RFC 9110 9.1", "An unknown method gets 501, a known one that is not allowed gets 405, also with content.",
      rows="method-unknown-* method-not-allowed-*")
@rule("RFC 9110 9.3.1", "Content of GET, HEAD and OPTIONS gets 400; a Content-Length of 0 means no content.",
      rows="content-* transfer-encoding-*")
@rule("ws-echo(8) OPTIONS (3)", rows="socket-elsewhere-path-*")
@rule("ws-echo(8) OPTIONS (5)", "--origin is a list of origins, compared byte for byte.", rows="origin-forbidden-*")
@rule("ws-echo(8) HTTP ANSWERS (2)")
@rule("ws-echo(8) HTTP ANSWERS (4)", "TLS, and an unexpected PROXY header, get 400, and the record names them.",
      rows="tls-hello-* proxy-unexpected-*")
@pytest.mark.parametrize("data, end", [pytest.param(data, end, id=f"{end}-{name}")
                                       for (end, _), rows in REFUSED.items() for name, data in rows.items()])
def test_a_wrong_head_gets_the_answer_of_its_row(data, end):
    refused(data, end, *LISTED)


@rule("ws-echo(8) HTTP ANSWERS (1)")
def test_every_refusal_of_a_head_has_rows():
    """Of a query that is read as words, unit/test_words.c has them."""
    known = {end: outcome.code for end, outcome in OUTCOMES.items() if 400 <= outcome.code < 600 and not end.startswith("lab-")}
    assert STATUS == {end: status for end, status in known.items() if end not in ("head-timeout", "proxy-malformed")}


@rule("RFC 6455 4.2.2 (2)")
def test_the_origin_null_is_refused_unless_it_is_listed():
    refused(heads.head("Origin: null"), "origin-forbidden", POLICY)


@rule("RFC 6455 4.2.1 (7)")
@pytest.mark.parametrize("data", [pytest.param(data, id=name) for name, data in ORIGIN_TWICE.items()])
def test_two_origins_are_refused_also_where_every_one_is_allowed(data):
    refused(data, "origin-twice")


@rule("RFC 6455 11.3 (2)")
@pytest.mark.parametrize("agreed", ["any", "none", "a"])
def test_an_offer_of_subprotocols_is_judged_whatever_is_agreed_to(agreed):
    for end, offer in [("subprotocol-malformed", "a b"), ("subprotocol-twice", "b, b")]:
        refused(heads.head(f"Sec-WebSocket-Protocol: {offer}"), end, f"--subprotocol={agreed}")


@rule("RFC 9110 6.6.1", "An answer contains the current date.")
@pytest.mark.parametrize("zone", ["UTC", "XST-5:30"])
def test_the_date_is_the_current_time_in_gmt_in_every_time_zone(zone, monkeypatch):
    monkeypatch.setenv("TZ", zone)
    before = int(time.time())
    date = refused(heads.head(path="/other"), "socket-elsewhere").fields["date"]
    assert before <= email.utils.parsedate_to_datetime(date).timestamp() <= time.time()


@rule("RFC 9110 15.5.6", "405 lists the allowed methods.")
@pytest.mark.parametrize("line, allow", [
    ("POST /socket HTTP/1.1", "GET"), ("HEAD /socket HTTP/1.1", "GET"), ("POST / HTTP/1.1", "GET, HEAD, OPTIONS"),
])
def test_405_names_the_methods_allowed(line, allow):
    assert refused(request(line), "method-not-allowed").fields["allow"] == allow


@rule("RFC 9110 15.5.6")
def test_405_does_not_allow_head_where_it_refuses_a_head_that_asks_for_a_websocket():
    assert refused(heads.head(path="/", method="HEAD"), "method-not-allowed", "--path=/").fields["allow"] == "GET, OPTIONS"


@rule("RFC 6455 4.2.2 (3)")
@pytest.mark.parametrize("options, named", [
    ([], [b"/socket"]), (["--path=/a", "--path=/b"], [b"/a", b"/b"]),
])
def test_404_names_a_path_that_is_served_to_a_websocket_request(options, named):
    body = refused(heads.head(path="/other"), "socket-elsewhere", *options).body
    assert any(path in body for path in named), body


# No answer contains bytes of the request: a marker is in every part of the head, in addition to the fault.

MARKED = {
    "method": request("QUOKKA /socket HTTP/1.1"),
    "method-known": request("POST /socket?quokka HTTP/1.1", "Content-Length: 6") + b"quokka",
    "method-no-token": request("QUO@QUOKKA /socket HTTP/1.1"),
    "target": request("GET quokka HTTP/1.1"),
    "target-absolute": request("GET quokka://me@quokka/quokka HTTP/1.1"),
    "target-with-a-fragment": request("GET /quokka#quokka HTTP/1.1"),
    "target-not-ascii": request("GET /quokka\xc3\xa4quokka HTTP/1.1"),
    "target-with-a-tab": request("GET /quokka\tquokka HTTP/1.1"),
    "path": heads.head(path="/quokka?quokka"),
    "long-line": request("GET /" + "quokka" * LINE_LIMIT + " HTTP/1.1"),
    "version": heads.head(version="HTTP/quokka"),
    "major-version": request("GET /quokka HTTP/7.0"),
    "host": heads.head(host="quokka@quokka"),
    "host-with-a-zone": heads.head(host="[fe80::1%quokka]"),
    "name": heads.head("quokka : x"),
    "value": heads.head("X-A: quokka\0quokka"),
    "folded": heads.head("X-A: quokka", " quokka"),
    "many-fields": heads.head(*["quokka: quokka"] * 200),
    "large": heads.head(*["quokka: " + "quokka" * 100] * 90),
    "length": heads.head("Content-Length: quokka"),
    "transfer-encoding": heads.head("Transfer-Encoding: quokka"),
    "upgrade": heads.head(upgrade="quokka"),
    "connection": heads.head(connection="quokka"),
    "key": heads.head(key="quokka"),
    "websocket-version": heads.head(sec_websocket_version="quokka"),
    "subprotocol": heads.head("Sec-WebSocket-Protocol: quokka, quokka"),
    "subprotocol-no-token": heads.head("Sec-WebSocket-Protocol: quo kka, qu\xd6kka/quokka"),
    "origin": heads.head("Origin: http://quokka.example"),
    "origins": heads.head("Origin: http://quokka.example", "Origin: http://quokka.example"),
    "proxy": b"PROXY quokka quokka\r\n\r\n",
    "tls": TLS + b"quokka",
}


@rule("ws-echo(8) HTTP ANSWERS (2)", "A refusal is one sentence and contains no byte of the request.")
@pytest.mark.parametrize("data", [pytest.param(data, id=name) for name, data in MARKED.items()])
def test_a_refusal_reflects_no_byte_of_the_request(data):
    line = b" HTTP/1.1\r\n"
    marked = data.replace(line, line + b"User-Agent: quokka\r\nCookie: quokka=quokka\r\n", 1)
    received = answer(marked, "--origin=https://example.org")
    assert heads.Answer(received).status >= 400, received
    assert b"quokka" not in received.lower(), received


@rule("RFC 9110 9.3.2", "The answer to HEAD has no content.")
@pytest.mark.parametrize("data, end", [
    (request("HEAD /other HTTP/1.1"), "path-unknown"),
    (request("HEAD /socket HTTP/1.1"), "method-not-allowed"),
    (request("HEAD /#a HTTP/1.1"), "target-fragment"),
    (request("HEAD / HTTP/1.1", host="::1"), "host-unbracketed"),
    (request("HEAD / HTTP/1.1", host=None), "host-count"),
    (request("HEAD / HTTP/1.1", "Host: twice"), "host-count"),
    (request("HEAD / HTTP/1.1", "X-A : b"), "field-space"),
    (request("HEAD / HTTP/1.1", *["X-A: b"] * FIELD_LIMIT), "too-many-fields"),
    (request("HEAD / HTTP/1.1", "Content-Length: 3"), "content"),
    (request("HEAD / HTTP/2.0"), "version-unsupported"),
])
def test_no_body_comes_after_head(data, end):
    refused(data, end)


@rule("RFC 9110 9.3.2")
@pytest.mark.parametrize("end, data", {
    "bare-lf": b"HEAD / HTTP/1.1\nHost: x\r\n\r\n", "control-byte": b"HEAD /\0 HTTP/1.1\r\n",
    "line-too-long": b"HEAD /" + b"a" * LINE_LIMIT, "cut-off": b"HEAD / HTT",
}.items(), ids=lambda value: value if isinstance(value, str) else "")
def test_no_body_comes_after_head_also_where_its_line_is_not_complete(end, data):
    refused(data, end)


# Precedence: syntax errors in the order of their bytes, then pairs of other faults in the manual's order.

POLICY = "--origin=https://example.org"
EVIL = "Origin: http://evil.example"


@rule("RFC 9112 6", rows="content-* transfer-encoding-*")
@rule("ws-echo(8) HTTP ANSWERS (1)", "Of several faults, the first in the manual's order is answered.")
@pytest.mark.parametrize("data, end", [
    pytest.param(data, end, id=f"{end}-before-{name}") for end, name, data in [
        ("line-too-long", "path", request("GET /" + "o" * LINE_LIMIT + " HTTP/1.1")),
        ("line-too-long", "host", request("GET /" + "o" * LINE_LIMIT + " HTTP/1.1", host=None)),
        ("line-too-long", "control-byte", request("GET /" + "o" * (LINE_LIMIT - 5) + "\x01 HTTP/1.1")),
        ("head-too-large", "path", heads.head("X: " + "v" * HEAD_LIMIT, path="/other")),
        ("head-too-large", "method", heads.head("X: " + "v" * HEAD_LIMIT, method="POST")),
        ("too-many-fields", "host", heads.head(*["X: v"] * FIELD_LIMIT, host=None)),
        ("field-malformed", "count", heads.head(*["X: v"] * (FIELD_LIMIT - 5), "no colon")),
        ("version-unsupported", "host", request("GET /other HTTP/2.0", host=None)),
        ("version-unsupported", "target", request("GET * HTTP/2.0")),
        ("line-too-long", "unknown-method", request("G" * (LINE_LIMIT + 1) + " /other HTTP/1.1")),
        ("version-unsupported", "fragment", request("GET /# HTTP/2.0")),
        ("target-fragment", "form", request("GET a#b HTTP/1.1")),
        ("target-not-ascii", "form", request("GET \xe4 HTTP/1.1")),
        ("target-tab", "path", request("GET /other\t HTTP/1.1")),
        ("target-fragment", "host", heads.head(path="/#", host="::1")),
        ("host-count", "content", heads.head("Content-Length: 4", host=None)),
        ("host-count", "transfer-encoding", heads.head("Transfer-Encoding: chunked", host=None)),
        ("host-count", "path", heads.head(host=None, path="/other")),
        ("host-count", "method", heads.head(host=None, method="POST")),
        ("host-malformed", "content", heads.head("Content-Length: 4", host="a/b")),
        ("host-malformed", "transfer-encoding", heads.head("Transfer-Encoding: chunked", host="a/b")),
        ("host-zone", "content", heads.head("Content-Length: 4", host="[fe80::1%a]")),
        ("host-unbracketed", "path", heads.head(host="::1", path="/other")),
        ("field-folded", "transfer-encoding", request("POST / HTTP/1.1", "Transfer-Encoding: chunked", " , gzip")),
        ("field-space", "transfer-encoding", request("POST / HTTP/1.1", "Transfer-Encoding : chunked")),
        ("content", "path", request("GET /other HTTP/1.1", "Content-Length: 4")),
        ("content", "upgrade", heads.head("Content-Length: 4", upgrade=None)),
        ("content", "path-of-a-post", request("POST /other HTTP/1.1", "Content-Length: 4, 4")),
        ("content", "method", request("POST / HTTP/1.1", "Content-Length: +4")),
        ("content", "unknown-method", request("BREW / HTTP/1.1", "Content-Length: 4", "Content-Length: 4")),
        ("content", "204", request("OPTIONS / HTTP/1.1", "Content-Length: 4")),
        ("content", "204-of-everything", request("OPTIONS * HTTP/1.1", "Content-Length: 4")),
        ("transfer-encoding", "path", request("POST /other HTTP/1.1", "Transfer-Encoding: gzip, chunked")),
        ("transfer-encoding", "method", request("POST / HTTP/1.1", "Transfer-Encoding: identity")),
        ("transfer-encoding", "unknown-method", request("BREW / HTTP/1.0", "Transfer-Encoding: chunked")),
        ("transfer-encoding", "content", request("POST / HTTP/1.1", "Content-Length: x", "Transfer-Encoding: chunked")),
        ("transfer-encoding", "204", request("OPTIONS / HTTP/1.1", "Transfer-Encoding: chunked")),
        ("field-space", "path", heads.head("X : v", path="/other")),
        ("target-malformed", "method", request("POST * HTTP/1.1")),
        ("target-malformed", "field", request("GET * HTTP/1.1", "no colon")),
        ("socket-elsewhere", "method", heads.head(path="/other", method="POST")),
        ("socket-elsewhere", "version", heads.head(path="/other", sec_websocket_version="8")),
        ("path-unknown", "upgrade", heads.head(path="/other", upgrade=None)),
        ("path-unknown", "http-1.0", heads.head(path="/other", version="HTTP/1.0")),
        ("socket-elsewhere", "origin", heads.head(EVIL, path="/other")),
        ("socket-elsewhere", "options", heads.head(method="OPTIONS", path="/")),
        ("path-unknown", "unknown-method", request("BREW /other HTTP/1.1")),
        ("socket-elsewhere", "unknown-method", heads.head(method="BREW", path="/other")),
        ("socket-elsewhere", "options-of-everything", heads.head(method="OPTIONS", path="*")),
        ("method-unknown", "upgrade", heads.head(method="BREW", upgrade=None)),
        ("method-unknown", "key", heads.head(method="BREW", key=None)),
        ("method-unknown", "http-1.0", heads.head(method="BREW", version="HTTP/1.0")),
        ("method-not-allowed", "content", heads.head("Content-Length: 4", method="POST")),
        ("method-not-allowed", "upgrade", heads.head(method="POST", upgrade=None)),
        ("method-not-allowed", "http-1.0", heads.head(method="POST", version="HTTP/1.0")),
        ("method-not-allowed", "key", heads.head(method="POST", key=None)),
        ("method-not-allowed", "version", heads.head(method="POST", sec_websocket_version="8")),
        ("upgrade-required", "connection", heads.head(upgrade=None, connection=None)),
        ("upgrade-required", "key", heads.head(upgrade=None, key="x")),
        ("upgrade-required", "key-in-http-1.0", heads.head(version="HTTP/1.0", key="x")),
        ("connection-not-upgrade", "key", heads.head(connection=None, key=None)),
        ("connection-not-upgrade", "version", heads.head(connection=None, sec_websocket_version="8")),
        ("key-absent", "version", heads.head(key=None, sec_websocket_version="8")),
        ("key-malformed", "two-origins", heads.head(EVIL, EVIL, key="x")),
        ("version-twice", "two-origins", heads.head(EVIL, EVIL, "Sec-WebSocket-Version: 13")),
        ("origin-twice", "version", heads.head(EVIL, EVIL, sec_websocket_version="8")),
        ("origin-twice", "subprotocol", heads.head(EVIL, EVIL, "Sec-WebSocket-Protocol: a b")),
        ("subprotocol-twice", "version", heads.head("Sec-WebSocket-Protocol: a, a", sec_websocket_version="8")),
        ("subprotocol-malformed", "origin", heads.head(EVIL, "Sec-WebSocket-Protocol: a b")),
        ("version-not-13", "origin", heads.head(EVIL, sec_websocket_version="8")),
        ("version-not-13", "extension", heads.head("Sec-WebSocket-Extensions: a;", sec_websocket_version="8")),
        ("upgrade-required", "origin", heads.head(EVIL, upgrade=None)),
        ("extension-malformed", "403", heads.head(EVIL, "Sec-WebSocket-Extensions: a;")),
        ("origin-forbidden", "101", heads.head(EVIL)),
    ]
])
def test_of_several_faults_the_first_in_the_manuals_order_is_answered(data, end):
    refused(data, end, POLICY)


# Limits: exactly the limit, and one more.

@rule("RFC 9112 3 (2)", "A request line of 16384 bytes is accepted, a longer one gets 414.")
def test_a_request_line_of_16384_bytes_is_accepted_and_one_of_16385_is_414():
    line = long_line(LINE_LIMIT)
    assert len(line) == LINE_LIMIT
    accepted(heads.head().replace(b"GET /socket HTTP/1.1", line.encode()))
    accepted(b"\r\n" + heads.head().replace(b"GET /socket HTTP/1.1", line.encode()))
    refused(heads.head().replace(b"GET /socket HTTP/1.1", line.replace("?", "?q").encode()), "line-too-long")


@rule("RFC 9110 5.4 (1)", "A head of 32768 bytes and 100 fields is accepted, a larger one gets 431.")
def test_a_head_of_32768_bytes_is_accepted_and_one_of_32769_is_431():
    assert len(long_head(HEAD_LIMIT)) == HEAD_LIMIT
    accepted(long_head(HEAD_LIMIT))
    accepted(b"\r\n" + long_head(HEAD_LIMIT - 2))
    refused(long_head(HEAD_LIMIT + 1), "head-too-large")


@rule("RFC 6455 4.2.2 (6)")
def test_the_frames_after_a_head_do_not_count_as_head():
    received = answer(long_head(HEAD_LIMIT) + framing.frame(framing.BINARY, bytes(HEAD_LIMIT)))
    assert received == heads.switching() + framing.reply(framing.BINARY, bytes(HEAD_LIMIT)), received[:200]


@rule("RFC 9110 5.4 (1)")
def test_100_fields_are_accepted_and_101_are_431():
    assert many_fields(FIELD_LIMIT).count(b"\r\n") == FIELD_LIMIT + 2
    accepted(many_fields(FIELD_LIMIT))
    refused(many_fields(FIELD_LIMIT + 1), "too-many-fields")


@rule("RFC 9110 5.4 (1)")
def test_one_field_may_fill_the_head():
    accepted(heads.head("X" * 16000 + ": " + "v" * 16000))


# Unusual but legal heads.

ACCEPTED = {
    "as-browsers-send-it": heads.head("Pragma: no-cache", "Cache-Control: no-cache", "User-Agent: Mozilla/5.0",
                                     "Origin: http://localhost:8000", "Accept-Encoding: gzip, deflate, br",
                                     "Accept-Language: en-GB,en;q=0.9", connection="keep-alive, Upgrade"),
    "tab-in-value": heads.head("X-A: b\tc"),
    "tab-around-value": heads.head("X-A:\tb\t"),
    "bytes-above-0x7f-in-value": heads.head("X-A: " + "".join(map(chr, range(0x80, 0x100)))),
    "every-visible-character-in-value": heads.head("X-A: " + string.printable[:94]),
    "every-token-character-in-name": heads.head(f"{TOKEN}: v"),
    "name-of-one-character": heads.head("X: v"),
    "empty-value": heads.head("X-A:", "X-B: ", "X-C: \t "),
    "colons-in-value": heads.head("X-A::b: c:"),
    "no-space-after-the-colon": heads.head().replace(b": ", b":"),
    "many-spaces-after-the-colon": heads.head().replace(b": ", b":  \t  "),
    "space-after-values": heads.head().replace(b"\r\n", b" \t\r\n").replace(b" \t\r\n", b"\r\n", 1).replace(
        b"\r\n \t\r\n", b"\r\n\r\n"),
    "names-in-lower-case": re.sub(rb"\r\n[^:]+:", lambda name: name.group().lower(), heads.head()),
    "names-in-upper-case": re.sub(rb"\r\n[^:]+:", lambda name: name.group().upper(), heads.head()),
    "fields-in-another-order": b"GET /socket HTTP/1.1\r\n" + b"".join(
        line + b"\r\n" for line in reversed(heads.head().split(b"\r\n")[1:-2])) + b"\r\n",
    "empty-host": heads.head(host=""),
    "http-1.2": heads.head(version="HTTP/1.2"),
    "http-1.9": heads.head(version="HTTP/1.9"),
    "absolute-target": heads.head(path="http://localhost:8888/socket"),
    "absolute-target-of-another-host": heads.head(path="http://example.org/socket"),
    "absolute-target-in-another-case": heads.head(path="HTTP://LOCALHOST/socket"),
    "absolute-target-with-a-query": heads.head(path="http://localhost/socket?a=b"),
    "absolute-target-of-scheme-https": heads.head(path="https://localhost/socket"),
    "absolute-target-of-scheme-ws": heads.head(path="ws://localhost/socket"),
    "absolute-target-of-an-ipv6-address": heads.head(path="http://[::1]:8888/socket"),
    "query": heads.head(path="/socket?a=b&c"),
    "empty-query": heads.head(path="/socket?"),
    "query-with-question-marks-and-slashes": heads.head(path="/socket?/a?b/"),
    "query-with-an-address": heads.head(path="/socket?to=http://me@localhost/"),
    "query-that-is-no-uri": heads.head(path='/socket?{"a":[1|2]}^`\\\\<b>'),
    "query-of-a-long-token": heads.head(path="/socket?token=" + "eyJhbGciOiJSUzI1NiJ9." * 700),
    "leading-crlf": b"\r\n" + heads.head(),
    "keep-alive-and-upgrade": heads.head(connection="keep-alive, Upgrade"),
    "connection-in-lower-case": heads.head(connection="upgrade"),
    "connection-in-upper-case": heads.head(connection="UPGRADE"),
    "connection-without-spaces": heads.head(connection="keep-alive,Upgrade,x"),
    "connection-with-empty-elements": heads.head(connection=", ,keep-alive,,\tUpgrade , ,"),
    "connection-over-two-lines": heads.head("Connection: Upgrade", connection="keep-alive"),
    "connection-over-many-lines": heads.head("Connection: a", "connection: uPGRADE", "Connection:",
                                            connection=""),
    "connection-twice": heads.head("Connection: Upgrade"),
    "upgrade-in-another-case": heads.head(upgrade="WebSocket"),
    "upgrade-in-upper-case": heads.head(upgrade="WEBSOCKET"),
    "upgrade-list": heads.head(upgrade="h2c, websocket"),
    "upgrade-list-in-another-order": heads.head(upgrade="websocket,IRC/6.9"),
    "upgrade-with-empty-elements": heads.head(upgrade=",, websocket ,"),
    "upgrade-over-two-lines": heads.head("Upgrade: websocket", upgrade="h2c"),
    "content-length-0": heads.head("Content-Length: 0"),
    "content-length-00": heads.head("Content-Length: 00"),
    "content-length-of-many-zeros": heads.head("Content-Length: " + "0" * 100),
    "content-length-with-space-around": heads.head("Content-Length: \t 0 \t "),
    "expect": heads.head("Expect: 100-continue"),
    "version-with-space-around": heads.head(sec_websocket_version=" \t13\t "),
    "origin-of-any-kind": heads.head("Origin: null"),
    "extensions": heads.head("Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits, x"),
    **{f"{kind}-{name}": heads.head(*[f"Sec-WebSocket-{field}: {value}" for value in values])
       for kind, field in {"subprotocols": "Protocol", "extensions": "Extensions"}.items()
       for name, *values in [("empty", ""), ("of-blanks", " \t "), ("of-commas", ","), ("of-empty-elements", " , ,\t,"),
                             ("empty-on-two-lines", "", ",")]},
    "one-cookie-after-another": heads.head("Cookie: a=b", "Cookie: a=b"),
}


@rule("RFC 6455 4.2.1 (2)", rows="http-1.*")
@rule("RFC 6455 4.2.1 (3)", rows="upgrade-*")
@rule("RFC 6455 4.2.1 (4)", rows="*connection-* keep-alive-and-upgrade")
@rule("RFC 6455 4.2.1 (6)", rows="version-with-space-around")
@rule("RFC 6455 9.1 (2)", "An empty list is valid and offers nothing.", rows="extensions-*")
@rule("RFC 6455 11.3 (3)", "An empty list of subprotocols is valid and offers none.", rows="subprotocols-*")
@rule("RFC 9112 2.2 (2)", "One empty line before the request line is skipped.", rows="leading-crlf")
@rule("RFC 9112 3.2 (1)", rows="absolute-*")
@rule("RFC 9112 3.2 (3)", rows="*query*")
@rule("RFC 9112 3.2 (5)", rows="empty-host")
@rule("RFC 9112 5", rows="*space* *name* *value*")
@rule("RFC 9110 5.4 (2)", "Fields may come in any order, their names in upper or lower case; unknown fields are ignored.")
@rule("RFC 9110 5.5", rows="bytes-above-0x7f-in-value tab-*")
@rule("RFC 9110 5.6.1", "A list may have empty elements and span several fields.", rows="*empty-elements *-lines")
@rule("RFC 9110 9.3.1", rows="content-length-*")
@pytest.mark.parametrize("data", [pytest.param(data, id=name) for name, data in ACCEPTED.items()])
def test_an_unusual_but_legal_head_is_accepted(data):
    accepted(data)


@rule("RFC 9112 3.2 (5)")
@pytest.mark.parametrize("host", [
    "", ":80", "localhost", "localhost:", "localhost:8888", "LOCALHOST", "a.example.", "192.0.2.1", "192.0.2.1:80",
    "999.1.1.1",  # a registered name by RFC 3986 section 3.2.2
    "a-b_c~d!$&'()*+,;=", "xn--bcher-kva", "a%20b", "%41%c3%A4",
    "[::]", "[::1]", "[::1]:", "[::1]:8888", "[::ffff:192.0.2.1]:1", "[2001:db8::192.0.2.1]", "[1:2:3:4:5:6:7:8]",
    "[2001:db8:1111:2222:3333:4444:5555:6666]", f"[{LONGEST_ADDRESS}]", "[v1.a:b]", "[VfF.a~]:80",
])
def test_a_valid_host_is_accepted(host):
    accepted(heads.head(host=host))


@rule("RFC 9112 3.2 (3)", "The path is the part of the target between the authority and the query.")
@pytest.mark.parametrize("target, path", [
    ("/", "/"), ("/?", "/"), ("/socket", "/socket"), ("/socket?", "/socket"), ("/a?b?c", "/a"), ("//a/b", "//a/b"),
    ("/%2fsocket", "/%2fsocket"), ("/a:b", "/a:b"), ("http://a.example", "/"), ("http://a.example/", "/"),
    ("http://a.example?x/y", "/"), ("http://a.example/socket?x", "/socket"), ("http://a", "/"),
    ("HTTPS://a.example:443/socket", "/socket"), ("ws://[::1]:8888/socket", "/socket"),
    ("wss://a.example:/socket", "/socket"),
])
def test_the_path_is_what_a_target_has_between_its_authority_and_its_query(target, path):
    assert accepted(heads.head(path=target), "--path=any")["path"] == path


@rule("RFC 6455 4.2.1 (5)")
@pytest.mark.parametrize("key", [
    *[key_of("", last) for last in BASE64],
    *[key_of(BASE64[start:start + 21]) for start in range(0, len(BASE64), 21)],
    "AQIDBAUGBwgJCgsMDQ4PEC==",  # RFC 6455 section 4.1
])
def test_a_key_may_have_any_22_characters_of_base64_and_is_hashed_as_it_is(key):
    """Clients may set the four unused bits of the last character: the key is hashed, not decoded."""
    digest = hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()
    assert answer(heads.head(key=key)) == heads.switching(base64.b64encode(digest).decode())


# The answer is the same wherever reads cut the head, and while the connection stays open.

@rule("RFC 9112 2.2 (3)", "An invalid head is refused at its first wrong byte, wherever reads cut it.")
@pytest.mark.parametrize("data, end", [
    pytest.param(data, end, id=f"{end}-{name}") for end, name, data in [
        ("bare-lf", "after-line", b"GET /socket HTTP/1.1\n"),
        ("bare-lf", "first", b"\n"),
        ("bare-lf", "in-a-field", b"GET /socket HTTP/1.1\r\nHost: x\n"),
        ("bare-cr", "in-a-field", b"GET /socket HTTP/1.1\r\nHost: x\rX"),
        ("bare-cr", "first", b"\rG"),
        ("control-byte", "nul", b"GET /so\0"),
        ("control-byte", "nul-first", b"\0"),
        ("control-byte", "in-a-field", b"GET /socket HTTP/1.1\r\nHost: \x1b"),
        ("tls-hello", "part", TLS[:11]),
        ("tls-hello", "first", TLS[:1]),
        ("tls-hello", "whole", TLS),
        ("line-malformed", "word", b"hello\r\n"),
        ("line-malformed", "empty", b"\r\n\r\nG"),
        ("target-malformed", "asterisk", b"GET * HTTP/1.1\r\n"),
        ("target-fragment", "line", b"GET /# HTTP/1.1\r\n"),
        ("target-not-ascii", "line", b"GET /\xc3\xa4 HTTP/1.1\r\n"),
        ("host-unbracketed", "in-the-target", b"GET http://::1/ HTTP/1.1\r\n"),
        ("field-folded", "space", b"GET /socket HTTP/1.1\r\nHost: x\r\n folded\r\n"),
        ("field-space", "space", b"GET /socket HTTP/1.1\r\nHost : x\r\n"),
        ("field-malformed", "name", b"GET /socket HTTP/1.1\r\nHo(st: x\r\n"),
        ("field-malformed", "no-colon", b"GET /socket HTTP/1.1\r\nHost\r\n"),
        ("proxy-unexpected", "version-1", PROXY_1),
        ("proxy-unexpected", "version-2", PROXY_2),
        ("line-too-long", "one-byte", b"GET /" + b"o" * LINE_LIMIT),
        ("head-too-large", "one-byte", heads.head("X: " + "v" * HEAD_LIMIT)[:HEAD_LIMIT + 1]),
        ("too-many-fields", "one", many_fields(FIELD_LIMIT + 2)[:-2]),
        ("version-unsupported", "http-2-preface", HTTP_2),
        ("version-unsupported", "line", b"GET / HTTP/2.0\r\n"),
    ]
])
def test_an_invalid_head_is_refused_at_its_first_wrong_byte_while_the_connection_stays_open(data, end):
    with launch.Served() as served:
        served.peer.send(data)
        heads.refused(served.peer.rest(), STATUS[end])
        served.peer.close()
        assert launch.record(served.finish())["end_id"] == end


def undated(data):
    return re.sub(rb"\r\nDate: [^\r]*", b"", data)


@rule("RFC 9112 2.2 (3)")
@pytest.mark.parametrize("data", [
    pytest.param(data, id=name) for name, data in [
        ("accepted", b"\r\n" + heads.head("X-A: b\t", connection="a,Upgrade")),
        ("unreadable", request("GET / HTTP/1.1", "X-A: b", "\tc")),
        ("refused", request("GET /other HTTP/1.1")),
    ]
])
def test_the_answer_is_the_same_wherever_the_bytes_are_cut(data):
    expected = undated(answer(data))
    for cut in range(1, len(data)):
        received = undated(launch.in_parts([data[:cut], data[cut:]]))
        assert received == expected, (data[:cut], data[cut:], expected, received)


@rule("RFC 9112 3 (2)")
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
        received = undated(launch.in_parts([data[:cut], data[cut:]]))
        assert received == expected, (len(data), cut, expected, received)


@rule("RFC 9112 9.6", "A refusal is followed by the end of the stream, and no second request is read after its head.")
def test_nothing_after_a_refused_head_is_parsed():
    received = answer(heads.head(path="/other") + heads.head() + framing.text("hi"))
    assert received.count(b"HTTP/1.1 ") == 1, received
    heads.refused(received, 404)
