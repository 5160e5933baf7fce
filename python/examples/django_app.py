"""Django in one file, with rooms on the same port, and a sync view that publishes.

    pip install roomcast django uvicorn
    uvicorn django_app:application --ws django_app:rooms

Log in at /login?user=ada, open a WebSocket at /ws/lobby with the cookie that you got, and publish
with /publish/lobby?says=hello. In a project of yours the engine lives in a module of its own,
views import it from there, and `asgi.py` has the last two lines.
"""

from __future__ import annotations

import django
from django.conf import settings
from django.core import signing
from django.core.asgi import get_asgi_application
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import path

import roomcast
import roomcast.asgi
import roomcast.uvicorn

settings.configure(
    ALLOWED_HOSTS=["127.0.0.1", "localhost"],
    ROOT_URLCONF=__name__,
    SECRET_KEY="only for trying",
)
django.setup()

engine = roomcast.Engine()  # no port of its own: it is given Uvicorn's connections


def user_of(cookies: dict[str, str]) -> str | None:
    """Who it is; the same for a Django request's cookies and a connection's."""
    try:
        return str(signing.loads(cookies.get("user", "")))
    except signing.BadSignature:
        return None


@engine.on_connect
async def connect(conn: roomcast.Connection) -> None:
    user = user_of(conn.cookies)
    if user is None:
        conn.refuse(401, "log in first")
    else:
        conn.accept(user=user, rooms=[conn.path.removeprefix("/ws/")])


def login(request: HttpRequest) -> HttpResponse:
    response = HttpResponse("welcome")
    user = signing.dumps(request.GET["user"])
    response.set_cookie("user", user, httponly=True, samesite="Strict")
    return response


def publish(request: HttpRequest, room: str) -> HttpResponse:
    """A sync view: Django runs it in a thread, and any thread may publish."""
    user = user_of(request.COOKIES)
    if user is None:
        return HttpResponse("log in first", status=401)
    published = engine.publish(room, {"from": user, "says": request.GET.get("says", "")})
    return JsonResponse({"members": published.members})


urlpatterns = [path("login", login), path("publish/<room>", publish)]

application = roomcast.asgi.RoomcastApp(get_asgi_application(), engine)
rooms = roomcast.uvicorn.protocol(engine, path="/ws")
