# SPDX-License-Identifier: MIT
"""Random conversations of a client: what it sends, and what it must receive. The same seed gives the same one.

SEED=N is the first seed, COUNT=N the number of conversations, or of random heads, in each test. A failure names its seed:
repeat it with SEED=N COUNT=1. COUNT=100000 takes a night.
"""

import os
import random
import urllib.parse
from typing import NamedTuple

import framing
import launch
from frame_rows import REFUSED, Row
from framing import BINARY, TEXT

SEED, COUNT = int(os.environ.get("SEED", "0")), int(os.environ.get("COUNT", "0"))

WORDS = "the message that is being gathered, and “the one” that was sent before it: ä, €, 😀".split()
LENGTHS = [0, 1, 20, 117, 118, 125, 126, 300, 3000, 30_000]
UNHURRIED = ("--handshake-timeout=1000", "--timeout=0", "--ping-interval=0")  # no timer may expire on a busy machine
PREFIXES = {"server: ": (), "": ("--prefix=",), "ä%": ("--prefix=%C3%A4%25",)}

# Frames that the program answers with its own Close only, by end_id.  RSV1 is left out: compression makes it legal.
VIOLATIONS = [(end, row) for end, rows in REFUSED.items() if end != "rsv-set"
              for row in rows.values() if not isinstance(row, Row) and len(row) < 200]


class Fragment(NamedTuple):
    """A part of a message: a string if it is text, or bytes."""

    part: object
    first: bool
    fin: bool
    compress: bool


class Ping(NamedTuple):
    payload: bytes


class Pong(NamedTuple):
    payload: bytes


class Close(NamedTuple):
    code: object  # None: the body is empty
    reason: str = ""


class Wrong(NamedTuple):
    data: bytes


def seeds(block, usual):
    """The seeds of one of several tests that share the work: `usual` seeds each, unless COUNT is set."""
    count = COUNT or usual
    return range(SEED + block * count, SEED + (block + 1) * count)


