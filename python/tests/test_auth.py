"""Tokens: who comes in by them, for how long, and what is made of it when keys change."""

from __future__ import annotations

import datetime
import json
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jwt
import pytest
from conftest import auntil, until
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from tokens import SECRET, token

import roomcast
from roomcast import Auth, Claims, Jwt

KEYS = Jwt(hs256=SECRET)

#: An engine with these keys whose connections are appended to a list.
House = Callable[..., tuple[roomcast.Engine, list[roomcast.Connection]]]


@pytest.fixture
def house(roomcast_engine: Any) -> House:
    def make(auth: Any = KEYS, **settings: Any) -> tuple[roomcast.Engine, Any]:
        engine = roomcast_engine(auth=auth, **settings)
        connections: list[roomcast.Connection] = []

        @engine.on_connect
        def connect(connection: roomcast.Connection) -> None:
            connections.append(connection)
            connection.accept()

        engine.start()
        return engine, connections

    return make


def test_who_has_a_valid_token_comes_in_as_its_user(house: House, roomcast_client: Any) -> None:
    engine, connections = house()
    rooms = {"lobby": "join", "team:7:*": ["join", "publish"]}
    exp = int(time.time()) + 600
    text = token("ada", jti="t-1", rooms=rooms, info={"name": "Ada"}, exp=exp)
    client = roomcast_client(engine, f"/?token={text}")
    assert client.status == 101
    (connection,) = connections
    claims = connection.claims
    assert claims is not None
    assert (connection.user, claims.user, claims.token_id) == ("ada", "ada", "t-1")
    assert claims.expires_at == exp + 5, "with the leeway"
    assert claims.issued_at is not None and abs(claims.issued_at - time.time()) < 60
    assert claims.info == {"name": "Ada"}
    for told in (connection, claims):
        assert told.may("join", "lobby") and told.may("publish", "team:7:plans")
        assert not told.may("publish", "lobby") and not told.may("presence", "team:7:plans")
    engine.send_user("ada", "for you")
    assert client.receive() == "for you"
    assert engine.stats()["tokens_accepted"] == 1


def test_others_are_answered_with_401_and_never_told(house: House, roomcast_client: Any) -> None:
    engine, connections = house()
    other = "another secret of thirty-two bytes."
    unsigned = token(key="", algorithm="none")
    for path in (
        "/", "/?token=", "/?token=garbage", f"/?token={token(key=other)}", f"/?token={unsigned}",
        f"/?token={token(life=-60)}", f"/?token={token(aud='elsewhere')}",
        f"/?token={token(nbf=int(time.time()) + 600)}",
    ):
        client = roomcast_client(engine, path)
        assert client.status == 401, path
        assert client.text and "key" not in client.text
    assert not connections
    assert engine.stats()["rejected_token"] == 8


@pytest.mark.parametrize(
    ("where", "path", "headers", "first"),
    [
        ({}, "/", {"Authorization": "Bearer {}"}, None),
        ({}, "/?token={}", {}, None),
        ({"header": "X-Token"}, "/", {"x-token": "{}"}, None),
        ({"query": "ticket"}, "/?ticket={}", {}, None),
        ({"cookie": "session"}, "/", {"Cookie": "a=b; session={}"}, None),
        ({"message": "token "}, "/", {}, "token {}"),
    ],
    ids=["default header", "default query", "header", "query", "cookie", "message"],
)
def test_the_token_is_where_the_host_says(
    house: House, roomcast_client: Any, where: Any, path: str, headers: Any, first: Any
) -> None:
    engine, connections = house(Auth(KEYS, **where))
    text = token("ada")
    named = {name: value.format(text) for name, value in headers.items()}
    client = roomcast_client(engine, path.format(text), headers=named)
    assert client.status == 101
    if first:
        assert not connections, "heard of when its token has come"
        client.send(first.format(text))
    until(lambda: connections)
    assert connections[0].user == "ada"


