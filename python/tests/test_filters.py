"""Filters as values: texts, builders, what they match, and what is refused."""

from __future__ import annotations

import pathlib
import tempfile
from collections.abc import Callable
from types import MappingProxyType
from typing import Any, get_args

import pytest

import roomcast
from roomcast import Field, Filter, Join, ListenOptions, RoomOptions


@pytest.mark.parametrize(
    ("built", "text"),
    [
        (Filter.eq("side", "bid"), "tags.side == 'bid'"),
        (Filter.neq("side", "bid"), "tags.side != 'bid'"),
        (Filter.one_of("side", ["bid", "ask"]), 'tags.side in ["ask", "bid"]'),
        (Filter.one_of("side", "bid"), "tags.side == 'bid'"),
        (Filter.none_of("side", ("bid", "ask")), '!(tags.side in ["ask", "bid"])'),
        (Filter.exists("side"), "has(tags.side)"),
        (Filter.missing("side"), "!has(tags.side)"),
        (Filter.starts_with("a b", "x"), 'tags["a b"].startsWith("x")'),
        (Filter.ends_with(Field.KEY, "x"), 'key.endsWith("x")'),
        (Filter.contains(Field.EVENT, "ä"), 'event.contains("ä")'),
        (Filter.gt("price", 100), "double(tags.price) > 100.0"),
        (Filter.gte("price", 100.5), "double(tags.price) >= 100.5"),
        (Filter.lt("price", -1), "double(tags.price) < -1.0"),
        (Filter.lte("price", 0), "double(tags.price) <= 0.0"),
        (Filter.eq("a", "1") & Filter.eq("b", "2"), "tags.a == '1' && tags.b == '2'"),
        (Filter.eq("a", "1") | Filter.eq("b", "2"), "tags.a == '1' || tags.b == '2'"),
        (~Filter.exists(Field.EVENT), "!has(publication.event)"),
        (Filter.eq("a", "1") & "tags.b == '2'", "tags.a == '1' && tags.b == '2'"),
        ("tags.b == '2'" | Filter.eq("a", "1"), "tags.a == '1' || tags.b == '2'"),
        (Filter.all(["tags.a == '1'", Filter.eq("b", "2")]), "tags.a == '1' && tags.b == '2'"),
        (Filter.any([Filter.eq("a", "1")]), "tags.a == '1'"),
        (Filter.all("tags.a == '1'"), "tags.a == '1'"),
        (Filter.all([]), "true"),
        (Filter.any([]), "false"),
    ],
)
def test_a_builder_and_its_text_are_one_filter(built: Filter, text: str) -> None:
    written = Filter(text)
    assert built == written and hash(built) == hash(written) and str(built) == str(written)
    assert Filter(str(built)) == built, "its own text reads as itself"
    assert eval(repr(built), {"Filter": Filter}) == built
    assert built != Filter("tags.other == 'x'") and built != text


def test_what_matches() -> None:
    bids = Filter("tags.side == 'bid' && double(tags.price) >= 100.0")
    assert bids.matches(tags={"side": "bid", "price": "100.5"})
    assert bids.matches(tags=[("side", "bid"), ("price", "100"), ("side", "ask")])
    assert bids.matches(tags=MappingProxyType({"side": "bid", "price": "1e3"}))
    assert bids.matches(tags=(pair for pair in (("side", "bid"), ("price", "100"))))
    assert not bids.matches(tags={"side": "bid", "price": "cheap"})
    assert not bids.matches() and not (~bids).matches(), "unknown in either polarity"
    named = Filter.eq(Field.EVENT, "trade") & Filter.eq(Field.KEY, "BTC")
    assert named.matches(event="trade", key="BTC") and not named.matches(event="trade")


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("", 0),
        ("tags.side", 0),
        ("tags.price > 100", 0),
        ("tags.a == 'x' and tags.b == 'y'", 14),
        ("tags.a == 'ä' &", 15),
        ("tags.a == 'x", 12),
    ],
)
def test_a_wrong_text_names_its_byte(text: str, at: int) -> None:
    with pytest.raises(roomcast.FilterError, match=f"at byte {at} of the filter") as wrong:
        Filter(text)
    assert wrong.value.at == at and wrong.value.status == 15
    assert isinstance(wrong.value, ValueError) and isinstance(wrong.value, roomcast.RoomcastError)
    with pytest.raises(roomcast.FilterError):
        Join(filter=text)


def test_what_no_engine_would_take_is_refused_where_it_is_made() -> None:
    many = Filter.any([Filter.eq("a", str(n)) & Filter.exists(str(n)) for n in range(80)])
    with pytest.raises(roomcast.FilterError, match="too large") as wrong:
        many & Filter.any([Filter.eq("b", str(n)) & Filter.exists(str(n)) for n in range(80)])
    assert wrong.value.at is None
    with pytest.raises(roomcast.FilterError, match="infinite or NaN"):
        Filter.gt("a", float("nan"))
    with pytest.raises(roomcast.FilterError, match="nested too deeply"):
        Filter("(" * 100 + "true" + ")" * 100)


