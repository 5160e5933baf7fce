"""Publishing and sending: what goes out, to whom, and what the call answers."""

from __future__ import annotations

import array
import datetime
import json
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest

import roomcast
from conftest import until

Enter = Callable[[Any], Any]


@pytest.fixture
def house(roomcast_engine: Any, roomcast_client: Any) -> Any:
    """An engine whose clients are in the rooms of their path: (engine, enter)."""
    engine = roomcast_engine(shards=2)
    engine.on_connect(lambda c: c.accept(user=c.query.get("user"), rooms=c.path[1:].split(",")))
    engine.start()

    def enter(path: str) -> Any:
        client = roomcast_client(engine, path)
        assert client.status == 101
        return client

    return engine, enter


@pytest.mark.parametrize(
    ("data", "wanted"),
    [
        ("text ä", "text ä"),
        (b"bytes", b"bytes"),
        (bytearray(b"bytearray"), b"bytearray"),
        (memoryview(b"a view of it")[2:6], b"view"),
        (memoryview(b"a-b-c-")[::2], b"abc"),
        ({"x": [1, None, "ä"]}, '{"x":[1,null,"ä"]}'),
        ([1, 2], "[1,2]"),
        ((1, 2), "[1,2]"),
        (b"x" * 200_000, b"x" * 200_000),
        ("", ""),
    ],
)
def test_the_type_says_what_goes_out(house: Any, data: Any, wanted: Any) -> None:
    engine, enter = house
    client = enter("/a")
    published = engine.publish("a", data)
    assert published.members == 1 and published.offset == 1
    assert client.receive() == wanted
    assert engine.room("a").publish(data).offset == 2
    assert client.receive() == wanted
    engine.send(engine.connections()[0], data)
    assert client.receive() == wanted


@pytest.mark.parametrize("data", [1, None, object(), {1, 2}, array.array("d", [1.0])])
def test_what_cannot_be_a_payload_is_a_type_error(house: Any, data: Any) -> None:
    engine, _ = house
    with pytest.raises(TypeError, match="payload"):
        engine.publish("a", data)


def test_both_json_encoders_give_the_same_text() -> None:
    import roomcast._json

    value = {"ä": [1.5, True, None, {"n": "\u2028"}], "list": [[], {}], 7: (1, 2)}
    plain = roomcast._json._PLAIN.encode(value)
    chosen = roomcast._json.encode(value)
    text = chosen.decode() if isinstance(chosen, bytes) else chosen
    assert text == plain and json.loads(text)["7"] == [1, 2]
    for odd in ({"d": datetime.date(2026, 1, 1)}, [{1, 2}], {"x": object()}):
        for encode in (roomcast._json.encode, roomcast._json._PLAIN.encode):
            with pytest.raises(TypeError):
                encode(odd)
    without = (
        "import sys; sys.modules['orjson'] = None\n"
        "import roomcast._json as j; assert j.encode.__self__ is j._PLAIN"
    )
    subprocess.run([sys.executable, "-c", without], check=True, timeout=30)


def test_json_that_cannot_be_is_the_encoders_error(house: Any) -> None:
    engine, _ = house
    with pytest.raises(TypeError):
        engine.publish("a", {"x": object()})


def test_the_answer_says_what_became_of_it(house: Any) -> None:
    engine, enter = house
    assert engine.publish("nobody", "x") == engine.publish("no one", "y")
    assert engine.publish("nobody", "x").offset is None
    one, other = enter("/a"), enter("/a,b")
    first, second = engine.publish("a", "1"), engine.publish("a", "2")
    assert (first.offset, second.offset, second.members) == (1, 2, 2)
    assert repr(second) == "Published(offset=2, members=2)"
    assert engine.publish_union(["a", "b"], "3").members == 3, "an upper bound"
    assert [one.receive() for _ in range(3)] == ["1", "2", "3"]
    assert [other.receive() for _ in range(3)] == ["1", "2", "3"], "once, though in both"
    assert engine.rooms() == {"a": 2, "b": 1} and engine.count("a") == 2
    assert len(engine.members("a")) == 2 and engine.members("none") == []
    room = engine.room("a")
    assert (room.name, room.members, room.position.offset) == ("a", 2, 3)


