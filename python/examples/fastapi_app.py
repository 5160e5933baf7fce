"""FastAPI with rooms on the same port, and one function that authenticates both.

    pip install roomcast fastapi uvicorn itsdangerous
    uvicorn fastapi_app:app --ws fastapi_app:rooms

Then log in at POST /login/ada, open a WebSocket at /ws/lobby with the cookie that you got, and
publish with POST /rooms/lobby. Every second the room "clock" is told the time.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import Body, Depends, FastAPI, HTTPException, Request, Response
from itsdangerous import BadSignature, Signer

import roomcast
import roomcast.asgi
import roomcast.uvicorn

signer = Signer(os.environ.get("SECRET", "only for trying"))
engine = roomcast.Engine()  # no port of its own: it is given Uvicorn's connections
rooms = roomcast.uvicorn.protocol(engine, path="/ws")


def current_user(request: Request) -> str:
    """Who it is, by the cookie. FastAPI calls it for requests, and we for WebSockets."""
    try:
        return signer.unsign(request.cookies.get("user", "")).decode()
    except BadSignature:
        raise HTTPException(401, "log in first") from None


@engine.on_connect
async def connect(conn: roomcast.Connection) -> None:
    user = await roomcast.asgi.authenticate(conn, current_user)
    conn.state.room = conn.path.removeprefix("/ws/")
    conn.accept(user=user, rooms=[conn.state.room])


@engine.on_message
async def message(conn: roomcast.Connection, data: str | bytes | memoryview) -> None:
    if isinstance(data, str):
        engine.publish(conn.state.room, {"from": conn.user, "says": data})


async def tell_the_time() -> None:
    while True:
        engine.publish("clock", {"now": time.time()})
        await asyncio.sleep(1)


@contextlib.asynccontextmanager
async def background(app: FastAPI) -> AsyncIterator[None]:
    task = asyncio.create_task(tell_the_time())
    yield
    task.cancel()


app = FastAPI(lifespan=roomcast.asgi.lifespan(engine, inner=background))


@app.post("/login/{user}")
async def login(user: str, response: Response) -> None:
    response.set_cookie("user", signer.sign(user).decode(), httponly=True, samesite="strict")


@app.post("/rooms/{room}")
async def publish(
    room: str, says: Annotated[Any, Body()], user: Annotated[str, Depends(current_user)]
) -> dict[str, int]:
    return {"members": engine.publish(room, {"from": user, "says": says}).members}


@app.get("/members")
async def members() -> dict[str, Any]:
    """Each process has rooms of its own, so several workers answer differently."""
    return {"process": os.getpid(), "rooms": engine.rooms()}
