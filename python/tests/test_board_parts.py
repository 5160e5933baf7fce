"""The parts of the board demonstration alone: no engine, and sockets only in pairs."""

from __future__ import annotations

import socket
from types import SimpleNamespace
from typing import Any, cast

import pytest

import roomcast
from roomcast.board import crowd
from roomcast.board.boards import NOTES_MAX, Boards
from roomcast.board.lines import (
    Drag,
    Echo,
    Erase,
    Go,
    Line,
    Make,
    Move,
    Name,
    Place,
    Users,
    Write,
    parse,
)
from roomcast.board.meter import SAMPLES_MAX, Meter

# --- lines


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("m 1 10000", Move(Place(1, 10_000))),
        ("w  Ada ", Name("Ada")),
        ("w a\nq 1", Name("aq 1")),
        ("n 1 2", Make(Place(1, 2))),
        ("d 7 1 2", Drag(7, Place(1, 2))),
        ("t 7 a b", Write(7, "a b")),
        ("t 7 ", Write(7, "")),
        ("t 1 " + "é" * 900, Write(1, "é" * 200)),
        ("x 7", Erase(7)),
        ("b plan", Go("plan")),
        ("users 5000", Users(1_000)),
        ("e 12.5", Echo("12.5")),
    ],
)
def test_lines_are_read(text: str, line: Line) -> None:
    assert parse(text) == line


@pytest.mark.parametrize(
    "text",
    ["", "m", "m 1", "m 1 10001", "m -1 2", "m +1 2", "m 1_0 2", "m 1 2 3", "m ١ 2", "e <b>", "e "]
    + ["w  ", "q 1", "x", "x 4294967296", "users " + "9" * 2_000, "e " + "1" * 25],
)
def test_what_is_no_line_is_none(text: str) -> None:
    assert parse(text) is None


def test_binary_messages_are_no_lines() -> None:
    assert parse(b"m 1 2") is None


# --- boards


