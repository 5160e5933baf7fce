"""Real-time rooms inside your program.

    import roomcast

    engine = roomcast.Engine("127.0.0.1:8080")

    @engine.on_connect
    def connect(connection):
        connection.accept(rooms=["lobby"])

    @engine.on_message
    def message(connection, data):
        engine.publish("lobby", data)

    engine.serve()

The engine's threads serve the connections; your interpreter is never in the path of a broadcast.
"""

import sys
import sysconfig

if sysconfig.get_config_var("Py_GIL_DISABLED"):
    raise ImportError(
        "roomcast does not support free-threaded builds of CPython yet: use the default build of "
        f"Python {sys.version_info.major}.{sys.version_info.minor}"
    )

# First: in a sub-interpreter this is refused, before anything is loaded that would mind it less.
from . import _roomcast as _roomcast
from ._engine import Engine
from ._events import Events
from ._limits import Limits
from ._request import LATER, Headers, Reject
from ._roomcast import (
    Auth,
    Claims,
    CloseReason,
    Connection,
    Delivery,
    Event,
    Field,
    Filter,
    Join,
    Jwt,
    ListenOptions,
    Missed,
    Position,
    Presence,
    PresencePage,
    Present,
    Published,
    Room,
    RoomOptions,
    StopReport,
    Tls,
    Tracked,
    Upgrade,
    Wish,
    __version__,
)
from ._types import (
    Data,
    FilterLike,
    Rooms,
    SlowPolicy,
    Tags,
    TlsLike,
    TlsPair,
    TokenKeys,
    Verb,
    Who,
)
from .errors import (
    Answered,
    Behind,
    CertificateError,
    CloseCodeError,
    ConfigError,
    FilterError,
    Gone,
    IoError,
    KeyTooLong,
    NotUpgrade,
    OnShard,
    Overloaded,
    PayloadTooLarge,
    Refused,
    RoomcastError,
    RoomNameError,
    Stopped,
    TokenError,
    TokenExpired,
    TokenInvalid,
    TokenKeyError,
    TokenRevoked,
    UsageError,
)

__all__ = [
    "LATER",
    "Answered",
    "Auth",
    "Behind",
    "CertificateError",
    "Claims",
    "CloseCodeError",
    "CloseReason",
    "ConfigError",
    "Connection",
    "Data",
    "Delivery",
    "Engine",
    "Event",
    "Events",
    "Field",
    "Filter",
    "FilterError",
    "FilterLike",
    "Gone",
    "Headers",
    "IoError",
    "Join",
    "Jwt",
    "KeyTooLong",
    "Limits",
    "ListenOptions",
    "Missed",
    "NotUpgrade",
    "OnShard",
    "Overloaded",
    "PayloadTooLarge",
    "Position",
    "Presence",
    "PresencePage",
    "Present",
    "Published",
    "Refused",
    "Reject",
    "Room",
    "RoomNameError",
    "RoomOptions",
    "RoomcastError",
    "Rooms",
    "SlowPolicy",
    "StopReport",
    "Stopped",
    "Tags",
    "Tls",
    "TlsLike",
    "TlsPair",
    "TokenError",
    "TokenExpired",
    "TokenInvalid",
    "TokenKeyError",
    "TokenKeys",
    "TokenRevoked",
    "Tracked",
    "Upgrade",
    "UsageError",
    "Verb",
    "Who",
    "Wish",
    "__version__",
]
