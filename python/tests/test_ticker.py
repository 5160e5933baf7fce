"""The ticker example, as people start it."""

from __future__ import annotations

from urllib.parse import quote

from running import python

from roomcast.testing import Client


def test_the_example() -> None:
    with python("ticker.py", "--port", "0") as program:
        port = int(program.find(r"ws://127\.0\.0\.1:(\d+)")[1])
        program.find("news: 0 reached, 0 behind")
        watches = Client.connect("127.0.0.1", port, "/?watch=BTC,ETH")
        assert {watches.receive_json()["symbol"] for _ in range(8)} == {"BTC", "ETH"}
        watches.send("unwatch BTC")
        watches.send("watch ADA")
        seen: list[str] = []
        while seen[-8:].count("ADA") != 4 or "BTC" in seen[-8:]:
            seen.append(watches.receive_json()["symbol"])
            assert len(seen) < 1000
        wanted = quote("double(tags.change) > 5.0")
        rises = Client.connect("127.0.0.1", port, f"/?filter={wanted}")
        assert rises.receive_json()["price"] > 5
        wrong = Client.connect("127.0.0.1", port, "/?filter=nonsense")
        assert wrong.status == 400 and "at byte 0 of the filter" in wrong.text
        assert program.stop() == 0, program.output
        assert watches.expect_close()[0] == 1001
        for client in (watches, rises, wrong):
            client.end()
