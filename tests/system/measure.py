"""What the shipped unit costs for each connection, next to the least that any could: cat in a bare unit.

    sudo tests/system/measure.py [ROUNDS]

prints, for both, the time from the connection to the first byte of the answer, and the memory of an idle
connection. Both take turns, so that whatever else the machine does concerns both.
"""

import contextlib
import os
import socket
import statistics
import sys
import time

from machine import Machine  # which finds the way to wire
import wire

CAT = 7001
UNITS = {
    "cat.socket": f"[Socket]\nListenStream={CAT}\nAccept=yes\n"
                  "MaxConnections=1000\nTriggerLimitIntervalSec=0\n",
    "cat@.service": "[Unit]\nCollectMode=inactive-or-failed\n"
                    "[Service]\nExecStart=cat\nStandardInput=socket\nStandardError=journal\n",
}
# What is sent, to get an answer.
PORTS = {CAT: b"x", 8888: wire.head()}


@contextlib.contextmanager
def listening(machine):
    for name, unit in UNITS.items():
        machine.path(f"/run/systemd/system/{name}").write_text(unit, encoding="ascii")
    machine.systemctl("daemon-reload")
    machine.systemctl("start", "cat.socket", "ws-echo.socket")
    try:
        yield
        is_quiet(machine)
    finally:
        machine.systemctl("stop", "cat.socket", "ws-echo.socket")


def is_quiet(machine):
    wire.wait_until(lambda: not machine.units("cat@*") + machine.units("ws-echo@*"), "nobody is connected")


@contextlib.contextmanager
def before_all_others():
    """The inner systemd and this client run before whatever else the machine has to do."""
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
    client.settimeout(wire.LIMIT)
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
                is_quiet(machine)  # what goes on after the answer must not slow down the next
    cat, ours = (statistics.median(taken) for taken in seconds.values())
    print(f"to the first byte: cat {cat * 1e3:.2f} ms, ws-echo {ours * 1e3:.2f} ms, {ours / cat:.2f} times")
    return ours / cat


def memory_of(group):
    """Bytes that a control group and those below use, user and kernel memory, without the files in memory."""
    stat = dict(line.split() for line in (group / "memory.stat").read_text(encoding="ascii").splitlines())
    if (group / "memory.current").exists():
        return int((group / "memory.current").read_text()) - int(stat["file"])
    return int((group / "memory.usage_in_bytes").read_text()) - int(stat["total_cache"])


def memory_ratio(machine, connections=60):
    """The whole machine's memory, with the share of systemd and the journal in each connection."""
    group = next(group for group in machine.groups if (group / "memory.stat").exists())
    taken = {}
    with listening(machine):
        for port in PORTS:
            answered(machine, port)[0].close()  # what is needed once
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


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    with before_all_others(), Machine(unified=True) as machine:
        machine.install()
        time_ratio(machine, rounds)
    with Machine() as machine:
        machine.install()
        memory_ratio(machine)


if __name__ == "__main__":
    main()
