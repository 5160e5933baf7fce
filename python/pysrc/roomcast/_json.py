"""JSON for publications: orjson's encoder where it is installed, else the standard library's."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

_PLAIN = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, allow_nan=False)

encode: Callable[[Any], bytes | str]
try:
    from orjson import dumps as encode
except ImportError:
    encode = _PLAIN.encode
