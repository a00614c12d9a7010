"""The HTTP side of the loopback ClearML server: requests in, envelopes out."""

from __future__ import annotations

import json
import re
import socket
import socketserver
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from tests.support import (
    clearml_events,
    clearml_parameters,
    clearml_projects,
    clearml_queues,
    clearml_states,
    clearml_tasks,
    clearml_unrecorded,
)
from tests.support.clearml_auth import Authority
from tests.support.clearml_common import API_VERSION, ApiError, Json, new_id
from tests.support.clearml_cost import is_bounded
from tests.support.clearml_store import Store

CALLS: dict[str, Callable[[Store, Json], Json]] = {
    **clearml_tasks.CALLS,
    **clearml_states.CALLS,
    **clearml_parameters.CALLS,
    **clearml_queues.CALLS,
    **clearml_projects.CALLS,
    **clearml_events.CALLS,
    **clearml_unrecorded.CALLS,
}
# The version in which the server answers a call, where it is not 1.0 (`endpoint.actual_version`).
ACTUAL_VERSIONS = {
    "events.get_multi_task_plots": "1.8",
    "events.get_task_log": "2.9",
    "events.get_task_plots": "1.8",
    "server.info": "2.12",
    "tasks.completed": "2.2",
    **dict.fromkeys(clearml_queues.CALLS, "2.4"),
    "queues.get_next_task": "1.0",
    "workers.get_count": "1.0",
}
PATH = re.compile(r"/(?:v(?P<version>\d+\.\d+)/)?(?P<call>[a-z_]+\.[A-Za-z0-9_]+)")


@dataclass(frozen=True)
class Request:
    """One request as it came in, and what went back."""

    call: str  # "tasks.get_all_ex"
    method: str
    body: Any
    headers: Mapping[str, str]  # of Authorization the scheme only
    status: int
    response_bytes: int


@dataclass(frozen=True)
class Script:
    """An answer that a test has ordered in place of the server's own; status 0 hangs up without one."""

    status: int
    body: bytes
    headers: Mapping[str, str]
    call: str | None


LOST = -1
"""The status of a script by which the call is carried out, and its answer gets lost."""


@dataclass
class Backend:
    """What the handler threads share."""

    authority: Authority
    store: Store = field(default_factory=Store)
    latency: float = 0.0
    hook: Callable[[str, Json], None] | None = None
    requests: list[Request] = field(default_factory=list)
    unbounded: list[Request] = field(default_factory=list)  # ours, that a large server would not answer in time
    scripts: list[Script] = field(default_factory=list)
    uploads: list[str] = field(default_factory=list)  # what came for the file server, by name
    ignored: frozenset[str] = frozenset()
    guard: threading.Lock = field(default_factory=threading.Lock)

    def next_script(self, call: str) -> Script | None:
        with self.guard:
            for index, script in enumerate(self.scripts):
                if script.call in (None, call):
                    return self.scripts.pop(index)
        return None

    def log(self, request: Request) -> None:
        ours = str(request.headers.get("User-Agent", "")).startswith("git-clearml")
        with self.guard:
            self.requests.append(request)
            if ours and request.status == 200 and not is_bounded(request.call, request.body):
                self.unbounded.append(request)

    def answer(self, path: str, authorization: str | None, body: bytes | Json, lines: bool) -> tuple[int, Json]:
        """The status and envelope for one request; whatever goes wrong inside is an HTTP 500 (points 6, 19)."""
        match = PATH.fullmatch(path)
        call = match["call"] if match else ""
        version = (match["version"] if match else None) or API_VERSION
        actual: str | None = None
        try:
            if match is None:
                raise ApiError(400, 0, f"Invalid request path {path}")
            if call not in CALLS and call != "auth.login":
                raise ApiError(404, 0, f"Unable to find endpoint for name {call} and version {API_VERSION}")
            actual = ACTUAL_VERSIONS.get(call, "1.0")
            data = self._run(call, version, authorization, _parsed(body, lines))
            return 200, _envelope(call, version, actual, data)
        except ApiError as error:
            return error.code, _envelope(call, version, actual, {}, error)
        except Exception as error:
            return 500, _envelope(call, version, actual, {}, ApiError(500, 0, str(error)))

    def _run(self, call: str, version: str, authorization: str | None, body: Json) -> Json:
        if call != "debug.ping":
            self.authority.check(authorization)
        if call == "auth.login":
            return {"token": self.authority.token(float(body.get("expiration_sec") or 30 * 24 * 3600))}
        with self.store.lock:
            if self.hook:
                self.hook(call, body)
            if self.ignored and call.rpartition(".")[2] in ("get_all", "get_all_ex"):
                body = {key: value for key, value in body.items() if key not in self.ignored}
            return _for_version(CALLS[call](self.store, body), call, version)


