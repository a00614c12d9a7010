"""Pushes a commit that nobody has trained at a throw-away remote, through the hook that git runs here.

Nothing of the user's is touched: the commit lies in a directory of objects of its own, and no ref is moved here; the
remote is a bare repository beside it, named to git by its path; hooks of a shared directory do not run there; no
submodule, tag or push option goes along. The remote's HEAD is where the real remote's was last fetched, so that the
policy which judges real pushes judges this one.
"""

from __future__ import annotations

import os
import secrets
import shlex
import time
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from git_clearml.base import globs
from git_clearml.doctor.advice import of_error
from git_clearml.errors import CannotDecide, Error
from git_clearml.git.index import temporary_index
from git_clearml.git.output import GitResult, options_of, reason
from git_clearml.git.quarantine import Quarantine, make_objects, quarantine
from git_clearml.git.repository import Repository, can_be_ref
from git_clearml.hook import drill_outcome as hook_drill
from git_clearml.hook import server_install
from git_clearml.hook.drill_outcome import NO_LINES
from git_clearml.hook.hooks_path import HOOK, hooks_directory
from git_clearml.hook.owner import Owner, read_hook
from git_clearml.hook.skip import DRILL
from git_clearml.model import Resolved
from git_clearml.report.diagnosis import Check
from git_clearml.settings import load, table
from git_clearml.settings.code_paths import is_code
from git_clearml.settings.policy import Policy
from git_clearml.settings.protection import protected

SECONDS = 120.0
"""That a drill may take: other hooks may run in it."""

_NAME = "git-clearml-drill"
_WHO = {
    f"GIT_{who}_{what}": value
    for who in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", _NAME), ("EMAIL", "drill@git-clearml.invalid"))
}
# What would push more than the one commit, or elsewhere, or ask somebody for a passphrase (git-push(1)).
_ALONE = ("--no-follow-tags", "--no-signed", "--recurse-submodules=no", "--no-thin", "--no-progress")
_SETTINGS = ("push.pushOption=", "protocol.file.allow=always", "push.useBitmaps=false")
_CONFIG = """\
[core]
	bare = true
	hooksPath = /dev/null
[gc]
	auto = 0
[receive]
	autogc = false
"""
_OTHER_HASH = """\
[core]
	repositoryFormatVersion = 1
[extensions]
	objectFormat = {}
"""


class Pushed(NamedTuple):
    """What a drill's push came to: git's result, our hook's outcomes, whether the ref is there now, in seconds."""

    result: GitResult
    hook_runs: list[str]
    arrived: bool
    seconds: float


def run(repository: Repository, environment: Mapping[str, str]) -> Check:
    """The check "drill". Whatever ends it, a signal too, everything of it goes away."""
    try:
        if obstacle := _obstacle(repository):
            return obstacle
        exists = read_hook(hooks_directory(repository) / HOOK).exists
        accepted, policy = _accepted(repository, environment)
        with quarantine(repository) as apart:
            remote = _remote(repository, apart, accepted)
            pushed = _pushed(repository, apart, remote, policy, ())
        return judged(pushed, HOOK if exists else "")
    except (Error, OSError) as error:
        return unseen(error)


def unseen(error: Error | OSError) -> Check:
    """The check for a drill that could not be."""
    if isinstance(error, OSError):
        error = CannotDecide(f"{error.strerror}: {error.filename or 'the directory for temporary files'}")
    return of_error("drill", "fail", error, "; the drill has not seen a refusal")


def run_on_server(repository: Repository, environment: Mapping[str, str]) -> Check:
    """The same for the hook of a git server, which runs in the throw-away remote, with this repository's settings.

    Only it: what ours runs after itself, and what runs once a push is accepted, does not.
    """
    try:
        hook = server_install.hook_file(repository)
        accepted, policy = _at(repository, ["HEAD"], environment)
        with quarantine(repository) as apart:
            remote = _remote(repository, apart, accepted)
            own = os.path.join(repository.common_dir, "config")
            repository.read("config", "--file", os.path.join(remote, "config"), "include.path", own)
            hooks = os.path.join(apart.place, "hooks")
            os.mkdir(hooks)
            if hook.executable:
                os.symlink(hook.path, os.path.join(hooks, server_install.HOOK))
            receive = f"--receive-pack=git -c core.hooksPath={shlex.quote(hooks)} receive-pack"
            pushed = _pushed(repository, apart, remote, policy, ("--no-verify", receive))
        return judged(pushed, server_install.HOOK if hook.exists else "")
    except (Error, OSError) as error:
        return unseen(error)


