"""Compression with real clients: whole conversations, and thousands of random ones with two implementations.

What is random is the same in every run.
"""

import asyncio
import os
import pathlib
import random
import subprocess

import pytest
import wire
from parts import require, require_file, require_module
from test_clients import listening
from wire import BINARY, CONTINUATION, PING, PONG, TEXT

SESSIONS = 125  # of each seed
WORDS = "the message that is being gathered, and “the one” that was sent before it: ä, €, 😀".split()


@pytest.fixture(name="url", scope="module")
def listening_with_compression(program):
    with listening(program, "--deflate") as address:
        yield address


# Python's websockets, whose frames and extension are used without its connection, so that they can be sent in any way.

def offered(chosen):
    """The parameters of a random offer."""
    return {
        "server_no_context_takeover": chosen.random() < 0.4,
        "client_no_context_takeover": chosen.random() < 0.4,
        "server_max_window_bits": chosen.choice([None, None, *range(9, 16)]),
        "client_max_window_bits": chosen.choice([None, True, *range(9, 16)]),
    }


def message(chosen, before):
    """A random one as (opcode, payload); some are like one that was sent before."""
    size = chosen.choice([0, 1, 20, 117, 125, 126, 300, 3000, 30_000])
    kind = chosen.randrange(5)
    if kind == 0 and before:
        opcode, payload = chosen.choice(before)
        return opcode, payload * chosen.randrange(1, 3)
    if kind == 1:
        return BINARY, chosen.randbytes(size)
    if kind == 2:
        return chosen.choice([TEXT, BINARY]), bytes(size)
    return chosen.choice([TEXT, BINARY]), " ".join(chosen.choice(WORDS) for _ in range(size // 4)).encode()


def fragments(chosen, opcode, payload):
    """A message as random fragments: (opcode, FIN, payload)."""
    cuts = sorted(chosen.randrange(len(payload) + 1) for _ in range(chosen.choice([0, 0, 0, 1, 2, 7])))
    edges = [0, *cuts, len(payload)]
    return [(CONTINUATION if number else opcode, number == len(cuts), payload[start:end])
            for number, (start, end) in enumerate(zip(edges, edges[1:]))]


@pytest.mark.slow("a process for each of many connections")
@pytest.mark.parametrize("seed", range(8))
def test_random_sessions_of_python3_websockets(seed):
    require_module("websockets", "python3-websockets")
    from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory
    from websockets.frames import Frame, Opcode
    from websockets.headers import build_extension, parse_extension

    chosen = random.Random(seed)
    for _ in range(SESSIONS):
        factory = ClientPerMessageDeflateFactory(**offered(chosen))
        offer = build_extension([(factory.name, factory.get_request_params())])
        with wire.Served("--deflate", "--quiet", pair=wire.unix_pair) as served:
            peer = served.peer
            peer.send(wire.head(f"Sec-WebSocket-Extensions: {offer}"))
            answer = b""
            while not answer.endswith(b"\r\n\r\n"):
                answer += peer.receive(1)
            ((name, parameters),) = parse_extension(wire.Answer(answer).fields["sec-websocket-extensions"])
            assert name == factory.name
            extension = factory.process_response_params(parameters, [])
            before = []
            for _ in range(chosen.randrange(1, 9)):
                opcode, payload = message(chosen, before)
                before.append((opcode, payload))
                compress, pings, sent = chosen.random() < 0.8, 0, b""
                for code, fin, part in fragments(chosen, opcode, payload):
                    frame = Frame(opcode=Opcode(code), data=part, fin=fin)
                    if compress:
                        frame = extension.encode(frame)
                    sent += wire.frame(code, bytes(frame.data), fin=fin, rsv=4 if frame.rsv1 else 0,
                                       key=chosen.randbytes(4))
                    if chosen.random() < 0.1:
                        sent, pings = sent + wire.frame(PING, b"p"), pings + 1
                cut = chosen.randrange(len(sent))
                peer.send(sent[:cut])
                peer.send(sent[cut:])
                received = []
                while len(received) < pings + 1:
                    first, length = peer.receive(2)
                    if length >= 126:
                        length = int.from_bytes(peer.receive(2 if length == 126 else 8), "big")
                    frame = Frame(opcode=Opcode(first & 0x0F), data=peer.receive(length), fin=True, rsv1=bool(first & 0x40))
                    if frame.opcode != PONG:
                        assert frame.rsv1 == compress and first & 0xB0 == 0x80, (first, offer)
                        frame = extension.decode(frame)
                    received.append((frame.opcode, bytes(frame.data)))
                expected = (opcode, wire.PREFIX + payload if opcode == TEXT else payload)
                assert sorted(received) == sorted([(PONG, b"p")] * pings + [expected]), (seed, offer)
            peer.send(wire.close(1000))
            assert peer.rest() == wire.reply(wire.CLOSE, wire.close_body(1000)), (seed, offer)


def test_python3_websockets_compresses(url):
    require_module("websockets", "python3-websockets")
    import websockets

    async def talk():
        async with websockets.connect(url, compression="deflate", max_size=None) as client:
            connection = getattr(client, "protocol", client)  # it has one from version 14 on
            assert [extension.name for extension in connection.extensions] == ["permessage-deflate"]
            for text in ("Hello wörld €😀", "", "x" * 200_000, "", ""):
                await client.send(text)
                assert await client.recv() == "server: " + text
            for data in (b"\0\xff\x80", b"", bytes(range(256)) * (1 << 16)):
                await client.send(data)
                assert await client.recv() == data
            await client.send(part for part in ("frag", "", "men", "ted"))
            assert await client.recv() == "server: fragmented"

    asyncio.run(asyncio.wait_for(talk(), wire.LIMIT))


def test_tornado_compresses(url):
    require_module("tornado", "python3-tornado")
    from tornado.websocket import websocket_connect

    async def talk():
        client = await websocket_connect(url, max_message_size=1 << 30, compression_options={})
        assert "permessage-deflate" in client.headers["Sec-WebSocket-Extensions"]
        for text in ("Hello wörld €😀", "", "x" * 200_000):
            await client.write_message(text)
            assert await client.read_message() == "server: " + text
        for data in (b"\0\xff\x80", b"", bytes(range(256)) * (1 << 16)):
            await client.write_message(data, binary=True)
            assert await client.read_message() == data
        client.close(4321, "enough")
        assert await client.read_message() is None

    asyncio.run(asyncio.wait_for(talk(), wire.LIMIT))


# Node's ws.

@pytest.mark.slow("a process for each of many connections")
@pytest.mark.parametrize("seed", range(1, 9))
def test_random_sessions_of_ws_of_node(url, seed):
    node = require("node", "nodejs")
    folder = "/usr/share/nodejs"  # where Debian's packages are, also for a node that is not Debian's
    require_file(f"{folder}/ws", "node-ws")
    script = pathlib.Path(__file__).with_name("random_sessions.js")
    result = subprocess.run([node, script, url, str(seed), str(SESSIONS)], capture_output=True, text=True, check=False,
                            env={**os.environ, "NODE_PATH": folder}, timeout=4 * wire.LIMIT)
    assert (result.returncode, result.stderr, result.stdout) == (0, "", f"{SESSIONS} sessions\n"), result
