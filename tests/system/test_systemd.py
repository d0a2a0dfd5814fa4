# SPDX-License-Identifier: MIT
"""The shipped units under a running systemd: sandbox, limits, records, starting and stopping."""

import contextlib
import errno
import json
import os
import random
import re
import resource
import select
import socket
import subprocess
import zlib

import framing
import heads
import launch
import measure
import project
import pytest
from framing import BINARY, CLOSE, TEXT, close_body, echo, frame, reply, text
from heads import head
from launch import Peer
from launchers import SETTINGS, echoes, leave
from machine import UNITDIR
from rule import rule

UNITS = "ws-echo.socket", "ws-echo@.service", "ws-echo-sandbox.service"
INSTANCES = "ws-echo@*"

TCP_REPAIR = 19  # linux/tcp.h; Python does not name it


@pytest.fixture
def listening(machine):
    """Starts the socket unit; afterwards asserts that the test left nothing."""
    machine.systemctl("start", "ws-echo.socket")
    try:
        yield machine
        nothing_is_left(machine)
    finally:
        machine.systemctl("stop", "ws-echo.socket", check=False)
        machine.systemctl("stop", INSTANCES, check=False)
        machine.systemctl("reset-failed", check=False)


def nothing_is_left(machine):
    launch.wait_until(lambda: not machine.units(INSTANCES), "the instances are gone")
    assert machine.processes("ws-echo") == []
    assert machine.units("ws-echo*", "failed") == []
    assert machine.show("ws-echo.socket", "SubState", "NConnections") == ["listening", "0"]


@contextlib.contextmanager
def options(machine, line):
    """Writes a line of /etc/default/ws-echo during the body."""
    machine.path(SETTINGS).write_text(f"WS_ECHO_OPTS={line}\n", encoding="utf-8")
    try:
        yield
    finally:
        machine.path(SETTINGS).unlink()


def connect(machine, **more):
    return Peer(machine.connect(**more))


def instance_of(machine, peer):
    """The unit that serves a connection."""
    port = peer.socket.getsockname()[1]
    (unit,) = machine.units(f"ws-echo@*:{port}.service")
    return unit


def record_of(machine, cursor, port):
    """Waits for the journal's entry about the connection from `port`, and returns it."""
    found = []

    def written():
        found.extend(machine.journal(cursor, SYSLOG_IDENTIFIER="ws-echo", REMOTE_PORT=str(port)))
        return found

    launch.wait_until(written, f"the record of port {port} is in the journal")
    assert len(found) == 1, found
    return found[0]


# The units


def test_systemd_finds_nothing_wrong_in_the_installed_units(machine):
    verified = machine.run("systemd-analyze", "verify", "--man=no", *UNITS)
    assert verified.stdout + verified.stderr == ""


def test_the_socket_waits_for_what_its_instances_share_without_an_ordering_cycle(machine):
    machine.systemctl("enable", "ws-echo.socket")
    try:
        verified = machine.run("systemd-analyze", "verify", "--man=no", "sockets.target", "basic.target")
        assert "cycle" not in verified.stderr
    finally:
        machine.systemctl("disable", "ws-echo.socket")


# The sandbox allows what the program needs


@rule("ws-echo(8) SECURITY (10)", "The largest message fits into the memory limit of the unit.")
@pytest.mark.parametrize("opcode, prefix", [(BINARY, b""), (TEXT, framing.PREFIX)], ids=["binary", "text"])
def test_the_largest_message_fits_the_memory_limit(listening, opcode, prefix):
    peer = connect(listening).open()
    payload = b"x" * (16 << 20)
    peer.send(frame(opcode, payload))
    expected = reply(opcode, prefix + payload)
    assert peer.receive(len(expected)) == expected
    leave(peer)


