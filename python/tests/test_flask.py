"""The Flask example as people start it: a WSGI server, and the engine on a port of its own."""

from __future__ import annotations

from running import ask, python

from roomcast.testing import Client


def test_the_example() -> None:
    with python("flask_app.py", "--port", "0", ROOMS="127.0.0.1:0") as program:
        found = program.find(r"http://127\.0\.0\.1:(\d+) ws://127\.0\.0\.1:(\d+)")
        port, rooms = int(found[1]), int(found[2])
        ada = Client.connect("127.0.0.1", rooms, "/lobby")
        bob = Client.connect("127.0.0.1", rooms, "/lobby")
        assert (ada.status, bob.status) == (101, 101)
        _, answer = ask(port, "/rooms/lobby", post="hello")
        assert answer["members"] == 2
        assert ada.receive() == bob.receive() == '"hello"'
        ada.send("hi")
        assert bob.receive() == "hi"
        program.stop()
        assert ada.expect_close()[0] == 1001
        ada.end()
        bob.end()
