# SPDX-License-Identifier: MIT
"""The unit for many short connections: rules that also apply to ws-echo.socket, and what its connections share."""

import contextlib
import json
import re
import socket
import subprocess
import time

import framing
import heads
import launch
import project
import pytest
from framing import BINARY, CLOSE, TEXT, close_body, frame, reply
from launch import Peer
from launchers import ENTRY, SETTINGS, Crowd, echoes, leave
from require import require
from rule import rule

UNIT = "ws-echo-crowd.service"


@pytest.fixture
def crowd(machine):
    """The machine, with xinetd prepared for ws-echo-crowd.service, which is not started."""
    launcher = Crowd(machine)
    launcher.prepare()
    try:
        yield launcher
    finally:
        launcher.stop()


@pytest.fixture
def started(crowd):
    return crowd.start()


def connect(crowd, source=None, host="127.0.0.1"):
    return Peer(crowd.machine.connect(host, source=source))


def is_refused(crowd, **more):
    peer = connect(crowd, **more)
    with contextlib.suppress(ConnectionResetError, BrokenPipeError):
        peer.send(heads.head())
        assert peer.ended()
    peer.close()


@contextlib.contextmanager
def entry(crowd, name, value):
    """Sets an attribute of the xinetd entry during the body, as an administrator would."""
    path = crowd.machine.path(ENTRY)
    shipped = path.read_text(encoding="utf-8")
    path.write_text(re.sub(rf"(?m)^(\s*{name}\s*)= .*$", rf"\1= {value}", shipped), encoding="utf-8")
    try:
        yield
    finally:
        path.write_text(shipped, encoding="utf-8")


# The unit


def test_the_exposure_is_as_low_as_listening_allows():
    """Use of the machine's network accounts for 1.0, the needs of xinetd for 0.3."""
    require("systemd-analyze", "systemd")
    rated = subprocess.run(["systemd-analyze", "security", "--offline=true", "--threshold=13", "--no-pager",
                            project.TOP / "packaging" / UNIT], capture_output=True, text=True, check=False)
    print(rated.stdout.splitlines()[-1])
    assert rated.returncode == 0, rated.stdout + rated.stderr


# What a sandbox could forbid as well, by systemd's names of it, and why it is allowed.
LEFT_OPEN = {
    **dict.fromkeys(["PrivateNetwork", "IPAddressDeny", "RestrictAddressFamilies_AF_INET_INET6"], "xinetd has to listen"),
    "RestrictAddressFamilies_AF_UNIX": "the log is a Unix socket",
    "SystemCallFilter_privileged": "xinetd calls setuid",
    "RootDirectoryOrRootImage": "xinetd and its settings are those of the machine",
    "DeviceAllow": "PrivateDevices= leaves /dev/null and the like",
}


@rule("ws-echo(8) SECURITY (9)")
def test_only_what_listening_needs_is_left_open():
    require("systemd-analyze", "systemd")
    rated = subprocess.run(["systemd-analyze", "security", "--offline=true", "--json=short", project.TOP / "packaging" / UNIT],
                           capture_output=True, text=True, check=True)
    assert {row["json_field"] for row in json.loads(rated.stdout) if float(row["exposure"] or 0)} == LEFT_OPEN.keys()


def test_xinetd_and_its_connections_have_the_limits_of_the_unit(started):
    peer = connect(started).open()
    for name in "xinetd", "ws-echo":
        (process,) = started.machine.processes(name)
        folder = started.machine.path(f"/proc/{process}")
        limits = (folder / "limits").read_text(encoding="ascii")
        assert re.search(rf"^Max file size +{64 << 10} ", limits, re.MULTILINE), limits
        assert re.search(rf"^Max address space +{64 << 20} ", limits, re.MULTILINE), limits
        assert (folder / "oom_score_adj").read_text(encoding="ascii") == "500\n"
        assert re.search("^Umask:\t0077$", (folder / "status").read_text(encoding="ascii"), re.MULTILINE)
    leave(peer)


def test_xinetd_is_started_again_if_it_is_killed(started):
    """As the kernel does when memory runs out."""
    (process,) = started.machine.processes("xinetd")
    started.machine.run("kill", "-KILL", process)
    launch.wait_until(lambda: started.machine.processes("xinetd") not in ([], [process]), "xinetd is started again")
    launch.wait_until(lambda: started.machine.show(UNIT, "ActiveState") == "active", "the unit is active again")
    leave(connect(started).open())


def test_systemd_finds_nothing_wrong_in_the_unit(crowd):
    """Except that xinetd is missing from its path, because it is not installed here."""
    verified = crowd.machine.run("systemd-analyze", "verify", "--man=no", UNIT, check=False)
    said = (verified.stdout + verified.stderr).splitlines()
    assert [line for line in said if "Command xinetd is not executable" not in line] == []