@rule("ws-echo(8) SECURITY (10)")
def test_the_largest_message_fits_the_memory_limit_also_where_it_is_compressed_in_vain(listening):
    with options(listening, "--deflate"):
        peer = connect(listening)
        peer.open("Sec-WebSocket-Extensions: permessage-deflate", extension="permessage-deflate")
        payload = random.Random(7692).randbytes(16 << 20)
        stream = zlib.compressobj(level=1, wbits=-15)
        inflater = zlib.decompressobj(wbits=-15)
        for _ in range(2):
            compressed = stream.compress(payload) + stream.flush(zlib.Z_SYNC_FLUSH)
            peer.send(frame(BINARY, compressed[:-4], rsv=4))
            header = peer.receive(10)
            assert header[:2] == b"\xc2\x7f", header
            assert inflater.decompress(peer.receive(int.from_bytes(header[2:], "big")) + compressed[-4:]) == payload
        leave(peer)


def test_instances_serve_without_the_shared_namespaces(listening):
    """If ws-echo-sandbox.service is stopped or fails, the sandbox is as strict, only slower to set up."""
    listening.systemctl("stop", "ws-echo-sandbox.service")
    try:
        peer = connect(listening).open()
        echoes(peer)
        leave(peer)
    finally:
        listening.systemctl("start", "ws-echo-sandbox.service")


def test_nothing_is_ever_made_in_the_root_directory_of_the_instances(listening, tmp_path):
    """The installed directory must be complete, because it may be on a read-only file system."""
    peer = connect(listening).open()
    leave(peer)
    subprocess.run(["make", "--directory", project.TOP, "install", f"DESTDIR={tmp_path}"], check=True,
                   capture_output=True)
    root = re.search(r"^RootDirectory=(.*)", listening.path(f"{UNITDIR}/ws-echo@.service").read_text(
        encoding="utf-8"), re.MULTILINE)[1]

    def tree(top):
        return sorted(path.relative_to(top) for path in top.rglob("*"))

    assert tree(listening.path(root)) == tree(tmp_path / root.lstrip("/")) != []


# The socket unit stays up


