"""Rows on `benches/fanout`: fan-out hosted from Python, and echo.

All servers of a repetition are up at once and take turns; the harness pins each to core 0, so
Python's threads share that core with the shard. In go commands, out come ratios.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

from .report import Row
from .setting import HERE, Outcome, Setting

ROOT = HERE.parent.parent
PEERS = ("picows", "websockets", "starlette")
FAULTS = ("lost", "doubled", "reordered", "closed", "held_back", "unsettled")

Run = dict[str, float]


def fan_out(setting: Setting) -> Outcome:
    python = {"python": ROOT / "python" / "examples" / "rooms.py"}
    servers = python | {peer: HERE / "peers" / f"rooms_{peer}.py" for peer in PEERS}
    outcome, runs = _fanout(setting, "fan64", servers)
    ours = _ratios(runs["python"], runs["roomcast"])
    bare = _cost(runs["coalesce"])
    outcome.rows.append(
        Row("fan-out from Python / from Rust", ours, "x", at_most=1.15, notes="CPU per delivery")
    )
    for name in ("roomcast", "python", *PEERS):
        cost, label = _cost(runs[name]), {"roomcast": "Rust", "python": "Python"}.get(name, name)
        ratio = [own / other for own, other in zip(cost, bare, strict=True)]
        notes = f"{sorted(ratio)[len(ratio) // 2]:.2f} of the bare loop"
        outcome.rows.append(Row(f"fan-out, {label}: CPU per delivery", cost, "ns", notes=notes))
    return outcome


def echo(setting: Setting) -> Outcome:
    peers = {peer: HERE / "peers" / f"echo_{peer}.py" for peer in ("picows", "websockets")}
    host = HERE / "hosts" / "echo.py"
    servers = {"python": host, "python-async": host} | peers
    outcome, runs = _fanout(setting, "echo", servers)
    names = {"python": "roomcast, def", "python-async": "roomcast, async def"}
    for name in servers:
        rate = [run["deliveries"] / run["wall_ns"] * 1e9 for run in runs[name]]
        cost = sorted(_cost(runs[name]))[len(runs[name]) // 2]
        outcome.rows.append(
            Row(
                f"echo, {names.get(name, name)}", rate, "/s", notes=f"{cost / 1e3:.1f} us CPU each"
            )
        )
    return outcome


def _fanout(
    setting: Setting, scenario: str, servers: dict[str, Path]
) -> tuple[Outcome, dict[str, list[Run]]]:
    programs, outcome = setting.programs, Outcome()
    command = [str(programs / "fanout"), "--servers", "roomcast", "--scenario", scenario]
    command += ["--roomcast-bin", str(programs / "examples" / "rooms")]
    for name, path in servers.items():
        more = " --async" if name.endswith("-async") else ""
        command += ["--server", f"{name}={sys.executable} {path}{more}"]
    command += ["--smoke"] if setting.smoke else ["--seconds", "1.5"]
    with tempfile.NamedTemporaryFile() as results:
        command += ["--runs", str(setting.runs), "--results", results.name]
        done = subprocess.run(command, stdout=subprocess.DEVNULL)
        lines = Path(results.name).read_text().splitlines()
    outcome.check(done.returncode == 0 and lines != [], f"fanout {scenario}: see its complaint")
    runs: dict[str, list[Run]] = defaultdict(list)
    for line in lines:
        pairs = dict(word.split("=", 1) for word in line.split())
        server, _ = pairs.pop("server"), pairs.pop("scenario")
        run = {name: float(value) for name, value in pairs.items()}
        runs[server].append(run)
        for fault in FAULTS:
            outcome.check(not run.get(fault), f"{scenario}, {server}: {fault}")
    return outcome, runs


def _cost(runs: list[Run]) -> list[float]:
    """CPU for each delivery, in repetitions' order."""
    return [run["figure"] for run in sorted(runs, key=lambda run: run["repetition"])]


def _ratios(own: list[Run], other: list[Run]) -> list[float]:
    return [one / two for one, two in zip(_cost(own), _cost(other), strict=True)]
