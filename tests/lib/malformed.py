#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The malformed frames of man/ws-echo-lab.7, and what real clients do with them: tests/lib/malformed.py --write [CLIENT...]

The page has the only table of the frames.  Each client connects to the program with the words of each row, sends a
message, and either gets its echo or not; a relay in between sees the bytes of both directions.  --write puts what the
clients did, or only those that are named, into the page: websockets wsproto ws Chromium Firefox.  As root it takes the
browsers as well.
"""

import asyncio
import concurrent.futures
import contextlib
import json
import os
import pathlib
import re
import socket
import subprocess
import sys
import threading
import warnings
from typing import NamedTuple

import framing
import launch
import project
from require import require, require_file, require_module

PAGE = project.TOP / "man/ws-echo-lab.7"
NODE_MODULES = "/usr/share/nodejs"  # where Debian's packages are, also for a node that is not Debian's
QUESTION, ECHO = "still here?", "server: still here?"
PATIENCE = 20  # seconds until a client that does nothing is said to wait


class Row(NamedTuple):
    """A row of the page: what the query asks for, and the section that says what a client does then."""

    number: int
    words: str
    compressed: bool  # it is for a connection that agreed to compression
    section: str
    duty: str

    @property
    def raw(self):
        return bytes.fromhex(re.search(r"raw=([0-9a-f]+)", self.words)[1])

    @property
    def path(self):
        return "/lab?" + self.words


def section(name):
    """The lines of a section of the page."""
    return PAGE.read_text(encoding="utf-8").split(f"\n.Sh {name}\n")[1].split("\n.Sh ")[0]


def rows():
    """The table of the page."""
    plain, compressed = section("MALFORMED FRAMES").split("\n.Ss With compression\n")
    item = re.compile(r"^\.It (\d+) Ql (\S+)\n(?:[^.\n].*\n)+?((?:RFC 7692 s|S)ection [0-9.]+), (.*)\.$", re.M)
    found = [Row(int(number), words.replace("\\&", ""), part is compressed, where, duty)
             for part in (plain, compressed) for number, words, where, duty in item.findall(part)]
    assert [row.number for row in found] == list(range(1, len(found) + 1))
    assert len(found) == len(re.findall(r"^\.It \d+ Ql", section("MALFORMED FRAMES"), re.M))
    return found


def outcomes():
    """What the page says that the clients did: {client: (version, {number: outcome})}."""
    names, versions, *lines = [[cell.strip() for cell in line.split(" Ta ")] for line in
                               re.findall(r"^\.It (.+ Ta .+)", section("WHAT CLIENTS DO"), re.M)]
    return {name: (versions[column], {int(line[0]): line[column] for line in lines})
            for column, name in enumerate(names) if column > 0}


# A relay that sees what both sides send.

class Meeting:
    """A connection of a client with the program."""

    def __init__(self, client, options):
        self.client, (self.server, passed) = client, socket.socketpair()
        self.received, self.sent = bytearray(), bytearray()  # from the client, and to it
        with passed:
            self.process = subprocess.Popen([launch.PROGRAM, *options], stdin=passed, stdout=passed, stderr=subprocess.DEVNULL)
        self.threads = [threading.Thread(target=self.relay, args=way, daemon=True) for way in
                        ((self.client, self.server, self.received), (self.server, self.client, self.sent))]
        for thread in self.threads:
            thread.start()

    @staticmethod
    def relay(source, target, seen):
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                seen += data
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                    target.sendall(data)
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_WR)

    def end(self):
        for thread in self.threads:
            thread.join(project.LIMIT)
        self.process.wait(project.LIMIT)
        self.client.close()
        self.server.close()

    def close_of_client(self):
        """The code of the first Close of the client, `empty` if it has none, or None if there is no Close."""
        data = bytes(self.received).partition(b"\r\n\r\n")[2]
        while len(data) >= 6:
            length, at = data[1] & 0x7F, 2
            if length == 126:
                length, at = int.from_bytes(data[2:4], "big"), 4
            if data[0] & 0x0F == framing.CLOSE:
                body = framing.unmask(data[at + 4 : at + 4 + length], data[at : at + 4])
                return str(int.from_bytes(body[:2], "big")) if body else "empty"
            data = data[at + 4 + length :]
        return None


class Relay:
    """Listens, and starts the program for each connection, with `options`, in which PORT is its own port."""

    def __init__(self, *options):
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self.listener.getsockname()[1]
        self.options = [option.replace("PORT", str(self.port)) for option in options]
        self.meetings = []
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        with contextlib.suppress(OSError):  # the listener is closed
            while True:
                self.meetings.append(Meeting(self.listener.accept()[0], self.options))

    def meeting(self, path):
        """The connection whose request has this target, when both sides have ended."""
        (found,) = [meeting for meeting in self.meetings if meeting.received.startswith(f"GET {path} ".encode())]
        for thread in found.threads:
            thread.join(project.LIMIT)
        return found

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for meeting in self.meetings:
            if meeting.process.poll() is None:
                meeting.process.terminate()
            meeting.end()


# The clients.  Each takes URLs and returns for each whether the echo came: "accepts", "", or "waits" if nothing came.

class Websockets:
    """Debian's python3-websockets."""

    name = "websockets"

    def __init__(self):
        require_module("websockets", "python3-websockets")
        import websockets
        self.version = websockets.__version__

    def meet(self, urls):
        async def all_of_them():
            return await asyncio.gather(*map(self.one, urls))
        return asyncio.run(all_of_them())

    async def one(self, url):
        import websockets
        try:
            async with websockets.connect(url, open_timeout=project.LIMIT) as client:
                await client.send(QUESTION)
                while await asyncio.wait_for(client.recv(), PATIENCE) != ECHO:
                    pass
                return "accepts"
        except asyncio.TimeoutError:
            return "waits"
        except websockets.ConnectionClosed:
            return ""


