"""The Makefile: what it builds, installs and removes, and `make run`."""

import os
import pathlib
import re
import signal
import socket
import subprocess

import parts
import wire


def make(*arguments, check=True):
    result = subprocess.run(["make", "--no-print-directory", *arguments], cwd=wire.TOP, capture_output=True,
                            text=True, check=False, timeout=wire.LIMIT)
    assert not check or result.returncode == 0, result
    return result


def files(folder):
    """Everything but directories below a folder, as absolute paths without it."""
    return {"/" + str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_symlink() or path.is_file()}


def test_help_names_every_target():
    phony = re.search(r"^\.PHONY: (.*)$", (wire.TOP / "Makefile").read_text(), re.MULTILINE)[1].split()
    named = re.findall(r"make ([a-z-]+)", make("help").stdout)
    assert sorted(named) == sorted(set(phony) - {"all", "help"})


def test_what_is_installed_is_removed(tmp_path):
    make("install", f"DESTDIR={tmp_path}", "PREFIX=/usr", "UNITDIR=/usr/lib/systemd/system")
    assert files(tmp_path) >= {
        "/usr/sbin/ws-echo", "/usr/share/man/man8/ws-echo.8", "/usr/lib/sysusers.d/ws-echo.conf",
        "/usr/lib/systemd/system/ws-echo.socket", "/usr/lib/systemd/system/ws-echo@.service",
        "/usr/lib/systemd/system/ws-echo-sandbox.service", "/etc/xinetd.d/ws-echo"}
    assert os.access(tmp_path / "usr/sbin/ws-echo", os.X_OK)
    make("uninstall", f"DESTDIR={tmp_path}", "PREFIX=/usr", "UNITDIR=/usr/lib/systemd/system")
    assert files(tmp_path) == set()


def test_another_prefix_is_in_what_is_installed(tmp_path):
    make("install", f"DESTDIR={tmp_path}", "PREFIX=/opt/echo", "UNITDIR=/units")
    for name in ["units/ws-echo@.service", "etc/xinetd.d/ws-echo", "opt/echo/share/man/man8/ws-echo.8"]:
        text = (tmp_path / name).read_text()
        assert "/opt/echo/sbin/ws-echo" in text and "/usr/sbin/" not in text, name
    assert "/opt/echo/lib/ws-echo" in (tmp_path / "units/ws-echo@.service").read_text()


def test_nothing_is_installed_where_the_place_of_units_is_not_known(tmp_path):
    result = make("install", f"DESTDIR={tmp_path}", "UNITDIR=", check=False)
    assert result.returncode != 0 and "install the package systemd-dev or systemd," in result.stderr, result
    assert files(tmp_path) == set()


def test_an_xinetd_entry_that_was_edited_stays(tmp_path):
    entry = tmp_path / "etc/xinetd.d/ws-echo"
    make("install", f"DESTDIR={tmp_path}")
    assert re.search(r"^\s*disable\s*=\s*yes$", entry.read_text(), re.MULTILINE), "it is shipped disabled"
    entry.write_text("edited")
    make("install", f"DESTDIR={tmp_path}")
    assert entry.read_text() == "edited"


def test_a_missing_library_or_tool_is_named_with_its_package_in_one_line():
    # What is missing is noticed before anything is compiled or written.
    for variable, package in [("PKG_CONFIG=false", "nettle-dev"), ("PKG_CONFIG=absent", "pkgconf"),
                              ("CC=absent", "gcc")]:
        result = make("--always-make", "ws-echo", variable, check=False)
        assert result.returncode != 0
        assert [line for line in result.stderr.splitlines() if f"install the package {package}," in line], result


def test_the_static_flavour_needs_no_library():
    make("static")
    parts.require("readelf", "binutils")
    headers = subprocess.run(["readelf", "-lW", wire.TOP / "ws-echo-static"], capture_output=True, text=True, check=True)
    assert "INTERP" not in headers.stdout and "DYN " in headers.stdout, "position-independent, and static"


def test_make_run_serves_the_tutorials_example_over_ipv4_and_ipv6_until_ctrl_c():
    parts.require("systemd-socket-activate", "systemd")
    with subprocess.Popen(["make", "run"], cwd=wire.TOP, stdout=subprocess.PIPE, text=True,
                          start_new_session=True) as serving:
        try:
            line = next(line for line in serving.stdout if "localhost:8888" in line)
            assert "http://localhost:8888/" in line and "ws://localhost:8888/socket" in line
            addresses = ["127.0.0.1"] + ["::1"] * pathlib.Path("/proc/net/if_inet6").exists()
            for address in addresses:
                peer = wire.Peer(connected(address, serving))
                peer.send(wire.head(key="PdspSkfns9qGxGTNajm+Tw=="))
                expected = wire.switching("eO+uwdEEfbO7q68DAzeDjM4Gs8c=")
                assert peer.receive(len(expected)) == expected
                peer.send(wire.text("Hello world"))
                assert peer.frame() == (True, wire.TEXT, b"server: Hello world")
                peer.close()
        finally:
            os.killpg(serving.pid, signal.SIGINT)
            serving.wait(wire.LIMIT)
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", 8888)) != 0, "nothing listens after it"


def connected(address, serving):
    """A connection to port 8888 as soon as somebody listens there."""
    sockets = []

    def connects():
        assert serving.poll() is None, "make run has ended"
        try:
            sockets.append(socket.create_connection((address, 8888)))
        except ConnectionRefusedError:
            return False
        return True

    wire.wait_until(connects, "make run listens")
    return sockets[0]
