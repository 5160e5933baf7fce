"""Starting and stopping, from wherever a program may do it; and how a process ends."""

from __future__ import annotations

import asyncio
import gc
import socket
import subprocess
import sys
import sysconfig
import threading
import time
import weakref
from typing import Any

import pytest

import roomcast
from conftest import PATIENCE, auntil, program, until


def test_constructing_opens_nothing_and_an_engine_starts_again() -> None:
    before = threading.active_count()
    engine = roomcast.Engine("127.0.0.1:0", shards=1)
    assert threading.active_count() == before and not engine.is_running
    assert repr(engine) == "<roomcast.Engine not running>"
    with pytest.raises(roomcast.Stopped, match="start"):
        engine.publish("a", "x")
    told: list[str] = []
    engine.on_message(lambda connection, data: told.append(data))
    for round_ in range(3):
        with engine:
            assert engine.is_running and engine.port > 0
            with pytest.raises(roomcast.UsageError, match="started already"):
                engine.start()
            assert engine.publish("a", "x").members == 0
            client = connect(engine)
            client.send(str(round_))
            until(lambda: len(told) == round_ + 1)  # noqa: B023
            client.end()
        assert not engine.is_running and engine.stats()["messages_in"] == 1
        with pytest.raises(roomcast.Stopped):
            engine.publish("a", "x")
    assert told == ["0", "1", "2"]
    until(lambda: threading.active_count() == before)


def connect(engine: roomcast.Engine) -> Any:
    from roomcast.testing import Client

    client = Client.connect(*engine.addresses[0])
    assert client.status == 101
    return client


def test_several_engines_in_one_process() -> None:
    engines = [roomcast.Engine("127.0.0.1:0", shards=1) for _ in range(3)]
    for engine in engines:
        engine.start()
    assert len({engine.port for engine in engines}) == 3
    for engine in engines:
        assert engine.stop().cut == 0


def test_an_address_in_use_is_an_os_error_that_says_what_to_do() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        engine = roomcast.Engine(f"127.0.0.1:{port}")
        with pytest.raises(roomcast.IoError, match="reuse_port=True") as error:
            engine.start()
        assert isinstance(error.value, OSError) and error.value.errno is not None
    engine.start()
    engine.stop()


