"""The engine's figures for `prometheus_client`.

Stage: integration, above the engine's public API. In come snapshots of `engine.stats()`, one for
each scrape; out go metric families named `roomcast_...`. Runs on the thread that scrapes.

    prometheus_client.REGISTRY.register(roomcast.prometheus.Collector(engine))
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

try:
    from prometheus_client.core import (
        CounterMetricFamily,
        GaugeMetricFamily,
        HistogramMetricFamily,
        Metric,
    )
    from prometheus_client.registry import Collector as _Base
except ImportError as error:
    raise ImportError(
        "roomcast.prometheus needs prometheus_client: pip install prometheus-client"
    ) from error

from roomcast import RoomcastError

if TYPE_CHECKING:
    from roomcast import Engine

__all__ = ["Collector"]

_GAUGES = {
    "connections": "Connections now, handshakes included.",
    "rooms": "Rooms that exist.",
    "tape_bytes": "Bytes that rooms keep now for members who have not got them yet.",
    "outbox_bytes": "Bytes that wait for single connections now.",
    "inbox_bytes": "Bytes of commands that wait for shards now.",
    "event_bytes": "Bytes of events that wait for the host.",
    "history_bytes": "Bytes of the histories of rooms.",
    "assembly_bytes": "Bytes of messages of peers that have not arrived whole.",
    "memory_bytes": "Bytes that memory_bytes_max is for.",
    "memory_widen": "Shards that save memory by wider flush intervals.",
    "memory_volatile_off": "Shards that send volatile members nothing, to save memory.",
    "memory_short_tapes": "Shards whose tapes are shorter, to save memory.",
    "memory_no_connections": "Shards that turn new connections away, to save memory.",
    "memory_full": "Shards that take no publications: memory_bytes_max is used up.",
    "interval_steps": "Steps by which flush intervals are widened now, of all shards together.",
    "connection_bytes": "Bytes of the tables that hold connections now.",
    "tls_connections": "TLS connections now, handshakes included.",
}
_COUNTERS = {
    "accepted": "Sockets accepted or adopted.",
    "opened": "WebSockets opened.",
    "rejected_http": "Requests answered with an error status, for whichever reason.",
    "accept_exhausted": "Times that the process had no file descriptor for a connection.",
    "accept_paused": "Times that accepting was put off because of handshakes_max.",
    "accept_paced": "Times that accepting was put off because of accept_rate_max.",
    "messages_in": "Messages received.",
    "messages_refused": "Messages, pings and pongs beyond message_rate_max.",
    "violations_frame": "Peers closed with 1002: a frame that the protocol does not allow.",
    "violations_text": "Peers closed with 1007: text that is not UTF-8.",
    "violations_deflate": "Peers closed with 1007: a compressed message that does not inflate.",
    "violations_size": "Peers closed with 1009: a message larger than message_bytes_max.",
    "violations_fragments": "Peers closed with 1009: more than message_fragments_max fragments.",
    "pings_in": "Pings of peers.",
    "pongs_dropped": "Pongs dropped because their peer does not read.",
    "bytes_in": "Bytes read from sockets.",
    "bytes_out": "Bytes written to sockets.",
    "publications": "Publications handed to delivery groups.",
    "sends": "Messages sent to single connections, users or all.",
    "deliveries": "Frames written, one for each publication and member, or private message.",
    "writes": "Writes to sockets.",
    "deflated": "Messages compressed, once for all peers with the same window.",
    "deflate_bytes_in": "Payload bytes of compressed messages before.",
    "deflate_bytes_out": "Payload bytes of compressed messages after.",
    "deflate_passed": "Publications that went as they are: those of their room do not shrink.",
    "deflate_switched_off": "Times that a room's publications were found not to shrink.",
    "inflated": "Messages of peers inflated.",
    "inflate_bytes_in": "Payload bytes of inflated messages before.",
    "inflate_bytes_out": "Payload bytes of inflated messages after.",
    "intake_paused": "Times that reading went on in the next turn.",
    "joins": "Memberships that began.",
    "joins_refused": "Joins without effect because of connection_rooms_max.",
    "joins_refused_filters": "Joins without effect because of a limit on filters.",
    "watches_refused": "Keys not watched because of connection_keys_max.",
    "leaves": "Memberships that ended.",
    "filtered": "Publications times members that were not sent them, by filters or keys.",
    "filters_asked": "Times that a filter decided.",
    "conflated": "Publications that a newer one of their key took the place of in an interval.",
    "lagged": "Publications that slow members were not sent, each told to the host.",
    "replaced": "Those of them whose key has newer news for the member.",
    "replayed": "Publications that slow members were sent from the history of their room.",
    "volatile_dropped": "Publications that volatile members were not sent.",
    "too_slow": "Connections given up as too slow.",
    "memory_cut": "Connections closed in the middle of a message: memory_bytes_max is used up.",
    "memory_rungs_entered": "Times that a shard went up the ladder of saving memory.",
    "memory_rungs_left": "Times that a shard went down the ladder of saving memory.",
    "intervals_widened": "Times that flush intervals were widened by a step.",
    "intervals_narrowed": "Times that flush intervals were narrowed by a step.",
    "reports_dropped": "Reports of tracked publications that were dropped because of events_max.",
    "turns": "Turns of the shards.",
    "reads_paused": "Reads put off because the host or the peer did not take its data.",
    "errors": "Failures inside; the log says which.",
    "refused": "Publications and messages that were refused.",
    "tls_handshakes": "TLS handshakes that were completed.",
    "tls_resumed": "TLS handshakes that went on with an earlier session.",
    "tls_failed": "TLS connections that ended because of what the peer sent.",
    "tls_put_off": "Times that a TLS handshake was put off to the next turn.",
    "tokens_accepted": "Tokens that were found valid.",
    "tokens_refused": "Tokens that were not.",
    "permissions_granted": "What peers asked for in rooms and was allowed.",
    "permissions_denied": "What peers asked for in rooms and was not allowed.",
    "presence_notices": "Notices of who came and who went.",
    "presence_passed": "Intervals that ended without a notice: the room is too large.",
}
_DURATIONS = {
    "turn": "How long turns of the shards took, without the wait",
    "turn_lag": "From publish until a turn of its shard took the publication from the inbox",
    "publish_to_flush": "From publish until the members in step had been offered the publication",
    "publish_to_flush_small": "The same, of rooms with at most 64 members on their shard",
}
_QUANTILES = {"0.5": "p50_ns", "0.9": "p90_ns", "0.99": "p99_ns", "1": "max_ns"}
# Powers of two, 2 us to 1 s: bounds of the engine's own buckets, so that none is cut.
_BOUNDS_NS = [1 << power for power in range(11, 31)]
# What is shown in seconds for each shard, and what else is shown of each.
_SECONDS = {
    "busy": "Seconds in which shards were in a turn, without the wait.",
    "cpu": "Seconds of CPU that the shards' own threads took.",
    "deflate": "Seconds that compressing took.",
}
_OF_SHARDS = ("connections", "messages_in", "publications", "deliveries", "bytes_out")
# What has a family of its own form, or none; and what begins with `rejected_`, but `rejected_http`.
_NESTED = {"closed", "shards", *_DURATIONS, *(f"{name}_ns" for name in _SECONDS)}
# Names of other servers: the bounds of their histogram, in nanoseconds.
_OTHER_BOUNDS_NS = [ms * 1_000_000 for ms in (1, 5, 10, 25, 50, 100, 250, 500, 1_000)]


class Collector(_Base):
    """Reads `engine.stats()` at each scrape.

    `Collector(engine)` for one engine; `Collector(chat=engine, feed=other)` for several, told
    apart by the label `engine`. An engine that does not run has no figures. Each process has
    figures of its own: `prometheus_client`'s multi-process mode does not join collectors.
    """

    def __init__(self, engine: Engine | None = None, /, **named: Engine) -> None:
        if (engine is None) == (not named):
            raise TypeError("Collector takes one engine, or several by name")
        self._engines: dict[tuple[str, ...], Engine] = (
            {(name,): one for name, one in named.items()} if engine is None else {(): engine}
        )
        self._labels = ["engine"] if named else []

    def collect(self) -> Iterable[Metric]:
        """Families for the registry."""
        found = {
            label: stats
            for label, engine in self._engines.items()
            if (stats := _stats(engine)) is not None
        }
        if found:
            yield from self._figures(found)
            yield self._closed(found)
            yield self._rejected(found)
            yield from self._shards(found)
            for name, text in _DURATIONS.items():
                yield from self._durations(name, text, found)
            named = {
                label: found[label]
                for label, engine in self._engines.items()
                if label in found and engine._websocket_metrics
            }
            if named:
                yield from self._other_names(named)

    def _figures(self, found: Mapping[tuple[str, ...], Mapping[str, Any]]) -> Iterator[Metric]:
        names = dict.fromkeys(name for stats in found.values() for name in stats)
        for name in names:
            if name in _NESTED or _reason(name):
                continue
            # A figure that is newer than these lists is a gauge, which may do anything.
            kind = CounterMetricFamily if name in _COUNTERS else GaugeMetricFamily
            text = _COUNTERS.get(name) or _GAUGES.get(name, name)
            family = kind(f"roomcast_{name}", text, labels=self._labels)
            for label, stats in found.items():
                family.add_metric(label, stats[name])
            yield family

    def _closed(self, found: Mapping[tuple[str, ...], Mapping[str, Any]]) -> Metric:
        family = CounterMetricFamily(
            "roomcast_closed", "Connections that ended.", labels=[*self._labels, "reason"]
        )
        for label, stats in found.items():
            for reason, count in stats["closed"].items():
                family.add_metric([*label, reason], count)
        return family

    def _rejected(self, found: Mapping[tuple[str, ...], Mapping[str, Any]]) -> Metric:
        family = CounterMetricFamily(
            "roomcast_rejected",
            "Connections turned away, each under one reason.",
            labels=[*self._labels, "reason"],
        )
        for label, stats in found.items():
            for name, count in stats.items():
                if reason := _reason(name):
                    family.add_metric([*label, reason], count)
        return family

    def _shards(self, found: Mapping[tuple[str, ...], Mapping[str, Any]]) -> Iterator[Metric]:
        labels = [*self._labels, "shard"]
        for name, text in _SECONDS.items():
            family = CounterMetricFamily(f"roomcast_{name}_seconds", text, labels=labels)
            for label, stats in found.items():
                for shard, one in enumerate(stats["shards"]):
                    family.add_metric([*label, str(shard)], one[f"{name}_ns"] / 1e9)
            yield family
        for name in _OF_SHARDS:
            kind = CounterMetricFamily if name in _COUNTERS else GaugeMetricFamily
            text = _COUNTERS.get(name) or _GAUGES[name]
            figures = kind(f"roomcast_shard_{name}", text, labels=labels)
            for label, stats in found.items():
                for shard, one in enumerate(stats["shards"]):
                    figures.add_metric([*label, str(shard)], one[name])
            yield figures

    def _other_names(self, found: Mapping[tuple[str, ...], Mapping[str, Any]]) -> Iterator[Metric]:
        connections = GaugeMetricFamily(
            "websocket_connections_total", "Connections now.", labels=self._labels
        )
        messages = CounterMetricFamily(
            "websocket_messages",
            "Messages by what was done with them.",
            labels=[*self._labels, "event_type"],
        )
        took = HistogramMetricFamily(
            "websocket_message_duration_seconds",
            "From publish until the members in step had been offered it.",
            labels=self._labels,
        )
        types = {
            "in": "messages_in",
            "out": "deliveries",
            "publish": "publications",
            "send": "sends",
        }
        for label, stats in found.items():
            connections.add_metric(label, stats["connections"])
            for event_type, name in types.items():
                messages.add_metric([*label, event_type], stats[name])
            durations = stats["publish_to_flush"]
            counts = _estimated(durations["buckets"], _OTHER_BOUNDS_NS)
            took.add_metric(label, counts, sum_value=durations["sum_ns"] / 1e9)
        yield connections
        yield messages
        yield took

    def _durations(
        self, name: str, text: str, found: Mapping[tuple[str, ...], Mapping[str, Any]]
    ) -> Iterator[Metric]:
        histogram = HistogramMetricFamily(
            f"roomcast_{name}_seconds", f"{text}.", labels=self._labels
        )
        quantiles = GaugeMetricFamily(
            f"roomcast_{name}_quantile_seconds",
            f"{text}: upper bounds of quantiles since the start.",
            labels=[*self._labels, "quantile"],
        )
        for label, stats in found.items():
            durations = stats[name]
            histogram.add_metric(label, _cumulated(durations), sum_value=durations["sum_ns"] / 1e9)
            for quantile, key in _QUANTILES.items():
                quantiles.add_metric([*label, quantile], durations[key] / 1e9)
        yield histogram
        yield quantiles


def _reason(name: str) -> str:
    """The reason for which connections are turned away that a figure counts, if it is one."""
    is_reason = name.startswith("rejected_") and name not in _COUNTERS
    return name.removeprefix("rejected_") if is_reason else ""


def _estimated(buckets: list[tuple[int, int]], bounds: list[int]) -> list[tuple[str, float]]:
    """How many are at most so long; inside a bucket of the engine's they are taken as even."""
    counts: list[tuple[str, float]] = []
    for bound in bounds:
        below = 0.0
        for upper, count in buckets:
            # The engine's bounds are powers of two, and halfway between.
            lower = upper * 3 // 4 if upper & (upper - 1) == 0 else upper * 2 // 3
            share = (bound - lower) / (upper - lower)
            below += count * min(max(share, 0.0), 1.0)
        counts.append((f"{bound / 1e9:g}", float(int(below))))
    return [*counts, ("+Inf", float(sum(count for _, count in buckets)))]


def _cumulated(durations: Mapping[str, Any]) -> list[tuple[str, float]]:
    counts: list[tuple[int, int]] = durations["buckets"]
    found = [
        (str(bound / 1e9), float(sum(count for upper, count in counts if upper <= bound)))
        for bound in _BOUNDS_NS
    ]
    return [*found, ("+Inf", float(sum(count for _, count in counts)))]


def _stats(engine: Engine) -> Mapping[str, Any] | None:
    try:
        return engine.stats() if engine.is_running else None
    except RoomcastError:
        # It stopped between the question and the answer.
        return None
