"""Lifespan and authentication for ASGI applications: Starlette, FastAPI, Django.

Stage: integration, above the engine's public API. In come lifespan events and connections; out
go `start`, `astop`, and the requests that your authentication knows. Everything here runs on the
application's event loop.

- Starlette and FastAPI: `FastAPI(lifespan=roomcast.asgi.lifespan(engine))`.
- Django, and others that do not know lifespan: `application = RoomcastApp(application, engine)`.
- `request(connection)` is a Starlette `Request`, so `current_user(request)` serves both.
"""

from __future__ import annotations

import contextlib
import inspect
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any, TypeVar, overload
from urllib.parse import unquote

from roomcast import Reject

if TYPE_CHECKING:
    from starlette.requests import Request

    from roomcast import Connection, Engine

__all__ = ["RoomcastApp", "authenticate", "lifespan", "request", "scope"]

_log = logging.getLogger("roomcast")

_Message = MutableMapping[str, Any]
_Receive = Callable[[], Awaitable[_Message]]
_Send = Callable[[_Message], Awaitable[None]]
_App = Callable[[MutableMapping[str, Any], _Receive, _Send], Awaitable[None]]
_User = TypeVar("_User")
# Starlette's word for a lifespan: the application in, a context manager out.
_Lifespan = Callable[[Any], AbstractAsyncContextManager[Any]]


def lifespan(engine: Engine, inner: _Lifespan | None = None) -> _Lifespan:
    """A lifespan for Starlette or FastAPI that starts the engine, and stops it at the end.

    `inner` is your own lifespan, if you have one. It is entered when the engine runs, and left
    before the engine stops, so its tasks may publish all the time. Its state is handed on.
    """

    @contextlib.asynccontextmanager
    async def run(app: Any) -> AsyncIterator[Any]:
        engine.start()
        try:
            if inner is None:
                yield None
            else:
                async with inner(app) as state:
                    yield state
        finally:
            await engine.astop()

    return run


class RoomcastApp:
    """An ASGI application around another one that does not know lifespan.

    The lifespan events of the server end here: the engine starts with the server, and stops with
    it. Everything else goes to the application. A server without lifespan events (Daphne, or
    Uvicorn with `--lifespan off`) never starts the engine; call `engine.start()` yourself there.
    """

    def __init__(self, app: _App, engine: Engine) -> None:
        self.app = app
        self.engine = engine

    async def __call__(
        self, scope: MutableMapping[str, Any], receive: _Receive, send: _Send
    ) -> None:
        """The ASGI interface."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        else:
            await self.app(scope, receive, send)

    async def _live(self, receive: _Receive, send: _Send) -> None:
        while True:
            event = (await receive())["type"]
            verb = "startup" if event == "lifespan.startup" else "shutdown"
            try:
                if verb == "startup":
                    self.engine.start()
                else:
                    await self.engine.astop()
            except Exception as error:
                _log.exception("the engine failed at %s", verb)
                await send({"type": f"lifespan.{verb}.failed", "message": str(error)})
                return
            await send({"type": f"lifespan.{verb}.complete"})
            if verb == "shutdown":
                return


def scope(connection: Connection, app: Any = None) -> dict[str, Any]:
    """The connection's handshake as an ASGI HTTP scope.

    No middleware has seen it: what `SessionMiddleware` or `AuthenticationMiddleware` would add is
    missing. `client` is the peer of the socket; behind one of `trusted_proxies` it is `peer_ip`,
    with port 0. `app` becomes `request.app`.
    """
    client, ip = connection.peer, connection.peer_ip
    if ip is not None:
        # An IPv4 address within IPv6 is given as IPv4.
        is_own = client and client[0].removeprefix("::ffff:") == ip
        client = (ip, client[1] if client and is_own else 0)
    raw_path = connection.path.encode("utf-8")
    found = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "root_path": "",
        "path": unquote(connection.path),
        "raw_path": raw_path,
        "query_string": connection.query_string.encode("utf-8"),
        "headers": [
            (name.encode("latin-1"), value.encode("latin-1"))
            for name, value in connection.headers.raw
        ],
        "client": client,
        "server": None,
        "state": {},
        "extensions": {},
    }
    return found if app is None else {**found, "app": app}


def request(connection: Connection, app: Any = None) -> Request:
    """The connection's handshake as a Starlette `Request`: headers, cookies, query, URL, client.

    A handshake has no body, so `await request.body()` is empty. For what else is missing see
    `scope`. Needs Starlette, which FastAPI brings.
    """
    try:
        from starlette.requests import Request
    except ImportError as error:
        raise ImportError("roomcast.asgi.request needs Starlette: pip install starlette") from error
    return Request(scope(connection, app), _no_body)


async def _no_body() -> _Message:
    return {"type": "http.request", "body": b"", "more_body": False}


@overload
async def authenticate(
    connection: Connection, dependency: Callable[[Any], Awaitable[_User]], app: Any = None
) -> _User: ...
@overload
async def authenticate(
    connection: Connection, dependency: Callable[[Any], _User], app: Any = None
) -> _User: ...
async def authenticate(
    connection: Connection, dependency: Callable[[Any], Any], app: Any = None
) -> Any:
    """Calls `dependency(request)` as FastAPI would, and answers what it answers.

    An `HTTPException` refuses the connection with its status and detail. A `def` runs on the event
    loop here, not in a thread, so it must not block. Parameters that FastAPI would fill in by
    `Depends` are not: the function must take the request alone, or have defaults that hold.
    """
    from starlette.exceptions import HTTPException

    try:
        found = dependency(request(connection, app))
        return await found if inspect.isawaitable(found) else found
    except HTTPException as error:
        raise Reject(error.status_code, str(error.detail)) from error
