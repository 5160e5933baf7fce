"""One public port under Uvicorn: which connections the engine gets, and what Uvicorn keeps."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import uvicorn
from conftest import until
from fastapi import FastAPI, WebSocket
from running import ask
from tokens import SECRET, token

import roomcast
import roomcast.asgi
import roomcast.uvicorn
from roomcast.testing import Client

STACKS = [(loop, http) for loop in ("asyncio", "uvloop") for http in ("h11", "httptools")]


def application(engine: roomcast.Engine | None) -> FastAPI:
    app = FastAPI(lifespan=None if engine is None else roomcast.asgi.lifespan(engine))

    @app.get("/")
    async def page() -> str:
        return "page"

    @app.websocket("/own/{name}")
    async def own(sock: WebSocket, name: str) -> None:
        await sock.accept()
        async for text in sock.iter_text():
            await sock.send_text(f"{name} {text}")

    return app


@contextlib.contextmanager
def serving(app: Any, ws: Any, **settings: Any) -> Iterator[tuple[uvicorn.Server, int]]:
    """Uvicorn in a thread, on a free port."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        config = uvicorn.Config(app, ws=ws, log_level="error", **settings)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([sock],))
        thread.start()
        try:
            until(lambda: server.started or not thread.is_alive())
            yield server, sock.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join()


@pytest.fixture
def engine(roomcast_engine: Any) -> roomcast.Engine:
    made: roomcast.Engine = roomcast_engine()
    made.on_connect(lambda conn: conn.accept(rooms=[conn.path]))
    made.on_message(lambda conn, data: conn.send(data))
    return made


@contextlib.contextmanager
def connected(port: int, path: str, **how: Any) -> Iterator[Client]:
    client = Client.connect("127.0.0.1", port, path, **how)
    try:
        yield client
    finally:
        client.end()


@pytest.mark.parametrize(("loop", "http"), STACKS)
@pytest.mark.parametrize("otherwise", ["auto", "wsproto"])
def test_paths(engine: roomcast.Engine, loop: str, http: str, otherwise: str) -> None:
    ws = roomcast.uvicorn.protocol(engine, ["/ws", "/räume/"], otherwise)
    with serving(application(engine), ws, loop=loop, http=http) as (server, port):
        for path in ("/ws", "/ws?x=1", "/ws/a", "/r%C3%A4ume", "/r%C3%A4ume/b"):
            with connected(port, path) as client:
                client.send("x" * 300_000)
                assert client.receive() == "x" * 300_000
        with connected(port, "/own/app") as client:
            client.send("hi")
            assert client.receive() == "app hi"
            client.send("there")
            assert client.receive() == "app there"
            client.close()
            assert client.expect_close()[0] == 1000
        with connected(port, "/wsx") as client:
            assert client.status == 403, "the app has no such path"
        assert ask(port, "/")[1] == "page"
        assert engine.stats()["opened"] == 5
        until(lambda: not server.server_state.connections and not server.server_state.tasks)


@pytest.mark.parametrize(("loop", "http"), STACKS)
def test_shutting_down_with_connections(engine: roomcast.Engine, loop: str, http: str) -> None:
    app, ws = application(engine), roomcast.uvicorn.protocol(engine)
    with contextlib.ExitStack() as stack:
        with serving(app, ws, loop=loop, http=http) as (server, port):
            clients = [stack.enter_context(connected(port, "/ws")) for _ in range(20)]
            assert [client.status for client in clients] == [101] * 20
            assert not server.server_state.connections
            assert not server.server_state.tasks
            begin = time.monotonic()
        took = time.monotonic() - begin
        assert [client.expect_close()[0] for client in clients] == [1001] * 20
    assert took < 2.0, "Uvicorn waited for connections that are not its own"


def test_connections_are_not_uvicorns(engine: roomcast.Engine) -> None:
    """With a limit of three, ten connections leave place for requests."""
    app, ws = application(engine), roomcast.uvicorn.protocol(engine)
    with (
        serving(app, ws, limit_concurrency=3) as (_, port),
        contextlib.ExitStack() as stack,
    ):
        clients = [stack.enter_context(connected(port, "/ws")) for _ in range(10)]
        assert [client.status for client in clients] == [101] * 10
        assert ask(port, "/")[1] == "page"
        assert engine.publish("/ws", "hello").members == 10
        assert [client.receive() for client in clients] == ["hello"] * 10


