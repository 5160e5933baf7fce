"""Memberships that change all the time, beside a model of who is sent what, in which order.

One thread makes all calls, so each client's messages are known exactly: filters, watch-lists,
intervals, unions, exclusions and private messages at once. A failure names its seed.
"""

from __future__ import annotations

import os
import random
from dataclasses import dataclass, field
from typing import Any

import pytest

import roomcast
from conftest import until
from roomcast import Delivery, Field, Filter, Join

ROOMS = ["a", "b", "c"]
WORDS = ["", "x", "y", "10", "9.5"]
SEEDS = [int(seed) for seed in os.environ.get("SEEDS", "1 2 3").split()]
STEPS = 400


@dataclass
class Member:
    """A client, the rooms that it is in, and what it must have been sent."""

    client: Any
    connection: roomcast.Connection
    rooms: dict[str, tuple[Filter | None, set[str] | None]] = field(default_factory=dict)
    owed: list[str] = field(default_factory=list)

    def asks_for(self, room: str, labels: dict[str, Any]) -> bool:
        if room not in self.rooms:
            return False
        filter, keys = self.rooms[room]
        matches = filter is None or filter.matches(**labels)
        return matches and (keys is None or labels.get("key") in keys)


class World:
    """The engine's calls, and the model beside them."""

    def __init__(self, engine: roomcast.Engine, members: list[Member], seed: int) -> None:
        self.engine, self.members, self.dice = engine, members, random.Random(seed)
        self.held = engine.room("a")
        self.tracked: dict[int, tuple[int, int]] = {}
        self.number = 0

    def step(self) -> None:
        publishes = [self.publish, self.union, self.track]
        others = [self.join, self.leave, self.watch, self.unwatch, self.send]
        self.dice.choice(publishes * 3 + others)()

    def labels(self) -> dict[str, Any]:
        dice = self.dice
        found: dict[str, Any] = {"tags": {"t": dice.choice(WORDS)}} if dice.random() < 0.7 else {}
        for name in ("event", "key"):
            if dice.random() < 0.7:
                found[name] = dice.choice(WORDS)
        return found

    def filter(self) -> Filter:
        dice = self.dice
        where, word = dice.choice(["t", Field.EVENT, Field.KEY]), dice.choice(WORDS)
        one = dice.choice([Filter.eq(where, word), Filter.gt(where, 9.7), Filter.exists(where)])
        return dice.choice([one, ~one, one | Filter.eq("t", dice.choice(WORDS))])

    def send_out(self, rooms: list[str], labels: dict[str, Any], **out: Any) -> tuple[str, int]:
        """The next text, owed to whoever asks for it."""
        self.number += 1
        text, count = str(self.number), 0
        for member in self.members:
            excluded = member.connection in out.get("exclude", ()) or any(
                room in member.rooms for room in out.get("exclude_rooms", ())
            )
            if not excluded and any(member.asks_for(room, labels) for room in rooms):
                member.owed.append(text)
                count += 1
        return text, count

    def exclusions(self) -> dict[str, Any]:
        which = self.dice.random()
        if which < 0.2:
            return {"exclude": [self.dice.choice(self.members).connection]}
        return {"exclude_rooms": [self.dice.choice(ROOMS)]} if which < 0.3 else {}

    def publish(self) -> None:
        labels, out, room = self.labels(), self.exclusions(), self.dice.choice(ROOMS)
        text, _ = self.send_out([room], labels, **out)
        if room == "a":
            self.held.publish(text, **labels, **out)
        else:
            self.engine.publish(room, text, **labels, **out)

    def union(self) -> None:
        labels, out, rooms = self.labels(), self.exclusions(), self.dice.sample(ROOMS, 2)
        text, _ = self.send_out(rooms, labels, **out)
        self.engine.publish_union(rooms, text, **labels, **out)

    def track(self) -> None:
        labels, out, room = self.labels(), self.exclusions(), self.dice.choice(ROOMS)
        members = sum(room in member.rooms for member in self.members)
        text, count = self.send_out([room], labels, **out)
        tracked = self.engine.publish_tracked(room, text, **labels, **out)
        self.tracked[tracked.token] = members, count

    def join(self) -> None:
        dice, member, room = self.dice, self.dice.choice(self.members), self.dice.choice(ROOMS)
        if dice.random() < 0.2:
            member.connection.join(room)
            member.rooms.setdefault(room, (None, None))
            return
        filter = self.filter() if dice.random() < 0.5 else None
        keys = dice.sample(WORDS, dice.randrange(4)) if dice.random() < 0.4 else None
        interval = dice.choice([None, 0, 5, 30])
        member.connection.join(room, Join(filter=filter, keys=keys, flush_interval_ms=interval))
        member.rooms[room] = filter, None if keys is None else set(keys)

    def leave(self) -> None:
        member, room = self.dice.choice(self.members), self.dice.choice(ROOMS)
        member.connection.leave(room)
        member.rooms.pop(room, None)

    def watch(self) -> None:
        member, room = self.dice.choice(self.members), self.dice.choice(ROOMS)
        keys = self.dice.sample(WORDS, 2)
        member.connection.watch(room, keys)
        if (watched := member.rooms.get(room, (None, None))[1]) is not None:
            watched.update(keys)

    def unwatch(self) -> None:
        member, room = self.dice.choice(self.members), self.dice.choice(ROOMS)
        keys = self.dice.sample(WORDS, 2)
        member.connection.unwatch(room, keys)
        if (watched := member.rooms.get(room, (None, None))[1]) is not None:
            watched.difference_update(keys)

    def send(self) -> None:
        member = self.dice.choice(self.members)
        self.number += 1
        member.owed.append(str(self.number))
        member.connection.send(str(self.number))


@pytest.mark.parametrize("seed", SEEDS)
def test_everybody_is_sent_what_the_model_says(
    roomcast_engine: Any, roomcast_client: Any, seed: int
) -> None:
    reports: dict[int, Delivery] = {}
    connections: list[roomcast.Connection] = []
    engine: roomcast.Engine = roomcast_engine(shards=2)
    engine.on_connect(lambda c: connections.append(c))
    engine.on_delivered(lambda room, delivery: reports.update({delivery.token: delivery}))
    engine.start()
    members = []
    for _ in range(8):
        client = roomcast_client(engine)
        assert client.status == 101
        members.append(Member(client, connections[-1]))
    world = World(engine, members, seed)
    for _ in range(STEPS):
        world.step()
    engine.send_all("end")
    for at, member in enumerate(members):
        found = []
        while (message := member.client.receive()) != "end":
            found.append(message)
        assert found == member.owed, f"seed {seed}, client {at}"
    until(lambda: len(reports) == len(world.tracked))
    for token, (count, owed) in world.tracked.items():
        told = reports[token]
        assert told.reached + told.lagging == owed, f"seed {seed}, {told}"
        assert told.filtered + told.skipped == count - owed, f"seed {seed}, {told}"
        assert told.conflated == 0
