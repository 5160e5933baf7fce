"""Types of arguments, for annotations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias, Union

if TYPE_CHECKING:
    from ._roomcast import Connection

#: Bytes that can be read without asking for a copy.
ReadableBuffer: TypeAlias = bytes | bytearray | memoryview

#: What is published and sent: text, binary, or something that becomes JSON text.
Data: TypeAlias = str | ReadableBuffer | dict[str, Any] | list[Any] | tuple[Any, ...]

#: A connection, or its id.
Who: TypeAlias = Union["Connection", int]
