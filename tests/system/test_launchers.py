# SPDX-License-Identifier: MIT
"""The same exchanges under every launcher, compared byte for byte, with each record on the right log channel."""

import heads
import launch
import pytest
from framing import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, close, close_body, echo, frame, reply, text
from launchers import ALL
from rule import rule

# No Pings, so that the bytes do not depend on the speed of the machine.
OPTIONS = ("--max-message=64K", "--ping-interval=0", "--timeout=2")


@pytest.fixture(scope="module", params=ALL, ids=lambda launcher: launcher.name)
def launcher(request, machine):
    started = request.param(machine)
    try:
        yield started.start(OPTIONS)
    finally:
        started.stop()


def says_goodbye(peer):
    """Closes like an ordinary client; asserts that nothing more comes."""
    peer.send(close(1000, b"bye"))
    assert peer.rest() == reply(CLOSE, close_body(1000, b"bye"))
    peer.close()


def is_closed(peer, code):
    """Asserts that the server sends a Close with this code, and nothing more."""
    final, opcode, body = peer.frame()
    assert (final, opcode, body[:2]) == (True, CLOSE, close_body(code))
    peer.send(close(code))
    assert peer.ended()
    peer.close()


def text_is_echoed(peer, _):
    peer.open().send(text("Grüße"))
    assert peer.receive(len(echo("Grüße"))) == echo("Grüße")
    says_goodbye(peer)
    return {"status": "101", "close": "1000", "reason": "bye", "messages": "1"}


def binary_is_echoed(peer, _):
    everything = bytes(range(256)) * 256
    peer.open().send(frame(BINARY, everything))
    assert peer.receive(len(reply(BINARY, everything))) == reply(BINARY, everything)
    says_goodbye(peer)
    return {"status": "101", "close": "1000", "messages": "1"}


def fragments_are_joined(peer, _):
    peer.open().send(frame(TEXT, b"one", fin=False) + frame(PING, b"between")
                     + frame(CONTINUATION, b" and ", fin=False) + frame(CONTINUATION, b"two"))
    answer = reply(PONG, b"between") + echo("one and two")
    assert peer.receive(len(answer)) == answer
    says_goodbye(peer)
    return {"status": "101", "close": "1000", "messages": "1"}


def another_path_is_refused(peer, _):
    peer.send(heads.head(path="/elsewhere"))
    answer = peer.rest()
    body = answer.partition(b"\r\n\r\n")[2]
    assert answer.startswith(b"HTTP/1.1 404 "), answer
    assert b"\r\nContent-Length: %d\r\n" % len(body) in answer, answer
    peer.close()
    return {"status": "404", "path": "/elsewhere", "close": None}


def a_large_message_is_refused(peer, _):
    peer.open().send(frame(BINARY, bytes(65537)))
    is_closed(peer, 1009)
    return {"status": "101", "close": "1009", "messages": "0"}


def sigterm_says_going_away(peer, machine):
    peer.open()
    (process,) = machine.processes("ws-echo")
    machine.run("kill", "-TERM", process)
    is_closed(peer, 1001)
    return {"status": "101", "close": "1001"}


def an_idle_peer_is_sent_away(peer, _):
    peer.open()
    is_closed(peer, 1001)
    return {"status": "101", "close": "1001"}


def a_reset_is_an_ordinary_end(peer, _):
    peer.open().reset()
    return {"status": "101", "close": "1006"}


EXCHANGES = [text_is_echoed, binary_is_echoed, fragments_are_joined, another_path_is_refused,
             a_large_message_is_refused, sigterm_says_going_away, an_idle_peer_is_sent_away,
             a_reset_is_an_ordinary_end]


@rule("ws-echo(8) RUNNING (1)")
@pytest.mark.parametrize("exchange", EXCHANGES, ids=lambda exchange: exchange.__name__)
def test_exchange(launcher, exchange):
    """Every byte is compared, so that a line of the log on the connection would be noticed."""
    peer, address = launcher.connect()
    expected = exchange(peer, launcher.machine)
    record = launcher.record(address)
    assert {name: record.get(name) for name in expected} == expected, record
    launch.wait_until(lambda: not launcher.machine.processes("ws-echo"), "the process is gone")


def test_the_record_shows_the_address_of_every_family_that_the_launcher_serves(launcher):
    for host in launcher.hosts:
        peer, address = launcher.connect(host)
        peer.open()
        says_goodbye(peer)
        assert launcher.record(address)["peer"] == address


@rule("ws-echo(8) LOGGING (3)")
def test_there_is_no_record_on_another_channel(launcher):
    """Runs after the exchanges, which have made records."""
    assert launcher.channels_with_records() == ({launcher.channel} - {"a pipe"})