def test_a_wrong_first_message_ends_it_with_4401(house: House, roomcast_client: Any) -> None:
    engine, connections = house(Auth(KEYS, message="token "))
    for said in ("hello", "token nonsense"):
        client = roomcast_client(engine)
        client.send(said)
        assert client.expect_close()[0] == 4401
    assert not connections


def test_an_optional_token_lets_nobody_in_as_nobody(house: House, roomcast_client: Any) -> None:
    engine, connections = house(Auth(KEYS, optional=True))
    assert roomcast_client(engine).status == 101
    assert (connections[0].user, connections[0].claims) == (None, None)
    assert not connections[0].may("join", "lobby")
    assert roomcast_client(engine, "/?token=garbage").status == 401


def test_without_handlers_the_token_is_still_asked_for(
    roomcast_engine: Any, roomcast_client: Any
) -> None:
    engine: roomcast.Engine = roomcast_engine(auth=KEYS)
    engine.start()
    assert roomcast_client(engine).status == 401
    client = roomcast_client(engine, f"/?token={token('bob')}")
    assert client.status == 101
    engine.send_user("bob", "hello")
    assert client.receive() == "hello"


def test_a_message_handler_alone_knows_user_and_claims(
    roomcast_engine: Any, roomcast_client: Any
) -> None:
    engine: roomcast.Engine = roomcast_engine(auth=KEYS)
    engine.on_message(lambda conn, data: conn.send(f"{conn.user} {conn.claims.token_id}"))
    engine.start()
    client = roomcast_client(engine, f"/?token={token('bob', jti='7')}")
    client.send("who am I?")
    assert client.receive() == "bob 7"


def test_what_the_host_says_comes_first(roomcast_engine: Any, roomcast_client: Any) -> None:
    engine: roomcast.Engine = roomcast_engine(auth=KEYS)
    opened: list[roomcast.Connection] = []

    @engine.on_connect
    def connect(connection: roomcast.Connection) -> None:
        assert connection.claims is not None and connection.claims.user == "ada"
        match connection.path:
            case "/user":
                connection.accept(user="root")
            case "/claims":
                connection.accept(claims=Claims("cid", rooms={"*": "join"}))
            case "/nameless":
                connection.accept(claims=Claims(rooms={"a": "join"}))

    engine.on_open(opened.append)
    engine.start()
    for path, user, claimed, may in (
        ("/user", "root", "ada", False),
        ("/claims", "cid", "cid", True),
        ("/nameless", "ada", None, True),
    ):
        assert roomcast_client(engine, f"{path}?token={token('ada')}").status == 101
        until(lambda: opened)
        connection = opened.pop()
        assert connection.user == user and connection.claims is not None
        assert (connection.claims.user, connection.may("join", "a")) == (claimed, may)
        engine.send_user(user, "x")


# Keys.


def pem(key: Any) -> bytes:
    public: bytes = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return public


RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
P256 = ec.generate_private_key(ec.SECP256R1())
ED25519 = ed25519.Ed25519PrivateKey.generate()
KINDS = [("rs256", "RS256", RSA), ("es256", "ES256", P256), ("eddsa", "EdDSA", ED25519)]


@pytest.mark.parametrize(("name", "algorithm", "key"), KINDS, ids=[kind[0] for kind in KINDS])
def test_every_kind_of_key(name: str, algorithm: str, key: Any, tmp_path: Path) -> None:
    path = tmp_path / "public.pem"
    path.write_bytes(pem(key))
    made = token("ada", key, algorithm=algorithm)
    for given in (pem(key), pem(key).decode(), path, [pem(key)], {"k": path}):
        keys: Any = {name: given}
        assert Jwt(**keys).verify(made).user == "ada"
    other: Any = {name: pem(P256 if key is not P256 else RSA)}
    with pytest.raises(roomcast.TokenKeyError):
        Jwt(**other)
    # Whoever knows the public key must not be able to make tokens with it.
    with pytest.raises(roomcast.TokenInvalid):
        Jwt(**{name: pem(key)}).verify(token(key=SECRET))


