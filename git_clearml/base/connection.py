"""Opens a connection to a server: straight or through the environment's proxy, with TLS as the setting says."""

from __future__ import annotations

import base64
import contextlib
import http.client
import os
import socket
import ssl
from collections.abc import Mapping
from urllib.parse import SplitResult, unquote, urlsplit

from git_clearml.errors import BadAnswer, Unreachable

CONNECT_SECONDS = 5.0
_FIX_IT = "correct the address of the proxy, or name the server in NO_PROXY"


class Connection:
    """An open connection, and what each request over it needs. Whoever holds it alone may use it.

    `prefix` stands before each path: scheme and host, where a proxy wants the whole URL; `headers` are for the proxy.
    """

    def __init__(
        self, connection: http.client.HTTPConnection, prefix: str = "", headers: Mapping[str, str] | None = None
    ) -> None:
        self.http, self.prefix, self.headers = connection, prefix, headers or {}
        self.sockets: list[socket.socket] = []  # the one that it has, once it is open

    def abort(self) -> None:
        """Ends the traffic under a thread that still reads or writes, which then closes the connection itself."""
        for sock in self.sockets:  # not http's: it lets go of it before the answer that ends the connection is read
            try:
                # Not the TLS socket's own `shutdown`: that one first forgets the encryption, and for a moment the
                # other thread would write in the clear.
                socket.socket.shutdown(sock, socket.SHUT_RDWR)
            except OSError:
                continue

    def close(self) -> None:
        """Lets go of the connection."""
        try:
            self.http.close()
        except OSError:
            return


def connect(url: SplitResult, verify: bool | str, environment: Mapping[str, str], timeout: float) -> Connection:
    """An open connection. Blocks until it stands; `timeout` seconds are for each step, not for all together.

    `verify` is False for no check of certificates, True for the usual authorities, or the path of a CA file or
    directory. Raises OSError (ssl.SSLError included), http.client.HTTPException, BadAnswer and Unreachable.
    """
    host, secure = url.hostname or "", url.scheme == "https"
    port = url.port or (443 if secure else 80)
    proxy = _proxy(url.scheme, host, port, environment)
    first, first_port = (proxy.hostname or "", proxy.port or 80) if proxy else (host, port)
    if secure:
        context = _trust(verify, environment)
        connection: http.client.HTTPConnection = http.client.HTTPSConnection(
            first, first_port, timeout=timeout, context=context
        )
    else:
        connection = http.client.HTTPConnection(first, first_port, timeout=timeout)
    opened = Connection(connection)
    if proxy:
        user = f"{unquote(proxy.username or '')}:{unquote(proxy.password or '')}" if proxy.username else ""
        headers = {"Proxy-Authorization": basic(user)} if user else {}
        if secure:
            connection.set_tunnel(host, port, headers)
        else:
            opened = Connection(connection, f"http://{url.netloc}", headers)
    try:
        try:
            connection.connect()
        except (ConnectionRefusedError, socket.gaierror) as error:
            if not proxy:
                raise
            why = "is unknown" if isinstance(error, socket.gaierror) else "refuses connections"
            shown = f"{first}:{first_port}"
            raise Unreachable(f"the proxy {shown} {why}; {url.hostname} was to be asked through it", _FIX_IT) from None
        opened.sockets.append(connection.sock)
        connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except BaseException as error:
        import traceback

        opened.close()
        traceback.clear_frames(error.__traceback__)  # older http.clients: their answer of a proxy holds the socket open
        raise
    return opened


def basic(user_and_password: str) -> str:
    """The value of an Authorization header for `user:password`."""
    return "Basic " + base64.b64encode(user_and_password.encode("utf-8", "surrogatepass")).decode()


def _trust(verify: bool | str, environment: Mapping[str, str]) -> ssl.SSLContext:
    """What certificates to trust: the setting, else requests' variables (as ClearML's SDK does), else the system."""
    if verify is False:
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context
    variables = (environment.get(name, "") for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"))
    bundle = verify if isinstance(verify, str) else next(filter(None, variables), "")
    try:
        if not bundle:
            return _of_the_system(environment)
        directory = bundle if os.path.isdir(bundle) else None
        return ssl.create_default_context(cafile=None if directory else bundle, capath=directory)
    except (OSError, ssl.SSLError):
        raise BadAnswer(f"the CA file {bundle} cannot be used", "give a file of PEM certificates") from None


def _of_the_system(environment: Mapping[str, str]) -> ssl.SSLContext:
    """The system's authorities. Python of python.org knows none on macOS, nor does a slim image: then those of certifi,
    which come with `requests` and are what ClearML's SDK trusts."""
    context, paths = ssl.create_default_context(), ssl.get_default_verify_paths()
    if context.cert_store_stats()["x509_ca"] or paths.cafile or (paths.capath and os.listdir(paths.capath)):
        return context
    if not {"SSL_CERT_FILE", "SSL_CERT_DIR"} & environment.keys():  # what somebody has set is not to be replaced
        with contextlib.suppress(ImportError):
            import certifi

            context.load_verify_locations(certifi.where())
    return context


def _proxy(scheme: str, host: str, port: int, environment: Mapping[str, str]) -> SplitResult | None:
    """The proxy for this host, None for a straight connection. Nothing is imported when no variable names one."""
    names = [each for name in (f"{scheme}_proxy", "all_proxy") for each in (name, name.upper())]
    name = next((name for name in names if environment.get(name)), "")
    if not name:
        return None
    address = environment[name]
    if _bypassed(host, port, environment.get("no_proxy") or environment.get("NO_PROXY") or ""):
        return None
    try:
        parts = urlsplit(address if "://" in address else "http://" + address)
        _ = parts.port
    except ValueError:
        parts = urlsplit("")
    if parts.scheme != "http" or not parts.hostname:
        raise Unreachable(f"the proxy in {name.upper()} is not an http:// URL", _FIX_IT)
    return parts


def _bypassed(host: str, port: int, no_proxy: str) -> bool:
    """Does the variable name this host? By name, domain or `*`, and of an address also by its network (10.0.0.0/8), as
    `requests` reads it and so ClearML's SDK."""
    if not no_proxy:
        return False
    from urllib import request

    named = request.proxy_bypass_environment  # type: ignore[attr-defined]  # public, but not in typeshed
    if named(f"{host}:{port}", {"no": no_proxy}):
        return True
    networks = [each.strip() for each in no_proxy.split(",") if "/" in each]
    return bool(networks) and any(_is_in(host, network) for network in networks)


def _is_in(host: str, network: str) -> bool:
    import ipaddress

    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(network, strict=False)
    except ValueError:  # a name, or no network
        return False
