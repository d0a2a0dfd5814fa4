# SPDX-License-Identifier: MIT
"""The configurations of packaging/examples for proxies in front of ws-echo, and what ws-echo-proxies(7) says of them.

Each runs as it stands, except for addresses and the path of the certificate: see proxies.Example. To show that a line of it
is needed, a test takes the line out, and asserts what a user then sees.
"""

import contextlib
import re
import signal
import socket
import ssl
from typing import NamedTuple

import framing
import heads
import launch
import manual
import project
import proxies
import pytest
from framing import BINARY, PING, PONG, TEXT
from rule import rule
from serving import listening

pytestmark = rule("ws-echo-proxies(7) DESCRIPTION",
                  "Through each proxy of the table, messages, Pings, Closes and the address of the client arrive.")

CLIENT = "127.0.0.2"  # another address than the proxy's, which is 127.0.0.1
MAX_MESSAGE = 16 << 20  # --max-message's default
OWN = 4000, "that was ällês".encode()
IDLE = 2  # seconds of a proxy's timeout where a test waits for it


class Seen(NamedTuple):
    """What a user sees of a configuration that lacks a line: the HTTP status, and the identity of the end in the record;
    None if there is no answer or no record."""

    status: int | None
    end: str | None


STRIPPED = Seen(426, "upgrade-required")
CONNECTION_STRIPPED = Seen(400, "connection-not-upgrade")
NO_HEADER = Seen(400, "proxy-malformed")
NO_HEADER_IN_CHECKS = Seen(None, "proxy-malformed")  # after its health check, HAProxy takes the server for dead
NO_ADDRESS = "the record does not have the client's address"


class Case(NamedTuple):
    """A proxy: the lines that it cannot do without, the change that shortens its timeout (a text and its replacement, or
    arguments), how the connection then ends for the server, and whether the timeout counts what the client sends only."""

    proxy: type
    crucial: dict
    timeout: dict = {}
    arguments: tuple = ()
    end: str = "end-of-input"
    of_client_only: bool = False


CASES = {case.proxy.example: case for case in [
    Case(proxies.HAProxyExample, {"option forwardfor": NO_ADDRESS}, {"timeout tunnel 1h": f"timeout tunnel {IDLE}s"}, end="reset"),
    Case(proxies.HAProxyTcpExample, {"send-proxy-v2": NO_HEADER_IN_CHECKS}, {"timeout tunnel 1h": f"timeout tunnel {IDLE}s"}),
    Case(proxies.NginxExample, {
        "proxy_http_version 1.1;": STRIPPED,
        "proxy_set_header Upgrade $http_upgrade;": STRIPPED,
        "proxy_set_header Connection upgrade;": CONNECTION_STRIPPED,
        "proxy_set_header X-Forwarded-For $remote_addr;": NO_ADDRESS,
    }, {"proxy_read_timeout 60s": f"proxy_read_timeout {IDLE}s"}),
    Case(proxies.ApacheExample, {"upgrade=websocket": STRIPPED}, {"Timeout 60": f"Timeout {IDLE}"}),
    Case(proxies.CaddyExample, {"reverse_proxy 127.0.0.1:BACKEND": Seen(200, None)}),
    Case(proxies.VarnishExample, {
        ".proxy_header = 2;": NO_HEADER,
        "return (pipe);": STRIPPED,
        "set bereq.http.upgrade = req.http.upgrade;": STRIPPED,
        "set bereq.http.connection = req.http.connection;": CONNECTION_STRIPPED,
    }, arguments=("-p", f"pipe_timeout={IDLE}")),
    Case(proxies.StunnelExample, {"protocol = proxy": NO_HEADER}, {"TIMEOUTidle = 3600": f"TIMEOUTidle = {IDLE}"}, end="reset"),
    Case(proxies.HitchExample, {"write-proxy-v2 = on": NO_HEADER}),
    Case(proxies.LighttpdExample, {'proxy.header = ( "upgrade" => "enable" )': STRIPPED},
         {"server.max-read-idle = 120": f"server.max-read-idle = {IDLE}"}, of_client_only=True),
]}
# The sections of the page, and the files that they explain.
SECTIONS = {
    "HAPROXY": ["haproxy.cfg", "haproxy-tcp.cfg"],
    "NGINX": ["nginx.conf"],
    "APACHE HTTPD": ["apache.conf"],
    "CADDY": ["Caddyfile"],
    "VARNISH": ["varnish.vcl"],
    "STUNNEL": ["stunnel.conf"],
    "HITCH": ["hitch.conf"],
    "LIGHTTPD": ["lighttpd.conf"],
}


