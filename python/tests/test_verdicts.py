"""Who may come in: every way in which ``on_connect`` answers."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import threading
from typing import Any

import pytest

import roomcast
from conftest import until


def test_accepted_as_a_user_into_rooms(roomcast_engine: Any, roomcast_client: Any) -> None:
    engine = roomcast_engine()
    opened = threading.Event()
    seen = {}

    @engine.on_connect
    def connect(connection: roomcast.Connection) -> None:
        assert not connection.is_open and connection.user is None
        connection.accept(user=42, rooms=["a", "b"], subprotocol="two")
        seen["connect"] = connection

    @engine.on_open
    def opens(connection: roomcast.Connection) -> None:
        seen["open"] = connection
        opened.set()

    engine.start()
    client = roomcast_client(engine, "/", subprotocols=("one", "two"))
    assert client.status == 101 and client.subprotocol == "two"
    assert opened.wait(20)
    connection = seen["open"]
    assert connection is seen["connect"], "one object for one connection"
    assert connection.user == "42" and connection.is_open and connection.subprotocol == "two"
    assert sorted(connection.rooms()) == ["a", "b"]
    assert engine.connection(connection.id) is connection
    engine.send_user("42", "for you")
    assert client.receive() == "for you"


def test_the_request_is_there_for_the_life_of_the_connection(
    roomcast_engine: Any, roomcast_client: Any
) -> None:
    engine = roomcast_engine()
    told: list[roomcast.Connection] = []
    engine.on_message(lambda connection, data: told.append(connection))
    engine.start()
    headers = {"Cookie": "sid=x=y; a=1; a=2", "X-Twice": "1", "x-umlaut": "ä"}
    client = roomcast_client(engine, "/p%20q?a=1&b=%C3%A4+c&a=2&empty", headers=headers)
    client.send("hello")
    until(lambda: told)
    (connection,) = told
    assert connection.path == "/p%20q"
    assert connection.query_string == "a=1&b=%C3%A4+c&a=2&empty"
    assert connection.query == {"a": "1", "b": "ä c", "empty": ""}
    assert connection.cookies == {"sid": "x=y", "a": "1"}
    assert connection.headers["X-TWICE"] == "1"
    assert connection.headers.get_all("x-twice") == ["1"]
    # The client sends UTF-8; header bytes are shown as ISO 8859-1, as ASGI and WSGI have them.
    assert connection.headers["X-Umlaut"].encode("latin-1").decode() == "ä"
    assert "sid" not in repr(connection.headers)
    assert connection.peer is None, "a socket pair has no address"
    assert connection.engine is engine


@pytest.mark.parametrize(
    ("answer", "status", "text"),
    [
        (None, 101, ""),
        (True, 101, ""),
        (False, 403, "refused"),
        (roomcast.Reject(429, "later"), 429, "later"),
        (roomcast.Reject(), 403, "refused"),
        (ZeroDivisionError(), 500, "the host has failed"),
        ("nonsense", 500, "the host has failed"),
    ],
)
@pytest.mark.parametrize("asynchronous", [False, True])
async def test_what_it_returns_or_raises_is_the_verdict(
    roomcast_engine: Any,
    roomcast_client: Any,
    caplog: pytest.LogCaptureFixture,
    answer: Any,
    status: int,
    text: str,
    asynchronous: bool,
) -> None:
    engine = roomcast_engine()

    def plain(connection: roomcast.Connection) -> Any:
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def slow(connection: roomcast.Connection) -> Any:
        await asyncio.sleep(0)
        return plain(connection)

    engine.on_connect(slow if asynchronous else plain)
    async with engine:
        client = roomcast_client(engine)
        assert await client.astatus() == status
        assert client.text == text
    assert bool(caplog.records) == (status == 500)


def test_a_verdict_may_come_later_and_only_once(
    roomcast_engine: Any, roomcast_client: Any
) -> None:
    engine = roomcast_engine()
    waiting: list[roomcast.Connection] = []

    @engine.on_connect
    def connect(connection: roomcast.Connection) -> Any:
        waiting.append(connection)
        return roomcast.LATER

    engine.start()
    client = roomcast_client(engine)
    until(lambda: waiting)
    with pytest.raises(roomcast.RoomNameError):
        waiting[0].accept(rooms=["x" * 300])
    for early in (lambda: waiting[0].join("a"), lambda: waiting[0].send("x")):
        with pytest.raises(roomcast.UsageError, match="accept"):
            early()
    waiting[0].accept(rooms="a")
    assert client.status == 101
    with pytest.raises(roomcast.Answered) as error:
        waiting[0].refuse(404)
    assert error.value.status == roomcast.Answered.status == 31
    assert engine.publish("a", "x").members == 1


def test_no_verdict_is_503_after_a_while(roomcast_engine: Any, roomcast_client: Any) -> None:
    engine = roomcast_engine(verdict_timeout_ms=20)
    engine.on_connect(lambda connection: roomcast.LATER)
    engine.start()
    assert roomcast_client(engine).status == 503


def test_a_peer_that_goes_before_the_verdict_is_forgotten(
    roomcast_engine: Any, roomcast_client: Any
) -> None:
    engine = roomcast_engine(verdict_timeout_ms=20)
    waiting: list[roomcast.Connection] = []

    @engine.on_connect
    def connect(connection: roomcast.Connection) -> Any:
        waiting.append(connection)
        return roomcast.LATER

    engine.start()
    roomcast_client(engine).drop()
    until(lambda: waiting)
    until(lambda: engine.stats()["connections"] == 0)
    gone = waiting.pop()
    gone.accept(rooms=["a"])
    until(lambda: not gone.is_open)
    # The next event makes the engine forget it.
    roomcast_client(engine)
    until(lambda: waiting)
    assert engine.connection(gone.id) is None
    assert engine.count("a") == 0


def test_without_on_connect_everybody_is_accepted_without_python(
    roomcast_engine: Any, roomcast_client: Any
) -> None:
    engine = roomcast_engine()
    engine.start()
    client = roomcast_client(engine)
    assert client.status == 101
    until(lambda: engine.stats()["opened"] == 1)
    (ident,) = engine.connections()
    assert engine.connection(ident) is None, "no object for one that Python was not told of"
    engine.send(ident, "hello")
    assert client.receive() == "hello"


def test_what_the_engine_logs_comes_through_logging(
    roomcast_engine: Any, roomcast_client: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger="roomcast")
    engine = roomcast_engine(
        memory_bytes_max=256 * 1024,
        tape_bytes_max=64 * 1024,
        publication_bytes_max=16 * 1024,
        room_ahead_bytes_max=32 * 1024,
    )
    rooms = [str(number) for number in range(20)]
    engine.on_connect(lambda c: c.accept(rooms=rooms))
    engine.start()
    client = roomcast_client(engine)
    assert client.status == 101

    def is_logged() -> bool:
        for room in rooms:
            with contextlib.suppress(roomcast.Refused):
                engine.publish(room, b"x" * 1024)
        return bool(caplog.records)

    with client.lag():
        until(is_logged)
    record = caplog.records[0]
    assert record.levelno == logging.WARNING and "memory_bytes_max" in record.getMessage()


def test_rooms_of_an_upgrade_are_checked_before_its_verdict(roomcast_engine: Any) -> None:
    engine = roomcast_engine(room_name_bytes_max=4)
    engine.start()
    upgrade = engine.upgrade("GET", "/", UPGRADE)
    with pytest.raises(roomcast.RoomNameError):
        upgrade.accept(rooms=["much too long"])
    with pytest.raises(roomcast.KeyTooLong):
        upgrade.accept(rooms={"a": roomcast.Join(keys=["k" * 256])})
    upgrade.accept(rooms={"a": roomcast.Join(filter="has(tags.x)"), "b": None})
    assert upgrade.response.startswith(b"HTTP/1.1 101 Switching Protocols\r\n")
    ours, theirs = socket.socketpair()
    upgrade.adopt(theirs)
    assert theirs.fileno() == -1, "the object was detached"
    until(lambda: engine.rooms() == {"a": 1, "b": 1})
    engine.publish("a", "no")
    engine.publish("a", "yes", tags={"x": ""})
    assert ours.recv(5) == b"\x81\x03yes"
    ours.close()


UPGRADE = [
    ("Host", "h"),
    ("Upgrade", "websocket"),
    ("Connection", "upgrade"),
    ("Sec-WebSocket-Version", "13"),
    (b"Sec-WebSocket-Key", b"dGhlIHNhbXBsZSBub25jZQ=="),
]


def test_an_upgrade_of_the_hosts_own_server(roomcast_engine: Any) -> None:
    engine = roomcast_engine()
    opened: list[roomcast.Connection] = []
    engine.on_open(opened.append)
    engine.start()
    with pytest.raises(roomcast.NotUpgrade) as error:
        engine.upgrade("GET", "/", [("Host", "h")])
    assert error.value.http_status == 426 and error.value.text
    with pytest.raises(roomcast.NotUpgrade) as error:
        engine.upgrade("POST", "/", UPGRADE)
    assert error.value.http_status in (400, 405)
    with pytest.raises(roomcast.NotUpgrade):
        engine.upgrade("GET", "/", [("bad name", "h")])
    upgrade = engine.upgrade("GET", "/room?x=1", UPGRADE)
    upgrade.accept(user="ada", rooms="a")
    assert b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in upgrade.response
    ours, theirs = socket.socketpair()
    with ours:
        upgrade.adopt(theirs, b"\x81\x80\x00\x00\x00\x00")
        until(lambda: opened)
        assert opened[0].user == "ada" and opened[0].query == {"x": "1"}
        assert engine.publish("a", "hi").members == 1
        ours.settimeout(20)
        assert ours.recv(100) == b"\x81\x02hi"
        with pytest.raises(roomcast.Answered):
            upgrade.adopt(ours)
