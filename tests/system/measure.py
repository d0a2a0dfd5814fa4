# SPDX-License-Identifier: MIT
"""Measures the cost of a connection with the shipped unit, and with the minimum: cat in a bare unit.

    sudo tests/system/measure.py [ROUNDS]

prints for both the time from the connection to the first byte of the answer, and the memory of an idle
connection. The two alternate, so that other load on the machine affects both.

    sudo tests/system/measure.py directives [ROUNDS [ROOT]]

prints the processor time of a connection (all processes, systemd, the journal, and the connection's own
processes): in a bare unit, in the shipped unit, in the shipped unit without each of its directives, and with
each directive that was left out. ROOT is a directory with another Debian, made by mmdebstrap, whose systemd
is measured instead of this machine's. Control groups measure the time, so other processes of the machine
matter only indirectly; the quarter of the rounds with the lowest times counts.

    sudo tests/system/measure.py capacity [ROOT]

prints for each launcher, and for cat in a bare unit: how many connections a second it serves, 16 at a time, each
with one message; the processor time of a connection, of all processes and of the one that accepts connections;
messages of 16 bytes a second on 50 connections, one at a time on each, and the processor time of a message; and the
memory of an idle connection, with that of the kernel: as systemd's MemoryCurrent of its unit, and of the machine.
Then, for the two units, the processor time of a connection while thousands of others are open and idle.
"""

import contextlib
import json
import os
import pathlib
import random
import re
import select
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time

from machine import UNITDIR, Machine  # also adds the folder of tests/lib to the path
import launchers
import framing
import heads
import launch
import project

CAT = 7001
UNITS = {
    "cat.socket": f"[Socket]\nListenStream={CAT}\nAccept=yes\n"
                  "MaxConnections=1000\nTriggerLimitIntervalSec=0\n",
    "cat@.service": "[Unit]\nCollectMode=inactive-or-failed\n"
                    "[Service]\nExecStart=cat\nStandardInput=socket\nStandardError=journal\n",
}
# The bytes to send to each port to get an answer.
PORTS = {CAT: b"x", 8888: heads.head()}


def add_cat(machine):
    for name, unit in UNITS.items():
        machine.path(f"/run/systemd/system/{name}").write_text(unit, encoding="ascii")
    machine.systemctl("daemon-reload")


@contextlib.contextmanager
def listening(machine):
    add_cat(machine)
    machine.systemctl("start", "cat.socket", "ws-echo.socket")
    try:
        yield
        is_quiet(machine)
    finally:
        machine.systemctl("stop", "cat.socket", "ws-echo.socket")


def is_quiet(machine):
    launch.wait_until(lambda: not machine.units("cat@*") + machine.units("ws-echo@*"), "all connections have ended")


@contextlib.contextmanager
def before_all_others():
    """Gives the inner systemd and this client priority over all other processes of the machine."""
    policy, parameters = os.sched_getscheduler(0), os.sched_getparam(0)
    with contextlib.suppress(PermissionError):
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    try:
        yield
    finally:
        os.sched_setscheduler(0, policy, parameters)


def answered(machine, port, source="127.0.0.1"):
    """Connects; returns the socket and the seconds until the first byte of the answer."""
    with machine.network():
        client = socket.socket()
    client.settimeout(project.LIMIT)
    client.bind((source, 0))
    start = time.perf_counter()
    client.connect(("127.0.0.1", port))
    client.sendall(PORTS[port])
    assert client.recv(65536)
    return client, time.perf_counter() - start


def time_ratio(machine, rounds=60):
    seconds = {port: [] for port in PORTS}
    with listening(machine):
        for _ in range(rounds):
            for port, taken in seconds.items():
                client, elapsed = answered(machine, port)
                client.close()
                taken.append(elapsed)
                is_quiet(machine)  # work after the answer must not slow down the next connection
    cat, ours = (statistics.median(taken) for taken in seconds.values())
    print(f"to the first byte: cat {cat * 1e3:.2f} ms, ws-echo {ours * 1e3:.2f} ms, {ours / cat:.2f} times")
    return ours / cat


def memory_of(group):
    """Memory of a control group and its descendants in bytes, user and kernel memory, without the page cache."""
    stat = dict(line.split() for line in (group / "memory.stat").read_text(encoding="ascii").splitlines())
    if (group / "memory.current").exists():
        return int((group / "memory.current").read_text()) - int(stat["file"])
    return int((group / "memory.usage_in_bytes").read_text()) - int(stat["total_cache"])