@pytest.fixture
def many_files():
    """Raises the limit of open files of this process, for thousands of sockets."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(8192, limits[1]), limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def source(number):
    """A loopback address; 60 connections from each stay below MaxConnectionsPerSource=."""
    return f"127.0.1.{number // 60 + 1}"


def ends(machine, count, data):
    """Connects `count` clients at once, sends `data` on each, and returns what each one received."""
    received = {}
    waiting = {}
    with machine.network():
        for number in range(count):
            client = socket.socket()
            client.bind((source(number), 0))
            client.setblocking(False)
            assert client.connect_ex(("127.0.0.1", 8888)) in (0, errno.EINPROGRESS)
            waiting[client.fileno()] = client
            received[client.fileno()] = b""
    poll = select.poll()
    for descriptor in waiting:
        poll.register(descriptor, select.POLLOUT)
    while waiting:
        events = poll.poll(project.LIMIT * 1000)
        assert events, f"{len(waiting)} clients wait in vain"
        for descriptor, event in events:
            client = waiting[descriptor]
            try:
                if event & select.POLLOUT:
                    client.sendall(data)
                    poll.modify(descriptor, select.POLLIN)
                    continue
                part = client.recv(65536)
            except (ConnectionResetError, BrokenPipeError):
                part = b""
            received[descriptor] += part
            if not part:
                poll.unregister(descriptor)
                waiting.pop(descriptor).close()
    return list(received.values())


WHOLE = head() + text("Hello") + framing.close(1000)
ANSWER = heads.switching() + echo("Hello") + reply(CLOSE, close_body(1000))


@rule("ws-echo(8) RUNNING (5)")
def test_two_thousand_connections_at_once_do_not_stop_the_socket(listening, many_files):
    """Each is served to the end, or refused because there are too many, which the journal records."""
    cursor = listening.cursor()
    received = ends(listening, 2000, WHOLE)
    served = received.count(ANSWER)
    print(f"{served} of {len(received)} connections were served, the others refused")
    assert served + received.count(b"") == len(received)
    assert served >= 512
    if served < len(received):
        messages = [entry["MESSAGE"] for entry in listening.journal(cursor, UNIT="ws-echo.socket")]
        assert any("Too many incoming connections" in message for message in messages)
    nothing_is_left(listening)
    peer = connect(listening).open()
    leave(peer)


def test_with_the_limit_that_is_the_default_they_would(listening, many_files):
    # PollLimit of systemd 255 and later would take effect first.
    without = "[Socket]\nTriggerLimitIntervalSec=2s\nPollLimitIntervalSec=0\n"
    with listening.drop_in("ws-echo.socket", without):
        listening.systemctl("restart", "ws-echo.socket")
        received = ends(listening, 400, WHOLE)
        assert received.count(ANSWER) < 400
        launch.wait_until(lambda: listening.show("ws-echo.socket", "ActiveState") == "failed", "it fails")
    listening.systemctl("reset-failed", "ws-echo.socket")
    listening.systemctl("start", "ws-echo.socket")


def test_three_hundred_at_the_same_time_are_all_served(listening):
    peers = [connect(listening, source=source(number)) for number in range(300)]
    for peer in peers:
        peer.open()
    assert listening.show("ws-echo.socket", "NConnections") == "300"
    for peer in peers:
        echoes(peer)
    for peer in peers:
        peer.send(framing.close(1000))
    for peer in peers:
        assert peer.rest() == reply(CLOSE, close_body(1000))
        peer.close()


@rule("ws-echo(8) RUNNING (5)")
def test_clients_that_say_nothing_are_sent_away(listening):
    with options(listening, "--handshake-timeout=0.5"):
        peers = [connect(listening) for _ in range(30)]
        for peer in peers:
            assert peer.ended()
            peer.close()
    nothing_is_left(listening)


@rule("ws-echo(8) RUNNING (5)")
def test_clients_that_reset_the_connection_leave_nothing(listening):
    for number in range(60):
        peer = connect(listening)
        if number % 3:
            peer.send(head()[: number])
        if number % 3 == 2:
            peer.send(head()[number:])
        peer.reset()
    nothing_is_left(listening)


@rule("ws-echo(8) RUNNING (5)")
def test_clients_that_vanish_are_given_up(listening):
    """They disappear without a packet: no reset, no end of the stream, no acknowledgement."""
    address = "192.0.2.7"
    listening.run("ip", "address", "add", f"{address}/32", "dev", "lo")
    cursor = listening.cursor()
    with options(listening, "--ping-interval=0.2 --timeout=0.5"):
        peers = [connect(listening, source=address).open() for _ in range(5)]
        ports = [peer.socket.getsockname()[1] for peer in peers]
        listening.run("ip", "address", "del", f"{address}/32", "dev", "lo")
        for peer in peers:
            peer.socket.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, 1)  # close() then sends no packet
            peer.close()
        for port in ports:
            assert record_of(listening, cursor, port)["WS_CLOSE_CODE"] == "1001"
    nothing_is_left(listening)


def refusals(machine, cursor):
    messages = [entry["MESSAGE"] for entry in machine.journal(cursor, UNIT="ws-echo.socket")]
    return [message for message in messages if "Too many incoming connections" in message]


def is_refused(machine, **more):
    peer = connect(machine, **more)
    try:
        peer.send(head())
        return peer.rest() == b""
    except (ConnectionResetError, BrokenPipeError):
        return True
    finally:
        peer.close()


@rule("ws-echo(8) RUNNING (5)")
def test_one_source_gets_no_more_than_its_share_and_others_theirs(listening):
    cursor = listening.cursor()
    share = int(listening.show("ws-echo.socket", "MaxConnectionsPerSource"))
    greedy = [connect(listening, source="127.0.2.1").open() for _ in range(share)]
    assert is_refused(listening, source="127.0.2.1")
    launch.wait_until(lambda: refusals(listening, cursor), "the refusal is in the journal")
    assert "127.0.2.1" in refusals(listening, cursor)[0]
    other = connect(listening, source="127.0.2.2").open()
    for peer in [*greedy, other]:
        leave(peer)


def test_stalled_connections_of_one_source_leave_the_others_served(listening):
    """As many as one source may have, which neither read nor write."""
    share = int(listening.show("ws-echo.socket", "MaxConnectionsPerSource"))
    with options(listening, "--lab=/lab"):
        stalled = [connect(listening, source="127.0.2.1") for _ in range(share)]
        for peer in stalled:
            peer.open(path="/lab?stall")
            peer.send(text("unread"))
        assert is_refused(listening, source="127.0.2.1")
        other = connect(listening, source="127.0.2.2").open()
        echoes(other)
        leave(other)
        for peer in stalled:
            peer.reset()
        listening.systemctl("stop", INSTANCES)


@rule("ws-echo(8) RUNNING (5)", "The units serve, limit, stop and upgrade as the manual says, and leave nothing running.")
def test_there_are_no_more_than_the_cap_in_total(listening):
    cursor = listening.cursor()
    with listening.drop_in("ws-echo.socket", "[Socket]\nMaxConnections=3\n"):
        listening.systemctl("restart", "ws-echo.socket")
        peers = [connect(listening, source=f"127.0.3.{number}").open() for number in range(1, 4)]
        assert is_refused(listening, source="127.0.3.9")
        launch.wait_until(lambda: refusals(listening, cursor), "the refusal is in the journal")
        leave(peers.pop())
        launch.wait_until(lambda: listening.show("ws-echo.socket", "NConnections") == "2", "one has left")
        peers.append(connect(listening, source="127.0.3.9").open())
        for peer in peers:
            leave(peer)
        nothing_is_left(listening)
    listening.systemctl("restart", "ws-echo.socket")


def test_the_socket_admits_only_allowed_addresses(listening):
    """IPAddressDeny= of the service does not apply to the accepted connection; that of the socket does."""
    with listening.drop_in("ws-echo.socket", "[Socket]\nIPAddressDeny=any\nIPAddressAllow=127.0.4.1\n"):
        listening.systemctl("restart", "ws-echo.socket")
        peer = connect(listening, source="127.0.4.1", host="127.0.4.1").open()
        leave(peer)
        with listening.network():
            other = socket.socket()
        with other:
            other.setblocking(False)
            other.bind(("127.0.4.2", 0))
            other.connect_ex(("127.0.4.1", 8888))
            answered = select.select([], [other], [], 0.5)[1]
            assert not answered or other.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    listening.systemctl("restart", "ws-echo.socket")


# Faults that make the start of the socket fail, before the port opens

# The command of the manual that always finds the reason of a failed start.
JOURNAL = re.search(r"It is always in the journal.*\n(?:.*\n)?# journalctl (.*)$",
                    (project.TOP / "man/ws-echo-launchers.7").read_text(encoding="utf-8"), re.M)[1].split()


def the_start_fails(machine):
    """Asserts that the start fails; returns the reason that `systemctl status` shows."""
    for command in "restart", "start":
        assert machine.systemctl(command, "ws-echo.socket", check=False).returncode != 0
        assert machine.show("ws-echo.socket", "ActiveState") == "failed"
        assert 8888 not in machine.listening()
    machine.run("journalctl", "--sync")
    return machine.systemctl("status", "ws-echo.socket", check=False).stdout


def it_starts_and_serves(machine):
    machine.systemctl("start", "ws-echo.socket")
    try:
        leave(connect(machine).open())
        nothing_is_left(machine)
    finally:
        machine.systemctl("stop", "ws-echo.socket")


@rule("ws-echo(8) RUNNING (5)")
@pytest.mark.parametrize("line, named", [
    ("--no-such-option", "no-such-option"),
    ("--path=echo", "--path"),
    ("--timeout=5 --ping-interval=9", "--ping-interval"),
    ("--lab=any", "--lab"),
], ids=["option", "value", "combination", "lab"])
def test_a_wrong_option_fails_the_start_and_the_journal_names_it_each_time(machine, line, named):
    """Searches by the program's name: journald may miss the unit of a line whose process has already ended."""
    def reasons():
        machine.run("journalctl", "--sync")
        shown = machine.run("journalctl", "--boot", *JOURNAL, check=False).stdout
        return re.findall(rf" ws-echo\[\d+\]: .*{named}", shown)

    before = len(reasons())
    machine.systemctl("reset-failed", "ws-echo.socket", check=False)  # resets the start rate limit too
    with options(machine, line):
        the_start_fails(machine)
    assert len(reasons()) == before + 2
    it_starts_and_serves(machine)


