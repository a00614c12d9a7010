"""What `jj git push --dry-run` says it would push, as arguments of git push. Pure.

jj runs no hooks (its docs/git-compatibility.md). Its words are those of its cli/src/commands/git/push.rs, and of what
its cli/tests/test_git_push.rs records: in 2026, and before (`Move forward bookmark main from ... to ...`). What is none
of them is refused.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from git_clearml.errors import BadAnswer

_HEADER = re.compile(r"Changes to push to (\S+):")
_NAME = r'(?P<name>[^\s"\\]+|"[^"\\]+")'  # quoted where a revset would take it for more than a name
_HASH = "[0-9a-f]{4,64}"
_UPDATE = re.compile(
    rf"  (bookmark|tag): {_NAME} \[(?:"
    rf"move (?:forward|backward|sideways) from (?P<moved>{_HASH}) to (?P<new>{_HASH})|"
    rf"add to (?P<added>{_HASH})|(?:delete) from (?P<deleted>{_HASH}))\]"
)
_FORMER = re.compile(rf"  (Move \w+|Add|Delete) bookmark {_NAME} (.*)")
_PLACES = {"bookmark": "refs/heads", "tag": "refs/tags"}
_HINT = "jj git push --dry-run --color never 2>&1 | git clearml push --from-jj"


class JjPush(NamedTuple):
    """A remote, and what git push is to be given for it: refspecs, each with the hash that the remote has to have."""

    remote: str
    leases: tuple[str, ...]
    refspecs: tuple[str, ...]

    def words(self) -> list[str]:
        """The arguments of git push: what jj's own push would do, and no more."""
        return [*(f"--force-with-lease={lease}" for lease in self.leases), "--", self.remote, *self.refspecs]


def parse(text: str) -> list[JjPush]:
    """A push for each remote; [] where jj has nothing to push. Raises BadAnswer for all else than a dry run."""
    lines = [line.rstrip("\r") for line in text.split("\n") if line.strip()]
    last = lines[-1] if lines else ""
    if last == "Nothing changed.":
        return []
    if last != "Dry-run requested, not pushing.":
        raise BadAnswer(f"this is no dry run of jj: {last[:200]!r}", _HINT)
    pushes: list[JjPush] = []
    begun = False
    for line in lines[:-1]:
        if header := _HEADER.fullmatch(line):
            pushes.append(JjPush(_unquoted(header[1]), (), ()))
            begun = True
        elif begun and line.startswith("  "):
            pushes[-1] = _with_update(pushes[-1], line)
        else:  # a warning or a hint of jj, and the lines below it
            begun = False
    if not pushes or not all(push.refspecs for push in pushes):
        raise BadAnswer("jj's dry run names nothing that would be pushed", _HINT)
    return pushes


def _with_update(push: JjPush, line: str) -> JjPush:
    former = _FORMER.fullmatch(line)
    match = _UPDATE.fullmatch(f"  bookmark: {former[2]} [{former[1].lower()} {former[3]}]" if former else line)
    if match is None:
        raise BadAnswer(f"a line of jj's dry run is not understood: {line.strip()[:200]!r}", _HINT)
    ref = f"{_PLACES[match[1]]}/{_unquoted(match['name'])}"
    old, new = match["moved"] or match["deleted"] or "", match["new"] or match["added"] or ""
    return push._replace(leases=(*push.leases, f"{ref}:{old}"), refspecs=(*push.refspecs, f"{new}:{ref}"))


def _unquoted(name: str) -> str:
    return name.strip('"')