@pytest.mark.parametrize(
    ("settings", "error", "text"),
    [
        ({"shards": 300}, roomcast.ConfigError, "shards is 300"),
        ({"publication_bytes_max": 2 << 20}, ValueError, "tape_bytes_max"),
        ({"no_such": 1}, TypeError, "no_such"),
        ({"connections_max": "many"}, TypeError, "connections_max"),
        ({"connections_max": True}, TypeError, "connections_max"),
        ({"ping_interval_ms": -1}, ValueError, "not negative"),
        ({"slow_policy": "drop"}, ValueError, "disconnect"),
        ({"message_rate_policy": "drop"}, ValueError, "refuse"),
        ({"origins": "all"}, ValueError, "same-host"),
        ({"large": "view"}, ValueError, "memoryview"),
        ({"handlers": "loop"}, ValueError, "thread"),
    ],
)
def test_a_wrong_setting_is_named(settings: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        roomcast.Engine(**settings)


def test_an_engine_that_could_not_be_made_can_be_shown() -> None:
    assert repr(roomcast.Engine.__new__(roomcast.Engine)) == "<roomcast.Engine not running>"


def test_limits_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROOMCAST_HEAD_BYTES_MAX", "9")
    roomcast.Engine()
    with pytest.raises(roomcast.ConfigError, match="head_bytes_max is 9"):
        roomcast.Engine(from_env=True)


def test_pages_and_health_are_answered_without_python() -> None:
    import urllib.request

    pages = {"/": ("text/html", "<p>ä"), "/raw": ("application/octet-stream", b"\x00\x01")}
    with roomcast.Engine("127.0.0.1:0", pages=pages) as engine:
        for path, kind, body in (
            ("/", "text/html", "<p>ä".encode()),
            ("/raw", "application/octet-stream", b"\x00\x01"),
            ("/health", "text/plain; charset=utf-8", b"ok\n"),
        ):
            with urllib.request.urlopen(f"http://127.0.0.1:{engine.port}{path}") as response:
                assert (response.headers["Content-Type"], response.read()) == (kind, body)


async def test_an_async_program_is_never_blocked_by_its_stop(roomcast_client: Any) -> None:
    engine = roomcast.Engine(shards=1, stop_spread_ms=0, close_timeout_ms=300)
    closed: list[str] = []

    @engine.on_close
    async def closes(connection: roomcast.Connection, reason: roomcast.CloseReason) -> None:
        await asyncio.sleep(0.05)
        closed.append(reason.name)

    longest = 0.0

    async def watch() -> None:
        nonlocal longest
        while True:
            before = time.monotonic()
            await asyncio.sleep(0.005)
            longest = max(longest, time.monotonic() - before)

    async with engine:
        client = roomcast_client(engine)
        assert await client.astatus() == 101
        lag = client.lag()
        lag.__enter__()
        watcher = asyncio.create_task(watch())
        report = await engine.astop()
    watcher.cancel()
    lag.__exit__(None, None, None)
    assert closed == ["stopping"], "async handlers at work are waited for"
    assert report.connections == 1
    assert longest < 0.25, "the peer that does not answer was not waited for on the loop"


async def test_handlers_that_do_not_end_are_cancelled_when_the_time_is_over(
    roomcast_client: Any,
) -> None:
    engine = roomcast.Engine(shards=1)
    fate: list[str] = []

    @engine.on_message
    async def message(connection: roomcast.Connection, data: str) -> None:
        fate.append("begun")
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            fate.append("cancelled")
            raise

    engine.start()
    client = roomcast_client(engine)
    client.send("x")
    await auntil(lambda: fate)
    before = time.monotonic()
    await engine.astop(timeout=0.1)
    assert fate == ["begun", "cancelled"]
    assert time.monotonic() - before < 5


def test_stopping_in_a_handler_of_a_plain_program() -> None:
    out = program(
        """
        import roomcast
        from roomcast.testing import Client
        engine = roomcast.Engine("127.0.0.1:0", shards=1)
        told = []
        engine.on_message(lambda c, data: print(engine.stop(), c.id > 0))
        engine.on_close(lambda c, reason: told.append(reason.name))
        engine.start()
        client = Client.connect(*engine.addresses[0])
        client.send("stop")
        assert client.expect_close() == (1001, "going away"), client
        client.end()
        assert engine.wait(20)
        print(told)
        """
    )
    assert "StopReport(connections=1, cut=0" in out and "['stopping']" in out


def test_stopping_in_a_handler_on_the_loop() -> None:
    out = program(
        """
        import asyncio, roomcast
        from roomcast.testing import Client
        engine = roomcast.Engine("127.0.0.1:0", shards=1)
        told = []
        @engine.on_message
        async def message(c, data):
            if data == "sync":
                engine.stop()
            else:
                await engine.astop()
            told.append("stopped")
        @engine.on_close
        def closes(c, reason): told.append(reason.name)
        async def main(how):
            engine.start()
            client = Client.connect(*engine.addresses[0])
            client.send(how)
            assert await client.aexpect_close() == (1001, "going away")
            client.end()
            while len(told) < 2:
                await asyncio.sleep(0.01)
            print(sorted(told))
            told.clear()
        asyncio.run(main("sync"))
        asyncio.run(main("async"))
        """
    )
    assert out.splitlines() == ["['stopped', 'stopping']"] * 2


@pytest.mark.parametrize("loop", ["", "asyncio.run", "uvloop.run"])
def test_stopping_in_the_middle_of_a_batch(loop: str) -> None:
    out = program(
        f"""
        import asyncio, roomcast, socket, threading, time, uvloop
        from roomcast.testing import Client
        engine = roomcast.Engine(shards=1)
        told, objects, gate = [], {{}}, threading.Event()
        @engine.on_message
        def message(c, data):
            gate.wait(20)
            assert objects.setdefault(c.id, c) is c
            told.append(data)
            if data == "0 0":
                engine.stop()
        @engine.on_close
        def closes(c, reason):
            assert objects[c.id] is c
            told.append(reason.name)
        clients = []
        def visit():
            for n in range(5):
                ours, theirs = socket.socketpair()
                engine.adopt(theirs)
                client = Client(ours)
                clients.append(client)
                client.send(f"{{n}} 0")
                client.send(f"{{n}} 1")
            # All wait in the queue, behind the first, whose handler waits here.
            while engine.stats()["messages_in"] < 10:
                time.sleep(0.001)
            gate.set()
        async def main():
            engine.start()
            thread = threading.Thread(target=visit)
            thread.start()
            while not told.count("stopping") == 5:
                await asyncio.sleep(0.001)
            thread.join()
        if "{loop}":
            {loop or "str"}(main())
        else:
            engine.start()
            visit()
            assert engine.wait(20)
        for client in clients:
            client.end()
        print(len(told), told.count("stopping"), engine.is_running)
        """
    )
    assert out == "15 5 False\n"


def test_an_exception_that_leaves_the_loop_takes_no_event_with_it() -> None:
    out = program(
        """
        import asyncio, roomcast
        from roomcast.testing import Client
        engine = roomcast.Engine("127.0.0.1:0", shards=1)
        told = []
        @engine.on_message
        def message(c, data):
            told.append(data)
            if data == "0":
                raise KeyboardInterrupt
        async def main():
            global client
            engine.start()
            client = Client.connect(*engine.addresses[0])
            for n in range(5):
                client.send(str(n))
            while len(told) < 5:
                await asyncio.sleep(0.01)
        loop = asyncio.new_event_loop()
        try:
            loop.run_until_complete(main())
        except KeyboardInterrupt:
            print("interrupted")
        async def rest():
            while len(told) < 5:
                await asyncio.sleep(0.01)
            await engine.astop()
            client.end()
        loop.run_until_complete(rest())
        loop.close()
        print(told)
        """
    )
    assert out.splitlines() == ["interrupted", "['0', '1', '2', '3', '4']"]


def test_a_loop_that_is_closed_first() -> None:
    program(
        """
        import asyncio, roomcast
        from roomcast.testing import Client
        engine = roomcast.Engine("127.0.0.1:0", shards=1)
        @engine.on_message
        async def message(c, data):
            await asyncio.sleep(60)
        async def main():
            engine.start()
            client = Client.connect(*engine.addresses[0])
            assert await client.astatus() == 101
            client.send("x")
            while not engine.stats()["messages_in"]:
                await asyncio.sleep(0.01)
            return client
        client = asyncio.run(main())
        client.send("y")
        engine.stop()
        assert client.expect_close()[0] == 1001
        client.end()
        client = asyncio.run(main())
        engine.stop()
        client.end()
        """
    )


@pytest.mark.parametrize("handlers", ["", "engine.on_message(lambda c, data: None)"])
def test_a_program_that_ends_with_clients_connected(handlers: str) -> None:
    code = f"""
        import roomcast, sys
        engine = roomcast.Engine("127.0.0.1:0", shards=1)
        {handlers}
        engine.start()
        print(engine.port, flush=True)
        sys.stdin.readline()
        """
    import textwrap

    from roomcast.testing import Client

    child = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    port = int(child.stdout.readline())
    clients = [Client.connect("127.0.0.1", port) for _ in range(20)]
    for client in clients:
        assert client.status == 101
        client.send("x")
    _, errors = child.communicate("\n", timeout=PATIENCE)
    assert child.returncode == 0 and errors == ""
    assert {client.expect_close()[0] for client in clients} == {1001}, "peers are told"
    for client in clients:
        client.end()


def test_sigterm_and_ctrl_c_end_a_program_as_they_end_any() -> None:
    code = """
        import roomcast
        engine = roomcast.Engine("127.0.0.1:0")
        engine.on_message(lambda c, data: None)
        try:
            with engine:
                print("up", flush=True)
                engine.wait()
        except KeyboardInterrupt:
            print("down", engine.is_running)
        """
    import signal
    import textwrap

    child = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None and child.stdout.readline() == "up\n"
    child.send_signal(signal.SIGINT)
    out, _ = child.communicate(timeout=PATIENCE)
    assert (child.returncode, out) == (0, "down False\n")


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
@pytest.mark.parametrize("call", ["engine.serve()", "asyncio.run(engine.aserve())"])
def test_serving_is_a_whole_program(name: str, call: str) -> None:
    import signal
    import textwrap

    from roomcast.testing import Client

    code = f"""
        import asyncio, roomcast, signal
        engine = roomcast.Engine("127.0.0.1:0", shards=1)
        before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
        engine.on_connect(lambda c: print(engine.port, flush=True))
        import threading
        def tell():
            while not engine.is_running: pass
            print(engine.port, flush=True)
        threading.Thread(target=tell).start()
        report = {call}
        assert before == (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT))
        print(report.connections, report.cut)
        """
    child = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    client = Client.connect("127.0.0.1", int(child.stdout.readline()))
    assert client.status == 101
    child.stdout.readline()
    child.send_signal(getattr(signal, name))
    assert client.expect_close()[0] == 1001
    client.end()
    out, _ = child.communicate(timeout=PATIENCE)
    assert (child.returncode, out) == (0, "1 0\n")


def test_stopping_what_was_never_started_is_nothing() -> None:
    engine = roomcast.Engine()
    assert engine.stop().connections == 0
    asyncio.run(engine.astop())


async def test_plain_handlers_may_block_on_a_thread_beside_the_loop(roomcast_client: Any) -> None:
    engine = roomcast.Engine(shards=1, handlers="thread")
    where: list[threading.Thread] = []
    engine.on_message(lambda c, data: where.append(threading.current_thread()))
    async with engine:
        roomcast_client(engine).send("x")
        await auntil(lambda: where)
    assert where[0].name == "roomcast-dispatch"


def test_after_a_fork_an_unstarted_engine_works_and_a_started_one_says_why() -> None:
    out = program(
        """
        import os, roomcast, warnings
        from roomcast.testing import Client
        warnings.simplefilter("ignore", DeprecationWarning)
        engine = roomcast.Engine("127.0.0.1:0", shards=1)
        used = roomcast.Engine("127.0.0.1:0", shards=1)
        used.start()
        room = used.room("a")
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                for call in (lambda: used.publish("a", "x"), lambda: room.publish("x"), used.stop):
                    try:
                        call()
                        print("no error", flush=True)
                    except roomcast.UsageError as error:
                        print(error, flush=True)
                assert not used.is_running
                with engine:
                    assert engine.publish("a", "x").members == 0
                    client = Client.connect(*engine.addresses[0])
                    assert client.status == 101
                    client.end()
                del used, room
                code = 0
            finally:
                os._exit(code)
        _, status = os.waitpid(pid, 0)
        assert status == 0, status
        assert used.publish("a", "x").members == 0
        used.stop()
        """
    )
    assert out.count("before the process was forked") == 3 and "no error" not in out


def test_a_started_engine_may_be_started_anew_in_a_child() -> None:
    program(
        """
        import multiprocessing, roomcast, warnings
        warnings.simplefilter("ignore", DeprecationWarning)
        engine = roomcast.Engine("127.0.0.1:0", shards=1)
        engine.on_message(lambda c, data: None)
        def child():
            with engine:
                assert engine.publish("a", "x").members == 0
        if __name__ == "__main__":
            engine.start()
            context = multiprocessing.get_context("fork")
            process = context.Process(target=child)
            process.start()
            process.join(20)
            assert process.exitcode == 0, process.exitcode
            engine.stop()
        """
    )


def test_engines_in_children_are_not_harmed_by_threads_that_waited_in_the_parent() -> None:
    # A thread that is parked on a lock at the fork stays in that lock's queue in the child, where
    # its memory belongs to others.
    program(
        """
        import os, roomcast, warnings
        warnings.simplefilter("ignore", DeprecationWarning)
        def engine():
            engine = roomcast.Engine("127.0.0.1:0", shards=1)
            engine.on_message(lambda c, data: None)
            return engine
        for _ in range(40):
            mine, other = engine(), engine()
            mine.start()
            pid = os.fork()
            if pid == 0:
                other.start()
                other.publish("a", "x")
                other.stop()
                os._exit(0)
            assert os.waitpid(pid, 0)[1] == 0
            mine.stop()
        """
    )


@pytest.mark.skipif(sys.version_info < (3, 12), reason="sub-interpreters of 3.11 are private")
def test_a_sub_interpreter_is_a_clear_error() -> None:
    module = "_interpreters" if sys.version_info >= (3, 13) else "_xxsubinterpreters"
    out = program(
        f"""
        import {module} as interpreters
        code = '''
        try:
            import roomcast
            print("imported")
        except ImportError as error:
            print("ImportError:", error)
        '''
        import textwrap
        ident = interpreters.create()
        interpreters.run_string(ident, textwrap.dedent(code))
        """
    )
    assert "ImportError" in out and "interpreter" in out


def test_a_free_threaded_build_is_a_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib

    monkeypatch.setattr(sysconfig, "get_config_var", lambda name: 1)
    with pytest.raises(ImportError, match="free-threaded"):
        importlib.reload(roomcast)


def test_an_engine_that_is_let_go_of_stops() -> None:
    engine = roomcast.Engine("127.0.0.1:0", shards=1)
    engine.on_message(lambda connection, data: None)
    engine.start()
    client = connect(engine)
    gone = weakref.ref(engine)
    del engine
    until(lambda: gc.collect() >= 0 and gone() is None)
    assert client.expect_close()[0] == 1001
    client.end()


def test_handlers_that_know_their_engine_do_not_keep_it() -> None:
    engine = roomcast.Engine("127.0.0.1:0", shards=1)

    @engine.on_message
    def message(connection: roomcast.Connection, data: str) -> None:
        engine.publish("a", data)

    with engine:
        connect(engine).end()
    gone = weakref.ref(engine)
    del engine, message
    until(lambda: gc.collect() >= 0 and gone() is None)


def test_a_host_without_our_threads_turns_the_engine(roomcast_client: Any) -> None:
    engine = roomcast.Engine(own_threads=False)
    told: list[str] = []
    engine.on_connect(lambda c: c.accept(rooms=["a"]))
    engine.on_message(lambda c, data: told.append(data))
    engine.start()
    before = {thread.name for thread in threading.enumerate()}
    assert not any(name.startswith("roomcast") for name in before - {"roomcast-client"})
    assert engine.fileno() >= 0
    client = roomcast_client(engine)
    client.send("x")
    end = time.monotonic() + PATIENCE
    while not told and time.monotonic() < end:
        assert engine.turn(0.05)
        assert engine.next_turn() is None or engine.next_turn() >= 0  # type: ignore[operator]
    assert told == ["x"]
    engine.publish("a", "y")
    engine.turn(0.05)
    assert client.receive() == "y"
    engine.stop()
    assert not engine.turn(0.0)


async def test_a_host_that_turns_the_engine_stops_it_in_async_code_too() -> None:
    engine = roomcast.Engine(own_threads=False)
    with pytest.raises(roomcast.Stopped):
        engine.port
    async with engine:
        with pytest.raises(roomcast.UsageError, match="listener"):
            engine.port
        begun = time.monotonic()
    assert time.monotonic() - begun < 2.0


def test_fileno_needs_an_engine_without_threads(roomcast_engine: Any) -> None:
    engine = roomcast_engine()
    engine.start()
    with pytest.raises(roomcast.UsageError, match="own_threads=False"):
        engine.fileno()


def test_what_cannot_be_adopted_is_said_and_not_taken(roomcast_engine: Any) -> None:
    engine = roomcast_engine(connections_max=0)
    engine.start()
    with pytest.raises(TypeError, match=r"socket\.socket"):
        engine.adopt(3)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
        with pytest.raises(ValueError, match="stream"):
            engine.adopt(datagrams)
        assert datagrams.fileno() >= 0
    ours, theirs = socket.socketpair()
    with ours, theirs:
        with pytest.raises(roomcast.Overloaded, match="connections_max"):
            engine.adopt(theirs)
        assert theirs.fileno() == -1
        with pytest.raises(ValueError, match="closed"):
            engine.adopt(theirs)


def test_a_unix_socket(tmp_path: Any) -> None:
    from roomcast.testing import Client

    path = tmp_path / "socket"
    with roomcast.Engine(listen_unix=path, shards=1):
        sock = socket.socket(socket.AF_UNIX)
        sock.connect(str(path))
        client = Client(sock)
        assert client.status == 101
        client.end()
    assert not path.exists()


def test_stopping_from_another_thread_while_the_loop_is_at_work() -> None:
    program(
        """
        import asyncio, roomcast, threading
        from roomcast.testing import Client
        engine = roomcast.Engine("127.0.0.1:0", shards=1)
        closed = []
        @engine.on_close
        async def closes(c, reason):
            closed.append(reason.name)
        async def main():
            engine.start()
            client = Client.connect(*engine.addresses[0])
            assert await client.astatus() == 101
            await asyncio.to_thread(engine.stop)
            while not closed:
                await asyncio.sleep(0.01)
            client.end()
        asyncio.run(main())
        assert closed == ["stopping"]
        """
    )


def test_publishing_from_threads_while_the_engine_stops_and_goes() -> None:
    program(
        """
        import roomcast, threading
        engine = roomcast.Engine("127.0.0.1:0", shards=2)
        engine.start()
        room = engine.room("a")
        begun = threading.Barrier(5)
        def publish(call):
            begun.wait()
            try:
                while True:
                    call()
            except roomcast.Stopped:
                pass
        calls = [lambda: engine.publish("a", b"x" * 100), lambda: room.publish("x")] * 2
        threads = [threading.Thread(target=publish, args=(call,)) for call in calls]
        for thread in threads:
            thread.start()
        begun.wait()
        engine.stop()
        for thread in threads:
            thread.join(20)
            assert not thread.is_alive()
        """
    )
