"""Who is sent what: labels, filters and watch-lists of members, over sockets."""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import Callable
from typing import Any

import pytest

import roomcast
from conftest import until
from roomcast import Field, Filter, Join

#: Given to `on_connect` by a test.
Rooms = Callable[[roomcast.Connection], Any]


@pytest.fixture
def house(roomcast_engine: Any, roomcast_client: Any) -> Any:
    """An engine on two shards whose clients are accepted into what a function says:
    (engine, enter), and `enter` gives a client and its connection."""
    engine = roomcast_engine(shards=2)
    rooms: list[Any] = []

    @engine.on_connect
    def connect(connection: roomcast.Connection) -> None:
        connection.accept(rooms=rooms[-1])
        connections.append(connection)

    connections: list[roomcast.Connection] = []
    engine.start()

    def enter(wanted: Any) -> Any:
        rooms.append(wanted)
        client = roomcast_client(engine)
        assert client.status == 101
        return client, connections[-1]

    return engine, enter


def received(client: Any, engine: roomcast.Engine, room: str = "end") -> list[Any]:
    """What came until now: what is sent last is seen last."""
    engine.publish(room, "end")
    engine.send_all("end of all")
    found: list[Any] = []
    while (message := client.receive()) != "end of all":
        found.append(message)
    return found


@pytest.mark.parametrize(
    "rooms",
    [
        {"book": Join(filter="tags.side == 'bid'")},
        [("book", Join(filter=Filter.eq("side", "bid"))), "other"],
        ("other", ("book", Join(filter=Filter("tags.side == 'bid'")))),
        {"book": Join(filter="tags.side == 'bid'"), "other": None},
    ],
)
def test_a_filter_of_a_verdict(house: Any, rooms: Any) -> None:
    engine, enter = house
    everything, _ = enter("book")
    bids, _ = enter(rooms)
    assert engine.publish("book", "1", tags={"side": "bid"}).members == 2
    engine.publish("book", "2", tags={"side": "ask"})
    engine.publish("book", "3", tags=[("side", "bid"), ("side", "ask")])
    engine.publish("book", "4")
    engine.room("book").publish("5", event="trade", key="BTC", tags={"side": "bid"})
    engine.publish_union(["book", "nobody"], "6", tags={"side": "ask"})
    engine.publish_union(["book", "nobody"], "7", tags={"side": "bid"})
    assert received(everything, engine) == ["1", "2", "3", "4", "5", "6", "7"]
    assert received(bids, engine) == ["1", "3", "5", "7"]
    assert engine.stats()["filtered"] == 3


def test_join_with_its_parts_and_what_the_last_one_says_holds(house: Any) -> None:
    engine, enter = house
    client, connection = enter(None)
    position = connection.join("book", filter="tags.side == 'bid'")
    assert isinstance(position, roomcast.Position)
    engine.publish("book", "1", tags={"side": "bid"})
    engine.publish("book", "2", tags={"side": "ask"})
    connection.join("book", filter=Filter.eq("side", "ask"))
    engine.publish("book", "3", tags={"side": "bid"})
    engine.publish("book", "4", tags={"side": "ask"})
    connection.join("book")
    engine.publish("book", "5", tags={"side": "bid"})
    engine.join(connection, "book", Join())
    engine.publish("book", "6")
    engine.join(connection.id, "book", filter=Filter.eq(Field.EVENT, "trade"))
    engine.publish("book", "7", event="quote")
    engine.publish("book", "8", event="trade")
    assert received(client, engine) == ["1", "4", "6", "8"]
    assert engine.count("book") == 1, "always one member"
    with pytest.raises(TypeError, match="not both"):
        connection.join("book", Join(), keys=["x"])