def test_several_keys_and_their_ids() -> None:
    old, new = SECRET, "the secret of the year that follows."
    keys = Jwt(hs256=[old, new], es256={"p": pem(P256)})
    assert keys.verify(token(key=old)).user == keys.verify(token(key=new)).user == "ada"
    assert keys.verify(token(key=P256, algorithm="ES256", kid="p")).user == "ada"
    by_id = Jwt(hs256={"old": old, "new": new.encode()})
    assert by_id.verify(token(key=new, kid="new")).user == "ada"
    with pytest.raises(roomcast.TokenInvalid):
        by_id.verify(token(key=new, kid="old"))


@pytest.mark.parametrize("form", [json.dumps, lambda s: json.dumps(s).encode(), lambda s: s])
def test_a_key_set(form: Any) -> None:
    algorithm = jwt.algorithms.RSAAlgorithm(jwt.algorithms.RSAAlgorithm.SHA256)
    key = {**algorithm.to_jwk(RSA.public_key(), as_dict=True), "kid": "r", "alg": "RS256"}
    keys = Jwt(jwks=form({"keys": [key]}))
    assert keys.verify(token(key=RSA, algorithm="RS256", kid="r")).user == "ada"
    with pytest.raises(roomcast.TokenInvalid):
        keys.verify(token(key=P256, algorithm="ES256", kid="r"))


def test_issuer_audience_and_leeway() -> None:
    keys = Jwt(hs256=SECRET, issuer="https://id.example", audience=["board", "chat"], leeway_s=30)
    good: Any = {"iss": "https://id.example", "aud": "chat"}
    assert keys.verify(token(**good)).user == "ada"
    for wrong in ({}, {**good, "iss": "https://other"}, {**good, "aud": ["mail"]}):
        with pytest.raises(roomcast.TokenInvalid):
            keys.verify(token(**wrong))
    late = token(**good, exp=1_000_000)
    assert keys.verify(late, now=1_000_029).expires_at == 1_000_030
    with pytest.raises(roomcast.TokenExpired) as expired:
        keys.verify(late, now=1_000_031.5)
    assert isinstance(expired.value, roomcast.TokenError) and expired.value.status == 53


@pytest.mark.parametrize(
    ("keys", "error", "text"),
    [
        ({}, TypeError, "needs a key"),
        ({"hs256": "short"}, roomcast.TokenKeyError, "5 bytes"),
        ({"hs256": 7}, TypeError, "hs256 is a key"),
        ({"hs256": {1: SECRET}}, TypeError, "hs256 is a key"),
        ({"hs256": [SECRET, None]}, TypeError, "hs256 is a key"),
        ({"rs256": "no PEM"}, roomcast.TokenKeyError, "RS256"),
        ({"rs256": Path("/nowhere/key.pem")}, roomcast.IoError, "/nowhere/key.pem"),
        ({"jwks": "{"}, roomcast.TokenKeyError, "JWK Set"),
        ({"jwks": {"keys": []}}, roomcast.TokenKeyError, "JWK Set"),
        ({"hs256": SECRET, "leeway_s": -1}, ValueError, "leeway_s is -1"),
    ],
)
def test_keys_of_no_use(keys: Any, error: Any, text: str) -> None:
    with pytest.raises(error, match=text) as raised:
        Jwt(**keys)
    if isinstance(raised.value, OSError):
        assert raised.value.errno == 2 and isinstance(raised.value, roomcast.RoomcastError)


def test_nothing_shows_a_key() -> None:
    for one in (KEYS, Auth(KEYS, cookie="c")):
        assert SECRET not in repr(one) + str(one)


@pytest.mark.parametrize("auth", [lambda text, now: None, SECRET, True])
def test_what_auth_may_be(roomcast_engine: Any, auth: Any) -> None:
    with pytest.raises(TypeError, match="auth is a Jwt or an Auth"):
        roomcast_engine(auth=auth)


