"""The FastAPI example as people start it: one port, one login for requests and WebSockets."""

from __future__ import annotations

import signal

import pytest
from running import ask, uvicorn

from roomcast.testing import Client


def test_the_example() -> None:
    with uvicorn("fastapi_app:app", "--ws", "fastapi_app:rooms") as (program, port):
        stranger = Client.connect("127.0.0.1", port, "/ws/lobby")
        assert (stranger.status, stranger.text) == (401, "log in first")
        stranger.end()

        headers, _ = ask(port, "/login/ada", post={})
        cookie = headers["set-cookie"].split(";")[0]
        ada = Client.connect("127.0.0.1", port, "/ws/lobby", headers={"Cookie": cookie})
        assert ada.status == 101
        _, answer = ask(port, "/rooms/lobby", post="hello", cookie=cookie)
        assert answer == {"members": 1}
        assert ada.receive_json() == {"from": "ada", "says": "hello"}
        ada.send("hi")
        assert ada.receive_json() == {"from": "ada", "says": "hi"}

        clock = Client.connect("127.0.0.1", port, "/ws/clock", headers={"Cookie": cookie})
        assert clock.receive_json()["now"] > 0

        code = program.stop(signal.SIGINT)
        assert ada.expect_close()[0] == 1001
        assert clock.expect_close()[0] == 1001
        ada.end()
        clock.end()
    assert code in (0, 130, -signal.SIGINT), program.output
    assert "Traceback" not in program.output, program.output


@pytest.mark.parametrize("http", ["h11", "httptools"])
@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_the_example_with(http: str, loop: str) -> None:
    arguments = ("--ws", "fastapi_app:rooms", "--http", http, "--loop", loop)
    with uvicorn("fastapi_app:app", *arguments) as (_, port):
        headers, _ = ask(port, "/login/ada", post={})
        cookie = headers["set-cookie"].split(";")[0]
        client = Client.connect("127.0.0.1", port, "/ws/clock", headers={"Cookie": cookie})
        assert client.receive_json()["now"] > 0
        client.end()
