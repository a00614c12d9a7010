"""A git server on 127.0.0.1: smart HTTP by git's own `http-backend`, for agents that clone and checks that push."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType

from tests.support import serving

# What https://git-scm.com/docs/git-http-backend takes over from a request; anybody may push.
_HEADERS = {
    "CONTENT_TYPE": "Content-Type",
    "HTTP_CONTENT_ENCODING": "Content-Encoding",
    "GIT_PROTOCOL": "Git-Protocol",
}
_RECEIVE = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "http.receivepack", "GIT_CONFIG_VALUE_0": "true"}


class GitServer:
    """Serves the bare repositories of a folder, for a `with` block."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.refuse = 0
        """An HTTP status to answer everything with; 0 for none."""
        self.requests: list[str] = []
        """Method and path of each request, in order."""
        self.environment: dict[str, str] = {}
        """More variables for git and its hooks."""
        self._http = _Server(self)
        self._thread = serving.serve(self._http)

    def __enter__(self) -> GitServer:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        serving.stop(self._http)
        self._thread.join()

    def url(self, repository: Path) -> str:
        """The URL of a bare repository in the folder."""
        return f"http://127.0.0.1:{self._http.server_port}/{repository.relative_to(self.root).as_posix()}"


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, served: GitServer) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.served = served


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def log_message(self, *arguments: object) -> None:
        """Nothing: the requests are kept instead."""

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def _answer(self) -> None:
        body = self._body()
        self.server.served.requests.append(f"{self.command} {self.path}")
        if self.server.served.refuse:
            self.send_error(self.server.served.refuse)
            return
        done = subprocess.run(
            ["git", "http-backend"], input=body, env=self._environment(len(body)), capture_output=True, check=False
        )
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().splitlines() if ": " in line)
        status = int(headers.pop("Status", "200" if head else "500").split()[0])
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def _body(self) -> bytes:
        """The body as sent; git sends chunks once it is more than `http.postBuffer`."""
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        chunks = []
        while size := int(self.rfile.readline().partition(b";")[0], 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(chunks)

    def _environment(self, length: int) -> Mapping[str, str]:
        path, _, query = self.path.partition("?")
        given = {name: self.headers[header] for name, header in _HEADERS.items() if header in self.headers}
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.server.served.root),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_PROJECT_ROOT": str(self.server.served.root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "REQUEST_METHOD": self.command,
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "CONTENT_LENGTH": str(length),
            "REMOTE_ADDR": "127.0.0.1",
            **_RECEIVE,
            **given,
            **self.server.served.environment,
        }