def test_watch_lists(house: Any) -> None:
    engine, enter = house
    client, connection = enter({"ticker": Join(keys=["BTC", "ETH"])})
    engine.publish("ticker", "1", key="BTC")
    engine.publish("ticker", "2", key="ADA")
    engine.publish("ticker", "3")
    connection.watch("ticker", "ADA")
    connection.unwatch("ticker", ["BTC", "none"])
    engine.publish("ticker", "4", key="ADA")
    engine.publish("ticker", "5", key="BTC")
    engine.unwatch(connection, "ticker", ["ADA", "ETH"])
    engine.publish("ticker", "6", key="ADA")
    engine.watch(connection.id, "ticker", (key for key in ["XRP"]))
    engine.publish("ticker", "7", key="XRP")
    connection.watch("nowhere", ["XRP"])
    assert received(client, engine) == ["1", "4", "7"]


def test_an_empty_watch_list_is_one(house: Any) -> None:
    engine, enter = house
    client, connection = enter(None)
    connection.join("ticker", keys=[])
    engine.publish("ticker", "1", key="BTC")
    connection.watch("ticker", ["BTC"])
    engine.publish("ticker", "2", key="BTC")
    assert received(client, engine) == ["2"]


def test_keys_and_a_filter_are_both_asked(house: Any) -> None:
    engine, enter = house
    client, _ = enter({"ticker": Join(keys=["BTC"], filter="tags.side == 'bid'")})
    engine.publish("ticker", "1", key="BTC", tags={"side": "bid"})
    engine.publish("ticker", "2", key="BTC", tags={"side": "ask"})
    engine.publish("ticker", "3", key="ETH", tags={"side": "bid"})
    assert received(client, engine) == ["1"]


def test_labels_do_not_go_out(house: Any) -> None:
    engine, enter = house
    client, _ = enter("a")
    engine.publish("a", {"n": 1}, event="e", key="k", tags={"ä": "ö"})
    assert received(client, engine) == ['{"n":1}']


def test_what_is_too_long_or_no_string(house: Any) -> None:
    engine, enter = house
    _, connection = enter("a")
    long = "k" * 256
    calls: list[Callable[[], object]] = [
        lambda: engine.publish("a", "x", key=long),
        lambda: engine.publish_tracked("a", "x", key=long),
        lambda: engine.publish_union(["a"], "x", key=long),
        lambda: engine.room("a").publish("x", key=long),
        lambda: engine.room("a").publish_tracked("x", key=long),
        lambda: connection.join("a", keys=[long]),
        lambda: engine.join(connection, "a", Join(keys=[long])),
        lambda: connection.watch("a", ["short", long]),
        lambda: engine.unwatch(connection, "a", long),
    ]
    for call in calls:
        with pytest.raises(roomcast.KeyTooLong, match="key_bytes_max") as error:
            call()
        assert error.value.status == 14 and isinstance(error.value, ValueError)
    with pytest.raises(roomcast.PayloadTooLarge, match="labels"):
        engine.publish("a", "x", tags={"a": "x" * (1 << 20)})
    for wrong in ({"key": 1}, {"event": b"x"}, {"tags": {"n": 1}}, {"tags": {1: "n"}}):
        with pytest.raises(TypeError):
            engine.publish("a", "x", **wrong)
    with pytest.raises(roomcast.FilterError, match="at byte 0"):
        connection.join("a", filter="no filter")
    with pytest.raises(roomcast.RoomNameError):
        connection.join("", filter="true")


def test_a_verdict_that_cannot_be_is_still_open(roomcast_engine: Any, roomcast_client: Any) -> None:
    engine = roomcast_engine()
    told: list[str] = []

    @engine.on_connect
    def connect(connection: roomcast.Connection) -> None:
        bad: list[Any] = [
            {"a": Join(keys=["k" * 256])},
            {"": Join()},
            {"a": "has(tags.x)"},
            ("a", Join()),
            [("a", Join(), 1)],
            5,
        ]
        for rooms in bad:
            try:
                connection.accept(rooms=rooms)
            except (roomcast.KeyTooLong, roomcast.RoomNameError, TypeError) as error:
                told.append(type(error).__name__)
        connection.accept(rooms={"a": Join()})

    engine.start()
    assert roomcast_client(engine).status == 101
    assert told == ["KeyTooLong", "RoomNameError", *["TypeError"] * 4]
    assert engine.rooms() == {"a": 1}


