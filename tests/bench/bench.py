#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Compares echo servers with `cat`, the minimum for a server with a process for each connection.

    bench.py                                                   everything, about half an hour
    bench.py --servers=ws-echo,tornado --scenarios=pingpong --rounds=3           a quick look

Each server echoes without compression and puts the prefix in front of text; it is started anew for each
measurement. Each round measures all servers, in an order that rotates from round to round. The ratio to
`cat` is computed within a round, and the table shows the median of the rounds. `cat` echoes the same bytes
over plain TCP under the same launcher as ws-echo: systemd-socket-activate, or tcpserver for connections per
second and for memory.

Client (load.c) and server are pinned to cores. In pipeline both work at the same time, so each has its own
core. In the other scenarios they take turns, so they share a core: this costs nothing, and leaves out the
time to wake a sleeping core, which in a virtual machine is longer than an echo. --cores=two or --cores=one
sets it for all scenarios. On a machine with other load, run the command with `chrt --rr 5`, as root, to keep
that load out of the figures.

The measurements run in their own network namespace with TCP Reno congestion control. BBR, the default on
some machines, paces even local connections with a timer at an estimated rate, so that the figures of long
messages, above all those of `cat`, fluctuate.

The table goes to standard output and to build/bench/result.md, all figures to build/bench/result.json.
"""

import argparse
import contextlib
import ctypes
import dataclasses
import datetime
import fcntl
import json
import os
import pathlib
import platform
import re
import shlex
import shutil
import signal
import socket
import statistics
import struct
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
TOP = HERE.parent.parent
BUILD = TOP / "build" / "bench"
PYTHON = "/usr/bin/python3"  # the interpreter for modules of Debian's packages
PREFIX = "server: "
NODE_MODULES = ["ws@8.23.0", "bufferutil@4.1.0"]
START_SECONDS = 20  # until a server must listen
CONNECTIONS = 50  # of the scenarios many and idle
NOBODY = "65534"
CONGESTION_CONTROL = pathlib.Path("/proc/sys/net/ipv4/tcp_congestion_control")

KIB, MIB = 1 << 10, 1 << 20
SIZES = [16, 125, KIB, 16 * KIB]
KINDS = {"ascii": "text", "utf8": "text of 2- to 4-byte characters", "binary": "binary"}
CELLS = (
    [("connect", "ascii", 16)]
    + [("pingpong", "ascii", size) for size in SIZES]
    + [("pipeline", "ascii", size) for size in SIZES]
    + [("big", kind, size) for kind in ("binary", "ascii", "utf8") for size in (64 * KIB, MIB, 16 * MIB)]
    + [("many", "ascii", size) for size in (16, KIB)]
    + [("private", "ascii", 16), ("proportional", "ascii", 16)]
)
MEMORY = {"private": ("Private_Clean", "Private_Dirty"), "proportional": ("Pss",)}  # in smaps_rollup
TITLES = {
    "connect": "connect, shake hands, one echo, close: connections/s",
    "pingpong": "pingpong, {kind} of {size}: round trips/s",
    "pipeline": "pipeline, {kind} of {size}: messages/s",
    "big": "big, {kind}, {size}: messages/s",
    "many": "many ({connections} connections), {kind} of {size}: round trips/s",
    "private": "idle: private memory of a connection, KiB (less is better)",
    "proportional": "idle: proportional memory of a connection, KiB (less is better)",
}


class Missing(Exception):
    """A requirement of a server is missing; the message names the package to install."""


@dataclasses.dataclass
class Server:
    """A server to compare: a launcher starts its `command`, or `command` takes a port and the prefix, and listens."""

    name: str
    command: list
    launched: bool = False
    raw: bool = False  # a plain TCP echo
    prefix: str = PREFIX
    version: str = ""
    cannot: dict = dataclasses.field(default_factory=dict)  # scenario or kind: reason

    def start_command(self, scenario, port):
        """Take a scenario and a port; return the command that serves there."""
        if not self.launched:
            return [word.format(port=port, prefix=PREFIX) for word in self.command]
        if scenario in ("connect", *MEMORY):
            user = ["-u", NOBODY, "-g", NOBODY] if os.geteuid() == 0 else []
            return ["tcpserver", "-HRl0", "-c", "1000", *user, "127.0.0.1", str(port), *self.command]
        return ["systemd-socket-activate", "--accept", "--inetd", f"--listen=127.0.0.1:{port}", *self.command]

    def client_options(self, size):
        """Take a message's size; return the options of the client for this server."""
        # websocketd's library ends a message that is longer than its buffer with an empty frame.
        tail = ["--empty-tail"] if self.name == "websocketd" and size > 8 * KIB else []
        return ["--raw"] if self.raw else [f"--prefix={self.prefix}", *tail]


