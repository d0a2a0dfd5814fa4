# SPDX-License-Identifier: MIT
"""Many connections: at the same time, one after the other, and honest peers beside abusive ones."""

import asyncio
import collections
import contextlib
import itertools
import os
import pathlib
import random
import re
import socket
import subprocess
import threading
import time

import abuse
import machine as machines
from require import require, require_root
import pytest
import framing
import heads
import launch
import project
from framing import BINARY, CLOSE, close_body, echo, frame, reply, text

LASTING = float(os.environ.get("WS_ECHO_LOAD", "60"))  # seconds that an endless load lasts
AT_ONCE = 1000
IN_A_ROW = 100_000
GOODBYE = reply(CLOSE, close_body(1000))


@contextlib.contextmanager
def served_by_tcpserver(log, program):
    """tcpserver, which starts the program for each connection; yields its port and its process."""
    command = [require("tcpserver", "ucspi-tcp"), "-1", "-RHl0", f"-c{AT_ONCE}", f"-b{AT_ONCE}", "127.0.0.1", "0",
               program]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log) as server:
        try:
            yield int(server.stdout.readline()), server
        finally:
            server.terminate()


def children(process):
    return pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text(encoding="ascii").split()


def closes(log):
    """Counts the records by Close code."""
    log.seek(0)
    return collections.Counter(re.findall(r" close=(\d+)", log.read()))


@pytest.fixture(name="log")
def log_of_all(tmp_path):
    with open(tmp_path / "log", "w+", encoding="utf-8") as log:
        yield log


def messages(seed):
    """Endless random frames with their answers."""
    numbers = random.Random(seed)
    while True:
        payload = numbers.randbytes(int(numbers.paretovariate(0.5)) % 70_000)
        yield frame(BINARY, payload), reply(BINARY, payload)