PAGE = manual.page("ws-echo-proxies.7")


def section(heading):
    """A section of the page, without the escapes of quotes and parentheses."""
    return manual.section(heading, PAGE).replace("\\(dq", '"').replace("\\&", "")


def rows_of_the_page():
    """The records in the section WHAT GOES WRONG: their parts by the name of the end."""
    lines = re.findall(r"^\.Dl (.*)", section("WHAT GOES WRONG"), re.MULTILINE)
    rows = [dict(part.split("=") for part in line.split()) for line in lines]
    return {row["end_id"]: row for row in rows}


def shows(record):
    """Asserts that the page has the record's end, with the same status or code."""
    row = rows_of_the_page()[record["end_id"]]
    assert {name: record.get(name) for name in row} == row


class Client:
    """A connection through the proxy, as a client of WebSocket makes it. `agent` is its User-Agent, by which the server's
    lines of this connection are found."""

    count = 0

    def __init__(self, way, **changed):
        Client.count += 1
        self.agent = f"client-{Client.count}"
        self.way = way
        connection = socket.socket()
        connection.settimeout(project.LIMIT)
        connection.bind((CLIENT, 0))
        connection.connect(("127.0.0.1", way.proxy.port))
        if way.proxy.tls_only:
            connection = ssl.create_default_context(cafile=way.pem).wrap_socket(connection, server_hostname="localhost")
        self.peer = launch.Peer(connection)
        more = changed.pop("more", ())
        self.peer.send(heads.head(f"User-Agent: {self.agent}", *more, **changed))
        self.answer = proxies.answer_head(self.peer)

    @property
    def status(self):
        """That of the answer; None if the connection ended without one."""
        found = re.match(rb"HTTP/1\.[01] (\d{3}) (?s:.*)\r\n\r\n", self.answer)
        return int(found[1]) if found else None

    def instances(self):
        """The server's processes of this connection; there is one, unless the proxy did not connect."""
        return [instance for instance in self.way.server.instances if f'"{self.agent}"' in instance.log()]

    def log(self):
        """The server's lines of this connection, once it has a record. Ends the connection, unless it has ended."""
        self.peer.close()
        launch.wait_until(lambda: any(" end_id=" in instance.log() for instance in self.instances()), "there is a record")
        (instance,) = self.instances()
        return instance.log()

    def record(self):
        return launch.record(self.log())

    def echoes(self, opcode, payload):
        self.peer.send(framing.frame(opcode, payload))
        expected = framing.reply(opcode, (framing.PREFIX if opcode == TEXT else b"") + payload)
        framing.same(self.peer.receive(len(expected)), expected)


class Way:
    """A proxy and the server behind it."""

    def __init__(self, server, proxy, pem):
        self.server, self.proxy, self.pem = server, proxy, pem
        self.options()  # before the proxy starts, for its health checks

    def options(self, *options):
        """The options of the server for the next connections."""
        header = ["--proxy-protocol"] if self.proxy.proxy_protocol else []
        self.server.options = ["--verbose", *header, *options]

    def open(self, *options, **changed):
        self.options(*options)
        client = Client(self, **changed)
        assert client.status == 101, client.answer
        return client


@pytest.fixture(scope="module")
def server():
    with listening() as listener:
        yield listener


@pytest.fixture(scope="module")
def pem(tmp_path_factory):
    return proxies.certificate(tmp_path_factory.mktemp("certificate"))


@contextlib.contextmanager
def running(case, folder, server, pem, changes=(), arguments=()):
    """The proxy with changes, and none of the server's processes of other tests."""
    server.end()
    way = Way(server, case.proxy(folder, server.port, pem, changes, arguments), pem)
    try:
        with way.proxy:
            yield way
    finally:
        server.end()


