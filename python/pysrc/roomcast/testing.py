"""A small WebSocket client for tests, of the standard library only.

Stage: integration, above the engine's public API. In comes a connected socket; out go messages,
the handshake's answer and the close. A client has a thread of its own that reads, so it is never
slow, unless the test says so by `lag()`. `roomcast.pytest_plugin` makes them in tests.

In an async test the engine's handlers run on the test's loop, so nothing may block it: await
`areceive()`, `astatus()` and `aexpect_close()` there. The blocking forms refuse.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import json
import os
import queue
import socket
import struct
import threading
from collections.abc import Iterator, Mapping
from typing import Any

from roomcast import UsageError

__all__ = ["Client", "Closed", "NotOpened"]

_TIMEOUT = 5.0
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
# So little that a peer who does not read is noticed after a few frames.
BUFFER_BYTES = 4096
_TEXT, _BINARY, _CLOSE, _PING, _PONG = 1, 2, 8, 9, 10


class Closed(Exception):
    """The connection ended, where a message was expected. 1006: without a close frame."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"closed with {code} {text}".rstrip())
        self.code = code
        self.text = text


class NotOpened(Exception):
    """The handshake was refused, where a message was expected."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(f"the handshake was answered with {status}: {text}")
        self.status = status
        self.text = text


class Client:
    """A WebSocket client for tests.

    Making one sends the handshake and waits for nothing. `status` and `receive` wait for the
    answer, and what is sent before it goes out behind it. Messages that nobody has received yet
    wait in memory, in order.
    """

    def __init__(
        self,
        sock: socket.socket,
        path: str = "/",
        *,
        headers: Mapping[str, str] | None = None,
        subprotocols: tuple[str, ...] = (),
    ) -> None:
        self._sock = sock
        self._key = base64.b64encode(os.urandom(16))
        self._reading = threading.Lock()
        self._writing = threading.Lock()
        self._answered = threading.Event()
        self._found: queue.SimpleQueue[str | bytes | Exception] = queue.SimpleQueue()
        self._end: Exception | None = None
        self._status = 0
        self._close_sent = False
        # Frames that wait for the handshake's answer; None behind it.
        self._early: bytearray | None = bytearray()
        # The response's headers, names in lower case, and the text of a refusal.
        self.response_headers: dict[str, str] = {}
        self.text = ""
        # How many pings came, all of which are answered.
        self.pings = 0
        # For sends to an engine that does not read.
        sock.settimeout(_TIMEOUT)
        sock.sendall(self._request(path, headers or {}, subprotocols))
        self._thread = threading.Thread(target=self._read, name="roomcast-client", daemon=True)
        self._thread.start()

    @classmethod
    def connect(cls, host: str, port: int, path: str = "/", **how: Any) -> Client:
        """A client over loopback. `how` as in the constructor."""
        sock = socket.socket()
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
            sock.settimeout(_TIMEOUT)
            sock.connect((host, port))
            return cls(sock, path, **how)
        except BaseException:
            sock.close()
            raise

    @property
    def status(self) -> int:
        """The handshake's HTTP status: 101 when it opened; 0 when no answer came before the end."""
        return self._wait_status()

    @property
    def subprotocol(self) -> str | None:
        """The subprotocol that was agreed."""
        self._wait_status()
        return self.response_headers.get("sec-websocket-protocol")

    def send(self, data: str | bytes) -> None:
        """Sends a message: text for `str`, binary for `bytes`. Before the handshake's answer it
        is kept, and goes out behind it. Raises `NotOpened` after a refusal."""
        opcode, payload = (_TEXT, data.encode()) if isinstance(data, str) else (_BINARY, data)
        if self._answered.is_set() and self._status != 101:
            raise NotOpened(self._status, self.text)
        self._send_frame(opcode, payload)

    def send_json(self, data: Any) -> None:
        """Sends JSON text."""
        self.send(json.dumps(data))

    def receive(self, timeout: float = _TIMEOUT) -> str | bytes:
        """The next message. Raises `Closed`, `NotOpened` or `TimeoutError`."""
        _refuse_on_a_loop("receive")
        return self._take(timeout)

    def receive_json(self, timeout: float = _TIMEOUT) -> Any:
        """The next message, decoded."""
        _refuse_on_a_loop("receive_json")
        return json.loads(self._take(timeout))

    def expect_close(self, timeout: float = _TIMEOUT) -> tuple[int, str]:
        """Code and text of the close; (1006, "") without one. Messages before it are dropped."""
        _refuse_on_a_loop("expect_close")
        return self._take_close(timeout)

    async def astatus(self, timeout: float = _TIMEOUT) -> int:
        """`status`, in an async test."""
        return await asyncio.to_thread(self._wait_status, timeout)

    async def areceive(self, timeout: float = _TIMEOUT) -> str | bytes:
        """`receive`, in an async test."""
        return await asyncio.to_thread(self._take, timeout)

    async def areceive_json(self, timeout: float = _TIMEOUT) -> Any:
        """`receive_json`, in an async test."""
        return json.loads(await self.areceive(timeout))

    async def aexpect_close(self, timeout: float = _TIMEOUT) -> tuple[int, str]:
        """`expect_close`, in an async test."""
        return await asyncio.to_thread(self._take_close, timeout)

    @contextlib.contextmanager
    def lag(self) -> Iterator[None]:
        """Reads nothing inside the block, not even pings: to the engine the peer is slow."""
        self._reading.acquire()
        try:
            yield
        finally:
            self._reading.release()

    def drop(self) -> None:
        """Vanishes, without a close frame."""
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)

    def close(self, code: int = 1000, text: str = "") -> None:
        """Sends a close frame and does not wait; `expect_close` waits for the answer."""
        with contextlib.suppress(OSError):
            self._send_frame(_CLOSE, struct.pack(">H", code) + text.encode())

    def end(self) -> None:
        """Drops the connection and frees what the client holds."""
        self.drop()
        self._thread.join(_TIMEOUT)
        self._sock.close()

    def _request(
        self, path: str, headers: Mapping[str, str], subprotocols: tuple[str, ...]
    ) -> bytes:
        lines = {
            "Host": "roomcast.test",
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec-WebSocket-Key": self._key.decode(),
            "Sec-WebSocket-Version": "13",
        }
        if subprotocols:
            lines["Sec-WebSocket-Protocol"] = ", ".join(subprotocols)
        text = "".join(f"{name}: {value}\r\n" for name, value in {**lines, **headers}.items())
        return f"GET {path} HTTP/1.1\r\n{text}\r\n".encode()

    def _send_frame(self, opcode: int, payload: bytes) -> None:
        size = len(payload)
        head = bytes([0x80 | opcode]) + (
            bytes([0x80 | size]) if size < 126
            else struct.pack(">BH", 0x80 | 126, size) if size < 65536
            else struct.pack(">BQ", 0x80 | 127, size)
        )
        # The mask is there for proxies; tests need no secret one.
        mask = b"\x00" * 4
        with self._writing:
            self._close_sent |= opcode == _CLOSE
            if self._early is None:
                self._sock.sendall(head + mask + payload)
            else:
                self._early += head + mask + payload

    def _send_early(self) -> None:
        """The handshake is answered: sends what had to wait for that."""
        with self._writing:
            early, self._early = self._early, None
            if early:
                self._sock.sendall(early)

    def _wait_status(self, timeout: float = _TIMEOUT) -> int:
        if not self._answered.is_set():
            _refuse_on_a_loop("status")
        if not self._answered.wait(timeout):
            raise TimeoutError(f"the handshake was not answered within {timeout} s")
        return self._status

    def _take(self, timeout: float) -> str | bytes:
        if self._end is not None:
            raise self._end
        try:
            found = self._found.get(timeout=timeout)
        except queue.Empty:
            raise TimeoutError(f"no message within {timeout} s") from None
        if isinstance(found, Exception):
            self._end = found
            raise found
        return found

    def _take_close(self, timeout: float) -> tuple[int, str]:
        try:
            while True:
                self._take(timeout)
        except Closed as closed:
            return closed.code, closed.text

    def _read(self) -> None:
        """The client's thread: everything from the handshake's answer to the end."""
        stream = _Stream(self._sock, self._reading)
        end: Exception = Closed(1006, "")
        try:
            end = self._read_answer(stream) or self._read_frames(stream)
        except (EOFError, OSError, ValueError) as error:
            # A peer's reset or a dropped client; a broken frame says so.
            end = Closed(1006, str(error) if isinstance(error, ValueError) else "")
        # The engine waits for the end of the stream after a refusal.
        self.drop()
        self._answered.set()
        self._found.put(end)

    def _read_answer(self, stream: _Stream) -> Exception | None:
        first, *lines = stream.until(b"\r\n\r\n").decode("latin-1").rstrip("\r\n").split("\r\n")
        status = int(first.split(" ")[1])
        for line in lines:
            name, _, value = line.partition(":")
            self.response_headers[name.strip().lower()] = value.strip()
        expected = base64.b64encode(hashlib.sha1(self._key + _GUID).digest()).decode()
        if status == 101 and self.response_headers.get("sec-websocket-accept") != expected:
            raise ValueError("the answer's Sec-WebSocket-Accept is wrong")
        if status != 101:
            size = int(self.response_headers.get("content-length", "0"))
            self.text = stream.exactly(size).decode("utf-8", "replace").rstrip("\n")
        self._status = status
        if status == 101:
            self._send_early()
        self._answered.set()
        return None if status == 101 else NotOpened(status, self.text)

    def _read_frames(self, stream: _Stream) -> Exception:
        parts: list[bytes] = []
        kind = _TEXT
        while True:
            first, second = stream.exactly(2)
            size = second & 0x7F
            if size >= 126:
                size = int.from_bytes(stream.exactly(2 if size == 126 else 8), "big")
            payload = stream.exactly(size)
            opcode = first & 0x0F
            if opcode == _CLOSE:
                return self._answer_close(payload)
            if opcode == _PING:
                self.pings += 1
                self._send_frame(_PONG, payload)
            elif opcode != _PONG:
                kind = opcode or kind
                parts.append(payload)
                if first & 0x80:
                    whole = b"".join(parts)
                    self._found.put(whole.decode() if kind == _TEXT else whole)
                    parts.clear()

    def _answer_close(self, payload: bytes) -> Exception:
        if not self._close_sent:
            with contextlib.suppress(OSError):
                self._send_frame(_CLOSE, payload[:2])
        code = int.from_bytes(payload[:2], "big") if payload else 1005
        return Closed(code, payload[2:].decode("utf-8", "replace"))


class _Stream:
    """A socket's bytes by count or up to a mark, read under a lock that `lag` takes."""

    def __init__(self, sock: socket.socket, reading: threading.Lock) -> None:
        self._sock = sock
        self._reading = reading
        self._bytes = bytearray()

    def exactly(self, size: int) -> bytes:
        while len(self._bytes) < size:
            self._more()
        return self._cut(size)

    def until(self, mark: bytes) -> bytes:
        while mark not in self._bytes:
            self._more()
        return self._cut(self._bytes.index(mark) + len(mark))

    def _cut(self, size: int) -> bytes:
        found = bytes(self._bytes[:size])
        del self._bytes[:size]
        return found

    def _more(self) -> None:
        # Peeking waits without taking anything; the lock is held for the taking only.
        while True:
            try:
                self._sock.recv(1, socket.MSG_PEEK)
                break
            except TimeoutError:
                continue
        with self._reading:
            data = self._sock.recv(65536)
        if not data:
            raise EOFError
        self._bytes += data


def _refuse_on_a_loop(name: str) -> None:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    raise UsageError(f"{name} would block the event loop of this test; await a{name}() instead")
