"""The Python side of interop.test.mjs: websockets against the echo and rooms examples.

Called as `python_client.py echo URL` or `python_client.py rooms URL`; exits with 0 when all of
what it says held.
"""

import asyncio
import sys

from websockets.asyncio.client import connect

WAIT_S = 10


async def received(socket):
    return await asyncio.wait_for(socket.recv(), WAIT_S)


async def echo(url):
    async with connect(url, max_size=None) as socket:
        long = ["x" * 70_000, b"y" * 300_000]
        for message in ["", "plain", "Grüße ✓ 𝄞", b"", b"\x00\xff\x80"] + long:
            await socket.send(message)
            assert await received(socket) == message, "%r came back changed" % message[:20]
        await socket.send(["one ", "message ", "in ", "frag", "ments"])
        assert await received(socket) == "one message in fragments"
        pong = await socket.ping()
        await asyncio.wait_for(pong, WAIT_S)
    assert socket.close_code == 1000, "closed with %r" % socket.close_code


async def rooms(url):
    async with connect(url) as first, connect(url) as second:
        await first.send("from the first")
        for socket in (first, second):
            assert await received(socket) == "from the first"
        numbered = [b"%d" % number for number in range(200)]
        for message in numbered:
            await second.send(message)
        for socket in (first, second):
            assert [await received(socket) for _ in numbered] == numbered, "order within a room"


asyncio.run({"echo": echo, "rooms": rooms}[sys.argv[1]](sys.argv[2]))