# Time.


def test_a_token_that_expires_is_told_and_then_ends_it(house: House, roomcast_client: Any) -> None:
    auth = Auth(Jwt(hs256=SECRET, leeway_s=0), notice={"renew": True})
    engine: roomcast.Engine
    told: list[str] = []

    def make() -> Any:
        made, connections = house(auth, token_notice_ms=1_000)
        return made, connections

    engine, connections = make()
    client = roomcast_client(engine, f"/?token={token(life=3)}")
    assert client.receive_json() == {"renew": True}
    assert client.expect_close() == (4003, "token expired")
    until(lambda: not connections[0].is_open)
    assert connections[0].claims is not None, "known also when it has ended"
    assert engine.stats()["closed"]["token_expired"] == 1
    assert not told


async def test_on_expiring_may_refresh_in_place(roomcast_engine: Any, roomcast_client: Any) -> None:
    engine: roomcast.Engine = roomcast_engine(auth=KEYS, token_notice_ms=3_600_000)
    told: list[Any] = []
    engine.on_close(lambda conn, reason: told.append(reason.name))

    @engine.on_expiring
    async def expiring(connection: roomcast.Connection) -> None:
        told.append(connection.claims and connection.claims.token_id)
        for wrong, error in (
            ("garbage", roomcast.TokenInvalid),
            (token(life=-60), roomcast.TokenExpired),
        ):
            with pytest.raises(error):
                connection.refresh(wrong)
        connection.refresh(token(life=36_000, jti="two", rooms={"*": "join"}))

    async with engine:
        client = roomcast_client(engine, f"/?token={token(life=60, jti='one')}")
        assert await client.astatus() == 101
        await auntil(lambda: told)
        (connection,) = [engine.connection(number) for number in engine.connections()]
        assert connection is not None
        await auntil(lambda: connection.claims.token_id == "two", "no event tells of it")
        assert connection.may("join", "anywhere")
        assert told == ["one"]
    assert told == ["one", "stopping"]


def test_claims_are_the_newest_also_without_handlers_of_events(
    house: House, roomcast_client: Any
) -> None:
    engine, connections = house(Auth(KEYS, message="token "))
    client = roomcast_client(engine)
    client.send("token " + token(jti="one"))
    until(lambda: connections and connections[0].is_open)
    client.send("token " + token(jti="two", rooms={"a": "join"}))
    until(lambda: connections[0].may("join", "a"))
    claims = connections[0].claims
    assert claims is not None and claims.token_id == "two"
    client.send("token " + token("bob", jti="three"))
    until(lambda: engine.stats()["tokens_refused"] == 1, "its user stays")
    assert connections[0].claims == claims


def test_the_engine_refreshes_too_and_a_token_of_another_user_changes_nothing(
    house: House, roomcast_client: Any
) -> None:
    engine, connections = house()
    assert roomcast_client(engine, f"/?token={token(jti='1')}").status == 101
    until(lambda: engine.stats()["opened"] == 1)
    engine.refresh(connections[0].id, token("bob", jti="2"))
    until(lambda: engine.stats()["tokens_refused"] == 1)
    engine.refresh(connections[0], token("ada", jti="3"))
    until(lambda: connections[0].claims and connections[0].claims.token_id == "3")


# Revocation, and new keys.


def test_revoking(house: House, roomcast_client: Any) -> None:
    engine, connections = house()

    def connect(user: str, jti: str, at: int = 0) -> Any:
        client = roomcast_client(engine, f"/?token={token(user, jti=jti)}")
        return client

    clients = {jti: connect(user, jti) for user, jti in (("ada", "1"), ("ada", "2"), ("bob", "3"))}
    assert [client.status for client in clients.values()] == [101] * 3
    engine.revoke(token_id="1")
    assert clients["1"].expect_close()[0] == 4004
    assert connect("ada", "1").status == 401, "kept out"
    engine.revoke(connection=connections[1])
    assert clients["2"].expect_close()[0] == 4004
    again = connect("ada", "2")
    assert again.status == 101, "it may come back"
    engine.revoke(user="ada")
    assert again.expect_close()[0] == 4004
    assert connect("ada", "4").status == 401, "made by now"
    later = token("ada", iat=int(time.time()) + 2)
    assert roomcast_client(engine, f"/?token={later}").status == 101, "logged in again"
    engine.send_user("bob", "still here")
    assert clients["3"].receive() == "still here"
    with pytest.raises(roomcast.TokenRevoked):
        engine.refresh(connections[2], token("bob", jti="1"))


