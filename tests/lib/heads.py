# SPDX-License-Identifier: MIT
"""Request heads, and the HTTP answers to them."""

import re

KEY = "dGhlIHNhbXBsZSBub25jZQ=="  # the example of RFC 6455 section 1.3
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


def head(*more, path="/socket", method="GET", version="HTTP/1.1", **changed):
    """An acceptable request head, with fields changed (`upgrade="x"`), left out
    (`upgrade=None`) or added (`more`, whole lines without CRLF)."""
    fields = {
        "Host": "localhost:8888",
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Key": KEY,
        "Sec-WebSocket-Version": "13",
    }
    for name, value in changed.items():
        fields[next(field for field in fields if field.lower().replace("-", "_").endswith(name))] = value
    lines = [f"{method} {path} {version}"]
    lines += [f"{name}: {value}" for name, value in fields.items() if value is not None]
    return "".join(line + "\r\n" for line in [*lines, *more, ""]).encode("latin-1")


def switching(accept=ACCEPT, subprotocol=None, extension=None):
    """The answer to an accepted head."""
    lines = [
        "HTTP/1.1 101 Switching Protocols",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Accept: {accept}",
    ]
    if subprotocol:
        lines.append(f"Sec-WebSocket-Protocol: {subprotocol}")
    if extension:
        lines.append(f"Sec-WebSocket-Extensions: {extension}")
    return "".join(line + "\r\n" for line in [*lines, ""]).encode()


class Answer:
    """A parsed HTTP answer: status, fields by their names in lower case, body."""

    LINE = re.compile(
        r"HTTP/1\.1 (101 Switching Protocols|200 OK|204 No Content|400 Bad Request|403 Forbidden|404 Not Found|"
        r"405 Method Not Allowed|408 Request Timeout|414 URI Too Long|426 Upgrade Required|"
        r"431 Request Header Fields Too Large|501 Not Implemented|505 HTTP Version Not Supported)")  # RFC 9110 section 15, RFC 6585
    FIELD = re.compile(r"([A-Za-z][A-Za-z-]*): (\S|\S[ -~]*\S)")

    def __init__(self, data):
        top, end, self.body = data.partition(b"\r\n\r\n")
        assert end, f"expected an HTTP answer, received {data[:200]!r}"
        line, *lines = top.decode("ascii").split("\r\n")
        assert self.LINE.fullmatch(line), line
        self.status = int(line[9:12])
        self.fields = {}
        for line in lines:
            match = self.FIELD.fullmatch(line)
            assert match, f"not a field: {line!r}"
            name, value = match.groups()
            assert name.lower() not in self.fields, f"{name} stands twice: {top!r}"
            self.fields[name.lower()] = value


DATE = re.compile(r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun), [0-9]{2} (Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
                  r" [0-9]{4} [0-9]{2}:[0-9]{2}:[0-9]{2} GMT")


def refused(data, status, method="GET"):
    """Asserts that `data` is one complete refusal with the fields that every refusal has; returns it parsed."""
    answer = Answer(data)
    assert answer.status == status, f"expected {status}, received {data!r}"
    assert DATE.fullmatch(answer.fields["date"]), data
    assert answer.fields["content-type"] == "text/plain; charset=utf-8", data
    assert answer.fields["connection"] == ("Upgrade, close" if status == 426 else "close"), data
    assert answer.fields.get("upgrade") == ("websocket" if status == 426 else None), data
    assert ("allow" in answer.fields) == (status == 405), data
    length = int(answer.fields["content-length"])
    if method == "HEAD":
        assert answer.body == b"" and length > 0, data
    else:
        assert len(answer.body) == length, data
        assert re.fullmatch(rb"[A-Z][ -~]+[^.]\.\n", answer.body), f"not a sentence: {answer.body!r}"
        assert not re.search(rb"[.!?] ", answer.body), f"more than a sentence: {answer.body!r}"
    return answer
