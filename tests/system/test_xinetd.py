# SPDX-License-Identifier: MIT
"""The shipped entry for xinetd, which is only enabled and has the defaults of launchers.Xinetd above it."""

import contextlib
import re

import heads
import launch
import project
import pytest
from framing import BINARY, frame
from launchers import Xinetd, leave


@pytest.fixture(scope="module")
def xinetd(machine):
    """The shipped entry, only enabled."""
    started = Xinetd(machine)
    try:
        yield started.start(["--path=/socket"])
    finally:
        started.stop()


def test_it_is_disabled_as_shipped():
    assert "\n\tdisable         = yes\n" in (project.TOP / "packaging/ws-echo.xinetd").read_text(encoding="utf-8")


def test_it_takes_more_connections_than_xinetd_does_by_default(xinetd):
    for _ in range(200):
        peer, _ = xinetd.connect()
        peer.open()
        leave(peer)


def test_it_caps_the_connections_of_one_source_and_xinetd_logs_only_who_was_refused(xinetd):
    """The defaults, which the entry overrides, would log the other connections as well."""
    xinetd.begin()
    peers = [xinetd.connect()[0].open() for _ in range(64)]
    refused, _ = xinetd.connect()
    with contextlib.suppress(ConnectionResetError, BrokenPipeError):
        refused.send(heads.head())
        assert refused.ended()
    refused.close()
    for peer in peers:
        leave(peer)

    def said():
        return [entry["MESSAGE"] for entry in xinetd.machine.journal(xinetd.cursor, SYSLOG_IDENTIFIER="xinetd")]

    launch.wait_until(said, "the refusal is in the journal")
    assert re.fullmatch(r"FAIL: ws-echo per_source_limit from=(::ffff:)?127\.0\.0\.1", "".join(said())), said()


def test_connections_have_the_limit_of_the_entry_and_no_variable_of_xinetds_environment(xinetd):
    peer, _ = xinetd.connect()
    peer.open()
    for program, has_it in ("xinetd", True), ("ws-echo", False):
        (process,) = xinetd.machine.processes(program)
        variables = xinetd.machine.path(f"/proc/{process}/environ").read_bytes()
        assert (b"LD_LIBRARY_PATH=" in variables) == has_it, variables
    limits = xinetd.machine.path(f"/proc/{process}/limits").read_text(encoding="ascii")
    assert re.search(rf"^Max address space +{64 << 20} ", limits, re.MULTILINE), limits
    leave(peer)


def test_the_largest_message_fits_the_memory_limit(xinetd):
    peer, _ = xinetd.connect()
    payload = bytes(16 << 20)
    peer.open().send(frame(BINARY, payload))
    assert peer.frame() == (True, BINARY, payload)
    leave(peer)
