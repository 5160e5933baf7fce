"""The example of a plain worker thread, as people start it."""

from __future__ import annotations

from running import python

from roomcast.testing import Client


def test_the_example() -> None:
    with python("worker.py", "--port", "0") as program:
        port = int(program.find(r"ws://127\.0\.0\.1:(\d+)")[1])
        client = Client.connect("127.0.0.1", port, "/")
        first, second = client.receive_json(), client.receive_json()
        assert first["watching"] == second["watching"] == 1
        assert program.stop() == 0, program.output
        assert client.expect_close()[0] == 1001
        client.end()
