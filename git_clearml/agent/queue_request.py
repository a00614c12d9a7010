"""What a run on a queue is to run: the command names the script, flags and the commit's policy the rest."""

from __future__ import annotations

import hashlib
import json
import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from git_clearml.agent.launch import NO_PACKAGES, container, find_source, requirements
from git_clearml.agent.queue_arguments import Options, options_of
from git_clearml.agent.queue_command import Entry
from git_clearml.base.words import listed
from git_clearml.clearml import tasks
from git_clearml.clearml.entry_point import entry_paths
from git_clearml.clearml.model import Launch
from git_clearml.errors import Error
from git_clearml.git import remote as remotes
from git_clearml.git import url as urls
from git_clearml.git import worktree
from git_clearml.git.repository import Repository
from git_clearml.model import Commit
from git_clearml.settings.policy import Policy
from git_clearml.verdict import entry_points

_SHOWN = 10  # files named in a refusal
_LONGEST_SCRIPT = 1_000_000  # bytes
_SHORTEST_NAME = 3  # characters, for ClearML


@dataclass(frozen=True)
class QueueOrder:
    """What is to be run. `template` is the id of a task to take everything from but the commit, "" for none."""

    commit: Commit
    queue: str
    launch: Launch  # without repository and commit, which the source of the code gives
    repository: str = ""
    template: str = ""
    arguments: tuple[str, ...] = ()  # what the command says, to be written over the template's
    options: Options = field(default_factory=Options)

    @property
    def digest(self) -> str:
        """The same for the same order: by it a launch finds its task again."""
        values = [self.commit.hash, self.queue, self.repository, self.template, repr(self.launch)]
        return hashlib.sha256(json.dumps(values).encode("utf-8", "surrogateescape")).hexdigest()[:32]


@dataclass(frozen=True)
class Flags:
    """What the command line says about the task, "" where it says nothing. `template` is a task's id."""

    queue: str
    template: str = ""
    project: str = ""
    task_name: str = ""
    tags: tuple[str, ...] = ()
    docker: str = ""
    requirements: str = ""
    packages: str = ""
    repository: str = ""


def refusal(repository: Repository, *, allow_dirty: bool) -> Error | None:
    """Why uncommitted changes keep the commit from being launched: whoever launches it may mean them. None if not."""
    if allow_dirty or not repository.top:
        return None
    [head] = repository.resolve(["HEAD"])
    state = worktree.read_state(repository, head.commit)
    if not state.changed:
        return None
    message = f"not launched: uncommitted changes in {listed(list(state.changed), _SHOWN)}"
    return Error(f"{message} (with --allow-dirty the agent runs the commit without them)", "git commit --all")


def is_in_commit(repository: Repository, commit: Commit, entry: Entry) -> bool:
    """Does the commit have the script, or the module? One of another project is in none, and no evidence."""
    return entry_points.has(repository, commit.hash, entry.entry_point, folder(repository))


def missing_script(repository: Repository, commit: Commit, entry: Entry) -> Error:
    """The error for a script that the commit lacks, because nobody has added it or because there is none."""
    paths = entry_paths(entry.entry_point, folder(repository))
    path = paths[0] if paths else entry.entry_point
    message = f"not launched: {path} is not in commit {commit.hash[:12]}"
    if not paths or not os.path.exists(os.path.join(repository.top, path)):
        return Error(message, "git ls-files '*.py'")
    return Error(message, f"git add {shlex.quote(os.path.relpath(path, folder(repository)))} && git commit")


def folder(repository: Repository) -> str:
    """Where the command runs, seen from the repository's root."""
    if not repository.top:
        return "."
    path = os.path.relpath(os.path.realpath(os.getcwd()), os.path.realpath(repository.top))
    return "." if path.startswith("..") else path.replace(os.sep, "/")


def compose(
    repository: Repository,
    commit: Commit,
    policy: Policy,
    entry: Entry | None,
    flags: Flags,
    environment: Mapping[str, str],
) -> tuple[QueueOrder, list[str]]:
    """The order, and what should be said about it. `entry` is None where a template's own is run.

    Raises BadSetting for a requirements file that cannot be read.
    """
    content: str | None = None
    notes: list[str] = []
    if not flags.template or flags.requirements or flags.packages:
        packages = shlex.split(flags.packages)
        content, notes = requirements(repository, commit, policy.runnable, packages)
        content = content if content.strip() else NO_PACKAGES
    docker = policy.runnable.docker if not flags.template or flags.docker else ""
    image, docker_arguments = container(docker)
    launch = Launch(
        project=flags.project or ("" if flags.template else policy.project or _project(repository)),
        name=_name(flags, policy, entry),
        queue=flags.queue,
        repository="",
        commit="",
        entry_point=entry.entry_point if entry else "",
        working_dir=folder(repository) if entry else ".",
        requirements=content,
        docker=image,
        docker_arguments=docker_arguments,
        tags=tuple(dict.fromkeys([*flags.tags, *pushed_tag(environment)])),
        kind="testing" if entry and entry.is_test else "training",
    )
    order = QueueOrder(commit, flags.queue, launch, flags.repository, flags.template)
    if flags.template and entry:
        order = replace(order, arguments=entry.arguments, options=_options(repository, commit, entry))
    return order, notes


def _options(repository: Repository, commit: Commit, entry: Entry) -> Options:
    """What the script says of its arguments, where it is a file of the commit that can be read."""
    paths = entry_paths(entry.entry_point, folder(repository))
    path = next((path for path in paths if repository.existing_files([(commit.hash, path)])), "")
    content = repository.run("cat-file", "blob", f"{commit.hash}:{path}") if path else None
    if content is None or content.status or len(content.stdout) > _LONGEST_SCRIPT:
        return Options()
    return options_of(content.stdout.decode("utf-8", "replace"))


def _name(flags: Flags, policy: Policy, entry: Entry | None) -> str:
    """The task's name; "" lets a clone keep its template's."""
    if flags.template:
        return flags.task_name
    name = flags.task_name or policy.task_name or (entry.name if entry else "")
    return name if len(name.strip()) >= _SHORTEST_NAME else f"run {name}".strip()


def pushed_tag(environment: Mapping[str, str]) -> Sequence[str]:
    """The git tag whose push started this CI job, which becomes the task's tag; none otherwise. Pure."""
    if environment.get("GITHUB_REF_TYPE") == "tag" and environment.get("GITHUB_REF_NAME"):
        return [environment["GITHUB_REF_NAME"]]
    return [environment["CI_COMMIT_TAG"]] if environment.get("CI_COMMIT_TAG") else []


def _project(repository: Repository) -> str:
    """The repository's own name, where the policy names no project."""
    place = urls.place_of(remotes.fetch_url(repository))  # in the letter case that the user wrote
    name = place.path.rpartition("/")[2] if place else ""
    return name if len(name) >= _SHORTEST_NAME else f"repository {name}".strip()


def plan(repository: Repository, order: QueueOrder) -> tuple[dict[str, Any], bool]:
    """The task as the server would get it, and whether its commit would be pushed as a side ref. Changes nothing."""
    source = find_source(repository, order.commit.hash, override=order.repository)
    document = tasks.body(order.launch, order.launch.project)
    document["script"] |= {"repository": source.url, "version_num": source.commit}
    return {"queue": order.queue, "from": order.template or None, **document}, source.needs_side_ref
