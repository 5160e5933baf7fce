"""How handlers are called: order, slow ones, failing ones, and what they are given."""

from __future__ import annotations

import asyncio
import functools
import gc
import logging
import threading
from typing import Any

import pytest

import roomcast
from conftest import auntil, until


def test_a_connections_events_come_in_order_as_one_object(
    roomcast_engine: Any, roomcast_client: Any
) -> None:
    engine = roomcast_engine()
    told: list[tuple[Any, ...]] = []
    engine.on_open(lambda c: told.append(("open", c)))
    engine.on_message(lambda c, data: told.append((data, c)))
    engine.on_close(lambda c, reason: told.append((reason, c)))
    engine.start()
    client = roomcast_client(engine)
    for number in range(100):
        client.send(str(number))
    client.close(4000, "bye")
    assert client.expect_close() == (4000, "")
    until(lambda: len(told) == 102)
    assert len({id(c) for _, c in told}) == 1
    assert [what for what, _ in told[1:-1]] == [str(n) for n in range(100)]
    reason = told[-1][0]
    assert (reason.name, reason.code, reason.text) == ("peer", 4000, "bye")
    assert not told[-1][1].is_open
    assert str(reason) == "peer 4000: bye"


def test_what_messages_are(roomcast_engine: Any, roomcast_client: Any) -> None:
    for large, kind in (("memoryview", memoryview), ("bytes", bytes)):
        engine = roomcast_engine(large=large)
        told: list[Any] = []
        engine.on_message(lambda c, data: told.append(data))  # noqa: B023
        engine.start()
        client = roomcast_client(engine)
        for message in ("", "ä", b"", b"x" * 2047, b"y" * 2048, "z" * 5000):
            client.send(message)
        until(lambda: len(told) == 6)  # noqa: B023
        assert told[:4] == ["", "ä", b"", b"x" * 2047] and told[5] == "z" * 5000
        assert type(told[4]) is kind and told[4] == b"y" * 2048
        client.end()
        engine.stop()
        # A view keeps its buffer, also when the engine is gone.
        gc.collect()
        assert bytes(told[4]) == b"y" * 2048
        if kind is memoryview:
            assert told[4].readonly and len(told[4].obj) == 2048


async def test_async_handlers_keep_the_order_of_each_connection(
    roomcast_engine: Any, roomcast_client: Any
) -> None:
    engine = roomcast_engine()
    told: dict[Any, list[Any]] = {}

    @engine.on_open
    async def opens(connection: roomcast.Connection) -> None:
        await asyncio.sleep(0.01)
        told[connection] = ["open"]

    @engine.on_message
    async def message(connection: roomcast.Connection, data: str) -> None:
        # The earlier, the longer: without order the last would be first.
        await asyncio.sleep(0.001 * (10 - int(data)))
        told[connection].append(data)

    @engine.on_close
    def closes(connection: roomcast.Connection, reason: roomcast.CloseReason) -> None:
        told[connection].append(reason.name)

    async with engine:
        clients = [roomcast_client(engine) for _ in range(5)]
        for number in range(10):
            for client in clients:
                client.send(str(number))
        for client in clients:
            client.close()
        await auntil(lambda: sum("peer" in all for all in told.values()) == 5)
    wanted = ["open", *map(str, range(10)), "peer"]
    assert all(all == wanted for all in told.values())


async def test_a_slow_handler_holds_up_nobody_else(
    roomcast_engine: Any, roomcast_client: Any
) -> None:
    engine = roomcast_engine()
    gate = asyncio.Event()

    @engine.on_message
    async def message(connection: roomcast.Connection, data: str) -> None:
        if data == "wait":
            await gate.wait()
        connection.send(data)

    async with engine:
        slow, quick = roomcast_client(engine), roomcast_client(engine)
        slow.send("wait")
        slow.send("behind it")
        for number in range(20):
            quick.send(str(number))
            assert await quick.areceive() == str(number)
        gate.set()
        assert await slow.areceive() == "wait"
        assert await slow.areceive() == "behind it"


