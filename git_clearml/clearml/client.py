"""Speaks HTTP to a ClearML server: the only module that does.

Measured against urllib3, requests and the SDK, `http.client` is what the gate's budget allows (benchmarks/verify.py).
HTTP Basic is accepted by every call of a ClearML server, so there is no log-in; a gateway that wants one gets it.
Every exchange runs in a thread that the deadline abandons: a name server that hangs, or a server that sends a byte a
second, cannot hold us longer than the budget.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import queue
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

from git_clearml import __version__
from git_clearml.clearml.config import Server
from git_clearml.errors import BadAnswer, CannotDecide, Forbidden, Refused, TimedOut, Unauthorized, Unreachable

_CONNECT_SECONDS = 5.0
_RETRY_DELAYS = (0.2, 1.0)  # seconds before the second and the third try
_AWAY = (429, 502, 503, 504)
MEGABYTE = 1_000_000
_TOKEN = re.compile(r"[A-Za-z0-9._~+/=-]{1,8192}")

_CHECK_HOST = "check CLEARML_API_HOST (the API server, not the web page)"
_CHECK_KEYS = "make new credentials in ClearML: Settings > Workspace > Create new credentials"


@dataclass(frozen=True)
class _Reply:
    status: int
    headers: Mapping[str, str]
    body: bytes


class _Again(Exception):
    """A try that failed in a way that another may mend. `error` is what to raise when no time is left."""

    def __init__(self, error: CannotDecide, after: float | None = None) -> None:
        super().__init__(error.message)
        self.error = error
        self.after = after


class ClearML:
    """A server to ask, within one budget of seconds for all the questions together.

    `log` gets a line per request, without secrets. One object serves one thread.
    """

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
        self._url = urlsplit(server.api)
        self._environment = environment
        self._log, self._sleep, self._clock = log, sleep, clock
        self._authorization = "Basic " + _base64(f"{server.access_key}:{server.secret_key}")
        self._bearer = False
        self._connection: http.client.HTTPConnection | None = None
        self._budget = budget
        self._deadline = clock() + budget

    def renew(self) -> None:
        """Gives the next questions a fresh budget."""
        self._deadline = self._clock() + self._budget

    def close(self) -> None:
        """Lets go of the connection. Harmless when there is none."""
        if self._connection is not None:
            with contextlib.suppress(OSError):
                self._connection.close()
            self._connection = None

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
            raise BadAnswer(f"{self.server.api} answered the log-in without a token", _CHECK_HOST)
        self._authorization = "Bearer " + token

    def _send(self, name: str, payload: bytes, limit: int, repeat: bool) -> _Reply:
        """One answer, of whatever status; tried again while the server is away and time is left."""
        delays = iter(_RETRY_DELAYS if repeat else ())
        while True:
            try:
                return self._try(name, payload, limit)
            except _Again as again:
                self.close()
                delay = next(delays, None)
                wait = delay if delay is None or again.after is None else max(delay, again.after)
                if wait is None or self._clock() + wait >= self._deadline:
                    raise again.error from None
                self._log(f"{again.error.message}; again in {wait:g} s")
                self._sleep(wait)

    def _try(self, name: str, payload: bytes, limit: int) -> _Reply:
        """One exchange within what is left of the budget. Raises _Again for what another try may mend."""
        started = self._clock()
        remaining = self._deadline - started
        if remaining <= 0:
            raise self._too_slow()
        answers: queue.SimpleQueue[_Reply | Exception] = queue.SimpleQueue()

        def work() -> None:
            try:
                answers.put(self._exchange(name, payload, limit, remaining))
            except Exception as error:  # noqa: BLE001  handed over to the thread that asked
                answers.put(error)

        threading.Thread(target=work, daemon=True).start()
        try:
            answer = answers.get(timeout=remaining)
        except queue.Empty:
            self._abandon()
            raise self._too_slow() from None
        except BaseException:
            self._abandon()
            raise
        if isinstance(answer, Exception):
            self.close()
            raise self._explained(answer)
        self._log(f"POST {name}: {answer.status}, {len(answer.body)} bytes, {1000 * (self._clock() - started):.0f} ms")
        if answer.status in _AWAY:
            raise _Again(
                Unreachable(f"{self.server.api} is away for now (HTTP {answer.status})", "try again in a while"),
                _seconds(answer.headers.get("retry-after", "")),
            )
        return answer

    def _abandon(self) -> None:
        """Closes the socket under the thread that still reads from it."""
        connection, self._connection = self._connection, None
        sock = getattr(connection, "sock", None)
        if sock is not None:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def _exchange(self, name: str, payload: bytes, limit: int, remaining: float) -> _Reply:
        if self._connection is None:
            self._connection = _connect(self._url, self.server, self._environment, min(_CONNECT_SECONDS, remaining))
        connection = self._connection
        try:
            return self._exchanged(connection, name, payload, limit, remaining)
        except Exception:  # half an exchange spoils the connection, and an abandoned one nobody else closes
            with contextlib.suppress(OSError):
                connection.close()
            raise

    def _exchanged(
        self, connection: http.client.HTTPConnection, name: str, payload: bytes, limit: int, remaining: float
    ) -> _Reply:
        if connection.sock is not None:
            connection.sock.settimeout(remaining)
        headers = {
            "Authorization": self._authorization,
            "Content-Type": "application/json",
            "Accept": "application/json",
            "Accept-Encoding": "identity",
            "User-Agent": f"git-clearml/{__version__}",
        }
        prefix = getattr(connection, "absolute", "") + self._url.path
        headers |= getattr(connection, "proxy_headers", {})
        connection.request("POST", f"{prefix}/{name}", body=payload, headers=headers)
        response = connection.getresponse()
        if (response.length or 0) > limit:
            raise _too_large(self.server.api, limit)
        content = response.read(limit + 1)
        if len(content) > limit:
            raise _too_large(self.server.api, limit)
        if response.length:
            raise http.client.IncompleteRead(content, response.length)
        if response.will_close:
            self.close()
        return _Reply(response.status, {key.lower(): value for key, value in response.getheaders()}, content)

    def _too_slow(self) -> TimedOut:
        return TimedOut(
            f"{self.server.api} did not answer within {self._budget:g} s", "try again, or raise --timeout SECONDS"
        )

    def _explained(self, error: Exception) -> Exception:
        """What went wrong on the way, in our words. Anything we do not know is a bug and goes up as it is."""
        api = self.server.api
        if isinstance(error, CannotDecide):
            return error
        if isinstance(error, ssl.SSLCertVerificationError):
            return BadAnswer(
                f"the certificate of {api} cannot be trusted: {error.verify_message}",
                "set CLEARML_API_HOST_VERIFY_CERT to the file of your CA",
            )
        if isinstance(error, ssl.SSLError):
            return BadAnswer(f"{api} does not speak TLS as expected ({error.reason or 'handshake failed'})", _TRY_HTTP)
        if isinstance(error, TimeoutError):
            return self._too_slow() if self._clock() >= self._deadline - 0.5 else _no_connection(api)
        if isinstance(error, socket.gaierror):
            return Unreachable(f"the host of {api} is unknown", _CHECK_HOST)
        if isinstance(error, ConnectionRefusedError):
            return Unreachable(f"{api} refuses connections", "is the server up? " + _CHECK_HOST)
        if isinstance(error, (ConnectionResetError, ConnectionAbortedError, BrokenPipeError)):
            return _Again(Unreachable(f"{api} closed the connection", "try again; is it behind a proxy?"))
        if isinstance(error, http.client.HTTPException):
            truncated = isinstance(error, http.client.IncompleteRead)
            word = "a truncated answer" if truncated else "something that is not HTTP"
            return BadAnswer(f"{api} sent {word}", _CHECK_HOST)
        if isinstance(error, OSError):
            return Unreachable(f"no connection to {api}: {error.strerror or error}", _CHECK_HOST)
        return error

    def _data(self, name: str, reply: _Reply) -> dict[str, Any]:
        """The answer's `data`, after everything about the answer has been checked."""
        api = self.server.api
        if 300 <= reply.status < 400:
            place = urlsplit(reply.headers.get("location", "")).hostname or "elsewhere"
            raise BadAnswer(f"{api} redirects to {place}; credentials are not sent there", _CHECK_HOST)
        document = _document(reply.body)
        meta = document.get("meta") if isinstance(document, dict) else None
        meta = meta if isinstance(meta, dict) else {}
        code = meta.get("result_code") if isinstance(meta.get("result_code"), int) else reply.status
        said = self.server.redact(str(meta.get("result_msg", "")))[:200]
        if reply.status == 401 or code == 401:
            raise Unauthorized(f"{api} does not accept the credentials", _CHECK_KEYS)
        if reply.status == 403 or code == 403:
            raise Forbidden(f"{api} forbids {name} to these credentials: {said}", "ask for the rights, or other keys")
        if not meta:
            what = "an HTML page" if reply.body.lstrip()[:1] == b"<" else "something that is not a ClearML answer"
            raise BadAnswer(f"{api} answered {name} with {what} (HTTP {reply.status})", _CHECK_HOST)
        if reply.status != 200 or code != 200:
            subcode = meta.get("result_subcode")
            raise Refused(
                f"{api} refused {name} ({code}): {said or 'no reason given'}",
                "git clearml --version and the server's version belong into a report of this",
                result_code=int(code or 0),
                subcode=subcode if isinstance(subcode, int) else 0,
            )
        data = document.get("data")
        if not isinstance(data, dict):
            raise BadAnswer(f"{api} answered {name} without data", _CHECK_HOST)
        return data


