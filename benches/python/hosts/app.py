"""A FastAPI application at work, and rooms beside it in the same process: `app.py ROOMS`.

`publish thread|eager|loop SECONDS` broadcasts to each room ten times a second, rooms in turn, from
a plain thread (`eager`: with a switch interval of 1 ms instead of CPython's 5) or on the
application's loop (uvloop). A payload begins with the moment that it was
scheduled for. A request to `/busy/async` takes 20 ms of Python's time on the loop, one to
`/busy/sync` in FastAPI's thread pool.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import Future
from contextlib import asynccontextmanager

import roomcast
import uvicorn
from fastapi import FastAPI
from listening import listening
from orders import Answer, announce, serve

WORK_SECONDS = 0.020
HERTZ = 10


def work() -> int:
    """Python code for 20 ms of this thread's CPU."""
    until, rounds = time.thread_time() + WORK_SECONDS, 0
    while time.thread_time() < until:
        rounds += sum(n * n for n in range(100))
    return rounds


class Broadcasts:
    """Which room is next, and when."""

    def __init__(self, engine: roomcast.Engine, rooms: int) -> None:
        self.rooms = [engine.room(f"r{at}") for at in range(rooms)]
        self.published = 0

    def due(self, seconds: float) -> Iterator[tuple[int, float]]:
        """The moment of each broadcast, and how long that is away."""
        each = 1_000_000_000 // (HERTZ * len(self.rooms))
        first = time.monotonic_ns() + each
        for number in range(int(seconds * HERTZ * len(self.rooms))):
            moment = first + number * each
            yield moment, (moment - time.monotonic_ns()) / 1e9

    def publish(self, moment: int) -> None:
        room = self.rooms[self.published % len(self.rooms)]
        room.publish(struct.pack("<Q56x", moment))
        self.published += 1

    def from_thread(self, seconds: float) -> None:
        for moment, away in self.due(seconds):
            if away > 0:
                time.sleep(away)
            self.publish(moment)

    async def from_loop(self, seconds: float) -> None:
        for moment, away in self.due(seconds):
            if away > 0:
                await asyncio.sleep(away)
            self.publish(moment)


def run_orders(
    engine: roomcast.Engine, rooms: int, loop: asyncio.AbstractEventLoop, server: uvicorn.Server
) -> None:
    broadcasts = Broadcasts(engine, rooms)

    def publish(by: str, seconds: str) -> Answer:
        before = broadcasts.published
        sys.setswitchinterval(0.001 if by == "eager" else 0.005)
        if by == "loop":
            running: Future[None] = asyncio.run_coroutine_threadsafe(
                broadcasts.from_loop(float(seconds)), loop
            )
            running.result()
        else:
            broadcasts.from_thread(float(seconds))
        return {"publications": broadcasts.published - before}

    serve(publish=publish)
    server.should_exit = True


def main() -> None:
    engine = listening()
    sock = socket.create_server(("127.0.0.1", 0))

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with engine:
            loop, rooms = asyncio.get_running_loop(), int(sys.argv[1])
            orders = (engine, rooms, loop, server)
            threading.Thread(target=run_orders, args=orders, daemon=True).start()
            announce(engine.port, http=sock.getsockname()[1])
            yield

    app = FastAPI(lifespan=lifespan)

    @app.get("/busy/async")
    async def on_the_loop() -> int:
        return work()

    @app.get("/busy/sync")
    def in_a_thread() -> int:
        return work()

    server = uvicorn.Server(uvicorn.Config(app, loop="uvloop", log_level="warning"))
    server.run(sockets=[sock])


main()
