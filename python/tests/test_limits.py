"""What a host sets for its peers: connections of a user, and how fast they speak."""

from __future__ import annotations

from typing import Any

import roomcast
from conftest import until


def test_one_too_many_of_a_user_is_429(roomcast_engine: Any, roomcast_client: Any) -> None:
    engine: roomcast.Engine = roomcast_engine(user_connections_max=2)
    engine.on_connect(lambda conn: conn.accept(user=conn.query.get("user")))
    engine.start()
    ada = [roomcast_client(engine, "/?user=ada") for _ in range(2)]
    assert [client.status for client in ada] == [101, 101]
    assert roomcast_client(engine, "/?user=ada").status == 429
    assert roomcast_client(engine, "/?user=bob").status == 101
    assert engine.stats()["rejected_user"] == 1


def test_more_than_the_rate_is_dropped(roomcast_engine: Any, roomcast_client: Any) -> None:
    engine: roomcast.Engine = roomcast_engine(message_rate_max=1, message_burst_max=2)
    heard: list[str] = []
    engine.on_message(lambda conn, data: heard.append(data))
    engine.start()
    client = roomcast_client(engine)
    for text in "abcde":
        client.send(text)
    until(lambda: engine.stats()["messages_refused"] == 3)
    until(lambda: heard == ["a", "b"])


def test_or_closes_with_1008(roomcast_engine: Any, roomcast_client: Any) -> None:
    engine: roomcast.Engine = roomcast_engine(message_rate_max=1, message_rate_policy="close")
    reasons: list[roomcast.CloseReason] = []
    engine.on_close(lambda conn, reason: reasons.append(reason))
    engine.start()
    client = roomcast_client(engine)
    for text in "abc":
        client.send(text)
    assert client.expect_close() == (1008, "message_rate_max")
    until(lambda: len(reasons) == 1)
    assert (reasons[0].name, reasons[0].code, reasons[0].text) == (
        "limit",
        1008,
        "message_rate_max",
    )
