"""TLS listeners: certificates by name, versions, and new certificates without a dropped
connection."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import certificates
import pytest
import websockets
from certificates import files, handshake, names
from conftest import until
from tokens import SECRET, token

import roomcast
from roomcast import ListenOptions, Tls


async def test_a_client_comes_in_over_tls(roomcast_engine: Any, tmp_path: Path) -> None:
    pair = files(tmp_path, "localhost")
    engine: roomcast.Engine = roomcast_engine(
        "127.0.0.1:0", tls=pair, auth=roomcast.Jwt(hs256=SECRET), deflate_level=1
    )
    engine.on_connect(lambda conn: conn.accept(rooms=["a"]))
    engine.on_message(lambda conn, data: conn.send(data))
    async with engine:
        where = f"wss://localhost:{engine.port}/?token={token('ada')}"
        how: Any = {"ssl": certificates.context(), "host": "127.0.0.1"}
        async with websockets.connect(where, **how) as ws:
            for size in (1, 100_000, 1_000_000):
                await ws.send("x" * size)
                assert await ws.recv() == "x" * size
            assert engine.publish("a", b"for all").members == 1
            assert await ws.recv() == b"for all"
            engine.send_user("ada", "for you")
            assert await ws.recv() == "for you"
            assert engine.stats()["tls_connections"] == 1
        with pytest.raises(websockets.InvalidStatus) as refused:
            await websockets.connect(f"wss://localhost:{engine.port}/", **how)
        assert refused.value.response.status_code == 401
    assert engine.stats()["tls_handshakes"] == 2


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_both_versions(roomcast_engine: Any, tmp_path: Path, version: ssl.TLSVersion) -> None:
    engine: roomcast.Engine = roomcast_engine("127.0.0.1:0", tls=[files(tmp_path, "a.example")])
    engine.start()
    with handshake(engine.port, "a.example", version) as sock:
        sock.sendall(b"GET /health HTTP/1.1\r\nHost: a.example\r\n\r\n")
        assert sock.recv(4096).startswith(b"HTTP/1.1 200 ")
        assert sock.version() == {"TLSv1_2": "TLSv1.2", "TLSv1_3": "TLSv1.3"}[version.name]


def test_a_peer_is_shown_the_certificate_of_the_name_it_asks_for(
    roomcast_engine: Any, tmp_path: Path
) -> None:
    first, second = files(tmp_path, "a.example"), files(tmp_path, "b.example", "*.c.example")
    as_bytes = (second[0].read_bytes(), second[1].read_bytes())
    engine: roomcast.Engine = roomcast_engine("127.0.0.1:0", tls=Tls(first, as_bytes))
    engine.start()
    for name, shown in (
        ("a.example", ["a.example"]),
        ("b.example", ["b.example", "*.c.example"]),
        ("x.c.example", ["b.example", "*.c.example"]),
    ):
        with handshake(engine.port, name) as sock:
            assert names(sock) == shown
    with (
        pytest.raises(ssl.SSLCertVerificationError),
        handshake(engine.port, "elsewhere.example"),
    ):
        pass


def test_version_1_2_may_be_refused(roomcast_engine: Any, tmp_path: Path) -> None:
    tls = Tls(files(tmp_path, "a.example"), tls13_only=True)
    engine: roomcast.Engine = roomcast_engine("127.0.0.1:0", tls=tls)
    engine.start()
    with handshake(engine.port, "a.example", ssl.TLSVersion.TLSv1_3):
        pass
    with (
        pytest.raises(ssl.SSLError, match="PROTOCOL_VERSION"),
        handshake(engine.port, "a.example", ssl.TLSVersion.TLSv1_2),
    ):
        pass
    until(lambda: engine.stats()["tls_failed"] == 1)


def test_new_certificates_for_new_connections(roomcast_engine: Any, tmp_path: Path) -> None:
    engine: roomcast.Engine = roomcast_engine("127.0.0.1:0", tls=files(tmp_path, "old.example"))
    engine.start()
    with handshake(engine.port, "old.example") as before:
        engine.reload_tls(files(tmp_path, "new.example"))
        with handshake(engine.port, "new.example") as sock:
            assert names(sock) == ["new.example"]
        with pytest.raises(roomcast.IoError):
            engine.reload_tls((tmp_path / "none.pem", tmp_path / "none.key"))
        with pytest.raises(roomcast.CertificateError):
            engine.reload_tls((b"no PEM", b"no PEM"))
        with handshake(engine.port, "new.example"):
            pass
        before.sendall(b"GET /health HTTP/1.1\r\nHost: old.example\r\n\r\n")
        assert before.recv(4096).startswith(b"HTTP/1.1 200 ")


def test_which_listeners_speak_it(
    roomcast_engine: Any, roomcast_client: Any, tmp_path: Path
) -> None:
    unix = str(tmp_path / "rooms.sock")
    engine: roomcast.Engine = roomcast_engine(
        {"127.0.0.1:0": None, "localhost:0": ListenOptions(tls=False)},
        listen_unix=unix,
        tls=files(tmp_path, "a.example"),
    )
    engine.start()
    (_, tls), (_, plain) = engine.addresses[0], engine.addresses[-1]
    with handshake(tls, "a.example"):
        pass
    with pytest.raises(ssl.SSLError), handshake(plain, "a.example"):
        pass
    client = roomcast.testing.Client.connect("127.0.0.1", plain)
    assert client.status == 101
    client.end()
    assert roomcast_client(engine).status == 101, "what is adopted is plain"


@pytest.mark.parametrize(
    ("tls", "error", "text"),
    [
        (("none.pem", "none.key"), roomcast.IoError, "No such file .* 'none.pem'"),
        ((b"", b""), roomcast.CertificateError, "no certificate"),
        ((b"-----BEGIN", b""), roomcast.CertificateError, "certificate"),
        ((), roomcast.ConfigError, "tls needs"),
        ("cert.pem", TypeError, "tls is a pair"),
        (("a.pem", "b.pem", "c.pem"), TypeError, "tls is a pair"),
        ([("a.pem", 7)], TypeError, "tls is a pair"),
        (7, TypeError, "tls is a pair"),
    ],
)
def test_certificates_of_no_use(roomcast_engine: Any, tls: Any, error: Any, text: str) -> None:
    with pytest.raises(error, match=text) as raised:
        roomcast_engine("127.0.0.1:0", tls=tls)
    if isinstance(raised.value, OSError):
        assert (raised.value.errno, raised.value.filename) == (2, "none.pem")


def test_a_key_of_another_certificate(roomcast_engine: Any, tmp_path: Path) -> None:
    one, two = files(tmp_path, "a.example"), files(tmp_path, "b.example")
    with pytest.raises(roomcast.CertificateError, match="not that of the first certificate"):
        roomcast_engine("127.0.0.1:0", tls=(one[0], two[1]))


def test_a_listener_without_certificates(roomcast_engine: Any) -> None:
    with pytest.raises(roomcast.ConfigError) as error:
        roomcast_engine({"127.0.0.1:0": ListenOptions(tls=True)})
    assert "ListenOptions(tls=True)" in str(error.value) and "Engine(tls=" in str(error.value)
    engine: roomcast.Engine = roomcast_engine("127.0.0.1:0")
    engine.start()
    with pytest.raises(roomcast.ConfigError, match="Engine\\(tls="):
        engine.reload_tls(Tls())


def test_options_are_values() -> None:
    options = ListenOptions(tls=True, proxy_protocol=True, unix_mode=0o660)
    assert (options.deflate, options.tls, options.proxy_protocol) == (True, True, True)
    assert options.unix_mode == 0o660 and options != ListenOptions()
    shown = "ListenOptions(deflate=True, tls=True, proxy_protocol=True, unix_mode=432)"
    assert repr(options) == shown and repr(ListenOptions()) == "ListenOptions(deflate=True)"
    assert ListenOptions().tls is None
    with pytest.raises(TypeError, match="unix_mode"):
        ListenOptions(unix_mode="rw")  # type: ignore[arg-type]
