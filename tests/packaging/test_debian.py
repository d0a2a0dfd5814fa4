# SPDX-License-Identifier: MIT
"""The Debian package: building, installing, upgrading, removing and purging it."""

import os
import pathlib
import re
import socket
import subprocess

import framing
import heads
import launch
import project
import pytest
from debians import ADDRESS, BUILDING, HOME, PUBLISH, debian, echoes, leave, made, recorded
from launch import Peer
from require import require

DEBIAN = project.TOP / "packaging/debian"
README = (DEBIAN / "ws-echo.README.Debian").read_text(encoding="utf-8")
CONFFILES = {"/etc/default/ws-echo", "/etc/xinetd.d/ws-echo"}

# The units that can be enabled instead of the socket.
OTHERS = [unit.name for unit in project.TOP.glob("packaging/*.service") if "\n[Install]\n" in unit.read_text()]
assert OTHERS, "units that are enabled in place of the socket"

LINTIAN = ["--pedantic", "--display-info", "--allow-root", "--tag-display-limit=0", "--fail-on=error,warning,info,pedantic"]

# How it is built


@pytest.fixture(scope="module")
def built():
    """The output of `make deb`."""
    return made("deb", ("dh", "debhelper"), ("dpkg-buildpackage", "dpkg-dev"))


def folder_of(tree):
    return tree / "build/deb"


def test_two_builds_are_the_same_to_the_bit(built, tmp_path):
    """The second build uses the source archive of the first, another folder, umask, time zone and language."""
    first = folder_of(project.TOP)
    archive = next(first.glob("*.orig.tar.gz"))
    other = f"""umask 077; cd {tmp_path}; tar -x --no-same-permissions --touch -f {archive}; cd ws-echo-*
        packaging/make-deb"""
    subprocess.run(["sh", "-ec", other], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                   timeout=BUILDING, env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "TZ": "Pacific/Kiritimati",
                                          "LC_ALL": "C.UTF-8", "DEB_BUILD_OPTIONS": "nocheck"})
    (tree,) = tmp_path.iterdir()
    names = {path.name for path in first.iterdir() if path.suffix in (".deb", ".gz", ".xz", ".dsc")}
    assert len(names) == 5, "program, debugging symbols, and three files of the source"
    for name in names:
        framing.same((folder_of(tree) / name).read_bytes(), (first / name).read_bytes(), name)


def test_lintian_has_nothing_to_say(built):
    """No tags except those of the overrides; unused overrides are reported too."""
    changes = next(folder_of(project.TOP).glob("*.changes"))
    result = subprocess.run([require("lintian", "lintian"), *LINTIAN, changes], capture_output=True, text=True, check=False, timeout=BUILDING)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


def test_every_flag_of_hardening_is_used(built, tmp_path):
    log = tmp_path / "log"
    log.write_text(built, encoding="utf-8")
    result = subprocess.run([require("blhc", "blhc"), "--all", log], capture_output=True, text=True, check=False,
                            timeout=project.LIMIT)
    assert (result.returncode, result.stdout) == (0, "")


def commit(tree, day):
    """Commits the whole tree with that date."""
    when = f"2026-12-{day:02} 12:00:00 +0000"
    who = {f"GIT_{role}_{what}": value for role in ("AUTHOR", "COMMITTER")
           for what, value in {"NAME": "A", "EMAIL": "a@localhost", "DATE": when}.items()}
    for command in ["init", "-q"], ["add", "--all"], ["commit", "-q", "--allow-empty", "-m", str(day)]:
        subprocess.run([require("git", "git"), *command], cwd=tree, check=True, timeout=project.LIMIT,
                       env={**os.environ, **who, "GIT_CONFIG_GLOBAL": "/dev/null"})


def test_the_package_of_a_later_commit_upgrades_that_of_an_earlier_one(built, tmp_path):
    archive = next(folder_of(project.TOP).glob("*.orig.tar.gz"))
    subprocess.run(["tar", "-xf", archive], cwd=tmp_path, check=True, timeout=project.LIMIT)
    (tree,) = tmp_path.iterdir()
    (tree / "VERSION").unlink()
    with debian("bookworm") as machine:
        for day in 1, 2:
            commit(tree, day)
            made("deb", tree=tree, DEB_BUILD_OPTIONS="nocheck noopt")
            (package,) = folder_of(tree).glob("ws-echo_*.deb")
            machine.path("/root/package.deb").write_bytes(package.read_bytes())
            machine.run("apt-get", "install", "-y", "/root/package.deb")
            said = machine.run("ws-echo", "--version").stdout
            assert re.fullmatch(rf"ws-echo \S+\+git202612{day:02}120000\.[0-9a-f]{{12}}\n", said)
            assert query(machine, "Version") == f"{said.split()[1]}-1"


