"""Speaks to a ClearML server's API: the only module that does.

HTTP Basic is accepted by every call of a ClearML server, so there is no log-in; a gateway that wants one gets it.
"""

from __future__ import annotations

import contextlib
import json
import re
import time
from collections.abc import Callable, Mapping
from typing import Any

from git_clearml.base import jsonvalue
from git_clearml.base.connection import basic
from git_clearml.base.exchange import MEGABYTE, Reply, Request, Site
from git_clearml.base.http import HttpClient
from git_clearml.clearml.config import Server, address_hint
from git_clearml.errors import BadAnswer, Forbidden, Refused, Unauthorized

_TOKEN = re.compile(r"[A-Za-z0-9._~+/=-]{1,8192}")
_CHECK_CERTIFICATE = "set CLEARML_API_HOST_VERIFY_CERT to the file of your CA"
_CHECK_SCHEME = "write http:// in CLEARML_API_HOST if the server has no TLS"
_CHECK_KEYS = "make new credentials in ClearML: Settings > Workspace > Create new credentials"
_ASK_AN_ADMIN = "ask an admin of the ClearML workspace for that right, or use other credentials"


class ClearML(HttpClient):
    """A server to ask, within one budget of seconds for all the questions together."""

    def __init__(
        self,
        server: Server,
        budget: float,
        *,
        environment: Mapping[str, str],
        log: Callable[[str], None] = lambda _: None,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.server = server
        site = Site(server.api, server.verify, address_hint(environment), _CHECK_CERTIFICATE, _CHECK_SCHEME)
        super().__init__(site, budget, environment=environment, log=log, sleep=sleep, clock=clock)
        keys = f"{server.access_key}:{server.secret_key}"
        self._authorization = f"Bearer {server.token}" if server.token else basic(keys)
        self._bearer = bool(server.token)
        self.date = ""  # the server's clock in its last answer, as HTTP writes it

    def open_ahead(self, *headers: str) -> None:
        """Begins to connect: a question is sure to come."""
        super().open_ahead(self._authorization, *headers)

    def take_over(self, other: HttpClient) -> None:
        """Goes on with the connection that another client has begun to make, if it is to the same server."""
        if isinstance(other, ClearML) and other.server == self.server:
            super().take_over(other)

    def call(
        self, name: str, body: Mapping[str, Any], *, limit: int = 16 * MEGABYTE, repeat: bool = True
    ) -> dict[str, Any]:
        """The `data` of the server's answer to `service.action`; at most `limit` bytes of it.

        `repeat` false is for what must not happen twice. Raises Unreachable, TimedOut, Unauthorized, Forbidden,
        Refused (a 400 with ClearML's reason) and BadAnswer.
        """
        payload = json.dumps(body).encode()
        reply = self._send(name, payload, limit, repeat)
        if reply.status == 401 and not self._bearer:
            self._log_in()
            reply = self._send(name, payload, limit, repeat)
        return self._data(name, reply)

    def _log_in(self) -> None:
        """Trades the credentials for a token, for gateways that want one. One try per process."""
        self._bearer = True
        data = self._data("auth.login", self._send("auth.login", b"{}", MEGABYTE, True))
        token = data.get("token")
        if not isinstance(token, str) or not _TOKEN.fullmatch(token):
            raise BadAnswer(f"{self.server.api} answered the log-in without a token", self.site.check_address)
        self._authorization = "Bearer " + token

    def _send(self, name: str, payload: bytes, limit: int, repeat: bool) -> Reply:
        headers = {
            "Authorization": self._authorization,
            "Content-Type": "application/json",
            "Accept": "application/json",
        }
        reply = self.exchange(Request("POST", name, headers, payload), limit=limit, repeat=repeat)
        self.date = reply.headers.get("date", "")
        return reply

    def _data(self, name: str, reply: Reply) -> dict[str, Any]:
        """The answer's `data`, after everything about the answer has been checked."""
        api = self.server.api
        document: Any = None
        with contextlib.suppress(jsonvalue.Malformed):
            document = jsonvalue.parse(reply.body)
        meta = document.get("meta") if isinstance(document, dict) else None
        meta = meta if isinstance(meta, dict) else {}
        code = meta.get("result_code") if isinstance(meta.get("result_code"), int) else reply.status
        reason = self.server.secrets.redact(str(meta.get("result_msg", "")))[:200]
        if reply.status == 401 or code == 401:
            raise Unauthorized(f"{api} does not accept the credentials from {self.server.whence}", _CHECK_KEYS)
        if reply.status == 403 or code == 403:
            raise Forbidden(f"{api} forbids {name} to these credentials: {reason}", _ASK_AN_ADMIN)
        if not meta:
            what = "an HTML page" if reply.body.lstrip()[:1] == b"<" else "something that is not a ClearML answer"
            raise BadAnswer(f"{api} answered {name} with {what} (HTTP {reply.status})", self.site.check_address)
        if reply.status != 200 or code != 200:
            subcode = meta.get("result_subcode")
            raise Refused(
                f"{api} refused {name} ({code}): {reason or 'no reason given'}",
                "to report this, add `git clearml --version` and the server's version",
                result_code=int(code or 0),
                subcode=subcode if isinstance(subcode, int) else 0,
            )
        data = document.get("data")
        if not isinstance(data, dict):
            raise BadAnswer(f"{api} answered {name} without data", self.site.check_address)
        return data