def runs_too(repository: Repository) -> str:
    """Whose hooks run in a drill besides ours, "" where there are none."""
    owner = read_hook(hooks_directory(repository) / HOOK).owner
    if owner in (Owner.NOBODY, Owner.OURS):  # what ours runs after itself does not run after a refusal
        return ""
    return f"{owner.value}'s hooks" if owner.is_framework else "your own hook"


def _obstacle(repository: Repository) -> Check | None:
    """What would make a drill less than harmless: pre-commit and prek put aside what is not staged while hooks run."""
    owner = read_hook(hooks_directory(repository) / HOOK).owner
    if not repository.top or not owner.runs_legacy:
        return None
    if repository.run("-C", repository.top, "diff", "--quiet", "--no-ext-diff", "--ignore-submodules").status != 1:
        return None
    words = f"{owner.value} would stash your uncommitted changes while the drill runs: it has not been run"
    return Check("drill", "fail", words, "git stash && git clearml doctor --drill && git stash pop")


def _pushed(repository: Repository, apart: Quarantine, remote: str, policy: Policy, more: Sequence[str]) -> Pushed:
    ref = ref_for(policy)
    commit = _commit(repository, apart, policy)
    log = os.path.join(apart.place, "told")
    variables = {
        **apart.environment,
        DRILL: log,
        table.SKIP: "",
        "GIT_CLEARML_REMEMBER": "0",
        "GIT_ALLOW_PROTOCOL": "file",
    }
    words = [*options_of(_SETTINGS), "push", *_ALONE, *more]
    started = time.monotonic()
    result = repository.run(*words, remote, f"{commit}:{ref}", env=variables, remote=True, timeout=SECONDS)
    seconds = time.monotonic() - started
    arrived = not repository.run(f"--git-dir={remote}", "show-ref", "--verify", "--quiet", ref).status
    return Pushed(result, hook_drill.told(log), arrived, seconds)


def _accepted(repository: Repository, environment: Mapping[str, str]) -> tuple[str, Policy]:
    """The commit whose policy judges a new ref on the remote, "" where this clone knows none, and that policy.

    Without one it is that of the pushed commit itself, which has that of HEAD.
    """
    from git_clearml.git import remote as remotes

    remote = remotes.pushed_to(repository)
    sides = repository.default_branches([remote.name]) if remote and remote.name else []
    accepted, policy = _at(repository, sides[:1], environment)
    return accepted, policy if accepted else _at(repository, ["HEAD"], environment)[1]


def _at(repository: Repository, names: Sequence[str], environment: Mapping[str, str]) -> tuple[str, Policy]:
    """The commit that is named, "" for none, and its policy."""
    sides = [side for side in repository.peel(names) if isinstance(side, Resolved)]
    if not sides:
        return "", Policy()
    return sides[0].commit.hash, load.rulings(repository, sides, flags={}, environment=environment)[0].policy


def ref_for(policy: Policy) -> str:
    """A ref of a name that nobody has, which the policy protects. Raises CannotDecide where there is none. Pure."""
    for name in (_NAME, *(_filled(pattern) for pattern in policy.protect)):
        for ref in (name, f"refs/heads/{name}"):
            if ref.startswith("refs/") and can_be_ref(ref) and protected(ref, policy):
                return ref
    raise CannotDecide(f"no branch was found that the policy's protect names: {', '.join(policy.protect)}")


def _filled(pattern: str) -> str:
    """A name that the pattern fits, with ours where it leaves room."""
    name = globs.example(pattern, _NAME)
    return name.rstrip("/") or _NAME


