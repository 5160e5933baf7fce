"""A WebSocket client of the standard library only, for the checks of the examples: what it sends is
small and well formed, and what it gets is taken apart strictly. One thread."""

import base64
import os
import socket
import struct

TEXT, CLOSE, PING, PONG = 1, 8, 9, 10


class Refused(Exception):
    """The answer was not 101; its status is the argument."""


class Client:
    def __init__(self, port, path, seconds=10):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=seconds)
        self.rest = b""
        key = base64.b64encode(os.urandom(16)).decode()
        head = f"GET {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nupgrade: websocket\r\n"
        head += f"connection: Upgrade\r\nsec-websocket-version: 13\r\nsec-websocket-key: {key}\r\n"
        self.socket.sendall(head.encode() + b"\r\n")
        while b"\r\n\r\n" not in self.rest:
            self.more()
        answer, self.rest = self.rest.split(b"\r\n\r\n", 1)
        status = int(answer.split()[1])
        if status != 101:
            self.socket.close()
            raise Refused(status)

    def more(self):
        got = self.socket.recv(65536)
        if not got:
            raise EOFError
        self.rest += got

    def take(self, count):
        while len(self.rest) < count:
            self.more()
        taken, self.rest = self.rest[:count], self.rest[count:]
        return taken

    def frame(self):
        """Opcode and payload of the next frame; an engine sends none in parts, and none masked."""
        first, second = self.take(2)
        assert first & 0x70 == 0 and first & 0x80 and second < 128, (first, second)
        size = second
        if second == 126:
            (size,) = struct.unpack("!H", self.take(2))
        elif second == 127:
            (size,) = struct.unpack("!Q", self.take(8))
        return first & 15, self.take(size)

    def put(self, opcode, payload):
        assert len(payload) < 126
        mask = os.urandom(4)
        masked = bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload))
        self.socket.sendall(bytes([0x80 | opcode, 0x80 | len(payload)]) + mask + masked)

    def send(self, text):
        self.put(TEXT, text.encode())

    def receive(self):
        """The next text; pings on the way are answered."""
        while True:
            opcode, payload = self.frame()
            if opcode == PING:
                self.put(PONG, payload)
                continue
            assert opcode == TEXT, (opcode, payload)
            return payload.decode()

    def closed(self, after_texts=False):
        """The code with which the other side closes, as the next thing; answered."""
        opcode, payload = self.frame()
        while after_texts and opcode == TEXT:
            opcode, payload = self.frame()
        assert opcode == CLOSE, (opcode, payload)
        self.put(CLOSE, payload[:2])
        (code,) = struct.unpack("!H", payload[:2])
        try:
            while True:
                self.more()
        except (EOFError, ConnectionError):
            self.socket.close()
        return code