def _for_version(data: Json, call: str, version: str) -> Json:
    """Requests of an old version for queues get `metadata` as a list [40-3]; since when is not recorded."""
    if call == "queues.get_all" and tuple(map(int, version.split("."))) < (2, 13):
        for queue in data["queues"]:
            if queue.get("metadata") == {}:
                queue["metadata"] = []
    return data


def _parsed(body: bytes | Json, lines: bool) -> Json:
    if isinstance(body, dict):
        return body
    if not body.strip():
        return {}
    try:
        if lines:
            return {"json_lines": [json.loads(line) for line in body.splitlines() if line.strip()]}
        parsed = json.loads(body)
    except ValueError as error:
        message = "The browser (or proxy) sent a request that this server could not understand."
        raise ApiError(400, 0, message) from error
    return parsed if isinstance(parsed, dict) else {}


def _envelope(call: str, version: str, actual: str | None, data: Json, error: ApiError | None = None) -> Json:
    trx = new_id()
    meta = {
        "id": trx,
        "trx": trx,
        "endpoint": {"name": call, "requested_version": version, "actual_version": actual},
        "result_code": error.code if error else 200,
        "result_subcode": error.subcode if error else 0,
        "result_msg": error.message if error else "OK",
        "error_stack": None if error else "",
        "error_data": {},
    }
    return {"meta": meta, "data": data}


class Handler(BaseHTTPRequestHandler):
    """GET, POST and PUT are the same; a GET may have a body (the SDK sends most calls so)."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    server: ApiHttpServer

    def setup(self) -> None:
        super().setup()
        self.server.opened += 1
        self.server.connections.add(self.connection)

    def finish(self) -> None:
        self.server.connections.discard(self.connection)
        try:
            super().finish()
        except OSError:
            self.close_connection = True

    def handle_one_request(self) -> None:
        try:
            super().handle_one_request()
        except ConnectionError:  # the client went away
            self.close_connection = True

    def _serve(self) -> None:
        backend = self.server.backend
        length = int(self.headers.get("Content-Length") or 0)
        raw = self.rfile.read(length)
        if len(raw) < length:  # whoever asked was killed in the midst of it: no server answers half a question
            self.close_connection = True
            return
        if (self.headers.get("Content-Type") or "").startswith("multipart/"):
            self._keep(raw)
            return
        address = urlsplit(self.path)
        call = address.path.rpartition("/")[2]
        lines = "json-lines" in (self.headers.get("Content-Type") or "")
        body: bytes | Json = raw if raw or not address.query else dict(parse_qsl(address.query))
        time.sleep(backend.latency)
        script = backend.next_script(call)
        if script is None or script.status == LOST:
            status, envelope = backend.answer(address.path, self.headers.get("Authorization"), body, lines)
            content, headers = json.dumps(envelope).encode(), {"Content-Type": "application/json"}
            status = status if script is None else 0
        else:
            status, content, headers = script.status, script.body, dict(script.headers)
        backend.log(Request(call, self.command, _shown(body, lines), self._safe_headers(), status, len(content)))
        self._send(status, content, headers)

    def _keep(self, raw: bytes) -> None:
        """An upload to the file server, of which the SDK wants a 200 (2.1, storage/helper.py). Not recorded."""
        names = [name.decode() for name in re.findall(rb'filename="([^"]*)"', raw)]
        self.server.backend.uploads.extend(names)
        self._send(200, json.dumps(names).encode(), {"Content-Type": "application/json"})

    do_GET = do_POST = do_PUT = _serve  # noqa: N815 - the names that http.server calls

    def _send(self, status: int, content: bytes, headers: Mapping[str, str]) -> None:
        if status == 0:
            self.close_connection = True
            return
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _safe_headers(self) -> dict[str, str]:
        headers = dict(self.headers.items())
        if "Authorization" in headers:
            headers["Authorization"] = headers["Authorization"].partition(" ")[0]
        return headers

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - as in http.server
        """Says nothing: requests are in `ClearMLServer.requests`."""


def _shown(body: bytes | Json, lines: bool) -> Any:
    try:
        parsed = _parsed(body, lines)
    except ApiError:
        return body
    return parsed["json_lines"] if lines else parsed


class ApiHttpServer(ThreadingHTTPServer):
    """One thread a connection; `hang_up` ends those that clients keep alive."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, port: int, backend: Backend) -> None:
        self.backend = backend
        self.connections: set[socket.socket] = set()
        self.opened = 0
        super().__init__(("127.0.0.1", port), Handler)

    def server_bind(self) -> None:
        """Without the name lookup of HTTPServer, which can take seconds."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = "127.0.0.1", int(self.server_address[1])

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Connections break when tests want them to: no traceback on stderr."""

    def hang_up(self) -> None:
        for connection in list(self.connections):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue
