"""Credentials and tokens (points 1 to 3)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import time

from tests.support.clearml_common import (
    API_VERSION,
    COMPANY_ID,
    COMPANY_NAME,
    SERVER_VERSION,
    USER_ID,
    USER_NAME,
    ApiError,
    Json,
    new_id,
)

DEFAULT_LIFE = 30 * 24 * 3600


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


class Authority:
    """Knows the one key pair, makes tokens and judges Authorization headers."""

    def __init__(self, access_key: str, secret_key: str) -> None:
        self._pair = f"{access_key}:{secret_key}"
        self._signing_key = hashlib.sha256(self._pair.encode()).digest()

    def token(self, life: float = DEFAULT_LIFE) -> str:
        """A JWT with the claims that the clients read without verifying it (point 3)."""
        issued = int(time.time())
        claims: Json = {
            "exp": int(issued + life),
            "iat": issued,
            "session_id": new_id(),
            "auth_type": "Bearer",
            "identity": {
                "user": USER_ID,
                "company": COMPANY_ID,
                "role": "user",
                "user_name": USER_NAME,
                "company_name": COMPANY_NAME,
            },
            "env": "<unknown>",
            "api_version": API_VERSION,
            "server_version": SERVER_VERSION,
            "server_build": "",
            "feature_set": "basic",
        }
        parts = [_encode(json.dumps(part).encode()) for part in ({"typ": "JWT", "alg": "HS256"}, claims)]
        signed = ".".join(parts)
        return f"{signed}.{self._signature(signed)}"

    def check(self, header: str | None) -> None:
        """Raises 401 with the subcode of point 2 unless the header proves who calls."""
        if not header:
            raise ApiError(401, 20, "Unauthorized (missing credentials)")
        scheme, _, value = header.partition(" ")
        if scheme == "Basic":
            self._check_basic(value)
        elif scheme == "Bearer":
            self._check_token(value)
        else:
            raise ApiError(401, 10, "Unauthorized (bad authentication header type)")

    def _check_basic(self, value: str) -> None:
        try:
            pair = base64.b64decode(value.encode()).decode()
        except (binascii.Error, ValueError) as error:
            raise ApiError(401, 21, f"Unauthorized (malformed credentials) ({error})") from error
        if not hmac.compare_digest(pair.encode(), self._pair.encode()):
            reason = "failed to locate provided credentials"
            raise ApiError(401, 22, f"Unauthorized (invalid credentials) ({reason})")

    def _check_token(self, token: str) -> None:
        parts = token.split(".")
        if len(parts) != 3:
            raise _bad_token("Not enough segments")
        if not hmac.compare_digest(parts[2], self._signature(".".join(parts[:2]))):
            raise _bad_token("Signature verification failed")
        if json.loads(_decode(parts[1]))["exp"] <= time.time():
            raise _bad_token("Signature has expired")

    def _signature(self, signed: str) -> str:
        return _encode(hmac.new(self._signing_key, signed.encode(), hashlib.sha256).digest())


def _bad_token(reason: str) -> ApiError:
    return ApiError(401, 30, "Invalid token (invalid jwt token)", reason=reason)
