"""What a value may be: the kinds of settings and their checks. Pure."""

from __future__ import annotations

import contextlib
import math
import re
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

from git_clearml.base import globs, jsonvalue
from git_clearml.errors import BadSetting

Kind = Literal[
    "text",
    "flag",
    "number",
    "choice",
    "texts",
    "tolerance",
    "tables",
    "metric",
    "limit",
    "count",
    "name",
    "path",
    "patterns",
]

_NO_REF = r"[\x00-\x20\x7f~^:]|^!|^(?:heads|tags|remotes)/|^refs/(?!\*\*$)[^/]*$|^refs/heads/?$"
"""Of patterns: what no ref has in its name (git-check-ref-format(1)), exceptions, and names that git shortens."""

_MOST_SECONDS = 10.0**9
_PROJECT = 3  # characters of each part of a project's path

_ADVICE = {
    "untracked-ok": "name a directory of outputs, for instance outputs/**; untracked *.py files never pass",
    "protect": "write main, release/** or refs/tags/v*; leave the key out to protect every branch",
    "project": "name the project as ClearML shows it; each part of its path needs 3 characters",
    "runnable.project": "each part of a project's path needs 3 characters",
    "metric": "write TITLE/SERIES as ClearML shows it, for instance validation/accuracy",
    "name": "name what is trained or evaluated, for instance detector",
    "entry-point": "write it from the repository's top, for instance detector/train.py",
    "min-runs": "write a whole number, for instance 3",
    "best.metric": "write TITLE/SERIES as ClearML shows it, for instance validation/accuracy",
}


_EXAMPLES: dict[Kind, str] = {
    "flag": "false",
    "number": "30",
    "texts": '["..."]',
    "patterns": '["src/**"]',
    "tolerance": "0.5%",
    "limit": "0.8",
}


class Setting(NamedTuple):
    """One row of the table."""

    key: str
    kind: Kind
    default: Any
    help: str
    policy: bool = True
    choices: tuple[str, ...] = ()

    @property
    def variable(self) -> str:
        """`best.zero-is-a-value` -> `GIT_CLEARML_BEST_ZERO_IS_A_VALUE`."""
        return "GIT_CLEARML_" + re.sub(r"[.-]", "_", self.key).upper()

    @property
    def git_key(self) -> str:
        """`wait-timeout` -> `clearml.waitTimeout`, as a person writes it; git compares without case."""
        first, *rest = re.split(r"[.-]", self.key)
        return "clearml." + first + "".join(word.capitalize() for word in rest)


def read_text(setting: Setting, raw: str) -> Any:
    """A text of the environment or of git config as the setting's kind; what cannot be read stays text."""
    with contextlib.suppress(ValueError):
        return float(raw) if setting.kind == "number" else raw
    return raw


def checked(setting: Setting, value: Any, name: str) -> Any:
    """The value in its final type. Raises BadSetting."""
    problem = _CHECKS[setting.kind](setting, value)
    if problem:
        raise BadSetting(f"{name} = {_short(value)}: {problem}", _correction(setting, name))
    if setting.kind in ("texts", "patterns"):
        value = tuple(value)
        for pattern in value if setting.key == "untracked-ok" else ():
            if _names_code(pattern):
                raise BadSetting(f"{name}: {pattern!r} would let untracked code pass", _ADVICE["untracked-ok"])
        return value
    if setting.kind in ("number", "limit"):
        return float(value)
    return str(value) if setting.kind == "tolerance" else value


def _correction(setting: Setting, name: str) -> str:
    """A value that would do, as it is typed or written where the wrong one stands."""
    if setting.kind in ("choice", "flag", "number") and setting.default:
        example = f"{setting.default:g}" if setting.kind == "number" else str(setting.default)
    else:
        example = _EXAMPLES.get(setting.kind, "")
    if name.startswith(("--", "git config ")) and example:
        return f"{name} {example}"
    if name == setting.variable and example:
        return f"export {name}={example}"
    quoted = f'"{example}"' if setting.kind in ("choice", "tolerance") else example
    said = f"write {setting.key.rpartition('.')[2]} = {quoted}: {setting.help}" if example else setting.help
    return _ADVICE.get(setting.key, said)


def _names_code(pattern: str) -> bool:
    """Would the pattern's last segment pick Python files out, or the whole pattern match everywhere?"""
    last = pattern.rpartition("/")[2]
    end = last.rpartition("*")[2]  # what a name must end in
    return (
        not pattern.strip("*/.")
        or ("/" not in pattern.rstrip("/") and globs.matches([pattern], "x.py"))
        or (last.strip("*") != "" and any(globs.matches([last], name) for name in ("x.py", "code.py", "__init__.py")))
        or last.endswith(".py")
        or (end != last and end != "" and any(globs.matches([end], suffix) for suffix in (".py", "py", "y")))
    )


