# SPDX-License-Identifier: MIT
"""Closes of both sides as seen by real clients: browsers, node and Python libraries, directly and through proxies.

After a Close of the server, the client must report its code and reason and a clean end, the client's Close must reach
the server (--verbose logs it), and no library may report an error of the connection.
"""

import contextlib
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import threading

import framing
import heads
import launch
import project
import proxies
import pytest
from framing import BINARY, TEXT
from require import require, require_file, require_module
from rule import rule
from serving import listening

pytestmark = rule("ws-echo(8) STANDARDS")

HERE = pathlib.Path(__file__).resolve().parent
TALK = (HERE / "talk.js").read_text(encoding="utf-8").rstrip()
MAX_MESSAGE = 16 << 20  # --max-message's default
TEN_BYTES = "--max-message=10"
OWN = [4000, "that was ällês"]


# The ways to the server.

def alone(folder, server):
    return contextlib.nullcontext(server)


def nginx(folder, server):
    return proxies.nginx(folder, f"location / {{ proxy_pass http://127.0.0.1:{server.port}; }}")


def haproxy(folder, server):
    return proxies.haproxy(folder, server.port)


def haproxy_tcp(folder, server):
    return proxies.haproxy(folder, server.port, mode="tcp")


@pytest.fixture(scope="module")
def listener():
    with listening() as server:
        yield server


@pytest.fixture(scope="module", params=[alone, nginx, haproxy, haproxy_tcp], ids=lambda way: way.__name__)
def way(request, listener, tmp_path_factory):
    """The listener or proxy that the client connects to, at `port`."""
    with request.param(tmp_path_factory.mktemp("proxy"), listener) as proxy:
        yield proxy


class Server:
    """The server in one test: its options, and its only WebSocket connection."""

    def __init__(self, listener):
        self.listener = listener
        self.instance = None

    def options(self, *options, memory=None):
        self.listener.options = ["--verbose", "--no-page", *options]
        self.listener.wrapper = [require("prlimit", "util-linux"), f"--as={memory}"] if memory else ()

    def connected(self):
        """Waits until a client has connected and sent its first message."""
        def found():
            for instance in self.listener.instances:
                if "received text " in instance.log():
                    self.instance = instance
            return self.instance

        launch.wait_until(found, "a client has sent a message")

    def finish(self):
        """Waits until the program has ended; returns its lines without their prefix, and its record."""
        self.connected()
        self.instance.process.wait(project.LIMIT)
        self.listener.instances.remove(self.instance)
        log = self.instance.log()
        return [line.partition(": ")[2] for line in log.splitlines()], launch.record(log)


@pytest.fixture
def server(listener):
    yield Server(listener)
    listener.end()  # also spare connections of a browser


# The clients.

class Library:
    """A library in its own process, which prints the result. `require` is called first."""

    def __init__(self, *command, require):
        self.command, self.require = command, require

    def __enter__(self):
        self.require()
        return self

    def __exit__(self, *_):
        pass

    def start(self, port, plan):
        environment = {**os.environ, "NODE_PATH": "/usr/share/nodejs", "NODE_NO_WARNINGS": "1"}
        command = [*map(str, self.command), f"ws://127.0.0.1:{port}/socket", json.dumps(plan)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, env=environment)

    def result(self):
        with self.process as process:
            output, _ = process.communicate(timeout=project.LIMIT)
        assert process.returncode == 0, output
        return json.loads(output)


class InBrowser:
    """The server's page in a browser; the console opens the WebSocket."""

    def __init__(self, name):
        self.name = name

    def __enter__(self):
        require_module("websocket", "python3-websocket")
        import browsers

        self.browser = getattr(browsers, self.name)()
        return self

    def __exit__(self, *_):
        self.browser.close()

    def start(self, port, plan):
        socket_of = f"new WebSocket('ws://127.0.0.1:{port}/socket')"
        self.browser.evaluate(f"void (window.told = ({TALK})({socket_of}, {json.dumps(plan)}))")

    def result(self):
        return self.browser.evaluate("window.told")


def of_node(name):
    """A library of Debian's package node-NAME, which another node can load too."""
    def require_library():
        require("node", "nodejs")
        require_file(f"/usr/share/nodejs/{name}", f"node-{name}")

    return Library("node", HERE / "closing.js", name, require=require_library)


def of_python(name):
    return Library(sys.executable, HERE / "closing.py", name,
                   require=lambda: require_module(name, f"python3-{name}"))


CLIENTS = {
    "ws": of_node("ws"),
    "undici": of_node("undici"),
    "websockets": of_python("websockets"),
    "aiohttp": of_python("aiohttp"),
    "Chromium": InBrowser("Chromium"),
    "Firefox": InBrowser("Firefox"),
}


@pytest.fixture(scope="module", params=CLIENTS)
def started(request):
    with CLIENTS[request.param] as client:
        yield client


@pytest.fixture
def client(started, server, listener):
    """The client in its initial state."""
    if isinstance(started, InBrowser):
        server.options()
        started.browser.open(f"http://127.0.0.1:{listener.port}/")
    return started


