"""Events on their way to handlers: on the app's event loop, or on a thread.

The engine's threads queue events and never wait for Python. One wake-up announces them, and one
batch empties the queue, calling handlers from native code. Plain handlers are called there and
then. Coroutine functions run in tasks of the loop, one task for each connection that has something
to do, so that the order of a connection's events is kept and no connection waits for another.
"""

from __future__ import annotations

import asyncio
import logging
import select
import sys
import threading
import weakref
from collections.abc import Callable
from time import monotonic
from types import CoroutineType
from typing import TYPE_CHECKING, Any

from ._request import Reject
from .errors import Answered, UsageError

if TYPE_CHECKING:
    from ._engine import Engine
    from ._roomcast import Connection

logger = logging.getLogger("roomcast")

#: Events of one batch: between two of them the loop does its other work.
BATCH = 256
#: How long a thread waits at a time; it looks at signals and at the end of the program in between.
LOOK_SECONDS = 0.2

Handler = Callable[..., Any]


def report(connection: Connection, kind: str, error: Exception) -> None:
    """Logs what a handler raised; a connection that waits for its verdict is turned away."""
    status, text = 500, "the host has failed"
    if kind == "connect" and isinstance(error, Reject):
        status, text = error.status, error.text
    else:
        logger.error("on_%s has failed for %r", kind, connection, exc_info=error)
    if kind == "connect":
        try:
            connection.refuse(status, text)
        except Answered:
            pass


def given(_: Connection, awaitable: Any) -> Any:
    """The handler of a call that has begun: a plain function has returned this awaitable."""
    return awaitable


async def serve(connection: Connection, kind: str, handler: Handler, rest: tuple[Any, ...]) -> None:
    """Makes the calls of one connection, one after the other, until none is due."""
    while True:
        try:
            result = handler(connection, *rest)
            if type(result) is CoroutineType or hasattr(result, "__await__"):
                result = await result
            if kind == "connect":
                connection._settle(result)
        except Exception as error:
            report(connection, kind, error)
        except BaseException:
            abandon(connection, kind)
            raise
        due = connection._next()
        if due is None:
            return
        kind, handler, rest = due


def abandon(connection: Connection, kind: str) -> None:
    """The task was cancelled: nobody will make the calls that wait behind it."""
    if kind == "connect":
        try:
            connection.refuse(503, "the host is stopping")
        except Answered:
            pass
    while connection._next() is not None:
        pass


class Dispatcher:
    """What every way of telling handlers has in common."""

    def __init__(self, engine: Engine) -> None:
        self._engine = weakref.ref(engine)
        #: Set once the engine has ended and handlers were told everything.
        self.done = threading.Event()

    def begin(self) -> None:
        """Starts to tell, when the engine has started."""

    def spawn(
        self, connection: Connection, kind: str, handler: Handler, rest: tuple[Any, ...]
    ) -> None:
        """Has an async handler called."""
        if handler is given:
            rest[0].close()
        raise UsageError(
            f"on_{kind} is asynchronous and there is no event loop to run it on: start the engine "
            "inside a running loop (`async with engine`), or use a plain function"
        )

    def finish(self, seconds: float) -> None:
        """The engine has stopped: sees to it that handlers are told the rest, for so long."""
        engine = self._engine()
        if engine is not None:
            self._tell_rest(engine)

    async def settle(self, seconds: float) -> None:
        """Waits for handlers that are still at work, for so long."""

    def _tell_rest(self, engine: Engine) -> None:
        while engine._dispatch(BATCH):
            pass
        self._end_if_told(engine)

    def _end_if_told(self, engine: Engine) -> bool:
        if engine._is_ended() and not self.done.is_set():
            engine._clear()
            self.done.set()
        return self.done.is_set()


class Puller(Dispatcher):
    """Calls nobody: the host takes the events."""

    def finish(self, seconds: float) -> None:
        # What was not taken yet can still be.
        self.done.set()


class ThreadDispatcher(Dispatcher):
    """Calls handlers on a thread of its own: for programs without an event loop."""

    def begin(self) -> None:
        # Not a daemon: a handler at work is never cut off. It ends with the main thread instead.
        self._thread = threading.Thread(target=self._run, name="roomcast-dispatch", daemon=False)
        self._thread.start()

    def _run(self) -> None:
        main = threading.main_thread()
        while (engine := self._engine()) is not None:
            if not main.is_alive() and engine.is_running:
                engine._stop(None)
            try:
                if wait(engine, LOOK_SECONDS):
                    engine._dispatch(BATCH)
            except BaseException:
                # There is nobody above this thread whom SystemExit could reach.
                logger.critical("a handler has left its thread", exc_info=True)
            if self._end_if_told(engine):
                return
            del engine

    def finish(self, seconds: float) -> None:
        if threading.current_thread() is not self._thread:
            self._thread.join(seconds)
            if self._thread.is_alive():
                logger.warning("a handler is still at work %.1f s after the engine", seconds)


