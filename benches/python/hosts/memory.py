"""Connections that do nothing: `memory.py all|none`, with every usual handler or with none.

`count` answers how many are connected, as the last handler to be told sees it.
"""

from __future__ import annotations

import sys

import roomcast
from orders import Answer, announce, serve


class Seen:
    def __init__(self) -> None:
        self.open = 0

    def connect(self, conn: roomcast.Connection) -> None:
        conn.accept(rooms=[conn.path.removeprefix("/room/")])

    def opened(self, conn: roomcast.Connection) -> None:
        self.open += 1

    def message(self, conn: roomcast.Connection, data: str | bytes | memoryview) -> None:
        pass

    def close(self, conn: roomcast.Connection, reason: roomcast.CloseReason) -> None:
        self.open -= 1


def main() -> None:
    engine = roomcast.Engine("127.0.0.1:0", shards=1, origins="any", ping_interval_ms=0)
    handlers, seen = sys.argv[1] == "all", Seen()
    if handlers:
        engine.on_connect(seen.connect)
        engine.on_open(seen.opened)
        engine.on_message(seen.message)
        engine.on_close(seen.close)

    def count() -> Answer:
        return {"connected": seen.open if handlers else engine.stats()["connections"]}

    with engine:
        announce(engine.port)
        serve(count=count)


main()
