"""What must stand in no output: one object knows the secrets and takes them out of texts and values. Pure.

Secrets are the values of variables, settings and parameters that are called like one, and what a URL has of them: its
user, and parts of its query. What looks like a hash or a task id is none, whatever variable holds it, nor what the job
itself calls a ref or a commit: without those nothing could be found again. ClearML's own credentials always are, and so
is Gitea's token, which looks like a hash.
"""

from __future__ import annotations

import base64
import functools
import re
from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from typing import Any, TypeVar, cast
from urllib.parse import urlsplit, urlunsplit

from git_clearml.base.ids import is_hash, is_hex, is_offline_id, is_uuid

REDACTED = "[secret]"
_VARIABLES = r"KEY|SECRET|TOKEN|PASSW(OR)?D|PASSPHRASE|CREDENTIAL|_PASS$"
_NO_SECRETS = r"(^|_)(REF|SHA|BRANCH|TAG|COMMIT)(_|$)"  # variables of CI jobs that tell what is judged
_HEX_TOKENS = ("GITEA_TOKEN", "FORGEJO_TOKEN")  # 40 hex digits, and nothing else than a token
_OF_GITEA_JOBS = ("GITHUB_TOKEN", "GH_TOKEN")  # the same in a job of Gitea's or Forgejo's, GitHub's look otherwise
# Compiled when they are used (and kept by `re`): the gate imports this, and seldom needs them.
_NAME = r"token|passw(?:or)?d|secret|api[_-]?key"
_PARAMETER = f"(?i){_NAME}"
# `hub_token=x`, `"api_key": "x"`, `--password x` inside of a value: overrides, a configuration, a command line.
_INSIDE = (
    rf"""(?i)((?<![\w.-])[\w.-]*(?:{_NAME})[\w.-]*\\*["']?\s*[:=]\s*"""
    rf"""|(?<![\w.-])--[\w.-]*(?:{_NAME})[\w.-]*\s+(?!-))"""
    r"""(\\+"[^"\\\n]+\\+"|"[^"\n]+"|'[^'\n]+'|[^\s"',;&}{\[\]]+)"""
)
_IN_QUERY = (
    rf"""(?i)([?&;#](?:[\w.~%-]*(?:{_NAME}|signature|credential)[\w.~%-]*"""
    r"""|sig|key|auth|code|jwt|pat|pwd)=)[^&;#\s'"<>\[\]]+"""
)
# `name = value` and `"name": "value"` of a configuration file whose name ends as a secret's does.
_SETTING = (
    r"""(?i)(\w*(?:access_key|secret_key|api_key|account_key|\bkey|secret|token|password|passwd|_pass))["']?\s*[:=]\s*"""
    r"""(?:"([^"\n]+)"|'([^'\n]+)'|([^\s"',}{\[\]#$]+))"""
)
_COMMENT = r"(?m)^\s*(?:#|//).*"
_SHORTEST = 8  # characters; what is shorter stands in ordinary text too
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_USER = re.compile(r"//[^/]*@")
_USER_IN_TEXT = r"(?<!\bssh:)//[^/\s'\"<>]*@|(?<=\bssh:)//(?!git@)[^/\s'\"<>]*@"

Value = TypeVar("Value")


class Secrets:
    """Knows what is secret, and gives texts and values without it. Nothing of it shows in its repr."""

    def __init__(self, values: Iterable[str] = (), *, apart: Iterable[str] = ()) -> None:
        """`apart` are taken out only where they do not stand within a hash: they may be part of one by chance."""
        self._values = frozenset(value for value in values if value)
        self._apart = frozenset(apart)
        self._plain = _any_of(self._values, self._apart)

    @functools.cached_property
    def _in_markdown(self) -> re.Pattern[str]:
        """For what is published: of a value also its forms in Markdown and in a URL."""
        from git_clearml.base.address import quoted
        from git_clearml.base.markdown import escape

        values = (form for value in self._values for form in (value, escape(value, 0), quoted(value)))
        return _any_of(values, self._apart)

    @classmethod
    def of_environment(cls, environment: Mapping[str, str]) -> Secrets:
        """The values of variables that are called like secrets, with that of HTTP Basic for ClearML's keys."""
        named = {name: value for name, value in environment.items() if re.search(_VARIABLES, name.upper())}
        public = {
            value
            for name, value in environment.items()
            if name not in named and value and re.search(_NO_SECRETS, name.upper())
        }
        values = [
            value
            for value in named.values()
            if len(value) >= _SHORTEST and value not in public and not _is_public(value)
        ]
        apart = {value for value in values if is_hex(value, 1, 63)}
        secrets = cls((value for value in values if value not in apart), apart=apart)
        hex_tokens = (*_HEX_TOKENS, *(_OF_GITEA_JOBS if _at_gitea(environment) else ()))
        secrets |= cls(value for name in hex_tokens if (value := environment.get(name, "")) not in public)
        for former in ("CLEARML", "TRAINS"):
            pair = (environment.get(f"{former}_API_{kind}_KEY", "").strip() for kind in ("ACCESS", "SECRET"))
            secrets |= cls.of_credentials(*pair)
        return secrets | cls.of_credentials(environment.get("CLEARML_AUTH_TOKEN", "").strip(), "")

    @classmethod
    def of_configuration(cls, text: str) -> Secrets:
        """The values of settings that are called like secrets, in a clearml.conf or the like."""
        matches = re.finditer(_SETTING, re.sub(_COMMENT, "", text))
        settings = [(match[1].lower(), match[2] or match[3] or match[4]) for match in matches]
        secrets = cls(
            value for name, value in settings if len(value) >= _SHORTEST and not (name == "key" and _is_public(value))
        )
        for access_key in (value for name, value in settings if name == "access_key"):
            for secret_key in (value for name, value in settings if name == "secret_key"):
                secrets |= cls.of_credentials(access_key, secret_key)
        return secrets

    @classmethod
    def of_credentials(cls, user: str, password: str) -> Secrets:
        """Both, and what HTTP Basic makes of them; nothing shorter than 4 characters."""
        pair = base64.b64encode(f"{user}:{password}".encode("utf-8", "surrogatepass")).decode().rstrip("=")
        return cls(value for value in (user, password, pair if user and password else "") if len(value) >= 4)

    def __or__(self, other: Secrets) -> Secrets:
        """What either knows."""
        return Secrets(self._values | other._values, apart=self._apart | other._apart)

    def redact(self, value: Value) -> Value:
        """The value, of strings, tuples and frozen values, without the secrets and the users of URLs."""
        return cast(Value, self._redacted(value))

    def redact_markdown(self, text: str) -> str:
        """Markdown without the secrets, as they are and as they look after escaping."""
        from git_clearml.base.markdown import escape

        return self._in_markdown.sub(lambda _: escape(REDACTED), without_users(text))

    def _redacted(self, value: Any) -> Any:
        if isinstance(value, Enum):
            return value
        if isinstance(value, str):
            return self._plain.sub(REDACTED, without_users(value))
        if isinstance(value, tuple):
            items = [self._redacted(item) for item in value]
            return value._make(items) if hasattr(value, "_make") else tuple(items)
        if hasattr(value, "__dataclass_fields__") and not isinstance(value, type):
            from dataclasses import fields, replace  # late: the gate has none

            return replace(
                value,
                **{field.name: self._redacted(getattr(value, field.name)) for field in fields(value) if field.init},
            )
        return value