class LoopDispatcher(Dispatcher):
    """Calls handlers on an asyncio loop (or uvloop)."""

    def __init__(self, engine: Engine, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(engine)
        self._loop = loop
        self._tasks: set[asyncio.Task[None]] = set()
        self._told = asyncio.Event()
        self._fd = -1

    def begin(self) -> None:
        if running_loop() is self._loop:
            self._watch()
        else:
            self._loop.call_soon_threadsafe(self._watch)

    def _watch(self) -> None:
        engine = self._engine()
        if engine is None:
            return
        fd = engine._events_fd()
        try:
            self._loop.add_reader(fd, self._on_readable)
            self._fd = fd
        except NotImplementedError:
            # Such as the proactor loop: a thread waits, and wakes the loop once for each batch.
            thread = threading.Thread(target=self._wake, name="roomcast-wake", daemon=False)
            thread.start()

    def _wake(self) -> None:
        main, told = threading.main_thread(), threading.Event()

        def tell() -> None:
            try:
                self._on_readable()
            finally:
                told.set()

        while main.is_alive() and (engine := self._engine()) is not None:
            if self.done.is_set():
                return
            waits = wait(engine, LOOK_SECONDS)
            del engine
            if not waits:
                continue
            told.clear()
            try:
                self._loop.call_soon_threadsafe(tell)
            except RuntimeError:
                return
            while not told.wait(LOOK_SECONDS):
                if self._loop.is_closed() or not main.is_alive():
                    return

    def _on_readable(self) -> None:
        engine = self._engine()
        if engine is None or self.done.is_set():
            return self._unwatch()
        try:
            engine._dispatch(BATCH)
        except BaseException:
            # The rest of the batch waits, and the descriptor may not tell of it.
            self._loop.call_soon(self._on_readable)
            raise
        if self._end_if_told(engine):
            self._on_done()

    def _on_done(self) -> None:
        self._unwatch()
        self._told.set()

    def _unwatch(self) -> None:
        if self._fd >= 0 and not self._loop.is_closed():
            self._loop.remove_reader(self._fd)
        self._fd = -1

    def spawn(
        self, connection: Connection, kind: str, handler: Handler, rest: tuple[Any, ...]
    ) -> None:
        work = serve(connection, kind, handler, rest)
        if sys.version_info >= (3, 12):
            # What does not have to wait is done without another round of the loop.
            task = asyncio.Task(work, loop=self._loop, eager_start=True)
        else:
            task = self._loop.create_task(work)
        if not task.done():
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def finish(self, seconds: float) -> None:
        engine = self._engine()
        if engine is None:
            return
        if running_loop() is self._loop:
            # Inside a handler, the batch that it belongs to comes first.
            self._tell_rest(engine)
            if self.done.is_set():
                self._on_done()
        elif self._loop.is_running():
            if not self.done.wait(seconds):
                logger.warning("the loop is still busy %.1f s after the engine", seconds)
        else:
            # Nobody will run it again as far as we know: handlers cannot be told.
            engine._clear()
            self.done.set()
            self._unwatch()

    def is_on(self, loop: asyncio.AbstractEventLoop | None) -> bool:
        """Whether this is the loop that it calls handlers on."""
        return loop is self._loop

    async def told(self, seconds: float) -> None:
        """Waits until handlers were told everything, for so long."""
        try:
            async with asyncio.timeout(seconds):
                await self._told.wait()
        except TimeoutError:
            logger.warning("the engine has not ended within %.1f s", seconds)

    async def settle(self, seconds: float) -> None:
        """Waits for the tasks of handlers; those that take longer are cancelled."""
        until = monotonic() + seconds
        while tasks := self._tasks - {asyncio.current_task()}:
            _, late = await asyncio.wait(tasks, timeout=max(0.0, until - monotonic()))
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late, timeout=1.0)
                return


def wait(engine: Engine, seconds: float) -> bool:
    """Waits for an event or the end, without the GIL; False when neither came in time. By the
    descriptor and by no lock, so that a fork finds no thread of ours in the queue of one."""
    poller = select.poll()
    poller.register(engine._events_fd(), select.POLLIN)
    return bool(poller.poll(seconds * 1000))


def running_loop() -> asyncio.AbstractEventLoop | None:
    """The loop that runs on this thread."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
