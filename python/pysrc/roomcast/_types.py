"""Types of arguments, for annotations."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from os import PathLike
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, Union

if TYPE_CHECKING:
    from ._roomcast import Connection, Filter, Join, Tls

#: Bytes that can be read without asking for a copy.
ReadableBuffer: TypeAlias = bytes | bytearray | memoryview

#: What is published and sent: text, binary, or something that becomes JSON text.
Data: TypeAlias = str | ReadableBuffer | dict[str, Any] | list[Any] | tuple[Any, ...]

#: A connection, or its id.
Who: TypeAlias = Union["Connection", int]

#: Names and values that filters look at.
Tags: TypeAlias = Mapping[str, str] | Iterable[tuple[str, str]]

#: A filter, or its text.
FilterLike: TypeAlias = Union["Filter", str]

#: Rooms to be in, each as it is, or with how it is joined.
Rooms: TypeAlias = Union[
    str, Iterable[Union[str, tuple[str, "Join | None"]]], Mapping[str, "Join | None"]
]

#: What happens to members that are too slow: they are disconnected with 4008; skip ahead to the
#: newest publication; are sent the newest of each key; are just not sent what they cannot take; or
#: catch up from the room's history.
SlowPolicy: TypeAlias = Literal["disconnect", "skip", "latest", "volatile", "replay"]

#: What a peer may ask for in a room: to be a member, to publish, to see who is there.
Verb: TypeAlias = Literal["join", "publish", "presence"]

#: A key for tokens (a secret, PEM, or the path of a file with it), several, or a mapping of their
#: ids (``kid``) to them.
_Key: TypeAlias = str | bytes | PathLike[str]
TokenKeys: TypeAlias = _Key | Iterable[_Key] | Mapping[str, _Key]

#: A certificate, with those that certify it, and its private key: each the path of a file, or PEM
#: as bytes.
TlsPair: TypeAlias = tuple[str | PathLike[str] | bytes, str | PathLike[str] | bytes]

#: Certificates as the engine takes them.
TlsLike: TypeAlias = Union[TlsPair, Iterable[TlsPair], "Tls"]
