"""Rows and their verdicts, and the table that they make.

In come figures, one per repetition; out go Markdown and an exit code. Must never know where
figures come from. Orchestrator's thread only.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median

BEGIN = "<!-- results: written by benches/python/run -->"
END = "<!-- end of results from Python -->"
PACKAGES = ("roomcast", "uvloop", "uvicorn", "fastapi", "starlette", "picows", "websockets")


@dataclass(frozen=True)
class Row:
    """A figure of one kind, measured some times."""

    name: str
    values: Sequence[float]
    unit: str
    at_most: float | None = None
    at_least: float | None = None
    notes: str = ""

    @property
    def verdict(self) -> str:
        if not self.values:
            return "not measured"
        middle = median(self.values)
        if self.at_most is not None:
            return "reached" if middle <= self.at_most else "MISSED"
        if self.at_least is not None:
            return "reached" if middle >= self.at_least else "MISSED"
        return ""

    @property
    def target(self) -> str:
        if self.at_most is not None:
            return f"≤ {show(self.at_most, self.unit)}"
        if self.at_least is not None:
            return f"≥ {show(self.at_least, self.unit)}"
        return "reported"

    def line(self, judged: bool) -> str:
        middle = show(median(self.values), self.unit) if self.values else "-"
        ends = (min(self.values), max(self.values)) if self.values else ()
        verdict = self.verdict if judged else "not judged"
        spread = " - ".join(show(end, self.unit) for end in ends)
        cells = [self.name, middle, spread, self.target, verdict, self.notes]
        return f"| {' | '.join(cells)} |"


def show(value: float, unit: str) -> str:
    """A value for reading; `unit` is what it is in: x, ns, us, ms, B, /s or %."""
    digits = {"x": 2, "ns": 0, "us": 2, "ms": 2, "B": 0, "/s": 0, "%": 0}[unit]
    number = f"{value:,.{digits}f}"
    return number if unit == "x" else f"{number}{'' if unit == '/s' else ' '}{unit}"


def table(rows: Sequence[Row], judged: bool = True) -> str:
    """In Markdown; not judged are rows that were measured too briefly to mean anything."""
    head = ("figure", "median", "low - high", "target", "verdict", "notes")
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    lines += [row.line(judged) for row in rows]
    return "".join(line + "\n" for line in lines)


def environment(runs: int, packages: Sequence[str] = PACKAGES) -> str:
    """One sentence: machine and versions."""
    cpu = next(
        (
            line.split(":", 1)[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        "unknown CPU",
    )
    versions = []
    for package in packages:
        try:
            versions.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            versions.append(f"no {package}")
    return (
        f"{cpu}, {os.cpu_count()} cores, Linux {platform.release()}, loopback; "
        f"{', '.join([f'CPython {platform.python_version()}', *versions])}; medians of {runs}."
    )


def write(file: Path, text: str, begin: str = BEGIN, end: str = END) -> None:
    """Between the markers of a file that has them, else as the whole file."""
    whole = f"{begin}\n\n{text.rstrip()}\n\n{end}"
    old = file.read_text() if file.exists() else ""
    if begin in old and end in old:
        before, _, rest = old.partition(begin)
        file.write_text(before + whole + rest.partition(end)[2])
    else:
        file.write_text(whole + "\n")
