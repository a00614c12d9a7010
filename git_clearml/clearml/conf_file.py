"""clearml.conf: where it lies, and what it says.

The file is HOCON. Where it is plain we read it ourselves (conf_file_plain.py), else pyhocon does, which ClearML carries
a copy of.

Which files count is what clearml 1.9 to 2.1 have in backend_config/defs.py and config.py: the one that
CLEARML_CONFIG_FILE names, else ~/trains.conf with ~/clearml.conf over it.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Mapping
from typing import Any

from git_clearml.clearml import conf_file_plain
from git_clearml.errors import BadSetting

NAMES = ("CLEARML_CONFIG_FILE", "TRAINS_CONFIG_FILE")
_IN_HOME = ("clearml.conf", "trains.conf")  # what the first says wins


def variable(environment: Mapping[str, str], *names: str) -> str:
    """The first of these variables that has a value, stripped, as the SDK reads its own; "" for none."""
    return next((value for name in names if (value := environment.get(name, "").strip())), "")


def conf_paths(environment: Mapping[str, str]) -> list[str]:
    """The files in force that are there, the one that wins first."""
    return [path for path in _wanted(environment) if os.path.isfile(path)]


def checked_paths(environment: Mapping[str, str]) -> list[str]:
    """The same. Raises BadSetting for one that is named and not there, or is no file: the SDK goes on without it."""
    named = variable(environment, *NAMES)
    for path in _wanted(environment):
        if path == os.devnull or os.path.isfile(path):
            continue
        if os.path.lexists(path):
            raise BadSetting(f"{path} is not a file", "export CLEARML_CONFIG_FILE=<file>")
        if named:
            name = next(name for name in NAMES if environment.get(name, "").strip())
            raise BadSetting(f"{name} names no file: {path}", f"unset {name}")
    return conf_paths(environment)


def _wanted(environment: Mapping[str, str]) -> list[str]:
    """The paths that count: the named one (~ is expanded, variables are not), else those in HOME."""
    home = _home(environment)
    named = variable(environment, *NAMES)
    if named:
        mine = named == "~" or named.startswith(("~/", "~" + os.sep))
        return [os.path.join(home, named[2:]) if mine and home else os.path.expanduser(named)]
    return [os.path.join(home, name) for name in _IN_HOME] if home else []


def _home(environment: Mapping[str, str]) -> str:
    """The user's folder, from the system where the environment does not tell; "" where that knows none either."""
    home = environment.get("HOME") or environment.get("USERPROFILE")
    if home is None and "HOME" not in os.environ:
        home = os.path.expanduser("~")
    return home if home and home != "~" else ""


def sdk_value(environment: Mapping[str, str], *keys: str) -> Any:
    """A value of the file's `sdk` section, None when it is not set there. Raises BadSetting."""
    for path in conf_paths(environment):
        content = _content(path)
        value = Tree(conf_file_plain.read(content) or _parse(content, path)).get("sdk", *keys)
        if value is not None:
            return value
    return None


def api_value(environment: Mapping[str, str], *keys: str) -> str:
    """A value of the file's `api` section, "" when it is not set there. Raises BadSetting."""
    return next((text for path in conf_paths(environment) if (text := api_section(path).text(*keys))), "")


def path_to_append(environment: Mapping[str, str]) -> str:
    """The file at whose end a line would be in force, there already or not; "" where none would be read so.

    What is in braces as a whole ends with them.
    """
    path = next(iter(_wanted(environment)), "")
    if not path or (os.path.lexists(path) and not os.path.isfile(path)):
        return ""
    try:
        return "" if os.path.isfile(path) and _content(path).lstrip().startswith("{") else path
    except BadSetting:
        return ""


class Tree:
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


def api_section(path: str) -> Tree:
    """The `api` section. Only that is parsed where it can be cut out: pyhocon takes 100 ms over a whole file."""
    content = _content(path)
    tree: Any = conf_file_plain.read(content)
    if tree is None and (cut := _cut_api(content)):
        with contextlib.suppress(BadSetting):  # it may refer to another section: the whole file decides
            tree = _parse(cut, path)
    if tree is None:
        tree = _parse(content, path)
    return Tree(Tree(tree).get("api"))


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


_PIECE = r'"""(?:.|\n)*?"""|"(?:\\.|[^"\\\n])*"|(?:#|//)[^\n]*|[{}\[\]]|[^\s{}\[\]"#/]+|/|\s+'  # compiled when used
_API = ("api", '"api"', "api:", "api=")
_REFERENCE = r'\$\{\??\s*"?(\w+)'


def _cut_api(content: str) -> str:
    """The top-level `api { ... }` sections alone, "" when the file is not that simple."""
    parts, start, depth, before = [], -1, 0, ""
    for token in re.finditer(_PIECE, content):
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
    if any(content.count(name) > cut.count(name) for name in re.findall(_REFERENCE, cut) if name != "api"):
        return ""
    return cut
