"""The native half of roomcast. Import its names from ``roomcast``."""

import sys
from collections.abc import Callable, Iterable, Mapping
from socket import socket
from types import SimpleNamespace
from typing import Any, ClassVar, Literal, NoReturn, TypeAlias, final

from typing_extensions import disjoint_base

from ._engine import Engine
from ._request import Headers
from ._types import Data, FilterLike, ReadableBuffer, Rooms, SlowPolicy, Tags, Who
from .errors import RoomcastError

__all__ = [
    "__version__",
    "Connection",
    "Core",
    "statuses",
    "Event",
    "Field",
    "Filter",
    "Join",
    "on_fork",
    "ListenOptions",
    "RoomOptions",
    "Buffer",
    "Room",
    "limits",
    "Upgrade",
    "CloseReason",
    "Delivery",
    "Missed",
    "Position",
    "Published",
    "StopReport",
    "Tracked",
]

__version__: str

_Kind: TypeAlias = Literal[
    "connect", "open", "message", "close", "lag", "backpressure", "delivered"
]
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
class Tracked:
    """A publication whose fate will be reported, by ``on_delivered`` or an event "delivered"."""

    @property
    def token(self) -> int:
        """The number by which the report is known. Never used twice in an engine's life."""

    @property
    def offset(self) -> int | None:
        """As of ``Published``."""

    @property
    def members(self) -> int:
        """As of ``Published``."""

    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...

@final
class Delivery:
    """What became of a tracked publication by the time that all members in step had been offered
    it. The members that the room had when its shards came to the publication are each counted
    once."""

    @property
    def token(self) -> int:
        """The number that ``Tracked`` has."""

    @property
    def offset(self) -> int | None:
        """Its number in the room; None where the room did not exist."""

    @property
    def reached(self) -> int:
        """Members whose sockets took it."""

    @property
    def filtered(self) -> int:
        """Members that did not ask for it: by their filters or their keys."""

    @property
    def skipped(self) -> int:
        """Members that were left out: excluded by the publisher, or volatile and not writable."""

    @property
    def conflated(self) -> int:
        """Members for whom a newer publication of its key took its place within the interval."""

    @property
    def lagging(self) -> int:
        """Members whose sockets are behind: they get it later, or meet their policy."""

    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...

@final
class Missed:
    """What a slow member was not sent, of one room."""

    @property
    def count(self) -> int:
        """How many publications."""

    @property
    def first(self) -> int:
        """The number of the first of them in the room."""

    @property
    def last(self) -> int:
        """The number of the last of them."""

    @property
    def replaced(self) -> bool:
        """Whether the member has been sent, or is owed, a newer publication for the key of each:
        what it missed is old news (policy "latest")."""

    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...

@final
class Field:
    """What of a publication a filter looks at, beside its tags."""

    EVENT: ClassVar[Field]
    KEY: ClassVar[Field]
    def __int__(self) -> int: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...

@final
class Filter:
    """Which publications of a room a member is sent, decided by their labels.

    From a text in CEL's syntax, or built. A field is a tag's name, ``Field.EVENT`` or
    ``Field.KEY``. Filters are put together with ``&``, ``|`` and ``~``, and equal where their
    canonical texts (``str``) are: members of a room with equal filters are one group, for which a
    publication is decided once.

    A tag that the publication has not, and a value that is no number where one is asked for, make
    a comparison unknown, in either polarity; a filter that is unknown as a whole does not match.

        Filter("tags.side == 'bid' && double(tags.price) > 100.5")
        Filter.eq("side", "bid") & Filter.gt("price", 100.5)

    Raises:
        FilterError: the text is wrong (``at`` is the byte), or the filter is too large or too deep.
    """

    def __new__(cls, text: str) -> Filter: ...
    @staticmethod
    def all(filters: FilterLike | Iterable[FilterLike]) -> Filter:
        """Matches what all of these match; everything if there are none."""

    @staticmethod
    def any(filters: FilterLike | Iterable[FilterLike]) -> Filter:
        """Matches what one of these matches; nothing if there are none."""

    @staticmethod
    def eq(field: str | Field, value: str) -> Filter:
        """It has this value."""

    @staticmethod
    def neq(field: str | Field, value: str) -> Filter:
        """It has another value than this."""

    @staticmethod
    def one_of(field: str | Field, values: str | Iterable[str]) -> Filter:
        """It has one of these values."""

    @staticmethod
    def none_of(field: str | Field, values: str | Iterable[str]) -> Filter:
        """It has a value, which is none of these."""

    @staticmethod
    def exists(field: str | Field) -> Filter:
        """The publication has it, of whatever value."""

    @staticmethod
    def missing(field: str | Field) -> Filter:
        """The publication has it not."""

    @staticmethod
    def starts_with(field: str | Field, piece: str) -> Filter:
        """Its value begins with this."""

    @staticmethod
    def ends_with(field: str | Field, piece: str) -> Filter:
        """Its value ends with this."""

    @staticmethod
    def contains(field: str | Field, piece: str) -> Filter:
        """This is somewhere in its value."""

    @staticmethod
    def gt(field: str | Field, bound: float) -> Filter:
        """Its value is a number greater than this."""

    @staticmethod
    def gte(field: str | Field, bound: float) -> Filter:
        """Its value is a number, this or greater."""

    @staticmethod
    def lt(field: str | Field, bound: float) -> Filter:
        """Its value is a number less than this."""

    @staticmethod
    def lte(field: str | Field, bound: float) -> Filter:
        """Its value is a number, this or less."""

    def matches(
        self, *, event: str | None = None, key: str | None = None, tags: Tags | None = None
    ) -> bool:
        """Whether a publication with these labels is one of those: for tests of filters."""

    def __and__(self, other: FilterLike, /) -> Filter: ...
    def __rand__(self, other: FilterLike, /) -> Filter: ...
    def __or__(self, other: FilterLike, /) -> Filter: ...
    def __ror__(self, other: FilterLike, /) -> Filter: ...
    def __invert__(self) -> Filter: ...
    def __bool__(self) -> NoReturn: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...