# ---- The servers, found or built -----------------------------------------------------------------------


def need(command, package):
    """Take a command's name and its Debian package; return its path or raise Missing."""
    path = shutil.which(command)
    if not path:
        raise Missing(f"{command} is missing: install the package {package}")
    return path


def version_of(package):
    """Take a Debian package's name; return its version."""
    query = ["dpkg-query", "-W", "-f", "${Version}", package]
    return subprocess.run(query, capture_output=True, text=True).stdout if shutil.which("dpkg-query") else ""


def compiled(source, *libraries):
    """Take the name of a source file in this folder and libraries; return the program, rebuilt if out of date."""
    program = BUILD / pathlib.Path(source).stem
    if not program.exists() or program.stat().st_mtime < (HERE / source).stat().st_mtime:
        compiler = need(os.environ.get("CC", "cc"), "gcc")
        flags = ["-std=c17", "-O2", "-Wall", "-Wextra", "-Werror"]
        subprocess.run([compiler, *flags, "-o", program, HERE / source, *libraries], check=True)
    return str(program)


def launched(name, program, **more):
    """Take a name and a program; return it as a server started by a launcher."""
    need("systemd-socket-activate", "systemd")
    need("tcpserver", "ucspi-tcp")
    if not os.access(program, os.X_OK):
        raise Missing(f"{program} is missing: build it with make")
    return Server(name, [str(pathlib.Path(program).resolve())], launched=True, **more)


def python_peer(name, module, package):
    """Take a name, a Python module and its Debian package; return the server in peers/ that uses it."""
    if subprocess.run([PYTHON, "-c", f"import {module}"], stderr=subprocess.DEVNULL).returncode:
        raise Missing(f"Python's {module} is missing: install the package {package}")
    command = [PYTHON, str(HERE / "peers" / f"{module}_echo.py"), "{port}", "{prefix}"]
    return Server(name, command, version=version_of(package))


def node_ws():
    """Return the server with node's ws and bufferutil, which is installed below BUILD if it is missing."""
    node = need("node", "nodejs")
    if not all((BUILD / "node_modules" / module.split("@")[0]).exists() for module in NODE_MODULES):
        npm = [need("npm", "npm"), "install", "--prefix", BUILD, "--no-save", "--ignore-scripts"]
        subprocess.run([*npm, *NODE_MODULES], check=True, stdout=subprocess.DEVNULL)
    os.environ["NODE_PATH"] = str(BUILD / "node_modules")
    command = [node, str(HERE / "peers" / "ws_echo.js"), "{port}", "{prefix}"]
    return Server("ws", command, version=" ".join(NODE_MODULES))


def libwebsockets():
    """Return the server in peers/ that uses libwebsockets."""
    if not pathlib.Path("/usr/include/libwebsockets.h").exists():
        raise Missing("libwebsockets is missing: install the package libwebsockets-dev")
    program = compiled("peers/lws_echo.c", "-lwebsockets")
    return Server("libwebsockets", [program, "{port}", "{prefix}"], version=version_of("libwebsockets-dev"))


def websocketd():
    """Return websocketd with cat, which adds no prefix to text."""
    command = [need("websocketd", "websocketd"), "--address=127.0.0.1", "--port={port}"]
    command += ["--loglevel=fatal", "cat"]
    cannot = {
        "pipeline": "websocketd hangs if its program has unread output",
        "binary": "websocketd does not preserve the boundaries of binary messages",
    }
    return Server("websocketd", command, prefix="", version=version_of("websocketd"), cannot=cannot)


SERVERS = {
    "cat": lambda options: launched("cat", shutil.which("cat"), raw=True, version=version_of("coreutils")),
    "ws-echo": lambda options: launched("ws-echo", options.program),
    "ws-echo-static": lambda options: launched("ws-echo-static", options.static),
    "tornado": lambda options: python_peer("tornado", "tornado", "python3-tornado"),
    "websockets": lambda options: python_peer("websockets", "websockets", "python3-websockets"),
    "ws": lambda options: node_ws(),
    "libwebsockets": lambda options: libwebsockets(),
    "websocketd": lambda options: websocketd(),
}


