# SPDX-License-Identifier: MIT
"""Compression with real clients; test_oracles.py runs thousands of random conversations."""

import asyncio

import project
import pytest
from launch import listening
from require import require_module
from rule import rule

pytestmark = rule("RFC 7692 5.1 (1)")


@pytest.fixture(name="url", scope="module")
def listening_with_compression(program):
    with listening(program, "--deflate") as address:
        yield address


def test_python3_websockets_compresses(url):
    require_module("websockets", "python3-websockets")
    import websockets

    async def talk():
        async with websockets.connect(url, compression="deflate", max_size=None) as client:
            connection = getattr(client, "protocol", client)  # the attribute exists since version 14
            assert [extension.name for extension in connection.extensions] == ["permessage-deflate"]
            for text in ("Hello wörld €😀", "", "x" * 200_000, "", ""):
                await client.send(text)
                assert await client.recv() == "server: " + text
            for data in (b"\0\xff\x80", b"", bytes(range(256)) * (1 << 16)):
                await client.send(data)
                assert await client.recv() == data
            await client.send(part for part in ("frag", "", "men", "ted"))
            assert await client.recv() == "server: fragmented"

    asyncio.run(asyncio.wait_for(talk(), project.LIMIT))


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

    asyncio.run(asyncio.wait_for(talk(), project.LIMIT))
