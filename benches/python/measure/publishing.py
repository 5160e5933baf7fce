"""Row: what publishing costs the thread that publishes, into a room of 1,000.

The publisher's thread is alone on core 1. The shard, and the members that take what it writes,
share core 0: they have time between bursts.
"""

from __future__ import annotations

from .children import Host, Members
from .report import Row
from .setting import Outcome, Setting

TITLES = {
    "engine": "engine.publish(name, 64 B)",
    "room": "room.publish(64 B)",
    "many": "room.publish_many, each",
}


def publishing(setting: Setting) -> Outcome:
    outcome = Outcome()
    times: dict[str, list[float]] = {way: [] for way in TITLES}
    size, bursts = setting.few(1000, 50), setting.few(41, 3)
    for _ in range(setting.runs):
        with (
            Host(setting.host("publish.py"), core=0) as host,
            Members(setting.members, host.port, rooms=1, size=size, core=0) as members,
        ):
            found = host.ask(f"publish {bursts}")
            counts = members.settled(found["publications"] * size)
            expected = found["publications"] * size
            whole = counts["deliveries"] == expected and not counts["faults"]
            outcome.check(whole, f"publish: {counts} of {expected}")
            for way in TITLES:
                times[way].append(found[way] / 1e3)
    for way, title in TITLES.items():
        most = None if way == "many" else 1.5
        notes = f"room of {size}, median of {bursts} bursts, loop included"
        outcome.rows.append(Row(title, times[way], "us", at_most=most, notes=notes))
    return outcome