@rule("ws-echo(8) RUNNING (5)")
def test_it_takes_the_place_of_the_socket_and_gives_it_back(started):
    machine = started.machine
    machine.systemctl("start", "ws-echo.socket")
    assert machine.show(UNIT, "ActiveState") == "inactive"
    machine.systemctl("start", UNIT)
    assert machine.show("ws-echo.socket", "ActiveState") == "inactive"


# Settings whose effect only another program shows


def tried(crowd, probe, what):
    """The answer of probe.c, which xinetd starts instead of the program, after it has tried an action."""
    with crowd.machine.replaced(crowd.machine.program, probe):
        peer = connect(crowd)
        peer.send(what.encode() + b"\n")
        answer = peer.rest().decode().strip()
        peer.close()
    return answer


@rule("ws-echo(8) SECURITY (9)")
def test_the_connections_have_no_share_in_the_shared_memory_of_the_machine(started, probe):
    link, machine = "link /proc/self/ns/ipc", started.machine
    of_the_machine = machine.run("readlink", "/proc/1/ns/ipc").stdout.strip()
    found = tried(started, probe, link)
    assert found.startswith("ipc:") and found != of_the_machine
    with machine.drop_in(UNIT, "[Service]\nPrivateIPC=no\n"):
        machine.systemctl("restart", UNIT)
        assert tried(started, probe, link) == of_the_machine


def test_no_more_processes_can_run_than_512_connections_and_a_few_to_spare(started, probe):
    """520: xinetd, the probe, and so many more."""
    assert tried(started, probe, "children") == "518"


@pytest.mark.slow("systemd waits ten seconds")
def test_a_connection_that_does_not_end_after_sigterm_is_killed(started, probe):
    """Not before the four seconds that ws-echo may take, and much earlier than after systemd's 90 seconds."""
    with started.machine.replaced(started.machine.program, probe):
        peer = connect(started)
        peer.send(b"ignore-sigterm\n")
        assert peer.receive(3) == b"ok\n"
    stopped = time.monotonic()
    started.machine.systemctl("stop", "--no-block", UNIT)
    assert peer.ended()
    assert time.monotonic() - stopped > 4
    peer.close()


def test_all_connections_together_have_half_of_the_memory(started):
    total = int(re.search(r"^MemTotal: +(\d+) kB$", started.machine.path("/proc/meminfo").read_text(), re.MULTILINE)[1])
    limit = int(started.machine.show(UNIT, "MemoryMax"))
    assert abs(limit - 1024 * total / 2) < 1 << 20, (limit, total)


# Faults that make the start fail


def the_start_fails(crowd):
    """Starts the unit; asserts that this fails, and returns the reason that `systemctl status` shows."""
    machine = crowd.machine
    assert machine.systemctl("start", UNIT, check=False).returncode != 0
    assert machine.show(UNIT, "ActiveState") == "failed"
    machine.run("journalctl", "--sync")
    return machine.systemctl("status", UNIT, check=False).stdout


def test_a_wrong_option_fails_the_start(crowd):
    crowd.machine.path(SETTINGS).write_text("WS_ECHO_OPTS=--no-such-option\n")
    assert "no-such-option" in the_start_fails(crowd)
    assert not crowd.listens()


def test_an_option_that_xinetd_cannot_pass_on_fails_the_start(crowd):
    crowd.machine.path(SETTINGS).write_text('WS_ECHO_OPTS=-P ""\n')
    assert "--prefix=" in the_start_fails(crowd)


def test_a_port_that_another_program_has_fails_the_start(crowd):
    """After ten seconds, because xinetd goes on running; without TimeoutStartSec= they would be 90."""
    with crowd.machine.network():
        other = socket.create_server(("::", 8888), family=socket.AF_INET6)
    with other:
        assert "Address already in use" in the_start_fails(crowd)


def test_a_forbidden_system_call_that_kills_fails_the_start(crowd):
    """The shell makes one, so that SystemCallErrorNumber= has to make it an error."""
    with crowd.machine.drop_in(UNIT, "[Service]\nSystemCallErrorNumber=\n"):
        assert "Bad system call" in the_start_fails(crowd)


def test_a_machine_without_xinetd_fails_the_start(crowd):
    with crowd.machine.drop_in(UNIT, "[Service]\nExecSearchPath=\nExecSearchPath=/usr/bin\n"):
        assert "203/EXEC" in the_start_fails(crowd)


# Options have the same meaning as for the socket


