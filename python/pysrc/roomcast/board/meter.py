"""The engine's figures twice a second, as a line for the pages, and two minutes of them.

In: what `engine.stats()` says, and the system of this process. Out: `s KEY=N ...`, all of it
since the sample before. Samples are taken on the main thread; the history may be read on any.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

PERIOD_S = 0.5
SAMPLES_MAX = 240

Stats = Mapping[str, Any]


class Meter:
    def __init__(self) -> None:
        self._number = 0
        self._last: tuple[float, Stats, float] | None = None
        # Replaced as a whole, never changed: another thread may be reading it.
        self._lines: tuple[str, ...] = ()

    @property
    def stats(self) -> Stats | None:
        """The figures of the sample before: durations are wanted since then."""
        return self._last[1] if self._last else None

    def history(self) -> str:
        """The samples so far, a line each."""
        return "\n".join(self._lines)

    def sample(
        self, now: float, stats: Stats, counts: Sequence[int], synthetic: int, most: int
    ) -> str:
        """Another sample, at `now` seconds of a clock that never goes back."""
        self._number += 1
        cpu = time.process_time()
        before, earlier, used = self._last or (now, stats, cpu)
        self._last = (now, stats, cpu)
        percent = 100 * (cpu - used) / max(now - before, 0.001)
        line = (
            f"s seq={self._number} {_figures(stats, earlier, now - before)}"
            f" cpu={percent:.1f} mem={_memory_bytes()}"
            f" synth={synthetic} synthmax={most} in={','.join(map(str, counts))}"
        )
        self._lines = (*self._lines, line)[-SAMPLES_MAX:]
        return line


def _memory_bytes() -> int:
    """Bytes of this process in memory; 0 where the system does not say."""
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
    return 0


def _figures(now: Stats, before: Stats, seconds: float) -> str:
    def rate(key: str) -> int:
        change: int = now[key] - before[key]
        return round(change / max(seconds, 0.001))

    writes = now["writes"] - before["writes"]
    frames = now["deliveries"] - before["deliveries"]
    flush = now["publish_to_flush"]
    figures = {
        "rate": rate("deliveries"),
        "pub": rate("publications"),
        "writes": rate("writes"),
        "fpw": f"{frames / max(writes, 1):.2f}",
        "p50": flush["p50_ns"],
        "p99": flush["p99_ns"],
        "conns": now["connections"],
        "lag": now["tape_bytes"] + now["outbox_bytes"],
        "slow": now["too_slow"],
        "refused": now["refused"],
    }
    return " ".join(f"{key}={figure}" for key, figure in figures.items())