def test_a_peer_has_its_address_and_ends_are_seen(engine: roomcast.Engine) -> None:
    """The socket is the peer's own: the transport that was left behind ends nothing of it."""
    seen: list[Any] = []
    engine.on_open(lambda conn: seen.append(conn.peer))
    engine.on_close(lambda conn, reason: seen.append(reason.name))
    ws = roomcast.uvicorn.protocol(engine)
    with serving(application(engine), ws) as (_, port):
        with connected(port, "/ws") as client:
            assert client.status == 101
            client.drop()
            until(lambda: len(seen) == 2)
    assert seen[0][0] == "127.0.0.1"
    assert seen[1] == "vanished"


def test_no_file_is_left_open(engine: roomcast.Engine) -> None:
    def count() -> int:
        return len(os.listdir("/proc/self/fd"))

    ws = roomcast.uvicorn.protocol(engine)
    with serving(application(engine), ws) as (_, port):
        before = count()
        for _ in range(50):
            with connected(port, "/ws") as client:
                assert client.status == 101
        until(lambda: count() <= before)


def test_an_engine_that_does_not_run(engine: roomcast.Engine) -> None:
    ws = roomcast.uvicorn.protocol(engine, "/ws")
    with serving(application(None), ws) as (server, port):
        with connected(port, "/ws") as client:
            assert (client.status, client.text) == (503, "the engine does not run")
        until(lambda: not server.server_state.connections)


def test_no_place_left(roomcast_engine: Any) -> None:
    engine: roomcast.Engine = roomcast_engine(connections_max=1)
    ws = roomcast.uvicorn.protocol(engine, "/ws")
    with serving(application(engine), ws) as (_, port):
        with connected(port, "/ws") as first, connected(port, "/ws") as second:
            assert first.status == 101
            assert second.status == 503


def test_otherwise_none(engine: roomcast.Engine) -> None:
    ws = roomcast.uvicorn.protocol(engine, "/ws", otherwise=None)
    with serving(application(engine), ws) as (_, port):
        with connected(port, "/own/app") as client:
            assert (client.status, client.text) == (404, "no WebSocket at this path")


def test_a_foreign_page_is_refused_by_the_engine(engine: roomcast.Engine) -> None:
    ws = roomcast.uvicorn.protocol(engine)
    with serving(application(engine), ws) as (_, port):
        with connected(port, "/ws", headers={"Origin": "http://elsewhere.example"}) as client:
            assert client.status == 403


def test_tokens_and_addresses_count_there_too(roomcast_engine: Any) -> None:
    engine: roomcast.Engine = roomcast_engine(
        auth=roomcast.Jwt(hs256=SECRET), trusted_proxies="127.0.0.1"
    )
    engine.on_message(lambda conn, data: conn.send(f"{conn.claims.user} {conn.peer_ip}"))
    with serving(application(engine), roomcast.uvicorn.protocol(engine)) as (_, port):
        with connected(port, "/ws") as client:
            assert client.status == 401
        headers = {"Authorization": f"Bearer {token('ada')}", "X-Forwarded-For": "192.0.2.1"}
        with connected(port, "/ws", headers=headers) as client:
            client.send("who am I?")
            assert client.receive() == "ada 192.0.2.1"


class TlsTransport(asyncio.Transport):
    """As much of a TLS transport as is asked."""

    def __init__(self) -> None:
        super().__init__({"sslcontext": object()})
        self.written = b""
        self.is_closed = False

    def write(self, data: Any) -> None:
        self.written += data

    def close(self) -> None:
        self.is_closed = True


def test_tls_is_told(engine: roomcast.Engine, caplog: pytest.LogCaptureFixture) -> None:
    made: Any = roomcast.uvicorn.protocol(engine)(None, None, None)  # type: ignore[call-arg]
    transport = TlsTransport()
    made.connection_made(transport)
    made.data_received(b"GET /ws HTTP/1.1\r\n\r\n")
    assert transport.written.startswith(b"HTTP/1.1 501 ")
    assert transport.is_closed
    assert "end TLS in a proxy" in caplog.text
