# SPDX-License-Identifier: MIT
"""Runs the commands that the manual gives administrators, and the shipped examples."""

import contextlib
import errno
import re
import socket
import subprocess

import framing
import heads
import launch
import manual as manuals
import project
import proxies
import pytest
from launch import Peer
from launchers import leave
from require import require

MANUAL = (project.TOP / "man/ws-echo-launchers.7").read_text(encoding="utf-8")
PROXIES = manuals.page("ws-echo-proxies.7")
EXAMPLE = project.TOP / "packaging/examples/ws-echo.nft"

IPV6_FREEBIND = 78  # linux/in6.h; Python does not name it


def blocks(heading, manual=MANUAL):
    """The examples of a section or subsection, as displayed."""
    return manuals.blocks(heading, manual)


def installed_manual(machine):
    """The installed page, which names the chosen paths."""
    return machine.path("/usr/local/share/man/man7/ws-echo-launchers.7").read_text(encoding="utf-8")


def typed(machine, block):
    """Runs the lines of an example without their prompts; returns the output."""
    machine.run("sh", "-euc", manuals.script(block))


def serves(machine, port, path="/socket"):
    leave(Peer(machine.connect(port=port)).open(path=path))


def test_a_second_instance_takes_two_commands_and_shares_nothing(machine):
    make, remove = blocks("A second instance", installed_manual(machine))
    machine.path("/etc/default/ws-echo-second").write_text("WS_ECHO_OPTS=--path=/second\n")
    machine.systemctl("start", "ws-echo.socket")
    try:
        typed(machine, make)
        assert machine.show("ws-echo-second.socket", "ActiveState", "UnitFileState") == ["active", "enabled"]
        serves(machine, 8889, "/second")
        serves(machine, 8888)
        with machine.drop_in("ws-echo.socket", "[Socket]\nMaxConnections=3\n"), \
                machine.drop_in("ws-echo@.service", "[Service]\nRuntimeMaxSec=7\n"):
            assert machine.show("ws-echo-second.socket", "MaxConnections") == "512"
            assert machine.show("ws-echo-second@x.service", "RuntimeMaxUSec") == "infinity"
        machine.path("/etc/default/ws-echo-second").write_text("WS_ECHO_OPTS=--no-such-option\n")
        assert machine.systemctl("restart", "ws-echo-second.socket", check=False).returncode != 0
        serves(machine, 8888)
        typed(machine, remove)
        machine.systemctl("reset-failed")
        assert machine.units("*ws*echo*second*") == []
    finally:
        machine.systemctl("stop", "ws-echo.socket", "ws-echo-second.socket", check=False)
        machine.path("/etc/default/ws-echo-second").unlink()


@contextlib.contextmanager
def drop_in_typed(machine, heading, unit, manual=MANUAL):
    """Creates a drop-in with the commands of a subsection, during the body."""
    folder = f"/etc/systemd/system/{unit}.d"
    (block,) = [block for block in blocks(heading, manual) if f"tee {folder}/" in block]
    try:
        typed(machine, block)
        yield
    finally:
        machine.run("rm", "-rf", folder)
        machine.systemctl("daemon-reload")


def test_a_drop_in_chooses_another_port(machine):
    with drop_in_typed(machine, "Another port", "ws-echo.socket"):
        assert machine.show("ws-echo.socket", "Listen") == "[::]:9999 (Stream)"
        serves(machine, 9999)
        assert 8888 not in machine.listening()
        machine.systemctl("stop", "ws-echo.socket")


def test_a_drop_in_says_who_may_connect(machine):
    with drop_in_typed(machine, "Who may connect", "ws-echo.socket"):
        assert set(machine.show("ws-echo.socket", "IPAddressDeny").split()) == {"::/0", "0.0.0.0/0"}
        assert set(machine.show("ws-echo.socket", "IPAddressAllow").split()) == {"127.0.0.0/8", "::1/128", "192.0.2.0/24"}
        serves(machine, 8888)
        machine.systemctl("stop", "ws-echo.socket")


