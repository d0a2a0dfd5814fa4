#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Records the bytes that real WebSocket clients send, and writes the other files of this directory.

    tests/clients/handshakes/record.py [CLIENT...]

Each client connects to a small server in this script, at port 8888 of the loopback addresses, sends
the same few messages through its ordinary interface, and closes with 1000. CLIENT.txt then contains
what it sent, and the answer that RFC 6455 and the manual require. This script computes the answer from
the request, by code that shares nothing with the program. Without an argument it records all clients;
each recording has new keys. tutorial.txt is written by hand.

The clients are Debian packages: chromium and chromium-driver, firefox-esr, curl, python3-websockets,
python3-websocket (which also controls the browsers), python3-tornado, node-ws.
"""

import base64
import concurrent.futures
import hashlib
import http.server
import os
import pathlib
import select
import socket
import subprocess
import sys
import textwrap
import threading

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent / "lib"))
import browsers  # noqa: E402
import framing  # noqa: E402
import heads  # noqa: E402
import launch  # noqa: E402
import project  # noqa: E402

NAMES = {framing.TEXT: "Text", framing.BINARY: "Binary", framing.CLOSE: "Close"}

HOW_TO_READ = """\
The lines of a head are shown with their ends, as C would write them. Frames are in hexadecimal: the
two first bytes, a longer length, the masking key, the payload."""

PLACEHOLDERS = """\
What stands in braces changes with the day or the page, and the test fills it in: {page} is
src/page.html, and the hashes are those of its script and its style."""


# ---- The server

def requested(reader):
    """Reads a request head up to its empty line; returns it, and its fields by their names in lower case."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        line = reader.readline()
        if not line:
            return None, {}
        head += line
    lines = head.decode("latin-1").split("\r\n")[1:-2]
    return head, {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}


