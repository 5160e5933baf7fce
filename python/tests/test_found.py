"""Mistakes that were made once: each test is named after what was wrong, and keeps it right."""

from __future__ import annotations

import asyncio
import gc
import logging
import math
import queue
import socket
import ssl
import sys
import threading
import time
import weakref
from typing import Any

import pytest

import roomcast
from conftest import auntil, program, until

FIELDS = [
    ("Host", "h"),
    ("Upgrade", "websocket"),
    ("Connection", "Upgrade"),
    ("Sec-WebSocket-Version", "13"),
    ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
]


# Verdicts.


@pytest.mark.parametrize("verdict", [False, roomcast.LATER, ValueError("x")], ids=repr)
def test_a_connection_that_was_never_open_is_kept_until_the_engine_stops(
    roomcast_engine: Any, roomcast_client: Any, caplog: pytest.LogCaptureFixture, verdict: Any
) -> None:
    # What is logged is kept, connections included.
    caplog.set_level(logging.CRITICAL + 1, logger="roomcast")
    engine = roomcast_engine(verdict_timeout_ms=20)
    seen: list[weakref.ref[roomcast.Connection]] = []

    @engine.on_connect
    def connect(connection: roomcast.Connection) -> Any:
        seen.append(weakref.ref(connection))
        if isinstance(verdict, Exception):
            raise ValueError
        return verdict

    engine.start()
    for _ in range(20):
        client = roomcast_client(engine)
        assert client.status in (403, 500, 503)
        client.end()
    until(lambda: engine.stats()["connections"] == 0)
    # The next event makes the engine forget those that have gone.
    assert roomcast_client(engine).status != 101
    gc.collect()
    assert sum(ref() is not None for ref in seen) <= 2


async def test_a_plain_on_connect_that_gives_a_coroutine_is_refused_with_500(
    roomcast_engine: Any, roomcast_client: Any
) -> None:
    engine = roomcast_engine()
    made: list[Any] = []

    async def decide(connection: roomcast.Connection) -> None:
        await asyncio.sleep(0)
        connection.accept(user="ada")

    def connect(connection: roomcast.Connection) -> Any:
        made.append(decide(connection))
        return made[-1]

    engine.on_connect(connect)
    async with engine:
        status = await roomcast_client(engine).astatus()
        made[0].close()
        assert status == 101


@pytest.mark.parametrize(
    "arguments",
    [(99_999,), ("no",), (403, None)],
    ids=["status out of range", "status is text", "text is None"],
)
def test_a_peer_is_never_answered_after_a_reject_with_a_wrong_argument(
    roomcast_engine: Any, roomcast_client: Any, arguments: Any
) -> None:
    engine = roomcast_engine(verdict_timeout_ms=60_000)

    @engine.on_connect
    def connect(connection: roomcast.Connection) -> None:
        raise roomcast.Reject(*arguments)

    engine.start()
    assert roomcast_client(engine).status in (403, 500)


def test_a_peer_is_never_answered_after_system_exit_in_a_plain_on_connect(
    roomcast_engine: Any, roomcast_client: Any
) -> None:
    engine = roomcast_engine(verdict_timeout_ms=60_000)

    @engine.on_connect
    def connect(connection: roomcast.Connection) -> None:
        raise SystemExit

    engine.start()
    assert roomcast_client(engine).status in (500, 503)


# Handlers.


def test_an_exception_that_leaves_the_thread_stalls_the_events_behind_it(
    roomcast_engine: Any, roomcast_client: Any
) -> None:
    # They wait until another event comes, since the thread waits for the queue alone.
    engine = roomcast_engine()
    told: list[str] = []
    goes_on = threading.Event()

    @engine.on_message
    def message(connection: roomcast.Connection, data: str) -> None:
        told.append(data)
        if data == "hold":
            assert goes_on.wait(20)
        if data == "1":
            raise SystemExit

    engine.start()
    client = roomcast_client(engine)
    client.send("hold")
    until(lambda: told)
    # In one batch, behind the one at work.
    for number in range(1, 4):
        client.send(str(number))
    until(lambda: engine.stats()["messages_in"] == 4)
    goes_on.set()
    until(lambda: len(told) == 4)


