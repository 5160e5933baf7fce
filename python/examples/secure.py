"""A board on the open internet: TLS, tokens, real addresses, and who is here.

Whoever has a token comes in, does what the token allows, and is seen by the others. The board is
served at two doors of its own, and one for nginx (`core/examples/secure/nginx.conf` is its other
side):

- `--port`: TLS, for everybody;
- `--proxied-port`: TLS behind a proxy that passes it through, with a PROXY header before it;
- `--unix`: plain HTTP for a proxy on this machine that ends TLS, with `X-Forwarded-For`.

`Login` stands in for the login that your application has; take everything else along. Run it with a
certificate of your own, or one that only your browser believes (`secure.rs` says how to make it):

    BOARD_SECRET=$(openssl rand -hex 32) python python/examples/secure.py \
        --cert cert.pem --key key.pem --unix http.sock

SIGHUP reads certificate and keys anew, and no connection is dropped; SIGTERM and SIGINT stop.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import hmac
import http.server
import json
import os
import re
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import roomcast
from roomcast import Auth, Jwt, ListenOptions, RoomOptions

PAGES = Path(__file__).parents[2] / "core/examples/secure/page"
TEXT_MAX = 500


class Login(http.server.BaseHTTPRequestHandler):
    """NOT FOR PRODUCTION: a login that believes everybody who says a name.

    Your application asks for a password first, and signs the token then; or an identity provider
    does, and the engine is given its public keys (`--jwks`). A real login would set the token as a
    cookie with `HttpOnly; Secure; SameSite=Strict`, or answer a POST of your own page.
    """

    secret: bytes
    #: Longer than `token_notice_ms`, or each new token would be about to expire at once.
    lifetime_s: int

    def do_GET(self) -> None:
        target = urlsplit(self.path)
        user = parse_qs(target.query).get("user", [""])[0]
        if target.path != "/login" or not re.fullmatch("[a-z]{1,32}", user):
            self.send_error(400, "a name has 1 to 32 letters from a to z")
            return
        body = json.dumps({"token": self.token(user)}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Cache-Control", "no-store")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def token(self, user: str) -> str:
        """What the user may do is decided here, once for the life of the token."""
        now = int(time.time())
        claims = {
            "sub": user,
            "aud": "board",
            "iat": now,
            "exp": now + self.lifetime_s,
            "rooms": {
                "board:lobby": "join publish presence",
                f"board:{user}": "join publish presence",
                "board:news": "join",
            },
        }
        text = b".".join(encoded(json.dumps(part).encode()) for part in ({"alg": "HS256"}, claims))
        signature = hmac.digest(self.secret, text, hashlib.sha256)
        return (text + b"." + encoded(signature)).decode()

    def log_message(self, format: str, *arguments: Any) -> None:
        pass


def encoded(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def keys(options: argparse.Namespace) -> Jwt:
    """By what tokens are checked: their signature, and that they are meant for this board."""
    jwks = options.jwks and options.jwks.read_text()
    return Jwt(hs256=options.secret, jwks=jwks, audience="board")


def build(options: argparse.Namespace) -> roomcast.Engine:
    listen = [(f"127.0.0.1:{options.port}", ListenOptions(tls=True))]
    if options.proxied_port is not None:
        behind = ListenOptions(tls=True, proxy_protocol=True)
        listen.append((f"127.0.0.1:{options.proxied_port}", behind))
    # For this user and its group, which is where nginx belongs.
    listen_unix = {options.unix: ListenOptions(unix_mode=0o660)} if options.unix else {}
    # The first place with a token counts: programs send a header, a page of yours the cookie of its
    # session, and this page says `token ...` first. Later ones are renewals.
    auth = Auth(
        keys(options),
        header="authorization",
        cookie="board_token",
        message="token ",
        notice={"expiring": True},
    )
    engine = roomcast.Engine(
        listen,
        listen_unix=listen_unix,
        tls=(options.cert, options.key),
        auth=auth,
        # Only what stands in front of the engine. For a proxy on another machine it is the address
        # of that; `127.0.0.1` is no good where strangers have accounts on this one.
        trusted_proxies=["unix", "127.0.0.1"],
        # Pages of others that open a WebSocket here would have the cookies of your users: `origins`
        # is left at its default, which is pages of this host and no others.
        room_options={"board:": RoomOptions(presence=True, presence_interval_ms=200)},
        message_bytes_max=4 * 1024,
        message_rate_max=20,
        address_connections_max=200,
        user_connections_max=20,
        pages={
            "/": ("text/html; charset=utf-8", (PAGES / "index.html").read_text()),
            "/app.js": ("text/javascript; charset=utf-8", (PAGES / "app.js").read_text()),
            "/style.css": ("text/css; charset=utf-8", (PAGES / "style.css").read_text()),
        },
        # `ROOMCAST_TOKEN_NOTICE_MS=60000` and the like.
        from_env=True,
    )

    @engine.on_connect
    def connect(conn: roomcast.Connection) -> None:
        """Its token is valid already: nobody else comes as far as this."""
        if conn.path != "/ws":
            conn.refuse(404, "the WebSocket is at /ws")
        elif conn.claims is None or conn.claims.user is None:
            conn.refuse(403, "the token names no user")
        else:
            conn.state.ip = conn.peer_ip
            conn.accept()

    @engine.on_open
    def welcome(conn: roomcast.Connection) -> None:
        conn.send({"welcome": {"user": conn.user, "ip": conn.state.ip}})

    @engine.on_message
    def message(conn: roomcast.Connection, data: str | bytes | memoryview) -> None:
        try:
            on_line(engine, conn, json.loads(data) if isinstance(data, str) else None)
        except (ValueError, RecursionError):
            conn.close(1008, "this is no line of the board's")
        except roomcast.Refused:
            # Too much is under way. Who wrote it sees that it is not there.
            pass

    @engine.on_permission
    def permission(conn: roomcast.Connection, wish: roomcast.Wish) -> bool:
        """Its token does not allow it. A database might; here, nothing else does."""
        conn.send({"denied": {"verb": wish.verb, "room": wish.room}})
        return False

    return engine


def on_line(engine: roomcast.Engine, conn: roomcast.Connection, line: Any) -> None:
    match line:
        # What a peer wants is asked for: the engine looks into its token.
        case {"join": str(room)}:
            conn.request_join(room)
        case {"leave": str(room)}:
            conn.leave(room)
        case {"post": {"room": str(room), "text": str(text)}} if len(text) <= TEXT_MAX:
            # Who says it is what the token says, never what the message says.
            conn.request_publish(room, {"note": {"room": room, "from": conn.user, "text": text}})
        case {"who": str(room)} if conn.may("presence", room):
            page = engine.present(room)
            present = [{"id": str(one.id), "user": one.user} for one in page.present]
            conn.send({"here": {"room": room, "present": present}})
        case {"who": str(room)}:
            conn.send({"denied": {"verb": "presence", "room": room}})
        case "logout":
            # On all devices: what is open is closed, and no token that is out by now comes back.
            engine.revoke(user=conn.user)
        case _:
            raise ValueError(line)


def serve_login(options: argparse.Namespace) -> http.server.ThreadingHTTPServer:
    """On a thread, at a port of its own: nginx makes one site of the two."""
    Login.secret, Login.lifetime_s = options.secret.encode(), options.token_s
    server = http.server.ThreadingHTTPServer(("127.0.0.1", options.login_port), Login)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def main() -> None:
    arguments = argparse.ArgumentParser(description="BOARD_SECRET signs tokens: 32 bytes or more.")
    arguments.add_argument("--cert", type=Path, required=True, help="certificate with its chain")
    arguments.add_argument("--key", type=Path, required=True, help="its private key")
    arguments.add_argument("--port", type=int, default=8443, help="TLS for everybody")
    arguments.add_argument("--proxied-port", type=int, help="TLS behind a PROXY header")
    arguments.add_argument("--unix", help="HTTP from a proxy on this machine that ends TLS")
    arguments.add_argument("--jwks", type=Path, help="public keys of whoever signs tokens")
    arguments.add_argument("--login-port", type=int, default=0, help="the stand-in for a login")
    arguments.add_argument("--token-s", type=int, default=300, help="how long its tokens are valid")
    options = arguments.parse_args()
    # Not an argument, since those are seen by everybody on the machine.
    options.secret = os.environ.get("BOARD_SECRET")
    if options.secret is None and options.jwks is None:
        arguments.error("BOARD_SECRET or --jwks is needed")
    engine = build(options)

    def reload(*_: Any) -> None:
        """What is served from now on is what the files say now."""
        try:
            jwt = keys(options)
            engine.reload_tls((options.cert, options.key))
            engine.reload_auth(jwt)
            print("certificate and keys are read anew", flush=True)
        except (roomcast.RoomcastError, OSError) as error:
            print(f"secure: all stays as it was: {error}", file=sys.stderr, flush=True)

    signal.signal(signal.SIGHUP, reload)
    engine.start()
    host, port = engine.addresses[0]
    print(f"roomcast secure: open https://{host}:{port}/")
    for host, port in engine.addresses[1:]:
        print(f"TLS behind a PROXY header: {host}:{port}")
    if options.unix:
        print(f"HTTP from a proxy: unix:{options.unix}")
    if options.secret:
        login = serve_login(options)
        print(f"the stand-in for a login: 127.0.0.1:{login.server_port}")
    sys.stdout.flush()
    engine.serve()


if __name__ == "__main__":
    main()
