"""The native half of roomcast. Import its names from ``roomcast``."""

import sys
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from os import PathLike
from socket import socket
from types import SimpleNamespace
from typing import Any, ClassVar, Literal, NoReturn, TypeAlias, final

from typing_extensions import disjoint_base

from ._engine import Engine
from ._request import Headers
from ._types import (
    Data,
    FilterLike,
    ReadableBuffer,
    Rooms,
    SlowPolicy,
    Tags,
    TlsLike,
    TlsPair,
    TokenKeys,
    Verb,
    Who,
)
from .errors import RoomcastError

__all__ = [
    "__version__",
    "Auth",
    "Jwt",
    "Claims",
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
    "Presence",
    "PresencePage",
    "Present",
    "Room",
    "limits",
    "Tls",
    "Upgrade",
    "CloseReason",
    "Delivery",
    "Missed",
    "Position",
    "Published",
    "StopReport",
    "Tracked",
    "Wish",
]

__version__: str

_Kind: TypeAlias = Literal[
    "connect",
    "open",
    "message",
    "close",
    "lag",
    "backpressure",
    "expiring",
    "permission",
    "delivered",
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
    "token_expired",
    "revoked",
    "unauthorized",
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
        presence: whether the engine knows who the members are: for ``Engine.presence`` and
            ``Engine.present``.
        presence_interval_ms: milliseconds after which the members are told who came and who went,
            by a publication with the event "presence"; 0 for never. Needs ``presence``.
    """

    def __new__(
        cls,
        *,
        flush_interval_ms: int | None = None,
        conflate: bool = False,
        slow_policy: SlowPolicy | None = None,
        deflate: bool = True,
        history: int = 0,
        presence: bool = False,
        presence_interval_ms: int = 0,
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
    @property
    def presence(self) -> bool: ...
    @property
    def presence_interval_ms(self) -> int: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...

@final
class ListenOptions:
    """What holds for one listener: ``Engine({"127.0.0.1:8080": ListenOptions(deflate=False)})``.

    Args:
        deflate: whether compression is agreed on with peers that come through it, which still needs
            ``deflate_level``. Off for a listener on a fast network of your own.
        tls: whether peers speak TLS here, with the certificates of ``Engine(tls=...)``. Default: a
            TCP listener does where there are certificates, a unix socket does not.
        proxy_protocol: whether each connection begins with a PROXY header, of version 1 or 2. Only
            ``trusted_proxies`` are let in then, and each peer is who the header says.
        unix_mode: permissions of the file of a unix socket, such as ``0o660``: whoever may write to
            it may connect. Default: what the process's umask leaves.
    """

    def __new__(
        cls,
        *,
        deflate: bool = True,
        tls: bool | None = None,
        proxy_protocol: bool = False,
        unix_mode: int | None = None,
    ) -> ListenOptions: ...
    @property
    def deflate(self) -> bool: ...
    @property
    def tls(self) -> bool | None: ...
    @property
    def proxy_protocol(self) -> bool: ...
    @property
    def unix_mode(self) -> int | None: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...

@final
class Tls:
    """Certificates of the TLS listeners, and the versions that these speak: TLS 1.2 and 1.3.

        Engine("0.0.0.0:443", tls=Tls(("a.pem", "a.key"), ("b.pem", "b.key"), tls13_only=True))

    Args:
        pairs: a certificate, with those that certify it behind it, and its private key; each the
            path of a PEM file, or PEM as bytes. Of several, a peer is shown the first whose
            certificate has the name that it asks for; the very first where none has.
        tls13_only: whether TLS 1.2 is refused.

    Raises:
        CertificateError: a certificate or its key cannot be used.
        IoError: a file cannot be read.
    """

    def __new__(cls, *pairs: TlsPair, tls13_only: bool = False) -> Tls: ...

@final
class Claims:
    """What a valid token says of its bearer; or what you say in a token's place, where you find
    out by yourself who a peer is: ``connection.accept(claims=Claims("ada", ...))``.

    Args:
        user: who it is.
        expires_at: seconds since 1970, or a ``datetime``, at which the connection is closed unless
            it is refreshed. Default: never.
        issued_at: seconds since 1970, or a ``datetime``, at which it was made: what
            ``revoke(user=...)`` goes by.
        token_id: a name by which it can be revoked.
        rooms: names of rooms, or beginnings of names before a ``*``, each with what is allowed
            there: ``{"lobby": "join", "team:7:*": ["join", "publish"]}``.
        info: what others in a room with presence are told: whatever becomes JSON.
    """

    def __new__(
        cls,
        user: str | int | None = None,
        *,
        expires_at: float | datetime | None = None,
        issued_at: float | datetime | None = None,
        token_id: str | None = None,
        rooms: Mapping[str, str | Iterable[Verb]] | None = None,
        info: Any = None,
    ) -> Claims: ...
    @property
    def user(self) -> str | None: ...
    @property
    def expires_at(self) -> int | None:
        """Seconds since 1970; None for never. Of a JWT with the leeway."""

    @property
    def issued_at(self) -> int | None: ...
    @property
    def token_id(self) -> str | None: ...
    @property
    def info(self) -> Any:
        """Decoded, anew at each access."""

    def may(self, verb: Verb, room: str) -> bool:
        """Whether it allows this in this room."""

    def __eq__(self, other: object, /) -> bool: ...
    __hash__: None  # type: ignore[assignment]

@final
class Jwt:
    """How tokens are checked: the keys that JWTs are signed with, and what is demanded of their
    claims. A token is tried only with keys of the algorithm that its header names, and, where that
    has a ``kid``, with those of this id.

    Each key is a ``str``, ``bytes`` or the path of a file (``pathlib.Path``). Instead of one there
    may be several, or a mapping of ids to keys. All kinds may stand together.

    Args:
        hs256: a secret of at least 32 bytes that is shared with whoever makes the tokens.
        rs256: an RSA public key in PEM.
        es256: a public key on the curve P-256 in PEM.
        eddsa: an Ed25519 public key in PEM.
        jwks: a JWK Set: its text, or what ``json.loads`` made of it.
        issuer: tokens must have this ``iss``, or one of these.
        audience: tokens must have this ``aud``, or one of these. Without it those that have an
            ``aud`` are refused, since they are meant for others.
        leeway_s: seconds by which the clock of whoever makes the tokens may differ.

    Of the claims ``sub`` is the user, ``exp`` and ``nbf`` say when it is valid, ``iat`` and ``jti``
    are what it can be revoked by, ``rooms`` is what is allowed (as of ``Claims``), and ``info`` is
    for presence; the last two may also stand together in ``roomcast``.

    Raises:
        TokenKeyError: a key cannot be used.
        IoError: a file cannot be read.
    """

    def __new__(
        cls,
        *,
        hs256: TokenKeys | None = None,
        rs256: TokenKeys | None = None,
        es256: TokenKeys | None = None,
        eddsa: TokenKeys | None = None,
        jwks: str | bytes | PathLike[str] | Mapping[str, Any] | None = None,
        issuer: str | Iterable[str] | None = None,
        audience: str | Iterable[str] | None = None,
        leeway_s: int = 5,
    ) -> Jwt: ...
    def verify(self, token: str, now: float | None = None) -> Claims:
        """What a token says, if it is genuine and valid: now, or at another time in seconds since
        1970. For your own endpoints and tests; it knows nothing of what was revoked.

        Raises:
            TokenError: ``TokenInvalid`` or ``TokenExpired``.
        """

@final
class Auth:
    """How peers prove who they are: how tokens are checked, and where they are.

    A token is looked for where it says, in the order of header, query, cookie, first message; the
    first that is there counts. With none of them named, it is the header ``Authorization: Bearer
    ...`` and the query value ``token``.

    Args:
        jwt: checks them.
        header: in this header field: alone, or behind ``Bearer``.
        query: in this query value. Proxies write queries to their logs, so let such tokens be
            short-lived.
        cookie: in this cookie. Browsers send cookies with requests of any page: mind ``origins``.
        message: in the first message, behind this text. The WebSocket is opened at once, but you
            hear of it only when the token has come, within ``handshake_timeout_ms``; else it is
            closed with 4401. Later messages that begin so bring new tokens, and are not told to
            you.
        notice: what a connection is sent as a text message when its token is about to expire:
            ``str``, or what becomes JSON. Default: nothing; ``on_expiring`` is called in any case.
        optional: whether who has no token at all is let through to ``on_connect``, as nobody. One
            with a token that is not valid is turned away in any case.
    """

    def __new__(
        cls,
        jwt: Jwt,
        *,
        header: str | None = None,
        query: str | None = None,
        cookie: str | None = None,
        message: str | None = None,
        notice: str | dict[str, Any] | list[Any] | tuple[Any, ...] | None = None,
        optional: bool = False,
    ) -> Auth: ...

@final
class Wish:
    """What a peer wants in a room and its token does not allow by itself, for ``on_permission`` to
    decide on, within ``verdict_timeout_ms``. One that is let go of unanswered is denied. Any
    thread."""

    @property
    def verb(self) -> Literal["join", "publish"]: ...
    @property
    def room(self) -> str: ...
    @property
    def data(self) -> str | bytes | memoryview | None:
        """What the peer wants to publish; None of a join."""

    def allow(self) -> bool:
        """Allows it: from the return of this call on the peer is a member, or what it said is
        published. False where that is not so: it is too late, or a room that is behind, or the
        engine, takes no more for now.

        Raises:
            Answered: it has its answer already.
        """

    def deny(self) -> None:
        """Does not allow it. The peer is not told: say so in words that it knows.

        Raises:
            Answered: it has its answer already.
        """

    def _settle(self, result: object) -> None: ...

@final
class Presence:
    """How many are in a room."""

    @property
    def members(self) -> int:
        """Connections that are members."""

    @property
    def users(self) -> int | None:
        """Users that these were accepted as: of one with several connections one, of anonymous
        connections none. None in rooms without presence, where nobody counts them."""

    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...

@final
class Present:
    """A member of a room with presence."""

    @property
    def id(self) -> int:
        """The id of the connection."""

    @property
    def user(self) -> str | None: ...
    @property
    def info(self) -> Any:
        """What it was accepted with for others to see, decoded anew at each access."""

    def __eq__(self, other: object, /) -> bool: ...
    __hash__: None  # type: ignore[assignment]

@final
class PresencePage:
    """Some members of a room, in the order in which they joined."""

    @property
    def present(self) -> list[Present]: ...
    @property
    def next(self) -> int | None:
        """Where the next page begins (``after``); None when this is the last one."""

    def __eq__(self, other: object, /) -> bool: ...
    __hash__: None  # type: ignore[assignment]

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
    def claims(self) -> Claims | None:
        """What its token says, or what it was accepted with instead; the newest, if it has brought
        several. None where it has no token."""

    def may(self, verb: Verb, room: str) -> bool:
        """Whether its token allows this."""

    @property
    def peer(self) -> tuple[str, int] | None:
        """Address and port of the other end; None on a unix socket. Behind a proxy it is the
        proxy, unless that sends a PROXY header."""

    @property
    def peer_ip(self) -> str | None:
        """The address of the peer itself, as far as it can be known: what to count and to ban by.
        Behind one of ``trusted_proxies`` it is what that says."""

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
        *,
        claims: Claims | None = None,
        info: Any = None,
    ) -> None:
        """Lets it in, as this user, into these rooms: a name, several, pairs of a name and a
        ``Join``, or a mapping of names to it. From the return of this call on it is sent what is
        published to them. A subprotocol that was not offered is left out. Without ``user`` it is
        who its claims say. ``claims`` are used instead of what its token says, if it had one.
        ``info`` is what others are told of it in rooms with presence, best something small;
        without it, that of the claims.

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

    def request_join(
        self,
        room: str,
        how: Join | None = None,
        *,
        filter: FilterLike | None = None,
        keys: str | Iterable[str] | None = None,
        flush_interval_ms: int | None = None,
        slow_policy: SlowPolicy | None = None,
    ) -> None:
        """The peer asks to join a room: for what peers say, where ``join`` is for what you want. If
        its token allows that it joins; else ``on_permission`` decides. What became of it is not
        reported here.

        Raises:
            as ``join``.
        """

    def request_publish(
        self,
        room: str,
        data: Data,
        *,
        event: str | None = None,
        key: str | None = None,
        tags: Tags | None = None,
        exclude: Who | Iterable[Who] | None = None,
        exclude_rooms: str | Iterable[str] | None = None,
    ) -> None:
        """The peer asks to publish to a room, as ``request_join``. ``exclude`` it if it shall not
        be sent what it said.

        Raises:
            as ``Engine.publish``, for what cannot be published by anybody. What is refused later,
            when it was allowed, is counted (``refused``).
        """

    def refresh(self, token: str) -> None:
        """Gives it a new token in place of the one it has. Its user stays: a token of another user
        changes nothing, and is counted (``tokens_refused``).

        Raises:
            TokenError: it is not valid; the connection goes on as before.
            ConfigError: the engine has no ``auth``.
        """

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
    def presence(self) -> Presence:
        """As ``Engine.presence``."""

    def present(self, after: int | None = None, limit: int | None = None) -> PresencePage:
        """As ``Engine.present``."""

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
    def wish(self) -> Wish | None:
        """Of a permission: what the peer wants; takes the answer."""

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
        *,
        claims: Claims | None = None,
        info: Any = None,
    ) -> None:
        """As whom it is accepted, and into which rooms. ``on_connect`` is not called: the host has
        decided."""

    @property
    def claims(self) -> Claims | None:
        """What the peer's token says, which was checked; None without ``auth``."""

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

    def request_join(
        self,
        who: Who,
        room: str,
        how: Join | None = None,
        *,
        filter: FilterLike | None = None,
        keys: str | Iterable[str] | None = None,
        flush_interval_ms: int | None = None,
        slow_policy: SlowPolicy | None = None,
    ) -> None:
        """As ``Connection.request_join``."""

    def request_publish(
        self,
        who: Who,
        room: str,
        data: Data,
        *,
        event: str | None = None,
        key: str | None = None,
        tags: Tags | None = None,
        exclude: Who | Iterable[Who] | None = None,
        exclude_rooms: str | Iterable[str] | None = None,
    ) -> None:
        """As ``Connection.request_publish``."""

    def refresh(self, who: Who, token: str) -> None:
        """As ``Connection.refresh``."""

    def revoke(
        self,
        *,
        user: str | int | None = None,
        connection: Who | None = None,
        token_id: str | None = None,
    ) -> None:
        """Closes connections with 4004, at once, and keeps their tokens out for the life of the
        engine, within ``revocations_max``. One of:

        Args:
            user: all of its connections, and all tokens of its that were made by now: those with an
                ``iat`` of this second or before, or without one.
            connection: this one. It may come back, even with the same token.
            token_id: those with the token of this id (``jti``), and that token from now on.
        """

    def reload_auth(self, jwt: Jwt) -> None:
        """Has tokens checked by these keys from now on: after keys have changed. Live connections
        keep what their tokens said, and tokens are found where they were before.

        Raises:
            ConfigError: the engine has no ``auth``.
        """

    def reload_tls(self, tls: TlsLike) -> None:
        """Serves new TLS handshakes with these certificates from now on. No connection is dropped.

        Raises:
            CertificateError: one cannot be used; what was served before goes on being served.
            IoError: a file cannot be read.
            ConfigError: the engine has no ``tls``.
        """

    def presence(self, room: str) -> Presence:
        """How many are in a room, at once, however many they are; nobody in one that does not
        exist."""

    def present(
        self, room: str, after: int | None = None, limit: int | None = None
    ) -> PresencePage:
        """Members of a room with presence, at once: up to ``limit`` of them and
        ``presence_page_max``, behind the place that the page before gave (``next``). For all of
        them see ``iter_present``. Nobody in a room without presence: ask ``members`` there."""

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
            NotUpgrade: ``http_status`` and ``text`` are what to answer: 401 where ``auth`` finds no
                valid token.
        """

    def next_turn(self) -> float | None:
        """With ``own_threads=False``: seconds that the host may sleep on ``fileno()``; None for as
        long as it is not readable."""

    def fileno(self) -> int:
        """With ``own_threads=False``: the descriptor that becomes readable when there is something
        to do."""
