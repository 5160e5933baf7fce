"""The native half of roomcast. Import its names from ``roomcast``."""

import sys
from collections.abc import Callable, Iterable, Mapping
from socket import socket
from types import SimpleNamespace
from typing import Any, Literal, TypeAlias, final

from typing_extensions import disjoint_base

from ._engine import Engine
from ._request import Headers
from ._types import Data, ReadableBuffer, Who
from .errors import RoomcastError

__all__ = [
    "__version__",
    "Connection",
    "Core",
    "statuses",
    "Event",
    "on_fork",
    "Buffer",
    "Room",
    "limits",
    "Upgrade",
    "CloseReason",
    "Position",
    "Published",
    "StopReport",
]

__version__: str

_Kind: TypeAlias = Literal["connect", "open", "message", "close", "lag", "backpressure"]
_Handler: TypeAlias = Callable[..., Any]
_Reason: TypeAlias = Literal[
    "peer",
    "host",
    "stopping",
    "vanished",
    "protocol",
    "too_slow",
    "ping_timeout",
    "idle_timeout",
    "limit",
]

def statuses() -> list[tuple[str, int, str]]: ...
def limits() -> list[tuple[str, str]]: ...
def on_fork() -> None: ...

@final
class Published:
    """What became of a publication."""

    @property
    def offset(self) -> int | None:
        """Its number in the room, counted from 1 in each epoch; of the first room of a union. None
        when the room did not exist, and so had no members."""

    @property
    def members(self) -> int:
        """Members of the room when it was numbered, exclusions not subtracted; of a union the sum,
        which is an upper bound."""

    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...

@final
class Position:
    """A place in a room's sequence of publications."""

    @property
    def epoch(self) -> int:
        """Which life of the room: one that emptied and came back has another."""

    @property
    def offset(self) -> int:
        """The number of the newest publication before this place; 0 before the first."""

    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...

@final
class StopReport:
    """How stopping went."""

    @property
    def connections(self) -> int:
        """Connections that were open when the stop began."""

    @property
    def cut(self) -> int:
        """Of these, how many were cut when the time was over."""

    @property
    def took_ms(self) -> int:
        """Milliseconds that it took."""

    def __eq__(self, other: object, /) -> bool: ...
    __hash__: None  # type: ignore[assignment]

@final
class CloseReason:
    """Why a connection ended."""

    @property
    def name(self) -> _Reason: ...
    @property
    def code(self) -> int:
        """The WebSocket close code; 1006 where no close frame passed."""

    @property
    def text(self) -> str:
        """The peer's text, or which rule it broke."""

    def __eq__(self, other: object, /) -> bool: ...
    __hash__: None  # type: ignore[assignment]

@final
class Connection:
    """One client connection. The same object in every event about it: compare it with ``is`` or
    ``==``, use it as a key, and keep what you know about it in ``state``. Any thread."""

    @property
    def id(self) -> int:
        """Its number. Never used again in the engine's life."""

    @property
    def user(self) -> str | None:
        """The user that it was accepted as."""

    @property
    def peer(self) -> tuple[str, int] | None:
        """Address and port of the other end; None on a unix socket. Behind a proxy it is the
        proxy."""

    @property
    def path(self) -> str:
        """The path as sent, percent signs and all."""

    @property
    def query_string(self) -> str:
        """What follows the question mark, as sent; empty without one."""

    @property
    def query(self) -> dict[str, str]:
        """The query's values by name, decoded; of a name that comes twice, the first."""

    @property
    def headers(self) -> Headers:
        """The header fields. Made anew at each access: keep it where you need several."""

    @property
    def cookies(self) -> dict[str, str]:
        """Cookies by name, as sent. Check them before you believe them."""

    @property
    def subprotocols(self) -> list[str]:
        """The subprotocols that the peer offers, the one it likes best first."""

    @property
    def subprotocol(self) -> str | None:
        """The subprotocol that was agreed upon."""

    @property
    def state(self) -> SimpleNamespace:
        """A namespace for your own attributes."""

    @property
    def is_open(self) -> bool:
        """Whether it was accepted and has not ended."""

    @property
    def engine(self) -> Engine:
        """The engine."""

    def accept(
        self,
        user: str | int | None = None,
        rooms: str | Iterable[str] | None = None,
        subprotocol: str | None = None,
    ) -> None:
        """Lets it in, as this user, into these rooms. From the return of this call on it is sent
        what is published to them. A subprotocol that was not offered is left out.

        Raises:
            Answered: it has its verdict already.
            RoomNameError: a room's name is empty or too long; the verdict is still open.
        """

    def refuse(self, status: int = 403, text: str = "") -> None:
        """Turns it away with an HTTP status (400 to 599, else 403) and a line of text.

        Raises:
            Answered: it has its verdict already.
        """

    def send(self, data: Data) -> None:
        """Sends it a message, in its place among the publications of its rooms. A connection that
        has ended is no error.

        Raises:
            Refused: ``Overloaded`` or ``PayloadTooLarge``.
            Stopped: the engine does not run.
        """

    def join(self, room: str) -> Position:
        """Makes it a member of a room: it is sent everything that is published after this call,
        and nothing that was published before. Joining twice is joining once."""

    def leave(self, room: str) -> None:
        """Ends a membership. Not being a member is no error."""

    def close(self, code: int = 1000, text: str = "") -> None:
        """Closes it with a code and a text (cut at 123 bytes), after what it is owed.

        Raises:
            CloseCodeError: a code that applications may not send.
        """

    def rooms(self) -> list[str]:
        """The rooms that it is in. Asks its shard, so it takes about a turn."""

    def _settle(self, result: object) -> None: ...
    def _next(self) -> tuple[_Kind, _Handler, tuple[Any, ...]] | None: ...

