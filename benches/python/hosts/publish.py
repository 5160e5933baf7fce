"""Times what publishing costs the thread that publishes.

`publish BURSTS` answers nanoseconds a publication for each way, medians of that many bursts. The
shard stays on the core that this program was started on; the publisher moves to core 1. A burst
is well below `room_ahead_bytes_max`, and begins when the one before was delivered.
"""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Callable
from itertools import repeat
from statistics import median

import roomcast
from listening import listening
from orders import Answer, announce, serve

BURST = 200
# Zeroes: a payload that begins with them has no stamp.
PAYLOAD = bytes(64)


def burst_of(engine: roomcast.Engine, way: str) -> Callable[[], None]:
    room = engine.room("r0")

    def by_engine() -> None:
        publish = engine.publish
        for _ in repeat(None, BURST):
            publish("r0", PAYLOAD)

    def by_room() -> None:
        publish = room.publish
        for _ in repeat(None, BURST):
            publish(PAYLOAD)

    def many() -> None:
        room.publish_many([PAYLOAD] * BURST)

    return {"engine": by_engine, "room": by_room, "many": many}[way]


def publish(engine: roomcast.Engine, bursts: str) -> Answer:
    ways = ("engine", "room", "many")
    times: dict[str, list[float]] = {way: [] for way in ways}
    room, published = engine.room("r0"), 0
    os.sched_setaffinity(0, {1})
    gc.disable()
    for _ in range(int(bursts)):
        for way in ways:
            burst = burst_of(engine, way)
            # One publication first, so that the shard is awake when the burst is timed.
            room.publish(PAYLOAD)
            begun = time.perf_counter_ns()
            burst()
            times[way].append((time.perf_counter_ns() - begun) / BURST)
            published += BURST + 1
            delivered(engine, published * room.members)
    return {"publications": published} | {way: median(times[way]) for way in ways}


def delivered(engine: roomcast.Engine, count: int) -> None:
    deadline = time.monotonic() + 20
    while engine.stats()["deliveries"] < count:
        if time.monotonic() > deadline:
            raise RuntimeError("the burst was not delivered")
        time.sleep(0.0005)


def main() -> None:
    engine = listening()
    with engine:
        announce(engine.port)
        serve(publish=lambda bursts: publish(engine, bursts))


main()
