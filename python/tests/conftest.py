"""What the tests of the package share: waiting for a condition, and programs of their own."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable

#: How long a test waits for anything before it fails.
PATIENCE = 20.0


def until(condition: Callable[[], object], what: str = "") -> None:
    """Waits for a condition, on a thread that may block."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, f"not in time: {what or condition}"
        time.sleep(0.002)


async def auntil(condition: Callable[[], object], what: str = "") -> None:
    """Waits for a condition, with the loop at work meanwhile."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, f"not in time: {what or condition}"
        await asyncio.sleep(0.002)


def program(code: str, *, status: int = 0, timeout: float = 30.0) -> str:
    """Runs a program in a process of its own, which must end in time and with this status. Returns
    what it printed; a deadlock fails here and not by holding up the suite."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    assert done.returncode == status, f"status {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout + done.stderr
