#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Measures the cost of one connection for the server, for each kind of abuse.

    abuse.py                        all kinds, with default options: two minutes
    abuse.py Pings 'a head'         the kinds whose names begin so

For each kind, a new process is started on a TCP connection, as by an inetd. The results are its peak private memory,
its processor time, and the time until it ends by itself. A flood lasts as long as the peer sends, so its processor time
is given per received MiB. Memory of the kernel for the connection is not counted: net.ipv4.tcp_rmem and tcp_wmem limit
it. Needs root, because the program is not dumpable.
"""

import concurrent.futures
import contextlib
import os
import pathlib
import random
import re
import sys
import threading
import time
import zlib

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "lib"))

import framing
import heads
import launch
from framing import BINARY, CONTINUATION, PING, TEXT, frame

MIB = 1 << 20
LARGEST = 16 * MIB  # the default of --max-message
PATIENCE = 300  # seconds until a program that does not end is given up


class Cost:
    """The cost of a connection: bytes of memory, seconds of processor time, seconds until its end, received bytes."""

    def __init__(self, lasted_by_itself):
        self.by_itself = lasted_by_itself
        self.memory, self.processor, self.seconds, self.sent = 0, 0.0, 0.0, 0


# ---- What peers do -------------------------------------------------------------------------------------


class Sender(launch.Peer):
    """A peer that counts what it sends."""

    def __init__(self, connected):
        super().__init__(connected)
        self.socket.settimeout(PATIENCE)
        self.sent = 0

    def send(self, data):
        super().send(data)
        self.sent += len(data)


def say_nothing(peer):
    peer.rest()


def trickle_a_head(peer):
    """Sends a byte each half second."""
    with contextlib.suppress(OSError):
        for byte in heads.head():
            peer.send(bytes([byte]))
            time.sleep(0.5)


def open_and_say_nothing(peer):
    peer.open()
    peer.rest()


def stop_before_the_end(peer):
    """Sends the largest message without its last byte."""
    peer.open().send(frame(BINARY, bytes(LARGEST))[:-1])
    peer.rest()


def reads_nothing(message):
    """Return a function that sends a message again and again."""
    def attack(peer):
        peer.open()
        with contextlib.suppress(OSError):
            while True:
                peer.send(message)
    return attack


def discard(peer):
    """Reads and discards the answers."""
    with contextlib.suppress(OSError):
        while peer.socket.recv(MIB):
            pass


def flood(data, mebibytes, first=b"", extension=None):
    """Take frames, how many MiB of them to send, and bytes to send first; return a function that sends them and reads
    the answers."""
    def attack(peer):
        peer.open(*([f"Sec-WebSocket-Extensions: {extension}"] if extension else []), extension=extension)
        reader = threading.Thread(target=discard, args=[peer])
        reader.start()
        peer.send(first)
        for _ in range(max(1, round(mebibytes * MIB / len(data)))):
            peer.send(data)
        peer.send(framing.close(1000))
        reader.join()
    return attack


def compressed(message):
    """Take a message; return its compressed frame, which needs no earlier messages."""
    stream = zlib.compressobj(9, zlib.DEFLATED, -15)
    return frame(BINARY, stream.compress(message) + stream.flush(zlib.Z_SYNC_FLUSH)[:-4], rsv=4)


def costly(size):
    """Take a size; return a message that compresses well but slowly: two letters repeated."""
    block = bytes(random.Random(7692).choices(b"ab", k=30_000))
    return (block * (size // len(block) + 1))[:size]


DEFLATE = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
SILENT = [
    ("nothing", say_nothing),
    ("a head a byte at a time", trickle_a_head),
    ("nothing after the handshake", open_and_say_nothing),
    ("16 MiB of an unfinished message", stop_before_the_end),
    ("messages of 100 bytes, answers unread", reads_nothing(frame(BINARY, bytes(100)) * 1000)),
    ("messages of 16 MiB, answers unread", reads_nothing(frame(BINARY, bytes(LARGEST)))),
]
FLOODS = [
    ("Pings of 0 bytes", [], flood(frame(PING) * 20_000, 100)),
    ("Pings of 125 bytes", [], flood(frame(PING, bytes(125)) * 1000, 200)),
    ("messages of 0 bytes", [], flood(frame(BINARY) * 20_000, 100)),
    ("messages of 16 MiB", [], flood(frame(BINARY, bytes(LARGEST)), 1024)),
    ("text of 16 MiB", [], flood(frame(TEXT, "ä€".encode() * (LARGEST // 5)), 1024)),
    ("fragments of 0 bytes", [], flood(frame(CONTINUATION, fin=False) * 20_000, 100, frame(BINARY, fin=False))),
    ("fragments of 1 byte", [], flood(frame(CONTINUATION, b"a", fin=False) * 20_000, 100, frame(BINARY, fin=False))),
    ("16 MiB of zeros, compressed", ["--deflate"], flood(compressed(bytes(LARGEST)), 1, extension=DEFLATE)),
    ("16 MiB of two letters, compressed", ["--deflate"], flood(compressed(costly(LARGEST)), 1, extension=DEFLATE)),
    ("16 MiB of noise, compressed", ["--deflate"],
     flood(compressed(random.Random(7692).randbytes(LARGEST - MIB)), 64, extension=DEFLATE)),
]
KINDS = {name: ([], attack, True) for name, attack in SILENT} | \
    {name: (options, attack, False) for name, options, attack in FLOODS}


def ask_the_lab(words, data, reads=True):
    """Take words and frames; return what asks the lab for the words, sends the frames, and may read the answers."""
    def attack(peer):
        with contextlib.suppress(OSError):
            peer.send(heads.head(path=f"/lab?{words}") + data)
        if reads:
            discard(peer)
    return attack


# What the words of the lab add to that; each ends by itself.
MESSAGE = frame(BINARY, bytes(LARGEST))
LAB = {name: (["--lab=/lab"], attack, True) for name, attack in [
    ("lab: slice=1 of 16 MiB", ask_the_lab("slice=1", MESSAGE + framing.close(1000))),
    ("lab: fragment=1 of 16 MiB", ask_the_lab("fragment=1", MESSAGE + framing.close(1000))),
    ("lab: fragment=1&slice=1 of 16 MiB, answers unread",
     ask_the_lab("fragment=1&slice=1", MESSAGE + framing.close(1000), reads=False)),
    ("lab: latency of 59 s before 16 MiB", ask_the_lab("latency=59", MESSAGE + framing.close(1000))),
    ("lab: stall between messages of 16 MiB", ask_the_lab("count=1&stall&close", 2 * MESSAGE)),
    ("lab: repeat=0.1 of 1 KiB, unread", ask_the_lab(f"repeat=0.1&hello={'x' * 1024}", b"", reads=False)),
]}


# ---- Measuring -----------------------------------------------------------------------------------------


def private(process):
    """Take a process; return its current private memory in bytes, or 0 if it has ended.

    Clean private pages do not count: they are pages of the program's file, which all processes share, and which are
    private only while there is no second process."""
    with contextlib.suppress(OSError):
        rollup = pathlib.Path(f"/proc/{process.pid}/smaps_rollup").read_text(encoding="ascii")
        return sum(int(size) << 10 for size in re.findall(r"^Private_Dirty: *(\d+) kB", rollup, re.M))
    return 0


def measured(name):
    """Take the name of a kind; return its cost."""
    options, attack, by_itself = (KINDS | LAB)[name]
    cost = Cost(by_itself)
    with launch.Served(*options) as served:
        began = time.monotonic()
        served.peer = peer = Sender(served.peer.socket)
        attacker = threading.Thread(target=attack, args=[peer])
        attacker.start()
        while not os.waitid(os.P_PID, served.process.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG):
            cost.memory = max(cost.memory, private(served.process))
            time.sleep(0.002)
        cost.seconds = time.monotonic() - began
        _, status, usage = os.wait4(served.process.pid, 0)
        served.process.returncode = os.waitstatus_to_exitcode(status)
        attacker.join()
    if served.process.returncode:
        sys.exit(f"abuse: {name}: the program ended with {served.process.returncode}")
    cost.processor, cost.sent = usage.ru_utime + usage.ru_stime, peer.sent
    return cost


def row(name, cost):
    """Take a name and a cost; return the row of the table."""
    if cost.by_itself:
        effort = f"{cost.processor * 1000:,.0f} ms"
        end = f"{cost.seconds:.0f} s"
    else:
        effort = f"{cost.processor / (cost.sent / MIB) * 1000:,.1f} ms"
        end = "–"
    return f"| {name} | {cost.memory / MIB:.1f} MiB | {effort} | {end} |"


def main():
    """Measure the kinds that the command line names, or all."""
    kinds = KINDS | LAB
    chosen = [name for name in kinds if not sys.argv[1:] or name.startswith(tuple(sys.argv[1:]))]
    silent = [name for name in chosen if kinds[name][2]]
    with concurrent.futures.ThreadPoolExecutor(len(kinds)) as pool:
        waiting = pool.map(measured, silent)
        floods = [(name, measured(name)) for name in chosen if name not in silent]
        print("| what the peer sends | memory | processor | ends after |\n|---|---:|---:|---:|")
        for name, cost in [*zip(silent, waiting), *floods]:
            print(row(name, cost))


if __name__ == "__main__":
    main()
