# SPDX-License-Identifier: MIT
"""The RPM package, built and installed with Debian's rpm, with a preset like Fedora's."""

import contextlib
import pathlib
import re
import subprocess

import launch
import project
import pytest
from debians import ADDRESS, BUILDING, HOME, PUBLISH, debian, echoes, leave, recorded
from launch import Peer

# rpm of Debian 12 refuses to run without --force-debian, and no Debian's rpm knows the packages installed by dpkg.
RPM = "sh", "-c", 'rpm $(! grep -q ^12 /etc/debian_version || echo --force-debian) --nodeps "$@"', "rpm"


class Package:
    """The package built on a suite that has only the packages named by the control file and by make-rpm, and these files."""

    def __init__(self, suite, archive, files=None, command="make -C ws-echo-* rpm"):
        self.suite = suite
        with debian(suite) as machine:
            for place, text in (files or {}).items():
                machine.path(place).parent.mkdir(parents=True, exist_ok=True)
                machine.path(place).write_text(text, encoding="utf-8")
            machine.path("/root/archive").write_bytes(archive.read_bytes())
            self.said = machine.run("sh", "-ec", f"cd /root && tar -xf archive && {PUBLISH} && {command}",
                                    timeout=BUILDING).stdout
            (found,) = machine.path("/root").glob("ws-echo-*/build/rpm/RPMS/*/ws-echo-[0-9]*.rpm")
            self.name, self.bytes = found.name, found.read_bytes()


@pytest.fixture(scope="module", name="archive")
def of_the_source(tmp_path_factory):
    archive = tmp_path_factory.mktemp("source") / "archive.tar.gz"
    subprocess.run([project.TOP / "packaging/archive", archive], check=True, timeout=project.LIMIT)
    return archive


@pytest.fixture(scope="module", params=["bookworm", "trixie"])
def package(request, archive):
    return Package(request.param, archive)


@contextlib.contextmanager
def booted_with(package):
    """A machine with the package's file, not installed."""
    with debian(package.suite) as booted:
        presets = booted.path("/etc/systemd/system-preset/99-default.preset")
        presets.parent.mkdir(exist_ok=True)
        presets.write_text("disable *\n")
        booted.path("/root/package.rpm").write_bytes(package.bytes)
        yield booted


@pytest.fixture
def machine(package):
    with booted_with(package) as booted:
        yield booted


def install(machine):
    machine.run(*RPM, "--install", "/root/package.rpm")


def start(machine):
    machine.systemctl("enable", "--now", "ws-echo.socket")


def units(machine):
    """The units of the package, except templates."""
    files = machine.run("rpm", "--query", "--list", "ws-echo").stdout.split()
    return [pathlib.Path(name).name for name in files if "/systemd/system/" in name and "@" not in name]


def test_it_has_the_version_that_was_built(package, machine):
    version = subprocess.run([project.TOP / "packaging/version"], check=True, capture_output=True, text=True).stdout.strip()
    assert package.name.startswith(f"ws-echo-{version}-1")
    install(machine)
    assert machine.run("ws-echo", "--version").stdout == f"ws-echo {version}\n"


def test_its_build_runs_tests(package):
    (passed,) = re.findall(r"^(\d+) passed", package.said, re.M)
    assert int(passed) > 100


def test_rpm_sorts_builds_after_their_release_by_date_and_before_the_next_one(machine):
    versions = "1.1", "1.1+git20261201093000.ffffffffffff", "1.1+git20261202093000.000000000000", "1.1.1", "1.2"
    for earlier, later in zip(versions, versions[1:]):
        assert machine.run("rpm", "--eval", f'%{{lua:print(rpm.vercmp("{earlier}", "{later}"))}}').stdout == "-1\n"


def test_it_says_who_publishes_it(machine):
    install(machine)
    assert machine.run("rpm", "--query", "--queryformat", "%{URL}", "ws-echo").stdout == HOME
    entries = re.findall(r"^\* .*$", machine.run("rpm", "--query", "--changelog", "ws-echo").stdout, re.M)
    assert entries and all(f" {ADDRESS} - " in entry for entry in entries), entries


