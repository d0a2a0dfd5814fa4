# SPDX-License-Identifier: MIT
"""The commands of ws-echo-debugging(7), typed in the machine, show what the page says."""

import contextlib
import json
import re

import framing
import heads
import launch
import launchers
import manual
import pytest
from launch import Peer
from require import require, require_module

PAGE = manual.page("ws-echo-debugging.7")
ORIGIN = "http://localhost:8888"


def example(heading, word):
    """The example of a section that contains a word: its command, and the lines that the page shows below."""
    (found,) = [one for block in manual.blocks(heading, PAGE) for one in re.split("(?m)^(?=[#$] )", block) if word in one]
    lines = found.splitlines()
    last = next(number for number, line in enumerate(lines) if not line.endswith(("\\", "|")))
    return manual.script("\n".join(lines[:last + 1])), lines[last + 1:]


def typed(machine, command):
    return machine.run("sh", "-euc", command).stdout


@contextlib.contextmanager
def running(machine, name, command):
    """Runs a command that does not end by itself, in /run, during the body; yields the file of what it says."""
    said = machine.path(f"/run/{name}.said")
    said.write_text("")
    machine.run("systemd-run", "--quiet", f"--unit={name}", "--collect", "--working-directory=/run",
                f"--property=StandardError=append:/run/{name}.said", "sh", "-c", f"exec env {command}")
    try:
        yield said
    finally:
        machine.systemctl("stop", f"{name}.service", check=False)


def talk(machine):
    """Runs the client of the page."""
    require_module("websocket", "python3-websocket")
    (client,) = [block for block in manual.blocks("EVERY FRAME", PAGE) if "create_connection" in block]
    assert typed(machine, manual.script(client)) == "server: Hello world\n"


@contextlib.contextmanager
def serving(machine):
    """The command of the page that serves in a terminal."""
    command, _ = example("EVERY FRAME", "systemd-socket-activate")
    with running(machine, "serving", command.replace("/usr/sbin/ws-echo", machine.program)) as said:
        launch.wait_until(lambda: 8888 in machine.listening(), "it listens")
        yield said


def test_verbose_lines_are_those_that_the_page_shows(machine):
    (shown,) = [block for block in manual.blocks("EVERY FRAME", PAGE) if block.startswith("ws-echo[")]
    with serving(machine) as said:
        talk(machine)
        launch.wait_until(lambda: " peer=" in said.read_text(encoding="utf-8"), "the record comes")
        *frames, record = said.read_text(encoding="utf-8").splitlines()
    any_key = re.compile(r'\[\d+\]|Key: ".*"')
    assert [any_key.sub("", line) for line in frames] == [any_key.sub("", line) for line in shown.splitlines()]
    assert "end_id=closed-by-peer" in record


PEERS = {  # addresses that no other test uses
    "protocol": "127.9.0.1",
    "text": "127.9.0.2",
    "origin": "127.9.0.3",
    "idle": "127.9.0.4",
}


@pytest.fixture(name="journal", scope="module")
def journal_of_known_ends(machine):
    """The machine, after each of PEERS has had a connection whose record is in the journal."""
    launcher = launchers.Systemd(machine)
    with machine.drop_in("ws-echo@.service", "[Service]\nLogLevelMax=debug\n"), \
            machine.drop_in("ws-echo.socket", "[Socket]\nMaxConnectionsPerSource=1\n"):
        launcher.start(["--verbose", f"--origin={ORIGIN}", "--timeout=1", "--ping-interval=0.5"])
        cursor = machine.cursor()
        for name, frames in ("protocol", framing.frame(3)), ("text", framing.text(b"\xff")), ("idle", b""):
            peer = Peer(machine.connect(source=PEERS[name])).open(f"Origin: {ORIGIN}")
            peer.send(frames)
            peer.answer_close()
            peer.close()
        peer = Peer(machine.connect(source=PEERS["origin"]))
        peer.send(heads.head("Origin: http://other.example"))
        assert b" 403 " in peer.rest()
        peer.close()
        with Peer(machine.connect()).open().socket, machine.connect() as refused, contextlib.suppress(ConnectionResetError):
            assert refused.recv(1) == b""
        launch.wait_until(lambda: set(PEERS.values()) <= {
            entry.get("REMOTE_ADDR") for entry in machine.journal(cursor)}, "the records are in the journal")
        launcher.stop()
    return machine


