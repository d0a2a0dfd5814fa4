# SPDX-License-Identifier: MIT
"""The programs that start ws-echo for a connection, each set up as by an administrator.

All of them run as services in the machine, as super-servers usually do. This is also the harder case: ws-echo inherits
variables that systemd meant for the super-server, and must not use them itself.
"""

import contextlib
import re
import shutil
import ssl
import subprocess

import framing
import launch
import project
from require import missing, require

PORT = 8888
SETTINGS = "/etc/default/ws-echo"
ENTRY = "/etc/xinetd.d/ws-echo"
MANUAL = (project.TOP / "man/ws-echo-launchers.7").read_text(encoding="utf-8")
STANDARD_ERROR = "/run/launcher.log"
LAUNCHERS = "/opt/launchers"  # the place of build/launchers in the machine

LINE = re.compile(r'(\w+)=("(?:[^"\\]|\\.)*"|\S+)')


def fields(line):
    """The fields of a record, such as `peer=1.2.3.4:5 path="/socket"`, as a dictionary."""
    return {name: value.strip('"') for name, value in LINE.findall(line)}


def echoes(peer, string="Hello", prefix=framing.PREFIX):
    """Asserts that a text message is answered."""
    expected = framing.echo(string, prefix)
    peer.send(framing.text(string))
    received = peer.receive(len(expected))
    assert received == expected, received


def leave(peer):
    """Closes like an ordinary client; asserts that nothing more comes."""
    peer.send(framing.close(1000))
    assert peer.receive(4) == framing.reply(framing.CLOSE, framing.close_body(1000))
    assert peer.ended()
    peer.close()


class Launcher:
    """A super-server that runs during the body of a `with`; `connect` returns a new connection."""

    name = None
    channel = "standard error"
    hosts = ("127.0.0.1",)

    def __init__(self, machine):
        self.machine = machine
        self.program = machine.program

    def command(self, options):
        """The command line of the super-server."""
        raise NotImplementedError

    def prepare(self):
        """Prepares files that the command needs, or skips the test."""

    def start(self, options=()):
        self.prepare()
        self.begin()
        self.machine.run("systemd-run", "--quiet", "--unit=launcher", "--collect",
                         f"--property=StandardError=append:{STANDARD_ERROR}", *self.command(options))
        launch.wait_until(self.begins_to_listen, f"{self.name} listens")
        return self

    def begin(self):
        """Marks the current end of the log: earlier records do not count."""
        self.cursor = self.machine.cursor()
        self.machine.path(STANDARD_ERROR).write_text("")

    def stop(self):
        self.machine.systemctl("stop", "launcher.service", check=False)
        launch.wait_until(lambda: not self.listens(), f"{self.name} listens no more")
        launch.wait_until(lambda: not self.machine.processes("ws-echo"), "its connections are gone")

    def begins_to_listen(self):
        """Whether it listens already; fails if it has ended."""
        running = self.machine.show("launcher.service", "ActiveState") in ("activating", "active")
        assert self.listens() or running, self.machine.path(STANDARD_ERROR).read_text(encoding="utf-8")
        return self.listens()

    def listens(self):
        return PORT in self.machine.listening()

    def connect(self, host=hosts[0]):
        """Returns a new connection, and the address that its record must show."""
        peer = launch.Peer(self.machine.connect(host, PORT))
        port = peer.socket.getsockname()[1]
        return peer, (f"[{host}]:{port}" if ":" in host else f"{host}:{port}")

    def journal(self, transport):
        """The lines that entered the journal by this transport; `syslog` is its /dev/log."""
        matches = {"_TRANSPORT": transport, "SYSLOG_IDENTIFIER": "ws-echo", "SYSLOG_FACILITY": "3"}
        if transport == "journal":
            del matches["SYSLOG_FACILITY"]
        return [entry["MESSAGE"] for entry in self.machine.journal(self.cursor, **matches)]

    def standard_error(self):
        log = self.machine.path(STANDARD_ERROR).read_text(encoding="utf-8")
        return re.findall(r"^ws-echo\[\d+\]: (.*)", log, re.MULTILINE)

    def lines(self):
        """The lines that ws-echo wrote to the log channel expected for this launcher."""
        return self.standard_error()

    def channels_with_records(self):
        found = {"the journal": self.journal("journal"), "syslog": self.journal("syslog"),
                 "standard error": self.standard_error()}
        return {channel for channel, lines in found.items() if any("peer" in fields(line) for line in lines)}

    def record(self, address):
        """Waits for the record of the connection from `address`; returns its fields."""
        found = []

        def written():
            found.extend(line for line in self.lines() if fields(line).get("peer") == address)
            return found

        launch.wait_until(written, f"the record of {address} is on {self.channel}")
        assert len(found) == 1, found
        return fields(found[0])


