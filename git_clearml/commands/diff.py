"""`git clearml diff`: the code, parameters, packages and metrics of two tasks."""

from __future__ import annotations

import argparse
import os
import shlex
from collections.abc import Sequence
from dataclasses import replace

from git_clearml.base.console import Console
from git_clearml.base.sanitize import Safe, sanitize_output
from git_clearml.clearml.diff import classify
from git_clearml.commands import options, recorded
from git_clearml.commands.recorded import Recorded
from git_clearml.errors import CannotDecide, UsageError
from git_clearml.git import recorded_diff
from git_clearml.git.output import entries, reason
from git_clearml.git.recorded_diff import Applied
from git_clearml.git.repository import Repository
from git_clearml.model import DiffKind
from git_clearml.render import difference as view
from git_clearml.report import difference, history
from git_clearml.report.difference import CodeFile, Difference
from git_clearml.run.child import Signals

_WORKING_TREE = "."
_PARTS = ("code", "parameters", "packages", "metrics")


failed = options.failed("diff")

TITLE = "code, parameters, packages and metrics of two tasks"
DESCRIPTION = "Compares two tasks, or a task with the working tree: the code as git shows it, then tables."


def add_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("a", metavar="<a>", help="a task, or a revision that it has run")
    parser.add_argument("b", nargs="?", default=_WORKING_TREE, metavar="<b>", help="another, or . (default: .)")
    for part in _PARTS:
        parser.add_argument(f"--{part}", action="store_true", help=f"only {part}, and what else is named")
    parser.add_argument("--stat", action="store_true", help="of the code a diffstat")
    parser.add_argument("--exit-code", action="store_true", help="exit status 1 when anything asked for differs")
    options.add_timeout(parser)
    options.add_format(parser, "text", "json")
    parser.set_defaults(paths=[])


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Looks both sides up, compares, prints. Returns the exit status."""
    repository = Repository()
    named = next((word for word in (arguments.a, arguments.b) if word != _WORKING_TREE), "")
    again = f"git clearml diff {shlex.quote(named) if named else '<task>'}"
    if arguments.a == _WORKING_TREE:
        raise UsageError("the working tree can only be the second side", f"{again} {_WORKING_TREE}")
    if arguments.b == _WORKING_TREE and not repository.top:
        raise UsageError("a bare repository has no working tree to compare with", f"{again} <task>")
    wanted = [part for part in _PARTS if getattr(arguments, part)] or list(_PARTS)
    if arguments.b == _WORKING_TREE and "code" not in wanted:
        raise UsageError("of the working tree only the code can be compared", f"{again} --code {_WORKING_TREE}")
    a = _side(repository, arguments.a, arguments.timeout, console)
    b = None
    if arguments.b != _WORKING_TREE:
        b = _side(repository, arguments.b, arguments.timeout, console)
    shown = _tables(a, b, wanted)
    trees: list[str] = []
    if "code" in wanted:
        trees, notes = _trees(repository, [a, b] if b else [a], arguments.timeout)
        shown = replace(shown, files=_files(repository, trees, arguments.paths), notes=notes)
    shown = console.redact(shown)
    status = 1 if arguments.exit_code and shown.differs else 0
    for note in shown.notes:
        console.warn(note)
    if arguments.format == "json":
        console.document(view.difference_json(shown, status))
        return status
    console.product(view.heading(shown))
    if shown.files:
        _show(repository, trees, arguments, console)
    elif shown.files is not None:
        console.product(Safe("code: no file differs\n"))
    console.product(view.tables(shown))
    return status


def _side(repository: Repository, name: str, timeout: float | None, console: Console) -> Recorded:
    side = recorded.look_up(repository, name, timeout, console)
    return side._replace(task=history.as_it_ran(side.task, side.details))


def _trees(
    repository: Repository, sides: Sequence[Recorded], timeout: float | None
) -> tuple[list[str], tuple[str, ...]]:
    """The trees that ran. Where a recorded diff does not apply, all are those of the commits, and it is said."""
    applied, notes = list[Applied](), list[str]()
    for side in sides:
        recorded.fetch_commit(repository, side.task, timeout)
        applied.append(recorded_diff.apply(repository, side.task.commit, side.details.diff or ""))
        notes += applied[-1].notes
        if side.details.diff is None:
            notes.append(f"the task {side.task.id} has no diff on record: its commit is compared")
    failures = [(side, each.problem) for side, each in zip(sides, applied, strict=True) if each.problem]
    for side, problem in failures:
        what = "the commits are compared" if len(sides) > 1 else "its commit is compared"
        notes.append(f"the recorded diff of {side.task.id} does not apply ({problem}): {what}")
    trees = repository.trees([side.task.commit for side in sides])
    return [trees[side.task.commit] for side in sides] if failures else [each.tree for each in applied], tuple(notes)


def _tables(a: Recorded, b: Recorded | None, wanted: Sequence[str]) -> Difference:
    """What differs besides the code; of a working tree nothing is known but that."""
    changed = [bool(side) and classify(side.details.diff).kind is DiffKind.DIRTY for side in (a, b) if side]
    shown = Difference(a.task, b.task if b else None, (changed[0], changed[-1]))
    if b is None:
        return shown
    if "parameters" in wanted:
        rows, same = difference.pairs(dict(a.details.parameters), dict(b.details.parameters))
        shown = replace(shown, parameters=rows, same_parameters=same)
    if "packages" in wanted:
        rows, same = difference.pairs(dict(a.details.packages), dict(b.details.packages))
        shown = replace(shown, packages=rows, same_packages=same)
    if "metrics" in wanted:
        metrics, same = difference.metric_pairs(a.details.metrics, b.details.metrics, b.policy.ruled)
        shown = replace(shown, metrics=metrics, same_metrics=same)
    return shown


def _files(repository: Repository, trees: Sequence[str], paths: Sequence[str]) -> tuple[CodeFile, ...]:
    """The files that differ between two trees, or between one and the working tree."""
    words = ("diff", "--numstat", "-z", "--no-renames", "--no-relative", "--no-ext-diff", "--no-textconv")
    result = repository.run(*words, *trees, "--", *paths)
    if result.status:
        raise UsageError(f"git diff failed: {result.reason}", "git clearml diff <a> <b> -- <path>")
    files = []
    for entry in entries(result.stdout):
        added, deleted, path = entry.split("\t", 2)
        files.append(CodeFile(path, *(int(count) if count.isdigit() else None for count in (added, deleted))))
    return tuple(files)


def _show(repository: Repository, trees: Sequence[str], arguments: argparse.Namespace, console: Console) -> None:
    """Lets git show the code: at a terminal by its own pager and colours."""
    stat = ["--stat"] if arguments.stat else []
    words = ["diff", *stat, *trees, "--", *arguments.paths]
    if console.out.isatty():
        with Signals() as signals:
            signals.run(["git", *words], dict(os.environ))
        return
    with repository.stream(*words) as stream:
        content = b"".join(stream)
    if stream.status:
        raise CannotDecide(f"git diff failed: {reason(stream.stderr, stream.status)}", "git fsck")
    text = console.redact(content.decode("utf-8", "replace"))
    console.product(sanitize_output(text.replace("\0", "\N{REPLACEMENT CHARACTER}")))