async def test_what_a_handler_that_blocks_has_sent_is_held_back_until_it_returns(
    roomcast_engine: Any, roomcast_client: Any
) -> None:
    # By the cork around a batch, as long as no handler was slow before.
    engine = roomcast_engine()
    told: list[object] = []

    @engine.on_message
    def message(connection: roomcast.Connection, data: str) -> None:
        if data == "1":
            connection.send("answer")
            try:
                told.append(client._found.get(timeout=3))
            except queue.Empty:
                told.append("nothing came")

    async with engine:
        client = roomcast_client(engine)
        assert await client.astatus() == 101
        # The loop is held up, so that both come in one batch.
        client.send("1")
        client.send("2")
        until(lambda: engine.stats()["messages_in"] == 2)
        await auntil(lambda: told)
    assert told == ["answer"]


def test_a_mock_as_a_handler_hangs_the_engine() -> None:
    program(
        """
        import faulthandler, roomcast
        from unittest.mock import Mock
        # Before it has eaten the memory.
        faulthandler.dump_traceback_later(3, exit=True)
        roomcast.Engine().on_message(Mock())
        """
    )


def test_an_awaitable_without_close_hides_what_is_wrong_on_a_thread(
    roomcast_engine: Any, roomcast_client: Any, caplog: pytest.LogCaptureFixture
) -> None:
    engine = roomcast_engine()
    loop = asyncio.new_event_loop()
    engine.on_message(lambda connection, data: loop.create_future())
    engine.start()
    roomcast_client(engine).send("x")
    until(lambda: caplog.records)
    loop.close()
    assert "no event loop to run it on" in caplog.text


async def test_a_cancelled_future_in_a_handler_loses_the_events_behind_it(
    roomcast_engine: Any, roomcast_client: Any
) -> None:
    # The task of the handler was not cancelled: what it awaits was. No line is logged either.
    engine = roomcast_engine()
    told: list[str] = []
    awaited: list[asyncio.Future[None]] = []

    @engine.on_message
    async def message(connection: roomcast.Connection, data: str) -> None:
        told.append(data)
        if data == "1":
            awaited.append(asyncio.get_running_loop().create_future())
            await awaited[0]

    engine.on_close(lambda connection, reason: told.append(reason.name))
    async with engine:
        client = roomcast_client(engine)
        client.send("1")
        client.send("2")
        client.close()
        await auntil(lambda: awaited and engine.stats()["closed"]["peer"] == 1)
        other = roomcast_client(engine)
        other.send("behind")
        await auntil(lambda: "behind" in told)
        awaited[0].cancel()
        await auntil(lambda: asyncio.all_tasks() == {asyncio.current_task()})
        assert [what for what in told if what != "behind"] == ["1", "2", "peer"]


async def test_an_exception_of_a_logging_filter_ends_the_events_of_a_connection(
    roomcast_engine: Any, roomcast_client: Any
) -> None:
    engine = roomcast_engine()
    told: list[str] = []

    @engine.on_message
    async def message(connection: roomcast.Connection, data: str) -> None:
        told.append(data)
        raise ValueError(data)

    def odd(record: logging.LogRecord) -> bool:
        raise RuntimeError("the filter has failed")

    asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)
    logger = logging.getLogger("roomcast")
    logger.addFilter(odd)
    try:
        async with engine:
            client = roomcast_client(engine)
            client.send("1")
            await auntil(lambda: told)
            client.send("2")
            other = roomcast_client(engine)
            await auntil(lambda: engine.stats()["messages_in"] == 2)
            other.send("3")
            await auntil(lambda: "3" in told)
            assert told == ["1", "2", "3"]
    finally:
        logger.removeFilter(odd)


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="tasks begin at once from 3.12 on")
async def test_a_task_that_is_cancelled_before_it_begins_ends_its_connections_events(
    roomcast_engine: Any, roomcast_client: Any
) -> None:
    engine = roomcast_engine()
    told: list[str] = []
    cancelled: list[Any] = []
    me = asyncio.current_task()

    @engine.on_message
    async def message(connection: roomcast.Connection, data: str) -> None:
        told.append(data)

    @engine.on_close
    def closes(connection: roomcast.Connection, reason: Any) -> None:
        for task in asyncio.all_tasks() - {me}:
            cancelled.append(task.cancel())

    async with engine:
        first, second = roomcast_client(engine), roomcast_client(engine)
        assert await first.astatus() == 101 == await second.astatus()
        # The loop is held up, so that both come in one batch.
        first.send("1")
        until(lambda: engine.stats()["messages_in"] == 1)
        second.close()
        until(lambda: engine.stats()["closed"]["peer"] == 1)
        await auntil(lambda: cancelled)
        first.send("2")
        await auntil(lambda: engine.stats()["messages_in"] == 2)
        third = roomcast_client(engine)
        third.send("3")
        await auntil(lambda: "3" in told)
        assert "2" in told


