"""The peer on Starlette under uvicorn, as its documentation shows a chat. On uvloop."""

from __future__ import annotations

from collections import defaultdict

import uvicorn
from contract import announce, listener, rooms_of, run
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket

MEMBERS: defaultdict[str, set[WebSocket]] = defaultdict(set)


async def member(socket: WebSocket) -> None:
    rooms, skip = rooms_of(f"{socket.url.path}?{socket.url.query}")
    await socket.accept()
    for room in rooms:
        MEMBERS[room].add(socket)
    try:
        while (message := await socket.receive())["type"] == "websocket.receive":
            for other in list(MEMBERS[rooms[0]]):
                if skip and other is socket:
                    continue
                if (text := message.get("text")) is not None:
                    await other.send_text(text)
                else:
                    await other.send_bytes(message["bytes"])
    finally:
        for room in rooms:
            MEMBERS[room].discard(socket)


async def main() -> None:
    app = Starlette(routes=[WebSocketRoute("/{rest:path}", member)])
    config = uvicorn.Config(
        app, lifespan="off", log_level="error", ws_per_message_deflate=False, ws_ping_interval=None
    )
    sock = listener()
    announce(sock)
    await uvicorn.Server(config).serve(sockets=[sock])


run(main())
