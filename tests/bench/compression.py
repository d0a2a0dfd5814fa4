#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Compares the cost of compressed messages on echo servers with that of a loop that only calls zlib.

    compression.py                                                              everything, some minutes
    compression.py --servers=ws-echo,tornado --kinds=json --rounds=1            a quick look

Each server accepts permessage-deflate with level 6, memory level 8, a window of 32 KiB and context takeover, and puts
the prefix in front of text. All messages differ: they are similar JSON texts, or random bytes. They are compressed
before the measurement and sent one at a time; the replies are inflated and compared after it. The result is the
processor time of the server, of all its threads and processes, in user mode and in the kernel; the rate is that of a
client and a server on one core each.

zlib-loop processes the same messages in one process without a network: see zlib_loop.c. The table shows its
microseconds per message. The other figures are ratios to it in the same round; higher is better. Each round measures
all servers, in an order that rotates. Idle memory is that of a connection that has echoed one message, with context
takeover and without.

The table goes to standard output and to build/bench/compression.md.
"""

import argparse
import contextlib
import datetime
import json
import os
import pathlib
import random
import signal
import socket
import statistics
import struct
import subprocess
import sys
import time
import zlib

import bench
from bench import BUILD, KIB, MIB, PREFIX

TAIL = b"\x00\x00\xff\xff"
KEY = b"\x37\xfa\x21\x3d"
CELLS = [(kind, size) for kind in ("json", "random") for size in (KIB, 64 * KIB, MIB)]
COUNTS = {KIB: 3000, 64 * KIB: 150, MIB: 16}  # messages of a measurement
CONNECTIONS = 20  # whose idle memory is measured
QUIET_SECONDS = 1  # until a connection counts as idle
SERVERS = {name: bench.SERVERS[name] for name in ("ws-echo", "ws-echo-static", "tornado", "websockets", "ws", "libwebsockets")}
HEAD = ("GET /socket HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: PdspSkfns9qGxGTNajm+Tw==\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Extensions: permessage-deflate{}\r\n\r\n")
ALONE = "; server_no_context_takeover; client_no_context_takeover"
CORES = sorted(os.sched_getaffinity(0))  # the client runs on the first one, servers on the last one
NAMES = "id user time name value latitude longitude tags message status visible".split()


# ---- Messages -----------------------------------------------------------------------------------------


def payload(kind, size, numbers):
    """Take a kind, a size and random numbers; return a message."""
    if kind == "random":
        return numbers.randbytes(size)
    rows, length = [], 0
    while length < size:
        row = {name: numbers.choice([numbers.randrange(100_000), round(numbers.uniform(-180, 180), 5), True, None,
                                     f"{numbers.choice(NAMES)} {numbers.choice(NAMES)} {numbers.randrange(100)}"])
               for name in NAMES}
        rows.append(json.dumps(row))
        length += len(rows[-1]) + 2
    return "[{}]".format(",\n".join(rows)).encode()[:size]


def compressor():
    """Return a compressor with the parameters of the servers."""
    return zlib.compressobj(6, zlib.DEFLATED, -15, 8)


def compressed(stream, message):
    """Take a compressor and a message; return the payload of its frame."""
    return (stream.compress(message) + stream.flush(zlib.Z_SYNC_FLUSH)).removesuffix(TAIL)


def frame(kind, data):
    """Take a kind and a payload; return the compressed, masked frame."""
    length = len(data)
    header = bytes([0xC0 | (2 if kind == "random" else 1)])
    if length < 126:
        header += bytes([0x80 | length])
    else:
        header += b"\xfe" + struct.pack(">H", length) if length < 65536 else b"\xff" + struct.pack(">Q", length)
    pad = (KEY * (length // 4 + 1))[:length]
    return header + KEY + (int.from_bytes(data, "big") ^ int.from_bytes(pad, "big")).to_bytes(length, "big")


# ---- The client ---------------------------------------------------------------------------------------


class Client:
    """A connection with negotiated compression."""

    def __init__(self, port, parameters=""):
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.settimeout(60)
        self.socket.sendall(HEAD.format(parameters).encode())
        self.buffer = b""
        while b"\r\n\r\n" not in self.buffer:
            self.more()
        answer, _, self.buffer = self.buffer.partition(b"\r\n\r\n")
        if b" 101 " not in answer or b"permessage-deflate" not in answer:
            sys.exit(f"compression: nothing was agreed to: {answer!r}")

    def more(self):
        """Read available bytes, or wait for some."""
        part = self.socket.recv(1 << 20)
        if not part:
            sys.exit(f"compression: a server has closed its connection: see {BUILD / 'servers.log'}")
        self.buffer += part

    def take(self, count):
        """Take a number; return that many received bytes."""
        parts, length = [self.buffer], len(self.buffer)
        while length < count:
            self.buffer = b""
            self.more()
            parts.append(self.buffer)
            length += len(self.buffer)
        data = b"".join(parts)
        self.buffer = data[count:]
        return data[:count]

    def reply(self):
        """Return the payload of the next message, still compressed, joined from its fragments."""
        parts = []
        while True:
            first, length = self.take(2)
            if length >= 126:
                length = int.from_bytes(self.take(2 if length == 126 else 8), "big")
            data = self.take(length)
            if first & 0x0F <= 2:
                parts.append(data)
                if first & 0x80:
                    return b"".join(parts)


# ---- Measuring ----------------------------------------------------------------------------------------


def processor_time(pid):
    """Take a process; return the processor time of it and its descendants, in nanoseconds."""
    total = 0
    for process in bench.processes_below(pid):
        for thread in pathlib.Path(f"/proc/{process}/task").glob("*/schedstat"):
            with contextlib.suppress(OSError):
                total += int(thread.read_text().split()[0])
    return total


def prepare(kind, size, seed):
    """Take a kind, a size and a seed; return the messages and the payloads of their frames."""
    numbers, stream = random.Random(seed), compressor()
    messages = [payload(kind, size, numbers) for _ in range(COUNTS[size])]
    return messages, [compressed(stream, message) for message in messages]


def loop(kind, payloads):
    """Take a kind and payloads; return the processor time of a message in zlib-loop, in nanoseconds."""
    data = b"".join(struct.pack("=I", len(one)) + one for one in payloads)
    command = ["taskset", "-c", str(CORES[-1]), str(BUILD / "zlib_loop"), "" if kind == "random" else PREFIX]
    return float(subprocess.run(command, input=data, stdout=subprocess.PIPE, check=True).stdout)


def measure(server, kind, messages, payloads):
    """Take a server, a kind, messages and payloads; return processor time and elapsed time per message, in ns."""
    frames = [frame(kind, one) for one in payloads]
    with bench.running(server, "pingpong", CORES[-1]) as (process, port):
        client, replies = Client(port), []
        warm = min(len(frames) // 10, 100) + 1
        for number, one in enumerate(frames):
            if number == warm:
                began, before = time.monotonic_ns(), processor_time(process.pid)
            client.socket.sendall(one)
            replies.append(client.reply())
        ended, after = time.monotonic_ns(), processor_time(process.pid)
    stream = zlib.decompressobj(-15)
    prefix = b"" if kind == "random" else PREFIX.encode()
    for message, reply in zip(messages, replies):
        if stream.decompress(reply if reply.endswith(TAIL) else reply + TAIL) != prefix + message:
            sys.exit(f"compression: {server.name} has answered with something else")
    return (after - before) / (len(frames) - warm), (ended - began) / (len(frames) - warm)


def idle_memory(server, parameters):
    """Take a server and parameters of the offer; return the private KiB of an idle connection."""
    message = payload("json", 4 * KIB, random.Random(1))
    with bench.running(server, "private", CORES[-1]) as (process, port):
        clients = [Client(port, parameters)]  # allocates memory that is needed only once
        clients[0].socket.sendall(frame("json", compressed(compressor(), message)))
        clients[0].reply()
        time.sleep(QUIET_SECONDS)
        before = bench.memory(process.pid, bench.MEMORY["private"])
        for _ in range(CONNECTIONS):
            clients.append(Client(port, parameters))
            clients[-1].socket.sendall(frame("json", compressed(compressor(), message)))
            clients[-1].reply()
        time.sleep(QUIET_SECONDS)
        return (bench.memory(process.pid, bench.MEMORY["private"]) - before) / CONNECTIONS


# ---- The table ----------------------------------------------------------------------------------------


def title(kind, size):
    """Take a kind and a size; return the beginning of their row."""
    return f"{'JSON' if kind == 'json' else 'random bytes'} of {size // MIB} MiB" if size >= MIB else \
        f"{'JSON' if kind == 'json' else 'random bytes'} of {size // KIB} KiB"


def measure_all(servers, options):
    """Take the servers and the options; return the rows of the table."""
    rows = []
    for kind, size in [cell for cell in CELLS if cell[0] in options.kinds]:
        loops, figures = [], {server.name: [] for server in servers}
        for turn in range(options.rounds):
            messages, payloads = prepare(kind, size, turn)
            loops.append(loop(kind, payloads))
            first = turn % len(servers)
            for server in servers[first:] + servers[:first]:
                figures[server.name].append(measure(server, kind, messages, payloads))
        for number, what in enumerate(["processor time", "rate"]):
            ratios = [statistics.median(base / figure[number] for base, figure in zip(loops, figures[server.name]))
                      for server in servers]
            rows.append([f"{title(kind, size)}, {what}", f"{statistics.median(loops) / 1000:,.0f} µs",
                         *(f"{ratio:.2f}" for ratio in ratios)])
            print(rows[-1], file=sys.stderr)
    for what, parameters in [("with context takeover", ""), ("without", ALONE)]:
        rows.append([f"private memory of an idle connection, {what}, KiB", "–",
                     *(f"{idle_memory(server, parameters):,.0f}" for server in servers)])
        print(rows[-1], file=sys.stderr)
    return rows


def parse():
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(description="Compares echo servers with a bare loop of zlib.")
    add = parser.add_argument
    add("--servers", type=bench.some_of(SERVERS), default=list(SERVERS), help=f"some of {', '.join(SERVERS)}")
    add("--without", type=bench.some_of(SERVERS), default=[], help="servers to leave out")
    add("--kinds", type=bench.some_of(["json", "random"]), default=["json", "random"], help="json or random")
    add("--rounds", type=int, default=5)
    add("--program", default=os.environ.get("WS_ECHO", bench.TOP / "ws-echo"), help="the ws-echo to measure")
    add("--static", default=bench.TOP / "ws-echo-static", help="its static flavour, measured where it is there")
    return parser.parse_args()


def main():
    """Run the measurements that the options select, and write the table."""
    options = parse()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # also ends the servers
    BUILD.mkdir(parents=True, exist_ok=True)
    (BUILD / "servers.log").write_text("")
    chosen = [name for name in options.servers if name not in options.without]
    if not os.path.exists(options.static):
        chosen = [name for name in chosen if name != "ws-echo-static"]
    try:
        bench.compiled("zlib_loop.c", "-lz")
        servers = [SERVERS[name](options) for name in chosen]
    except bench.Missing as missing:
        sys.exit(f"compression: {missing}, or leave its server out with --without=")
    for server in servers:
        server.command.append("--deflate" if server.launched else "deflate")
    os.sched_setaffinity(0, CORES[:1])
    rows = measure_all(servers, options)
    lines = [
        f"Measured {datetime.date.today()} on {bench.machine()}: medians of {options.rounds} rounds. The first column is",
        "the processor time of a bare loop of zlib for a message, the others are ratios to it in the same round.",
        "",
        f"| | zlib alone | {' | '.join(server.name for server in servers)} |",
        f"|---|{'---:|' * (len(servers) + 1)}",
        *(f"| {' | '.join(row)} |" for row in rows),
        "",
        f"Versions: {', '.join(f'{server.name} {server.version}' for server in servers if server.version)}.",
    ]
    (BUILD / "compression.md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
