"""The file in which GitHub Actions describes the event of a job. Whoever opened a pull request wrote parts of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from git_clearml.base import jsonvalue
from git_clearml.base.ids import is_hash, is_zero
from git_clearml.errors import BadAnswer

_MOST_BYTES = 32_000_000  # GitHub sends no event of more than 25 MB


class Event:
    """A GitHub event, read field by field and trusted in none: what has the wrong type is an error of ours."""

    def __init__(self, document: Any, path: str) -> None:
        self._document, self._path = document, path

    def _at(self, keys: str) -> Any:
        """What stands at `a.b.c`; None where it, or anything on the way, is missing or null."""
        value = self._document
        for key in keys.split("."):
            if value is None:
                return None
            if not isinstance(value, dict):
                raise self._wrong(keys)
            value = value.get(key)
        return value

    def text(self, keys: str, *, required: bool = False) -> str:
        """A text of one line; "" for none."""
        value = self._at(keys)
        if value is None and not required:
            return ""
        if not isinstance(value, str) or "\n" in value or "\0" in value or (required and not value):
            raise self._wrong(keys)
        return value

    def commit(self, keys: str, *, required: bool = False) -> str:
        """A commit's hash; "" for none, which GitHub may write as zeros."""
        value = self.text(keys, required=required)
        if value and not is_hash(value):
            raise self._wrong(keys)
        return "" if is_zero(value) else value

    def number(self, keys: str) -> int:
        """A number above 0."""
        value = self._at(keys)
        if not isinstance(value, int) or isinstance(value, bool) or value <= 0:
            raise self._wrong(keys)
        return value

    def has(self, keys: str) -> bool:
        """Does anything but null stand there?"""
        return self._at(keys) is not None

    def urls(self, keys: str) -> tuple[str, ...]:
        """The names under which the repository at `keys` can be cloned; () for one that was deleted."""
        urls = (self.text(f"{keys}.{name}") for name in ("clone_url", "ssh_url", "html_url"))
        return tuple(url for url in urls if url)

    def each(self, keys: str) -> list[Event]:
        """The objects of a list; none where there is no list."""
        value = self._at(keys)
        if value is None:
            return []
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            raise self._wrong(keys)
        return [Event(item, self._path) for item in value]

    def _wrong(self, keys: str) -> BadAnswer:
        return BadAnswer(f"the event file has no valid {keys}", f"see {self._path} (GITHUB_EVENT_PATH)")


def read_event(environment: Mapping[str, str]) -> Event:
    """The event of this job (GITHUB_EVENT_PATH). Raises BadAnswer when it is missing, too large or no JSON object."""
    path = environment.get("GITHUB_EVENT_PATH", "")
    hint = "GITHUB_EVENT_PATH must name the event file of this job; GitHub sets it"
    if not path:
        raise BadAnswer("GITHUB_EVENT_PATH is not set, so the event of this job is unknown", hint)
    try:
        with open(path, "rb") as file:
            content = file.read(_MOST_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a path"
        raise BadAnswer(f"the event file cannot be read: {reason}", hint) from None
    if len(content) > _MOST_BYTES:
        raise BadAnswer(f"the event file has more than {_MOST_BYTES // 1_000_000} MB", hint)
    try:
        return Event(jsonvalue.parse_object(content, "the event"), path)
    except jsonvalue.Malformed as error:
        raise BadAnswer(f"the event file does not hold a JSON object: {error}", hint) from None