class Wsproto:
    """Debian's python3-wsproto, which reads and writes nothing itself: what it says is done."""

    name = "wsproto"

    def __init__(self):
        require_module("wsproto", "python3-wsproto")
        import wsproto
        self.version = wsproto.__version__

    def meet(self, urls):
        with concurrent.futures.ThreadPoolExecutor() as threads:
            return list(threads.map(self.one, urls))

    @staticmethod
    def one(url):
        from wsproto import ConnectionType, WSConnection, events, extensions
        host, target = re.fullmatch(r"ws://([^/]+)(/.*)", url).groups()
        client, text = WSConnection(ConnectionType.CLIENT), ""
        name, port = host.split(":")
        with socket.create_connection((name, int(port)), PATIENCE) as connected:
            send = lambda event: connected.sendall(client.send(event))
            send(events.Request(host=host, target=target, extensions=[extensions.PerMessageDeflate()]))
            while True:
                try:
                    data = connected.recv(1 << 16)
                except TimeoutError:
                    return "waits"
                client.receive_data(data or None)
                for event in client.events():
                    if isinstance(event, events.AcceptConnection):
                        send(events.Message(data=QUESTION))
                    elif isinstance(event, events.TextMessage):
                        text += event.data
                        if event.message_finished:
                            if text == ECHO:
                                return "accepts"
                            text = ""
                    elif isinstance(event, events.Ping):
                        send(event.response())
                    elif isinstance(event, events.CloseConnection):
                        if data:
                            send(event.response())
                        return ""


def numeric(script):
    """With the address in place of its name: node before version 20 tries only the first address, which may be ::1."""
    return script.replace("://localhost:", "://127.0.0.1:")


class NodeWs:
    """Debian's node-ws."""

    name = "ws"

    def __init__(self):
        self.node = require("node", "nodejs")
        require_file(f"{NODE_MODULES}/ws", "node-ws")
        self.version = json.loads(pathlib.Path(NODE_MODULES, "ws/package.json").read_text(encoding="utf-8"))["version"]

    def meet(self, urls):
        urls = [numeric(url) for url in urls]
        script = f"globalThis.WebSocket = require('ws')\n;({MEET})({json.dumps(urls)}).then(verdicts => " \
                 "console.log(JSON.stringify(verdicts)))"
        result = subprocess.run([self.node, "-e", script], capture_output=True, check=True, timeout=project.LIMIT,
                                env={**os.environ, "NODE_PATH": NODE_MODULES})
        return json.loads(result.stdout)