@rule("ws-echo(8) RUNNING (5)")
def test_a_wrong_option_is_found_by_a_restart(machine):
    """The port is then closed, and existing connections continue."""
    machine.systemctl("start", "ws-echo.socket")
    peer = connect(machine).open()
    with options(machine, "--no-such-option"):
        the_start_fails(machine)
        echoes(peer)
    leave(peer)
    it_starts_and_serves(machine)


@rule("ws-echo(8) OPTIONS (15)")
def test_the_check_has_the_options_of_the_connections_and_their_user(machine):
    """It runs as the same user, so --user is no error there, and systemd splits quotes and blanks in the same way."""
    with options(machine, '--user=nobody-of-this-name --prefix="server: " --path=/socket'):
        it_starts_and_serves(machine)


def test_a_missing_program_fails_the_start(machine):
    program = machine.path(machine.program)
    away = program.rename(program.with_name("away"))
    try:
        shown = the_start_fails(machine)
        assert "status=203/EXEC" in shown, shown
    finally:
        away.rename(program)
    it_starts_and_serves(machine)


def test_a_missing_user_fails_the_start(machine):
    """Without the file in sysusers.d, which creates the user at the start."""
    machine.systemctl("stop", "ws-echo-sandbox.service")
    file, = machine.path("/").glob("usr/**/lib/sysusers.d/ws-echo.conf")
    away = file.rename(file.with_name("away"))
    files = [machine.path(name) for name in ("/etc/passwd", "/etc/group")]
    users = {path: path.read_text(encoding="utf-8") for path in files}
    for path, text_of in users.items():
        path.write_text(re.sub("(?m)^ws-echo:.*\n", "", text_of), encoding="utf-8")
    try:
        shown = the_start_fails(machine)
        assert "status=217/USER" in shown, shown
        away.rename(file)
        machine.systemctl("reset-failed", check=False)
        it_starts_and_serves(machine)
    finally:
        if away.exists():
            away.rename(file)
        for path, text_of in users.items():
            path.write_text(text_of, encoding="utf-8")
        machine.systemctl("reset-failed", check=False)


