"""What peers ask for in rooms: done where their token allows it, else decided by a handler."""

from __future__ import annotations

import asyncio
import gc
import threading
from typing import Any

import pytest
from conftest import auntil, program, until
from tokens import SECRET, token

import roomcast

KEYS = roomcast.Jwt(hs256=SECRET)
ROOMS = {"open": "join publish", "read": "join"}


def listens(engine: roomcast.Engine) -> None:
    """Peers say `join ROOM` and `publish ROOM`."""

    @engine.on_message
    def message(connection: roomcast.Connection, data: str) -> None:
        verb, room = data.split(" ", 1)
        if verb == "join":
            connection.request_join(room)
        else:
            connection.request_publish(room, "news", exclude=connection)


def test_what_the_token_allows_is_done_and_all_else_is_decided(
    roomcast_engine: Any, roomcast_client: Any
) -> None:
    engine: roomcast.Engine = roomcast_engine(auth=KEYS)
    wishes: list[Any] = []
    listens(engine)

    @engine.on_permission
    def permission(connection: roomcast.Connection, wish: roomcast.Wish) -> bool:
        wishes.append((connection.user, wish.verb, wish.room, wish.data))
        return wish.room == "asked"

    engine.start()
    ada = roomcast_client(engine, f"/?token={token('ada', rooms=ROOMS)}")
    bob = roomcast_client(engine, f"/?token={token('bob', rooms=ROOMS)}")
    for room in ("open", "read", "asked", "closed"):
        ada.send(f"join {room}")
    until(lambda: len(wishes) == 2)
    assert wishes == [("ada", "join", "asked", None), ("ada", "join", "closed", None)]
    until(lambda: engine.rooms() == {"open": 1, "read": 1, "asked": 1})
    for room in ("open", "read", "asked"):
        bob.send(f"publish {room}")
    assert [ada.receive(), ada.receive()] == ["news", "news"]
    assert wishes[2:] == [("bob", "publish", "read", "news"), ("bob", "publish", "asked", "news")]
    until(lambda: engine.stats()["permissions_granted"] == 5)
    assert engine.stats()["permissions_denied"] == 2


async def test_an_async_handler_may_ask_before_it_decides(
    roomcast_engine: Any, roomcast_client: Any
) -> None:
    engine: roomcast.Engine = roomcast_engine()
    listens(engine)

    @engine.on_permission
    async def permission(connection: roomcast.Connection, wish: roomcast.Wish) -> bool:
        await asyncio.sleep(0.01)
        return wish.room == "yes"

    async with engine:
        client = roomcast_client(engine)
        client.send("join yes")
        client.send("join no")
        await auntil(lambda: engine.stats()["permissions_denied"] == 1)
        assert engine.rooms() == {"yes": 1}


async def test_a_plain_function_may_give_an_awaitable(
    roomcast_engine: Any, roomcast_client: Any
) -> None:
    engine: roomcast.Engine = roomcast_engine()
    listens(engine)

    async def ask(room: str) -> bool:
        await asyncio.sleep(0)
        return room == "yes"

    engine.on_permission(lambda conn, wish: ask(wish.room))
    async with engine:
        client = roomcast_client(engine)
        client.send("join no")
        client.send("join yes")
        await auntil(lambda: engine.count("yes") == 1)
        assert engine.rooms() == {"yes": 1}


def test_the_answer_may_come_later_and_only_once(
    roomcast_engine: Any, roomcast_client: Any
) -> None:
    engine: roomcast.Engine = roomcast_engine()
    listens(engine)
    wishes: list[roomcast.Wish] = []

    @engine.on_permission
    def permission(connection: roomcast.Connection, wish: roomcast.Wish) -> Any:
        wishes.append(wish)
        return roomcast.LATER

    engine.start()
    client = roomcast_client(engine)
    for room in ("a", "b", "c"):
        client.send(f"join {room}")
    until(lambda: len(wishes) == 3)
    answered: list[bool] = []
    thread = threading.Thread(target=lambda: answered.append(wishes[0].allow()))
    thread.start()
    thread.join()
    assert answered == [True] and engine.count("a") == 1, "a member when the call returns"
    wishes[1].deny()
    for again in (wishes[0].allow, wishes[0].deny, wishes[1].allow):
        with pytest.raises(roomcast.Answered):
            again()
    assert wishes[0].room == "a" and wishes[0].verb == "join"
    del wishes[2]
    gc.collect()
    until(lambda: engine.stats()["permissions_denied"] == 2, "nobody can answer it any more")


