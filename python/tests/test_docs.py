"""The documentation, run: every block of Python in every page, and the programs as people start
them.

In come `README.md` and `docs/*.md`. HTML comments, which readers do not see, say what a block is:

- `<!-- file: NAME -->`: a file of the page's program, which the page's own command starts (`run`,
  with `first` for what comes before it). Ports in commands are replaced by free ones.
- `<!-- block -->`: run by itself, with an `engine`; `setup` and `check` behind it come before and
  after it. With `await` in any of them, it runs on a loop.
- `<!-- not run: REASON -->`: another library's; compiled only.

`python tests/test_docs.py` writes the table of limits.
"""

from __future__ import annotations

import ast
import asyncio
import contextlib
import http.cookiejar
import inspect
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import running
from conftest import auntil, until
from running import DEADLINE_S, Program

import roomcast
from roomcast._roomcast import limits
from roomcast.testing import Client

FOLDER = Path(__file__).parents[1]
PAGES = [FOLDER / "README.md", *sorted((FOLDER / "docs").glob("*.md"))]
PART = re.compile(r"^<!-- (.*?) ?-->$|^```(\w*)\n(.*?)^```$", re.M | re.S)


@dataclass
class Block:
    """A fenced block, and what the comments around it say."""

    page: Path
    line: int
    language: str
    text: str
    mark: str
    around: dict[str, tuple[int, str]] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.page.stem}:{self.line}"


def blocks(page: Path) -> list[Block]:
    """The fenced blocks of a page."""
    text, found, mark = page.read_text(), list[Block](), ""
    for part in PART.finditer(text):
        line = text.count("\n", 0, part.start()) + 2
        comment, language, code = part.groups()
        if comment is None:
            found.append(Block(page, line, language, code, mark))
            mark = ""
            continue
        name, _, hidden = comment.partition("\n")
        if name in ("setup", "check"):
            found[-1].around[name] = (line, hidden)
        else:
            mark = comment
    return found


ALL = [block for page in PAGES for block in blocks(page)]
PYTHON = [block for block in ALL if block.language == "python"]


