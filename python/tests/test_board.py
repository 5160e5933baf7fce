"""`python -m roomcast` as people start it: a child process on a free port.

Two WebSocket clients use it as two pages would. The page itself is tried by tests/browser.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from roomcast.board import host

DEADLINE_S = 20.0
PAGE = Path(__file__).parents[2] / "core/examples/board/page"


class Program:
    """`python -m roomcast`, and where it says that it listens."""

    def __init__(self, port: int = 0) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-W", "error", "-m", "roomcast", "--port", str(port)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            process_group=0,
        )

    def address(self) -> str:
        assert self.process.stdout
        line = self.process.stdout.readline()
        said = re.fullmatch(
            r"roomcast board: open http://(127\.0\.0\.1:\d+)/ in several windows\n", line
        )
        assert said, (line, self.end(signal.SIGTERM))
        return said[1]

    def end(self, number: int | None = None) -> tuple[int, str]:
        """Its exit code and what it complained of, once it and its children are gone."""
        if number is not None:
            self.process.send_signal(number)
        try:
            _, complaints = self.process.communicate(timeout=DEADLINE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        return self.process.returncode, complaints


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    program = Program()
    yield program.address()
    assert program.end(signal.SIGTERM) == (0, "")


class Page:
    """What a browser window would be: it says lines, and waits for lines."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.unread: list[str] = []
        self.number = self.until(r"hello (\d+)")[1]

    def say(self, *lines: str) -> None:
        for line in lines:
            self.socket.send(line)

    def until(
        self, pattern: str, fits: Callable[[re.Match[str]], bool] = lambda _: True
    ) -> re.Match[str]:
        """The next line of this form; what comes before it is passed over."""
        deadline = time.monotonic() + DEADLINE_S
        while True:
            while self.unread:
                found = re.fullmatch(pattern, self.unread.pop(0))
                if found and fits(found):
                    return found
            message = self.socket.recv(timeout=deadline - time.monotonic())
            assert isinstance(message, str)
            self.unread += message.split("\n")


@contextmanager
def page(address: str, board: str = "main") -> Iterator[Page]:
    with connect(f"ws://{address}/ws?board={board}") as socket:
        yield Page(socket)


def close_code(socket: ClientConnection) -> int:
    with pytest.raises(ConnectionClosed) as closed:
        while True:
            socket.recv(timeout=DEADLINE_S)
    assert closed.value.rcvd
    return closed.value.rcvd.code


def test_the_page_is_the_one_of_the_rust_example(address: str) -> None:
    files = {"index.html" if path == "/" else path[1:] for path in host.pages()}
    assert files == {file.name for file in PAGE.iterdir()}
    for path, (kind, content) in host.pages().items():
        with urllib.request.urlopen(f"http://{address}{path}", timeout=DEADLINE_S) as answer:
            assert answer.headers["content-type"] == kind
            assert answer.read() == content == (PAGE / (path[1:] or "index.html")).read_bytes()


def test_a_websocket_elsewhere_and_a_page_that_is_none_are_refused(address: str) -> None:
    with pytest.raises(InvalidStatus) as refused, connect(f"ws://{address}/elsewhere"):
        pass
    assert refused.value.response.status_code == 404
    with pytest.raises(urllib.error.HTTPError) as missing:
        urllib.request.urlopen(f"http://{address}/nothing.js", timeout=DEADLINE_S)
    with missing.value:
        assert missing.value.code == 404


def test_two_pages_see_each_other(address: str) -> None:
    with page(address) as first:
        first.until("room main")
        with page(address) as second:
            first.until(rf"p {second.number} \d+ h - - .+")
            second.until(rf"p {first.number} \d+ h - - .+")
            first.say("m 12 34", "w Grüße ✓")
            second.until(f"c {first.number} 12 34")
            second.until(f"w {first.number} Grüße ✓")
            first.until(f"w {first.number} Grüße ✓")
            second.say("m 5 6")
            first.until(f"c {second.number} 5 6")
        first.until(f"q {second.number}")


