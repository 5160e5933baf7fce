"""Who is in a room: counted, listed page by page, and told to its members."""

from __future__ import annotations

import json
from typing import Any

import pytest
from conftest import until
from tokens import SECRET, token

import roomcast
from roomcast import RoomOptions

KNOWN = {"team:": RoomOptions(presence=True)}
TOLD = {"team:": RoomOptions(presence=True, presence_interval_ms=20)}


def serve(engine: roomcast.Engine) -> None:
    """Peers are whom their query says, with an info of that."""

    @engine.on_connect
    def connect(connection: roomcast.Connection) -> None:
        user = connection.query.get("user")
        info = {"name": user.title()} if user else None
        connection.accept(user=user, rooms=["team:7", "hall"], info=info)

    engine.start()


def test_counts_and_members(roomcast_engine: Any, roomcast_client: Any) -> None:
    engine: roomcast.Engine = roomcast_engine(room_options=KNOWN)
    serve(engine)
    assert engine.presence("team:7") == engine.presence("team:8")
    assert engine.presence("team:7").users == 0 and engine.presence("hall").users is None
    clients = [
        roomcast_client(engine, path)
        for path in ("/?user=ada", "/?user=bob", "/?user=ada", "/")
    ]
    assert [client.status for client in clients] == [101] * 4
    presence = engine.presence("team:7")
    assert (presence.members, presence.users) == (4, 2)
    assert repr(presence) == "Presence(members=4, users=2)"
    assert repr(engine.presence("hall")) == "Presence(members=4)"
    page = engine.present("team:7")
    assert [(one.user, one.info) for one in page.present] == [
        ("ada", {"name": "Ada"}), ("bob", {"name": "Bob"}), ("ada", {"name": "Ada"}), (None, None),
    ]
    assert page.next is None
    assert sorted(one.id for one in page.present) == sorted(engine.members("team:7"))
    room = engine.room("team:7")
    assert room.presence == presence and room.present() == page
    assert engine.present("hall").present == [] == list(engine.iter_present("nowhere"))


def test_pages(roomcast_engine: Any, roomcast_client: Any) -> None:
    engine: roomcast.Engine = roomcast_engine(room_options=KNOWN, presence_page_max=3)
    serve(engine)
    for number in range(8):
        assert roomcast_client(engine, f"/?user=u{number}").status == 101
    users = [f"u{number}" for number in range(8)]
    assert [one.user for one in engine.iter_present("team:7")] == users
    page = engine.present("team:7", limit=2)
    assert [one.user for one in page.present] == users[:2] and page.next is not None
    page = engine.present("team:7", page.next, 100)
    assert [one.user for one in page.present] == users[2:5], "no more than presence_page_max"
    assert engine.room("team:7").present(page.next).present[0].user == "u5"


def test_members_are_told_who_came_and_who_went(
    roomcast_engine: Any, roomcast_client: Any
) -> None:
    engine: roomcast.Engine = roomcast_engine(room_options=TOLD)
    serve(engine)
    ada = roomcast_client(engine, "/?user=ada")
    (ident,) = engine.connections()
    assert json.loads(ada.receive()) == {"presence": {
        "room": "team:7", "members": 1, "users": 1,
        "came": [{"id": str(ident), "user": "ada", "info": {"name": "Ada"}}], "came_count": 1,
        "gone": [], "gone_count": 0,
    }}
    bob = roomcast_client(engine, "/?user=bob")
    notice = ada.receive_json()["presence"]
    assert [one["user"] for one in notice["came"]] == ["bob"] and notice["members"] == 2
    assert bob.receive_json()["presence"] == notice
    bob.drop()
    notice = ada.receive_json()["presence"]
    assert [one["user"] for one in notice["gone"]] == ["bob"] and notice["members"] == 1
    assert engine.stats()["presence_notices"] == 3


def test_a_token_may_say_what_others_are_told(roomcast_engine: Any, roomcast_client: Any) -> None:
    engine: roomcast.Engine = roomcast_engine(
        room_options=KNOWN, auth=roomcast.Jwt(hs256=SECRET)
    )

    @engine.on_connect
    def connect(connection: roomcast.Connection) -> None:
        own = {"/own": {"info": ["host"]}, "/claims": {"claims": roomcast.Claims("c", info=1)}}
        connection.accept(rooms=["team:7"], **own.get(connection.path, {}))

    engine.start()
    for path in ("/", "/own", "/claims"):
        text = token("ada", info={"color": "teal"})
        assert roomcast_client(engine, f"{path}?token={text}").status == 101
    found = [(one.user, one.info) for one in engine.iter_present("team:7")]
    assert found == [("ada", {"color": "teal"}), ("ada", ["host"]), ("c", 1)]


def test_members_leave(roomcast_engine: Any, roomcast_client: Any) -> None:
    engine: roomcast.Engine = roomcast_engine(room_options=KNOWN)
    serve(engine)
    clients = [roomcast_client(engine, f"/?user={user}") for user in ("ada", "bob")]
    assert [client.status for client in clients] == [101, 101]
    first = next(engine.iter_present("team:7"))
    engine.leave(first.id, "team:7")
    until(lambda: engine.presence("team:7").members == 1)
    assert [one.user for one in engine.iter_present("team:7")] == ["bob"]


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"presence_interval_ms": 1}, roomcast.ConfigError),
        ({"presence": True, "presence_interval_ms": 3_600_001}, roomcast.ConfigError),
        ({"presence_interval_ms": -1}, ValueError),
        ({"presence_interval_ms": None}, TypeError),
    ],
)
def test_what_the_options_may_be(roomcast_engine: Any, options: Any, error: Any) -> None:
    with pytest.raises(error, match="presence_interval_ms"):
        roomcast_engine(room_options={"team:": RoomOptions(**options)})


def test_options_are_values() -> None:
    options = RoomOptions(presence=True, presence_interval_ms=50)
    assert (options.presence, options.presence_interval_ms) == (True, 50)
    assert options != RoomOptions() and "presence_interval_ms=50" in repr(options)
    assert "presence" not in repr(RoomOptions())


def test_an_info_that_is_no_json_is_a_type_error(
    roomcast_engine: Any, roomcast_client: Any
) -> None:
    engine: roomcast.Engine = roomcast_engine()
    raised: list[Exception] = []

    @engine.on_connect
    def connect(connection: roomcast.Connection) -> None:
        try:
            connection.accept(info={1, 2})
        except TypeError as error:
            raised.append(error)
        connection.refuse(400)

    engine.start()
    assert roomcast_client(engine).status == 400
    assert raised, "and the verdict was still open"
