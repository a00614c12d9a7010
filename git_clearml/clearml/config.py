"""Where the ClearML server is and who asks: the environment and clearml.conf, as ClearML's own tools read them.

The names of variables and keys are those of clearml 2.1 (backend_api/session/defs.py, backend_api/config/default
/api.conf). The file is HOCON; pyhocon reads it, the parser that ClearML carries a copy of.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from git_clearml.base.secrets import Secrets
from git_clearml.errors import BadSetting, NotConfigured

LOGIN_HINT = "set CLEARML_API_HOST, CLEARML_API_ACCESS_KEY and CLEARML_API_SECRET_KEY, or run clearml-init"
_FALSE = {"false", "0", "no", "off", "n", "f"}
_TRUE = {"true", "1", "yes", "on", "y", "t", ""}


@dataclass(frozen=True)
class Server:
    """A ClearML server and the credentials for it. Nothing secret shows in its repr."""

    api: str  # https://host[:port][/path], no slash at the end, no user
    web: str  # the same for the web pages
    access_key: str = field(repr=False)
    secret_key: str = field(repr=False)
    verify: bool | str = True  # False: certificates are not checked; a text: the file of the CA
    origin: str = "environment"

    @property
    def secrets(self) -> Secrets:
        """The credentials, base64 of HTTP Basic included."""
        return Secrets.of_credentials(self.access_key, self.secret_key)


def read_server(environment: Mapping[str, str]) -> Server | None:
    """The server to ask, or None when nobody configured one.

    Raises NotConfigured when only a part is there (above all a key without a host, which ClearML's SDK would send
    to the public server), BadSetting when clearml.conf cannot be read or a host is no URL.
    """
    host = environment.get("CLEARML_API_HOST", "").strip()
    key = environment.get("CLEARML_API_ACCESS_KEY", "").strip()
    secret = environment.get("CLEARML_API_SECRET_KEY", "").strip()
    web = environment.get("CLEARML_WEB_HOST", "").strip()
    verify: Any = environment.get("CLEARML_API_HOST_VERIFY_CERT")
    origin = "environment"
    path = conf_path(environment)
    if not (host and key and secret) and path:
        api = _Tree(_api_section(path))
        if not (host and key and secret):
            origin = f"{path}" if not (host or key or secret) else f"environment and {path}"
        host = host or api.text("api_server") or api.text("host")
        key = key or api.text("credentials", "access_key")
        secret = secret or api.text("credentials", "secret_key")
        web = web or api.text("web_server")
        verify = api.text("verify_certificate") if verify is None else verify
    if not key and not secret:
        return None
    missing = [name for name, value in (("access key", key), ("secret key", secret), ("host", host)) if not value]
    if missing:
        raise NotConfigured(f"the ClearML {' and '.join(missing)} is missing; the rest is configured", LOGIN_HINT)
    api_host = api_url(host)
    return Server(api_host, web_url(web, api_host), key, secret, _verification(verify), origin)


def conf_path(environment: Mapping[str, str]) -> str:
    """The clearml.conf in force, "" when there is none. CLEARML_CONFIG_FILE replaces the one in HOME."""
    named = environment.get("CLEARML_CONFIG_FILE", "")
    home = environment.get("HOME") or environment.get("USERPROFILE") or ""
    path = os.path.expanduser(named) if named else os.path.join(home, "clearml.conf") if home else ""
    return path if path and os.path.isfile(path) else ""


def sdk_value(environment: Mapping[str, str], *keys: str) -> Any:
    """A value of the file's `sdk` section, None when it is not set there. Raises BadSetting."""
    path = conf_path(environment)
    return _Tree(_parse(_content(path), path)).get("sdk", *keys) if path else None


def api_url(host: str) -> str:
    """The API server's URL. A missing scheme is https (http on this machine), and the app host means its API host.

    Raises BadSetting for what is no URL.
    """
    url = host.strip()
    if "://" not in url:
        local = re.match(r"(localhost|127\.[\d.]+|\[::1\])(:|/|$)", url)
        url = ("http://" if local else "https://") + url
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise BadSetting("invalid ClearML API host: not a URL", "write it like https://api.clear.ml") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise BadSetting("invalid ClearML API host: not an http(s) URL", "write it like https://api.clear.ml")
    name = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    if name.startswith("app."):
        name = "api." + name.removeprefix("app.")
    port = 8008 if port == 8080 else port
    return urlunsplit((parts.scheme, f"{name}:{port}" if port else name, parts.path.rstrip("/"), "", ""))


