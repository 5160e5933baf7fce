"""What a page says: one line per message, read and bounded here, before anything is done.

| page to host | | host to page | |
|---|---|---|---|
| `m X Y` | my cursor | `c MEMBER X Y` | a cursor |
| `w NAME` | my name | `w MEMBER NAME` | a name |
| `n X Y` | make a note | `n NOTE X Y HUE BY TEXT` | a note, and who made it now (or 0) |
| `d NOTE X Y` | drag it | `d NOTE X Y` | it moved |
| `t NOTE TEXT` | write on it | `t NOTE TEXT` | its text |
| `x NOTE` | remove it | `x NOTE` | it is gone |
| `b BOARD` | go to a board | `room BOARD` | here begins all that is on it |
| `users N` | so many more, 0: none | `p MEMBER HUE KIND X Y NAME` | who is here |
| | | `q MEMBER` | who goes |
| `e MARK` | echo | `e MARK` | echo |
| | | `hello MEMBER`, `b BOARD TITLE` | who one is, which boards there are |
| | | `s KEY=N ...`, `say TEXT` | metrics, a word to the reader |

Places are 0 to 10,000 both ways. Peers are not trusted: a line that is none is `None`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

PLACE_MAX = 10_000
NAME_CHARS_MAX = 24
TEXT_CHARS_MAX = 200
MARK_CHARS_MAX = 24
USERS_MAX = 1_000
NUMBER_MAX = 2**32 - 1
# Among the control characters is the line break, which would begin another line.
CONTROL = dict.fromkeys([*range(0x20), *range(0x7F, 0xA0)])


class Place(NamedTuple):
    """A place on a board."""

    x: int
    y: int

    def __str__(self) -> str:
        return f"{self.x} {self.y}"


@dataclass(slots=True)
class Move:
    place: Place


@dataclass(slots=True)
class Name:
    name: str


@dataclass(slots=True)
class Make:
    place: Place


@dataclass(slots=True)
class Drag:
    note: int
    place: Place


@dataclass(slots=True)
class Write:
    note: int
    text: str


@dataclass(slots=True)
class Erase:
    note: int


@dataclass(slots=True)
class Go:
    board: str


@dataclass(slots=True)
class Users:
    count: int


@dataclass(slots=True)
class Echo:
    mark: str


# What changes something on a board that everybody sees at once.
Change = Move | Name | Drag | Write | Erase
Line = Change | Make | Go | Users | Echo


def parse(data: object) -> Line | None:
    """Reads a message; everything in the answer is bounded."""
    if not isinstance(data, str):
        return None
    word, space, rest = data.partition(" ")
    if not space:
        return None
    try:
        return _line(word, rest)
    except ValueError:
        return None


def _line(word: str, rest: str) -> Line | None:
    first, _, after = rest.partition(" ")
    match word:
        case "m":
            return Move(_place(rest))
        case "w":
            name = _clean(rest, NAME_CHARS_MAX).strip()
            return Name(name) if name else None
        case "n":
            return Make(_place(rest))
        case "d":
            return Drag(_number(first), _place(after))
        case "t":
            return Write(_number(first), _clean(after, TEXT_CHARS_MAX))
        case "x":
            return Erase(_number(rest))
        case "b":
            return Go(rest)
        case "users":
            return Users(min(_number(rest), USERS_MAX))
        case "e":
            return Echo(_mark(rest))
    return None


def _number(text: str, most: int = NUMBER_MAX) -> int:
    # `int` alone would also take signs, spaces, underscores and the digits of other scripts.
    if not (text.isascii() and text.isdigit()) or int(text) > most:
        raise ValueError(text)
    return int(text)


def _place(text: str) -> Place:
    x, _, y = text.partition(" ")
    return Place(_number(x, PLACE_MAX), _number(y, PLACE_MAX))


def _mark(text: str) -> str:
    """Digits and a point: what a page's clock says."""
    if not 0 < len(text) <= MARK_CHARS_MAX or text.strip("0123456789."):
        raise ValueError(text)
    return text


def _clean(text: str, chars_max: int) -> str:
    return text.translate(CONTROL)[:chars_max]