async def converse(port, number, all_are_there):
    """One of many clients that begin together; returns how many messages were echoed to it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(heads.head())
    assert await reader.readexactly(len(heads.switching())) == heads.switching()
    await all_are_there.wait()
    end = time.monotonic() + LASTING
    for count, (sent, expected) in enumerate(messages(number), 1):
        writer.write(sent)
        framing.same(await reader.readexactly(len(expected)), expected, f"client {number}, message {count}")
        if time.monotonic() > end:
            break
    writer.write(framing.close(1000))
    assert await reader.read() == GOODBYE
    writer.close()
    return count


async def all_converse(port):
    barrier = asyncio.Barrier(AT_ONCE)
    return await asyncio.gather(*(converse(port, number, barrier) for number in range(AT_ONCE)))


def test_a_thousand_connections_at_once_get_their_echoes(program, log):
    with served_by_tcpserver(log, program) as (port, server):
        counts = asyncio.run(all_converse(port))
        print(f"{sum(counts):,} messages, {min(counts)} to {max(counts)} of each client")
        launch.wait_until(lambda: not children(server), "all processes are gone")
    assert closes(log) == {"1000": AT_ONCE}


def one_after_the_other(port, count, wrong):
    """Connects, gets an echo and closes, `count` times; adds wrong answers to `wrong`."""
    data = heads.head() + text("Hello") + framing.close(1000)
    expected = heads.switching() + echo("Hello") + GOODBYE
    for _ in range(count):
        with socket.create_connection(("127.0.0.1", port), project.LIMIT) as client:
            client.sendall(data)
            answer = launch.Peer(client).rest()
        if answer != expected:
            wrong.append(answer)


def test_of_a_hundred_thousand_connections_in_a_row_none_is_lost(program, log):
    clients, wrong = os.cpu_count(), []
    with served_by_tcpserver(log, program) as (port, server):
        threads = [threading.Thread(target=one_after_the_other, args=[port, IN_A_ROW // clients, wrong])
                   for _ in range(clients)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        launch.wait_until(lambda: not children(server), "all processes are gone")
    assert not wrong, wrong[:3]
    assert closes(log) == {"1000": IN_A_ROW // clients * clients}


# Under the shipped units


HOSTILE = {name: attack for name, (options, attack, _) in abuse.KINDS.items() if not options}
INSTANCES = "ws-echo@*"
SLICE = r"system-ws\x2decho.slice"


@pytest.fixture(name="machine", scope="module")
def booted_machine():
    require_root()
    with machines.Machine() as machine:
        machine.install()
        machine.systemctl("start", "ws-echo.socket")
        yield machine


class Crowd:
    """Peers in threads, each of which repeats the same actions until `leave`."""

    def __init__(self, machine):
        self.machine, self.over = machine, threading.Event()
        self.counts, self.faults = collections.Counter(), []
        self.threads, self.live = {}, set()

    def add(self, kind, behaviour, source, *arguments):
        thread = threading.Thread(target=self.again, args=[kind, behaviour, source, *arguments])
        self.threads.setdefault(kind, []).append(thread)
        thread.start()

    def again(self, kind, behaviour, source, *arguments):
        while not self.over.is_set():
            peer = abuse.Sender(self.machine.connect(source=source))
            self.live.add(peer)
            try:
                behaviour(peer, *arguments)
                self.counts[kind] += 1
            except (OSError, AssertionError) as fault:
                if kind == "honest":
                    self.faults.append(fault)
                self.over.wait(0.1)  # a refused peer that connects again at once would keep systemd busy
            self.live.discard(peer)
            peer.close()

    def leave(self):
        """Ends the threads: honest peers finish first, the others stop at once."""
        self.over.set()
        for thread in self.threads.pop("honest"):
            thread.join()
        for peer in self.live.copy():
            with contextlib.suppress(OSError):
                peer.socket.shutdown(socket.SHUT_RDWR)
        for thread in itertools.chain.from_iterable(self.threads.values()):
            thread.join()


def behaves(peer, numbers):
    """Has some messages echoed, and closes."""
    peer.open()
    for sent, expected in itertools.islice(messages(numbers.random()), numbers.randrange(1, 200)):
        peer.send(sent)
        framing.same(peer.receive(len(expected)), expected)
    peer.send(framing.close(1000))
    assert peer.rest() == GOODBYE


def sources(machine):
    """Counts the connections of each address by the names of the instances."""
    return collections.Counter(re.search(r"-([\d.]+):\d+\.service$", unit)[1] for unit in machine.units(INSTANCES, "active"))


def test_honest_peers_get_their_echoes_beside_abusive_ones(machine):
    """No address has more than MaxConnectionsPerSource=, and no instance remains afterwards."""
    cursor, manager = machine.cursor(), machine.path("/proc/1/fd")
    share, total = map(int, machine.show("ws-echo.socket", "MaxConnectionsPerSource", "MaxConnections"))
    before = len(os.listdir(manager))
    crowd, most = Crowd(machine), collections.Counter()
    for number, (kind, attack) in enumerate(HOSTILE.items(), 1):
        crowd.add(kind, attack, f"127.0.2.{number}")
    for _ in range(share + 16):
        crowd.add("greedy", abuse.open_and_say_nothing, "127.0.3.1")
    for number in range(1, 9):
        crowd.add("honest", behaves, f"127.0.4.{number}", random.Random(number))
    launch.wait_until(lambda: sources(machine)["127.0.3.1"] == share, "the greedy source has its share")
    end = time.monotonic() + LASTING
    while time.monotonic() < end:
        most |= sources(machine)
        time.sleep(1)
    crowd.leave()
    print(dict(crowd.counts), dict(most))
    assert not crowd.faults, crowd.faults[:3]
    assert crowd.counts["honest"]
    assert max(most.values()) == most["127.0.3.1"] == share and sum(most.values()) <= total
    refused = [entry for entry in machine.journal(cursor, UNIT="ws-echo.socket") if "Too many" in entry["MESSAGE"]]
    assert refused and all("127.0.3.1" in entry["MESSAGE"] for entry in refused)
    launch.wait_until(lambda: not machine.units(INSTANCES), "the instances are gone")
    assert machine.processes("ws-echo") == []
    assert machine.units("ws-echo*", "failed") == []
    assert machine.show("ws-echo.socket", "SubState", "NConnections") == ["listening", "0"]
    launch.wait_until(lambda: len(os.listdir(manager)) <= before, "the manager has closed what it opened")
    assert int(machine.show(SLICE, "MemoryCurrent")) < abuse.MIB
