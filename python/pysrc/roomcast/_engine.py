"""``Engine``: what a Python host holds. The native half (``Core``) publishes, sends and answers;
this half is settings, handlers, and starting and stopping in Python's manner."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import functools
import inspect
import os
import signal
import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from time import monotonic
from types import FrameType, TracebackType
from typing import Any, Literal, Self, TypeAlias, TypeVar, Unpack

from ._dispatch import (
    BATCH,
    Dispatcher,
    LoopDispatcher,
    Puller,
    ThreadDispatcher,
    log,
    report,
    running_loop,
)
from ._events import Events
from ._limits import Limits
from ._roomcast import (
    Auth,
    Core,
    Event,
    Jwt,
    ListenOptions,
    Present,
    RoomOptions,
    StopReport,
    on_fork,
)
from ._types import SlowPolicy, TlsLike
from .errors import UsageError

os.register_at_fork(after_in_child=on_fork)

F = TypeVar("F", bound=Callable[..., Any])
A = TypeVar("A")

#: An address, several, or addresses with the options of each.
Listeners: TypeAlias = (
    A | Iterable[A | tuple[A, ListenOptions | None]] | Mapping[A, ListenOptions | None]
)

_started: weakref.WeakSet[Engine] = weakref.WeakSet()


@atexit.register
def _stop_all() -> None:
    """Peers are told when the program ends, also where it has not stopped its engines."""
    for engine in list(_started):
        if engine.is_running:
            engine.stop(timeout=1.0)


class Engine(Core):
    """A real-time engine inside this process.

    Constructing it opens nothing. ``start`` opens the listeners and starts the threads that serve
    connections; ``stop`` ends them. Both also as ``with engine`` and ``async with engine``. An
    engine that has stopped may be started again.

    Args:
        listen: ``"host:port"``, or several; port 0 is a free one (ask ``addresses``). For options
            of a listener, pairs of an address and ``ListenOptions``, or a mapping.
        listen_unix: path of a unix socket, or several; with options in the same way.
        shards: threads that serve connections; 0 is one for each core.
        own_threads: False has no threads: ``turn`` serves, on the thread that calls it.
        reuse_port: lets several processes listen on the same port (SO_REUSEPORT).
        slow_policy: what happens to members that are too slow: "disconnect" closes them with 4008,
            "skip" has them go on at the newest publication, "latest" keeps the newest of each key,
            "volatile" drops what their sockets do not take at once, "replay" has them catch up from
            the room's history.
        room_options: ``RoomOptions`` by how the names of rooms begin: of several that fit, those
            of the longest.
        message_rate_policy: what happens to what a peer says beyond ``message_rate_max``: it is
            dropped, unseen and counted, or closes the connection (1008).
        tls: certificates for the TCP listeners: a pair of a certificate and its key (paths, or PEM
            as bytes), several pairs, or a ``Tls``. A listener with ``ListenOptions(tls=False)``
            does without.
        auth: how peers prove who they are: a ``Jwt``, or an ``Auth`` that also says where tokens
            are. Who brings no valid token is answered with 401 before ``on_connect``.
        trusted_proxies: networks (``"10.0.0.0/8"``), addresses and ``"unix"``, whose word is taken
            for the address of a peer (``peer_ip``).
        forwarded_header: the header by which they give it, which is the only one that is believed.
        origins: which web pages may connect: those of the same host, those listed too, or any.
        health_path: answers GET with 200 while the engine runs; None for none.
        metrics_path: answers GET with the figures as Prometheus reads them; None for none. Whoever
            reaches the listener may read them.
        websocket_metrics: has the figures for Prometheus say some things a second time, under
            names such as ``websocket_connections_total`` that many dashboards have.
        pages: what plain GET requests are answered with: path to (content type, body).
        handlers: where they are called. "auto" is on the event loop that ``start`` is called in,
            else on a thread of the engine's; "thread" is always on that thread, for plain handlers
            that block (an ORM) beside an async app.
        pull: events are taken with ``events()`` instead of by handlers.
        from_env: limits are overridden by variables such as ``ROOMCAST_CONNECTIONS_MAX``.
        large: how binary messages of 2 KiB and more come: as a ``memoryview`` of the engine's
            buffer, without a copy, or as ``bytes``.
        limits: every limit of the engine by its name; see ``roomcast.Limits``.

    Raises:
        ConfigError: a setting cannot work; the message names it and what it may be.
        CertificateError: a certificate or its key cannot be used.
        IoError: a file of a certificate cannot be read.
    """

    #: Here for engines whose construction has failed.
    _dispatcher: Dispatcher | None = None

    def __init__(
        self,
        listen: Listeners[str] = (),
        *,
        listen_unix: Listeners[str | os.PathLike[str]] = (),
        shards: int = 0,
        own_threads: bool = True,
        reuse_port: bool = False,
        slow_policy: SlowPolicy = "disconnect",
        room_options: Mapping[str, RoomOptions] | None = None,
        message_rate_policy: Literal["refuse", "close"] = "refuse",
        tls: TlsLike | None = None,
        auth: Jwt | Auth | None = None,
        trusted_proxies: str | Iterable[str] = (),
        forwarded_header: Literal["x-forwarded-for", "forwarded"] = "x-forwarded-for",
        origins: Literal["same-host", "any"] | Iterable[str] = "same-host",
        health_path: str | None = "/health",
        metrics_path: str | None = None,
        websocket_metrics: bool = False,
        pages: Mapping[str, tuple[str, str | bytes]] | None = None,
        handlers: Literal["auto", "thread"] = "auto",
        pull: bool = False,
        from_env: bool = False,
        large: Literal["memoryview", "bytes"] = "memoryview",
        **limits: Unpack[Limits],
    ) -> None:
        if large not in ("memoryview", "bytes"):
            raise ValueError(f'large is {large!r}, but must be "memoryview" or "bytes"')
        if handlers not in ("auto", "thread"):
            raise ValueError(f'handlers is {handlers!r}, but must be "auto" or "thread"')
        settings = {
            "listen": listen,
            "listen_unix": listen_unix,
            "shards": shards,
            "own_threads": own_threads,
            "reuse_port": reuse_port,
            "slow_policy": slow_policy,
            "room_options": room_options,
            "message_rate_policy": message_rate_policy,
            "tls": tls,
            "auth": auth,
            "trusted_proxies": trusted_proxies,
            "forwarded_header": forwarded_header,
            "origins": origins,
            "health_path": health_path,
            "metrics_path": metrics_path,
            "websocket_metrics": websocket_metrics,
            "pages": None if pages is None else dict(pages),
            **limits,
        }
        self._configure(settings, from_env)
        self._own_threads = own_threads
        self._websocket_metrics = websocket_metrics
        #: Events of a batch that no iterator has given yet.
        self._pulled: deque[Event] = deque()
        self._on_thread = handlers == "thread"
        self._pull = pull
        self._share = large == "memoryview"
        self._handlers: dict[str, tuple[Callable[..., Any], bool]] = {}
        self._lock = threading.Lock()

    # Handlers.

    def on_connect(self, handler: F) -> F:
        """Decides on a new connection: ``handler(connection)`` calls ``accept`` or ``refuse``, or
        returns None or True (accepted, into no room), False (refused), or ``LATER``. It may raise
        ``Reject``. Async handlers may await before they decide."""
        return self._on("connect", handler)

    def on_open(self, handler: F) -> F:
        """``handler(connection)``: it is open, and in the rooms that it was accepted into."""
        return self._on("open", handler)

    def on_message(self, handler: F) -> F:
        """``handler(connection, data)``: a message came; text is ``str``, binary is ``bytes``, or a
        ``memoryview`` from 2 KiB on."""
        return self._on("message", handler)

    def on_close(self, handler: F) -> F:
        """``handler(connection, reason)``: a connection that was open has ended."""
        return self._on("close", handler)

    def on_lag(self, handler: F) -> F:
        """``handler(connection, room, missed)``: it was too slow to be sent publications of a room,
        and by its policy goes on without them. ``missed`` says how many and which."""
        return self._on("lag", handler)

    def on_expiring(self, handler: F) -> F:
        """``handler(connection)``: its token expires in ``token_notice_ms``; then it is closed
        with 4003, unless it has brought a new one (``refresh``)."""
        return self._on("expiring", handler)

    def on_permission(self, handler: F) -> F:
        """Decides on what a peer wants in a room (``request_join``, ``request_publish``) and its
        token does not allow by itself: ``handler(connection, wish)`` returns True (allowed), None
        or False (denied), or ``LATER``, or calls ``wish.allow`` or ``wish.deny``. Async handlers
        may await before they decide. Without a handler all such is denied."""
        return self._on("permission", handler)

    def on_delivered(self, handler: F) -> F:
        """``handler(room, delivery)``: what became of a publication of ``publish_tracked``, when
        all members in step have been offered it. Async handlers do not wait for each other."""
        return self._on("delivered", handler)

    def on_backpressure(self, handler: F) -> F:
        """``handler(connection, high)``: more than ``outbox_high_bytes`` wait for it (True), or
        less than half of that again (False). Between the two it is not read from."""
        return self._on("backpressure", handler)

    def _on(self, kind: str, handler: F) -> F:
        if not callable(handler):
            raise UsageError(f"on_{kind} takes a function: write @engine.on_{kind} without ()")
        if self._pull:
            raise UsageError("an engine with pull=True has no handlers: take events()")
        if self.is_running:
            raise UsageError(f"set on_{kind} before the engine starts")
        self._handlers[kind] = (handler, is_async(handler))
        return handler

    def events(self) -> Events:
        """Everything that happens, for ``for`` and ``async for``, until the engine has stopped.
        Only with ``pull=True``; several iterators share the events."""
        if not self._pull:
            raise UsageError("events() needs Engine(pull=True); without it, use handlers")
        return Events(self, self._pulled)

    def iter_present(self, room: str) -> Iterator[Present]:
        """All members of a room with presence, page by page, in the order in which they joined.
        Others may come and go meanwhile; whoever is there all the time is given exactly once."""
        after: int | None = None
        while True:
            page = self.present(room, after)
            yield from page.present
            after = page.next
            if after is None:
                return

    # Life.

    def start(self, loop: asyncio.AbstractEventLoop | None = None) -> None:
        """Starts. In a running event loop (or with ``loop``) handlers are called on that loop, else
        on a thread of the engine's.

        Raises:
            IoError: an address cannot be listened on, or a thread cannot be had.
            UsageError: it runs already, or there are async handlers and no loop.
        """
        with self._lock:
            before = self._dispatcher
            if before is not None and not before.done.is_set() and not self._is_forked():
                raise UsageError("the engine is started already, or has not ended yet")
            dispatcher = self._choose(None if self._on_thread else loop or running_loop())
            self._start(self._handlers, dispatcher.spawn, report, log, self._pull, self._share)
            try:
                dispatcher.begin()
            except BaseException:
                self._stop(0.0)
                self._clear()
                raise
            self._dispatcher = dispatcher
        _started.add(self)

    def _choose(self, loop: asyncio.AbstractEventLoop | None) -> Dispatcher:
        if self._pull:
            return Puller(self)
        if loop is not None:
            return LoopDispatcher(self, loop)
        for kind, (_, is_async) in self._handlers.items():
            if is_async:
                raise UsageError(
                    f"on_{kind} is a coroutine function, which needs an event loop: start the "
                    "engine inside one (`async with engine`), or give start(loop=...)"
                )
        return ThreadDispatcher(self) if self._own_threads else Dispatcher(self)

    def stop(self, timeout: float | None = None) -> StopReport:
        """Stops: no new connections, peers are told (1001) and sent what they are owed, handlers
        are told the rest. After ``timeout`` seconds (default ``stop_timeout_ms``) whoever is left
        is cut. Any thread, also in a handler; in async code use ``astop``, since this one blocks.
        """
        dispatcher, seconds = self._dispatcher, self._seconds(timeout)
        until = monotonic() + seconds + 1.0
        result = self._stop(timeout)
        if dispatcher is not None:
            dispatcher.finish(max(1.0, until - monotonic()))
        return result

    async def astop(self, timeout: float | None = None) -> StopReport:
        """As ``stop``, without blocking the loop. Async handlers at work are waited for, and
        cancelled when the time is over."""
        dispatcher, seconds = self._dispatcher, self._seconds(timeout)
        until = monotonic() + seconds + 1.0
        if not self._own_threads:
            # Nobody else turns it.
            return self.stop(timeout)
        if not isinstance(dispatcher, LoopDispatcher) or not dispatcher.is_on(running_loop()):
            return await asyncio.to_thread(self.stop, timeout)
        self._begin_stop(timeout)
        await dispatcher.told(seconds + 5.0)
        # It has ended, so this does not wait.
        result = self.stop(timeout)
        await dispatcher.settle(max(0.1, until - monotonic()))
        return result

    def _seconds(self, timeout: float | None) -> float:
        """How long a stop may take; for ever is a year."""
        return min(self._stop_seconds() if timeout is None else timeout, 31_536_000.0)

    def wait(self, timeout: float | None = None) -> bool:
        """Waits until the engine has stopped, or for so many seconds; whether it has. Ctrl-C ends
        the wait with ``KeyboardInterrupt``."""
        until = None if timeout is None else monotonic() + timeout
        while (dispatcher := self._dispatcher) is not None and not dispatcher.done.is_set():
            left = 0.5 if until is None else min(0.5, until - monotonic())
            if left <= 0:
                return False
            # Now and then back here, where signals are seen.
            dispatcher.done.wait(left)
        return True

    def serve(self) -> StopReport:
        """Runs a whole program: starts if that was not done, waits for Ctrl-C or SIGTERM (or a
        ``stop`` from anywhere), and stops. On the main thread, whose signal handlers are put back
        afterwards."""
        ends = threading.Event()
        # Before the start: a signal may come as soon as somebody sees that it runs.
        with signals(lambda number, frame: ends.set()):
            if not self.is_running:
                self.start()
            while not ends.wait(0.2) and not self.wait(0.0):
                pass
        return self.stop()

    async def aserve(self) -> StopReport:
        """As ``serve``, on a running loop."""
        loop, ends = asyncio.get_running_loop(), asyncio.Event()
        with signals(lambda number, frame: loop.call_soon_threadsafe(ends.set)):
            if not self.is_running:
                self.start()
            while not ends.is_set() and not self.wait(0.0):
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(ends.wait(), 0.2)
        return await self.astop()

    def turn(self, timeout: float = 0.0) -> bool:
        """With ``own_threads=False``: waits for at most so many seconds, then does what there is to
        do, handlers included. False once the engine has stopped."""
        runs = self._turn(timeout)
        if not self._pull and not isinstance(self._dispatcher, LoopDispatcher):
            while self._dispatch(BATCH):
                pass
            if self._dispatcher is not None:
                self._dispatcher.end_if_told(self)
        return runs

    @property
    def port(self) -> int:
        """The port of the first TCP listener."""
        if not self.addresses:
            raise UsageError('this engine has no TCP listener: Engine("127.0.0.1:0") has one')
        return self.addresses[0][1]

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    async def __aenter__(self) -> Self:
        self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.astop()

    def __repr__(self) -> str:
        if self.is_running:
            state = "running"
        elif self._dispatcher is None or self._dispatcher.done.is_set():
            state = "not running"
        else:
            state = "stopping"
        return f"<roomcast.Engine {state}>"


@contextlib.contextmanager
def signals(handler: Callable[[int, FrameType | None], object]) -> Iterator[None]:
    """SIGINT and SIGTERM go to this handler inside the block, where this is the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handler) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)


def is_async(handler: Callable[..., Any]) -> bool:
    """Whether calling it gives a coroutine; looks through ``functools.partial`` and objects."""
    while isinstance(handler, functools.partial):
        handler = handler.func
    call = getattr(type(handler), "__call__", None)
    return inspect.iscoroutinefunction(handler) or inspect.iscoroutinefunction(call)
