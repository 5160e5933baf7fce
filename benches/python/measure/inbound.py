"""Row: messages a second into a handler, produced inside the process by a simulated network."""

from __future__ import annotations

from .children import Child
from .report import Row
from .setting import Outcome, Setting

KINDS = {"def": 1_000_000.0, "async def": 300_000.0}


def inbound(setting: Setting) -> Outcome:
    outcome = Outcome()
    rates: dict[str, list[float]] = {kind: [] for kind in KINDS}
    costs: dict[str, list[float]] = {kind: [] for kind in KINDS}
    messages = setting.few(2_000_000, 4_800)
    for _ in range(setting.runs):
        for kind in KINDS:
            with Child(setting.host("inbound.py", kind.replace(" ", "-")), core=None) as host:
                found = host.ask(f"run {messages}")
            rates[kind].append(messages / found["seconds"])
            costs[kind].append(found["cpu_seconds"] / messages * 1e9)
            outcome.check(found["seen"] == messages, f"inbound, {kind}: {found['seen']} came")
    for kind, target in KINDS.items():
        cost = sorted(costs[kind])[setting.runs // 2]
        on = "dispatcher thread" if kind == "def" else "uvloop"
        notes = f"{on}; {cost:.0f} ns CPU each, all threads"
        outcome.rows.append(
            Row(f"inbound, {kind}", rates[kind], "/s", at_least=target, notes=notes)
        )
    return outcome
