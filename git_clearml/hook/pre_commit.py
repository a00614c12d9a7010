"""pre-commit's (or prek's) hook beside our native one: both judge a push, and it is told once.

The native hook runs first and sees every ref. A refusal leaves a small file behind, by which the other one, a child of
the same push, knows that all has been said; what is verified needs no second line.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Collection, Mapping

from git_clearml.base.files import private_directory, read_limited, write_whole
from git_clearml.git.repository import Repository
from git_clearml.hook.hooks_path import HOOK, LEGACY, PREVIOUS, hooks_directory
from git_clearml.hook.owner import Owner, read_hook
from git_clearml.hook.skip import SHOWN

_MOST_SHOWN = 1000  # hashes: one variable holds 128 KiB
_MOST = 1_000_000  # bytes
_FRESH = 600.0  # seconds for which a refusal may be that of the push that still goes on


def native_ran_first(repository: Repository, environment: Mapping[str, str]) -> bool:
    """Has our native hook judged the push in which pre-commit runs us? By hand (`pre-commit run`) there is none."""
    if not environment.get("PRE_COMMIT_REMOTE_BRANCH"):
        return False
    directory = hooks_directory(repository)
    hook, legacy, previous = (read_hook(directory / name) for name in (HOOK, LEGACY, PREVIOUS))
    chain = (legacy, hook) if hook.owner.runs_legacy else (hook, previous)
    return chain[0].owner is Owner.OURS and chain[1].owner.runs_legacy and all(link.executable for link in chain)


def note_refusal(repository: Repository, commits: Collection[str]) -> None:
    """Writes down which commits the native hook has refused and told about. Where that cannot be, it is told twice."""
    path = _path(repository)
    with contextlib.suppress(OSError):
        private_directory(os.path.dirname(path))
        write_whole(path, "\n".join([f"{int(time.time())}", *commits]).encode("utf-8", "surrogateescape"))


def was_refused(repository: Repository, commits: Collection[str]) -> bool:
    """Has the native hook, a moment ago, told about each of these?"""
    content = read_limited(_path(repository), _MOST)
    if isinstance(content, str):
        return False
    moment, *refused = content.decode("utf-8", "surrogateescape").split("\n")
    return moment.isdecimal() and 0 <= time.time() - int(moment[:12]) < _FRESH and set(commits) <= set(refused)


def shown(hashes: Collection[str]) -> dict[str, str]:
    """What `git push` gets in its environment, so that its hook does not repeat what has been printed."""
    return {SHOWN: " ".join(dict.fromkeys(hashes))} if len(hashes) <= _MOST_SHOWN else {}


def were_shown(environment: Mapping[str, str], hashes: Collection[str]) -> bool:
    """Has `git clearml push` printed each of these as verified?"""
    return set(hashes) <= set(environment.get(SHOWN, "").split())


def _path(repository: Repository) -> str:
    return os.path.join(repository.common_dir, "clearml", "refused")