@pytest.fixture(scope="module")
def way(request, server, pem, tmp_path_factory):
    """The proxy as the example configures it, with the server behind it."""
    with running(request.param, tmp_path_factory.mktemp("proxy"), server, pem) as made:
        yield made


EVERY_WAY = pytest.mark.parametrize("way", CASES.values(), ids=CASES, indirect=True)


def has_address(record, proxy):
    """Whether the record has the address of the client, where the example promises it."""
    if proxy.proxy_protocol:
        return record["peer"].startswith(f"{CLIENT}:")
    return record.get("forwarded", "").split(", ")[-1] == CLIENT


@EVERY_WAY
def test_messages_the_clients_close_and_its_address_arrive(way):
    removed = way.proxy.example in ("haproxy.cfg", "nginx.conf", "Caddyfile")  # the record would show Forwarded instead
    client = way.open(more=["X-Forwarded-For: 192.0.2.66", *["Forwarded: for=192.0.2.66"] * removed])
    client.echoes(TEXT, b"Hello")
    client.echoes(BINARY, bytes(range(256)) * (MAX_MESSAGE >> 8))
    client.peer.send(framing.close(*OWN))
    assert client.peer.rest() == framing.reply(framing.CLOSE, framing.close_body(*OWN))
    record = client.record()
    assert (record["close"], record["end_id"], record["messages"]) == (str(OWN[0]), "closed-by-peer", "2")
    assert f"sent close fin=1 length={2 + len(OWN[1])} code={OWN[0]}\n" in client.log()
    assert has_address(record, way.proxy), record


@EVERY_WAY
def test_pings_of_both_sides_pass(way):
    client = way.open("--ping-interval=0.05", "--timeout=0")
    assert client.peer.frame() == (True, PING, b"")
    client.peer.send(framing.frame(PONG))
    client.peer.send(framing.frame(PING, b"are you there"))
    while (frame := client.peer.frame()) != (True, PONG, b"are you there"):
        assert frame == (True, PING, b"")
    client.peer.send(framing.close(1000))
    client.peer.rest()
    assert "received pong fin=1 length=0\n" in client.log()


# The Closes of the server; `answered`: it reads the client's answer, which RFC 6455 section 7.1.7 forbids after 1007.
CLOSES = {
    "stopped": {"answered": True},
    "idle": {"options": ["--timeout=0.5", "--ping-interval=0"], "answered": True},
    "message-too-big": {"options": ["--max-message=10"], "frame": framing.text("eleven byte"), "answered": True},
    "text-not-utf8": {"frame": framing.text(b"\xff"), "answered": False},
}


@EVERY_WAY
@pytest.mark.parametrize("end", CLOSES)
def test_a_close_of_the_server_and_the_clients_answer_arrive(way, end):
    how = CLOSES[end]
    client = way.open(*how.get("options", []))
    if end == "stopped":
        launch.wait_until(client.instances, "the process is found")
        client.instances()[0].process.send_signal(signal.SIGTERM)
    client.peer.send(how.get("frame", b""))
    assert client.peer.answer_close() == framing.our_close(end)
    code, reason = framing.CLOSES[end]
    record = client.record()
    assert (record["close"], record["reason"], record["end_id"]) == (str(code), reason.decode(), end)
    if end in OF_OTHER_TESTS:
        shows(record)
    answer = f"received close fin=1 length={2 + len(reason)} code={code}\n"
    assert (answer in client.log()) == how["answered"], client.log()


# The lines of the section HEALTH CHECKS for proxies whose example has none.
CHECKS = {
    "haproxy.cfg": lambda lines: {},
    "haproxy-tcp.cfg": lambda lines: {},
    "Caddyfile": lambda lines: {":BACKEND": f":BACKEND {{\n\t\t{lines['Caddy']}\n\t}}"},
    "varnish.vcl": lambda lines: {".proxy_header = 2;": f".proxy_header = 2; {lines['Varnish']}"},
}


