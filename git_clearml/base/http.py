"""Speaks HTTP within a budget of seconds, for every server that we ask ourselves.

Measured against urllib3, requests and the SDK, `http.client` is what the gate's budget allows (benchmarks/verify.py).
Redirects are not followed, because credentials would go along.
"""

from __future__ import annotations

import http.client
import math
import os
import re
import socket
import ssl
import time
from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

from git_clearml.base.connection import CONNECT_SECONDS, Connection
from git_clearml.base.exchange import MEGABYTE, Attempt, Reply, Request, Site
from git_clearml.errors import BadAnswer, BadSetting, CannotDecide, TimedOut, Unavailable, Unreachable

RETRY_DELAYS = (0.2, 1.0, 2.0, 4.0)  # seconds before another try, and up to half as long again
_OF_ONE_CLOSED = 2  # tries after a connection that was closed; one that is unavailable says that it will come back
_UNAVAILABLE = (408, 429, 502, 503, 504)  # 408: it has waited too long for the question
_NOT_IN_A_HEADER = re.compile(r"[^\t\x20-\x7e\x80-\xff]")


class _Retry(Exception):
    """A try that failed where another may succeed. `error` is what to raise when no time is left."""

    def __init__(self, error: CannotDecide, after: float | None = None, *, most: int = len(RETRY_DELAYS)) -> None:
        super().__init__(error.message)
        self.error = error
        self.after = after  # seconds that the server asked us to wait
        self.most = most  # tries after the first