# Installation on a Debian that has only the packages named by the control file


class Package:
    """The package built on a suite, and its next version with a different program."""

    def __init__(self, suite, archive):
        self.suite = suite
        with debian(suite) as machine:
            machine.path("/root/archive").write_bytes(archive)
            machine.run("sh", "-ec", f"""
                cd /root && tar -xf archive && {PUBLISH} && ws-echo-*/packaging/make-deb /root/deb
                dpkg-deb --raw-extract deb/ws-echo_*.deb next
                sed -i '/^Version:/s/$/+next/' next/DEBIAN/control
                echo next >> next/usr/sbin/ws-echo
                dpkg-deb --build next""", timeout=BUILDING)
            self.this = next(machine.path("/root/deb").glob("ws-echo_*.deb")).read_bytes()
            self.lintian = None  # the root of Debian 12 is without; the machine of the tests has that of its release
            if machine.path("/usr/bin/lintian").exists():
                self.lintian = machine.run("sh", "-c", f"lintian {' '.join(LINTIAN)} /root/deb/*.changes", check=False,
                                           timeout=BUILDING)
            self.next = machine.path("/root/next.deb").read_bytes()


@pytest.fixture(scope="module", params=["bookworm", "trixie"])
def package(request, built):
    return Package(request.param, next(folder_of(project.TOP).glob("*.orig.tar.gz")).read_bytes())


@pytest.fixture
def machine(package):
    """A fresh machine for each test."""
    with debian(package.suite) as booted:
        yield booted


def install(machine, package):
    machine.path("/root/package.deb").write_bytes(package)
    return machine.run("dpkg", "--install", "/root/package.deb")


def connect(machine, **more):
    return Peer(machine.connect(**more)).open()


def refuses(machine, **more):
    try:
        machine.connect(**more).close()
    except ConnectionRefusedError:
        return True
    return False


def query(machine, field):
    return machine.run("dpkg-query", "--show", f"--showformat=${{{field}}}", "ws-echo").stdout


def units(machine):
    """The units of the package, except templates."""
    files = machine.run("dpkg", "--listfiles", "ws-echo").stdout.split()
    return [pathlib.Path(name).name for name in files if "/systemd/system/" in name and "@" not in name]


def enabled(machine, unit):
    return machine.systemctl("is-enabled", unit, check=False).stdout.strip()


def test_installing_it_serves_at_once_and_at_every_start(package, machine):
    cursor = machine.cursor()
    install(machine, package.this)
    peer = connect(machine)
    echoes(peer)
    (process,) = machine.processes("ws-echo")
    user = machine.run("id", "--user", "ws-echo").stdout.strip()
    assert re.search(rf"^Uid:\t{user}\t", machine.path(f"/proc/{process}/status").read_text(), re.M)
    port = peer.socket.getsockname()[1]
    leave(peer)
    recorded(machine, cursor, port)
    connect(machine, host="::1").close()
    assert machine.path("/etc/systemd/system/sockets.target.wants/ws-echo.socket").is_symlink()
    assert machine.units("ws-echo*", "failed") == []
    verified = machine.run("systemd-analyze", "verify", "--man=no", *units(machine))
    assert verified.stdout + verified.stderr == ""


def test_it_says_who_publishes_it(package, machine):
    install(machine, package.this)
    assert (query(machine, "Maintainer"), query(machine, "Homepage")) == (ADDRESS, HOME)
    signed = machine.run("sh", "-ec", "zcat /usr/share/doc/ws-echo/changelog.Debian.gz | grep '^ -- '").stdout
    assert [line.removeprefix(" -- ").partition("  ")[0] for line in signed.splitlines()] == [ADDRESS] * signed.count("\n")


def test_lintian_of_a_later_debian_has_nothing_to_say_either(package):
    """This source is published, and has a home page and an address."""
    assert (package.lintian is None) == (package.suite == "bookworm")
    if package.lintian:
        assert (package.lintian.returncode, package.lintian.stdout, package.lintian.stderr) == (0, "", "")


def test_it_enables_nothing_but_the_socket(package, machine):
    install(machine, package.this)
    for unit in set(units(machine)) - {"ws-echo.socket"}:
        assert enabled(machine, unit) in ("disabled", "static"), unit
    assert machine.listening() == {8888}


