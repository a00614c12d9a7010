"""New objects in a directory that is thrown away: the repository's own are read, and nothing is added to them."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from git_clearml.errors import CannotDecide
from git_clearml.git.repository import Repository


class Quarantine(NamedTuple):
    """`place` is the directory, `objects` that of the objects; `environment` makes git write there (git(1))."""

    place: str
    objects: str
    environment: dict[str, str]


@contextmanager
def quarantine(repository: Repository) -> Iterator[Quarantine]:
    """Whatever ends the block, the directory goes. Raises CannotDecide where git could not read the repository so."""
    base = repository.top or repository.git_dir
    line = repository.run("-C", base, "rev-parse", "--git-path", "objects").text
    own = os.path.realpath(os.path.join(base, line))
    if "\n" in own:
        raise CannotDecide(f"{own!r} cannot be named to git", "move the clone")
    with tempfile.TemporaryDirectory(prefix="git-clearml-") as place:
        objects = make_objects(os.path.join(place, "objects"), own)
        yield Quarantine(place, objects, {"GIT_OBJECT_DIRECTORY": objects})


def make_objects(directory: str, alternate: str) -> str:
    """A directory of objects which finds those of another, and of its alternates, too (gitrepository-layout(5))."""
    os.makedirs(os.path.join(directory, "info"))
    with open(os.path.join(directory, "info", "alternates"), "wb") as file:
        file.write(os.fsencode(alternate) + b"\n")
    return directory
