"""Runs the rows and writes the table: `benches/python/run --help`.

In come arguments, out go a table and an exit code: 1 when anything was lost, or, but for
`--smoke`, when a target is missed.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path

from .app import app
from .burning import burning
from .fan_out import echo, fan_out
from .inbound import inbound
from .memory import memory
from .publishing import publishing
from .report import Row, environment, table, write
from .setting import Outcome, Setting

ROWS: dict[str, Callable[[Setting], Outcome]] = {
    "fan-out": fan_out,
    "inbound": inbound,
    "echo": echo,
    "publish": publishing,
    "burn": burning,
    "app": app,
    "memory": memory,
}


def parse() -> argparse.Namespace:
    words = argparse.ArgumentParser(prog="benches/python/run", description=__doc__)
    words.add_argument("--rows", default=",".join(ROWS), help=f"of {', '.join(ROWS)}")
    words.add_argument("--runs", type=int, default=3, help="repetitions; the table shows medians")
    words.add_argument("--smoke", action="store_true", help="tiny; judges only what is lost")
    words.add_argument("--markdown", type=Path, help="write the table there, between its markers")
    words.add_argument("--programs", type=Path, required=True, help=argparse.SUPPRESS)
    words.add_argument("--burn", type=Path, required=True, help=argparse.SUPPRESS)
    return words.parse_args()


def main() -> int:
    words = parse()
    runs = 1 if words.smoke else words.runs
    setting = Setting(words.programs, words.burn, runs, words.smoke)
    # Core 0 is the hosts'.
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    rows: list[Row] = []
    faults: list[str] = []
    for name in words.rows.split(","):
        print(f"{name} ...", file=sys.stderr, flush=True)
        try:
            outcome = ROWS[name](setting)
        except (RuntimeError, OSError, KeyError) as error:
            outcome = Outcome(faults=[f"{name} broke off: {error!r}"])
        rows += outcome.rows
        faults += outcome.faults
        print(table(outcome.rows, not words.smoke), flush=True)
    text = f"{environment(runs)}\n\n{table(rows, not words.smoke)}"
    if words.markdown:
        write(words.markdown, text + "".join(f"\nFAULT: {fault}\n" for fault in faults))
    for fault in faults:
        print(f"FAULT: {fault}", file=sys.stderr)
    missed = [row.name for row in rows if row.verdict == "MISSED"]
    return 1 if faults or (missed and not words.smoke) else 0


sys.exit(main())