WRONG: list[tuple[str, type[Exception], str, Callable[[], object]]] = [
    ("field", TypeError, "tag's name", lambda: Filter.eq(1, "x")),  # type: ignore[arg-type]
    ("value", TypeError, "str", lambda: Filter.eq("x", 1)),  # type: ignore[arg-type]
    (
        "operand",
        TypeError,
        "unsupported operand",
        lambda: Filter.exists("x") & 1,  # type: ignore[operator]
    ),
    ("and", TypeError, "&, | and ~", lambda: Filter.exists("x") and Filter.exists("y")),
    ("not", TypeError, "is None", lambda: not Filter.exists("x")),
    ("filter", TypeError, "its text, not int", lambda: Join(filter=1)),  # type: ignore[arg-type]
    ("keys", TypeError, "str", lambda: Join(keys=[1])),  # type: ignore[list-item]
    ("interval", ValueError, "not negative", lambda: Join(flush_interval_ms=-1)),
    ("interval", ValueError, "more than", lambda: RoomOptions(flush_interval_ms=1 << 40)),
    ("interval", TypeError, "number", lambda: Join(flush_interval_ms=True)),
    ("history", ValueError, "history is -1", lambda: RoomOptions(history=-1)),
    (
        "policy",
        ValueError,
        "slow_policy is 'drop', but must be one of",
        lambda: Join(slow_policy="drop"),  # type: ignore[arg-type]
    ),
    ("policy", TypeError, "one of", lambda: RoomOptions(slow_policy=1)),  # type: ignore[arg-type]
    (
        "tags",
        TypeError,
        "the value of \"price\" is float",
        lambda: Filter.exists("x").matches(tags={"price": 1.5}),  # type: ignore[arg-type]
    ),
    (
        "tags",
        TypeError,
        "there is something else",
        lambda: Filter.exists("x").matches(tags=["abc"]),  # type: ignore[list-item]
    ),
    (
        "tags",
        TypeError,
        "there is none",
        lambda: Filter.exists("x").matches(tags=1),  # type: ignore[arg-type]
    ),
]


@pytest.mark.parametrize(
    ("wanted", "words", "call"), [case[1:] for case in WRONG], ids=[case[0] for case in WRONG]
)
def test_bad_input_is_named(
    wanted: type[Exception], words: str, call: Callable[[], object]
) -> None:
    with pytest.raises(wanted, match=words):
        call()


def test_options_are_values() -> None:
    join = Join(filter="has(tags.x)", keys=["b", "a"], flush_interval_ms=5, slow_policy="latest")
    assert join == Join(
        filter=Filter.exists("x"), keys=("b", "a"), flush_interval_ms=5, slow_policy="latest"
    )
    assert (join.filter, join.keys) == (Filter.exists("x"), ("b", "a"))
    assert (join.flush_interval_ms, join.slow_policy) == (5, "latest")
    assert hash(join) != hash(Join()) and join != Join()
    assert eval(repr(join), {"Join": Join, "Filter": Filter}) == join
    assert Join(keys="BTC").keys == ("BTC",) and Join(keys=[]).keys == () and Join().keys is None
    options = RoomOptions(flush_interval_ms=100, conflate=True, deflate=False)
    assert repr(options) == "RoomOptions(flush_interval_ms=100, conflate=True, deflate=False)"
    assert (options.flush_interval_ms, options.conflate, options.deflate) == (100, True, False)
    assert options.slow_policy is None and options != RoomOptions() and options.history == 0
    history = RoomOptions(history=10)
    assert repr(history) == "RoomOptions(conflate=False, deflate=True, history=10)"
    assert ListenOptions(deflate=False) != ListenOptions() == ListenOptions(deflate=True)
    with pytest.raises(AttributeError):
        join.keys = ()  # type: ignore[misc]


def test_each_policy_has_its_word_and_no_other_has() -> None:
    words = get_args(roomcast.SlowPolicy)
    for word in words:
        assert Join(slow_policy=word).slow_policy == word
        roomcast.Engine(slow_policy=word, room_options={"x": RoomOptions(slow_policy=word)})
    with pytest.raises(ValueError) as wrong:
        roomcast.Engine(slow_policy="drop")  # type: ignore[arg-type]
    listed = ", ".join(f'"{word}"' for word in words)
    assert str(wrong.value) == f"slow_policy is 'drop', but must be one of {listed}"


def test_where_names_have_options_each_way_of_writing_is_one() -> None:
    plain = ListenOptions(deflate=False)
    listeners: list[Any] = [
        "127.0.0.1:0",
        ["127.0.0.1:0"],
        [("127.0.0.1:0", plain)],
        {"127.0.0.1:0": plain},
        {"127.0.0.1:0": None},
        ["127.0.0.1:0", ("127.0.0.1:0", None)],
    ]
    for listen in listeners:
        with roomcast.Engine(listen) as engine:
            assert len(engine.addresses) == (2 if len(listen) == 2 else 1)
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "socket"
        for unix in (path, str(path), [path], {path: plain}, [(str(path), plain)]):
            with roomcast.Engine(listen_unix=unix):
                assert path.exists()
    bad: list[dict[str, Any]] = [
        {"listen": ("127.0.0.1:0", plain)},
        {"listen": {"127.0.0.1:0": False}},
        {"listen": 8080},
        {"listen_unix": 8080},
        {"room_options": {"x": {"conflate": True}}},
        {"room_options": {1: RoomOptions()}},
    ]
    for settings in bad:
        with pytest.raises(TypeError, match="a mapping of names to"):
            roomcast.Engine(**settings)
    with pytest.raises(roomcast.ConfigError, match="flush_interval_ms is 0"):
        roomcast.Engine(room_options={"x": RoomOptions(conflate=True)})