class HttpClient:
    """Asks one site, within one budget of seconds for all the questions together.

    `log` gets a line per request, without its headers, its body and what follows a `?`. One object serves one thread.
    """

    def __init__(
        self,
        site: Site,
        budget: float,
        *,
        environment: Mapping[str, str],
        log: Callable[[str], None] = lambda _: None,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.site = site
        self._url = urlsplit(site.url)
        self._environment = environment
        self._log, self._sleep, self._clock = log, sleep, clock
        self._connection: Connection | None = None
        self._ahead: Attempt | None = None  # one that is connecting, and has not been asked anything
        self._budget = self._granted = budget
        self._deadline = clock() + budget

    def renew(self, at_most: float = math.inf) -> None:
        """Gives the next questions a fresh budget, of so many seconds at most."""
        self._granted = min(self._budget, at_most)
        self._deadline = self._clock() + self._granted

    def hurry(self, at_most: float) -> None:
        """Leaves the next questions so many seconds at most of the budget that there is."""
        self._granted = min(self._granted, at_most)
        self._deadline = min(self._deadline, self._clock() + at_most)

    def open_ahead(self, *headers: str) -> None:
        """Begins to connect, for a question that is sure to come and has these values of headers. What goes wrong is
        told when it is asked."""
        remaining = self._deadline - self._clock()
        if any(_NOT_IN_A_HEADER.search(value) for value in headers):
            return  # it will not be sent
        if self._connection is None and self._ahead is None and remaining > 0:
            self._ahead = Attempt(self.site, self._url, self._environment, None)
            self._ahead.open(remaining)

    def take_over(self, other: HttpClient) -> None:
        """Goes on with the connection that another client of the same site has begun to make."""
        self._ahead, other._ahead = other._ahead, None

    @property
    def certificate_ends(self) -> str:
        """The end of the certificate of the connection that is kept, as OpenSSL writes it (`notAfter`); "" without one
        that was checked."""
        sock = self._connection.http.sock if self._connection else None
        certificate = sock.getpeercert() or {} if isinstance(sock, ssl.SSLSocket) else {}
        return str(certificate.get("notAfter", ""))

    def close(self) -> None:
        """Lets go of the connection. Harmless when there is none."""
        if self._ahead is not None:
            self._ahead.abandon()
            self._ahead = None
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def exchange(self, request: Request, *, limit: int = 16 * MEGABYTE, repeat: bool = True) -> Reply:
        """One answer of at most `limit` bytes; asked again while the server is unavailable and time is left.

        `repeat` false is for what must not happen twice. Raises Unreachable, TimedOut, BadAnswer (a redirect too), and
        BadSetting for a header that cannot be sent; none of them quotes a header or a body.
        """
        for name, value in request.headers.items():
            if _NOT_IN_A_HEADER.search(value):
                raise BadSetting(f"a character in the {name} header for {self.site.url} cannot be sent", _LINE_BREAK)
        delays = RETRY_DELAYS if repeat else ()
        tries = 0
        while True:
            try:
                return self._no_redirect(self._try(request, limit))
            except _Retry as retry:
                self.close()
                if tries >= min(len(delays), retry.most):
                    raise retry.error from None
                spread = os.urandom(1)[0] / 512  # those who were refused at once do not come back at once
                wait = max(delays[tries], retry.after or 0.0) + spread * delays[tries]
                tries += 1
                if self._clock() + wait >= self._deadline:
                    raise retry.error from None
                self._log(f"{retry.error.message}; again in {wait:g} s")
                self._sleep(wait)

    def _no_redirect(self, reply: Reply) -> Reply:
        if 300 <= reply.status < 400:
            place = _host(reply.headers.get("location", "")) or "elsewhere"
            message = f"{self.site.url} redirects to {place}; credentials are not sent there"
            raise BadAnswer(message, self.site.check_address)
        return reply

    def _try(self, request: Request, limit: int) -> Reply:
        """One exchange within what is left of the budget. Raises _Retry where another try may succeed."""
        started = self._clock()
        remaining = self._deadline - started
        if remaining <= 0:
            raise self._too_slow()
        attempt = self._ahead or Attempt(self.site, self._url, self._environment, self._connection)
        self._ahead = self._connection = None  # it is the attempt's until its answer is here
        answer = attempt.run(request, limit, remaining)
        if answer is None:
            raise self._too_slow()
        if isinstance(answer, Exception):
            raise self._explained(answer)
        self._connection = attempt.connection
        milliseconds = 1000 * (self._clock() - started)
        shown = f"{request.method} {request.path.partition('?')[0]}"
        self._log(f"{shown}: {answer.status}, {len(answer.body)} bytes, {milliseconds:.0f} ms")
        if answer.status in _UNAVAILABLE:
            raise _Retry(
                Unavailable(f"{self.site.url} is temporarily unavailable (HTTP {answer.status})", "try again later"),
                seconds_to_wait(answer.headers.get("retry-after", "")),
            )
        return answer

    def _too_slow(self) -> TimedOut:
        return TimedOut(
            f"{self.site.url} did not answer within {round(self._granted, 2):g} s",
            "git config clearml.timeout 60",
        )

    def _explained(self, error: Exception) -> Exception:
        """What went wrong on the way, in our words. Anything we do not know is a bug and goes up as it is."""
        site, url = self.site, self.site.url
        if isinstance(error, ssl.SSLCertVerificationError):
            message = f"the certificate of {url} cannot be trusted: {error.verify_message}"
            return BadAnswer(message, site.check_certificate)
        if isinstance(error, ssl.SSLError):
            message = f"{url} does not speak TLS as expected ({error.reason or 'handshake failed'})"
            return BadAnswer(message, site.check_scheme)
        if isinstance(error, TimeoutError):
            if self._clock() >= self._deadline - 0.5:
                return self._too_slow()
            message = f"no connection to {url} within {CONNECT_SECONDS:g} s"
            return TimedOut(message, site.check_address)
        if isinstance(error, socket.gaierror):
            return Unreachable(f"the host of {url} is unknown", site.check_address)
        if isinstance(error, ConnectionRefusedError):
            return Unreachable(f"{url} refuses connections", site.check_address)
        if isinstance(error, (ConnectionResetError, ConnectionAbortedError, BrokenPipeError)):
            closed = Unreachable(f"{url} closed the connection", "try again later")
            return _Retry(closed, most=_OF_ONE_CLOSED)
        if isinstance(error, http.client.HTTPException):
            truncated = isinstance(error, http.client.IncompleteRead)
            what = "a truncated answer" if truncated else "something that is not HTTP"
            return BadAnswer(f"{url} sent {what}", site.check_address)
        if isinstance(error, OSError):
            return Unreachable(f"no connection to {url}: {error.strerror or error}", site.check_address)
        if isinstance(error, (ValueError, OverflowError)):  # a resolver that cannot spell the name; no such port
            return Unreachable(
                f"no connection to {url}: its address, or its proxy's, cannot be used", site.check_address
            )
        return error


_LINE_BREAK = "take the line break out of the credentials"


def _host(location: str) -> str:
    """The host that a Location header names, "" for none."""
    try:
        return urlsplit(location).hostname or ""
    except ValueError:
        return ""


def seconds_to_wait(retry_after: str) -> float | None:
    """A Retry-After header in seconds from now: a number or a date; None for neither."""
    text = retry_after.strip()
    if not text or not text.isascii():
        return None
    if text.isdecimal():
        return float(text[:9])
    from datetime import datetime, timezone
    from email.utils import parsedate_to_datetime

    try:
        when = parsedate_to_datetime(text)
        when = when if when.tzinfo else when.replace(tzinfo=timezone.utc)
        return max(0.0, (when - datetime.now(timezone.utc)).total_seconds())
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