def _check_text(setting: Setting, value: Any) -> str:
    if not isinstance(value, str):
        return "expected a string"
    return _check_project(value) if setting.key.rpartition(".")[2] == "project" else ""


def _check_project(value: str) -> str:
    """A server since 2.3 makes no such project (contract/README.md 23); empty parts of a path it leaves out."""
    parts = [part.strip() for part in value.split("/") if part]
    short = [part for part in parts if len(part) < _PROJECT]
    if value and not parts:
        return "expected the name of a project"
    return f"{min(short, key=len)!r} has less than {_PROJECT} characters" if short else ""


def _check_flag(_: Setting, value: Any) -> str:
    return "" if isinstance(value, bool) else "must be true or false"


def _check_number(_: Setting, value: Any) -> str:
    good = isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= _MOST_SECONDS
    return "" if good else "expected a number of seconds, 0 or more"


def _check_choice(setting: Setting, value: Any) -> str:
    return "" if value in setting.choices else "must be one of: " + ", ".join(setting.choices)


def _check_texts(setting: Setting, value: Any) -> str:
    if not isinstance(value, (list, tuple)) or not all(isinstance(text, str) and text for text in value):
        return "expected a list of strings"
    if setting.key == "protect" and not value:
        return "an empty list would protect nothing"
    never = [text for text in value if setting.key == "protect" and re.search(_NO_REF, text)]
    return f"{never[0]!r} names no ref, so it would protect nothing" if never else ""


def _check_tolerance(_: Setting, value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return "expected a number or a percentage"
    text = str(value).strip().removesuffix("%")
    try:
        number = float(text)
    except ValueError:
        return "expected a number or a percentage"
    return "" if math.isfinite(number) and number >= 0 else "must be 0 or more"


def _check_metric(_: Setting, value: Any) -> str:
    if not isinstance(value, str):
        return "expected a string"
    title, _slash, series = value.rpartition("/")
    return "" if _is_line(value) and title.strip() and series.strip() else "expected TITLE/SERIES"


def _check_name(_: Setting, value: Any) -> str:
    return "" if isinstance(value, str) and value.strip() and _is_line(value) else "expected a name"


def _is_line(value: str) -> bool:
    return not any(ord(character) < ord(" ") or character == "\x7f" for character in value)


def _check_limit(_: Setting, value: Any) -> str:
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return "expected a number"
    return "expected a finite number" if jsonvalue.finite(value) is None else ""


def _check_count(_: Setting, value: Any) -> str:
    good = isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= _MOST_SECONDS
    return "" if good else "expected a whole number, 1 or more"


def _check_path(_: Setting, value: Any) -> str:
    if not isinstance(value, str):
        return "expected a string"
    return "expected a path below the repository's top" if _is_outside(value) or not _is_line(value) else ""


def _is_outside(path: str) -> bool:
    return path.startswith("/") or ".." in path.split("/")


def _check_patterns(setting: Setting, value: Any) -> str:
    """Paths that are somebody's code: at least one that is not taken out again."""
    if problem := _check_texts(setting, value):
        return problem
    if not any(not pattern.startswith("!") for pattern in value):
        return "names no code"
    outside = [pattern for pattern in value if _is_outside(pattern.removeprefix("!"))]
    return f"{outside[0]!r} is not below the repository's top" if outside else ""


_CHECKS: dict[Kind, Callable[[Setting, Any], str]] = {
    "text": _check_text,
    "flag": _check_flag,
    "number": _check_number,
    "choice": _check_choice,
    "texts": _check_texts,
    "tolerance": _check_tolerance,
    "metric": _check_metric,
    "name": _check_name,
    "limit": _check_limit,
    "count": _check_count,
    "path": _check_path,
    "patterns": _check_patterns,
}


def unknown(what: str, key: str, names: list[str], hint: str = "") -> BadSetting:
    """The error of a name that is none of these: with the nearest that is, else the hint, else all of them."""
    import difflib

    def bare(name: str) -> str:  # what all names have in common says nothing about which is meant
        return name.lower().removeprefix("git_clearml_").removeprefix("clearml.")

    by_bare = {bare(name): name for name in names}
    close = difflib.get_close_matches(bare(key), by_bare, n=1, cutoff=0.5)
    known = hint or "known are: " + ", ".join(names)
    return BadSetting(f"unknown setting: {what}", f"did you mean {by_bare[close[0]]}?" if close else known)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
