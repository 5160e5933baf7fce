"""An engine whose connections join the room of their path, `/room/NAME`, and get no other handler.

Out comes an engine that is not started. Handlers run where the host starts it.
"""

from __future__ import annotations

import roomcast


def listening() -> roomcast.Engine:
    """Members that only listen answer no ping, so none is sent."""
    engine = roomcast.Engine("127.0.0.1:0", shards=1, origins="any", ping_interval_ms=0)

    @engine.on_connect
    def connect(conn: roomcast.Connection) -> None:
        conn.accept(rooms=[conn.path.removeprefix("/room/")])

    return engine