def test_its_manual_and_its_completion_are_found(package, machine):
    install(machine, package.this)
    for page in "ws-echo.8", "ws-echo-launchers.7":
        assert page in machine.run("man", "--path", page[:-2]).stdout
    assert machine.path("/usr/share/bash-completion/completions/ws-echo").is_file()


def test_libraries_are_linked_dynamically(package, machine):
    """The program then gets their security updates."""
    install(machine, package.this)
    libraries = machine.run("ldd", "/usr/sbin/ws-echo").stdout
    assert "libnettle.so" in libraries and "libz.so" in libraries
    assert "libnettle" in query(machine, "Depends") and "zlib1g" in query(machine, "Depends")


def test_the_settings_and_the_entry_of_xinetd_are_the_administrators(package, machine):
    install(machine, package.this)
    assert set(re.findall(r"/\S+", query(machine, "Conffiles"))) == CONFFILES
    for name in CONFFILES:
        with open(machine.path(name), "a", encoding="utf-8") as file:
            file.write("# edited\n")
    install(machine, package.next)
    machine.run("dpkg", "--remove", "ws-echo")
    install(machine, package.this)
    for name in CONFFILES:
        assert machine.path(name).read_text(encoding="utf-8").endswith("# edited\n"), name


def test_the_settings_hold_from_the_next_connection_on(package, machine):
    install(machine, package.this)
    (example,) = re.findall(r"^#(WS_ECHO_OPTS=.*\n)", machine.path("/etc/default/ws-echo").read_text(), re.M)
    assert all(option in example for option in ("--path=/echo", '--prefix="echo: "'))
    machine.path("/etc/default/ws-echo").write_text(example)
    peer = Peer(machine.connect())
    peer.send(heads.head(path="/echo"))
    assert peer.receive(len(heads.switching())) == heads.switching()
    echoes(peer, prefix=b"echo: ")
    leave(peer)


def test_the_entry_of_xinetd_serves_once_it_is_enabled(package, machine):
    install(machine, package.this)
    machine.systemctl("disable", "--now", "ws-echo.socket")
    entry = machine.path("/etc/xinetd.d/ws-echo")
    entry.write_text(re.sub(r"(disable\s*=) yes", r"\1 no", entry.read_text(encoding="utf-8")), encoding="utf-8")
    machine.systemctl("start", "xinetd.service")
    launch.wait_until(lambda: 8888 in machine.listening(), "xinetd listens")
    peer = connect(machine)
    echoes(peer)
    leave(peer)


# The port


def test_an_administrator_reads_that_a_port_is_opened_and_how_to_prevent_it(package, machine):
    """In the description of the package, in README.Debian, and in /etc/default/ws-echo."""
    install(machine, package.this)
    how_not_to = machine.path("/usr/share/doc/ws-echo/README.Debian").read_text(encoding="utf-8")
    pointers = query(machine, "Description"), machine.path("/etc/default/ws-echo").read_text(encoding="utf-8")
    for text in how_not_to, *pointers:
        words = " ".join(text.replace("#", " ").split())
        assert "port 8888" in words and "everybody who can reach" in words, text
    assert how_not_to == README and all("README.Debian" in text for text in pointers)


def commands(heading, number):
    """The commands of a block below a heading of README.Debian."""
    blocks = re.findall(r"(?:^    # .*\n)+", README.split(f"\n{heading}\n")[1].split("\n---")[0], re.M)
    return [line.removeprefix("    # ").split() for line in blocks[number].splitlines()]


