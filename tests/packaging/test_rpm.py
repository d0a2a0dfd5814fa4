"""The RPM package, built with Debian's rpm, and installed with it on a Debian that has a preset like Fedora's."""

import pathlib
import subprocess

import pytest
import wire
from debians import debian, echoes, leave, made, recorded
from wire import Peer

# Debian's rpm has to be told that this is Debian, and does not know what dpkg has installed.
RPM = "rpm", "--force-debian", "--nodeps"


@pytest.fixture(scope="module")
def package():
    """The package's bytes."""
    made("rpm", ("rpmbuild", "rpm"))
    (found,) = (wire.TOP / "build/rpm/RPMS").glob("*/ws-echo-*.rpm")
    return found.read_bytes()


@pytest.fixture
def machine(package):
    with debian("bookworm") as booted:
        presets = booted.path("/etc/systemd/system-preset/99-default.preset")
        presets.parent.mkdir(exist_ok=True)
        presets.write_text("disable *\n")
        booted.path("/root/package.rpm").write_bytes(package)
        yield booted


def install(machine):
    machine.run(*RPM, "--install", "/root/package.rpm")


def start(machine):
    machine.systemctl("enable", "--now", "ws-echo.socket")


def units(machine):
    """The units of the package but templates."""
    files = machine.run("rpm", "--query", "--list", "ws-echo").stdout.split()
    return [pathlib.Path(name).name for name in files if "/systemd/system/" in name and "@" not in name]


def test_it_has_what_make_install_installs(machine, tmp_path):
    install(machine)
    subprocess.run(["make", "--directory", wire.TOP, "install", f"DESTDIR={tmp_path}", "PREFIX=/usr",
                    "UNITDIR=/usr/lib/systemd/system"], check=True, capture_output=True)
    expected = {"/" + str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")
                if path.is_symlink() or path.is_file() or path.is_dir() and not any(path.iterdir())}
    files = set(machine.run("rpm", "--query", "--list", "ws-echo").stdout.split())
    assert len(expected) > 10 and expected - files == set()


def test_installing_it_opens_no_port_where_the_preset_says_so(machine):
    install(machine)
    assert machine.listening() == set()
    for unit in units(machine):
        assert machine.systemctl("is-enabled", unit, check=False).stdout.strip() in ("disabled", "static"), unit


def test_it_serves_when_it_is_started(machine):
    cursor = machine.cursor()
    install(machine)
    start(machine)
    peer = Peer(machine.connect()).open()
    echoes(peer)
    port = peer.socket.getsockname()[1]
    leave(peer)
    recorded(machine, cursor, port)


def test_an_upgrade_keeps_connections(machine):
    install(machine)
    start(machine)
    peer = Peer(machine.connect()).open()
    echoes(peer)
    machine.run(*RPM, "--upgrade", "--replacepkgs", "/root/package.rpm")
    echoes(peer)
    leave(peer)
    leave(Peer(machine.connect()).open())


def test_removal_keeps_connections_closes_the_port_and_leaves_nothing_of_it(machine):
    install(machine)
    files = machine.run("rpm", "--query", "--list", "ws-echo").stdout.split()
    start(machine)
    peer = Peer(machine.connect()).open()
    echoes(peer)
    for unit in units(machine):
        machine.systemctl("enable", unit)
        machine.systemctl("start", unit, check=False)  # what another one excludes does not start
    machine.run(*RPM, "--erase", "ws-echo")
    assert machine.listening() == set()
    echoes(peer)
    leave(peer)
    wire.wait_until(lambda: not machine.units("ws-echo*", "active", "failed"), "the units are gone")
    assert [name for name in files if "ws-echo" in name and machine.path(name).exists()] == []
    assert list(machine.path("/etc/systemd/system").rglob("ws-echo*")) == []