def test_every_block_of_python_is_run_or_says_why_not() -> None:
    for block in PYTHON:
        kind, _, reason = block.mark.partition(": ")
        assert kind in ("block", "file", "not run"), f"{block} has no mark"
        if kind == "file":
            assert block.page.stem in RUN, f"{block}: no test starts this page's program"
        if kind == "not run":
            assert block.page.stem == "migrating" and reason, f"{block} is ours: run it"
        compile(block.text, str(block.page), "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


@pytest.mark.parametrize("block", [b for b in PYTHON if b.mark == "block"], ids=str)
def test_block(block: Block, roomcast_engine: Any, roomcast_client: Any) -> None:
    namespace: dict[str, Any] = {
        "__name__": "docs",
        "roomcast": roomcast,
        "engine": roomcast_engine(),
        "make_engine": roomcast_engine,
        "client": roomcast_client,
        "raises": pytest.raises,
        "until": until,
        "auntil": auntil,
    }
    parts = [block.around.get("setup"), (block.line, block.text), block.around.get("check")]
    flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    # Each part keeps the lines that it has in the page, for tracebacks.
    codes = [
        compile("\n" * (line - 1) + code, str(block.page), "exec", flags, dont_inherit=True)
        for line, code in filter(None, parts)
    ]

    async def run() -> None:
        for code in codes:
            made = eval(code, namespace)
            if made is not None:
                await made

    if any(code.co_flags & inspect.CO_COROUTINE for code in codes):
        asyncio.run(run())
    else:
        for code in codes:
            exec(code, namespace)


def test_links_lead_somewhere() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#]+)", page.read_text()):
            if "://" not in target:
                assert (page.parent / target).exists(), f"{page.name}: {target}"


def tree(cls: type[roomcast.RoomcastError], lead: str = "") -> Iterator[str]:
    """The lines of a class and of those below it."""
    builtin = [f" ({base.__name__})" for base in cls.__bases__[1:]]
    below = cls.__subclasses__()
    line = f"{lead}{cls.__name__}{''.join(builtin)}"
    yield line if below else f"{line:35}{cls.status:4}"
    lead = lead.replace("├── ", "│   ").replace("└── ", "    ")
    below.sort(key=lambda one: min([o.status for o in one.__subclasses__()] or [one.status]))
    for one in below:
        yield from tree(one, lead + ("└── " if one is below[-1] else "├── "))


def test_the_tree_of_errors() -> None:
    [block] = [block for block in ALL if block.mark == "tree"]
    assert block.text.splitlines() == list(tree(roomcast.RoomcastError))
    for name in re.findall(r"(\w+)[ ()\w]* \d+$", block.text, re.M):
        assert f"| `{name}` |" in page_text("errors"), f"{name} is not explained"


# --- the table of limits


def page_text(name: str) -> str:
    return next(page for page in PAGES if page.stem == name).read_text()


def table() -> str:
    """The limits as the engine tells of them, with the defaults in a column of their own."""
    lines = ["| limit | default | what it is |", "|---|---|---|"]
    for name, text in limits():
        words = " ".join(text.split())
        words = words.replace("[`SlowPolicy`]", "`slow_policy`").replace("`Refused::", "`")
        words = words.replace("[`MessageRatePolicy`]", "`message_rate_policy`")
        words = words.replace("[`RoomOptions::history`]", "`RoomOptions.history`")
        found = re.fullmatch(r"(.*) Default ([^.]+)\.(.*)", words)
        assert found, words
        default = re.sub(r"^(\d+) m?s$", r"\1,000", found[2])
        lines.append(f"| `{name}` | {default} | {found[1]}{found[3]} |")
    return "\n".join(lines) + "\n"


def with_table(text: str) -> str:
    mark = "<!-- limits -->\n"
    return re.sub(rf"{mark}(\|.*\n)*", lambda _: mark + table(), text)


def test_the_table_of_limits_is_the_engines() -> None:
    text = page_text("operating")
    assert text == with_table(text), "stale: python tests/test_docs.py writes it"


# --- the programs, as people start them


class Site:
    """A page's program at work, and a browser that has one of its pages open."""

    def __init__(self, program: Program, page: Path) -> None:
        self.program = program
        self.scripts = [block.text for block in blocks(page) if block.language == "js"]
        self.port = self.rooms_port = 0
        self.cookies = http.cookiejar.CookieJar()
        jar = urllib.request.HTTPCookieProcessor(self.cookies)
        self.browser = urllib.request.build_opener(jar)
        self.clients: list[Client] = []

    def listens(self, pattern: str) -> None:
        self.port = int(self.program.find(pattern)[1])

    def ask(self, path: str, post: dict[str, str] | None = None, method: str = "GET") -> str:
        url = f"http://127.0.0.1:{self.port}{path}"
        data = urllib.parse.urlencode(post).encode() if post else None
        request = urllib.request.Request(
            url, data, {"Referer": url}, method="POST" if post else method
        )
        with self.browser.open(request, timeout=DEADLINE_S) as response:
            return str(response.read().decode())

    def fetch(self) -> str:
        """What the page's second script does."""
        [(path, method)] = re.findall(r'fetch\("(.*)", \{method: "(\w+)"\}\)', self.scripts[1])
        return self.ask(path, method=method)

    def socket(self, port: int | None = None) -> Client:
        """What the page's first script does: connects, and says what it says."""
        address = re.findall(r"new WebSocket\([`\"]ws://([^/]*)(/.*)[`\"]\)", self.scripts[0])
        [(host, path)] = address
        port = port or self.port
        assert host == "${location.host}" or port != self.port
        cookie = "; ".join(f"{cookie.name}={cookie.value}" for cookie in self.cookies)
        origin = {"Host": f"127.0.0.1:{port}", "Origin": f"http://127.0.0.1:{self.port}"}
        headers = {**origin, "Cookie": cookie}
        client = Client.connect("127.0.0.1", port, path, headers=headers)
        self.clients.append(client)
        if client.status == 101:
            for said in re.findall(r'ws\.send\("(.*?)"\)', self.scripts[0]):
                client.send(said)
        return client

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        code = self.program.stop(number)
        for client in self.clients:
            client.end()
        return code


@contextlib.contextmanager
def started(
    name: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Site]:
    """The program of a page in a folder of its own, by the page's command."""
    page = next(page for page in PAGES if page.stem == name)
    # Programs start in the examples' folder, unless told.
    monkeypatch.setattr(running, "EXAMPLES", folder)
    found = blocks(page)
    for block in found:
        if block.mark == "first":
            for command in block.text.splitlines():
                first(command, folder)
    for block in found:
        if block.mark.startswith("file: "):
            path = folder / block.mark.removeprefix("file: ")
            path.write_text(block.text)
    [command] = [block.text.strip() for block in found if block.mark == "run"]
    # Where one part of the program must know the other's port, it cannot be 0.
    ports = [free_port(), free_port()] if len(re.findall(PORT, command)) > 1 else [0]
    left = iter(ports)
    command = re.sub(PORT, lambda _: str(next(left)), command)
    with Program(words(command), PYTHONWARNINGS="error" if name in STRICT else "") as program:
        site = Site(program, page)
        site.rooms_port = ports[-1]
        yield site


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def words(command: str) -> list[str]:
    program, *arguments = shlex.split(command, comments=True)
    modules: dict[str, list[str]] = {"python": [], "django-admin": ["-m", "django"]}
    return [sys.executable, *modules.get(program, ["-m", program]), *arguments]


def first(command: str, folder: Path) -> None:
    """A command that comes before; one that would ask for a password is given it."""
    line, env = words(command), {**os.environ, "DJANGO_SUPERUSER_PASSWORD": "secret"}
    if "createsuperuser" in line:
        line.append("--noinput")
    subprocess.run(line, cwd=folder, env=env, check=True, capture_output=True, timeout=60)


PORT = r"\b(8080|8000|5000)\b"
HEALTH = r"open http://127\.0\.0\.1:(\d+)/health"
UVICORN = r"running on http://127\.0\.0\.1:(\d+)"
STRICT = {"README", "quickstart-asyncio", "quickstart-worker", "quickstart-flask"}


def try_readme(site: Site) -> None:
    site.listens(HEALTH)
    assert site.ask("/health") == "ok\n"
    one = site.socket()
    assert one.receive() == "hello"
    two = site.socket()
    assert two.receive() == one.receive() == "hello"
    assert site.end(signal.SIGINT) == 0 and "Traceback" not in site.program.output
    assert one.expect_close()[0] == two.expect_close()[0] == 1001


def try_quickstart_asyncio(site: Site) -> None:
    site.listens(HEALTH)
    site.ask("/health")
    ada = site.socket()
    heard = [ada.receive_json()]
    while "from" not in heard[-1]:
        heard.append(ada.receive_json())
    assert heard[-1] == {"from": "ada", "says": "hello"}
    stranger = Client.connect("127.0.0.1", site.port, "/?token=other")
    assert (stranger.status, stranger.text) == (401, "no such token")
    stranger.end()
    assert site.end() == 0 and ada.expect_close()[0] == 1001


def try_quickstart_worker(site: Site) -> None:
    site.listens(HEALTH)
    site.ask("/health")
    watcher = site.socket()
    assert watcher.receive_json().keys() == {"load", "watching"}
    assert site.end() == 0 and watcher.expect_close()[0] == 1001


def try_quickstart_fastapi(site: Site) -> None:
    site.listens(UVICORN)
    assert site.socket().status == 401
    assert site.ask("/login/ada") == '"welcome, ada"'
    ada = site.socket()
    assert ada.receive_json() == {"from": "ada", "says": "hello"}
    assert site.fetch() == '{"members":1}'
    assert ada.receive_json() == {"from": "ada", "says": "hi"}
    site.end()
    assert ada.expect_close()[0] == 1001


def try_quickstart_django(site: Site) -> None:
    site.listens(UVICORN)
    assert site.socket().status == 401
    form = site.ask("/admin/login/")
    token = re.search(r'csrfmiddlewaretoken" value="(\w+)"', form)
    assert token
    entry = {"csrfmiddlewaretoken": token[1], "username": "ada", "password": "secret"}
    site.ask("/admin/login/?next=/say/lobby/nobody", post=entry)
    ada = site.socket()
    assert ada.receive_json() == {"from": "ada", "says": "hello"}
    assert site.ask("/say/lobby/hi") == '{"members": 1}'
    assert ada.receive_json() == {"from": "ada", "says": "hi"}
    site.end()
    assert ada.expect_close()[0] == 1001


def try_quickstart_flask(site: Site) -> None:
    site.listens(UVICORN.replace("running", "Running"))
    rooms = site.rooms_port
    assert site.socket(rooms).status == 401
    assert site.ask("/login/ada") == "welcome, ada"
    ada = site.socket(rooms)
    assert ada.receive() == "ada: hello"
    assert site.fetch() == '{"members":1}\n'
    assert ada.receive() == "ada: hi"
    site.end(signal.SIGINT)
    assert ada.expect_close()[0] == 1001


def try_one_port(site: Site) -> None:
    site.listens(UVICORN)
    assert site.ask("/") == "open the console"
    assert site.socket().receive() == "hello"
    site.end()


RUN: dict[str, Callable[[Site], object]] = {
    "README": try_readme,
    "quickstart-asyncio": try_quickstart_asyncio,
    "quickstart-worker": try_quickstart_worker,
    "quickstart-fastapi": try_quickstart_fastapi,
    "quickstart-django": try_quickstart_django,
    "quickstart-flask": try_quickstart_flask,
    "one-port": try_one_port,
    "testing": lambda site: site.program.find("3 passed"),
}


@pytest.mark.parametrize("name", RUN)
def test_program(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with started(name, tmp_path, monkeypatch) as site:
        RUN[name](site)
    assert "Traceback" not in site.program.output or name == "README", site.program.output


if __name__ == "__main__":
    operating = FOLDER / "docs" / "operating.md"
    operating.write_text(with_table(operating.read_text()))
