# SPDX-License-Identifier: MIT
"""An echo server with the websockets library: websockets_echo.py PORT PREFIX [deflate]."""

import asyncio
import sys

import websockets
from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory

PORT, PREFIX = int(sys.argv[1]), sys.argv[2]


async def echo(connection):
    """Take a connection; echo text with the prefix in front, and binary messages as they are."""
    async for message in connection:
        await connection.send(message if isinstance(message, bytes) else PREFIX + message)


async def main():
    """Serve for ever."""
    options = {"compression": None, "max_size": 16 << 20, "ping_interval": None}
    if "deflate" in sys.argv[3:]:
        settings = {"level": 6, "memLevel": 8}
        options["extensions"] = [ServerPerMessageDeflateFactory(compress_settings=settings)]
    async with websockets.serve(echo, "127.0.0.1", PORT, **options):
        await asyncio.Future()


asyncio.run(main())
