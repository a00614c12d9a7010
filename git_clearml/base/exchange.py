"""One HTTP exchange: what is asked of which server, what it answered, and the thread that waits for it.

Every exchange runs in a thread that the deadline abandons: a name server that hangs, or a server that sends a byte a
second, cannot hold us longer than the budget.
"""

from __future__ import annotations

import http.client
import queue
import ssl
import threading
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple
from urllib.parse import SplitResult

from git_clearml import __version__
from git_clearml.base.connection import CONNECT_SECONDS, Connection, connect
from git_clearml.errors import TooLarge

MEGABYTE = 1_000_000


class Site(NamedTuple):
    """A server: its URL (https://host[:port][/path], no slash at the end, no user), and how its user names it.

    `verify`: False for no check of certificates, True for the usual authorities, or the path of a CA file.
    """

    url: str
    verify: bool | str = True
    check_address: str = "check the server's address"  # hints
    check_certificate: str = "REQUESTS_CA_BUNDLE names the file of your CA"
    check_scheme: str = "write http:// in its address if the server has no TLS"


class Request(NamedTuple):
    """What to ask: `path` is put behind the site's URL with a slash between."""

    method: str
    path: str
    headers: Mapping[str, str] = MappingProxyType({})
    body: bytes | None = None

    def __repr__(self) -> str:
        return f"Request({self.method!r}, {self.path!r})"  # headers and bodies hold secrets


class Reply(NamedTuple):
    """An answer of whatever status; the headers' names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Attempt:
    """One exchange in a thread of its own. The connection is the thread's, until `run` returns a reply.

    The thread may begin with the connection while the request is yet to come: `open`.
    """

    def __init__(
        self, site: Site, url: SplitResult, environment: Mapping[str, str], connection: Connection | None
    ) -> None:
        self._site, self._url, self._environment = site, url, environment
        self.connection = connection
        self._requests: queue.SimpleQueue[tuple[Request, int, float] | None] = queue.SimpleQueue()
        self._answers: queue.SimpleQueue[Reply | Exception] = queue.SimpleQueue()
        self._started = False
        self._lock = threading.Lock()  # for the three that follow
        self._abandoned = False
        self._finished = False

    def open(self, remaining: float) -> None:
        """Starts the thread, which connects. What goes wrong is told to whoever calls `run`."""
        self._started = True
        threading.Thread(target=self._work, args=(remaining,), daemon=True).start()

    def _work(self, remaining: float) -> None:
        try:
            connection = self._open(min(CONNECT_SECONDS, remaining))
            request = self._requests.get()
            answer: Reply | Exception = self._exchange(connection, *request) if request else TimeoutError()
        except ssl.SSLEOFError as error:  # of a connection that stood it is no more than that it was closed meanwhile
            answer = error if self.connection is None else ConnectionResetError()
        except Exception as error:  # noqa: BLE001  handed over to the thread that asked
            answer = error
        with self._lock:
            self._finished = True
            if self._abandoned or isinstance(answer, Exception):
                self._let_go()
        self._answers.put(answer)

    def run(self, request: Request, limit: int, remaining: float) -> Reply | Exception | None:
        """The reply, what went wrong, or None when it takes longer than `remaining` seconds.

        Without a reply the connection is closed, and a request that has not been sent will not be.
        """
        if not self._started:
            self.open(remaining)
        self._requests.put((request, limit, remaining))
        try:
            return self._answers.get(timeout=remaining)
        except queue.Empty:
            self.abandon()
            return None
        except BaseException:
            self.abandon()
            raise

    def abandon(self) -> None:
        """Nobody waits for it any more: the thread closes its connection."""
        self._requests.put(None)
        with self._lock:
            self._abandoned = True
            if self._finished:
                self._let_go()
            elif self.connection is not None:
                self.connection.abort()

    def _let_go(self) -> None:
        if self.connection is not None:
            self.connection.close()
            self.connection = None

    def _open(self, timeout: float) -> Connection:
        """The connection that was kept, else a new one. Raises OSError when nobody waits for it any more."""
        if self.connection is not None:
            return self.connection
        connection = connect(self._url, self._site.verify, self._environment, timeout)
        with self._lock:
            self.connection = connection
            if self._abandoned:
                raise TimeoutError
        return connection

    def _exchange(self, connection: Connection, request: Request, limit: int, remaining: float) -> Reply:
        if connection.http.sock is not None:
            connection.http.sock.settimeout(remaining)
        headers = {"Accept-Encoding": "identity", "User-Agent": f"git-clearml/{__version__}", **request.headers}
        target = f"{connection.prefix}{self._url.path}/{request.path}"
        connection.http.request(request.method, target, body=request.body, headers={**headers, **connection.headers})
        with connection.http.getresponse() as response:
            if (response.length or 0) > limit:
                raise self._too_large(limit)
            content = response.read(limit + 1)
            if len(content) > limit:
                raise self._too_large(limit)
            if response.length:
                raise http.client.IncompleteRead(content, response.length)
        if response.will_close:
            with self._lock:
                self._let_go()
        return Reply(response.status, {key.lower(): value for key, value in response.getheaders()}, content)

    def _too_large(self, limit: int) -> TooLarge:
        return TooLarge(f"{self._site.url} sent more than {limit // MEGABYTE} MB", self._site.check_address)
