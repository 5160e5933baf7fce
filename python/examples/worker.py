"""No framework: a thread that publishes what it measures, and an engine that does the rest.

    pip install roomcast
    python worker.py --port 8080

Open a WebSocket at ws://127.0.0.1:8080/, and you are told how busy the machine is, ten times a
second. The thread never waits for a peer, however many there are and however slow.
"""

from __future__ import annotations

import argparse
import os
import threading

import roomcast


def measure(engine: roomcast.Engine, is_over: threading.Event) -> None:
    load = engine.room("load")
    while not is_over.wait(0.1):
        load.publish({"load": os.getloadavg()[0], "watching": load.members})


def main() -> None:
    parser = argparse.ArgumentParser(description="A worker thread that publishes.")
    parser.add_argument("--port", type=int, default=8080, help="0 for a free one")
    engine = roomcast.Engine(f"127.0.0.1:{parser.parse_args().port}")

    @engine.on_connect
    def connect(conn: roomcast.Connection) -> None:
        conn.accept(rooms=["load"])

    with engine:
        print(f"ws://127.0.0.1:{engine.port}", flush=True)
        is_over = threading.Event()
        worker = threading.Thread(target=measure, args=(engine, is_over))
        worker.start()
        try:
            worker.join()
        except KeyboardInterrupt:
            is_over.set()
            worker.join()


if __name__ == "__main__":
    main()