@final
class Room:
    """A held room: the quick way to publish to it often. While this object exists, the room does
    too, with its numbering. Any thread."""

    @property
    def name(self) -> str: ...
    @property
    def members(self) -> int:
        """Members now."""

    @property
    def position(self) -> Position:
        """Epoch and offset now."""

    def publish(
        self,
        data: Data,
        *,
        exclude: Who | Iterable[Who] | None = None,
        exclude_rooms: str | Iterable[str] | None = None,
    ) -> Published:
        """As ``Engine.publish``, without looking the room up."""

    def publish_many(self, items: Iterable[Data]) -> list[Published | RoomcastError]:
        """Publishes several, in order. Of each: what became of it, or the error that refused
        it."""

@final
class Event:
    """Something that happened. ``kind`` says which of the other fields mean anything."""

    @property
    def kind(self) -> _Kind: ...
    @property
    def connection(self) -> Connection: ...
    @property
    def data(self) -> str | bytes | memoryview | None:
        """Of a message: the payload."""

    @property
    def reason(self) -> CloseReason | None:
        """Of a close: why."""

    @property
    def room(self) -> str | None:
        """Of a lag: the room."""

    @property
    def missed(self) -> int:
        """Of a lag: how many publications of it the connection jumped over."""

    @property
    def high(self) -> bool:
        """Of backpressure: whether more than ``outbox_high_bytes`` wait."""

@final
class Upgrade:
    """A checked upgrade of a host's own HTTP server: send ``response``, then ``adopt`` the
    socket. ``accept`` comes before both."""

    def accept(
        self,
        user: str | int | None = None,
        rooms: str | Iterable[str] | None = None,
        subprotocol: str | None = None,
    ) -> None:
        """As whom it is accepted, and into which rooms. ``on_connect`` is not called: the host has
        decided."""

    @property
    def response(self) -> bytes:
        """The 101 to send before the socket is adopted."""

    def adopt(self, sock: socket, leftover: ReadableBuffer | None = None) -> None:
        """Takes the socket over once the response was sent. ``leftover`` is what was read behind
        the request's head. The Python object is detached."""

@final
class Buffer:
    """The engine's own buffer behind a ``memoryview`` of a large message."""

    def __len__(self) -> int: ...
    if sys.version_info >= (3, 12):
        def __buffer__(self, flags: int, /) -> memoryview: ...