# Failures while the port is open


@rule("ws-echo(8) RUNNING (5)")
def test_a_wrong_option_is_a_failed_unit_for_the_log_only(listening):
    """An option written after the socket was started. The peer gets no byte of the message; no unit stays loaded."""
    cursor = listening.cursor()
    with options(listening, "--no-such-option"):
        peer = connect(listening)
        peer.send(head())
        with contextlib.suppress(ConnectionResetError):
            assert peer.ended()
        peer.close()
    nothing_is_left(listening)

    def says(identifier, string):
        entries = listening.journal(cursor, SYSLOG_IDENTIFIER=identifier)
        return any(string in entry["MESSAGE"] for entry in entries)

    launch.wait_until(lambda: says("ws-echo", "no-such-option"), "the log names it")
    assert says("systemd", "status=64")


@rule("ws-echo(8) RUNNING (5)")
def test_without_its_collect_mode_a_failed_instance_would_stay(listening):
    with listening.drop_in("ws-echo@.service", "[Unit]\nCollectMode=inactive\n"), \
            options(listening, "--no-such-option"):
        peer = connect(listening)
        peer.send(head())
        with contextlib.suppress(ConnectionResetError):
            assert peer.ended()
        peer.close()
        launch.wait_until(lambda: listening.units(INSTANCES, "failed"), "there is a failed unit")
        listening.systemctl("reset-failed", INSTANCES)


# The record


