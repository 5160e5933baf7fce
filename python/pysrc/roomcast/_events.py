"""Events for hosts that pull them: ``for`` and ``async for`` over ``engine.events()``."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

from ._dispatch import BATCH, LOOK_SECONDS, wait

if TYPE_CHECKING:
    from ._engine import Engine
    from ._roomcast import Event


class Events:
    """What happens, in order, until the engine has stopped. An event counts against
    ``connection_events_max`` until the batch that it came with has been iterated over, so a
    connection whose events are not taken is not read from."""

    def __init__(self, engine: Engine, batch: deque[Event]) -> None:
        self._engine = engine
        # The engine's, so that another iterator goes on where this one was left.
        self._batch = batch

    def _fill(self) -> bool:
        """Whether there is an event; False at the end of all."""
        self._batch.extend(self._engine._take(BATCH))
        return bool(self._batch) or not self._engine._is_ended()

    def __iter__(self) -> Events:
        return self

    def __next__(self) -> Event:
        while not self._batch:
            if not self._fill():
                raise StopIteration
            if not self._batch:
                # Now and then back in Python, where signals are seen.
                wait(self._engine, LOOK_SECONDS)
        return self._batch.popleft()

    def __aiter__(self) -> Events:
        return self

    async def __anext__(self) -> Event:
        while not self._batch:
            if not self._fill():
                raise StopAsyncIteration
            if not self._batch:
                await self._readable()
        return self._batch.popleft()

    async def _readable(self) -> None:
        loop = asyncio.get_running_loop()
        readable = loop.create_future()

        def wake() -> None:
            if not readable.done():
                readable.set_result(None)

        fd = self._engine._events_fd()
        try:
            loop.add_reader(fd, wake)
        except NotImplementedError:
            await asyncio.to_thread(wait, self._engine, LOOK_SECONDS)
            return
        try:
            await readable
        finally:
            loop.remove_reader(fd)