def _at_gitea(environment: Mapping[str, str]) -> bool:
    named = (environment.get("GITEA_ACTIONS"), environment.get("FORGEJO_ACTIONS"))
    return "true" in named or environment.get("GITHUB_API_URL", "").rstrip("/").endswith("/api/v1")


def redact_parameters(parameters: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """The parameters (name, value), without what is called like a secret: values, or parts of them."""
    return tuple((name, _redacted_parameter(name, value)) for name, value in parameters)


def redact_words(words: Sequence[str]) -> tuple[str, ...]:
    """A command line, without the values of options that are called like a secret, and what else is secret in it."""
    shown = []
    for before, word in zip(("", *words), words, strict=False):
        is_value = before.startswith("-") and "=" not in before and bool(word) and not word.startswith("-")
        shown.append(REDACTED if is_value and is_secret_parameter(before, word) else _redacted_parameter("", word))
    return tuple(shown)


def _redacted_parameter(name: str, value: str) -> str:
    if value and is_secret_parameter(name, value):
        return REDACTED
    return re.sub(_INSIDE, _redacted_setting, without_users(value))


def _redacted_setting(match: re.Match[str]) -> str:
    value = match[2].strip("\"'\\")
    return match[1] + match[2].replace(value, REDACTED) if is_secret_parameter(match[1], value) else match[0]


def is_secret_parameter(name: str, value: str) -> bool:
    """Does the name say that the value is secret? Switches are not, nor how many tokens: `max_tokens = 512`."""
    kinds = {kind.lower() for kind in re.findall(_PARAMETER, name)}
    numbers = r"[\d.]*|" if kinds == {"token"} else ""
    return bool(kinds) and not re.fullmatch(numbers + "true|false|none|null", value.strip(), re.IGNORECASE)


def without_users(text: str) -> str:
    """A text whose URLs have lost user and password, and the secrets of their queries; only `ssh://git@` stays."""
    if "=" in text and re.search("[?#]", text):
        text = re.sub(_IN_QUERY, r"\1" + REDACTED, text)
    return re.sub(_USER_IN_TEXT, "//", text) if "@" in text and "//" in text else text


def _any_of(values: Iterable[str], apart: Iterable[str] = ()) -> re.Pattern[str]:
    """Matches each of the values, the longest first; nothing where there are none. Those `apart` are hexadecimal."""
    words = {value: re.escape(value) for value in values}
    words = {value: f"(?<![0-9a-f]){value}(?![0-9a-f])" for value in apart} | words
    return re.compile(
        "|".join(words[value] for value in sorted(words, key=lambda value: (-len(value), value))) or "(?!)"
    )


def _is_public(value: str) -> bool:
    short = is_hex(value, 7, 12) and not value.isdecimal() and not value.isalpha()
    return short or is_hash(value) or is_uuid(value) or is_offline_id(value) or value.startswith("refs/")


def without_password(uri: str) -> str:
    """What is perhaps no URL, without the user and password that it has if it is one; any other text as it is."""
    return without_credentials(uri) if "@" in uri else uri


def without_credentials(url: str) -> str:
    """The URL without user and password, as it may be shown or handed on. `git@host:path` keeps its user."""
    url = url.strip()
    try:
        parts = urlsplit(url if _SCHEME.match(url) else "")
        host = parts.netloc.rpartition("@")[2]
        user = "git@" if parts.scheme == "ssh" and parts.username == "git" else ""
    except ValueError:
        host = ""
    if not host:  # `ext::https://user:password@host`, `scheme://?user:password@host`
        return _USER.sub("//", url)
    return re.sub(_USER_IN_TEXT, "//", urlunsplit(parts._replace(netloc=user + host)))