@pytest.mark.parametrize("whom", [{}, {"user": "a", "token_id": "b"}, {"user": None}])
def test_revoking_takes_one_of_three(roomcast_engine: Any, whom: Any) -> None:
    engine: roomcast.Engine = roomcast_engine()
    engine.start()
    with pytest.raises(TypeError, match="one of user, connection and token_id"):
        engine.revoke(**whom)


def test_without_auth_connections_are_revoked_all_the_same(
    roomcast_engine: Any, roomcast_client: Any
) -> None:
    engine: roomcast.Engine = roomcast_engine()
    reasons: list[roomcast.CloseReason] = []
    engine.on_connect(lambda conn: conn.accept(user=7))
    engine.on_close(lambda conn, reason: reasons.append(reason))
    engine.start()
    client = roomcast_client(engine)
    assert client.status == 101
    engine.revoke(user=7)
    assert client.expect_close()[0] == 4004
    until(lambda: reasons)
    assert (reasons[0].name, reasons[0].code) == ("revoked", 4004)


def test_new_keys_for_new_connections(house: House, roomcast_client: Any) -> None:
    engine, _ = house()
    old = roomcast_client(engine, f"/?token={token()}")
    assert old.status == 101
    new = "the secret of the year that follows."
    engine.reload_auth(Jwt(hs256=new))
    assert roomcast_client(engine, f"/?token={token()}").status == 401
    assert roomcast_client(engine, f"/?token={token(key=new)}").status == 101
    engine.send_all("hello")
    assert old.receive() == "hello", "what it has shown before still holds"


def test_an_engine_without_auth_has_nothing_to_reload(
    roomcast_engine: Any, roomcast_client: Any
) -> None:
    engine: roomcast.Engine = roomcast_engine()
    engine.on_message(lambda conn, data: conn.send("x"))
    engine.start()
    with pytest.raises(roomcast.ConfigError, match="Engine\\(auth="):
        engine.reload_auth(KEYS)
    assert roomcast_client(engine).status == 101
    with pytest.raises(roomcast.ConfigError):
        engine.refresh(engine.connections()[0], token())


def test_guessers_are_answered_with_429(roomcast_engine: Any, roomcast_client: Any) -> None:
    engine: roomcast.Engine = roomcast_engine("127.0.0.1:0", auth=KEYS, token_failures_max=3)
    engine.start()
    found = [
        roomcast_client(engine, f"/?token=guess{number}", loopback=True).status
        for number in range(5)
    ]
    assert found == [401, 401, 401, 429, 429]
    # Not even a good one is read from there.
    assert roomcast_client(engine, f"/?token={token()}", loopback=True).status == 429


# A host that finds out by itself.


async def test_claims_in_a_tokens_place(roomcast_engine: Any, roomcast_client: Any) -> None:
    engine: roomcast.Engine = roomcast_engine(token_notice_ms=3_600_000)
    told: list[str] = []

    @engine.on_connect
    async def connect(connection: roomcast.Connection) -> None:
        ends = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=2.5)
        connection.accept(claims=Claims(
            "ada", expires_at=ends, token_id="s-1", rooms={"team:*": "join publish"}
        ))

    @engine.on_open
    def opened(connection: roomcast.Connection) -> None:
        assert connection.may("publish", "team:7") and not connection.may("publish", "x")
        told.append(f"{connection.user} opened")

    engine.on_expiring(lambda conn: told.append(f"{conn.user} expires"))
    async with engine:
        client = roomcast_client(engine)
        assert await client.aexpect_close(20) == (4003, "token expired")
    assert told == ["ada opened", "ada expires"]