def web_url(web: str, api: str) -> str:
    """The web server's URL as given, else derived from the API's as ClearML does: api. -> app., :8008 -> :8080."""
    if web:
        try:
            parts = urlsplit(web if "://" in web else "https://" + web)
        except ValueError:
            raise BadSetting("invalid ClearML web host: not a URL", "write it like https://app.clear.ml") from None
        return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path.rstrip("/"), "", ""))
    parts = urlsplit(api)
    host = parts.netloc
    host = "app." + host.removeprefix("api.") if host.startswith("api.") else host
    host = host.removesuffix(":8008") + ":8080" if host.endswith(":8008") else host
    return urlunsplit((parts.scheme, host, parts.path, "", ""))


def _verification(value: Any) -> bool | str:
    text = "" if value is None else str(value).strip()
    if text.lower() in _FALSE:
        return False
    if text.lower() in _TRUE:
        return True
    path = os.path.expanduser(text)
    if not os.path.exists(path):
        raise BadSetting(
            f"CLEARML_API_HOST_VERIFY_CERT: no such file: {text}", "give true, false or the path of a CA file"
        )
    return path


class _Tree:
    """Reads values out of whatever the parser gave; what is not there, or no text, is ""."""

    def __init__(self, tree: Any) -> None:
        self.tree = tree

    def get(self, *keys: str) -> Any:
        value = self.tree
        for key in keys:
            value = value.get(key, None) if hasattr(value, "get") else None
        return value

    def text(self, *keys: str) -> str:
        value = self.get(*keys)
        return str(value).strip() if isinstance(value, (str, int, float, bool)) else ""


def _api_section(path: str) -> Any:
    """The `api` section. Only that is parsed where it can be cut out: pyhocon takes 100 ms over a whole file."""
    content = _content(path)
    cut = _cut_api(content)
    if cut:
        try:
            return _Tree(_parse(cut, path)).get("api")
        except BadSetting:
            pass  # it may refer to another section: the whole file decides
    return _Tree(_parse(content, path)).get("api")


def _content(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise BadSetting(f"{path} cannot be read: {reason}", "fix the file, or set CLEARML_CONFIG_FILE") from None


def _parse(content: str, path: str) -> Any:
    """The file as a tree. The parser's own message is not passed on: it quotes the file, and so the keys in it."""
    import logging
    import warnings

    from pyhocon import ConfigFactory
    from pyhocon.exceptions import ConfigException
    from pyparsing import ParseBaseException

    logging.getLogger("pyhocon").addHandler(logging.NullHandler())  # it talks to stderr about missing includes
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ConfigFactory.parse_string(content, os.path.dirname(path))
    except ParseBaseException as error:
        where = f", line {error.lineno}" if content.count("\n") >= error.lineno else ""
    except (ConfigException, ValueError, TypeError, AttributeError, KeyError, IndexError, RecursionError, OSError):
        where = ""
    raise BadSetting(f"{path} is not a valid clearml.conf{where}", "fix the file, or set CLEARML_CONFIG_FILE")


_TOKEN = re.compile(r'"""(?:.|\n)*?"""|"(?:\\.|[^"\\\n])*"|(?:#|//)[^\n]*|[{}\[\]]|[^\s{}\[\]"#/]+|/|\s+')
_API = ("api", '"api"', "api:", "api=")
_REFERENCE = re.compile(r'\$\{\??\s*"?(\w+)')


def _cut_api(content: str) -> str:
    """The top-level `api { ... }` sections alone, "" when the file is not that simple."""
    parts, start, depth, before = [], -1, 0, ""
    for token in _TOKEN.finditer(content):
        text = token[0]
        if text.isspace() or text.startswith(("#", "//")):
            continue
        if depth == 0 and (
            text == "include"
            or (text == "{" and before in ("", "}"))  # the whole file in braces, or objects joined to one
            or (before in _API and text not in ("{", ":", "="))  # api = ${...}, api += ..., "api".credentials
            or (("api" in text or "\\" in text) and text not in _API)  # api.credentials, ,api
        ):
            return ""
        if text in "{[":
            if depth == 0 and before in _API:
                start = token.start()
            depth += 1
        elif text in "}]":
            depth -= 1
            if depth == 0 and start >= 0:
                parts.append("api " + content[start : token.end()])
                start = -1
        elif depth == 0 and text in (":", "="):
            continue
        before = text
    cut = "\n".join(parts) if depth == 0 else ""
    # A reference finds what the file says anywhere, before it looks into the environment.
    if any(content.count(name) > cut.count(name) for name in _REFERENCE.findall(cut) if name != "api"):
        return ""
    return cut
