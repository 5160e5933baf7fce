"""A ticker: prices of many symbols, of which each page watches a few.

The room conflates: ten times a second each member is sent the newest price of each symbol that it
watches, however many there were. Open `/?watch=BTC,ETH`, or `/?filter=...` with a filter's text
such as `double(tags.change) > 5.0`; say `watch ADA` or `unwatch BTC` later.

Run it: `python python/examples/ticker.py --port 8080`.
"""

from __future__ import annotations

import argparse
import asyncio
import random

import roomcast
from roomcast import Join, RoomOptions

SYMBOLS = ["ADA", "BTC", "DOT", "ETH", "SOL", "XRP"]


def build(port: int) -> roomcast.Engine:
    engine = roomcast.Engine(
        f"127.0.0.1:{port}",
        room_options={
            "ticker": RoomOptions(flush_interval_ms=100, conflate=True, slow_policy="latest")
        },
    )

    @engine.on_connect
    def connect(conn: roomcast.Connection) -> None:
        wanted = conn.query.get("filter")
        keys = [key for key in conn.query.get("watch", "").split(",") if key]
        try:
            how = Join(filter=wanted) if wanted else Join(keys=keys)
            conn.accept(rooms={"ticker": how, "news": None})
        except (roomcast.FilterError, roomcast.KeyTooLong) as error:
            conn.refuse(400, str(error))

    @engine.on_message
    def message(conn: roomcast.Connection, data: str | bytes | memoryview) -> None:
        verb, _, key = str(data).partition(" ")
        try:
            if verb == "watch":
                conn.watch("ticker", key)
            elif verb == "unwatch":
                conn.unwatch("ticker", key)
        except roomcast.KeyTooLong as error:
            conn.send(str(error))

    @engine.on_lag
    def lag(conn: roomcast.Connection, room: str, missed: roomcast.Missed) -> None:
        if not missed.replaced:
            conn.send({"missed": missed.count, "of": room})

    @engine.on_delivered
    def delivered(room: str, delivery: roomcast.Delivery) -> None:
        print(f"{room}: {delivery.reached} reached, {delivery.lagging} behind", flush=True)

    return engine


async def trade(engine: roomcast.Engine) -> None:
    """Prices, far more often than anybody looks."""
    room, prices = engine.room("ticker"), dict.fromkeys(SYMBOLS, 100.0)
    while True:
        for symbol in random.sample(SYMBOLS, 3):
            change = random.uniform(-9, 10)
            prices[symbol] = max(1.0, prices[symbol] + change)
            try:
                room.publish(
                    {"symbol": symbol, "price": round(prices[symbol], 2)},
                    key=symbol,
                    tags={"change": f"{change:.2f}"},
                )
            except roomcast.Refused:
                # The next one replaces it.
                pass
        await asyncio.sleep(0.001)


async def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--port", type=int, default=8080)
    engine = build(arguments.parse_args().port)
    async with engine:
        print(f"ws://127.0.0.1:{engine.port}/?watch=BTC,ETH", flush=True)
        trading = asyncio.create_task(trade(engine))
        engine.publish_tracked("news", {"news": "the market is open"})
        await engine.aserve()
        trading.cancel()


if __name__ == "__main__":
    asyncio.run(main())
