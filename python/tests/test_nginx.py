"""The example's nginx in front of an application and an engine: one public port."""

from __future__ import annotations

import contextlib
import http.server
import re
import shutil
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import until
from running import EXAMPLES, Program, ask

import roomcast
from roomcast.testing import Client

nginx = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
pytestmark = pytest.mark.skipif(nginx is None, reason="nginx is missing (apt install nginx-light)")


class App(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = f"{self.path} {self.headers['Host']}".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: Any) -> None:
        pass


@contextlib.contextmanager
def app() -> Iterator[int]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), App) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@contextlib.contextmanager
def proxy(folder: Path, app_port: int, rooms_port: int, **replace: str) -> Iterator[int]:
    """nginx in the foreground with the example's file, on other ports."""
    assert nginx is not None
    port = free_port()
    text = (EXAMPLES / "nginx.conf").read_text()
    ports = {"8080": str(port), "5000": str(app_port), "8081": str(rooms_port)}
    text = re.sub(r"127\.0\.0\.1:(\d+)", lambda found: f"127.0.0.1:{ports[found[1]]}", text)
    for old, new in replace.items():
        text, count = re.subn(rf"{old} \w+;", f"{old} {new};", text)
        assert count == 1, old
    (folder / "nginx.conf").write_text(text)
    # Without -e, nginx opens the system's log before it reads the file.
    command = [nginx, "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", "stderr"]
    with Program(command) as program:
        program.wait_for_port(port)
        yield port
        assert program.stop() == 0, program.output


def test_one_port_for_both(roomcast_engine: Any, tmp_path: Path) -> None:
    engine: roomcast.Engine = roomcast_engine("127.0.0.1:0")

    @engine.on_connect
    def connect(conn: roomcast.Connection) -> None:
        conn.accept(rooms=[conn.path.removeprefix("/ws/")])

    engine.start()
    with app() as app_port, proxy(tmp_path, app_port, engine.port) as port:
        _, body = ask(port, "/hello")
        assert body == f"/hello 127.0.0.1:{port}"

        host = f"127.0.0.1:{port}"
        for origin, status in ((f"http://{host}", 101), ("http://elsewhere.example", 403)):
            headers = {"Host": host, "Origin": origin}
            client = Client.connect("127.0.0.1", port, "/ws/lobby", headers=headers)
            assert client.status == status
            if status == 101:
                assert engine.publish("lobby", "hello").members == 1
                assert client.receive() == "hello"
                client.close()
                assert client.expect_close()[0] == 1000
            client.end()


def test_whose_connection_it_is(roomcast_engine: Any, tmp_path: Path) -> None:
    engine: roomcast.Engine = roomcast_engine("127.0.0.1:0", trusted_proxies="127.0.0.1")
    seen: list[tuple[Any, Any]] = []

    @engine.on_connect
    def connect(conn: roomcast.Connection) -> None:
        assert conn.peer is not None
        seen.append((conn.peer[0], conn.peer_ip))
        conn.accept()

    engine.start()
    with app() as app_port, proxy(tmp_path, app_port, engine.port) as port:
        for headers in ({}, {"X-Forwarded-For": "6.6.6.6"}):
            sock = socket.create_connection(
                ("127.0.0.1", port), timeout=20, source_address=("127.0.0.2", 0)
            )
            client = Client(sock, "/ws", headers=headers)
            assert client.status == 101
            client.end()
    assert seen == [("127.0.0.1", "127.0.0.2")] * 2, "what the peer wrote itself says nothing"


def test_pings_keep_a_silent_connection(roomcast_engine: Any, tmp_path: Path) -> None:
    engine: roomcast.Engine = roomcast_engine("127.0.0.1:0", ping_interval_ms=250)
    engine.start()
    with (
        app() as app_port,
        proxy(tmp_path, app_port, engine.port, proxy_read_timeout="1s") as port,
    ):
        client = Client.connect("127.0.0.1", port, "/ws")
        # More than the timeout's length of pings.
        until(lambda: client.pings >= 6)
        client.close()
        assert client.expect_close()[0] == 1000
        client.end()