# ---- Measuring ----------------------------------------------------------------------------------------


def separate_network():
    """Move this process and its children to a new network namespace: see the top of this file."""
    new_user, new_network, set_flags, up = 0x10000000, 0x40000000, 0x8914, 1
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(new_network | (new_user if os.geteuid() else 0)):
        sys.exit(f"bench: cannot make a network of its own: {os.strerror(ctypes.get_errno())}; run it as root")
    with socket.socket() as any_socket:
        fcntl.ioctl(any_socket, set_flags, struct.pack("16sh14x", b"lo", up))
    CONGESTION_CONTROL.write_text("reno")


def listens(port):
    """Take a port; tell whether a process listens there, without connecting."""
    wanted = re.compile(rf"^ *\d+: \w+:{port:04X} \w+:0000 0A ", re.M)
    return wanted.search(pathlib.Path("/proc/net/tcp").read_text())


@contextlib.contextmanager
def running(server, scenario, core):
    """Take a server, a scenario and a core; run the server during the body, and yield its process and port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = ["taskset", "-c", str(core), *server.start_command(scenario, port)]
    environment = {**os.environ, "SYSTEMD_LOG_LEVEL": "warning"}
    with open(BUILD / "servers.log", "a") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=environment, start_new_session=True)
    try:
        deadline = time.monotonic() + START_SECONDS
        while not listens(port):
            if process.poll() is not None or time.monotonic() > deadline:
                sys.exit(f"bench: {server.name} does not start: see {BUILD / 'servers.log'}")
            time.sleep(0.01)
        yield process, port
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def processes_below(pid):
    """Take a process; return it and all its descendants."""
    parents = {}
    for entry in pathlib.Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parents[int(entry.parent.name)] = int(entry.read_text().rsplit(")", 1)[1].split()[1])
    found = [pid]
    for one in found:
        found += [process for process, parent in parents.items() if parent == one]
    return found


def memory(pid, fields):
    """Take a process and fields of smaps_rollup; return their sum over it and its descendants, in KiB."""
    total = 0
    for process in processes_below(pid):
        rollup = pathlib.Path(f"/proc/{process}/smaps_rollup").read_text()
        total += sum(int(re.search(rf"^{field}: *(\d+) kB", rollup, re.M)[1]) for field in fields)
    return total


def measure(server, cell, options):
    """Take a server, a cell and the options; return the figure: a rate, or KiB per connection."""
    scenario, kind, size = cell
    cores = sorted(os.sched_getaffinity(0))
    together = options.cores == "one" or (options.cores == "auto" and scenario != "pipeline")
    with running(server, scenario, cores[0]) as (process, port):
        client = ["taskset", "-c", str(cores[0 if together else -1]), options.load, f"--port={port}"]
        client += [f"--scenario={'idle' if scenario in MEMORY else scenario}", f"--kind={kind}"]
        client += [f"--size={size}", f"--seconds={options.seconds}", f"--connections={CONNECTIONS}"]
        client += server.client_options(size)
        before = memory(process.pid, MEMORY[scenario]) if scenario in MEMORY else 0
        with subprocess.Popen(client, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as load:
            line = load.stdout.readline()
            if not line:
                sys.exit(f"bench: {server.name} failed: {shlex.join(map(str, client))}")
            if scenario in MEMORY:
                return (memory(process.pid, MEMORY[scenario]) - before) / CONNECTIONS
        return json.loads(line)["rate"]


def measure_all(servers, cells, options):
    """Take servers, cells and options; return {cell: {server: [figure of each round]}}."""
    figures = {cell: {server.name: [] for server in servers} for cell in cells}
    for cell in cells:
        for turn in range(options.rounds):
            first = turn % len(servers)
            for server in servers[first:] + servers[:first]:
                if not (server.cannot.keys() & set(cell)):
                    figures[cell][server.name].append(measure(server, cell, options))
        medians = {name: round(statistics.median(row)) for name, row in figures[cell].items() if row}
        print(f"{title(cell)} {medians}", file=sys.stderr)
    return figures


# ---- The table ----------------------------------------------------------------------------------------


def title(cell):
    """Take a cell; return the beginning of its row."""
    scenario, kind, size = cell
    unit = f"{size} B" if size < KIB else f"{size // KIB} KiB" if size < MIB else f"{size // MIB} MiB"
    return TITLES[scenario].format(kind=KINDS[kind], size=unit, connections=CONNECTIONS)


def machine():
    """Return a line with the processor, the number of cores and the kernel."""
    model = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text())
    return f"{model[1] if model else platform.machine()}, {os.cpu_count()} cores, Linux {platform.release()}"


def ratio_text(figures, reference):
    """Take a server's figures and those of cat in the same rounds; return the median of the ratios."""
    if not figures:
        return "–"
    ratio = statistics.median(figure / base for figure, base in zip(figures, reference))
    return f"{ratio:.2f}" if ratio >= 0.01 else f"{ratio:.4f}"


