"""The clean filters of .gitattributes (git-lfs, git-crypt, nbstripout): no file of theirs is committed as it is.

git adds a file as it is, and says nothing, where its filter is not set up here, and where one that is not `required`
fails (gitattributes(5), filter). In a commit that a program makes nobody would notice.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from git_clearml.errors import CannotDecide, UsageError
from git_clearml.git.index import TemporaryIndex
from git_clearml.git.output import decode, stdin_entries
from git_clearml.git.repository import Repository

_CONFIGURED = re.compile(r"filter\.(.+)\.(clean|process)", re.DOTALL)
_NO_FILTER = ("unspecified", "unset", "set", "")
_SET_UP = {"lfs": "git lfs install --local", "git-crypt": "git-crypt unlock", "nbstripout": "nbstripout --install"}


def strict_settings(repository: Repository) -> list[str]:
    """Settings for git under which a clean filter that fails ends the adding."""
    return [f"filter.{name}.required=true" for name in sorted(_configured(repository))]


def check(repository: Repository, index: TemporaryIndex, paths: Sequence[str]) -> None:
    """Raises UsageError for a path whose filter is not set up here.

    What counts are the attributes of the working tree, by which git has added the file, and those of the index, which
    the commit will have: where they differ, whoever checks it out gets something else.
    """
    if not paths:
        return
    set_up = _configured(repository)
    on_disk, committed = (_filters(index, paths, *flag) for flag in ((), ("--cached",)))
    for path in paths:
        name = committed[path] or on_disk[path]
        if on_disk[path] != committed[path]:
            raise UsageError(
                f"--add: the filter of {path!r} is {on_disk[path] or 'none'!r} by the .gitattributes here, and "
                f"{committed[path] or 'none'!r} by those of the commit",
                "git status",
            )
        if name and name not in set_up:
            raise UsageError(
                f"--add: {path!r} goes through the filter {name!r} (.gitattributes), which is not set up here: "
                "its plain content would be committed",
                _SET_UP.get(name, f"git config --get-regexp {_quoted(name)}"),
            )


def _quoted(name: str) -> str:
    import shlex

    return shlex.quote(rf"^filter\.{re.escape(name)}\.")


def _configured(repository: Repository) -> set[str]:
    """The names of the filters that have a command for adding."""
    return {
        match[1]
        for key, value in repository.config()
        if (match := _CONFIGURED.fullmatch(key)) and value.strip() and not key.endswith(".required")
    }


def _filters(index: TemporaryIndex, paths: Sequence[str], *flag: str) -> Mapping[str, str]:
    """The filter of each path, "" for none. Raises CannotDecide."""
    fields = decode(index.read("check-attr", *flag, "-z", "--stdin", "filter", stdin=stdin_entries(paths))).split("\0")
    filters = dict(zip(fields[0::3], fields[2::3], strict=False))
    if missing := [path for path in paths if path not in filters]:
        raise CannotDecide(f"git check-attr did not answer for {missing[0]!r}", "git fsck")
    return {path: "" if value in _NO_FILTER else value for path, value in filters.items()}