def test_claims_are_values() -> None:
    made = Claims(7, expires_at=10.2, issued_at=9.8, token_id="t", info=[1, "ä"])
    assert (made.user, made.expires_at, made.issued_at) == ("7", 11, 9)
    assert made.info == [1, "ä"] and made == Claims(
        "7", expires_at=11, issued_at=9, token_id="t", info=[1, "ä"]
    )
    assert made != Claims() and Claims().expires_at is None and Claims().info is None
    assert repr(Claims("ada", token_id="t")) == "Claims(user='ada', token_id='t')"
    moment = datetime.datetime(2030, 1, 1, tzinfo=datetime.UTC)
    assert Claims(expires_at=moment).expires_at == 1_893_456_000
    some = Claims(rooms={"a": "join", "b*": ["join", "publish"], "c": "join  presence", "d": ""})
    assert some.may("join", "a") and some.may("publish", "bc") and some.may("presence", "c")
    assert not some.may("publish", "a") and not some.may("join", "d")


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        ({"expires_at": -1}, ValueError),
        ({"expires_at": float("nan")}, ValueError),
        ({"expires_at": "tomorrow"}, TypeError),
        ({"rooms": ["a"]}, TypeError),
        ({"rooms": {"a": "fly"}}, ValueError),
        ({"rooms": {"a": 7}}, TypeError),
        ({"info": object()}, TypeError),
        ({"user": 1.5}, TypeError),
    ],
)
def test_claims_that_make_no_sense(settings: Any, error: Any) -> None:
    with pytest.raises(error):
        Claims(**settings)
    with pytest.raises(ValueError, match='"join", "publish", "presence"'):
        Claims().may("fly", "a")  # type: ignore[arg-type]


# Other ways in.


def test_an_upgrade_of_the_hosts_own_server_needs_a_token_too(house: House) -> None:
    engine, _ = house()
    opened: list[roomcast.Connection] = []
    fields = [
        ("Host", "h"), ("Upgrade", "websocket"), ("Connection", "upgrade"),
        ("Sec-WebSocket-Version", "13"), ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ]
    with pytest.raises(roomcast.NotUpgrade) as error:
        engine.upgrade("GET", "/", fields)
    assert error.value.http_status == 401
    upgrade = engine.upgrade("GET", f"/?token={token(rooms={'a': 'join'})}", fields)
    assert upgrade.claims is not None and upgrade.claims.user == "ada"
    assert upgrade.claims.may("join", "a")
    upgrade.accept(rooms="a")
    assert upgrade.response.startswith(b"HTTP/1.1 101 ")
    ours, theirs = socket.socketpair()
    with ours:
        upgrade.adopt(theirs)
        until(lambda: engine.rooms() == {"a": 1})
        engine.send_user("ada", "hello")
        ours.settimeout(20)
        assert ours.recv(100) == b"\x81\x05hello"
        assert not opened


def test_pulled_events_tell_of_claims_and_of_their_end(
    roomcast_engine: Any, roomcast_client: Any
) -> None:
    engine: roomcast.Engine = roomcast_engine(auth=KEYS, pull=True, token_notice_ms=3_600_000)
    engine.start()
    client = roomcast_client(engine, f"/?token={token('ada', jti='1')}")
    events = engine.events()
    connect = next(events)
    assert connect.kind == "connect" and connect.connection.claims.user == "ada"
    connect.connection.accept()
    told = {next(events).kind, next(events).kind}
    assert told == {"open", "expiring"}
    assert client.status == 101
    connect.connection.refresh(token("ada", jti="2", life=None))
    until(lambda: connect.connection.claims.token_id == "2")
    client.drop()
    assert next(events).kind == "close"
    assert connect.connection.claims.token_id == "2"