def test_a_connection_is_open_in_its_own_on_close(
    roomcast_engine: Any, roomcast_client: Any
) -> None:
    engine = roomcast_engine()
    open_: list[bool] = []
    engine.on_close(lambda connection, reason: open_.append(connection.is_open))
    engine.start()
    roomcast_client(engine).close()
    until(lambda: open_)
    assert open_ == [False]


def test_cookies_lose_bytes_that_look_like_white_space(
    roomcast_engine: Any, roomcast_client: Any
) -> None:
    engine = roomcast_engine()
    cookies: list[dict[str, str]] = []
    engine.on_connect(lambda connection: cookies.append(connection.cookies))
    engine.start()
    # The last byte of "à" in UTF-8 is a no-break space in ISO 8859-1.
    assert roomcast_client(engine, headers={"Cookie": "a=voilà; b=c"}).status == 101
    assert cookies[0]["a"].encode("latin-1").decode() == "voilà"


# Pulling.


def test_a_second_iterator_misses_what_the_first_had_taken(
    roomcast_engine: Any, roomcast_client: Any
) -> None:
    engine = roomcast_engine(pull=True)
    engine.start()
    client = roomcast_client(engine)
    next(engine.events()).connection.accept()
    assert next(engine.events()).kind == "open"
    for number in range(3):
        client.send(str(number))
    until(lambda: engine.stats()["messages_in"] == 3)
    # Bounded: nothing more comes.
    end = threading.Timer(3.0, engine.stop)
    end.start()
    told = [next(engine.events()).data for _ in range(3)]
    end.cancel()
    end.join()
    assert told == ["0", "1", "2"]


def test_an_event_in_its_connections_state_keeps_both(
    roomcast_engine: Any, roomcast_client: Any
) -> None:
    engine = roomcast_engine(pull=True)
    engine.start()
    client = roomcast_client(engine)
    event = next(engine.events())
    event.connection.state.event = event
    gone = weakref.ref(event.connection)
    event.connection.accept()
    assert client.status == 101
    engine.stop()
    del event
    assert [event.kind for event in engine.events()] == ["open", "close"]
    gc.collect()
    assert gone() is None


def test_a_logging_filter_that_raises_loses_a_batch_of_pulled_events() -> None:
    out = program(
        """
        import logging, os, resource, roomcast, socket, threading, time
        from roomcast.testing import Client
        engine = roomcast.Engine("127.0.0.1:0", shards=1, pull=True)
        engine.start()
        events = engine.events()
        client = Client.connect(*engine.addresses[0])
        next(events).connection.accept()
        assert client.status == 101 and next(events).kind == "open"
        lines = []
        def odd(record):
            lines.append(record.getMessage())
            raise RuntimeError
        logging.getLogger("roomcast").addFilter(odd)
        sock = socket.socket()
        used = len(os.listdir("/proc/self/fd"))
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (used - 1, hard))
        sock.connect(engine.addresses[0])
        client.send("1")
        while engine.stats()["messages_in"] == 0:
            time.sleep(0.01)
        engine.stop()
        for event in events:
            print(event.kind, event.data)
        assert lines, "nothing was logged"
        """
    )
    assert "message 1" in out


# Starting and stopping.


