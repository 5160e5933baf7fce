"""Row: 300 users in 30 rooms beside a FastAPI application at work in the same process.

The host, with all its threads, is on core 0; members, and the thread that sends requests (as they
come in life, at random moments), on core 1. A broadcast's latency is from the moment that it was
scheduled for to the last member's receipt, all members of its room.
"""

from __future__ import annotations

import http.client
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from .children import Host, Members
from .report import Row
from .setting import Outcome, Setting

ROOMS, USERS_EACH = 30, 10
REQUESTS_PER_SECOND = 20.0
# Who publishes, beside what kind of endpoint; the first is the target's.
WAYS = (
    ("thread", "async"),
    ("thread", "sync"),
    ("eager", "sync"),
    ("loop", "async"),
    ("loop", "sync"),
)

PUBLISHERS = {
    "thread": "a thread",
    "eager": "a thread, sys.setswitchinterval(0.001)",
    "loop": "the app's loop",
}


class Requests:
    """Sends requests at random moments until it is left."""

    def __init__(self, port: int, path: str) -> None:
        self.port, self.path = port, path
        self.ok, self.failed = 0, 0
        self._count = threading.Lock()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._send)

    def __enter__(self) -> Requests:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _send(self) -> None:
        moments, due = random.Random(7), time.monotonic()
        with ThreadPoolExecutor(32) as pool:
            while not self._over.is_set():
                due += moments.expovariate(REQUESTS_PER_SECOND)
                if not self._over.wait(max(0.0, due - time.monotonic())):
                    pool.submit(self._request)

    def _request(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("GET", self.path)
            answered = connection.getresponse().status == 200
        except OSError:
            answered = False
        finally:
            connection.close()
        with self._count:
            self.ok += answered
            self.failed += not answered


def app(setting: Setting) -> Outcome:
    outcome = Outcome()
    p99: dict[tuple[str, str], list[float]] = {way: [] for way in WAYS}
    worst: dict[tuple[str, str], float] = dict.fromkeys(WAYS, 0.0)
    rate: dict[tuple[str, str], float] = {}
    with (
        Host(setting.host("app.py", str(ROOMS)), core=0) as host,
        Members(setting.members, host.port, ROOMS, USERS_EACH) as members,
    ):
        expected = 0
        for _ in range(setting.runs):
            for way in WAYS:
                seconds = 0.5 if setting.smoke else 8.0
                with Requests(host.ports["http"], f"/busy/{way[1]}") as requests:
                    found = host.ask(f"publish {way[0]} {seconds}")
                expected += found["publications"] * USERS_EACH
                counts = members.settled(expected)
                whole = counts["deliveries"] == expected and not counts["faults"]
                outcome.check(whole and not requests.failed, f"app, {way}: {counts} of {expected}")
                late = members.ask("take")
                p99[way].append(late["last_p99_ns"] / 1e6)
                worst[way] = max(worst[way], late["last_max_ns"] / 1e6)
                rate[way] = requests.ok / seconds
    for way in WAYS:
        by, endpoint = way
        kind = "async def" if endpoint == "async" else "def"
        name = f"broadcast by {PUBLISHERS[by]}, p99 beside `{kind}`"
        notes = f"slowest {worst[way]:.1f} ms; {rate[way]:.0f} requests/s answered"
        most = None if by == "loop" else 20.0
        outcome.rows.append(Row(name, p99[way], "ms", at_most=most, notes=notes))
    return outcome
