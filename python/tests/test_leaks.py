"""What stays behind when many have come and gone."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
import sys
import weakref
from typing import Any

import pytest

import roomcast
from conftest import auntil, until
from tokens import SECRET, token

HEAD = (
    b"GET /room HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
#: A masked text frame "hi" and a masked close frame.
TALK = b"\x81\x82\0\0\0\0hi\x88\x80\0\0\0\0"
#: The bytes of the first of them.
HI = 8
AT_ONCE = 100
IN_ALL = 10_000


def resident() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE")


def visits(
    engine: roomcast.Engine, count: int, path: bytes = b"/room", said: int = len(TALK)
) -> None:
    """So many come, say something and leave: at once, or when they are told to."""
    for _ in range(count // AT_ONCE):
        ends = []
        for _ in range(AT_ONCE):
            ours, theirs = socket.socketpair()
            engine.adopt(theirs)
            ours.sendall(HEAD.replace(b"/room", path) + TALK[:said])
            ends.append(ours)
        for end in ends:
            end.settimeout(20)
            while data := end.recv(4096):
                if said < len(TALK) and b"\x88" in data:
                    end.sendall(TALK[said:])
            end.close()


class Count:
    """Handlers of each kind that keep nothing."""

    def __init__(self, engine: roomcast.Engine, asynchronous: bool) -> None:
        self.closed = 0
        self.last: weakref.ref[roomcast.Connection] | None = None

        def connect(connection: roomcast.Connection) -> None:
            connection.state.me = connection
            connection.accept(user="u", rooms=["a"])

        async def message(connection: roomcast.Connection, data: str) -> None:
            await asyncio.sleep(0)
            connection.send(data)

        def plain(connection: roomcast.Connection, data: str) -> None:
            connection.send(data)

        def closes(connection: roomcast.Connection, reason: roomcast.CloseReason) -> None:
            self.closed += 1
            self.last = weakref.ref(connection)

        engine.on_connect(connect)
        engine.on_message(message if asynchronous else plain)
        engine.on_close(closes)


def has_gone(last: weakref.ref[roomcast.Connection] | None) -> bool:
    """Whether the last connection was let go of: its task does so a round of the loop later."""
    gc.collect()
    return last is not None and last() is None


def settled() -> tuple[int, int]:
    gc.collect()
    blocks = sys.getallocatedblocks()
    return resident(), blocks


def check(first: tuple[int, int], second: tuple[int, int]) -> None:
    grown, blocks = second[0] - first[0], second[1] - first[1]
    assert blocks < 2_000, f"{blocks} blocks of Python's stay behind {IN_ALL} connections"
    assert grown < 200 * IN_ALL, f"{grown / IN_ALL:.0f} bytes a connection stay behind"


@pytest.mark.parametrize("asynchronous", [False, True])
async def test_ten_thousand_connections_leave_nothing(
    roomcast_engine: Any, asynchronous: bool
) -> None:
    engine = roomcast_engine()
    count = Count(engine, asynchronous)
    async with engine:
        await asyncio.to_thread(visits, engine, 2_000)
        await auntil(lambda: count.closed == 2_000)
        await auntil(lambda: has_gone(count.last))
        first = settled()
        await asyncio.to_thread(visits, engine, IN_ALL)
        await auntil(lambda: count.closed == 2_000 + IN_ALL)
        await auntil(lambda: has_gone(count.last))
        check(first, settled())
        assert engine.rooms() == {}


def test_nor_do_those_that_only_spoke(roomcast_engine: Any) -> None:
    # Objects are made for messages, and there is no close event to end them.
    engine = roomcast_engine()
    seen: list[weakref.ref[roomcast.Connection]] = []
    engine.on_message(lambda connection, data: seen.append(weakref.ref(connection)))
    engine.start()
    visits(engine, 2_000)
    until(lambda: len(seen) == 2_000)
    seen.clear()
    first = settled()
    visits(engine, IN_ALL)
    until(lambda: len(seen) == IN_ALL)
    visits(engine, AT_ONCE)
    until(lambda: sum(ref() is not None for ref in seen) <= 2 * AT_ONCE)
    seen.clear()
    check(first, settled())


@pytest.mark.parametrize("asynchronous", [False, True])
async def test_nor_do_tokens_and_wishes(roomcast_engine: Any, asynchronous: bool) -> None:
    engine = roomcast_engine(auth=roomcast.Jwt(hs256=SECRET))
    told = 0
    last: weakref.ref[roomcast.Connection] | None = None

    @engine.on_connect
    def connect(connection: roomcast.Connection) -> None:
        nonlocal last
        last = weakref.ref(connection)
        connection.state.me = connection
        connection.accept(info=connection.claims.info)

    @engine.on_message
    def message(connection: roomcast.Connection, data: str) -> None:
        connection.request_publish("a", data)

    def plain(connection: roomcast.Connection, wish: roomcast.Wish) -> bool:
        nonlocal told
        told += 1
        connection.state.wish = wish
        connection.close()
        return bool(told % 2)

    async def waits(connection: roomcast.Connection, wish: roomcast.Wish) -> bool:
        await asyncio.sleep(0)
        return plain(connection, wish)

    engine.on_permission(waits if asynchronous else plain)
    path = f"/?token={token(info={'name': 'Ada'})}".encode()
    async with engine:
        for count in (2_000, IN_ALL):
            await asyncio.to_thread(visits, engine, count, path, HI)
            await auntil(lambda: engine.stats()["connections"] == 0)
            await auntil(lambda: has_gone(last))
            if count == 2_000:
                first = settled()
        check(first, settled())
        assert told == 2_000 + IN_ALL


def test_publishing_keeps_no_reference(roomcast_engine: Any) -> None:
    engine = roomcast_engine()
    engine.start()
    data, text, room = b"x" * 1000, "y" * 1000, engine.room("a")
    name, value = "".join(["na", "me"]), "".join(["val", "ue"])
    objects = [data, text, name, value, engine]
    before = [sys.getrefcount(one) for one in objects]
    for _ in range(1000):
        engine.publish("a", data, event=name, key=value, tags={name: value})
        engine.publish_tracked("a", data, tags=[(name, value)])
        room.publish(text, key=name)
        engine.publish_many([("a", data), ("b", text)])
        roomcast.Filter.eq(name, value).matches(tags={name: value})
    assert [sys.getrefcount(one) for one in objects] == before


@pytest.mark.parametrize("asynchronous", [False, True])
async def test_reports_leave_nothing(roomcast_engine: Any, asynchronous: bool) -> None:
    engine = roomcast_engine()
    told = 0

    def plain(room: str, delivery: roomcast.Delivery) -> None:
        nonlocal told
        told += 1

    async def waits(room: str, delivery: roomcast.Delivery) -> None:
        await asyncio.sleep(0)
        plain(room, delivery)

    engine.on_delivered(waits if asynchronous else plain)
    async with engine:
        room = engine.room("a")
        for reports in (2_000, 12_000):
            while told < reports:
                wanted = told + 500
                for _ in range(500):
                    room.publish_tracked("x")
                await auntil(lambda: told == wanted)
            # Tasks that are done are let go of a round of the loop later.
            await asyncio.sleep(0)
            if reports == 2_000:
                first = settled()
        check(first, settled())