@rule("ws-echo(8) LOGGING (1)")
def test_the_journal_has_every_field(listening):
    cursor = listening.cursor()
    peer = connect(listening)
    port = peer.socket.getsockname()[1]
    peer.send(head("Origin: https://example.org", "Sec-WebSocket-Protocol: chat", "User-Agent: probe/1"))
    assert peer.receive(len(heads.switching(subprotocol="chat"))) == heads.switching(subprotocol="chat")
    echoes(peer)
    closing = reply(CLOSE, close_body(3000, b"done"))
    peer.send(framing.close(3000, b"done"))
    assert peer.rest() == closing
    peer.close()
    entry = record_of(listening, cursor, port)
    sent = head("Origin: https://example.org", "Sec-WebSocket-Protocol: chat", "User-Agent: probe/1")
    answered = heads.switching(subprotocol="chat")
    expected = {
        "PRIORITY": "5", "SYSLOG_IDENTIFIER": "ws-echo", "_TRANSPORT": "journal", "REMOTE_ADDR": "127.0.0.1",
        "REMOTE_PORT": str(port), "WS_PATH": "/socket", "WS_STATUS": "101", "WS_CLOSE_CODE": "3000",
        "WS_CLOSE_REASON": "done", "WS_MESSAGES": "1", "WS_ORIGIN": "https://example.org",
        "WS_SUBPROTOCOL": "chat", "WS_USER_AGENT": "probe/1",
        "WS_BYTES_IN": str(len(sent + text("Hello") + framing.close(3000, b"done"))),
        "WS_BYTES_OUT": str(len(answered + echo("Hello") + closing)),
    }
    assert {name: entry.get(name) for name in expected} == expected
    assert int(entry["WS_DURATION_USEC"]) > 0


@rule("ws-echo(8) LOGGING (1)")
def test_the_journal_has_the_extension_that_was_agreed_to(listening):
    cursor, agreed = listening.cursor(), "permessage-deflate; server_max_window_bits=10"
    with options(listening, "--deflate"):
        peer = connect(listening)
        port = peer.socket.getsockname()[1]
        peer.open(f"Sec-WebSocket-Extensions: {agreed}; client_max_window_bits", extension=agreed)
        leave(peer)
    assert record_of(listening, cursor, port)["WS_EXTENSIONS"] == agreed


def leaves_one_line_in_the_journal(machine):
    cursor = machine.cursor()
    peer = connect(machine).open()
    port = peer.socket.getsockname()[1]
    unit = instance_of(machine, peer)
    leave(peer)
    record_of(machine, cursor, port)
    nothing_is_left(machine)
    about = [entry["MESSAGE"] for entry in machine.journal(cursor)
             if {unit, str(port)} & {entry.get(name) for name in ("UNIT", "_SYSTEMD_UNIT", "REMOTE_PORT")}]
    assert len(about) == 1 and about[0].startswith(f"peer=127.0.0.1:{port} "), about


@rule("ws-echo(8) LOGGING (1)")
def test_a_connection_leaves_one_line_in_the_journal(listening):
    leaves_one_line_in_the_journal(listening)


def test_it_does_so_with_control_groups_of_version_2_alone():
    """With them, systemd uses BPF programs, and logs more."""
    with measure.Machine(unified=True) as machine:
        machine.install()
        machine.systemctl("start", "ws-echo.socket")
        leaves_one_line_in_the_journal(machine)


def test_verbose_needs_a_drop_in(listening):
    """As the manual says. The test keeps the process until journald has read its lines, which then have the unit."""
    def frames_in_the_journal():
        cursor = listening.cursor()
        peer = connect(listening).open()
        echoes(peer)
        found = listening.journal(cursor, SYSLOG_IDENTIFIER="ws-echo", PRIORITY="7")
        leave(peer)
        return found

    with options(listening, "--verbose"):
        assert frames_in_the_journal() == []
        with listening.drop_in("ws-echo@.service", "[Service]\nLogLevelMax=debug\n"):
            assert frames_in_the_journal()


@rule("ws-echo(8) LOGGING (1)")
@pytest.mark.parametrize("field, value", [("X-Forwarded-For", "192.0.2.1, 198.51.100.7"),
                                          ("Forwarded", "for=192.0.2.1")])
