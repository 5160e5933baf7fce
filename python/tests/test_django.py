"""The Django example as people start it: one port, publishing from a sync view."""

from __future__ import annotations

import signal

from running import ask, uvicorn

from roomcast.testing import Client


def test_the_example() -> None:
    with uvicorn("django_app:application", "--ws", "django_app:rooms") as (program, port):
        stranger = Client.connect("127.0.0.1", port, "/ws/lobby")
        assert (stranger.status, stranger.text) == (401, "log in first")
        stranger.end()

        headers, _ = ask(port, "/login?user=ada")
        cookie = headers["Set-Cookie"].split(";")[0]
        ada = Client.connect("127.0.0.1", port, "/ws/lobby", headers={"Cookie": cookie})
        assert ada.status == 101
        _, answer = ask(port, "/publish/lobby?says=hello", cookie=cookie)
        assert answer == {"members": 1}
        assert ada.receive_json() == {"from": "ada", "says": "hello"}

        program.stop(signal.SIGTERM)
        assert ada.expect_close()[0] == 1001
        ada.end()
    assert "Traceback" not in program.output, program.output
