"""The boards: who is on each and what is on it, and what is told of every change.

In: lines from members, on the dispatcher thread. Out: publications to the board's room. A change
is made and published under one lock, and so is an entry (join, then everything that is there):
what a page sees is the state followed by all changes since. Publishing never waits, so the lock
is short. It is there for the main thread, which counts, and publishes anew (`refresh`) what the
engine refused.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from itertools import count

from roomcast import Connection, Engine, Refused, Stopped

from . import names
from .lines import Change, Drag, Erase, Go, Make, Move, Name, Place, Write

NOTES_MAX = 200
# Messages that a connection may send at once, and per second in the long run.
BURST = 300.0
PER_SECOND = 150.0
TITLES = {
    "main": "Workshop",
    "retro": "Retrospective",
    "plan": "Planning",
    "play": "Playground",
}
HUES = (45, 210, 140, 330, 265, 15)
FIRST_NOTES = (
    (Place(900, 1200), "Open this page in a second window and drag me."),
    (Place(4100, 2600), "Double click on the board: a note of your own."),
    (Place(7900, 900), "The figures below are the engine’s own, twice a second."),
    (Place(6900, 6300), "Add 300 users, then drag a note. Does it still follow at once?"),
)


@dataclass(slots=True)
class Member:
    """What the host knows of a connection."""

    number: int
    synthetic: bool
    board: Board
    name: str = field(default_factory=names.name)
    hue: int = field(default_factory=names.hue)
    place: Place | None = None
    allowance: float = BURST
    last: float = 0.0

    def may_say_more(self, now: float) -> bool:
        """Takes one message from what the connection may send; false when nothing is left."""
        self.allowance = min(self.allowance + (now - self.last) * PER_SECOND, BURST)
        self.last = now
        if self.allowance < 1:
            return False
        self.allowance -= 1
        return True

    def line(self) -> str:
        kind = "s" if self.synthetic else "h"
        return f"p {self.number} {self.hue} {kind} {self.place or '- -'} {self.name}"


@dataclass(slots=True)
class Note:
    number: int
    place: Place
    text: str = ""

    def line(self, by: int = 0) -> str:
        hue = HUES[self.number % len(HUES)]
        return f"n {self.number} {self.place} {hue} {by} {self.text}"


@dataclass(slots=True)
class Board:
    key: str
    members: dict[int, Member] = field(default_factory=dict)
    notes: dict[int, Note] = field(default_factory=dict)
    # Something changed of which the members could not be told.
    untold: bool = False

    @property
    def room(self) -> str:
        return f"board:{self.key}"

    def lines(self) -> str:
        """Everything on the board."""
        members = (member.line() for member in self.members.values())
        notes = (note.line() for note in self.notes.values())
        return "\n".join([f"room {self.key}", *members, *notes])

    def tell(self, engine: Engine, line: str, exclude: Connection | None = None) -> None:
        try:
            engine.publish(self.room, line, exclude=exclude)
        except (Refused, Stopped):
            self.untold = True

    def apply(self, member: Member, change: Change) -> str | None:
        """Makes the change; answers the line that tells of it, or nothing if it has no object."""
        match change:
            case Move(place):
                member.place = place
                return f"c {member.number} {place}"
            case Name(name):
                member.name = name
                return f"w {member.number} {name}"
            case Erase(number) if self.notes.pop(number, None):
                return f"x {number}"
            case Drag(number, place) if note := self.notes.get(number):
                note.place = place
                return f"d {number} {place}"
            case Write(number, text) if note := self.notes.get(number):
                note.text = text
                return f"t {number} {text}"
        return None


class Boards:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._boards = {key: Board(key) for key in TITLES}
        self._member_numbers = count(1)
        self._note_numbers = count(1)
        for board in self._boards.values():
            for place, text in FIRST_NOTES:
                self._add_note(board, place, text)

    def member(self, key: str, synthetic: bool) -> Member:
        """Somebody new, with a name and a colour by chance; on the first board if there is no
        such."""
        board = self._boards.get(key) or self._boards["main"]
        return Member(next(self._member_numbers), synthetic, board)

    def greeting(self, member: Member) -> str:
        """The first lines for a page."""
        boards = (f"b {key} {title}" for key, title in TITLES.items())
        return "\n".join([f"hello {member.number}", *boards])

    def counts(self) -> tuple[list[int], int]:
        """How many are on each board, in the order of the boards; how many are synthetic."""
        with self._lock:
            boards = [list(board.members.values()) for board in self._boards.values()]
        synthetic = sum(member.synthetic for members in boards for member in members)
        return [len(members) for members in boards], synthetic

    def enter(self, conn: Connection, member: Member) -> None:
        """The member is on its board, and is sent what is there."""
        board = member.board
        with self._lock:
            member.place = None
            board.members[member.number] = member
            board.tell(conn.engine, member.line())
            # From here on it is told of changes; what was before them comes with the state.
            conn.join(board.room)
            if not member.synthetic:
                conn.send(board.lines())

    def leave(self, conn: Connection, member: Member) -> None:
        """The member is no longer on its board."""
        with self._lock:
            if member.board.members.pop(member.number, None):
                member.board.tell(conn.engine, f"q {member.number}", exclude=conn)

    def go(self, conn: Connection, member: Member, line: Go) -> None:
        """The member goes to another board, if there is such a one."""
        if other := self._boards.get(line.board):
            self.leave(conn, member)
            conn.leave(member.board.room)
            member.board = other
            self.enter(conn, member)

    def make(self, conn: Connection, member: Member, line: Make) -> None:
        """Another note, as long as there is room for it."""
        board = member.board
        with self._lock:
            if len(board.notes) >= NOTES_MAX:
                conn.send(f"say A board holds {NOTES_MAX} notes at most.")
                return
            note = self._add_note(board, line.place)
            board.tell(conn.engine, note.line(by=member.number))

    def change(self, conn: Connection, member: Member, change: Change) -> None:
        """Does what a member's line says, as far as it makes sense."""
        board = member.board
        with self._lock:
            line = board.apply(member, change)
            if line is None:
                return
            # Whoever moves or writes sees it already; a name and an end come back as they are.
            own = isinstance(change, Name | Erase)
            board.tell(conn.engine, line, exclude=None if own else conn)

    def refresh(self, engine: Engine) -> None:
        """Publishes everything on those boards of which a change could not be published."""
        with self._lock:
            for board in self._boards.values():
                if board.untold:
                    board.untold = False
                    board.tell(engine, board.lines())

    def _add_note(self, board: Board, place: Place, text: str = "") -> Note:
        note = Note(next(self._note_numbers), place, text)
        board.notes[note.number] = note
        return note
