# SPDX-License-Identifier: MIT
"""Recorded requests of real clients: the program's whole answer, byte for byte.

The recordings are text files in handshakes/, written by handshakes/record.py.
"""

import base64
import hashlib
import pathlib
import re

import heads
import launch
import project
import pytest
from rule import rule

FILES = sorted(pathlib.Path(__file__).with_name("handshakes").glob("*.txt"))
PAGE = (project.TOP / "src/page.html").read_bytes()


def sections(path):
    """The bytes of each section of a recording, by its name."""
    found = {}
    for line in path.read_text("ascii").splitlines():
        if line.startswith("== "):
            name = line[3:]
            found[name] = b""
        elif line and not line.startswith("#"):
            if name.endswith("frames"):
                found[name] += bytes.fromhex(line)
            else:
                found[name] += line.encode("ascii").decode("unicode_escape").encode("latin-1")
    return found


def hash_of(element):
    content = re.search(f"^<{element}[^>]*>(.*?)</{element}>".encode(), PAGE, re.DOTALL | re.MULTILINE)[1]
    return b"sha256-" + base64.b64encode(hashlib.sha256(content).digest())


def filled_in(answer, received):
    """Replaces the placeholders of the expected answer: the page, and the date, which is copied from the
    actual answer if it is a valid date."""
    date = re.search(b"Date: (%s)\r\n" % heads.DATE.pattern.encode(), received)
    for name, value in {
        "date": date[1] if date else b"(no date)",
        "length": str(len(PAGE)).encode(),
        "script": hash_of("script"),
        "style": hash_of("style"),
        "page": PAGE,
    }.items():
        answer = answer.replace(b"{%s}" % name.encode(), value)
    return answer


@rule("RFC 6455 4.2.1 (8)", "The requests of real clients are accepted.")
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_recorded_client_gets_exactly_this_answer(path):
    recording = sections(path)
    request = b"".join(content for name, content in recording.items() if name.startswith("request "))
    expected = b"".join(content for name, content in recording.items() if name.startswith("answer "))
    result = launch.run(request)
    assert result.stdout == filled_in(expected, result.stdout)
    assert result.returncode == 0, result


@rule("RFC 6455 4.2.1 (8)")
def test_every_client_is_recorded():
    """A missing file would otherwise go unnoticed."""
    assert {path.stem for path in FILES} >= {
        "chromium", "curl", "curl-page", "firefox", "node-ws", "python3-tornado", "python3-websocket",
        "python3-websockets", "tutorial",
    }
