# SPDX-License-Identifier: MIT
"""Compares the parser with independent ones on random heads: Python's h11, and Node.js, which uses llhttp.

The heads are valid ones with one or two changes. If one parser reads a head and another refuses it, the difference must
be in the list below, which says which one is right and why. If both read it, method, target and all fields must be
equal. conversations.py says how to repeat a case, or run a million.
"""

import base64
import functools
import json
import pathlib
import random
import re
import shutil
import subprocess
from typing import NamedTuple

import conversations
import heads
import launch
import pytest
from require import require, require_module
from rule import rule

pytestmark = rule("RFC 9112 2.2 (4)", "Other parsers read heads in the same way, except for listed differences.")

BLOCKS, USUAL, BATCH = range(4), 125, 1000

BASES = [
    heads.head(),
    heads.head("Origin: http://localhost:8000", "Sec-WebSocket-Protocol: chat, superchat", "User-Agent: Mozilla/5.0 (X11)",
              "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits", connection="keep-alive, Upgrade"),
    b"GET / HTTP/1.1\r\nHost: localhost:8888\r\nUser-Agent: curl/7.88.1\r\nAccept: */*\r\n\r\n",
    b"HEAD / HTTP/1.0\r\nConnection: close\r\n\r\n",
    b"POST /socket HTTP/1.1\r\nHost: [::1]\r\nContent-Length: 0\r\nX-Empty:\r\nX-Tab:\ta\tb\t\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: localhost:8888\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\n",
    b"PUT /socket HTTP/1.1\r\nHost: localhost:8888\r\nTransfer-Encoding: chunked\r\nTrailer: X\r\n\r\n",
    b"OPTIONS * HTTP/1.1\r\nHost: a.example\r\nContent-Length: 0\r\nAccept: */*\r\n\r\n",
    b"GET http://example.org:80/socket?a=b HTTP/1.1\r\nhost: example.org\r\nCookie: a=b; c=\"d\"\r\nCookie: e\r\n\r\n",
]
BYTES = [bytes([byte]) for byte in b"\0\x01\t\n\r\x1b !\"#%,/:;=?@AZaz{~\x7f\x80\xc3\xff"]
LINES = [b"GET /socket HTTP/1.1", b"GET * HTTP/1.1", b"OPTIONS * HTTP/1.1", b"CONNECT localhost:80 HTTP/1.1",
         b"POST / HTTP/1.1", b"POST * HTTP/1.1", b"OPTIONS *?a HTTP/1.1", b"TRACE / HTTP/1.1", b"POST / HTTP/1.0",
         b"GET /{a}|[b]^?{\"c\":[1]} HTTP/1.1", b"GET /\xc3\xa4 HTTP/1.1", b"GET http://[fe80::1%25a]/ HTTP/1.1",
         b"GET ws://a.example/socket HTTP/1.1", b"GET ftp://a/ HTTP/1.1", b"GET http://me@a/ HTTP/1.1", b"GET /a#b HTTP/1.1",
         b"GET socket HTTP/1.1", b"get /socket HTTP/1.1", b"ANY /socket HTTP/1.1", b"M-SEARCH / HTTP/1.1", b"G@T / HTTP/1.1",
         b"GET / HTTP/1.0", b"GET / HTTP/1.2", b"GET / HTTP/2.0", b"GET / HTTP/0.9", b"GET /", b"GET / HTTP/1.10",
         b"GET / http/1.1", b"GET  / HTTP/1.1", b"GET / HTTP/1.1 ", b"GET /\tHTTP/1.1", b"GET /a b HTTP/1.1",
         b"GET /" + b"a" * 4100 + b" HTTP/1.1", b"GET /" + b"a" * 16400 + b" HTTP/1.1", b"PRI * HTTP/2.0", b"",
         b" GET / HTTP/1.1"]
