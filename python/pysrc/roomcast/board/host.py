"""The host: pages come in here, and what they say goes to the boards.

In: connections and their messages, by plain functions on the engine's dispatcher thread. Out:
whatever `boards` publish, and twice a second, from the main thread, the engine's own figures, in
a room that every page is in. The process of the synthetic users is started with the first order.

Everything that a peer says is read by `lines`, which bounds it; everything that is kept is in
`boards`, which bounds that.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from importlib import resources
from pathlib import PurePosixPath

import roomcast
from roomcast import CloseReason, Connection, Engine, Refused

from . import crowd, lines
from .boards import Boards, Member
from .meter import PERIOD_S, Meter

# The room in which the metrics are published.
METRICS = "metrics"
CONNECTIONS_MAX = 2_000
MESSAGE_BYTES_MAX = 2_048
STOP_S_MAX = 5.0
CONTENT_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
}


class CrowdProcess:
    """The process of the synthetic users, from its host's side."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._process: subprocess.Popen[bytes] | None = None

    def add(self, board: str, count: int) -> None:
        if self._process is None or self._process.poll() is not None:
            self.stop()
            self._process = self._start()
        self._order(self._process, f"add {board} {count}\n")

    def remove(self) -> None:
        if self._process is not None:
            self._order(self._process, "remove\n")

    def stop(self) -> None:
        if self._process is None:
            return
        try:
            # The end of its orders is the end of it.
            self._process.communicate(timeout=STOP_S_MAX)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _start(self) -> subprocess.Popen[bytes]:
        host, port = self._engine.addresses[0]
        command = [sys.executable, "-m", crowd.__name__, f"{host}:{port}"]
        # In a group of its own, where the Ctrl-C of a terminal does not reach it.
        process = subprocess.Popen(command, stdin=subprocess.PIPE, bufsize=0, process_group=0)
        assert process.stdin
        # An order that finds the pipe full is lost: this thread must not wait.
        os.set_blocking(process.stdin.fileno(), False)
        return process

    def _order(self, process: subprocess.Popen[bytes], line: str) -> None:
        with suppress(BrokenPipeError):
            assert process.stdin
            process.stdin.write(line.encode())


class Host:
    """An engine with the boards behind it."""

    def __init__(self, port: int) -> None:
        self.engine = Engine(
            f"127.0.0.1:{port}",
            connections_max=CONNECTIONS_MAX,
            message_bytes_max=MESSAGE_BYTES_MAX,
            metrics_path="/metrics",
            pages=pages(),
        )
        self.boards = Boards()
        self.meter = Meter()
        self.crowd = CrowdProcess(self.engine)
        self.engine.on_connect(self.on_connect)
        self.engine.on_open(self.on_open)
        self.engine.on_message(self.on_message)
        self.engine.on_close(self.on_close)

    def on_connect(self, conn: Connection) -> None:
        if conn.path != "/ws":
            raise roomcast.Reject(404, "the WebSocket is at /ws")
        synthetic = "synthetic" in conn.query
        conn.state.member = self.boards.member(conn.query.get("board", ""), synthetic)
        conn.accept(rooms=[] if synthetic else [METRICS])

    def on_open(self, conn: Connection) -> None:
        member: Member = conn.state.member
        # What the engine cannot take just now is not said; the next move will be.
        with suppress(Refused):
            if not member.synthetic:
                conn.send(self.boards.greeting(member) + "\n" + self.meter.history())
            self.boards.enter(conn, member)

    def on_message(self, conn: Connection, data: str | bytes | memoryview) -> None:
        member: Member = conn.state.member
        with suppress(Refused):
            if not member.may_say_more(time.monotonic()):
                conn.close(1008, "too many messages a second")
                return
            match lines.parse(data):
                case lines.Echo(mark):
                    conn.send(f"e {mark}")
                case lines.Users(0):
                    self.crowd.remove()
                case lines.Users(count):
                    self.crowd.add(member.board.key, count)
                case lines.Go() as line:
                    self.boards.go(conn, member, line)
                case lines.Make() as line:
                    self.boards.make(conn, member, line)
                case None:
                    conn.close(1008, "this is no line of the board's")
                case change:
                    self.boards.change(conn, member, change)

    def on_close(self, conn: Connection, reason: CloseReason) -> None:
        self.boards.leave(conn, conn.state.member)

    def run(self, is_over: Callable[[float], bool]) -> None:
        """Serves until `is_over`, which waits so many seconds for the end, says so."""
        try:
            with self.engine:
                print(f"roomcast board: open {self.address} in several windows", flush=True)
                while not is_over(PERIOD_S):
                    self.boards.refresh(self.engine)
                    with suppress(Refused):
                        self.engine.publish(METRICS, self.sample())
        finally:
            self.crowd.stop()

    @property
    def address(self) -> str:
        host, port = self.engine.addresses[0]
        return f"http://{host}:{port}/"

    def sample(self) -> str:
        counts, synthetic = self.boards.counts()
        stats, most = self.engine.stats(since=self.meter.stats), crowd.users_max()
        return self.meter.sample(time.monotonic(), stats, counts, synthetic, most)


def pages() -> dict[str, tuple[str, bytes]]:
    """What is served at which path: type and content."""
    served = {}
    for file in (resources.files(__package__) / "page").iterdir():
        if kind := CONTENT_TYPES.get(PurePosixPath(file.name).suffix):
            path = "/" if file.name == "index.html" else f"/{file.name}"
            served[path] = (kind, file.read_bytes())
    return served
