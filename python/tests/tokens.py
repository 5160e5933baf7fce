"""Tokens that tests make, by a library that knows nothing of ours."""

from __future__ import annotations

import time
from typing import Any

import jwt

SECRET = "a secret of thirty-two bytes or more"


def token(user: str | None = "ada", key: Any = SECRET, *, algorithm: str = "HS256", kid: str = "",
          life: float | None = 3600, **claims: Any) -> str:
    """A JWT for this user, valid for so many seconds."""
    now = time.time()
    said: dict[str, Any] = {"iat": int(now)}
    if user is not None:
        said["sub"] = user
    if life is not None:
        said["exp"] = int(now + life)
    headers = {"kid": kid} if kid else None
    return jwt.encode({**said, **claims}, key, algorithm=algorithm, headers=headers)
