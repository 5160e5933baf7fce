"""Echo on picows. Each connection is alone in its room, so the contract holds."""

from __future__ import annotations

import asyncio

from contract import announce, listener, run
from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_create_server


class Echo(WSListener):
    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        kind = frame.msg_type
        if kind == WSMsgType.CLOSE:
            transport.send_close(frame.get_close_code())
            transport.disconnect()
        elif kind in (WSMsgType.BINARY, WSMsgType.TEXT):
            transport.send(kind, frame.get_payload_as_bytes())


async def main() -> None:
    sock = listener()
    server = await ws_create_server(lambda _: Echo(), sock=sock, backlog=4096)
    announce(sock)
    async with server:
        await asyncio.Event().wait()


run(main())