FIELDS = [b"Host: localhost", b"Host:", b"Host: a b", b"Host: me@a", b"Host: a/b", b"Host: [::1", b"Host: a:b",
          b"Host: ::1", b"Host: ::1:80", b"Host: [fe80::1%eth0]", b"Host: fe80::1%eth0",
          b"Host: a, b", b"Host : a", b"Content-Length: 0", b"Content-Length: 5", b"Content-Length: 00", b"Content-Length: +0",
          b"Content-Length: 0, 0", b"Content-Length: 0x0", b"Content-Length: ", b"Content-Length: 99999999999999999999",
          b"Content-Length: 05", b"Content-Length: 5, 5", b"Content-Length: 0x5", b"Content-Length: 5 5", b"Content-Length: -5",
          b"Content-Length: 999999999999999999", b"Content-Length:  5  ", b"Content-Length: 0\r\nContent-Length: 0",
          b"Content-Length: 5\r\nTransfer-Encoding: chunked",
          b"Transfer-Encoding: chunked", b"Transfer-Encoding: identity", b"Transfer-Encoding: gzip, chunked",
          b"Transfer-Encoding: Chunked", b"Transfer-Encoding: chunked, chunked", b"Transfer-Encoding: chunked, identity",
          b"Transfer-Encoding: chunked,", b"Transfer-Encoding: , chunked", b"Transfer-Encoding: \tchunked ",
          b"Transfer-Encoding: chunked;a=b", b"Transfer-Encoding: \"chunked\"", b"Transfer-Encoding: xchunked",
          b"Transfer-Encoding : chunked", b"Transfer-Encoding: chunked\r\n , gzip",
          b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
          b"Transfer-Encoding:", b"Expect: 100-continue", b"Connection: close", b"Connection: ,Upgrade,", b"Upgrade: h2c",
          b"Upgrade: websocket", b"Sec-WebSocket-Key: x", b"X", b": y", b" X: y", b"\tX: y", b"X Y: z", b"X:y:z", b"X(: y",
          b"X\xc4: y", b"X: \xc4", b"X: y ", b"X: y\r\n folded", b"X:", b"X: y\nZ: z", b"X: y\rZ: z", b"X: y\0", b"X\0: y",
          b"\x7f: y", b"X: \x7f", b"!#$%&'*+-.^_`|~: token", b"X: " + b"y" * 17000, b"X: " + b"y" * 33000,
          b"X: y\r\n" * 100 + b"Z: z", b"\r", b"\n"]
ENDS = [b"\n", b"\r", b"\r\r\n", b"\n\r\n", b" \r\n", b"\t\r\n", b"\r\n\r\n", b"\r\n ", b""]


def changed(chosen, head):
    """A head with one thing changed."""
    lines = head.split(b"\r\n")
    at, line = chosen.randrange(len(head)), chosen.randrange(len(lines) - 1)
    kind = chosen.randrange(10)
    if kind == 0:
        return head[:at] + chosen.choice(BYTES) + head[at + 1 :]
    if kind == 1:
        return head[:at] + chosen.choice(BYTES) + head[at:]
    if kind == 2:
        return head[:at] + head[at + 1 :]
    if kind in (3, 4):
        lines.insert(chosen.randrange(1, len(lines) - 1), chosen.choice(FIELDS))
    elif kind == 5:
        lines[0] = chosen.choice(LINES)
    elif kind == 6:
        lines.insert(line, lines[chosen.randrange(len(lines) - 2)])
    elif kind == 7:
        lines[line] = chosen.choice([lines[line].lower(), lines[line].upper(), lines[line].replace(b" ", b""),
                                     lines[line].replace(b" ", b"\t ")])
    elif kind == 8:
        del lines[line]
    else:
        lines[line : line + 2] = [lines[line] + chosen.choice(ENDS) + lines[line + 1]]
    return b"\r\n".join(lines)


def head_of(seed):
    """A random head. Bytes after it complete a head whose end was changed."""
    chosen = random.Random(seed)
    head = chosen.choice(BASES)
    for _ in range(chosen.choice([1, 1, 2])):
        head = changed(chosen, head) or b"\r\n"
    return (b"\r\n" if chosen.random() < 0.1 else b"") + head + b"\r\n\r\n"


