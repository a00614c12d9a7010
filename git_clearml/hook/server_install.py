"""Plans how the git server's hook gets where Gitaly, Gitea or Forgejo, or git itself looks for it, and away again.

Gitaly (GitLab) runs `custom_hooks/pre-receive.d/*` of a repository (docs.gitlab.com, administration/server_hooks).
Gitea and Forgejo write a `hooks/pre-receive` that runs `hooks/pre-receive.d/*`; where that directory is without such a
hook, as before they have written theirs again, ours is in both places. Of a plain bare repository it is
`hooks/pre-receive`, and a hook that is there already is kept and runs after ours.
"""

from __future__ import annotations

import re
import shlex
import stat
import sys
from dataclasses import replace
from pathlib import Path

from git_clearml.errors import UsageError
from git_clearml.git.repository import Repository
from git_clearml.hook import script
from git_clearml.hook.hooks_path import hooks_directory, own_hooks_command, shared_hooks_path
from git_clearml.hook.install import InstallPlan, displacing, removing, renewing
from git_clearml.hook.owner import HookFile, Owner, head_of, read_hook
from git_clearml.hook.steps import Write

HOOK = "pre-receive"
PREVIOUS = f"{HOOK}.pre-clearml"
REPLACED = f"{HOOK}.replaced-by-clearml"
_OURS = "git-clearml"  # beside the hooks of others in a directory of hooks
_GITALY = ("@hashed", "@cluster", "@groups", "@snippets", "@pools")  # folders of GitLab's storages
_RUNS_DIRECTORY = re.compile(rb"^[^#\n]*\.d\b", re.MULTILINE)


def is_bare(repository: Repository) -> bool:
    """Is it a bare repository, as others push to?"""
    return repository.run("rev-parse", "--is-bare-repository").text == "true"


def checked(repository: Repository) -> Repository:
    """The same. Raises UsageError where it is none that others push to."""
    if not is_bare(repository):
        place = repository.top or repository.git_dir
        raise UsageError(
            f"{place} is not a bare repository: --server is for the repository that others push to",
            f"cd {shlex.quote(place)} && git clearml install",
        )
    return repository


def hook_file(repository: Repository) -> HookFile:
    """What lies where our hook is run from. Of ours `current` says whether it is this version's, whichever Python runs
    it, and `executable` whether all may run it."""
    return _read(_places(repository)[-1])


def plan_install(repository: Repository, *, force: bool) -> InstallPlan:
    """How our hook gets there. Raises UsageError where it must not, or could not without loss."""
    places = _places(repository, then=" && git clearml install --server")
    return _all([_plan_install(repository, _read(place), force) for place in places])


def plan_uninstall(repository: Repository) -> InstallPlan:
    """How our hook goes, and what it displaced comes back. Strangers' hooks are not touched."""
    return _all([_plan_uninstall(_read(place)) for place in _places(repository)])


def _all(plans: list[InstallPlan]) -> InstallPlan:
    return InstallPlan(tuple(step for plan in plans for step in plan.steps), "; ".join(plan.says for plan in plans))


def _plan_install(repository: Repository, hook: HookFile, force: bool) -> InstallPlan:
    write = Write(hook.path, content())
    if hook.owner is Owner.OURS:
        return _plan_renewal(hook, write, force)
    if not hook.exists:
        return InstallPlan((write,), f"installed {hook.path}")
    if hook.path.name == _OURS and not force:
        raise UsageError(f"{hook.path} is somebody else's", _forcing(Path(repository.git_dir)))
    return displacing(hook, write, PREVIOUS, REPLACED, force=force)


def _plan_uninstall(hook: HookFile) -> InstallPlan:
    if hook.owner is not Owner.OURS:
        return InstallPlan((), f"git-clearml's hook is not installed as {hook.path}")
    return removing(hook, PREVIOUS, REPLACED)


def content() -> bytes:
    """The hook as this installation runs it. Raises UsageError where a server's hook would not find our package."""
    package = Path(script.__file__).resolve()
    import site

    if site.ENABLE_USER_SITE and Path(site.getusersitepackages()).resolve() in package.parents:
        raise UsageError(
            "git-clearml is installed for your user alone, where the server's hook does not look for it",
            "python3 -m venv /opt/git-clearml, and install it there, from where it came",
        )
    return script.with_python(script.text(HOOK), sys.executable)


def _plan_renewal(hook: HookFile, write: Write, force: bool) -> InstallPlan:
    if hook.current and hook.executable and script.python_in(head_of(hook.path)) == sys.executable:
        return InstallPlan((), f"{hook.path} is already installed")
    return renewing(hook, write, script.version(HOOK), _forcing(hook.path.parent), force=force)


def _forcing(directory: Path) -> str:
    """The command that installs it anyway, in the repository that this directory is in."""
    while directory.name in ("hooks", "custom_hooks", f"{HOOK}.d"):
        directory = directory.parent
    return shlex.join(["git", "clearml", "install", "--force", "--server", str(directory)])


def _places(repository: Repository, then: str = "") -> list[Path]:
    """Where whoever serves this repository looks, the one that is run now last.

    Raises UsageError where that is shared with other repositories; `then` is the last of the commands that help.
    """
    top = Path(repository.common_dir)
    if (top / "custom_hooks").is_dir() or set(_GITALY) & set(top.parts):
        return [top / "custom_hooks" / f"{HOOK}.d" / _OURS]
    directory = hooks_directory(repository)
    shared = shared_hooks_path(repository)
    if shared or (directory == top / "hooks" and directory.is_symlink()):
        raise UsageError(
            f"{shared or directory.resolve()} is shared by several repositories: a hook there would gate all their "
            "pushes",
            f"cd {shlex.quote(str(top))} && {own_hooks_command(repository, 'hooks' if shared else 'own-hooks')}{then}",
        )
    beside = [directory / f"{HOOK}.d" / _OURS] if (directory / f"{HOOK}.d").is_dir() else []
    hook = read_hook(directory / HOOK)
    if beside and hook.owner is not Owner.OURS and _RUNS_DIRECTORY.search(head_of(hook.path)):
        return beside
    return [*beside, directory / HOOK]


def _read(path: Path) -> HookFile:
    hook = read_hook(path)
    if hook.owner is not Owner.OURS:
        return hook
    text, mode = head_of(path), path.stat().st_mode
    runs = bool(mode & stat.S_IXUSR and mode & stat.S_IXOTH and mode & stat.S_IROTH)
    return replace(hook, current=script.with_python(text, "") == script.text(HOOK), executable=runs)