@pytest.mark.parametrize("line, path, prefix", [
    ('--prefix="server: " --path=/a', "/a", b"server: "),
    ("--prefix=", "/socket", b""),
    ("--path=/a&b|c", "/a&b|c", b"server: "),
    ("--prefix=%20%25", "/socket", b" %"),
    ("", "/socket", b"server: "),
], ids=["quoted", "empty", "of-awk-and-sed", "percent", "none"])
def test_options_come_from_the_settings(crowd, line, path, prefix):
    crowd.start([line])
    peer = connect(crowd)
    peer.send(heads.head(path=path))
    assert peer.receive(len(heads.switching())) == heads.switching()
    echoes(peer, prefix=prefix)
    leave(peer)


def test_the_lab_acts_in_the_unit(crowd):
    crowd.start(["--lab=/lab"])
    peer = connect(crowd).open(path="/lab?delay=0.01&hello=hi&slice=100&count=1&close=reset")
    assert peer.receive(4) == framing.reply(framing.TEXT, b"hi")
    peer.send(framing.text("Hello"))
    assert peer.receive(len(framing.echo("Hello"))) == framing.echo("Hello")
    with pytest.raises(ConnectionResetError):
        peer.rest()
    peer.close()


def test_the_record_has_its_fields_and_its_unit(started):
    cursor = started.machine.cursor()
    peer = connect(started).open()
    port = peer.socket.getsockname()[1]
    echoes(peer)
    peer.send(framing.close(3000, b"done"))
    peer.rest()
    peer.close()
    found = []

    def written():
        found.extend(started.machine.journal(cursor, SYSLOG_IDENTIFIER="ws-echo", REMOTE_PORT=str(port)))
        return found

    launch.wait_until(written, "the record is in the journal")
    expected = {"PRIORITY": "5", "REMOTE_ADDR": "127.0.0.1", "WS_STATUS": "101", "WS_CLOSE_CODE": "3000",
                "WS_MESSAGES": "1", "_TRANSPORT": "journal"}
    assert {name: found[0].get(name) for name in expected} == expected


# Limits


def test_one_source_gets_no_more_than_its_share_and_others_theirs(started):
    peers = [connect(started, "127.0.2.1").open() for _ in range(64)]
    is_refused(started, source="127.0.2.1")
    peers.append(connect(started, "127.0.2.2").open())
    for peer in peers:
        leave(peer)


def test_there_are_no_more_than_the_cap_in_total(crowd):
    with entry(crowd, "instances", "3"):
        crowd.start()
        peers = [connect(crowd, f"127.0.3.{number}").open() for number in range(3)]
        is_refused(crowd, source="127.0.3.9")
        for peer in peers:
            leave(peer)


def test_the_largest_message_fits_the_address_space(started):
    peer = connect(started).open()
    payload = b"x" * (16 << 20)
    peer.send(frame(TEXT, payload))
    expected = reply(TEXT, framing.PREFIX + payload)
    assert peer.receive(len(expected)) == expected
    leave(peer)


def test_each_connection_has_a_limit_of_address_space_of_its_own(crowd):
    crowd.start(["--max-message=128M"])
    other = connect(crowd).open()
    peer = connect(crowd).open()
    with contextlib.suppress(ConnectionResetError, BrokenPipeError):
        peer.send(frame(BINARY, bytes(100 << 20)))
    final, opcode, body = peer.frame()
    assert (final, opcode, body[:2]) == (True, CLOSE, close_body(1011))
    peer.close()
    echoes(other)
    leave(other)


def test_a_connection_that_the_kernel_kills_takes_no_other_along(crowd):
    crowd.start(["--max-message=128M"])
    limits = "[Service]\nMemoryMax=32M\nLimitAS=infinity\n"
    with crowd.machine.drop_in(UNIT, limits):
        crowd.machine.systemctl("restart", UNIT)
        # Only control groups of version 2 tell systemd about the kill, so OOMPolicy= has no visible effect here.
        assert crowd.machine.show(UNIT, "OOMPolicy") == "continue"
        other = connect(crowd).open()
        (kept,) = crowd.machine.processes("ws-echo")
        peer = connect(crowd).open()
        said = b""
        with contextlib.suppress(ConnectionResetError, BrokenPipeError):
            peer.send(frame(BINARY, bytes(100 << 20)))
            said = peer.rest()
        peer.close()
        assert said == b""  # no Close: the process was killed
        launch.wait_until(lambda: crowd.machine.processes("ws-echo") == [kept], "it is gone")
        echoes(other)
        leave(other)
        leave(connect(crowd).open())


def test_stopping_says_going_away_to_each_peer(started):
    peers = [connect(started).open() for _ in range(3)]
    started.machine.systemctl("stop", "--no-block", UNIT)
    for peer in peers:
        final, opcode, body = peer.frame()
        assert (final, opcode, body[:2]) == (True, CLOSE, close_body(1001))
        peer.send(framing.close(1001))
        assert peer.ended()
        peer.close()
