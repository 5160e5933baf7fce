"""Flask with rooms on a second port, and a view that publishes.

    pip install roomcast flask
    python flask_app.py                        # Flask on 5000, rooms on 8080

A WSGI server has no loop and keeps its sockets, so the engine has a port, threads and a
dispatcher thread of its own. Open a WebSocket at ws://127.0.0.1:8080/lobby, and POST to
/rooms/lobby. One public port is a matter of the proxy: see nginx.conf.

Under Gunicorn each worker starts an engine after the fork, and all share the port:

    gunicorn --workers 2 --config python:flask_app flask_app:app
"""

from __future__ import annotations

import argparse
import os
from typing import Any

from flask import Flask, request
from werkzeug.serving import make_server

import roomcast

# A page of http://127.0.0.1:5000 is a foreign one to port 8080.
ORIGINS = ["http://127.0.0.1:5000", "http://localhost:5000"]
engine = roomcast.Engine(
    os.environ.get("ROOMS", "127.0.0.1:8080"),
    origins=ORIGINS,
    reuse_port=True,  # so that each worker's engine listens on the same port
)
app = Flask(__name__)


@engine.on_connect
def connect(conn: roomcast.Connection) -> None:
    conn.state.room = conn.path.removeprefix("/")
    conn.accept(rooms=[conn.state.room])


@engine.on_message
def message(conn: roomcast.Connection, data: str | bytes | memoryview) -> None:
    engine.publish(conn.state.room, data, exclude=conn)


@app.post("/rooms/<room>")
def publish(room: str) -> dict[str, Any]:
    """Reaches the members that are connected to this process."""
    published = engine.publish(room, request.get_data(as_text=True))
    return {"process": os.getpid(), "members": published.members}


# Gunicorn's hooks. A fork of a started engine is of no use, so it starts in the worker.
def post_worker_init(worker: Any) -> None:
    engine.start()


def worker_exit(server: Any, worker: Any) -> None:
    engine.stop()


def main() -> None:
    parser = argparse.ArgumentParser(description="Flask with rooms on a second port.")
    parser.add_argument("--port", type=int, default=5000, help="where Flask listens")
    port = parser.parse_args().port
    with engine:
        server = make_server("127.0.0.1", port, app, threaded=True)
        print(f"http://127.0.0.1:{server.port} ws://127.0.0.1:{engine.port}", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main()