async def test_a_flood_to_a_slow_handler_is_bounded(
    roomcast_engine: Any, roomcast_client: Any
) -> None:
    engine = roomcast_engine(connection_events_max=8)
    gate = asyncio.Event()
    done = 0

    @engine.on_message
    async def message(connection: roomcast.Connection, data: str) -> None:
        nonlocal done
        await gate.wait()
        done += 1

    async with engine:
        client = roomcast_client(engine)
        assert await client.astatus() == 101
        text, sent = "x" * 1000, 0

        def flood() -> None:
            nonlocal sent
            client._sock.settimeout(0.5)
            try:
                while sent < 5000:
                    client.send(text)
                    sent += 1
            except TimeoutError:
                pass

        await asyncio.to_thread(flood)
        # Not read from: one read of 64 KiB, what the small buffers hold, and no more.
        assert sent < 500, "the peer must be held up"
        assert engine.stats()["messages_in"] < 100
        assert engine.stats()["reads_paused"] > 0
        gate.set()
        await auntil(lambda: done >= sent - 1, "the rest to come once the handler goes on")


def test_exceptions_are_logged_with_the_connection_and_end_nothing(
    roomcast_engine: Any, roomcast_client: Any, caplog: pytest.LogCaptureFixture
) -> None:
    engine = roomcast_engine()

    @engine.on_message
    def message(connection: roomcast.Connection, data: str) -> None:
        if data == "bad":
            raise KeyError("a handler's own mistake")
        connection.send(data)

    engine.start()
    client = roomcast_client(engine)
    client.send("bad")
    client.send("good")
    assert client.receive() == "good"
    (record,) = caplog.records
    assert record.name == "roomcast" and record.levelno == logging.ERROR
    assert "on_message" in record.getMessage() and "Connection" in record.getMessage()
    assert record.exc_info is not None and isinstance(record.exc_info[1], KeyError)


async def test_exceptions_of_async_handlers_too(
    roomcast_engine: Any, roomcast_client: Any, caplog: pytest.LogCaptureFixture
) -> None:
    engine = roomcast_engine()

    @engine.on_message
    async def message(connection: roomcast.Connection, data: str) -> None:
        await asyncio.sleep(0)
        if data == "bad":
            raise KeyError("a handler's own mistake")
        connection.send(data)

    async with engine:
        client = roomcast_client(engine)
        client.send("bad")
        client.send("good")
        assert await client.areceive() == "good"
    assert [record.exc_info[0] for record in caplog.records if record.exc_info] == [KeyError]


async def test_a_plain_function_that_gives_a_coroutine_is_awaited(
    roomcast_engine: Any, roomcast_client: Any
) -> None:
    engine = roomcast_engine()

    async def answer(connection: roomcast.Connection, data: str) -> None:
        await asyncio.sleep(0)
        connection.send(data)

    engine.on_message(lambda connection, data: answer(connection, data))
    async with engine:
        client = roomcast_client(engine)
        client.send("hello")
        assert await client.areceive() == "hello"


async def test_partials_methods_and_objects_are_handlers(
    roomcast_engine: Any, roomcast_client: Any
) -> None:
    class Greets:
        async def __call__(self, connection: roomcast.Connection) -> None:
            connection.send("object")

        async def message(self, extra: str, connection: roomcast.Connection, data: str) -> None:
            connection.send(extra + data)

    engine = roomcast_engine()
    greets = Greets()
    engine.on_open(greets)
    engine.on_message(functools.partial(greets.message, "partial "))
    async with engine:
        client = roomcast_client(engine)
        assert await client.areceive() == "object"
        client.send("x")
        assert await client.areceive() == "partial x"


async def test_handlers_run_on_the_apps_loop_and_in_tasks(
    roomcast_engine: Any, roomcast_client: Any
) -> None:
    engine = roomcast_engine()
    where: dict[str, Any] = {}

    @engine.on_open
    def opens(connection: roomcast.Connection) -> None:
        where["plain"] = (threading.current_thread(), asyncio.get_running_loop())

    @engine.on_message
    async def message(connection: roomcast.Connection, data: str) -> None:
        async with asyncio.timeout(5):
            await asyncio.sleep(0)
        where["async"] = (threading.current_thread(), asyncio.get_running_loop())
        where["task"] = asyncio.current_task()

    async with engine:
        client = roomcast_client(engine)
        client.send("x")
        await auntil(lambda: "task" in where)
    here = (threading.current_thread(), asyncio.get_running_loop())
    assert where["plain"] == where["async"] == here
    assert where["task"] not in (None, asyncio.current_task())


