# SPDX-License-Identifier: MIT
"""Real clients, end to end: each connection accepted by systemd-socket-activate, as in `make run`."""

import asyncio
import json
import os
import pathlib
import subprocess

import framing
import launch
import project
import pytest
from require import require, require_file, require_module
from rule import rule

pytestmark = rule("ws-echo(8) STANDARDS", "Real clients and browsers exchange messages with the program.")

LARGE = bytes(range(256)) * (1 << 16)
OPTIONS = ["--subprotocol=chat", "--subprotocol=superchat"]


@pytest.fixture(name="url", scope="module")
def listening_without_compression(program):
    with launch.listening(program, *OPTIONS) as address:
        yield address


# Debian's python3-websockets.

def test_python3_websockets(url):
    require_module("websockets", "python3-websockets")
    import websockets

    async def talk():
        subprotocols = ["other", "superchat", "chat"]
        async with websockets.connect(url, subprotocols=subprotocols, max_size=None) as client:
            assert client.subprotocol == "superchat"
            for message in ("Hello wörld €😀", "", "x" * 200_000):
                await client.send(message)
                assert await client.recv() == "server: " + message
            for message in (b"\0\xff\x80", b"", LARGE):
                await client.send(message)
                assert await client.recv() == message
            await client.send(part for part in ("frag", "", "men", "ted"))
            assert await client.recv() == "server: fragmented"
            await client.send(part for part in (b"\1", b"", b"\2"))
            assert await client.recv() == b"\1\2"
            await asyncio.wait_for(await client.ping(b"are you there?"), project.LIMIT)
            await client.close(4321, "enough")
        assert (client.close_code, client.close_reason) == (4321, "enough")

    asyncio.run(asyncio.wait_for(talk(), project.LIMIT))


def test_python3_websockets_offers_compression_and_lives_without(url):
    require_module("websockets", "python3-websockets")
    import websockets

    async def talk():
        async with websockets.connect(url, compression="deflate") as client:
            connection = getattr(client, "protocol", client)  # the attribute exists since version 14
            assert connection.extensions == []
            await client.send("a" * 1000)
            assert await client.recv() == "server: " + "a" * 1000

    asyncio.run(asyncio.wait_for(talk(), project.LIMIT))


def test_python3_websockets_sees_a_refusal(url):
    require_module("websockets", "python3-websockets")
    import websockets.exceptions

    async def talk():
        with pytest.raises(websockets.exceptions.InvalidHandshake) as refusal:
            await websockets.connect(url + "/other")
        answer = getattr(refusal.value, "response", refusal.value)  # the attribute exists since version 14
        assert answer.status_code == 404

    asyncio.run(asyncio.wait_for(talk(), project.LIMIT))


@rule("RFC 6455 5.4 (5)")
def test_python3_websockets_sends_many_messages_at_once(url):
    require_module("websockets", "python3-websockets")
    import websockets

    async def talk():
        async with websockets.connect(url) as client:
            for number in range(1000):
                await client.send(f"message {number}")
            for number in range(1000):
                assert await client.recv() == f"server: message {number}"

    asyncio.run(asyncio.wait_for(talk(), project.LIMIT))


@rule("RFC 6455 11.3 (3)")
def test_python3_websockets_offers_an_empty_list_of_subprotocols(url):
    require_module("websockets", "python3-websockets")
    import websockets

    async def talk():
        async with websockets.connect(url, subprotocols=[]) as client:
            assert client.subprotocol is None
            await client.send("none")
            assert await client.recv() == "server: none"

    asyncio.run(asyncio.wait_for(talk(), project.LIMIT))


# Debian's python3-websocket.

def test_python3_websocket(url):
    require_module("websocket", "python3-websocket")
    import websocket

    client = websocket.create_connection(url, timeout=project.LIMIT, subprotocols=["chat"])
    assert client.getsubprotocol() == "chat"
    for message in ("Hello wörld €😀", ""):
        client.send(message)
        assert client.recv() == "server: " + message
    for message in (b"\0\xff\x80", b"", LARGE):
        client.send_binary(message)
        assert client.recv() == message
    for part, opcode, fin in (("frag", websocket.ABNF.OPCODE_TEXT, 0), ("men", websocket.ABNF.OPCODE_CONT, 0),
                              ("ted", websocket.ABNF.OPCODE_CONT, 1)):
        client.send_frame(websocket.ABNF.create_frame(part, opcode, fin))
    assert client.recv() == "server: fragmented"
    client.ping("are you there?")
    opcode, frame = client.recv_data_frame(control_frame=True)
    assert (opcode, frame.data) == (websocket.ABNF.OPCODE_PONG, b"are you there?")
    client.send_close(4321, b"enough")
    opcode, frame = client.recv_data_frame(control_frame=True)
    assert (opcode, frame.data) == (websocket.ABNF.OPCODE_CLOSE, framing.close_body(4321, b"enough"))
    client.shutdown()


# The client of Tornado.

def test_tornado(url):
    require_module("tornado", "python3-tornado")
    from tornado.websocket import websocket_connect

    async def talk():
        pongs = asyncio.Queue()
        client = await websocket_connect(url, subprotocols=["superchat"], max_message_size=1 << 30,
                                         compression_options={})
        assert client.selected_subprotocol == "superchat"
        client.protocol.handler.on_pong = pongs.put_nowait
        for message in ("Hello wörld €😀", ""):
            await client.write_message(message)
            assert await client.read_message() == "server: " + message
        for message in (b"\0\xff\x80", b"", LARGE):
            await client.write_message(message, binary=True)
            assert await client.read_message() == message
        client.ping(b"are you there?")
        assert await pongs.get() == b"are you there?"
        client.close(4321, "enough")
        assert await client.read_message() is None
        assert (client.close_code, client.close_reason) == (4321, "enough")

    asyncio.run(asyncio.wait_for(talk(), project.LIMIT))


# Node's ws.

def test_ws_of_node(url):
    node = require("node", "nodejs")
    folder = "/usr/share/nodejs"  # the folder of Debian's packages; another node does not search it
    require_file(f"{folder}/ws", "node-ws")
    script = pathlib.Path(__file__).with_name("client.js")
    result = subprocess.run([node, script, url, "chat"], capture_output=True, timeout=project.LIMIT, check=False,
                            env={**os.environ, "NODE_PATH": folder})
    assert (result.returncode, result.stderr) == (0, b""), result
    assert [json.loads(line) for line in result.stdout.splitlines()] == [
        ["open", "chat", ""],
        ["message", False, "server: Hello wörld €😀".encode().decode("latin-1")],
        ["message", False, "server: "],
        ["message", True, "\0\xff\x80"],
        ["message", True, ""],
        ["message", False, "server: fragmented"],
        ["message", True, [len(LARGE), True]],
        ["pong", "are you there?"],
        ["close", 4321, "enough"],
    ]
