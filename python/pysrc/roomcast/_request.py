"""What a host reads of a request, and how handlers may answer what they are asked."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator, Mapping
from typing import Final


class Headers(Mapping[str, str]):
    """Header fields. Names may be asked for in any case; of a field that came more than once,
    the first value is given, and ``get_all`` gives every one."""

    __slots__ = ("raw",)

    def __init__(self, pairs: Iterable[tuple[str, str]] = ()) -> None:
        #: All fields as (name in lower case, value), in the order sent.
        self.raw: Final[tuple[tuple[str, str], ...]] = tuple(
            (name.lower(), value) for name, value in pairs
        )

    def __getitem__(self, name: str) -> str:
        wanted = name.lower()
        for key, value in self.raw:
            if key == wanted:
                return value
        raise KeyError(name)

    def get_all(self, name: str) -> list[str]:
        """Every value of this name, in the order sent."""
        wanted = name.lower()
        return [value for key, value in self.raw if key == wanted]

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys(name for name, _ in self.raw))

    def __len__(self) -> int:
        return len(dict.fromkeys(name for name, _ in self.raw))

    def __repr__(self) -> str:
        # Values hold tokens, and this ends in logs.
        return f"<roomcast.Headers {list(self)}>"


class Later(enum.Enum):
    """The type of ``LATER``."""

    LATER = "later"

    def __repr__(self) -> str:
        return "roomcast.LATER"


#: Returned by an ``on_connect`` handler whose verdict comes later, from anywhere: the connection
#: waits for ``accept`` or ``refuse``, for at most ``verdict_timeout_ms``. Likewise by an
#: ``on_permission`` handler: the wish waits for ``allow`` or ``deny``.
LATER: Final = Later.LATER


class Reject(Exception):
    """Raised in an ``on_connect`` handler: the connection is turned away with this HTTP status
    (400 to 599) and this line of text."""

    def __init__(self, status: int = 403, text: str = "refused") -> None:
        if not isinstance(status, int) or not isinstance(text, str):
            raise TypeError("Reject(status, text) takes an HTTP status and a str")
        if not 400 <= status <= 599:
            raise ValueError(f"status is {status}, but must be from 400 to 599")
        super().__init__(status, text)
        self.status = status
        self.text = text