def drop_in(number):
    """The path and a text of the drop-ins of README.Debian."""
    path = re.findall(r"(?:^| )(/etc/\S+\.conf)", README, re.M)[number // 2]
    block = re.findall(r"^    \[Socket\]\n(?:    .+\n)+", README, re.M)[number]
    return path, re.sub(r"^    ", "", block, flags=re.M)


def run(machine, lines):
    for line in lines:
        machine.run(*line)


def test_masked_before_it_is_installed_the_port_stays_closed_until_it_is_unmasked_and_started(package, machine):
    before, to_open = commands("To keep the port closed", 0), commands("To keep the port closed", 1)
    run(machine, before)
    for version in package.this, package.next:
        install(machine, version)
        assert machine.listening() == set()
    run(machine, to_open)
    leave(connect(machine))


def test_disabled_it_stays_closed_through_an_upgrade(package, machine):
    install(machine, package.this)
    run(machine, commands("To keep the port closed", 2))
    assert machine.listening() == set()
    install(machine, package.next)
    assert machine.listening() == set()
    assert enabled(machine, "ws-echo.socket") == "disabled"


@pytest.mark.parametrize("early", [True, False], ids=["before", "afterwards"])
def test_it_can_be_opened_to_programs_of_this_machine_only(package, machine, early):
    path, text = drop_in(0)
    if not early:
        install(machine, package.this)
    machine.path(path).parent.mkdir(parents=True)
    machine.path(path).write_text(text, encoding="utf-8")
    if early:
        install(machine, package.this)
    else:
        run(machine, commands("To restrict who can connect", 0))
    leave(connect(machine, host="127.0.0.1"))
    leave(connect(machine, host="::1"))
    assert refuses(machine, host="127.0.0.2"), "another address of this machine"


def test_it_can_be_opened_to_some_networks_only(package, machine):
    path, text = drop_in(1)
    machine.path(path).parent.mkdir(parents=True)
    machine.path(path).write_text(text, encoding="utf-8")
    install(machine, package.this)
    denied, allowed = machine.show("ws-echo.socket", "IPAddressDeny", "IPAddressAllow")
    assert set(denied.split()) == {"::/0", "0.0.0.0/0"}
    assert set(allowed.split()) == {"127.0.0.0/8", "::1/128", "192.0.2.0/24", "2001:db8::/32"}
    leave(connect(machine))


def test_a_port_that_is_taken_is_named_at_the_installation_and_another_one_can_be_chosen(package, machine):
    with machine.network(), socket.create_server(("::", 8888), family=socket.AF_INET6):
        said = install(machine, package.this)
        assert query(machine, "db:Status-Abbrev").strip() == "ii"
        (line,) = re.findall(r"^ws-echo does not run: .*$", said.stderr, re.M)
        assert "[::]:8888" in line and "README.Debian" in said.stderr and "another port" in said.stderr
        path, text = drop_in(2)
        machine.path(path).parent.mkdir(parents=True)
        machine.path(path).write_text(text, encoding="utf-8")
        run(machine, commands("To choose another port", 0))
        leave(connect(machine, port=9999))
        assert "does not run" not in install(machine, package.next).stderr
        leave(connect(machine, port=9999))


# Live connections


def test_an_upgrade_keeps_connections_and_serves_new_ones_with_the_new_program(package, machine):
    cursor = machine.cursor()
    install(machine, package.this)
    old = connect(machine)
    echoes(old)
    (process,) = machine.processes("ws-echo")
    before = machine.path("/usr/sbin/ws-echo").read_bytes()
    install(machine, package.next)
    echoes(old)
    new = connect(machine)
    echoes(new)
    (other,) = set(machine.processes("ws-echo")) - {process}
    assert machine.path(f"/proc/{process}/exe").read_bytes() == before
    assert machine.path(f"/proc/{other}/exe").read_bytes() == before + b"next\n"
    ports = [peer.socket.getsockname()[1] for peer in (old, new)]
    for peer in old, new:
        leave(peer)
    for port in ports:
        recorded(machine, cursor, port)


def test_removal_keeps_connections_and_closes_the_port(package, machine):
    install(machine, package.this)
    peer = connect(machine)
    echoes(peer)
    machine.run("dpkg", "--remove", "ws-echo")
    assert machine.listening() == set()
    echoes(peer)
    leave(peer)
    launch.wait_until(lambda: not machine.processes("ws-echo"), "the process has ended")
    assert machine.units("ws-echo*", "active", "failed") == []


@pytest.mark.parametrize("unit", OTHERS)
def test_an_upgrade_keeps_units_that_run_instead_of_the_socket_with_their_connections(package, machine, unit):
    install(machine, package.this)
    machine.systemctl("disable", "--now", "ws-echo.socket")
    machine.systemctl("enable", "--now", unit)
    launch.wait_until(lambda: 8888 in machine.listening(), f"{unit} listens")
    process = machine.show(unit, "MainPID")
    peer = connect(machine)
    echoes(peer)
    install(machine, package.next)
    assert machine.show(unit, "ActiveState", "MainPID") == ["active", process]
    assert machine.show("ws-echo.socket", "ActiveState") == "inactive"
    echoes(peer)
    leave(peer)


@pytest.mark.parametrize("unit", OTHERS)
def test_removal_stops_units_that_run_instead_of_the_socket(package, machine, unit):
    """Their connections end too, because they are processes of the same unit."""
    install(machine, package.this)
    machine.systemctl("enable", "--now", unit)
    launch.wait_until(lambda: 8888 in machine.listening(), f"{unit} listens")
    assert machine.show("ws-echo.socket", "ActiveState") == "inactive"
    machine.run("dpkg", "--remove", "ws-echo")
    assert machine.listening() == set()
    assert machine.units("ws-echo*", "active", "failed") == []


# Nothing remains


def everything(machine):
    """The files of the machine, except those of dpkg, the journal and the index of manuals; users; loaded units."""
    skipped = "( -path /var/lib/dpkg -o -path /var/log -o -path /var/cache/man -o -path /root ) -prune -o".split()
    listed = machine.run("find", "/", "-xdev", *skipped, "-printf", "%p %y %m %U %G %l\n").stdout.splitlines()
    # Backup copies that useradd, userdel and systemd-sysusers make.
    files = {line for line in listed if not re.match(r"/etc/(passwd|group|shadow|gshadow)- ", line)}
    files |= set(machine.run("find", "/tmp", "-name", "*ws-echo*").stdout.splitlines())
    users = {name: set(machine.path(f"/etc/{name}").read_text(encoding="utf-8").splitlines())
             for name in ("passwd", "group", "shadow", "gshadow")}
    return files, users, {unit for unit in machine.units("*ws*echo*")}


def without(users, name):
    return {file: {line for line in lines if not line.startswith(f"{name}:")} for file, lines in users.items()}


def test_purging_leaves_only_the_user_whichever_units_were_enabled(package, machine):
    files, users, units_before = everything(machine)
    install(machine, package.this)
    leave(connect(machine))
    for unit in units(machine):
        machine.systemctl("enable", unit)
        machine.systemctl("start", unit, check=False)  # a unit that conflicts with another does not start
    assert everything(machine) != (files, users, units_before)
    machine.run("dpkg", "--purge", "ws-echo")
    assert machine.listening() == set()
    launch.wait_until(lambda: not machine.units("*ws*echo*"), "the units are gone")
    files_after, users_after, units_after = everything(machine)
    assert files_after ^ files == set()
    assert units_after == units_before
    assert without(users_after, "ws-echo") == users and users_after != users, "a system user stays"


def test_a_failed_socket_is_forgotten_when_the_package_is_removed(package, machine):
    with machine.network(), socket.create_server(("::", 8888), family=socket.AF_INET6):
        install(machine, package.this)
    assert machine.units("ws-echo*", "failed") == ["ws-echo.socket"]
    machine.run("dpkg", "--remove", "ws-echo")
    assert machine.units("ws-echo*", "failed") == []


def test_purging_keeps_connections_too(package, machine):
    install(machine, package.this)
    peer = connect(machine)
    echoes(peer)
    machine.run("dpkg", "--purge", "ws-echo")
    echoes(peer)
    leave(peer)
    launch.wait_until(lambda: not machine.units("ws-echo*"), "the instance is gone")
    assert machine.run("find", "/tmp", "/var/tmp", "-name", "*ws-echo*").stdout == ""


# debian/tests, which Debian's own machines run with the installed package


@pytest.fixture(scope="module", name="autopkgtest")
def of_the_package(package, built):
    """What autopkgtest says of each test, run without another machine: the booted one is that."""
    archive = next(folder_of(project.TOP).glob("*.orig.tar.gz")).read_bytes()
    with debian(package.suite) as machine:
        machine.path("/root/archive").write_bytes(archive)
        machine.path("/root/ws-echo.deb").write_bytes(package.this)
        machine.run("sh", "-ec", "cd /root && tar -xf archive && cd ws-echo-* && cp -r packaging/debian debian")
        # The first restriction is for services on a port, which this machine can have; the second one for a test that
        # removes the package, which is therefore the last.
        ran = machine.run("sh", "-c", "cd /root && autopkgtest --no-built-binaries --summary-file=summary "
                          "--ignore-restrictions=isolation-container,breaks-testbed ws-echo.deb ws-echo-*/ -- null",
                          check=False, timeout=BUILDING)
        summary = machine.path("/root/summary")
        assert summary.exists(), ran
        return dict(line.split(maxsplit=1) for line in summary.read_text().splitlines()), ran.stdout + ran.stderr


def declared():
    return re.findall(r"^Tests: (.*)$", (DEBIAN / "tests/control").read_text(encoding="utf-8"), re.M)


def test_each_file_of_debians_tests_is_declared():
    assert set(declared()) == {path.name for path in (DEBIAN / "tests").iterdir()} - {"control"}
    assert all(os.access(DEBIAN / "tests" / name, os.X_OK) for name in declared())


@pytest.mark.parametrize("name", declared())
def test_debians_tests_pass(autopkgtest, name):
    summary, said = autopkgtest
    assert summary[name] == "PASS", said