def test_an_engine_whose_start_has_failed_runs_and_cannot_be_stopped(
    roomcast_engine: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = roomcast_engine()

    def start(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", start)
        with pytest.raises(RuntimeError, match="new thread"):
            engine.start()
    try:
        assert not engine.is_running
    finally:
        engine.stop()


def test_starting_on_a_closed_loop_leaves_a_deaf_engine_running(roomcast_engine: Any) -> None:
    engine = roomcast_engine()
    loop = asyncio.new_event_loop()
    loop.close()
    with pytest.raises(RuntimeError):
        engine.start(loop=loop)
    assert not engine.is_running
    engine.start()


def test_a_stop_that_comes_late_ends_the_dispatcher_of_the_next_start() -> None:
    class Late(roomcast.Engine):
        """Another thread stops it too, and starts it again, before `stop` goes on."""

        late = True

        def _stop(self, timeout: float | None) -> roomcast.StopReport:
            report = super()._stop(timeout)
            if self.late:
                self.late = False
                self.stop()
                self.start()
            return report

    engine = Late(shards=1, pull=True)
    engine.start()
    engine.stop()
    try:
        assert engine.is_running and not engine.wait(0.01), "it runs, and counts as ended"
    finally:
        engine.stop()


def test_a_stop_in_a_handler_never_ends_an_engine_without_threads(roomcast_client: Any) -> None:
    engine = roomcast.Engine(own_threads=False)
    engine.on_message(lambda connection, data: engine.stop())
    engine.start()
    roomcast_client(engine).send("x")
    until(lambda: not engine.turn(0.05))
    engine.turn(0.0)
    assert engine.wait(0.01)
    engine.start()
    engine.stop()


def test_a_stop_for_ever_overflows(roomcast_engine: Any) -> None:
    engine = roomcast_engine()
    engine.start()
    engine.stop(timeout=math.inf)


async def test_a_long_stop_timeout_blocks_the_loop(
    roomcast_engine: Any, roomcast_client: Any
) -> None:
    engine = roomcast_engine(stop_timeout_ms=8_000, close_timeout_ms=30_000)
    engine.start()
    client = roomcast_client(engine)
    assert await client.astatus() == 101
    longest = 0.0
    with client.lag():
        engine.send_all(b"x" * 500_000)
        stop, last = asyncio.create_task(engine.astop()), time.monotonic()
        while not stop.done():
            await asyncio.sleep(0.01)
            now = time.monotonic()
            longest, last = max(longest, now - last), now
    assert longest < 1.0


async def test_handlers_that_stop_at_once_wait_for_each_other(
    roomcast_engine: Any, roomcast_client: Any
) -> None:
    engine = roomcast_engine()
    ends: list[str] = []
    both = asyncio.Barrier(2)

    @engine.on_message
    async def message(connection: roomcast.Connection, data: str) -> None:
        await both.wait()
        try:
            await engine.astop()
            ends.append("stopped")
        except asyncio.CancelledError:
            ends.append("cancelled")
            raise

    engine.start()
    for _ in range(2):
        roomcast_client(engine).send("x")
    await auntil(lambda: len(ends) == 2)
    assert ends == ["stopped", "stopped"]


async def test_an_engine_that_is_let_go_of_leaves_its_descriptor_to_the_loop() -> None:
    engine = roomcast.Engine(shards=1)
    engine.on_message(lambda connection, data: None)
    engine.start()
    number = engine._events_fd()
    loop = asyncio.get_running_loop()
    del engine
    gc.collect()
    # As long as the loop is busy, the number becomes somebody else's.
    pairs: list[socket.socket] = []

    def is_taken() -> bool:
        pairs.extend(socket.socketpair())
        return any(sock.fileno() == number for sock in pairs)

    until(is_taken)
    sock = next(sock for sock in pairs if sock.fileno() == number)
    place = pairs.index(sock)
    told: list[None] = []
    loop.add_reader(sock, lambda: told.append(None))
    try:
        pairs[place ^ 1].send(b"x")
        async with asyncio.timeout(2.0):
            await auntil(lambda: told, "the reader of another socket")
    finally:
        loop.remove_reader(sock)
        for each in pairs:
            each.close()


def test_a_question_before_the_first_turn_waits_for_ever() -> None:
    program(
        """
        import roomcast
        engine = roomcast.Engine(own_threads=False)
        engine.start()
        try:
            engine.connections()
        except roomcast.OnShard:
            pass
        engine.stop()
        """,
        timeout=8.0,
    )


# Forks.


def test_an_engine_without_threads_restarted_in_a_child_closes_the_parents_peers() -> None:
    out = program(
        """
        import os, roomcast, socket
        from roomcast.testing import Client, Closed
        engine = roomcast.Engine(own_threads=False)
        engine.start()
        ours, theirs = socket.socketpair()
        engine.adopt(theirs)
        client = Client(ours)
        while not client._answered.is_set():
            engine.turn(0.05)
        pid = os.fork()
        if pid == 0:
            engine.start()
            os._exit(0)
        os.waitpid(pid, 0)
        engine.send_all("still here")
        while engine.turn(0.05) and client._found.empty():
            pass
        try:
            print(client.receive())
        except Closed as closed:
            print(closed)
        """
    )
    assert "still here" in out


def test_a_puller_restarted_in_a_child_waits_ten_seconds_for_the_parents_threads() -> None:
    program(
        """
        import os, roomcast, time, warnings
        warnings.simplefilter("ignore", DeprecationWarning)
        engine = roomcast.Engine(shards=1, pull=True)
        engine.start()
        pid = os.fork()
        if pid == 0:
            begun = time.monotonic()
            engine.start()
            os._exit(time.monotonic() - begun > 2.0)
        _, status = os.waitpid(pid, 0)
        assert status == 0
        engine.stop()
        """
    )


def test_a_held_room_hangs_a_child_that_lets_go_of_it() -> None:
    program(
        """
        import os, roomcast, signal, threading, warnings
        warnings.simplefilter("ignore", DeprecationWarning)
        engine = roomcast.Engine(shards=1, pull=True)
        engine.start()
        rooms = [engine.room(str(number)) for number in range(50)]
        ends = threading.Event()
        def publish():
            while not ends.is_set():
                for room in range(50):
                    engine.publish(str(room), b"x" * 70_000)
        threads = [threading.Thread(target=publish) for _ in range(3)]
        for thread in threads:
            thread.start()
        hung = 0
        for _ in range(300):
            pid = os.fork()
            if pid == 0:
                signal.alarm(2)
                rooms.clear()
                os._exit(0)
            hung = os.waitpid(pid, 0)[1]
            if hung:
                break
        ends.set()
        for thread in threads:
            thread.join()
        engine.stop()
        assert not hung, "a lock of the directory was held when the process was forked"
        """
    )


# Upgrades and sockets.


def test_an_upgrade_accepted_twice_is_not_open_and_has_the_first_user(
    roomcast_engine: Any,
) -> None:
    engine = roomcast_engine()
    opened: list[roomcast.Connection] = []
    engine.on_open(opened.append)
    engine.start()
    upgrade = engine.upgrade("GET", "/", FIELDS)
    upgrade.accept(user="ada")
    upgrade.accept(user="bob")
    ours, theirs = socket.socketpair()
    with ours:
        assert upgrade.response
        upgrade.adopt(theirs)
        until(lambda: opened)
        assert (opened[0].user, opened[0].is_open) == ("bob", True)


def test_an_upgrade_is_used_up_by_a_socket_that_it_does_not_take(roomcast_engine: Any) -> None:
    engine = roomcast_engine()
    engine.start()
    upgrade = engine.upgrade("GET", "/", FIELDS)
    assert upgrade.response
    with pytest.raises(TypeError):
        upgrade.adopt(3)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        upgrade.adopt(theirs)


def test_a_tls_socket_is_adopted_without_its_tls(roomcast_engine: Any) -> None:
    engine = roomcast_engine()
    engine.start()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    ours, theirs = socket.socketpair()
    with ours, context.wrap_socket(theirs, do_handshake_on_connect=False) as tls:
        with pytest.raises((TypeError, ValueError)):
            engine.adopt(tls)
