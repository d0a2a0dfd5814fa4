"""An architecture for which there is no filter of system calls: i386, built by its own compiler and libraries.

The kernel runs its programs beside those of x86-64.
"""

import pathlib
import shutil
import subprocess
import tempfile

import parts
import pytest
import wire
from debians import BUILDING
from wire import BINARY, CLOSE, PING, PONG

ROOT = wire.TOP / "build/roots/i386"
INSIDE = ["chroot", str(ROOT)]
WITHOUT = b"no system call filter"


@pytest.fixture(scope="module", autouse=True)
def program():
    """The program that wire starts: made in the root, of nothing but what that has, and seen from there."""
    parts.require_file(f"{ROOT}.made", "mmdebstrap, then run 'make deps-packages'")
    with tempfile.TemporaryDirectory(dir=ROOT / "tmp") as folder, pytest.MonkeyPatch.context() as patch:
        for name in ("Makefile", "ws-echo.c", "ws-echo.html"):
            shutil.copy(wire.TOP / name, folder)
        pathlib.Path(folder).chmod(0o755)
        inside = f"/tmp/{pathlib.Path(folder).name}"
        subprocess.run([*INSIDE, "env", "PKG_CONFIG_PATH=/usr/lib/i386-linux-gnu/pkgconfig", "make", "--silent",
                        f"--directory={inside}", "ws-echo", "CC=i686-linux-gnu-gcc"], check=True, timeout=BUILDING)
        assert pathlib.Path(folder, "ws-echo").read_bytes()[:5] == b"\x7fELF\x01", "of 32 bits"
        patch.setattr(wire, "PROGRAM", f"{inside}/ws-echo")
        yield wire.PROGRAM


def run(data, *options):
    return subprocess.run([*INSIDE, wire.PROGRAM, *options], input=data, capture_output=True, check=False,
                          timeout=wire.LIMIT)


@pytest.mark.parametrize("pair", [wire.tcp_pair, wire.unix_pair, wire.pipe_pair])
def test_it_serves_and_the_record_says_that_the_sandbox_is_partial(pair):
    payload = bytes(range(256)) * (16 << 12)
    sent = [wire.text("hi"), wire.frame(PING, b"?"), wire.frame(BINARY, payload), wire.close(1000)]
    expected = [wire.echo("hi"), wire.reply(PONG, b"?"), wire.reply(BINARY, payload),
                wire.reply(CLOSE, wire.close_body(1000))]
    with wire.Served(wrapper=INSIDE, pair=pair) as served:
        peer = served.peer.open()
        for frames, answer in zip(sent, expected):
            peer.send(frames)
            wire.same(peer.receive(len(answer)), answer)
        assert peer.ended()
        peer.close()
        log = served.finish()
    record = wire.record(log)
    assert (record["messages"], record["sandbox"]) == ("2", "partial") and log.count("\n") == 1, log


def test_only_check_and_verbose_say_that_there_is_no_filter():
    checked = run(b"", "--check")
    assert (checked.returncode, checked.stdout) == (0, b"")
    assert WITHOUT in checked.stderr and checked.stderr.count(b"\n") == 1, checked
    assert WITHOUT in run(wire.head(), "--verbose").stderr
    assert WITHOUT not in run(wire.head()).stderr


def test_what_it_gives_up_without_a_filter_is_given_up():
    with wire.Served(wrapper=INSIDE) as served:
        served.peer.open()
        status = pathlib.Path(f"/proc/{served.process.pid}/status").read_text(encoding="ascii")
        served.peer.close()
    fields = dict(line.split(":\t", 1) for line in status.splitlines())
    assert "0" not in fields["Uid"].split() and fields["Groups"].strip() == ""
    assert (fields["NoNewPrivs"], fields["Seccomp"]) == ("1", "0")
