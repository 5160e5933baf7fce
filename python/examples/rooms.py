"""The smallest useful host: GET `/room/NAME` joins NAME, and each message goes to all its members.

`/rooms/A,B,C` joins all of them and publishes to the first; `?skip=1` leaves the sender out.
This is also the server of the benches, so the limits on how many may come are lifted.

Run it: `python python/examples/rooms.py --port 8080 --shards 1`. Handlers run on the dispatcher
thread; deliveries are the engine's, which needs no interpreter for them.
"""

from __future__ import annotations

import argparse
import threading

import roomcast


def build(port: int, shards: int) -> roomcast.Engine:
    engine = roomcast.Engine(
        f"127.0.0.1:{port}", shards=shards, origins="any", connections_max=1_000_000
    )

    @engine.on_connect
    def connect(conn: roomcast.Connection) -> None:
        _, kind, names = (conn.path.split("/", 2) + ["", ""])[:3]
        rooms = {"room": [names], "rooms": names.split(",")}.get(kind)
        if rooms is None:
            conn.refuse(404, "rooms are at /room/NAME and /rooms/A,B,C")
            return
        try:
            conn.state.first = engine.room(rooms[0])
        except roomcast.RoomNameError:
            conn.refuse(400, "a room name is empty or too long")
            return
        conn.state.skip = conn if conn.query.get("skip") == "1" else None
        conn.accept(rooms=rooms)

    @engine.on_message
    def message(conn: roomcast.Connection, data: str | bytes | memoryview) -> None:
        state = conn.state
        try:
            if state.skip is None:
                state.first.publish(data)
            else:
                state.first.publish(data, exclude=conn)
        except roomcast.Stopped:
            pass
        except roomcast.Refused as refused:
            conn.close(1013, str(refused))

    return engine


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--port", type=int, default=8080)
    arguments.add_argument("--shards", type=int, default=1)
    given = arguments.parse_args()
    with build(given.port, given.shards) as engine:
        host, port = engine.addresses[0]
        print(f"listening on {host}:{port}", flush=True)
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            pass


if __name__ == "__main__":
    main()
