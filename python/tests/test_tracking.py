"""What became of publications: handlers, events, and what is counted."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

import roomcast
from conftest import auntil, until
from roomcast import Delivery, Join, Tracked


def counts(delivery: Delivery) -> tuple[int, int, int, int, int]:
    return (
        delivery.reached,
        delivery.filtered,
        delivery.skipped,
        delivery.conflated,
        delivery.lagging,
    )


def test_a_report_for_each_with_the_same_token(roomcast_engine: Any, roomcast_client: Any) -> None:
    engine: roomcast.Engine = roomcast_engine(shards=2)
    told: dict[int, tuple[str, Delivery]] = {}
    rooms = [{"a": Join(filter="tags.side == 'bid'")}, ["a"], ["a"]]
    engine.on_connect(lambda c: c.accept(rooms=rooms.pop()))
    engine.on_delivered(lambda room, delivery: told.update({delivery.token: (room, delivery)}))
    engine.start()
    clients = [roomcast_client(engine) for _ in range(3)]
    assert [client.status for client in clients] == [101] * 3
    until(lambda: engine.count("a") == 3)
    first = engine.members("a")[0]
    tracked = [
        engine.publish_tracked("a", "1", tags={"side": "ask"}),
        engine.room("a").publish_tracked("2", event="e", key="k", tags={"side": "bid"}),
        engine.publish_tracked("a", "3", exclude=first, tags={"side": "bid"}),
        engine.publish_tracked("nobody", "4"),
    ]
    until(lambda: len(told) == 4)
    for one in tracked:
        room, delivery = told[one.token]
        assert delivery.offset == one.offset and room == ("nobody" if one is tracked[3] else "a")
    assert [one.members for one in tracked] == [3, 3, 3, 0]
    assert [one.offset for one in tracked] == [1, 2, 3, None]
    assert counts(told[tracked[0].token][1]) == (2, 1, 0, 0, 0)
    assert counts(told[tracked[1].token][1]) == (3, 0, 0, 0, 0)
    assert counts(told[tracked[2].token][1]) == (2, 0, 1, 0, 0)
    assert counts(told[tracked[3].token][1]) == (0, 0, 0, 0, 0)
    assert len({one.token for one in tracked}) == 4
    assert isinstance(tracked[0], Tracked) and hash(tracked[0]) != hash(tracked[1])
    assert repr(tracked[3]) == f"Tracked(token={tracked[3].token}, offset=None, members=0)"
    assert repr(told[tracked[1].token][1]) == (
        f"Delivery(token={tracked[1].token}, offset=2, reached=3, filtered=0, skipped=0, "
        "conflated=0, lagging=0)"
    )


def test_who_is_behind_is_counted_as_lagging(roomcast_engine: Any, roomcast_client: Any) -> None:
    engine: roomcast.Engine = roomcast_engine()
    told: list[Delivery] = []
    engine.on_connect(lambda c: c.accept(rooms=["a"]))
    engine.on_delivered(lambda room, delivery: told.append(delivery))
    engine.start()
    slow, quick = roomcast_client(engine), roomcast_client(engine)
    assert slow.status == quick.status == 101
    with slow.lag():
        sent = 0
        while not told or told[-1].lagging == 0:
            sent += 1
            assert sent < 1000
            engine.publish_tracked("a", b"x" * 4096)
            assert len(quick.receive()) == 4096
            until(lambda: len(told) == sent)
    assert counts(told[-1]) == (1, 0, 0, 0, 1)


def test_a_handler_that_fails_is_logged_and_the_next_is_called(
    roomcast_engine: Any, caplog: pytest.LogCaptureFixture
) -> None:
    engine: roomcast.Engine = roomcast_engine()
    told: list[int] = []

    @engine.on_delivered
    def delivered(room: str, delivery: Delivery) -> None:
        told.append(delivery.token)
        raise RuntimeError("it fails")

    with caplog.at_level(logging.ERROR, "roomcast"), engine:
        one, two = engine.publish_tracked("a", "x"), engine.publish_tracked("a", "y")
        until(lambda: len(told) == 2)
    assert told == [one.token, two.token]
    assert [record.getMessage() for record in caplog.records] == ["on_delivered has failed"] * 2


@pytest.mark.parametrize("wrapped", [False, True])
async def test_async_handlers_do_not_wait_for_each_other(
    roomcast_engine: Any, caplog: pytest.LogCaptureFixture, wrapped: bool
) -> None:
    engine: roomcast.Engine = roomcast_engine()
    told: list[int] = []
    opens = asyncio.Event()

    async def delivered(room: str, delivery: Delivery) -> None:
        if delivery.token == 1:
            await opens.wait()
        if delivery.token == 3:
            raise RuntimeError("it fails")
        told.append(delivery.token)

    # A plain function that gives an awaitable is as good.
    handler = (lambda room, delivery: delivered(room, delivery)) if wrapped else delivered
    engine.on_delivered(handler)
    async with engine:
        tokens = [engine.publish_tracked("a", "x").token for _ in range(4)]
        assert tokens == [1, 2, 3, 4]
        await auntil(lambda: told == [2, 4])
        opens.set()
        await auntil(lambda: told == [2, 4, 1])
    assert [record.getMessage() for record in caplog.records] == ["on_delivered has failed"]


async def test_a_report_that_is_being_handled_is_waited_for_at_the_stop(
    roomcast_engine: Any,
) -> None:
    engine: roomcast.Engine = roomcast_engine()
    told: list[str] = []

    @engine.on_delivered
    async def delivered(room: str, delivery: Delivery) -> None:
        told.append("begun")
        await asyncio.sleep(0.05)
        told.append("done")

    async with engine:
        engine.publish_tracked("a", "x")
        await auntil(lambda: told)
    assert told == ["begun", "done"]


def test_async_handlers_need_a_loop(roomcast_engine: Any) -> None:
    engine: roomcast.Engine = roomcast_engine()

    @engine.on_delivered
    async def delivered(room: str, delivery: Delivery) -> None: ...

    with pytest.raises(roomcast.UsageError, match="on_delivered is a coroutine function"):
        engine.start()


def test_reports_are_pulled(roomcast_engine: Any, roomcast_client: Any) -> None:
    engine: roomcast.Engine = roomcast_engine(pull=True)
    engine.start()
    events = engine.events()
    client = roomcast_client(engine)
    next(events).connection.accept(rooms=["a"])
    assert client.status == 101 and next(events).kind == "open"
    tracked = engine.publish_tracked("a", "x")
    event = next(events)
    assert (event.kind, event.room, event.connection) == ("delivered", "a", None)
    assert event.delivery is not None and event.delivery.token == tracked.token
    assert counts(event.delivery) == (1, 0, 0, 0, 0)
    assert event.missed is None and event.data is None and event.reason is None
    assert repr(event) == "<roomcast.Event delivered>"


def test_without_threads_too(roomcast_engine: Any) -> None:
    engine: roomcast.Engine = roomcast_engine(own_threads=False)
    told: list[Delivery] = []
    engine.on_delivered(lambda room, delivery: told.append(delivery))
    engine.start()
    tracked = engine.publish_tracked("a", "x")

    def turned() -> bool:
        engine.turn(0.01)
        return bool(told)

    until(turned)
    assert told[0].token == tracked.token


def test_without_a_handler_nothing_is_told_and_nothing_waits(roomcast_engine: Any) -> None:
    engine: roomcast.Engine = roomcast_engine()
    engine.start()
    for _ in range(100):
        engine.publish_tracked("a", "x")
    engine.connections()
    assert engine.stats()["event_bytes"] == 0 and engine.stats()["reports_dropped"] == 0


def test_reports_beyond_what_may_wait_are_dropped_and_counted(roomcast_engine: Any) -> None:
    engine: roomcast.Engine = roomcast_engine(pull=True, events_max=10)
    engine.start()
    for _ in range(30):
        engine.publish_tracked("a", "x")
    until(lambda: engine.stats()["reports_dropped"] == 20)
    engine.stop()
    assert [event.kind for event in engine.events()] == ["delivered"] * 10


def test_handlers_about_no_connection_may_leave_the_program(roomcast_engine: Any) -> None:
    engine: roomcast.Engine = roomcast_engine(own_threads=False)

    @engine.on_delivered
    def delivered(room: str, delivery: Delivery) -> None:
        raise KeyboardInterrupt

    engine.start()
    engine.publish_tracked("a", "x")

    def turned() -> bool:
        engine.turn(0.01)
        return False

    with pytest.raises(KeyboardInterrupt):
        until(turned)