# Our end_ids for heads that cannot be parsed. All other refusals are of heads that were parsed.

UNREADABLE = {
    "line-too-long", "head-too-large", "too-many-fields", "version-unsupported", "tls-hello", "proxy-unexpected", "bare-lf",
    "bare-cr", "control-byte", "line-malformed", "target-malformed", "target-fragment", "target-not-ascii", "target-tab",
    "field-folded", "field-space", "field-malformed", "host-count", "host-malformed", "host-unbracketed", "host-zone",
    "content", "transfer-encoding",
}


def ours(head):
    """Our result: (None, fields) if ours read the head, (end_id, None) if it refused it, None if it is incomplete."""
    result = launch.run(head, "--verbose", "--path=any")
    log = result.stderr.decode()
    record = launch.record(log)
    if record["end_id"] in ("cut-off", "silence"):
        return None
    if record["end_id"] in UNREADABLE:
        return record["end_id"], None
    return None, re.findall(r'^ws-echo\[\d+\]: field (.*?): "(.*)"$', log, re.MULTILINE)


def logged(fields):
    """Fields as --verbose logs them: bytes outside printable ASCII escaped, long values cut."""
    def escaped(data):
        cut = re.sub(rb'["\\]', rb"\\\g<0>", data[:256])
        cut = re.sub(rb"[^ -~]", lambda byte: b"\\x%02x" % ord(byte[0]), cut)
        return cut.decode() + ("..." if len(data) > 256 else "")
    return [(escaped(name), escaped(value)) for name, value in fields]


def h11_verdicts(requests):
    import h11

    for head in requests:
        connection = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
        connection.receive_data(head)
        try:
            event = connection.next_event()
        except h11.RemoteProtocolError as error:
            yield str(error), None
        else:
            yield (None, list(event.headers.raw_items())) if isinstance(event, h11.Request) else None


def node_verdicts(requests):
    result = subprocess.run([require("node", "nodejs"), "--max-http-header-size=1048576",
                             pathlib.Path(__file__).with_name("judge_heads.js")],
                            input=json.dumps([base64.b64encode(head).decode() for head in requests]), capture_output=True,
                            text=True, check=False)
    assert (result.returncode, result.stderr) == (0, ""), result
    for verdict in json.loads(result.stdout):
        if verdict and "read" in verdict:
            fields = [field.encode("latin-1") for field in verdict["read"][2]]
            verdict = None, list(zip(fields[::2], fields[1::2]))
        elif verdict:
            verdict = verdict["refused"], None
        yield verdict


def judges_as_listed():
    """Whether node's llhttp is 9 or later, as the list below assumes. True without node: a test then reports that."""
    if not shutil.which("node"):
        return True
    version = subprocess.run(["node", "--print", "process.versions.llhttp"], capture_output=True, text=True, check=True).stdout
    return int(version.split(".")[0]) >= 9


# Debian 12's node has llhttp 6; with it, only h11 is compared.
JUDGES = {"h11": h11_verdicts, **({"node": node_verdicts} if judges_as_listed() else {})}


# The list of differences.

AUTHORITY = rb"(?:\[(?![^\]]*[0-9a-f]{5})[0-9a-f:.]+\]|(?:[\w.~!$&'()*+,;=-]|%[0-9a-f]{2})*)(?::[0-9]*)?"
TARGET = rb"(?:/[!\"$-~]*|(?<=(?-i:OPTIONS ))\\*|(?:https?|wss?)://(?!:)(?![/? ])" + AUTHORITY + rb"(?:[/?][!\"$-~]*)?)"
LINE = rb"[!-~]+ [^ \r\n]+ HTTP/[0-9]\.[0-9]\r\n"
FRONT = rb"^(?:\r\n)?"
HOST_AT = rb"(?:\nhost:[ \t]*|" + FRONT + rb"[^ ]+ (?:https?|wss?)://)"
WITHOUT_CONTENT = FRONT + rb"(?-i:GET|HEAD|OPTIONS) "


