# SPDX-License-Identifier: MIT
"""Fresh Debian releases: the commands of README.md build and test the program with each release's compilers."""

import os
import re
import signal
import socket
import subprocess

import framing
import heads
import launch
import project
import pytest
import roots
from builds import free_port
from terminal import CTRL_C, Terminal

MINIMAL = ["--variant=apt", "--include=ca-certificates,passwd"]
FIRST = re.search(r"^```sh\n(.*?)^```$", (project.TOP / "README.md").read_text(encoding="utf-8"), re.M | re.S)[1]
DEBIANS = {
    "debian-11": ["bullseye"],
    "debian-12": ["bookworm"],
    "debian-13": ["trixie"],
    "sid": ["sid"],
    "i386": ["bookworm", "--architectures=i386"],
}
WITHOUT_TESTS = {"debian-11"}  # its pytest is too old for them
COMPILERS = {"debian-12", "sid"}  # the oldest and the newest


@pytest.fixture(name="debian", scope="module", params=[
    pytest.param(name, marks=pytest.mark.xdist_group(name)) for name in DEBIANS])
def fresh_debian(request):
    suite, *options = DEBIANS[request.param]
    with roots.fresh(suite, *MINIMAL, *options) as root:
        assert not (root / "usr/bin/make").exists()
        roots.run(root, "sh", "-euc", FIRST)
        yield request.param, root


def test_make_deps_run_serves(debian):
    _, root = debian
    port = free_port()
    with Terminal(roots.command(root, "make", "deps", "run", f"PORT={port}"), env=roots.environment()) as terminal:
        terminal.until(b"console.\n", limit=roots.INSTALLING)
        peer = launch.Peer(socket.create_connection(("127.0.0.1", port))).open()
        peer.send(framing.text("Hello world"))
        assert peer.frame() == (True, framing.TEXT, b"server: Hello world")
        terminal.type(CTRL_C)
        assert framing.close_code(peer.answer_close()) == 1001
        peer.close()
        assert terminal.finish() == 128 + signal.SIGINT, terminal.shown
    said = terminal.shown.decode()
    assert "warning:" not in said and "error:" not in said, said


def test_make_deps_install_installs_what_serves(debian):
    _, root = debian
    roots.run(root, "make", "clean")
    said = roots.run(root, "make", "deps", "install")
    assert "warning:" not in said, said
    answer = subprocess.run(roots.command(root, "/usr/local/sbin/ws-echo"), input=heads.head() + framing.text("Hello"),
                            capture_output=True, check=True, timeout=project.LIMIT).stdout
    assert answer == heads.switching() + framing.echo("Hello")
    roots.run(root, "make", "uninstall")
    assert [*root.glob("usr/local/**/*ws-echo*")] == []


def passed(said):
    """The summary line of pytest; asserts that all tests passed."""
    counted = re.search(r"^(\d+) passed(, \d+ skipped)? in .*$", said, re.M)
    assert counted, said
    return counted


def test_make_deps_check_passes_for_a_user_without_privileges(debian):
    """Root installs the dependencies first."""
    name, root = debian
    if name in WITHOUT_TESTS:
        pytest.skip("the tests need a newer pytest")
    roots.run(root, "make", "deps")  # in parallel to the tests in another root
    roots.give_to_user(root)
    with roots.alone():
        said = roots.run(root, *roots.as_user("make", "deps", "check"), limit=roots.TESTING)
    counted = passed(said)
    assert int(counted[1]) > 1000 and "warning:" not in said, said
    print(name, counted[0])


def test_its_compilers_have_no_warning_whatever_the_flags(debian):
    name, root = debian
    if name not in COMPILERS:
        pytest.skip("the compilers of the oldest and of the newest Debian are tried")
    roots.run(root, "packaging/install-deps", "build", "static", "check")
    roots.run(root, "make", "ws-echo")
    with roots.alone():
        said = roots.run(root, "/usr/bin/python3", "-m", "pytest", "-q", f"--numprocesses={os.cpu_count()}",
                         "tests/long/test_compilers.py", limit=roots.TESTING)
    print(name, passed(said)[0])
