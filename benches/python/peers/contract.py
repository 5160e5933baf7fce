"""What the Python peers share: arguments, the rooms of a path, a socket, the line that says where.

The contract is that of `benches/README.md`. In come arguments and paths, out come values. Must
never know which library serves. One thread: the loop's.
"""

from __future__ import annotations

import argparse
import asyncio
import socket
from collections.abc import Coroutine
from typing import Any
from urllib.parse import parse_qs, urlsplit

import uvloop


def listener() -> socket.socket:
    """A listening socket on the port of `--port`; `--shards` is taken and has no meaning here."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--port", type=int, default=0)
    arguments.add_argument("--shards", type=int, default=1)
    given = arguments.parse_args()
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.bind(("127.0.0.1", given.port))
    sock.listen(4096)
    sock.setblocking(False)
    return sock


def announce(sock: socket.socket) -> None:
    print(f"listening on 127.0.0.1:{sock.getsockname()[1]}", flush=True)


def rooms_of(target: str) -> tuple[list[str], bool]:
    """The rooms that a path asks for, and whether the sender is left out."""
    url = urlsplit(target)
    _, kind, names = (url.path.split("/", 2) + ["", ""])[:3]
    rooms = names.split(",") if kind == "rooms" else [names]
    return rooms, parse_qs(url.query).get("skip") == ["1"]


def run(main: Coroutine[Any, Any, None]) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main)
