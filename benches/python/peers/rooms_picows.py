"""The peer on picows, the fastest WebSocket library for asyncio that we know of. On uvloop."""

from __future__ import annotations

import asyncio
from collections import defaultdict

from contract import announce, listener, rooms_of, run
from picows import (
    WSFrame,
    WSListener,
    WSMsgType,
    WSTransport,
    WSUpgradeRequest,
    ws_create_server,
)

MEMBERS: defaultdict[str, set[WSTransport]] = defaultdict(set)


class Member(WSListener):
    def __init__(self, target: str) -> None:
        self.rooms, self.skip = rooms_of(target)

    def on_ws_connected(self, transport: WSTransport) -> None:
        for room in self.rooms:
            MEMBERS[room].add(transport)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        kind = frame.msg_type
        if kind == WSMsgType.CLOSE:
            transport.send_close(frame.get_close_code())
            transport.disconnect()
        elif kind in (WSMsgType.BINARY, WSMsgType.TEXT):
            data = frame.get_payload_as_bytes()
            for member in MEMBERS[self.rooms[0]]:
                if not self.skip or member is not transport:
                    member.send(kind, data)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        for room in self.rooms:
            MEMBERS[room].discard(transport)


def member(request: WSUpgradeRequest) -> Member:
    return Member(request.path.decode())


async def main() -> None:
    sock = listener()
    server = await ws_create_server(member, sock=sock, backlog=4096)
    announce(sock)
    async with server:
        await asyncio.Event().wait()


run(main())