def test_it_binds_no_directory_that_only_this_distribution_has(machine):
    install(machine)
    unit = machine.path("/usr/lib/systemd/system/ws-echo@.service").read_text(encoding="utf-8")
    (bound,) = re.findall(r"^BindPaths=(.*)$", unit, re.M)
    assert bound == "/usr/sbin/ws-echo /usr/lib -/usr/lib64 /run/systemd/journal/socket"


def test_it_has_what_make_install_installs(machine, tmp_path):
    install(machine)
    subprocess.run(["make", "--directory", project.TOP, "install", f"DESTDIR={tmp_path}", "PREFIX=/usr", "LOADERDIR=",
                    "UNITDIR=/usr/lib/systemd/system"], check=True, capture_output=True)
    expected = {"/" + str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")
                if path.is_symlink() or path.is_file() or path.is_dir() and not any(path.iterdir())}
    files = {name.removesuffix(".gz") for name in machine.run("rpm", "--query", "--list", "ws-echo").stdout.split()}
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
        machine.systemctl("start", unit, check=False)  # a unit that conflicts with another does not start
    machine.run(*RPM, "--erase", "ws-echo")
    assert machine.listening() == set()
    echoes(peer)
    leave(peer)
    launch.wait_until(lambda: not machine.units("ws-echo*"), "the units are gone")
    assert machine.run("find", "/tmp", "/var/tmp", "-name", "*ws-echo*").stdout == ""
    assert [name for name in files if "ws-echo" in name and machine.path(name).exists()] == []
    assert list(machine.path("/etc/systemd/system").rglob("ws-echo*")) == []


def test_removal_leaves_no_unit(machine):
    install(machine)
    start(machine)
    leave(Peer(machine.connect()).open())
    launch.wait_until(lambda: not machine.processes("ws-echo"), "the process has ended")
    machine.run(*RPM, "--erase", "ws-echo")
    assert machine.units("*ws*echo*") == []


# Where the distribution has systemd's macros, as Fedora does


HELPER = "/usr/lib/systemd/systemd-update-helper"
FILLED_IN = {"SYSTEMD_UPDATE_HELPER_PATH": HELPER, "SYSTEM_DATA_UNIT_DIR": "/usr/lib/systemd/system",
             "SYSUSERS_DIR": "/usr/lib/sysusers.d", "ROOTLIBEXECDIR": "/usr/lib/systemd", "LIBEXECDIR": "/usr/lib/systemd"}


@pytest.fixture(scope="module", name="of_systemd")
def from_its_source(tmp_path_factory):
    """systemd's macros for rpm, and the program that they call, from the source of Debian's package."""
    folder = tmp_path_factory.mktemp("systemd")
    subprocess.run([project.TOP / "packaging/fetch-source", "systemd", folder], check=True, capture_output=True,
                   timeout=BUILDING)
    (source,) = folder.glob("systemd-*/src/rpm")
    files = {"/usr/lib/rpm/macros.d/macros.systemd": "macros.systemd.in", HELPER: "systemd-update-helper.in"}
    return {place: re.sub(r"\{\{(\w+)\}\}", lambda found: FILLED_IN.get(found[1], "/nowhere"),
                          (source / name).read_text(encoding="utf-8")) for place, name in files.items()}


def test_with_systemds_macros_it_is_installed_upgraded_and_removed(archive, of_systemd):
    package = Package("bookworm", archive, of_systemd, "ws-echo-*/packaging/make-rpm '' --without check")
    with booted_with(package) as machine:
        machine.path(HELPER).write_text(of_systemd[HELPER], encoding="utf-8")
        machine.path(HELPER).chmod(0o755)
        scripts = machine.run("rpm", "--query", "--scripts", "--package", "/root/package.rpm").stdout
        for command in "install-system-units", "remove-system-units", "mark-restart-system-units":
            assert f"{HELPER} {command} " in scripts
        assert "try-restart" not in scripts and "preset" not in scripts
        install(machine)
        machine.systemctl("daemon-reload")  # on Fedora, rpm does this when a package installs units
        assert machine.listening() == set()
        start(machine)
        peer = Peer(machine.connect()).open()
        machine.run(*RPM, "--upgrade", "--replacepkgs", "/root/package.rpm")
        echoes(peer)
        machine.run(*RPM, "--erase", "ws-echo")
        assert machine.listening() == set()
        echoes(peer)
        leave(peer)
        assert list(machine.path("/etc/systemd/system").rglob("ws-echo*")) == []