def test_the_journal_has_what_a_request_claims_of_the_client(listening, field, value):
    cursor = listening.cursor()
    peer = connect(listening)
    port = peer.socket.getsockname()[1]
    peer.send(head(f"{field}: {value}") + framing.close(1000))
    peer.rest()
    peer.close()
    entry = record_of(listening, cursor, port)
    assert (entry.get("WS_FORWARDED"), entry["REMOTE_ADDR"]) == (value, "127.0.0.1")


@rule("ws-echo(8) LOGGING (1)")
def test_the_journal_answers_questions(listening):
    """Runs the manual's example, which lists the peers that violated the protocol."""
    peer = connect(listening).open()
    port = peer.socket.getsockname()[1]
    peer.send(b"\x81\x05Hello")  # not masked
    final, opcode, body = peer.frame()
    assert (final, opcode, body[:2]) == (True, CLOSE, close_body(1002))
    peer.close()

    def answer():
        listening.run("journalctl", "--sync")
        found = listening.run("journalctl", "--output=json", "WS_CLOSE_CODE=1002", check=False).stdout
        return [json.loads(line)["REMOTE_PORT"] for line in found.splitlines()]

    launch.wait_until(lambda: str(port) in answer(), "the journal has it")
    shown = listening.run("journalctl", "--identifier=ws-echo", f"REMOTE_PORT={port}", "--output=cat").stdout
    *_, record = shown.splitlines()  # earlier connections may have had the same port
    assert record.startswith(f"peer=127.0.0.1:{port} ") and " close=1002 " in record, shown


@pytest.mark.parametrize("value", [b'\x1b[31m"\\', b"\xff\xc3\x28", "\u202eGrüße".encode(), b"\x9b2J",
                                   b'x" status=101 close=1000 y="'],
                         ids=["escape", "not-utf8", "right-to-left", "c1", "fake-field"])
def test_no_peer_can_forge_a_line_of_the_log(listening, value):
    """Not with the path, the origin, the user agent, or the reason of a Close."""
    cursor = listening.cursor()
    quoted = value.decode("latin-1")
    for path, origin, agent in (quoted, "x", "x"), ("", quoted, "x"), ("", "x", quoted):
        peer = connect(listening)
        port = peer.socket.getsockname()[1]
        peer.send(head(f"Origin: {origin}", f"User-Agent: {agent}", path="/socket?" + path))
        with contextlib.suppress(ConnectionResetError):
            if peer.receive(12) == b"HTTP/1.1 101":
                peer.send(framing.close(1000, value))
            peer.rest()
        peer.close()
        entry = record_of(listening, cursor, port)
        for name, text_of in entry.items():
            if not name.startswith("_"):
                assert isinstance(text_of, str), (name, text_of)  # otherwise it is not UTF-8
                assert all(" " <= character <= "~" for character in text_of), (name, text_of)
        assert re.fullmatch(r'peer=\S+( \w+=("([^"\\]|\\.)*"|\S+))*', entry["MESSAGE"]), entry["MESSAGE"]


@rule("ws-echo(8) LOGGING (8)")
def test_the_status_says_what_each_connection_is_doing(listening):
    peer = connect(listening).open()
    unit = instance_of(listening, peer)
    launch.wait_until(lambda: listening.show(unit, "StatusText"), "the status is there")
    shown = listening.systemctl("status", INSTANCES).stdout
    assert unit in shown
    assert re.search(r'Status: "127\.0\.0\.1 /socket: echoing"', shown), shown
    leave(peer)


# Stopping and replacing


def is_going_away(peer):
    final, opcode, body = peer.frame()
    assert (final, opcode, body[:2]) == (True, CLOSE, close_body(1001))
    peer.send(framing.close(1001))
    assert peer.ended()
    peer.close()