@pytest.mark.parametrize(
    ("answer", "granted", "logged"),
    [
        (True, 1, False),
        (False, 0, False),
        (None, 0, False),
        ("yes", 0, True),
        (ZeroDivisionError(), 0, True),
    ],
    ids=repr,
)
@pytest.mark.parametrize("asynchronous", [False, True])
async def test_what_it_returns_or_raises_is_the_answer(
    roomcast_engine: Any,
    roomcast_client: Any,
    caplog: pytest.LogCaptureFixture,
    answer: Any,
    granted: int,
    logged: bool,
    asynchronous: bool,
) -> None:
    engine: roomcast.Engine = roomcast_engine(verdict_timeout_ms=600_000)
    listens(engine)
    kept: list[roomcast.Wish] = []

    def plain(connection: roomcast.Connection, wish: roomcast.Wish) -> Any:
        kept.append(wish)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def slow(connection: roomcast.Connection, wish: roomcast.Wish) -> Any:
        await asyncio.sleep(0)
        return plain(connection, wish)

    engine.on_permission(slow if asynchronous else plain)
    async with engine:
        roomcast_client(engine).send("join a")

        def is_decided() -> bool:
            stats = engine.stats()
            decided: int = stats["permissions_granted"] + stats["permissions_denied"]
            return decided == 1

        await auntil(is_decided)
        assert engine.count("a") == engine.stats()["permissions_granted"] == granted
    assert bool(caplog.records) == logged


async def test_a_handler_that_is_cancelled_has_denied(
    roomcast_engine: Any, roomcast_client: Any
) -> None:
    engine: roomcast.Engine = roomcast_engine(verdict_timeout_ms=600_000)
    listens(engine)
    kept: list[roomcast.Wish] = []

    @engine.on_permission
    async def permission(connection: roomcast.Connection, wish: roomcast.Wish) -> bool:
        kept.append(wish)
        task = asyncio.current_task()
        assert task is not None
        asyncio.get_running_loop().call_soon(task.cancel)
        await asyncio.sleep(60)
        return True

    async with engine:
        client = roomcast_client(engine)
        client.send("join a")
        await auntil(lambda: engine.stats()["permissions_denied"] == 1)
        client.send("join b")
        await auntil(lambda: engine.stats()["permissions_denied"] == 2, "it goes on")


def test_without_a_handler_it_is_denied(roomcast_engine: Any, roomcast_client: Any) -> None:
    engine: roomcast.Engine = roomcast_engine()
    listens(engine)
    engine.start()
    roomcast_client(engine).send("join a")
    until(lambda: engine.stats()["permissions_denied"] == 1)
    assert engine.rooms() == {}


def test_after_its_time_it_is_too_late(roomcast_engine: Any, roomcast_client: Any) -> None:
    engine: roomcast.Engine = roomcast_engine(verdict_timeout_ms=1)
    listens(engine)
    done: list[bool] = []

    @engine.on_permission
    def permission(connection: roomcast.Connection, wish: roomcast.Wish) -> None:
        threading.Event().wait(0.05)
        done.append(wish.allow())

    engine.start()
    roomcast_client(engine).send("join a")
    until(lambda: done)
    assert done == [False] and engine.count("a") == 0


