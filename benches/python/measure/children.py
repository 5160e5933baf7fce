"""Programs that a row runs: started on a core, told orders a line each, answered a line each.

In come commands, out come lines and numbers. Must never know what is measured. A child ends with
its standard input, or at the latest when the `with` block is left. Orchestrator's thread only.
"""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

LINE_SECONDS = 120.0


class Child:
    """A program with lines on both of its ends, pinned to `core` (None: to any)."""

    def __init__(self, command: list[str], core: int | None = 0) -> None:
        cores = ",".join(map(str, range(os.cpu_count() or 1))) if core is None else str(core)
        self.name = next((word for word in command[1:] if word.endswith(".py")), command[0])
        self._process = subprocess.Popen(
            ["taskset", "-c", cores, *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert self._process.stdout is not None
        self._ready = selectors.DefaultSelector()
        self._ready.register(self._process.stdout, selectors.EVENT_READ)
        self._read = b""

    @property
    def pid(self) -> int:
        return self._process.pid

    def line(self) -> str:
        """The next line; an error when the child ends or is silent for too long."""
        deadline = time.monotonic() + LINE_SECONDS
        assert self._process.stdout is not None
        while b"\n" not in self._read:
            if not self._ready.select(max(0.0, deadline - time.monotonic())):
                raise RuntimeError(f"{self.name} says nothing")
            more = os.read(self._process.stdout.fileno(), 65536)
            if not more:
                raise RuntimeError(f"{self.name} ended with {self._process.wait()}")
            self._read += more
        line, _, self._read = self._read.partition(b"\n")
        return line.decode()

    def tell(self, order: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(order.encode() + b"\n")
        self._process.stdin.flush()

    def ask(self, order: str) -> dict[str, Any]:
        """Gives an order and waits for its answer."""
        self.tell(order)
        return answer(self.line())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        try:
            self._process.stdin.close()
            self._process.wait(10 if kind is None else 1)
        except (subprocess.TimeoutExpired, BrokenPipeError):
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
        self._ready.close()


class Host(Child):
    """A child that listens: its first line says where, in words or as `name=port` pairs."""

    def __init__(self, command: list[str], core: int | None = 0) -> None:
        super().__init__(command, core)
        try:
            first, *more = self.line().removeprefix("listening on ").split()
        except RuntimeError:
            self.__exit__(RuntimeError, None, None)
            raise
        self.port = int(first.rsplit(":", 1)[1])
        self.ports = {name: int(port) for name, port in (pair.split("=") for pair in more)}


class Members(Child):
    """Listening members on core 1, or another: see `members` in `benches/fanout`."""

    def __init__(self, program: Path, port: int, rooms: int, size: int, core: int = 1) -> None:
        words = {"--port": port, "--rooms": rooms, "--size": size, "--core": core}
        pairs = [word for pair in words.items() for word in map(str, pair)]
        super().__init__([str(program), *pairs], core)
        if self.line() != "ready":
            raise RuntimeError("the members did not get in")

    def settled(self, deliveries: int) -> dict[str, Any]:
        """Waits until so many deliveries came in all, or for ten seconds; the counts then."""
        deadline = time.monotonic() + 10
        while True:
            counts = self.ask("count")
            if counts["deliveries"] >= deliveries or time.monotonic() > deadline:
                return counts
            time.sleep(0.01)


def answer(line: str) -> dict[str, Any]:
    """An answer in JSON, or in `key=value` pairs."""
    if line.startswith("{"):
        found: dict[str, Any] = json.loads(line)
        return found
    pairs = (pair.split("=", 1) for pair in line.split())
    return {name: int(float(value)) for name, value in pairs}


def resident_bytes(pid: int) -> int:
    """Resident memory of a process, exact."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Rss:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("the kernel tells no resident memory")
