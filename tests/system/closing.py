# SPDX-License-Identifier: MIT
"""One WebSocket of a Python library: `closing.py websockets|aiohttp URL PLAN` prints the same as closing.js."""

import asyncio
import contextlib
import json
import sys

MESSAGE = bytes(1 << 20)


def watch(transport, errors):
    """Records the error with which a connection is lost, if any."""
    protocol = transport.get_protocol()
    lost = protocol.connection_lost

    def connection_lost(error):
        if error:
            errors.append(type(error).__name__)
        lost(error)

    protocol.connection_lost = connection_lost


async def follow(plan, transport, send, close=None):
    """What `plan` says, with functions that send a binary message and close."""
    if plan.get("raw"):
        transport.write(bytes.fromhex(plan["raw"]))
    if plan.get("send"):
        await send(bytes(plan["send"]))
    while plan.get("flood"):
        await send(MESSAGE)
        await asyncio.sleep(0)  # a send that does not block never yields to other tasks
    if plan.get("close"):
        await close(*plan["close"])


async def with_websockets(url, plan, errors):
    import websockets

    client = await websockets.connect(url, max_size=None)
    watch(client.transport, errors)
    await client.send("ready")
    await client.recv()
    following = asyncio.create_task(follow(plan, client.transport, client.send, client.close))
    with contextlib.suppress(websockets.exceptions.ConnectionClosed):
        await client.recv()
    await client.wait_closed()
    await asyncio.gather(following, return_exceptions=True)
    connection = getattr(client, "protocol", client)  # the attribute exists since version 14
    clean = connection.close_rcvd is not None and connection.close_sent is not None
    return {"code": client.close_code, "reason": client.close_reason, "wasClean": clean}


async def with_aiohttp(url, plan, errors):
    """Of the answer to its own Close this library tells the code, and not the reason."""
    import aiohttp

    async with aiohttp.ClientSession() as session, session.ws_connect(url, max_msg_size=0) as client:
        transport = client._response.connection.transport
        watch(transport, errors)
        await client.send_str("ready")
        await client.receive()

        reason = None
        if plan.get("close"):  # close() must not be called while receive() waits
            code, message = plan["close"]
            await client.close(code=code, message=message.encode())
        else:
            following = asyncio.create_task(follow(plan, transport, client.send_bytes))
            reason = (await client.receive()).extra
            await asyncio.gather(following, return_exceptions=True)
        clean = client.closed and client.exception() is None and client.close_code != 1006
        return {"code": client.close_code, "reason": reason, "wasClean": clean}


def main():
    library, url, plan = sys.argv[1:]
    errors = []
    told = asyncio.run({"websockets": with_websockets, "aiohttp": with_aiohttp}[library](url, json.loads(plan), errors))
    print(json.dumps({**told, "errors": errors}))


if __name__ == "__main__":
    main()
