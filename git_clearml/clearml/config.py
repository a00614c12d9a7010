"""Where the ClearML server is and who asks: the environment and clearml.conf, as ClearML's own tools read them.

The names of variables and keys are those of clearml 2.1 (backend_api/session/defs.py, backend_api/config/default
/api.conf); those that begin with TRAINS_ are its former ones, which it still reads (1.9 to 2.1).
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import SplitResult, quote, urlsplit, urlunsplit

from git_clearml.base import address
from git_clearml.base.secrets import Secrets
from git_clearml.clearml import conf_file
from git_clearml.errors import BadSetting, NotConfigured
from git_clearml.settings.in_ci import in_ci

DOCTOR = "git clearml doctor"
CHECK = "check {}: it has to name the API server, not the web page"

_KINDS = {  # the end of a variable's name -> the keys below `api` of clearml.conf
    "API_HOST": (("api_server",), ("host",)),
    "API_ACCESS_KEY": (("credentials", "access_key"),),
    "API_SECRET_KEY": (("credentials", "secret_key"),),
    "WEB_HOST": (("web_server",),),
    "FILES_HOST": (("files_server",),),
}
_WORDS = {"API_ACCESS_KEY": "access key", "API_SECRET_KEY": "secret key", "API_HOST": "host"}
_API_PATH = "/api"  # ClearML's web server passes it on to the API
_FALSE = {"false", "0", "no", "off", "n", "f"}
_TRUE = {"true", "1", "yes", "on", "y", "t", ""}


class Server(NamedTuple):
    """A ClearML server and the credentials for it. Nothing secret shows in its repr."""

    api: str  # https://host[:port][/path], no slash at the end, no user
    web: str  # the same for the web pages
    access_key: str
    secret_key: str
    verify: bool | str = True  # False: certificates are not checked; a text: the file of the CA
    origin: str = "environment"
    token: str = ""  # instead of the keys: for HTTP Bearer

    def __repr__(self) -> str:
        return f"Server({self.api!r}, {self.origin!r})"

    @property
    def whence(self) -> str:
        """Where the credentials are from, for a sentence."""
        return f"the {self.origin}" if self.origin.startswith("environment") else self.origin

    @property
    def user(self) -> str:
        """Whose credentials these are, for the key of what is cached: not to be shown."""
        return self.access_key or self.token

    @property
    def secrets(self) -> Secrets:
        """The credentials, base64 of HTTP Basic included."""
        return Secrets.of_credentials(self.access_key, self.secret_key) | Secrets.of_credentials(self.token, "")


def read_server(environment: Mapping[str, str]) -> Server | None:
    """The server to ask, or None when nobody configured one: where nothing at all is set, the SDK does not log in.

    Raises NotConfigured when only a part is there (above all a key without a host, which ClearML's SDK would send
    to the public server), BadSetting when clearml.conf is not there or cannot be read, or a host is no URL.
    """
    values = {kind: conf_file.variable(environment, *_names(kind)) for kind in _KINDS}
    token = conf_file.variable(environment, "CLEARML_AUTH_TOKEN")
    verify: Any = conf_file.variable(environment, *_names("API_HOST_VERIFY_CERT")) or None
    in_environment = [kind for kind in _KINDS if values[kind]]
    origin = "environment"
    needed = ("API_HOST",) if token else ("API_HOST", "API_ACCESS_KEY", "API_SECRET_KEY")
    if not all(values[kind] for kind in needed):
        for path in conf_file.checked_paths(environment):
            api = conf_file.api_section(path)
            filled = False
            for kind, keys in _KINDS.items():
                text = values[kind] or next((text for key in keys if (text := api.text(*key))), "")
                filled |= text != values[kind]
                values[kind] = text
            verify = (api.text("verify_certificate") or None) if verify is None else verify
            if filled:
                also = in_environment or token or origin != "environment"
                origin = f"{origin} and {path}" if also else path
    if not token and not any(values.values()):
        _nothing_else(environment)
        return None
    missing = [kind for kind in _WORDS if kind in needed and not values[kind]]
    if missing:
        words = " and ".join(_WORDS[kind] for kind in missing)
        hint = f"set {' and '.join(_names(kind)[0] for kind in missing)}"
        verb = "is" if len(missing) == 1 else "are"
        rest = "only the web or the file server" if len(missing) == len(_WORDS) else "the rest"
        raise NotConfigured(f"the ClearML {words} {verb} missing; {rest} is configured", hint)
    host = api_url(values["API_HOST"])
    key, secret = ("", "") if token else (values["API_ACCESS_KEY"], values["API_SECRET_KEY"])
    return Server(host, web_url(values["WEB_HOST"], host), key, secret, _verification(verify), origin, token)


def address_hint(environment: Mapping[str, str]) -> str:
    """Where a server cannot be spoken to: doctor says where its address is from. A CI job has it from a variable."""
    return CHECK.format("CLEARML_API_HOST") if in_ci(environment) else DOCTOR


def login_hint(environment: Mapping[str, str]) -> str:
    """How to give credentials where there are none. clearml-init leaves a file alone that is there already."""
    if in_ci(environment):
        return "set CLEARML_API_HOST, CLEARML_API_ACCESS_KEY and CLEARML_API_SECRET_KEY in the CI job"
    files = conf_file.conf_paths(environment)
    block = "the api section that ClearML shows at Settings > Workspace > Create new credentials"
    return f"add {block} to {files[0]}" if files else "clearml-init"


def origins(environment: Mapping[str, str]) -> dict[str, str]:
    """Where the API host, the access key and the secret key (or the token) are from: a variable, or a file's path.

    What is set nowhere is not there. Raises BadSetting.
    """
    places = {}
    if conf_file.variable(environment, "CLEARML_AUTH_TOKEN"):
        places["token"] = "CLEARML_AUTH_TOKEN"  # noqa: S105  its name
    for kind, word in _WORDS.items():
        if word != "host" and places.get("token"):
            continue
        names = (name for name in _names(kind) if environment.get(name, "").strip())
        files = (path for path in conf_file.conf_paths(environment) if _in_file(path, kind))
        if origin := next(names, "") or next(files, ""):
            places[word] = origin
    return places


def _in_file(path: str, kind: str) -> bool:
    api = conf_file.api_section(path)
    return any(api.text(*keys) for keys in _KINDS[kind])


def _names(kind: str) -> tuple[str, str]:
    """The variable, and what it was called before."""
    return f"CLEARML_{kind}", f"TRAINS_{kind}"


def _nothing_else(environment: Mapping[str, str]) -> None:
    """Raises NotConfigured for a folder of configuration, which the SDK reads and we do not."""
    names = ("CLEARML_CONFIG_PATH", "TRAINS_CONFIG_PATH")
    if conf_file.variable(environment, *names):
        hint = "name the file itself in CLEARML_CONFIG_FILE, or take CLEARML_CONFIG_PATH out of the environment"
        raise NotConfigured("CLEARML_CONFIG_PATH is set, and git clearml does not read such a folder", hint)


def api_url(host: str) -> str:
    """The API server's URL. A missing scheme is https (http on this machine).

    The web server's address means its API's: `app.` is `api.` and port 8080 is 8008, but not where a path follows,
    which the web server itself passes on. Raises BadSetting for what is no URL.
    """
    parts = _parts(host, "API", "https://api.clear.ml")
    name, port, path = parts.hostname or "", parts.port, parts.path.rstrip("/")
    if not path:
        name = "api." + name.removeprefix("app.") if name.startswith("app.") else name
        port = 8008 if port == 8080 else port
    return _joined(parts.scheme, name, port, path)


def web_url(web: str, api: str) -> str:
    """The web server's URL as given, else derived from the API's as ClearML does: api. -> app., :8008 -> :8080."""
    if web:
        parts = _parts(web, "web", "https://app.clear.ml")
        return _joined(parts.scheme, parts.hostname or "", parts.port, parts.path.rstrip("/"))
    parts = urlsplit(api)
    name, port, path = parts.hostname or "", parts.port, parts.path
    if path.endswith(_API_PATH):  # the web server's own address
        return _joined(parts.scheme, name, port, path.removesuffix(_API_PATH))
    name = "app." + name.removeprefix("api.") if name.startswith("api.") else name
    return _joined(parts.scheme, name, 8080 if port == 8008 else port, path)


def _parts(url: str, which: str, example: str) -> SplitResult:
    """The parts of an http(s) URL that can be asked. Raises BadSetting that quotes nothing: it may hold secrets."""
    url = url.strip()
    if "://" not in url:
        local = re.match(r"(localhost|127\.[\d.]+|\[::1\])(:|/|$)", url)
        url = ("http://" if local else "https://") + url
    if why := address.problem(url):
        raise BadSetting(f"invalid ClearML {which} host: {why}", f"write it like {example}")
    return urlsplit(url)


def _joined(scheme: str, name: str, port: int | None, path: str) -> str:
    host = f"[{name}]" if ":" in name else name
    quoted = quote(path, safe="/%:@!$&'()*+,;=~", errors="replace")
    return urlunsplit((scheme, f"{host}:{port}" if port else host, quoted, "", ""))


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
