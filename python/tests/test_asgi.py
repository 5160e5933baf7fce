"""Lifespans, and the same authentication for requests and connections."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
from fastapi import FastAPI, HTTPException, Request
from fastapi.security import HTTPBearer

import roomcast
import roomcast.asgi


def current_user(request: Request) -> str:
    user = request.cookies.get("user")
    if user is None:
        raise HTTPException(401, "who are you?")
    return user


async def test_lifespan_starts_and_stops(roomcast_engine: Any) -> None:
    engine: roomcast.Engine = roomcast_engine()
    seen: list[bool] = []

    @contextlib.asynccontextmanager
    async def inner(app: FastAPI) -> AsyncIterator[dict[str, int]]:
        seen.append(engine.is_running)
        yield {"answer": 42}
        seen.append(engine.is_running)

    app = FastAPI(lifespan=roomcast.asgi.lifespan(engine, inner=inner))
    for _ in range(2):
        async with app.router.lifespan_context(app) as state:
            assert state == {"answer": 42}
            assert engine.is_running
        assert not engine.is_running
    assert seen == [True] * 4


async def test_lifespan_stops_when_the_inner_fails(roomcast_engine: Any) -> None:
    engine: roomcast.Engine = roomcast_engine()

    @contextlib.asynccontextmanager
    async def inner(app: FastAPI) -> AsyncIterator[None]:
        raise LookupError("no database")
        yield

    app = FastAPI(lifespan=roomcast.asgi.lifespan(engine, inner=inner))
    with pytest.raises(LookupError):
        async with app.router.lifespan_context(app):
            pass
    assert not engine.is_running


async def events(app: roomcast.asgi.RoomcastApp, *kinds: str) -> list[dict[str, Any]]:
    """What the application answers to these lifespan events."""
    sent: list[Any] = []
    left = [{"type": f"lifespan.{kind}"} for kind in kinds]

    async def receive() -> dict[str, Any]:
        return left.pop(0)

    async def send(event: Any) -> None:
        sent.append(event)

    await app({"type": "lifespan"}, receive, send)
    return sent


async def test_an_app_without_lifespan(roomcast_engine: Any) -> None:
    engine: roomcast.Engine = roomcast_engine()
    scopes: list[str] = []

    async def inner(scope: Any, receive: Any, send: Any) -> None:
        scopes.append(scope["type"])

    app = roomcast.asgi.RoomcastApp(inner, engine)
    sent = await events(app, "startup", "shutdown")
    assert [event["type"] for event in sent] == [
        "lifespan.startup.complete",
        "lifespan.shutdown.complete",
    ]
    assert not engine.is_running
    await app({"type": "http"}, None, None)  # type: ignore[arg-type]
    assert scopes == ["http"]


async def test_a_start_that_fails_is_told(roomcast_engine: Any) -> None:
    first: roomcast.Engine = roomcast_engine("127.0.0.1:0")
    async with first:
        second: roomcast.Engine = roomcast_engine(f"127.0.0.1:{first.port}")
        app: Any = None
        sent = await events(roomcast.asgi.RoomcastApp(app, second), "startup")
    assert [event["type"] for event in sent] == ["lifespan.startup.failed"]
    assert sent[0]["message"]


async def test_authenticate(roomcast_engine: Any, roomcast_client: Any) -> None:
    engine: roomcast.Engine = roomcast_engine()

    @engine.on_connect
    async def connect(conn: roomcast.Connection) -> None:
        conn.accept(user=await roomcast.asgi.authenticate(conn, current_user))

    @engine.on_open
    async def greet(conn: roomcast.Connection) -> None:
        conn.send(f"hello {conn.user}")

    async with engine:
        ada = roomcast_client(engine, headers={"Cookie": "user=ada"})
        assert await ada.areceive() == "hello ada"
        stranger = roomcast_client(engine)
        assert await stranger.astatus() == 401
        assert stranger.text == "who are you?"


async def test_a_security_scheme(roomcast_engine: Any, roomcast_client: Any) -> None:
    """FastAPI's own schemes are functions of a request too."""
    engine: roomcast.Engine = roomcast_engine()

    @engine.on_connect
    async def connect(conn: roomcast.Connection) -> None:
        found = await roomcast.asgi.authenticate(conn, HTTPBearer())
        assert found is not None
        conn.accept(user=found.credentials)

    async with engine:
        good = roomcast_client(engine, headers={"Authorization": "Bearer ada"})
        assert await good.astatus() == 101
        (one,) = (engine.connection(number) for number in engine.connections())
        assert one is not None
        assert one.user == "ada"
        assert await roomcast_client(engine).astatus() in (401, 403)


async def test_what_the_request_has(roomcast_engine: Any, roomcast_client: Any) -> None:
    engine: roomcast.Engine = roomcast_engine()
    seen: list[Request] = []
    app = FastAPI()

    @engine.on_connect
    async def connect(conn: roomcast.Connection) -> None:
        request = roomcast.asgi.request(conn, app)
        assert await request.body() == b""
        seen.append(request)

    async with engine:
        headers = {"Host": "chat.example", "Cookie": "a=1; b=2", "X-Name": "Jürgen"}
        client = roomcast_client(engine, "/r%C3%A4ume/x?q=a%20b&q=c", headers=headers)
        assert await client.astatus() == 101
    request = seen[0]
    assert request.method == "GET"
    assert request.url.path == "/räume/x"
    assert request.url.hostname == "chat.example"
    assert request.query_params.getlist("q") == ["a b", "c"]
    assert request.cookies == {"a": "1", "b": "2"}
    assert request.headers["x-name"].encode("latin-1").decode() == "Jürgen"
    assert request.client is None, "a socket pair has no address"
    assert request.app is app
