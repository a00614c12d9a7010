"""Every check of `git clearml doctor`, in the order in which a push meets them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from git_clearml.clearml import conf_file
from git_clearml.doctor import differences, forge, hooks, manual, policy, recording, server, skips, tracked
from git_clearml.doctor.advice import guarded, of_error
from git_clearml.errors import NotARepository
from git_clearml.git.repository import Repository
from git_clearml.hook import bypasses
from git_clearml.hook.hooks_path import HOOK, LEGACY, hooks_directory
from git_clearml.hook.owner import Owner, read_hook
from git_clearml.report.diagnosis import Check, Repair

_OLDEST = (2, 31)


def clone(repository: Repository, environment: Mapping[str, str], budget: float) -> list[Check]:
    """The checks of a clone with a working tree; `budget` is the ClearML server's, in seconds."""
    directory = hooks_directory(repository)
    owner, legacy = read_hook(directory / HOOK).owner, read_hook(directory / LEGACY).owner
    of_policy, head_policy = policy.examine(repository, environment)
    of_server = server.examine(environment, budget, head_policy)
    has_server = not (of_server[-1].name == "server" and of_server[-1].level == "warn")
    return [
        git_version(repository),
        *hooks.examine(repository, environment),
        *skips.examine(environment, owner, ours_first=Owner.OURS in (owner, legacy)),
        of_policy,
        *of_server,
        *guarded("clearml-conf", partial(_recording, environment, has_server)),
        *guarded("differences", partial(_differences, repository, environment)),
        *bypasses.examine(repository, environment),
        *forge.examine(repository, environment, budget),
        *manual.examine(environment),
    ]


def refused(error: NotARepository, environment: Mapping[str, str], budget: float) -> list[Check]:
    """What can be looked at where git refuses the directory of another user: a task records no commit there."""
    checks = server.examine(environment, budget)
    return [
        of_error("repository", "fail", error),
        *checks,
        *guarded("clearml-conf", partial(_recording, environment, True)),
    ]


def git_version(repository: Repository) -> Check:
    """git's own version against the oldest that is supported."""
    printed = repository.run("version").text
    match = re.search(r"(\d+)\.(\d+)", printed)
    version = printed.removeprefix("git version ") or "unknown"
    if match and (int(match[1]), int(match[2])) < _OLDEST:
        oldest = ".".join(map(str, _OLDEST))
        return Check("git", "fail", f"git {version} is older than {oldest}, the oldest that git-clearml works with")
    return Check("git", "ok", f"git {version}")


def _recording(environment: Mapping[str, str], has_server: bool) -> list[Check]:
    development = conf_file.sdk_value(environment, "development")
    path = conf_file.path_to_append(environment)
    verify = conf_file.api_value(environment, "verify_certificate")
    configured = recording.Configured(
        development if hasattr(development, "get") else {}, path, environment, verify, has_server
    )
    return [_with_repair(check, path) for check in recording.examine(configured)]


def _with_repair(check: Check, path: str) -> Check:
    """What `printf ... >> clearml.conf` does, by ourselves."""
    if not path or not check.fix.startswith("printf "):
        return check
    line = check.fix.partition("\\n")[2].partition("\\n")[0]

    def append() -> None:
        with open(path, "a", encoding="utf-8") as file:
            file.write(f"\n{line}\n")

    return replace(check, repair=Repair(f"add to {path}: {line}", append, True))


def _differences(repository: Repository, environment: Mapping[str, str]) -> list[Check]:
    settings = tracked.settings(repository)
    checks = differences.examine(settings, tracked.look(repository, settings), environment)
    return [_with_setting(repository, check) for check in checks]


def _with_setting(repository: Repository, check: Check) -> Check:
    """Submodules are looked at again by a setting of this repository alone."""
    if check.name != "submodule-ignore" or not check.fix:
        return check
    import shlex

    def configure() -> None:
        for command in check.fix.split(" && "):
            key, value = shlex.split(command)[2:]
            repository.read("config", key, value)

    return replace(check, repair=Repair(check.fix, configure))


def summary(checks: list[Check]) -> list[Check]:
    """For people: what is well with the record of a run is one line, not twelve; so are ClearML's defaults. Pure."""
    quiet = {*_QUIET}
    if defaults := recording.of_defaults(checks):
        named = [check for check in checks if check.name in recording.DEFAULTS]
        checks = [defaults if check is named[0] else check for check in checks if check not in named[1:]]
    well = [check for check in checks if check.name in quiet and check.level == "ok"]
    shown: list[Any] = [check for check in checks if check not in well]
    if not well:
        return shown
    words = f"no setting makes ClearML record anything but what runs ({len(well)} settings checked)"
    after = {*_QUIET, "clearml-defaults", "around-the-hook"}
    place = next((number for number, check in enumerate(shown) if check.name in after), len(shown))
    return [*shown[:place], Check("record", "ok", words), *shown[place:]]


_QUIET = (
    "store-uncommitted-code-diff store-code-diff-from-remote vcs-repo-detect-async task-reuse vcs-variables "
    "diff-external diff-relative fsmonitor textconv clean-filter submodule-ignore assume-unchanged skip-worktree "
    "encoding"
).split()
