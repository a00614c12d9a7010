"""What the loopback forges share: serving, faults, paging by the Link header, and a record of what was asked."""

from __future__ import annotations

import json
import re
import socket
import socketserver
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, TypeVar
from urllib.parse import parse_qsl, urlencode, urlsplit

from tests.support import serving

Json = dict[str, Any]


@dataclass(frozen=True)
class Call:
    """A request that came in."""

    verb: str
    path: str
    query: Mapping[str, str]
    body: Any

    def __str__(self) -> str:
        return f"{self.verb} {self.path}"


@dataclass
class Fault:
    """An answer in place of the server's own, for requests whose `VERB /path` matches, so many times.

    Status 0 hangs up without a word, -1 keeps silent until the client leaves.
    """

    status: int
    message: str = "refused"
    headers: Mapping[str, str] = field(default_factory=dict)
    matching: str = ""
    times: int = 1_000_000
    raw: bytes | None = None


class Answer(Exception):
    """Ends the work on a request."""

    def __init__(self, status: int, data: Any = None, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(status)
        self.status, self.data, self.headers = status, data, dict(headers or {})


Route = tuple[str, str, Callable[..., Any]]
"""A verb, a pattern of the path (below `prefix`), and what answers: it gets the server, the call and the groups."""


class ForgeServer:
    """A forge for a `with` block. `hook` is called with every request before it is answered."""

    routes: tuple[Route, ...] = ()
    per_page = "per_page"
    most_per_page, usually = 100, 30

    def __init__(self, prefix: str = "") -> None:
        self.prefix = prefix
        self.calls: list[Call] = []
        self.faults: list[Fault] = []
        self.hook: Callable[[Call], None] = lambda _: None
        self.lock = threading.RLock()
        self._http = _Http(self)
        self._thread = serving.serve(self._http)

    def __enter__(self: Server) -> Server:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.over.set()
        serving.stop(self._http)
        self._thread.join()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_address[1]}{self.prefix}"

    def writes(self) -> list[str]:
        """The requests that changed something, or tried to."""
        return [str(call) for call in self.calls if call.verb != "GET" and not call.path.endswith("/graphql")]

    def fault(self, call: Call) -> Fault | None:
        with self.lock:
            for fault in self.faults:
                if fault.times > 0 and re.search(fault.matching, str(call)):
                    fault.times -= 1
                    return fault
        return None

    def allow(self, call: Call, headers: Mapping[str, str]) -> None:
        """Raises Answer for a request that this token may not make."""

    def answer(self, call: Call, headers: Mapping[str, str]) -> Answer:
        """What the server itself says."""
        path = call.path.removeprefix(self.prefix)
        try:
            self.allow(call, headers)
            for verb, pattern, method in self.routes:
                match = re.fullmatch(self.filled(pattern), path)
                if match and verb == call.verb:
                    return Answer(200, method(self, call, *match.groups()))
            return Answer(404, {"message": "Not Found"})
        except Answer as answer:
            return answer

    def filled(self, pattern: str) -> str:
        """The pattern of a route with the name of the repository in it."""
        return pattern

    def paged(self, call: Call, listed: list[Any]) -> Answer:
        """One page of a list, with a Link header."""
        size = min(self.most_per_page, int(call.query.get(self.per_page, self.usually)))
        page = int(call.query.get("page", 1))
        last = max(1, -(-len(listed) // size))
        links = []
        for name, number, wanted in (
            ("next", page + 1, page < last),
            ("last", last, page < last),
            ("prev", page - 1, page > 1),
        ):
            if wanted:
                query = urlencode({**call.query, "page": number})
                links.append(f'<{self.url.removesuffix(self.prefix)}{call.path}?{query}>; rel="{name}"')
        return Answer(200, listed[size * (page - 1) : size * page], {"Link": ", ".join(links)} if links else {})


Server = TypeVar("Server", bound=ForgeServer)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    server: _Http

    def handle_one_request(self) -> None:
        try:
            super().handle_one_request()
        except ConnectionError:
            self.close_connection = True

    def _serve(self) -> None:
        forge = self.server.forge
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        address = urlsplit(self.path)
        call = Call(self.command, address.path, dict(parse_qsl(address.query)), json.loads(raw) if raw else None)
        with forge.lock:
            forge.calls.append(call)
        forge.hook(call)
        fault = forge.fault(call)
        if fault is None:
            answer = forge.answer(call, self.headers)
            self._send(answer.status, _content(answer.data), answer.headers)
        elif fault.status == 0:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # a reset
            self.close_connection = True
        elif fault.status == -1:
            self.server.over.wait()
            self.close_connection = True
        else:
            content = json.dumps({"message": fault.message}).encode() if fault.raw is None else fault.raw
            self._send(fault.status, content, fault.headers)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve  # noqa: N815 - the names that http.server calls

    def _send(self, status: int, content: bytes, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": "application/json; charset=utf-8", **headers}.items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - as in http.server
        """Says nothing: requests are in `ForgeServer.calls`."""


def _content(data: Any) -> bytes:
    if data is None:
        return b""
    if isinstance(data, bytes):
        return data
    return data.encode() if isinstance(data, str) else json.dumps(_shown(data)).encode()


def _shown(data: Any) -> Any:
    """Without what a server keeps for itself: keys that begin with an underscore."""
    if isinstance(data, dict):
        return {key: _shown(value) for key, value in data.items() if not str(key).startswith("_")}
    return [_shown(value) for value in data] if isinstance(data, list) else data


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, forge: ForgeServer) -> None:
        self.forge, self.over = forge, threading.Event()
        super().__init__(("127.0.0.1", 0), _Handler)

    def server_bind(self) -> None:
        """Without the name lookup of HTTPServer, which can take seconds."""
        socketserver.TCPServer.server_bind(self)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Connections break when tests want them to: no traceback on stderr."""