@rule("ws-echo-proxies(7) HEALTH CHECKS", "The health checks of the page get 200 or 204.")
@pytest.mark.parametrize("name", CHECKS)
def test_a_proxy_checks_the_health_of_the_server(name, server, pem, tmp_path):
    lines = dict(re.findall(r"^\.It (.*)\n(?:[^.].*\n)*\.Dl (.*)", section("HEALTH CHECKS"), re.MULTILINE))
    with running(CASES[name], tmp_path, server, pem, CHECKS[name](lines)) as way:
        launch.wait_until(lambda: ends(way), "the server was checked")
        assert ends(way) == {"methods-told" if "haproxy" in name else "page-served"}


@EVERY_WAY
def test_the_page_is_served_to_browsers_and_health_checks(way):
    client = Client(way, path="/", upgrade=None, connection="close", key=None)
    assert client.status == 200 and b"<html" in client.peer.rest()


@rule("ws-echo-proxies(7) TIMEOUTS", "The timeout of the table ends a silent WebSocket, and Pings prevent that.")
@pytest.mark.parametrize("case", [case for case in CASES.values() if case.timeout or case.arguments],
                         ids=[name for name, case in CASES.items() if case.timeout or case.arguments])
def test_the_proxys_timeout_ends_a_silent_connection_and_pings_prevent_that(case, server, pem, tmp_path):
    with running(case, tmp_path, server, pem, case.timeout, case.arguments) as way:
        pinged = way.open(f"--ping-interval={IDLE / 8}", "--timeout=0")
        unanswered = way.open(f"--ping-interval={IDLE / 8}", "--timeout=0")
        silent = way.open("--ping-interval=0", "--timeout=0")
        ended = False
        while not ended:
            assert pinged.peer.frame() == (True, PING, b"")
            pinged.peer.send(framing.frame(PONG))
            ended = any(" end_id=" in instance.log() for instance in silent.instances())
        assert silent.peer.ended()
        record = silent.record()
        assert record["end_id"] == case.end
        shows(record)
        for client in [pinged] if case.of_client_only else [pinged, unanswered]:
            client.peer.send(framing.close(1000))
            assert client.peer.rest().endswith(framing.reply(framing.CLOSE, framing.close_body(1000)))
            assert client.record()["end_id"] == "closed-by-peer"
        if case.of_client_only:
            assert unanswered.peer.rest().endswith(framing.reply(PING))
            assert unanswered.record()["end_id"] in (case.end, "reset")  # a reset if the proxy leaves Pings unread


@pytest.mark.parametrize("case, line", [(case, line) for case in CASES.values() for line in case.crucial],
                         ids=[f"{name}-{line}" for name, case in CASES.items() for line in case.crucial])
def test_no_crucial_line_can_be_left_out(case, line, server, pem, tmp_path):
    expected = case.crucial[line]
    with running(case, tmp_path, server, pem, {line: ""}) as way:
        client = Client(way)
        if expected == NO_ADDRESS:
            assert client.status == 101
            client.peer.send(framing.close(1000))
            record = client.record()
            assert record["peer"].startswith("127.0.0.1:") and not has_address(record, way.proxy)
            return
        client.peer.close()
        if expected.status is None:  # the client may have come before the first health check
            launch.wait_until(lambda: not Client(way).answer, "the proxy does not connect to the server")
        else:
            assert client.status == expected.status, client.answer
        if expected.end:
            launch.wait_until(lambda: ends(way), "there is a record")
        assert ends(way) == ({expected.end} if expected.end else set())