def memory_ratio(machine, connections=60):
    """Memory of a connection, measured for the whole machine, so that it includes that of systemd and the journal."""
    group = next(group for group in machine.groups if (group / "memory.stat").exists())
    taken = {}
    with listening(machine):
        for port in PORTS:
            answered(machine, port)[0].close()  # warms up: allocates memory that is needed only once
            is_quiet(machine)
            before = memory_of(group)
            clients = [answered(machine, port, f"127.0.0.{number + 1}")[0] for number in range(connections)]
            taken[port] = (memory_of(group) - before) / connections / 1024
            for client in clients:
                client.close()
            is_quiet(machine)
    cat, ours = taken.values()
    print(f"memory of an idle connection: cat {cat:.0f} KiB, ws-echo {ours:.0f} KiB, {ours / cat:.2f} times")
    return ours / cat


# Processor time

BARE = ("[Unit]\nCollectMode=inactive-or-failed\n"
        "[Service]\nExecStart={program}\nStandardInput=socket\nStandardError=journal\n")
# Directives that every service needs, or that have no meaning without the others.
KEPT = ("Environment ExecStart StandardInput StandardError SystemCallErrorNumber TimeoutStopSec "
        "RootDirectory BindPaths User").split()
LEFT_OUT = "ProtectClock=yes", "ProtectHostname=yes", "RemoveIPC=yes", "DynamicUser=yes"
FIRST = 9000
WHOLE = heads.head() + framing.text("Hello") + framing.close(1000)
GOODBYE = framing.reply(framing.CLOSE, framing.close_body(1000))


def variants(machine):
    """Variants of the service unit, by name of the difference."""
    shipped = machine.path(f"{UNITDIR}/ws-echo@.service").read_text(encoding="utf-8")
    directives = dict.fromkeys(re.findall(r"(?m)^(\w+)=", shipped.partition("[Service]")[2]))
    found = {"a bare unit": BARE.format(program=machine.program), "the shipped unit": shipped}
    for name in directives:
        if name not in KEPT:
            found[f"without {name}"] = re.sub(f"(?m)^{name}=.*\n", "", shipped)
    return found | {f"with {line}": f"{shipped}{line}\n" for line in LEFT_OUT}


def used(group):
    """Processor time in microseconds that a control group and all its descendants, also ended ones, have used."""
    try:
        return int(re.search(r"usage_usec (\d+)", (group / "cpu.stat").read_text(encoding="ascii"))[1])
    except FileNotFoundError:
        return 0


def served(machine, port, count, width=16, last=GOODBYE):
    """Makes `count` connections, `width` at a time; returns how many did not end with `last`, their last bytes."""
    poll, clients, failed, started = select.poll(), {}, 0, 0
    with machine.network():
        while started < count or clients:
            while started < count and len(clients) < width:
                client = socket.create_connection(("127.0.0.1", port), project.LIMIT)
                client.sendall(WHOLE)
                if last == WHOLE:  # cat ends with the stream
                    client.shutdown(socket.SHUT_WR)
                clients[client.fileno()] = client
                poll.register(client, select.POLLIN)
                started += 1
            for descriptor, _ in poll.poll(project.LIMIT * 1000):
                client = clients.pop(descriptor)
                poll.unregister(descriptor)
                received = b""
                with client, contextlib.suppress(ConnectionResetError):
                    received = launch.Peer(client).rest()
                failed += not received.endswith(last)
    return failed