def test_notes_are_shared_and_there_for_who_comes_later(address: str) -> None:
    with page(address) as first, page(address) as second:
        first.say("n 100 200")
        note = first.until(rf"n (\d+) 100 200 \d+ {first.number} ")[1]
        second.until(rf"n {note} 100 200 \d+ {first.number} ")
        second.say(f"t {note} ✓ done", f"d {note} 300 400")
        first.until(f"t {note} ✓ done")
        first.until(f"d {note} 300 400")
        with page(address) as third:
            third.until(rf"n {note} 300 400 \d+ 0 ✓ done")
            third.say(f"x {note}")
            for other in (first, second, third):
                other.until(f"x {note}")


def test_boards_are_apart(address: str) -> None:
    with page(address, "retro") as first, page(address, "retro") as second:
        second.until("room retro")
        first.until(rf"p {second.number} .*")
        second.say("b play")
        second.until("room play")
        first.until(f"q {second.number}")
        second.say("m 1 1", "b retro")
        # Nothing of what was done elsewhere came in between.
        assert first.until(rf"[pc] {second.number} .*")[0].startswith("p ")


def test_the_figures_arrive_and_an_echo_comes_back(address: str) -> None:
    with page(address, "plan") as first:
        one = first.until(r"s seq=(\d+) .* conns=(\d+) .* in=\d+,\d+,1,\d+")
        two = first.until(r"s seq=(\d+) rate=\d+ .* p50=\d+ p99=\d+ .*")
        assert int(two[1]) == int(one[1]) + 1
        first.say("e 12.5")
        first.until(r"e 12\.5")
    with page(address) as later:
        later.until(rf"s seq={one[1]} .*")


def test_synthetic_users_come_move_and_go(address: str) -> None:
    with page(address, "play") as first:
        first.say("users 20")
        first.until(r"p \d+ \d+ s .*")
        first.until(r"c \d+ \d+ \d+")
        first.until(r"s .* synth=20 .*")
        first.say("users 0")
        first.until(r"s .* synth=0 .*")
        # The process that made them takes another order.
        first.say("users 3")
        first.until(r"s .* synth=3 .*")
        first.say("users 0")
        first.until(r"s .* synth=0 .*")


@pytest.mark.parametrize("garbage", ["m 1", "nonsense", "m 1 99999", b"m 1 2"])
def test_garbage_ends_its_connection_only(address: str, garbage: str | bytes) -> None:
    with page(address) as first, page(address) as second:
        first.socket.send(garbage)
        assert close_code(first.socket) == 1008
        second.until(f"q {first.number}")
        second.say("e 1")
        second.until("e 1")


def test_who_floods_is_closed(address: str) -> None:
    with page(address) as first:
        with pytest.raises(ConnectionClosed):
            for _ in range(20_000):
                first.say("m 1 1")
        assert close_code(first.socket) == 1008


def test_a_message_that_is_too_long_is_closed(address: str) -> None:
    with page(address) as first:
        first.say("t 1 " + "a" * 3_000)
        assert close_code(first.socket) == 1009


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_quietly_with_everybody_connected(number: int) -> None:
    program = Program()
    with page(program.address()) as first:
        first.say("users 5")
        first.until(r"s .* synth=5 .*")
        # To the whole group, as a terminal does.
        os.killpg(program.process.pid, number)
        assert close_code(first.socket) == 1001
        assert program.end() == (0, "")


def test_a_port_that_is_taken_is_said_to_be(address: str) -> None:
    port = address.rpartition(":")[2]
    code, complaint = Program(int(port)).end()
    advice = "choose another with --port N, or --port 0 for a free one"
    assert (code, complaint) == (1, f"board: port {port} is taken; {advice}\n")


def test_a_port_that_is_none_is_refused() -> None:
    code, complaint = Program(70_000).end()
    assert code == 2
    assert "0 to 65535" in complaint