async def test_a_loop_without_add_reader_is_woken_by_a_thread(
    roomcast_engine: Any, roomcast_client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no(*_: Any) -> None:
        raise NotImplementedError

    monkeypatch.setattr(asyncio.get_running_loop(), "add_reader", no, raising=False)
    engine = roomcast_engine()

    @engine.on_message
    async def message(connection: roomcast.Connection, data: str) -> None:
        assert threading.current_thread() is threading.main_thread()
        connection.send(data)

    async with engine:
        client = roomcast_client(engine)
        for number in range(10):
            client.send(str(number))
            assert await client.areceive() == str(number)
    assert not [t for t in threading.enumerate() if t.name == "roomcast-wake" and not t.daemon] or (
        await asyncio.to_thread(ended, "roomcast-wake")
    )


def ended(name: str) -> bool:
    until(lambda: all(thread.name != name for thread in threading.enumerate()))
    return True


def test_state_is_the_hosts_own(roomcast_engine: Any, roomcast_client: Any) -> None:
    engine = roomcast_engine()

    @engine.on_open
    def opens(connection: roomcast.Connection) -> None:
        connection.state.count = 0

    @engine.on_message
    def message(connection: roomcast.Connection, data: str) -> None:
        connection.state.count += 1
        connection.send(str(connection.state.count))

    engine.start()
    one, other = roomcast_client(engine), roomcast_client(engine)
    for wanted in "123":
        one.send("x")
        assert one.receive() == wanted
    other.send("x")
    assert other.receive() == "1"


def test_lag_and_backpressure_are_told(roomcast_engine: Any, roomcast_client: Any) -> None:
    engine = roomcast_engine(
        slow_policy="skip",
        tape_bytes_max=64 * 1024,
        publication_bytes_max=16 * 1024,
        room_ahead_bytes_max=32 * 1024,
        outbox_high_bytes=8 * 1024,
    )
    lags: list[tuple[str, roomcast.Missed]] = []
    pressure: list[bool] = []
    engine.on_connect(lambda c: c.accept(rooms=["a"]))
    engine.on_lag(lambda c, room, missed: lags.append((room, missed)))
    engine.on_backpressure(lambda c, high: pressure.append(high))
    engine.start()
    client = roomcast_client(engine)
    assert client.status == 101
    (ident,) = engine.connections()
    with client.lag():
        end = 0
        while not lags:
            end += 1
            assert end < 100_000
            try:
                engine.publish("a", b"x" * 4096)
            except roomcast.Behind:
                engine.connections()
        for _ in range(50):
            engine.send(ident, b"y" * 4096)
        until(lambda: pressure)
    room, missed = lags[0]
    assert room == "a" and missed.count == missed.last - missed.first + 1 > 0
    assert not missed.replaced
    assert pressure[0] is True
    until(lambda: pressure[-1] is False)
    assert engine.stats()["lagged"] >= missed.count


def test_wrong_handlers_are_told_at_once(roomcast_engine: Any) -> None:
    engine = roomcast_engine()
    with pytest.raises(roomcast.UsageError, match="without"):
        engine.on_open("no function")
    engine.start()
    with pytest.raises(roomcast.UsageError, match="before the engine starts"):
        engine.on_open(print)
    asynchronous = roomcast_engine()

    @asynchronous.on_message
    async def message(connection: roomcast.Connection, data: str) -> None: ...

    with pytest.raises(roomcast.UsageError, match="event loop"):
        asynchronous.start()
    assert not asynchronous.is_running


async def test_a_cancelled_handler_leaves_its_connection_alone_and_usable(
    roomcast_engine: Any, roomcast_client: Any
) -> None:
    engine = roomcast_engine()
    tasks: list[Any] = []

    @engine.on_message
    async def message(connection: roomcast.Connection, data: str) -> None:
        if data == "hang":
            tasks.append(asyncio.current_task())
            await asyncio.Event().wait()
        connection.send(data)

    async with engine:
        client = roomcast_client(engine)
        client.send("hang")
        await auntil(lambda: tasks)
        tasks[0].cancel()
        await asyncio.wait(tasks)
        client.send("next")
        assert await client.areceive() == "next"
