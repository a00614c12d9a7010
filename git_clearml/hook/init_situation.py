"""What `init` finds out before it plans anything: the remote, its forge, the files that are there, the server's tasks.

Everything here looks, and changes nothing.
"""

from __future__ import annotations

import contextlib
import os
import posixpath
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from git_clearml.base.files import read_limited
from git_clearml.base.secrets import without_credentials
from git_clearml.clearml import recent as recent_tasks
from git_clearml.clearml.connect import connect_if_configured
from git_clearml.clearml.entry_point import entry_paths
from git_clearml.clearml.recent import Recent
from git_clearml.errors import CannotDecide, Error, UnknownRevision
from git_clearml.forge.connect import provider_of_host
from git_clearml.forge.job import Provider
from git_clearml.git import remote as remotes
from git_clearml.git.repository import Repository
from git_clearml.git.url import normalise, place_of
from git_clearml.hook import ci_file, installed_package
from git_clearml.hook.bypasses import job_that_asks
from git_clearml.hook.installed_package import Package
from git_clearml.settings.load import POLICY_FILE

_MOST = 1_000_000  # bytes of a file that is looked at
_ENDS = ("yml", "yaml", "toml", "json")
LEFTHOOK = tuple(f"{place}lefthook.{end}" for end in _ENDS for place in ("", ".", ".config/"))
LEFTHOOK_LOCAL = tuple(f"{dot}lefthook-local.{end}" for end in _ENDS for dot in ("", "."))
PRE_COMMIT = (".pre-commit-config.yaml", ".pre-commit-config.yml", "prek.toml")
HUSKY, OVERCOMMIT = ".husky/pre-push", ".overcommit.yml"
_FOR_SURE = ("main", "master")

Content = bytes | str | None
"""Of a file: what is in it, a sentence that says why it is left alone, or None where there is none."""


@dataclass(frozen=True)
class Situation:
    """What there is. `contents` are those of every file that may be written, by its path from the top.

    `server` is "" where none is configured; `problem` says why a configured one was not asked. `entry_points` are paths
    of the commit that tasks ran; `job` is the file of a CI job that asks again already.
    """

    top: str
    remote: str
    provider: Provider | None
    branch: str
    branch_from: str
    server: str
    problem: str
    recent: Recent
    entry_points: frozenset[str]
    contents: Mapping[str, Content]
    folders: frozenset[str]
    job: str
    package: Package


def look(
    repository: Repository, environment: Mapping[str, str], budget: float, *, log: Callable[[str], None]
) -> Situation:
    """Looks at the repository, its working tree, and in `budget` seconds at the server. Changes nothing."""
    remote = remotes.pushed_to(repository)
    top = repository.top
    branch, branch_from = _default_branch(repository, remote.name if remote else "")
    server, problem, recent = _ask(repository, environment, budget, log)
    folders = frozenset(
        name for name in (*ci_file.workflow_folders(), ".husky") if os.path.isdir(os.path.join(top, name))
    )
    provider = _provider(remote.url if remote else "", top, folders)
    names = [POLICY_FILE, *PRE_COMMIT, *LEFTHOOK, *LEFTHOOK_LOCAL, OVERCOMMIT, ci_file.GITLAB_JOB]
    names += [HUSKY] if ".husky" in folders else []
    names += ci_file.candidates(provider, folders) if provider else ()
    contents = {name: content_of(top, name) for name in names}
    missing = [name for name, content in contents.items() if content is None]
    for name in repository.run("-C", top, "ls-files", "--", *missing).lines:  # deleted, or left out of the checkout
        contents[name] = "it is tracked, but not in the working tree"
    return Situation(
        top=top,
        remote=without_credentials(remote.url) if remote else "",
        provider=provider,
        branch=branch,
        branch_from=branch_from,
        server=server,
        problem=problem,
        recent=recent,
        entry_points=_in_commit(repository, recent),
        contents=contents,
        folders=folders,
        job=job_that_asks(Path(top)),
        package=installed_package.installed(),
    )


def content_of(top: str, name: str) -> Content:
    """The content of a file below the top. A link is not followed: what git has of it is where it leads."""
    place = top
    parts = name.split("/")
    for number, part in enumerate(parts):
        place = os.path.join(place, part)
        if os.path.islink(place):
            which = "it" if place == os.path.join(top, name) else "/".join(parts[: number + 1])
            return f"{which} is a symbolic link, of which git has only where it leads"
        if not os.path.lexists(place):
            return None
    return read_limited(place, _MOST)


def _default_branch(repository: Repository, remote: str) -> tuple[str, str]:
    """The branch that changes are merged into, and how that is known."""
    target = repository.symbolic_target(f"refs/remotes/{remote}/HEAD") if remote else ""
    if branch := target.removeprefix(f"refs/remotes/{remote}/"):
        return branch, f"as last fetched from {remote}"
    places = [f"refs/remotes/{remote}/" if remote else "", "refs/heads/"]
    names = {f"{place}{name}": name for place in places if place for name in _FOR_SURE}
    if there := repository.refs(list(names)):
        return names[next(iter(there))], "by its name"
    return remotes.branch(repository), "the one that is checked out"


def _provider(url: str, top: str, folders: frozenset[str]) -> Provider | None:
    """The forge of the remote by its host; of a host that nobody knows by what is in the working tree."""
    place = place_of(url) if url else None
    host = place.name.partition("/")[0] if place else ""
    if provider := provider_of_host(host):
        return provider
    if not place or place.host == "file:":
        return None
    signs = {".gitlab-ci.yml": Provider.GITLAB, ".forgejo": Provider.GITEA, ".gitea": Provider.GITEA}
    return next((provider for name, provider in signs.items() if os.path.lexists(os.path.join(top, name))), None)


def _ask(
    repository: Repository, environment: Mapping[str, str], budget: float, log: Callable[[str], None]
) -> tuple[str, str, Recent]:
    """The server's address, why it could not be asked, and the tasks that it has of this repository."""
    server = ""
    try:
        api = connect_if_configured(environment, budget, log=log)
        if api is None:
            return "", "", Recent()
        server = api.server.api
        names = repository.names()
        parts = {part for name in names if (part := posixpath.basename(name))}
        now = datetime.now(timezone.utc)
        with contextlib.closing(api):
            recent = recent_tasks.of_repository(api, parts, lambda url: normalise(url) in names, now)
    except Error as error:
        return server, error.message, Recent()
    return server, "", recent


def _in_commit(repository: Repository, recent: Recent) -> frozenset[str]:
    """What of the tasks' entry points is a file of HEAD."""
    ran = {(task.entry_point, task.working_dir) for task in recent.tasks if task.entry_point}
    paths = {path for entry_point, folder in ran for path in entry_paths(entry_point, folder)}
    try:
        head = repository.resolve(["HEAD"])[0].commit.hash if paths else ""
    except (UnknownRevision, CannotDecide):
        return frozenset()
    return frozenset(path for _, path in repository.existing_files((head, path) for path in paths))
