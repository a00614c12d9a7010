"""Finds what makes the gate of a git server less than it seems: looked at in its bare repository."""

from __future__ import annotations

import os
import re
import shlex
import stat
from collections.abc import Mapping
from functools import partial

from git_clearml.doctor.server import examine as server
from git_clearml.errors import Error, UsageError
from git_clearml.git.repository import Repository
from git_clearml.hook import git_server, script, server_install, steps
from git_clearml.hook.owner import HookFile, Owner, head_of, read_hook
from git_clearml.report.diagnosis import Check, Repair

_CALLS_US = re.compile(rb"^[^#\n]*git[ -]clearml hook (pre-receive|update)", re.MULTILINE)


def examine(repository: Repository, environment: Mapping[str, str], budget: float) -> list[Check]:
    """Every check, in the order in which a push meets them; `budget` is the ClearML server's, in seconds."""
    config = git_server.read_config(repository, environment)
    credentials = _credentials(repository, environment, config, budget)
    return [*_hook(repository), *credentials, _names(repository, config)]


def _hook(repository: Repository) -> list[Check]:
    """Is our hook where the server looks, and can it run?"""
    try:
        hook = server_install.hook_file(repository)
    except UsageError as refusal:
        return [Check("server-hook", "fail", f"pushes are not gated: {refusal.message}", refusal.hint)]
    install = shlex.join(["git", "clearml", "install", "--server", repository.git_dir])
    repair = _installing(repository)
    if hook.owner is not Owner.OURS:
        if hook.exists and _CALLS_US.search(head_of(hook.path)):
            return [Check("server-hook", "ok", f"{hook.path} calls git-clearml")]
        words = f"{hook.path} is somebody else's" if hook.exists else f"there is no {hook.path}"
        return [Check("server-hook", "fail", f"{words}: pushes are not gated", install, repair)]
    python = script.python_in(head_of(hook.path))
    if not hook.executable:
        words = f"{hook.path} may not be run by everybody: a git that may not run it goes on without"
        return [Check("server-hook", "fail", words, install, repair)]
    if python and not os.access(python, os.X_OK):
        words = f"{hook.path} will refuse every push: {python} is gone"
        return [Check("server-hook", "fail", words, install, repair)]
    if not hook.current:
        words = f"{hook.path} is from another version of git-clearml"
        return [Check("server-hook", "warn", words, install, repair)]
    above = hook.path.parent.with_suffix("")  # Gitea's own hook, which runs those of the directory
    if above.parent.name == "hooks" and hook.path.parent.suffix == ".d" and not os.access(above, os.X_OK):
        words = f"{above}, which runs {hook.path}, is not executable, so git ignores both"
        return [Check("server-hook", "fail", words, f"chmod +x {shlex.quote(str(above))}")]
    words = f"{hook.path} is installed, and runs {python or 'the git-clearml that is on PATH'}"
    return [Check("server-hook", "ok", words), *_order(hook)]


def _installing(repository: Repository) -> Repair | None:
    """What `install --server` would do, None where it would refuse."""
    try:
        plan = server_install.plan_install(repository, force=False)
    except UsageError:
        return None
    return Repair(", ".join(map(str, plan.steps)), partial(steps.apply, plan.steps)) if plan.steps else None


def _order(hook: HookFile) -> list[Check]:
    """The hook that ours runs after itself."""
    previous = read_hook(hook.path.with_name(server_install.PREVIOUS))
    if not previous.exists:
        return []
    if previous.executable:
        return [Check("hook-order", "ok", f"{previous.path} runs after ours")]
    words = f"{previous.path} is not executable and does not run"
    return [Check("hook-order", "warn", words, f"chmod +x {shlex.quote(str(previous.path))}")]


def _credentials(
    repository: Repository, environment: Mapping[str, str], config: git_server.ServerConfig, budget: float
) -> list[Check]:
    """Does the hook find credentials, may it read them, and do they work?"""
    try:
        variables = git_server.with_credentials({"HOME": git_server.NOWHERE}, environment, config)
    except Error as error:
        return [Check("credentials-file", "fail", error.message, error.hint)]
    file = variables.get(git_server.VARIABLE, "")
    if not file:
        words = "nothing tells the hook where its clearml.conf is: it will refuse every push"
        return [Check("credentials-file", "fail", words, git_server.ADVICE)]
    checks = server(variables, budget)
    if not config.file:
        words = "CLEARML_CONFIG_FILE says here where clearml.conf is; the git server may not pass it on to the hook"
        checks.append(Check("credentials-file", "warn", words, git_server.ADVICE.replace(_EXAMPLE, shlex.quote(file))))
    elif os.path.exists(file) and not may_read(os.stat(file), os.stat(repository.git_dir)):
        words = f"{file} may not be read by the owner of this repository, as whom the git server runs hooks"
        group, place = os.stat(repository.git_dir).st_gid, shlex.quote(file)
        checks.append(Check("credentials-file", "warn", words, f"chgrp {group} {place} && chmod g+r {place}"))
    return checks


_EXAMPLE = git_server.ADVICE.rpartition(" ")[2]


def may_read(file: os.stat_result, whose: os.stat_result) -> bool:
    """May this user, whom we know by a file of theirs, read the file? Of groups only that of their file is known."""
    by_owner = file.st_uid == whose.st_uid and file.st_mode & stat.S_IRUSR
    by_group = file.st_gid == whose.st_gid and file.st_mode & stat.S_IRGRP
    return bool(whose.st_uid == 0 or by_owner or by_group or file.st_mode & stat.S_IROTH)


def _names(repository: Repository, config: git_server.ServerConfig) -> Check:
    """Tasks name a repository by its URL: is that known here?"""
    names = [*config.repositories, *(f"what the forge tells its hooks, below {forge}" for forge in config.forges)]
    if names:
        return Check("repository-names", "ok", f"this repository's URLs are {', '.join(names)}")
    words = "nothing here tells the URL by which tasks name this repository: only the policy's repositories may"
    command = shlex.join(["git", "-C", repository.git_dir, "config", "--add", "clearml.repository"])
    return Check("repository-names", "warn", words, f"{command} <URL>")