class Recorder:
    """Stands in for an engine and its connections: keeps what it is asked for."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str, bool]] = []
        self.refuses = False

    def publish(self, room: str, line: str, exclude: object = None) -> None:
        if self.refuses:
            raise roomcast.Refused("for the test")
        self.told.append((room, line, exclude is not None))

    def conn(self) -> roomcast.Connection:
        sent: list[str] = []
        conn = SimpleNamespace(engine=self, sent=sent, send=sent.append)
        conn.join = conn.leave = lambda room: None
        return cast(roomcast.Connection, conn)


def sent(conn: roomcast.Connection) -> list[str]:
    return cast(Any, conn).sent  # type: ignore[no-any-return]


def test_a_member_that_goes_is_told_of_on_both_boards() -> None:
    boards, engine = Boards(), Recorder()
    conn, member = engine.conn(), boards.member("main", synthetic=False)
    boards.enter(conn, member)
    boards.change(conn, member, Name("Ada"))
    boards.go(conn, member, Go("plan"))
    boards.go(conn, member, Go("nowhere"))
    seen = f"{member.number} {member.hue} h - - "
    assert [(room, line) for room, line, _ in engine.told[1:]] == [
        ("board:main", "w 1 Ada"),
        ("board:main", "q 1"),
        ("board:plan", f"p {seen}Ada"),
    ]
    assert sent(conn)[-1].startswith(f"room plan\np {seen}Ada\nn ")
    assert boards.counts() == ([0, 0, 1, 0], 0)


def test_movements_do_not_return_to_their_author() -> None:
    boards, engine = Boards(), Recorder()
    conn, member = engine.conn(), boards.member("nowhere", synthetic=True)
    boards.enter(conn, member)
    engine.told.clear()
    boards.change(conn, member, Move(Place(3, 4)))
    boards.change(conn, member, Drag(1, Place(5, 6)))
    boards.change(conn, member, Erase(1))
    boards.change(conn, member, Erase(1))
    boards.leave(conn, member)
    boards.leave(conn, member)
    assert engine.told == [
        ("board:main", "c 1 3 4", True),
        ("board:main", "d 1 5 6", True),
        ("board:main", "x 1", False),
        ("board:main", "q 1", True),
    ]
    assert sent(conn) == []


def test_a_board_has_room_for_so_many_notes() -> None:
    boards, engine = Boards(), Recorder()
    conn, member = engine.conn(), boards.member("main", synthetic=False)
    for _ in range(NOTES_MAX):
        boards.make(conn, member, Make(Place(1, 1)))
    made = [line for _, line, _ in engine.told if line.startswith("n ")]
    assert len(made) < NOTES_MAX
    assert sent(conn)[-1] == f"say A board holds {NOTES_MAX} notes at most."


def test_what_was_refused_is_published_with_the_next_refresh() -> None:
    boards, engine = Boards(), Recorder()
    conn, member = engine.conn(), boards.member("main", synthetic=False)
    boards.enter(conn, member)
    engine.refuses = True
    boards.change(conn, member, Move(Place(3, 4)))
    engine.refuses = False
    engine.told.clear()
    boards.refresh(cast(roomcast.Engine, engine))
    boards.refresh(cast(roomcast.Engine, engine))
    [(room, lines, excluded)] = engine.told
    assert (room, excluded) == ("board:main", False)
    assert f"\np 1 {member.hue} h 3 4 {member.name}\n" in lines


def test_who_says_too_much_may_say_no_more_for_a_while() -> None:
    member = Boards().member("main", synthetic=False)
    assert sum(member.may_say_more(100.0) for _ in range(1_000)) == 300
    assert sum(member.may_say_more(101.0) for _ in range(1_000)) == 150


# --- meter


def stats(deliveries: int) -> dict[str, Any]:
    keys = ["publications", "connections", "tape_bytes", "outbox_bytes", "too_slow", "refused"]
    flush = {"count": 1, "p50_ns": 5, "p99_ns": 9}
    counted = {"deliveries": deliveries, "writes": deliveries // 4, "publish_to_flush": flush}
    return dict.fromkeys(keys, 0) | counted


def test_a_sample_tells_what_is_new_and_only_the_last_ones_are_kept() -> None:
    meter = Meter()
    meter.sample(10.0, stats(0), [1, 0], 0, 9)
    line = meter.sample(10.5, stats(100), [1, 2], 2, 9)
    assert line.startswith("s seq=2 rate=200 pub=0 writes=50 fpw=4.00 p50=")
    assert line.endswith(" synth=2 synthmax=9 in=1,2")
    for _ in range(SAMPLES_MAX):
        line = meter.sample(11.0, stats(100), [], 0, 9)
    history = meter.history().split("\n")
    assert (len(history), history[-1]) == (SAMPLES_MAX, line)


# --- crowd


def test_a_synthetic_user_keeps_its_place_in_frames_of_any_length() -> None:
    ours, theirs = socket.socketpair()
    lengths = [b"\x7d" + b"a" * 125, b"\x7e\x00\x7e" + b"b" * 126]
    lengths.append(b"\x7f" + (70_000).to_bytes(8) + b"c" * 70_000)
    frames = b"".join(b"\x81" + rest for rest in lengths) + b"\x81\x00" + b"\x89\x02hi"
    stream = b"HTTP/1.1 101 Switching Protocols\r\n\r\n" + frames + b"\x88\x02\x03\xe9"
    with ours, theirs:
        for step in (1, 3, 4_096):
            user = crowd.User(ours)
            for at in range(0, len(stream) - 4, step):
                theirs.sendall(stream[at : min(at + step, len(stream) - 4)])
                user.read()
            assert user.open
            pong = theirs.recv(100)
            assert pong[:2] == b"\x8a\x82"
            assert bytes(a ^ b for a, b in zip(pong[6:], pong[2:6])) == b"hi"
            theirs.sendall(stream[-4:])
            with pytest.raises(ConnectionError):
                user.read()


def test_a_synthetic_user_that_is_refused_ends() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(b"HTTP/1.1 503 Service Unavailable\r\n\r\n")
        with pytest.raises(ConnectionError):
            crowd.User(ours).read()