def render(figures, servers, options):
    """Take all figures, the servers and the options; return the report in Markdown."""
    names = [server.name for server in servers if server.name != "cat"]
    lines = [
        f"Measured {datetime.date.today()} on {machine()}, with `{options.command_line}`:",
        f"medians of {options.rounds} rounds of {options.seconds:g} s. The first column of figures is plain TCP",
        "`cat`, the others are ratios to it in the same round.",
        "",
        f"| | `cat` | {' | '.join(names)} |",
        f"|---|{'---:|' * (len(names) + 1)}",
    ]
    for cell, row in figures.items():
        base = statistics.median(row["cat"])
        ratios = [ratio_text(row[name], row["cat"]) for name in names]
        lines.append(f"| {title(cell)} | {base:,.0f} | {' | '.join(ratios)} |")
    versions = ", ".join(f"{server.name} {server.version}" for server in servers if server.version)
    reasons = [f"{reason}." for server in servers for reason in server.cannot.values()]
    lines += ["", f"Versions: {versions}."] + ([" ".join(["Not measured (–):", *reasons])] if reasons else [])
    return "\n".join(lines) + "\n"


def some_of(allowed):
    """Take words; return a function that splits an option's list and accepts only these words."""

    def split(text):
        words = text.split(",")
        for word in words:
            if word not in allowed:
                raise argparse.ArgumentTypeError(f"{word!r} is none of {', '.join(allowed)}")
        return words

    return split


def parse():
    """Return the options of the command line."""
    scenarios = list(dict.fromkeys(scenario for scenario, _, _ in CELLS))
    parser = argparse.ArgumentParser(description="Compares echo servers with cat.")
    add = parser.add_argument
    add("--servers", type=some_of(SERVERS), help=f"some of {', '.join(SERVERS)}; cat is always measured")
    add("--without", type=some_of(SERVERS), default=[], help="servers to leave out")
    add("--scenarios", type=some_of(scenarios), default=scenarios, help=f"some of {', '.join(scenarios)}")
    add("--sizes", type=some_of(list(dict.fromkeys(str(size) for _, _, size in CELLS))), help="some message sizes, in bytes")
    add("--rounds", type=int, default=5)
    add("--seconds", type=float, default=1, help="of each measurement")
    add("--cores", choices=("auto", "one", "two"), default="auto", help="for client and server")
    add("--program", default=os.environ.get("WS_ECHO", TOP / "ws-echo"), help="the ws-echo to measure")
    add("--static", default=TOP / "ws-echo-static", help="its static flavour, measured where it is there")
    options = parser.parse_args()
    options.command_line = shlex.join([os.path.relpath(sys.argv[0], TOP), *sys.argv[1:]])
    if options.cores != "one" and len(os.sched_getaffinity(0)) < 2:
        parser.error("client and server need a core each; --cores=one puts both on one")
    return options


def main():
    """Run the measurements that the options select, and write the table."""
    options = parse()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # also ends the servers
    BUILD.mkdir(parents=True, exist_ok=True)
    (BUILD / "servers.log").write_text("")
    there = [name for name in SERVERS if name != "ws-echo-static" or os.path.exists(options.static)]
    chosen = dict.fromkeys(["cat", *(options.servers or there)])
    try:
        options.load = compiled("load.c")
        servers = [SERVERS[name](options) for name in chosen if name == "cat" or name not in options.without]
    except Missing as missing:
        sys.exit(f"bench: {missing}, or leave its server out with --without=")
    separate_network()
    cells = [cell for cell in CELLS if cell[0] in options.scenarios]
    cells = [cell for cell in cells if not options.sizes or str(cell[2]) in options.sizes]
    figures = measure_all(servers, cells, options)
    report = render(figures, servers, options)
    (BUILD / "result.md").write_text(report)
    rows = {title(cell): row for cell, row in figures.items()}
    (BUILD / "result.json").write_text(json.dumps(rows, indent=1))
    print(report, end="")


if __name__ == "__main__":
    main()
