"""The fixtures of the pytest plugin, and the client that they make."""

from __future__ import annotations

from typing import Any

import pytest
from conftest import auntil, until

import roomcast
from roomcast.testing import Client, Closed, NotOpened

# Rooms that keep little for slow members.
SMALL = {
    "tape_bytes_max": 65536,
    "publication_bytes_max": 16384,
    "room_ahead_bytes_max": 32768,
}


@pytest.fixture
def echo(roomcast_engine: Any) -> roomcast.Engine:
    engine: roomcast.Engine = roomcast_engine()
    engine.on_message(lambda conn, data: conn.send(data))
    engine.start()
    return engine


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65535, 65536, 300_000])
def test_messages_of_all_sizes(echo: roomcast.Engine, roomcast_client: Any, size: int) -> None:
    client: Client = roomcast_client(echo)
    client.send("x" * size)
    assert client.receive() == "x" * size
    client.send(b"\x00" * size)
    assert client.receive() == b"\x00" * size


def test_json(echo: roomcast.Engine, roomcast_client: Any) -> None:
    client: Client = roomcast_client(echo)
    client.send_json({"a": [1, "ä"]})
    assert client.receive_json() == {"a": [1, "ä"]}


def test_the_request_and_a_refusal(roomcast_engine: Any, roomcast_client: Any) -> None:
    engine: roomcast.Engine = roomcast_engine()

    @engine.on_connect
    def connect(conn: roomcast.Connection) -> None:
        if conn.headers.get("x-key") != "secret":
            conn.refuse(403, "no key")
        else:
            conn.accept(user=conn.query["name"], subprotocol=conn.subprotocols[1])

    engine.on_open(lambda conn: conn.send(f"{conn.user} {conn.path}"))
    engine.start()
    stranger: Client = roomcast_client(engine, "/a")
    assert (stranger.status, stranger.text) == (403, "no key")
    with pytest.raises(NotOpened, match="403: no key"):
        stranger.receive()

    headers = {"X-Key": "secret"}
    ada: Client = roomcast_client(
        engine, "/a?name=ada", headers=headers, subprotocols=("v1", "v2")
    )
    assert ada.receive() == "ada /a"
    assert ada.subprotocol == "v2"


def test_closing_from_both_ends(roomcast_engine: Any, roomcast_client: Any) -> None:
    engine: roomcast.Engine = roomcast_engine()
    reasons: list[tuple[str, int, str]] = []
    engine.on_close(lambda conn, reason: reasons.append((reason.name, reason.code, reason.text)))
    engine.on_message(lambda conn, data: conn.close(4000, "enough"))
    engine.start()

    first: Client = roomcast_client(engine)
    first.send("x")
    assert first.expect_close() == (4000, "enough")
    with pytest.raises(Closed):
        first.receive()

    second: Client = roomcast_client(engine)
    assert second.status == 101
    second.close(3001, "bye")
    assert second.expect_close()[0] == 3001
    until(lambda: len(reasons) == 2)
    assert reasons[1] == ("peer", 3001, "bye")


def test_drop_vanishes(roomcast_engine: Any, roomcast_client: Any) -> None:
    engine: roomcast.Engine = roomcast_engine()
    reasons: list[str] = []
    engine.on_close(lambda conn, reason: reasons.append(reason.name))
    engine.start()
    client: Client = roomcast_client(engine)
    assert client.status == 101
    client.drop()
    until(lambda: reasons == ["vanished"])
    assert client.expect_close() == (1006, "")


@pytest.mark.parametrize("loopback", [False, True])
def test_lag_makes_a_slow_peer(roomcast_engine: Any, roomcast_client: Any, loopback: bool) -> None:
    engine: roomcast.Engine = roomcast_engine("127.0.0.1:0", **SMALL)
    engine.on_connect(lambda conn: conn.accept(rooms=["x"]))
    engine.start()
    slow: Client = roomcast_client(engine, loopback=loopback)
    quick: Client = roomcast_client(engine, loopback=loopback)
    assert (slow.status, quick.status) == (101, 101)
    published = 0
    with slow.lag():
        while engine.stats()["too_slow"] == 0:
            assert published < 4000
            engine.publish("x", b"." * 8192)
            assert len(quick.receive()) == 8192
            published += 1
    assert slow.expect_close()[0] in (1006, 4008)
    assert loopback or published < 20


def test_lag_skips(roomcast_engine: Any, roomcast_client: Any) -> None:
    engine: roomcast.Engine = roomcast_engine(slow_policy="skip", **SMALL)
    lags: list[roomcast.Missed] = []
    engine.on_connect(lambda conn: conn.accept(rooms=["x"]))
    engine.on_lag(lambda conn, room, missed: lags.append(missed))
    engine.start()
    client: Client = roomcast_client(engine)
    quick: Client = roomcast_client(engine)
    assert (client.status, quick.status) == (101, 101)
    with client.lag():
        while not lags:
            engine.publish("x", b"." * 8192)
            quick.receive()
    engine.publish("x", "last")
    received = 0
    while client.receive() != "last":
        received += 1
    assert received > 0


async def test_async(roomcast_engine: Any, roomcast_client: Any) -> None:
    engine: roomcast.Engine = roomcast_engine()

    @engine.on_connect
    async def connect(conn: roomcast.Connection) -> None:
        conn.accept(rooms=["x"])

    @engine.on_message
    async def message(conn: roomcast.Connection, data: Any) -> None:
        engine.publish("x", {"said": data})

    async with engine:
        client: Client = roomcast_client(engine)
        assert await client.astatus() == 101
        client.send("hello")
        assert await client.areceive_json() == {"said": "hello"}
        with pytest.raises(roomcast.UsageError, match="await areceive"):
            client.receive()
        client.close()
        assert (await client.aexpect_close())[0] == 1000
        await auntil(lambda: not engine.connections())


async def test_an_engine_left_running_on_the_loop(
    roomcast_engine: Any, roomcast_client: Any
) -> None:
    """The fixture stops it, also after the test's loop is gone."""
    engine: roomcast.Engine = roomcast_engine()
    engine.start()
    client: Client = roomcast_client(engine)
    assert await client.astatus() == 101


def test_nothing_comes(echo: roomcast.Engine, roomcast_client: Any) -> None:
    with pytest.raises(TimeoutError, match="no message within"):
        roomcast_client(echo).receive(timeout=0.01)


def test_the_plugin_in_somebody_elses_suite(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        def test_greets(roomcast_engine, roomcast_client):
            engine = roomcast_engine()
            engine.on_open(lambda conn: conn.send("hello"))
            engine.start()
            assert roomcast_client(engine, "/").receive() == "hello"
        """
    )
    result = pytester.runpytest_subprocess("-W", "error", "-p", "no:asyncio")
    result.assert_outcomes(passed=1)


pytest_plugins = ["pytester"]