@final
class Join:
    """How a connection is a member of a room; without arguments: everything, as the room's options
    say.

    Args:
        filter: it is sent only what this matches.
        keys: it is sent only publications with one of these keys: a watch-list, which ``watch``
            and ``unwatch`` change later. It may be empty.
        flush_interval_ms: instead of the room's; at most an hour.
        slow_policy: instead of the room's.
    """

    def __new__(
        cls,
        *,
        filter: FilterLike | None = None,
        keys: str | Iterable[str] | None = None,
        flush_interval_ms: int | None = None,
        slow_policy: SlowPolicy | None = None,
    ) -> Join: ...
    @property
    def filter(self) -> Filter | None: ...
    @property
    def keys(self) -> tuple[str, ...] | None: ...
    @property
    def flush_interval_ms(self) -> int | None: ...
    @property
    def slow_policy(self) -> SlowPolicy | None: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...

@final
class RoomOptions:
    """What holds for rooms whose names begin alike: ``Engine(room_options=...)``.

    Args:
        flush_interval_ms: milliseconds within which publications of a room wait for each other, to
            leave together in one write to each member; 0 for each turn. Default: the engine's.
        conflate: of publications with one key only the newest of each interval leaves, in its own
            place of the order; whom that one excludes is sent neither. Those without a key all
            leave. Needs an interval.
        slow_policy: what happens to members that are too slow. Default: the engine's.
        deflate: whether publications are compressed for members that agreed on it, which still
            needs ``deflate_level``.
        history: how many publications a room keeps while it exists, within ``history_bytes_max``,
            for members with the policy "replay".
    """

    def __new__(
        cls,
        *,
        flush_interval_ms: int | None = None,
        conflate: bool = False,
        slow_policy: SlowPolicy | None = None,
        deflate: bool = True,
        history: int = 0,
    ) -> RoomOptions: ...
    @property
    def flush_interval_ms(self) -> int | None: ...
    @property
    def conflate(self) -> bool: ...
    @property
    def slow_policy(self) -> SlowPolicy | None: ...
    @property
    def deflate(self) -> bool: ...
    @property
    def history(self) -> int: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...

