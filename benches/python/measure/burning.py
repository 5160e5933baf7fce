"""Row: deliveries of a Rust-side publisher beside a Python thread that burns the interpreter's
lock, and beside a C thread that burns the same core. Members read on core 1; all else on core 0.
"""

from __future__ import annotations

import time
from statistics import median

from .children import Child, Host, Members
from .report import Row
from .setting import Outcome, Setting

MEMBERS = 50
PERIOD_US = 2_000
SLICES, SLICE_SECONDS = 9, 1.0
WAYS = ("idle", "c", "python")
TITLES = {"idle": "nothing", "c": "a C thread", "python": "a Python thread"}


def burning(setting: Setting) -> Outcome:
    outcome = Outcome()
    p99: dict[str, list[float]] = {way: [] for way in WAYS}
    with (
        Host(setting.host("burn.py", str(setting.burn), str(PERIOD_US)), core=0) as host,
        Members(setting.members, host.port, rooms=1, size=MEMBERS) as members,
    ):
        for repetition in range(setting.runs):
            order = WAYS if repetition % 2 == 0 else WAYS[::-1]
            slices: dict[str, list[float]] = {way: [] for way in WAYS}
            for way in order * setting.few(SLICES, 1):
                slices[way].append(_beside(setting, host, members, way))
            for way in WAYS:
                p99[way].append(median(slices[way]))
        found = host.ask("end")
        expected = found["publications"] * MEMBERS
        counts = members.settled(expected)
        whole = counts["deliveries"] == expected and not counts["faults"]
        outcome.check(whole, f"burning: {counts} of {expected}")
    ratio = [py / c for py, c in zip(p99["python"], p99["c"], strict=True)]
    outcome.rows.append(
        Row("p99 beside a Python thread / a C thread", ratio, "x", at_most=1.25, notes="that burns")
    )
    notes = f"{MEMBERS} members, a publication each {PERIOD_US} us, median of {SLICES} slices"
    for way in WAYS:
        outcome.rows.append(Row(f"p99 beside {TITLES[way]}", p99[way], "ms", notes=notes))
    return outcome


def _beside(setting: Setting, host: Child, members: Child, way: str) -> float:
    """Milliseconds of p99 while this burns."""
    host.ask(f"burn {way}")
    time.sleep(0.1)
    members.ask("take")
    time.sleep(0.3 if setting.smoke else SLICE_SECONDS)
    return float(members.ask("take")["p99_ns"]) / 1e6