def test_limits_of_filters_and_keys(roomcast_engine: Any, roomcast_client: Any) -> None:
    engine = roomcast_engine(connection_filters_max=1, connection_keys_max=2, room_filters_max=2)
    engine.on_connect(lambda c: c.accept(rooms={"a": Join(filter="has(tags.x)"), "b": None}))
    engine.start()
    client = roomcast_client(engine)
    assert client.status == 101
    (ident,) = engine.connections()
    engine.join(ident, "c", filter="has(tags.y)")
    until(lambda: engine.stats()["joins_refused_filters"] == 1)
    until(lambda: engine.count("c") == 0)
    engine.join(ident, "d", keys=["1", "2", "3"])
    until(lambda: engine.stats()["watches_refused"] == 1)
    assert sorted(engine.connection(ident).rooms()) == ["a", "b", "d"]


async def test_in_async_handlers(roomcast_engine: Any, roomcast_client: Any) -> None:
    engine = roomcast_engine()

    @engine.on_connect
    async def connect(connection: roomcast.Connection) -> None:
        await asyncio.sleep(0)
        connection.accept(rooms={"ticker": Join(keys=[])})

    @engine.on_message
    async def message(connection: roomcast.Connection, data: str) -> None:
        await asyncio.sleep(0)
        connection.watch("ticker", data)
        engine.publish("ticker", data.lower(), key=data)
        engine.publish("ticker", "no", key="other")

    async with engine:
        client = roomcast_client(engine)
        client.send("BTC")
        client.send("ETH")
        assert [await client.areceive(), await client.areceive()] == ["btc", "eth"]


def test_many_members_with_few_filters_are_few_groups(house: Any) -> None:
    engine, enter = house
    sides = ["bid", "ask"] * 4
    clients = [enter({"book": Join(filter=Filter.eq("side", side))})[0] for side in sides]
    for number in range(10):
        engine.publish("book", f"bid {number}", tags={"side": "bid"})
    for client, side in zip(clients, sides, strict=True):
        wanted = [f"bid {number}" for number in range(10)] if side == "bid" else []
        assert received(client, engine) == wanted
    assert engine.stats()["filters_asked"] <= 10 * 2 * 2, "once for each filter of a shard"


def test_each_member_is_sent_what_its_filter_and_its_keys_say(house: Any) -> None:
    engine, enter = house
    dice = random.Random(7)
    words = ["", "a", "b", "10", "9.5", "ä"]

    def labels() -> dict[str, Any]:
        tags = {name: dice.choice(words) for name in ("x", "y") if dice.random() < 0.7}
        named = {name: dice.choice(words) for name in ("event", "key") if dice.random() < 0.7}
        return {"tags": tags, **named}

    def tree(depth: int) -> Filter:
        if depth and dice.random() < 0.7:
            one, two = tree(depth - 1), tree(depth - 1)
            return dice.choice([one & two, one | two, ~one])
        field = dice.choice(["x", "y", Field.EVENT, Field.KEY])
        word = dice.choice(words)
        return dice.choice([
            Filter.eq(field, word),
            Filter.neq(field, word),
            Filter.one_of(field, dice.sample(words, 2)),
            Filter.exists(field),
            Filter.contains(field, word),
            Filter.gt(field, 9.7),
        ])

    joins = [Join(), *(Join(filter=tree(3)) for _ in range(10))]
    joins += [Join(filter=tree(2), keys=dice.sample(words, 3)) for _ in range(10)]
    clients = [enter({"a": join})[0] for join in joins]
    published = [labels() for _ in range(300)]

    def publish(begin: int) -> None:
        for number in range(begin, len(published), 3):
            engine.publish("a", str(number), **published[number])

    threads = [threading.Thread(target=publish, args=(begin,)) for begin in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    everything = received(clients[0], engine)
    assert sorted(map(int, everything)) == list(range(300))
    for join, client in zip(joins[1:], clients[1:], strict=True):
        wanted = [
            number
            for number in everything
            if (join.filter is None or join.filter.matches(**published[int(number)]))
            and (join.keys is None or published[int(number)].get("key") in join.keys)
        ]
        assert received(client, engine) == wanted, join
