"""Events on their way to handlers: on the app's event loop, or on a thread.

The engine's threads queue events and never wait for Python. One wake-up announces them, and one
batch empties the queue, calling handlers from native code. Plain handlers are called there and
then. Coroutine functions run in tasks of the loop, one task for each connection that has something
to do, so that the order of a connection's events is kept and no connection waits for another.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import select
import sys
import threading
import weakref
from collections.abc import Callable
from functools import partial
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
#: How the names of our threads begin.
OURS = "roomcast-"

Handler = Callable[..., Any]
#: Kind, handler, and its arguments behind the connection.
Call = tuple[str, Handler, tuple[Any, ...]]


def log(level: int, text: str) -> None:
    """Gives a line of the engine to `logging`, whose filters and handlers may fail as they like."""
    with contextlib.suppress(Exception):
        logger.log(level, text)


def report(connection: Connection | None, kind: str, error: Exception) -> None:
    """A handler has raised: answers a connection that waits for its verdict, and logs. It does not
    raise itself."""
    rejects = kind == "connect" and isinstance(error, Reject)
    if kind == "connect" and connection is not None:
        status, text = 500, "the host has failed"
        if isinstance(error, Reject):
            status, text = error.status, error.text
        with contextlib.suppress(Answered):
            connection.refuse(status, text)
    if not rejects:
        with contextlib.suppress(Exception):
            about = "" if connection is None else f" for {connection!r}"
            logger.error("on_%s has failed%s", kind, about, exc_info=error)


def settle(
    connection: Connection | None, kind: str, arguments: tuple[Any, ...], result: object
) -> None:
    """Gives the answer that a handler has returned, where one is asked for and it gave none."""
    if kind == "connect" and connection is not None:
        connection._settle(result)
    elif kind == "permission":
        arguments[0]._settle(result)


def abandon(kind: str, arguments: tuple[Any, ...]) -> None:
    """A handler has failed: a wish is denied, also where the error's traceback keeps it."""
    if kind == "permission":
        arguments[0]._settle(False)


def given(*arguments: Any) -> Any:
    """The handler of a call that has begun: a plain function has returned this awaitable."""
    return arguments[-1]


class Work:
    """What one task does: the calls of one connection, one after the other, until none is due; or
    one call about no connection."""

    __slots__ = ("_call", "_connection", "begun")

    def __init__(self, connection: Connection | None, call: Call) -> None:
        self._connection = connection
        self._call: Call | None = call
        self.begun = False

    async def run(self) -> None:
        """Makes the calls. Cancelled, it leaves what is due to `rest`."""
        self.begun = True
        connection = self._connection
        while self._call is not None:
            kind, handler, arguments = self._call
            try:
                about = () if connection is None else (connection,)
                result = handler(*about, *arguments)
                if type(result) is CoroutineType or hasattr(result, "__await__"):
                    result = await result
                settle(connection, kind, arguments, result)
            except asyncio.CancelledError as error:
                task = asyncio.current_task()
                if task is None or task.cancelling():
                    raise
                # Not this task was cancelled, but something that the handler has awaited.
                abandon(kind, arguments)
                report(connection, kind, RuntimeError(f"cancelled: {error}"))
            except Exception as error:
                abandon(kind, arguments)
                report(connection, kind, error)
            self._call = None if connection is None else connection._next()

    def rest(self) -> Call | None:
        """Of a task that was cancelled: the next call that is due, behind the one that is lost."""
        connection = self._connection
        if self.begun and self._call is not None:
            if self._call[0] == "connect" and connection is not None:
                with contextlib.suppress(Answered):
                    connection.refuse(503, "the host was interrupted")
            abandon(self._call[0], self._call[2])
            self._call = None if connection is None else connection._next()
        return self._call


