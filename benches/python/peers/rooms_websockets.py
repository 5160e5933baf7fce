"""The peer on websockets, with its `broadcast`. On uvloop."""

from __future__ import annotations

from collections import defaultdict
from contextlib import suppress

from contract import announce, listener, rooms_of, run
from websockets.asyncio.server import ServerConnection, broadcast, serve
from websockets.exceptions import ConnectionClosed

MEMBERS: defaultdict[str, set[ServerConnection]] = defaultdict(set)


async def member(connection: ServerConnection) -> None:
    assert connection.request is not None
    rooms, skip = rooms_of(connection.request.path)
    for room in rooms:
        MEMBERS[room].add(connection)
    try:
        # Readers of the bench go without goodbye.
        with suppress(ConnectionClosed):
            async for data in connection:
                others = MEMBERS[rooms[0]]
                broadcast(others - {connection} if skip else others, data)
    finally:
        for room in rooms:
            MEMBERS[room].discard(connection)


async def main() -> None:
    sock = listener()
    async with serve(member, sock=sock, compression=None, backlog=4096) as server:
        announce(sock)
        await server.serve_forever()


run(main())
