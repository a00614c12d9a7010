"""`git clearml checkout`: a worktree with exactly what a task ran."""

from __future__ import annotations

import argparse
import os
import shlex
from dataclasses import dataclass, replace
from typing import Any

from git_clearml.base.console import Console
from git_clearml.base.ids import short_id
from git_clearml.base.sanitize import Safe, sanitize
from git_clearml.commands import options, recorded
from git_clearml.errors import CannotDecide, Error, UsageError
from git_clearml.git import new_worktree, recorded_diff
from git_clearml.git.changes import SUBMODULE
from git_clearml.git.recorded_diff import Applied
from git_clearml.git.repository import Repository
from git_clearml.model import Task
from git_clearml.render import json as json_view
from git_clearml.report import command_line
from git_clearml.report.command_line import CommandLine


@dataclass(frozen=True)
class _Plan:
    """What a worktree is to be made of. `diff` is the recorded one, None where none is on record.

    `applied` is None while the commit is not here.
    """

    task: Task
    directory: str
    branch: str
    diff: str | None
    command: CommandLine
    applied: Applied | None = None


failed = options.failed("checkout")

TITLE = "a worktree with exactly what a task ran"
DESCRIPTION = "Makes a worktree at the commit of a task, with its recorded diff applied and left uncommitted."