def found(machine, command):
    """The PEERS whose records a command of the page finds."""
    lines = typed(machine, f"{command} --output=json").splitlines()
    addresses = {json.loads(line).get("REMOTE_ADDR") for line in lines}
    return {name for name, address in PEERS.items() if address in addresses}


@pytest.mark.parametrize("word, expected", [
    ("REMOTE_ADDR=", {"text"}),
    ("WS_CLOSE_CODE=", {"protocol", "text"}),
    ("WS_END_ID=origin-forbidden", {"origin"}),
    ("WS_END_ID=idle", {"idle"}),
])
def test_the_journal_finds_records_by_their_fields(journal, word, expected):
    command, _ = example("THE JOURNAL", word)
    assert found(journal, command.replace("192.0.2.1", PEERS["text"])) == expected


def test_the_journal_finds_the_pages_of_an_origin(journal):
    command, _ = example("THE BROWSER", "WS_ORIGIN=")
    assert found(journal, command) == PEERS.keys() - {"origin"}


def test_the_journal_lists_and_counts_the_ends(journal):
    listing, _ = example("THE JOURNAL", "--field=")
    assert {"opcode-reserved", "text-not-utf8", "origin-forbidden", "idle"} <= set(typed(journal, listing).splitlines())
    counting, _ = example("THE JOURNAL", "uniq -c")
    assert re.search(r"^ *\d+ text-not-utf8$", typed(journal, counting), re.MULTILINE)


def test_the_process_of_a_record_selects_all_lines_of_its_connection(journal):
    last, _ = example("THE JOURNAL", "--lines=1")
    assert re.search(r"^ +_PID=\d+$", typed(journal, last), re.MULTILINE)
    (record,) = journal.run("journalctl", "-t", "ws-echo", f"REMOTE_ADDR={PEERS['text']}", "--output=json").stdout.splitlines()
    command, _ = example("THE JOURNAL", "_PID=")
    lines = typed(journal, f"{command.replace('4711', json.loads(record)['_PID'])} --output=cat").splitlines()
    assert "received text fin=1 length=1" in lines and "sent close fin=1" in "".join(lines), lines


def test_the_journal_has_what_systemd_refused(journal):
    command, _ = example("THE JOURNAL", "-u ws-echo.socket")
    assert re.search(r"Too many incoming connections \(\d+\) from source", typed(journal, command))


def test_ss_shows_that_a_peer_does_not_read(machine):
    require("ss", "iproute2")
    command, shown = example("THE SOCKET", "ss -tn")
    machine.systemctl("start", "ws-echo.socket")
    try:
        peer = Peer(machine.connect()).open()
        port = peer.socket.getsockname()[1]

        def line():
            (found,) = [line for line in typed(machine, command).splitlines() if re.search(rf":{port}\b", line)]
            return found.split()

        assert typed(machine, command).splitlines()[0].split() == shown[0].split()
        assert line()[0] == "ESTAB" and line()[2] == "0"
        peer.socket.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                peer.send(framing.text("x" * 4096))
        launch.wait_until(lambda: int(line()[2]) > 0, "replies wait for the peer")
        launch.wait_until(lambda: int(line()[1]) > 0, "the program waits too")
        processes = typed(machine, command.replace("-tn", "-tnp"))
        assert '"ws-echo"' in processes and '"systemd"' in processes
        assert "rtt:" in typed(machine, command.replace("-tn", "-tni"))
        peer.reset()
    finally:
        machine.systemctl("stop", "ws-echo.socket")


def test_tshark_shows_the_frames_that_tcpdump_records(machine):
    require("tcpdump", "tcpdump")
    require("tshark", "tshark")
    record, _ = example("THE PACKETS", "-w ws-echo.pcap")
    frames, shown = example("THE PACKETS", "tcp.srcport")
    with serving(machine), running(machine, "recording", record) as recording:
        launch.wait_until(lambda: "listening on" in recording.read_text(encoding="utf-8"), "it records")
        talk(machine)

        def rows():
            lines = typed(machine, f"cd /run && {frames}").splitlines()
            return [re.sub(r"^(?!8888)\d+", "client", line).split() for line in lines]

        expected = [re.sub(r"^(?!8888)\d+", "client", line).split() for line in shown]
        launch.wait_until(lambda: len(rows()) >= len(expected), "the packets are in the file")
        assert rows() == expected
        ends, _ = example("THE PACKETS", "tcp.flags.fin")
        assert re.search(r" 8888 .* \[FIN", typed(machine, f"cd /run && {ends}"))