class Between:
    """Forwards the bytes and the ends of one connection, and can insert bytes into the client's."""

    def __init__(self, port):
        self.target = ("127.0.0.1", port)

    def __enter__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.accepting = threading.Thread(target=self._accept)
        self.accepting.start()
        return self

    def __exit__(self, *_):
        self.accepting.join(project.LIMIT)
        self.listener.close()

    def _accept(self):
        client, _ = self.listener.accept()
        with client, socket.create_connection(self.target) as self.server:
            back = threading.Thread(target=self._hand_on, args=(self.server, client))
            back.start()
            self._hand_on(client, self.server)
            back.join()

    @staticmethod
    def _hand_on(source, target):
        with contextlib.suppress(ConnectionError):
            while data := source.recv(1 << 16):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)

    def put(self, data):
        self.server.sendall(data)


def seen(code, reason, clean=True):
    return {"code": code, "reason": reason, "wasClean": clean, "errors": []}


# Closes of the server, caused by options, by bytes of the client, or by a signal.

CAUSES = {
    "stopped": {"signal": signal.SIGTERM},
    "opcode-reserved": {"raw": framing.frame(3)},
    "text-not-utf8": {"raw": framing.text(b"\xff")},
    "message-too-big": {"options": [TEN_BYTES], "plan": {"send": 11}},
    "message-too-big-by-a-byte": {"plan": {"send": MAX_MESSAGE + 1}},
    "no-memory": {"options": ["--max-message=1G"], "memory": 512 << 20, "plan": {"send": 1 << 20}},
    "message-too-big-in-a-flood": {"options": [TEN_BYTES], "plan": {"flood": True}},
}
BEFORE_ALL_IS_SENT = {"no-memory", "message-too-big-in-a-flood"}


def closed_by(client, way, server, cause):
    """Causes a Close of the server; returns what the client and the server report."""
    how = CAUSES[cause]
    plan, raw = how.get("plan", {}), how.get("raw")
    server.options(*how.get("options", []), memory=how.get("memory"))
    with contextlib.ExitStack() as stack:
        port = way.port
        if raw and isinstance(client, InBrowser):
            between = stack.enter_context(Between(port))
            port = between.port
        elif raw:
            plan = {"raw": raw.hex()}
        client.start(port, plan)
        server.connected()
        if "signal" in how:
            server.instance.process.send_signal(how["signal"])
        if raw and isinstance(client, InBrowser):
            between.put(raw)
        told = client.result()
    if client is CLIENTS["Chromium"] and cause in BEFORE_ALL_IS_SENT:
        told["wasClean"] = True  # false if data of the page was still unsent
    return told, *server.finish()


@rule("RFC 6455 7.1.1 (2)")
@pytest.mark.parametrize("cause", CAUSES)
def test_a_close_of_the_servers_arrives_and_its_answer_too(client, way, server, cause):
    end = cause.partition("-by-")[0].partition("-in-")[0]
    code, reason = framing.CLOSES[end]
    # After 1002 and 1007 the server ends the stream after a tenth of a second without a byte. On a busy machine, a
    # browser's Close may take longer, so the test is repeated.
    for _ in range(3 if isinstance(client, InBrowser) and code in (1002, 1007) else 1):
        told, lines, record = closed_by(client, way, server, cause)
        if told["wasClean"]:
            break
    assert told == seen(code, reason.decode())
    assert (record["close"], record["reason"], record["end_id"]) == (str(code), reason.decode(), end)
    assert server.instance.process.returncode == (71 if end == "no-memory" else 0)
    answers = sum(line.startswith("received close ") for line in lines)
    # After these codes the server must not process a Close: RFC 6455 section 7.1.7.
    assert answers == (0 if code in (1002, 1007) else 1), lines[-3:]


# Closes of the client.

def test_a_close_of_the_clients_comes_back_with_its_code_and_its_reason(client, way, server):
    server.options()
    client.start(way.port, {"close": OWN})
    told = client.result()
    if client is CLIENTS["aiohttp"]:  # aiohttp does not report the reason
        told["reason"] = told["reason"] or OWN[1]
    lines, record = server.finish()
    assert told == seen(*OWN)
    assert (record["close"], record["end_id"]) == ("4000", "closed-by-peer")
    length = len(framing.close_body(OWN[0], OWN[1].encode()))
    assert lines[-2] == f"sent close fin=1 length={length} code=4000", lines[-3:]


# A peer that sends a whole frame of the largest size before it reads.

@rule("RFC 6455 7.1.1 (1)")
@pytest.mark.parametrize("frame, end", [
    (framing.frame(BINARY, bytes(MAX_MESSAGE), rsv=4), "rsv-set"),
    (framing.frame(TEXT, b"\xff" * MAX_MESSAGE), "text-not-utf8"),
], ids=["rsv-set", "text-not-utf8"])
def test_a_close_arrives_although_16_mib_are_on_their_way(way, server, frame, end):
    server.options()
    peer = launch.Peer(socket.create_connection(("127.0.0.1", way.port)))
    peer.send(heads.head())
    answer = b""
    while not answer.endswith(b"\r\n\r\n"):  # skipped, because a proxy may change the head
        answer += peer.receive(1) or b"\r\n\r\n"
    assert answer.startswith(b"HTTP/1.1 101 "), answer
    assert peer.talk(framing.text("ready") + frame) == framing.echo("ready") + framing.our_close(end)
    peer.close()
    assert server.finish()[1]["end_id"] == end
