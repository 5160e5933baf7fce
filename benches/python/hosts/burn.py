"""A publisher in Rust beside a thread that burns the core: `burn.py LIBRARY PERIOD_US`.

`burn idle|c|python` says what burns from now on: nothing, C code that holds no lock, or Python
code that holds the interpreter's. `end` stops and answers how many publications there were. All
threads are on the core that this program was started on.
"""

from __future__ import annotations

import ctypes
import sys
import threading

import roomcast
from listening import listening
from orders import Answer, announce, serve

# There for benches only, so no stub knows it.
from roomcast._roomcast import Publisher  # type: ignore[attr-defined]


class Burner:
    """At most one thread that burns."""

    def __init__(self, library: str) -> None:
        self._burn = ctypes.CDLL(library).burn
        self._stop = ctypes.c_int(0)
        self._thread: threading.Thread | None = None

    def change(self, way: str) -> None:
        self._stop.value = 1
        if self._thread is not None:
            self._thread.join()
        self._stop, self._thread = ctypes.c_int(0), None
        run = {"idle": None, "c": self._in_c, "python": self._in_python}[way]
        if run is not None:
            self._thread = threading.Thread(target=run, args=(self._stop,), daemon=True)
            self._thread.start()

    def _in_c(self, stop: ctypes.c_int) -> None:
        self._burn(ctypes.byref(stop))

    def _in_python(self, stop: ctypes.c_int) -> None:
        while not stop.value:
            pass


class Bench:
    def __init__(self, engine: roomcast.Engine, library: str, period_us: int) -> None:
        self.engine, self.burner, self.period_us = engine, Burner(library), period_us
        self.publisher: Publisher | None = None

    def burn(self, way: str) -> Answer:
        if self.publisher is None:
            self.publisher = Publisher(self.engine, "r0", self.period_us)
        self.burner.change(way)
        return {}

    def end(self) -> Answer:
        self.burner.change("idle")
        if self.publisher is not None:
            self.publisher.stop()
        # The room numbers at the call, so the last one is in it, also while it is on its way.
        return {"publications": self.engine.room("r0").position.offset}


def main() -> None:
    engine = listening()
    with engine:
        announce(engine.port)
        bench = Bench(engine, sys.argv[1], int(sys.argv[2]))
        serve(burn=bench.burn, end=bench.end)


main()
