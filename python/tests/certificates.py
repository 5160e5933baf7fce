"""Certificates that tests make, and sockets that check them."""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import trustme

#: Who signs them.
CA = trustme.CA(key_type=trustme.KeyType.ECDSA)


def files(folder: Path, *names: str) -> tuple[Path, Path]:
    """A certificate for these names and its key, as files."""
    made = CA.issue_cert(*names, key_type=trustme.KeyType.ECDSA)
    chain, key = folder / f"{names[0]}.pem", folder / f"{names[0]}.key"
    chain.write_bytes(b"".join(part.bytes() for part in made.cert_chain_pems))
    made.private_key_pem.write_to_path(str(key))
    return chain, key


def context(version: ssl.TLSVersion | None = None) -> ssl.SSLContext:
    """What a client checks them with; it speaks this version only."""
    made = ssl.create_default_context()
    CA.configure_trust(made)
    if version is not None:
        made.minimum_version = made.maximum_version = version
    return made


@contextlib.contextmanager
def handshake(
    port: int, name: str, version: ssl.TLSVersion | None = None
) -> Iterator[ssl.SSLSocket]:
    """A TLS connection to this port, for a server of this name."""
    with (
        socket.create_connection(("127.0.0.1", port), timeout=20) as plain,
        context(version).wrap_socket(plain, server_hostname=name) as sock,
    ):
        yield sock


def names(sock: ssl.SSLSocket) -> list[str]:
    """The names of the certificate that was shown."""
    shown: Any = sock.getpeercert()
    return [name for _, name in shown["subjectAltName"]]
