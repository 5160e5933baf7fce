"""The Python side of interop.test.mjs: websockets against the echo and rooms examples.

Called as `python_client.py WHAT URL`, where WHAT is one of the coroutines at the end; exits with 0
when all of what it says held.
"""

import asyncio
import json
import os
import sys

from websockets.asyncio.client import connect
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory

WAIT_S = 10

# What is asked for, and the window that the server is to have agreed on.
OFFERS = [
    ({}, 15),
    ({"server_max_window_bits": 9}, 9),
    ({"server_max_window_bits": 10}, 9),
    ({"server_max_window_bits": 15}, 15),
    ({"client_max_window_bits": True}, 15),
    ({"client_max_window_bits": 9}, 15),
    ({"server_no_context_takeover": True, "client_no_context_takeover": True}, 15),
    ({"compress_settings": {"level": 9, "memLevel": 9}}, 15),
]


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


def offering(url, offer):
    extensions = [ClientPerMessageDeflateFactory(**offer)]
    return connect(url, max_size=None, compression=None, extensions=extensions)


def items(count):
    return json.dumps([{"id": n, "name": "item %d" % n, "tags": ["new"]} for n in range(count)])


async def deflate(url):
    for offer, window_bits in OFFERS:
        async with offering(url, offer) as socket:
            (agreed,) = socket.protocol.extensions
            assert agreed.remote_max_window_bits == window_bits, "%r: %r" % (offer, agreed)
            assert agreed.remote_no_context_takeover and agreed.local_no_context_takeover
            dense = [os.urandom(300), os.urandom(1 << 20)]
            for message in ["", b"", "short", items(30), items(25_000), bytes(1 << 20)] + dense:
                await socket.send(message)
                assert await received(socket) == message, "%r came back changed" % message[:20]
            parts = [items(50), items(1), "", items(70)]
            await socket.send(parts)
            assert await received(socket) == "".join(parts)
        assert socket.close_code == 1000, "closed with %r" % socket.close_code


async def mixed(url):
    offers = [offer for offer, _ in OFFERS]
    plain = connect(url, compression=None)
    async with plain as first, offering(url, offers[0]) as wide, offering(url, offers[1]) as narrow:
        members = [first, wide, narrow]
        messages = [items(n + 10) if n % 3 else "%d" % n for n in range(150)]
        for n, message in enumerate(messages):
            await members[n // 50].send(message)
            for socket in members:
                assert await received(socket) == message, "what all hear"


called = {"echo": echo, "rooms": rooms, "deflate": deflate, "mixed": mixed}
asyncio.run(called[sys.argv[1]](sys.argv[2]))