def _remote(repository: Repository, apart: Quarantine, accepted: str) -> str:
    """A bare repository without a ref, or whose default branch is at the accepted commit. Raises CannotDecide.

    Written as gitrepository-layout(5) has it: `git init` would take templates, and variables of the user's.
    """
    path = os.path.join(apart.place, "remote.git")
    if len(repository.spellings(path)) > 1:
        raise CannotDecide(f"url.<base>.insteadOf would send the drill's push elsewhere than to {path}")
    kind = repository.run("rev-parse", "--show-object-format").text or "sha1"
    heads = os.path.join(path, "refs", "heads")
    os.makedirs(heads)
    with open(os.path.join(apart.objects, "info", "alternates"), encoding="utf-8", errors="surrogateescape") as file:
        make_objects(os.path.join(path, "objects"), file.readline().rstrip("\n"))
    _write(os.path.join(path, "HEAD"), f"ref: refs/heads/{_NAME}-accepted\n")
    _write(os.path.join(path, "config"), _CONFIG + (_OTHER_HASH.format(kind) if kind != "sha1" else ""))
    if accepted:
        _write(os.path.join(heads, f"{_NAME}-accepted"), f"{accepted}\n")
    return path


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="utf-8", errors="surrogateescape") as file:
        file.write(text)


def _commit(repository: Repository, apart: Quarantine, policy: Policy) -> str:
    """A commit on top of HEAD with one file more, which is code: no task can have run it, nor one of the same code."""
    variables = {**apart.environment, **_WHO}
    token = secrets.token_hex(16)
    stdin = f"# {_NAME} {token}\n".encode()
    blob = _read(repository, "hash-object", "-w", "--no-filters", "--stdin", stdin=stdin, env=variables)
    head = repository.run("rev-parse", "--verify", "--quiet", "HEAD^{commit}").text
    name = f"{_NAME}-{token}.py"
    patterns = [_filled(pattern) for pattern in policy.code_paths if not pattern.startswith("!")]
    path = next(
        (path for path in (name, *(f"{each}/{name}" for each in patterns), *patterns) if is_code(path, policy)), name
    )
    if head:
        with temporary_index(repository, head, environment=variables) as index:
            index.read("update-index", "--add", "--cacheinfo", f"100644,{blob},{path}")
            tree = index.read("write-tree", "--missing-ok").decode().strip()
    else:
        tree = _read(repository, "mktree", stdin=f"100644 blob {blob}\t{name}\n".encode(), env=variables)
    parents = ("-p", head) if head else ()
    return _read(repository, "commit-tree", tree, *parents, stdin=b"A drill\n", env=variables)


def _read(repository: Repository, *words: str, stdin: bytes, env: Mapping[str, str]) -> str:
    return repository.read(*words, stdin=stdin, env=env).decode().strip()


def judged(pushed: Pushed, hook: str) -> Check:
    """What the drill has shown; `hook` is the name of the hook that is there, "" for none. Pure."""
    stderr = pushed.result.stderr.replace("remote: ", "")
    why = reason(stderr, pushed.result.status).removeprefix("git clearml: ")
    took = f"in {pushed.seconds:.1f} s"
    outcome = pushed.hook_runs[0] if pushed.hook_runs else ""
    if pushed.arrived or not pushed.result.status:
        return Check("drill", "fail", f"a commit that nobody has trained was let through: {_why_not(outcome, hook)}")
    if outcome == "rejected":
        return Check("drill", "ok", f"a commit that nobody has trained was refused, {took}")
    if outcome and outcome != NO_LINES:
        words = f"a commit that nobody has trained was refused, {took}, but because nothing could be decided: {why}"
        return Check("drill", "warn", words)
    ours = [line for line in stderr.split("\n") if line.startswith("git clearml:")]
    if ours:
        words = f"the push was refused without a verdict: {ours[0].removeprefix('git clearml: ')}"
        return Check("drill", "warn", words)
    words = f"the push was refused, but not by git-clearml, which was not asked before: {why}"
    return Check("drill", "fail", words)


def _why_not(outcome: str, hook: str) -> str:
    if outcome == NO_LINES:
        return "another hook read the lines of the push before git-clearml, which got none"
    if outcome == "undecided":
        return 'the server is away, and the policy has on-unreachable = "warn"'
    if outcome:
        return f"git-clearml itself says {outcome}"
    return f"the {hook} hook did not ask git-clearml" if hook else "there is no hook"
