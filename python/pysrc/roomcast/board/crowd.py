"""Synthetic users: WebSocket clients that join a board and move their cursors.

They run in a process of their own, so that they take nothing of the host's interpreter. In:
orders, a line each, on the standard input (`add BOARD COUNT`, `remove`); its end ends the
process. Out: real connections over loopback. They know nothing of the host but its address.
Their moves come in ticks, as those of a game would, and all of them together stay within
`MOVES_PER_SECOND`, since each move goes to everybody.

Run by the host: `python -m roomcast.board.crowd 127.0.0.1:8080`
"""

from __future__ import annotations

import base64
import math
import os
import selectors
import socket
import sys
import time
from collections.abc import Callable
from itertools import cycle
from random import random

from .lines import PLACE_MAX

TICK_S = 0.025
MOVES_PER_SECOND = 1_000.0
MOVES_PER_USER = 8.0
CONNECTS_PER_TICK = 8
USERS_MAX = 900
# Open files that are left to everything else.
FILES_SPARED = 200
# Where the system does not say how many files may be open.
USERS_MAX_UNKNOWN = 100
HEAD_BYTES_MAX = 4_096
READ_BYTES = 256 * 1024
TEXT, CLOSE, PING, PONG = 0x1, 0x8, 0x9, 0xA
NORMAL = (1000).to_bytes(2)


def users_max() -> int:
    """How many users there may be: each takes one of the open files of both processes."""
    try:
        import resource
    except ImportError:
        return USERS_MAX_UNKNOWN
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files == resource.RLIM_INFINITY:
        return USERS_MAX
    return max(0, min(files - FILES_SPARED, USERS_MAX))


class Walk:
    """A way over the board: to a place at some speed, a rest, to the next place."""

    def __init__(self) -> None:
        self.x, self.y = random() * PLACE_MAX, random() * PLACE_MAX
        self.last = self.rest_until = time.monotonic()
        self.choose()

    def choose(self) -> None:
        self.to_x, self.to_y = random() * PLACE_MAX, random() * PLACE_MAX
        self.speed = 900 + 2_600 * random()

    def step(self, now: float) -> bool:
        """True when it moved."""
        seconds = min(now - self.last, 1.0)
        self.last = now
        if now < self.rest_until:
            return False
        dx, dy = self.to_x - self.x, self.to_y - self.y
        left = math.hypot(dx, dy)
        if left < 40:
            self.rest_until = now + 0.2 + 1.6 * random()
            self.choose()
            return False
        # Slower towards the end, as a hand is.
        way = min(self.speed * min(max(left / 1_500, 0.25), 1.0) * seconds, left)
        self.x += dx / left * way
        self.y += dy / left * way
        return True


class User:
    """One client: its socket, what it has half read, and where it walks.

    An `OSError` from any method ends it.
    """

    def __init__(self, connected: socket.socket) -> None:
        self.socket = connected
        self.socket.setblocking(False)
        self.open = False
        # A head, a frame header or a ping that has not arrived whole; or else, how many bytes
        # of a payload are still to pass over.
        self.held = b""
        self.skip = 0
        self.walk = Walk()

    @classmethod
    def connect(cls, address: tuple[str, int], board: str) -> User:
        """Connects and asks for the WebSocket. Loopback takes both at once."""
        connected = socket.create_connection(address)
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        key = base64.b64encode(os.urandom(16)).decode()
        head = (
            f"GET /ws?synthetic=1&board={board} HTTP/1.1\r\nHost: {address[0]}:{address[1]}\r\n"
            "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            f"Sec-WebSocket-Key: {key}\r\n\r\n"
        )
        connected.sendall(head.encode())
        return cls(connected)

    def step(self, now: float) -> None:
        """Walks on, and says where it is now; while it rests it says nothing."""
        if self.open and self.walk.step(now):
            self.send(TEXT, f"m {self.walk.x:.0f} {self.walk.y:.0f}".encode())

    def send(self, opcode: int, payload: bytes) -> None:
        """Sends a masked frame of at most 125 bytes, whole or not at all."""
        mask = os.urandom(4)
        masked = bytes(byte ^ key for byte, key in zip(payload, cycle(mask)))
        frame = bytes((0x80 | opcode, 0x80 | len(payload))) + mask + masked
        try:
            sent = self.socket.send(frame)
        except BlockingIOError:
            # The host does not read now; the next move will do as well.
            return
        if sent < len(frame):
            raise ConnectionError("a part of a frame was sent")

    def leave(self) -> None:
        self.send(CLOSE, NORMAL)
        raise ConnectionError("it has left")

    def read(self) -> None:
        """Takes what came."""
        try:
            data = self.socket.recv(READ_BYTES)
        except BlockingIOError:
            return
        if not data:
            raise ConnectionError("the host has closed")
        data = self.held + data
        if not self.open:
            data = self.hear_head(data)
        if self.open:
            self.hear_frames(data)

    def hear_head(self, data: bytes) -> bytes:
        """Answers what came after the head, once that is there."""
        head, end, rest = data.partition(b"\r\n\r\n")
        self.open = bool(end) and head.startswith(b"HTTP/1.1 101 ")
        if end and not self.open or len(head) > HEAD_BYTES_MAX:
            raise ConnectionError("the host did not open the WebSocket")
        self.held = b"" if self.open else data
        return rest

    def hear_frames(self, data: bytes) -> None:
        """Passes over data, answers a ping, ends on a close frame."""
        at, end = self.skip, len(data)
        while at + 2 <= end:
            opcode, length, body = data[at] & 0xF, data[at + 1], at + 2
            if length >= 126:
                body = at + (4 if length == 126 else 10)
                if body > end:
                    break
                length = int.from_bytes(data[at + 2 : body])
            if opcode == CLOSE:
                raise ConnectionError("the host says goodbye")
            if opcode == PING:
                if body + length > end:
                    break
                self.send(PONG, data[body : body + length])
            at = body + length
        self.skip = max(0, at - end)
        self.held = data[at:]


