"""Which of the entry points that tasks recorded their commits have: asked of git, in few processes for all."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from git_clearml.clearml.entry_point import usual_paths
from git_clearml.git.repository import Repository
from git_clearml.model import EntryPoint, Task


class EntryPoints:
    """What has been learned so far: which (commit, path) are files, and what is known of entry points elsewhere."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        self.files: set[tuple[str, str]] = set()
        self.elsewhere: dict[EntryPoint, str] = {}
        self._seen: set[EntryPoint] = set()

    def learn(self, tasks: Iterable[Task], trees: Mapping[str, str] | None = None) -> None:
        """Looks for the entry points of these tasks. One git process where they are where they usually are.

        `trees` are the trees of commits that this clone does not have.
        """
        trees = trees or {}
        entries = dict.fromkeys((task.commit, task.entry_point, task.working_dir) for task in tasks)
        new = [entry for entry in entries if entry[0] and entry[1] and entry not in self._seen]
        if not new:
            return
        self._seen.update(new)
        at = {entry: (trees.get(entry[0], entry[0]), *entry[1:]) for entry in new}
        paths = {entry: usual_paths(*entry[1:]) for entry in new}
        files = self._repository.existing_files((at[entry][0], path) for entry in new for path in paths[entry])
        self.files |= {(entry[0], path) for entry in new for path in paths[entry] if (at[entry][0], path) in files}
        missing = []
        for entry in new:
            if any((entry[0], path) in self.files for path in paths[entry]):
                self.elsewhere[entry] = ""
            else:
                missing.append(entry)
        if missing:
            from git_clearml.verdict import layouts  # late: most tasks run what is where they say

            answers = layouts.find(self._repository, list(dict.fromkeys(at[entry] for entry in missing)))
            self.elsewhere |= {entry: answers[at[entry]] for entry in missing if at[entry] in answers}


def has(repository: Repository, commit: str, entry_point: str, working_dir: str) -> bool:
    """Does the commit have the script, or the module, wherever projects have them? Raises CannotDecide."""
    entries = EntryPoints(repository)
    entries.learn([Task("", "server", commit=commit, entry_point=entry_point, working_dir=working_dir)])
    return entries.elsewhere.get((commit, entry_point, working_dir)) == ""
