"""Takes messages that a simulated network brings, and counts them: `inbound.py def|async-def`.

`run N` floods it with N messages over 100 connections and answers how long that took, until the
handler had seen the last one. A plain handler runs on the dispatcher thread, an async one on
uvloop, in this main thread; the flood has a thread of its own.
"""

from __future__ import annotations

import asyncio
import sys
import time

import roomcast
import uvloop
from orders import Answer, serve

# There for benches only, so no stub knows it.
from roomcast._roomcast import Flood  # type: ignore[attr-defined]

CONNECTIONS, PAYLOAD = 100, 64
Data = str | bytes | memoryview


class Count:
    def __init__(self) -> None:
        self.seen = 0

    def plain(self, conn: roomcast.Connection, data: Data) -> None:
        self.seen += 1

    async def awaited(self, conn: roomcast.Connection, data: Data) -> None:
        self.seen += 1


def flood(engine: roomcast.Engine, count: Count, messages: str) -> Answer:
    source = Flood(engine, connections=CONNECTIONS, payload=PAYLOAD)
    cpu, begun = time.process_time(), time.perf_counter()
    source.run(messages=int(messages))
    deadline = time.monotonic() + 20
    # The flood may be done before the handlers are.
    while count.seen < int(messages) and time.monotonic() < deadline:
        time.sleep(0.0005)
    took = time.perf_counter() - begun
    return {"seconds": took, "cpu_seconds": time.process_time() - cpu, "seen": count.seen}


def plain() -> None:
    engine, count = roomcast.Engine((), shards=1), Count()
    engine.on_message(count.plain)
    with engine:
        serve(run=lambda messages: flood(engine, count, messages))


async def awaited() -> None:
    engine, count = roomcast.Engine((), shards=1), Count()
    engine.on_message(count.awaited)
    async with engine:
        await asyncio.to_thread(serve, run=lambda messages: flood(engine, count, messages))


if __name__ == "__main__":
    if sys.argv[1] == "def":
        plain()
    else:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(awaited())