_TRY_HTTP = "is it an http:// server? check the scheme and the port of CLEARML_API_HOST"


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _document(body: bytes) -> Any:
    """The JSON document, None for what is none."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _seconds(retry_after: str) -> float | None:
    """A Retry-After header in seconds from now: a number or a date."""
    if retry_after.strip().isdigit():
        return float(retry_after.strip()[:9])
    if not retry_after.strip():
        return None
    from datetime import datetime, timezone
    from email.utils import parsedate_to_datetime

    try:
        when = parsedate_to_datetime(retry_after)
        when = when if when.tzinfo else when.replace(tzinfo=timezone.utc)
        return max(0.0, (when - datetime.now(timezone.utc)).total_seconds())
    except (ValueError, TypeError, OverflowError):
        return None


def _too_large(api: str, limit: int) -> BadAnswer:
    return BadAnswer(f"{api} sent more than {limit // MEGABYTE} MB", _CHECK_HOST)


def _no_connection(api: str) -> TimedOut:
    return TimedOut(f"no connection to {api} within {_CONNECT_SECONDS:g} s", "is the network up? " + _CHECK_HOST)


def _connect(
    url: SplitResult, server: Server, environment: Mapping[str, str], timeout: float
) -> http.client.HTTPConnection:
    """A connection, straight or through the proxy that the environment names. Blocks until it stands."""
    host, secure = url.hostname or "", url.scheme == "https"
    port = url.port or (443 if secure else 80)
    proxy = _proxy(url.scheme, host, port, environment)
    connection: http.client.HTTPConnection
    at, at_port = (proxy.hostname or "", proxy.port or 80) if proxy else (host, port)
    if secure:
        context = _context(server.verify, environment)
        connection = http.client.HTTPSConnection(at, at_port, timeout=timeout, context=context)
    else:
        connection = http.client.HTTPConnection(at, at_port, timeout=timeout)
    if proxy:
        user = f"{unquote(proxy.username or '')}:{unquote(proxy.password or '')}" if proxy.username else ""
        headers = {"Proxy-Authorization": "Basic " + _base64(user)} if user else {}
        if secure:
            connection.set_tunnel(host, port, headers)
        else:
            connection.absolute = f"http://{url.netloc}"  # type: ignore[attr-defined]
            connection.proxy_headers = headers  # type: ignore[attr-defined]
    connection.connect()
    connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def _context(verify: bool | str, environment: Mapping[str, str]) -> ssl.SSLContext:
    """What certificates to trust: ClearML's setting, else requests' variable (as the SDK does), else the system."""
    if verify is False:
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context
    bundle = verify if isinstance(verify, str) else environment.get("REQUESTS_CA_BUNDLE", "")
    try:
        if not bundle:
            return ssl.create_default_context()
        directory = bundle if _is_directory(bundle) else None
        return ssl.create_default_context(cafile=None if directory else bundle, capath=directory)
    except (OSError, ssl.SSLError):
        raise BadAnswer(f"the CA file {bundle} cannot be used", "give a file of PEM certificates") from None


def _is_directory(path: str) -> bool:
    import os

    return os.path.isdir(path)


def _proxy(scheme: str, host: str, port: int, environment: Mapping[str, str]) -> SplitResult | None:
    """The proxy for this host, None for a straight connection. Nothing is imported when no variable names one."""
    names = (f"{scheme}_proxy", "all_proxy")
    values = (value for name in names for value in (environment.get(name), environment.get(name.upper())))
    found = next((value for value in values if value), "")
    if not found:
        return None
    from urllib import request

    no_proxy = environment.get("no_proxy") or environment.get("NO_PROXY") or ""
    bypassed = request.proxy_bypass_environment  # type: ignore[attr-defined]  # public, but not in typeshed
    if no_proxy and bypassed(f"{host}:{port}", {"no": no_proxy}):
        return None
    try:
        parts = urlsplit(found if "://" in found else "http://" + found)
        _ = parts.port
    except ValueError:
        parts = urlsplit("")
    if parts.scheme != "http" or not parts.hostname:
        raise Unreachable(
            f"the proxy in {names[0].upper()} is no http:// URL", "mend it, or name the server in NO_PROXY"
        )
    return parts