class Systemd(Launcher):
    """The installed units."""

    name = "systemd"
    channel = "the journal"
    hosts = ("127.0.0.1", "::1")

    def start(self, options=()):
        self.begin()
        self.machine.path(SETTINGS).write_text(f"WS_ECHO_OPTS={' '.join(options)}\n")
        self.machine.systemctl("start", "ws-echo.socket")
        return self

    def stop(self):
        self.machine.systemctl("stop", "ws-echo.socket")
        self.machine.systemctl("stop", "ws-echo@*")
        self.machine.path(SETTINGS).unlink()
        launch.wait_until(lambda: not self.machine.processes("ws-echo"), "the instances are gone")

    def lines(self):
        return self.journal("journal")


def unpacked(machine, package):
    """Copies the programs of fetch-launchers into the machine, unless there; returns the environment to start them."""
    fetched = project.TOP / "build/launchers"
    if not (fetched / "usr/sbin").is_dir():
        missing(package, f"{package} under build/launchers by tests/system/fetch-launchers")
    if not machine.path(LAUNCHERS).exists():
        shutil.copytree(fetched, machine.path(LAUNCHERS), symlinks=True)
    libraries = ":".join(f"{LAUNCHERS}/usr/lib/{directory.name}"
                         for directory in machine.path(LAUNCHERS).glob("usr/lib/*-linux-*"))
    return f"LD_LIBRARY_PATH={libraries}"


class Crowd(Systemd):
    """The installed ws-echo-crowd.service, in which xinetd accepts connections."""

    name = "ws-echo-crowd.service"
    prepared = False

    def prepare(self):
        self.given = contextlib.ExitStack()
        self.given.enter_context(self.machine.drop_in(self.name, (
            f"[Service]\nEnvironment={unpacked(self.machine, 'xinetd')}\n"
            f"ExecSearchPath={LAUNCHERS}/usr/sbin:/usr/bin\n"), name="launchers"))
        self.prepared = True

    def start(self, options=()):
        if not self.prepared:
            self.prepare()
        self.begin()
        self.machine.path(SETTINGS).write_text(f"WS_ECHO_OPTS={' '.join(options)}\n")
        self.machine.systemctl("start", self.name)
        return self

    def stop(self):
        self.machine.systemctl("stop", self.name)
        self.machine.systemctl("reset-failed", check=False)
        self.machine.path(SETTINGS).unlink(missing_ok=True)
        self.given.close()


class Syslog(Launcher):
    """Launchers that pass the connection as standard error too, so that the program logs to syslog."""

    channel = "syslog"
    package = None

    def lines(self):
        return self.journal("syslog")

    def prepare(self):
        self.environment = unpacked(self.machine, self.package)

    def command(self, options):
        return ["/usr/bin/env", self.environment, *self.server(options)]

    def server(self, options):
        """Writes the configuration; returns the command line."""
        raise NotImplementedError


class Xinetd(Syslog):
    """The shipped entry, enabled and with options, and with defaults that it has to override."""

    name = "xinetd"
    package = "xinetd"
    hosts = ("127.0.0.1", "::1")

    def server(self, options):
        entry = self.machine.path(ENTRY).read_text(encoding="utf-8")
        entry, enabled = re.subn(r"(?m)^(\s*disable\s*)= yes$", r"\1= no", entry)
        entry, given = re.subn(r"(?m)^(\s*server_args\s*)= .*$", rf"\1= {' '.join(options)}", entry)
        assert enabled == 1 and given == 1, entry
        defaults = ["log_type = SYSLOG daemon", "log_on_success = PID HOST EXIT", "passenv = LD_LIBRARY_PATH"]
        self.machine.path("/run/xinetd.conf").write_text("\n".join(["defaults", "{", *defaults, "}", entry]))
        return [f"{LAUNCHERS}/usr/sbin/xinetd", "-dontfork", "-f", "/run/xinetd.conf", "-filelog",
                "/run/xinetd.log", "-pidfile", "/run/xinetd.pid"]


class Inetd(Syslog):
    """openbsd-inetd with a line of inetd.conf."""

    name = "inetd"
    package = "openbsd-inetd"

    def server(self, options):
        line = f"{PORT} stream tcp nowait.100000 nobody {self.program} ws-echo {' '.join(options)}\n"
        self.machine.path("/run/inetd.conf").write_text(line)
        return [f"{LAUNCHERS}/usr/sbin/inetd", "-i", "/run/inetd.conf"]