def test_a_drop_in_is_for_a_proxy_in_front(machine):
    with drop_in_typed(machine, "The socket of ws-echo", "ws-echo.socket", PROXIES):
        assert machine.show("ws-echo.socket", "Listen", "MaxConnectionsPerSource") == ["127.0.0.1:9000 (Stream)", "512"]
        serves(machine, 9000)
        assert 8888 not in machine.listening()
        machine.systemctl("stop", "ws-echo.socket")


def test_nginx_as_the_manual_configures_it_passes_on_the_client_and_serves_the_page(machine, tmp_path):
    (location,) = [block for block in blocks("NGINX", PROXIES) if block.startswith("location ")]
    cursor = machine.cursor()
    with drop_in_typed(machine, "The socket of ws-echo", "ws-echo.socket", PROXIES), machine.network(), \
            proxies.nginx(tmp_path, location) as proxy:

        def answer(request):
            peer = Peer(socket.create_connection(("127.0.0.1", proxy.port), project.LIMIT))
            peer.send(request)
            received = peer.rest()
            peer.close()
            return received

        echoed = answer(heads.head(path="/ws/socket") + framing.text("hi") + framing.close(1000))
        assert echoed.startswith(b"HTTP/1.1 101 ")
        assert echoed.endswith(framing.echo("hi") + framing.reply(framing.CLOSE, framing.close_body(1000)))
        page = answer(b"GET /ws/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        assert page.startswith(b"HTTP/1.1 200 ") and b"<html" in page
        machine.systemctl("stop", "ws-echo.socket")
    launch.wait_until(lambda: machine.journal(cursor, SYSLOG_IDENTIFIER="ws-echo", WS_FORWARDED="127.0.0.1"),
                    "the record is in the journal")


@pytest.mark.parametrize("heading, name, value", [
    ("Larger messages", "MemoryMax", str(256 << 20)),
    ("Life of a connection", "RuntimeMaxUSec", "1h"),
    ("Verbose records", "LogLevelMax", "7"),
])
def test_a_drop_in_changes_a_setting_of_each_connection(machine, heading, name, value):
    with drop_in_typed(machine, heading, "ws-echo@.service"):
        assert machine.show("ws-echo@x.service", name) == value


def test_a_drop_in_makes_it_a_unix_socket(machine):
    with drop_in_typed(machine, "A Unix socket", "ws-echo.socket"):
        path = machine.path("/run/ws-echo.sock")
        status = path.stat()
        assert status.st_mode & 0o777 == 0o660
        group = machine.run("getent", "group", "www-data").stdout.split(":")[2]
        assert status.st_gid == int(group)
        assert 8888 not in machine.listening()
        cursor = machine.cursor()
        with socket.socket(socket.AF_UNIX) as made:
            made.settimeout(project.LIMIT)
            made.connect(str(path))
            leave(Peer(made).open())
        found = []

        def written():
            found.extend(machine.journal(cursor, SYSLOG_IDENTIFIER="ws-echo", WS_STATUS="101"))
            return found

        launch.wait_until(written, "the record is in the journal")
        assert found[0]["MESSAGE"].startswith("peer=- "), found
        machine.systemctl("stop", "ws-echo.socket")
        assert not path.exists()


def files(machine):
    """All files with ws-echo in their name, in the folders of installed and stored files; images have their own."""
    found = machine.run("find", "/etc", "/usr", "/var/lib", "-path", "/var/lib/containers", "-prune",
                        "-o", "-path", "*ws-echo*", "-print").stdout.splitlines()
    return set(found) - {"/etc/systemd/journald.conf.d/ws-echo-test.conf"}  # made by the test machine


def test_nothing_is_left_of_it_once_it_is_removed(machine):
    """Except files that the administrator wrote: the settings, and the edited entry for xinetd."""
    (commands,) = blocks("Removal")
    commands = commands.replace("make uninstall", "true")  # make and the source are outside the machine
    settings, entry = machine.path("/etc/default/ws-echo"), machine.path("/etc/xinetd.d/ws-echo")
    settings.write_text("WS_ECHO_OPTS=--path=/a\n")
    entry.write_text(entry.read_text(encoding="utf-8").replace("= yes", "= no"))
    uninstall = ["make", "--directory", project.TOP, "uninstall", f"DESTDIR={machine.path('')}"]
    machine.systemctl("enable", "--now", "ws-echo.socket")
    served = Peer(machine.connect()).open(path="/a")
    installed = files(machine)
    try:
        before, after = commands.split("# true\n")
        typed(machine, before)
        subprocess.run(uninstall, check=True, capture_output=True)
        typed(machine, after)
        assert framing.close_code(served.rest()) == 1001
        served.close()
        assert files(machine) == {"/etc/default/ws-echo", "/etc/xinetd.d/ws-echo"} < installed
        assert machine.units("*ws*echo*") == []
        folders = machine.run("find", "/tmp", "/var/tmp", "-maxdepth", "1", "-name", "systemd-private-*ws-echo*").stdout
        assert folders == ""
        assert machine.run("getent", "passwd", "ws-echo", check=False).returncode != 0
    finally:
        entry.unlink()
        settings.unlink()
        machine.install()


def test_the_rules_of_the_manual_are_those_of_the_example():
    (shown,) = blocks("IPV6 NETWORKS")
    shipped = EXAMPLE.read_text(encoding="utf-8")
    for line in re.findall(r"(?:add|tcp) .*", shown.replace("\\\n            ", "")):
        assert line.strip() in shipped, line


@contextlib.contextmanager
def rules(machine, text):
    machine.path("/run/ws-echo.nft").write_text(text)
    machine.run("nft", "-f", "/run/ws-echo.nft")
    try:
        yield
    finally:
        machine.run("nft", "delete", "table", "inet", "ws-echo")


def connect(machine, source):
    """Connects from an address of a network whose addresses all belong to the machine."""
    with machine.network():
        made = socket.socket(socket.AF_INET6)
    made.settimeout(project.LIMIT)
    made.setsockopt(socket.IPPROTO_IPV6, IPV6_FREEBIND, 1)
    made.bind((source, 0))
    made.connect(("::1", 8888))
    return Peer(made)


@pytest.mark.parametrize("text", [EXAMPLE.read_text(encoding="utf-8"), blocks("IPV6 NETWORKS")[0]],
                         ids=["example", "manual"])
def test_the_rules_limit_each_network_of_ipv6(machine, text):
    """One host can use 65 addresses, so that a limit for each address has no effect."""
    require("nft", "nftables")
    networks = "2001:db8:0:a::", "2001:db8:0:b::"
    for network in networks:
        machine.run("ip", "-6", "route", "add", "local", f"{network}/64", "dev", "lo")
    machine.systemctl("start", "ws-echo.socket")
    peers = []
    try:
        for number in range(1, 66):
            peers.append(connect(machine, f"{networks[0]}{number:x}").open())
        while peers:
            leave(peers.pop())
        with rules(machine, text):
            for number in range(1, 65):
                peers.append(connect(machine, f"{networks[0]}{number:x}").open())
            with pytest.raises(OSError) as refused:
                connect(machine, f"{networks[0]}ffff")
            assert refused.value.errno == errno.ECONNREFUSED
            peers.append(connect(machine, f"{networks[1]}1").open())
            while peers:
                leave(peers.pop())
            leave(connect(machine, f"{networks[0]}ffff").open())
    finally:
        for peer in peers:
            peer.close()
        machine.systemctl("stop", "ws-echo.socket", "ws-echo@*")
        for network in networks:
            machine.run("ip", "-6", "route", "del", "local", f"{network}/64", "dev", "lo")
