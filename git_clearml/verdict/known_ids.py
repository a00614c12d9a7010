"""Ids of tasks that this clone knows commits by: of its run records, its notes, and what clearml.lock says.

They say where to look, and no more: what the server has of these tasks is judged like anything else.
"""

from __future__ import annotations

from collections.abc import Sequence

from git_clearml.base.ids import is_clearml_id, tasks_in
from git_clearml.errors import CannotDecide
from git_clearml.git import notes_ref
from git_clearml.git.repository import Repository
from git_clearml.run.store import RunStore
from git_clearml.settings.code_paths import LOCK

_MOST = 500  # ids: one question
_BYTES = 4_000_000  # of a file that is looked through


def of_commits(repository: Repository, names: Sequence[str]) -> list[str]:
    """The ids of tasks that are said to have run these commits (full hashes). Two git processes."""
    ids = [task for record in RunStore(repository.common_dir).sound_of(names) for task, _ in record.tasks]
    written = _written(repository, names)
    return list(dict.fromkeys(name for name in [*ids, *written] if is_clearml_id(name)))[:_MOST]


def _written(repository: Repository, names: Sequence[str]) -> list[str]:
    """Those in the commits' notes, and in a clearml.lock that names one of them: theirs, or that at HEAD."""
    places = [place for name in names for place in notes_ref.expressions(name)]
    places += [f"{name}:{LOCK}" for name in ("HEAD", *names)]
    try:
        objects = repository.names_of(places)
        wanted = [name for name in objects if 0 < repository.sizes.get(name, 0) <= _BYTES]
        contents = repository.blobs(wanted)
    except CannotDecide:  # a partial clone lacks them, and what is only a short cut is not fetched
        return []
    notes = {name for name in objects[: -len(names) - 1] if name}
    texts = [content.decode("utf-8", "replace") for name, content in contents.items() if name in notes]
    locks = [content.decode("utf-8", "replace") for name, content in contents.items() if name not in notes]
    texts += [lock for lock in locks if any(name in lock for name in names)]
    return [task for text in texts for task in tasks_in(text)]