class Difference(NamedTuple):
    """`end` is our end_id if ours refuses what theirs reads, or None if theirs refuses what ours reads. `pattern`
    matches such heads, and `example` is one."""

    judges: str
    end: object
    pattern: bytes
    example: bytes
    right: str
    why: str
    mended: bool = False  # fixed in later versions of theirs


def request(line=b"GET / HTTP/1.1", *fields):
    return b"\r\n".join([line, b"Host: a", *fields, b"", b""])


DIFFERENCES = [
    # Limits.
    Difference("h11 node", "line-too-long", FRONT + rb"[^\r\n]{16385}",
               request(b"GET /" + b"a" * 16384 + b" HTTP/1.1"),
               "both", "RFC 9112 section 3: 414 if a target is longer than the server wishes to parse"),
    Difference("h11 node", "head-too-large", rb"(?s).{32768}",
               request(b"GET / HTTP/1.1", b"X: " + b"y" * 32768),
               "both", "RFC 9110 section 5.4: 4xx if fields are larger than the server wishes to process"),
    Difference("h11 node", "too-many-fields", rb"(?s)(?:\n[^\r\n]+\r){101}",
               request(b"GET / HTTP/1.1", *[b"X: y"] * 100),
               "both", "RFC 9110 section 5.4, as above"),
    # The request line.
    Difference("h11 node", "version-unsupported", FRONT + rb"\S+ \S+ HTTP/[02-9]\.[0-9]\r\n",
               request(b"GET / HTTP/0.9"),
               "ours", "RFC 9110 section 15.6.6: 505 if the server does not support the major version"),
    Difference("h11 node", "target-malformed", rb"(?i)" + FRONT + rb"[^ ]+ (?!" + TARGET + rb" )",
               request(b"GET ftp://a/b HTTP/1.1"),
               "ours", "RFC 9112 section 3.2.2: an absolute target of another scheme names no resource of the server, nor "
               "do 3.2.3, CONNECT, and 3.2.4, an asterisk of another method than OPTIONS"),
    Difference("h11 node", "target-fragment", FRONT + rb"[^ ]+ [^ \r\n]*#",
               request(b"GET /a#b HTTP/1.1"),
               "ours", "RFC 9112 section 3.2: a target has no fragment"),
    Difference("node", "line-malformed", FRONT + rb"(?!" + LINE + rb")",
               request(b"GET  / HTTP/1.1"),
               "ours", "RFC 9112 section 3: single spaces; other white space may be accepted, and smuggles requests"),
    Difference("node", "bare-cr", FRONT + rb"\r[^\n]",
               request(b"\rGET / HTTP/1.1"),
               "ours", "RFC 9112 section 2.2: a CR without LF is no line end, and makes the line invalid"),
    Difference("node", "bare-lf", FRONT + rb"\n",
               request(b"\nGET / HTTP/1.1"),
               "both", "RFC 9112 section 2.2: a recipient may take a single LF for a line end, and the line is empty"),
    Difference("node", "bare-lf", FRONT + rb"[^ \r\n]+ [^ \r\n]*\n",
               request(b"GET http://a\nb:80/ HTTP/1.1"),
               "ours", "RFC 9112 section 3: a request line of HTTP/1.0 or 1.1 has a version"),
    Difference("h11", None, rb"^\r\n",
               request(b"\r\nGET / HTTP/1.1"),
               "ours", "RFC 9112 section 2.2: at least one empty line in front should be ignored"),
    Difference("node", None, FRONT + rb"(?!(?:GET|HEAD|POST|OPTIONS) )",
               request(b"ANY / HTTP/1.1"),
               "ours", "RFC 9110 section 9.1: any token is a method; ours reads the head and answers 405"),
    Difference("node", None, FRONT + rb"[^\r\n]+ HTTP/1\.[2-9]\r\n",
               request(b"GET / HTTP/1.2"),
               "ours", "RFC 9110 section 2.5: a later minor version is treated as the highest supported one"),
    # Fields.
    Difference("h11", "bare-lf", rb"(?<!\r)\n",
               b"GET / HTTP/1.1\r\nHost: a\n\r\n",
               "both", "RFC 9112 section 2.2: a recipient may take a single LF for a line end"),
    Difference("h11", "field-folded", rb"\n[ \t]",
               request(b"GET / HTTP/1.1", b"X: y\r\n z"),
               "both", "RFC 9112 section 5.2: a folded line is rejected, or replaced by spaces"),
    Difference("h11", "control-byte", rb"[\x01-\x08\x0b\x0c\x0e-\x1f\x7f]",
               request(b"GET / HTTP/1.1", b"X: \x7f"),
               "both", "RFC 9110 section 5.5: such a value is invalid, though others than CR, LF and NUL may be retained"),
    Difference("node", "host-count", rb"(?is)\nhost:.*\nhost:|^(?!.*\nhost:)",
               request(b"GET / HTTP/1.1", b"Host: a"),
               "ours", "RFC 9112 section 3.2: 400 if Host is absent or occurs twice"),
    Difference("h11", "host-count", rb"(?is)^(?!.*\nhost:).* HTTP/1\.[2-9]\r\n",
               b"GET / HTTP/1.2\r\n\r\n",
               "ours", "RFC 9112 section 3.2 and RFC 9110 section 2.5: HTTP/1.2 is read as HTTP/1.1, which has a Host"),
    Difference("h11 node", "host-malformed", rb"(?i)\nhost:[ \t]*(?!" + AUTHORITY + rb"[ \t]*\r\n)",
               b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
               "ours", "RFC 9112 section 3.2: 400 if the value of Host is invalid"),
    Difference("h11 node", "host-unbracketed", rb"(?i)" + HOST_AT + rb"(?:[0-9a-f.]*:){2}[0-9a-f:.]*(?:[ \t]*\r|[ /?])",
               b"GET / HTTP/1.1\r\nHost: ::1\r\n\r\n",
               "ours", "RFC 3986 section 3.2.2: an IPv6 address is in brackets"),
    Difference("h11 node", "host-zone", rb"(?i)" + HOST_AT + rb"\[?[0-9a-f:.]+%",
               b"GET / HTTP/1.1\r\nHost: [fe80::1%eth0]\r\n\r\n",
               "ours", "RFC 3986 section 3.2.2: an IPv6 address has no zone; RFC 6874 section 1: it means something on one "
               "machine only"),
    # Framing of content.
    Difference("h11 node", "content", rb"(?is)" + WITHOUT_CONTENT + rb".*\ncontent-length:[ \t]*0*[1-9]",
               request(b"GET / HTTP/1.1", b"Content-Length: 5"),
               "both", "RFC 9110 section 9.3.1: content of GET has no meaning and may be refused, since it is used for smuggling"),
    Difference("h11", "content", rb"(?is)\ncontent-length:.*\ncontent-length:",
               request(b"POST / HTTP/1.1", b"Content-Length: 5", b"Content-Length: 5"),
               "both", "RFC 9110 section 8.6: equal ones are rejected, or taken for one"),
    Difference("h11", "content", rb"(?i)\ncontent-length:[^\r]*,",
               request(b"POST / HTTP/1.1", b"Content-Length: 5, 5"),
               "both", "as above"),
    Difference("h11 node", "content", rb"(?i)\ncontent-length:[ \t]*0*[1-9][0-9]{18}",
               request(b"POST / HTTP/1.1", b"Content-Length: 1000000000000000000"),
               "both", "RFC 9110 section 8.6: numbers must not overflow; ours accepts no number that could"),
    Difference("h11 node", "transfer-encoding", rb"(?is)" + WITHOUT_CONTENT + rb".*\ntransfer-encoding:",
               request(b"GET / HTTP/1.1", b"Transfer-Encoding: chunked"),
               "both", "RFC 9110 section 9.3.1, as above"),
    Difference("h11", "transfer-encoding", rb"(?is)^(?=.*\ncontent-length:).*\ntransfer-encoding:",
               request(b"POST / HTTP/1.1", b"Content-Length: 5", b"Transfer-Encoding: chunked"),
               "both", "RFC 9112 section 6.1: both are rejected, or the length is ignored"),
    Difference("node", "transfer-encoding", rb"(?i)\ntransfer-encoding:[ \t]*(?!chunked[ \t]*\r\n)",
               request(b"POST / HTTP/1.1", b"Transfer-Encoding: gzip, chunked"),
               "both", "RFC 9112 section 6.1: an unknown coding is refused; llhttp does so only after the head"),
    Difference("h11 node", "transfer-encoding", rb"(?is)" + FRONT + rb"[^\n]* HTTP/1\.0\r.*\ntransfer-encoding:",
               request(b"POST / HTTP/1.0", b"Transfer-Encoding: chunked"),
               "ours", "RFC 9112 section 6.1: the framing of such a message is faulty"),
    Difference("node", None, rb"(?i)\ncontent-length:[^\r]*\t",
               request(b"GET / HTTP/1.1", b"Content-Length: 0\t"),
               "ours", "RFC 9110 section 5.6.3: white space around a value may be a tab", mended=True),
]


