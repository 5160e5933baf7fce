"""Programs that tests start: as children, with deadlines, ended by their id.

In comes a command; out go the lines that it writes. Also small requests to what they serve.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator, Sequence
from email.message import Message
from pathlib import Path
from types import TracebackType
from typing import Any

from conftest import until

DEADLINE_S = 20.0
EXAMPLES = Path(__file__).parents[1] / "examples"


class Program:
    """A child process; leaving the block ends it."""

    def __init__(self, command: Sequence[str], **env: str) -> None:
        self._child = subprocess.Popen(
            command,
            cwd=EXAMPLES,
            env={**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONWARNINGS": "error", **env},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self.output = ""
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def __enter__(self) -> Program:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._child.poll() is None:
            # Asked first, so that it ends children of its own.
            self._child.terminate()
            try:
                self._child.wait(DEADLINE_S)
            except subprocess.TimeoutExpired:
                self._child.kill()
        self._child.wait()
        self._reader.join()
        assert self._child.stdout is not None
        self._child.stdout.close()

    def find(self, pattern: str) -> re.Match[str]:
        """The next line with this in it."""
        end = time.monotonic() + DEADLINE_S
        while True:
            try:
                line = self._lines.get(timeout=max(0.0, end - time.monotonic()))
            except queue.Empty:
                raise AssertionError(f"no {pattern!r} in time:\n{self.output}") from None
            if line is None:
                raise AssertionError(f"it ended without {pattern!r}:\n{self.output}")
            if found := re.search(pattern, line):
                return found

    def wait_for_port(self, port: int) -> None:
        """Until somebody listens on it; at once an error when the program has ended."""

        def is_open() -> bool:
            assert self._child.poll() is None, f"it ended:\n{self.output}"
            with socket.socket() as sock:
                return sock.connect_ex(("127.0.0.1", port)) == 0

        until(is_open, "the port")

    def stop(self, number: signal.Signals = signal.SIGINT) -> int:
        """Asks it to end, and answers its return code."""
        self._child.send_signal(number)
        try:
            return self._child.wait(DEADLINE_S)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"it does not end:\n{self.output}") from None

    def _read(self) -> None:
        assert self._child.stdout is not None
        for line in self._child.stdout:
            self.output += line
            self._lines.put(line)
        self._lines.put(None)


def python(*arguments: str, **env: str) -> Program:
    """A Python program of the examples' folder."""
    return Program([sys.executable, *arguments], **env)


@contextlib.contextmanager
def uvicorn(app: str, *arguments: str) -> Iterator[tuple[Program, int]]:
    """Uvicorn and its port, once it serves."""
    with python("-m", "uvicorn", app, "--port", "0", *arguments) as program:
        port = int(program.find(r"running on http://127\.0\.0\.1:(\d+)")[1])
        yield program, port


def ask(
    port: int, path: str, *, post: Any = None, cookie: str | None = None
) -> tuple[Message, Any]:
    """Headers and decoded JSON (or text) of a response; POST with JSON when there is some."""
    headers = {"Content-Type": "application/json"} | ({"Cookie": cookie} if cookie else {})
    body = None if post is None else json.dumps(post).encode()
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", body, headers)
    with urllib.request.urlopen(request, timeout=DEADLINE_S) as response:
        text = response.read().decode()
        is_json = response.headers.get_content_type() == "application/json"
        return response.headers, json.loads(text) if is_json else text


@contextlib.contextmanager
def reserved_port() -> Iterator[int]:
    """A port that only sockets with SO_REUSEPORT can listen on while the block runs."""
    with socket.socket() as keeper:
        keeper.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        keeper.bind(("127.0.0.1", 0))
        yield keeper.getsockname()[1]