def directives(rounds, lower="/"):
    with Machine(unified=True, lower=lower) as machine:
        machine.install()
        version = machine.run("systemctl", "--version").stdout.splitlines()[0]
        units = machine.path("/run/systemd/system")
        socket_unit = machine.path(f"{UNITDIR}/ws-echo.socket").read_text(encoding="utf-8")
        socket_unit = re.sub(r"(?m)^(User|ExecStartPre|MaxConnectionsPerSource)=.*\n", "", socket_unit)
        whole = machine.groups[0]
        groups = {"all": whole, "systemd": whole / "init.scope",
                  "journal": whole / "system.slice/systemd-journald.service"}
        measured = {}
        for number, (name, unit) in enumerate(variants(machine).items()):
            listen = socket_unit.replace("=8888", f"={FIRST + number}")
            (units / f"v{number}.socket").write_text(listen + "MaxConnectionsPerSource=512\n")
            (units / f"v{number}@.service").write_text(unit, encoding="utf-8")
            measured[name] = (number, [])
        machine.systemctl("daemon-reload")
        machine.systemctl("start", *(f"v{number}.socket" for number, _ in measured.values()))
        for turn in range(rounds + 1):
            for name in random.sample(list(measured), len(measured)):
                number, samples = measured[name]
                own = groups | {"own": whole / f"system.slice/system-v{number}.slice"}
                before = {part: used(group) for part, group in own.items()}
                failed = served(machine, FIRST + number, 24)
                assert not failed, f"{name}: {failed} connections failed"
                launch.wait_until(lambda: not machine.units(f"v{number}@*"), "all connections have ended")
                if turn:  # the first round warms up
                    samples.append({part: (used(group) - before[part]) / 24 / 1000
                                    for part, group in own.items()})
        print(f"{version}, milliseconds of the processor for a connection\n")
        print("| | all | systemd | journal | its own |\n|---|---:|---:|---:|---:|")
        for name, (_, samples) in measured.items():
            row = (sorted(sample[part] for sample in samples)[len(samples) // 4] for part in samples[0])
            print(f"| {name} | {' | '.join(f'{value:.2f}' for value in row)} |")


# Capacity


class Socket(launchers.Systemd):
    name = "ws-echo.socket"


class Cat(launchers.Systemd):
    """cat in a bare unit, which needs no handshake."""

    name = "cat in a unit without a sandbox"
    port = CAT

    def start(self, options=()):
        add_cat(self.machine)
        self.machine.systemctl("start", "cat.socket")
        return self

    def stop(self):
        self.machine.systemctl("stop", "cat.socket")


class Many(launchers.Tcpserver):
    """tcpserver with the limit of the manual instead of 40 connections."""

    def command(self, options):
        name, *more = super().command(options)
        if not self.machine.path(name).exists():  # another Debian, made without it
            shutil.copy2(name, self.machine.path(name))
        return [name, "-c", "500", *more]


# Each with the process that accepts connections, and the pattern of the units whose memory is that of connections.
MEASURED = [(Socket, "systemd", "ws-echo@*"), (Cat, "systemd", "cat@*"),
            (launchers.Crowd, "xinetd", launchers.Crowd.name), (launchers.Xinetd, "xinetd", "launcher.service"),
            (Many, "tcpserver", "launcher.service"),
            (launchers.SocketActivateInetd, "systemd-socket-", "launcher.service")]


def own_time(machine, name):
    """Processor time in nanoseconds that the oldest process with this name has used itself."""
    process = min(machine.processes(name))
    return int(machine.path(f"/proc/{process}/schedstat").read_text(encoding="ascii").split()[0])


def has_no_connections(machine, name):
    """Waits until all connections have ended."""
    served_by = "cat" if name == Cat.name else "ws-echo"
    launch.wait_until(lambda: not machine.processes(served_by), "all processes have ended")
    is_quiet(machine)


def speeds(launcher, process, load, count=500, rounds=3):
    """Of all rounds, the fastest counts, and the one with the least time of the processor."""
    machine, found = launcher.machine, []
    raw = launcher.name == Cat.name
    for _ in range(rounds + 1):  # the first one warms up
        before, own, start = used(machine.groups[0]), own_time(machine, process), time.perf_counter()
        failed = served(machine, CAT if raw else 8888, count, last=WHOLE if raw else GOODBYE)
        rate = count / (time.perf_counter() - start)
        assert not failed, f"{launcher.name}: {failed} connections failed"
        has_no_connections(machine, launcher.name)
        sample = {"rate": rate, "effort": (used(machine.groups[0]) - before) / count / 1e3,
                  "serial": (own_time(machine, process) - own) / count / 1e6}
        before = used(machine.groups[0])
        with machine.network():
            command = [load, "--scenario=many", "--seconds=2", *(["--raw", f"--port={CAT}"] if raw else [])]
            said = subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=project.LIMIT).stdout
        has_no_connections(machine, launcher.name)
        # The processor's time is also that of the warm-up, a quarter of the measurement, and of 50 connections.
        taken = used(machine.groups[0]) - before - 50e3 * sample["effort"]
        done = json.loads(said)
        found.append(sample | {"messages": done["rate"], "each": taken / (done["messages"] * 1.25)})
    best = {name: min(sample[name] for sample in found[1:]) for name in ("effort", "serial", "each")}
    return best | {name: max(sample[name] for sample in found[1:]) for name in ("rate", "messages")}


def memory(launcher, pattern, count=300):
    """KiB of an idle connection: by MemoryCurrent of the units that have connections, and of the whole machine."""
    machine = launcher.machine
    group = next(group for group in machine.groups if (group / "memory.stat").exists())
    port = CAT if launcher.name == Cat.name else 8888

    def current():
        return sum(int(machine.show(unit, "MemoryCurrent")) for unit in machine.units(pattern))

    answered(machine, port)[0].close()  # warms up: allocates memory that is needed only once
    has_no_connections(machine, launcher.name)
    before = current(), memory_of(group)
    clients = [answered(machine, port, f"127.0.0.{number // 60 + 1}")[0] for number in range(count)]
    taken = [(now - then) / count / 1024 for now, then in zip((current(), memory_of(group)), before)]
    for client in clients:
        client.close()
    has_no_connections(machine, launcher.name)
    return dict(zip(("unit", "whole"), taken))


def beside(launcher, process, steps, count=300):
    """Prints the processor time of a connection, and that of the accepting process, while so many others are idle."""
    machine, total = launcher.machine, 0
    with contextlib.ExitStack() as idle:
        for others in steps:
            while total < others:
                idle.enter_context(contextlib.closing(answered(machine, 8888, f"127.0.{total // 6000}.{total // 60 % 100 + 1}")[0]))
                total += 1
            samples = []
            for _ in range(3):
                before, own = used(machine.groups[0]), own_time(machine, process)
                assert not served(machine, 8888, count)
                launch.wait_until(lambda: len(machine.processes("ws-echo")) == total, "the measured ones have ended")
                samples.append(((used(machine.groups[0]) - before) / count / 1e3,
                                (own_time(machine, process) - own) / count / 1e6))
            effort, serial = (min(values) for values in zip(*samples))
            print(f"{launcher.name}, beside {total:,} others: {effort:.1f} ms, accepting process {serial:.2f} ms", flush=True)
    has_no_connections(machine, launcher.name)


def without_limits(machine):
    """Lets 20,000 connections in, also of one address."""
    for unit, line in ("ws-echo.socket", "MaxConnections"), ("ws-echo.socket", "MaxConnectionsPerSource"):
        machine.path(f"/run/systemd/system/{unit}.d").mkdir(exist_ok=True)
        machine.path(f"/run/systemd/system/{unit}.d/{line}.conf").write_text(f"[Socket]\n{line}=20000\n", encoding="ascii")
    entry = machine.path(launchers.ENTRY)
    entry.write_text(re.sub(r"(?m)^(\s*(?:instances|per_source)\s*)= .*$", r"\1= 20000", entry.read_text(encoding="utf-8")),
                     encoding="utf-8")
    machine.systemctl("daemon-reload")


def capacity(lower="/"):
    with tempfile.TemporaryDirectory() as folder:
        load = pathlib.Path(folder, "load")
        subprocess.run(["cc", "-O2", "-o", load, project.TESTS / "bench/load.c"], check=True)
        rows = {kind.name: {} for kind, _, _ in MEASURED}
        for unified in True, False:  # limits and MemoryCurrent need the controllers of version 1 here
            with Machine(unified=unified, lower=lower) as machine:
                machine.install()
                version = machine.run("systemctl", "--version").stdout.splitlines()[0]
                for kind, process, pattern in MEASURED:
                    launcher = kind(machine)
                    launcher.start(["--path=/socket"])
                    rows[kind.name] |= speeds(launcher, process, load) if unified else memory(launcher, pattern)
                    launcher.stop()
    print(f"{version}\n")
    print("| | connections a second | processor | accepting process | messages a second | processor | its unit | machine |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|")
    for name, row in rows.items():
        print(f"| {name} | {row['rate']:,.0f} | {row['effort']:.1f} ms | {row['serial']:.2f} ms | {row['messages']:,.0f} "
              f"| {row['each']:.0f} µs | {row['unit']:.0f} KiB | {row['whole']:.0f} KiB |")
    with Machine(unified=True, lower=lower) as machine:
        machine.install()
        without_limits(machine)
        for kind, process, steps in (Socket, "systemd", (500, 2000)), (launchers.Crowd, "xinetd", (2000, 5000, 10000)):
            launcher = kind(machine)
            launcher.start(["--path=/socket", "--ping-interval=0", "--timeout=0"])
            beside(launcher, process, steps)
            launcher.stop()


def main():
    if sys.argv[1:2] == ["capacity"]:
        capacity(*sys.argv[2:3])
        return
    if sys.argv[1:2] == ["directives"]:
        directives(int((sys.argv[2:3] or [20])[0]), *sys.argv[3:4])
        return
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    with before_all_others(), Machine(unified=True) as machine:
        machine.install()
        time_ratio(machine, rounds)
    with Machine() as machine:
        machine.install()
        memory_ratio(machine)


if __name__ == "__main__":
    main()
