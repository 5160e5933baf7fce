"""Rows on the C interface: fan-out hosted from C, the call of publish, start and stop, size.

In come the programs that `benches/c/run` has built, out go a table and an exit code: 1 when
anything was lost, or, but for `--smoke`, when a target is missed.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from statistics import median

from measure.report import Row, environment, table, write

BEGIN = "<!-- results: written by benches/c/run -->"
END = "<!-- end of results from C -->"
FAULTS = ("lost", "doubled", "reordered", "closed", "held_back", "unsettled")


class Measured:
    """Rows and faults, as they come."""

    def __init__(self, words: argparse.Namespace) -> None:
        self.programs: Path = words.programs
        self.c: Path = words.c
        self.smoke: bool = words.smoke
        self.runs: int = 1 if words.smoke else words.runs
        self.rows: list[Row] = []
        self.faults: list[str] = []

    def fan_out(self) -> None:
        """All servers of a repetition are up at once and take turns."""
        command = [str(self.programs / "fanout"), "--servers", "roomcast", "--scenario", "fan64"]
        command += ["--roomcast-bin", str(self.programs / "examples" / "rooms")]
        command += ["--server", f"c={self.c / 'rooms'}", "--runs", str(self.runs)]
        command += ["--smoke"] if self.smoke else ["--seconds", "1.5"]
        with tempfile.NamedTemporaryFile() as results:
            done = subprocess.run(
                [*command, "--results", results.name], stdout=subprocess.DEVNULL, check=False
            )
            lines = Path(results.name).read_text().splitlines()
        if done.returncode != 0 or not lines:
            self.faults.append("fanout: see its complaint")
        costs: dict[str, dict[float, float]] = defaultdict(dict)
        for line in lines:
            pairs = dict(word.split("=", 1) for word in line.split())
            costs[pairs["server"]][float(pairs["repetition"])] = float(pairs["figure"])
            found = [fault for fault in FAULTS if float(pairs.get(fault, 0))]
            self.faults += [f"fan64, {pairs['server']}: {fault}" for fault in found]
        for name, label in (("roomcast", "Rust"), ("c", "C")):
            cost = list(costs[name].values())
            self.rows.append(Row(f"fan-out, {label}: CPU per delivery", cost, "ns"))
        ratios = [costs["c"][run] / cost for run, cost in costs["roomcast"].items()]
        name = "fan-out from C / from Rust"
        self.rows.append(Row(name, ratios, "x", at_most=1.03, notes="CPU per delivery, fan64"))

    def publish(self) -> None:
        """Rust and C in turns; each is itself a median of 201 bursts of 1,000."""
        found: dict[str, list[dict[str, float]]] = {"rust": [], "c": []}
        for _ in range(self.runs):
            found["rust"].append(_table(self.programs / "publish"))
            found["c"].append(_table(self.c / "publish"))
        for room in found["rust"][0]:
            over = [
                c[room] - rust[room]
                for rust, c in zip(found["rust"], found["c"], strict=True)
            ]
            rust = median(run[room] for run in found["rust"])
            c = median(run[room] for run in found["c"])
            at_most = None if room.startswith("hall") else 20
            name = f"publish of 64 B across the interface: {room}"
            notes = f"over Rust's; {rust:.0f} and {c:.0f} ns"
            self.rows.append(Row(name, over, "ns", at_most=at_most, notes=notes))

    def life(self) -> None:
        connections = 200 if self.smoke else 10_000
        start, stop = [], []
        for _ in range(self.runs):
            done = subprocess.run(
                [str(self.c / "life"), str(connections)], capture_output=True, text=True, check=True
            )
            pairs = dict(line.split() for line in done.stdout.splitlines())
            start.append(float(pairs["start_ms"]))
            stop.append(float(pairs["stop_ms"]))
            if int(pairs["cut"]) or int(pairs["connections"]) != connections:
                self.faults.append(f"life: {pairs}")
        self.rows.append(Row("start to listening", start, "ms", at_most=5))
        notes = "close frames are spread over 500 ms"
        name = f"stop with {connections:,} connections"
        self.rows.append(Row(name, stop, "ms", at_most=1000, notes=notes))

    def size(self) -> None:
        size = (self.c / "libroomcast.so").stat().st_size
        name = "shared library with TLS and tokens, stripped"
        self.rows.append(Row(name, [float(size)], "B", at_most=6 * 1024 * 1024))


def _table(program: Path) -> dict[str, float]:
    """The lines `| name | figure |` that a program prints."""
    done = subprocess.run([str(program)], capture_output=True, text=True, check=True)
    lines = [line.strip("| ").split(" | ") for line in done.stdout.splitlines()[2:]]
    return {name: float(figure) for name, figure in lines}


def main() -> int:
    words = argparse.ArgumentParser(prog="benches/c/run", description=__doc__)
    words.add_argument("--runs", type=int, default=5, help="repetitions; the table shows medians")
    words.add_argument("--smoke", action="store_true", help="tiny; judges only what is lost")
    words.add_argument("--markdown", type=Path, help="write the table there, between its markers")
    words.add_argument("--programs", type=Path, required=True, help=argparse.SUPPRESS)
    words.add_argument("--c", type=Path, required=True, help=argparse.SUPPRESS)
    read = words.parse_args()
    measured = Measured(read)
    measured.size()
    measured.publish()
    measured.life()
    # The generator's core is the last one.
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    measured.fan_out()
    print(table(measured.rows, not read.smoke))
    if read.markdown:
        text = f"{environment(measured.runs, ())}\n\n{table(measured.rows)}"
        text += "".join(f"\nFAULT: {fault}\n" for fault in measured.faults)
        write(read.markdown, text, BEGIN, END)
    for fault in measured.faults:
        print(f"FAULT: {fault}", file=sys.stderr)
    missed = [row.name for row in measured.rows if row.verdict == "MISSED"]
    return 1 if measured.faults or (missed and not read.smoke) else 0


sys.exit(main())