def state(verdict):
    return "part" if verdict is None else "refused" if verdict[0] else "read"


def as_h11_gives_them(fields):
    """The fields as h11 returns them: the transfer coding is in lower case."""
    return [(name, value.lower() if name.lower() == "transfer-encoding" else value) for name, value in fields]


def unexplained(judge, head, our, their):
    """An unlisted difference between the two results, or None. Ours may refuse a head that is incomplete for theirs."""
    states = state(our), state(their)
    if states == ("read", "read"):
        fields = as_h11_gives_them(our[1]) if judge == "h11" else our[1]
        return None if fields == logged(their[1]) else f"ours read {fields}, theirs {logged(their[1])}"
    if states[0] == states[1] or states == ("refused", "part"):
        return None
    end = head.find(b"\r\n\r\n", 2) + 4  # patterns match the head only
    if "part" not in states and any(judge in row.judges.split() and row.end == our[0] and re.search(row.pattern, head[:end])
                                    for row in DIFFERENCES):
        return None
    return f"ours: {states[0]}, {our and our[0]}; theirs: {states[1]}, {their and their[0]}"


def require_judge(judge):
    if judge == "h11":
        require_module("h11", "python3-h11")
    else:
        require("node", "nodejs")


@pytest.mark.slow("a process for each of many heads")
@pytest.mark.parametrize("block", BLOCKS)
def test_random_heads_are_parsed_as_by_other_parsers_except_for_listed_differences(block):
    chosen = conversations.seeds(block, USUAL)
    for batch in (chosen[start : start + BATCH] for start in range(0, len(chosen), BATCH)):
        requests = [head_of(seed) for seed in batch]
        verdicts = [ours(head) for head in requests]
        for judge, judged in JUDGES.items():
            require_judge(judge)
            wrong = [f"{judge}, seed {seed}: {what}: {head[:300]!r}"
                     for seed, head, our, their in zip(batch, requests, verdicts, judged(requests))
                     if (what := unexplained(judge, head, our, their))]
            assert not wrong, "\n".join(wrong[:10])


@functools.cache
def verdicts_of_examples(judge):
    return list(JUDGES[judge]([row.example for row in DIFFERENCES]))


@pytest.mark.parametrize("judge, number", [
    pytest.param(judge, number, id=f"{judge}-{row.end or 'read'}-{number}")
    for number, row in enumerate(DIFFERENCES) for judge in row.judges.split() if judge in JUDGES
])
def test_every_listed_difference_exists(judge, number):
    require_judge(judge)
    row, theirs = DIFFERENCES[number], verdicts_of_examples(judge)[number]
    assert re.search(row.pattern, row.example)
    our, states = ours(row.example), ("refused", "read") if row.end else ("read", "refused")
    assert (our[0], state(our)) == (row.end, states[0])
    assert state(theirs) == states[1] or row.mended and state(theirs) == states[0], theirs