# The same for node's ws and in a page of a browser.
MEET = f"""urls => Promise.all(urls.map(url => new Promise(resolve => {{
    const socket = new WebSocket(url)
    const told = verdict => {{ clearTimeout(timer); resolve(verdict); socket.close() }}
    const timer = setTimeout(told, {PATIENCE * 1000}, 'waits')
    socket.onopen = () => socket.send('{QUESTION}')
    socket.onmessage = event => {{ if (event.data === '{ECHO}') told('accepts') }}
    socket.onerror = () => {{}}
    socket.onclose = () => told('')
}})))"""


class InBrowser:
    """A browser that stands at a page of the server."""

    def __init__(self, browser):
        self.browser, self.name = browser, type(browser).__name__
        program = require(*{"Chromium": ("chromium", "chromium"), "Firefox": ("firefox-esr", "firefox-esr")}[self.name])
        said = subprocess.run([program, "--version"], capture_output=True, text=True, check=True, timeout=project.LIMIT).stdout
        self.version = re.search(r"\d[\w.]*", said)[0]

    def meet(self, urls):
        self.browser.open(re.match(r"ws(://[^/]+/)", urls[0]).expand(r"http\1"))
        return self.browser.evaluate(f"({MEET})({json.dumps(urls)})")


LIBRARIES = [Websockets, Wsproto, NodeWs]


def meet(client, table):
    """What a client does with each row: {number: outcome}; and what was sent to it: {number: bytes}."""
    did, sent = {}, {}
    for compressed in (False, True):
        chosen = [row for row in table if row.compressed == compressed]
        if not chosen:
            continue
        with Relay("--lab=/lab", *["--deflate"] * compressed) as relay:
            verdicts = client.meet([f"ws://localhost:{relay.port}{row.path}" for row in chosen])
            for row, verdict in zip(chosen, verdicts):
                meeting = relay.meeting(row.path)
                did[row.number] = verdict or meeting.close_of_client() or "end"
                sent[row.number] = bytes(meeting.sent)
    return did, sent


def compare(client):
    """Fails if the program did not send the bytes of each row to this client, or if the client did not do what the
    page says of its version.  What another version does differently is a warning."""
    table, (version, expected) = rows(), outcomes()[client.name]
    did, sent = meet(client, table)
    for row in table:
        after = sent[row.number].partition(b"\r\n\r\n")[2]
        assert after.startswith(row.raw), f"row {row.number}: {row.raw.hex()} has to be sent, {after.hex()} was"

    def differing():
        return [row for row in table if did[row.number] != expected[row.number]]

    if version == client.version:  # on a busy machine a stream may end before the client has read what came first
        did.update(meet(client, differing())[0])
    found = "; ".join(f"row {row.number}: {client.name} {version} {expected[row.number]}, {client.version} {did[row.number]}"
                      for row in differing())
    assert version != client.version or not found, found
    if found:
        warnings.warn(found)


def write(clients):
    """Puts what clients do into the page, and leaves what it says of the others."""
    table, known = rows(), outcomes()
    for client in clients:
        known[client.name] = client.version, meet(client, table)[0]
    lines = [["row", *known], ["", *(version for version, _ in known.values())]]
    lines += [[str(row.number), *(did.get(row.number, "-") for _, did in known.values())] for row in table]
    text = PAGE.read_text(encoding="utf-8")
    before, rest = text.split("\n.Sh WHAT CLIENTS DO\n")
    place = re.compile(r"(?:^\.It .+ Ta .+\n)+", re.M)
    items = "".join(f".It {' Ta '.join(line)}\n".replace(".It  Ta", ".It \\& Ta") for line in lines)
    PAGE.write_text(f"{before}\n.Sh WHAT CLIENTS DO\n{place.sub(lambda _: items, rest, count=1)}", encoding="utf-8")


def main():
    if sys.argv[1:2] != ["--write"]:
        sys.exit(__doc__)
    wanted = sys.argv[2:]
    write([library() for library in LIBRARIES if not wanted or library.name in wanted])
    if os.geteuid() == 0:
        from browsers import Chromium, Firefox
        for kind in (Chromium, Firefox):
            if not wanted or kind.__name__ in wanted:
                with kind() as browser:
                    write([InBrowser(browser)])


if __name__ == "__main__":
    main()
