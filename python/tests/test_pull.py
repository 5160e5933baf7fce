"""Events for hosts that pull: ``for`` and ``async for``, their end, and flow control."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

import roomcast


def tell(engine: roomcast.Engine, event: roomcast.Event, told: list[Any]) -> None:
    if event.kind == "connect":
        event.connection.accept(user="ada", rooms=["a"])
    elif event.kind == "message":
        assert event.data is not None
        engine.publish("a", event.data)
        if event.data == "stop":
            engine.stop()
    told.append((event.kind, event.connection))
    if event.kind == "close":
        assert event.reason is not None and event.reason.name == "stopping"


KINDS = ["connect", "open", "message", "message", "close"]


def test_a_for_loop_sees_everything_and_ends_with_the_engine(
    roomcast_engine: Any, roomcast_client: Any
) -> None:
    engine = roomcast_engine(pull=True)
    engine.start()
    told: list[Any] = []

    def work() -> None:
        for event in engine.events():
            tell(engine, event, told)

    thread = threading.Thread(target=work)
    thread.start()
    client = roomcast_client(engine)
    client.send("hello")
    client.send("stop")
    assert client.receive() == "hello"
    thread.join(20)
    assert not thread.is_alive()
    assert [kind for kind, _ in told] == KINDS
    assert len({id(connection) for _, connection in told}) == 1


@pytest.mark.parametrize("reader", [True, False])
async def test_an_async_for_loop_too(
    roomcast_engine: Any, roomcast_client: Any, monkeypatch: pytest.MonkeyPatch, reader: bool
) -> None:
    if not reader:

        def no(*_: Any) -> None:
            raise NotImplementedError

        monkeypatch.setattr(asyncio.get_running_loop(), "add_reader", no, raising=False)
    engine = roomcast_engine(pull=True)
    told: list[Any] = []

    async def work() -> None:
        async for event in engine.events():
            tell(engine, event, told)

    async with engine:
        task = asyncio.create_task(work())
        client = roomcast_client(engine)
        client.send("hello")
        assert await client.areceive() == "hello"
        client.send("stop")
        await asyncio.wait_for(task, 20)
    assert [kind for kind, _ in told] == KINDS


def test_a_peer_whose_events_are_not_taken_is_not_read_from(
    roomcast_engine: Any, roomcast_client: Any
) -> None:
    engine = roomcast_engine(pull=True, connection_events_max=2)
    engine.start()
    events = engine.events()
    client = roomcast_client(engine)
    next(events).connection.accept()
    assert client.status == 101
    client._sock.settimeout(0.3)
    sent = 0
    with pytest.raises(TimeoutError):
        while sent < 1000:
            client.send(str(sent) + "x" * 5000)
            sent += 1
    assert engine.stats()["reads_paused"] > 0
    assert engine.stats()["messages_in"] < sent < 1000
    assert next(events).kind == "open"
    numbers = [int(next(events).data.split("x")[0]) for _ in range(sent)]
    assert numbers == list(range(sent)), "read on, in order, as they are taken"


def test_pulling_and_handlers_do_not_mix(roomcast_engine: Any) -> None:
    engine = roomcast_engine(pull=True)
    with pytest.raises(roomcast.UsageError, match="events"):
        engine.on_open(print)
    with pytest.raises(roomcast.UsageError, match="pull=True"):
        roomcast_engine().events()
