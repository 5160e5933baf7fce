"""Echo on roomcast: `echo.py [--async]`. Each connection is alone in its room, so the contract of
`benches/README.md` holds. A plain handler runs on the dispatcher thread, an async one on uvloop.
"""

from __future__ import annotations

import argparse
import asyncio
import threading

import roomcast
import uvloop
from orders import announce

Data = str | bytes | memoryview


def parse() -> argparse.Namespace:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--port", type=int, default=0)
    arguments.add_argument("--shards", type=int, default=1)
    arguments.add_argument("--async", dest="awaits", action="store_true")
    return arguments.parse_args()


def plain(engine: roomcast.Engine) -> None:
    @engine.on_message
    def message(conn: roomcast.Connection, data: Data) -> None:
        conn.send(data)

    with engine:
        announce(engine.port)
        threading.Event().wait()


async def awaited(engine: roomcast.Engine) -> None:
    @engine.on_message
    async def message(conn: roomcast.Connection, data: Data) -> None:
        conn.send(data)

    async with engine:
        announce(engine.port)
        await asyncio.Event().wait()


def main() -> None:
    given = parse()
    engine = roomcast.Engine(f"127.0.0.1:{given.port}", shards=given.shards, origins="any")
    if given.awaits:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(awaited(engine))
    else:
        plain(engine)


main()