@disjoint_base
class Core:
    """The native half of ``roomcast.Engine``."""

    def __new__(cls, *_args: Any, **_kwargs: Any) -> Core: ...
    def _configure(self, settings: dict[str, Any], from_env: bool) -> None: ...
    def _start(
        self,
        handlers: dict[str, tuple[_Handler, bool]],
        spawn: _Handler,
        report: _Handler,
        log: _Handler,
        pull: bool,
        share: bool,
    ) -> None: ...
    def _stop(self, timeout: float | None) -> StopReport: ...
    def _begin_stop(self, timeout: float | None) -> None: ...
    def _clear(self) -> None: ...
    def _dispatch(self, max: int) -> int: ...
    def _take(self, max: int) -> list[Event]: ...
    def _is_ended(self) -> bool: ...
    def _events_fd(self) -> int: ...
    def _stop_seconds(self) -> float: ...
    def _is_forked(self) -> bool: ...
    def _turn(self, timeout: float) -> bool: ...
    @property
    def is_running(self) -> bool:
        """Whether the engine was started and has not begun to stop."""

    @property
    def is_stopping(self) -> bool:
        """Whether the engine is stopping or has stopped."""

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """Where the TCP listeners listen: (host, port), in the order given."""

    def publish(
        self,
        room: str,
        data: Data,
        *,
        exclude: Who | Iterable[Who] | None = None,
        exclude_rooms: str | Iterable[str] | None = None,
    ) -> Published:
        """Publishes to all members of a room. Any thread; never waits for a peer. ``str`` is text,
        bytes are binary, ``dict``, ``list`` and ``tuple`` become JSON.

        Publishing to a room that nobody is in is no error: it has 0 members and, where it does not
        even exist, no offset.

        Raises:
            Refused: ``Behind`` and ``Overloaded`` pass with time; ``PayloadTooLarge`` does not.
            RoomNameError: the name is empty or too long.
            Stopped: the engine does not run.
        """

    def publish_union(
        self,
        rooms: str | Iterable[str],
        data: Data,
        *,
        exclude: Who | Iterable[Who] | None = None,
        exclude_rooms: str | Iterable[str] | None = None,
    ) -> Published:
        """Publishes to all members of several rooms; whoever is in more than one is sent it once.
        It is numbered in each of them, or refused in all."""

    def publish_many(self, items: Iterable[tuple[str, Data]]) -> list[Published | RoomcastError]:
        """Publishes several, given as (room, data), in order; they leave together. Of each: what
        became of it, or the error that refused it. A wrong type is raised, with the items before it published."""

    def room(self, name: str) -> Room:
        """A held room: the quick way to publish to it often."""

    def send(self, to: Who, data: Data) -> None:
        """Sends a message to one connection. One that has ended is no error."""

    def send_user(self, user: str | int, data: Data) -> None:
        """Sends a message to all connections of a user."""

    def send_all(self, data: Data) -> None:
        """Sends a message to every open connection."""

    def join(self, who: Who, room: str) -> Position:
        """As ``Connection.join``."""

    def leave(self, who: Who, room: str) -> None:
        """As ``Connection.leave``."""

    def close(self, who: Who, code: int = 1000, text: str = "") -> None:
        """As ``Connection.close``."""

    def count(self, room: str) -> int:
        """Members of a room, 0 for one that does not exist."""

    def rooms(self) -> dict[str, int]:
        """Member counts of all rooms."""

    def members(self, room: str) -> list[int]:
        """Ids of a room's members. Asks the shards, so it takes about a turn."""

    def connections(self) -> list[int]:
        """Ids of all open connections. Asks the shards, so it takes about a turn."""

    def connection(self, id: int) -> Connection | None:
        """The object of a connection that a handler was called for and that has not ended."""

    def stats(self, since: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The engine's figures now. Counters count from the start, which is the last one. Besides
        whole numbers: ``closed`` by reason, ``shards`` with the whole numbers of each shard, and
        ``turn``, ``turn_lag``, ``publish_to_flush`` and ``publish_to_flush_small``, each with
        ``count``, ``p50_ns``, ``p90_ns``, ``p99_ns``, ``max_ns``, and, from the start, ``sum_ns``
        and ``buckets``: pairs of an upper bound in nanoseconds and how many were recorded between
        it and the one before.

        ``since`` is the dict of an earlier call: the counts and quantiles of durations are then of
        what was recorded after it."""

    def metrics(self) -> str:
        """The engine's figures in the text format of Prometheus, with what each is, for a route of
        your own (``text/plain; version=0.0.4``). Beside ``prometheus_client`` use
        :class:`roomcast.prometheus.Collector`."""

    def adopt(self, sock: socket, data: ReadableBuffer | None = None) -> None:
        """Takes over a connected socket of the host's, of which ``data`` was read already; the
        HTTP head is read, checked and answered by the engine. The Python object is detached.

        Raises:
            Overloaded: ``connections_max`` connections are open; the socket is closed.
        """

    def upgrade(
        self,
        method: str,
        target: str,
        headers: Iterable[tuple[str | bytes, str | bytes]],
    ) -> Upgrade:
        """Checks a request that came to the host's own HTTP server.

        Raises:
            NotUpgrade: ``http_status`` and ``text`` are what to answer.
        """

    def next_turn(self) -> float | None:
        """With ``own_threads=False``: seconds that the host may sleep on ``fileno()``; None for as
        long as it is not readable."""

    def fileno(self) -> int:
        """With ``own_threads=False``: the descriptor that becomes readable when there is something
        to do."""
