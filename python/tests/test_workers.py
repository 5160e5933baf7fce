"""Several processes behind one port: all serve, and each has rooms of its own."""

from __future__ import annotations

import signal
import sys

from conftest import until
from running import Program, ask, reserved_port, uvicorn

from roomcast.testing import Client

CLIENTS = 32


def test_uvicorn_workers_share_its_port() -> None:
    """Each engine adopts what its own process has accepted."""
    arguments = ("--ws", "fastapi_app:rooms", "--workers", "2")
    with uvicorn("fastapi_app:app", *arguments) as (program, port):
        for _ in range(2):
            program.find("Application startup complete")
        headers, _ = ask(port, "/login/ada", post={})
        cookie = headers["set-cookie"].split(";")[0]
        clients: list[Client] = []
        seen: dict[int, int] = {}

        def both_serve() -> bool:
            clients.append(
                Client.connect("127.0.0.1", port, "/ws/lobby", headers={"Cookie": cookie})
            )
            assert clients[-1].status == 101
            _, answer = ask(port, "/members")
            seen[answer["process"]] = answer["rooms"].get("lobby", 0)
            return sum(1 for members in seen.values() if members) == 2

        until(both_serve)
        _, answer = ask(port, "/rooms/lobby", post="hello", cookie=cookie)
        assert 0 < answer["members"] < len(clients)
        program.stop(signal.SIGINT)
        for client in clients:
            assert client.expect_close()[0] == 1001
            client.end()


def test_gunicorn_workers_share_the_engines_port() -> None:
    """Each worker's engine listens with SO_REUSEPORT, and the kernel spreads connections."""
    with reserved_port() as rooms:
        command = [
            *(sys.executable, "-m", "gunicorn", "--workers", "2", "--bind", "127.0.0.1:0"),
            *("--config", "python:flask_app", "flask_app:app"),
        ]
        with Program(command, ROOMS=f"127.0.0.1:{rooms}") as program:
            port = int(program.find(r"Listening at: http://127\.0\.0\.1:(\d+)")[1])
            for _ in range(2):
                program.find("Booting worker")
            seen: dict[int, int] = {}

            def publish() -> dict[int, int]:
                _, answer = ask(port, "/rooms/lobby", post="hello")
                seen[answer["process"]] = answer["members"]
                return seen

            until(lambda: len(publish()) == 2, "both workers")
            clients = [Client.connect("127.0.0.1", rooms, "/lobby") for _ in range(CLIENTS)]
            assert [client.status for client in clients] == [101] * CLIENTS
            until(lambda: sum(publish().values()) == CLIENTS, "all members")
            assert all(members > 0 for members in seen.values()), seen
            assert [client.receive() for client in clients] == ['"hello"'] * CLIENTS
            assert program.stop(signal.SIGTERM) == 0, program.output
            for client in clients:
                assert client.expect_close()[0] == 1001
                client.end()
