"""One public port under Uvicorn: WebSocket handshakes go to the engine, the rest to your app.

Stage: integration, above the engine's public API. In comes what Uvicorn gives a WebSocket protocol
class (the transport and the request's head); out goes the socket to `Engine.adopt`. From then on
no byte of the connection passes through Python. Runs on Uvicorn's event loop.

    uvicorn.run(app, ws=roomcast.uvicorn.protocol(engine, path="/ws"))

or `rooms = roomcast.uvicorn.protocol(engine)` in `app.py`, and `uvicorn app:app --ws app:rooms`.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import unquote

from roomcast import RoomcastError

if TYPE_CHECKING:
    from roomcast import Engine

__all__ = ["protocol"]

_log = logging.getLogger("roomcast")


def protocol(
    engine: Engine,
    path: str | Iterable[str] | None = None,
    otherwise: str | type[asyncio.Protocol] | None = "auto",
) -> type[asyncio.Protocol]:
    """A class for Uvicorn's setting `ws`.

    Handshakes at `path` (one or several; each with everything below it; None: all) are handed to
    the engine. Others go to `otherwise`: one of Uvicorn's names, a class or an import string like
    Uvicorn's own `ws`, or None for 404.

    The engine answers the handshake, so `origins`, `auth`, `trusted_proxies`, limits and
    `on_connect` hold as on a port of its own, and `conn.peer` is the peer of the socket. It must
    run: start it in the lifespan. Until then, and when it takes no more connections, the answer is
    503. A TLS connection cannot be handed over and is answered with 501: end TLS in a proxy before
    Uvicorn.

    Uvicorn drops what a client sends behind its head before the answer, which RFC 6455 forbids.
    """
    paths = None if path is None else [path] if isinstance(path, str) else list(path)

    class HandOver(_HandOver):
        _engine = engine
        _paths = None if paths is None else tuple(p.rstrip("/") for p in paths)
        _otherwise = staticmethod(lambda: _uvicorns(otherwise))

    return HandOver


def _uvicorns(otherwise: str | type[asyncio.Protocol] | None) -> Callable[..., Any] | None:
    """Uvicorn's class for this name; None where there is none."""
    if not isinstance(otherwise, str):
        return otherwise
    from uvicorn.config import WS_PROTOCOLS
    from uvicorn.importer import import_from_string

    name = WS_PROTOCOLS.get(otherwise, otherwise)
    return cast("Callable[..., Any] | None", import_from_string(name))


class _HandOver(asyncio.Protocol):
    """Uvicorn makes one for each handshake, and calls `connection_made`, then `data_received` with
    the head as it was parsed, then `transport.set_protocol`.

    It is never in `server_state.connections`, so Uvicorn neither counts it nor waits for it.
    """

    _engine: Engine
    _paths: tuple[str, ...] | None
    _otherwise: Callable[[], Callable[..., Any] | None]

    def __init__(
        self,
        config: Any,
        server_state: Any,
        app_state: Any,
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self._uvicorn = {"config": config, "server_state": server_state, "app_state": app_state}
        self._transport: asyncio.Transport | None = None
        self._other: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if self._other is not None:
            self._other.data_received(data)
        elif self._transport is not None:
            if self._is_ours(data):
                self._hand_over(self._transport, data)
            else:
                self._pass_on(self._transport, data)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._other is not None:
            self._other.connection_lost(exc)

    def eof_received(self) -> bool | None:
        return self._other.eof_received() if self._other is not None else None

    def pause_writing(self) -> None:
        if self._other is not None:
            self._other.pause_writing()

    def resume_writing(self) -> None:
        if self._other is not None:
            self._other.resume_writing()

    def _is_ours(self, head: bytes) -> bool:
        if self._paths is None:
            return True
        target = head.split(b" ", 2)[1].partition(b"?")[0]
        path = unquote(target.decode("latin-1"))
        return any(path == p or path.startswith(p + "/") for p in self._paths)

    def _hand_over(self, transport: asyncio.Transport, head: bytes) -> None:
        if transport.get_extra_info("sslcontext") is not None:
            _log.error("a TLS connection cannot be handed to the engine; end TLS in a proxy")
            _answer(transport, HTTPStatus.NOT_IMPLEMENTED, "WebSocket over TLS ends at the proxy")
            return
        if not self._engine.is_running:
            _log.warning("a handshake came while the engine does not run")
            _answer(transport, HTTPStatus.SERVICE_UNAVAILABLE, "the engine does not run")
            return
        if transport.get_write_buffer_size() > 0:
            # An earlier response on this connection; the engine's would overtake it.
            _answer(transport, HTTPStatus.SERVICE_UNAVAILABLE, "open a connection of its own")
            return
        try:
            # A second descriptor for the socket: closing the transport's ends nothing.
            number = os.dup(transport.get_extra_info("socket").fileno())
            self._engine.adopt(socket.socket(fileno=number), head)
        except (RoomcastError, OSError) as error:
            _log.warning("the engine takes no connection: %s", error)
            _answer(transport, HTTPStatus.SERVICE_UNAVAILABLE, "no place for a connection")
            return
        # Stops reading at once, closes the descriptor soon, and shuts nothing down.
        transport.abort()

    def _pass_on(self, transport: asyncio.Transport, head: bytes) -> None:
        make = self._otherwise()
        if make is None:
            _answer(transport, HTTPStatus.NOT_FOUND, "no WebSocket at this path")
            return
        self._other = make(**self._uvicorn)
        self._other.connection_made(transport)
        self._other.data_received(head)
        # Uvicorn makes us the transport's protocol when we return; then we step aside.
        asyncio.get_running_loop().call_soon(self._step_aside, transport)

    def _step_aside(self, transport: asyncio.Transport) -> None:
        if transport.get_protocol() is self:
            transport.set_protocol(self._other)


def _answer(transport: asyncio.Transport, status: HTTPStatus, text: str) -> None:
    body = text.encode() + b"\n"
    head = (
        f"HTTP/1.1 {status.value} {status.phrase}\r\ncontent-type: text/plain; charset=utf-8\r\n"
        f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
    )
    transport.write(head.encode() + body)
    transport.close()
