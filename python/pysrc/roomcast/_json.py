"""JSON: orjson where it is installed, else the standard library.

Both give the same text, and both refuse what is not JSON (dates, sets, objects); only NaN differs,
which orjson writes as null.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import Any

_PLAIN = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, allow_nan=False)

encode: Callable[[Any], bytes | str]
decode: Callable[[str], Any]
try:
    import orjson
except ImportError:
    encode, decode = _PLAIN.encode, json.loads
else:
    decode = orjson.loads
    encode = partial(
        orjson.dumps,
        option=orjson.OPT_NON_STR_KEYS
        | orjson.OPT_PASSTHROUGH_DATETIME
        | orjson.OPT_PASSTHROUGH_DATACLASS
        | orjson.OPT_PASSTHROUGH_SUBCLASS,
    )