class Crowd:
    """All users, on one thread."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.address = address
        self.most = users_max()
        self.users: list[User] = []
        # How many are still to come, and onto which board.
        self.wanted = 0
        self.board = ""
        # Where in the list the next tick goes on, and the moves it is owed (a fraction stays).
        self.turn = 0
        self.owed = 0.0
        self.selector = selectors.DefaultSelector()
        self.selector.register(sys.stdin.fileno(), selectors.EVENT_READ)
        self.half_order = b""

    def run(self) -> None:
        """Until nobody can give orders any more. What comes between two ticks waits for the
        next one: one read for all of it."""
        tick = time.monotonic()
        while True:
            idle = not self.users and not self.wanted
            for key, _ in self.selector.select(None if idle else 0):
                if key.data is not None:
                    self.attempt(key.data, User.read)
                elif not self.take_orders():
                    return
            now = time.monotonic()
            self.connect()
            self.move_some(now)
            tick = max(tick + TICK_S, now)
            time.sleep(tick - now)

    def take_orders(self) -> bool:
        """False when there will be no orders any more."""
        data = os.read(sys.stdin.fileno(), 4_096)
        *lines, self.half_order = (self.half_order + data).split(b"\n")
        for line in lines:
            match line.decode().split():
                case ["add", board, count]:
                    room = self.most - len(self.users)
                    self.wanted = max(0, min(self.wanted + int(count), room))
                    self.board = board
                case ["remove"]:
                    self.wanted = 0
                    for user in self.users.copy():
                        self.attempt(user, User.leave)
        return bool(data)

    def connect(self) -> None:
        for _ in range(min(self.wanted, CONNECTS_PER_TICK)):
            self.wanted -= 1
            try:
                user = User.connect(self.address, self.board)
            except OSError:
                # No more files or ports: those who are here stay.
                self.wanted = 0
                return
            self.users.append(user)
            self.selector.register(user.socket, selectors.EVENT_READ, user)

    def move_some(self, now: float) -> None:
        count = len(self.users)
        per_second = min(count * MOVES_PER_USER, MOVES_PER_SECOND)
        self.owed = min(self.owed + per_second * TICK_S, float(count))
        while self.owed >= 1 and self.users:
            self.owed -= 1
            self.turn = (self.turn + 1) % len(self.users)
            self.attempt(self.users[self.turn], lambda user: user.step(now))

    def attempt(self, user: User, step: Callable[[User], None]) -> None:
        """Lets a user do something, which may be its last."""
        if user.socket.fileno() < 0:
            # It has ended within this tick.
            return
        try:
            step(user)
        except OSError:
            self.selector.unregister(user.socket)
            user.socket.close()
            self.users.remove(user)


def main() -> None:
    host, _, port = sys.argv[1].rpartition(":")
    Crowd((host, int(port))).run()


if __name__ == "__main__":
    main()
