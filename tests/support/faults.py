"""Servers that misbehave: scripted TCP on loopback, below what an HTTP server would let one do."""

from __future__ import annotations

import contextlib
import datetime
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

Talk = Callable[[socket.socket], None]


def closed_port() -> int:
    """A loopback port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Scripted:
    """A listening socket that hands every connection to `talk`; `requests` holds the heads that came in."""

    talk: Talk
    context: ssl.SSLContext | None = None
    requests: list[bytes] = field(default_factory=list)
    connections: int = 0

    def __post_init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=16)
        self._open: list[socket.socket] = []
        self._over = False

    @property
    def port(self) -> int:
        return int(self._listener.getsockname()[1])

    def __enter__(self) -> Scripted:
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over = True
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self._open:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._thread.join()

    def _serve(self) -> None:
        threads = []
        while not self._over:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                break
            self.connections += 1
            self._open.append(connection)
            threads.append(threading.Thread(target=self._converse, args=(connection,), daemon=True))
            threads[-1].start()
        for thread in threads:
            thread.join()

    def _converse(self, raw: socket.socket) -> None:
        connection = raw
        with contextlib.suppress(OSError, ValueError):
            if self.context is not None:
                connection = self.context.wrap_socket(raw, server_side=True)
                self._open.append(connection)
            self.talk(connection)
        connection.close()
        raw.close()

    def receive(self, connection: socket.socket) -> bytes:
        """One HTTP request, whole; b"" when the client is gone."""
        text = b""
        while b"\r\n\r\n" not in text:
            part = connection.recv(65536)
            if not part:
                return b""
            text += part
        head, _, body = text.partition(b"\r\n\r\n")
        lengths = [line for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")]
        length = int(lengths[0].split(b":")[1]) if lengths else 0
        while len(body) < length:
            body += connection.recv(65536)
        self.requests.append(head)
        return head + b"\r\n\r\n" + body


def answering(*answers: bytes | Callable[[], Iterator[bytes]]) -> Scripted:
    """Answers one request after another with these raw texts (the last one for all further), keeping connections."""
    count = [0]

    def talk(connection: socket.socket) -> None:
        while server.receive(connection):
            answer = answers[min(count[0], len(answers) - 1)]
            count[0] += 1
            for part in [answer] if isinstance(answer, bytes) else answer():
                connection.sendall(part)
            if b"connection: close" in (answer.lower() if isinstance(answer, bytes) else b"connection: close"):
                return

    server = Scripted(talk)
    return server


def silent() -> Scripted:
    """Accepts, reads, and never says a word."""

    def talk(connection: socket.socket) -> None:
        while connection.recv(65536):
            pass

    return Scripted(talk)


def dribble(text: bytes, pause: float = 0.1) -> Callable[[], Iterator[bytes]]:
    """The text byte by byte, with a pause before each."""

    def parts() -> Iterator[bytes]:
        for position in range(len(text)):
            time.sleep(pause)
            yield text[position : position + 1]

    return parts


def reply(body: bytes, *, status: str = "200 OK", headers: tuple[str, ...] = (), length: int | None = None) -> bytes:
    """A raw HTTP answer; `length` may lie."""
    size = len(body) if length is None else length
    lines = [f"HTTP/1.1 {status}", "Content-Type: application/json", f"Content-Length: {size}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def endless(megabytes: int) -> Callable[[], Iterator[bytes]]:
    """A chunked answer that long, one megabyte at a time."""

    def parts() -> Iterator[bytes]:
        yield b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
        piece = b" " * 1_000_000
        for _ in range(megabytes):
            yield f"{len(piece):x}\r\n".encode() + piece + b"\r\n"
        yield b"0\r\n\r\n"

    return parts


@contextlib.contextmanager
def full_backlog() -> Iterator[int]:
    """A port where connecting hangs: it listens, nobody accepts, and its backlog is full. Yields the port."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = int(listener.getsockname()[1])
        for _ in range(4):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", port))
        yield port


@dataclass(frozen=True)
class Certificate:
    """A self-signed certificate for 127.0.0.1 with its key, as files."""

    file: Path
    key: Path

    @property
    def context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.file, self.key)
        return context


def make_certificate(directory: Path) -> Certificate:
    """Its own authority, for the names of loopback."""
    made = Certificate(directory / "cert.pem", directory / "key.pem")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "loopback")])
    alternatives = [x509.IPAddress(ipaddress.ip_address("127.0.0.1")), x509.DNSName("localhost")]
    now = datetime.datetime.now(datetime.timezone.utc)
    day = datetime.timedelta(days=1)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(now - day).not_valid_after(now + day)
    builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    made.file.write_bytes(builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM))
    made.key.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return made
