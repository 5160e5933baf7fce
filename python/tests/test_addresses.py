"""Whose connection it is: behind proxies, by their headers, and only by those of trusted ones."""

from __future__ import annotations

import os
import socket
import stat
import struct
from pathlib import Path
from typing import Any

import pytest
from conftest import until

import roomcast
import roomcast.asgi
from roomcast import ListenOptions
from roomcast.testing import Client

V2 = b"\r\n\r\n\0\r\nQUIT\n"


def seen(engine: roomcast.Engine) -> list[roomcast.Connection]:
    connections: list[roomcast.Connection] = []

    @engine.on_connect
    def connect(connection: roomcast.Connection) -> None:
        connections.append(connection)
        connection.accept()

    engine.start()
    return connections


@pytest.mark.parametrize(
    ("settings", "headers", "expected"),
    [
        ({}, {"X-Forwarded-For": "192.0.2.1"}, "127.0.0.1"),
        ({"trusted_proxies": "10.0.0.0/8"}, {"X-Forwarded-For": "192.0.2.1"}, "127.0.0.1"),
        ({"trusted_proxies": "127.0.0.1"}, {"X-Forwarded-For": "192.0.2.1"}, "192.0.2.1"),
        (
            {"trusted_proxies": ["127.0.0.0/8", "10.0.0.0/8"]},
            {"X-Forwarded-For": "6.6.6.6, 2001:db8::7, 10.1.2.3"},
            "2001:db8::7",
        ),
        ({"trusted_proxies": "127.0.0.1"}, {"Forwarded": "for=192.0.2.1"}, "127.0.0.1"),
        (
            {"trusted_proxies": "127.0.0.1", "forwarded_header": "forwarded"},
            {"Forwarded": 'for="[2001:db8::7]:4711"', "X-Forwarded-For": "6.6.6.6"},
            "2001:db8::7",
        ),
    ],
)
def test_a_header_counts_from_whom_is_trusted(
    roomcast_engine: Any, roomcast_client: Any, settings: Any, headers: Any, expected: str
) -> None:
    engine: roomcast.Engine = roomcast_engine("127.0.0.1:0", **settings)
    connections = seen(engine)
    assert roomcast_client(engine, loopback=True, headers=headers).status == 101
    (connection,) = connections
    assert connection.peer_ip == expected
    assert connection.peer is not None and connection.peer[0] == "127.0.0.1"
    scope = roomcast.asgi.scope(connection)
    assert scope["client"] == (connection.peer if expected == "127.0.0.1" else (expected, 0))


def test_limits_go_by_it(roomcast_engine: Any, roomcast_client: Any) -> None:
    engine: roomcast.Engine = roomcast_engine(
        "127.0.0.1:0", trusted_proxies="127.0.0.1", address_connections_max=1
    )
    seen(engine)
    found = [
        roomcast_client(engine, loopback=True, headers={"X-Forwarded-For": ip}).status
        for ip in ("192.0.2.1", "192.0.2.2", "192.0.2.1")
    ]
    assert found == [101, 101, 429]


def proxied(port: int, header: bytes) -> Client:
    """A client behind something that begins with this."""
    sock = socket.create_connection(("127.0.0.1", port), timeout=20)
    sock.sendall(header)
    return Client(sock)


@pytest.mark.parametrize(
    ("header", "peer"),
    [
        (b"PROXY TCP4 192.0.2.1 192.0.2.9 4711 443\r\n", ("192.0.2.1", 4711)),
        (b"PROXY TCP6 2001:db8::7 ::1 4711 443\r\n", ("2001:db8::7", 4711)),
        (
            V2 + b"\x21\x11" + struct.pack(">H4s4sHH", 12, b"\xc0\0\2\1", b"\xc0\0\2\x09", 4711, 1),
            ("192.0.2.1", 4711),
        ),
    ],
    ids=["version 1", "IPv6", "version 2"],
)
def test_a_proxy_header_says_whose_connection_it_is(
    roomcast_engine: Any, header: bytes, peer: Any
) -> None:
    options = ListenOptions(proxy_protocol=True)
    engine: roomcast.Engine = roomcast_engine(
        {"127.0.0.1:0": options}, trusted_proxies=["127.0.0.1"]
    )
    connections = seen(engine)
    client = proxied(engine.port, header)
    assert client.status == 101
    assert connections[0].peer == peer and connections[0].peer_ip == peer[0]
    client.end()
    without = proxied(engine.port, b"")
    assert without.status == 0, "dropped"
    without.end()
    until(lambda: engine.stats()["rejected_proxy"] == 1)


def test_a_proxy_header_needs_somebody_to_trust(roomcast_engine: Any) -> None:
    with pytest.raises(roomcast.ConfigError, match="proxy_protocol needs trusted_proxies"):
        roomcast_engine({"127.0.0.1:0": ListenOptions(proxy_protocol=True)})


def test_a_unix_socket_of_a_proxy(roomcast_engine: Any, tmp_path: Path) -> None:
    path = tmp_path / "rooms.sock"
    engine: roomcast.Engine = roomcast_engine(
        listen_unix={path: ListenOptions(unix_mode=0o660)}, trusted_proxies="unix"
    )
    connections = seen(engine)
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o660
    for headers, expected in (({"X-Forwarded-For": "192.0.2.1"}, "192.0.2.1"), ({}, None)):
        sock = socket.socket(socket.AF_UNIX)
        sock.connect(str(path))
        client = Client(sock, headers=headers)
        assert client.status == 101
        assert (connections[-1].peer_ip, connections[-1].peer) == (expected, None)
        client.end()


@pytest.mark.parametrize(
    ("settings", "error", "text"),
    [
        ({"trusted_proxies": "10.0.0.1/8"}, roomcast.ConfigError, "trusted_proxies cannot be"),
        ({"trusted_proxies": 7}, TypeError, "not iterable"),
        ({"forwarded_header": "x-real-ip"}, ValueError, "forwarded_header is"),
        (
            {"listen_unix": {"x.sock": ListenOptions(unix_mode=0o1777)}},
            roomcast.ConfigError,
            "unix_mode",
        ),
    ],
)
def test_what_these_settings_may_be(
    roomcast_engine: Any, settings: Any, error: Any, text: str
) -> None:
    with pytest.raises(error, match=text):
        roomcast_engine(**settings)
