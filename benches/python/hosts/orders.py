"""How a host is told what to do: a line of words on standard input, answered by JSON on a line.

In come functions by the first word, out go their answers. Ends with standard input. The thread
that calls `serve` runs the orders.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

Answer = dict[str, Any]


def announce(port: int, **more: int) -> None:
    pairs = "".join(f" {name}={other}" for name, other in more.items())
    print(f"listening on 127.0.0.1:{port}{pairs}", flush=True)


def serve(**orders: Callable[..., Answer]) -> None:
    for line in sys.stdin:
        order, *words = line.split()
        print(json.dumps(orders[order](*words)), flush=True)