def test_how_it_wants_to_join_and_what_it_says_reach_the_handler(
    roomcast_engine: Any, roomcast_client: Any
) -> None:
    engine: roomcast.Engine = roomcast_engine(large="bytes")
    wishes: list[Any] = []

    @engine.on_permission
    def permission(connection: roomcast.Connection, wish: roomcast.Wish) -> bool:
        wishes.append((wish.verb, wish.data))
        return True

    engine.on_open(lambda conn: opened.append(conn))
    opened: list[roomcast.Connection] = []
    engine.start()
    client = roomcast_client(engine)
    until(lambda: opened)
    (connection,) = opened
    connection.request_join("a", filter="has(tags.x)")
    until(lambda: engine.count("a") == 1)
    engine.request_join(connection.id, "b", roomcast.Join(keys=["k"]))
    until(lambda: engine.count("b") == 1)
    connection.request_publish("a", {"no": 1})
    connection.request_publish("a", b"\0" * 3000, tags={"x": "1"})
    engine.request_publish(connection, "b", "yes", key="k")
    assert [client.receive(), client.receive()] == [b"\0" * 3000, "yes"]
    assert wishes == [
        ("join", None), ("join", None), ("publish", '{"no":1}'), ("publish", b"\0" * 3000),
        ("publish", "yes"),
    ]
    with pytest.raises(roomcast.RoomNameError):
        connection.request_join("")
    with pytest.raises(roomcast.KeyTooLong):
        connection.request_join("a", keys="k" * 300)
    with pytest.raises(roomcast.PayloadTooLarge):
        connection.request_publish("a", b"x" * 2_000_000)
    with pytest.raises(TypeError):
        connection.request_join("a", roomcast.Join(), keys="k")


def test_a_puller_answers_through_the_event(roomcast_engine: Any, roomcast_client: Any) -> None:
    engine: roomcast.Engine = roomcast_engine(pull=True)
    engine.start()
    events = engine.events()
    client = roomcast_client(engine)
    connect = next(events)
    connect.connection.accept()
    assert next(events).kind == "open" and client.status == 101
    for room in ("a", "b"):
        connect.connection.request_join(room)
    event = next(events)
    assert event.kind == "permission" and event.connection is connect.connection
    assert event.wish is not None and event.wish.room == "a" and event.wish.allow()
    assert engine.rooms() == {"a": 1}
    event = next(events)
    del event
    until(lambda: engine.stats()["permissions_denied"] == 1)


def test_a_stop_denies_what_still_waits(roomcast_engine: Any, roomcast_client: Any) -> None:
    engine: roomcast.Engine = roomcast_engine()
    listens(engine)
    wishes: list[roomcast.Wish] = []

    @engine.on_permission
    def permission(connection: roomcast.Connection, wish: roomcast.Wish) -> Any:
        wishes.append(wish)
        return roomcast.LATER

    engine.start()
    roomcast_client(engine).send("join a")
    until(lambda: wishes)
    engine.stop()
    assert not wishes[0].allow()


def test_a_child_may_let_go_of_wishes_and_of_open_connections() -> None:
    program(
        """
        import os, signal, socket, threading, time, warnings
        import roomcast
        from roomcast.testing import Client
        warnings.simplefilter("ignore", DeprecationWarning)
        engine = roomcast.Engine(shards=1, verdict_timeout_ms=600_000)
        connections, wishes = [], []
        engine.on_connect(lambda conn: conn.accept(claims=roomcast.Claims("ada")))
        engine.on_open(connections.append)

        @engine.on_permission
        def permission(conn, wish):
            wishes.append(wish)
            return roomcast.LATER

        engine.start()
        ours, theirs = socket.socketpair()
        engine.adopt(theirs)
        client = Client(ours)
        late = time.monotonic() + 20
        while not connections:
            assert time.monotonic() < late, "no connection in time"
            time.sleep(0.001)
        ends = threading.Event()

        def ask():
            # The shard's inbox is locked much of the time.
            while not ends.is_set():
                for _ in range(50):
                    connections[0].request_join("a")
                while len(wishes) < 50 and not ends.is_set():
                    time.sleep(0)
                del wishes[:50]

        thread = threading.Thread(target=ask)
        thread.start()
        hung = 0
        for _ in range(100):
            pid = os.fork()
            if pid == 0:
                signal.alarm(5)
                try:
                    connections[0].claims
                except roomcast.UsageError:
                    wishes.clear()
                    connections.clear()
                    os._exit(0)
                os._exit(1)
            hung = os.waitpid(pid, 0)[1]
            if hung:
                break
        ends.set()
        thread.join()
        engine.stop()
        client.end()
        assert not hung, hung
        """
    )