@rule("ws-echo(8) RUNNING (5)")
def test_stopping_the_instances_says_going_away_to_each_peer(listening):
    peers = [connect(listening).open() for _ in range(3)]
    echoes(peers[0])
    listening.systemctl("stop", "--no-block", INSTANCES)
    for peer in peers:
        is_going_away(peer)


@rule("ws-echo(8) RUNNING (5)")
def test_stopping_tears_no_frame(listening):
    """The program is writing an echo, and the peer has not read any of it yet."""
    payload = os.urandom(1 << 20) * 6
    peer = connect(listening).open()
    peer.send(frame(BINARY, payload))
    assert select.select([peer.socket], [], [], project.LIMIT)[0]
    listening.systemctl("stop", "--no-block", INSTANCES)
    assert peer.frame() == (True, BINARY, payload)
    is_going_away(peer)


@pytest.mark.parametrize("change", ["stop ws-echo.socket", "restart ws-echo.socket", "daemon-reload"])
def test_live_connections_do_not_notice(listening, change):
    peer = connect(listening).open()
    echoes(peer)
    process = listening.show(instance_of(listening, peer), "MainPID")
    listening.systemctl(*change.split())
    echoes(peer)
    assert listening.show(instance_of(listening, peer), "MainPID") == process
    leave(peer)
    listening.systemctl("start", "ws-echo.socket")


def test_a_new_program_serves_new_connections_only(listening):
    old = connect(listening).open()
    with listening.replaced(listening.program, b"#!/bin/sh\n"):  # the sandbox has no shell
        echoes(old)
        broken = connect(listening)
        with contextlib.suppress(ConnectionResetError):
            assert broken.ended()
        broken.close()
    echoes(old)
    leave(old)
    new = connect(listening).open()
    leave(new)


# Options


@rule("ws-echo(8) RUNNING (5)")
@pytest.mark.parametrize("line, path, prefix", [
    ('--prefix="server: " --path=/a', "/a", b"server: "),
    ("--prefix=", "/socket", b""),
    ('--prefix=""', "/socket", b""),
    ("--prefix=%20", "/socket", b" "),
    ("", "/socket", b"server: "),
], ids=["quoted", "empty", "quoted-empty", "percent", "none"])
def test_options_come_from_the_settings(listening, line, path, prefix):
    with options(listening, line):
        peer = connect(listening)
        peer.send(head(path=path))
        assert peer.receive(len(heads.switching())) == heads.switching()
        echoes(peer, prefix=prefix)
        leave(peer)


def test_the_lab_acts_in_the_sandbox_of_the_unit(listening):
    cursor, words = listening.cursor(), "delay=0.01&hello=hi&latency=0.01&slice=100&count=1&stall=0.01&close=4000"
    with options(listening, "--lab=/lab"):
        peer = connect(listening).open(path=f"/lab?{words}")
        port = peer.socket.getsockname()[1]
        peer.send(text("Hello"))
        answer = reply(framing.TEXT, b"hi") + echo("Hello") + reply(CLOSE, close_body(4000))
        assert peer.answer_close() == answer
        peer.close()
        entry = record_of(listening, cursor, port)
    expected = {"WS_LAB": words.replace("hello=hi", "hello=2"), "WS_END_ID": "lab", "WS_CLOSE_CODE": "4000"}
    assert {name: entry.get(name) for name in expected} == expected


def test_a_reset_of_the_lab_reaches_the_peer(listening):
    """Although systemd holds the connection until the instance has ended."""
    cursor = listening.cursor()
    with options(listening, "--lab=/lab"):
        peer = connect(listening).open(path="/lab?count=1&close=reset")
        port = peer.socket.getsockname()[1]
        peer.send(text("Hello"))
        assert peer.receive(len(echo("Hello"))) == echo("Hello")
        with pytest.raises(ConnectionResetError):
            peer.rest()
        peer.close()
        assert record_of(listening, cursor, port)["WS_END_ID"] == "lab"


# Memory; measure.py prints the time


def test_an_idle_connection_takes_at_most_three_times_as_much_memory_as_cat_in_a_bare_unit(machine):
    assert measure.memory_ratio(machine) <= 3