def message(chosen, before):
    """A random message, a string or bytes; some are similar to a message that was sent before."""
    size, kind = chosen.choice(LENGTHS), chosen.randrange(5)
    if kind == 0 and before:
        return chosen.choice(before) * chosen.randrange(1, 3)
    if kind == 1:
        return chosen.randbytes(size)
    text = "\0" * size if kind == 2 else " ".join(chosen.choices(WORDS, k=size // 4))
    return text.encode() if chosen.random() < 0.4 else text


SHOWN = object()  # stands for the message that shows the request


class Conversation:
    """`steps` are what the client sends. `expected` is what it must receive: (opcode, text or bytes), and last
    (framing.CLOSE, (code, reason)) if there is a Close. `end` is the end_id of the record. `parameters` are those of an
    offer of permessage-deflate, or None. `options` are those of the program. `target` is that of the request, and
    `words` are the faults that it asks the lab for. `echoed` is the number of messages that are answered."""

    def __init__(self, seed):
        self.seed = seed
        self.target, self.words = "/socket", {}
        self.chosen = chosen = random.Random(seed)
        self.steps, self.expected, before, self.raw = [], [], [], None
        prefix = chosen.choice(list(PREFIXES))
        self.options = UNHURRIED + PREFIXES[prefix]
        self.parameters = None
        if chosen.random() < 0.6:
            self.options += ("--deflate",)
            self.parameters = {
                "server_no_context_takeover": chosen.random() < 0.4,
                "client_no_context_takeover": chosen.random() < 0.4,
                "server_max_window_bits": chosen.choice([None, None, *range(9, 16)]),
                "client_max_window_bits": chosen.choice([None, *range(9, 16)]),
            }
        for _ in range(chosen.randrange(9)):
            content = message(chosen, before)
            before.append(content)
            compress, between = self.parameters is not None and chosen.random() < 0.8, len(self.steps)
            self.steps += self.fragments(content, compress)
            for _ in range(chosen.choice([0, 0, 1, 3])):
                kind, payload = chosen.choice([Ping, Ping, Pong]), chosen.randbytes(chosen.choice([0, 1, 4, 125]))
                # Between two fragments, or in front of the first.
                self.steps.insert(chosen.randrange(between, len(self.steps)), kind(payload))
            self.expected += [(framing.PONG, step.payload) for step in self.steps[between:] if isinstance(step, Ping)]
            self.expected.append((TEXT, prefix + content) if isinstance(content, str) else (BINARY, content))
        self.echoed = len(before)
        self.end_it()
        if chosen.random() < 0.4:
            self.options += ("--lab=/lab",)
            self.ask_the_lab(prefix)

    def ask_the_lab(self, prefix):
        """Choose words, and change what is expected: `expected` has the replies and Pongs of each message together."""
        chosen, words = self.chosen, self.words
        likely = lambda: chosen.random() < 0.3
        messages = [number for number, (opcode, _) in enumerate(self.expected) if opcode in (TEXT, BINARY)]
        if messages and likely():
            words["count"] = chosen.randrange(1, len(messages) + 1)
            self.pull(messages[words["count"] - 1] + 1)
        muted = [name for name in ("echo", "ping", "pong", "close") if likely()]
        if muted:
            words["mute"] = ",".join(muted)
            self.expected = [answer for answer in self.expected if not (
                (answer[0] in (TEXT, BINARY) and "echo" in muted)
                or (answer[0] == framing.PONG and "pong" in muted and answer is not self.raw)
                or (answer[0] == framing.CLOSE and "close" in muted and self.end == "closed-by-peer"))]
        self.echoed = sum(opcode in (TEXT, BINARY) for opcode, _ in self.expected)
        if likely():
            words["hello"] = chosen.choice(["", "hi & bye+1", "€ 😀" * 20])
            self.expected.insert(0, (TEXT, words["hello"]))
        if likely():
            words["headers"] = None
            self.expected.insert(0, SHOWN)
        if likely():
            words["fragment"] = chosen.choice([1, 2, 125, 126, 1000, 40_000])
        if likely():
            words["slice"] = chosen.choice([3000, 65_536])
        for name in ("delay", "latency"):
            if likely():
                words[name] = chosen.choice(["0", "0.001", "0.01"])
        given = list(words)
        chosen.shuffle(given)
        self.target = "/lab?" + "&".join(
            name if words[name] is None else f"{name}={urllib.parse.quote_plus(str(words[name]), safe=',')}" for name in given)

    def pull(self, answered):
        """Choose what follows so many answers: raw bytes that are an unasked Pong, a stall and an end."""
        chosen, words = self.chosen, self.words
        end = chosen.choice([None, "", "4000", "1013", "eof"])
        later = self.expected[answered:]
        if chosen.random() < 0.5 or end is None:
            words["raw"] = "8A0172"
            self.raw = (framing.PONG, b"r")
            later.insert(0, self.raw)
        if chosen.random() < 0.5:
            words["stall"] = "0.01"
        if end is not None:
            words["close"], self.end = end or None, "lab"
            later = later[:1] if "raw" in words else []
        if end is not None and end != "eof":
            words |= {"reason": chosen.choice(["", "genug €"])} if end else {}
            later.append((framing.CLOSE, (int(end or 1005), words.get("reason", ""))))
        self.expected[answered:] = later

    def fragments(self, content, compress):
        """Splits a message into random fragments."""
        cuts = self.chosen.choice([0, 0, 0, 1, 2, 7])
        edges = [0, *sorted(self.chosen.randrange(len(content) + 1) for _ in range(cuts)), len(content)]
        return [Fragment(content[start:stop], number == 0, number == cuts, compress)
                for number, (start, stop) in enumerate(zip(edges, edges[1:]))]

    def end_it(self):
        """Adds the end: a Close of either side, or the end of the stream without a Close."""
        kind = self.chosen.randrange(4)
        if kind < 2:
            self.end = "closed-by-peer"
            code = self.chosen.choice([None, 1000, 1001, 1003, 1011, 3000, 4999])
            reason = self.chosen.choice(["", "enough", "genug €"]) if code else ""
            self.steps.append(Close(code, reason))
            self.expected.append((framing.CLOSE, (code or 1005, reason)))
        elif kind == 2:
            self.end, data = self.chosen.choice(VIOLATIONS)
            self.steps.append(Wrong(data))
            code, reason = framing.CLOSES[self.end]
            self.expected.append((framing.CLOSE, (code, reason.decode())))
        else:
            self.end = "end-of-input"

    def piece(self, data):
        """A size that cuts the data into 1, 2, 7 or 60 pieces."""
        return len(data) // self.chosen.choice([1, 2, 7, 60]) + 1

    def hold(self, client):
        """Runs the conversation with a client implementation. `request()` and `send(step)` return the bytes to send,
        `feed(bytes)` gives it received bytes, and `received` is what it decoded. Asserts the answer and the record."""
        request = client.request()
        self.expected = [(TEXT, "-\r\n" + request.decode()) if answer is SHOWN else answer for answer in self.expected]
        with launch.Served(*self.options, pair=launch.unix_pair) as served:
            served.peer.send(request)
            answer = b""
            while not answer.endswith(b"\r\n\r\n"):
                assert (byte := served.peer.receive(1)), f"seed {self.seed}: no handshake: {answer}"
                answer += byte
            self.feed(client, answer)
            data = b"".join(map(client.send, self.steps))
            data = served.peer.talk(data or framing.frame(framing.PONG), end=True, size=self.piece(data))
            served.peer.close()
            record = launch.record(served.finish())
        size = self.piece(data)
        for at in range(0, len(data), size):
            self.feed(client, data[at : at + size])
        self.judge(client.received)
        assert (record["end_id"], record["messages"], record["bytes_out"]) == (
            self.end, str(self.echoed), str(len(answer + data))), f"seed {self.seed}: {record}"

    def feed(self, client, data):
        try:
            client.feed(data)
        except Exception as error:
            raise AssertionError(f"seed {self.seed}: {error!r}") from error

    def judge(self, received):
        """Asserts that an implementation received what was expected."""
        for number, (one, other) in enumerate(zip(received, self.expected)):
            assert one == other, f"seed {self.seed}, answer {number}: expected {other!r:.200}, received {one!r:.200}"
        assert len(received) == len(self.expected), (
            f"seed {self.seed}: {len(self.expected)} answers expected, {len(received)} received")
