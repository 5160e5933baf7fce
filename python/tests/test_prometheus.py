"""The figures as Prometheus reads them."""

from __future__ import annotations

from typing import Any

import pytest
from conftest import until
from prometheus_client import CollectorRegistry, generate_latest

import roomcast
from roomcast.prometheus import _COUNTERS, _GAUGES, _NESTED, Collector


def scraped(collector: Collector) -> dict[str, float]:
    registry = CollectorRegistry()
    registry.register(collector)
    lines = generate_latest(registry).decode().splitlines()
    pairs = (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    return {name: float(value) for name, value in pairs}


def test_every_figure_is_known(roomcast_engine: Any) -> None:
    engine: roomcast.Engine = roomcast_engine()
    engine.start()
    assert set(engine.stats()) == {*_GAUGES, *_COUNTERS, *_NESTED}


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
