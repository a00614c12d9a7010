"""A plain HTTP client for the tests of the loopback ClearML server: it sends exactly what it is told."""

from __future__ import annotations

import base64
import http.client
import json
from collections.abc import Mapping
from types import TracebackType
from typing import Any

from tests.support.clearml_server import ClearMLServer


def basic(access_key: str, secret_key: str) -> str:
    """An Authorization header for a key pair."""
    return "Basic " + base64.b64encode(f"{access_key}:{secret_key}".encode()).decode()


class RawClient:
    """One kept-alive connection to a server."""

    def __init__(self, server: ClearMLServer) -> None:
        self._connection = http.client.HTTPConnection(server.url.partition("//")[2], timeout=10)
        self._headers = {"Authorization": basic(server.access_key, server.secret_key)}

    def __enter__(self) -> RawClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()

    def send(
        self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]
    ) -> tuple[int, dict[str, Any]]:
        """HTTP status and JSON body of one request, sent verbatim."""
        self._connection.request(method, path, body, dict(headers))
        response = self._connection.getresponse()
        return response.status, json.loads(response.read())

    def call(self, name: str, body: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
        """A call with the server's own key."""
        headers = {**self._headers, "Content-Type": "application/json"}
        return self.send("POST", f"/v2.31/{name}", json.dumps(body).encode(), headers)

    def data(self, name: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """The data of a call that must succeed."""
        status, answer = self.call(name, body)
        if status != 200:
            raise AssertionError(f"{name}: {answer['meta']}")
        data: dict[str, Any] = answer["data"]
        return data
