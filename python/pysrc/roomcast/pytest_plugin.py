"""Fixtures for tests of code that uses roomcast: engines, and clients without a port.

Stage: integration, above the engine's public API. In come settings and paths; out go engines and
clients (`roomcast.testing.Client`), all of which end with the test. Loaded by pytest through an
entry point.

    def test_greets(roomcast_engine, roomcast_client):
        engine = roomcast_engine()
        engine.on_open(lambda conn: conn.send("hello"))
        engine.start()
        assert roomcast_client(engine, "/").receive() == "hello"
"""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from roomcast.testing import BUFFER_BYTES, Client

if TYPE_CHECKING:
    from roomcast import Engine

__all__ = ["roomcast_client", "roomcast_engine"]

_TIMEOUT = 5.0


class _MakeEngine(Protocol):
    def __call__(self, *args: Any, **settings: Any) -> Engine: ...


class _MakeClient(Protocol):
    def __call__(
        self,
        engine: Engine,
        path: str = "/",
        *,
        loopback: bool = False,
        headers: Mapping[str, str] | None = None,
        subprotocols: tuple[str, ...] = (),
    ) -> Client: ...


@pytest.fixture
def roomcast_engine() -> Iterator[_MakeEngine]:
    """Makes engines: `engine = roomcast_engine(**settings)`, for the test to decorate and start.

    Without a listener, one shard, and quick to stop, unless the settings say otherwise. All are
    stopped when the test ends.
    """
    from roomcast import Engine

    made: list[Engine] = []

    def make(*args: Any, **settings: Any) -> Engine:
        listen: tuple[Any, ...] = args or ((),)
        engine = Engine(*listen, **{"shards": 1, "stop_spread_ms": 0, **settings})
        made.append(engine)
        return engine

    yield make
    for engine in reversed(made):
        if engine.is_running:
            engine.stop(timeout=_TIMEOUT)


@pytest.fixture
def roomcast_client(roomcast_engine: _MakeEngine) -> Iterator[_MakeClient]:
    """Makes clients of a running engine: `client = roomcast_client(engine, "/path?x=1")`.

    In memory: one end of a socket pair that the engine adopts, with small buffers, so that `lag`
    shows after a few KiB. `loopback=True` connects to the engine's first TCP listener. All are
    dropped before the engines stop.
    """
    made: list[Client] = []

    def make(engine: Engine, path: str = "/", *, loopback: bool = False, **how: Any) -> Client:
        if loopback:
            client = Client.connect(*engine.addresses[0], path, **how)
        else:
            ours, theirs = socket.socketpair()
            for end in (ours, theirs):
                end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER_BYTES)
            try:
                engine.adopt(theirs)
                client = Client(ours, path, **how)
            except BaseException:
                ours.close()
                theirs.close()
                raise
        made.append(client)
        return client

    yield make
    for client in made:
        client.end()
