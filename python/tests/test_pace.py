"""Batching, conflation and what slow members meet, over sockets."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

import roomcast
from conftest import auntil, until
from roomcast import Join, ListenOptions, RoomOptions

#: A room's tape is full after a few publications.
SMALL = {
    "tape_bytes_max": 64 * 1024,
    "publication_bytes_max": 16 * 1024,
    "room_ahead_bytes_max": 32 * 1024,
}


def flood(engine: roomcast.Engine, done: Any, **labels: Any) -> int:
    """Publishes to "a" until something has happened; how often."""
    count = 0
    while not done():
        count += 1
        assert count < 100_000
        try:
            engine.publish("a", b"x" * 4096, **labels)
        except roomcast.Behind:
            engine.connections()
    return count


def test_publications_wait_for_each_other_and_leave_together(
    roomcast_engine: Any, roomcast_client: Any
) -> None:
    engine: roomcast.Engine = roomcast_engine(
        room_options={"batched:": RoomOptions(flush_interval_ms=150)}
    )
    engine.on_connect(lambda c: c.accept(rooms=["batched:a"]))
    engine.start()
    client = roomcast_client(engine)
    assert client.status == 101
    writes = engine.stats()["writes"]
    for number in range(20):
        engine.publish("batched:a", str(number))
        engine.connections()
    assert [client.receive() for _ in range(20)] == [str(number) for number in range(20)]
    # Two where an interval has ended between the first and the last.
    assert engine.stats()["writes"] - writes <= 2


def test_what_does_not_wait_takes_along_what_waits(
    roomcast_engine: Any, roomcast_client: Any
) -> None:
    engine: roomcast.Engine = roomcast_engine(
        room_options={"batched:": RoomOptions(flush_interval_ms=3_600_000)}
    )
    engine.on_connect(lambda c: c.accept(rooms=["batched:a", "quick"]))
    engine.start()
    client = roomcast_client(engine)
    assert client.status == 101
    engine.publish("batched:a", "1")
    engine.connections()
    engine.publish("quick", "2")
    engine.publish("batched:a", "3")
    engine.send(engine.connections()[0], "4")
    assert [client.receive() for _ in range(4)] == ["1", "2", "3", "4"], "in the order of the calls"


def test_of_a_key_the_newest_leaves_with_an_interval(
    roomcast_engine: Any, roomcast_client: Any
) -> None:
    engine: roomcast.Engine = roomcast_engine(
        room_options={
            "": RoomOptions(),
            "ticker:": RoomOptions(flush_interval_ms=100, conflate=True, slow_policy="latest"),
        }
    )
    engine.on_connect(lambda c: c.accept(rooms=["ticker:a"]))
    engine.start()
    client = roomcast_client(engine)
    assert client.status == 101
    for price in range(50):
        engine.publish("ticker:a", f"BTC {price}", key="BTC")
        engine.publish("ticker:a", f"ETH {price}", key="ETH")
    engine.publish("ticker:a", "without a key")
    found: list[str] = []
    while not found or found[-1] != "without a key":
        found.append(client.receive())
    assert len(found) < 50 and found[-3:] == ["BTC 49", "ETH 49", "without a key"]
    assert engine.stats()["conflated"] == 101 - len(found)


def test_a_member_may_have_an_interval_of_its_own(
    roomcast_engine: Any, roomcast_client: Any
) -> None:
    engine: roomcast.Engine = roomcast_engine()
    paces = [Join(flush_interval_ms=100), None]
    engine.on_connect(lambda c: c.accept(rooms={"a": paces.pop()}))
    engine.start()
    quick = roomcast_client(engine)
    assert quick.status == 101
    slow = roomcast_client(engine)
    assert slow.status == 101
    for number in range(10):
        engine.publish("a", str(number))
        assert quick.receive() == str(number), "one for one"
    assert [slow.receive() for _ in range(10)] == [str(number) for number in range(10)]


def test_skip_says_what_was_missed(roomcast_engine: Any, roomcast_client: Any) -> None:
    engine: roomcast.Engine = roomcast_engine(**SMALL)
    lags: list[tuple[roomcast.Connection, str, roomcast.Missed]] = []
    engine.on_connect(lambda c: c.accept(rooms=[("a", Join(slow_policy="skip"))]))
    engine.on_lag(lambda *told: lags.append(told))
    engine.start()
    client = roomcast_client(engine)
    assert client.status == 101
    with client.lag():
        flood(engine, lambda: lags)
    connection, room, missed = lags[0]
    assert connection.id == engine.connections()[0] and room == "a"
    assert missed.count == missed.last - missed.first + 1 and not missed.replaced
    text = f"count={missed.count}, first={missed.first}, last={missed.last}, replaced=False"
    assert repr(missed) == f"Missed({text})" and missed == missed and hash(missed)


def test_latest_keeps_the_newest_of_each_key(roomcast_engine: Any, roomcast_client: Any) -> None:
    engine: roomcast.Engine = roomcast_engine(slow_policy="latest")
    lags: list[roomcast.Missed] = []
    engine.on_connect(lambda c: c.accept(rooms=["a"]))
    engine.on_lag(lambda c, room, missed: lags.append(missed))
    engine.start()
    client = roomcast_client(engine)
    assert client.status == 101
    keys = [str(number) for number in range(10)]
    with client.lag():
        for turn in range(200):
            for key in keys:
                engine.publish("a", f"{key} {turn:03} {'x' * 500}", key=key)
            engine.connections()
    engine.publish("a", "end")
    newest: dict[str, str] = {}
    count = 0
    while (message := client.receive()) != "end":
        key, turn, _ = message.split(" ")
        newest[key] = turn
        count += 1
    assert newest == dict.fromkeys(keys, "199") and count < 1000
    until(lambda: sum(missed.count for missed in lags) == 2000 - count)
    assert all(missed.replaced for missed in lags)
    stats = engine.stats()
    assert stats["lagged"] == stats["replaced"] == 2000 - count
    assert stats["too_slow"] == 0


def test_volatile_members_are_not_sent_what_they_cannot_take(
    roomcast_engine: Any, roomcast_client: Any
) -> None:
    engine: roomcast.Engine = roomcast_engine()
    lags: list[Any] = []
    engine.on_connect(lambda c: c.accept(rooms={"a": Join(slow_policy="volatile")}))
    engine.on_lag(lambda *told: lags.append(told))
    engine.start()
    client = roomcast_client(engine)
    assert client.status == 101
    with client.lag():
        flood(engine, lambda: engine.stats()["volatile_dropped"] > 20)
    assert not lags and engine.stats()["too_slow"] == 0

    def comes_again() -> bool:
        engine.publish("a", "again")
        try:
            return bool(client.receive(0.05) == "again")
        except TimeoutError:
            return False

    until(comes_again)


def test_replay_catches_up_from_the_rooms_history(
    roomcast_engine: Any, roomcast_client: Any
) -> None:
    engine: roomcast.Engine = roomcast_engine(
        room_options={"a": RoomOptions(slow_policy="replay", history=400)},
        **SMALL,
        history_bytes_max=4 << 20,
    )
    lags: list[roomcast.Missed] = []
    engine.on_connect(lambda c: c.accept(rooms=["a"]))
    engine.on_lag(lambda c, room, missed: lags.append(missed))
    engine.start()
    client = roomcast_client(engine)
    assert client.status == 101
    with client.lag():
        for number in range(300):
            engine.publish("a", f"{number:04096}")
            engine.connections()
    assert [int(str(client.receive())) for _ in range(300)] == list(range(300))
    stats = engine.stats()
    assert stats["replayed"] > 100 and stats["history_bytes"] > 300 * 4096 and not lags
    with client.lag():
        for number in range(300, 1000):
            engine.publish("a", f"{number:04096}")
            engine.connections()
    found = [300]
    while found[-1] != 999:
        found.append(int(str(client.receive())))
    assert found[-400:] == list(range(600, 1000)), "all of the history"
    until(lambda: sum(missed.count for missed in lags) == 700 - (len(found) - 1))


def test_disconnect_is_the_default_and_a_members_choice(
    roomcast_engine: Any, roomcast_client: Any
) -> None:
    engine: roomcast.Engine = roomcast_engine(
        slow_policy="skip", room_options={"a": RoomOptions(slow_policy="disconnect")}, **SMALL
    )
    engine.on_connect(lambda c: c.accept(rooms=["a"]))
    engine.start()
    client = roomcast_client(engine)
    assert client.status == 101
    with client.lag():
        flood(engine, lambda: engine.stats()["too_slow"] == 1)
    assert client.expect_close()[0] in (4008, 1006)


async def test_lags_in_async_handlers(roomcast_engine: Any, roomcast_client: Any) -> None:
    engine: roomcast.Engine = roomcast_engine(slow_policy="skip", **SMALL)
    lags: list[roomcast.Missed] = []
    engine.on_connect(lambda c: c.accept(rooms=["a"]))

    @engine.on_lag
    async def lag(connection: roomcast.Connection, room: str, missed: roomcast.Missed) -> None:
        await asyncio.sleep(0)
        lags.append(missed)

    async with engine:
        client = roomcast_client(engine)
        assert await client.astatus() == 101
        with client.lag():
            thread = threading.Thread(target=flood, args=(engine, lambda: lags))
            thread.start()
            await auntil(lambda: lags)
        thread.join()
    assert lags[0].count > 0


def test_lags_are_pulled(roomcast_engine: Any, roomcast_client: Any) -> None:
    engine: roomcast.Engine = roomcast_engine(pull=True, slow_policy="skip", **SMALL)
    engine.start()
    events = engine.events()
    client = roomcast_client(engine)
    next(events).connection.accept(rooms=["a"])
    assert client.status == 101 and next(events).kind == "open"
    with client.lag():
        flood(engine, lambda: engine.stats()["lagged"])
    event = next(events)
    assert (event.kind, event.room) == ("lag", "a")
    assert event.missed is not None and event.missed.count > 0
    assert event.connection.id == engine.connections()[0] and event.delivery is None


DEFLATE = {"Sec-WebSocket-Extensions": "permessage-deflate"}


def test_one_listener_may_leave_compression_alone(
    roomcast_engine: Any, roomcast_client: Any
) -> None:
    engine: roomcast.Engine = roomcast_engine(
        {"127.0.0.1:0": ListenOptions(deflate=False)}, deflate_level=1
    )
    engine.start()
    plain = roomcast_client(engine, loopback=True, headers=DEFLATE)
    assert plain.status == 101 and "sec-websocket-extensions" not in plain.response_headers
    other = roomcast_client(engine, headers=DEFLATE)
    assert other.status == 101
    assert "permessage-deflate" in other.response_headers["sec-websocket-extensions"]


@pytest.mark.parametrize("deflate", [True, False])
def test_rooms_may_leave_compression_alone(
    roomcast_engine: Any, roomcast_client: Any, deflate: bool
) -> None:
    engine: roomcast.Engine = roomcast_engine(
        deflate_level=1, room_options=[("a", RoomOptions(deflate=deflate))]
    )
    engine.on_connect(lambda c: c.accept(rooms=["a"]))
    engine.start()
    client = roomcast_client(engine, headers=DEFLATE)
    assert client.status == 101
    engine.publish("a", "x" * 1000)
    until(lambda: engine.stats()["deliveries"] >= 1)
    assert engine.stats()["deflated"] == int(deflate)