def add_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("subject", metavar="<task>", help="a task, or a revision that it has run")
    parser.add_argument(
        "directory", nargs="?", default="", metavar="<dir>", help="default: beside the working tree, by the task's id"
    )
    parser.add_argument("--branch", default="", metavar="NAME", help="on a new branch instead of a detached HEAD")
    options.add_dry_run(parser, "only say what would be done")
    options.add_timeout(parser)
    options.add_format(parser, "text", "json")


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Plans, makes the worktree, prints the command that ran. Returns the exit status."""
    repository = Repository()
    task, details, _ = recorded.look_up(repository, arguments.subject, arguments.timeout, console)
    directory = _directory(repository, arguments, task)
    _check_branch(repository, arguments.branch, arguments.subject, task)
    line = command_line.of_task(task, details.parameters)
    plan = _Plan(task, directory, arguments.branch, details.diff, line)
    if not arguments.dry_run:
        recorded.fetch_commit(repository, task, arguments.timeout)
    if repository.trees([task.commit]):
        plan = replace(plan, applied=recorded_diff.apply(repository, task.commit, details.diff or ""))
    problem = plan.applied.problem if plan.applied else ""
    beside = _make(repository, plan) if not arguments.dry_run else ""
    _talk(plan, beside, console, dry_run=arguments.dry_run)
    status = 1 if problem else 0
    if arguments.format == "json":
        console.document(_document(plan, status, console))
    else:
        console.product(_text(plan, console, dry_run=arguments.dry_run))
    return status


def _directory(repository: Repository, arguments: argparse.Namespace, task: Task) -> str:
    """Where the worktree will be. Raises UsageError where something is there already, with a name that is free."""
    if named := arguments.directory:
        directory = os.path.join(os.getcwd(), named)
    else:
        main = repository.main_place
        directory = f"{main.removesuffix('.git')}-{short_id(task.id)}"
    parent, name = os.path.split(os.path.normpath(directory))
    directory = os.path.join(os.path.realpath(parent), name)
    if os.path.lexists(directory):
        numbered = (f"{directory}-{number}" for number in range(2, 10_000))
        free = next(each for each in numbered if not os.path.lexists(each))
        raise UsageError(
            f"{directory} already exists", shlex.join(["git", "clearml", "checkout", arguments.subject, free])
        )
    return directory


def _check_branch(repository: Repository, branch: str, named: str, task: Task) -> None:
    """Raises UsageError for a name that no new branch can have, with one that it can."""
    if not branch:
        return
    taken = repository.refs([f"refs/heads/{branch}"])
    if not taken and not repository.run("check-ref-format", "--branch", branch).status:
        return
    start = branch if taken else f"task-{short_id(task.id)}"
    numbered = (start if number == 1 else f"{start}-{number}" for number in range(2 if taken else 1, 100))
    free = next((name for name in numbered if not repository.refs([f"refs/heads/{name}"])), "NAME")
    hint = f"git clearml checkout --branch {shlex.quote(free)} {shlex.quote(named)}"
    what = f"a branch named {branch!r} already exists" if taken else f"{branch!r} is not a valid branch name"
    raise UsageError(sanitize(what, 200), hint)


def _make(repository: Repository, plan: _Plan) -> str:
    """Makes the worktree; where the diff does not apply it lies beside it, in the file whose name is returned."""
    commit, applied = plan.task.commit, plan.applied
    new_worktree.add(repository, plan.directory, commit, plan.branch)
    if applied is None or not applied.problem:
        if applied and applied.changes:
            new_worktree.fill(repository, plan.directory, commit, applied.tree, applied.changes, plan.branch)
        return ""
    return _write_beside(plan.directory, (plan.diff or "").encode("utf-8", "surrogateescape"))


def _write_beside(directory: str, content: bytes) -> str:
    """Writes `<directory>.diff`, or the first such name that is free."""
    number = 0
    while True:
        path = f"{directory}.{number}.diff" if number else f"{directory}.diff"
        try:
            with open(path, "xb") as file:
                file.write(content)
        except FileExistsError:
            number += 1
        except OSError as error:
            raise CannotDecide(
                f"{path} cannot be written: {error.strerror}", f"df -h {_quoted(os.path.dirname(path))}"
            ) from None
        else:
            return path


def _talk(plan: _Plan, beside: str, console: Console, *, dry_run: bool) -> None:
    """What a reader should know besides."""
    applied = plan.applied
    if applied is None:
        console.say(f"git clearml: {plan.task.commit[:12]} is not in this clone: it would be fetched")
    elif applied.problem:
        what = f"the recorded diff does not apply to {plan.task.commit[:12]}: {applied.problem}"
        console.fail(Error(what, _instead(plan, applied.problem, beside) or f"git clearml show {plan.task.id}"))
    for note in applied.notes if applied else ():
        console.warn(note)
    if plan.diff is None:
        console.warn("the task has no diff on record: uncommitted changes, if it had any, are not in the worktree")
    if applied and any(change.submodule for change in applied.changes) and not dry_run:
        paths = [change.path for change in applied.changes if change.after == SUBMODULE]
        console.say(f"git clearml: submodules are not checked out: {', '.join(paths[:3])}")
    run = plan.task.run
    if run and run.untracked:
        console.warn(f"it ran with untracked files, which are not on record: {', '.join(run.untracked[:3])}")


def _instead(plan: _Plan, problem: str, beside: str) -> str:
    """What can be done with the diff in the file: to apply what does of it, to read what git cannot; "" for no file."""
    if not beside or not problem.startswith(recorded_diff.PATCH_FAILED):
        return beside and f"less {_quoted(beside)}"
    level = "-p0 " if recorded_diff.is_without_prefixes(plan.diff or "") else ""
    return f"git -C {_quoted(plan.directory)} apply --reject {level}{_quoted(beside)}"


def _text(plan: _Plan, console: Console, *, dry_run: bool) -> Safe:
    """Where the worktree is, and the command that ran, ready to be pasted into a shell."""
    applied = plan.applied
    count = len(applied.changes) if applied else 0
    changes = f" and uncommitted changes in {count} file{'s' if count > 1 else ''}" if count else ""
    branch = f", on the new branch {sanitize(plan.branch, 100)}" if plan.branch else ""
    summary = f"{'would make ' if dry_run else ''}{sanitize(plan.directory)}"
    lines = [f"{summary}: commit {sanitize(plan.task.commit[:12])}{changes}{branch}"]
    if plan.command.words:
        folder = _working_dir(plan)
        words = console.redact(plan.command.words)
        lines.append(f"cd {_quoted(folder)} && {' '.join(map(_quoted, words))}")
    return Safe("".join(f"{line}\n" for line in lines))


def _working_dir(plan: _Plan) -> str:
    """The directory that the command ran in; that of the worktree for one that is not inside of it, links followed."""
    path = os.path.normpath(os.path.join(plan.directory, plan.task.working_dir or "."))
    if "\0" in path:
        return plan.directory
    inside = all(
        f"{place}{os.sep}".startswith(f"{top}{os.sep}")
        for place, top in ((path, plan.directory), (os.path.realpath(path), os.path.realpath(plan.directory)))
    )
    return path if inside else plan.directory


def _quoted(word: str) -> str:
    """A word for a shell; what cannot be seen, or must not be printed, as bash, zsh and ksh write it."""
    if word.isprintable() and sanitize(word) == word:
        return shlex.quote(word)
    letters = (
        letter if letter.isascii() and letter.isprintable() and letter not in "'\\" else _escaped(letter)
        for letter in word
    )
    return f"$'{''.join(letters)}'"


def _escaped(letter: str) -> str:
    return "".join(f"\\x{byte:02x}" for byte in letter.encode("utf-8", "surrogatepass"))


def _document(plan: _Plan, status: int, console: Console) -> dict[str, Any]:
    applied = plan.applied
    return json_view.document(
        "checkout",
        status,
        directory=plan.directory,
        commit=plan.task.commit,
        task=json_view.task_object(console.redact(plan.task)),
        applied=applied is not None and not applied.problem,
        command_line=list(console.redact(plan.command.words)),
        problem=(applied.problem or None) if applied else None,
        notes=list(applied.notes) if applied else [],
    )
