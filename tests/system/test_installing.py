# SPDX-License-Identifier: MIT
"""What README.md tells an administrator to type after `make install`, typed."""

import re

import heads
import launch
import project
import pytest
from launch import Peer

README = (project.TOP / "README.md").read_text(encoding="utf-8")


def blocks(section):
    """The indented blocks of a section."""
    text = README.split(f"\n## {section}\n")[1].split("\n## ")[0]
    return [re.sub("(?m)^    ", "", block) for block in re.findall(r"(?:^    .*\n)+", text, re.M)]


START, OPTIONS, DROP_IN = blocks("Install it")
_, JOURNAL = blocks("The log")


def typed(machine, block):
    """What root types; the result of the last command."""
    return machine.run("sh", "-euc", block.replace("sudo ", ""))


@pytest.fixture
def started(machine):
    typed(machine, START)
    yield machine
    machine.run("rm", "-rf", "/etc/default/ws-echo", "/etc/systemd/system/ws-echo.socket.d")
    machine.systemctl("disable", "--now", "ws-echo.socket")
    machine.systemctl("daemon-reload")


def answer(machine, *fields, path="/socket", port=8888):
    """The status of the answer to a handshake."""
    with machine.connect(port=port) as connection:
        connection.sendall(heads.head(*fields, path=path))
        return connection.recv(12)[9:]


def test_the_socket_is_open_now_and_after_the_next_start(started):
    assert started.show("ws-echo.socket", "ActiveState", "UnitFileState") == ["active", "enabled"]
    Peer(started.connect()).open().close()


def test_the_options_hold_from_the_next_connection_on_and_the_journal_tells_who_was_refused(started):
    started.path("/etc/default/ws-echo").write_text(OPTIONS)
    assert answer(started, path="/echo") == b"101"
    assert answer(started, "Origin: https://example.org", path="/echo") == b"101"
    assert answer(started, "Origin: https://example.com", path="/echo") == b"403"
    every, refused, wrong = JOURNAL.splitlines()
    launch.wait_until(lambda: "https://example.com" in typed(started, refused).stdout, "the record is in the journal")
    assert "https://example.com" in typed(started, every).stdout
    assert "https://example.com" not in typed(started, f"{wrong} || :").stdout


@pytest.mark.parametrize("cleared", [True, False], ids=["instead", "in-addition"])
def test_the_drop_in_listens_on_another_port_of_the_loopback_interface(started, cleared):
    typed(started, DROP_IN if cleared else DROP_IN.replace(" ListenStream= ", " "))
    assert answer(started, port=9999) == b"101"
    assert started.listening() == ({9999} if cleared else {8888, 9999})
    with pytest.raises(ConnectionRefusedError):
        started.connect(host="::1", port=9999)