@final
class ListenOptions:
    """What holds for one listener: ``Engine({"127.0.0.1:8080": ListenOptions(deflate=False)})``.

    Args:
        deflate: whether compression is agreed on with peers that come through it, which still needs
            ``deflate_level``. Off for a listener on a fast network of your own.
    """

    def __new__(cls, *, deflate: bool = True) -> ListenOptions: ...
    @property
    def deflate(self) -> bool: ...
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
        rooms: Rooms | None = None,
        subprotocol: str | None = None,
    ) -> None:
        """Lets it in, as this user, into these rooms: a name, several, pairs of a name and a
        ``Join``, or a mapping of names to it. From the return of this call on it is sent what is
        published to them. A subprotocol that was not offered is left out.

        Raises:
            Answered: it has its verdict already.
            RoomNameError: a room's name is empty or too long; the verdict is still open.
            KeyTooLong: a key to watch is; the verdict is still open.
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

    def join(
        self,
        room: str,
        how: Join | None = None,
        *,
        filter: FilterLike | None = None,
        keys: str | Iterable[str] | None = None,
        flush_interval_ms: int | None = None,
        slow_policy: SlowPolicy | None = None,
    ) -> Position:
        """Makes it a member of a room: it is sent everything that is published after this call,
        and nothing that was published before; or of that, what it asks for. How: a ``Join``, or the
        parts of one.

        Joining twice is joining once. A second time with a ``Join`` or parts changes how it is a
        member, between two publications; ``join(room, Join())`` makes it a plain one again. Beyond
        ``connection_rooms_max``, ``room_filters_max`` or ``connection_filters_max`` a join has no
        effect, and is counted (``joins_refused``, ``joins_refused_filters``).

        Raises:
            RoomNameError: the name is empty or too long.
            FilterError: the filter's text is wrong.
            KeyTooLong: a key is longer than ``key_bytes_max``.
        """

    def watch(self, room: str, keys: str | Iterable[str]) -> None:
        """Adds keys to its watch-list in a room that it joined with one (``keys=``): it is sent
        what is published of them after this call. For other members it does nothing.

        Raises:
            KeyTooLong: a key is longer than ``key_bytes_max``, and then none is added.
        """

    def unwatch(self, room: str, keys: str | Iterable[str]) -> None:
        """Takes keys off its watch-list: it is sent nothing that is published of them after this
        call."""

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
        event: str | None = None,
        key: str | None = None,
        tags: Tags | None = None,
        exclude: Who | Iterable[Who] | None = None,
        exclude_rooms: str | Iterable[str] | None = None,
    ) -> Published:
        """As ``Engine.publish``, without looking the room up."""

    def publish_tracked(
        self,
        data: Data,
        *,
        event: str | None = None,
        key: str | None = None,
        tags: Tags | None = None,
        exclude: Who | Iterable[Who] | None = None,
        exclude_rooms: str | Iterable[str] | None = None,
    ) -> Tracked:
        """As ``Engine.publish_tracked``, without looking the room up."""

    def publish_many(self, items: Iterable[Data]) -> list[Published | RoomcastError]:
        """Publishes several, in order. Of each: what became of it, or the error that refused
        it."""

@final
class Event:
    """Something that happened. ``kind`` says which of the other fields mean anything."""

    @property
    def kind(self) -> _Kind: ...
    @property
    def connection(self) -> Connection | Any:
        """Which; of a delivery None."""

    @property
    def data(self) -> str | bytes | memoryview | None:
        """Of a message: the payload."""

    @property
    def reason(self) -> CloseReason | None:
        """Of a close: why."""

    @property
    def room(self) -> str | None:
        """Of a lag and of a delivery: the room."""

    @property
    def missed(self) -> Missed | None:
        """Of a lag: which publications of it the connection was not sent."""

    @property
    def delivery(self) -> Delivery | None:
        """Of a delivery: what became of the publication."""

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
        rooms: Rooms | None = None,
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
        event: str | None = None,
        key: str | None = None,
        tags: Tags | None = None,
        exclude: Who | Iterable[Who] | None = None,
        exclude_rooms: str | Iterable[str] | None = None,
    ) -> Published:
        """Publishes to all members of a room. Any thread; never waits for a peer. ``str`` is text,
        bytes are binary, ``dict``, ``list`` and ``tuple`` become JSON.

        Publishing to a room that nobody is in is no error: it has 0 members and, where it does not
        even exist, no offset.

        Labels say what it is, to the engine alone; members are sent the data and nothing else.
        ``event`` and ``tags`` are what filters look at. ``key`` is what it is about: members may
        watch keys, and newer news of a key takes the place of older, where the room conflates or a
        member's policy is "latest".

        Raises:
            Refused: ``Behind`` and ``Overloaded`` pass with time; ``PayloadTooLarge`` does not.
            RoomNameError: the name is empty or too long.
            KeyTooLong: the key is longer than ``key_bytes_max``.
            Stopped: the engine does not run.
        """

    def publish_tracked(
        self,
        room: str,
        data: Data,
        *,
        event: str | None = None,
        key: str | None = None,
        tags: Tags | None = None,
        exclude: Who | Iterable[Who] | None = None,
        exclude_rooms: str | Iterable[str] | None = None,
    ) -> Tracked:
        """As ``publish``, and you are told what became of it: when all members in step have been
        offered it, ``on_delivered`` is called, or an event "delivered" comes, with the same token.
        It costs a walk over the members, so track what matters. While ``events_max`` events wait,
        reports are dropped and counted (``reports_dropped``)."""

    def publish_union(
        self,
        rooms: str | Iterable[str],
        data: Data,
        *,
        event: str | None = None,
        key: str | None = None,
        tags: Tags | None = None,
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

    def join(
        self,
        who: Who,
        room: str,
        how: Join | None = None,
        *,
        filter: FilterLike | None = None,
        keys: str | Iterable[str] | None = None,
        flush_interval_ms: int | None = None,
        slow_policy: SlowPolicy | None = None,
    ) -> Position:
        """As ``Connection.join``."""

    def watch(self, who: Who, room: str, keys: str | Iterable[str]) -> None:
        """As ``Connection.watch``."""

    def unwatch(self, who: Who, room: str, keys: str | Iterable[str]) -> None:
        """As ``Connection.unwatch``."""

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
