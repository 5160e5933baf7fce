"""Echo on websockets. Each connection is alone in its room, so the contract holds."""

from __future__ import annotations

from contextlib import suppress

from contract import announce, listener, run
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed


async def echo(connection: ServerConnection) -> None:
    # Readers of the bench go without goodbye.
    with suppress(ConnectionClosed):
        async for data in connection:
            await connection.send(data)


async def main() -> None:
    sock = listener()
    async with serve(echo, sock=sock, compression=None, backlog=4096) as server:
        announce(sock)
        await server.serve_forever()


run(main())