# What goes wrong, by the name of the end: the proxy, its changes, options of the server, and what of the request differs.
WRONG = {
    "upgrade-required": (proxies.NginxExample, {"proxy_set_header Upgrade $http_upgrade;": ""}, [], {}),
    "connection-not-upgrade": (proxies.NginxExample, {"proxy_set_header Connection upgrade;": ""}, [], {}),
    "socket-elsewhere": (proxies.NginxExample, {"location / {": "location /ws/ {"}, [], {"path": "/ws/socket"}),
    "path-unknown": (proxies.NginxExample, {"location / {": "location /ws/ {"}, [], {"path": "/ws/socket", "upgrade": None}),
    "origin-forbidden": (proxies.NginxExample, {}, ["--origin=http://127.0.0.1:9000"], {"more": ["Origin: http://localhost"]}),
    "version-unsupported": (proxies.HAProxyExample, {"check inter 10s": "proto h2"}, [], {}),
    "tls-hello": (proxies.HAProxyExample, {"check inter 10s": "ssl verify none"}, [], {}),
    "proxy-malformed": (proxies.NginxExample, {}, ["--proxy-protocol"], {}),
    "proxy-unexpected": (proxies.StunnelExample, {}, None, {}),
}
# The status that a proxy of its own sends instead of the server's.
REPLACED = {"version-unsupported": 503, "tls-hello": 503}
OF_OTHER_TESTS = {"end-of-input", "reset", "idle", "message-too-big"}


@rule("ws-echo-proxies(7) WHAT GOES WRONG", "The record is the one that the page explains.")
@pytest.mark.parametrize("end", WRONG)
def test_the_record_shows_what_is_wrong(end, server, pem, tmp_path):
    proxy, changes, options, changed = WRONG[end]
    with running(CASES[proxy.example], tmp_path, server, pem, changes) as way:
        if options is None:
            server.options = []
        else:
            way.options(*options)
        client = Client(way, **changed)
        client.peer.close()
        launch.wait_until(lambda: ends(way), "there is a record")
        assert ends(way) == {end}
        records = [record for record in map(launch.record, logs(way)) if record["end_id"] == end]
        assert client.status == REPLACED.get(end, int(records[0]["status"])), client.answer
        for record in records:
            shows(record)


def test_a_proxy_that_cannot_connect_answers_502_and_there_is_no_record(server, pem, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        nobody = listener.getsockname()[1]
    with proxies.NginxExample(tmp_path, nobody, pem) as proxy:
        assert Client(Way(server, proxy, pem)).status == 502
    assert server.instances == [] and ".It 502 or 503, and no record\n" in PAGE


def test_the_page_explains_the_records_of_these_tests_and_no_others():
    assert set(rows_of_the_page()) == set(WRONG) | OF_OTHER_TESTS


@pytest.mark.parametrize("heading, names", SECTIONS.items(), ids=SECTIONS)
def test_the_lines_that_the_page_explains_are_in_the_files_and_each_crucial_one_is_explained(heading, names):
    text = "".join((proxies.EXAMPLES / name).read_text(encoding="utf-8") for name in names)
    lines = re.findall(r"^\.It (.+)", section(heading), re.MULTILINE)
    assert lines and [line for line in lines if line not in text] == []
    crucial = [line.replace("BACKEND", "9000") for name in names for line in CASES[name].crucial]
    assert [line for line in crucial if line not in "\n".join(lines)] == []


def test_the_table_of_the_page_has_each_file_with_its_address_and_its_timeout():
    table = re.findall(r"^\.It (\S+) Ta (\S+)= Ta (?:(1 hour|60 seconds|120 seconds): (.+)|never)$", section("DESCRIPTION"), re.MULTILINE)
    assert [row[0] for row in table] == list(CASES)
    for name, address, time, setting in table:
        case = CASES[name]
        assert address == ("peer" if case.proxy.proxy_protocol else "forwarded")
        assert bool(setting) == bool(case.timeout or case.arguments)
        units = {"1 hour": "(1h|3600)", "60 seconds": "60( ?s)?", "120 seconds": "120", "": ""}[time]
        assert re.search(rf"{setting}[ =(]*{units}\b", (proxies.EXAMPLES / name).read_text(encoding="utf-8")), name


def logs(way):
    """The lines of each process of the server, once it has ended."""
    for instance in way.server.instances:
        instance.process.wait(project.LIMIT)
    return [instance.log() for instance in way.server.instances]


def ends(way):
    """The identities of the ends in the records so far, except those of the connection that Proxy.accepts makes: HAProxy
    forwards also this one, on which nothing is sent."""
    return set(re.findall(r" end_id=(\S+)", "".join(logs(way)))) - {"silence", "reset"}
