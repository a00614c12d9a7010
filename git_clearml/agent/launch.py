"""Says what an agent is to run: from which repository, at which commit, which script with what.

Everything is read from the commit, never from the working tree.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from git_clearml.clearml import lease
from git_clearml.clearml.entry_point import entry_paths, inside
from git_clearml.clearml.model import Launch
from git_clearml.errors import BadSetting, CannotDecide, UsageError
from git_clearml.git import patch
from git_clearml.git import remote as remotes
from git_clearml.git.remote import Remote
from git_clearml.git.repository import Repository
from git_clearml.model import Commit
from git_clearml.settings.policy import Runnable

_ARGUMENT = re.compile(r"-{0,2}([^-=\s][^=\s]*)=(.*)", re.DOTALL)
_BUDGET = 60.0  # seconds for the remote to answer
NO_PACKAGES = "# no packages\n"
"""Requirements without a package. An empty text would mean the commit's own requirements.txt: clearml-agent 3.0 looks
for one from the root to the script (commands/worker.py, install_requirements_for_package_api)."""

_OLD_HACK = "hack=empty_string_doesnt_work"
"""The default of EXECUTION_ARGS in the action that we replace: it means nothing."""


@dataclass(frozen=True)
class Source:
    """Where an agent gets the code: a repository's URL, the commit in it, and what comes on top of that commit.

    `needs_side_ref`: the commit is not on the remote and has to be pushed there first.
    """

    remote: Remote
    url: str
    commit: str
    diff: str = ""
    needs_side_ref: bool = False
    notes: tuple[str, ...] = ()


def find_source(
    repository: Repository, commit: str, *, override: str = "", as_diff: bool = False, remote: Remote | None = None
) -> Source:
    """How an agent gets this commit: from `remote`, by default the one that the branch is pushed to.

    `override` is the URL that it clones in place of the remote's.

    Raises UsageError where there is no remote, or where the difference cannot go along; CannotDecide when the remote
    cannot be asked.
    """
    remote = remote or remotes.pushed_to(repository)
    if remote is None and not override:
        raise UsageError("this clone has no remote that an agent could clone", "git remote add origin <url>")
    pushed = remote or Remote("", override)
    seen_from = "" if override else repository.top or repository.git_dir  # git itself sees a remote's path from there
    url = remotes.as_agents_see(override or pushed.url, seen_from)
    cloned = Remote("", override) if override else pushed
    try:
        is_there = remotes.has(repository, cloned, commit, timeout=_BUDGET)
    except CannotDecide:  # a URL for agents need not be one for us
        if not override or remote is None:
            raise
        cloned = pushed
        is_there = remotes.has(repository, cloned, commit, timeout=_BUDGET)
    if is_there:
        return Source(pushed, url, commit)
    if not as_diff:
        note = f"{commit[:12]} is not on the remote; pushed there temporarily"
        return Source(pushed, url, commit, needs_side_ref=True, notes=(note,))
    difference = patch.difference(repository, cloned, commit, timeout=_BUDGET)
    size = difference.text.count("\n")
    note = f"{commit[:12]} is not on the remote: runs {difference.base[:12]} and a diff of {size} lines"
    return Source(pushed, url, difference.base, difference.text, notes=(note,))


def missing_entry_point(repository: Repository, commit: Commit, rules: Runnable) -> str:
    """Why the entry point cannot run, as a sentence; "" when the commit has it."""
    paths = entry_paths(rules.entry_point, rules.folder)
    if not paths:
        return f"{rules.entry_point!r} in {rules.folder!r} names no file inside a repository"
    if not repository.existing_files((commit.hash, path) for path in paths):
        return f"{paths[0]} is not in commit {commit.hash[:12]}"
    return ""


def check_launch(
    repository: Repository, commit: Commit, rules: Runnable, packages: Sequence[str] = ()
) -> tuple[Launch, list[str]]:
    """The task of a remote-runnable check, and what should be said about it; `with_source` gives it its code.

    Raises BadSetting for what no agent can run: wrong arguments, no time, no name.
    """
    if rules.execution_timeout <= 0:
        again = "git clearml check-runnable --execution-timeout 600"
        raise BadSetting("execution-timeout must be greater than 0", again)
    if rules.queue_timeout <= 0:
        raise BadSetting("queue-timeout must be greater than 0", "git clearml check-runnable --queue-timeout 1800")
    if len(rules.task_name.strip()) < 3:
        words = f"invalid task name {rules.task_name!r}: at least 3 characters"
        raise BadSetting(words, "git clearml check-runnable --task-name cicd_test_task")
    content, notes = requirements(repository, commit, rules, packages)
    image, arguments = container(rules.docker)
    launch = Launch(
        project=rules.project,
        name=rules.task_name,
        queue=rules.queue,
        repository="",
        commit=commit.hash,
        entry_point=rules.entry_point,
        working_dir=rules.folder or ".",
        requirements=content if content.strip() else NO_PACKAGES,
        arguments=tuple(argument(text) for text in rules.args if text != _OLD_HACK),
        docker=image,
        docker_arguments=arguments,
        tags=(lease.TAG,),
        kind="testing",
    )
    return launch, notes


def with_source(launch: Launch, source: Source) -> Launch:
    """The launch with the code that its agent gets."""
    return replace(launch, repository=source.url, commit=source.commit, diff=source.diff)


def argument(text: str) -> tuple[str, str]:
    """`name=value` (or `--name=value`) as ClearML's Args section has it: by argparse's own name.

    Raises BadSetting for anything else.
    """
    match = _ARGUMENT.fullmatch(text.lstrip())
    if not match:
        raise BadSetting(
            f"the argument {text!r} is not name=value", 'git clearml check-runnable --args "epochs=1 lr=0.1"'
        )
    return match[1].replace("-", "_"), match[2]


def container(text: str) -> tuple[str, str]:
    """A docker image and the arguments after it, as ClearML writes both in one text: `nvidia/cuda:12 --ipc=host`."""
    image, _, arguments = text.strip().partition(" ")
    return image, arguments.strip()


def requirements(
    repository: Repository, commit: Commit, rules: Runnable, packages: Sequence[str]
) -> tuple[str, list[str]]:
    """The requirements file's content at the commit, looked for from the root, then from the folder."""
    if packages:
        return "\n".join(packages) + "\n", []
    name = rules.requirements.strip()
    if not name or name == "none":
        return "", []
    for path in dict.fromkeys(path for folder in (".", rules.folder) if (path := inside(folder, name))):
        place = f"{commit.hash}:{path}\n".encode("utf-8", "surrogateescape")
        _, out, _ = repository.run("cat-file", "--batch=%(objecttype)", "--follow-symlinks", stdin=place)
        if out.startswith(b"blob\n"):
            return _decoded(out[len(b"blob\n") : -1], path), []
    return "", [f"no {name} in {commit.hash[:12]}: the agent installs no packages"]


def _decoded(content: bytes, path: str) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise BadSetting(f"{path} is not UTF-8", "--requirements <file>") from None