def test_refusals_are_exceptions_with_the_status_of_the_closed_list(house: Any) -> None:
    engine, _ = house
    cases: list[tuple[type[roomcast.RoomcastError], Callable[[], object]]] = [
        (roomcast.PayloadTooLarge, lambda: engine.publish("a", b"x" * (1 << 20 | 1))),
        (roomcast.RoomNameError, lambda: engine.publish("", "x")),
        (roomcast.RoomNameError, lambda: engine.room("x" * 256)),
        (roomcast.Gone, lambda: engine.send(0xFF << 56, "x")),
        (roomcast.CloseCodeError, lambda: engine.close(engine.connections()[0], 1005)),
        (roomcast.CloseCodeError, lambda: engine.close(engine.connections()[0], 70_000)),
    ]
    for wanted, call in cases:
        if wanted is roomcast.CloseCodeError:
            house[1]("/a")
        with pytest.raises(wanted) as error:
            call()
        assert error.value.status == wanted.status != 0
        assert isinstance(error.value, roomcast.RoomcastError)
    assert issubclass(roomcast.PayloadTooLarge, roomcast.Refused)
    assert engine.stats()["refused"] == 3


def test_publish_many_answers_for_each(house: Any) -> None:
    engine, enter = house
    client = enter("/a")
    answers = engine.publish_many([("a", "1"), ("", "x"), ("a", {"n": 2}), ("nobody", b"y")])
    assert [type(a).__name__ for a in answers] == [
        "Published",
        "RoomNameError",
        "Published",
        "Published",
    ]
    assert client.receive() == "1" and client.receive() == '{"n":2}'
    assert [a.offset for a in engine.room("a").publish_many(["3", b"4"])] == [3, 4]
    assert client.receive() == "3" and client.receive() == b"4"
    with pytest.raises(TypeError):
        engine.publish_many([("a", "5"), ("a", 6)])
    assert client.receive() == "5", "what stood before the mistake was published"


def test_some_are_left_out(house: Any) -> None:
    engine, enter = house
    one, two, vip = enter("/a?user=1"), enter("/a?user=2"), enter("/a,vip?user=3")
    until(lambda: len(engine.connections()) == 3)
    by_user = {engine.connection(i).user: engine.connection(i) for i in engine.connections()}
    engine.publish("a", "x", exclude=by_user["1"])
    engine.publish("a", "y", exclude=[by_user["1"].id, by_user["2"]])
    engine.publish("a", "z", exclude_rooms="vip")
    engine.publish("a", "end")
    assert [one.receive(), one.receive()] == ["z", "end"]
    assert [two.receive() for _ in range(3)] == ["x", "z", "end"]
    assert [vip.receive() for _ in range(3)] == ["x", "y", "end"]
    for wrong in (["no id"], -1, [-1], 1 << 64):
        with pytest.raises(TypeError, match="Connection"):
            engine.publish("a", "x", exclude=wrong)


def test_one_user_all_and_membership(house: Any) -> None:
    engine, enter = house
    ada, bob = enter("/a?user=ada"), enter("/b?user=bob")
    with pytest.raises(TypeError, match="user"):
        engine.send_user(1.5, "x")
    engine.send_user(7, "nobody")
    engine.send_user("ada", "1")
    engine.send_all("2")
    assert (ada.receive(), ada.receive(), bob.receive()) == ("1", "2", "2")
    (ident,) = engine.members("b")
    position = engine.join(ident, "a")
    assert position == engine.room("a").position
    engine.leave(ident, "b")
    assert engine.publish("a", "3").members == 2
    assert bob.receive() == "3"
    assert engine.connection(ident).rooms() == ["a"]
    engine.close(ident, 4001, "over")
    assert bob.expect_close() == (4001, "over")


def test_many_threads_publish_and_each_ones_order_is_kept(house: Any) -> None:
    engine, enter = house
    client = enter("/a")

    def publish(name: str) -> None:
        for number in range(500):
            while True:
                try:
                    engine.publish("a", f"{name}{number}")
                    break
                except roomcast.Behind:
                    engine.connections()

    threads = [threading.Thread(target=publish, args=(name,)) for name in "xyz"]
    for thread in threads:
        thread.start()
    seen: dict[str, list[int]] = {"x": [], "y": [], "z": []}
    for _ in range(1500):
        text = client.receive()
        seen[text[0]].append(int(text[1:]))
    for thread in threads:
        thread.join()
    assert all(numbers == list(range(500)) for numbers in seen.values())


def test_publishing_in_a_handler(roomcast_engine: Any, roomcast_client: Any) -> None:
    engine = roomcast_engine()
    engine.on_connect(lambda c: c.accept(rooms=["a"]))

    @engine.on_message
    def message(connection: roomcast.Connection, data: str) -> None:
        connection.send("before")
        engine.publish("a", data)
        connection.send("after")

    engine.start()
    client = roomcast_client(engine)
    client.send("x")
    assert [client.receive() for _ in range(3)] == ["before", "x", "after"]