class Tcpserver(Launcher):
    name = "tcpserver"

    def command(self, options):
        return [require("tcpserver", "ucspi-tcp"), "-HRl0", "0", PORT, self.program, *options]


class Tcpsvd(Launcher):
    name = "tcpsvd"

    def command(self, options):
        return [require("tcpsvd", "ipsvd"), "-l", "0", "0", PORT, self.program, *options]


class SocketActivate(Launcher):
    """Descriptor 3 and LISTEN_FDS=1."""

    name = "systemd-socket-activate"
    hosts = ("127.0.0.1", "::1")
    inetd = ()

    def command(self, options):
        activate = require("systemd-socket-activate", "systemd")
        return [activate, "--accept", *self.inetd, f"--listen={PORT}", self.program, *options]


class SocketActivateInetd(SocketActivate):
    """The connection as standard input and output, as in `make run`."""

    name = "systemd-socket-activate --inetd"
    inetd = ("--inetd",)


class Socat(Launcher):
    """socat copies between the connection and a socket pair, of which the program has one end."""

    name = "socat"
    hosts = ("127.0.0.1", "::1")
    how = ""

    def command(self, options):
        program = " ".join([self.program, *options]).replace(":", "\\:")
        return [require("socat", "socat"), f"TCP6-LISTEN:{PORT},fork,reuseaddr,ipv6-v6only=0",
                f"EXEC:{program}{self.how}"]


class SocatNofork(Socat):
    """With nofork, the program gets the connection itself."""

    name = "socat nofork"
    how = ",nofork"


class Stunnel(Launcher):
    """stunnel with TLS, configured as in the manual, in the foreground."""

    name = "stunnel"
    hosts = ("127.0.0.1", "::1")

    def command(self, options):
        stunnel, openssl = require("stunnel", "stunnel4"), require("openssl", "openssl")
        (configuration, _) = re.findall(r"^\[wss\]\n(?:.+ = .+\n)+", MANUAL, re.MULTILINE)
        settings = dict(re.findall(r"^(\w+) = (.*)$", configuration, re.MULTILINE))
        settings |= {"accept": settings["accept"].replace("8889", str(PORT)), "exec": self.program,
                     "cert": "/run/example.pem", "key": "/run/example.key",
                     "execArgs": " ".join([settings["execArgs"], *options])}
        self.machine.run(openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost",
                         "-out", settings["cert"], "-keyout", settings["key"])
        lines = ["foreground = yes", "pid =", "[wss]", *(f"{name} = {value}" for name, value in settings.items())]
        self.machine.path("/run/stunnel.conf").write_text("\n".join([*lines, ""]))
        return [stunnel, "/run/stunnel.conf"]

    def connect(self, host=Launcher.hosts[0]):
        peer, address = super().connect(host)
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        peer.socket = context.wrap_socket(peer.socket, suppress_ragged_eofs=False)
        return peer, address


class Pipes(Launcher):
    """Two pipes, without an address of the peer."""

    name = "two pipes"
    channel = "a pipe"

    def start(self, options=()):
        self.begin()
        self.options = options
        self.processes = []
        return self

    def stop(self):
        for process in self.processes:
            process.wait(project.LIMIT)
            process.stderr.close()

    def connect(self, host=None):
        process = subprocess.Popen(self.machine.command(self.program, *self.options), stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.processes.append(process)
        return launch.Peer(PipeEnds(process.stdin, process.stdout)), "-"

    def record(self, address):
        log = self.processes[-1].stderr.read().decode()
        (line,) = re.findall(r"^ws-echo\[\d+\]: (.*)", log, re.MULTILINE)
        assert fields(line)["peer"] == address, line
        return fields(line)


class PipeEnds:
    """The test's ends of two pipes, with the part of a socket's interface that `launch.Peer` needs."""

    def __init__(self, to, back):
        self.to = to
        self.back = back

    def settimeout(self, _):
        """Pipes have no timeout; the whole test run has."""

    def setsockopt(self, *_):
        """Pipes cannot be reset; closing both ends is the closest equivalent."""

    def sendall(self, data):
        """After its own Close the program exits at once, and then nobody reads the answer."""
        with contextlib.suppress(BrokenPipeError):
            self.to.write(data)
            self.to.flush()

    def recv(self, count):
        return self.back.read1(count)

    def shutdown(self, _):
        with contextlib.suppress(BrokenPipeError):  # what sendall could not write is still in the buffer
            self.to.close()

    def close(self):
        self.shutdown(None)
        self.back.close()


ALL = [Systemd, Crowd, Xinetd, Inetd, Tcpserver, Tcpsvd, SocketActivate, SocketActivateInetd, Socat,
       SocatNofork, Stunnel, Pipes]
