"""Finds entry points that are not where the working directory says: in the layouts that Python projects have.

Packages below a root that the build configuration names, console scripts, the one file of that name, submodules.
Everything is read from the commit that the task ran, in this clone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from git_clearml.base.words import listed
from git_clearml.clearml import entry_point as points
from git_clearml.errors import CannotDecide
from git_clearml.git import changes, submodules
from git_clearml.git.repository import Repository
from git_clearml.model import EntryPoint
from git_clearml.settings import packages as build
from git_clearml.settings.packages import Packages

_MOST_TREES = 50  # looked through for entry points
_USUAL = Packages((".", "src"))


def find(repository: Repository, entries: Sequence[EntryPoint]) -> dict[EntryPoint, str]:
    """For each of these, which are not where `usual_paths` says: "" where the commit has it, else why not, if known.

    Those that are not in the answer are not in the commit. A few git processes for all of them.
    """
    within = [entry for entry in entries if not points.is_outside(*entry[1:])]
    if not within:
        return {}
    search = _Search(repository, {entry: _Wanted(points.module_of(entry[1])) for entry in within})
    try:
        search.by_configuration()
        search.by_listing()
    except CannotDecide:  # an object is missing: a partial clone, or a damaged one
        pass
    return search.answers


@dataclass
class _Wanted:
    """What is known of an entry point: the module that is to be found, and the paths that it may have."""

    module: str = ""
    paths: list[str] = field(default_factory=list)


class _Search:
    """The entry points that are looked for; `answers` holds what has become of them."""

    def __init__(self, repository: Repository, wanted: dict[EntryPoint, _Wanted]) -> None:
        self._repository, self._wanted = repository, wanted
        self._trees: dict[str, str] = {}
        self.answers: dict[EntryPoint, str] = {}

    @property
    def _open(self) -> dict[EntryPoint, _Wanted]:
        return {
            entry: wanted
            for entry, wanted in self._wanted.items()
            if self.answers.get(entry) != "" and entry[0] in self._trees
        }

    def by_configuration(self) -> None:
        """Where the commit's own pyproject.toml, setup.cfg or setup.py says, at the root or around the directory."""
        commits = list(dict.fromkeys(entry[0] for entry in self._wanted))[:_MOST_TREES]
        files = dict.fromkeys(
            (entry[0], folder, name)
            for entry in self._wanted
            for folder in _folders(entry[2])
            for name in build.FILES
            if entry[0] in commits
        )
        environments = {entry: points.installed(*entry[1:]) for entry in self._wanted}
        held = [(entry[0], place.environment) for entry, place in environments.items() if place]
        revs = [f"{commit}^{{tree}}" for commit in commits]
        revs += [f"{commit}:{folder}{name}" for commit, folder, name in files]
        names = self._repository.names_of([*revs, *(f"{commit}:{path}" for commit, path in held)])
        self._trees = {commit: name for commit, name in zip(commits, names, strict=False) if name}
        blobs = {file: name for file, name in zip(files, names[len(commits) :], strict=False) if name}
        tracked = {place for place, name in zip(held, names[len(revs) :], strict=True) if name}
        contents = self._repository.blobs(blobs.values())
        read = {(file[2], blob): build.read(file[2], contents[blob]) for file, blob in blobs.items()}
        for entry, wanted in self._open.items():
            place = environments[entry]
            script = place.script if place and (entry[0], place.environment) not in tracked else ""
            if place and (entry[0], place.environment) not in tracked:
                self.answers[entry] = points.INSTALLED
            for folder in _folders(entry[2]):
                packages = Packages()
                for name in build.FILES:
                    if blob := blobs.get((entry[0], folder, name)):
                        packages |= read[name, blob]
                wanted.module = wanted.module or packages.scripts.get(script, "")
                paths = [*(packages | _USUAL).places(wanted.module)] if wanted.module else []
                paths += [packages.files[script]] if script in packages.files else []
                wanted.paths += [path for each in paths if (path := points.inside(folder or ".", each))]
        places = [(entry[0], path) for entry, wanted in self._open.items() for path in wanted.paths]
        present = self._repository.existing_files(places)
        for entry, wanted in self._open.items():
            if any((entry[0], path) in present for path in wanted.paths):
                self.answers[entry] = ""

    def by_listing(self) -> None:
        """The one file whose path ends so, and files of submodules."""
        entries = self._open
        trees = list(dict.fromkeys(self._trees[entry[0]] for entry in entries))
        ends = {entry: _ends(wanted.module) for entry, wanted in entries.items()}
        names = {end.rpartition("/")[2] for each in ends.values() for end in each}
        files: dict[str, list[str]] = {tree: [] for tree in trees}
        pinned: dict[str, list[submodules.Pinned]] = {tree: [] for tree in trees}
        for number, change in changes.files(self._repository, trees):
            if change.submodule:
                pinned[trees[number]].append(submodules.Pinned(change.path, change.name))
            elif change.path.rpartition("/")[2] in names:
                files[trees[number]].append("/" + change.path)
        for entry in entries:
            matches = [path for path in files[self._trees[entry[0]]] if path.endswith(ends[entry])]
            if len(matches) == 1:
                self.answers[entry] = ""
            elif matches:
                shown = listed([path[1:] for path in matches])
                self.answers[entry] = f"which may be any of {len(matches)} files of that commit: {shown}"
        self._look_into(pinned)

    def _look_into(self, pinned: Mapping[str, Sequence[submodules.Pinned]]) -> None:
        """Looks for what is left in the submodules."""
        entries = {entry: (self._trees[entry[0]], self._paths(entry)) for entry in self._open}
        places = [(tree, path) for tree, paths in entries.values() for path in paths]
        if not any(pinned.values()) or not places:
            return
        looked_up = submodules.existing_files(self._repository, pinned, places)
        for entry, (tree, paths) in entries.items():
            answers = [looked_up[tree, path] for path in paths if (tree, path) in looked_up]
            if answers:
                self.answers[entry] = min(answers, key=bool)

    def _paths(self, entry: EntryPoint) -> list[str]:
        return list(dict.fromkeys([*points.usual_paths(*entry[1:]), *self._wanted[entry].paths]))


def _folders(working_dir: str) -> list[str]:
    """The directory and those around it, the nearest first and the root last, each with a slash at its end."""
    folder = points.inside(".", working_dir)
    folders = []
    while folder:
        folders.append(folder + "/")
        folder = folder.rpartition("/")[0]
    return [*folders, ""]


def _ends(module: str) -> tuple[str, ...]:
    path = module.replace(".", "/")
    return (f"/{path}.py", f"/{path}/__main__.py") if path else ()
