"""Runs each example against real clients: `examples.py FOLDER`, where FOLDER holds the programs.
Prints `ok` or `FAILED` and a name for each check; exits with 1 where one failed. One thread."""

import re
import select
import signal
import socket
import subprocess
import sys
import time
import traceback
import urllib.error
import urllib.request

from ws import Client, Refused

FOLDER = sys.argv[1]
SECONDS = 20


class Program:
    """An example that runs, until it is stopped by a signal and has said how that went."""

    def __init__(self, name, *options, stop=signal.SIGTERM):
        self.stop = stop
        self.process = subprocess.Popen(
            [f"{FOLDER}/{name}", "--port", "0", *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        ready, _, _ = select.select([self.process.stdout], [], [], SECONDS)
        line = self.process.stdout.readline() if ready else "nothing"
        found = re.fullmatch(r"listening on 127\.0\.0\.1:([0-9]+)\n", line)
        if not found:
            self.process.kill()
            raise AssertionError(f"{name} says {line!r}")
        self.port = int(found[1])

    def __enter__(self):
        return self

    def client(self, path):
        return Client(self.port, path, SECONDS)

    def ends(self, *clients, after_texts=False):
        """Stops it and looks at what it prints; each client is told 1001 on the way."""
        self.process.send_signal(self.stop)
        for client in clients:
            assert client.closed(after_texts) == 1001
        rest, _ = self.process.communicate(timeout=SECONDS)
        assert self.process.returncode == 0, self.process.returncode
        expected = rf"stopped {len(clients)} connections in [0-9]+ ms, 0 were cut\n"
        assert re.fullmatch(expected, rest), rest

    def __exit__(self, *_):
        if self.process.returncode is None:
            self.process.kill()
            self.process.communicate()


def refused(program, path):
    try:
        program.client(path)
    except Refused as answer:
        return answer.args[0]
    raise AssertionError(f"{path} was accepted")


def a_room(name, *options):
    """Two members and a stranger, then the end."""
    with Program(name, *options) as program:
        one, two = program.client("/room/a"), program.client("/room/a")
        other = program.client("/room/b")
        one.send("hello")
        assert one.receive() == two.receive() == "hello"
        other.send("elsewhere")
        assert other.receive() == "elsewhere"
        assert refused(program, "/nowhere") == 404
        program.ends(one, two, other)


def rooms_of_several_names():
    with Program("rooms") as program:
        several, a, c = map(program.client, ["/rooms/a,b,c", "/room/a", "/room/c"])
        c.send("from c")
        assert c.receive() == several.receive() == "from c"
        several.send("to the first")
        assert several.receive() == a.receive() == "to the first"
        c.send("again")
        assert c.receive() == several.receive() == "again"
        assert refused(program, "/room/") == 400
        assert refused(program, "/room/" + "x" * 300) == 400
        program.ends(several, a, c)


def rooms_skip():
    with Program("rooms", "--shards", "2") as program:
        skips, other = program.client("/room/a?skip=1"), program.client("/room/a?skip=0")
        skips.send("not to me")
        assert other.receive() == "not to me"
        other.send("to all")
        assert skips.receive() == other.receive() == "to all"
        program.ends(skips, other)


def rooms_with_many():
    with Program("rooms", stop=signal.SIGINT) as program:
        clients = [program.client("/room/many") for _ in range(40)]
        for i, client in enumerate(clients):
            client.send(str(i))
            assert {member.receive() for member in clients} == {str(i)}
        program.ends(*clients)


def rooms_says_what_is_wrong():
    with Program("rooms") as program:
        for port, code in [(str(program.port), 1), ("x", 2), ("99999", 1)]:
            run = [f"{FOLDER}/rooms", "--port", port]
            done = subprocess.run(run, capture_output=True, text=True, timeout=SECONDS)
            assert done.returncode == code and done.stderr.startswith("rooms: "), done
        program.ends()


def clock(name):
    with Program(name) as program:
        watcher = program.client("/room/clock")
        first, second = watcher.receive(), watcher.receive()
        assert re.fullmatch(r"\d\d:\d\d:\d\d", first) and first != second, (first, second)
        program.ends(watcher, after_texts=True)


def epoll_lines():
    with Program("epoll") as program:
        member = program.client("/room/lobby")
        program.process.stdin.write("first\nsecond\n" + "x" * 5000 + "\nlast\n")
        program.process.stdin.flush()
        expected = ["first", "second", "x" * 4096, "x" * 904, "last"]
        assert [member.receive() for _ in expected] == expected
        program.process.stdin.close()
        program.process.stdin = None
        member.send("after the end of the input")
        assert member.receive() == "after the end of the input"
        program.ends(member)


def adopt_both_ways():
    with Program("adopt") as program:
        raw, checked = program.client("/ws"), program.client("/ws2")
        # The response came before the socket was handed over, so a member of the room it is
        # for certain once it hears itself.
        for sender, text in [(checked, "from checked"), (raw, "from raw")]:
            sender.send(text)
            assert raw.receive() == checked.receive() == text
        program.ends(raw, checked)


def status_of(port, path, **headers):
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=SECONDS) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def adopt_answers_plain_requests():
    with Program("adopt") as program:
        status, body = status_of(program.port, "/")
        assert status == 200 and "new WebSocket" in body and body.endswith("</script>\n")
        assert status_of(program.port, "/other")[0] == 404
        assert status_of(program.port, "/ws2")[0] == 426
        assert status_of(program.port, "/ws")[0] in (400, 404, 426)
        program.ends()


def adopt_asks_for_the_origin():
    upgrade = {
        "upgrade": "websocket",
        "sec-websocket-version": "13",
        "sec-websocket-key": "AAAAAAAAAAAAAAAAAAAAAA==",
        "origin": "https://elsewhere.example",
    }
    with Program("adopt") as program:
        for path in ["/ws", "/ws2"]:
            head = f"GET {path} HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\n"
            head += "".join(f"{name}: {value}\r\n" for name, value in upgrade.items())
            assert answer_to(program.port, head + "\r\n").startswith("HTTP/1.1 403 "), path
        program.ends()


def answer_to(port, request):
    with socket.create_connection(("127.0.0.1", port), timeout=SECONDS) as plain:
        plain.sendall(request.encode())
        return plain.recv(4096).decode()


CHECKS = {
    "rooms: a room": lambda: a_room("rooms"),
    "rooms: a room, two shards": lambda: a_room("rooms", "--shards", "2"),
    "rooms: several names": rooms_of_several_names,
    "rooms: skip": rooms_skip,
    "rooms: many members, SIGINT": rooms_with_many,
    "rooms: says what is wrong": rooms_says_what_is_wrong,
    "epoll: a room": lambda: a_room("epoll"),
    "epoll: clock": lambda: clock("epoll"),
    "epoll: lines of standard input": epoll_lines,
    "libuv: a room": lambda: a_room("libuv"),
    "libuv: clock": lambda: clock("libuv"),
    "adopt: both ways": adopt_both_ways,
    "adopt: plain requests": adopt_answers_plain_requests,
    "adopt: origins": adopt_asks_for_the_origin,
}


def main():
    failed = 0
    for name, check in CHECKS.items():
        began = time.monotonic()
        try:
            check()
        except Exception:
            traceback.print_exc()
            failed += 1
            print(f"FAILED {name}", flush=True)
        else:
            print(f"ok     {name} ({(time.monotonic() - began) * 1000:.0f} ms)", flush=True)
    sys.exit(1 if failed else 0)


main()
