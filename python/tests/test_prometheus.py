"""The figures as Prometheus reads them."""

from __future__ import annotations

from typing import Any

import pytest
from conftest import until
from prometheus_client import CollectorRegistry, generate_latest

import roomcast
from roomcast.prometheus import _COUNTERS, _GAUGES, _NESTED, Collector, _estimated, _reason


def scraped(collector: Collector) -> dict[str, float]:
    registry = CollectorRegistry()
    registry.register(collector)
    lines = generate_latest(registry).decode().splitlines()
    pairs = (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    return {name: float(value) for name, value in pairs}


def test_every_figure_is_known(roomcast_engine: Any) -> None:
    engine: roomcast.Engine = roomcast_engine()
    engine.start()
    stats = engine.stats()
    assert {name for name in stats if not _reason(name)} == {*_GAUGES, *_COUNTERS, *_NESTED}
    assert {"full", "address", "user", "origin", "memory"} < {_reason(name) for name in stats}
    for shard in stats["shards"]:
        assert set(shard) == {name for name, value in stats.items() if isinstance(value, int)}


def test_figures(roomcast_engine: Any, roomcast_client: Any) -> None:
    engine: roomcast.Engine = roomcast_engine()
    engine.on_connect(lambda conn: conn.accept(rooms=["x"]))
    engine.start()
    collector = Collector(engine)
    client = roomcast_client(engine)
    assert client.status == 101
    engine.publish("x", "hello")
    assert client.receive() == "hello"
    client.close(1000)
    assert client.expect_close()[0] == 1000
    until(lambda: engine.stats()["connections"] == 0)

    found = scraped(collector)
    assert found["roomcast_connections"] == 0
    assert found["roomcast_opened_total"] == 1
    assert found["roomcast_publications_total"] == 1
    assert found['roomcast_closed_total{reason="peer"}'] == 1
    assert found['roomcast_turn_quantile_seconds{quantile="0.99"}'] > 0
    buckets = [v for name, v in found.items() if name.startswith("roomcast_turn_seconds_bucket")]
    assert buckets == sorted(buckets)
    assert buckets[-1] > 0

    names = {name.split("{")[0] for name in found if "_quantile_" not in name}
    lines = (line for line in engine.metrics().splitlines() if not line.startswith("#"))
    own = {line.split("{")[0].split(" ")[0] for line in lines}
    assert own == names


def test_names_of_other_servers(roomcast_engine: Any, roomcast_client: Any) -> None:
    engine: roomcast.Engine = roomcast_engine(websocket_metrics=True)
    engine.on_connect(lambda conn: conn.accept(rooms=["x"]))
    engine.start()
    client = roomcast_client(engine)
    assert client.status == 101
    engine.publish("x", "hello")
    assert client.receive() == "hello"
    until(lambda: engine.stats()["publish_to_flush"]["count"] == 1)
    found = scraped(Collector(engine))
    lines = (line.rsplit(" ", 1) for line in engine.metrics().splitlines() if line[0] != "#")
    own = {name: float(value) for name, value in lines if name.startswith("websocket_")}
    assert {name: found[name] for name in own if "{le=" not in name} == {
        name: value for name, value in own.items() if "{le=" not in name
    }
    assert own["websocket_connections_total"] == 1
    assert own['websocket_messages_total{event_type="publish"}'] == 1
    buckets = [v for name, v in found.items() if name.startswith("websocket_message_duration")]
    assert len(buckets) >= 12


def test_counts_inside_a_bucket_are_estimated() -> None:
    ms = 1_000_000
    counts = dict(_estimated([(1 << 20, 100), (3 << 19, 100)], [ms // 2, ms, 2 * ms]))
    assert (counts["0.0005"], counts["0.002"], counts["+Inf"]) == (0, 200, 200)
    assert 50 < counts["0.001"] < 100


def test_several_engines_have_names(roomcast_engine: Any) -> None:
    chat, feed = roomcast_engine(), roomcast_engine()
    chat.start()
    feed.start()
    found = scraped(Collector(chat=chat, feed=feed))
    assert found['roomcast_connections{engine="chat"}'] == 0
    assert found['roomcast_closed_total{engine="feed",reason="peer"}'] == 0


def test_an_engine_that_does_not_run_has_no_figures(roomcast_engine: Any) -> None:
    assert scraped(Collector(roomcast_engine())) == {}


def test_one_or_several() -> None:
    with pytest.raises(TypeError):
        Collector()