def agreed(fields):
    """The answer to a request for a WebSocket: RFC 6455 section 4.2.2."""
    digest = hashlib.sha1(fields["sec-websocket-key"].encode() + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11")
    first = fields.get("sec-websocket-protocol", "").partition(",")[0].strip()
    return heads.switching(base64.b64encode(digest.digest()).decode(), first)


def echoed(opcode, payload):
    """The answer to a frame of a kind that the clients send."""
    assert opcode in NAMES, opcode
    if opcode == framing.TEXT:
        return framing.echo(payload)
    if opcode == framing.CLOSE:
        return framing.reply(framing.CLOSE, payload[:2])  # the code without the reason
    return framing.reply(framing.BINARY, payload)


def next_frame(reader):
    """Reads a client's frame; returns its first two bytes, extended length, masking key and masked payload."""
    start = reader.read(2)
    if not start:
        return None
    assert start[0] & 0xF0 == 0x80, f"not a whole message, or an extension that was not agreed to: {start}"
    assert start[1] & 0x80, f"not masked: {start}"
    longer = reader.read({126: 2, 127: 8}.get(start[1] & 0x7F, 0))
    length = int.from_bytes(longer, "big") if longer else start[1] & 0x7F
    return start, longer, reader.read(4), reader.read(length)


def serve(connection, speaks):
    """Answers one client and returns the recording: its sections by name, each a list of lines."""
    reader = connection.makefile("rb")
    head, fields = requested(reader)
    if head is None:
        return None  # browsers also open spare connections
    if "sec-websocket-key" not in fields:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        return {"request head": head_lines(head), "answer head": head_lines(PAGE), "answer body": ["{page}"]}
    connection.sendall(agreed(fields))
    if not speaks:  # curl prints the answer until the stream ends, but needs at least one byte
        connection.sendall(framing.reply(framing.CLOSE, framing.close_body(1001)))
        connection.shutdown(socket.SHUT_WR)
    received, sent = [], []
    while frame := next_frame(reader):
        start, longer, key, masked = frame
        opcode, payload = start[0] & 0x0F, framing.unmask(masked, key)
        received += ["# " + told(opcode, payload, key), *hexadecimal(start, longer, key, payload=masked)]
        reply = echoed(opcode, payload)
        ((_, opcode, payload),) = framing.frames(reply)
        header = reply[: len(reply) - len(payload)]
        sent += ["# " + told(opcode, payload), *hexadecimal(header[:2], header[2:], payload=payload)]
        connection.sendall(reply)
        if opcode == framing.CLOSE:
            connection.shutdown(socket.SHUT_WR)
    return {"request head": head_lines(head), "request frames": received,
            "answer head": head_lines(agreed(fields)), "answer frames": sent}


PAGE = b"""\
HTTP/1.1 200 OK
Date: {date}
Connection: close
Content-Type: text/html; charset=utf-8
Content-Length: {length}
Content-Security-Policy: default-src 'none'; img-src data:; script-src '{script}'; style-src '{style}'; \
connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'
X-Content-Type-Options: nosniff
Referrer-Policy: no-referrer
Cache-Control: no-cache

""".replace(b"\n", b"\r\n")


# ---- The files

def head_lines(head):
    lines = head.decode("latin-1").splitlines(keepends=True)
    return [line.encode("unicode_escape").decode() for line in lines]


def told(opcode, payload, key=None):
    """Describes a frame in words."""
    words = f"{NAMES[opcode]}, {len(payload)} bytes"
    if key:
        words += f", masking key {key.hex()}"
    if opcode == framing.TEXT:
        words += f": {payload.decode()!r}"
    elif opcode == framing.CLOSE and payload:
        words += f": code {int.from_bytes(payload[:2], 'big')}, reason {payload[2:].decode()!r}"
    elif payload == bytes(range(256)):
        words += ": every byte from 00 to ff"
    return words


def hexadecimal(start, *header, payload):
    """The bytes of a frame in hexadecimal, part by part; a long payload gets lines of its own."""
    line = " ".join([start.hex(" "), *(part.hex() for part in header if part)])
    if len(payload) <= 32:
        return [f"{line} {payload.hex()}".rstrip()]
    return [line, *(payload[at : at + 32].hex() for at in range(0, len(payload), 32))]


def write(name, title, code, sections):
    notes = f"{title}\n\n{textwrap.indent(code.strip(), '    ')}\n\n{HOW_TO_READ}"
    if "answer body" in sections:
        notes += f"\n\n{PLACEHOLDERS}"
    lines = [f"# {line}".rstrip() for line in notes.splitlines()]
    for section, content in sections.items():
        if content:
            lines += ["", f"== {section}", *content]
    (HERE / f"{name}.txt").write_text("\n".join([*lines, ""]), encoding="ascii")
    print(f"{name}.txt")


# ---- The clients

WEBSOCKETS = """\
import asyncio, websockets

async def talk():
    async with websockets.connect("ws://localhost:8888/socket") as socket:
        for message in "Hello world", bytes(range(256)), "":
            await socket.send(message)
            await socket.recv()
        await socket.close(1000)

asyncio.run(talk())
"""

WEBSOCKET = """\
import websocket

socket = websocket.create_connection("ws://localhost:8888/socket")
socket.send("Hello world")
socket.send_binary(bytes(range(256)))
socket.send("")
socket.close(1000)
"""

TORNADO = """\
import asyncio
from tornado.websocket import websocket_connect

async def talk():
    socket = await websocket_connect("ws://localhost:8888/socket")
    await socket.write_message("Hello world")
    await socket.write_message(bytes(range(256)), binary=True)
    await socket.write_message("")
    socket.close(1000)
    while await socket.read_message() is not None:
        pass

asyncio.run(talk())
"""

JAVASCRIPT = """\
const socket = new WebSocket("ws://localhost:8888/socket"%s)
socket.onopen = () => {
  socket.send("Hello world")
  socket.send(Uint8Array.from({length: 256}, (_, index) => index))
  socket.send("")
  socket.close(1000)
}
"""
OFFERING = JAVASCRIPT % ', ["chat", "superchat"]'
JAVASCRIPT %= ""

NODE = f'const WebSocket = require("ws")\n{JAVASCRIPT}'

CURL = r"""
curl --include --no-buffer --silent --http1.1 \
    -H 'Connection: Upgrade' -H 'Upgrade: websocket' -H 'Sec-WebSocket-Version: 13' \
    -H 'Sec-WebSocket-Key: SGVsbG8sIHdvcmxkISAgIA==' http://localhost:8888/socket
"""

CURL_PAGE = "curl --silent --http1.1 http://localhost:8888/"

PYTHON = ["/usr/bin/python3", "-c"]

CLIENTS = {  # name: Debian's package, what runs the code, the code
    "python3-websockets": ("python3-websockets", PYTHON, WEBSOCKETS),
    "python3-websocket": ("python3-websocket", PYTHON, WEBSOCKET),
    "python3-tornado": ("python3-tornado", PYTHON, TORNADO),
    "node-ws": ("node-ws", ["/usr/bin/node", "-e"], NODE),
    "curl": ("curl", ["sh", "-c"], CURL),
    "curl-page": ("curl", ["sh", "-c"], CURL_PAGE),
    "chromium": ("chromium", browsers.Chromium, JAVASCRIPT),
    "chromium-subprotocols": ("chromium", browsers.Chromium, OFFERING),
    "firefox": ("firefox-esr", browsers.Firefox, JAVASCRIPT),
    "firefox-subprotocols": ("firefox-esr", browsers.Firefox, OFFERING),
}


class EmptyPage(http.server.BaseHTTPRequestHandler):
    """Serves an empty page, in whose console the browsers run the code."""

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


def run_in_browser(browser_class, code):
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), EmptyPage) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with browser_class() as browser:
            browser.open(f"http://localhost:{server.server_port}/")
            browser.evaluate(f"new Promise(resolve => {{\n{code}\nsocket.onclose = () => resolve()\n}})")
        server.shutdown()


def run_command(command, code):
    subprocess.run([*command, code], check=True, timeout=project.LIMIT, stdout=subprocess.DEVNULL,
                   env={**os.environ, "NODE_PATH": "/usr/share/nodejs"})  # where Debian keeps ws


def ready(listeners):
    """The listeners on which a connection waits."""
    return select.select(listeners, [], [], 0)[0]


def record(name, listeners):
    package, runner, code = CLIENTS[name]
    version = subprocess.check_output(["dpkg-query", "-W", "-f", "${Version}", package], text=True)
    in_browser = not isinstance(runner, list)
    with concurrent.futures.ThreadPoolExecutor() as executor:
        client = executor.submit(run_in_browser if in_browser else run_command, runner, code)
        sections = None
        while not sections:
            launch.wait_until(lambda: client.done() or ready(listeners), f"{name} connects")
            if client.done():
                client.result()  # raises the client's exception, if any
            with ready(listeners)[0].accept()[0] as connection:
                connection.settimeout(project.LIMIT)
                sections = serve(connection, speaks=package != "curl")
        client.result()
    where = " in a page's console" if in_browser else ""
    title = f"{package} {version}, recorded by tests/clients/handshakes/record.py, which ran this{where}:"
    write(name, title, code, sections)


def main(names):
    if set(names) - set(CLIENTS):
        sys.exit(f"clients are: {' '.join(CLIENTS)}")
    with socket.create_server(("127.0.0.1", 8888)) as one, \
            socket.create_server(("::1", 8888), family=socket.AF_INET6) as other:
        for name in names or CLIENTS:
            record(name, [one, other])


if __name__ == "__main__":
    main(sys.argv[1:])