class Dispatcher:
    """What every way of telling handlers has in common."""

    def __init__(self, engine: Engine) -> None:
        self._engine = weakref.ref(engine)
        #: Set once the engine has ended and handlers were told everything.
        self.done = threading.Event()

    def begin(self) -> None:
        """Starts to tell, when the engine has started."""

    def spawn(
        self, connection: Connection | None, kind: str, handler: Handler, rest: tuple[Any, ...]
    ) -> None:
        """Has an async handler called."""
        if handler is given and hasattr(rest[0], "close"):
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
        self.end_if_told(engine)

    def end_if_told(self, engine: Engine) -> bool:
        """Whether handlers were told everything there was, to the engine's end."""
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
        # Not a daemon: a handler at work is never cut off. It ends with the program instead.
        self._thread = threading.Thread(target=self._run, name=f"{OURS}dispatch", daemon=False)
        self._thread.start()

    def _run(self) -> None:
        left = False
        while (engine := self._engine()) is not None:
            if has_ended() and engine.is_running:
                engine._stop(None)
            try:
                if left or wait(engine, LOOK_SECONDS):
                    left = False
                    engine._dispatch(BATCH)
            except BaseException:
                # There is nobody above this thread whom SystemExit could reach. What it has left
                # untold is not announced by the descriptor.
                left = True
                with contextlib.suppress(Exception):
                    logger.critical("a handler has left its thread", exc_info=True)
            if self.end_if_told(engine):
                return
            del engine

    def finish(self, seconds: float) -> None:
        thread = getattr(self, "_thread", None)
        if thread is None or threading.current_thread() is thread:
            return
        thread.join(seconds)
        if thread.is_alive():
            logger.warning("a handler is still at work, %.1f s after the engine has ended", seconds)


class LoopDispatcher(Dispatcher):
    """Calls handlers on an asyncio loop (or uvloop)."""

    def __init__(self, engine: Engine, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(engine)
        self._engine = weakref.ref(engine, self._on_gone)
        self._loop = loop
        self._tasks: set[asyncio.Task[None]] = set()
        #: Tasks that wait for the end of the others.
        self._stopping: set[asyncio.Task[Any] | None] = set()
        self._told = asyncio.Event()
        self._fd = -1

    def begin(self) -> None:
        if running_loop() is self._loop:
            self._watch()
        else:
            self._loop.call_soon_threadsafe(self._watch)

    def _on_gone(self, _: object) -> None:
        """Nobody holds the engine any more: its descriptor is about to be somebody else's."""
        if running_loop() is self._loop:
            self._unwatch()
        else:
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._unwatch)

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
            thread = threading.Thread(target=self._wake, name=f"{OURS}wake", daemon=False)
            thread.start()

    def _wake(self) -> None:
        told = threading.Event()

        def tell() -> None:
            try:
                self._on_readable()
            finally:
                told.set()

        while not has_ended() and (engine := self._engine()) is not None:
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
                if self._loop.is_closed() or has_ended():
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
        if self.end_if_told(engine):
            self._on_done()

    def _on_done(self) -> None:
        self._unwatch()
        self._told.set()

    def _unwatch(self) -> None:
        if self._fd >= 0 and not self._loop.is_closed():
            self._loop.remove_reader(self._fd)
        self._fd = -1

    def spawn(
        self, connection: Connection | None, kind: str, handler: Handler, rest: tuple[Any, ...]
    ) -> None:
        self._work(connection, (kind, handler, rest))

    def _work(self, connection: Connection | None, call: Call) -> None:
        work = Work(connection, call)
        if sys.version_info >= (3, 12):
            # What does not have to wait is done without another round of the loop.
            task = asyncio.Task(work.run(), loop=self._loop, eager_start=True)
        else:
            task = self._loop.create_task(work.run())
        if task.done():
            self._on_work_done(work, connection, task)
        else:
            self._tasks.add(task)
            task.add_done_callback(partial(self._on_work_done, work, connection))

    def _on_work_done(
        self, work: Work, connection: Connection | None, task: asyncio.Task[None]
    ) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is None:
            return
        # Its connection goes on in another task, unless the end is why it was cancelled.
        call = work.rest()
        if call is not None and not self.done.is_set() and not self._loop.is_closed():
            self._work(connection, call)
        else:
            while call is not None:
                call = None if connection is None else connection._next()

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
        self._stopping.add(asyncio.current_task())
        while tasks := self._tasks - self._stopping:
            _, late = await asyncio.wait(tasks, timeout=max(0.0, until - monotonic()))
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late, timeout=1.0)
                return


def has_ended() -> bool:
    """Whether the program is over but for threads of ours: the main thread has ended, and so have
    all others that hold the interpreter up."""
    main = threading.main_thread()
    return not main.is_alive() and all(
        thread is main or thread.daemon or thread.name.startswith(OURS)
        for thread in threading.enumerate()
    )


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
