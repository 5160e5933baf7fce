"""Row: resident memory of a host for each connection, with handlers and without.

Growth from 100 connections to 10,000: what an interpreter and an engine take at all is left out.
"""

from __future__ import annotations

import time

from .children import Host, Members, resident_bytes
from .report import Row
from .setting import Outcome, Setting

FIRST = 100
WAYS = {"all": "handlers for connect, open, message, close", "none": "no handler"}


def memory(setting: Setting) -> Outcome:
    outcome = Outcome()
    grown: dict[str, list[float]] = {way: [] for way in WAYS}
    count = setting.few(10_000, 400)
    for _ in range(setting.runs):
        for way in WAYS:
            with Host(setting.host("memory.py", way), core=0) as host:
                with Members(setting.members, host.port, 1, FIRST):
                    before = _settled(host, FIRST)
                    with Members(setting.members, host.port, 1, count - FIRST):
                        after = _settled(host, count)
                grown[way].append((after - before) / (count - FIRST))
    for way, title in WAYS.items():
        most = 1536.0 if way == "all" else None
        notes = f"{count:,} connections, {title}"
        outcome.rows.append(Row(f"memory, {title}", grown[way], "B", at_most=most, notes=notes))
    return outcome


def _settled(host: Host, count: int) -> int:
    """Resident bytes once so many are connected, their handlers are done, and nothing moves."""
    deadline = time.monotonic() + 30
    last = -1
    while True:
        now = resident_bytes(host.pid)
        connected = host.ask("count")["connected"] == count
        if connected and now == last:
            return now
        if time.monotonic() > deadline:
            raise RuntimeError(f"memory: {count} connections did not settle")
        last = now
        time.sleep(0.2)
